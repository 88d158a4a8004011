"""Collects from inside an ASGI application (Starlette, FastAPI, Django, Quart and others).

app = AsgiMiddleware(app, "/srv/site", script="/avowal.js")
"""

import os
import time
from typing import Any

from avowal.server.embedded import EmbeddedRequest, EmbeddedResponse, RequestCollector
from avowal.server.page_insertion import PageInsertions

Message = dict[str, Any]


class AsgiMiddleware:
    """Wraps an application and collects its requests, as far as the terms of a folder permit.

    `folder` is where `avowal init` was called, or one below; None is the working directory. `script` is the address of
    `/avowal.js` as the site's visitors reach it, which is inserted into its pages; empty to insert none.

    Raises SettingsError if the folder's settings are not valid. Nothing is raised later: if collecting fails, the
    logger `avowal` says so, and the application goes on.
    """

    def __init__(self, app: Any, folder: str | os.PathLike[str] | None = None, script: str = "") -> None:
        self.app = app
        self.collector = RequestCollector.open(folder, script)

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        """Answer as the application does."""
        if scope["type"] == "lifespan":
            await self._run_lifespan(scope, receive, send)
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        accept_language = _decode_headers(scope).get("accept-language", "")
        # trailers and the application may change the scope
        initial_scope = {**scope, "headers": list(scope["headers"])}
        observer = _AsgiResponseObserver(self.collector, scope["method"], accept_language, send)
        try:
            await self.app(scope, receive, observer.send)
        finally:
            self.collector.collect(lambda: _read_request(initial_scope), observer.response)

    async def _run_lifespan(self, scope: Message, receive: Any, send: Any) -> None:
        """Start and stop with the application; answer the server for an application without lifespan events."""
        received_type = sent_type = ""

        async def receive_message() -> Message:
            nonlocal received_type
            message: Message = await receive()
            received_type = message["type"]
            return message

        async def send_message(message: Message) -> None:
            nonlocal sent_type
            sent_type = message["type"]
            if sent_type.startswith("lifespan.shutdown"):
                self.collector.close()
            await send(message)

        try:
            await self.app(scope, receive_message, send_message)
        except Exception:
            if sent_type:
                raise
        while not sent_type.startswith(("lifespan.shutdown", "lifespan.startup.failed")):
            if sent_type == f"{received_type}.complete" or not received_type:
                await receive_message()
            await send_message({"type": f"{received_type}.complete"})


def _read_request(scope: Message) -> EmbeddedRequest:
    headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]
    path, query = scope.get("raw_path") or scope["path"].encode(), scope.get("query_string", b"")
    return EmbeddedRequest(
        remote_addr=scope["client"][0] if scope.get("client") else "",
        method=scope["method"],
        uri=(path + b"?" * bool(query) + query).decode("latin-1"),
        headers=headers,
    )


class _AsgiResponseObserver:
    """Sends a response on, inserts into it, and notes its status, type and length."""

    def __init__(self, collector: RequestCollector, method: str, accept_language: str, send: Any) -> None:
        self.response = EmbeddedResponse(time.time())
        self._collector = collector
        self._method = method
        self._accept_language = accept_language
        self._send = send
        self._start: Message | None = None
        """The start of a page, held back until its length with the insertions is known."""
        self._insertions: PageInsertions | None = None

    async def send(self, message: Message) -> None:
        """Send a message of the response on."""
        if message["type"] == "http.response.start":
            headers = _decode_headers(message)
            self.response.status = message["status"]
            self.response.content_type = headers.get("content-type", "")
            self._insertions = self._collector.page_inserter.find(
                self._method, message["status"], headers, self._accept_language
            )
            if self._insertions:
                self._start = message
                return
        elif message["type"] == "http.response.body":
            message = self._insert(message, self._insertions) if self._insertions else message
            self.response.body_bytes += len(message.get("body", b""))
        if self._start:
            start, self._start = self._start, None
            await self._send(start)
        await self._send(message)

    def _insert(self, message: Message, insertions: PageInsertions) -> Message:
        """Insert into a part of a page, unless the page has a fixed length and arrives in several parts."""
        has_more = message.get("more_body", False)
        has_length = self._start is not None and "content-length" in _decode_headers(self._start)
        if has_length and has_more:
            self._insertions = None
            return message
        body = insertions.insert(bytes(message.get("body", b"")))
        self._insertions = None if insertions.is_complete else insertions
        if has_length and self._start:
            other_headers = [
                header for header in self._start["headers"] if header[0].lower() != b"content-length"
            ]
            length = (b"content-length", str(len(body)).encode())
            self._start = {**self._start, "headers": [*other_headers, length]}
        return {**message, "body": body}


def _decode_headers(message: Message) -> dict[str, str]:
    """Return the headers of a message, by their names in lower case."""
    return {
        bytes(name).decode("latin-1").lower(): bytes(value).decode("latin-1")
        for name, value in message.get("headers", [])
    }
