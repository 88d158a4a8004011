"""People's own questions: bound to the reading for one purpose, and asked of it."""

import msgspec

from avowal.policy.vocabulary import vocabulary
from avowal.use.purpose_view import Reading, Table


class Query(msgspec.Struct, frozen=True):
    """A question in SQL, of a reader and for a purpose; with `explain`, it is bound and not asked."""

    purpose: str
    sql: str
    reader: str
    explain: bool = False


class Asked(msgspec.Struct, frozen=True):
    """A question as it was bound, its answer, and what is to be said of it."""

    purpose: str
    bound: str
    single: bool
    """Whether it tells of single visitors, and not only of many together."""
    answer: Table | None
    cut: bool = False
    """Whether there are more rows than an answer may have."""
    notes: list[str] = []


def ask(reading: Reading, query: Query, rows: int, seconds: float) -> Asked:
    """Bind a question to a reading, and ask it. Raises QueryError where it may not be asked, or cannot be answered."""
    from avowal.use.sql_allow_list import bind  # a parser, which takes a tenth of every other command's start

    bound = bind(query.sql, reading.refused(), rows)
    notes = []
    if query.purpose not in vocabulary().purposes:
        known = ", ".join(vocabulary().purposes)
        notes = [f"nothing is shown: `{query.purpose}` is no purpose of the terms; these are: {known}"]
    if query.explain:
        return Asked(query.purpose, bound.sql, bound.single, None, notes=notes)
    found = reading.ask_once(bound.sql, seconds)
    shown = Table(found.columns, found.rows[:rows])
    return Asked(query.purpose, bound.sql, bound.single, shown, len(found.rows) > rows, notes)
