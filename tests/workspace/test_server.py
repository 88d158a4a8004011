"""One owner, and those that ask it."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import cast

import msgspec
import pytest

from avowal.clock import utc_now
from avowal.collect.segment import SegmentFile
from avowal.config import Folder, Settings
from avowal.errors import StoreError
from avowal.store.interface import Store
from avowal.workspace import ownership
from avowal.workspace.client import FolderClient
from avowal.workspace.messages import (
    Answer,
    AnyRequest,
    ClaimLog,
    CountRecords,
    LoadSegments,
    Request,
    Success,
)
from avowal.workspace.ownership import open_backend
from avowal.workspace.server import FolderServer
from avowal.workspace.unix_socket import MESSAGE_BYTES_MAX, connect, receive_message, send_message
from support.errors import raises_code
from support.store_records import admitted_records, request_at, written_segment


def folder(path: Path) -> Folder:
    return Folder(Settings(), path / "data", path / "keys", None)


class Measured(msgspec.Struct):
    """A time and numbers."""

    at: datetime
    numbers: list[int | None]


class Echo(Request[Measured], frozen=True):
    """Return what was sent."""

    measured: Measured


class Fill(Request[bytes], frozen=True):
    """Return that many bytes."""

    size: int


class Undefined(Request[int], frozen=True):
    """Nothing handles this one."""


class EchoHandler:
    """Answers these requests."""

    request_types: tuple[type[AnyRequest], ...] = (Echo, Fill)

    def handle(self, request: Request[Answer]) -> Answer:
        """Answer it."""
        assert isinstance(request, Echo | Fill)
        return cast("Answer", request.measured if isinstance(request, Echo) else bytes(request.size))

    def derive_views(self) -> None:
        """Never happens: nothing arrives."""
        raise NotImplementedError


SAMPLE = Measured(utc_now(), [1, None])


def create_handler(_: Store) -> EchoHandler:
    return EchoHandler()


def owned(path: Path) -> FolderServer:
    backend = open_backend(folder(path), create_handler)
    assert isinstance(backend, FolderServer)
    return backend


def test_the_second_to_open_a_folder_asks_the_first(tmp_path: Path) -> None:
    """Whoever comes second becomes a guest, and is answered the same."""
    first = owned(tmp_path)
    second = open_backend(folder(tmp_path), create_handler)
    assert isinstance(second, FolderClient)
    assert second.call(Echo(SAMPLE)) == first.call(Echo(SAMPLE)) == SAMPLE
    assert first.call(Echo(SAMPLE)) is SAMPLE  # within one process nothing is encoded
    second.load_segments([written_segment(tmp_path / "data", admitted_records(request_at(0)))])
    assert first.call(CountRecords()) == second.call(CountRecords())
    assert second.call(CountRecords()).requests == 1
    assert list((tmp_path / "data" / "segments").iterdir()) == []
    second.close()
    first.close()


def test_an_error_of_the_owner_reaches_the_guest(tmp_path: Path) -> None:
    """A guest sees the owner's error, with its hint; a fault that nobody foresaw shows no detail and ends nobody."""
    first = owned(tmp_path)
    second = open_backend(folder(tmp_path), create_handler)
    for asking in (first, second):
        with raises_code("server-mismatch") as caught:
            asking.call(Undefined())
        assert caught.value.hint
    with raises_code("server-failed") as failed:
        second.call(LoadSegments(["192.0.2.1"]))
    assert "192.0.2.1" not in failed.value.message
    assert second.call(Echo(SAMPLE)) == SAMPLE
    second.close()
    first.close()


def test_an_answer_that_is_too_long_is_an_error(tmp_path: Path) -> None:
    """The client gets an error that names the size, and can go on asking."""
    first = owned(tmp_path)
    second = open_backend(folder(tmp_path), create_handler)
    with pytest.raises(StoreError, match=f"more than {MESSAGE_BYTES_MAX:,}"):
        second.call(Fill(MESSAGE_BYTES_MAX))
    assert second.call(Fill(3)) == bytes(3)
    second.close()
    first.close()


def test_a_log_is_read_by_one_at_a_time(tmp_path: Path) -> None:
    """A log that one process claimed is refused to others, until that process goes away, however it ends."""
    first = owned(tmp_path)
    second, third = (
        open_backend(folder(tmp_path), create_handler),
        open_backend(folder(tmp_path), create_handler),
    )
    second.call(ClaimLog("log"))
    second.call(ClaimLog("log"))
    for other in (first, third):
        with raises_code("log-in-use"):
            other.call(ClaimLog("log"))
    second.close()
    third.call(ClaimLog("log"))
    third.close()
    first.close()


def test_a_log_whose_reader_was_killed_is_free_once_what_it_left_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever claims it meanwhile waits, and is not told that another reads it."""
    first = owned(tmp_path)
    second, third = (
        open_backend(folder(tmp_path), create_handler),
        open_backend(folder(tmp_path), create_handler),
    )
    second.call(ClaimLog("log"))
    loading, loaded = threading.Event(), threading.Event()

    def slowly(_: Path) -> list[SegmentFile]:
        loading.set()
        assert loaded.wait(60)
        return []

    monkeypatch.setattr("avowal.workspace.pending_files.list_segments", slowly)
    second.close()
    assert loading.wait(60)
    with ThreadPoolExecutor(1) as pool:
        claiming = pool.submit(third.call, ClaimLog("log"))
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
        send_message(guest, msgspec.msgpack.encode(ClaimLog(log)))
        assert receive_message(guest) == msgspec.msgpack.encode(Success(None))
    with first._claims._changed:  # nobody is told anything before both are gone
        for guest, log in zip(guests, "ba", strict=True):
            send_message(guest, msgspec.msgpack.encode(ClaimLog(log)))
            guest.close()
    third = open_backend(folder(tmp_path), create_handler)
    third.call(ClaimLog("a"))
    third.call(ClaimLog("b"))
    third.close()
    first.close()


def test_what_an_owner_left_waiting_is_loaded_at_the_next_start(tmp_path: Path) -> None:
    """A segment on the disk is loaded by the next owner, whoever wrote it; one that cannot be is put away."""
    written_segment(tmp_path / "data", admitted_records(request_at(0)))
    written_segment(tmp_path / "data", admitted_records(request_at(0)), 500, 600, source="b")
    first = owned(tmp_path)
    assert first.call(CountRecords()).requests == 1
    assert first.recovered_lines == 1
    assert list((tmp_path / "data" / "segments").iterdir()) == []
    first.close()


def test_a_guest_of_an_owner_that_went_away_is_told(tmp_path: Path) -> None:
    """When the owner has gone, a guest's question is an error, and whoever opens next becomes the owner."""
    first = owned(tmp_path)
    second = open_backend(folder(tmp_path), create_handler)
    first.close()
    with raises_code("server-gone"):
        second.call(Echo(SAMPLE))
    second.close()
    third = open_backend(folder(tmp_path), create_handler)
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
    monkeypatch.setattr(ownership, "WAIT_SECONDS", 0.2)
    with raises_code("folder-in-use") as caught:
        open_backend(folder(tmp_path), create_handler)
    assert f"process {holder.pid}" in caught.value.message
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
    second = open_backend(folder(deep), create_handler)
    assert second.call(Echo(SAMPLE)) == SAMPLE
    second.close()
    first.close()
