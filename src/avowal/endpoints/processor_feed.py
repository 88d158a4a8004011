"""`GET /feed/NAME`: what a processor pulls, with a key that is its own."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from avowal.clock import utc_now
from avowal.collect.client_address import Proxies
from avowal.disclose.feed import ROWS_MAX, Feeding
from avowal.endpoints.attempt_limit import Tries
from avowal.endpoints.refusal import error
from avowal.endpoints.sender import sender
from avowal.errors import DisclosureError, RefusedError
from avowal.register.release_requests import Why
from avowal.web.reader_pages import HEADERS


@dataclass
class FeedDoor:
    """Gives processors their feeds; `refuse` records what was refused, by whom and why."""

    feeding: Feeding
    refuse: Callable[[str, Why], None]
    proxies: Proxies
    tries: Tries

    async def pull(self, request: Request) -> Response:
        """Give the page after one that the processor has."""
        name, key = request.path_params["name"], request.headers.get("authorization", "")
        after, limit = request.query_params.get("after", ""), request.query_params.get("limit", f"{ROWS_MAX}")
        if not limit.isdecimal() or not 1 <= int(limit) <= ROWS_MAX:
            return error(400, f"`limit` is no number from 1 to {ROWS_MAX}", "leave it out", HEADERS)
        by = sender(self.proxies, request.scope)

        def opened() -> Response:
            told: list[bool | None] = []

            def right() -> bool:
                told.append(self.feeding.register.feeds.opens(name, key.removeprefix("Bearer "), utc_now()))
                return bool(told[0])

            known = self.tries.right(by.address, f"processor {name}", right)
            if known is None:
                return error(429, "too many tries", "wait a minute", HEADERS)
            if not known:
                if told == [None]:
                    self.refuse(name, Why.RECIPIENT)
                asks = {**HEADERS, "WWW-Authenticate": 'Bearer realm="avowal"'}
                return error(
                    401, "this key opens no feed, or not any more", "`avowal processor key` issues one", asks
                )
            return self._given(name, after, int(limit))

        return await run_in_threadpool(opened)

    def _given(self, name: str, after: str, limit: int) -> Response:
        try:
            given = self.feeding.give(name, after, limit)
        except DisclosureError as why:
            self.refuse(name, Why(why.why))
            return error(403, why.message, why.hint, HEADERS)
        except RefusedError as why:
            return error(409, why.message, why.hint, HEADERS)
        body = b"".join(line + b"\n" for line in given.lines)
        return Response(body, 200, HEADERS, "application/x-ndjson")
