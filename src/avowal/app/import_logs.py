"""Import log files into a folder."""

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from avowal.app.session import Session
from avowal.app.view_requests import ListScriptHosts
from avowal.collect.line_counts import LineCounts, describe_missing_field
from avowal.errors import InvalidInputError
from avowal.ingest.importer import LOG_KEY_FILE_NAME, LogImporter
from avowal.ingest.log_import import FileImportReport, ProgressCallback
from avowal.url_parts import parse_host_name
from avowal.workspace.messages import CountRecords

FIELDS_THAT_COUNT = ("address", "method", "status")
"""The fields without which there are no visits, or no views."""


class ImportReport(msgspec.Struct, frozen=True):
    """What an import did; `avowal import --json` prints it.

    `views` and `visits` are how many more the store has. They can be negative: new requests can join two visits.
    """

    files: int
    format: str
    """The name of the format; `mixed` if there were several, `unknown` if there was none."""
    counts: LineCounts
    views: int
    visits: int
    duration_seconds: float
    missing_fields: dict[str, str]
    """The fields that no line of any file had, and what each costs."""
    file_reports: list[FileImportReport]


def create_importer(
    session: Session,
    log_format: str = "",
    *,
    as_new_log: bool = False,
    allow_new_key: bool = False,
    host: str = "",
) -> LogImporter:
    """Return what reads logs into a folder, in the format of its settings unless one is given.

    Raises LogFormatError if the format is not valid.
    """
    if allow_new_key and not (session.folder.keys_folder / LOG_KEY_FILE_NAME).exists():
        session.register.known_keys.forget(LOG_KEY_FILE_NAME)
    return LogImporter(
        session.pipeline_factory,
        session.backend,
        log_format or session.folder.settings.collect.log_format,
        as_new_log=as_new_log,
        allow_new_key=allow_new_key,
        host=_parse_host(host),
        find_script_hosts=lambda: session.call(ListScriptHosts()),
    )


def _parse_host(text: str) -> str:
    """Return a host as records have it; raises InvalidInputError if the text is none. No text is no host."""
    host = parse_host_name(text) if text else ""
    if host is None:
        raise InvalidInputError(
            f"`{text}` is not a host", "give a name such as `www.example.org`", code="invalid-host"
        )
    return host


def import_files(
    session: Session, importer: LogImporter, files: Sequence[Path], progress: ProgressCallback
) -> ImportReport:
    """Read files in the order of their first request, and derive views and visits from them.

    A file that cannot be read has its error in the report; the others are read all the same.
    """
    started_at = time.monotonic()
    before = session.call(CountRecords())
    in_order = sorted(files, key=importer.find_first_request_time) if len(files) > 1 else files
    reports = [importer.import_log(path, progress) for path in in_order]
    session.derive_views()
    after = session.call(CountRecords())
    counts = sum((report.counts for report in reports), LineCounts())
    formats = {report.format for report in reports if report.format}
    return ImportReport(
        files=len(files),
        format=formats.pop() if len(formats) == 1 else ("mixed" if formats else "unknown"),
        counts=counts,
        views=after.views - before.views,
        visits=after.visits - before.visits,
        duration_seconds=round(time.monotonic() - started_at, 3),
        missing_fields={name: describe_missing_field(name) for name in counts.missing_fields},
        file_reports=reports,
    )


def describe_unnamed_fields(importer: LogImporter) -> list[str]:
    """Return sentences on what a pasted format does not name, if visits or views cannot be counted without it."""
    return [
        f"the pasted format names {describe_missing_field(name)}"
        for name in importer.unnamed_fields
        if name in FIELDS_THAT_COUNT
    ]
