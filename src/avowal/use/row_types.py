"""Find the type of an expression over stored values that cannot fail, whatever is stored.

Whether a query fails over what is stored is recorded. Whether it does not fail tells something, too: that nobody is
there on whose values it would. So a query is about groups only if nothing in it can fail on a stored value, such as
the comparison of a text with a number, which the store would convert.
"""

from collections.abc import Callable
from enum import Enum, auto
from zoneinfo import available_timezones

from sqlglot import exp

from avowal.store.columns import IDENTIFYING_COLUMNS, ValueType, find_value_type
from avowal.use.time_range import TIME_TYPES, is_clock, read_time


class RowType(Enum):
    """The type of an expression."""

    TEXT = auto()
    NUMBER = auto()
    BOOLEAN = auto()
    TIME = auto()
    NULL = auto()
    TIME_TEXT = auto()
    """A text in the query that is also a time, so that it may be compared with both."""


class MayFailError(Exception):
    """An expression may fail on a stored value, is of an unknown kind, or tells who a visitor is."""


_COLUMN_TYPES = {
    ValueType.TEXT: RowType.TEXT,
    ValueType.WORD: RowType.TEXT,
    ValueType.INTEGER: RowType.NUMBER,
    ValueType.DECIMAL: RowType.NUMBER,
    ValueType.BOOLEAN: RowType.BOOLEAN,
    ValueType.TIME: RowType.TIME,
}

TIME_PARTS: tuple[type[exp.Expr], ...] = (exp.Extract, exp.Year, exp.Month, exp.Day, exp.Hour, exp.Minute)
TIME_PARTS += (exp.DayOfWeek, exp.DayOfWeekIso, exp.DayOfYear, exp.Week, exp.Quarter)
COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)
TEXT_CONDITIONS = (exp.Like, exp.ILike, exp.StartsWith, exp.EndsWith, exp.Contains)


def find_row_type(node: exp.Expr) -> RowType:
    """Return the type of an expression. Raises MayFailError if it may fail on a stored value."""
    for kinds, find in _RULES:
        if isinstance(node, kinds):
            return find(node)
    raise MayFailError


def _of_column(node: exp.Expr) -> RowType:
    _require(node.name not in IDENTIFYING_COLUMNS)
    return _COLUMN_TYPES[find_value_type(node.name)]


def _of_literal(node: exp.Expr) -> RowType:
    if not node.is_string:
        return RowType.NUMBER
    return RowType.TIME_TEXT if read_time(node.name) else RowType.TEXT


def _of_negation(node: exp.Expr) -> RowType:
    _require(isinstance(node.this, exp.Literal))  # the least number of a type has no negation
    return _match(node.this, RowType.NUMBER)


def _of_combination(node: exp.Expr) -> RowType:
    for operand in node.iter_expressions():
        _match(operand, RowType.BOOLEAN)
    return RowType.BOOLEAN


def _of_comparison(node: exp.Expr) -> RowType:
    """Type comparisons, BETWEEN and IN: all operands have one type."""
    _require(list_parts(node) <= {"this", "expression", "low", "high", "expressions"})
    types = {find_row_type(operand) for operand in node.iter_expressions()} - {RowType.NULL}
    if RowType.TIME_TEXT in types:
        types = (types - {RowType.TIME_TEXT}) or {RowType.TEXT}
        _require(types in ({RowType.TEXT}, {RowType.TIME}))
    _require(len(types) == 1)
    return RowType.BOOLEAN


def _of_null_test(node: exp.Expr) -> RowType:
    tested = find_row_type(node.this)
    is_of_booleans = tested is RowType.BOOLEAN and isinstance(node.expression, exp.Boolean)
    _require(is_of_booleans or isinstance(node.expression, exp.Null))
    return RowType.BOOLEAN


def _of_text_condition(node: exp.Expr) -> RowType:
    _match(node.this, RowType.TEXT)
    _match(node.expression, RowType.TEXT)
    return RowType.BOOLEAN


def _of_cast(node: exp.Expr) -> RowType:
    _require(node.args["to"].this in TIME_TYPES)
    return _match(node.this, RowType.TIME)


def _of_truncation(node: exp.Expr) -> RowType:
    return _match(node.this, RowType.TIME)


def _of_time_part(node: exp.Expr) -> RowType:
    _match(node.expression if isinstance(node, exp.Extract) else node.this, RowType.TIME)
    return RowType.NUMBER


def _of_zone(node: exp.Expr) -> RowType:
    _require(isinstance(zone := node.args["zone"], exp.Literal) and zone.name in available_timezones())
    return _match(node.this, RowType.TIME)


def _of_clock(node: exp.Expr) -> RowType:
    _require(isinstance(node, exp.CurrentDate) or is_clock(node))
    return RowType.TIME


def _of_shifted_clock(node: exp.Expr) -> RowType:
    """Type a time before or after now; a stored time could leave the range of times."""
    _require(node.find(exp.Column) is None and isinstance(node.expression, exp.Interval | exp.Literal))
    return _match(node.this, RowType.TIME)


def _of_case(node: exp.Expr) -> RowType:
    return _match(node.this, RowType.TEXT)


def _of_part_of_text(node: exp.Expr) -> RowType:
    _match(node.this, RowType.TEXT)
    _match(node.args["delimiter"], RowType.TEXT)
    _require(isinstance(node.args["part_index"], exp.Literal))
    return RowType.TEXT


def _of_length(node: exp.Expr) -> RowType:
    _match(node.this, RowType.TEXT)
    return RowType.NUMBER


_RULES: list[tuple[type[exp.Expr] | tuple[type[exp.Expr], ...], Callable[[exp.Expr], RowType]]] = [
    (exp.Column, _of_column),
    (exp.Literal, _of_literal),
    (exp.Boolean, lambda _: RowType.BOOLEAN),
    (exp.Null, lambda _: RowType.NULL),
    (exp.Paren, lambda node: find_row_type(node.this)),
    (exp.Neg, _of_negation),
    ((exp.And, exp.Or, exp.Not), _of_combination),
    ((*COMPARISONS, exp.Between, exp.In), _of_comparison),
    (exp.Is, _of_null_test),
    (TEXT_CONDITIONS, _of_text_condition),
    (exp.Cast, _of_cast),
    ((exp.TimestampTrunc, exp.DateTrunc), _of_truncation),
    (TIME_PARTS, _of_time_part),
    (exp.AtTimeZone, _of_zone),
    ((exp.CurrentDate, exp.CurrentTimestamp, exp.Anonymous), _of_clock),
    ((exp.Add, exp.Sub), _of_shifted_clock),
    ((exp.Lower, exp.Upper), _of_case),
    (exp.SplitPart, _of_part_of_text),
    (exp.Length, _of_length),
]


def _match(node: exp.Expr, wanted: RowType) -> RowType:
    found = find_row_type(node)
    if found is RowType.TIME_TEXT and wanted in {RowType.TEXT, RowType.TIME}:
        return wanted
    _require(found is wanted)
    return found


def list_parts(node: exp.Expr) -> set[str]:
    """Return the names of the parts that a node has."""
    return {part for part, value in node.args.items() if value}


def _require(condition: bool) -> None:
    if not condition:
        raise MayFailError
