"""Run a reader's own SQL over the purpose view of one purpose."""

import msgspec

from avowal.policy.vocabulary import load_vocabulary
from avowal.use.purpose_view import PurposeView, ResultTable


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
    reveals_individuals: bool
    """Whether the result is about individual visitors, and not only about groups of them."""
    table: ResultTable | None
    is_truncated: bool = False
    """Whether there are more rows than a result may have."""
    notes: list[str] = []


def run_sql_query(
    purpose_view: PurposeView, query: SqlQuery, rows_max: int, timeout_seconds: float
) -> QueryResult:
    """Validate and run a reader's SQL. Raises QueryError if it is not allowed, fails or times out."""
    # imported here: the SQL parser would take a tenth of the start of every command
    from avowal.use.sql_allow_list import validate_query

    validated = validate_query(query.sql, purpose_view.refused_columns(), rows_max)
    notes = []
    if query.purpose not in load_vocabulary().purposes:
        purposes = ", ".join(load_vocabulary().purposes)
        notes = [f"nothing is shown: `{query.purpose}` is not a purpose of the terms; there are: {purposes}"]
    if query.explain_only:
        return QueryResult(query.purpose, validated.sql, validated.reveals_individuals, None, notes=notes)
    result = purpose_view.query_with_timeout(validated.sql, timeout_seconds)
    table = ResultTable(result.columns, result.rows[:rows_max])
    return QueryResult(
        query.purpose, validated.sql, validated.reveals_individuals, table, len(result.rows) > rows_max, notes
    )
