"""Rewrite the store's file, so that no byte of deleted data is left (K4 in `docs/spec/retention.md`)."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from avowal.atomic_files import sync_folder
from avowal.store.sql_builder import compose, identifier, literal

EXTENSION_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
}
"""Settings of every DuckDB instance: no extension is installed or loaded."""


def compacted_path(path: Path) -> Path:
    """Return the path of the new file. If it exists, a process was killed while it wrote it."""
    return path.with_suffix(".new.duckdb")


def compact_file(path: Path, memory_limit: str) -> bool:
    """Replace the file by a copy of its live data. Nobody may have it open.

    Returns whether that was done. It is not if a write-ahead log exists, because that belongs to the old file.
    """
    if path.with_name(f"{path.name}.wal").exists():
        return False
    new = compacted_path(path)
    try:
        with duckdb.connect(new, config={"memory_limit": memory_limit, **EXTENSION_SETTINGS}) as fresh:
            ((catalogue,),) = fresh.execute("SELECT current_database()").fetchall()
            fresh.execute(compose("ATTACH {path} AS old (READ_ONLY)", path=literal(str(path))).text)
            copy = compose("COPY FROM DATABASE old TO {catalogue}", catalogue=identifier(catalogue))
            fresh.execute(copy.text)
            fresh.execute("DETACH old")
            fresh.execute("UPDATE compaction_state SET is_due = false")
            fresh.execute("CHECKPOINT")
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.replace(path)
        sync_folder(path.parent)
    finally:
        new.unlink(missing_ok=True)
    return True


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
    def exclusive(self) -> Iterator[None]:
        """Hold the lock alone. Other threads wait meanwhile."""
        with self._condition:
            self._exclusive_wanted = True
            while self._holders:
                self._condition.wait()
        try:
            yield
        finally:
            with self._condition:
                self._exclusive_wanted = False
                self._condition.notify_all()
