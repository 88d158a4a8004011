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
from avowal.collect.segment import Segment, Written, waiting
from avowal.config import Folder
from avowal.errors import AvowalError, OwnerGoneError, StoreError
from avowal.store.duckdb_store import DuckDBStore
from avowal.store.interface import Loaded, Store
from avowal.workspace.backend import Claims, Holder
from avowal.workspace.unix_socket import SOCKET, connect, hung_up, receive, send, short

LOCK = "lock"
SEGMENTS = "segments"
JOURNALS = "journals"
TAKEN_AT_ONCE = 100
"""How many small segments are loaded at once."""

WAIT_SECONDS = 10.0
"""How long to wait for an owner that is starting or stopping."""

Handler = Callable[[Store, Any], Any]
"""Answers a question about the store: takes and gives what msgspec can encode."""


OWN_HANDLERS: dict[str, Handler] = {
    "known": lambda store, _: store.known(),
    "dead_letters": lambda store, source: store.dead_letters(source),
    "counts": lambda store, _: store.counts(),
}
"""What every owner answers, beside the claims and loads that it keeps itself."""


FRESH = frozenset({"held", "summary", "page", "looks", "extent", "erase", "erase_looks", "retain"})
"""Questions that may leave nothing out, however short a time ago it came in."""


class Owner:
    """The house of the process that owns the folder: answers itself, and whoever connects."""

    owned = True

    def __init__(self, folder: Folder, lock: IO[str], handlers: Mapping[str, Handler]) -> None:
        """Open the store, load what an earlier owner left waiting, and listen."""
        self._lock = lock
        self._segments = folder.data / SEGMENTS
        self._journals = folder.data / JOURNALS
        self._handlers = {**OWN_HANDLERS, "load": self._load_named, **handlers}
        self._claims = Claims()
        self._loading = threading.Lock()
        self.recovered = 0
        self.pending = False  # whether something was left waiting, of which there are no views and visits yet
        self.refresh: Callable[[], object] = (
            self._refresh
        )  # loads what came in and waits: a server sets its own
        self.store = DuckDBStore(folder.data, folder.settings.keep.memory_limit)
        try:
            for left in waiting(self._segments):
                self._load_waiting(left)
            self.pending = self.take_in(journal.waiting(self._journals)) or self.recovered > 0
            self._server = _listen(folder.data, self)
        except BaseException:
            self.store.close()
            raise
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def ask(self, question: str, argument: Any = None) -> Any:
        """See House."""
        return msgspec.to_builtins(self.answer(question, msgspec.to_builtins(argument), self))

    def answer(self, question: str, argument: Any, holder: Holder) -> Any:
        """Answer a question of a holder: this process, or a connection."""
        if question == "claim":
            return self._claims.take(argument, holder)
        if question in FRESH:
            self.refresh()
        if question in self._handlers:
            return self._handlers[question](self.store, argument)
        raise StoreError(
            f"the owner of the folder does not know the question `{question}`", "use one Avowal for all"
        )

    def release(self, holder: Holder) -> None:
        """Load what a connection left waiting of the logs that it claimed, and only then forget its claims.

        A log that it began is unknown until then: whoever read it next would begin it a second time.
        """
        claimed = self._claims.of(holder)
        try:
            with self._loading:
                for left in waiting(self._segments):
                    if left.intake.origin.head_digest in claimed:
                        self._load_waiting(left)
        finally:
            self._claims.release(holder)

    def gone(self) -> bool:
        """See Holder."""
        return False

    def close(self) -> None:
        """See House. Questions under way are answered first."""
        self._server.finish()
        with suppress(FileNotFoundError):
            Path(self._server.path).unlink()
        self.store.close()
        self._lock.close()

    def load(self, segments: Sequence[Segment]) -> list[Loaded]:
        """See House. Straight from memory: what is lost in a crash is read from its log again."""
        return self.store.load(segments)

    def take_in(self, journals: Sequence[Journal]) -> bool:
        """Load journals, and segments of applications, and take their files away; returns whether there were any."""
        if journals:
            self.store.load_journals(journals)
            for one in journals:
                one.path.unlink(missing_ok=True)
        left = waiting(self._journals)
        for place in range(0, len(left), TAKEN_AT_ONCE):
            self._take_segments(left[place : place + TAKEN_AT_ONCE])
        return bool(journals or left)

    def _take_segments(self, left: Sequence[Written]) -> None:
        """Load segments of applications; one that does not go on from what is known waits for what is between."""
        try:
            self.store.load(left)
        except StoreError:
            if len(left) > 1:
                for one in left:
                    self._take_segments([one])
                return
            if left[0].age < segment.HALF_WRITTEN_SECONDS:
                return
        for one in left:
            one.path.unlink()

    def _refresh(self) -> None:
        if self.take_in([]):
            self._handlers["derive"](self.store, None)

    def _load_named(self, store: Store, names: Sequence[str]) -> list[Loaded]:
        segments = [Written(self._segments / Path(name).name) for name in names]
        with self._loading:
            loaded = store.load(segments)
            for written in segments:
                written.path.unlink()
            return loaded

    def _load_waiting(self, left: Written) -> None:
        """Load what was left; what does not go on from what is known can be read from its log again."""
        with suppress(StoreError):
            (loaded,) = self.store.load([left])
            self.recovered += left.intake.lines if loaded.load else 0
        left.path.unlink()


class Guest:
    """The house of a process that asks the owner."""

    owned = False

    def __init__(self, connection: socket.socket, segments: Path, owner_pid: str) -> None:
        self._connection = connection
        self.owner_pid = owner_pid
        self._segments = segments
        self._turn = threading.Lock()

    def ask(self, question: str, argument: Any = None) -> Any:
        """See House."""
        try:
            with self._turn:
                send(self._connection, {"question": question, "argument": argument})
                answer = receive(self._connection)
        except OSError:
            answer = None
        if answer is None:
            raise OwnerGoneError("the process that owns the folder went away", "give the command again")
        if error := answer.get("error"):
            kind = getattr(errors, error["kind"], StoreError)
            raise kind(error["message"], error["hint"])
        return answer["result"]

    def load(self, segments: Sequence[Segment]) -> list[Loaded]:
        """See House. The segments go over the disk, where the owner, or the next one, finds them."""
        names = [segment.write(self._segments, one).path.name for one in segments]
        return msgspec.convert(self.ask("load", names), list[Loaded])

    def close(self) -> None:
        """See House."""
        self._connection.close()


def open_house(folder: Folder, handlers: Mapping[str, Handler]) -> Owner | Guest:
    """Own the folder, or connect to the process that does.

    Raises StoreError where one owns it that does not answer.
    """
    folder.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        lock = (folder.data / LOCK).open("a+")
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
            return Guest(connect(folder.data), folder.data / SEGMENTS, owner)
        if time.monotonic() > deadline:
            raise StoreError(
                f"`{folder.data}` is in use by process {owner or 'unknown'}, which does not answer",
                "wait for it, or stop it",
            )
        time.sleep(0.05)


def _own(folder: Folder, lock: IO[str], handlers: Mapping[str, Handler]) -> Owner:
    try:
        return Owner(folder, lock, handlers)
    except BaseException:
        lock.close()
        raise


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Listens on the socket; one thread for each connection."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 64
    owner: Owner
    path: str
    connections: set[socket.socket]

    def finish(self) -> None:
        """Listen no more, answer what was asked, and end the conversations."""
        self.shutdown()
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
        self.server_close()


class _Conversation(socketserver.BaseRequestHandler):
    """One connection: questions and answers in turn, until it ends."""

    server: _Server

    def handle(self) -> None:
        """Answer until the other side goes away; then release what it claimed."""
        self.server.connections.add(self.request)
        try:
            while (message := receive(self.request)) is not None:
                send(self.request, self._answer(message))
        except OSError:
            pass
        finally:
            self.server.connections.discard(self.request)
            self.server.owner.release(self)

    def gone(self) -> bool:
        """See Holder."""
        return hung_up(self.request)

    def _answer(self, message: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"result": self.server.owner.answer(message["question"], message["argument"], self)}
        except AvowalError as error:
            said = {"kind": type(error).__name__, "message": error.message, "hint": error.hint}
        except Exception as error:  # noqa: BLE001  # a fault in one answer must not end the owner
            said = {"kind": "StoreError", "message": f"the owner failed ({type(error).__name__})", "hint": ""}
        return {"error": said}


def _listen(folder: Path, owner: Owner) -> _Server:
    with suppress(FileNotFoundError):
        (folder / SOCKET).unlink()
    with short(folder) as path:
        previous = os.umask(0o177)
        try:
            server = _Server(path, _Conversation)
        except OSError as error:
            raise StoreError(
                f"no socket can be made in `{folder}`: {error.strerror or error}",
                "choose a data folder with a shorter path",
            ) from None
        finally:
            os.umask(previous)
    server.owner, server.path, server.connections = owner, str(folder / SOCKET), set()
    return server
