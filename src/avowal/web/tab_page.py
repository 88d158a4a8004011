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

from avowal.collect.script_event import compute_script_view_id
from avowal.endpoints.sender import read_body, read_sender
from avowal.errors import RefusedError
from avowal.logs.request_line import parse_host_name
from avowal.web.policy_pages import find_requested_languages
from avowal.web.visitor_routes import (
    ATTACHMENT_HEADERS,
    EXPORT_HEADERS,
    VISITOR_PAGE_HEADERS,
    VISITOR_PAGE_PATH,
    VisitorPage,
    send_attachment,
)

TAB_PAGE_PATH = f"{VISITOR_PAGE_PATH}/tab"
TAB_SCRIPT_PATH = f"{VISITOR_PAGE_PATH}.js"
SCRIPT_VIEW_ID = re.compile(r"[A-Za-z0-9_-]{10,40}")
SCRIPT_VIEWS_MAX = 400
"""How many looks are asked for at once; a tab remembers fewer."""


class TabScriptViews(msgspec.Struct, frozen=True):
    """What a tab remembers, as its page hands it on, and the numbers of the looks."""

    views_field: str
    script_view_ids: list[int]

    @property
    def digest(self) -> str:
        """What tells these from others in memory, and leads to nobody."""
        return sha256(self.views_field.encode()).hexdigest()


@dataclass(frozen=True)
class TabPage:
    """Gives visitors without the cookie what their own tab told."""

    visitor_page: VisitorPage
    site_hosts: frozenset[str]
    """Those of the site."""

    def routes(self) -> list[Route]:
        """Return the addresses."""
        at = {
            TAB_PAGE_PATH: self.show_page,
            f"{TAB_PAGE_PATH}/export": self.send_export,
            f"{TAB_PAGE_PATH}/erasure": self.erase,
        }
        return [
            Route(TAB_SCRIPT_PATH, self.send_script, methods=["GET"]),
            *(Route(place, door, methods=["POST"]) for place, door in at.items()),
        ]

    async def send_script(self, _: Request) -> Response:
        """Give what looks into the tab's memory."""
        text = (resources.files("avowal.web") / "assets" / "own.js").read_text(encoding="utf-8")
        headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        return Response(text, headers=headers, media_type="text/javascript")

    async def show_page(self, request: Request) -> Response:
        """Give the page of these views, and of nothing else."""
        views = await self._views(request)
        if views is None:
            return await self.visitor_page.refuse(request, "elsewhere")
        language = self.visitor_page.negotiate_language(find_requested_languages(request))
        page = await run_in_threadpool(
            self.visitor_page.visitor_data.render_tab_page, views.script_view_ids, views.views_field, language
        )
        if not page:
            return await self.visitor_page.show_message(language, "forgotten")
        await run_in_threadpool(self.visitor_page.record_access_once, views.digest, self._trace, views)
        return HTMLResponse(page, headers=VISITOR_PAGE_HEADERS)

    async def send_export(self, request: Request) -> Response:
        """Give them as JSON Lines."""
        views = await self._views(request)
        if views is None:
            return await self.visitor_page.refuse(request, "elsewhere")
        lines = await run_in_threadpool(self.visitor_page.visitor_data.export_tab, views.script_view_ids)
        if not lines:
            return await self.visitor_page.refuse(request, "forgotten")
        await run_in_threadpool(self.visitor_page.record_access_once, views.digest, self._trace, views)
        return Response(
            lines, headers={**ATTACHMENT_HEADERS, **EXPORT_HEADERS}, media_type="application/jsonl"
        )

    async def erase(self, request: Request) -> Response:
        """Erase them; the answer is the receipt."""
        views = await self._views(request)
        if views is None:
            return await self.visitor_page.refuse(request, "elsewhere")
        try:
            receipt = await run_in_threadpool(self.visitor_page.visitor_data.erase_tab, views.script_view_ids)
        except RefusedError:
            return await self.visitor_page.refuse(request, "forgotten")
        return send_attachment(receipt, "erasure.json")

    def _trace(self, views: TabScriptViews) -> None:
        self.visitor_page.visitor_data.record_tab_access(views.script_view_ids)

    async def _views(self, request: Request) -> TabScriptViews | None:
        """Return what a page of this very host hands on; None where it hands on nothing."""
        by = read_sender(self.visitor_page.proxies, request.scope)
        told = await read_body(request.receive)
        if not by.is_same_origin or told is None:
            return None
        given = " ".join(parse_qs(told.decode("latin-1"), max_num_fields=1).get("views", []))
        names = list(dict.fromkeys(SCRIPT_VIEW_ID.findall(given)))[-SCRIPT_VIEWS_MAX:]
        hosts = {*self.site_hosts, parse_host_name(by.header(b"host")) or ""} - {""}
        numbers = [compute_script_view_id(host, name) for host in sorted(hosts) for name in names]
        return TabScriptViews(" ".join(names), numbers) if names else None
