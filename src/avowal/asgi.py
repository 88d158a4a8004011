"""Collecting from inside an ASGI application (Starlette, FastAPI, Django, Quart and others).

app = Middleware(app, "/srv/site", script="/avowal.js")
"""

import os
import time
from typing import Any

from avowal.server.embedded import EmbeddedRequest, EmbeddedResponse, PageInsertions, RequestCollector

Message = dict[str, Any]


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

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        """Answer as the application does."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        accepted = _texts(scope).get("accept-language", "")
        watched = _AsgiResponseObserver(self.collector, scope["method"], accepted, send)
        try:
            await self.app(scope, receive, watched.send)
        finally:
            self.collector.collect(lambda: _read_request(scope), watched.response)

    async def _live(self, scope: Message, receive: Any, send: Any) -> None:
        """Begin and end with the application; where that does not care, say so to the server in its place."""
        asked = answered = ""

        async def hear() -> Message:
            nonlocal asked
            message: Message = await receive()
            asked = message["type"]
            return message

        async def say(message: Message) -> None:
            nonlocal answered
            answered = message["type"]
            if answered.startswith("lifespan.shutdown"):
                self.collector.close()
            await send(message)

        try:
            await self.app(scope, hear, say)
        except Exception:
            if answered:
                raise
        while not answered.startswith(("lifespan.shutdown", "lifespan.startup.failed")):
            if answered == f"{asked}.complete" or not asked:
                await hear()
            await say({"type": f"{asked}.complete"})


def _read_request(scope: Message) -> EmbeddedRequest:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    path, query = scope.get("raw_path") or scope["path"].encode(), scope.get("query_string", b"")
    return EmbeddedRequest(
        remote_addr=scope["client"][0] if scope.get("client") else "",
        method=scope["method"],
        uri=(path + b"?" * bool(query) + query).decode("latin-1"),
        headers=headers,
    )


class _AsgiResponseObserver:
    """The way of one answer to its visitor."""

    def __init__(self, collector: RequestCollector, method: str, accepted: str, send: Any) -> None:
        self.response = EmbeddedResponse(time.time())
        self._collector = collector
        self._method = method
        self._accepted = accepted
        self._send = send
        self._start: Message | None = None
        """The beginning of a page, held back until it is known how long the page is with what belongs into it."""
        self._marks: PageInsertions | None = None

    async def send(self, message: Message) -> None:
        """Send a message of the answer on."""
        if message["type"] == "http.response.start":
            self.response.status = message["status"]
            self._marks = self._collector.find_insertions(
                self._method, message["status"], _texts(message), self._accepted
            )
            if self._marks:
                self._start = message
                return
        elif message["type"] == "http.response.body":
            message = self._marked(message, self._marks) if self._marks else message
            self.response.body_bytes += len(message.get("body", b""))
        if self._start:
            start, self._start = self._start, None
            await self._send(start)
        await self._send(message)

    def _marked(self, message: Message, marks: PageInsertions) -> Message:
        """Put into a part of a page what belongs there, unless that was told to be of a length, and is not whole."""
        more = message.get("more_body", False)
        fixed = self._start is not None and "content-length" in _texts(self._start)
        if fixed and more:
            self._marks = None
            return message
        body = marks.insert(bytes(message.get("body", b"")))
        self._marks = None if marks.is_complete else marks
        if fixed and self._start:
            others = [header for header in self._start["headers"] if header[0].lower() != b"content-length"]
            length = (b"content-length", str(len(body)).encode())
            self._start = {**self._start, "headers": [*others, length]}
        return {**message, "body": body}


def _texts(message: Message) -> dict[str, str]:
    """Return the headers of an answer, as text."""
    return {
        bytes(name).decode("latin-1").lower(): bytes(value).decode("latin-1")
        for name, value in message.get("headers", [])
    }
