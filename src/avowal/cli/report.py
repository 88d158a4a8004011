"""`avowal report`: what the site's logs say."""

import csv
import sys
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import typer
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from avowal.app.session import chosen, find_folder, open_versions, session
from avowal.cli.policy import print_json
from avowal.clock import utc_now
from avowal.disclose.statistics import Count, as_range, counted
from avowal.errors import MisuseError, OwnerGoneError
from avowal.policy.bounds import OPERATOR
from avowal.store.interface import Table
from avowal.use.formatting import heading, sentences, text, titled
from avowal.use.report_request import FILTERS, LIMIT, Question, parse_filters, parse_moment
from avowal.use.reports import REPORTS, Answer

FIXED_WIDTH = 18
"""A wider column of words gives way where the terminal is narrow, in characters."""


def report(
    name: Annotated[str, typer.Argument(help=" | ".join(REPORTS), metavar="REPORT")] = "overview",
    since: Annotated[str, typer.Option(help="First moment: a date, a time, `7 days`, `yesterday`.")] = "",
    until: Annotated[str, typer.Option(help="Last moment; a date is taken whole.")] = "",
    timezone: Annotated[str, typer.Option(help="Time zone of days and hours; the site's unless given.")] = "",
    filters: Annotated[
        list[str] | None, typer.Option("--filter", help=f"KEY=PATTERN, more than once: {', '.join(FILTERS)}.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Rows of a table.")] = LIMIT,
    reader: Annotated[str, typer.Option("--as", help="Who reads; a name of `avowal user add`.")] = OPERATOR,
    shared: Annotated[
        bool, typer.Option("--shared", help="Leave out groups too small to be shared.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the report's first table as CSV.")] = False,
    table: Annotated[str, typer.Option(help="With --csv: another table of the report.")] = "",
    data: Annotated[Path | None, typer.Option(help="The data folder.")] = None,
) -> None:
    """Show a report: a table, or JSON, or CSV. It says what it leaves out, and how much was measured."""
    if name not in {*REPORTS, DISCLOSURES}:
        raise MisuseError(f"there is no report `{name}`", f"there are: {', '.join(REPORTS)}, {DISCLOSURES}")
    if as_json and as_csv:
        raise MisuseError("`--json` and `--csv` are two forms of one answer", "give one of the two")
    question = _question(name, since, until, timezone, filters or [], limit, data)
    question = msgspec.structs.replace(question, reader=reader, shared=shared)
    if name == DISCLOSURES:
        told = _disclosures(question, data)
        if as_json:
            print_json({"report": DISCLOSURES, "tables": {DISCLOSURES: told.records()}})
        else:
            (print_csv if as_csv else _show_disclosures)(told)
        return
    found = _asked(question, data)
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(as_object(found)), indent=2).decode() + "\n")
    elif as_csv:
        write_csv(found, table or next(iter(found.tables)))
    else:
        show(found, Console())


DISCLOSURES = "disclosures"
"""The report of what left the house: it tells of no visitor, and stands on the register alone."""


def _disclosures(question: Question, data: Path | None) -> Table:
    """Return how often something was released, recalled and refused, by quarter and ground."""
    with closing(open_versions(data)) as register:
        register.readers.check_discloses(question.reader)
        smallest = chosen(register.versions(), 0).promised.duties.get("smallest-group", 1)
        period = question.since or datetime.min, question.until or datetime.max
        rows: list[list[Any]] = [[*one] for one in counted(register, utc_now(), *period)]
    if question.shared:
        rows = [[*row[:2], *(as_range(count, smallest) for count in row[2:])] for row in rows]
    return Table(list(Count._fields), rows)


def _show_disclosures(told: Table) -> None:
    console = Console()
    console.print("Disclosures: how often something was released, recalled and refused", style="bold")
    if told.rows:
        show_table(told, console)
    else:
        console.print("nothing was released to anybody, and nobody was refused", style="dim")


def _question(
    name: str, since: str, until: str, timezone: str, filters: list[str], limit: int, data: Path | None
) -> Question:
    """Make a question of the words of the command and the settings of the folder."""
    site = find_folder(data).settings.site
    zone = _zone(timezone or site.timezone)
    return Question(
        report=name,
        since=parse_moment(since, zone, utc_now()) if since else None,
        until=parse_moment(until, zone, utc_now(), end=True) if until else None,
        timezone=zone.key,
        filters=parse_filters(filters),
        own_hosts=[host for host in (site.host, *site.hosts) if host],
        limit=limit,
    )


def _asked(question: Question, data: Path | None) -> Answer:
    """Ask; and ask again where whoever owned the folder ended at that moment."""
    for _ in range(ATTEMPTS - 1):
        with suppress(OwnerGoneError), session(data) as at_work:
            return at_work.ask(question)
    with session(data) as at_work:
        return at_work.ask(question)


ATTEMPTS = 3


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise MisuseError(f"`{name}` is no time zone", "use a name such as `Europe/Berlin`") from None


def as_object(answer: Answer) -> dict[str, Any]:
    """Return an answer as one object, its tables as lists of records."""
    account = answer.account
    return {
        "report": answer.report,
        "about": REPORTS[answer.report].about,
        "purpose": REPORTS[answer.report].purpose,
        "since": answer.question.since,
        "until": answer.question.until,
        "timezone": answer.question.timezone,
        "filters": {key: pattern for key, pattern in answer.question.filters.items() if pattern is not None},
        "tables": {name: table.records() for name, table in answer.tables.items()},
        "measured": {
            "views": _share(account.views_measured, account.views),
            "visits": _share(account.visits_measured, account.visits),
        },
        "not_included": {
            "bot_requests": account.bot_requests,
            "hidden": account.hidden,
            "dropped": answer.dropped,
            "dead_letters": account.dead_letters,
        },
        "notes": answer.notes,
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def write_csv(answer: Answer, name: str) -> None:
    """Write one table of an answer as CSV (RFC 4180), with a header."""
    table = answer.tables.get(name)
    if table is None:
        raise MisuseError(f"the report has no table `{name}`", f"it has: {', '.join(answer.tables)}")
    print_csv(table)
    for note in answer.notes:
        sys.stderr.write(f"{note}\n")


def print_csv(table: Table) -> None:
    """Print rows as CSV (RFC 4180), with a header."""
    writer = csv.writer(sys.stdout)
    writer.writerow(table.columns)
    writer.writerows([_harmless(value) for value in row] for row in table.rows)


def _harmless(value: Any) -> Any:
    """Keep a spreadsheet from taking what a visitor wrote for a formula (OWASP: CSV injection)."""
    return (
        f"'{value}"
        if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
        else value
    )


def show(answer: Answer, console: Console) -> None:
    """Show an answer as tables, and then what is not in them."""
    for name, table in answer.tables.items():
        console.print(titled(answer.report, name), style="bold")
        if name == "overview":
            _show_figures(table, console)
        elif table.rows:
            show_table(table, console)
        else:
            console.print("nothing to show", style="dim")
        console.print()
    for sentence in sentences(answer.account, answer.dropped):
        console.print(sentence, style="dim", highlight=False)
    for note in answer.notes:
        console.print(note, style="yellow", highlight=False, markup=False)


def _show_figures(table: Table, console: Console) -> None:
    grid = RichTable.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(justify="right")
    for column, value in zip(table.columns, table.rows[0], strict=True):
        grid.add_row(heading(column), text(column, value))
    console.print(grid)


def show_table(table: Table, console: Console) -> None:
    """Show rows as a table that fits the terminal, and cannot disturb it."""
    shown = RichTable(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    texts = [
        [text(column, value) for column, value in zip(table.columns, row, strict=True)] for row in table.rows
    ]
    for index, column in enumerate(table.columns):
        words = all(isinstance(row[index], str | None) for row in table.rows)
        width = max(map(len, [*heading(column).split(), *(row[index] for row in texts)]))
        if words and width > FIXED_WIDTH:
            shown.add_column(heading(column), overflow="ellipsis", no_wrap=True, ratio=1)
        else:
            shown.add_column(heading(column), justify="left" if words else "right", min_width=width)
    for row in texts:
        shown.add_row(*map(Text, row))
    console.print(shown)
