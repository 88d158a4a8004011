"""The register's SQLite file: connections, read and write transactions, and what follows a commit."""

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from avowal.errors import StoreError
from avowal.storage_errors import explain

BUSY_SECONDS = 10
"""How long to wait for another process that writes."""

BURST_SECONDS_MAX = 1.0
BURST_TRANSACTIONS_MAX = 64
"""The limits of a burst, of which only the first transaction waits for the disk (R12 in `docs/spec/readings.md`)."""

Publish = Callable[[], None]
"""Publishes a checkpoint after its transaction was committed."""


class Connection(sqlite3.Connection):
    """A connection to the register; its flags say what the end of its transaction has to do."""

    is_durable = True
    """Whether a commit waits for the disk."""
    needs_signature = False
    """Whether the ledger has entries that are not signed: it is signed when the transaction ends."""
    new_entries = 0
    """How many entries were appended to the ledger."""
    last_entry = -1
    """The number of the last entry that was appended."""
    sequence_after = 0
    """A number that the seal of the transaction has to be greater than, besides that of the seal before it."""
    has_erased = False
    """Whether something was erased: the log of writes (WAL) is truncated when the transaction ends."""
    watched_schema: int | None = None
    """The version of the schema under which its triggers sum up what a transaction changes; None without them."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.sum_changes: dict[str, int] = {}
        """What the transaction changes in the sum of the hashes of the rows of each table."""

    def begin(self) -> None:
        """Begin a transaction that keeps other writers waiting."""
        self.needs_signature = self.has_erased = False
        self.new_entries = self.sequence_after = 0
        self.sum_changes.clear()
        self.execute("BEGIN IMMEDIATE")

    def erase(self, statement: str, parameters: Mapping[str, Any]) -> int:
        """Execute a statement that deletes or overwrites personal data; returns how many rows it changed.

        Nothing of it is left in the file or in its log of writes once the transaction has ended, unless another
        process reads the log at that moment.
        """
        changed = self.execute(statement, parameters).rowcount
        self.has_erased = self.has_erased or changed > 0
        return changed


class Sealer(Protocol):
    """Seals the rows of a register, so that changes by others are found."""

    def watch(self, connection: Connection) -> None:
        """Let a connection sum up what its transactions change."""
        ...

    def seal(self, connection: Connection) -> Publish | None:
        """Seal what a transaction changed; returns what publishes that after the commit, or None if nothing changed."""
        ...


class Database:
    """One SQLite file in WAL mode: readers never wait for a writer, and writers take turns.

    Durable: what `transaction` returned from survives a loss of power, except within a burst. Atomic: a transaction
    is done wholly or not at all. Any number of threads and processes may use the file.
    """

    def __init__(self, path: Path) -> None:
        """Open a file when it is first used, and create it if there is none."""
        self.path = path
        self.sign_entries: Callable[[Connection], Publish] | None = None
        """Signs the ledger within a transaction that appended entries; set by the ledger."""
        self.sealer: Sealer | None = None
        """Seals the rows that a transaction changed; set by the register."""
        self._idle: deque[Connection] = deque()
        self._lock = threading.Lock()
        self._bursts: dict[Hashable, tuple[float, int]] = {}
        self._batches = 0
        self._unsigned = self._untruncated = False
        self._publish_seal: Publish | None = None

    def close(self) -> None:
        """Sign entries of the last burst that are not signed yet, and close all connections."""
        try:
            self._settle()
        finally:
            while self._idle:
                self._idle.pop().close()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that reads the file as it is at its first statement."""
        connection = self._take()
        try:
            if not connection.in_transaction:
                connection.execute("BEGIN")
            yield connection
        finally:
            self._give(connection)

    @contextmanager
    def transaction(self, burst_key: Hashable = None) -> Iterator[Connection]:
        """Give a connection in a transaction that keeps other writers waiting from its beginning.

        When the block ends, new entries are signed, everything is committed, and the log of writes is truncated if
        anything was erased; if the block raises, nothing is changed. What was committed is on the disk then, unless a
        transaction with the same `burst_key` within the last second already is: a burst is brought to the
        disk by the next transaction that waits for it, and signed by the next one of these that appends entries. Raises
        StoreError if the file cannot be written.
        """
        started, is_durable = time.monotonic(), not self._continue_burst(burst_key)
        connection, publish, publish_seal = self._take(), None, None
        try:
            if connection.is_durable != is_durable:
                connection.execute(f"PRAGMA synchronous = {'FULL' if is_durable else 'NORMAL'}")
                connection.is_durable = is_durable
            self._begin(connection)
            yield connection
            is_signing = connection.needs_signature and is_durable and not self._batches
            if is_signing and self.sign_entries:
                publish = self.sign_entries(connection)
            if self.sealer:
                publish_seal = self.sealer.seal(connection)
            self._unsigned = not is_signing and (self._unsigned or connection.needs_signature)
            self._untruncated = self._untruncated or connection.has_erased
            connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise self._store_error(error) from None
        finally:
            self._give(connection)
        if is_durable and burst_key is not None:
            with self._lock:
                self._bursts[burst_key] = started, 1
        if publish:
            publish()
        if publish_seal and is_durable:  # else a loss of power might leave a number that is too great
            self._publish_seal = publish_seal
        if not self._batches:
            self._publish_and_truncate()

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Sign entries and truncate the log of writes once, when the block ends, for all transactions within it."""
        with self._lock:
            self._batches += 1
        try:
            yield
        finally:
            with self._lock:
                self._batches -= 1
            if not self._batches:
                self._settle()

    @contextmanager
    def snapshot(self) -> Iterator["Database"]:
        """Give the file as it is at this moment, for reading: what others write meanwhile is not in it."""
        snapshot = _SnapshotDatabase(self.path)
        try:
            yield snapshot
        finally:
            snapshot.close()

    def _settle(self) -> None:
        """Sign and truncate what earlier transactions left to be signed and truncated."""
        if self._unsigned:
            with self.transaction() as connection:
                connection.needs_signature = True
        self._publish_and_truncate()

    def _begin(self, connection: Connection) -> None:
        if self.sealer and connection.watched_schema is None:
            self.sealer.watch(connection)
        connection.begin()
        if self.sealer:
            self.sealer.watch(connection)  # nobody else can change the schema any more

    def _publish_and_truncate(self) -> None:
        """Publish the last seal, and truncate the log of writes, if there is anything to publish or truncate."""
        publish, self._publish_seal = self._publish_seal, None
        if publish:
            publish()
        if self._untruncated:
            self._truncate_wal()

    def _truncate_wal(self) -> None:
        """Truncate the log of writes, if no other process reads it for as long as we wait."""
        self._untruncated = False
        connection = self._take()
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            self._give(connection)

    def _take(self) -> Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._open()

    def _open(self) -> Connection:
        try:
            connection = sqlite3.connect(
                self.path, BUSY_SECONDS, isolation_level=None, check_same_thread=False, factory=Connection
            )
            for pragma in (
                "journal_mode = WAL",
                "synchronous = FULL",
                "foreign_keys = ON",
                "secure_delete = ON",
            ):
                connection.execute(f"PRAGMA {pragma}")
        except sqlite3.DatabaseError as error:
            raise self._store_error(error, "opened") from None
        return connection

    def _give(self, connection: Connection) -> None:
        if connection.in_transaction:
            connection.rollback()
        self._idle.append(connection)

    def _continue_burst(self, burst_key: Hashable) -> bool:
        """Return whether a transaction continues a burst, and count it."""
        if burst_key is None:
            return False
        with self._lock:
            started, count = self._bursts.get(burst_key, (0.0, BURST_TRANSACTIONS_MAX))
            if count >= BURST_TRANSACTIONS_MAX or time.monotonic() - started >= BURST_SECONDS_MAX:
                return False
            self._bursts[burst_key] = started, count + 1
            return True

    def _store_error(self, error: sqlite3.DatabaseError, action: str = "written") -> StoreError:
        """Return the error of a file that cannot be opened or written; it holds no value of a statement."""
        if explained := explain(error, self.path):
            return explained
        return StoreError(
            f"`{self.path}` cannot be {action} ({type(error).__name__})",
            "nothing was changed; check the disk, and other programs that write to the file"
            if isinstance(error, sqlite3.OperationalError)
            else "nothing was changed; the file is damaged, or another program wrote to it: move `data/` away, and "
            "give `avowal restore` the newest backup",
            code="store-unusable",
        )


class _SnapshotDatabase(Database):
    """One read transaction on one connection."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(
            path, BUSY_SECONDS, isolation_level=None, check_same_thread=False, factory=Connection
        )
        for statement in ("PRAGMA query_only = ON", "BEGIN", "SELECT count(*) FROM sqlite_master"):
            self._connection.execute(statement).fetchall()
        super().__init__(path)

    def close(self) -> None:
        self._connection.close()

    def _take(self) -> Connection:
        return self._connection

    def _give(self, connection: Connection) -> None:
        """Keep the connection in its transaction."""
