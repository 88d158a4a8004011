"""Connections of a proxy that says at their beginning whose they are (the PROXY protocol, versions 1 and 2)."""

from typing import Any

from proxyprotocol import ProxyProtocolIncompleteError
from proxyprotocol.detect import ProxyProtocolDetect
from proxyprotocol.result import ProxyResult
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from avowal.collect.client_address import TrustedProxies

MAX_HEADER_BYTES = 4_096
"""How long such a beginning may be: no proxy's is longer."""

HEADER_TIMEOUT_SECONDS = 5.0
"""How long it may take to come: a proxy sends it at once."""

MAX_V1_HEADER_BYTES = 107
"""The same of a line, as version 1 has it."""


class Proxied(HttpToolsProtocol):
    """HTTP over connections that begin so."""

    proxies: TrustedProxies
    _head: bytes | None = b""
    """What came before the request, as long as it is not whole."""

    def connection_made(self, transport: Any) -> None:
        """Close the connection of whom is not trusted."""
        super().connection_made(transport)
        self._late = self.loop.call_later(HEADER_TIMEOUT_SECONDS, transport.abort)
        if self.client is None or not self.proxies.is_trusted(self.client[0]):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for no beginning any more."""
        self._late.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take data: of the beginning, or of requests."""
        if self._head is None:
            super().data_received(data)
            return
        self._head += data
        try:
            read = parse_proxy_header(self._head)
        except ValueError:
            self.transport.abort()
            return
        if read:
            self._late.cancel()
            result, length = read
            rest, self._head = self._head[length:], None
            self._believe(result)
            if rest:
                super().data_received(rest)

    def _believe(self, result: ProxyResult) -> None:
        if result.proxied and isinstance(result.peername, tuple):
            self.client = (str(result.peername[0]), int(result.peername[1]))
        if result.tlv.ssl.has_ssl:
            self.scheme = "https"


def create_protocol_class(trusted_proxies: TrustedProxies) -> type[Proxied]:
    """Return what speaks so with trusted proxies; connections of others are closed."""
    return type("Proxied", (Proxied,), {"proxies": trusted_proxies})


def parse_proxy_header(data: bytes) -> tuple[ProxyResult, int] | None:
    """Read the beginning of a connection, and tell how long it is; None where more of it has to come.

    Raises ValueError where it is none.
    """
    length = min(8, len(data))
    while 0 < length <= len(data):
        try:
            return ProxyProtocolDetect().unpack(data[:length]), length
        except ProxyProtocolIncompleteError as error:
            wanted = error.want_read.want_bytes
        length = length + wanted if wanted else data.find(b"\n", 0, MAX_V1_HEADER_BYTES) + 1
        if length > MAX_HEADER_BYTES or (not length and len(data) >= MAX_V1_HEADER_BYTES):
            raise ValueError("a beginning is longer than any proxy's")
    return None
