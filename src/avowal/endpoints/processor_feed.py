"""`GET /feed/NAME`: a processor fetches the next page of its feed, with a key of its own."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from avowal.clock import utc_now
from avowal.collect.client_address import TrustedProxies
from avowal.disclose.feed import PAGE_RECORDS_MAX, FeedProvider
from avowal.errors import DisclosureError, RefusedError
from avowal.http.headers import PRIVATE_HEADERS
from avowal.http.problem import ProblemCode, error_response, problem_response, too_many_attempts
from avowal.http.rate_limit import AttemptLimiter
from avowal.http.sender import read_sender
from avowal.register.release_requests import RefusalReason


@dataclass
class ProcessorFeedEndpoint:
    """Sends processors the pages of their feeds."""

    processor_feed: FeedProvider
    record_refusal: Callable[[str, RefusalReason], None]
    """Records that a processor, by its name, was refused, and why."""
    proxies: TrustedProxies
    attempt_limiter: AttemptLimiter

    def routes(self) -> list[Route]:
        """Return the route."""
        return [Route("/feed/{name:str}", self.pull, methods=["GET"])]

    async def pull(self, request: Request) -> Response:
        """Send the page after the one that the processor names as received."""
        name, authorization = request.path_params["name"], request.headers.get("authorization", "")
        after = request.query_params.get("after", "")
        limit = request.query_params.get("limit", f"{PAGE_RECORDS_MAX}")
        if not re.fullmatch("[0-9]{1,9}", limit) or not 1 <= int(limit) <= PAGE_RECORDS_MAX:
            return problem_response(
                400,
                ProblemCode.INVALID_PARAMETER,
                f"`limit` is not a number from 1 to {PAGE_RECORDS_MAX}",
                "leave it out",
                PRIVATE_HEADERS,
            )
        address = read_sender(self.proxies, request.scope).address
        key = authorization.removeprefix("Bearer ")
        if refusal := await self._authenticate(address, name, key):
            return refusal
        return await run_in_threadpool(self._send_page, name, after, int(limit))

    async def _authenticate(self, address: str, name: str, key: str) -> Response | None:
        """Check a processor's key; return a problem if it is wrong or too many were tried."""
        feeds, key_states = self.processor_feed.register.feeds, list[bool | None]()

        def check_key() -> bool:
            key_states.append(feeds.check_key(name, key, utc_now()))
            return bool(key_states[-1])

        is_known, wait_seconds = False, 0
        if key:
            is_known, wait_seconds = await self.attempt_limiter.check(address, "", check_key)
        if is_known:
            return None
        if wait_seconds:
            return too_many_attempts(wait_seconds)
        if key_states == [None]:  # the key was valid once, and has ended
            await run_in_threadpool(self.record_refusal, name, RefusalReason.RECIPIENT)
        return problem_response(
            401,
            ProblemCode.WRONG_CREDENTIALS,
            "the key is not valid for this feed, or has ended",
            "`avowal processor key` issues one",
            {**PRIVATE_HEADERS, "WWW-Authenticate": 'Bearer realm="avowal"'},
        )

    def _send_page(self, name: str, after: str, limit: int) -> Response:
        try:
            page = self.processor_feed.provide_page(name, after, limit)
        except DisclosureError as error:
            self.record_refusal(name, RefusalReason(error.reason))
            return error_response(error, PRIVATE_HEADERS)
        except RefusedError as error:
            return error_response(error, PRIVATE_HEADERS)
        body = b"".join(line + b"\n" for line in page.lines)
        return Response(body, 200, PRIVATE_HEADERS, "application/x-ndjson")
