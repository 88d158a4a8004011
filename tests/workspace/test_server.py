"""One owner, and those that ask it."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from avowal.collect.segment import SegmentFile
from avowal.config import Folder, Settings
from avowal.errors import LogSourceError, StoreError
from avowal.workspace import backend, server
from avowal.workspace.server import FolderClient, FolderServer, open_backend
from avowal.workspace.unix_socket import connect, receive_message, send
from support.store_records import admitted_records, request_at, written_segment


def folder(path: Path) -> Folder:
    return Folder(Settings(), path / "data", path / "keys", None)


def owned(path: Path) -> FolderServer:
    backend = open_backend(folder(path), {"echo": lambda _, argument: argument})
    assert isinstance(backend, FolderServer)
    return backend


def test_the_second_to_open_a_folder_asks_the_first(tmp_path: Path) -> None:
    """Whoever comes second becomes a guest, and is answered the same."""
    first = owned(tmp_path)
    second = open_backend(folder(tmp_path), {})
    assert isinstance(second, FolderClient)
    assert second.call("echo", {"a": [1, None]}) == first.call("echo", {"a": [1, None]}) == {"a": [1, None]}
    second.load_segments([written_segment(tmp_path / "data", admitted_records(request_at(0)))])
    assert backend.fetch_record_counts(first) == backend.fetch_record_counts(second)
    assert backend.fetch_record_counts(second).requests == 1
    assert list((tmp_path / "data" / "segments").iterdir()) == []
    second.close()
    first.close()


def test_an_error_of_the_owner_reaches_the_guest(tmp_path: Path) -> None:
    """A guest sees the owner's error, with its hint; a fault that nobody foresaw shows no detail and ends nobody."""
    first = owned(tmp_path)
    second = open_backend(folder(tmp_path), {})
    with pytest.raises(StoreError, match="does not know") as caught:
        second.call("nothing of the kind")
    assert caught.value.hint
    with pytest.raises(StoreError, match="failed"):
        second.call("load", [{"private": "192.0.2.1"}])
    assert second.call("echo", 1) == 1
    second.close()
    first.close()


def test_a_log_is_read_by_one_at_a_time(tmp_path: Path) -> None:
    """A log that one process claimed is refused to others, until that process goes away, however it ends."""
    first = owned(tmp_path)
    second, third = open_backend(folder(tmp_path), {}), open_backend(folder(tmp_path), {})
    backend.claim_log(second, "log")
    backend.claim_log(second, "log")
    for other in (first, third):
        with pytest.raises(LogSourceError, match="being read"):
            backend.claim_log(other, "log")
    second.close()
    backend.claim_log(third, "log")
    third.close()
    first.close()


def test_a_log_whose_reader_was_killed_is_free_once_what_it_left_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever claims it meanwhile waits, and is not told that another reads it."""
    first = owned(tmp_path)
    second, third = open_backend(folder(tmp_path), {}), open_backend(folder(tmp_path), {})
    backend.claim_log(second, "log")
    loading, loaded = threading.Event(), threading.Event()

    def slowly(_: Path) -> list[SegmentFile]:
        loading.set()
        assert loaded.wait(60)
        return []

    monkeypatch.setattr("avowal.workspace.server.waiting", slowly)
    second.close()
    assert loading.wait(60)
    with ThreadPoolExecutor(1) as pool:
        claiming = pool.submit(backend.claim_log, third, "log")
        with pytest.raises(TimeoutError):
            claiming.result(0.2)
        loaded.set()
        claiming.result(60)
    third.close()
    first.close()


def test_two_that_were_killed_wait_for_each_other_no_longer(tmp_path: Path) -> None:
    """Each has a log and asked for the other's: both are released, and the owner can stop."""
    first = owned(tmp_path)
    guests = [connect(tmp_path / "data"), connect(tmp_path / "data")]
    for guest, log in zip(guests, "ab", strict=True):
        send(guest, {"question": "claim", "argument": log})
        assert receive_message(guest) == {"result": None}
    with first._claims._changed:  # nobody is told anything before both are gone
        for guest, log in zip(guests, "ba", strict=True):
            send(guest, {"question": "claim", "argument": log})
            guest.close()
    third = open_backend(folder(tmp_path), {})
    backend.claim_log(third, "a")
    backend.claim_log(third, "b")
    third.close()
    first.close()


def test_what_an_owner_left_waiting_is_loaded_at_the_next_start(tmp_path: Path) -> None:
    """A segment on the disk is loaded by the next owner, whoever wrote it; one that cannot be is put away."""
    written_segment(tmp_path / "data", admitted_records(request_at(0)))
    written_segment(tmp_path / "data", admitted_records(request_at(0)), 500, 600, source="b")
    first = owned(tmp_path)
    assert backend.fetch_record_counts(first).requests == 1
    assert first.recovered_lines == 1
    assert list((tmp_path / "data" / "segments").iterdir()) == []
    first.close()


def test_a_guest_of_an_owner_that_went_away_is_told(tmp_path: Path) -> None:
    """When the owner has gone, a guest's question is an error, and whoever opens next becomes the owner."""
    first = owned(tmp_path)
    second = open_backend(folder(tmp_path), {})
    first.close()
    with pytest.raises(StoreError, match="went away"):
        second.call("echo")
    second.close()
    third = open_backend(folder(tmp_path), {})
    assert third.is_owner
    third.close()


def test_a_folder_held_by_a_process_that_does_not_answer_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock without a socket behind it gives the process's number and a remedy, after a while."""
    (tmp_path / "data").mkdir()
    script = (
        "import fcntl, os, sys\n"
        f"lock = open({str(tmp_path / 'data' / 'lock')!r}, 'w')\n"
        "fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "print(os.getpid(), file=lock, flush=True)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout
    holder.stdout.readline()
    monkeypatch.setattr(server, "WAIT_SECONDS", 0.2)
    with pytest.raises(StoreError, match=f"in use by process {holder.pid}"):
        open_backend(folder(tmp_path), {})
    holder.communicate(b"")


def test_the_socket_is_for_the_owner_of_the_files_alone(tmp_path: Path) -> None:
    """Nobody but the user who runs Avowal may connect; the folder is closed to others."""
    first = owned(tmp_path)
    assert (tmp_path / "data" / "avowal.sock").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    first.close()
    assert not (tmp_path / "data" / "avowal.sock").exists()


def test_a_long_path_has_a_socket_too(tmp_path: Path) -> None:
    """A data folder whose path is longer than a socket's may be works all the same."""
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc: elsewhere such a folder is refused with a clear error")
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    first = owned(deep)
    second = open_backend(folder(deep), {})
    assert second.call("echo", 5) == 5
    second.close()
    first.close()
