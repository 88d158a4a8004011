"""One process owns a data folder at a time; the others ask it through a Unix socket.

`open_house` makes this process the owner, or finds the one that is, so that every command works the same whether or
not an import, a `follow` or a server is running.
"""

import fcntl
import os
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import msgspec

from avowal import errors
from avowal.collect import journal, segment
from avowal.collect.journal import Journal
from avowal.collect.segment import Segment, SegmentFile, waiting
from avowal.config import Folder
from avowal.errors import AvowalError, ServerGoneError, StoreError
from avowal.store.duckdb_store import DuckDBStore
from avowal.store.interface import LoadResult, Store
from avowal.workspace.backend import LogClaimant, LogClaims
from avowal.workspace.unix_socket import (
    SOCKET_FILE,
    connect,
    is_closed_by_peer,
    receive_message,
    send,
    short_socket_path,
)

LOCK_FILE = "lock"
SEGMENTS_FOLDER = "segments"
JOURNALS_FOLDER = "journals"
SEGMENTS_PER_LOAD_MAX = 100
"""How many small segments are loaded at once."""

WAIT_SECONDS = 10.0
"""How long to wait for an owner that is starting or stopping."""

OperationHandler = Callable[[Store, Any], Any]
"""Answers a question about the store: takes and gives what msgspec can encode."""


BUILT_IN_HANDLERS: dict[str, OperationHandler] = {
    "known": lambda store, _: store.log_positions(),
    "dead_letters": lambda store, source: store.unparsable_lines(source),
    "counts": lambda store, _: store.record_counts(),
}
"""What every owner answers, beside the claims and loads that it keeps itself."""


REFRESHING_OPERATIONS = frozenset(
    {"held", "summary", "page", "looks", "extent", "erase", "erase_looks", "retain"}
)
"""Questions that may leave nothing out, however short a time ago it came in."""


class FolderServer:
    """The house of the process that owns the folder: answers itself, and whoever connects."""

    is_owner = True

    def __init__(self, folder: Folder, lock: IO[str], handlers: Mapping[str, OperationHandler]) -> None:
        """Open the store, load what an earlier owner left waiting, and listen."""
        self._lock = lock
        self._segments = folder.data_folder / SEGMENTS_FOLDER
        self._journals = folder.data_folder / JOURNALS_FOLDER
        self._handlers = {**BUILT_IN_HANDLERS, "load": self._load_named, **handlers}
        self._claims = LogClaims()
        self._loading = threading.Lock()
        self.recovered_lines = 0
        self.needs_derivation = (
            False  # whether something was left waiting, of which there are no views and visits yet
        )
        self.load_arrivals: Callable[[], object] = (
            self._refresh
        )  # loads what came in and waits: a server sets its own
        self.store = DuckDBStore(folder.data_folder, folder.settings.keep.memory_limit)
        try:
            for left in waiting(self._segments):
                self._load_waiting(left)
            self.needs_derivation = (
                self.load_waiting_files(journal.list_journals(self._journals)) or self.recovered_lines > 0
            )
            self._server = _listen(folder.data_folder, self)
        except BaseException:
            self.store.close()
            raise
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def call(self, operation: str, argument: Any = None) -> Any:
        """See House."""
        return msgspec.to_builtins(self.handle_call(operation, msgspec.to_builtins(argument), self))

    def handle_call(self, operation: str, argument: Any, claimant: LogClaimant) -> Any:
        """Answer a question of a holder: this process, or a connection."""
        if operation == "claim":
            return self._claims.acquire(argument, claimant)
        if operation in REFRESHING_OPERATIONS:
            self.load_arrivals()
        if operation in self._handlers:
            return self._handlers[operation](self.store, argument)
        raise StoreError(
            f"the owner of the folder does not know the question `{operation}`",
            "use one Avowal for all",
            code="server-mismatch",
        )

    def release_claims(self, claimant: LogClaimant) -> None:
        """Load what a connection left waiting of the logs that it claimed, and only then forget its claims.

        A log that it began is unknown until then: whoever read it next would begin it a second time.
        """
        claimed = self._claims.logs_claimed_by(claimant)
        try:
            with self._loading:
                for left in waiting(self._segments):
                    if left.metadata.origin.head_digest in claimed:
                        self._load_waiting(left)
        finally:
            self._claims.release(claimant)

    def is_disconnected(self) -> bool:
        """See Holder."""
        return False

    def close(self) -> None:
        """See House. Questions under way are answered first."""
        self._server.stop()
        with suppress(FileNotFoundError):
            Path(self._server.socket_path).unlink()
        self.store.close()
        self._lock.close()

    def load_segments(self, segments: Sequence[Segment]) -> list[LoadResult]:
        """See House. Straight from memory: what is lost in a crash is read from its log again."""
        return self.store.load_segments(segments)

    def load_waiting_files(self, journals: Sequence[Journal]) -> bool:
        """Load journals, and segments of applications, and take their files away; returns whether there were any."""
        if journals:
            self.store.load_journals(journals)
            for one in journals:
                one.path.unlink(missing_ok=True)
        left = waiting(self._journals)
        for place in range(0, len(left), SEGMENTS_PER_LOAD_MAX):
            self._take_segments(left[place : place + SEGMENTS_PER_LOAD_MAX])
        return bool(journals or left)

    def _take_segments(self, left: Sequence[SegmentFile]) -> None:
        """Load segments of applications; one that does not go on from what is known waits for what is between."""
        try:
            self.store.load_segments(left)
        except StoreError:
            if len(left) > 1:
                for one in left:
                    self._take_segments([one])
                return
            if left[0].age_seconds < segment.ABANDONED_FILE_SECONDS:
                return
        for one in left:
            one.path.unlink()

    def _refresh(self) -> None:
        if self.load_waiting_files([]):
            self._handlers["derive"](self.store, None)

    def _load_named(self, store: Store, names: Sequence[str]) -> list[LoadResult]:
        segments = [SegmentFile(self._segments / Path(name).name) for name in names]
        with self._loading:
            loaded = store.load_segments(segments)
            for written in segments:
                written.path.unlink()
            return loaded

    def _load_waiting(self, left: SegmentFile) -> None:
        """Load what was left; what does not go on from what is known can be read from its log again."""
        with suppress(StoreError):
            (loaded,) = self.store.load_segments([left])
            self.recovered_lines += left.metadata.lines if loaded.load_number else 0
        left.path.unlink()


class FolderClient:
    """The house of a process that asks the owner."""

    is_owner = False

    def __init__(self, connection: socket.socket, segments: Path, owner_pid: str) -> None:
        self._connection = connection
        self.owner_pid = owner_pid
        self._segments = segments
        self._turn = threading.Lock()

    def call(self, operation: str, argument: Any = None) -> Any:
        """See House."""
        try:
            with self._turn:
                send(self._connection, {"question": operation, "argument": argument})
                answer = receive_message(self._connection)
        except OSError:
            answer = None
        if answer is None:
            raise ServerGoneError("the process that owns the folder went away", "give the command again")
        if error := answer.get("error"):
            kind = getattr(errors, error["kind"], StoreError)
            raise kind(error["message"], error["hint"], code=error["code"])
        return answer["result"]

    def load_segments(self, segments: Sequence[Segment]) -> list[LoadResult]:
        """See House. The segments go over the disk, where the owner, or the next one, finds them."""
        names = [segment.write_segment(self._segments, one).path.name for one in segments]
        return msgspec.convert(self.call("load", names), list[LoadResult])

    def close(self) -> None:
        """See House."""
        self._connection.close()


def open_backend(folder: Folder, handlers: Mapping[str, OperationHandler]) -> FolderServer | FolderClient:
    """Own the folder, or connect to the process that does.

    Raises StoreError where one owns it that does not answer.
    """
    folder.data_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        lock = (folder.data_folder / LOCK_FILE).open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip()
            lock.close()
        else:
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            return _own(folder, lock, handlers)
        with suppress(OSError):
            return FolderClient(connect(folder.data_folder), folder.data_folder / SEGMENTS_FOLDER, owner)
        if time.monotonic() > deadline:
            raise StoreError(
                f"`{folder.data_folder}` is in use by process {owner or 'unknown'}, which does not answer",
                "wait for it, or stop it",
                code="folder-in-use",
            )
        time.sleep(0.05)


def _own(folder: Folder, lock: IO[str], handlers: Mapping[str, OperationHandler]) -> FolderServer:
    try:
        return FolderServer(folder, lock, handlers)
    except BaseException:
        lock.close()
        raise


class _UnixSocketServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Listens on the socket; one thread for each connection."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 64
    folder_server: FolderServer
    socket_path: str
    connections: set[socket.socket]

    def stop(self) -> None:
        """Listen no more, answer what was asked, and end the conversations."""
        self.shutdown()
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
        self.server_close()


class _ConnectionHandler(socketserver.BaseRequestHandler):
    """One connection: questions and answers in turn, until it ends."""

    server: _UnixSocketServer

    def handle(self) -> None:
        """Answer until the other side goes away; then release what it claimed."""
        self.server.connections.add(self.request)
        try:
            while (message := receive_message(self.request)) is not None:
                send(self.request, self._answer(message))
        except OSError:
            pass
        finally:
            self.server.connections.discard(self.request)
            self.server.folder_server.release_claims(self)

    def is_disconnected(self) -> bool:
        """See Holder."""
        return is_closed_by_peer(self.request)

    def _answer(self, message: dict[str, Any]) -> dict[str, Any]:
        try:
            return {
                "result": self.server.folder_server.handle_call(
                    message["question"], message["argument"], self
                )
            }
        except AvowalError as error:
            said = {
                "kind": type(error).__name__,
                "code": error.code,
                "message": error.message,
                "hint": error.hint,
            }
        except Exception as error:  # noqa: BLE001  # a fault in one answer must not end the owner
            said = {
                "kind": "StoreError",
                "code": "server-failed",
                "message": f"the owner failed ({type(error).__name__})",
                "hint": "",
            }
        return {"error": said}


def _listen(folder: Path, owner: FolderServer) -> _UnixSocketServer:
    with suppress(FileNotFoundError):
        (folder / SOCKET_FILE).unlink()
    with short_socket_path(folder) as path:
        previous = os.umask(0o177)
        try:
            server = _UnixSocketServer(path, _ConnectionHandler)
        except OSError as error:
            raise StoreError(
                f"no socket can be made in `{folder}`: {error.strerror or error}",
                "choose a data folder with a shorter path",
                code="path-too-long",
            ) from None
        finally:
            os.umask(previous)
    server.folder_server, server.socket_path, server.connections = owner, str(folder / SOCKET_FILE), set()
    return server
