"""Retention: what no purpose may keep any more goes, and what may be kept more coarsely is cut down to that.

The rules stand in `docs/spec/retention.md`. The store does it in one transaction, and writes down what it took away;
the register has that with an entry of the ledger; then the file is written anew, as deleting leaves bytes behind.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa

from avowal.ledger.entry import RemovedRecordCount, RetentionRun
from avowal.policy.bounds import Age, Bounds
from avowal.register.ledger_storage import append_entries
from avowal.register.repository import Repository
from avowal.register.tables import RETENTION_RUNS
from avowal.store import columns
from avowal.store.interface import RemovedRecords, RetentionAction

RETENTION_GRACE = timedelta(days=1)
"""How long after its time something may still be there: retention runs once a day."""


def plan_retention(governing_bounds: Sequence[Bounds], now: datetime) -> list[RetentionAction]:
    """Return what has to go now; `governs` has what governs each governing number, from 1 on."""
    kept = [
        {category: bounds.retention_ages(category) for category in bounds.collected_categories}
        for bounds in governing_bounds
    ]

    def allowed(category: str, precision: str) -> list[Age]:
        return [ages.get(category, {}).get(precision, 0) for ages in kept]

    found = []
    for name, relation in columns.RELATIONS.items():
        rows = allowed(relation.row_category, "full")
        if any(age is not None for age in rows):
            gone = f"NOT {columns.age_condition_sql(rows, relation.time_column, now)}"
            found.append(RetentionAction(name, relation.row_category, gone, ""))
        for column, forms in relation.columns.items():
            coarser = columns.column_sql(forms, rows, relation.time_column, allowed, now)
            if coarser != forms[0].sql:
                whole = columns.age_condition_sql(
                    allowed(forms[0].category, forms[0].precision), relation.time_column, now
                )
                gone = f"{column} IS NOT NULL AND NOT {whole} AND {column} IS DISTINCT FROM ({coarser})"
                found.append(RetentionAction(name, forms[0].category, gone, f"{column} = {coarser}"))
    return found


class RetentionRuns(Repository):
    """What retention took away, in the register."""

    def record(
        self, run_number: int, removed_records: Sequence[RemovedRecords], removed_at: datetime
    ) -> None:
        """Record a run with its entry in the ledger, once: one that is recorded changes nothing."""
        with self._write_transaction() as connection:
            known = sa.select(RETENTION_RUNS.c.run_number).where(RETENTION_RUNS.c.run_number == run_number)
            if connection.execute(known).first() is None:
                record_retention_run(connection, run_number, removed_records, removed_at)


def record_retention_run(
    connection: sa.Connection,
    run_number: int,
    removed_records: Sequence[RemovedRecords],
    removed_at: datetime,
) -> None:
    """Record a run in a transaction of the register."""
    counts = [
        RemovedRecordCount(one.relation, one.category, one.version, one.record_count)
        for one in removed_records
    ]
    row = {
        "run_number": run_number,
        "removed_records": msgspec.json.encode(counts).decode(),
        "entry": append_entries(connection, [RetentionRun(run_number, counts, removed_at)]),
        "removed_at": removed_at,
    }
    connection.execute(sa.insert(RETENTION_RUNS).values(row))
