"""The reports: for each, what it is for, which categories it needs, and the SQL files that answer it.

A report is: parse the question, make it a typed one, bind it to SQL, take the rows, and say what they leave out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial, reduce
from importlib import resources
from typing import Any

import msgspec

from avow.errors import MisuseError
from avow.keep.store import Store, Table
from avow.policy.bounds import Bounds, shorter
from avow.use.question import Question

FAR_PAST = datetime(1, 1, 1)  # noqa: DTZ001  # the store's times are UTC and bear no zone
FAR_FUTURE = datetime(9999, 12, 31)  # noqa: DTZ001  # the same


@dataclass(frozen=True)
class Report:
    """One report: its tables are SQL files, the first of them the main one."""

    name: str
    about: str
    purpose: str
    needs: tuple[str, ...]
    tables: tuple[str, ...]

    @property
    def of_visits(self) -> bool:
        """Whether it tells of visits and views: what a single request was answered with does not choose among these."""
        return not {"visit-time", "view-time"}.isdisjoint(self.needs)


REPORTS = {
    report.name: report
    for report in (
        Report(
            "overview",
            "visits, views and their durations, as a whole and by day",
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
            ("overview", "overview_days"),
        ),
        Report(
            "pages",
            "each page: views, visitors, time spent, where visits begin and end",
            "content",
            ("view-time", "view-duration", "visit-time", "page-path", "request-kind", "visitor-id"),
            ("pages",),
        ),
        Report(
            "visits",
            "how long visits last, what they did, and at which hours they begin",
            "content",
            ("visit-time", "visit-duration", "visitor-id", "request-kind"),
            ("visits", "visits_hours"),
        ),
        Report(
            "technology",
            "browsers, operating systems and devices",
            "content",
            ("visit-time", "browser", "operating-system", "device-kind"),
            ("technology_browsers", "technology_systems", "technology_devices", "technology_versions"),
        ),
        Report(
            "availability",
            "statuses, errors, and pages that were not found",
            "availability",
            ("request-time", "status", "page-path", "bot"),
            ("availability", "availability_days", "availability_missing", "availability_failing"),
        ),
        Report(
            "performance",
            "how long answers take, and how large they are",
            "performance",
            ("request-time", "response-time", "bytes", "page-path"),
            ("performance", "performance_days", "performance_largest"),
        ),
        Report(
            "sources",
            "where visits come from",
            "content",
            ("visit-time", "visit-duration", "referrer"),
            ("sources",),
        ),
        Report(
            "countries",
            "which countries views come from, where a database tells them",
            "content",
            ("request-time", "request-kind", "country", "visitor-id", "bot"),
            ("countries",),
        ),
        Report(
            "downloads",
            "files that were downloaded",
            "content",
            ("request-time", "page-path", "request-kind", "visitor-id", "bytes", "bot"),
            ("downloads",),
        ),
        Report(
            "bots",
            "robots, and what they ask for",
            "availability",
            ("request-time", "bot", "page-path", "status", "bytes"),
            ("bots",),
        ),
    )
}

FILTERED = {
    "page": "page-path",
    "host": "host",
    "referrer": "referrer",
    "browser": "browser",
    "system": "operating-system",
    "device": "device-kind",
    "status": "status",
    "method": "method",
}
"""The category that each filter asks for: whoever chooses by it learns of it."""

OF_REQUESTS = ("status", "method")
"""Filters that choose among requests, and neither visits nor views."""


class Account(msgspec.Struct, frozen=True):
    """What a report leaves out, and how much of what it counts was measured."""

    bot_requests: int | None
    """None where the terms do not let the report's purpose tell robots."""
    views: int
    views_measured: int
    visits: int
    visits_measured: int
    hidden: int
    kept: int
    kept_ever: int
    first_time: datetime | None
    last_time: datetime | None
    dead_letters: int


class Answer(msgspec.Struct, frozen=True):
    """A report's tables by name, and the account of what is not in them. `notes` say why a table is empty or thin."""

    report: str
    question: Question
    tables: dict[str, Table]
    account: Account
    dropped: dict[str, int]
    notes: list[str]


def answer(store: Store, question: Question, governed: Sequence[Bounds], now: datetime) -> Answer:
    """Answer a question for its report's purpose, with no more than what governs each row permits that purpose.

    `governed` has what governs the rows of each governing number, from 1 on. Rows older than the youngest of the
    report's categories may be are left out and counted; where a category is not permitted for the purpose at all, the
    whole report is withheld, and says so.

    Raises MisuseError where a filter does not choose among what the report tells of.
    """
    report = REPORTS[question.report]
    filters = [key for key, pattern in question.filters.items() if pattern is not None]
    if report.of_visits and (wrong := next((key for key in filters if key in OF_REQUESTS), None)):
        fitting = ", ".join(other.name for other in REPORTS.values() if not other.of_visits)
        raise MisuseError(
            f"`{report.name}` tells of visits and views, and `{wrong}` chooses among requests",
            f"use it with {fitting}",
        )
    needs = list(dict.fromkeys([*report.needs, *(FILTERED[key] for key in filters)]))
    newest = governed[-1] if governed else Bounds({}, {})
    withheld = [name for name in needs if governed and report.purpose not in newest.purposes(name)]
    sight = partial(_visible_since, governed, report.purpose, now)
    values = _values(store, report, question, sight, needs)
    account = msgspec.convert(
        store.query(_sql("_scope") + _sql("_account"), values).records()[0], Account, strict=False
    )
    if sight(["bot"]) > values["visible_since"]:
        account = msgspec.structs.replace(account, bot_requests=None)
    tables = {name: store.query(_sql("_scope") + _sql(name), values) for name in report.tables}
    dropped = {row[0]: row[1] for row in store.query(_sql("_dropped"), {}).rows}
    return Answer(report.name, question, tables, account, dropped, _notes(report, withheld, account))


def _visible_since(
    governed: Sequence[Bounds], purpose: str, now: datetime, needs: list[str]
) -> list[datetime]:
    """Return, for each governing number, the oldest time at which all that is needed may be used for a purpose."""
    since = []
    for bounds in governed:
        ages = [bounds.age(name, purpose) for name in needs]
        least = reduce(shorter, ages, None)
        since.append(
            FAR_FUTURE if least == 0 else FAR_PAST if least is None else now - timedelta(seconds=least)
        )
    return since or [FAR_FUTURE]


def _values(
    store: Store,
    report: Report,
    question: Question,
    sight: Callable[[list[str]], list[datetime]],
    needs: list[str],
) -> dict[str, Any]:
    """Return the values that a report's SQL names; `sight` tells since when categories are visible."""
    own = []
    if any("$own_hosts" in _sql(table) for table in report.tables):
        seen = {"host_since": sight(["host"]), "parts_since": sight(["request-kind", "referrer"])}
        own = [row[0] for row in store.query(_sql("_own_hosts"), seen).rows]
    return {
        **question.filters,
        "since": question.since or FAR_PAST,
        "until": question.until or FAR_FUTURE,
        "visible_since": sight(needs),
        "timezone": question.timezone,
        "limit": question.limit,
        "own_hosts": [*own, *question.own_hosts],
    }


def _notes(report: Report, withheld: list[str], account: Account) -> list[str]:
    """Say why a report is empty or thin."""
    notes = [f"nothing is shown: the terms do not permit `{name}` for {report.purpose}" for name in withheld]
    if account.kept_ever == 0:
        notes.append("nothing was collected yet: `avow import FILE` reads a log")
    elif account.kept == 0:
        notes.append(
            f"nothing was collected in this period: what is kept is from {account.first_time:%Y-%m-%d %H:%M} "
            f"to {account.last_time:%Y-%m-%d %H:%M} UTC"
        )
    if account.hidden and not withheld:
        notes.append(f"{account.hidden:,} rows hidden: older than the terms allow for {report.purpose}")
    return notes


@cache
def _sql(name: str) -> str:
    return (resources.files("avow.use") / "sql" / f"{name}.sql").read_text(encoding="utf-8")
