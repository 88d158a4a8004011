"""`/privacy/me`: what is held of the visitor who asks, known by the site's own cookie and by nothing else."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from avow.collect import cookie
from avow.collect.client import Proxies
from avow.policy.page import rendered
from avow.web.pages import HEADERS as PUBLIC
from avow.web.policy import PATH, Policy, asked_for, chosen
from avow.web.refusal import error
from avow.web.sender import sender

PLACE = f"{PATH}me"
HEADERS = {**PUBLIC, "Cache-Control": "private, no-store", "Vary": "Cookie"}
ATTACHED = {**HEADERS, "X-Robots-Tag": "noindex"}
TRACE_SECONDS = 60.0
"""How long a look at the page is one and the same reading."""

TRACES_MAX = 10_000


@dataclass
class Own:
    """Gives visitors what is theirs. Each function gets a visitor's key."""

    policy: Policy
    proxies: Proxies
    key_of: Callable[[str], str]
    """Returns the key of a cookie's identifier."""
    page: Callable[[str, str], str]
    """Returns the page of what is held, in a language; empty where that is nothing."""
    trace: Callable[[str], None]
    """Records that a visitor looked at what is held of them."""
    lines: Callable[[str], Iterator[bytes]]
    """Yields an export."""
    erase: Callable[[str], dict[str, Any]]
    """Erases all of it; returns the receipt."""
    _traced: dict[str, float] = field(default_factory=dict)

    def routes(self) -> list[Route]:
        """Return the addresses."""
        return [
            Route(PLACE, self.show, methods=["GET"]),
            Route(f"{PLACE}/export", self.export, methods=["GET"]),
            Route(f"{PLACE}/erasure", self.forget, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """Give the page; where nobody can tell whose it would be, say so, and show nothing."""
        identifier, language = self._identifier(request), self._language(request)
        page = ""
        if identifier:
            key = self.key_of(identifier)
            page = await run_in_threadpool(self.page, key, language)
            if page:
                await run_in_threadpool(self._trace, key)
        told = page or rendered("own.html", language, room="avow.web", said=self._said(request))
        return HTMLResponse(told, headers=HEADERS)

    async def export(self, request: Request) -> Response:
        """Give all of it as JSON Lines, to a page of this very site."""
        identifier = self._identifier(request)
        if not identifier or not self._is_own(request):
            return _unknown()
        key = self.key_of(identifier)
        await run_in_threadpool(self._trace, key)
        headers = {**ATTACHED, "Content-Disposition": 'attachment; filename="my-data.jsonl"'}
        return StreamingResponse(
            iterate_in_threadpool(self.lines(key)), headers=headers, media_type="application/jsonl"
        )

    async def forget(self, request: Request) -> Response:
        """Erase all of it, and take the cookie back; the answer is the receipt."""
        by, identifier = sender(self.proxies, request.scope), self._identifier(request)
        if not identifier or not by.is_own:
            return _unknown()
        receipt = await run_in_threadpool(self.erase, self.key_of(identifier))
        headers = {
            **ATTACHED,
            "Content-Disposition": 'attachment; filename="erasure.json"',
            "Set-Cookie": cookie.taken_back(),
        }
        return Response(msgspec.json.encode(receipt), headers=headers, media_type="application/json")

    def _identifier(self, request: Request) -> str:
        return self._asked(request).identifier

    def _asked(self, request: Request) -> cookie.Asked:
        return cookie.asked(sender(self.proxies, request.scope).headers, possible=False)

    def _said(self, request: Request) -> str:
        """Return what the browser says of the cookie: `known` by one, `refused`, or nothing."""
        asked = self._asked(request)
        return "known" if asked.identifier else "refused" if asked.value == cookie.REFUSED else ""

    def _is_own(self, request: Request) -> bool:
        return sender(self.proxies, request.scope).is_own

    def _language(self, request: Request) -> str:
        return chosen(asked_for(request), self.policy.languages() or ["en"])

    def _trace(self, key: str) -> None:
        """Record a look, once for those that follow on each other."""
        now = time.monotonic()
        if now - self._traced.get(key, -TRACE_SECONDS) < TRACE_SECONDS:
            return
        self.trace(key)
        if len(self._traced) >= TRACES_MAX:
            self._traced = {one: at for one, at in self._traced.items() if now - at < TRACE_SECONDS}
        self._traced[key] = now


def _unknown() -> Response:
    return error(
        403, "nobody can tell whose that would be", "open it on the site's own page, with its cookie"
    )
