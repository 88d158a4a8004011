"""`avow follow`: read a log for ever."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from avow.cli.session import session
from avow.errors import MisuseError
from avow.keep import owner
from avow.keep.follow import Follower
from avow.keep.load import Importer


def follow(
    file: Annotated[Path, typer.Argument(help="The log that the server writes to.")],
    log_format: Annotated[
        str, typer.Option("--format", help="A format's name, or a LogFormat or log_format string.")
    ] = "",
    data: Annotated[Path | None, typer.Option(help="The data folder.")] = None,
) -> None:
    """Read a log as it grows, through its rotation, until the process is told to stop (SIGTERM, Ctrl-C)."""
    if file.is_dir():
        raise MisuseError(f"`{file}` is a folder", "name one log in it")
    if not file.parent.is_dir():
        raise MisuseError(f"there is no folder `{file.parent}`", "look at its spelling")
    console = Console(stderr=True, highlight=False)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with session(data) as at_work:
        settings = at_work.folder.settings.collect
        importer = Importer(
            at_work.folder, at_work.house, at_work.promise(), log_format or settings.format, again=True
        )

        def loaded() -> None:
            owner.derive(at_work.house, settings.visit_gap_minutes, at_work.cutoffs())

        follower = Follower(
            importer, file, loaded, lambda sentence: console.print(sentence, markup=False), stop
        )
        console.print(f"following `{file}`; stop with Ctrl-C or SIGTERM", markup=False)
        follower.run()
        report = follower.report
    console.print(f"stopped: {report.lines:,} lines, {report.requests:,} requests", markup=False)
