"""Writing a store's file anew, so that no byte is left of what was deleted (K4 in `docs/spec/retention.md`)."""

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
"""Settings of every instance."""


def compacted_path(path: Path) -> Path:
    """Return where the new file is written; one that is there was left by a process that was killed."""
    return path.with_suffix(".new.duckdb")


def compact_file(path: Path, memory_limit: str) -> bool:
    """Put a file that has what a store has, and nothing of what it had, in its place; nobody may have it open.

    Returns whether that was done: not where a log is left beside the store, which belongs to the old file.
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
    """Lets any number of threads through together, or one alone. Whoever is within may go in again, but not alone."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._within = 0
        self._shut = False
        self._mine = threading.local()

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Be within together with others."""
        depth = getattr(self._mine, "depth", 0)
        with self._condition:
            while self._shut and not depth:
                self._condition.wait()
            self._within += 1
        self._mine.depth = depth + 1
        try:
            yield
        finally:
            self._mine.depth = depth
            with self._condition:
                self._within -= 1
                self._condition.notify_all()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Be within alone: whoever comes meanwhile waits."""
        with self._condition:
            self._shut = True
            while self._within:
                self._condition.wait()
        try:
            yield
        finally:
            with self._condition:
                self._shut = False
                self._condition.notify_all()
