"""The open file of the store: its connection, the locks of those who read and write, and its compaction."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import duckdb

from avowal.atomic_files import sync_folder
from avowal.errors import StoreError
from avowal.storage_errors import explain
from avowal.store.compaction import (
    EXTENSION_SETTINGS,
    SPILL_FOLDER,
    ReadWriteLock,
    remove_remains,
    write_compacted_file,
)
from avowal.store.interface import StoreRegistry
from avowal.store.migrations import last_applied, migrate
from avowal.store.store_seal import check_seal, find_known_version, write_seal

CHECKPOINT_THRESHOLD = "256MB"
"""How large the write-ahead log may grow before it is written into the file: bounds the start after a crash."""

CHECKPOINT_RETRY_SECONDS = 0.02
READER_PATIENCE_SECONDS = 60.0
"""How long a compaction waits for a moment without readers, before new readers have to wait for it."""


class StoreFile:
    """A DuckDB file that this process has locked.

    The instance has no access to other files or the network, and its configuration is locked. Any number of threads may
    read and write; those who write do so one after the other.
    """

    def __init__(self, path: Path, memory_limit: str, registry: StoreRegistry | None) -> None:
        """Open the file, and create it if there is none and the registry knows none.

        Raises StoreError if it cannot be opened, or is not the store that the registry knows. Without a registry, the
        store is not sealed.
        """
        self.registry = registry
        self._known = find_known_version(path, registry)
        self._path = path
        self._memory_limit = memory_limit
        remove_remains(path)
        self._connection = self._connect()
        self._write_lock = threading.Lock()
        self._compaction_lock = threading.Lock()
        self._lock = ReadWriteLock()

    def _connect(self) -> duckdb.DuckDBPyConnection:
        """Open the file without access to anything else, and lock the configuration."""
        try:
            connection = duckdb.connect(
                self._path,
                config={
                    "memory_limit": self._memory_limit,
                    "temp_directory": str(self._path.with_name(SPILL_FOLDER)),
                    "preserve_insertion_order": "false",
                    "checkpoint_threshold": CHECKPOINT_THRESHOLD,
                    **EXTENSION_SETTINGS,
                },
            )
        except duckdb.Error as error:
            raise explain(error, self._path) or self._unusable_error(error) from None
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        return connection

    def _unusable_error(self, error: duckdb.Error) -> StoreError:
        """Return the error of a file that cannot be opened, though the system permits it."""
        text, wal = str(error), self._path.with_name(f"{self._path.name}.wal")
        if "Could not set lock" in text:
            return StoreError(
                f"`{self._path}` is open in another program",
                "close that program, such as a DuckDB shell, and give the command again",
                code="store-unusable",
            )
        damaged = wal if "WAL" in text else self._path
        return StoreError(
            f"`{damaged}` is damaged ({type(error).__name__})",
            "move `data/` away, and give `avowal restore` the newest backup; then import the logs again",
            code="store-damaged",
        )

    def prepare(self, schema: str, migrations: Sequence[str]) -> None:
        """Check the seal, and bring the file to the newest schema. Raises StoreError if that is not possible."""
        if applied := last_applied(self._connection):
            check_seal(self._connection, self.registry, self._known)
        if applied != 1 + len(migrations):
            migrate(self.write, schema, migrations)
        elif self.registry and self._known is None:
            with self.write():
                pass  # seals it

    def close(self) -> None:
        """Close the file once nobody writes."""
        with self._write_lock:
            self._connection.close()

    @contextmanager
    def read(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open a cursor for reading."""
        with self._lock.shared(), self._connection.cursor() as cursor:
            yield cursor

    @contextmanager
    def write(self, *, new_identity: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open a transaction; at the end seal and commit it, or roll it back on an error.

        The new version is noted after the commit: the store may be ahead of what its registry knows, never behind.
        With `new_identity`, no copy that was made before is this store any more.
        """
        version = None
        with self._write_lock, self._connection.cursor() as cursor:
            try:
                cursor.execute("BEGIN")
                yield cursor
                if self.registry:
                    version = write_seal(cursor, self.registry, new_identity=new_identity)
                cursor.execute("COMMIT")
            except BaseException as error:
                with suppress(duckdb.Error):  # a commit that failed has ended the transaction
                    cursor.execute("ROLLBACK")
                if isinstance(error, duckdb.Error) and (explained := explain(error, self._path)):
                    raise explained from None
                raise
        if self.registry and version:
            note = self.registry.replace_version if new_identity else self.registry.note_version
            note(version)

    @property
    def is_compacting(self) -> bool:
        """Whether the file is being rewritten."""
        return self._compaction_lock.locked()

    def wait_for_compaction(self) -> None:
        """Wait until the file is not being rewritten."""
        with self._compaction_lock:
            pass

    def hold(self) -> None:
        """Bring everything into the file, and let nobody write into it until `release_hold`. Readers do not wait."""
        self._compaction_lock.acquire()
        self._write_lock.acquire()
        try:
            self._checkpoint()
        except BaseException:
            self.release_hold()
            raise

    def release_hold(self) -> None:
        """Let others write again; any thread may call this."""
        self._write_lock.release()
        self._compaction_lock.release()

    def compact(self) -> bool:
        """Rewrite the file; returns whether that was possible. Those who read wait for the swap only."""
        with self._compaction_lock, self._write_lock:
            self._checkpoint()
            if self._path.with_name(f"{self._path.name}.wal").exists():
                return False
            new: Path | None = None
            with self._path.open("rb") as source:
                try:
                    new = write_compacted_file(source, self._path, self.registry)
                finally:
                    with self._lock.exclusive(READER_PATIENCE_SECONDS if new else 0.0):
                        self._reopen(source, new)
        return True

    def _checkpoint(self) -> None:
        """Write the write-ahead log into the file beside those who read; they wait only if it does not work so."""
        deadline = time.monotonic() + READER_PATIENCE_SECONDS
        while time.monotonic() < deadline:
            with suppress(duckdb.TransactionException), self._connection.cursor() as cursor:
                cursor.execute("CHECKPOINT")
                return
            time.sleep(CHECKPOINT_RETRY_SECONDS)  # somebody creates a view at this moment
        with self._lock.exclusive():
            self._connection.execute("CHECKPOINT")

    def _reopen(self, source: BinaryIO, new: Path | None) -> None:
        """Close the file, replace it by a new one if there is one, and open it; see `write_compacted_file`."""
        self._connection.close()
        try:
            if new:
                new.replace(self._path)
                sync_folder(self._path.parent)
        finally:
            source.close()
            remove_remains(self._path)
            self._connection = self._connect()
