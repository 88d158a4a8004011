"""A part of the register, which reads and writes tables of its own."""

import sqlite3
from collections.abc import Hashable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from avowal.register.database import AnyConnection, Database, get_driver_connection


class Repository:
    """Reads by `_engine`, or by the driver; `_write` and `_transact` give a connection in a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._engine = database.engine

    def _driver_connection(self) -> AbstractContextManager[sqlite3.Connection]:
        return self._database.driver_connection()

    def _write_transaction(self) -> AbstractContextManager[sa.Connection]:
        return self._database.write_transaction()

    def _driver_transaction(self, burst_key: Hashable = None) -> AbstractContextManager[sqlite3.Connection]:
        return self._database.driver_transaction(burst_key)

    def truncate_wal(self) -> None:
        """Leave nothing of what was deleted in the log of writes either, where readers let that be done now."""
        with self._driver_connection() as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def insert_row(connection: AnyConnection, table: str, row: Mapping[str, Any]) -> int:
    """Insert a row by the driver, times among its values by `moment`; returns its number."""
    values = [format_time(one) if isinstance(one, datetime) else one for one in row.values()]
    return int(get_driver_connection(connection).execute(_insert(table, tuple(row)), values).lastrowid or 0)


@cache
def _insert(table: str, columns: tuple[str, ...]) -> str:
    """Return a statement that inserts a row; tables and columns are named by us."""
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608


def format_time(time: datetime) -> str:
    """Return a time as the register's columns have it, for a statement of the driver's own."""
    return time.isoformat(" ", "microseconds")
