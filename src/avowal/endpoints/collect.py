"""What pages send: `POST /collect` from the script, and `GET /pixel.gif` where there is none."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

import limits
import msgspec
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from prometheus_client import Counter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Message, Receive, Scope, Send

from avowal.collect import cookie
from avowal.collect.admission import Promise
from avowal.collect.client_address import Proxies
from avowal.collect.cookie import Decision
from avowal.collect.event_details import URL_MAX
from avowal.collect.script_event import BODY_MAX, Caller, Drop, Event, parse, place
from avowal.config import Settings
from avowal.endpoints.event_writer import Desk, UnavailableError
from avowal.endpoints.refusal import error
from avowal.endpoints.sender import SAME_ORIGIN, Sender, body, sender
from avowal.logs.request_line import host_name
from avowal.web.visitor_routes import PLACE

PIXEL = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)
DROPPED = "Avowal-Dropped"
"""The header that names why something was left out."""

RETRY_SECONDS = 60
EVENTS = Counter("avowal_events", "What pages sent, by what became of it.", ["outcome"])
KEPT = EVENTS.labels("kept")


class _Accepted(Response):
    """An answer that is always the same, and made once."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # as of ASGI
        """Send it."""
        await send(_START)
        await send(_END)


_START: Message = {"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]}
_END: Message = {"type": "http.response.body", "body": b""}
ACCEPTED = _Accepted(status_code=202)


@dataclass
class Collecting:
    """Takes what pages of our sites send."""

    settings: Settings
    desk: Desk
    proxies: Proxies
    _limit: limits.RateLimitItem = field(init=False)
    _limiter: FixedWindowRateLimiter = field(default_factory=lambda: FixedWindowRateLimiter(MemoryStorage()))

    def __post_init__(self) -> None:
        site = self.settings.site
        self.hosts = {host for host in (site.host, *site.hosts) if host}
        self.hosts |= {urlsplit(origin).hostname or "" for origin in self.settings.serve.sites}
        self._limit = limits.parse(f"{max(1, self.settings.serve.beacons_per_minute)}/minute")

    async def collect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take an event (ASGI): 202 once it is on the disk, 204 where it is left out, with the reason."""
        by = sender(self.proxies, scope)
        answer = self._too_many(by)
        if answer is None:
            headers = self._allowed(by.header(b"origin"))
            told = await body(receive)
            if told is None:
                answer = _refused(
                    413, f"the body is longer than {BODY_MAX:,} bytes", "send one event", headers
                )
            else:
                answer = await self._take_body(told, by, headers)
        await answer(scope, receive, send)

    async def _take_body(self, told: bytes, by: Sender, headers: Mapping[str, str]) -> Response:
        try:
            event = parse(told)
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
        by = sender(self.proxies, request.scope)
        if refused := self._too_many(by):
            return refused
        page = request.headers.get("referer", "")
        taken = await self._take(Event(id=secrets.token_urlsafe(12), url=page[:URL_MAX]), by, {})
        if taken.status_code >= HTTPStatus.BAD_REQUEST:
            return taken
        headers = {DROPPED: reason} if (reason := taken.headers.get(DROPPED)) else {}
        return Response(PIXEL, media_type="image/gif", headers={"Cache-Control": "no-store", **headers})

    async def _take(self, event: Event, by: Sender, headers: Mapping[str, str]) -> Response:
        try:
            self._check_site(event, by)
            decision = self._cookie(event, by)
            reason = await self.desk.take(
                event, Caller(by.address, by.header(b"user-agent"), decision.identifier)
            )
        except Drop as drop:
            reason = drop.reason
        except UnavailableError:
            EVENTS.labels("unavailable").inc()
            return error(503, "this cannot be kept at the moment", "send it again later", headers)
        if reason:
            EVENTS.labels(reason).inc()
            return Response(status_code=204, headers={**headers, DROPPED: reason})
        KEPT.inc()
        if decision.header:
            headers = {**headers, "Set-Cookie": decision.header}
        return Response(status_code=202, headers=dict(headers)) if headers else ACCEPTED

    def _cookie(self, event: Event, by: Sender) -> Decision:
        """Decide on the cookie of an event; where none is there and none can be, nothing is asked."""
        possible = (
            by.is_secure
            and by.header(b"sec-fetch-site", SAME_ORIGIN) == SAME_ORIGIN
            and place(event.url)[0] == host_name(by.header(b"host"))
        )
        request = cookie.asked(by.headers, possible=possible)
        if not (request.possible or request.identifier):
            return Decision()
        gate = self.desk.gate()
        return cookie.decide(gate.promise, request) if gate else Decision()

    async def choose(self, request: Request) -> Response:
        """Take the visitor's word on the cookie: refuse it, or accept it. Only a page of this very host may ask so."""
        by, word = sender(self.proxies, request.scope), request.path_params["word"]
        if word not in {"refuse", "accept"}:
            return error(404, "a cookie can be refused or accepted", "ask for one of the two")
        if not by.is_own:
            return error(403, "only a page of this site may ask for that", "use the site's own page")
        gate = self.desk.gate()
        promise = gate.promise if gate else Promise(0, {})
        header = cookie.refused(promise)
        if word == "accept" and promise.cookie and by.is_secure:
            header = cookie.given(promise).header
        headers = {"Set-Cookie": header, "Cache-Control": "no-store"}
        if request.headers.get("sec-fetch-mode") == "navigate":  # a form: the page says what became of it
            return RedirectResponse(PLACE, 303, headers)
        return Response(status_code=204, headers=headers)

    def _check_site(self, event: Event, by: Sender) -> None:
        """Drop what is of no page of ours, or comes from another site's page."""
        host = place(event.url)[0]
        own = self.hosts or {host_name(by.header(b"host")) or ""}
        if host not in own:
            raise Drop("not-our-site")
        origin = by.header(b"origin", "null")
        if origin != "null" and urlsplit(origin).hostname not in own:
            raise Drop("not-our-site")

    def _allowed(self, origin: str) -> dict[str, str]:
        """Return the headers that let a page of a site that is named in the settings read the answer."""
        if origin not in self.settings.serve.sites:
            return {}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Credentials": "true",
            "Vary": "Origin",
        }

    def _too_many(self, by: Sender) -> Response | None:
        if self.settings.serve.beacons_per_minute == 0 or self._limiter.hit(self._limit, by.address):
            return None
        EVENTS.labels("too-many").inc()
        return error(
            429,
            "more was sent from there than one visitor's pages send",
            "send less",
            {"Retry-After": str(RETRY_SECONDS)},
        )


def _refused(status: int, message: str, hint: str, headers: Mapping[str, str]) -> Response:
    EVENTS.labels("refused").inc()
    return error(status, message, hint, headers)
