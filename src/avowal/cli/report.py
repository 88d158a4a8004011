"""`avowal report`: what the site's logs say."""

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

from avowal.app.folder import find_folder, open_folder_register
from avowal.app.owner_requests import RunReport
from avowal.app.session import open_session
from avowal.cli.options import DataFolderOption, JsonOption, ReaderOption, create_app
from avowal.cli.output import print_json, print_table, print_table_csv
from avowal.clock import utc_now
from avowal.disclose.statistics import DisclosureCount, count_disclosures, format_count
from avowal.errors import InvalidInputError, ServerGoneError
from avowal.keep.enforcement import find_version_in_force
from avowal.policy.bounds import OPERATOR
from avowal.store.interface import ResultTable
from avowal.use.formatting import (
    describe_completeness,
    format_column_heading,
    format_table_title,
    format_value,
)
from avowal.use.report_request import (
    DEFAULT_ROW_LIMIT,
    FILTER_DESCRIPTIONS,
    ReportRequest,
    parse_filters,
    parse_time,
)
from avowal.use.reports import REPORTS, ReportResult

app = create_app()


@app.command("report")
def report(
    name: Annotated[str, typer.Argument(help=" | ".join(REPORTS), metavar="REPORT")] = "overview",
    since: Annotated[str, typer.Option(help="First moment: a date, a time, `7 days`, `yesterday`.")] = "",
    until: Annotated[str, typer.Option(help="Last moment; a date is taken whole.")] = "",
    timezone: Annotated[str, typer.Option(help="Time zone of days and hours; the site's unless given.")] = "",
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", help=f"KEY=PATTERN, more than once: {', '.join(FILTER_DESCRIPTIONS)}."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Rows of a table.")] = DEFAULT_ROW_LIMIT,
    reader: ReaderOption = OPERATOR,
    omit_small_groups: Annotated[
        bool, typer.Option("--omit-small-groups", help="Leave out groups too small to be shared.")
    ] = False,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the report's first table as CSV.")] = False,
    table: Annotated[str, typer.Option(help="With --csv: another table of the report.")] = "",
    data: DataFolderOption = None,
) -> None:
    """Show a report: a table, or JSON, or CSV. It says what it leaves out, and how much was measured."""
    if name not in {*REPORTS, DISCLOSURE_REPORT}:
        raise InvalidInputError(
            f"there is no report `{name}`",
            f"there are: {', '.join(REPORTS)}, {DISCLOSURE_REPORT}",
            code="unknown-name",
        )
    if as_json and as_csv:
        raise InvalidInputError(
            "`--json` and `--csv` are two forms of one answer",
            "give one of the two",
            code="conflicting-options",
        )
    question = _question(name, since, until, timezone, filters or [], limit, data)
    question = msgspec.structs.replace(question, reader=reader, is_shared=omit_small_groups)
    if name == DISCLOSURE_REPORT:
        told = _disclosures(question, data)
        if as_json:
            print_json({"report": DISCLOSURE_REPORT, "tables": {DISCLOSURE_REPORT: told.to_dicts()}})
        else:
            (print_table_csv if as_csv else _show_disclosures)(told)
        return
    found = _asked(question, data)
    if as_json:
        sys.stdout.write(
            msgspec.json.format(msgspec.json.encode(answer_to_object(found)), indent=2).decode() + "\n"
        )
    elif as_csv:
        print_report_csv(found, table or next(iter(found.tables)))
    else:
        print_answer(found, Console())


DISCLOSURE_REPORT = "disclosures"
"""The report of what left the house: it tells of no visitor, and stands on the register alone."""


def _disclosures(question: ReportRequest, data: Path | None) -> ResultTable:
    """Return how often something was released, recalled and refused, by quarter and ground."""
    with closing(open_folder_register(data)) as register:
        register.readers.check_can_disclose(question.reader)
        smallest = find_version_in_force(register.versions(), utc_now()).compiled_terms.duties.get(
            "smallest-group", 1
        )
        period = question.since or datetime.min, question.until or datetime.max
        rows: list[list[Any]] = [[*one] for one in count_disclosures(register, utc_now(), *period)]
    if question.is_shared:
        rows = [[*row[:2], *(format_count(count, smallest) for count in row[2:])] for row in rows]
    return ResultTable(list(DisclosureCount._fields), rows)


def _show_disclosures(told: ResultTable) -> None:
    console = Console()
    console.print("Disclosures: how often something was released, recalled and refused", style="bold")
    if told.rows:
        print_table(told, console)
    else:
        console.print("nothing was released to anybody, and nobody was refused", style="dim")


def _question(
    name: str, since: str, until: str, timezone: str, filters: list[str], limit: int, data: Path | None
) -> ReportRequest:
    """Make a question of the words of the command and the settings of the folder."""
    site = find_folder(data).settings.site
    zone = _zone(timezone or site.timezone)
    return ReportRequest(
        report=name,
        since=parse_time(since, zone, utc_now()) if since else None,
        until=parse_time(until, zone, utc_now(), is_end=True) if until else None,
        timezone=zone.key,
        filters=parse_filters(filters),
        site_hosts=[host for host in (site.host, *site.other_hosts) if host],
        limit=limit,
    )


def _asked(question: ReportRequest, data: Path | None) -> ReportResult:
    """Ask; and ask again where whoever owned the folder ended at that moment."""
    for _ in range(MAX_QUERY_ATTEMPTS - 1):
        with suppress(ServerGoneError), open_session(data) as at_work:
            return at_work.call(RunReport(question))
    with open_session(data) as at_work:
        return at_work.call(RunReport(question))


MAX_QUERY_ATTEMPTS = 3


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInputError(
            f"`{name}` is no time zone", "use a name such as `Europe/Berlin`", code="invalid-time"
        ) from None


def answer_to_object(answer: ReportResult) -> dict[str, Any]:
    """Return an answer as one object, its tables as lists of records."""
    account = answer.completeness
    return {
        "report": answer.report,
        "description": REPORTS[answer.report].description,
        "purpose": REPORTS[answer.report].purpose,
        "since": answer.request.since,
        "until": answer.request.until,
        "timezone": answer.request.timezone,
        "filters": {key: pattern for key, pattern in answer.request.filters.items() if pattern is not None},
        "tables": {name: table.to_dicts() for name, table in answer.tables.items()},
        "duration_coverage": {
            "views": _share(account.measured_views, account.views),
            "visits": _share(account.measured_visits, account.visits),
        },
        "excluded": {
            "bot_requests": account.bot_requests,
            "hidden_rows": account.hidden_rows,
            "dropped_lines": answer.dropped_lines,
            "unparsable_lines": account.unparsable_lines,
        },
        "notes": answer.notes,
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def print_report_csv(answer: ReportResult, table_name: str) -> None:
    """Write one table of an answer as CSV (RFC 4180), with a header."""
    table = answer.tables.get(table_name)
    if table is None:
        raise InvalidInputError(
            f"the report has no table `{table_name}`",
            f"it has: {', '.join(answer.tables)}",
            code="unknown-name",
        )
    print_table_csv(table)
    for note in answer.notes:
        sys.stderr.write(f"{note}\n")


def print_answer(answer: ReportResult, console: Console) -> None:
    """Show an answer as tables, and then what is not in them."""
    for name, table in answer.tables.items():
        console.print(format_table_title(name), style="bold")
        if name == "overview":
            _show_figures(table, console)
        elif table.rows:
            print_table(table, console)
        else:
            console.print("nothing to show", style="dim")
        console.print()
    for sentence in describe_completeness(answer.completeness, answer.dropped_lines):
        console.print(sentence, style="dim", highlight=False)
    for note in answer.notes:
        console.print(note, style="yellow", highlight=False, markup=False)


def _show_figures(table: ResultTable, console: Console) -> None:
    grid = RichTable.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(justify="right")
    for column, value in zip(table.columns, table.rows[0], strict=True):
        grid.add_row(format_column_heading(column), format_value(column, value))
    console.print(grid)
