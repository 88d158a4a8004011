"""Runs of retention: how many records each removed or made coarser, with its entry in the ledger."""

from collections.abc import Sequence
from datetime import datetime

from avowal.ledger.entry import RemovedRecordCount, RetentionRun
from avowal.register.database import Connection
from avowal.register.ledger_storage import append_entries
from avowal.register.repository import Repository, to_parameters
from avowal.register.statements import load_statements
from avowal.store.interface import RemovedRecords

SQL = load_statements("avowal.register", "retention_runs")


class RetentionRuns(Repository):
    """The runs of retention of a register."""

    def record(
        self, run_number: int, removed_records: Sequence[RemovedRecords], removed_at: datetime
    ) -> None:
        """Record a run with its entry in the ledger; does nothing if it is recorded already."""
        with self._database.transaction() as connection:
            if connection.execute(SQL["select_run"], {"run_number": run_number}).fetchone() is None:
                record_retention_run(connection, run_number, removed_records, removed_at)


def record_retention_run(
    connection: Connection,
    run_number: int,
    removed_records: Sequence[RemovedRecords],
    removed_at: datetime,
) -> None:
    """Record a run in a transaction of the register."""
    counts = [
        RemovedRecordCount(removed.relation, removed.category, removed.version, removed.record_count)
        for removed in removed_records
    ]
    run = RetentionRun(run_number, counts, removed_at)
    values = to_parameters(run, removed_at=removed_at, entry=append_entries(connection, [run]))
    connection.execute(SQL["insert_run"], values)
