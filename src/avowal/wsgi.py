"""Collecting from inside a WSGI application (Flask, Django and others).

app.wsgi_app = Middleware(app.wsgi_app, "/srv/site", script="/avowal.js")
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import quote

from avowal.server.embedded import EmbeddedRequest, EmbeddedResponse, PageInsertions, RequestCollector

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
CONTENT_LENGTH = "content-length"
_PATH_SAFE = "/:@!$&'()*+,;=~"


class Middleware:
    """Wraps an application: its requests are collected as the terms of a folder let them in.

    `folder` is where `avowal init` was called, or one below; None is the working directory. `script` is the address of
    `/avowal.js`, as the site's visitors reach it, and is put into its pages; empty for none.

    Raises SettingsError where the folder's settings do not check. Nothing is raised later: where collecting fails,
    the logger `avowal` says so, and the application goes on.
    """

    def __init__(self, app: Any, folder: str | os.PathLike[str] | None = None, script: str = "") -> None:
        self.app = app
        self.collector = RequestCollector.open(folder, script)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer as the application does."""
        watched = _WsgiResponseObserver(self.collector, environ, start_response)
        try:
            watched.chunks = self.app(environ, watched.start)
        except BaseException:
            watched.collect()
            raise
        if watched.is_file:
            watched.collect()
            return watched.chunks
        return watched


def _read_request(environ: Environ) -> EmbeddedRequest:
    path = quote(
        (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1"), _PATH_SAFE
    )
    query = environ.get("QUERY_STRING", "")
    headers = {
        name[5:].replace("_", "-").lower(): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    return EmbeddedRequest(
        environ.get("REMOTE_ADDR", ""), environ["REQUEST_METHOD"], f"{path}?{query}", headers
    )


class _WsgiResponseObserver:
    """The way of one answer to its visitor: what the application gives, part by part."""

    def __init__(
        self, collector: RequestCollector, environ: Environ, start_response: Callable[..., Any]
    ) -> None:
        self.chunks: Iterable[bytes] = ()
        self._answer = EmbeddedResponse(time.time())
        self._collector = collector
        self._environ = environ
        self._start_response = start_response
        self._held: tuple[str, Headers] | None = None
        """The beginning of a page, held back until it is known how long the page is with what belongs into it."""
        self._marks: PageInsertions | None = None

    def start(self, status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], Any]:
        """Begin an answer, as the application does."""
        self._answer.status = int(status.partition(" ")[0])
        told = {name.lower(): value for name, value in headers}
        accepted = self._environ.get("HTTP_ACCEPT_LANGUAGE", "")
        method = self._environ["REQUEST_METHOD"]
        self._marks = self._collector.find_insertions(method, self._answer.status, told, accepted)
        if self._marks:
            self._held = status, headers
            return self._write
        self._held = None
        write: Callable[[bytes], Any] = self._start_response(
            status, headers, *([exc_info] if exc_info else [])
        )
        return write

    @property
    def is_file(self) -> bool:
        """Whether the server sends a file by itself, in its own way."""
        wrapper = self._environ.get("wsgi.file_wrapper")
        return self._held is None and isinstance(wrapper, type) and isinstance(self.chunks, wrapper)

    def __iter__(self) -> Iterator[bytes]:
        for part in self._marked():
            self._answer.body_bytes += len(part)
            yield part

    def close(self) -> None:
        """End the answer, as the server does."""
        try:
            if close := getattr(self.chunks, "close", None):
                close()
        finally:
            self.collect()

    def collect(self) -> None:
        """Collect it."""
        self._collector.collect(lambda: _read_request(self._environ), self._answer)

    def _marked(self) -> Iterator[bytes]:
        """Give the parts; of a page that was told to be of a length, all at once."""
        page, marking = b"", False
        for part in self.chunks:
            length = _length(self._held[1]) if self._held else None
            if length is not None:
                page += part
                if len(page) >= length:
                    marked = self._marks.insert(page) if self._marks else page
                    self._begin(len(marked))
                    yield marked
                continue
            if self._held:
                self._begin()
                marking = True
            yield self._marks.insert(part) if marking and self._marks else part
        if self._held:
            self._begin()
            yield page

    def _begin(self, length: int | None = None) -> Callable[[bytes], Any]:
        """Send the beginning that was held back, with another length where there is one."""
        assert self._held  # as whoever calls has looked  # noqa: S101
        (status, headers), self._held = self._held, None
        if length is not None:
            headers = [
                *((name, value) for name, value in headers if name.lower() != CONTENT_LENGTH),
                (CONTENT_LENGTH, str(length)),
            ]
        write: Callable[[bytes], Any] = self._start_response(status, headers)
        return write

    def _write(self, part: bytes) -> None:
        """Write a part in the way of old, beside those that are given: such a page gets no script."""
        if self._held:
            self._old = self._begin()
        self._answer.body_bytes += len(part)
        self._old(part)


def _length(headers: Headers) -> int | None:
    return next((int(value) for name, value in headers if name.lower() == CONTENT_LENGTH), None)
