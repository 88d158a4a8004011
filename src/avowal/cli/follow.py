"""`avowal follow`: read a log as it grows."""

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console

from avowal.app.import_logs import create_importer, describe_unnamed_fields
from avowal.app.owner_requests import EnforceRetention
from avowal.app.session import Session, describe_terms_in_use, open_session
from avowal.cli.options import DataFolderOption, LogFormatOption, LogHostOption, create_app
from avowal.cli.text_table import create_console
from avowal.collect.line_counts import LineCounts
from avowal.errors import InvalidInputError, ServerGoneError
from avowal.ingest.follower import LogFollower

app = create_app()


@app.command("follow")
def follow(
    file: Annotated[Path, typer.Argument(help="The log file that the server writes.")],
    log_format: LogFormatOption = "",
    host: LogHostOption = "",
    data: DataFolderOption = None,
) -> None:
    """Read a log as it grows, and follow it through rotation, until SIGTERM or Ctrl-C."""
    if file.is_dir():
        raise InvalidInputError(f"`{file}` is a folder", "give the path of one log in it", code="not-a-file")
    if not file.parent.is_dir():
        raise InvalidInputError(
            f"there is no folder `{file.parent}`", "check the spelling", code="file-missing"
        )
    console = create_console(is_error=True)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    total = LineCounts()

    def add_to_total(counts: LineCounts) -> None:
        nonlocal total
        total += counts

    while True:
        try:
            with open_session(data, adopt_terms=True) as session:
                _follow(session, FollowedLog(file, log_format, host), stop, add_to_total, console)
        except ServerGoneError as error:
            console.print(f"{error.message}: continuing without it", markup=False)
        else:
            break
    console.print(f"stopped: {total.lines:,} lines, {total.requests:,} requests", markup=False)


class FollowedLog(NamedTuple):
    """A log, its format, and the host of its lines that name none; empty as in the settings."""

    path: Path
    format: str
    host: str


def _follow(
    session: Session,
    log: FollowedLog,
    stop: threading.Event,
    add_to_total: Callable[[LineCounts], None],
    console: Console,
) -> None:
    """Follow a log until `stop` is set. Raises ServerGoneError if the process that owns the folder ends."""
    for sentence in describe_terms_in_use(session):
        console.print(sentence, markup=False)
    console.print(f"following `{log.path}`; stop with Ctrl-C or SIGTERM", markup=False)
    importer = create_importer(session, log.format, as_new_log=True, host=log.host)
    for sentence in describe_unnamed_fields(importer):
        console.print(sentence, markup=False)

    def report(sentence: str) -> None:
        console.print(sentence, markup=False)

    def run_daily_tasks() -> None:
        removed = sum(action.record_count for action in session.call(EnforceRetention()))
        if removed:
            report(f"{removed:,} records past their retention period were coarsened or deleted")

    def on_load(counts: LineCounts) -> None:
        add_to_total(counts)
        session.derive_views()

    session.derive_views()  # an earlier process may have ended before it derived them
    LogFollower(importer, log.path, on_load, report, stop, run_daily_tasks).run()
