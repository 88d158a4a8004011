"""The PROXY protocol (versions 1 and 2): a proxy says at the start of a connection whose it is."""

from typing import Any

from proxyprotocol import ProxyProtocolIncompleteError
from proxyprotocol.detect import ProxyProtocolDetect
from proxyprotocol.result import ProxyResult

from avowal.server.http_connection import HttpConnection

MAX_HEADER_BYTES = 4_096
"""The longest header: no proxy sends a longer one."""

HEADER_TIMEOUT_SECONDS = 5.0
"""How long the header may take to arrive: a proxy sends it at once."""

MAX_V1_HEADER_BYTES = 107
"""The longest header of version 1, which is a line."""


class ProxyProtocolConnection(HttpConnection):
    """HTTP over a connection that starts with a header of the PROXY protocol."""

    _header: bytes | None = b""
    """What has arrived of the header; None once it is complete."""

    def connection_made(self, transport: Any) -> None:
        """Accept the connection of a trusted proxy; close all others."""
        super().connection_made(transport)
        self._timeout = self.loop.call_later(HEADER_TIMEOUT_SECONDS, transport.abort)
        if self.client is None or not self.watch.proxies.is_trusted(self.client[0]):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting for the header."""
        self._timeout.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read the header first, then requests."""
        if self._header is None:
            super().data_received(data)
            return
        self._header += data
        try:
            parsed = parse_proxy_header(self._header)
        except ValueError:
            self.transport.abort()
            return
        if parsed:
            self._timeout.cancel()
            result, length = parsed
            rest, self._header = self._header[length:], None
            self._apply(result)
            if rest:
                super().data_received(rest)

    def _apply(self, result: ProxyResult) -> None:
        """Use the client's address and scheme that the proxy sent; the client is unknown if it sent no address."""
        self.client = None
        if result.proxied and isinstance(result.peername, tuple):
            self.client = (str(result.peername[0]), int(result.peername[1]))
            if not self.watch.admit(self, self.client[0]):
                self.abort()
        if result.tlv.ssl.has_ssl:
            self.scheme = "https"


def parse_proxy_header(data: bytes) -> tuple[ProxyResult, int] | None:
    """Parse the header at the start of a connection; return it with its length, or None if it is incomplete.

    Raises ValueError if it is not such a header.
    """
    length = min(8, len(data))
    while 0 < length <= len(data):
        try:
            return ProxyProtocolDetect().unpack(data[:length]), length
        except ProxyProtocolIncompleteError as error:
            missing_bytes = error.want_read.want_bytes
        length = length + missing_bytes if missing_bytes else data.find(b"\n", 0, MAX_V1_HEADER_BYTES) + 1
        if length > MAX_HEADER_BYTES or (not length and len(data) >= MAX_V1_HEADER_BYTES):
            raise ValueError("the header is longer than any proxy's")
    return None
