"""How many requests of each kind one network may send in a minute; `docs/reference.md` has them in a table."""

from typing import NamedTuple

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from avowal.collect.client_address import TrustedProxies
from avowal.http.problem import ProblemCode, is_from_person, problem_page, problem_response
from avowal.http.rate_limit import RateLimit, find_network
from avowal.http.sender import read_sender


class LimitedRequests(NamedTuple):
    """Requests that share a budget: those of some methods, to paths that begin or end with certain texts."""

    name: str
    per_minute: int
    """0 is no limit, or that the endpoint has its own."""
    starts: tuple[str, ...]
    methods: tuple[str, ...] = ()
    """Empty for all."""
    ends: tuple[str, ...] = ("",)

    def includes(self, method: str, path: str) -> bool:
        """Return whether a request is of this kind."""
        return (
            path.startswith(self.starts)
            and path.endswith(self.ends)
            and (not self.methods or method in self.methods)
        )


REQUEST_KINDS = (
    LimitedRequests("health", 0, ("/healthz", "/readyz", "/metrics")),
    LimitedRequests("events", 0, ("/collect", "/pixel.gif")),
    LimitedRequests("forms", 0, ("/submit/",)),
    LimitedRequests("decisions", 30, ("/privacy/me/",), ("POST",), ("/erasure",)),
    LimitedRequests("decisions", 30, ("/privacy/me/consent/", "/privacy/me/withdrawal/")),
    LimitedRequests("own-data", 300, ("/privacy/me",)),
    LimitedRequests("sign-in", 60, ("/sign-in", "/sign-out"), ("POST",)),
    LimitedRequests("releases", 120, ("/releases", "/feed/")),
    LimitedRequests("pages", 1_200, ("",)),
)
"""The first kind that includes a request counts. Kinds of one name share a budget."""


class RequestLimits:
    """Answers requests beyond the limits of their kind with status 429, and passes all others on."""

    def __init__(self, application: ASGIApp, proxies: TrustedProxies) -> None:
        self._application = application
        self._proxies = proxies
        self._limits = {kind.name: RateLimit(kind.per_minute) for kind in REQUEST_KINDS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        if scope["type"] == "http":
            kind = next(kind for kind in REQUEST_KINDS if kind.includes(scope["method"], scope["path"]))
            limit = self._limits[kind.name]
            network = find_network(read_sender(self._proxies, scope).address) if limit.requests else b""
            if wait_seconds := limit.count(network):
                await _refuse(scope, receive, send, wait_seconds)
                return
        await self._application(scope, receive, send)


async def _refuse(scope: Scope, receive: Receive, send: Send, wait_seconds: int) -> None:
    request, code, headers = Request(scope), ProblemCode.TOO_MANY_REQUESTS, {"Retry-After": str(wait_seconds)}
    if is_from_person(request):
        response = problem_page(request, 429, code, [], headers=headers)
    else:
        detail, hint = "this network sent too many requests", f"wait {wait_seconds} seconds"
        response = problem_response(429, code, detail, hint, headers)
    await response(scope, receive, send)
