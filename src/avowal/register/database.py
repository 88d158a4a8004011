"""The register's file: SQLAlchemy's way to it and the driver's own, and the transactions that both write in."""

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import sqlalchemy as sa

from avowal.errors import StoreError

BUSY_SECONDS = 10
"""How long to wait for another process that writes."""

BURST_SECONDS_MAX = 1.0
BURST_TRANSACTIONS_MAX = 64
"""How long, and how often, the same is done for one wait for the disk, which is the first's (R12 of the readings)."""

AnyConnection = sa.Connection | sqlite3.Connection


class Database:
    """One file in WAL mode, so that readers never wait for a writer."""

    def __init__(self, path: Path) -> None:
        """Open a file when it is first used, and make it where there is none."""
        self.path = path
        self.engine = self._engine()
        self._idle: deque[_DriverConnection] = deque()
        self._lock = threading.Lock()
        self._waited: dict[Hashable, tuple[float, int]] = {}

    def _engine(self) -> sa.Engine:
        engine = sa.create_engine(f"sqlite:///{self.path}", connect_args={"timeout": BUSY_SECONDS})
        sa.event.listen(engine, "connect", _prepare)
        sa.event.listen(engine, "begin", _begin)
        return engine

    def close(self) -> None:
        """Leave the file as it is."""
        self.engine.dispose()
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def driver_connection(self) -> Iterator["_DriverConnection"]:
        """Give a connection of the driver's own, for what is done thousands of times.

        SQLAlchemy takes 50 µs to give one, and a statement costs 5 µs by it and 100 otherwise (`docs/performance.md`).
        """
        connection = self._take()
        try:
            yield connection
        finally:
            self._give(connection)

    @contextmanager
    def snapshot(self) -> Iterator["Database"]:
        """Give the file as it is at this moment, to be read: it holds nothing of what anybody writes meanwhile."""
        found = _SnapshotDatabase(self.path)
        try:
            yield found
        finally:
            found.close()

    def _take(self) -> "_DriverConnection":
        try:
            return self._idle.pop()
        except IndexError:
            return self._opened()

    def _opened(self) -> "_DriverConnection":
        try:
            connection = sqlite3.connect(
                self.path, BUSY_SECONDS, check_same_thread=False, factory=_DriverConnection
            )
            _prepare(connection, None)
        except sqlite3.DatabaseError as error:
            raise self._refused(error, "opened") from None
        return connection

    def _give(self, connection: "_DriverConnection") -> None:
        if connection.in_transaction:
            connection.rollback()
        self._idle.append(connection)

    @contextmanager
    def write_transaction(self) -> Iterator[sa.Connection]:
        """Give a connection in a transaction that keeps other writers waiting from its beginning.

        Raises StoreError where it cannot be done.
        """
        try:
            with (
                self.engine.connect().execution_options(avowal_writes=True) as connection,
                connection.begin(),
            ):
                yield connection
        except (sa.exc.DatabaseError, sqlite3.DatabaseError) as error:
            raise self._refused(error) from None

    @contextmanager
    def driver_transaction(self, burst_key: Hashable = None) -> Iterator[sqlite3.Connection]:
        """Give the driver's own connection in a transaction, as `writing` does.

        It is on the disk once this returns, unless the same was done within the last second, and is there. Then it
        outlives the process only, until the next one that waits takes it to the disk.
        """
        began, waits = time.monotonic(), not self._in_burst(burst_key)
        connection = self._take()
        try:
            if connection.waits_for_disk != waits:
                connection.execute(f"PRAGMA synchronous = {'FULL' if waits else 'NORMAL'}")
                connection.waits_for_disk = waits
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise self._refused(error) from None
        finally:
            self._give(connection)
        if waits and burst_key is not None:
            with self._lock:
                self._waited[burst_key] = began, 1

    def _in_burst(self, doing: Hashable) -> bool:
        """Return whether something need not wait, and count it."""
        if doing is None:
            return False
        with self._lock:
            since, times = self._waited.get(doing, (0.0, BURST_TRANSACTIONS_MAX))
            if times >= BURST_TRANSACTIONS_MAX or time.monotonic() - since >= BURST_SECONDS_MAX:
                return False
            self._waited[doing] = since, times + 1
            return True

    def _refused(self, error: Exception, what: str = "written") -> StoreError:
        """Return what is said where the file cannot be written, or opened; it tells no value."""
        cause = getattr(error, "orig", error)
        return StoreError(
            f"`{self.path}` cannot be {what} ({type(cause).__name__})",
            "nothing was changed; look at the disk, and at who else writes to it"
            if isinstance(cause, sqlite3.OperationalError)
            else "nothing was changed; it is damaged, or others wrote to it: put it back from a backup with the data",
        )


class _DriverConnection(sqlite3.Connection):
    """A connection of the driver's own."""

    waits_for_disk = True
    """Whether what it commits is on the disk then."""


class _SnapshotDatabase(Database):
    """One transaction on one connection, which reads."""

    def __init__(self, path: Path) -> None:
        self._only = sqlite3.connect(path, BUSY_SECONDS, check_same_thread=False, factory=_SnapshotConnection)
        self._only.isolation_level = None
        for statement in ("PRAGMA query_only = ON", "BEGIN", "SELECT count(*) FROM sqlite_master"):
            self._only.execute(statement).fetchall()
        super().__init__(path)

    def _engine(self) -> sa.Engine:
        return sa.create_engine("sqlite://", creator=lambda: self._only, poolclass=sa.StaticPool)

    def close(self) -> None:
        self.engine.dispose()
        self._only.close()

    def _take(self) -> "_DriverConnection":
        return self._only

    def _give(self, connection: "_DriverConnection") -> None:
        """Keep it."""


class _SnapshotConnection(_DriverConnection):
    """A connection whose transaction ends with it."""

    def commit(self) -> None:
        """Do nothing: SQLAlchemy ends its transactions so."""

    def rollback(self) -> None:
        """Do nothing, as above."""


def get_driver_connection(connection: AnyConnection) -> sqlite3.Connection:
    """Return the driver's own connection, within the same transaction."""
    if isinstance(connection, sqlite3.Connection):
        return connection
    return cast("sqlite3.Connection", connection.connection.dbapi_connection)


def _prepare(connection: sqlite3.Connection, _: object) -> None:
    """Set up a connection: durable at each commit, nothing left of what was deleted, transactions begun by us."""
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("avowal_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
