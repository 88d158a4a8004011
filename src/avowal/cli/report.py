"""`avowal report`: show a report."""

import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import typer
from rich.console import Console

from avowal.app.disclosure_counts import DISCLOSURE_REPORT, tabulate_disclosures
from avowal.app.folder import find_folder, open_folder_register
from avowal.app.owner_requests import RunReport
from avowal.app.session import open_session
from avowal.cli.options import DataFolderOption, JsonOption, ReaderOption, check_output_options, create_app
from avowal.cli.output import print_json, print_table, print_table_csv
from avowal.cli.text_table import TextTable, create_console
from avowal.clock import utc_now
from avowal.errors import InvalidInputError, ServerGoneError
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
    since: Annotated[
        str, typer.Option(help="The beginning of the period: a date, a time, `7 days` or `yesterday`.")
    ] = "",
    until: Annotated[str, typer.Option(help="The end of the period; a date is included.")] = "",
    timezone: Annotated[
        str, typer.Option(help="The time zone of days and hours; that of the site unless given.")
    ] = "",
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            help=f"A filter KEY=PATTERN; can be repeated. The keys are: {', '.join(FILTER_DESCRIPTIONS)}.",
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=100_000, help="The maximum number of rows of a table.")
    ] = DEFAULT_ROW_LIMIT,
    reader: ReaderOption = OPERATOR,
    omit_small_groups: Annotated[
        bool, typer.Option("--shared", help="Leave out groups that are too small to publish.")
    ] = False,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print one table as CSV.")] = False,
    table: Annotated[
        str, typer.Option(help="The table to print with --csv; the first one unless given.")
    ] = "",
    data: DataFolderOption = None,
) -> None:
    """Show a report as tables, JSON or CSV, with what it leaves out and how much could be measured."""
    if name not in {*REPORTS, DISCLOSURE_REPORT}:
        raise InvalidInputError(
            f"there is no report `{name}`",
            f"there are: {', '.join(REPORTS)}, {DISCLOSURE_REPORT}",
            code="unknown-name",
        )
    check_output_options(as_json=as_json, as_csv=as_csv)
    request = _create_request(name, since, until, timezone, filters or [], limit, data)
    request = msgspec.structs.replace(request, reader=reader, is_shared=omit_small_groups)
    if name == DISCLOSURE_REPORT:
        _report_disclosures(request, data, as_json=as_json, as_csv=as_csv)
        return
    result = _run_report(request, data)
    if as_json:
        print_json(report_to_object(result))
    elif as_csv:
        print_report_csv(result, table or next(iter(result.tables)))
    else:
        print_result(result, create_console())


def _report_disclosures(request: ReportRequest, data: Path | None, *, as_json: bool, as_csv: bool) -> None:
    """Print the report of disclosures."""
    with closing(open_folder_register(data)) as register:
        disclosures = tabulate_disclosures(register, request, utc_now())
    if as_json:
        print_json({"report": DISCLOSURE_REPORT, "tables": {DISCLOSURE_REPORT: disclosures.to_dicts()}})
    elif as_csv:
        print_table_csv(disclosures)
    else:
        _print_disclosures(disclosures)


def _print_disclosures(disclosures: ResultTable) -> None:
    console = create_console()
    console.print("Disclosures: how often something was released, recalled and refused", style="bold")
    if disclosures.rows:
        print_table(disclosures, console)
    else:
        console.print("nothing was released or refused", style="dim")


def _create_request(
    name: str, since: str, until: str, timezone: str, filters: list[str], limit: int, data: Path | None
) -> ReportRequest:
    """Return the request from the arguments of the command and the settings of the folder."""
    site = find_folder(data).settings.site
    zone = _load_timezone(timezone or site.timezone)
    return ReportRequest(
        report=name,
        since=parse_time(since, zone, utc_now()) if since else None,
        until=parse_time(until, zone, utc_now(), is_end=True) if until else None,
        timezone=zone.key,
        filters=parse_filters(filters),
        site_hosts=[host for host in (site.host, *site.other_hosts) if host],
        limit=limit,
    )


def _run_report(request: ReportRequest, data: Path | None) -> ReportResult:
    """Run a report; try again if the process that owned the folder ended at that moment."""
    for _ in range(MAX_QUERY_ATTEMPTS - 1):
        with suppress(ServerGoneError), open_session(data) as session:
            return session.call(RunReport(request))
    with open_session(data) as session:
        return session.call(RunReport(request))


MAX_QUERY_ATTEMPTS = 3


def _load_timezone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInputError(
            f"`{name}` is not a time zone", "use a name such as `Europe/Berlin`", code="invalid-time"
        ) from None


def report_to_object(result: ReportResult) -> dict[str, Any]:
    """Return a report as one object, with its tables as lists of records."""
    completeness = result.completeness
    return {
        "report": result.report,
        "description": REPORTS[result.report].description,
        "purpose": REPORTS[result.report].purpose,
        "since": result.request.since,
        "until": result.request.until,
        "timezone": result.request.timezone,
        "filters": {key: pattern for key, pattern in result.request.filters.items() if pattern is not None},
        "tables": {name: table.to_dicts() for name, table in result.tables.items()},
        "duration_coverage": {
            "views": _share(completeness.measured_views, completeness.views),
            "visits": _share(completeness.measured_visits, completeness.visits),
        },
        "view_sources": {
            "both": _share(completeness.paired_views, completeness.views),
            "script": _share(completeness.script_only_views, completeness.views),
            "log": _share(completeness.log_only_views, completeness.views),
        },
        "excluded": {
            "bot_requests": completeness.bot_requests,
            "hidden_rows": completeness.hidden_rows,
            "dropped_lines": result.dropped_lines,
            "unparsable_lines": completeness.unparsable_lines,
        },
        "notes": result.notes,
    }


def _share(part: int | None, whole: int | None) -> float | None:
    return part / whole if whole and part is not None else None


def print_report_csv(result: ReportResult, table_name: str) -> None:
    """Print one table of a report as CSV (RFC 4180), with a header."""
    table = result.tables.get(table_name)
    if table is None:
        raise InvalidInputError(
            f"the report has no table `{table_name}`",
            f"it has: {', '.join(result.tables)}",
            code="unknown-name",
        )
    print_table_csv(table)
    for note in result.notes:
        sys.stderr.write(f"{note}\n")


def print_result(result: ReportResult, console: Console) -> None:
    """Print a report as tables, and what it leaves out."""
    for name, table in result.tables.items():
        console.print(format_table_title(name), style="bold")
        if name == "overview":
            _print_figures(table, console)
        elif table.rows:
            print_table(table, console)
        else:
            console.print("no data", style="dim")
        console.print()
    for sentence in describe_completeness(result.completeness, result.dropped_lines):
        console.print(sentence, style="dim", highlight=False)
    for note in result.notes:
        console.print(note, style="yellow", highlight=False, markup=False)


def _print_figures(table: ResultTable, console: Console) -> None:
    grid = TextTable("figure", "value", numbers=["value"], has_headings=False)
    for column, value in zip(table.columns, table.rows[0], strict=True):
        grid.add_row(format_column_heading(column), format_value(column, value))
    grid.print(console)
