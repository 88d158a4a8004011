"""`GET /feed/NAME`: what a processor pulls, with a key that is its own."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from avowal.clock import utc_now
from avowal.collect.client_address import TrustedProxies
from avowal.disclose.feed import PAGE_RECORDS_MAX, FeedProvider
from avowal.errors import DisclosureError, RefusedError
from avowal.http.headers import PRIVATE_HEADERS
from avowal.http.problem import error_response
from avowal.http.rate_limit import AttemptLimiter
from avowal.http.sender import read_sender
from avowal.register.release_requests import RefusalReason


@dataclass
class ProcessorFeedEndpoint:
    """Gives processors their feeds; `refuse` records what was refused, by whom and why."""

    processor_feed: FeedProvider
    record_refusal: Callable[[str, RefusalReason], None]
    proxies: TrustedProxies
    attempt_limiter: AttemptLimiter

    async def pull(self, request: Request) -> Response:
        """Give the page after one that the processor has."""
        name, key = request.path_params["name"], request.headers.get("authorization", "")
        after, limit = (
            request.query_params.get("after", ""),
            request.query_params.get("limit", f"{PAGE_RECORDS_MAX}"),
        )
        if not limit.isdecimal() or not 1 <= int(limit) <= PAGE_RECORDS_MAX:
            return error_response(
                400, f"`limit` is no number from 1 to {PAGE_RECORDS_MAX}", "leave it out", PRIVATE_HEADERS
            )
        by = read_sender(self.proxies, request.scope)

        def opened() -> Response:
            told: list[bool | None] = []

            def right() -> bool:
                told.append(
                    self.processor_feed.register.feeds.check_key(name, key.removeprefix("Bearer "), utc_now())
                )
                return bool(told[0])

            known = self.attempt_limiter.check(by.address, f"processor {name}", right)
            if known is None:
                return error_response(429, "too many tries", "wait a minute", PRIVATE_HEADERS)
            if not known:
                if told == [None]:
                    self.record_refusal(name, RefusalReason.RECIPIENT)
                asks = {**PRIVATE_HEADERS, "WWW-Authenticate": 'Bearer realm="avowal"'}
                return error_response(
                    401, "this key opens no feed, or not any more", "`avowal processor key` issues one", asks
                )
            return self._given(name, after, int(limit))

        return await run_in_threadpool(opened)

    def _given(self, name: str, after: str, limit: int) -> Response:
        try:
            given = self.processor_feed.provide_page(name, after, limit)
        except DisclosureError as why:
            self.record_refusal(name, RefusalReason(why.reason))
            return error_response(403, why.message, why.hint, PRIVATE_HEADERS)
        except RefusedError as why:
            return error_response(409, why.message, why.hint, PRIVATE_HEADERS)
        body = b"".join(line + b"\n" for line in given.lines)
        return Response(body, 200, PRIVATE_HEADERS, "application/x-ndjson")
