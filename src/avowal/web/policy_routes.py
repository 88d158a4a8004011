"""`/privacy/` and what stands below it: the policy for people and for programs, its history, and its proofs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from avowal.ledger.checkpoint import Checkpoint
from avowal.ledger.tiles import parsed
from avowal.policy.page import Links, linked_data
from avowal.policy.terms import parse_terms
from avowal.policy.vocabulary import vocabulary
from avowal.register.ledger_storage import Ledger
from avowal.web.policy_pages import DISCLOSURES, PATH, Page, Policy, asked_for, shown_of
from avowal.web.syndication import NAMES

CHECKPOINT = f"{PATH}ledger/checkpoint"
FEEDS = [(kind, f"{PATH}{name}") for kind, name in NAMES.items()]
CHECK = f"{PATH}check"
LINKS = Links(f"{PATH}history", DISCLOSURES, f"{PATH}terms.json", CHECKPOINT, f"{PATH}me", CHECK, feeds=FEEDS)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
SCRIPTED = {**HEADERS, "Content-Security-Policy": f"{_POLICY}; script-src 'self'; connect-src 'self'"}
"""Of a page with a script of ours."""

FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
NEGOTIATED = {"Cache-Control": "no-cache", "Vary": "Accept-Language"}
PROGRAMS = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-cache", **HEADERS}


@dataclass
class Pages:
    """Gives everybody the policy's pages."""

    policy: Policy
    ledger: Ledger

    def routes(self) -> list[Route]:
        """Return the addresses."""
        at: dict[str, Callable[..., Any]] = {
            PATH: self.privacy,
            PATH.rstrip("/"): self.there,
            f"{PATH}history": self.history,
            f"{PATH}changes/{{first:int}}..{{second:int}}": self.changes,
            f"{PATH}versions/{{number:int}}": self.version,
            f"{PATH}terms.json": self.terms,
            f"{PATH}terms.jsonld": self.linked,
            CHECKPOINT: self.checkpoint,
            f"{PATH}ledger/{{name:path}}": self.tile,
            DISCLOSURES: self.disclosures,
            **{place: partial(self.feed, kind) for kind, place in FEEDS},
        }
        return [Route(place, door, methods=["GET"]) for place, door in at.items()]

    async def privacy(self, request: Request) -> Response:
        """Give the version in force."""
        return await given(request, self.policy.page)

    async def there(self, _: Request) -> Response:
        """Lead to where it stands."""
        return RedirectResponse(PATH, 308, HEADERS)

    async def version(self, request: Request) -> Response:
        """Give a version that has taken effect."""
        number = request.path_params["number"]
        return await given(request, partial(self.policy.page, number=number)) if number else _missing()

    async def history(self, request: Request) -> Response:
        """Give all versions."""
        return await given(request, self.policy.history)

    async def changes(self, request: Request) -> Response:
        """Give what differs between two."""
        pair = request.path_params
        return await given(request, partial(self.policy.changes, first=pair["first"], second=pair["second"]))

    async def disclosures(self, request: Request) -> Response:
        """Give the page that tells how often something was released."""
        return await given(request, self.policy.disclosures)

    async def elsewhere(self, request: Request, _: Exception) -> Response:
        """Give the version in force where its documents say that they stand, in the language of that place.

        Nothing else is there, whatever was asked for.
        """
        places = await run_in_threadpool(self.policy.permalinks)
        language = places.get(f"/{request.url.path.strip('/')}")
        if language and request.method in {"GET", "HEAD"}:
            return await given(request, self.policy.page, language)
        return _missing()

    async def feed(self, kind: str, request: Request) -> Response:
        """Give a feed of versions, those to come among them."""
        own = self.policy.links.canonical or str(request.base_url).rstrip("/")

        def page(asked: str) -> Page:
            return self.policy.feed(asked, kind, f"{own}{PATH}", f"{own}{PATH}{NAMES[kind]}")

        return await given(request, page, kind=kind)

    def terms(self, request: Request) -> Response:
        """Give the terms in force, or of `?version=`, in canonical JSON: their SHA-256 is the version's identity."""
        version = self.policy.version(_number(request))
        if version is None:
            return _missing()
        headers = {**PROGRAMS, "ETag": f'"{version.identity}"'}
        return Response(version.canonical, headers=headers, media_type="application/json")

    def linked(self, request: Request) -> Response:
        """Give them in the words of W3C DPV."""
        version = self.policy.version(_number(request))
        if version is None:
            return _missing()
        terms = parse_terms(version.terms, "the terms")
        told = linked_data(shown_of(version), terms.controller, vocabulary(terms.vocabulary))
        return Response(msgspec.json.encode(told), headers=PROGRAMS, media_type="application/ld+json")

    def checkpoint(self, _: Request) -> Response:
        """Give the last signed checkpoint (C2SP tlog-checkpoint)."""
        note = self.ledger.checkpoint()
        return Response(str(note), headers=PROGRAMS, media_type="text/plain") if note else _missing()

    def tile(self, request: Request) -> Response:
        """Give a tile of what that checkpoint covers (C2SP tlog-tiles): it never changes."""
        note, name = self.ledger.checkpoint(), request.path_params["name"]
        found = parsed(name, Checkpoint.parse(note.text).size) if note else None
        if found is None:
            return _missing()
        headers = {**PROGRAMS, **FOR_EVER}
        return Response(
            self.ledger.tile(*found)[name], headers=headers, media_type="application/octet-stream"
        )


async def given(
    request: Request,
    page: Callable[[str], Page],
    language: str = "",
    kind: str = "text/html",
    headers: Mapping[str, str] = HEADERS,
) -> Response:
    """Give a page that is for everybody: in a language, in that of `?lang=`, or as the browser asks."""
    made = await run_in_threadpool(page, language or asked_for(request))
    if not made.text:
        return _missing()
    tag = f'"{sha256(made.text.encode()).hexdigest()[:32]}"'
    headers = {**headers, **NEGOTIATED, "Content-Language": made.language, "ETag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(made.text, headers=headers, media_type=f"{kind}; charset=utf-8")


def _number(request: Request) -> int:
    word = request.query_params.get("version", "0")
    return int(word) if word.isdecimal() and len(word) < len(str(1 << 31)) else -1


def _missing() -> Response:
    return Response("there is no such page\n", 404, HEADERS, "text/plain")
