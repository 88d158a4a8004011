"""People's own questions: bound to the reading for one purpose, and asked of it."""

import msgspec

from avowal.policy.vocabulary import load_vocabulary
from avowal.use.purpose_view import PurposeView, ResultTable


class SqlQuery(msgspec.Struct, frozen=True):
    """A question in SQL, of a reader and for a purpose; with `explain`, it is bound and not asked."""

    purpose: str
    sql: str
    reader: str
    explain_only: bool = False


class QueryResult(msgspec.Struct, frozen=True):
    """A question as it was bound, its answer, and what is to be said of it."""

    purpose: str
    executed_sql: str
    reveals_individuals: bool
    """Whether it tells of single visitors, and not only of many together."""
    table: ResultTable | None
    is_truncated: bool = False
    """Whether there are more rows than an answer may have."""
    notes: list[str] = []


def run_sql_query(
    purpose_view: PurposeView, query: SqlQuery, rows_max: int, timeout_seconds: float
) -> QueryResult:
    """Bind a question to a reading, and ask it. Raises QueryError where it may not be asked, or cannot be answered."""
    from avowal.use.sql_allow_list import (
        validate_query,  # a parser, which takes a tenth of every other command's start
    )

    bound = validate_query(query.sql, purpose_view.refused_columns(), rows_max)
    notes = []
    if query.purpose not in load_vocabulary().purposes:
        known = ", ".join(load_vocabulary().purposes)
        notes = [f"nothing is shown: `{query.purpose}` is no purpose of the terms; these are: {known}"]
    if query.explain_only:
        return QueryResult(query.purpose, bound.sql, bound.reveals_individuals, None, notes=notes)
    found = purpose_view.query_with_timeout(bound.sql, timeout_seconds)
    shown = ResultTable(found.columns, found.rows[:rows_max])
    return QueryResult(
        query.purpose, bound.sql, bound.reveals_individuals, shown, len(found.rows) > rows_max, notes
    )
