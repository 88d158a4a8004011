"""One connection of the HTTP server: uvicorn's, with the limits that it lacks."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class HttpConnection(HttpToolsProtocol):
    """HTTP over one connection. Trailers are ignored: a header that arrives after the body decides nothing."""

    _is_reading_headers = True

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._is_reading_headers = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header to the request, unless it is a trailer."""
        if self._is_reading_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the response."""
        self._is_reading_headers = False
        super().on_headers_complete()
