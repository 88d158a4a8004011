"""`/privacy/me`: what is held of the visitor who asks, known by the site's own cookie and by nothing else."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, Protocol

import msgspec
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from avowal.collect import cookie
from avowal.collect.client_address import TrustedProxies
from avowal.endpoints.refusal import error_response
from avowal.endpoints.sender import read_sender
from avowal.errors import RefusedError
from avowal.policy.page import render_template
from avowal.web.policy_pages import POLICY_PATH, PolicyPages, find_requested_languages, negotiate_language
from avowal.web.policy_routes import PAGE_HEADERS as PUBLIC
from avowal.web.policy_routes import SCRIPT_PAGE_HEADERS as PUBLIC_SCRIPTED

VISITOR_PAGE_PATH = f"{POLICY_PATH}me"
PRIVATE_HEADERS = {"Cache-Control": "private, no-store", "Vary": "Cookie"}
VISITOR_PAGE_HEADERS = {**PUBLIC, **PRIVATE_HEADERS}
VISITOR_SCRIPT_PAGE_HEADERS = {**PUBLIC_SCRIPTED, **PRIVATE_HEADERS}
EXPORT_HEADERS = {"Content-Disposition": 'attachment; filename="my-data.jsonl"'}
ATTACHMENT_HEADERS = {**VISITOR_PAGE_HEADERS, "X-Robots-Tag": "noindex"}
VISITOR_REFUSALS = {
    "elsewhere": (
        403,
        "nobody can tell whose that would be",
        "open it on the site's own page, with its cookie or in the tab",
    ),
    "decided": (409, "the visitor has not that to decide", "look at your page again"),
    "missing": (404, "no receipt of yours has that number", "look at your page"),
    "forgotten": (404, "none of these views is held", "they may be erased already, or their time is over"),
}
"""Why a visitor is refused something: the status, and what programs are told; people read it on a page."""

ACCESS_RECORD_SECONDS = 60.0
"""How long a look at the page is one and the same reading."""

ACCESS_RECORDS_MAX = 10_000


class VisitorDataSource(Protocol):
    """What is told of visitors, and done for them, by their keys."""

    def render_page(self, key: str, language: str) -> str:
        """Return the page of what is held; empty where that is nothing."""
        ...

    def record_access(self, key: str) -> None:
        """Record that the visitor looked at what is held."""
        ...

    def export_lines(self, key: str) -> Iterator[bytes]:
        """Yield an export."""
        ...

    def erase(self, key: str) -> dict[str, Any]:
        """Erase all of it; returns the receipt."""
        ...

    def decide_consent(self, key: str, identity: str, language: str, *, given: bool) -> None:
        """Record a consent to a version, or that it is taken back.

        Raises RefusedError where the visitor has not that to decide.
        """
        ...

    def find_receipt(self, key: str, entry: int) -> dict[str, Any] | None:
        """Return the receipt of an entry that is about the visitor; None where there is none."""
        ...

    def render_tab_page(self, script_view_ids: Sequence[int], views_field: str, language: str) -> str:
        """Return the page of the looks of one tab, which hands them on as `views`; empty where none is held."""
        ...

    def record_tab_access(self, script_view_ids: Sequence[int]) -> None:
        """Record that the visitor looked at these."""
        ...

    def export_tab(self, script_view_ids: Sequence[int]) -> bytes:
        """Return an export of them; empty where none is held."""
        ...

    def erase_tab(self, script_view_ids: Sequence[int]) -> dict[str, Any]:
        """Erase them; returns the receipt. Raises RefusedError where none is held."""
        ...


class VisitorCaller(NamedTuple):
    """Who asks for what is theirs."""

    cookie_identifier: str
    """Of the cookie; empty where there is none."""
    refuses_cookie: bool
    """Whether the cookie is refused."""
    is_same_origin: bool
    """Whether a page of this very host asks."""
    language: str


@dataclass
class VisitorPage:
    """Gives visitors what is theirs."""

    policy_pages: PolicyPages
    proxies: TrustedProxies
    derive_visitor_key: Callable[[str], str]
    """Returns the key of a cookie's identifier."""
    visitor_data: VisitorDataSource
    _traced: dict[str, float] = field(default_factory=dict)

    def routes(self) -> list[Route]:
        """Return the addresses."""
        return [
            Route(VISITOR_PAGE_PATH, self.show_page, methods=["GET"]),
            Route(f"{VISITOR_PAGE_PATH}/export", self.send_export, methods=["GET"]),
            Route(f"{VISITOR_PAGE_PATH}/receipts/{{entry:int}}", self.send_receipt, methods=["GET"]),
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
        """Give the page; where nobody can tell whose it would be, say so, and show nothing."""
        asking = self._asking(request)
        if asking.cookie_identifier:
            key = self.derive_visitor_key(asking.cookie_identifier)
            page = await run_in_threadpool(self.visitor_data.render_page, key, asking.language)
            if page:
                await run_in_threadpool(self.record_access_once, key, self.visitor_data.record_access, key)
                return HTMLResponse(page, headers=VISITOR_PAGE_HEADERS)
        why = "known" if asking.cookie_identifier else "refused" if asking.refuses_cookie else ""
        return await self.show_message(asking.language, why)

    async def send_export(self, request: Request) -> Response:
        """Give all of it as JSON Lines, to a page of this very site."""
        key = self._key(request)
        if not key:
            return await self.refuse(request, "elsewhere")
        await run_in_threadpool(self.record_access_once, key, self.visitor_data.record_access, key)
        lines = iterate_in_threadpool(self.visitor_data.export_lines(key))
        return StreamingResponse(
            lines, headers={**ATTACHMENT_HEADERS, **EXPORT_HEADERS}, media_type="application/jsonl"
        )

    async def send_receipt(self, request: Request) -> Response:
        """Give the receipt of one entry of the ledger that is about the visitor."""
        key, entry = self._key(request), request.path_params["entry"]
        if not key:
            return await self.refuse(request, "elsewhere")
        found = await run_in_threadpool(self.visitor_data.find_receipt, key, entry)
        if found is None:
            return await self.refuse(request, "missing")
        return send_attachment(found, f"receipt-{entry}.json")

    async def erase(self, request: Request) -> Response:
        """Erase all of it, and take the cookie back; the answer is the receipt."""
        key = self._key(request)
        if not key:
            return await self.refuse(request, "elsewhere")
        receipt = await run_in_threadpool(self.visitor_data.erase, key)
        answer = send_attachment(receipt, "erasure.json")
        answer.headers["Set-Cookie"] = cookie.build_removal_header()
        return answer

    async def decide_consent(self, request: Request, *, given: bool) -> Response:
        """Record a consent to a version, or that it is taken back, and lead back to the page."""
        key, identity = self._key(request), request.path_params["identity"]
        if not key:
            return await self.refuse(request, "elsewhere")
        language = self._asking(request).language
        try:
            await run_in_threadpool(self.visitor_data.decide_consent, key, identity, language, given=given)
        except RefusedError:
            return await self.refuse(request, "decided")
        return RedirectResponse(f"{VISITOR_PAGE_PATH}?lang={language}#decided", 303, VISITOR_PAGE_HEADERS)

    def _asking(self, request: Request) -> VisitorCaller:
        by = read_sender(self.proxies, request.scope)
        told = cookie.read_cookie_state(by.headers, can_be_set=False)
        language = self.negotiate_language(find_requested_languages(request))
        return VisitorCaller(told.identifier, told.value == cookie.REFUSAL_VALUE, by.is_same_origin, language)

    def _key(self, request: Request) -> str:
        """Return the key of who asks from a page of this very site; empty where nobody can tell."""
        asking = self._asking(request)
        return (
            self.derive_visitor_key(asking.cookie_identifier)
            if asking.cookie_identifier and asking.is_same_origin
            else ""
        )

    def negotiate_language(self, accept_language: str) -> str:
        """Return the language, of those of the policy, that is asked for."""
        return negotiate_language(accept_language, self.policy_pages.languages() or ["en"])

    async def show_message(self, language: str, reason: str, status: int = 200) -> Response:
        """Give the page that says why nothing is shown: `known`, `refused`, of REFUSALS, or nobody can tell whose."""

        def made() -> str:
            version = self.policy_pages.find_version()
            return render_template(
                "own.html",
                language,
                package="avowal.web",
                said=reason,
                place=VISITOR_PAGE_PATH,
                offered=bool(version and version.compiled_terms.cookie_ages(cookie.COOKIE_NAME))
                and reason not in VISITOR_REFUSALS,
                languages=self.policy_pages.list_translations(VISITOR_PAGE_PATH),
            )

        return HTMLResponse(await run_in_threadpool(made), status, headers=VISITOR_SCRIPT_PAGE_HEADERS)

    async def refuse(self, request: Request, reason: str) -> Response:
        """Say why something is refused, as of REFUSALS: to a person by a page, to a program as JSON."""
        status, message, hint = VISITOR_REFUSALS[reason]
        if "text/html" in request.headers.get("accept", ""):
            return await self.show_message(
                self.negotiate_language(find_requested_languages(request)), reason, status
            )
        return error_response(status, message, hint, VISITOR_PAGE_HEADERS)

    def record_access_once(self, key: str, record_access: Callable[[Any], None], subject: object) -> None:
        """Record a look, once for those that follow on each other."""
        now = time.monotonic()
        if now - self._traced.get(key, -ACCESS_RECORD_SECONDS) < ACCESS_RECORD_SECONDS:
            return
        record_access(subject)
        if len(self._traced) >= ACCESS_RECORDS_MAX:
            self._traced = {one: at for one, at in self._traced.items() if now - at < ACCESS_RECORD_SECONDS}
        self._traced[key] = now


def send_attachment(content: dict[str, Any], file_name: str) -> Response:
    """Return what a visitor keeps, as a file."""
    headers = {**ATTACHMENT_HEADERS, "Content-Disposition": f'attachment; filename="{file_name}"'}
    return Response(msgspec.json.encode(content), headers=headers, media_type="application/json")
