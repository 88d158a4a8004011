"""Import log files into a folder."""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from avowal.app.session import Session
from avowal.errors import AvowalError
from avowal.ingest.importer import FileImportReport, LogImporter, ProgressCallback
from avowal.logs.drop_reason import DropReason, LineOutcome
from avowal.workspace.requests import CountRecords


class ImportReport(msgspec.Struct):
    """What an import did; `avowal import --json` prints it.

    `views` and `visits` are how many more the store has. `lines` is the sum of `requests`, `dropped` and
    `dead_letters`.
    """

    files: int
    format: str
    lines: int
    requests: int
    views: int
    visits: int
    bots: int
    late: int
    early: int
    dropped: dict[str, int]
    dead_letters: int
    dead_letters_by_reason: dict[str, int]
    seconds: float
    by_file: list[FileImportReport]


def create_importer(
    session: Session, log_format: str = "", *, as_new_log: bool = False, allow_new_key: bool = False
) -> LogImporter:
    """Return what reads logs into a folder, in the format of its settings unless one is given.

    Raises LogFormatError if the format is not valid.
    """
    return LogImporter(
        session.pipeline_factory,
        session.backend,
        log_format or session.folder.settings.collect.format,
        as_new_log=as_new_log,
        allow_new_key=allow_new_key,
    )


def import_files(
    session: Session, importer: LogImporter, files: Sequence[Path], progress: ProgressCallback
) -> ImportReport:
    """Read files in the order of their first request, and derive views and visits from them.

    A file that cannot be read has its error in the report; the others are read all the same.
    """
    started = time.monotonic()
    before = session.call(CountRecords())
    in_order = sorted(files, key=importer.find_first_request_time) if len(files) > 1 else files
    reports = [FileImportReport(str(path)) for path in in_order]
    for path, report in zip(in_order, reports, strict=True):
        try:
            importer.import_log(path, report, progress)
        except AvowalError as error:
            report.error, report.hint = error.message, error.hint
    session.derive_views()
    after = session.call(CountRecords())
    not_stored = Counter[str]()
    for report in reports:
        # not `+`, which drops negative counts: an unfinished line that was dropped may have become a request
        not_stored.update(report.drop_reasons)
    unparsable = {
        reason: lines
        for reason, lines in not_stored.items()
        if DropReason(reason).outcome is LineOutcome.UNPARSABLE
    }
    formats = {report.format for report in reports if report.format}
    return ImportReport(
        files=len(files),
        format=formats.pop() if len(formats) == 1 else ("mixed" if formats else "unknown"),
        lines=sum(report.lines for report in reports),
        requests=sum(report.requests for report in reports),
        views=after.views - before.views,
        visits=after.visits - before.visits,
        bots=sum(report.bots for report in reports),
        late=sum(report.late_requests for report in reports),
        early=sum(report.early_requests for report in reports),
        dropped={reason: lines for reason, lines in not_stored.items() if reason not in unparsable},
        dead_letters=sum(unparsable.values()),
        dead_letters_by_reason=unparsable,
        seconds=round(time.monotonic() - started, 3),
        by_file=reports,
    )
