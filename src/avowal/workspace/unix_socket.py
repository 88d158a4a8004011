"""The conversation between the owner of a folder and its guests: messages on a Unix socket."""

import os
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

SOCKET_FILE = "avowal.sock"

MESSAGE_BYTES_MAX = 64 * 1024 * 1024
"""Longest question or answer on the socket."""


@contextmanager
def short_socket_path(folder: Path) -> Iterator[str]:
    """Give the socket's path, in a form short enough for the system (108 bytes on Linux, 104 elsewhere)."""
    path = str(folder / SOCKET_FILE)
    if len(os.fsencode(path)) < 100:  # noqa: PLR2004  # room for either system
        yield path
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_FILE}"
    finally:
        os.close(descriptor)


def connect(folder: Path) -> socket.socket:
    """Connect to the owner of a data folder. Raises OSError where there is none."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_socket_path(folder) as path:
            connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection


def send(connection: socket.socket, message: object) -> None:
    """Send a message."""
    data = msgspec.msgpack.encode(message)
    connection.sendall(struct.pack("!I", len(data)) + data)


def receive_message(connection: socket.socket) -> dict[str, Any] | None:
    """Return the next message, or None where the other side has gone."""
    head = _exactly(connection, 4)
    if head is None:
        return None
    (length,) = struct.unpack("!I", head)
    if length > MESSAGE_BYTES_MAX:
        raise OSError("message too long")
    data = _exactly(connection, length)
    return None if data is None else msgspec.msgpack.decode(data, type=dict[str, Any])


def is_closed_by_peer(connection: socket.socket) -> bool:
    """Whether the other side has closed the connection or died, even where something that it sent is not read yet."""
    hang_ups = select.poll()
    hang_ups.register(connection, 0)
    return bool(hang_ups.poll(0))


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(min(size - len(parts), 1 << 20))
        if not part:
            return None
        parts += part
    return bytes(parts)
