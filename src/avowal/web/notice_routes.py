"""The doors of the notice: for the script that shows it, and for servers that put it into pages."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from avowal.clock import utc_now
from avowal.collect.client_address import Proxies
from avowal.config import Site
from avowal.endpoints.refusal import error
from avowal.endpoints.sender import sender
from avowal.register.register import Register
from avowal.web.notice import STYLE, part, record, recorded, words
from avowal.web.policy_pages import PATH, asked_for, chosen

PLACE = "every page with the script"
"""Where the ledger says that the script showed it."""


@dataclass
class Noticing:
    """Shows the notice of the newest version that has one to display."""

    site: Site
    register: Register
    proxies: Proxies
    sign: Callable[[], object]
    """Signs the ledger."""
    _told: tuple[int, date, bytes] = (-1, date.min, b"")
    """What was told last, how many entries the ledger had then, and on which day."""

    def routes(self) -> list[Route]:
        """Return the addresses of what is not of the script."""
        return [
            Route(f"{PATH}notice", self.part, methods=["GET"]),
            Route("/notice/{version:int}", self.shown, methods=["POST"]),
        ]

    def told(self) -> bytes:
        """Return what the script is to show, as JSON; empty where that is nothing."""
        size, now = self.register.ledger.size(), utc_now()
        if self._told[:2] != (size, now.date()):
            self._told = size, now.date(), self._made(now)
        return self._told[2]

    async def part(self, request: Request) -> Response:
        """Give the notice as a part of a page, for servers that put it in; nothing where there is none."""
        version, told = await run_in_threadpool(words, self.register, utc_now())
        headers = {"Cache-Control": "no-cache", "Vary": "Accept-Language"}
        if not version:
            return Response(b"", headers=headers, media_type="text/html")
        shown = part(told, chosen(asked_for(request), list(told)), "/")
        return Response(shown, headers=headers, media_type="text/html")

    async def shown(self, request: Request) -> Response:
        """Record that a page of the site showed the notice, the first time that one did."""
        by = sender(self.proxies, request.scope)
        origin = by.header(b"origin").partition("://")[2]
        if not by.is_own and origin not in {self.site.host, *self.site.hosts} - {""}:
            return error(403, "this comes from no page of the site", "set `site.host`, or send it from there")
        version, _ = await run_in_threadpool(words, self.register, utc_now())
        if request.path_params["version"] != version:
            return error(404, "no notice of this version is to be displayed", "load the script anew")
        await run_in_threadpool(self._record, version)
        return Response(status_code=204)

    def _made(self, now: datetime) -> bytes:
        version, told = words(self.register, now)
        if not version:
            return b""
        first = not recorded(self.register, version)
        return msgspec.json.encode({"version": version, "first": first, "style": STYLE, "words": told})

    def _record(self, version: int) -> None:
        if not recorded(self.register, version):
            record(self.register, version, PLACE)
            self.sign()
