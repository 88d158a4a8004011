"""Read a query that is about groups of visitors: its keys, and its figures.

Such a query is one SELECT over one relation. It shows nothing but its group keys and figures: counts, distinct counts,
sums, averages and quantiles.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlglot import exp

from avowal.store.columns import MEASURE_COLUMNS, RELATIONS
from avowal.store.sql_builder import TRUE, SqlFragment, compose, constant
from avowal.use.row_types import MayFailError, RowType, find_row_type, list_parts
from avowal.use.table_scope import find_relations

SOURCE = "source"
"""The alias of the relation in the queries that are made here."""

SELECT_PARTS = frozenset({"expressions", "from_", "where", "group", "having", "order", "limit"})
"""The parts of a SELECT that may be about groups. After OFFSET, a row would tell of rows that it leaves out."""

TABLE_PARTS = frozenset({"this", "db", "catalog", "alias"})
"""The parts that its relation has."""

GROUP_NODES_MAX = 1_000
"""The most nodes of a query about groups, with what its aliases stand for: reading more would take too long."""

KEY_NODES = """
    Column Identifier Literal Paren Var Cast DataType TimestampTrunc DateTrunc Extract Year Month Day Hour DayOfWeek
    DayOfWeekIso DayOfYear Week Quarter AtTimeZone Lower Upper SplitPart
"""
KEY_KINDS = frozenset(KEY_NODES.split())
"""The kinds of nodes of a group key: a column, which may be made coarser."""

FIGURE_NODES = "Literal Paren Neg Add Sub Mul Div Round Floor Ceil Cast DataType DataTypeParam"
FIGURE_KINDS = frozenset(FIGURE_NODES.split())
"""The kinds of nodes of a calculation with figures."""

CONDITION_KINDS = FIGURE_KINDS | {"And", "Or", "Not", "EQ", "NEQ", "GT", "GTE", "LT", "LTE", "Between"}
"""The kinds of nodes of HAVING."""


class _NotAboutGroupsError(Exception):
    """The query may be about single visitors."""


class Figure(NamedTuple):
    """An aggregate of a query."""

    argument: SqlFragment
    """Its argument, or NULL for a row that does not count."""
    is_sum: bool = False
    """Whether it adds values up: then no visitor may contribute more than half."""
    is_distinct: bool = False
    """Whether it counts different values: then those of few visitors have to be of enough visitors together."""
    quantile: SqlFragment | None = None


class Groups(NamedTuple):
    """A query over the groups of one relation, in parts."""

    table: SqlFragment
    items: Sequence[SqlFragment]
    condition: SqlFragment
    keys: Sequence[SqlFragment]
    rest: SqlFragment
    """What follows GROUP BY."""
    figures: Sequence[Figure]


def read_groups(tree: exp.Query) -> Groups | None:
    """Return a query over the groups of one relation in parts, or None if it may be about anything else."""
    try:
        return _GroupReader(tree.copy()).read()
    except (_NotAboutGroupsError, MayFailError):
        return None


class _GroupReader:
    """Reads the parts of a query over the groups of one relation.

    Raises _NotAboutGroupsError if it may be about anything else, or if a name in it may mean two things.
    """

    def __init__(self, tree: exp.Query) -> None:
        tables = list(tree.find_all(exp.Table))
        _require(isinstance(tree, exp.Select) and list_parts(tree) <= SELECT_PARTS)
        _require(len(tables) == 1 and list(find_relations(tree)) == tables)
        (self._table,) = tables
        _require(tree.args["from_"].this is self._table and list_parts(self._table) == TABLE_PARTS)
        self._tree = tree
        self._nodes = 0
        self._count_nodes(tree)
        self._alias = self._table.alias.lower()
        self._columns = {*RELATIONS[self._table.name].columns, "version"}
        self._definitions: dict[str, exp.Expr] = {}
        self._figures: list[Figure] = []

    def read(self) -> Groups:
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
        condition = _read_condition(self._qualify(where.this)) if where else exp.true()
        keys = self._read_keys(items)
        for item in items:
            self._check_figures(item, keys, FIGURE_KINDS)
        rest = self._read_rest(items, keys)
        _require(bool(keys or self._figures))  # else each record is a row
        self._table.set("alias", exp.TableAlias(this=exp.to_identifier(SOURCE)))
        return Groups(
            _fragment(self._table),
            [_fragment(item) for item in items],
            _fragment(condition),
            [_fragment(key) for key in keys],
            rest,
            self._figures,
        )

    def _read_keys(self, items: Sequence[exp.Expr]) -> list[exp.Expr]:
        group = self._tree.args.get("group")
        if group is None:
            return []
        _require(list_parts(group) in ({"all"}, {"expressions"}))
        if group.args.get("all"):
            keys = [item for item in items if not item.find(exp.AggFunc)]
        else:
            keys = [self._resolve(key, items) for key in group.expressions]
        for key in keys:
            _require(key.find(exp.Column) is not None and _kinds(key) <= KEY_KINDS)
            find_row_type(key)
        return keys

    def _read_rest(self, items: Sequence[exp.Expr], keys: Sequence[exp.Expr]) -> SqlFragment:
        """Return HAVING, ORDER BY and LIMIT."""
        having, order = self._tree.args.get("having"), self._tree.args.get("order")
        rest = constant("")
        if having:
            condition = self._qualify(having.this, with_definitions=True)
            self._check_figures(condition, keys, CONDITION_KINDS)
            rest = compose("{rest} HAVING {condition}", rest=rest, condition=_fragment(condition))
        if order:
            _require(list_parts(order) == {"expressions"})
            for ordered in order.expressions:
                _require(isinstance(ordered, exp.Ordered) and not ordered.args.get("with_fill"))
                expression = self._resolve(ordered.this, items)
                self._check_figures(expression, keys, FIGURE_KINDS)
                _require(not isinstance(expression, exp.Literal))
                ordered.set("this", expression)
            rest = compose("{rest} {order}", rest=rest, order=_fragment(order))
        if limit := self._tree.args.get("limit"):
            _require(list_parts(limit) == {"expression"} and isinstance(limit.expression, exp.Literal))
            rest = compose("{rest} {limit}", rest=rest, limit=_fragment(limit))
        return rest

    def _resolve(self, node: exp.Expr, items: Sequence[exp.Expr]) -> exp.Expr:
        """Return what an expression of GROUP BY or ORDER BY stands for: its number, or its own alias."""
        if isinstance(node, exp.Literal):
            _require(node.is_int and 1 <= int(node.name) <= len(items))
            return self._copy(items[int(node.name) - 1])
        return self._qualify(node, with_definitions=True)

    def _qualify(self, node: exp.Expr, *, with_definitions: bool = False) -> exp.Expr:
        """Write each column with the relation, and each alias of the SELECT as its expression."""

        def qualify(part: exp.Expr) -> exp.Expr:
            if not isinstance(part, exp.Column):
                return part
            name, defined = part.name.lower(), self._definitions.get(part.name.lower())
            _require(list_parts(part) <= {"this", "table"} and part.table.lower() in {"", self._alias})
            if name not in self._columns:
                _require(with_definitions and defined is not None and not part.table)
                return self._copy(defined) if defined else part
            column = exp.column(exp.to_identifier(name, quoted=True), table=SOURCE)
            _require(defined is None or defined == column)
            return column

        return node.copy().transform(qualify)

    def _copy(self, node: exp.Expr) -> exp.Expr:
        """Return a copy of what an alias or a number stands for."""
        self._count_nodes(node)
        return node.copy()

    def _count_nodes(self, node: exp.Expr) -> None:
        """Count the nodes of an expression, and require that all together are not too many."""
        self._nodes += sum(1 for _ in node.walk())
        _require(self._nodes <= GROUP_NODES_MAX)

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


def _read_figure(node: exp.Expr) -> Figure:
    """Return an aggregate, or an aggregate with FILTER."""
    condition: SqlFragment | None = None
    if isinstance(node, exp.Filter):
        condition, node = _fragment(_read_condition(node.expression.this)), node.this
    figure = _read_aggregate(node)
    if condition:
        filtered = compose(
            "CASE WHEN {condition} THEN {argument} END", condition=condition, argument=figure.argument
        )
        figure = figure._replace(argument=filtered)
    return figure


def _read_aggregate(node: exp.Expr) -> Figure:
    match node:
        case exp.Count():
            _require(list_parts(node) <= {"this", "big_int"})
            argument, is_distinct = node.this, isinstance(node.this, exp.Distinct)
            if is_distinct:
                _require(list_parts(argument) == {"expressions"} and len(argument.expressions) == 1)
                (argument,) = argument.expressions
            elif argument is None or (isinstance(argument, exp.Star) and not list_parts(argument)):
                return Figure(TRUE)
            return Figure(_column(argument), is_distinct=is_distinct)
        case exp.ApproxDistinct():
            _require(list_parts(node) == {"this"})
            return Figure(_column(node.this), is_distinct=True)
        case exp.Sum() | exp.Avg():
            _require(list_parts(node) == {"this"})
            return Figure(_measure(node.this), is_sum=True)
        case exp.Median():
            _require(list_parts(node) == {"this"})
            return Figure(_measure(node.this), quantile=constant("0.5"))
        case exp.PercentileCont() | exp.PercentileDisc() | exp.Quantile():
            _require(list_parts(node) <= {"this", "expression", "quantile"})
            return Figure(
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


def _read_condition(node: exp.Expr) -> exp.Expr:
    """Require that a condition on rows singles out no visitor and cannot fail; returns it."""
    _require(find_row_type(node) is RowType.BOOLEAN)
    return node


def _kinds(node: exp.Expr) -> set[str]:
    return {type(part).__name__ for part in node.walk()}


def _fragment(node: exp.Expr) -> SqlFragment:
    return SqlFragment(node.sql(dialect="duckdb", comments=False))


def _require(condition: bool) -> None:
    if not condition:
        raise _NotAboutGroupsError
