"""Messages on the Unix socket of a data folder: four bytes with the length, then that many bytes."""

import os
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from avowal.workspace.layout import SOCKET_FILE

MESSAGE_BYTES_MAX = 64 * 1024 * 1024
"""The longest request or answer on the socket, in bytes."""


@contextmanager
def short_socket_path(folder: Path) -> Iterator[str]:
    """Give the path of the socket in a form that is short enough for the system (108 bytes on Linux, 104 elsewhere)."""
    path = str(folder / SOCKET_FILE)
    if len(os.fsencode(path)) < 100:  # noqa: PLR2004  # fits on every system
        yield path
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_FILE}"
    finally:
        os.close(descriptor)


def connect(folder: Path) -> socket.socket:
    """Connect to the owner of a data folder. Raises OSError if there is none."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_socket_path(folder) as path:
            connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection


def send_message(connection: socket.socket, data: bytes) -> None:
    """Send a message. Raises OSError if the peer has gone."""
    connection.sendall(struct.pack("!I", len(data)) + data)


def receive_message(connection: socket.socket) -> bytes | None:
    """Return the next message, or None if the peer has gone. Raises OSError if the message is too long."""
    header = _receive_exactly(connection, 4)
    if header is None:
        return None
    (length,) = struct.unpack("!I", header)
    if length > MESSAGE_BYTES_MAX:
        raise OSError("message too long")
    return _receive_exactly(connection, length)


def is_closed_by_peer(connection: socket.socket) -> bool:
    """Return whether the peer has closed the connection or died, even if something that it sent is not read yet."""
    hang_ups = select.poll()
    hang_ups.register(connection, 0)
    return bool(hang_ups.poll(0))


def _receive_exactly(connection: socket.socket, size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        part = connection.recv(min(size - len(data), 1 << 20))
        if not part:
            return None
        data += part
    return bytes(data)
