"""The process that owns a data folder: it answers its own requests, and those that arrive on the Unix socket."""

import os
import socket
import socketserver
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any, cast

import msgspec

from avowal.collect.segment import Segment
from avowal.config import Folder
from avowal.errors import StoreError
from avowal.store.duckdb_store import DuckDBStore
from avowal.store.interface import LoadResult, Store, StoreRegistry
from avowal.workspace.claims import LogClaimant, LogClaims
from avowal.workspace.layout import SOCKET_FILE
from avowal.workspace.messages import (
    Answer,
    AnyRequest,
    ClaimLog,
    CountRecords,
    Failure,
    HoldStore,
    ListLogPositions,
    ListUnparsableLines,
    LoadSegments,
    ReleaseStore,
    Request,
    RequestHandler,
    create_request_decoder,
    encode_answer,
    unknown_request_error,
)
from avowal.workspace.pending_files import PendingFiles
from avowal.workspace.store_hold import StoreHold
from avowal.workspace.unix_socket import (
    is_closed_by_peer,
    receive_message,
    send_message,
    short_socket_path,
)


class FolderServer:
    """The folder backend of the process that owns the folder."""

    is_owner = True

    def __init__(
        self,
        folder: Folder,
        lock: IO[str],
        create_handler: Callable[[Store], RequestHandler],
        registry: StoreRegistry | None = None,
    ) -> None:
        """Open the store, load what an earlier owner left, and listen. `lock` is held until the folder is closed."""
        self._lock = lock
        self._claims = LogClaims()
        memory_limit = folder.settings.store.memory_limit
        self.store = DuckDBStore(folder.data_folder, memory_limit, self._version_starts, registry)
        self._hold = StoreHold(self.store)
        try:
            self.pending_files = PendingFiles(folder.data_folder, self.store, registry)
            self._handler = create_handler(self.store)
            self._decoder = create_request_decoder(self._handler.request_types)
            self.recovered_lines, has_arrivals = self.pending_files.recover()
            self.needs_derivation = has_arrivals or self.recovered_lines > 0
            """Whether something was recovered of which there are no views and visits yet."""
            self.load_arrivals: Callable[[], object] = self._load_arrivals
            """Loads what arrived and waits. The web server replaces it with its own, which knows the open journal."""
            self._listener = _listen(folder.data_folder, self)
        except BaseException:
            self.store.close()
            raise
        threading.Thread(target=self._listener.serve_forever, args=(0.05,), daemon=True).start()

    def call(self, request: Request[Answer]) -> Answer:
        """See FolderBackend."""
        return self.answer(request, self)

    def answer(self, request: Request[Answer], claimant: LogClaimant) -> Answer:
        """Answer a request of this process or of a connection. Raises StoreError if nothing handles it."""
        if request.needs_arrivals and (request.changes_data or not self.store.is_compacting()):
            self.load_arrivals()
        if isinstance(request, self._handler.request_types):
            return self._handler.handle(request)
        return cast("Answer", self._answer_workspace_request(request, claimant))

    def answer_message(self, data: bytes, claimant: LogClaimant) -> bytes:
        """Answer an encoded request of a connection; errors are part of the answer."""
        try:
            return encode_answer(self.answer(self._decode(data), claimant))
        except Exception as error:  # noqa: BLE001  # a fault in one answer must not end the owner
            return msgspec.msgpack.encode(Failure.from_error(error))

    def release_claims(self, claimant: LogClaimant) -> None:
        """Load the segments that a connection left of the logs that it claimed, and only then release its claims.

        A log of which it wrote the first segment is unknown until then: the next reader would read it from its start.
        """
        self._hold.release(claimant)
        claimed = self._claims.logs_claimed_by(claimant)
        try:
            self.pending_files.load_left_by(claimed)
        finally:
            self._claims.release(claimant)

    def is_disconnected(self) -> bool:
        """See LogClaimant."""
        return False

    def load_segments(self, segments: Sequence[Segment]) -> list[LoadResult]:
        """See FolderBackend. Segments are loaded from memory: what a crash loses is read from its log again."""
        return self.store.load_segments(segments)

    def close(self) -> None:
        """See FolderBackend. Requests in progress are answered first."""
        self._listener.stop()
        with suppress(FileNotFoundError):
            Path(self._listener.socket_path).unlink()
        self.store.close()
        self._lock.close()

    def _version_starts(self) -> Sequence[datetime]:
        return self._handler.version_starts()

    def _decode(self, data: bytes) -> AnyRequest:
        try:
            return self._decoder.decode(data)
        except msgspec.ValidationError:
            tag = msgspec.msgpack.decode(data, type=_RequestTag).type
            raise unknown_request_error(tag) from None

    def _answer_workspace_request(self, request: AnyRequest, claimant: LogClaimant) -> Any:
        match request:
            case ListLogPositions():
                return self.store.log_positions()
            case ClaimLog():
                return self._claims.acquire(request.head_digest, claimant)
            case ListUnparsableLines():
                return self.store.unparsable_lines(request.log_id)
            case CountRecords():
                return self.store.record_counts()
            case HoldStore() | ReleaseStore():
                change = self._hold.acquire if isinstance(request, HoldStore) else self._hold.release
                return change(claimant)
            case LoadSegments():
                return self.pending_files.load_named_segments(request.file_names)
        raise unknown_request_error(str(request.__struct_config__.tag))

    def _load_arrivals(self) -> None:
        if self.pending_files.load_arrivals([]):
            self._handler.derive_views()


class _RequestTag(msgspec.Struct):
    """The tag of a request that could not be decoded."""

    type: str = "?"


class _Listener(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Listens on the socket; each connection has a thread."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 64
    folder_server: FolderServer
    socket_path: str
    connections: set[socket.socket]

    def stop(self) -> None:
        """Accept no more connections, answer the requests in progress, and end the connections."""
        self.shutdown()
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
        self.server_close()


class _Connection(socketserver.BaseRequestHandler):
    """One connection: requests and answers in turn, until the peer ends it."""

    server: _Listener

    def handle(self) -> None:
        """Answer requests until the peer ends the connection; then release the logs that it claimed."""
        self.server.connections.add(self.request)
        try:
            while (message := receive_message(self.request)) is not None:
                send_message(self.request, self.server.folder_server.answer_message(message, self))
        except OSError:
            pass
        finally:
            self.server.connections.discard(self.request)
            self.server.folder_server.release_claims(self)

    def is_disconnected(self) -> bool:
        """See LogClaimant."""
        return is_closed_by_peer(self.request)


def _listen(folder: Path, owner: FolderServer) -> _Listener:
    with suppress(FileNotFoundError):
        (folder / SOCKET_FILE).unlink()
    with short_socket_path(folder) as path:
        previous_mask = os.umask(0o177)
        try:
            listener = _Listener(path, _Connection)
        except OSError as error:
            raise StoreError(
                f"no socket can be made in `{folder}`: {error.strerror or error}",
                "choose a data folder with a shorter path",
                code="path-too-long",
            ) from None
        finally:
            os.umask(previous_mask)
    listener.folder_server, listener.socket_path = owner, str(folder / SOCKET_FILE)
    listener.connections = set()
    return listener
