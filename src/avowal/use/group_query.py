"""Find out whether an answer is about groups of visitors only, or about single visitors too (R6).

A query is about groups if it is one SELECT over one relation, and shows nothing but its group keys and figures: counts,
distinct counts, sums, averages and quantiles. Whether each of its rows is about enough visitors depends on what is
stored: a second query finds the keys of the groups of which each figure is about enough visitors. Of every other query
the answer counts as one about single visitors.
"""

from collections.abc import Mapping, Sequence
from typing import LiteralString, NamedTuple

from sqlglot import exp

from avowal.store.columns import IDENTIFYING_COLUMNS, MEASURE_COLUMNS, RELATIONS
from avowal.store.query_worker import GroupCheck
from avowal.store.sql_builder import TRUE, SqlFragment, all_of, compose, constant, identifier, join, literal
from avowal.use.purpose_sql import HiddenColumns
from avowal.use.table_scope import find_relations

GROUP_VISITORS_MIN = 5
"""The least number of visitors of a row that is not about single visitors; the terms may require more."""

SOURCE = "source"
"""The alias of the relation in the queries that are made here."""

SELECT_PARTS = frozenset({"expressions", "from_", "where", "group", "having", "order", "limit", "offset"})
"""The parts of a SELECT that may be about groups."""

KEY_NODES = """
    Column Identifier Literal Paren Var Cast DataType TimestampTrunc DateTrunc Extract Year Month Day Hour DayOfWeek
    DayOfWeekIso DayOfYear Week Quarter Lower Upper SplitPart
"""
KEY_KINDS = frozenset(KEY_NODES.split())
"""The kinds of nodes of a group key: a column, which may be made coarser."""

ROW_NODES = """
    Boolean Null And Or Not EQ NEQ GT GTE LT LTE Is Between In Like ILike Neg Add Sub Interval Minute CurrentDate
    CurrentTimestamp Anonymous StartsWith EndsWith Contains Length
"""
CLOCKS = frozenset({"now"})
"""Functions for which sqlglot has no node kind, of which rows may be compared with the result."""

ROW_KINDS = KEY_KINDS | frozenset(ROW_NODES.split())
"""The kinds of nodes of a condition on rows. None of them fails for some values and not for others."""

FIGURE_NODES = "Literal Paren Neg Add Sub Mul Div Round Floor Ceil Cast DataType DataTypeParam"
FIGURE_KINDS = frozenset(FIGURE_NODES.split())
"""The kinds of nodes of a calculation with figures."""

CONDITION_KINDS = FIGURE_KINDS | {"And", "Or", "Not", "EQ", "NEQ", "GT", "GTE", "LT", "LTE", "Between"}
"""The kinds of nodes of HAVING."""

TIME_TYPES = frozenset({exp.DataType.Type.DATE, exp.DataType.Type.TIMESTAMP, exp.DataType.Type.TIMESTAMPNTZ})
TIME_COLUMNS = frozenset({relation.time_column for relation in RELATIONS.values()})

LARGE_GROUPS: LiteralString = """
WITH base AS (
    SELECT {keys}, {visitor} AS visitor, {day} AS visitor_day, {arguments} FROM {table} WHERE {condition}
),
per_visitor AS (SELECT {names}, visitor_day, visitor, {visitor_figures} FROM base GROUP BY ALL),
per_day AS (SELECT {names}, {day_figures} FROM per_visitor GROUP BY {names}, visitor_day)
SELECT {names} FROM per_day GROUP BY {names} HAVING {enough}
"""
"""Selects the keys of the groups of which each figure is about enough visitors. Visitors without the cookie are counted
day by day, as nobody can know who of them came again."""

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


class _NotAboutGroupsError(Exception):
    """The query may be about single visitors."""


class _Figure(NamedTuple):
    """An aggregate of a query."""

    argument: SqlFragment
    """Its argument, or NULL for a row that does not count."""
    is_sum: bool = False
    """Whether it adds values up: then no visitor may contribute more than half."""
    quantile: SqlFragment | None = None


class _Groups(NamedTuple):
    """A query over the groups of one relation, in parts."""

    table: SqlFragment
    items: Sequence[SqlFragment]
    condition: SqlFragment
    keys: Sequence[SqlFragment]
    rest: SqlFragment
    """What follows GROUP BY."""
    figures: Sequence[_Figure]


def plan_group_check(tree: exp.Query, hidden: HiddenColumns, visitors_min: int) -> GroupCheck | None:
    """Return how to check whether an answer is about groups of at least `visitors_min` visitors.

    Returns None if the query may be about single visitors, whatever is stored.
    """
    try:
        groups = _GroupReader(tree.copy()).read()
    except _NotAboutGroupsError:
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
    groups: _Groups, keys: SqlFragment, hidden: HiddenColumns, visitors_min: SqlFragment
) -> SqlFragment:
    """Return the query of the keys of the groups that are large enough."""
    names = _names("g", max(len(groups.keys), 1))
    figures = [_Figure(TRUE), *dict.fromkeys(groups.figures)]
    figure_parts = [(figure, _figure_names(index)) for index, figure in enumerate(figures)]
    parts = {
        "keys": keys,
        "names": names,
        "visitor": identifier(SOURCE, hidden.visitor),
        "day": identifier(SOURCE, hidden.visitor_day),
        "arguments": _number("a", [figure.argument for figure in figures]),
        "table": groups.table,
        "condition": groups.condition,
        "visitor_figures": join(
            compose(VISITOR_SUM if figure.is_sum else VISITOR_COUNT, **names)
            for figure, names in figure_parts
        ),
        "day_figures": join(
            compose(DAY_SUM if figure.is_sum else DAY_COUNT, **names) for figure, names in figure_parts
        ),
        "enough": all_of(
            compose(ENOUGH_OF_SUM if figure.is_sum else ENOUGH, visitors_min=visitors_min, **names)
            for figure, names in figure_parts
        ),
    }
    selects = compose(LARGE_GROUPS, **parts)
    for figure, argument in figure_parts:
        if figure.quantile:
            quantiles = compose(
                LARGE_QUANTILES,
                names=names,
                argument=argument["argument"],
                visitors_min=visitors_min,
                quantile=figure.quantile,
            )
            selects = compose("{before} {quantiles}", before=selects, quantiles=quantiles)
    return selects


VISITOR_COUNT: LiteralString = "count({argument}) AS {rows}"
VISITOR_SUM: LiteralString = "count({argument}) AS {rows}, sum(abs({argument})) AS {size}"
DAY_COUNT: LiteralString = "count(visitor) FILTER (WHERE {rows} > 0) AS {visitors}"
DAY_SUM: LiteralString = (
    "count(visitor) FILTER (WHERE {rows} > 0) AS {visitors}, max({size}) AS {largest}, sum({size}) AS {total}"
)
ENOUGH: LiteralString = "max({visitors}) >= {visitors_min}"
ENOUGH_OF_SUM: LiteralString = "max({visitors}) >= {visitors_min} AND 2 * max({largest}) <= sum({total})"


def _figure_names(index: int) -> Mapping[str, SqlFragment]:
    """Return the names of what is computed of a figure: its argument, and counts and sizes of visitors and days."""
    parts = ("rows", "size", "visitors", "largest", "total")
    return {"argument": identifier(f"a{index}")} | {part: identifier(f"{part}{index}") for part in parts}


def _number(letter: str, fragments: Sequence[SqlFragment]) -> SqlFragment:
    """Name expressions by a letter and their number."""
    return join(
        compose("{fragment} AS {name}", fragment=fragment, name=identifier(f"{letter}{index}"))
        for index, fragment in enumerate(fragments)
    )


def _names(letter: str, count: int) -> SqlFragment:
    return join(identifier(f"{letter}{index}") for index in range(count))


class _GroupReader:
    """Reads the parts of a query over the groups of one relation.

    Raises _NotAboutGroupsError if it may be about anything else, or if a name in it may mean two things.
    """

    def __init__(self, tree: exp.Query) -> None:
        tables = list(tree.find_all(exp.Table))
        _require(isinstance(tree, exp.Select) and _parts(tree) <= SELECT_PARTS)
        _require(len(tables) == 1 and list(find_relations(tree)) == tables)
        (self._table,) = tables
        _require(tree.args["from_"].this is self._table and _parts(self._table) == TABLE_PARTS)
        self._tree = tree
        self._alias = self._table.alias.lower()
        self._columns = {*RELATIONS[self._table.name].columns, "version"}
        self._definitions: dict[str, exp.Expr] = {}
        self._figures: list[_Figure] = []

    def read(self) -> _Groups:
        """Return the parts of the query."""
        tree = self._tree
        items = [self._qualify(item.unalias()) for item in tree.expressions]
        self._definitions = {
            item.alias.lower(): qualified
            for item, qualified in zip(tree.expressions, items, strict=True)
            if isinstance(item, exp.Alias)
        }
        _require(len(self._definitions) == sum(isinstance(item, exp.Alias) for item in tree.expressions))
        where = tree.args.get("where")
        condition = _check_rows(self._qualify(where.this)) if where else exp.true()
        keys = self._read_keys(items)
        for item in items:
            self._check_figures(item, keys, FIGURE_KINDS)
        self._table.set("alias", exp.TableAlias(this=exp.to_identifier(SOURCE)))
        return _Groups(
            _fragment(self._table),
            [_fragment(item) for item in items],
            _fragment(condition),
            [_fragment(key) for key in keys],
            self._read_rest(items, keys),
            self._figures,
        )

    def _read_keys(self, items: Sequence[exp.Expr]) -> list[exp.Expr]:
        group = self._tree.args.get("group")
        if group is None:
            return []
        _require(_parts(group) in ({"all"}, {"expressions"}))
        if group.args.get("all"):
            keys = [item for item in items if not item.find(exp.AggFunc)]
        else:
            keys = [self._resolve(key, items) for key in group.expressions]
        for key in keys:
            _require(key.find(exp.Column) is not None and _kinds(key) <= KEY_KINDS)
            _check_rows(key)
        return keys

    def _read_rest(self, items: Sequence[exp.Expr], keys: Sequence[exp.Expr]) -> SqlFragment:
        """Return HAVING, ORDER BY, LIMIT and OFFSET."""
        having, order = self._tree.args.get("having"), self._tree.args.get("order")
        rest = constant("")
        if having:
            condition = self._qualify(having.this, with_definitions=True)
            self._check_figures(condition, keys, CONDITION_KINDS)
            rest = compose("{rest} HAVING {condition}", rest=rest, condition=_fragment(condition))
        if order:
            _require(_parts(order) == {"expressions"})
            for ordered in order.expressions:
                _require(isinstance(ordered, exp.Ordered) and not ordered.args.get("with_fill"))
                expression = self._resolve(ordered.this, items)
                self._check_figures(expression, keys, FIGURE_KINDS)
                _require(not isinstance(expression, exp.Literal))
                ordered.set("this", expression)
            rest = compose("{rest} {order}", rest=rest, order=_fragment(order))
        for part in ("limit", "offset"):
            if clause := self._tree.args.get(part):
                _require(_parts(clause) == {"expression"} and isinstance(clause.expression, exp.Literal))
                rest = compose("{rest} {clause}", rest=rest, clause=_fragment(clause))
        return rest

    def _resolve(self, node: exp.Expr, items: Sequence[exp.Expr]) -> exp.Expr:
        """Return what an expression of GROUP BY or ORDER BY stands for: its number, or its own alias."""
        if isinstance(node, exp.Literal):
            _require(node.is_int and 1 <= int(node.name) <= len(items))
            return items[int(node.name) - 1].copy()
        return self._qualify(node, with_definitions=True)

    def _qualify(self, node: exp.Expr, *, with_definitions: bool = False) -> exp.Expr:
        """Write each column with the relation, and each alias of the SELECT as its expression."""

        def qualify(part: exp.Expr) -> exp.Expr:
            if not isinstance(part, exp.Column):
                return part
            name, defined = part.name.lower(), self._definitions.get(part.name.lower())
            _require(_parts(part) <= {"this", "table"} and part.table.lower() in {"", self._alias})
            if name not in self._columns:
                _require(with_definitions and defined is not None and not part.table)
                return defined.copy() if defined else part
            column = exp.column(exp.to_identifier(name, quoted=True), table=SOURCE)
            _require(defined is None or defined == column)
            return column

        return node.copy().transform(qualify)

    def _check_figures(self, node: exp.Expr, keys: Sequence[exp.Expr], kinds: frozenset[str]) -> None:
        """Require that an expression has nothing but keys, figures and calculations; collect the figures."""
        if node in keys:
            return
        if isinstance(node, exp.AggFunc | exp.Filter):
            self._figures.append(_read_figure(node))
            return
        _require(type(node).__name__ in kinds)
        for child in node.iter_expressions():
            self._check_figures(child, keys, kinds)


TABLE_PARTS = frozenset({"this", "db", "catalog", "alias"})


def _read_figure(node: exp.Expr) -> _Figure:
    """Return an aggregate, or an aggregate with FILTER."""
    condition: SqlFragment | None = None
    if isinstance(node, exp.Filter):
        condition, node = _fragment(_check_rows(node.expression.this)), node.this
    figure = _read_aggregate(node)
    if condition:
        filtered = compose(
            "CASE WHEN {condition} THEN {argument} END", condition=condition, argument=figure.argument
        )
        figure = figure._replace(argument=filtered)
    return figure


def _read_aggregate(node: exp.Expr) -> _Figure:
    match node:
        case exp.Count():
            _require(_parts(node) <= {"this", "big_int"})
            argument = node.this
            if isinstance(argument, exp.Distinct):
                _require(_parts(argument) == {"expressions"} and len(argument.expressions) == 1)
                (argument,) = argument.expressions
            if argument is None or (isinstance(argument, exp.Star) and not _parts(argument)):
                return _Figure(TRUE)
            return _Figure(_column(argument))
        case exp.ApproxDistinct():
            _require(_parts(node) == {"this"})
            return _Figure(_column(node.this))
        case exp.Sum() | exp.Avg():
            _require(_parts(node) == {"this"})
            return _Figure(compose("nullif({column}, 0)", column=_measure(node.this)), is_sum=True)
        case exp.Median():
            _require(_parts(node) == {"this"})
            return _Figure(_measure(node.this), quantile=constant("0.5"))
        case exp.PercentileCont() | exp.PercentileDisc() | exp.Quantile():
            _require(_parts(node) <= {"this", "expression", "quantile"})
            return _Figure(
                _measure(node.this),
                quantile=_quantile(node.args.get("quantile") or node.args.get("expression")),
            )
    raise _NotAboutGroupsError


def _column(node: exp.Expr) -> SqlFragment:
    _require(isinstance(node, exp.Column))
    return _fragment(node)


def _measure(node: exp.Expr) -> SqlFragment:
    _require(node.name in MEASURE_COLUMNS)
    return _column(node)


def _quantile(node: object) -> SqlFragment:
    if not isinstance(node, exp.Literal) or node.is_string or not 0 <= float(node.name) <= 1:
        raise _NotAboutGroupsError
    return _fragment(node)


def _check_rows(node: exp.Expr) -> exp.Expr:
    """Require that an expression of rows singles out no visitor, and fails for none; returns it."""
    is_clock = all(function.name.lower() in CLOCKS for function in node.find_all(exp.Anonymous))
    _require(is_clock and _kinds(node) <= ROW_KINDS)
    _require(not any(column.name in IDENTIFYING_COLUMNS for column in node.find_all(exp.Column)))
    for cast in node.find_all(exp.Cast):
        is_time = isinstance(cast.this, exp.Literal) or cast.this.name in TIME_COLUMNS
        _require(is_time and cast.to.this in TIME_TYPES)
    return node


def _kinds(node: exp.Expr) -> set[str]:
    return {type(part).__name__ for part in node.walk()}


def _parts(node: exp.Expr) -> set[str]:
    return {part for part, value in node.args.items() if value}


def _fragment(node: exp.Expr) -> SqlFragment:
    return SqlFragment(node.sql(dialect="duckdb", comments=False))


def _require(condition: bool) -> None:
    if not condition:
        raise _NotAboutGroupsError
