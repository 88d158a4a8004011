"""The server's ASGI application: which path leads to which handler."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from avowal.endpoints.collect import CollectEndpoint
from avowal.endpoints.processor_feed import ProcessorFeedEndpoint
from avowal.endpoints.release import ReleaseEndpoint
from avowal.endpoints.script import ScriptEndpoint
from avowal.endpoints.submit import SubmitEndpoint
from avowal.http.json_response import json_response
from avowal.http.problem import ProblemCode, problem_response
from avowal.http.query_parameters import refuse_unknown_parameters
from avowal.http.sender import read_sender
from avowal.ingest.syslog import SyslogListener
from avowal.server.request_limits import RequestLimits
from avowal.web.gpc_routes import GpcRoutes
from avowal.web.notice_routes import NoticeRoutes
from avowal.web.policy_routes import PolicyRoutes
from avowal.web.proof_check import ProofCheckRoutes
from avowal.web.reader_routes import ReaderRoutes
from avowal.web.tab_routes import TabRoutes
from avowal.web.visitor_routes import VisitorRoutes

HealthChecks = Callable[[], Mapping[str, str]]
"""Returns, for each thing that is checked, why it fails; empty if it works."""


@dataclass(frozen=True)
class Endpoints:
    """Everything that a server answers with."""

    collect: CollectEndpoint
    script: ScriptEndpoint
    reader: ReaderRoutes
    policy: PolicyRoutes
    notice: NoticeRoutes
    visitor: VisitorRoutes
    tab: TabRoutes
    proof_check: ProofCheckRoutes
    gpc: GpcRoutes
    submit: SubmitEndpoint
    release: ReleaseEndpoint
    processor_feed: ProcessorFeedEndpoint
    health_checks: HealthChecks
    list_warnings: Callable[[], Sequence[str]]
    """Returns what is wrong with what is collected, though it can be stored."""
    syslog_listener: SyslogListener
    syslog_address: tuple[str, int] | None
    """Where to listen for syslog; None to not listen."""


def create_application(endpoints: Endpoints) -> ASGIApp:
    """Return the application. `POST /collect`, which is nearly all of the traffic, bypasses the router."""
    router = RequestLimits(_create_router(endpoints), endpoints.collect.proxies)
    collect = endpoints.collect.collect

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/collect" and scope["method"] == "POST":
            await collect(scope, receive, send)
        else:
            await router(scope, receive, send)

    return application


def list_routes(endpoints: Endpoints) -> list[Route]:
    """Return all routes; `docs/reference.md` has a table of who may do what at each of them."""
    return [
        *endpoints.collect.routes(),
        *endpoints.submit.routes(),
        *endpoints.processor_feed.routes(),
        *endpoints.release.routes(),
        *endpoints.reader.routes(),
        *endpoints.script.routes(),
        *endpoints.notice.routes(),
        Route("/healthz", _healthy, methods=["GET"]),
        Route("/readyz", partial(_ready, endpoints), methods=["GET"]),
        Route("/metrics", partial(_send_metrics, endpoints), methods=["GET"]),
        *endpoints.tab.routes(),
        *endpoints.visitor.routes(),
        *endpoints.proof_check.routes(),
        *endpoints.gpc.routes(),
        *endpoints.policy.routes(),
    ]


def _create_router(endpoints: Endpoints) -> Starlette:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        if endpoints.syslog_address:
            await endpoints.syslog_listener.listen(*endpoints.syslog_address)
        yield
        endpoints.syslog_listener.close()

    application = Starlette(
        routes=[refuse_unknown_parameters(route) for route in list_routes(endpoints)],
        lifespan=lifespan,
        exception_handlers={
            404: endpoints.policy.show_permalink_or_not_found,
            405: _method_not_allowed,
        },
    )
    application.router.redirect_slashes = False  # a redirect would name the host and scheme of the request
    return application


def _method_not_allowed(request: Request, error: Exception) -> Response:
    headers = error.headers if isinstance(error, HTTPException) else None
    return problem_response(
        405,
        ProblemCode.METHOD_NOT_ALLOWED,
        f"this address does not accept {request.method}",
        "see the methods in the header `Allow`",
        headers or {},
    )


def _healthy(_: Request) -> Response:
    return PlainTextResponse("ok\n")


def _ready(endpoints: Endpoints, _: Request) -> Response:
    reasons = endpoints.health_checks()
    is_ready = not any(reasons.values())
    checks = {name: reason or "ok" for name, reason in reasons.items()}
    content = {"ready": is_ready, "checks": checks, "warnings": list(endpoints.list_warnings())}
    return json_response(content, 200 if is_ready else 503)


def _send_metrics(endpoints: Endpoints, request: Request) -> Response:
    """Send the metrics to this machine and trusted networks only."""
    proxies = endpoints.collect.proxies
    if not proxies.is_trusted(read_sender(proxies, request.scope).address):
        raise HTTPException(404)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
