"""Rewrite the store's file, so that no byte of deleted data is left (K4 in `docs/spec/retention.md`)."""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import duckdb

from avowal.store.interface import StoreRegistry
from avowal.store.sql_builder import compose, identifier, literal
from avowal.store.store_seal import write_seal

SPILL_FOLDER = "spill"
"""Where DuckDB writes what does not fit into memory, in the data folder."""

EXTENSION_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
}
"""Settings of every DuckDB instance: no extension is installed or loaded."""


COMPACTION_MEMORY_LIMIT = "256MB"
"""The memory that a rewrite may use, besides that of the store."""


def compacted_path(path: Path) -> Path:
    """Return the path of the new file. If it exists, a process was killed while it wrote it."""
    return path.with_suffix(".new.duckdb")


def snapshot_path(path: Path) -> Path:
    """Return the path of the copy that the new file is made from. If it exists, a process was killed."""
    return path.with_suffix(".old.duckdb")


def remove_remains(path: Path) -> None:
    """Remove what a rewrite left behind that was killed."""
    for remains in (compacted_path(path), snapshot_path(path)):
        remains.unlink(missing_ok=True)
        remains.with_name(f"{remains.name}.wal").unlink(missing_ok=True)


def write_compacted_file(source: BinaryIO, path: Path, registry: StoreRegistry | None) -> Path:
    """Write the live data of the store's file at `path` into a new file; returns that file, which is on disk.

    `source` is the store's file, to which nobody may write meanwhile; it has to be without a write-ahead log. The store
    may be read. The caller closes `source`, and only when the store's connection is closed: closing any descriptor of a
    file ends this process's locks of it.
    """
    snapshot, new = snapshot_path(path), compacted_path(path)
    try:
        with snapshot.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        config = {
            "memory_limit": COMPACTION_MEMORY_LIMIT,
            "threads": 1,  # the other ones are for those who read
            "temp_directory": str(path.with_name(SPILL_FOLDER)),
            **EXTENSION_SETTINGS,
        }
        with duckdb.connect(new, config=config) as fresh:
            ((catalogue,),) = fresh.execute("SELECT current_database()").fetchall()
            fresh.execute(compose("ATTACH {path} AS old (READ_ONLY)", path=literal(str(snapshot))).text)
            copy = compose("COPY FROM DATABASE old TO {catalogue}", catalogue=identifier(catalogue))
            fresh.execute(copy.text)
            fresh.execute("DETACH old")
            fresh.execute("BEGIN")
            fresh.execute("UPDATE compaction_state SET is_due = false")
            if registry:
                write_seal(fresh, registry)
            fresh.execute("COMMIT")
            fresh.execute("CHECKPOINT")
        with new.open("rb") as file:
            os.fsync(file.fileno())
    finally:
        snapshot.unlink(missing_ok=True)
    return new


class ReadWriteLock:
    """A lock that any number of threads share, or one has exclusively.

    A thread that shares it may acquire it again, but only to share it.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._holders = 0
        self._exclusive_wanted = False
        self._own = threading.local()

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Hold the lock together with others."""
        depth = getattr(self._own, "depth", 0)
        with self._condition:
            while self._exclusive_wanted and not depth:
                self._condition.wait()
            self._holders += 1
        self._own.depth = depth + 1
        try:
            yield
        finally:
            self._own.depth = depth
            with self._condition:
                self._holders -= 1
                self._condition.notify_all()

    @contextmanager
    def exclusive(self, patience_seconds: float = 0.0) -> Iterator[None]:
        """Hold the lock alone. Other threads wait meanwhile.

        For `patience_seconds` it waits for a moment when nobody holds the lock; after that, nobody gets it any more.
        """
        with self._condition:
            self._condition.wait_for(lambda: not self._holders, patience_seconds)
            self._exclusive_wanted = True
            while self._holders:
                self._condition.wait()
        try:
            yield
        finally:
            with self._condition:
                self._exclusive_wanted = False
                self._condition.notify_all()
