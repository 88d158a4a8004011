"""What a row may keep and show: the forms of each column, and the thresholds that decide between them (G4).

Readings and retention cut by the same means: readings by what one purpose may see, retention by what any may keep.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from avowal.policy.bounds import Age, min_age
from avowal.policy.compare import AgeStep, collapse_to_age_steps

FULL = "full"


class ColumnForm(NamedTuple):
    """One form that a column may have: the category and precision that permit it, and how it is made."""

    category: str
    precision: str
    sql: str


class RelationSchema(NamedTuple):
    """A table as a reading shows it: the time that its rows are as old as, and the forms of each column, fine first."""

    time_column: str
    row_category: str
    columns: dict[str, tuple[ColumnForm, ...]]


def _whole(category: str, *columns: str) -> dict[str, tuple[ColumnForm, ...]]:
    return {column: (ColumnForm(category, FULL, column),) for column in columns}


def _device() -> dict[str, tuple[ColumnForm, ...]]:
    """Return the columns that a user agent told, which requests and visits have."""
    return {
        "browser": (ColumnForm("browser", "name", "browser"),),
        **_whole("browser", "browser_version"),
        "operating_system": (ColumnForm("operating-system", "name", "operating_system"),),
        **_whole("operating-system", "operating_system_version"),
        **_whole("device-kind", "device_kind"),
    }


def _visitor(time: str) -> dict[str, tuple[ColumnForm, ...]]:
    """Return the column of a visitor's key: a cookie's becomes one of its day."""
    day = ColumnForm("visitor-id", "day", f"daily_visitor_id(visitor_id, {time})")
    return {"visitor_id": (ColumnForm("visitor-id", FULL, "visitor_id"), day)}


COUNTRY_FORMS = {
    "country": (ColumnForm("country", FULL, "country"), ColumnForm("ip-address", "country", "country"))
}
VISITOR_KEY_COLUMNS = ("visitor_id", "daily_key")
"""Columns that have visitors' keys, which people write in hexadecimal."""

ADDRESS_FORMS = {
    "ip_address": (
        ColumnForm("ip-address", FULL, "ip_address"),
        ColumnForm("ip-address", "prefix", "ip_network(ip_address)"),
    ),
    **COUNTRY_FORMS,
}


def _linked(category: str, column: str) -> dict[str, tuple[ColumnForm, ...]]:
    """Return the column of a page's address."""
    coarser = (
        ColumnForm(category, precision, f"url_{precision}({column})") for precision in ("page", "site")
    )
    return {column: (ColumnForm(category, FULL, column), *coarser)}


REFERRER_FORMS = _linked("referrer", "referrer")
RELATIONS = {
    "requests": RelationSchema(
        "request_time",
        "request-time",
        {
            **_whole("request-time", "request_time"),
            **_whole("host", "host"),
            **_visitor("request_time"),
            **ADDRESS_FORMS,
            **_whole("request-kind", "request_kind"),
            **_whole("bot", "bot"),
            **_whole("method", "method"),
            **_whole("page-path", "page_path"),
            **_whole("page-query", "page_query"),
            **REFERRER_FORMS,
            **_whole("status", "status"),
            **_whole("bytes", "bytes"),
            **_whole("response-time", "response_time_us"),
            **_device(),
        },
    ),
    "script_views": RelationSchema(
        "view_time",
        "view-time",
        {
            **_whole("view-time", "view_time"),
            **_whole("view-duration", "visible_ms"),
            **_whole("host", "host"),
            **_visitor("view_time"),
            "daily_key": (ColumnForm("visitor-id", "day", "daily_key"),),
            **ADDRESS_FORMS,
            **_whole("bot", "bot"),
            **_whole("page-path", "page_path"),
            **_whole("page-query", "page_query"),
            **REFERRER_FORMS,
            **_device(),
            **_whole("not-found", "not_found"),
            **_whole(
                "web-vitals",
                "largest_contentful_paint_ms",
                "interaction_to_next_paint_ms",
                "cumulative_layout_shift",
            ),
            **_whole("script-errors", "script_errors"),
        },
    ),
    "events": RelationSchema(
        "event_time",
        "view-time",
        {
            **_whole("view-time", "event_time"),
            **_whole("host", "host"),
            **_visitor("event_time"),
            **_whole("page-path", "page_path"),
            **_whole("download", "download_path"),
            **_linked("outbound-link", "outbound_link"),
            **_whole("upload", "upload_bytes"),
            **_whole("named-event", "event_name"),
        },
    ),
    "views": RelationSchema(
        "view_time",
        "view-time",
        {
            **_whole("view-time", "view_time"),
            **_whole("view-duration", "view_duration_ms"),
            **_visitor("coalesce(visit_time, view_time)"),
            **_whole("visit-time", "visit_time"),
            **_whole("host", "host"),
            **_whole("page-path", "page_path"),
            **REFERRER_FORMS,
        },
    ),
    "visits": RelationSchema(
        "visit_time",
        "visit-time",
        {
            **_visitor("visit_time"),
            **_whole("visit-time", "visit_time"),
            **_whole("visit-duration", "visit_duration_ms"),
            **_whole("host", "host"),
            **COUNTRY_FORMS,
            **_whole("request-kind", "views", "downloads", "uploads"),
            **_whole("page-path", "entry_path", "exit_path"),
            **REFERRER_FORMS,
            **_device(),
        },
    ),
}
"""What a reading shows of each table: every column that holds something about a visit, and `version`."""

NUMBERED_RELATIONS = ("requests", "script_views", "events")
"""The tables of what came in: each row has a number of its own, which never changes and is never given again."""

AgeLookup = Callable[[str, str], Sequence[Age]]
"""Tells, of a category at a precision, the greatest age for each governing number, from 1 on."""


def column_sql(
    forms: Sequence[ColumnForm],
    row_ages: Sequence[Age],
    time_column: str,
    find_ages: AgeLookup,
    now: datetime,
) -> str:
    """Return the SQL of a column's finest form that is allowed, row by row; null where none is.

    `rows` are the greatest ages of the rows themselves: a form that is allowed for as long stands as it is.
    """
    cases: list[str] = []
    for form in forms:
        ages = find_ages(form.category, form.precision)
        if not cases and cover_row_ages(ages, row_ages):
            return form.sql
        if any(age != 0 for age in ages):
            cases.append(f"WHEN {age_condition_sql(ages, time_column, now)} THEN {form.sql}")
    return f"CASE {' '.join(cases or [f'WHEN false THEN {forms[0].sql}'])} END"


def cover_row_ages(ages: Sequence[Age], row_ages: Sequence[Age]) -> bool:
    """Return whether ages are at least those of the rows, whatever governs them."""
    return all(min_age(age, row) == row for age, row in zip(ages, row_ages, strict=True))


def age_condition_sql(ages: Sequence[Age], time_column: str, now: datetime) -> str:
    """Return the SQL of whether a row is young enough for what governs it."""
    return (
        "("
        + (
            " OR ".join(f"({_step(step, time_column, now)})" for step in collapse_to_age_steps(ages))
            or "false"
        )
        + ")"
    )


def _step(step: AgeStep, time: str, now: datetime) -> str:
    governing = [f"governing >= {step.governing}"] if step.governing > 1 else []
    young = [] if step.age is None else [f"{time} >= {_literal(now - timedelta(seconds=step.age))}"]
    return " AND ".join([*governing, *young]) or "true"


def _literal(moment: datetime) -> str:
    return f"TIMESTAMP '{moment.isoformat(sep=' ')}'"
