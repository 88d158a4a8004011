"""Retention: what no purpose may keep any more goes, and what may be kept more coarsely is cut down to that.

The rules stand in `docs/spec/retention.md`. The store does it in one transaction, and writes down what it took away;
the register has that with an entry of the ledger; then the file is written anew, as deleting leaves bytes behind.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa

from avowal.ledger.entry import RemovedRecordCount, RetentionRun
from avowal.register.ledger_storage import append_entries
from avowal.register.repository import Repository
from avowal.register.tables import RETENTION_RUNS
from avowal.store.interface import RemovedRecords

RETENTION_GRACE = timedelta(days=1)
"""How long after its time something may still be there: retention runs once a day."""


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
