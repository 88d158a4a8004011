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

from avowal.http.headers import IMMUTABLE_HEADERS, NEGOTIATED_HEADERS, PAGE_HEADERS, PUBLIC_DATA_HEADERS
from avowal.http.language_choice import find_requested_languages
from avowal.ledger.checkpoint import Checkpoint
from avowal.ledger.tiles import parse_tile_path
from avowal.policy.page import PageLinks, build_json_ld
from avowal.policy.terms import parse_terms
from avowal.policy.vocabulary import load_vocabulary
from avowal.register.ledger_storage import Ledger
from avowal.web.policy_pages import (
    DISCLOSURES_PATH,
    POLICY_PATH,
    PolicyPages,
    RenderedPage,
    to_page_version,
)
from avowal.web.syndication import FEED_FILE_NAMES

CHECKPOINT_PATH = f"{POLICY_PATH}ledger/checkpoint"
FEED_PATHS = [(kind, f"{POLICY_PATH}{name}") for kind, name in FEED_FILE_NAMES.items()]
PROOF_CHECK_PATH = f"{POLICY_PATH}check"
PAGE_LINKS = PageLinks(
    f"{POLICY_PATH}history",
    DISCLOSURES_PATH,
    f"{POLICY_PATH}terms.json",
    CHECKPOINT_PATH,
    f"{POLICY_PATH}me",
    PROOF_CHECK_PATH,
    version_feeds=FEED_PATHS,
)


@dataclass
class PolicyRoutes:
    """Gives everybody the policy's pages."""

    policy_pages: PolicyPages
    ledger: Ledger

    def routes(self) -> list[Route]:
        """Return the addresses."""
        at: dict[str, Callable[..., Any]] = {
            POLICY_PATH: self.show_current_version,
            POLICY_PATH.rstrip("/"): self.redirect_to_policy,
            f"{POLICY_PATH}history": self.show_history,
            f"{POLICY_PATH}changes/{{first:int}}..{{second:int}}": self.show_changes,
            f"{POLICY_PATH}versions/{{number:int}}": self.show_version,
            f"{POLICY_PATH}terms.json": self.send_terms,
            f"{POLICY_PATH}terms.jsonld": self.send_json_ld,
            CHECKPOINT_PATH: self.send_checkpoint,
            f"{POLICY_PATH}ledger/{{name:path}}": self.send_tile,
            DISCLOSURES_PATH: self.show_disclosures,
            **{place: partial(self.send_feed, kind) for kind, place in FEED_PATHS},
        }
        return [Route(place, door, methods=["GET"]) for place, door in at.items()]

    async def show_current_version(self, request: Request) -> Response:
        """Give the version in force."""
        return await respond_with_page(request, self.policy_pages.render_version)

    async def redirect_to_policy(self, _: Request) -> Response:
        """Lead to where it stands."""
        return RedirectResponse(POLICY_PATH, 308, PAGE_HEADERS)

    async def show_version(self, request: Request) -> Response:
        """Give a version that has taken effect."""
        number = request.path_params["number"]
        return (
            await respond_with_page(request, partial(self.policy_pages.render_version, number=number))
            if number
            else _missing()
        )

    async def show_history(self, request: Request) -> Response:
        """Give all versions."""
        return await respond_with_page(request, self.policy_pages.render_history)

    async def show_changes(self, request: Request) -> Response:
        """Give what differs between two."""
        pair = request.path_params
        return await respond_with_page(
            request, partial(self.policy_pages.render_changes, first=pair["first"], second=pair["second"])
        )

    async def show_disclosures(self, request: Request) -> Response:
        """Give the page that tells how often something was released."""
        return await respond_with_page(request, self.policy_pages.render_disclosures)

    async def show_permalink_or_not_found(self, request: Request, _: Exception) -> Response:
        """Give the version in force where its documents say that they stand, in the language of that place.

        Nothing else is there, whatever was asked for.
        """
        places = await run_in_threadpool(self.policy_pages.find_permalink_languages)
        language = places.get(f"/{request.url.path.strip('/')}")
        if language and request.method in {"GET", "HEAD"}:
            return await respond_with_page(request, self.policy_pages.render_version, language)
        return _missing()

    async def send_feed(self, media_type: str, request: Request) -> Response:
        """Give a feed of versions, those to come among them."""
        own = self.policy_pages.links.canonical_url or str(request.base_url).rstrip("/")

        def page(asked: str) -> RenderedPage:
            return self.policy_pages.render_feed(
                asked, media_type, f"{own}{POLICY_PATH}", f"{own}{POLICY_PATH}{FEED_FILE_NAMES[media_type]}"
            )

        return await respond_with_page(request, page, media_type=media_type)

    def send_terms(self, request: Request) -> Response:
        """Give the terms in force, or of `?version=`, in canonical JSON: their SHA-256 is the version's identity."""
        version = self.policy_pages.find_version(_number(request))
        if version is None:
            return _missing()
        headers = {**PUBLIC_DATA_HEADERS, "ETag": f'"{version.identity}"'}
        return Response(version.canonical, headers=headers, media_type="application/json")

    def send_json_ld(self, request: Request) -> Response:
        """Give them in the words of W3C DPV."""
        version = self.policy_pages.find_version(_number(request))
        if version is None:
            return _missing()
        terms = parse_terms(version.terms, "the terms")
        told = build_json_ld(to_page_version(version), terms.controller, load_vocabulary(terms.vocabulary))
        return Response(
            msgspec.json.encode(told), headers=PUBLIC_DATA_HEADERS, media_type="application/ld+json"
        )

    def send_checkpoint(self, _: Request) -> Response:
        """Give the last signed checkpoint (C2SP tlog-checkpoint)."""
        note = self.ledger.last_checkpoint()
        return (
            Response(str(note), headers=PUBLIC_DATA_HEADERS, media_type="text/plain") if note else _missing()
        )

    def send_tile(self, request: Request) -> Response:
        """Give a tile of what that checkpoint covers (C2SP tlog-tiles): it never changes."""
        note, name = self.ledger.last_checkpoint(), request.path_params["name"]
        found = parse_tile_path(name, Checkpoint.parse(note.text).size) if note else None
        if found is None:
            return _missing()
        headers = {**PUBLIC_DATA_HEADERS, **IMMUTABLE_HEADERS}
        return Response(
            self.ledger.tile_files(*found)[name], headers=headers, media_type="application/octet-stream"
        )


async def respond_with_page(
    request: Request,
    render: Callable[[str], RenderedPage],
    language: str = "",
    media_type: str = "text/html",
    headers: Mapping[str, str] = PAGE_HEADERS,
) -> Response:
    """Give a page that is for everybody: in a language, in that of `?lang=`, or as the browser asks."""
    made = await run_in_threadpool(render, language or find_requested_languages(request))
    if not made.text:
        return _missing()
    tag = f'"{sha256(made.text.encode()).hexdigest()[:32]}"'
    headers = {**headers, **NEGOTIATED_HEADERS, "Content-Language": made.language, "ETag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(made.text, headers=headers, media_type=f"{media_type}; charset=utf-8")


def _number(request: Request) -> int:
    word = request.query_params.get("version", "0")
    return int(word) if word.isdecimal() and len(word) < len(str(1 << 31)) else -1


def _missing() -> Response:
    return Response("there is no such page\n", 404, PAGE_HEADERS, "text/plain")
