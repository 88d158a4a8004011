"""`/.well-known/gpc.json`: says to browsers that this site honours Global Privacy Control (https://w3c.github.io/gpc/)."""

from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from avowal.http.headers import PUBLIC_DATA_HEADERS
from avowal.http.json_response import json_response
from avowal.http.problem import ProblemCode, problem_response
from avowal.web.policy_pages import PolicyPages

GPC_SUPPORT_PATH = "/.well-known/gpc.json"
"""Where browsers look, on the root of the host, whatever `serve.base_path` is."""


@dataclass(frozen=True)
class GpcRoutes:
    """Sends the statement of support."""

    policy_pages: PolicyPages

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route(GPC_SUPPORT_PATH, self.send_support, methods=["GET"])]

    async def send_support(self, _: Request) -> Response:
        """Send since when the version in force has held; nothing is promised before there is one."""
        version = await run_in_threadpool(self.policy_pages.find_version)
        if not version:
            return problem_response(
                404, ProblemCode.NOT_FOUND, "no version of the policy is in force", "adopt one first"
            )
        support = {"gpc": True, "lastUpdate": version.effective_at.date().isoformat()}
        return json_response(support, headers=PUBLIC_DATA_HEADERS)
