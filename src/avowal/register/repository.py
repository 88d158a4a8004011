"""A part of the register, which reads and writes tables of its own."""

import sqlite3
from collections.abc import Hashable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from avowal.register.database import Connection, Database, driver


class Part:
    """Reads by `_engine`, or by the driver; `_write` and `_transact` give a connection in a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._engine = database.engine

    def _driven(self) -> AbstractContextManager[sqlite3.Connection]:
        return self._database.driven()

    def _write(self) -> AbstractContextManager[sa.Connection]:
        return self._database.writing()

    def _transact(self, doing: Hashable = None) -> AbstractContextManager[sqlite3.Connection]:
        return self._database.transaction(doing)

    def leave_nothing(self) -> None:
        """Leave nothing of what was deleted in the log of writes either, where readers let that be done now."""
        with self._driven() as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def insert(connection: Connection, table: str, row: Mapping[str, Any]) -> int:
    """Insert a row by the driver, times among its values by `moment`; returns its number."""
    values = [moment(one) if isinstance(one, datetime) else one for one in row.values()]
    return int(driver(connection).execute(_insert(table, tuple(row)), values).lastrowid or 0)


@cache
def _insert(table: str, columns: tuple[str, ...]) -> str:
    """Return a statement that inserts a row; tables and columns are named by us."""
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608


def moment(at: datetime) -> str:
    """Return a time as the register's columns have it, for a statement of the driver's own."""
    return at.isoformat(" ", "microseconds")
