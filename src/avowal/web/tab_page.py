"""`/privacy/me/tab`: what one tab told, for visitors without the cookie, by what the script remembers there.

Each look at a page has an identifier that the script draws at random; the store has nothing but its hash. Whoever has
the identifiers is whoever looked, and others behind the same address have others.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources
from urllib.parse import parse_qs

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from avowal.collect.script_event import look_number
from avowal.endpoints.sender import body, sender
from avowal.errors import RefusedError
from avowal.logs.request_line import host_name
from avowal.web.policy_pages import asked_for
from avowal.web.visitor_routes import ATTACHED, EXPORT, HEADERS, PLACE, Own, attached

TAB = f"{PLACE}/tab"
SCRIPT = f"{PLACE}.js"
VIEWS = re.compile(r"[A-Za-z0-9_-]{10,40}")
VIEWS_MAX = 400
"""How many looks are asked for at once; a tab remembers fewer."""


class Views(msgspec.Struct, frozen=True):
    """What a tab remembers, as its page hands it on, and the numbers of the looks."""

    told: str
    numbers: list[int]

    @property
    def name(self) -> str:
        """What tells these from others in memory, and leads to nobody."""
        return sha256(self.told.encode()).hexdigest()


@dataclass(frozen=True)
class Tab:
    """Gives visitors without the cookie what their own tab told."""

    own: Own
    hosts: frozenset[str]
    """Those of the site."""

    def routes(self) -> list[Route]:
        """Return the addresses."""
        at = {TAB: self.show, f"{TAB}/export": self.export, f"{TAB}/erasure": self.forget}
        return [
            Route(SCRIPT, self.script, methods=["GET"]),
            *(Route(place, door, methods=["POST"]) for place, door in at.items()),
        ]

    async def script(self, _: Request) -> Response:
        """Give what looks into the tab's memory."""
        text = (resources.files("avowal.web") / "assets" / "own.js").read_text(encoding="utf-8")
        headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        return Response(text, headers=headers, media_type="text/javascript")

    async def show(self, request: Request) -> Response:
        """Give the page of these views, and of nothing else."""
        views = await self._views(request)
        if views is None:
            return await self.own.refused(request, "elsewhere")
        language = self.own.language(asked_for(request))
        page = await run_in_threadpool(self.own.persons.tab_page, views.numbers, views.told, language)
        if not page:
            return await self.own.nothing(language, "forgotten")
        await run_in_threadpool(self.own.traced, views.name, self._trace, views)
        return HTMLResponse(page, headers=HEADERS)

    async def export(self, request: Request) -> Response:
        """Give them as JSON Lines."""
        views = await self._views(request)
        if views is None:
            return await self.own.refused(request, "elsewhere")
        lines = await run_in_threadpool(self.own.persons.tab_export, views.numbers)
        if not lines:
            return await self.own.refused(request, "forgotten")
        await run_in_threadpool(self.own.traced, views.name, self._trace, views)
        return Response(lines, headers={**ATTACHED, **EXPORT}, media_type="application/jsonl")

    async def forget(self, request: Request) -> Response:
        """Erase them; the answer is the receipt."""
        views = await self._views(request)
        if views is None:
            return await self.own.refused(request, "elsewhere")
        try:
            receipt = await run_in_threadpool(self.own.persons.tab_erase, views.numbers)
        except RefusedError:
            return await self.own.refused(request, "forgotten")
        return attached(receipt, "erasure.json")

    def _trace(self, views: Views) -> None:
        self.own.persons.tab_trace(views.numbers)

    async def _views(self, request: Request) -> Views | None:
        """Return what a page of this very host hands on; None where it hands on nothing."""
        by = sender(self.own.proxies, request.scope)
        told = await body(request.receive)
        if not by.is_own or told is None:
            return None
        given = " ".join(parse_qs(told.decode("latin-1"), max_num_fields=1).get("views", []))
        names = list(dict.fromkeys(VIEWS.findall(given)))[-VIEWS_MAX:]
        hosts = {*self.hosts, host_name(by.header(b"host")) or ""} - {""}
        numbers = [look_number(host, name) for host in sorted(hosts) for name in names]
        return Views(" ".join(names), numbers) if names else None
