"""The addresses that a server answers at."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from avowal.endpoints.collect import Collecting
from avowal.endpoints.processor_feed import FeedDoor
from avowal.endpoints.release import Disclosing
from avowal.endpoints.script import Script
from avowal.endpoints.sender import sender
from avowal.endpoints.submit import Submitting
from avowal.ingest.syslog import Listener
from avowal.web.notice_routes import Noticing
from avowal.web.policy_routes import Pages
from avowal.web.proof_check import Checking
from avowal.web.reader_pages import ReadersDoor
from avowal.web.tab_page import Tab
from avowal.web.visitor_routes import Own

Checks = Callable[[], Mapping[str, str]]
"""Tells, by what is checked, why it fails; empty where it does not."""


@dataclass(frozen=True)
class Doors:
    """What a server answers with."""

    collecting: Collecting
    script: Script
    readers: ReadersDoor
    pages: Pages
    noticing: Noticing
    own: Own
    tab: Tab
    checking: Checking
    submitting: Submitting
    disclosing: Disclosing
    feeding: FeedDoor
    checks: Checks
    listener: Listener
    syslog: tuple[str, int] | None
    """Where lines come by syslog; None where none do."""


def application(doors: Doors) -> ASGIApp:
    """Return the application. What pages send, which is nearly all that comes, goes no way round."""
    others, collect = _others(doors), doors.collecting.collect

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/collect" and scope["method"] == "POST":
            await collect(scope, receive, send)
        else:
            await others(scope, receive, send)

    return answer


def _others(doors: Doors) -> Starlette:
    collecting, script, readers = doors.collecting, doors.script, doors.readers

    def ready(_: Request) -> Response:
        found = doors.checks()
        failing = {name: why for name, why in found.items() if why}
        body = {"ready": not failing, "checks": {name: why or "ok" for name, why in found.items()}}
        return _json(body, 503 if failing else 200)

    def metrics(request: Request) -> Response:
        """Give the numbers to whoever asks from this machine, or from a network that is trusted."""
        if not collecting.proxies.trusts(sender(collecting.proxies, request.scope).address):
            return PlainTextResponse("not found\n", 404)
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    routes = [
        Route("/collect", collecting.preflight, methods=["OPTIONS"]),
        Route("/cookie/{word:str}", collecting.choose, methods=["POST"]),
        Route("/pixel.gif", collecting.pixel, methods=["GET"]),
        Route("/submit/{form:str}", doors.submitting.submit, methods=["POST"]),
        Route("/", readers.home, methods=["GET"]),
        Route("/feed/{name:str}", doors.feeding.pull, methods=["GET"]),
        Route("/disclose", doors.disclosing.ask, methods=["POST"]),
        Route("/disclose/{reference:str}", doors.disclosing.show, methods=["GET"]),
        Route("/disclose/{reference:str}/approval", doors.disclosing.approve, methods=["POST"]),
        Route("/disclose/{reference:str}/package", doors.disclosing.make, methods=["POST"]),
        Route("/sign-in", readers.sign_in, methods=["GET", "POST"]),
        Route("/sign-out", readers.sign_out, methods=["POST"]),
        *script.routes(),
        *doors.noticing.routes(),
        Route("/healthz", _healthy, methods=["GET"]),
        Route("/readyz", ready, methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
        *doors.tab.routes(),
        *doors.own.routes(),
        *doors.checking.routes(),
        *doors.pages.routes(),
    ]

    @asynccontextmanager
    async def living(_: Starlette) -> AsyncIterator[None]:
        if doors.syslog:
            await doors.listener.listen(*doors.syslog)
        yield
        doors.listener.close()

    return Starlette(routes=routes, lifespan=living, exception_handlers={404: doors.pages.elsewhere})


def _healthy(_: Request) -> Response:
    return PlainTextResponse("ok\n")


def _json(body: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")
