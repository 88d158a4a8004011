"""Retention: what no purpose may keep any more goes, and what may be kept more coarsely is cut down to that.

The rules stand in `docs/spec/retention.md`. The store does it in one transaction, and writes down what it took away;
the register has that with an entry of the ledger; then the file is written anew, as deleting leaves bytes behind.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa

from avowal.ledger.entry import RetentionRun
from avowal.policy.bounds import Age, Bounds
from avowal.register.ledger_storage import append
from avowal.register.repository import Part
from avowal.register.tables import RETENTIONS
from avowal.store import columns
from avowal.store.interface import Cut, Removed

GRACE = timedelta(days=1)
"""How long after its time something may still be there: retention runs once a day."""


def cuts(governs: Sequence[Bounds], now: datetime) -> list[Cut]:
    """Return what has to go now; `governs` has what governs each governing number, from 1 on."""
    kept = [{category: bounds.kept(category) for category in bounds.categories} for bounds in governs]

    def allowed(category: str, precision: str) -> list[Age]:
        return [ages.get(category, {}).get(precision, 0) for ages in kept]

    found = []
    for name, relation in columns.RELATIONS.items():
        rows = allowed(relation.category, "full")
        if any(age is not None for age in rows):
            gone = f"NOT {columns.condition(rows, relation.time, now)}"
            found.append(Cut(name, relation.category, gone, ""))
        for column, forms in relation.columns.items():
            coarser = columns.column(forms, rows, relation.time, allowed, now)
            if coarser != forms[0].sql:
                whole = columns.condition(allowed(forms[0].category, forms[0].precision), relation.time, now)
                gone = f"{column} IS NOT NULL AND NOT {whole} AND {column} IS DISTINCT FROM ({coarser})"
                found.append(Cut(name, forms[0].category, gone, f"{column} = {coarser}"))
    return found


class Retentions(Part):
    """What retention took away, in the register."""

    def record(self, run: int, removed: Sequence[Removed], removed_at: datetime) -> None:
        """Record a run with its entry in the ledger, once: one that is recorded changes nothing."""
        with self._write() as connection:
            known = sa.select(RETENTIONS.c.run).where(RETENTIONS.c.run == run)
            if connection.execute(known).first() is None:
                record(connection, run, removed, removed_at)


def record(connection: sa.Connection, run: int, removed: Sequence[Removed], removed_at: datetime) -> None:
    """Record a run in a transaction of the register."""
    told = [(one.relation, one.category, one.version, one.records) for one in removed]
    row = {
        "run": run,
        "removed": msgspec.json.encode(told).decode(),
        "entry": append(connection, [RetentionRun(run, told, removed_at)]),
        "removed_at": removed_at,
    }
    connection.execute(sa.insert(RETENTIONS).values(row))
