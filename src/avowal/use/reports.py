"""The reports: the purpose of each, the categories that it needs, and the SQL files of its tables.

A report runs through the purpose view of its purpose, and states what it leaves out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from avowal.collect.bots import list_ai_agents
from avowal.errors import InvalidInputError
from avowal.sql_files import read_sql
from avowal.use.purpose_sql import count_rows
from avowal.use.purpose_view import PurposeView, QueryFunction, ResultTable
from avowal.use.report_request import THIS_SITE, ReportRequest
from avowal.use.shared_table import UNLIMITED_ROWS, hide_small_figures, read_shared_table, read_table
from avowal.use.view_sources import FEW_PAIRS_NOTE, has_few_pairs

EARLIEST_TIME = datetime(1, 1, 1)  # noqa: DTZ001  # the store's times are UTC without a zone
LATEST_TIME = datetime(9999, 12, 31)  # noqa: DTZ001  # the same


@dataclass(frozen=True)
class Report:
    """A report. Its tables are named SQL files; the first one is the main table."""

    name: str
    description: str
    purpose: str
    required_categories: tuple[str, ...]
    tables: tuple[str, ...]
    alternative_categories: tuple[str, ...] = ()
    """Categories of which it needs at least one; it shows those that are permitted."""
    site_tables: tuple[str, ...] = ()
    """Tables that concern no visitor, such as probes."""

    @property
    def is_about_visits(self) -> bool:
        """Whether it counts visits and views, to which filters on single requests do not apply."""
        return not {"visit-time", "view-time"}.isdisjoint(self.required_categories)


REPORTS = {
    report.name: report
    for report in (
        Report(
            "overview",
            "visits, views and their durations, in total and by day",
            "content",
            (
                "request-time",
                "request-kind",
                "view-time",
                "view-duration",
                "visit-time",
                "visit-duration",
                "visitor-id",
                "bytes",
                "bot",
            ),
            ("overview", "overview_daily"),
        ),
        Report(
            "pages",
            "views, visitors, time on page, entries and exits of each page",
            "content",
            ("view-time", "view-duration", "visit-time", "page-path", "request-kind", "visitor-id"),
            ("pages",),
        ),
        Report(
            "visits",
            "the length of visits, what visitors did, and the hours at which visits begin",
            "content",
            ("visit-time", "visit-duration", "visitor-id", "request-kind"),
            ("visits", "visits_hourly"),
        ),
        Report(
            "events",
            "downloads, outbound links, uploads and named events",
            "content",
            ("view-time", "visitor-id"),
            ("events",),
            ("download", "outbound-link", "upload", "named-event"),
        ),
        Report(
            "web-vitals",
            "how soon pages show their content and respond, and how much they shift",
            "performance",
            ("view-time", "page-path", "visitor-id", "bot", "web-vitals"),
            ("web_vitals",),
        ),
        Report(
            "errors",
            "missing pages and script errors, as visitors met them",
            "availability",
            ("view-time", "page-path", "visitor-id", "bot"),
            ("errors",),
            ("not-found", "script-errors"),
        ),
        Report(
            "coverage",
            "views in logs and from the script, and how many both have",
            "content",
            ("view-time", "host", "visitor-id"),
            ("coverage",),
        ),
        Report(
            "technology",
            "browsers, operating systems and devices",
            "content",
            ("visit-time", "browser", "operating-system", "device-kind"),
            (
                "technology_browsers",
                "technology_operating_systems",
                "technology_devices",
                "technology_browser_versions",
            ),
        ),
        Report(
            "availability",
            "response statuses, errors, missing pages, and whether the site is up",
            "availability",
            ("request-time", "status", "page-path", "bot"),
            ("availability", "availability_daily", "availability_not_found", "availability_server_errors"),
            site_tables=("availability_probes", "availability_outages"),
        ),
        Report(
            "performance",
            "response times and sizes",
            "performance",
            ("request-time", "response-time", "bytes", "page-path"),
            ("performance", "performance_daily", "performance_largest_pages"),
        ),
        Report(
            "sources",
            "the sites that visits come from",
            "content",
            ("visit-time", "visit-duration", "referrer"),
            ("sources",),
        ),
        Report(
            "countries",
            "the countries that visits come from, if a database is configured",
            "content",
            ("visit-time", "country", "request-kind", "visitor-id"),
            ("countries",),
        ),
        Report(
            "downloads",
            "downloaded files",
            "content",
            ("request-time", "page-path", "request-kind", "visitor-id", "bytes", "bot"),
            ("downloads",),
        ),
        Report(
            "bots",
            "bots and what they request",
            "availability",
            ("request-time", "bot", "page-path", "status", "bytes"),
            ("bots",),
        ),
    )
}

FILTER_CATEGORIES = {
    "page": "page-path",
    "host": "host",
    "referrer": "referrer",
    "browser": "browser",
    "operating_system": "operating-system",
    "device": "device-kind",
    "status": "status",
    "method": "method",
}
"""The category that each filter needs, because a filtered report reveals it."""

REQUEST_FILTERS = ("status", "method")
"""Filters on single requests, which do not apply to visits and views."""


def _list_agent_values() -> dict[str, Sequence[str]]:
    """Return the agents of AI systems, as the report of bots needs them."""
    columns = zip(*list_ai_agents(), strict=True)
    return dict(zip(("ai_names", "ai_operators", "ai_purposes"), map(list, columns), strict=True))


class ReportCompleteness(msgspec.Struct, frozen=True):
    """What a report leaves out, and how much of what it counts was measured."""

    bot_requests: int | None
    """None if the terms do not let the report's purpose know bots."""
    views: int | None
    """None, as the other numbers that follow, if it is about too few visitors for a shared report."""
    measured_views: int | None
    paired_views: int | None
    """Views that a log and the script have. None in a shared report, as the two numbers that follow."""
    script_only_views: int | None
    log_only_views: int | None
    visits: int | None
    measured_visits: int | None
    hidden_rows: int | None
    """None in a shared report."""
    stored_rows: int | None
    """None in a shared report, as the numbers and times that follow."""
    stored_rows_ever: int | None
    first_time: datetime | None
    """When the first of anything that is stored was collected; None also if nothing is stored."""
    last_time: datetime | None
    has_records: bool
    """Whether anything of the period is stored, visible or not."""
    unparsable_lines: int


class ReportResult(msgspec.Struct, frozen=True):
    """The tables of a report by name, what they leave out, and notes on why a table is empty or incomplete."""

    report: str
    request: ReportRequest
    tables: dict[str, ResultTable]
    completeness: ReportCompleteness
    dropped_lines: dict[str, int]
    notes: list[str]


def run_report(view_for_purpose: Callable[[str], PurposeView], request: ReportRequest) -> ReportResult:
    """Run a report through the purpose view of its purpose.

    Rows are left out and counted if they are older than any of the required categories may be. If a category is not
    permitted for the purpose at all, all rows are left out, and a note says so.

    Raises InvalidInputError if a filter does not apply to the report.
    """
    report = REPORTS[request.report]
    filters = [key for key, pattern in request.filters.items() if pattern is not None]
    if report.is_about_visits and (
        unusable := next((key for key in filters if key in REQUEST_FILTERS), None)
    ):
        fitting = ", ".join(other.name for other in REPORTS.values() if not other.is_about_visits)
        raise InvalidInputError(
            f"the filter `{unusable}` selects requests, but the report `{report.name}` is about visits and views",
            f"use this filter with {fitting}",
            code="filter-not-applicable",
        )
    needs = list(dict.fromkeys([*report.required_categories, *(FILTER_CATEGORIES[key] for key in filters)]))
    view = view_for_purpose(report.purpose)
    group_visitors_min = view.smallest_group if request.is_shared else 1
    values: dict[str, Any] = {
        **request.filters,
        "since": request.since or EARLIEST_TIME,
        "until": request.until or LATEST_TIME,
        "timezone": request.timezone,
        "limit": request.limit,
        "site_hosts": [*_find_site_hosts(report, request, view), *request.site_hosts],
        "group_visitors_min": group_visitors_min,
        **_list_agent_values(),
    }
    with view.open(*needs) as run_query:
        (counts,) = run_query(read_sql("use", "_scope") + read_sql("use", "_completeness"), values).to_dicts()
        read = read_shared_table if request.is_shared else read_table
        tables = {name: read(run_query, name, values) for name in report.tables}
        site_tables = {name: run_query(read_sql("use", name), values) for name in report.site_tables}
        left_out = _count_small_groups(run_query, report, values) if group_visitors_min > 1 else 0
        visitor_counts = _count_visitors(run_query, values) if request.is_shared else {}
    completeness = _measure_completeness(view, needs, counts, values)
    dropped = {row[0]: row[1] for row in view.dropped_lines().rows}
    withheld = [name for name in needs if not view.may_use(name)]
    if request.is_shared:
        completeness = _hide_counts(completeness, tables, visitor_counts, group_visitors_min)
    notes = _explain(report, withheld, completeness)
    notes += view.explain_missing_visitors(values["since"], values["until"])
    if report.alternative_categories and not any(map(view.may_use, report.alternative_categories)):
        names = _quote_names(report.alternative_categories)
        notes.append(f"nothing is shown: the terms permit none of {names} for {report.purpose}")
    if left_out:
        notes.append(f"{left_out:,} groups are left out: they have fewer than {group_visitors_min} visitors")
    return ReportResult(report.name, request, tables | site_tables, completeness, dropped, notes)


def _quote_names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _count_small_groups(run_query: QueryFunction, report: Report, values: Mapping[str, Any]) -> int:
    """Return how many groups a shared report leaves out because they have too few visitors."""

    def count_groups(visitors_min: int) -> int:
        unlimited = {**values, "group_visitors_min": visitors_min, "limit": UNLIMITED_ROWS}
        queries = [count_rows(read_sql("use", "_scope"), read_sql("use", name)) for name in report.tables]
        return sum(int(run_query(query, unlimited).rows[0][0]) for query in queries)

    return count_groups(1) - count_groups(values["group_visitors_min"])


def _count_visitors(run_query: QueryFunction, values: Mapping[str, Any]) -> dict[str, int | None]:
    """Return how many visitors are behind the numbers of a report's completeness."""
    sql = read_sql("use", "_scope") + read_sql("use", "_shared_completeness")
    return run_query(sql, values).to_dicts()[0]


def _hide_counts(
    completeness: ReportCompleteness,
    tables: Mapping[str, ResultTable],
    visitor_counts: Mapping[str, int | None],
    visitors_min: int,
) -> ReportCompleteness:
    """Return completeness without what would tell something of too few visitors.

    Nobody can tell whose rows are hidden or are the first and last ones. If all tables are empty, nothing is told.
    """
    counts: dict[str, Any] = {name: getattr(completeness, name) for name in visitor_counts}
    if any(table.rows for table in tables.values()):
        hidden = hide_small_figures(counts, visitor_counts, visitors_min)
    else:
        hidden = {**dict.fromkeys(counts), "bot_requests": None}
    return msgspec.structs.replace(
        completeness,
        **hidden,
        **dict.fromkeys(("paired_views", "script_only_views", "log_only_views")),
        hidden_rows=None,
        stored_rows=None,
        stored_rows_ever=None,
        first_time=None,
        last_time=None,
    )


def _measure_completeness(
    view: PurposeView, needs: Sequence[str], counts: dict[str, Any], values: Mapping[str, Any]
) -> ReportCompleteness:
    """Return what a report leaves out, from what its purpose view shows and what is stored."""
    (stored,) = view.stored_counts(values["since"], values["until"]).to_dicts()
    fields = {**counts, **stored, "hidden_rows": stored["stored_rows"] - counts.pop("visible_rows")}
    if view.permitted_ages(*needs, "bot") != view.permitted_ages(*needs):
        fields["bot_requests"] = None
    return msgspec.convert(fields, ReportCompleteness, strict=False)


def _find_site_hosts(report: Report, request: ReportRequest, view: PurposeView) -> list[str]:
    """Return the site's own host names, if the report needs them, as far as its purpose may see them."""
    is_filter = request.filters.get("referrer") == THIS_SITE
    if not (is_filter or any("$site_hosts" in read_sql("use", table) for table in report.tables)):
        return []
    with view.open() as run_query:
        return [row[0] for row in run_query(read_sql("use", "_site_hosts"), {}).rows]


def _explain(report: Report, withheld: list[str], completeness: ReportCompleteness) -> list[str]:
    """Return notes on why a report is empty or incomplete."""
    notes = [f"nothing is shown: the terms do not permit `{name}` for {report.purpose}" for name in withheld]
    if completeness.first_time is None and completeness.stored_rows_ever == 0:
        notes.append(
            "nothing was collected yet: `avowal import FILE` reads a log, and `avowal serve` measures pages"
        )
    elif not completeness.has_records and completeness.first_time is None:
        notes.append("nothing was collected in this period")
    elif not completeness.has_records:
        notes.append(
            f"nothing was collected in this period: what is stored is from {completeness.first_time:%Y-%m-%d %H:%M} "
            f"to {completeness.last_time:%Y-%m-%d %H:%M} UTC"
        )
    elif 0 < (completeness.stored_rows or 0) == completeness.bot_requests and not completeness.views:
        notes.append(
            "every request in this period is a bot's, so there are no views and visits: `avowal report bots` shows them"
        )
    counts = completeness.paired_views, completeness.script_only_views, completeness.log_only_views
    if report.name == "coverage" and has_few_pairs(*counts):
        notes.append(FEW_PAIRS_NOTE)
    if completeness.hidden_rows and not withheld:
        notes.append(
            f"{completeness.hidden_rows:,} rows are older than the terms allow for {report.purpose} and are not counted"
        )
    return notes
