"""What pages send: `POST /collect` from the script, and `GET /pixel.gif` where there is none."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import limits
import msgspec
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from prometheus_client import Counter
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from avow.collect import cookie
from avow.collect.admit import Promise
from avow.collect.beacon import BODY_MAX, URL_MAX, Caller, Drop, Event, parse, place
from avow.collect.client import Proxies
from avow.collect.cookie import Decision
from avow.collect.request import host_name
from avow.config import Settings
from avow.web.desk import Desk, UnavailableError

PIXEL = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)
DROPPED = "Avow-Dropped"
"""The header that names why something was left out."""

RETRY_SECONDS = 60
EVENTS = Counter("avow_events", "What pages sent, by what became of it.", ["outcome"])
SAME_ORIGIN = "same-origin"
KEPT = EVENTS.labels("kept")
HEADERS = frozenset(
    b"user-agent forwarded x-forwarded-for x-forwarded-proto origin host cookie sec-gpc dnt sec-fetch-site".split()
)
"""Those that are looked at."""


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
    _limit: limits.RateLimitItem = field(init=False)
    _limiter: FixedWindowRateLimiter = field(default_factory=lambda: FixedWindowRateLimiter(MemoryStorage()))

    def __post_init__(self) -> None:
        self.proxies = Proxies.of(self.settings.serve.trusted_proxies)
        site = self.settings.site
        self.hosts = {host for host in (site.host, *site.hosts) if host}
        self.hosts |= {urlsplit(origin).hostname or "" for origin in self.settings.serve.sites}
        self._limit = limits.parse(f"{max(1, self.settings.serve.beacons_per_minute)}/minute")

    async def collect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take an event (ASGI): 202 once it is on the disk, 204 where it is left out, with the reason."""
        told = self._told(scope)
        caller = self._caller(scope, told)
        answer = self._too_many(caller)
        if answer is None:
            headers = self._allowed(told.get(b"origin", ""))
            body = await _body(receive)
            if body is None:
                answer = _error(413, f"the body is longer than {BODY_MAX:,} bytes", "send one event", headers)
            else:
                answer = await self._take_body(body, caller, told, headers)
        await answer(scope, receive, send)

    async def _take_body(
        self, body: bytes, caller: Caller, told: Mapping[bytes, str], headers: Mapping[str, str]
    ) -> Response:
        try:
            event = parse(body)
        except msgspec.MsgspecError as error:
            return _error(400, f"this is no event: {error}", "send what /avow.js sends", headers)
        return await self._take(event, caller, told, headers)

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
        caller = self.caller(request)
        answer = Response(PIXEL, media_type="image/gif", headers={"Cache-Control": "no-store"})
        if refused := self._too_many(caller):
            return refused
        page = request.headers.get("referer", "")
        event = Event(id=secrets.token_urlsafe(12), url=page[:URL_MAX])
        told = self._told(request.scope)
        taken = await self._take(event, caller, told, {})
        if taken.status_code == 202:  # noqa: PLR2004  # as `_take` gives it
            return answer
        if reason := taken.headers.get(DROPPED):
            answer.headers[DROPPED] = reason
            return answer
        return taken

    def caller(self, request: Request) -> Caller:
        """Return who sends a request, as the connection and the proxies that are trusted show."""
        return self._caller(request.scope, self._told(request.scope))

    def _told(self, scope: Scope) -> dict[bytes, str]:
        """Return the headers that are looked at; how the browser spoke, only from whom that is believed."""
        told = {name: value.decode("latin-1") for name, value in scope["headers"] if name in HEADERS}
        peer = scope["client"][0] if scope["client"] else ""
        if scope["scheme"] == "https" or not self.proxies.trusts(peer):
            told[b"x-forwarded-proto"] = scope["scheme"]
        return told

    def _caller(self, scope: Scope, told: Mapping[bytes, str]) -> Caller:
        peer = scope["client"][0] if scope["client"] else ""
        address = self.proxies.client(peer, told.get(b"forwarded", ""), told.get(b"x-forwarded-for", ""))
        return Caller(address, told.get(b"user-agent", ""))

    async def _take(
        self, event: Event, caller: Caller, told: Mapping[bytes, str], headers: Mapping[str, str]
    ) -> Response:
        try:
            self._check_site(event, told)
            decision = self._cookie(event, told)
            if decision.identifier:
                caller = msgspec.structs.replace(caller, identifier=decision.identifier)
            reason = await self.desk.take(event, caller)
        except Drop as drop:
            reason = drop.reason
        except UnavailableError:
            EVENTS.labels("unavailable").inc()
            return _error(503, "this cannot be kept at the moment", "send it again later", headers)
        if reason:
            EVENTS.labels(reason).inc()
            return Response(status_code=204, headers={**headers, DROPPED: reason})
        KEPT.inc()
        if decision.header:
            headers = {**headers, "Set-Cookie": decision.header}
        return Response(status_code=202, headers=dict(headers)) if headers else ACCEPTED

    def _cookie(self, event: Event, told: Mapping[bytes, str]) -> Decision:
        """Decide on the cookie of an event; where none is there and none can be, nothing is asked."""
        host = host_name(told.get(b"host", ""))
        own = place(event.url)[0] == host and told.get(b"sec-fetch-site", SAME_ORIGIN) == SAME_ORIGIN
        request = cookie.asked(told, possible=own and self.is_secure(told))
        if not (request.possible or request.identifier):
            return Decision()
        gate = self.desk.gate()
        return cookie.decide(gate.promise, request) if gate else Decision()

    def is_secure(self, told: Mapping[bytes, str]) -> bool:
        """Return whether the visitor's browser speaks HTTPS, to us or to a proxy that is trusted."""
        return told.get(b"x-forwarded-proto", "").rpartition(",")[2].strip() == "https"

    def is_own(self, request: Request) -> bool:
        """Return whether a request comes from a page of the host that it goes to."""
        told = self._told(request.scope)
        origin = told.get(b"origin", "")
        by_origin = bool(origin) and urlsplit(origin).netloc == told.get(b"host", "")
        return told.get(b"sec-fetch-site", SAME_ORIGIN if by_origin else "") == SAME_ORIGIN

    def is_secure_request(self, request: Request) -> bool:
        """Return whether the browser that made a request speaks HTTPS."""
        return self.is_secure(self._told(request.scope))

    async def choose(self, request: Request) -> Response:
        """Take the visitor's word on the cookie: refuse it, or accept it. Only a page of this very host may ask so."""
        told, word = self._told(request.scope), request.path_params["word"]
        if word not in {"refuse", "accept"}:
            return _error(404, "a cookie can be refused or accepted", "ask for one of the two", {})
        gate = self.desk.gate()
        if not self.is_own(request):
            return _error(403, "only a page of this site may ask for that", "use the site's own page", {})
        promise = gate.promise if gate else Promise(0, {})
        header = cookie.refused(promise)
        if word == "accept" and promise.cookie and self.is_secure(told):
            header = cookie.given(promise).header
        return Response(status_code=204, headers={"Set-Cookie": header, "Cache-Control": "no-store"})

    def _check_site(self, event: Event, told: Mapping[bytes, str]) -> None:
        """Drop what is of no page of ours, or comes from another site's page."""
        host = place(event.url)[0]
        own = self.hosts or {host_name(told.get(b"host", "")) or ""}
        if host not in own:
            raise Drop("not-our-site")
        origin = told.get(b"origin", "null")
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

    def _too_many(self, caller: Caller) -> Response | None:
        if self.settings.serve.beacons_per_minute == 0 or self._limiter.hit(self._limit, caller.address):
            return None
        EVENTS.labels("too-many").inc()
        return _error(
            429,
            "more was sent from there than one visitor's pages send",
            "send less",
            {"Retry-After": str(RETRY_SECONDS)},
        )


async def _body(receive: Receive) -> bytes | None:
    """Return the body; None where it is too long."""
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > BODY_MAX:
            return None
        if not message.get("more_body"):
            return body


def _error(status: int, message: str, hint: str, headers: Mapping[str, str]) -> Response:
    EVENTS.labels("refused").inc()
    body = msgspec.json.encode({"error": message, "hint": hint})
    return Response(body, status, headers=dict(headers), media_type="application/json")
