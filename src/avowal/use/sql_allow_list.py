"""People's own SQL, bound to a reading: what is not known to be harmless is refused, with its place and the reason.

The text is parsed; every node of the tree has to be of a kind that is listed here, every name one of the reading's or
of the question's own; and what is run is written anew from the tree. So nothing is run that was not looked at.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from avowal import strict
from avowal.errors import QueryError
from avowal.store.sql_builder import SqlFragment
from avowal.use.purpose_view import RELATIONS

QUERY_CHARACTERS_MAX = 10_000
"""Longest question, in characters."""

NESTING_NODES_MAX = 100
"""How deep a question may be nested, in nodes of its tree."""

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
"""Kinds of nodes that a question may have, by their names in sqlglot."""

UNTYPED_FUNCTIONS = frozenset({"now", "today", "epoch", "epoch_ms", "dayname", "monthname", "date_part"})
"""Functions that sqlglot has no kind of their own for."""

CAST_TYPE_NAMES = """
    BOOLEAN TINYINT SMALLINT INT BIGINT UTINYINT USMALLINT UINT UBIGINT FLOAT DOUBLE DECIMAL VARCHAR TEXT CHAR DATE TIME
    TIMESTAMP TIMESTAMPTZ TIMESTAMPNTZ INTERVAL
"""
CAST_TYPES = frozenset(getattr(exp.DataType.Type, name) for name in CAST_TYPE_NAMES.split())
"""What a value can be cast to."""

JOIN_SIDES = frozenset({"", "LEFT", "RIGHT", "FULL"})
JOIN_KINDS = frozenset({"", "INNER", "OUTER", "CROSS", "SEMI", "ANTI"})

IDENTIFYING_COLUMNS = frozenset({"visitor_id", "daily_key", "ip_address"})
"""Columns that tell who somebody is: a question that names one is about single visitors."""

NEAR_UNIQUE_COLUMNS = frozenset({"bytes", "response_time_us", "view_duration_ms", "visit_duration_ms"}) | {
    relation.time_column for relation in RELATIONS.values()
}
"""Columns that hardly two rows have alike: groups by them are single rows, unless they are made coarse."""

COARSE_TIME_NODES = (exp.Year, exp.Month, exp.Day, exp.Hour, exp.DayOfWeek, exp.DayOfWeekIso, exp.DayOfYear)
COARSE_TIME_UNITS = frozenset({"HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR", "DOW", "ISODOW", "DOY"})


class ValidatedQuery(NamedTuple):
    """A question that may be run: its SQL, and whether it tells of single visitors rather than of many together."""

    sql: str
    reveals_individuals: bool


def validate_query(text: str, refused_columns: Mapping[str, str], rows_max: int) -> ValidatedQuery:
    """Bind a question to a reading. `refused` has the columns that it may not name, each with the reason.

    The answer has at most one row more than `rows`. Raises QueryError where the question may not be asked.
    """
    return _bind(text, tuple(sorted(refused_columns.items())), rows_max)


@lru_cache(maxsize=1024)
def _bind(text: str, refused: tuple[tuple[str, str], ...], rows: int) -> ValidatedQuery:
    tree = _parsed(text)
    _check(tree, dict(refused))
    _limit(tree, rows)
    return ValidatedQuery(tree.sql(dialect="duckdb", comments=False), _is_single(tree))


def _check(tree: exp.Query, refused: Mapping[str, str]) -> None:
    """Refuse a question of which anything is not known to be harmless, or that names what is refused."""
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


SELECT_ROWS = "SELECT * FROM "


class RowSelection(NamedTuple):
    """Rows of a relation, selected by a validated condition on its columns."""

    relation: str
    condition: SqlFragment


def parse_row_selection(text: str, refused_columns: Mapping[str, str]) -> RowSelection:
    """Bind what chooses rows, `RELATION WHERE CONDITION`, to a reading; `refused` as for `bind`.

    Raises QueryError where rows may not be chosen by it.
    """
    tree = _parsed(SELECT_ROWS + text)
    _check(tree, refused_columns)
    given = {part for part, value in tree.args.items() if value}
    source, where = tree.find(exp.Table), tree.args.get("where")
    plain = given == {"expressions", "from_", "where"} and not tree.find(exp.AggFunc, exp.Window)
    if not plain or source is None or source.alias or where is None:
        raise QueryError(
            "rows are chosen of one relation by a condition alone",
            "write it as in `requests WHERE status = 404 AND page_path LIKE '/login%'`",
        )
    return RowSelection(source.name.lower(), SqlFragment(where.this.sql(dialect="duckdb", comments=False)))


def _parsed(text: str) -> exp.Query:
    """Return the one query that a text is."""
    if len(text) > QUERY_CHARACTERS_MAX:
        raise QueryError(
            f"the question has more than {QUERY_CHARACTERS_MAX:,} characters",
            "ask a shorter one",
            code="query-too-long",
        )
    try:
        statements = sqlglot.parse(text, read="duckdb")
    except (SqlglotError, RecursionError) as error:
        told = getattr(error, "errors", None) or [{}]
        place = f" at line {told[0]['line']}, column {told[0]['col']}" if told[0].get("line") else ""
        raise QueryError(
            f"this is no SQL that can be understood{place}", "write one SELECT", code="query-invalid"
        ) from None
    found = [statement for statement in statements if statement is not None]
    if len(found) != 1 or not isinstance(found[0], exp.Select | exp.SetOperation):
        raise QueryError("only one SELECT can be asked", "write it without anything before or behind it")
    tree = found[0]
    if not all(select.expressions for select in tree.find_all(exp.Select)):
        raise QueryError("this SELECT asks for nothing", "name a column, or `*`")
    if any(node.depth > NESTING_NODES_MAX for node in tree.walk()):
        raise QueryError(
            f"the question is nested deeper than {NESTING_NODES_MAX}",
            "ask a simpler one",
            code="query-too-long",
        )
    return tree


class _QueryNames(NamedTuple):
    """The names that a question has of its own: of the tables that it makes, and of columns."""

    tables: frozenset[str]
    columns: frozenset[str]

    @classmethod
    def from_tree(cls, tree: exp.Query) -> "_QueryNames":
        made = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
        columns = {alias.alias.lower() for alias in tree.find_all(exp.Alias)}
        for alias in tree.find_all(exp.TableAlias):
            columns |= {column.name.lower() for column in alias.args.get("columns") or []}
        return cls(frozenset(made), frozenset(columns))


def _check_kind(node: exp.Expr) -> None:
    """Refuse a node whose kind, or function, is not listed."""
    kind = type(node).__name__
    if isinstance(node, exp.Anonymous) and node.name.lower() in UNTYPED_FUNCTIONS:
        return
    if kind not in ALLOWED_NODES:
        what = node.name if isinstance(node, exp.Anonymous) else node.key
        raise _refusal(
            node,
            f"`{what.lower()}` cannot be used",
            "what can be used is in the reference, under `avowal query`",
        )
    if isinstance(node, exp.With) and node.args.get("recursive"):
        raise _refusal(node, "WITH RECURSIVE cannot be used", "a reading has no hierarchies to walk")
    if isinstance(node, exp.DataType) and (node.this not in CAST_TYPES or node.args.get("nested")):
        raise _refusal(node, "this type cannot be cast to", "use INTEGER, DOUBLE, VARCHAR, DATE or TIMESTAMP")


def _check_table(table: exp.Table, names: _QueryNames) -> None:
    """Refuse whatever is none of the reading's relations, nor made by the question itself."""
    name = table.name.lower()
    plain = (
        isinstance(table.this, exp.Identifier) and not table.args.get("db") and not table.args.get("catalog")
    )
    if names.tables & RELATIONS.keys():
        raise _refusal(table, "a WITH may not have the name of a relation", "give it another name")
    if not plain or name not in RELATIONS.keys() | names.tables:
        raise _refusal(
            table,
            f"there is no relation `{table.sql(dialect='duckdb')}`",
            f"there are: {', '.join(RELATIONS)}",
        )


def _check_column(column: exp.Column, names: _QueryNames, refused: Mapping[str, str]) -> None:
    """Refuse a column that is none of a relation, or that the purpose may not see at all."""
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
        raise _refusal(column, f"`{name}` {refused[name]}", "ask for another purpose, or without it")


def _check_join(join: exp.Join) -> None:
    told = (join.args.get("method"), join.side, join.kind)
    if told[0] or join.side.upper() not in JOIN_SIDES or join.kind.upper() not in JOIN_KINDS:
        raise _refusal(join, "this kind of join cannot be used", "use JOIN, LEFT JOIN or CROSS JOIN")


def _check_place(query: exp.Expr) -> None:
    """Refuse a query within an expression: it might look at each row apart."""
    parent = query.parent
    placed = isinstance(parent, exp.From | exp.Join | exp.CTE | exp.Subquery | exp.SetOperation)
    if parent is not None and not (placed and query.arg_key in {"this", "expression"}):
        raise _refusal(
            query, "a query within an expression cannot be used", "write it as a WITH, and join it"
        )


def _limit(tree: exp.Query, rows: int) -> None:
    """Limit the answer to one row more than it may have, so that a longer one is known."""
    limit = tree.args.get("limit")
    asked = rows + 1
    if limit is not None:
        count = limit.expression
        if not (isinstance(count, exp.Literal) and count.is_int):
            raise _refusal(limit, "LIMIT has to be a number", "write it out")
        asked = min(asked, int(count.name))
    tree.set("limit", exp.Limit(expression=exp.Literal.number(asked)))


def _is_single(tree: exp.Query) -> bool:
    """Return whether the answer tells of single visitors: of rows that are not taken together, or by who they are."""
    for select in tree.find_all(exp.Select):
        reads = any(
            table.name.lower() in RELATIONS
            for table in select.find_all(exp.Table)
            if table.parent_select is select
        )
        if reads and not _is_together(select):
            return True
    return any(
        column.name.lower() in IDENTIFYING_COLUMNS and not _is_counted(column)
        for column in tree.find_all(exp.Column)
    )


def _is_together(select: exp.Select) -> bool:
    """Return whether each row of a SELECT is made of many rows, as far as can be told from its text."""
    group = select.args.get("group")
    keys = [one for one in select.expressions if not one.find(exp.AggFunc) or one.find(exp.Window)]
    if not group:
        return not keys
    return all(
        _is_coarse(column)
        for key in (*keys, *group.expressions)
        for column in key.find_all(exp.Column)
        if column.name.lower() in NEAR_UNIQUE_COLUMNS
    )


def _is_coarse(column: exp.Column) -> bool:
    """Return whether only the hour, the day or more is taken of a moment."""
    above = column.parent
    if isinstance(above, exp.TimestampTrunc | exp.DateTrunc | exp.Extract):
        return above.text("this" if isinstance(above, exp.Extract) else "unit").upper() in COARSE_TIME_UNITS
    return isinstance(above, COARSE_TIME_NODES) or (
        isinstance(above, exp.Cast) and above.to.this == exp.DataType.Type.DATE
    )


def _is_counted(column: exp.Column) -> bool:
    """Return whether a column is only counted."""
    above = column.parent
    while isinstance(above, exp.Distinct | exp.Tuple):
        above = above.parent
    return isinstance(above, exp.Count | exp.ApproxDistinct)


def _refusal(node: exp.Expr, message: str, hint: str) -> QueryError:
    return QueryError(f"{message}{_place(node)}", hint)


def _place(node: exp.Expr) -> str:
    """Tell where a node stands in the text, as far as that is known."""
    start = next((meta["start"] for meta in _metas(node) if "start" in meta), None)
    return "" if start is None else f" (at character {start + 1})"


def _metas(node: exp.Expr) -> Iterator[Mapping[str, int]]:
    for one in node.walk():
        yield one.meta
