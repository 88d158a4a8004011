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
from avowal.collect.client_address import Proxies
from avowal.endpoints.refusal import error
from avowal.endpoints.sender import sender
from avowal.errors import RefusedError
from avowal.policy.page import rendered
from avowal.web.policy_pages import PATH, Policy, asked_for, chosen
from avowal.web.policy_routes import HEADERS as PUBLIC
from avowal.web.policy_routes import SCRIPTED as PUBLIC_SCRIPTED

PLACE = f"{PATH}me"
PRIVATE = {"Cache-Control": "private, no-store", "Vary": "Cookie"}
HEADERS = {**PUBLIC, **PRIVATE}
SCRIPTED = {**PUBLIC_SCRIPTED, **PRIVATE}
EXPORT = {"Content-Disposition": 'attachment; filename="my-data.jsonl"'}
ATTACHED = {**HEADERS, "X-Robots-Tag": "noindex"}
REFUSALS = {
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

TRACE_SECONDS = 60.0
"""How long a look at the page is one and the same reading."""

TRACES_MAX = 10_000


class Persons(Protocol):
    """What is told of visitors, and done for them, by their keys."""

    def page(self, key: str, language: str) -> str:
        """Return the page of what is held; empty where that is nothing."""
        ...

    def trace(self, key: str) -> None:
        """Record that the visitor looked at what is held."""
        ...

    def lines(self, key: str) -> Iterator[bytes]:
        """Yield an export."""
        ...

    def erase(self, key: str) -> dict[str, Any]:
        """Erase all of it; returns the receipt."""
        ...

    def decide(self, key: str, identity: str, language: str, *, given: bool) -> None:
        """Record a consent to a version, or that it is taken back.

        Raises RefusedError where the visitor has not that to decide.
        """
        ...

    def receipt(self, key: str, entry: int) -> dict[str, Any] | None:
        """Return the receipt of an entry that is about the visitor; None where there is none."""
        ...

    def tab_page(self, looks: Sequence[int], views: str, language: str) -> str:
        """Return the page of the looks of one tab, which hands them on as `views`; empty where none is held."""
        ...

    def tab_trace(self, looks: Sequence[int]) -> None:
        """Record that the visitor looked at these."""
        ...

    def tab_export(self, looks: Sequence[int]) -> bytes:
        """Return an export of them; empty where none is held."""
        ...

    def tab_erase(self, looks: Sequence[int]) -> dict[str, Any]:
        """Erase them; returns the receipt. Raises RefusedError where none is held."""
        ...


class Asking(NamedTuple):
    """Who asks for what is theirs."""

    identifier: str
    """Of the cookie; empty where there is none."""
    refused: bool
    """Whether the cookie is refused."""
    is_own: bool
    """Whether a page of this very host asks."""
    language: str


@dataclass
class Own:
    """Gives visitors what is theirs."""

    policy: Policy
    proxies: Proxies
    key_of: Callable[[str], str]
    """Returns the key of a cookie's identifier."""
    persons: Persons
    _traced: dict[str, float] = field(default_factory=dict)

    def routes(self) -> list[Route]:
        """Return the addresses."""
        return [
            Route(PLACE, self.show, methods=["GET"]),
            Route(f"{PLACE}/export", self.export, methods=["GET"]),
            Route(f"{PLACE}/receipts/{{entry:int}}", self.receipt, methods=["GET"]),
            Route(f"{PLACE}/erasure", self.forget, methods=["POST"]),
            Route(f"{PLACE}/consent/{{identity}}", partial(self.decide, given=True), methods=["POST"]),
            Route(f"{PLACE}/withdrawal/{{identity}}", partial(self.decide, given=False), methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """Give the page; where nobody can tell whose it would be, say so, and show nothing."""
        asking = self._asking(request)
        if asking.identifier:
            key = self.key_of(asking.identifier)
            page = await run_in_threadpool(self.persons.page, key, asking.language)
            if page:
                await run_in_threadpool(self.traced, key, self.persons.trace, key)
                return HTMLResponse(page, headers=HEADERS)
        why = "known" if asking.identifier else "refused" if asking.refused else ""
        return await self.nothing(asking.language, why)

    async def export(self, request: Request) -> Response:
        """Give all of it as JSON Lines, to a page of this very site."""
        key = self._key(request)
        if not key:
            return await self.refused(request, "elsewhere")
        await run_in_threadpool(self.traced, key, self.persons.trace, key)
        lines = iterate_in_threadpool(self.persons.lines(key))
        return StreamingResponse(lines, headers={**ATTACHED, **EXPORT}, media_type="application/jsonl")

    async def receipt(self, request: Request) -> Response:
        """Give the receipt of one entry of the ledger that is about the visitor."""
        key, entry = self._key(request), request.path_params["entry"]
        if not key:
            return await self.refused(request, "elsewhere")
        found = await run_in_threadpool(self.persons.receipt, key, entry)
        if found is None:
            return await self.refused(request, "missing")
        return attached(found, f"receipt-{entry}.json")

    async def forget(self, request: Request) -> Response:
        """Erase all of it, and take the cookie back; the answer is the receipt."""
        key = self._key(request)
        if not key:
            return await self.refused(request, "elsewhere")
        receipt = await run_in_threadpool(self.persons.erase, key)
        answer = attached(receipt, "erasure.json")
        answer.headers["Set-Cookie"] = cookie.taken_back()
        return answer

    async def decide(self, request: Request, *, given: bool) -> Response:
        """Record a consent to a version, or that it is taken back, and lead back to the page."""
        key, identity = self._key(request), request.path_params["identity"]
        if not key:
            return await self.refused(request, "elsewhere")
        language = self._asking(request).language
        try:
            await run_in_threadpool(self.persons.decide, key, identity, language, given=given)
        except RefusedError:
            return await self.refused(request, "decided")
        return RedirectResponse(f"{PLACE}?lang={language}#decided", 303, HEADERS)

    def _asking(self, request: Request) -> Asking:
        by = sender(self.proxies, request.scope)
        told = cookie.asked(by.headers, possible=False)
        language = self.language(asked_for(request))
        return Asking(told.identifier, told.value == cookie.REFUSED, by.is_own, language)

    def _key(self, request: Request) -> str:
        """Return the key of who asks from a page of this very site; empty where nobody can tell."""
        asking = self._asking(request)
        return self.key_of(asking.identifier) if asking.identifier and asking.is_own else ""

    def language(self, asked: str) -> str:
        """Return the language, of those of the policy, that is asked for."""
        return chosen(asked, self.policy.languages() or ["en"])

    async def nothing(self, language: str, why: str, status: int = 200) -> Response:
        """Give the page that says why nothing is shown: `known`, `refused`, of REFUSALS, or nobody can tell whose."""

        def made() -> str:
            version = self.policy.version()
            return rendered(
                "own.html",
                language,
                room="avowal.web",
                said=why,
                place=PLACE,
                offered=bool(version and version.promised.cookie(cookie.NAME)) and why not in REFUSALS,
                languages=self.policy.in_languages(PLACE),
            )

        return HTMLResponse(await run_in_threadpool(made), status, headers=SCRIPTED)

    async def refused(self, request: Request, why: str) -> Response:
        """Say why something is refused, as of REFUSALS: to a person by a page, to a program as JSON."""
        status, message, hint = REFUSALS[why]
        if "text/html" in request.headers.get("accept", ""):
            return await self.nothing(self.language(asked_for(request)), why, status)
        return error(status, message, hint, HEADERS)

    def traced(self, key: str, trace: Callable[[Any], None], about: object) -> None:
        """Record a look, once for those that follow on each other."""
        now = time.monotonic()
        if now - self._traced.get(key, -TRACE_SECONDS) < TRACE_SECONDS:
            return
        trace(about)
        if len(self._traced) >= TRACES_MAX:
            self._traced = {one: at for one, at in self._traced.items() if now - at < TRACE_SECONDS}
        self._traced[key] = now


def attached(told: dict[str, Any], name: str) -> Response:
    """Return what a visitor keeps, as a file."""
    headers = {**ATTACHED, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(msgspec.json.encode(told), headers=headers, media_type="application/json")
