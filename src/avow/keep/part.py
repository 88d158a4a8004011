"""A part of the register, which reads and writes tables of its own; and the transactions that it does so in."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa

from avow.errors import StoreError


class Part:
    """Reads by `_engine`; `_write` and `_transact` give a connection in a transaction of the register."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def _write(self) -> AbstractContextManager[sa.Connection]:
        return writing(self._engine)

    def _transact(self) -> AbstractContextManager[sqlite3.Connection]:
        return transaction(self._engine)

    def leave_nothing(self) -> None:
        """Leave nothing of what was deleted in the log of writes either, where readers let that be done now."""
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Give a connection in a transaction that keeps other writers waiting from its beginning.

    Raises StoreError, which tells no value, where it cannot be done.
    """
    with (
        _told(engine),
        engine.connect().execution_options(avow_writes=True) as connection,
        connection.begin(),
    ):
        yield connection


@contextmanager
def transaction(engine: sa.Engine) -> Iterator[sqlite3.Connection]:
    """Give the driver's own connection in a transaction, as `writing` does: for what is done thousands of times."""
    with _told(engine):
        pooled = engine.raw_connection()
        try:
            database = cast("sqlite3.Connection", pooled.dbapi_connection)
            database.execute("BEGIN IMMEDIATE")
            yield database
            database.execute("COMMIT")
        finally:
            pooled.close()  # which undoes what was not committed


@contextmanager
def _told(engine: sa.Engine) -> Iterator[None]:
    try:
        yield
    except (sa.exc.DatabaseError, sqlite3.DatabaseError) as error:
        raise StoreError(
            f"`{engine.url.database}` cannot be written ({type(getattr(error, 'orig', error)).__name__})",
            "nothing was changed; look at the disk, and at who else writes to it",
        ) from None


Connection = sa.Connection | sqlite3.Connection


def driver(connection: Connection) -> sqlite3.Connection:
    """Return the driver's own connection, within the same transaction.

    A statement costs 5 µs by it, and 100 otherwise (`docs/performance.md`).
    """
    if isinstance(connection, sqlite3.Connection):
        return connection
    return cast("sqlite3.Connection", connection.connection.dbapi_connection)


def insert(connection: Connection, table: str, row: Mapping[str, Any]) -> int:
    """Insert a row by the driver, times among its values by `moment`; returns its number."""
    places = ", ".join("?" * len(row))
    sql = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})"  # noqa: S608  # our own names
    values = [moment(one) if isinstance(one, datetime) else one for one in row.values()]
    return int(driver(connection).execute(sql, values).lastrowid or 0)


def moment(at: datetime) -> str:
    """Return a time as the register's columns have it, for a statement of the driver's own."""
    return at.isoformat(" ", "microseconds")
