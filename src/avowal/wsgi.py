"""Collects from inside a WSGI application (Flask, Django and others).

app.wsgi_app = WsgiMiddleware(app.wsgi_app, "/srv/site", script="/avowal.js")
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import quote

from avowal.server.embedded import EmbeddedRequest, EmbeddedResponse, RequestCollector
from avowal.server.page_insertion import PageInsertions

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
CONTENT_LENGTH = "content-length"
_PATH_SAFE = "/:@!$&'()*+,;=~"


class WsgiMiddleware:
    """Wraps an application and collects its requests, as far as the terms of a folder permit.

    `folder` is where `avowal init` was called, or one below; None is the working directory. `script` is the address of
    `/avowal.js` as the site's visitors reach it, which is inserted into its pages; empty to insert none.

    Raises SettingsError if the folder's settings are not valid. Nothing is raised later: if collecting fails, the
    logger `avowal` says so, and the application goes on.
    """

    def __init__(self, app: Any, folder: str | os.PathLike[str] | None = None, script: str = "") -> None:
        self.app = app
        self.collector = RequestCollector.open(folder, script)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer as the application does."""
        observer = _WsgiResponseObserver(self.collector, environ, start_response)
        try:
            observer.chunks = self.app(environ, observer.start)
        except BaseException:
            observer.collect()
            raise
        if observer.is_file:
            observer.collect()
            return observer.chunks
        return observer


def _read_request(environ: Environ) -> EmbeddedRequest:
    path = quote(
        (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1"), _PATH_SAFE
    )
    query = environ.get("QUERY_STRING", "")
    headers = [
        (name[5:].replace("_", "-").lower(), str(value))
        for name, value in environ.items()
        if name.startswith("HTTP_")
    ]
    return EmbeddedRequest(
        environ.get("REMOTE_ADDR", ""), environ["REQUEST_METHOD"], f"{path}?{query}", headers
    )


class _WsgiResponseObserver:
    """Yields the chunks of a response, inserts into them, and notes the response's status, type and length."""

    def __init__(
        self, collector: RequestCollector, environ: Environ, start_response: Callable[..., Any]
    ) -> None:
        self.chunks: Iterable[bytes] = ()
        """What the application returned."""
        self._response = EmbeddedResponse(time.time())
        self._collector = collector
        self._environ = environ.copy()
        """The request as it came: the application may change its own."""
        self._start_response = start_response
        self._pending_start: tuple[str, Headers] | None = None
        """Status and headers of a page, held back until its length with the insertions is known."""
        self._insertions: PageInsertions | None = None
        self._write_body: Callable[[bytes], Any] | None = None
        """The server's `write`, if the application uses it."""

    def start(self, status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], Any]:
        """Start the response: the application's `start_response`."""
        header_values = {name.lower(): value for name, value in headers}
        self._response.status = int(status.partition(" ")[0])
        self._response.content_type = header_values.get("content-type", "")
        self._insertions = self._collector.page_inserter.find(
            self._environ["REQUEST_METHOD"],
            self._response.status,
            header_values,
            self._environ.get("HTTP_ACCEPT_LANGUAGE", ""),
        )
        if self._insertions:
            self._pending_start = status, headers
            return self._write
        self._pending_start = None
        write: Callable[[bytes], Any] = self._start_response(
            status, headers, *([exc_info] if exc_info else [])
        )
        return write

    @property
    def is_file(self) -> bool:
        """Whether the server sends a file itself."""
        wrapper = self._environ.get("wsgi.file_wrapper")
        return self._pending_start is None and isinstance(wrapper, type) and isinstance(self.chunks, wrapper)

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._insert():
            self._response.body_bytes += len(chunk)
            yield chunk

    def close(self) -> None:
        """End the response, as the server does."""
        try:
            if close := getattr(self.chunks, "close", None):
                close()
        finally:
            self.collect()

    def collect(self) -> None:
        """Collect the request."""
        self._collector.collect(lambda: _read_request(self._environ), self._response)

    def _insert(self) -> Iterator[bytes]:
        """Yield the chunks with the insertions; a page of a fixed length as one chunk."""
        page, is_streamed = b"", False
        for chunk in self.chunks:
            length = _content_length(self._pending_start[1]) if self._pending_start else None
            if length is not None:
                page += chunk
                if len(page) >= length:
                    whole_page = self._insertions.insert(page) if self._insertions else page
                    self._send_start(len(whole_page))
                    yield whole_page
                continue
            if self._pending_start:
                self._send_start()
                is_streamed = True
            yield self._insertions.insert(chunk) if is_streamed and self._insertions else chunk
        if self._pending_start:
            self._send_start()
            yield page

    def _send_start(self, length: int | None = None) -> Callable[[bytes], Any]:
        """Send the start that was held back, with another length if one is given."""
        assert self._pending_start  # callers have checked  # noqa: S101
        (status, headers), self._pending_start = self._pending_start, None
        if length is not None:
            headers = [
                *((name, value) for name, value in headers if name.lower() != CONTENT_LENGTH),
                (CONTENT_LENGTH, str(length)),
            ]
        write: Callable[[bytes], Any] = self._start_response(status, headers)
        return write

    def _write(self, chunk: bytes) -> None:
        """Write a chunk for an application that uses `write`: nothing is inserted into its page."""
        if self._write_body is None:
            self._write_body = self._send_start()
        self._response.body_bytes += len(chunk)
        self._write_body(chunk)


def _content_length(headers: Headers) -> int | None:
    return next((int(value) for name, value in headers if name.lower() == CONTENT_LENGTH), None)
