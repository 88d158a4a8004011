"""Conditions on the columns of one relation: a tree, and its SQL. Both forms say exactly the same."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, LiteralString

from avowal.store.sql_builder import (
    FALSE,
    TRUE,
    SqlFragment,
    all_of,
    any_of,
    bare_identifier,
    compose,
    join,
    literal,
)

Value = str | int | Decimal | bool | datetime
"""A value of a column's type; times are UTC without a zone."""

Operator = Literal["=", "<>", "<", "<=", ">", ">="]


@dataclass(frozen=True)
class ColumnComparison:
    """Whether a column's value stands in a relation to a value."""

    column: str
    operator: Operator
    value: Value


@dataclass(frozen=True)
class Membership:
    """Whether a column's value is one of several values."""

    column: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Range:
    """Whether a column's value is between two values, or is one of them."""

    column: str
    least: Value
    greatest: Value


@dataclass(frozen=True)
class Pattern:
    """Whether a column's text matches a pattern: `%` stands for any text, `_` for one character."""

    column: str
    pattern: str
    escape: str | None = None
    """The character after which `%`, `_` and itself stand for themselves."""


@dataclass(frozen=True)
class Absence:
    """Whether a column has no value."""

    column: str


@dataclass(frozen=True)
class Negation:
    """Whether a condition does not hold."""

    condition: "Condition"


@dataclass(frozen=True)
class Conjunction:
    """Whether all conditions hold."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True)
class Disjunction:
    """Whether at least one condition holds."""

    conditions: tuple["Condition", ...]


Predicate = ColumnComparison | Membership | Range | Pattern | Absence
Condition = Predicate | Negation | Conjunction | Disjunction

_COMPARISONS: dict[Operator, LiteralString] = {
    "=": "{column} = {value}",
    "<>": "{column} <> {value}",
    "<": "{column} < {value}",
    "<=": "{column} <= {value}",
    ">": "{column} > {value}",
    ">=": "{column} >= {value}",
}


def render_condition(condition: Condition) -> SqlFragment:
    """Return the SQL of a condition."""
    match condition:
        case Negation(inner):
            return compose("NOT ({inner})", inner=render_condition(inner))
        case Conjunction(conditions):
            return all_of(map(render_condition, conditions))
        case Disjunction(conditions):
            return any_of(map(render_condition, conditions))
        case predicate:
            return _render_predicate(predicate)


def render_without(
    condition: Condition, columns: Collection[str], *, is_negated: bool = False
) -> SqlFragment:
    """Return the SQL of the narrowest condition that holds wherever this one may, whatever some columns have.

    `is_negated` says whether the condition stands within an odd number of negations.
    """
    match condition:
        case Negation(inner):
            return compose("NOT ({inner})", inner=render_without(inner, columns, is_negated=not is_negated))
        case Conjunction(conditions):
            return all_of(render_without(inner, columns, is_negated=is_negated) for inner in conditions)
        case Disjunction(conditions):
            return any_of(render_without(inner, columns, is_negated=is_negated) for inner in conditions)
        case predicate if predicate.column in columns:
            return FALSE if is_negated else TRUE
        case predicate:
            return _render_predicate(predicate)


def _render_predicate(predicate: Predicate) -> SqlFragment:
    column = bare_identifier(predicate.column)
    match predicate:
        case ColumnComparison(_, operator, value):
            return compose(_COMPARISONS[operator], column=column, value=literal(value))
        case Membership(_, values):
            return compose("{column} IN ({values})", column=column, values=join(map(literal, values)))
        case Range(_, least, greatest):
            return compose(
                "{column} BETWEEN {least} AND {greatest}",
                column=column,
                least=literal(least),
                greatest=literal(greatest),
            )
        case Pattern(_, pattern, None):
            return compose("{column} LIKE {pattern}", column=column, pattern=literal(pattern))
        case Pattern(_, pattern, escape):
            return compose(
                "{column} LIKE {pattern} ESCAPE {escape}",
                column=column,
                pattern=literal(pattern),
                escape=literal(escape),
            )
        case Absence():
            return compose("{column} IS NULL", column=column)


def walk_condition(condition: Condition, depth: int = 1) -> Iterator[tuple[Predicate, int]]:
    """Yield the predicates of a condition, each with its depth in the tree."""
    match condition:
        case Negation(inner):
            yield from walk_condition(inner, depth + 1)
        case Conjunction(conditions) | Disjunction(conditions):
            for inner in conditions:
                yield from walk_condition(inner, depth + 1)
        case predicate:
            yield predicate, depth
