"""The relations and their columns: the forms that a column may have, and the ages that decide between them (G4).

Purpose views and retention use the same masks: purpose views by what one purpose may see, retention by what any purpose
may keep.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import NamedTuple

from avowal.policy.bounds import Age, min_age
from avowal.policy.compare import AgeStep, collapse_to_age_steps
from avowal.store.sql_builder import (
    SqlFragment,
    all_of,
    any_of,
    compose,
    constant,
    identifier,
    literal,
    select_case,
)

FULL = "full"


class ColumnForm(NamedTuple):
    """One form of a column: the category and precision that permit it, and the SQL expression that makes it."""

    category: str
    precision: str
    sql: str


class RelationSchema(NamedTuple):
    """A table as a purpose view shows it: the column that its rows' ages count from, and the forms of each column.

    The forms are in order from fine to coarse.
    """

    time_column: str
    row_category: str
    columns: dict[str, tuple[ColumnForm, ...]]


def _whole(category: str, *columns: str) -> dict[str, tuple[ColumnForm, ...]]:
    return {column: (ColumnForm(category, FULL, column),) for column in columns}


def _device() -> dict[str, tuple[ColumnForm, ...]]:
    """Return the columns that come from a user agent."""
    return {
        "browser": (ColumnForm("browser", "name", "browser"),),
        **_whole("browser", "browser_version"),
        "operating_system": (ColumnForm("operating-system", "name", "operating_system"),),
        **_whole("operating-system", "operating_system_version"),
        **_whole("device-kind", "device_kind"),
    }


def _visitor(time: str) -> dict[str, tuple[ColumnForm, ...]]:
    """Return the column of a visitor's key; coarsened, a cookie's key becomes one of its day."""
    day = ColumnForm("visitor-id", "day", f"daily_visitor_id(visitor_id, {time})")
    return {"visitor_id": (ColumnForm("visitor-id", FULL, "visitor_id"), day)}


COUNTRY_FORMS = {
    "country": (ColumnForm("country", FULL, "country"), ColumnForm("ip-address", "country", "country"))
}
VISITOR_KEY_COLUMNS = ("visitor_id", "daily_key")
"""Columns that hold visitors' keys, which people write in hexadecimal."""

ADDRESS_FORMS = {
    "ip_address": (
        ColumnForm("ip-address", FULL, "ip_address"),
        ColumnForm("ip-address", "prefix", "ip_network(ip_address)"),
    ),
    **COUNTRY_FORMS,
}


def _linked(category: str, column: str) -> dict[str, tuple[ColumnForm, ...]]:
    """Return the column of a URL, which may be cut to its page or its site."""
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
            **_whole("view-time", "view_source"),
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
"""What a purpose view shows of each table, besides `version`."""


class ValueType(Enum):
    """The type of a column's values."""

    TEXT = auto()
    WORD = auto()
    """A word of a closed list."""
    INTEGER = auto()
    DECIMAL = auto()
    BOOLEAN = auto()
    TIME = auto()
    """UTC, without a zone."""


VALUE_TYPES = {
    **dict.fromkeys(("request_kind", "device_kind", "view_source"), ValueType.WORD),
    **dict.fromkeys(("status", "bytes", "response_time_us", "visible_ms"), ValueType.INTEGER),
    **dict.fromkeys(
        ("largest_contentful_paint_ms", "interaction_to_next_paint_ms", "script_errors"), ValueType.INTEGER
    ),
    **dict.fromkeys(("upload_bytes", "view_duration_ms", "visit_duration_ms"), ValueType.INTEGER),
    **dict.fromkeys(("views", "downloads", "uploads", "version"), ValueType.INTEGER),
    "cumulative_layout_shift": ValueType.DECIMAL,
    "not_found": ValueType.BOOLEAN,
    **dict.fromkeys(("request_time", "view_time", "event_time", "visit_time"), ValueType.TIME),
}
"""The type of each column whose values are not any text."""


def find_value_type(column: str) -> ValueType:
    """Return the type of a column's values, as people read them: visitors' keys are text."""
    return VALUE_TYPES.get(column, ValueType.TEXT)


IDENTIFYING_COLUMNS = frozenset({*VISITOR_KEY_COLUMNS, "ip_address"})
"""Columns that tell who a visitor is."""

MEASURE_COLUMNS = frozenset(
    column
    for column, value_type in VALUE_TYPES.items()
    if value_type in {ValueType.INTEGER, ValueType.DECIMAL} and column not in {"status", "version"}
)
"""Columns of numbers that can be added up; none is negative."""

NUMBERED_RELATIONS = ("requests", "script_views", "events")
"""The tables of collected records: each row has a number that never changes and is never given again."""

SOURCE_RELATIONS = ("requests", "script_views")
"""The tables that views and visits are derived from."""

DERIVED_RELATIONS = tuple(name for name in RELATIONS if name not in NUMBERED_RELATIONS)
"""The tables of what is derived from collected records."""

VISITOR_STATE_TABLES = ("visitor_governing", "stale_visitors")
"""Tables, besides those of RELATIONS, that have a visitor's key until the visitor is erased."""

UNEXPORTED_COLUMNS = (
    *("script_view_id", "load_number", "record_number"),
    *("request_number", "script_view_number"),
)
"""Columns of RELATIONS that serve the store alone. A visitor's export has all others."""


def mask_column(
    forms: Sequence[ColumnForm],
    form_ages: Sequence[Sequence[Age]],
    row_ages: Sequence[Age],
    time_column: str,
    now: datetime,
) -> SqlFragment:
    """Return the expression of a column's finest permitted form, row by row; NULL if none is permitted.

    `form_ages` has the greatest ages of each form, and `row_ages` those of the rows themselves, for each governing
    number from 1 on. A form that is permitted for as long as the rows needs no condition.
    """
    cases: list[tuple[SqlFragment, SqlFragment]] = []
    for form, ages in zip(forms, form_ages, strict=True):
        if not cases and outlast_rows(ages, row_ages):
            return constant(form.sql)
        if any(age != 0 for age in ages):
            cases.append((build_age_condition(ages, time_column, now), constant(form.sql)))
    return select_case(cases, constant(forms[0].sql))


def outlast_rows(ages: Sequence[Age], row_ages: Sequence[Age]) -> bool:
    """Return whether ages are at least as long as those of the rows, for every governing number."""
    return all(min_age(age, row) == row for age, row in zip(ages, row_ages, strict=True))


def build_age_condition(ages: Sequence[Age], time_column: str, now: datetime) -> SqlFragment:
    """Return the SQL condition that rows are at most as old as their governing number permits; see `mask_column`."""
    return any_of(_step_condition(step, time_column, now) for step in collapse_to_age_steps(ages))


def _step_condition(step: AgeStep, time_column: str, now: datetime) -> SqlFragment:
    conditions = []
    if step.governing > 1:
        conditions.append(compose("governing >= {number}", number=literal(step.governing)))
    if step.age is not None:
        oldest = literal(now - timedelta(seconds=step.age))
        conditions.append(compose("{time} >= {oldest}", time=identifier(time_column), oldest=oldest))
    return all_of(conditions)
