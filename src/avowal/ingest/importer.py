"""Import logs into the store: of each log, the lines that are new."""

from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import msgspec
import polars as pl

from avowal.errors import AvowalError, FormatDetectionError, InvalidInputError
from avowal.ingest.log_identity import HEAD_BYTES, LogCatalogue, read_into_digest
from avowal.ingest.log_import import FileImportReport, LogImport, ProgressCallback
from avowal.ingest.pipeline_factory import PipelineFactory
from avowal.logs.formats import NO_REQUEST_IN_JSON, SAMPLE_LINES_MAX, LogParser, create_parser, detect_format
from avowal.logs.log_file import STANDARD_INPUT, LogBlock, LogFile, open_log
from avowal.workspace.backend import FolderBackend
from avowal.workspace.messages import ListUnparsableLines

SAMPLE_BYTES = 256 * 1024
"""How much of a log is read to detect its format."""

AUTOMATIC_FORMAT = "auto"
LOG_KEY_FILE_NAME = "log.key"


@dataclass(frozen=True)
class UnparsableLineText:
    """The text of an unparsable line. It is read from the log each time, and stored nowhere."""

    offset_bytes: int
    reason: str
    text: str


@dataclass
class LogImporter:
    """Imports logs into a folder, under the versions of its terms."""

    pipeline_factory: PipelineFactory
    backend: FolderBackend
    log_format: str = AUTOMATIC_FORMAT
    as_new_log: bool = False
    """Whether a log that begins like a known one, but does not continue it, is imported as another log."""
    allow_new_key: bool = False
    """Whether a missing key may be created again, although it makes all logs unknown."""

    host: str = ""
    """The host of lines that name none; if it is empty, the site's only host."""
    find_script_hosts: Callable[[], Sequence[str]] = tuple
    """Returns the hosts of the pages that the script reported, which are the site's if the settings name none."""

    def __post_init__(self) -> None:
        """Raise LogFormatError or SettingsError if format or country database are invalid, before a log is opened."""
        if self.log_format != AUTOMATIC_FORMAT:
            create_parser(self.log_format)
        _ = self.pipeline_factory.country_database

    @property
    def unnamed_fields(self) -> list[str]:
        """The columns of a request that a pasted format does not name."""
        return [] if self.log_format == AUTOMATIC_FORMAT else create_parser(self.log_format).unnamed_fields

    @cached_property
    def log_catalogue(self) -> LogCatalogue:
        """The logs that the folder knows."""
        return LogCatalogue(
            self.backend, self.pipeline_factory.folder.keys_folder / LOG_KEY_FILE_NAME, self.allow_new_key
        )

    def find_first_request_time(self, path: Path) -> datetime:
        """Return the time of a log's first request, so that a rotated set can be imported in chronological order.

        Returns datetime.max if the log cannot be read.
        """
        with suppress(AvowalError):
            if path != STANDARD_INPUT:
                with open_log(path) as log:
                    sample = _read_sample(log)
                    parser, _ = self._choose_parser(sample)
                    earliest = parser.parse(pl.Series(sample, dtype=pl.String)).requests["time"].min()
                    return earliest if isinstance(earliest, datetime) else datetime.max
        return datetime.max

    def import_log(self, path: Path, progress: ProgressCallback, name: str | None = None) -> FileImportReport:
        """Import the lines of a log that are new. When this returns, they are loaded.

        The report has the error if the log cannot be read or recognised, or another process is reading it; what was
        loaded before remains loaded. `name` is the log's name in the store, the path if it is None.
        """
        report = FileImportReport(name or str(path))
        try:
            log = open_log(path)
            if not log.peek(HEAD_BYTES):
                log.close()
                return msgspec.structs.replace(report, damage=log.damage)
            log_import = self.start_import(path, log, report.name)
        except AvowalError as error:
            return report.with_error(error)
        with closing(log_import):
            try:
                self._check_requests(log_import)
                log_import.advance(progress)
            except AvowalError as error:
                return log_import.report().with_error(error)
            return log_import.report()

    def _check_requests(self, log_import: LogImport) -> None:
        """Raise FormatDetectionError if a new log is JSON, and no object at its beginning is a request.

        Nothing of the log is loaded then, so that it can be imported in another format.
        """
        if log_import.cursor.stored_position is None:
            sample = pl.Series(_read_sample(log_import.log_file), dtype=pl.String)
            if problem := create_parser(log_import.pipeline.parser.name).find_problem(sample):
                raise FormatDetectionError(NO_REQUEST_IN_JSON, problem)

    def start_import(self, path: Path, log: LogFile, name: str) -> LogImport:
        """Start to import an open log that is not empty. The log is closed if this fails.

        Raises LogSourceError if another process is reading the log, or if it begins like a known log but does not
        continue it; FormatDetectionError if its format cannot be detected.
        """
        try:
            log, cursor = self.log_catalogue.locate(path, log, as_new_log=self.as_new_log)
            position, confidence = cursor.stored_position, None
            if position and self.log_format in {AUTOMATIC_FORMAT, position.format}:
                parser = create_parser(position.format)
                parser.restore_state(position.parser_state)
            else:
                parser, confidence = self._choose_parser(_read_sample(log))
            pipeline = self.pipeline_factory.create_pipeline(parser, self._find_host(parser, log))
        except BaseException:
            log.close()
            raise
        return LogImport(name, self.backend, pipeline, cursor, log, confidence)

    def read_unparsable_lines(self, path: Path) -> list[UnparsableLineText]:
        """Read the unparsable lines of a log again. Returns nothing if the log was never imported."""
        if path == STANDARD_INPUT:
            return []
        with open_log(path) as log:
            candidates = self.log_catalogue.candidates(log)
            if not candidates:
                return []
            lines = self.backend.call(ListUnparsableLines(candidates[-1].log_id))
            texts, position = [], 0
            for line in sorted(lines, key=lambda line: line.offset_bytes):
                digest = self.log_catalogue.create_digest(b"")
                position += read_into_digest(log, digest, line.offset_bytes - position)
                text = log.read(line.length_bytes).decode("utf-8", "backslashreplace")
                position += line.length_bytes
                texts.append(UnparsableLineText(line.offset_bytes, line.reason, text))
            return texts

    def is_known_log(self, path: Path) -> bool:
        """Return whether a log begins like one that was imported before."""
        with open_log(path) as log:
            return bool(self.log_catalogue.candidates(log))

    def _find_host(self, parser: LogParser, log: LogFile) -> str:
        """Return the host of the lines of a log that name none. Visitors' keys are made of it, so it has to be right.

        Raises InvalidInputError if there are such lines, and the site has several hosts.
        """
        site = self.pipeline_factory.folder.settings.site
        hosts = [host for host in (site.host, *site.other_hosts) if host]
        hosts = hosts or list(self.find_script_hosts())
        if self.host or not hosts[1:]:
            return self.host or "".join(hosts)
        sample = pl.Series(_read_sample(log), dtype=pl.String)
        if deepcopy(parser).parse(sample).requests["host"].null_count():
            raise InvalidInputError(
                f"lines of this log name no host, and the site has several: {', '.join(hosts)}",
                "say whose log it is: `--host NAME`",
                code="host-missing",
            )
        return hosts[0]

    def _choose_parser(self, sample: list[str]) -> tuple[LogParser, float | None]:
        """Return the parser of the configured format, or of the detected one with its confidence."""
        if self.log_format != AUTOMATIC_FORMAT:
            return create_parser(self.log_format), None
        detection = detect_format(sample)
        return detection.parser, detection.confidence


def _read_sample(log: LogFile) -> list[str]:
    """Return the first whole lines of a log without consuming them."""
    data = log.peek(SAMPLE_BYTES)
    end = data.rfind(b"\n") + 1 or len(data)
    return LogBlock(0, "", end, "", data[:end]).split_lines().head(SAMPLE_LINES_MAX).to_list()
