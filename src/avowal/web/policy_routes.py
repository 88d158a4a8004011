"""`/privacy/` and below: the policy for people and for programs, its history, and the ledger's proofs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from avowal.base_path import address
from avowal.http.headers import IMMUTABLE_HEADERS, NEGOTIATED_HEADERS, PAGE_HEADERS, PUBLIC_DATA_HEADERS
from avowal.http.json_response import json_response
from avowal.http.language_choice import find_requested_languages
from avowal.http.path_number import NUMBER
from avowal.http.problem import ProblemCode, is_from_person, problem_page, problem_response
from avowal.http.redirect import redirect
from avowal.ledger.checkpoint import Checkpoint
from avowal.ledger.tiles import parse_tile_path
from avowal.policy.language import list_language_tags
from avowal.policy.page import PageLinks, build_json_ld
from avowal.policy.vocabulary import load_vocabulary
from avowal.register.ledger_storage import Ledger
from avowal.register.register import Version
from avowal.web.policy_pages import (
    DISCLOSURES_PATH,
    POLICY_PATH,
    PolicyPages,
    RenderedPage,
    to_page_version,
)
from avowal.web.syndication import FEED_FILE_NAMES

CHECKPOINT_PATH = f"{POLICY_PATH}ledger/checkpoint"
FEED_PATHS = [(media_type, f"{POLICY_PATH}{name}") for media_type, name in FEED_FILE_NAMES.items()]
PROOF_CHECK_PATH = f"{POLICY_PATH}check"
SIGN_IN_PATH = "/sign-in"

PAGE_LINKS = PageLinks(
    f"{POLICY_PATH}history",
    DISCLOSURES_PATH,
    f"{POLICY_PATH}terms.json",
    CHECKPOINT_PATH,
    f"{POLICY_PATH}me",
    PROOF_CHECK_PATH,
    SIGN_IN_PATH,
    version_feeds=FEED_PATHS,
)


@dataclass
class PolicyRoutes:
    """Sends the policy's pages and data to everybody."""

    policy_pages: PolicyPages
    ledger: Ledger

    def routes(self) -> list[Route]:
        """Return the routes."""
        handlers: dict[str, Callable[..., Any]] = {
            POLICY_PATH: self.show_current_version,
            POLICY_PATH.rstrip("/"): self.redirect_to_policy,
            f"{POLICY_PATH}history": self.show_history,
            f"{POLICY_PATH}changes/{{first:{NUMBER}}}..{{second:{NUMBER}}}": self.show_changes,
            f"{POLICY_PATH}versions/{{number:{NUMBER}}}": self.show_version,
            f"{POLICY_PATH}terms.json": self.send_terms,
            f"{POLICY_PATH}terms.jsonld": self.send_json_ld,
            CHECKPOINT_PATH: self.send_checkpoint,
            f"{POLICY_PATH}ledger/{{name:path}}": self.send_tile,
            DISCLOSURES_PATH: self.show_disclosures,
            **{path: partial(self.send_feed, media_type) for media_type, path in FEED_PATHS},
        }
        return [Route(path, handler, methods=["GET"]) for path, handler in handlers.items()]

    async def show_current_version(self, request: Request) -> Response:
        """Show the version in force."""
        return await respond_with_page(request, self.policy_pages.render_version)

    async def redirect_to_policy(self, _: Request) -> Response:
        """Redirect to the policy's path with its slash."""
        return redirect(POLICY_PATH, 308, PAGE_HEADERS)

    async def show_version(self, request: Request) -> Response:
        """Show a version that was published."""
        number = request.path_params["number"]
        if not number:
            raise HTTPException(404)
        return await respond_with_page(request, partial(self.policy_pages.render_version, number=number))

    async def show_history(self, request: Request) -> Response:
        """Show all versions."""
        return await respond_with_page(request, self.policy_pages.render_history)

    async def show_changes(self, request: Request) -> Response:
        """Show the differences between two versions."""
        pair = request.path_params
        return await respond_with_page(
            request, partial(self.policy_pages.render_changes, first=pair["first"], second=pair["second"])
        )

    async def show_disclosures(self, request: Request) -> Response:
        """Show how often data was disclosed."""
        return await respond_with_page(request, self.policy_pages.render_disclosures)

    async def show_permalink_or_not_found(self, request: Request, _: Exception) -> Response:
        """Show the version in force if the path is the permalink of one of its documents; else 404.

        Where no version is in force, say how to put one into force (503).
        """
        tags = await run_in_threadpool(self.policy_pages.find_permalink_languages)
        path = f"/{request.url.path.strip('/')}"
        language = tags.get(path) or tags.get(address(path))
        if language and request.method in {"GET", "HEAD"}:
            return await respond_with_page(request, self.policy_pages.render_version, language)
        languages = await run_in_threadpool(self.policy_pages.languages)
        if not languages:
            return self._respond_not_set_up(request)
        if is_from_person(request):
            return problem_page(request, 404, ProblemCode.NOT_FOUND, languages)
        return problem_response(
            404, ProblemCode.NOT_FOUND, "there is nothing at this address", "check the address", PAGE_HEADERS
        )

    def _respond_not_set_up(self, request: Request) -> Response:
        """Tell the operator what to do where no version is in force yet."""
        if is_from_person(request):
            return problem_page(request, 503, ProblemCode.NOT_SET_UP, list_language_tags())
        return problem_response(
            503,
            ProblemCode.NOT_SET_UP,
            "no version is in force yet, and nothing is collected",
            "`avowal policy adopt` adopts the first one",
            PAGE_HEADERS,
        )

    async def send_feed(self, media_type: str, request: Request) -> Response:
        """Send a feed of versions, those of the future included."""
        canonical_url, server_url = self.policy_pages.links.canonical_url, str(request.base_url).rstrip("/")
        home_url = f"{canonical_url}{POLICY_PATH}" if canonical_url else f"{server_url}{address(POLICY_PATH)}"

        def render(accept_language: str) -> RenderedPage:
            return self.policy_pages.render_feed(
                accept_language, media_type, home_url, f"{home_url}{FEED_FILE_NAMES[media_type]}"
            )

        return await respond_with_page(request, render, media_type=media_type)

    def send_terms(self, request: Request) -> Response:
        """Send the terms of a version as canonical JSON: their SHA-256 is the version's identity."""
        version = self._find_version(request)
        headers = {**PUBLIC_DATA_HEADERS, "ETag": f'"{version.identity}"'}
        return Response(version.canonical_terms, headers=headers, media_type="application/json")

    def send_json_ld(self, request: Request) -> Response:
        """Send the terms of a version in the vocabulary of W3C DPV."""
        version = self._find_version(request)
        terms = version.terms
        content = build_json_ld(to_page_version(version), terms.controller, load_vocabulary(terms.vocabulary))
        return json_response(content, headers=PUBLIC_DATA_HEADERS, media_type="application/ld+json")

    def _find_version(self, request: Request) -> Version:
        """Return the version of `?version=`, or the one in force. Raises HTTPException if there is none."""
        number = request.query_params.get("version", "0")
        is_number = number.isdecimal() and len(number) < len(str(1 << 31))
        version = self.policy_pages.find_version(int(number)) if is_number else None
        if version is None:
            raise HTTPException(404)
        return version

    def send_checkpoint(self, _: Request) -> Response:
        """Send the last signed checkpoint (C2SP tlog-checkpoint)."""
        note = self.ledger.last_checkpoint()
        if not note:
            raise HTTPException(404)
        return Response(str(note), headers=PUBLIC_DATA_HEADERS, media_type="text/plain")

    def send_tile(self, request: Request) -> Response:
        """Send a tile of what the last checkpoint covers (C2SP tlog-tiles), which never changes."""
        note, name = self.ledger.last_checkpoint(), request.path_params["name"]
        tile = parse_tile_path(name, Checkpoint.parse(note.text).size) if note else None
        if tile is None:
            raise HTTPException(404)
        headers = {**PUBLIC_DATA_HEADERS, **IMMUTABLE_HEADERS}
        return Response(
            self.ledger.tile_files(*tile)[name], headers=headers, media_type="application/octet-stream"
        )


async def respond_with_page(
    request: Request,
    render: Callable[[str], RenderedPage],
    language: str = "",
    media_type: str = "text/html",
    headers: Mapping[str, str] = PAGE_HEADERS,
) -> Response:
    """Return a public page in `language`, that of `?lang=`, or the browser's.

    Raises HTTPException if there is no such page.
    """
    page = await run_in_threadpool(render, language or find_requested_languages(request))
    if not page.text:
        raise HTTPException(404)
    tag = f'"{sha256(page.text.encode()).hexdigest()[:32]}"'
    headers = {**headers, **NEGOTIATED_HEADERS, "Content-Language": page.language, "ETag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(page.text, headers=headers, media_type=f"{media_type}; charset=utf-8")
