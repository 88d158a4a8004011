"""Run a reader's own SQL over the purpose view of one purpose."""

from collections.abc import Callable, Iterable
from contextlib import closing

import msgspec

from avowal.clock import utc_now
from avowal.errors import QueryError
from avowal.policy.vocabulary import load_vocabulary
from avowal.store.query_process import Batch, QueryAnswer, QueryLimits, run_in_process
from avowal.store.query_worker import Question
from avowal.use.purpose_view import HiddenColumns, PurposeView, ResultTable

QueryRunner = Callable[[Question, Iterable[Batch], QueryLimits], QueryAnswer]
"""Runs a validated query over the batches of its relations."""

REVEALING_CODES = frozenset({"query-failed", "query-timeout", "query-too-large"})
"""Codes of errors that depend on what is stored: whether a query fails may tell something about a visitor."""


class SqlQuery(msgspec.Struct, frozen=True):
    """A reader's SQL for a purpose. If `explain_only` is set, it is validated and not run."""

    purpose: str
    sql: str
    reader: str
    explain_only: bool = False


class QueryResult(msgspec.Struct, frozen=True):
    """The SQL as it was run, its result, and notes about it."""

    purpose: str
    executed_sql: str
    table: ResultTable | None
    reveals_individuals: bool = True
    """Whether the result may be about single visitors, and not only about groups of them."""
    is_truncated: bool = False
    """Whether there are more rows than a result may have."""
    notes: list[str] = []


def run_sql_query(
    purpose_view: PurposeView,
    query: SqlQuery,
    limits: QueryLimits,
    hidden: HiddenColumns,
    run: QueryRunner = run_in_process,
) -> QueryResult:
    """Validate and run a reader's SQL. Raises QueryError if it is not allowed, fails, or exceeds a limit."""
    # imported here: the SQL parser would take a tenth of the start of every command
    from avowal.use.group_check import GROUP_VISITORS_MIN, plan_group_check
    from avowal.use.sql_allow_list import validate_query
    from avowal.use.time_range import find_time_ranges

    validated = validate_query(query.sql, purpose_view.refused_columns(), limits.rows_max)
    notes = []
    if query.purpose not in load_vocabulary().purposes:
        purposes = ", ".join(load_vocabulary().purposes)
        notes = [f"nothing is shown: `{query.purpose}` is not a purpose of the terms; there are: {purposes}"]
    if query.explain_only:
        return QueryResult(query.purpose, validated.sql, None, notes=notes)
    visitors_min = max(GROUP_VISITORS_MIN, purpose_view.smallest_group)
    check = plan_group_check(validated.tree, hidden, visitors_min)
    question = Question(validated.sql, limits.rows_max + 1, list(validated.columns), check)
    times = find_time_ranges(validated.tree, utc_now())
    with closing(purpose_view.read_batches(validated.columns, times, hidden if check else None)) as batches:
        answer = run(question, batches, limits)
    table = ResultTable(answer.table.columns, answer.table.rows[: limits.rows_max])
    return QueryResult(
        query.purpose,
        validated.sql,
        table,
        not answer.is_about_groups,
        len(answer.table.rows) > limits.rows_max,
        notes,
    )


def is_revealing(error: QueryError) -> bool:
    """Return whether an error of a query may tell something about a visitor."""
    return error.code in REVEALING_CODES
