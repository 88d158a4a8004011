"""`avowal import`: read access logs."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from avowal.app.import_logs import ImportReport, create_importer, describe_unnamed_fields, import_files
from avowal.app.session import describe_terms_in_use, open_session
from avowal.cli.options import DataFolderOption, JsonOption, LogFormatOption, LogHostOption, create_app
from avowal.cli.output import print_json
from avowal.cli.printable import escape_unprintable
from avowal.cli.text_table import TextTable, create_console
from avowal.errors import InvalidInputError
from avowal.ingest.importer import UnparsableLineText
from avowal.ingest.log_import import FileImportReport
from avowal.logs.drop_reason import DropReason
from avowal.logs.log_file import STANDARD_INPUT

MAX_UNPARSABLE_PERCENT = 1.0

app = create_app()


@app.command("import")
def import_logs(
    files: Annotated[
        list[Path], typer.Argument(help="The logs, which may be compressed; - is standard input.")
    ],
    log_format: LogFormatOption = "",
    host: LogHostOption = "",
    as_new_log: Annotated[
        bool,
        typer.Option("--as-new-log", help="Read a log as a new one although it begins like a known one."),
    ] = False,
    max_unparsable_percent: Annotated[
        float, typer.Option(help="The percentage of unparsable lines above which the exit status is 1.")
    ] = MAX_UNPARSABLE_PERCENT,
    show_unparsable: Annotated[
        bool,
        typer.Option(
            "--show-unparsable", help="Also print the unparsable lines, which are read from the files again."
        ),
    ] = False,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Read access logs, and store the new requests in them as far as the policy permits."""
    if show_unparsable and as_json:
        raise InvalidInputError(
            "`--show-unparsable` and `--json` exclude each other",
            "give one of them",
            code="conflicting-options",
        )
    check_files(files)
    with open_session(data, adopt_terms=True) as session:
        importer = create_importer(
            session, log_format, as_new_log=as_new_log, allow_new_key=as_new_log, host=host
        )
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        for sentence in [] if as_json else describe_terms_in_use(session):
            console.print(sentence, style="dim", markup=False)
        for sentence in describe_unnamed_fields(importer):
            console.print(sentence, style="yellow", markup=False)
        with _show_progress(files, not as_json) as progress:
            report = import_files(session, importer, files, progress)
        unparsable_texts = (
            [(path, importer.read_unparsable_lines(path)) for path in files] if show_unparsable else []
        )
    if as_json:
        print_json(report)
    else:
        print_report(report, create_console())
        print_unparsable_lines(unparsable_texts)
    unparsable_lines = sum(report.counts.unparsable.values())
    has_too_many = unparsable_lines > report.counts.lines * max_unparsable_percent / 100
    if has_too_many or any(file.error or file.damage for file in report.file_reports):
        raise typer.Exit(1)


def check_files(files: list[Path]) -> None:
    """Raise InvalidInputError if one of the files does not exist or is a folder."""
    for path in files:
        if path.is_dir():
            raise InvalidInputError(
                f"`{path}` is a folder", f"give the files in it: `{path}/*.log*`", code="not-a-file"
            )
        if path != STANDARD_INPUT and not path.exists():
            raise InvalidInputError(
                f"there is no file `{path}`", "check the spelling and the folder", code="file-missing"
            )


@contextmanager
def _show_progress(files: list[Path], is_shown: bool) -> Iterator[Callable[[int, int], None]]:
    """Show the progress: the share of bytes read, lines, lines per second and time left."""
    sizes = [path.stat().st_size if path != STANDARD_INPUT else 0 for path in files]
    started_at = time.monotonic()
    earlier_lines, earlier_bytes, last_lines, last_bytes = 0, 0, 0, 0
    columns = (
        TextColumn("reading"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[lines]:,} lines, {task.fields[speed]:,.0f} lines/s"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not (is_shown and console.is_terminal)
    ) as bar:
        task = bar.add_task("reading", total=sum(sizes) or None, lines=0, speed=0.0)

        def update(position: int, file_lines: int) -> None:
            nonlocal earlier_lines, earlier_bytes, last_lines, last_bytes
            if file_lines < last_lines or position < last_bytes:  # the next file
                earlier_lines, earlier_bytes = earlier_lines + last_lines, earlier_bytes + last_bytes
            last_lines, last_bytes = file_lines, position
            total_lines = earlier_lines + file_lines
            speed = total_lines / max(time.monotonic() - started_at, 1e-3)
            bar.update(task, completed=earlier_bytes + position, lines=total_lines, speed=speed)

        yield update


def print_report(report: ImportReport, console: Console) -> None:
    """Show the result of an import."""
    headings = ("lines", "requests", "bots", "dropped", "unparsable")
    table = TextTable("file", "format", *headings, numbers=headings)
    for file in report.file_reports:
        confidence = f" ({file.confidence:.0%} sure)" if file.confidence is not None else ""
        dropped, unparsable = sum(file.counts.dropped.values()), sum(file.counts.unparsable.values())
        numbers = (file.counts.lines, file.counts.requests, file.counts.bot_requests, dropped, unparsable)
        names = (file.name, f"{file.format or '-'}{confidence}")
        table.add_row(*names, *(f"{number:,}" for number in numbers))
    table.print(console)
    counts, seconds = report.counts, report.duration_seconds
    speed = counts.lines / seconds if seconds else 0
    console.print(
        f"\n{counts.lines:,} lines in {seconds:.1f} s ({speed:,.0f} a second): "
        f"{counts.requests:,} requests, {report.views:,} views, {report.visits:,} visits",
        highlight=False,
    )
    for reason, lines in {**counts.dropped, **counts.unparsable}.items():
        outcome = DropReason(reason).outcome.value
        console.print(f"  {lines:,} {outcome}: {reason}", highlight=False)
    if counts.early_requests:
        console.print(
            f"  {counts.early_requests:,} requests are older than the first version of the terms, and are bound "
            "to it",
            highlight=False,
        )
    if counts.late_requests:
        console.print(
            f"  {counts.late_requests:,} requests arrived after the salt of their day was destroyed: their visitors "
            "cannot be linked to those of earlier requests",
            highlight=False,
        )
    if counts.requests and counts.bot_requests == counts.requests:
        console.print(
            "  every request is a bot's, so there are no views and visits: `avowal report bots` shows them",
            highlight=False,
        )
    for sentence in describe_missing_fields(report):
        console.print(f"  {sentence}", markup=False, highlight=False)
    for file in report.file_reports:
        for sentence in describe_problems(file):
            console.print(f"  {sentence}", style="red", markup=False, highlight=False)
    if counts.unparsable:
        console.print(
            "  `avowal import --show-unparsable FILE` shows the unparsable lines, from your file",
            highlight=False,
        )


def describe_missing_fields(report: ImportReport) -> list[str]:
    """Return sentences about the fields that no line had: of all files together, then of single ones."""
    return [
        *report.missing_fields.values(),
        *(
            f"`{file.name}`: {sentence}"
            for file in report.file_reports
            for name, sentence in file.missing_fields.items()
            if name not in report.missing_fields
        ),
    ]


def describe_problems(file: FileImportReport) -> list[str]:
    """Return sentences about the errors of a file."""
    if file.error:
        return [file.error, f"  {file.hint}"]
    if file.damage:
        return [f"`{file.name}` was read only up to its damage: {file.damage}"]
    return [] if file.format else [f"`{file.name}` is empty"]


def print_unparsable_lines(unparsable_lines: list[tuple[Path, list[UnparsableLineText]]]) -> None:
    """Print unparsable lines as they are in the files, each with its position and reason."""
    for path, lines in unparsable_lines:
        for line in lines:
            text = escape_unprintable(f"{path}: byte {line.offset_bytes}, {line.reason}: {line.text}")
            sys.stdout.write(text.replace("\n", "\\n") + "\n")
