"""`/privacy/me`: what is stored about the visitor who asks, identified by the site's own cookie and by nothing else."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from avowal.app.visitor_data import VISITOR_PAGE_PATH, VisitorDataAccess
from avowal.collect import cookie
from avowal.collect.client_address import TrustedProxies
from avowal.errors import RefusedError
from avowal.http.headers import PRIVATE_HEADERS, SCRIPT_PAGE_HEADERS
from avowal.http.json_response import json_response
from avowal.http.language_choice import find_requested_languages, negotiate_language
from avowal.http.path_number import NUMBER
from avowal.http.problem import ProblemCode, is_from_person, problem_response
from avowal.http.redirect import redirect
from avowal.http.sender import read_sender
from avowal.policy.page import render_template
from avowal.web.erasure_page import render_erasure_page
from avowal.web.policy_pages import PolicyPages, link_translations
from avowal.web.visitor_page import render_visitor_page

VISITOR_PAGE_HEADERS = {**PRIVATE_HEADERS, "Vary": "Cookie"}
VISITOR_SCRIPT_PAGE_HEADERS = {**VISITOR_PAGE_HEADERS, **SCRIPT_PAGE_HEADERS}
EXPORT_HEADERS = {"Content-Disposition": 'attachment; filename="my-data.jsonl"'}
ATTACHMENT_HEADERS = {**VISITOR_PAGE_HEADERS, "X-Robots-Tag": "noindex"}
VISITOR_REFUSALS = {
    ProblemCode.UNIDENTIFIED_VISITOR: (
        403,
        "the request does not identify a visitor",
        "send it from this site's own page, with its cookie or in the tab",
    ),
    ProblemCode.CONSENT_NOT_OFFERED: (
        409,
        "the page does not offer this decision to the visitor",
        "load the page again",
    ),
    ProblemCode.RECEIPT_NOT_FOUND: (
        404,
        "the visitor has no receipt of this number",
        "the visitor's page lists the receipts",
    ),
    ProblemCode.NOTHING_STORED: (
        404,
        "nothing is stored about the visitor",
        "it was erased, or its retention period has ended",
    ),
    ProblemCode.VIEWS_NOT_FOUND: (
        404,
        "none of these page views is stored",
        "they were erased, or their retention period has ended",
    ),
}
"""Why a visitor's request is refused: the status, and a detail and hint for programs. People read a page."""

COOKIE_REFUSED, NO_COOKIE = "cookie-refused", "no-cookie"
"""Why the visitor's page shows no data."""

ACCESS_RECORD_SECONDS = 60.0
"""How long repeated visits to the page count as one access."""

ACCESS_RECORDS_MAX = 10_000
"""How many recent accesses are remembered, in memory only."""


class VisitorCaller(NamedTuple):
    """Who asks for their data, as the request shows."""

    cookie_identifier: str
    """The cookie's identifier; empty if there is none."""
    refuses_cookie: bool
    is_same_origin: bool
    """Whether the request comes from a page of this host."""
    has_privacy_signal: bool
    """Whether the browser signals that its visitor does not want to be tracked (Sec-GPC, DNT)."""
    language: str


@dataclass
class VisitorRoutes:
    """Shows visitors their data, and lets them export it, erase it, and give or withdraw consent."""

    policy_pages: PolicyPages
    proxies: TrustedProxies
    derive_visitor_key: Callable[[str], str]
    """Returns the visitor key of a cookie's identifier."""
    visitor_data: VisitorDataAccess
    _recent_accesses: dict[str, float] = field(default_factory=dict)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route(VISITOR_PAGE_PATH, self.show_page, methods=["GET"]),
            Route(f"{VISITOR_PAGE_PATH}/export", self.send_export, methods=["GET"]),
            Route(f"{VISITOR_PAGE_PATH}/receipts/{{entry:{NUMBER}}}", self.send_receipt, methods=["GET"]),
            Route(f"{VISITOR_PAGE_PATH}/erasure", self.erase, methods=["POST"]),
            Route(
                f"{VISITOR_PAGE_PATH}/consent/{{identity}}",
                partial(self.decide_consent, given=True),
                methods=["POST"],
            ),
            Route(
                f"{VISITOR_PAGE_PATH}/withdrawal/{{identity}}",
                partial(self.decide_consent, given=False),
                methods=["POST"],
            ),
        ]

    async def show_page(self, request: Request) -> Response:
        """Show the visitor's data; without an identified visitor, say why nothing is shown."""
        caller = self._read_caller(request)
        if caller.cookie_identifier:
            key = self.derive_visitor_key(caller.cookie_identifier)
            page = await run_in_threadpool(self._render_page, key, caller, read_decided_entry(request))
            if page:
                await run_in_threadpool(self.record_access_once, key, self.visitor_data.record_access, key)
                return HTMLResponse(page, headers=VISITOR_PAGE_HEADERS)
        reason = (
            ProblemCode.NOTHING_STORED
            if caller.cookie_identifier
            else COOKIE_REFUSED
            if caller.refuses_cookie
            else NO_COOKIE
        )
        return await self.show_message(caller.language, reason, has_privacy_signal=caller.has_privacy_signal)

    def _render_page(self, key: str, caller: VisitorCaller, decided_entry: int | None) -> str:
        """Return the page of a visitor's data; empty if nothing is stored."""
        data = self.visitor_data.read_page(key)
        if data is None:
            return ""
        choices = self.visitor_data.find_consent_choices(key, caller.language)
        return render_visitor_page(
            data,
            caller.language,
            choices,
            link_translations(VISITOR_PAGE_PATH, data.languages),
            decided_entry=decided_entry,
            has_privacy_signal=caller.has_privacy_signal,
        )

    async def send_export(self, request: Request) -> Response:
        """Send the visitor's data as JSON Lines, to a page of this host only."""
        key = self._find_key(request)
        if not key:
            return await self.refuse(request, ProblemCode.UNIDENTIFIED_VISITOR)
        if not await run_in_threadpool(self.visitor_data.is_held, key):
            return await self.refuse(request, ProblemCode.NOTHING_STORED)
        await run_in_threadpool(self.record_access_once, key, self.visitor_data.record_access, key)
        lines = iterate_in_threadpool(self.visitor_data.export_lines(key))
        return StreamingResponse(
            lines, headers={**ATTACHMENT_HEADERS, **EXPORT_HEADERS}, media_type="application/jsonl"
        )

    async def send_receipt(self, request: Request) -> Response:
        """Send the receipt of a ledger entry about the visitor."""
        key, entry = self._find_key(request), request.path_params["entry"]
        if not key:
            return await self.refuse(request, ProblemCode.UNIDENTIFIED_VISITOR)
        receipt = await run_in_threadpool(self.visitor_data.find_receipt, key, entry)
        if receipt is None:
            return await self.refuse(request, ProblemCode.RECEIPT_NOT_FOUND)
        return send_attachment(receipt, f"receipt-{entry}.json")

    async def erase(self, request: Request) -> Response:
        """Erase the visitor's data and remove the cookie; the response has the receipt, which is stored nowhere."""
        key = self._find_key(request)
        if not key:
            return await self.refuse(request, ProblemCode.UNIDENTIFIED_VISITOR)
        response: Response
        try:
            receipt, entry = await run_in_threadpool(self.visitor_data.erase, key)
            response = self.respond_with_erasure(request, receipt, entry)
        except RefusedError:
            response = await self.refuse(request, ProblemCode.NOTHING_STORED)
        response.headers["Set-Cookie"] = cookie.build_removal_header()
        return response

    def respond_with_erasure(
        self, request: Request, receipt: dict[str, Any], entry: int, *, is_tab: bool = False
    ) -> Response:
        """Say what was erased, with its receipt: by a page for people, by the receipt alone for programs."""
        if not is_from_person(request):
            return send_attachment(receipt, "erasure.json")
        language = self.negotiate_language(find_requested_languages(request))
        page = render_erasure_page(receipt, entry, language, is_tab=is_tab)
        return HTMLResponse(page, headers=VISITOR_SCRIPT_PAGE_HEADERS if is_tab else VISITOR_PAGE_HEADERS)

    async def decide_consent(self, request: Request, *, given: bool) -> Response:
        """Record that the visitor consents to a version, or withdraws that, and redirect to the page."""
        key, identity = self._find_key(request), request.path_params["identity"]
        if not key:
            return await self.refuse(request, ProblemCode.UNIDENTIFIED_VISITOR)
        language = self._read_caller(request).language
        try:
            entry = await run_in_threadpool(
                self.visitor_data.decide_consent, key, identity, language, given=given
            )
        except RefusedError:
            return await self.refuse(request, ProblemCode.CONSENT_NOT_OFFERED)
        return redirect(
            f"{VISITOR_PAGE_PATH}?lang={language}&decided={entry}#result", 303, VISITOR_PAGE_HEADERS
        )

    def _read_caller(self, request: Request) -> VisitorCaller:
        sender = read_sender(self.proxies, request.scope)
        state = cookie.read_cookie_state(sender.headers, can_be_set=False)
        language = self.negotiate_language(find_requested_languages(request))
        return VisitorCaller(
            state.identifier,
            state.value == cookie.REFUSAL_VALUE,
            sender.is_same_origin,
            state.privacy_signal,
            language,
        )

    def _find_key(self, request: Request) -> str:
        """Return the key of a visitor who asks from a page of this host; empty if nobody is identified."""
        caller = self._read_caller(request)
        return (
            self.derive_visitor_key(caller.cookie_identifier)
            if caller.cookie_identifier and caller.is_same_origin
            else ""
        )

    def negotiate_language(self, accept_language: str) -> str:
        """Return the requested language, of those that the policy has."""
        return negotiate_language(accept_language, self.policy_pages.languages() or ["en"])

    async def show_message(
        self, language: str, reason: str, status: int = 200, *, has_privacy_signal: bool = False
    ) -> Response:
        """Show a page that says why no data is shown.

        `reason` is `COOKIE_REFUSED`, `NO_COOKIE` or a key of `VISITOR_REFUSALS`. A browser with a privacy signal is
        offered no cookie.
        """

        def render() -> str:
            version = self.policy_pages.find_version()
            return render_template(
                "visitor_message.html",
                language,
                package="avowal.web",
                reason=reason,
                page_path=VISITOR_PAGE_PATH,
                has_privacy_signal=has_privacy_signal,
                cookie_offered=not has_privacy_signal
                and bool(version and version.compiled_terms.cookie_ages(cookie.COOKIE_NAME))
                and (reason == ProblemCode.NOTHING_STORED or reason not in VISITOR_REFUSALS),
                languages=self.policy_pages.list_translations(VISITOR_PAGE_PATH),
            )

        return HTMLResponse(await run_in_threadpool(render), status, headers=VISITOR_SCRIPT_PAGE_HEADERS)

    async def refuse(self, request: Request, reason: ProblemCode) -> Response:
        """Refuse a request for a reason of `VISITOR_REFUSALS`: with a page for people, a problem for programs."""
        status, detail, hint = VISITOR_REFUSALS[reason]
        if is_from_person(request):
            return await self.show_message(
                self.negotiate_language(find_requested_languages(request)), reason, status
            )
        return problem_response(status, reason, detail, hint, VISITOR_PAGE_HEADERS)

    def record_access_once(self, key: str, record_access: Callable[[Any], None], subject: object) -> None:
        """Record an access, unless one of the same `key` was recorded within the last minute."""
        now = time.monotonic()
        if now - self._recent_accesses.get(key, -ACCESS_RECORD_SECONDS) < ACCESS_RECORD_SECONDS:
            return
        record_access(subject)
        self._recent_accesses.pop(key, None)
        self._recent_accesses[key] = now
        if len(self._recent_accesses) > ACCESS_RECORDS_MAX:
            del self._recent_accesses[next(iter(self._recent_accesses))]


def read_decided_entry(request: Request) -> int | None:
    """Return the entry that a redirect after a decision names; None if it names none."""
    text = request.query_params.get("decided", "")
    return int(text) if re.fullmatch(r"[0-9]{1,15}", text, re.ASCII) else None


def send_attachment(content: dict[str, Any], file_name: str) -> Response:
    """Return `content` as a file of JSON to save."""
    headers = {**ATTACHMENT_HEADERS, "Content-Disposition": f'attachment; filename="{file_name}"'}
    return json_response(content, headers=headers)
