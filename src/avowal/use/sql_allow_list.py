"""Validate a reader's own SQL: what is not known to be harmless is refused, with its place and the reason.

The text is parsed. Every node of its tree must be of a kind that is listed here, and every name must be one of the
relations' or of the query's own. The SQL that runs is generated from the tree, so nothing runs that was not checked.
"""

import logging
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

import sqlglot
from sqlglot import exp

from avowal import strict
from avowal.errors import QueryError
from avowal.use.purpose_view import RELATIONS

logging.getLogger("sqlglot").disabled = True  # its warnings quote the query

QUERY_CHARACTERS_MAX = 10_000
"""Longest query, in characters."""

NESTING_NODES_MAX = 100
"""Deepest nesting of a query, in nodes of its tree."""

SYNTAX_NODES = """
    Select Subquery Union Intersect Except From Join Where Group Having Order Ordered Limit Offset Distinct With CTE
    TableAlias Table Alias Column Identifier Star Literal Boolean Null Paren Qualify Window WindowSpec Filter Var Tuple
    Interval DataType Cast TryCast Case If Neg Not And Or EQ NEQ GT GTE LT LTE Is NullSafeEQ NullSafeNEQ Between In Like
    ILike Escape Add Sub Mul Div IntDiv Mod DPipe
"""
FUNCTION_NODES = """
    Count CountIf Sum Avg Min Max Median PercentileCont PercentileDisc ApproxDistinct Stddev StddevPop StddevSamp
    Variance VariancePop AnyValue RowNumber Rank DenseRank PercentRank CumeDist Ntile Lag Lead FirstValue LastValue
    Coalesce Nullif Greatest Least Lower Upper Length Trim Substring SplitPart Concat Replace RegexpLike RegexpExtract
    StartsWith EndsWith Contains Round Floor Ceil Abs Ln Sqrt TimestampTrunc DateTrunc Extract Year Month Day
    Hour Minute DayOfWeek DayOfWeekIso DayOfYear Week Quarter TimeToStr DateDiff TimestampDiff CurrentDate
    CurrentTimestamp Date DateBin AtTimeZone Mode Quantile LogicalOr LogicalAnd Left Right StrPosition RegexpReplace
    ConcatWs Glob SimilarTo Log Pow TimeToUnix
"""
ALLOWED_NODES = frozenset((SYNTAX_NODES + FUNCTION_NODES).split())
"""The kinds of nodes that a query may have, by their names in sqlglot."""

UNTYPED_FUNCTIONS = frozenset({"now", "today", "epoch", "epoch_ms", "dayname", "monthname", "date_part"})
"""Functions for which sqlglot has no node kind of their own."""

CAST_TYPE_NAMES = """
    BOOLEAN TINYINT SMALLINT INT BIGINT UTINYINT USMALLINT UINT UBIGINT FLOAT DOUBLE DECIMAL VARCHAR TEXT CHAR DATE TIME
    TIMESTAMP TIMESTAMPTZ TIMESTAMPNTZ INTERVAL
"""
CAST_TYPES = frozenset(getattr(exp.DataType.Type, name) for name in CAST_TYPE_NAMES.split())
"""Types to which a value can be cast."""

JOIN_SIDES = frozenset({"", "LEFT", "RIGHT", "FULL"})
JOIN_KINDS = frozenset({"", "INNER", "OUTER", "CROSS", "SEMI", "ANTI"})

IDENTIFYING_COLUMNS = frozenset({"visitor_id", "daily_key", "ip_address"})
"""Columns that identify a visitor: a query that shows one is about individual visitors."""

NEAR_UNIQUE_COLUMNS = frozenset({"bytes", "response_time_us", "view_duration_ms", "visit_duration_ms"}) | {
    relation.time_column for relation in RELATIONS.values()
}
"""Columns whose values are nearly unique: groups by them are single rows unless the value is made coarse."""

COARSE_TIME_NODES = (exp.Year, exp.Month, exp.Day, exp.Hour, exp.DayOfWeek, exp.DayOfWeekIso, exp.DayOfYear)
COARSE_TIME_UNITS = frozenset({"HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR", "DOW", "ISODOW", "DOY"})


class ValidatedQuery(NamedTuple):
    """SQL that may be run, and whether its result is about individual visitors rather than groups."""

    sql: str
    reveals_individuals: bool


def validate_query(text: str, refused_columns: Mapping[str, str], rows_max: int) -> ValidatedQuery:
    """Validate a query. `refused_columns` has the columns that it may not name, each with the reason.

    Its result has at most one row more than `rows_max`. Raises QueryError if the query is not allowed.
    """
    return _validate(text, tuple(sorted(refused_columns.items())), rows_max)


@lru_cache(maxsize=1024)
def _validate(text: str, refused: tuple[tuple[str, str], ...], rows: int) -> ValidatedQuery:
    tree = parse_query(text)
    check_query(tree, dict(refused))
    _limit(tree, rows)
    return ValidatedQuery(tree.sql(dialect="duckdb", comments=False), _reveals_individuals(tree))


def check_query(tree: exp.Query, refused: Mapping[str, str]) -> None:
    """Raise QueryError if a node is not known to be harmless, or names a refused column."""
    names = _QueryNames.from_tree(tree)
    for node in tree.walk():
        _check_kind(node)
        if isinstance(node, exp.Table):
            _check_table(node, names)
        elif isinstance(node, exp.Column):
            _check_column(node, names, refused)
        elif isinstance(node, exp.Join):
            _check_join(node)
        elif isinstance(node, exp.Subquery | exp.Select | exp.SetOperation):
            _check_place(node)


def parse_query(text: str) -> exp.Query:
    """Parse a text that is one query. Raises QueryError if it is not."""
    if len(text) > QUERY_CHARACTERS_MAX:
        raise QueryError(
            f"the query has more than {QUERY_CHARACTERS_MAX:,} characters",
            "shorten it",
            code="query-too-long",
        )
    try:
        statements = sqlglot.parse(text, read="duckdb")
    except Exception as error:  # noqa: BLE001  # on text that is not SQL the parser fails in many ways
        details = (getattr(error, "errors", None) or [{}])[0]
        place = f" at line {details['line']}, column {details['col']}" if details.get("line") else ""
        raise QueryError(
            f"the SQL could not be parsed{place}", "write one SELECT", code="query-invalid"
        ) from None
    queries = [statement for statement in statements if statement is not None]
    if len(queries) != 1 or not isinstance(queries[0], exp.Select | exp.SetOperation):
        raise QueryError("only a single SELECT can be run", "remove what stands before or after it")
    tree = queries[0]
    if not all(select.expressions for select in tree.find_all(exp.Select)):
        raise QueryError("the SELECT has no columns", "name a column, or `*`")
    if any(node.depth > NESTING_NODES_MAX for node in tree.walk()):
        raise QueryError(
            f"the query is nested deeper than {NESTING_NODES_MAX} nodes",
            "simplify it",
            code="query-too-long",
        )
    return tree


class _QueryNames(NamedTuple):
    """The names that a query defines: of its common table expressions, and of columns."""

    tables: frozenset[str]
    columns: frozenset[str]

    @classmethod
    def from_tree(cls, tree: exp.Query) -> "_QueryNames":
        tables = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
        columns = {alias.alias.lower() for alias in tree.find_all(exp.Alias)}
        for alias in tree.find_all(exp.TableAlias):
            columns |= {column.name.lower() for column in alias.args.get("columns") or []}
        return cls(frozenset(tables), frozenset(columns))


def _check_kind(node: exp.Expr) -> None:
    """Raise QueryError if a node's kind or function is not listed."""
    kind = type(node).__name__
    if isinstance(node, exp.Anonymous) and node.name.lower() in UNTYPED_FUNCTIONS:
        return
    if kind not in ALLOWED_NODES:
        label = node.name if isinstance(node, exp.Anonymous) else node.key
        raise _refusal(
            node,
            f"`{label.lower()}` is not allowed",
            "the reference lists what is allowed, under `avowal query`",
        )
    if isinstance(node, exp.With) and node.args.get("recursive"):
        raise _refusal(node, "WITH RECURSIVE is not allowed", "the relations have no hierarchies")
    if isinstance(node, exp.DataType) and (node.this not in CAST_TYPES or node.args.get("nested")):
        raise _refusal(
            node, "a cast to this type is not allowed", "use INTEGER, DOUBLE, VARCHAR, DATE or TIMESTAMP"
        )


def _check_table(table: exp.Table, names: _QueryNames) -> None:
    """Raise QueryError if a table is neither a relation nor defined by the query itself."""
    name = table.name.lower()
    plain = (
        isinstance(table.this, exp.Identifier) and not table.args.get("db") and not table.args.get("catalog")
    )
    if names.tables & RELATIONS.keys():
        raise _refusal(table, "a WITH may not be named like a relation", "give it another name")
    if not plain or name not in RELATIONS.keys() | names.tables:
        raise _refusal(
            table,
            f"there is no relation `{table.sql(dialect='duckdb')}`",
            f"there are: {', '.join(RELATIONS)}",
        )


def _check_column(column: exp.Column, names: _QueryNames, refused: Mapping[str, str]) -> None:
    """Raise QueryError if a column is unknown, or if the purpose may not see it at all."""
    name = column.name.lower()
    known = {*names.columns, "version"}.union(*(relation.columns for relation in RELATIONS.values()))
    if isinstance(column.this, exp.Star):
        return
    if column.args.get("db") or column.args.get("catalog") or name not in known:
        raise _refusal(
            column,
            f"there is no column `{column.sql(dialect='duckdb')}`",
            strict.suggest_nearest(name, sorted(known), "columns"),
        )
    if name in refused and name not in names.columns:
        raise _refusal(column, f"`{name}` {refused[name]}", "use another purpose, or leave the column out")


def _check_join(join: exp.Join) -> None:
    if join.args.get("method") or join.side.upper() not in JOIN_SIDES or join.kind.upper() not in JOIN_KINDS:
        raise _refusal(join, "this kind of join is not allowed", "use JOIN, LEFT JOIN or CROSS JOIN")


def _check_place(query: exp.Expr) -> None:
    """Raise QueryError for a query within an expression, which could single out each row."""
    parent = query.parent
    is_source = isinstance(parent, exp.From | exp.Join | exp.CTE | exp.Subquery | exp.SetOperation)
    if parent is not None and not (is_source and query.arg_key in {"this", "expression"}):
        raise _refusal(
            query, "a query within an expression is not allowed", "write it as a WITH, and join it"
        )


def _limit(tree: exp.Query, rows: int) -> None:
    """Limit the result to one row more than it may have, so that a longer one is noticed."""
    limit = tree.args.get("limit")
    row_limit = rows + 1
    if limit is not None:
        count = limit.expression
        if not (isinstance(count, exp.Literal) and count.is_int):
            raise _refusal(limit, "LIMIT must be a number", "write it as digits")
        row_limit = min(row_limit, int(count.name))
    tree.set("limit", exp.Limit(expression=exp.Literal.number(row_limit)))


def _reveals_individuals(tree: exp.Query) -> bool:
    """Return whether the result is about individual visitors: it shows single rows, or a column that identifies one."""
    for select in tree.find_all(exp.Select):
        reads_relation = any(
            table.name.lower() in RELATIONS
            for table in select.find_all(exp.Table)
            if table.parent_select is select
        )
        if reads_relation and not _is_aggregated(select):
            return True
    return any(
        column.name.lower() in IDENTIFYING_COLUMNS and not _is_counted(column)
        for column in tree.find_all(exp.Column)
    )


def _is_aggregated(select: exp.Select) -> bool:
    """Return whether each row of a SELECT aggregates many rows, as far as its text shows."""
    group = select.args.get("group")
    keys = [
        column for column in select.expressions if not column.find(exp.AggFunc) or column.find(exp.Window)
    ]
    if not group:
        return not keys
    return all(
        _is_coarse(column)
        for key in (*keys, *group.expressions)
        for column in key.find_all(exp.Column)
        if column.name.lower() in NEAR_UNIQUE_COLUMNS
    )


def _is_coarse(column: exp.Column) -> bool:
    """Return whether a time is truncated to the hour, the day or more."""
    parent = column.parent
    if isinstance(parent, exp.TimestampTrunc | exp.DateTrunc | exp.Extract):
        return parent.text("this" if isinstance(parent, exp.Extract) else "unit").upper() in COARSE_TIME_UNITS
    return isinstance(parent, COARSE_TIME_NODES) or (
        isinstance(parent, exp.Cast) and parent.to.this == exp.DataType.Type.DATE
    )


def _is_counted(column: exp.Column) -> bool:
    """Return whether a column is only counted."""
    parent = column.parent
    while isinstance(parent, exp.Distinct | exp.Tuple):
        parent = parent.parent
    return isinstance(parent, exp.Count | exp.ApproxDistinct)


def _refusal(node: exp.Expr, message: str, hint: str) -> QueryError:
    return QueryError(f"{message}{_place(node)}", hint)


def _place(node: exp.Expr) -> str:
    """Return where a node is in the text; empty if that is unknown."""
    start = next((meta["start"] for meta in _metas(node) if "start" in meta), None)
    return "" if start is None else f" (at character {start + 1})"


def _metas(node: exp.Expr) -> Iterator[Mapping[str, int]]:
    for child in node.walk():
        yield child.meta
