"""Rewriting the store's file beside those who read, and leaving no trace when a rewrite fails."""

import subprocess
import sys
import threading
from errno import ENOSPC
from pathlib import Path

import pytest

from avowal.store import compaction, store_file
from avowal.store.compaction import ReadWriteLock, compacted_path, snapshot_path
from avowal.store.duckdb_store import STORE_FILE, DuckDBStore
from support.store_records import admitted_records, request_at, write_segment

MARKED = 3_000


@pytest.fixture
def store(tmp_path: Path) -> DuckDBStore:
    """Return a store of one visitor's records, some of which were erased."""
    store = DuckDBStore(tmp_path, "256MB")
    rows = [
        request_at(number, page_path=f"/SECRET{number}", visitor_id=number % 2 + 1)
        for number in range(MARKED)
    ]
    store.load_segments([write_segment(tmp_path, admitted_records(*rows))])
    store.erase_visitor(1)
    return store


def test_readers_are_answered_while_the_file_is_rewritten(
    store: DuckDBStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the new file is written, reads are answered and writes wait; afterwards both find the new file."""
    has_begun, may_end = threading.Event(), threading.Event()
    original = compaction.write_compacted_file

    def write_slowly(*arguments: object) -> Path:
        has_begun.set()
        assert may_end.wait(60)
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(store_file, "write_compacted_file", write_slowly)
    rewriting = threading.Thread(target=store.compact)
    rewriting.start()
    assert has_begun.wait(60)
    assert store.is_compacting()
    segment = write_segment(tmp_path, admitted_records(request_at(0, page_path="/new")), source="b")
    loading = threading.Thread(target=store.load_segments, args=[[segment]])
    loading.start()
    assert store.record_counts().requests == MARKED // 2
    assert store.holds_visitor(2)
    assert not store.holds_visitor(1)
    assert loading.is_alive()
    may_end.set()
    for thread in (rewriting, loading):
        thread.join(60)
    assert not store.is_compacting()
    assert store.record_counts().requests == MARKED // 2 + 1
    store.close()
    assert b"SECRET0" not in (tmp_path / STORE_FILE).read_bytes()
    assert not compacted_path(tmp_path / STORE_FILE).exists()
    assert not snapshot_path(tmp_path / STORE_FILE).exists()


def test_a_failed_rewrite_changes_nothing(
    store: DuckDBStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the new file cannot be written, the store goes on, no copy is left, and other processes are kept out."""

    def fail(*_: object) -> Path:
        snapshot_path(tmp_path / STORE_FILE).write_bytes(b"SECRET")
        raise OSError(ENOSPC, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(store_file, "write_compacted_file", fail)
        with pytest.raises(OSError, match="no space left"):
            store.compact()
    assert store.record_counts().requests == MARKED // 2
    assert not snapshot_path(tmp_path / STORE_FILE).exists()
    code = f"import duckdb; duckdb.connect({str(tmp_path / STORE_FILE)!r})"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert b"lock" in other.stderr
    assert store.compact()
    store.close()


def test_what_a_killed_rewrite_left_is_removed(store: DuckDBStore, tmp_path: Path) -> None:
    """Copies that a killed process left behind are gone once the store is opened."""
    store.close()
    for path in (snapshot_path(tmp_path / STORE_FILE), compacted_path(tmp_path / STORE_FILE)):
        path.write_bytes(b"SECRET")
    opened = DuckDBStore(tmp_path, "256MB")
    assert {path.name for path in tmp_path.glob("*.duckdb*")} == {STORE_FILE}
    assert opened.compact()
    opened.close()


def test_the_lock_waits_for_a_free_moment_without_keeping_readers_out() -> None:
    """A thread that wants the lock alone keeps nobody out while it is patient."""
    lock, entered = ReadWriteLock(), threading.Event()

    def own_it() -> None:
        with lock.exclusive(patience_seconds=60):
            entered.set()

    with lock.shared():
        owner = threading.Thread(target=own_it)
        owner.start()
        other_entered = threading.Event()

        def read() -> None:
            with lock.shared():
                other_entered.set()

        reader = threading.Thread(target=read)
        reader.start()
        assert other_entered.wait(60)
        assert not entered.is_set()
    assert entered.wait(60)
    for thread in (owner, reader):
        thread.join(60)
