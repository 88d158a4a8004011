"""Find the range of times that a query reads of a relation, so that no other rows are handed to its process."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlglot import exp

from avowal.store.columns import RELATIONS
from avowal.use.purpose_sql import TimeRange
from avowal.use.table_scope import find_relations

TIME_REGEX = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{6})?)?")
TIME_TYPES = frozenset({exp.DataType.Type.DATE, exp.DataType.Type.TIMESTAMP, exp.DataType.Type.TIMESTAMPNTZ})
INTERVAL_REGEX = re.compile(r"(?P<count>[0-9]{1,4}) (?P<unit>MINUTE|HOUR|DAY|WEEK)S?")
MIRRORED: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.GT: exp.LT,
    exp.GTE: exp.LTE,
    exp.LT: exp.GT,
    exp.LTE: exp.GTE,
    exp.EQ: exp.EQ,
}
"""Comparisons by those that say the same with their sides exchanged."""


def read_time(text: str) -> datetime | None:
    """Return the time of a text that the store, too, reads as that time; None if it is another text."""
    try:
        return datetime.fromisoformat(text) if TIME_REGEX.fullmatch(text) else None
    except ValueError:
        return None


def is_clock(node: exp.Expr) -> bool:
    """Return whether an expression is `current_timestamp` or `now()`, which sqlglot does not know as the same."""
    return isinstance(node, exp.CurrentTimestamp) or (
        isinstance(node, exp.Anonymous) and node.name.lower() == "now"
    )


def find_time_ranges(tree: exp.Query, now: datetime) -> dict[str, TimeRange]:
    """Return a range for each relation that contains the times of all rows that a query can use.

    Limits come from the WHERE of a SELECT over one relation alone, which the query names once. `now` is the time of the
    query; its process has a later one.
    """
    tables = list(find_relations(tree))
    names = [table.name for table in tables]
    return {
        table.name: _find_range(select, table, now)
        for table in tables
        if names.count(table.name) == 1
        and isinstance(select := table.find_ancestor(exp.Select), exp.Select)
        and not select.args.get("joins")
        and select.args["from_"].this is table
    }


def _find_range(select: exp.Select, table: exp.Table, now: datetime) -> TimeRange:
    found, where, time_column = TimeRange(), select.args.get("where"), RELATIONS[table.name].time_column
    aliases = {item.alias.lower() for item in select.expressions if isinstance(item, exp.Alias)}
    if where is None or time_column in aliases:  # the name may mean two things
        return found
    for condition in _split(where.this):
        if isinstance(condition, exp.Between):
            limits: list[tuple[type[exp.Expr], exp.Expr]] = [
                (exp.GTE, condition.args["low"]),
                (exp.LTE, condition.args["high"]),
            ]
            column: exp.Expr = condition.this
        elif type(condition) in MIRRORED:
            column, limit, kind = condition.this, condition.expression, type(condition)
            if not isinstance(column, exp.Column):
                column, limit, kind = limit, column, MIRRORED[kind]
            limits = [(kind, limit)]
        else:
            continue
        if isinstance(column, exp.Column) and column.name.lower() == time_column:
            for kind, limit in limits:
                found = found.meet(_read_limit(kind, limit, now))
    return found


def _split(condition: exp.Expr) -> Iterator[exp.Expr]:
    """Yield the conditions that all have to hold."""
    if isinstance(condition, exp.Paren):
        yield from _split(condition.this)
    elif isinstance(condition, exp.And):
        yield from _split(condition.left)
        yield from _split(condition.right)
    else:
        yield condition


def _read_limit(kind: type[exp.Expr], limit: exp.Expr, now: datetime) -> TimeRange:
    """Return the times for which a comparison with a limit can hold."""
    if isinstance(limit, exp.Cast) and limit.to.this in TIME_TYPES:
        limit = limit.this
    if isinstance(limit, exp.Literal) and limit.is_string:
        time = read_time(limit.name)
        since = time if kind in {exp.GT, exp.GTE, exp.EQ} else None
        return TimeRange(since, time if kind in {exp.LT, exp.LTE, exp.EQ} else None)
    if kind in {exp.GT, exp.GTE} and isinstance(limit, exp.Sub) and is_clock(limit.this):
        duration = _read_interval(limit.expression)
        return TimeRange(now - duration) if duration is not None else TimeRange()
    return TimeRange()


def _read_interval(interval: exp.Expr) -> timedelta | None:
    """Return the length of an interval of minutes, hours, days or weeks; None if it is another."""
    match = INTERVAL_REGEX.fullmatch(f"{interval.name} {interval.text('unit')}")
    if not isinstance(interval, exp.Interval) or not match:
        return None
    return timedelta(**{f"{match['unit'].lower()}s": int(match["count"])})
