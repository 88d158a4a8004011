"""The open file of the store: its connection, the locks of those who read and write, and its compaction."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import duckdb

from avowal.atomic_files import sync_folder
from avowal.errors import StoreError
from avowal.store.compaction import EXTENSION_SETTINGS, ReadWriteLock, remove_remains, write_compacted_file

SPILL_FOLDER = "spill"
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

    def __init__(self, path: Path, memory_limit: str) -> None:
        """Open the file, and create it if there is none. Raises StoreError if it cannot be opened."""
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
            raise StoreError(
                f"`{self._path}` cannot be opened ({type(error).__name__})",
                "close any other program that has it open; if the file is damaged, restore it from a backup",
                code="store-unusable",
            ) from None
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        return connection

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
    def write(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open a transaction, and commit it at the end or roll it back on an error."""
        with self._write_lock, self._connection.cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                yield cursor
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")

    @property
    def is_compacting(self) -> bool:
        """Whether the file is being rewritten."""
        return self._compaction_lock.locked()

    def wait_for_compaction(self) -> None:
        """Wait until the file is not being rewritten."""
        with self._compaction_lock:
            pass

    def compact(self) -> bool:
        """Rewrite the file; returns whether that was possible. Those who read wait for the swap only."""
        with self._compaction_lock, self._write_lock:
            self._checkpoint()
            if self._path.with_name(f"{self._path.name}.wal").exists():
                return False
            new: Path | None = None
            with self._path.open("rb") as source:
                try:
                    new = write_compacted_file(source, self._path)
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
