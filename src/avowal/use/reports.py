"""The reports: for each, what it is for, which categories it needs, and the SQL files that answer it.

A report is: parse the question, make it a typed one, bind it to SQL, take the rows, and say what they leave out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from avowal.errors import InvalidInputError
from avowal.sql_files import read_sql
from avowal.use.purpose_sql import count_rows
from avowal.use.purpose_view import PurposeView, QueryFunction, ResultTable
from avowal.use.report_request import ReportRequest

EARLIEST_TIME = datetime(1, 1, 1)  # noqa: DTZ001  # the store's times are UTC and bear no zone
LATEST_TIME = datetime(9999, 12, 31)  # noqa: DTZ001  # the same


@dataclass(frozen=True)
class Report:
    """One report: its tables are SQL files, the first of them the main one."""

    name: str
    description: str
    purpose: str
    required_categories: tuple[str, ...]
    tables: tuple[str, ...]
    alternative_categories: tuple[str, ...] = ()
    """Categories of which it needs one at least: it shows those that it may."""
    site_tables: tuple[str, ...] = ()
    """Tables that tell of no visitor."""

    @property
    def is_about_visits(self) -> bool:
        """Whether it tells of visits and views: what a single request was answered with does not choose among these."""
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
            "views measured by the script and by logs, and how many both have",
            "content",
            ("view-time", "request-time", "request-kind", "host", "page-path", "visitor-id", "bot"),
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
"""The category that each filter asks for: whoever chooses by it learns of it."""

REQUEST_FILTERS = ("status", "method")
"""Filters that choose among requests, and neither visits nor views."""


class ReportCompleteness(msgspec.Struct, frozen=True):
    """What a report leaves out, and how much of what it counts was measured."""

    bot_requests: int | None
    """None where the terms do not let the report's purpose tell robots."""
    views: int
    measured_views: int
    visits: int
    measured_visits: int
    hidden_rows: int
    stored_rows: int
    stored_rows_ever: int
    first_time: datetime | None
    last_time: datetime | None
    unparsable_lines: int


class ReportResult(msgspec.Struct, frozen=True):
    """A report's tables by name, and the account of what is not in them. `notes` say why a table is empty or thin."""

    report: str
    request: ReportRequest
    tables: dict[str, ResultTable]
    completeness: ReportCompleteness
    dropped_lines: dict[str, int]
    notes: list[str]


def run_report(view_for_purpose: Callable[[str], PurposeView], request: ReportRequest) -> ReportResult:
    """Answer a question through the reading for its report's purpose.

    Rows that lack something the report needs, or are older than the youngest of it may be, are left out and counted;
    where a category is not permitted for the purpose at all, the whole report is withheld, and says so.

    Raises InvalidInputError where a filter does not choose among what the report tells of.
    """
    report = REPORTS[request.report]
    filters = [key for key, pattern in request.filters.items() if pattern is not None]
    if report.is_about_visits and (wrong := next((key for key in filters if key in REQUEST_FILTERS), None)):
        fitting = ", ".join(other.name for other in REPORTS.values() if not other.is_about_visits)
        raise InvalidInputError(
            f"`{report.name}` tells of visits and views, and `{wrong}` chooses among requests",
            f"use it with {fitting}",
            code="filter-not-applicable",
        )
    needs = list(dict.fromkeys([*report.required_categories, *(FILTER_CATEGORIES[key] for key in filters)]))
    through = view_for_purpose(report.purpose)
    smallest = through.smallest_group if request.is_shared else 1
    values: dict[str, Any] = {
        **request.filters,
        "since": request.since or EARLIEST_TIME,
        "until": request.until or LATEST_TIME,
        "timezone": request.timezone,
        "limit": request.limit,
        "site_hosts": [*_own_hosts(report, through), *request.site_hosts],
        "group_visitors_min": smallest,
    }
    with through.open(*needs) as ask:
        (counts,) = ask(read_sql("use", "_scope") + read_sql("use", "_completeness"), values).to_dicts()
        tables = {
            name: ask(read_sql("use", "_scope") + read_sql("use", name), values) for name in report.tables
        }
        beside = {name: ask(read_sql("use", name), values) for name in report.site_tables}
        left_out = _left_out(ask, report, values) if smallest > 1 else 0
    account = _account(through, needs, counts, values)
    dropped = {row[0]: row[1] for row in through.dropped_lines().rows}
    withheld = [name for name in needs if not through.may_use(name)]
    notes = _notes(report, withheld, account)
    if report.alternative_categories and not any(map(through.may_use, report.alternative_categories)):
        notes.append(
            f"nothing is shown: the terms permit none of {_listed(report.alternative_categories)} for {report.purpose}"
        )
    if left_out:
        notes.append(f"{left_out:,} groups are left out: they have fewer than {smallest} visitors")
    if request.is_shared:
        account = _blurred(account, tables)
    return ReportResult(report.name, request, tables | beside, account, dropped, notes)


def _listed(words: Sequence[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _left_out(ask: QueryFunction, report: Report, values: Mapping[str, Any]) -> int:
    """Return how many groups a report leaves out because they are too small."""

    def groups(smallest: int) -> int:
        whole, found = {**values, "group_visitors_min": smallest, "limit": UNLIMITED_ROWS}, 0
        for name in report.tables:
            found += ask(count_rows(read_sql("use", "_scope"), read_sql("use", name)), whole).rows[0][0]
        return found

    return groups(1) - groups(values["group_visitors_min"])


UNLIMITED_ROWS = 1_000_000_000


def _blurred(account: ReportCompleteness, tables: Mapping[str, ResultTable]) -> ReportCompleteness:
    """Return an account that tells of no group that its tables leave out: nothing where all of them are empty."""
    if any(table.rows for table in tables.values()):
        return account
    unknown = {"views": 0, "measured_views": 0, "visits": 0, "measured_visits": 0, "hidden_rows": 0}
    return msgspec.structs.replace(account, bot_requests=None, **unknown)


def _account(
    through: PurposeView, needs: Sequence[str], counts: dict[str, Any], values: Mapping[str, Any]
) -> ReportCompleteness:
    """Return what a report leaves out, from what its reading shows and what there is."""
    (kept,) = through.stored_counts(values["since"], values["until"]).to_dicts()
    told = {**counts, **kept, "hidden_rows": kept["stored_rows"] - counts.pop("visible_rows")}
    if through.permitted_ages(*needs, "bot") != through.permitted_ages(*needs):
        told["bot_requests"] = None
    return msgspec.convert(told, ReportCompleteness, strict=False)


def _own_hosts(report: Report, through: PurposeView) -> list[str]:
    """Return the site's own names, as far as the report's purpose may know them."""
    if not any("$site_hosts" in read_sql("use", table) for table in report.tables):
        return []
    with through.open() as ask:
        return [row[0] for row in ask(read_sql("use", "_site_hosts"), {}).rows]


def _notes(report: Report, withheld: list[str], account: ReportCompleteness) -> list[str]:
    """Say why a report is empty or thin."""
    notes = [f"nothing is shown: the terms do not permit `{name}` for {report.purpose}" for name in withheld]
    if account.stored_rows_ever == 0:
        notes.append(
            "nothing was collected yet: `avowal import FILE` reads a log, and `avowal serve` measures pages"
        )
    elif account.stored_rows == 0:
        notes.append(
            f"nothing was collected in this period: what is kept is from {account.first_time:%Y-%m-%d %H:%M} "
            f"to {account.last_time:%Y-%m-%d %H:%M} UTC"
        )
    if account.hidden_rows and not withheld:
        notes.append(f"{account.hidden_rows:,} rows hidden: older than the terms allow for {report.purpose}")
    return notes
