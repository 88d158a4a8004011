"""One connection of the HTTP server: uvicorn's, with the limits of time and size that it lacks."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from avowal.collect.client_address import TrustedProxies
from avowal.server.connection_watch import DEFAULT_LIMITS, ConnectionLimits, ConnectionWatch

CHUNK_OVERHEAD_MAX = 16
"""How many bytes may come for each byte of a body that arrives in chunks."""


class HttpConnection(HttpToolsProtocol):
    """HTTP over one connection. Trailers are ignored: a header that arrives after the body decides nothing."""

    watch: ConnectionWatch
    """The watch over all connections of the server; see `create_connection_class`."""
    _is_reading_headers = True
    _header_bytes = 0
    _body_bytes = _raw_body_bytes = 0
    _body_began_at = 0.0

    def connection_made(self, transport: Any) -> None:
        """Accept a connection, unless there are too many."""
        super().connection_made(transport)
        if not (self.watch.open(self) and self.watch.admit(self, self.client[0] if self.client else "")):
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.watch.close(self)
        super().connection_lost(exc)

    def abort(self) -> None:
        """Close the connection without sending anything."""
        self.transport.abort()

    @property
    def is_held_up(self) -> bool:
        """Whether the application has not taken yet what arrived."""
        return bool(self.flow.read_paused)

    def data_received(self, data: bytes) -> None:
        """Read a part of a request; close the connection if its header is too long."""
        if self.transport.is_closing():
            return
        limits = self.watch.limits
        if self._is_reading_headers:
            self._header_bytes += len(data)
        else:
            self._raw_body_bytes += len(data)
        super().data_received(data)
        if self._is_reading_headers and self._header_bytes > limits.header_bytes:
            self.send_400_response("The header of the request is too long.")
        elif self._raw_body_bytes > 2 * limits.header_bytes + CHUNK_OVERHEAD_MAX * self._body_bytes:
            self.abort()  # endless trailers, or extensions of chunks

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._is_reading_headers = True
        if not self.watch.is_waiting(self):
            self.watch.wait_until(self, self.loop.time() + self.watch.limits.header_seconds)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header to the request, unless it is a trailer."""
        if self._is_reading_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the response."""
        limits = self.watch.limits
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if len(self.headers) > limits.header_lines or size > limits.header_bytes:
            raise ValueError("the header is too long")  # the parser reports it as an invalid request
        self._is_reading_headers, self._header_bytes = False, 0
        self._body_bytes = self._raw_body_bytes = 0
        self._body_began_at = self.loop.time()
        self.watch.wait_until(self, self._body_began_at + limits.body_idle_seconds)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass a part of the body on to the application."""
        limits, now = self.watch.limits, self.loop.time()
        self._body_bytes += len(body)
        if self.cycle.response_complete and self._body_bytes > limits.unread_bytes:
            self.abort()
            return
        longest = limits.body_seconds + self._body_bytes / limits.body_bytes_per_second
        self.watch.wait_until(self, min(self._body_began_at + longest, now + limits.body_idle_seconds))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self.watch.end_waiting(self)
        self._is_reading_headers = True
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Wait until the client has read what was sent."""
        self.watch.begin_blocked(self, self.loop.time() + self.watch.limits.write_seconds)
        super().pause_writing()

    def resume_writing(self) -> None:
        """Go on sending."""
        self.watch.end_blocked(self)
        super().resume_writing()


def create_connection_class(
    kind: type[HttpConnection], proxies: TrustedProxies, limits: ConnectionLimits = DEFAULT_LIMITS
) -> type[HttpConnection]:
    """Return the class of the connections of one server, which one watch has in view."""
    return type(kind.__name__, (kind,), {"watch": ConnectionWatch(limits, proxies)})
