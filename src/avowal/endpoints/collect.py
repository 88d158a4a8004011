"""Events from pages: `POST /collect` from the script, and `GET /pixel.gif` without scripts."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlencode

from prometheus_client import Counter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from avowal.app.visitor_data import VISITOR_PAGE_PATH
from avowal.clock import utc_now
from avowal.collect import cookie
from avowal.collect.admission import AdmissionRules
from avowal.collect.client_address import TrustedProxies
from avowal.collect.cookie import CookieDecision
from avowal.collect.event_drop_reason import EventDropReason
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
from avowal.http.problem import ProblemCode, problem_response
from avowal.http.rate_limit import RateLimit, find_network
from avowal.http.redirect import redirect
from avowal.http.sender import SAME_ORIGIN, RequestSender, read_sender
from avowal.strict import JSON_ERRORS
from avowal.url_parts import parse_host_name

PIXEL_GIF = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)
DROP_REASON_HEADER = "Avowal-Dropped"
"""The response header that says why an event was not stored."""

ACCEPTED_OUTCOME = "accepted"
EVENT_COUNTER = Counter(
    "avowal_events", "Events that pages sent: accepted, or why they were dropped.", ["outcome"]
)
ACCEPTED_EVENT_COUNTER = EVENT_COUNTER.labels(ACCEPTED_OUTCOME)


class _AcceptedResponse(Response):
    """A response that is the same each time, made once for speed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # as of ASGI
        """Send it."""
        await send(_START)
        await send(_END)


_START: Message = {"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]}
_END: Message = {"type": "http.response.body", "body": b""}
ACCEPTED_RESPONSE = _AcceptedResponse(status_code=202)


@dataclass
class CollectEndpoint:
    """Accepts events from pages of the site."""

    settings: Settings
    event_writer: EventWriter
    proxies: TrustedProxies
    _rate_limit: RateLimit = field(init=False)

    def __post_init__(self) -> None:
        site = self.settings.site
        origins = self.settings.serve.allowed_origins
        self.site_hosts = {host for host in (site.host, *site.other_hosts) if host}
        self.site_hosts |= {parse_host_name(origin.partition("://")[2]) or "" for origin in origins}
        self._rate_limit = RateLimit(self.settings.serve.events_per_minute)

    def routes(self) -> list[Route]:
        """Return the routes, without `POST /collect`, which bypasses the router."""
        return [
            Route("/collect", self.preflight, methods=["OPTIONS"]),
            Route("/cookie/{choice:str}", self.set_cookie_choice, methods=["POST"]),
            Route("/pixel.gif", self.pixel, methods=["GET"]),
        ]

    async def collect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Accept an event (ASGI): 202 once it is on disk, 204 with the reason if it is dropped."""
        sender = read_sender(self.proxies, scope)
        response = self._check_rate(sender)
        if response is None:
            headers = self._cors_headers(sender.header(b"origin"))
            body = await read_body(receive, EVENT_BODY_BYTES_MAX)
            if body is None:
                response = _reject(
                    413,
                    EventDropReason.BODY_TOO_LARGE,
                    f"the body is longer than {EVENT_BODY_BYTES_MAX:,} bytes",
                    "send one event",
                    headers,
                )
            else:
                response = await self._accept_body(body, sender, headers)
        await response(scope, receive, send)

    async def _accept_body(self, body: bytes, sender: RequestSender, headers: Mapping[str, str]) -> Response:
        try:
            event = parse_event(body)
        except JSON_ERRORS as error:
            return _reject(
                400,
                EventDropReason.INVALID_EVENT,
                f"the body is not an event: {error}",
                "send what /avowal.js sends",
                headers,
            )
        return await self._accept(event, sender, headers)

    async def preflight(self, request: Request) -> Response:
        """Answer a CORS preflight request: whether a page of another origin may send events."""
        headers = self._cors_headers(request.headers.get("origin", ""))
        if headers:
            headers |= {
                "Access-Control-Allow-Methods": "POST",
                "Access-Control-Allow-Headers": "Content-Type",
            }
        return Response(status_code=204, headers=headers)

    async def pixel(self, request: Request) -> Response:
        """Accept a page view of unknown duration; the page that shows the image is its referrer."""
        sender = read_sender(self.proxies, request.scope)
        if too_many := self._check_rate(sender):
            return too_many
        page_url = request.headers.get("referer", "")
        response = await self._accept(
            ScriptEvent(script_view_token=secrets.token_urlsafe(12), url=page_url), sender, {}
        )
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            return response
        reason = response.headers.get(DROP_REASON_HEADER)
        headers = {DROP_REASON_HEADER: reason} if reason else {}
        return Response(PIXEL_GIF, media_type="image/gif", headers={"Cache-Control": "no-store", **headers})

    async def _accept(
        self, event: ScriptEvent, sender: RequestSender, headers: Mapping[str, str]
    ) -> Response:
        try:
            self._check_site(event, sender)
            decision = self._decide_cookie(event, sender)
            client = ClientIdentity(sender.address, sender.header(b"user-agent"), decision.identifier)
            reason = await self.event_writer.write(event, client)
        except EventDropError as drop:
            reason = drop.reason
        except JournalUnavailableError:
            return _reject(
                503,
                EventDropReason.UNAVAILABLE,
                "the event cannot be stored at the moment",
                "send it again later",
                headers,
            )
        if reason:
            EVENT_COUNTER.labels(reason).inc()
            return Response(status_code=204, headers={**headers, DROP_REASON_HEADER: reason})
        ACCEPTED_EVENT_COUNTER.inc()
        if decision.set_cookie_header:
            headers = {**headers, "Set-Cookie": decision.set_cookie_header}
        return Response(status_code=202, headers=dict(headers)) if headers else ACCEPTED_RESPONSE

    def _decide_cookie(self, event: ScriptEvent, sender: RequestSender) -> CookieDecision:
        """Decide on the cookie of an event; the terms are not read if there is no cookie and none can be set."""
        can_be_set = (
            sender.is_secure
            and sender.header(b"sec-fetch-site", SAME_ORIGIN) == SAME_ORIGIN
            and parse_page_url(event.url)[0] == parse_host_name(sender.header(b"host"))
        )
        state = cookie.read_cookie_state(sender.headers, can_be_set=can_be_set)
        if not (state.can_be_set or state.identifier):
            return CookieDecision()
        admission = self.event_writer.current_admission()
        return (
            cookie.decide_cookie(admission.rules, state, utc_now().date()) if admission else CookieDecision()
        )

    async def set_cookie_choice(self, request: Request) -> Response:
        """Record in the browser that the visitor refuses or accepts the cookie; for pages of this host only."""
        sender, choice = read_sender(self.proxies, request.scope), request.path_params["choice"]
        if choice not in {"refuse", "accept"}:
            return problem_response(
                404, ProblemCode.NOT_FOUND, "there is no such choice", "choose `refuse` or `accept`"
            )
        if not sender.is_same_origin:
            return problem_response(
                403,
                ProblemCode.OTHER_ORIGIN,
                "the request was not sent from a page of this host",
                "send it from this site's own page",
            )
        admission = self.event_writer.current_admission()
        rules = admission.rules if admission else AdmissionRules(0, {})
        header = cookie.build_refusal_header(rules)
        has_signal = cookie.read_cookie_state(sender.headers, can_be_set=False).privacy_signal
        if choice == "accept" and has_signal:
            header = cookie.build_removal_header()
        elif choice == "accept" and rules.cookie_lifetimes and sender.is_secure:
            header = cookie.issue_cookie(rules, utc_now().date(), is_accepted=True).set_cookie_header
        headers = {"Set-Cookie": header, "Cache-Control": "no-store"}
        if request.headers.get("sec-fetch-mode") == "navigate":  # sent by a form: show the page again
            language = request.query_params.get("lang", "")
            query = f"?{urlencode({'lang': language})}" if language else ""
            return redirect(f"{VISITOR_PAGE_PATH}{query}", 303, headers)
        return Response(status_code=204, headers=headers)

    def _check_site(self, event: ScriptEvent, sender: RequestSender) -> None:
        """Raise EventDropError if the event is not about a page of the site, or was sent from another site."""
        host = parse_page_url(event.url)[0]
        site_hosts = self.site_hosts or {parse_host_name(sender.header(b"host")) or ""}
        if host not in site_hosts:
            raise EventDropError(EventDropReason.NOT_OUR_SITE)
        origin = sender.header(b"origin", "null")
        if origin != "null" and parse_host_name(origin.partition("://")[2]) not in site_hosts:
            raise EventDropError(EventDropReason.NOT_OUR_SITE)

    def _cors_headers(self, origin: str) -> dict[str, str]:
        """Return the headers that let a page of a configured site read the response."""
        if origin not in self.settings.serve.allowed_origins:
            return {}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Credentials": "true",
            "Vary": "Origin",
        }

    def _check_rate(self, sender: RequestSender) -> Response | None:
        """Count a request; return a problem if its sender sent too many."""
        wait_seconds = self._rate_limit.count(find_network(sender.address))
        if not wait_seconds:
            return None
        return _reject(
            429,
            EventDropReason.TOO_MANY_REQUESTS,
            "this address sent too many events",
            "send fewer events",
            {"Retry-After": str(wait_seconds)},
        )


def _reject(
    status: int, reason: EventDropReason, detail: str, hint: str, headers: Mapping[str, str]
) -> Response:
    EVENT_COUNTER.labels(reason).inc()
    return problem_response(status, reason, detail, hint, headers)
