"""`/privacy/me/tab`: what one tab reported, for visitors without the cookie, by what the script remembers there.

Each page view has an identifier that the script draws at random; the store has only its hash. Only the tab that
reported a view has its identifier, so nobody else behind the same address can ask for it.
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

from avowal.app.visitor_data import VISITOR_PAGE_PATH
from avowal.collect.script_event import compute_script_view_id
from avowal.errors import RefusedError
from avowal.http.body import read_body
from avowal.http.headers import PAGE_SCRIPT_HEADERS
from avowal.http.language_choice import find_requested_languages
from avowal.http.problem import ProblemCode
from avowal.http.sender import read_sender
from avowal.url_parts import parse_host_name
from avowal.web.visitor_page import render_tab_page
from avowal.web.visitor_routes import (
    ATTACHMENT_HEADERS,
    EXPORT_HEADERS,
    VISITOR_PAGE_HEADERS,
    VisitorRoutes,
)

TAB_PAGE_PATH = f"{VISITOR_PAGE_PATH}/tab"
TAB_SCRIPT_PATH = f"{VISITOR_PAGE_PATH}.js"
SCRIPT_VIEW_ID = re.compile(r"[A-Za-z0-9_-]{10,40}")
SCRIPT_VIEWS_MAX = 400
"""How many script views are looked up at once; a tab remembers fewer."""

FORM_BYTES_MAX = 16 * 1024


class TabScriptViews(msgspec.Struct, frozen=True):
    """The script views that a tab remembers."""

    views_field: str
    """The identifiers as the page's form sends them, separated by spaces."""
    script_view_ids: list[int]
    """Their numbers in the store."""

    @property
    def digest(self) -> str:
        """A hash that identifies these script views in memory, and no visitor."""
        return sha256(self.views_field.encode()).hexdigest()


@dataclass(frozen=True)
class TabRoutes:
    """Shows visitors without the cookie what their own tab reported, and lets them export and erase it."""

    visitor: VisitorRoutes
    site_hosts: frozenset[str]

    def routes(self) -> list[Route]:
        """Return the routes."""
        handlers = {
            TAB_PAGE_PATH: self.show_page,
            f"{TAB_PAGE_PATH}/export": self.send_export,
            f"{TAB_PAGE_PATH}/erasure": self.erase,
        }
        return [
            Route(TAB_SCRIPT_PATH, self.send_script, methods=["GET"]),
            *(Route(path, handler, methods=["POST"]) for path, handler in handlers.items()),
        ]

    async def send_script(self, _: Request) -> Response:
        """Send the script that reads what the tab remembers."""
        text = (resources.files("avowal.web") / "assets" / "tab_views.js").read_text(encoding="utf-8")
        return Response(text, headers=PAGE_SCRIPT_HEADERS, media_type="text/javascript")

    async def show_page(self, request: Request) -> Response:
        """Show the records of the tab's script views, and nothing else."""
        views = await self._read_views(request)
        if views is None:
            return await self.visitor.refuse(request, ProblemCode.UNIDENTIFIED_VISITOR)
        language = self.visitor.negotiate_language(find_requested_languages(request))
        page = await run_in_threadpool(self._render_page, views, language)
        if not page:
            return await self.visitor.show_message(language, ProblemCode.VIEWS_NOT_FOUND)
        await run_in_threadpool(self.visitor.record_access_once, views.digest, self._record_access, views)
        return HTMLResponse(page, headers=VISITOR_PAGE_HEADERS)

    def _render_page(self, views: TabScriptViews, language: str) -> str:
        """Return the page of the tab's records; empty if none is stored."""
        data = self.visitor.visitor_data.read_tab(views.script_view_ids)
        return render_tab_page(data, views.views_field, language) if data else ""

    async def send_export(self, request: Request) -> Response:
        """Send the records as JSON Lines."""
        views = await self._read_views(request)
        if views is None:
            return await self.visitor.refuse(request, ProblemCode.UNIDENTIFIED_VISITOR)
        lines = await run_in_threadpool(self.visitor.visitor_data.export_tab, views.script_view_ids)
        if not lines:
            return await self.visitor.refuse(request, ProblemCode.VIEWS_NOT_FOUND)
        await run_in_threadpool(self.visitor.record_access_once, views.digest, self._record_access, views)
        return Response(
            lines, headers={**ATTACHMENT_HEADERS, **EXPORT_HEADERS}, media_type="application/jsonl"
        )

    async def erase(self, request: Request) -> Response:
        """Erase the records; the response has the receipt, which is stored nowhere."""
        views = await self._read_views(request)
        if views is None:
            return await self.visitor.refuse(request, ProblemCode.UNIDENTIFIED_VISITOR)
        try:
            receipt, entry = await run_in_threadpool(
                self.visitor.visitor_data.erase_tab, views.script_view_ids
            )
        except RefusedError:
            return await self.visitor.refuse(request, ProblemCode.VIEWS_NOT_FOUND)
        return self.visitor.respond_with_erasure(request, receipt, entry, is_tab=True)

    def _record_access(self, views: TabScriptViews) -> None:
        self.visitor.visitor_data.record_tab_access(views.script_view_ids)

    async def _read_views(self, request: Request) -> TabScriptViews | None:
        """Return the script views in a form from a page of this host; None if there are none."""
        sender = read_sender(self.visitor.proxies, request.scope)
        body = await read_body(request.receive, FORM_BYTES_MAX)
        if not sender.is_same_origin or body is None:
            return None
        try:
            fields = parse_qs(body.decode("latin-1"), max_num_fields=1)
        except ValueError:
            return None
        text = " ".join(fields.get("script_views", []))
        tokens = list(dict.fromkeys(SCRIPT_VIEW_ID.findall(text)))[-SCRIPT_VIEWS_MAX:]
        hosts = {*self.site_hosts, parse_host_name(sender.header(b"host")) or ""} - {""}
        ids = [compute_script_view_id(host, token) for host in sorted(hosts) for token in tokens]
        return TabScriptViews(" ".join(tokens), ids) if tokens else None
