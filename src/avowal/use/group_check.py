"""Find out whether an answer is about groups of visitors only, or about single visitors too (R6).

Whether each row of a query over groups is about enough visitors depends on what is stored: a second query finds the
keys of the groups of which each figure is about enough visitors. Of every other query the answer counts as one about
single visitors.
"""

from collections.abc import Mapping, Sequence
from typing import LiteralString

from sqlglot import exp

from avowal.store.query_worker import GroupCheck
from avowal.store.sql_builder import (
    TRUE,
    SqlFragment,
    all_of,
    any_of,
    compose,
    constant,
    identifier,
    join,
    literal,
)
from avowal.use.group_query import SOURCE, Figure, Groups, read_groups
from avowal.use.purpose_sql import HiddenColumns

GROUP_VISITORS_MIN = 5
"""The least number of visitors of a row that is not about single visitors; the terms may require more."""

LARGE_GROUPS: LiteralString = """
WITH base AS (
    SELECT {keys}, {visitor} AS visitor, {day} AS visitor_day, {arguments} FROM {table} WHERE {condition}
),
per_visitor AS (SELECT {names}, {cell}, visitor_day, visitor, {sizes} FROM base GROUP BY ALL),
per_day AS (SELECT {names}, {cell_names}, {day_figures} FROM per_visitor GROUP BY {names}, {cell_names}, visitor_day),
per_cell AS (SELECT {names}, {cell_names}, {is_large} AS is_large FROM per_day GROUP BY {names}, {cell_names})
SELECT {names} FROM per_cell GROUP BY {names} HAVING bool_and(is_large) AND {has_values}
"""
"""Selects the keys of the groups of which each figure is about enough visitors.

The rows of a group are divided into cells by the figures that they count for, so that the difference of two figures of
one row, such as a count with FILTER and one without, is about enough visitors, too. Visitors without the cookie are
counted day by day, as nobody can know who of them came again.
"""

LARGE_QUANTILES: LiteralString = """
INTERSECT SELECT {names} FROM (
    SELECT {names}, visitors, row_count,
        sum(row_count) OVER (PARTITION BY {names} ORDER BY {argument}) AS last_place,
        sum(row_count) OVER (PARTITION BY {names}) AS group_rows
    FROM (
        SELECT {names}, {argument}, max(visitors) AS visitors, sum(row_count) AS row_count FROM (
            SELECT {names}, visitor_day, {argument}, count(DISTINCT visitor) AS visitors, count(*) AS row_count
            FROM base WHERE {argument} IS NOT NULL GROUP BY ALL
        ) GROUP BY {names}, {argument}
    )
) GROUP BY {names} HAVING bool_and(
    visitors >= {visitors_min} OR last_place < floor((group_rows - 1) * {quantile})
    OR last_place - row_count > ceil(group_rows * {quantile})
)
"""
"""Selects the keys of the groups in which enough visitors have the value at a quantile, and each of those beside it."""


LARGE_DISTINCT: LiteralString = """
INTERSECT SELECT {names} FROM (
    SELECT {names}, visitor_day, bool_or(is_rare) AS has_rare,
        count(DISTINCT visitor) FILTER (WHERE is_rare) AS visitors
    FROM (
        SELECT *, max(visitors) OVER (PARTITION BY {names}, {argument}) < {visitors_min} AS is_rare FROM (
            SELECT *, count(visitor) OVER (PARTITION BY {names}, {argument}, visitor_day) AS visitors
            FROM (SELECT DISTINCT {names}, visitor_day, visitor, {argument} FROM base WHERE {argument} IS NOT NULL)
        )
    ) GROUP BY {names}, visitor_day
) GROUP BY {names} HAVING NOT bool_or(has_rare) OR max(visitors) >= {visitors_min}
"""
"""Selects the keys of the groups in which no value is of few visitors, or all such values are of enough together."""


def plan_group_check(tree: exp.Query, hidden: HiddenColumns, visitors_min: int) -> GroupCheck | None:
    """Return how to check whether an answer is about groups of at least `visitors_min` visitors.

    Returns None if the query may be about single visitors, whatever is stored.
    """
    groups = read_groups(tree)
    if groups is None:
        return None
    columns = _number("c", groups.items)
    keys = _number("g", groups.keys or [TRUE])
    sql = compose(
        "SELECT {columns}, {keys} FROM {table} WHERE {condition} GROUP BY {grouping} {rest}",
        columns=columns,
        keys=keys,
        table=groups.table,
        condition=groups.condition,
        grouping=join(groups.keys) if groups.keys else constant("()"),
        rest=groups.rest,
    )
    large_groups = _select_large_groups(groups, keys, hidden, literal(visitors_min))
    return GroupCheck(sql.text, max(len(groups.keys), 1), large_groups.text)


def _select_large_groups(
    groups: Groups, keys: SqlFragment, hidden: HiddenColumns, visitors_min: SqlFragment
) -> SqlFragment:
    """Return the query of the keys of the groups that are large enough."""
    names = _names("g", max(len(groups.keys), 1))
    figures = list(dict.fromkeys(groups.figures)) or [Figure(TRUE)]
    sums = [_sum_names(index) for index, figure in enumerate(figures) if figure.is_sum]
    arguments = [identifier(f"a{index}") for index in range(len(figures))]
    counted = [identifier(f"counted{index}") for index in range(len(figures))]
    selects = compose(
        LARGE_GROUPS,
        keys=keys,
        names=names,
        visitor=identifier(SOURCE, hidden.visitor),
        day=identifier(SOURCE, hidden.visitor_day),
        arguments=_number("a", [figure.argument for figure in figures]),
        table=groups.table,
        condition=groups.condition,
        cell=_number("counted", [compose("{a} IS NOT NULL", a=argument) for argument in arguments]),
        cell_names=join(counted),
        sizes=join([constant("count(*) AS row_count"), *(compose(SIZE, **parts) for parts in sums)]),
        day_figures=join(
            [constant("count(visitor) AS visitors"), *(compose(DAY_SIZES, **parts) for parts in sums)]
        ),
        is_large=all_of(
            [
                compose(IS_LARGE, counted=any_of(counted), visitors_min=visitors_min),
                *(compose(IS_LARGE_SUM, visitors_min=visitors_min, **parts) for parts in sums),
            ]
        ),
        has_values=all_of(compose("bool_or({name})", name=name) for name in counted),
    )
    for figure, argument in zip(figures, arguments, strict=True):
        parts = {"names": names, "argument": argument, "visitors_min": visitors_min}
        if figure.quantile:
            quantiles = compose(LARGE_QUANTILES, quantile=figure.quantile, **parts)
            selects = compose("{before} {quantiles}", before=selects, quantiles=quantiles)
        if figure.is_distinct:
            selects = compose(
                "{before} {distinct}", before=selects, distinct=compose(LARGE_DISTINCT, **parts)
            )
    return selects


SIZE: LiteralString = "sum(abs({argument})) AS {size}"
DAY_SIZES: LiteralString = (
    "count(visitor) FILTER (WHERE {size} > 0) AS {visitors}, max({size}) AS {largest}, sum({size}) AS {total}"
)
IS_LARGE: LiteralString = "NOT ({counted}) OR max(visitors) >= {visitors_min}"
IS_LARGE_SUM: LiteralString = (
    "NOT {counted} OR (max({visitors}) >= {visitors_min} AND 2 * max({largest}) <= sum({total}))"
)


def _sum_names(index: int) -> Mapping[str, SqlFragment]:
    """Return the names of what is computed of a sum: its argument, the sizes by visitor, and what days have of them."""
    parts = ("counted", "size", "visitors", "largest", "total")
    return {"argument": identifier(f"a{index}")} | {part: identifier(f"{part}{index}") for part in parts}


def _number(word: str, fragments: Sequence[SqlFragment]) -> SqlFragment:
    """Name expressions by a word and their number."""
    return join(
        compose("{fragment} AS {name}", fragment=fragment, name=identifier(f"{word}{index}"))
        for index, fragment in enumerate(fragments)
    )


def _names(letter: str, count: int) -> SqlFragment:
    return join(identifier(f"{letter}{index}") for index in range(count))
