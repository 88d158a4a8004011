"""Only one process owns a data folder; the others send it requests."""

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
from avowal.collect.journal import JournalRow, JournalWriter, list_journals
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
from support.store_records import admitted_records, request_at, write_segment


def folder(path: Path) -> Folder:
    return Folder(Settings(), path / "data", path / "keys", None)


class Measured(msgspec.Struct):
    """A struct of a time and numbers."""

    at: datetime
    numbers: list[int | None]


class Echo(Request[Measured], frozen=True):
    """Return what was sent."""

    measured: Measured


class Fill(Request[bytes], frozen=True):
    """Return a number of zero bytes."""

    size: int


class Undefined(Request[int], frozen=True):
    """A request that no handler answers."""


class EchoHandler:
    """Answer the requests of this file."""

    request_types: tuple[type[AnyRequest], ...] = (Echo, Fill)

    def handle(self, request: Request[Answer]) -> Answer:
        """Return the answer of a request."""
        assert isinstance(request, Echo | Fill)
        return cast("Answer", request.measured if isinstance(request, Echo) else bytes(request.size))

    def version_starts(self) -> list[datetime]:
        """Return when the only version took effect."""
        return [datetime.min]

    def derive_views(self) -> None:
        """Raise an error: no test here collects anything."""
        raise NotImplementedError


SAMPLE = Measured(utc_now(), [1, None])


def create_handler(_: Store) -> EchoHandler:
    return EchoHandler()


def open_as_owner(path: Path) -> FolderServer:
    backend = open_backend(folder(path), create_handler)
    assert isinstance(backend, FolderServer)
    return backend


def test_a_second_process_sends_its_requests_to_the_first(tmp_path: Path) -> None:
    """A process that opens an owned folder becomes a client and gets the same answers."""
    owner = open_as_owner(tmp_path)
    client = open_backend(folder(tmp_path), create_handler)
    assert isinstance(client, FolderClient)
    assert client.call(Echo(SAMPLE)) == owner.call(Echo(SAMPLE)) == SAMPLE
    assert owner.call(Echo(SAMPLE)) is SAMPLE  # within one process nothing is encoded
    client.load_segments([write_segment(tmp_path / "data", admitted_records(request_at(0)))])
    assert owner.call(CountRecords()) == client.call(CountRecords())
    assert client.call(CountRecords()).requests == 1
    assert list((tmp_path / "data" / "segments").iterdir()) == []
    client.close()
    owner.close()


def test_a_journal_of_another_version_stays_where_it_is(tmp_path: Path) -> None:
    """A journal whose records name a version that was not in force is refused, and the others are loaded."""
    backend = open_as_owner(tmp_path)
    journals = tmp_path / "data" / "journals"
    for number, version in enumerate((1, 2, 1)):
        writer = JournalWriter(journals)
        writer.append([JournalRow(number, 1_800_000_000_000_000, version)])
        writer.rotate()
    for _ in range(2):
        with raises_code("version-mismatch"):
            backend.pending_files.load_arrivals(list_journals(journals))
        (left,) = list_journals(journals)
        assert left.read_rows()["version"].to_list() == [2]
    assert backend.call(CountRecords()).script_views == 2
    backend.close()
    with raises_code("version-mismatch"):
        open_as_owner(tmp_path)


def test_an_error_of_the_owner_reaches_the_client(tmp_path: Path) -> None:
    """A client gets the owner's error with its code and hint; an unforeseen fault shows no detail and ends no process."""
    owner = open_as_owner(tmp_path)
    client = open_backend(folder(tmp_path), create_handler)
    for backend in (owner, client):
        with raises_code("server-mismatch") as error_info:
            backend.call(Undefined())
        assert error_info.value.hint
    with raises_code("server-failed") as failed:
        client.call(LoadSegments(["192.0.2.1"]))
    assert "192.0.2.1" not in failed.value.message
    assert client.call(Echo(SAMPLE)) == SAMPLE
    client.close()
    owner.close()


def test_an_answer_that_is_too_long_is_an_error(tmp_path: Path) -> None:
    """The client gets an error that names the size, and the connection stays usable."""
    owner = open_as_owner(tmp_path)
    client = open_backend(folder(tmp_path), create_handler)
    with pytest.raises(StoreError, match=f"more than {MESSAGE_BYTES_MAX:,}"):
        client.call(Fill(MESSAGE_BYTES_MAX))
    assert client.call(Fill(3)) == bytes(3)
    client.close()
    owner.close()


def test_a_log_is_claimed_by_one_process_at_a_time(tmp_path: Path) -> None:
    """A log that one process claimed is refused to others until that process ends, however it ends."""
    owner = open_as_owner(tmp_path)
    client, other_client = (
        open_backend(folder(tmp_path), create_handler),
        open_backend(folder(tmp_path), create_handler),
    )
    client.call(ClaimLog("log"))
    client.call(ClaimLog("log"))
    for other in (owner, other_client):
        with raises_code("log-in-use"):
            other.call(ClaimLog("log"))
    client.close()
    other_client.call(ClaimLog("log"))
    other_client.close()
    owner.close()


def test_a_claim_waits_until_the_segments_of_a_killed_process_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim waits meanwhile, and is not refused as if another process still read the log."""
    owner = open_as_owner(tmp_path)
    client, other_client = (
        open_backend(folder(tmp_path), create_handler),
        open_backend(folder(tmp_path), create_handler),
    )
    client.call(ClaimLog("log"))
    loading, may_load = threading.Event(), threading.Event()

    def list_slowly(_: Path) -> list[SegmentFile]:
        loading.set()
        assert may_load.wait(60)
        return []

    monkeypatch.setattr("avowal.workspace.pending_files.list_segments", list_slowly)
    client.close()
    assert loading.wait(60)
    with ThreadPoolExecutor(1) as pool:
        claiming = pool.submit(other_client.call, ClaimLog("log"))
        with pytest.raises(TimeoutError):
            claiming.result(0.2)
        may_load.set()
        claiming.result(60)
    other_client.close()
    owner.close()


def test_two_killed_processes_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """When two ended processes each waited for the other's log, both claims are released and the owner can stop."""
    owner = open_as_owner(tmp_path)
    connections = [connect(tmp_path / "data"), connect(tmp_path / "data")]
    for connection, log in zip(connections, "ab", strict=True):
        send_message(connection, msgspec.msgpack.encode(ClaimLog(log)))
        assert receive_message(connection) == msgspec.msgpack.encode(Success(None))
    with owner._claims._changed:  # no claim is answered before both have ended
        for connection, log in zip(connections, "ba", strict=True):
            send_message(connection, msgspec.msgpack.encode(ClaimLog(log)))
            connection.close()
    other_client = open_backend(folder(tmp_path), create_handler)
    other_client.call(ClaimLog("a"))
    other_client.call(ClaimLog("b"))
    other_client.close()
    owner.close()


def test_remaining_segments_are_loaded_at_the_next_start(tmp_path: Path) -> None:
    """The next owner loads each segment on the disk, and removes one that cannot be loaded."""
    write_segment(tmp_path / "data", admitted_records(request_at(0)))
    write_segment(tmp_path / "data", admitted_records(request_at(0)), 500, 600, source="b")
    owner = open_as_owner(tmp_path)
    assert owner.call(CountRecords()).requests == 1
    assert owner.recovered_lines == 1
    assert list((tmp_path / "data" / "segments").iterdir()) == []
    owner.close()


def test_a_client_gets_an_error_when_the_owner_has_ended(tmp_path: Path) -> None:
    """When the owner has ended, a request of a client fails, and the next process that opens the folder owns it."""
    owner = open_as_owner(tmp_path)
    client = open_backend(folder(tmp_path), create_handler)
    owner.close()
    with raises_code("server-gone"):
        client.call(Echo(SAMPLE))
    client.close()
    other_client = open_backend(folder(tmp_path), create_handler)
    assert other_client.is_owner
    other_client.close()


def test_a_folder_whose_owner_does_not_answer_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the folder is locked but nothing listens on its socket, the error names the process and a remedy."""
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
    with raises_code("folder-in-use") as error_info:
        open_backend(folder(tmp_path), create_handler)
    assert f"process {holder.pid}" in error_info.value.message
    holder.communicate(b"")


def test_only_the_user_who_runs_avowal_may_connect(tmp_path: Path) -> None:
    """Only the user who runs Avowal may connect; the folder is closed to others."""
    owner = open_as_owner(tmp_path)
    assert (tmp_path / "data" / "avowal.sock").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    owner.close()
    assert not (tmp_path / "data" / "avowal.sock").exists()


def test_a_long_path_has_a_socket_too(tmp_path: Path) -> None:
    """A data folder works even if its path is longer than that of a socket may be."""
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc: elsewhere such a folder is refused with a clear error")
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    owner = open_as_owner(deep)
    client = open_backend(folder(deep), create_handler)
    assert client.call(Echo(SAMPLE)) == SAMPLE
    client.close()
    owner.close()
