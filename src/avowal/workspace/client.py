"""A data folder that another process owns: requests go to that process through its Unix socket."""

import socket
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from avowal.collect import segment
from avowal.collect.segment import Segment
from avowal.errors import ServerGoneError
from avowal.store.interface import LoadResult
from avowal.workspace.messages import Answer, LoadSegments, Request, decode_answer
from avowal.workspace.unix_socket import receive_message, send_message


class FolderClient:
    """A folder backend that sends requests to the owner of the folder."""

    is_owner = False

    def __init__(self, connection: socket.socket, segments_folder: Path, owner_pid: str) -> None:
        """Use a connection to the owner. `owner_pid` is for messages, and empty while the owner is starting."""
        self.owner_pid = owner_pid
        self._connection = connection
        self._segments_folder = segments_folder
        self._in_use = threading.Lock()

    def call(self, request: Request[Answer]) -> Answer:
        """See FolderBackend."""
        try:
            with self._in_use:
                send_message(self._connection, msgspec.msgpack.encode(request))
                reply = receive_message(self._connection)
        except OSError:
            reply = None
        if reply is None:
            raise ServerGoneError("the process that owns the folder ended", "run the command again")
        return decode_answer(reply, type(request))

    def load_segments(self, segments: Sequence[Segment]) -> list[LoadResult]:
        """See FolderBackend. Segments are written to the disk first, where this owner or the next one finds them."""
        files = [segment.write_segment(self._segments_folder, new) for new in segments]
        return self.call(LoadSegments([file.path.name for file in files]))

    def close(self) -> None:
        """See FolderBackend."""
        self._connection.close()
