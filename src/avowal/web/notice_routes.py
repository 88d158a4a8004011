"""The notice of a new version: for the script that shows it, and for servers that insert it into pages."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from avowal.base_path import address
from avowal.clock import utc_now
from avowal.collect.client_address import TrustedProxies
from avowal.config import SiteSettings
from avowal.http.headers import NEGOTIATED_HEADERS
from avowal.http.language_choice import find_requested_languages, negotiate_language
from avowal.http.path_number import NUMBER
from avowal.http.problem import ProblemCode, problem_response
from avowal.http.sender import read_sender
from avowal.register.register import Register
from avowal.web.notice import (
    NOTICE_STYLE,
    NoticeText,
    find_current_notice,
    is_display_recorded,
    record_display,
    render_notice,
)
from avowal.web.policy_pages import POLICY_PATH

SCRIPT_PLACE = "every page with the script"
"""Where the script showed the notice, as the ledger records it."""


class ScriptNotice(msgspec.Struct, frozen=True):
    """What the script needs to show a notice."""

    version: int
    report_display: bool
    """Whether the script is to report that a page showed the notice."""
    style: str
    """A style sheet (CSS)."""
    texts: dict[str, NoticeText]
    """By language."""


@dataclass
class NoticeRoutes:
    """Sends the notice of the newest version that has one to display."""

    site: SiteSettings
    register: Register
    proxies: TrustedProxies
    sign_ledger: Callable[[], object]
    _encoded: bytes = b""
    """What `encode_notice` returned last."""
    _encoded_at: tuple[int, date] = (-1, date.min)
    """How many entries the ledger had then, and the day."""

    def routes(self) -> list[Route]:
        """Return the routes, without that of the script."""
        return [
            Route(f"{POLICY_PATH}notice", self.send_fragment, methods=["GET"]),
            Route(f"/notice/{{version:{NUMBER}}}", self.record_display, methods=["POST"]),
        ]

    def encode_notice(self) -> bytes:
        """Return what the script shows as JSON (`ScriptNotice`); empty if there is no notice."""
        now = utc_now()
        state = self.register.ledger.count_entries(), now.date()
        if self._encoded_at != state:
            self._encoded_at, self._encoded = state, self._encode(now)
        return self._encoded

    async def send_fragment(self, request: Request) -> Response:
        """Send the notice as HTML for servers to insert; nothing if there is no notice."""
        version, texts = await run_in_threadpool(find_current_notice, self.register, utc_now())
        if not version:
            return Response(b"", headers=NEGOTIATED_HEADERS, media_type="text/html")
        language = negotiate_language(find_requested_languages(request), list(texts))
        html = render_notice(texts, language, address("/"))
        return Response(html, headers=NEGOTIATED_HEADERS, media_type="text/html")

    async def record_display(self, request: Request) -> Response:
        """Record that a page of the site showed the notice, the first time that one did."""
        sender = read_sender(self.proxies, request.scope)
        origin_host = sender.header(b"origin").partition("://")[2]
        if not sender.is_same_origin and origin_host not in {self.site.host, *self.site.other_hosts} - {""}:
            return problem_response(
                403,
                ProblemCode.OTHER_ORIGIN,
                "the request was not sent from a page of the site",
                "send it from a page of the site, or set `site.host`",
            )
        version, _ = await run_in_threadpool(find_current_notice, self.register, utc_now())
        if request.path_params["version"] != version:
            return problem_response(
                404,
                ProblemCode.NO_NOTICE,
                "there is no notice of this version to display",
                "load the script again",
            )
        await run_in_threadpool(self._record_first_display, version)
        return Response(status_code=204)

    def _encode(self, now: datetime) -> bytes:
        version, texts = find_current_notice(self.register, now)
        if not version:
            return b""
        report_display = not is_display_recorded(self.register, version)
        return msgspec.json.encode(ScriptNotice(version, report_display, NOTICE_STYLE, texts))

    def _record_first_display(self, version: int) -> None:
        if not is_display_recorded(self.register, version):
            record_display(self.register, version, SCRIPT_PLACE)
            self.sign_ledger()
