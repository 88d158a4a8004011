"""Create the pipelines of a folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from avowal.collect.admission import AdmissionRules
from avowal.collect.country import CountryDatabase
from avowal.collect.device import DeviceParser
from avowal.collect.pipeline import Pipeline
from avowal.collect.request_kind import RequestKindRules
from avowal.collect.visitor_key import SALTS_FILE_NAME, SaltFile
from avowal.config import Folder
from avowal.logs.formats import LogParser


@dataclass
class PipelineFactory:
    """Creates pipelines for logs of any format, with the settings of a folder and the versions of its terms."""

    folder: Folder
    admission_rules: Callable[[datetime], Sequence[AdmissionRules]]
    device_parser: DeviceParser = field(default_factory=DeviceParser)

    @cached_property
    def country_database(self) -> CountryDatabase | None:
        """The country database of the settings, or None. Raises SettingsError if it cannot be read."""
        return CountryDatabase.open(self.folder.country_database) if self.folder.country_database else None

    @property
    def salts(self) -> SaltFile:
        """The salts of the folder."""
        return SaltFile(self.folder.keys_folder / SALTS_FILE_NAME)

    def create_pipeline(self, parser: LogParser, default_host: str | None = None) -> Pipeline:
        """Create the pipeline of a log that `parser` parses.

        `default_host` is the host of lines that name none; None is that of the settings.
        """
        settings = self.folder.settings
        return Pipeline(
            parser=parser,
            admission_rules=self.admission_rules,
            kind_rules=RequestKindRules(settings.collect),
            salts=self.salts,
            zone=self.folder.time_zone,
            day_start=self.folder.day_start,
            default_host=settings.site.host if default_host is None else default_host,
            device_parser=self.device_parser,
            country_database=self.country_database,
        )
