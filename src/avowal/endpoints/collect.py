"""What pages send: `POST /collect` from the script, and `GET /pixel.gif` where there is none."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

import msgspec
from prometheus_client import Counter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Message, Receive, Scope, Send

from avowal.app.visitor_data import VISITOR_PAGE_PATH
from avowal.collect import cookie
from avowal.collect.admission import AdmissionRules
from avowal.collect.client_address import TrustedProxies
from avowal.collect.cookie import CookieDecision
from avowal.collect.event_details import URL_CHARACTERS_MAX
from avowal.collect.script_event import (
    EVENT_BODY_BYTES_MAX,
    ClientIdentity,
    EventDropError,
    ScriptEvent,
    parse_event,
    parse_page_url,
)
from avowal.config import Settings
from avowal.endpoints.event_writer import EventWriter, JournalUnavailableError
from avowal.http.body import read_body
from avowal.http.problem import error_response
from avowal.http.rate_limit import RateLimit
from avowal.http.sender import SAME_ORIGIN, RequestSender, read_sender
from avowal.logs.request_line import parse_host_name

PIXEL_GIF = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)
DROP_REASON_HEADER = "Avowal-Dropped"
"""The header that names why something was left out."""

RETRY_AFTER_SECONDS = 60
EVENT_COUNTER = Counter("avowal_events", "What pages sent, by what became of it.", ["outcome"])
ACCEPTED_EVENT_COUNTER = EVENT_COUNTER.labels("kept")


class _AcceptedResponse(Response):
    """An answer that is always the same, and made once."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # as of ASGI
        """Send it."""
        await send(_START)
        await send(_END)


_START: Message = {"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]}
_END: Message = {"type": "http.response.body", "body": b""}
ACCEPTED_RESPONSE = _AcceptedResponse(status_code=202)


@dataclass
class CollectEndpoint:
    """Takes what pages of our sites send."""

    settings: Settings
    event_writer: EventWriter
    proxies: TrustedProxies
    _rate_limit: RateLimit = field(init=False)

    def __post_init__(self) -> None:
        site = self.settings.site
        self.site_hosts = {host for host in (site.host, *site.hosts) if host}
        self.site_hosts |= {urlsplit(origin).hostname or "" for origin in self.settings.serve.sites}
        self._rate_limit = RateLimit(self.settings.serve.beacons_per_minute)

    async def collect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take an event (ASGI): 202 once it is on the disk, 204 where it is left out, with the reason."""
        by = read_sender(self.proxies, scope)
        answer = self._too_many(by)
        if answer is None:
            headers = self._allowed(by.header(b"origin"))
            told = await read_body(receive, EVENT_BODY_BYTES_MAX)
            if told is None:
                answer = _refused(
                    413, f"the body is longer than {EVENT_BODY_BYTES_MAX:,} bytes", "send one event", headers
                )
            else:
                answer = await self._take_body(told, by, headers)
        await answer(scope, receive, send)

    async def _take_body(self, told: bytes, by: RequestSender, headers: Mapping[str, str]) -> Response:
        try:
            event = parse_event(told)
        except msgspec.MsgspecError as error:
            return _refused(400, f"this is no event: {error}", "send what /avowal.js sends", headers)
        return await self._take(event, by, headers)

    async def preflight(self, request: Request) -> Response:
        """Answer the browser's question whether a page of another origin may send."""
        headers = self._allowed(request.headers.get("origin", ""))
        if headers:
            headers |= {
                "Access-Control-Allow-Methods": "POST",
                "Access-Control-Allow-Headers": "Content-Type",
            }
        return Response(status_code=204, headers=headers)

    async def pixel(self, request: Request) -> Response:
        """Take a view whose duration nobody measures: the page that shows the picture is its referrer."""
        by = read_sender(self.proxies, request.scope)
        if refused := self._too_many(by):
            return refused
        page = request.headers.get("referer", "")
        taken = await self._take(
            ScriptEvent(id=secrets.token_urlsafe(12), url=page[:URL_CHARACTERS_MAX]), by, {}
        )
        if taken.status_code >= HTTPStatus.BAD_REQUEST:
            return taken
        headers = {DROP_REASON_HEADER: reason} if (reason := taken.headers.get(DROP_REASON_HEADER)) else {}
        return Response(PIXEL_GIF, media_type="image/gif", headers={"Cache-Control": "no-store", **headers})

    async def _take(self, event: ScriptEvent, by: RequestSender, headers: Mapping[str, str]) -> Response:
        try:
            self._check_site(event, by)
            decision = self._cookie(event, by)
            reason = await self.event_writer.write(
                event, ClientIdentity(by.address, by.header(b"user-agent"), decision.identifier)
            )
        except EventDropError as drop:
            reason = drop.reason
        except JournalUnavailableError:
            EVENT_COUNTER.labels("unavailable").inc()
            return error_response(503, "this cannot be kept at the moment", "send it again later", headers)
        if reason:
            EVENT_COUNTER.labels(reason).inc()
            return Response(status_code=204, headers={**headers, DROP_REASON_HEADER: reason})
        ACCEPTED_EVENT_COUNTER.inc()
        if decision.set_cookie_header:
            headers = {**headers, "Set-Cookie": decision.set_cookie_header}
        return Response(status_code=202, headers=dict(headers)) if headers else ACCEPTED_RESPONSE

    def _cookie(self, event: ScriptEvent, by: RequestSender) -> CookieDecision:
        """Decide on the cookie of an event; where none is there and none can be, nothing is asked."""
        possible = (
            by.is_secure
            and by.header(b"sec-fetch-site", SAME_ORIGIN) == SAME_ORIGIN
            and parse_page_url(event.url)[0] == parse_host_name(by.header(b"host"))
        )
        request = cookie.read_cookie_state(by.headers, can_be_set=possible)
        if not (request.can_be_set or request.identifier):
            return CookieDecision()
        gate = self.event_writer.current_admission()
        return cookie.decide_cookie(gate.rules, request) if gate else CookieDecision()

    async def set_cookie_choice(self, request: Request) -> Response:
        """Take the visitor's word on the cookie: refuse it, or accept it. Only a page of this very host may ask so."""
        by, word = read_sender(self.proxies, request.scope), request.path_params["choice"]
        if word not in {"refuse", "accept"}:
            return error_response(404, "a cookie can be refused or accepted", "ask for one of the two")
        if not by.is_same_origin:
            return error_response(403, "only a page of this site may ask for that", "use the site's own page")
        gate = self.event_writer.current_admission()
        promise = gate.rules if gate else AdmissionRules(0, {})
        header = cookie.build_refusal_header(promise)
        if word == "accept" and promise.cookie_lifetimes and by.is_secure:
            header = cookie.issue_cookie(promise).set_cookie_header
        headers = {"Set-Cookie": header, "Cache-Control": "no-store"}
        if request.headers.get("sec-fetch-mode") == "navigate":  # a form: the page says what became of it
            return RedirectResponse(VISITOR_PAGE_PATH, 303, headers)
        return Response(status_code=204, headers=headers)

    def _check_site(self, event: ScriptEvent, by: RequestSender) -> None:
        """Drop what is of no page of ours, or comes from another site's page."""
        host = parse_page_url(event.url)[0]
        own = self.site_hosts or {parse_host_name(by.header(b"host")) or ""}
        if host not in own:
            raise EventDropError("not-our-site")
        origin = by.header(b"origin", "null")
        if origin != "null" and urlsplit(origin).hostname not in own:
            raise EventDropError("not-our-site")

    def _allowed(self, origin: str) -> dict[str, str]:
        """Return the headers that let a page of a site that is named in the settings read the answer."""
        if origin not in self.settings.serve.sites:
            return {}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Credentials": "true",
            "Vary": "Origin",
        }

    def _too_many(self, by: RequestSender) -> Response | None:
        if self._rate_limit.allows(by.address):
            return None
        EVENT_COUNTER.labels("too-many").inc()
        return error_response(
            429,
            "more was sent from there than one visitor's pages send",
            "send less",
            {"Retry-After": str(RETRY_AFTER_SECONDS)},
        )


def _refused(status: int, message: str, hint: str, headers: Mapping[str, str]) -> Response:
    EVENT_COUNTER.labels("refused").inc()
    return error_response(status, message, hint, headers)
