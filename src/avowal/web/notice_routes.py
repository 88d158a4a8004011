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
from avowal.collect.client_address import TrustedProxies
from avowal.config import SiteSettings
from avowal.http.language_choice import find_requested_languages, negotiate_language
from avowal.http.problem import error_response
from avowal.http.sender import read_sender
from avowal.register.register import Register
from avowal.web.notice import (
    NOTICE_STYLE,
    find_current_notice,
    is_display_recorded,
    record_display,
    render_notice,
)
from avowal.web.policy_pages import POLICY_PATH

SCRIPT_PLACE = "every page with the script"
"""Where the ledger says that the script showed it."""


@dataclass
class NoticeRoutes:
    """Shows the notice of the newest version that has one to display."""

    site: SiteSettings
    register: Register
    proxies: TrustedProxies
    sign_ledger: Callable[[], object]
    """Signs the ledger."""
    _told: tuple[int, date, bytes] = (-1, date.min, b"")
    """What was told last, how many entries the ledger had then, and on which day."""

    def routes(self) -> list[Route]:
        """Return the addresses of what is not of the script."""
        return [
            Route(f"{POLICY_PATH}notice", self.send_fragment, methods=["GET"]),
            Route("/notice/{version:int}", self.record_display, methods=["POST"]),
        ]

    def encode_notice(self) -> bytes:
        """Return what the script is to show, as JSON; empty where that is nothing."""
        size, now = self.register.ledger.count_entries(), utc_now()
        if self._told[:2] != (size, now.date()):
            self._told = size, now.date(), self._made(now)
        return self._told[2]

    async def send_fragment(self, request: Request) -> Response:
        """Give the notice as a part of a page, for servers that put it in; nothing where there is none."""
        version, told = await run_in_threadpool(find_current_notice, self.register, utc_now())
        headers = {"Cache-Control": "no-cache", "Vary": "Accept-Language"}
        if not version:
            return Response(b"", headers=headers, media_type="text/html")
        shown = render_notice(told, negotiate_language(find_requested_languages(request), list(told)), "/")
        return Response(shown, headers=headers, media_type="text/html")

    async def record_display(self, request: Request) -> Response:
        """Record that a page of the site showed the notice, the first time that one did."""
        by = read_sender(self.proxies, request.scope)
        origin = by.header(b"origin").partition("://")[2]
        if not by.is_same_origin and origin not in {self.site.host, *self.site.hosts} - {""}:
            return error_response(
                403, "this comes from no page of the site", "set `site.host`, or send it from there"
            )
        version, _ = await run_in_threadpool(find_current_notice, self.register, utc_now())
        if request.path_params["version"] != version:
            return error_response(404, "no notice of this version is to be displayed", "load the script anew")
        await run_in_threadpool(self._record, version)
        return Response(status_code=204)

    def _made(self, now: datetime) -> bytes:
        version, told = find_current_notice(self.register, now)
        if not version:
            return b""
        first = not is_display_recorded(self.register, version)
        return msgspec.json.encode({"version": version, "first": first, "style": NOTICE_STYLE, "words": told})

    def _record(self, version: int) -> None:
        if not is_display_recorded(self.register, version):
            record_display(self.register, version, SCRIPT_PLACE)
            self.sign_ledger()
