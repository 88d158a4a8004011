"""Lines that servers send by syslog, over UDP or TCP: they wait in memory until the next load."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from avowal.logs.log_file import LINE_BYTES_MAX

BUFFERED_LINES_MAX = 200_000
"""How many lines may wait: more than that are lost, and counted."""

_COUNTED = re.compile(rb"[1-9][0-9]{0,6} ")


@dataclass
class LineBuffer:
    """The lines that wait. Any thread may put and take."""

    lost_lines: int = 0
    _waiting: list[bytes] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def put(self, message: bytes) -> None:
        """Add a message: one line, whatever it has of line feeds."""
        line = message.strip(b"\0\r\n").replace(b"\n", b" ")
        with self._lock:
            if len(self._waiting) >= BUFFERED_LINES_MAX:
                self.lost_lines += 1
            elif line:
                self._waiting.append(line)

    def drain(self) -> list[bytes]:
        """Return what waits, in the order in which it came."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        return waiting


@dataclass
class SyslogListener(asyncio.DatagramProtocol):
    """Listens at one place, for both; only those that are trusted are heard."""

    line_buffer: LineBuffer
    is_trusted: Callable[[str], bool]
    _ends: list[asyncio.BaseTransport | asyncio.Server] = field(default_factory=list)

    async def listen(self, host: str, port: int) -> None:
        """Begin. Raises OSError where that place is taken."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, (host, port))
        self._ends.append(transport)
        self._ends.append(await asyncio.start_server(self._converse, host, port, limit=LINE_BYTES_MAX))

    def close(self) -> None:
        """Listen no more."""
        for end in self._ends:
            end.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take a message that came as a datagram."""
        if self.is_trusted(addr[0]):
            self.line_buffer.put(data)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take messages from a connection: each with its length before it, or on a line of its own (RFC 6587)."""
        try:
            if not self.is_trusted(writer.get_extra_info("peername")[0]):
                return
            while head := await reader.read(1):
                rest = await reader.readuntil(b" ") if head.isdigit() else b""
                if _COUNTED.fullmatch(head + rest):
                    self.line_buffer.put(await reader.readexactly(min(int(head + rest), LINE_BYTES_MAX)))
                else:
                    self.line_buffer.put(head + rest + await reader.readline())
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, OSError):
            pass  # what is torn or longer than a line may be is no message
        finally:
            writer.close()
