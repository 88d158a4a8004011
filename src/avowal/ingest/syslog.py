"""Receive log lines by syslog, over UDP or TCP, and keep them in memory until the next load."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from avowal.logs.log_file import LINE_BYTES_MAX

BUFFERED_LINES_MAX = 200_000
"""The most lines in memory. Further lines are lost, and counted."""

BUFFERED_BYTES_MAX = 128 << 20
"""The most bytes of these lines."""

_OCTET_COUNT = re.compile(rb"[1-9][0-9]{0,6} ")


@dataclass
class LineBuffer:
    """Lines that wait to be loaded. Safe to use from several threads."""

    lost_lines: int = 0
    _lines: list[bytes] = field(default_factory=list)
    _size_bytes: int = 0
    _lock: Lock = field(default_factory=Lock)

    def put(self, message: bytes) -> None:
        """Add a message as one line. Line feeds in it become spaces."""
        line = message.strip(b"\0\r\n").replace(b"\n", b" ")
        with self._lock:
            if len(self._lines) >= BUFFERED_LINES_MAX or self._size_bytes + len(line) > BUFFERED_BYTES_MAX:
                self.lost_lines += 1
            elif line:
                self._lines.append(line)
                self._size_bytes += len(line)

    def drain(self) -> list[bytes]:
        """Remove and return all lines, in the order of their arrival."""
        with self._lock:
            lines, self._lines, self._size_bytes = self._lines, [], 0
        return lines


@dataclass
class SyslogListener(asyncio.DatagramProtocol):
    """Listens on one address over UDP and TCP. Messages from addresses that are not trusted are ignored."""

    line_buffer: LineBuffer
    is_trusted: Callable[[str], bool]
    _transports: list[asyncio.BaseTransport | asyncio.Server] = field(default_factory=list)

    async def listen(self, host: str, port: int) -> None:
        """Start to listen. Raises OSError if the address is in use."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, (host, port))
        self._transports.append(transport)
        self._transports.append(
            await asyncio.start_server(self._read_connection, host, port, limit=LINE_BYTES_MAX)
        )

    def close(self) -> None:
        """Stop listening."""
        for transport in self._transports:
            transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Buffer the message of a datagram."""
        if self.is_trusted(addr[0]):
            self.line_buffer.put(data)

    async def _read_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Buffer the messages of a connection: each follows its length, or is a line (RFC 6587)."""
        try:
            if not self.is_trusted(writer.get_extra_info("peername")[0]):
                return
            while head := await reader.read(1):
                rest = await reader.readuntil(b" ") if head.isdigit() else b""
                if _OCTET_COUNT.fullmatch(head + rest):
                    self.line_buffer.put(await reader.readexactly(min(int(head + rest), LINE_BYTES_MAX)))
                else:
                    self.line_buffer.put(head + rest + await reader.readline())
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, OSError):
            pass  # ignore a message that is incomplete or too long
        finally:
            writer.close()
