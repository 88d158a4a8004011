"""Validate a reader's own SQL: what is not known to be harmless is refused, with its place and the reason.

The text is parsed. Every node of its tree must be of a kind that is listed here, and every name must be one of the
relations' or of the query's own. The SQL that runs is generated from the tree, so nothing runs that was not checked.
"""

import logging
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import sqlglot
from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from avowal import strict
from avowal.errors import QueryError
from avowal.use.purpose_view import RELATIONS
from avowal.use.query_refusal import refuse
from avowal.use.table_scope import find_needed_columns, resolve_tables

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
    IgnoreNulls Coalesce Nullif Greatest Least Lower Upper Length Trim Substring SplitPart Concat Replace RegexpLike
    RegexpExtract StartsWith EndsWith Contains Round Floor Ceil Abs Ln Sqrt TimestampTrunc DateTrunc Extract Year Month
    Day Hour Minute DayOfWeek DayOfWeekIso DayOfYear Week Quarter TimeToStr DateDiff CurrentDate
    CurrentTimestamp Date DateBin AtTimeZone Mode Quantile LogicalOr LogicalAnd Left Right StrPosition RegexpReplace
    ConcatWs Glob SimilarTo Log Pow TimeToUnix UnixToTime Dayname Monthname
"""
ALLOWED_NODES = frozenset((SYNTAX_NODES + FUNCTION_NODES).split())
"""The kinds of nodes that a query may have, by their names in sqlglot."""

UNTYPED_FUNCTIONS = frozenset({"now", "date_part"})
"""Functions for which sqlglot has no node kind of their own."""

CAST_TYPE_NAMES = """
    BOOLEAN TINYINT SMALLINT INT BIGINT UTINYINT USMALLINT UINT UBIGINT FLOAT DOUBLE DECIMAL VARCHAR TEXT CHAR DATE TIME
    TIMESTAMP TIMESTAMPTZ TIMESTAMPNTZ INTERVAL
"""
CAST_TYPES = frozenset(getattr(exp.DataType.Type, name) for name in CAST_TYPE_NAMES.split())
"""Types to which a value can be cast."""

PLAIN_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
WORD_START, WORD_END = re.compile(r"[\w.]+"), re.compile(r"[\w.]+\Z")
REFUSED_TOKENS = frozenset(
    {TokenType.L_BRACKET, TokenType.R_BRACKET, TokenType.L_BRACE, TokenType.R_BRACE, TokenType.PARAMETER}
)

JOIN_SIDES = frozenset({"", "LEFT", "RIGHT", "FULL"})
JOIN_KINDS = frozenset({"", "INNER", "OUTER", "CROSS", "SEMI", "ANTI"})


class ValidatedQuery(NamedTuple):
    """SQL that may be run."""

    tree: exp.Query
    sql: str
    columns: dict[str, list[str]]
    """The columns that it needs of each relation that it reads."""


def validate_query(text: str, refused_columns: Mapping[str, str], rows_max: int) -> ValidatedQuery:
    """Validate a query. `refused_columns` has the columns that it may not name, each with the reason.

    Its result has at most one row more than `rows_max`. Raises QueryError if the query is not allowed.
    """
    tree = parse_query(text)
    check_query(tree, refused_columns)
    _limit(tree, rows_max)
    return ValidatedQuery(tree, tree.sql(dialect="duckdb", comments=False), find_needed_columns(tree))


def check_query(tree: exp.Query, refused: Mapping[str, str]) -> None:
    """Resolve the tables. Raise QueryError if a node is not known to be harmless, or names a refused column."""
    for node in tree.walk():
        _check_kind(node)
    resolve_tables(tree)
    known = _defined_columns(tree)
    for node in tree.walk():
        if isinstance(node, exp.Column):
            _check_column(node, known, refused)
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
        _check_tokens(text)
        statements = sqlglot.parse(text, read="duckdb")
    except QueryError:
        raise
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


def _check_tokens(text: str) -> None:
    """Raise QueryError for brackets, which only lists have, and for literals that the parser may misread."""
    tokens = sqlglot.tokenize(text, read="duckdb")
    for token, next_token in pairwise([*tokens, Token(TokenType.SEMICOLON, "")]):
        word = text[token.start : token.end + 1]
        if token.token_type == TokenType.NUMBER:
            word = _extend_word(text, token.start, token.end + 1)
        if token.token_type in REFUSED_TOKENS:
            problem, hint = f"`{word}` is not allowed", "lists and structs are not allowed"
        elif token.token_type == TokenType.NUMBER and not PLAIN_NUMBER.fullmatch(word):
            problem, hint = f"`{word}` is not a number", "use decimal digits"
        elif token.token_type.name.endswith("_STRING"):
            problem, hint = "this kind of text is not allowed", "write text between single quotes"
        elif token.token_type == next_token.token_type == TokenType.STRING:
            problem, hint = "two texts stand beside each other", "put `||` between them"
        else:
            continue
        raise QueryError(f"{problem} (at character {token.start + 1})", hint)


def _extend_word(text: str, start: int, end: int) -> str:
    """Return a number with the letters, digits and dots that follow it, and two of those that stand before it."""
    before, after = WORD_END.search(text, max(start - 2, 0), start), WORD_START.match(text, end)
    return (before[0] if before else "") + text[start:end] + (after[0] if after else "")


def _defined_columns(tree: exp.Query) -> frozenset[str]:
    """Return the names of columns that a query defines."""
    names = {alias.alias.lower() for alias in tree.find_all(exp.Alias)}
    for alias in tree.find_all(exp.TableAlias):
        names |= {column.name.lower() for column in alias.args.get("columns") or []}
    return frozenset(names)


def _check_kind(node: exp.Expr) -> None:
    """Raise QueryError if a node's kind or function is not listed."""
    kind = type(node).__name__
    if isinstance(node, exp.Anonymous) and node.name.lower() in UNTYPED_FUNCTIONS:
        return
    if kind not in ALLOWED_NODES:
        label = node.name if isinstance(node, exp.Anonymous) else node.key
        raise refuse(
            node,
            f"`{label.lower()}` is not allowed",
            "the reference lists what is allowed, under `avowal query`",
        )
    if isinstance(node, exp.Max | exp.Min) and node.args.get("count"):
        raise refuse(node, "a list of the greatest or least values is not allowed", "use ORDER BY and LIMIT")
    if isinstance(node, exp.With) and node.args.get("recursive"):
        raise refuse(node, "WITH RECURSIVE is not allowed", "the relations have no hierarchies")
    if isinstance(node, exp.DataType) and (node.this not in CAST_TYPES or node.args.get("nested")):
        raise refuse(
            node, "a cast to this type is not allowed", "use INTEGER, DOUBLE, VARCHAR, DATE or TIMESTAMP"
        )


def _check_column(column: exp.Column, defined: frozenset[str], refused: Mapping[str, str]) -> None:
    """Raise QueryError if a column is unknown, or if the purpose may not see it at all."""
    name = column.name.lower()
    known = {*defined, "version"}.union(*(relation.columns for relation in RELATIONS.values()))
    if isinstance(column.this, exp.Star):
        return
    if column.args.get("db") or column.args.get("catalog") or name not in known:
        raise refuse(
            column,
            f"there is no column `{column.sql(dialect='duckdb')}`",
            strict.suggest_nearest(name, sorted(known), "columns"),
        )
    if name in refused and name not in defined:
        raise refuse(column, f"`{name}` {refused[name]}", "use another purpose, or leave the column out")


def _check_join(join: exp.Join) -> None:
    if join.args.get("method") or join.side.upper() not in JOIN_SIDES or join.kind.upper() not in JOIN_KINDS:
        raise refuse(join, "this kind of join is not allowed", "use JOIN, LEFT JOIN or CROSS JOIN")


def _check_place(query: exp.Expr) -> None:
    """Raise QueryError for a query within an expression, which could single out each row."""
    parent = query.parent
    is_source = isinstance(parent, exp.From | exp.Join | exp.CTE | exp.Subquery | exp.SetOperation)
    if parent is not None and not (is_source and query.arg_key in {"this", "expression"}):
        raise refuse(query, "a query within an expression is not allowed", "write it as a WITH, and join it")


def _limit(tree: exp.Query, rows: int) -> None:
    """Limit the result to one row more than it may have, so that a longer one is noticed."""
    limit = tree.args.get("limit")
    row_limit = rows + 1
    if limit is not None:
        count = limit.expression
        if not (isinstance(count, exp.Literal) and count.is_int):
            raise refuse(limit, "LIMIT must be a number", "write it as digits")
        row_limit = min(row_limit, int(count.name))
    tree.set("limit", exp.Limit(expression=exp.Literal.number(row_limit)))
