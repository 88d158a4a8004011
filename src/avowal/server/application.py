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

from avowal.endpoints.collect import CollectEndpoint
from avowal.endpoints.processor_feed import ProcessorFeedEndpoint
from avowal.endpoints.release import ReleaseEndpoint
from avowal.endpoints.script import ScriptEndpoint
from avowal.endpoints.sender import read_sender
from avowal.endpoints.submit import SubmitEndpoint
from avowal.ingest.syslog import SyslogListener
from avowal.web.notice_routes import NoticeRoutes
from avowal.web.policy_routes import PolicyRoutes
from avowal.web.proof_check import ProofCheckRoutes
from avowal.web.reader_pages import ReaderPages
from avowal.web.tab_page import TabPage
from avowal.web.visitor_routes import VisitorPage

HealthChecks = Callable[[], Mapping[str, str]]
"""Tells, by what is checked, why it fails; empty where it does not."""


@dataclass(frozen=True)
class Endpoints:
    """What a server answers with."""

    collect: CollectEndpoint
    script: ScriptEndpoint
    reader_pages: ReaderPages
    policy_pages: PolicyRoutes
    notice: NoticeRoutes
    visitor_page: VisitorPage
    tab_page: TabPage
    proof_check: ProofCheckRoutes
    submit: SubmitEndpoint
    release: ReleaseEndpoint
    processor_feed: ProcessorFeedEndpoint
    health_checks: HealthChecks
    syslog_listener: SyslogListener
    syslog_address: tuple[str, int] | None
    """Where lines come by syslog; None where none do."""


def create_application(endpoints: Endpoints) -> ASGIApp:
    """Return the application. What pages send, which is nearly all that comes, goes no way round."""
    others, collect = _others(endpoints), endpoints.collect.collect

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/collect" and scope["method"] == "POST":
            await collect(scope, receive, send)
        else:
            await others(scope, receive, send)

    return answer


def _others(doors: Endpoints) -> Starlette:
    collecting, script, readers = doors.collect, doors.script, doors.reader_pages

    def ready(_: Request) -> Response:
        found = doors.health_checks()
        failing = {name: why for name, why in found.items() if why}
        body = {"ready": not failing, "checks": {name: why or "ok" for name, why in found.items()}}
        return _json(body, 503 if failing else 200)

    def metrics(request: Request) -> Response:
        """Give the numbers to whoever asks from this machine, or from a network that is trusted."""
        if not collecting.proxies.is_trusted(read_sender(collecting.proxies, request.scope).address):
            return PlainTextResponse("not found\n", 404)
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    routes = [
        Route("/collect", collecting.preflight, methods=["OPTIONS"]),
        Route("/cookie/{word:str}", collecting.set_cookie_choice, methods=["POST"]),
        Route("/pixel.gif", collecting.pixel, methods=["GET"]),
        Route("/submit/{form:str}", doors.submit.submit, methods=["POST"]),
        Route("/", readers.show_home, methods=["GET"]),
        Route("/feed/{name:str}", doors.processor_feed.pull, methods=["GET"]),
        Route("/disclose", doors.release.create, methods=["POST"]),
        Route("/disclose/{reference:str}", doors.release.show, methods=["GET"]),
        Route("/disclose/{reference:str}/approval", doors.release.approve, methods=["POST"]),
        Route("/disclose/{reference:str}/package", doors.release.release, methods=["POST"]),
        Route("/sign-in", readers.sign_in, methods=["GET", "POST"]),
        Route("/sign-out", readers.sign_out, methods=["POST"]),
        *script.routes(),
        *doors.notice.routes(),
        Route("/healthz", _healthy, methods=["GET"]),
        Route("/readyz", ready, methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
        *doors.tab_page.routes(),
        *doors.visitor_page.routes(),
        *doors.proof_check.routes(),
        *doors.policy_pages.routes(),
    ]

    @asynccontextmanager
    async def living(_: Starlette) -> AsyncIterator[None]:
        if doors.syslog_address:
            await doors.syslog_listener.listen(*doors.syslog_address)
        yield
        doors.syslog_listener.close()

    return Starlette(
        routes=routes,
        lifespan=living,
        exception_handlers={404: doors.policy_pages.show_permalink_or_not_found},
    )


def _healthy(_: Request) -> Response:
    return PlainTextResponse("ok\n")


def _json(body: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")
