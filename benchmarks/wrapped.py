"""Measure what being wrapped costs an application: beside the same application bare, in turns, in one process.

python benchmarks/wrapped.py [--requests 20000]
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from avowal import asgi, wsgi

PAGE = (
    b"<!doctype html><html><head><title>Page</title></head><body>" + b"<p>words</p>" * 500 + b"</body></html>"
)
HEADERS = [
    (b"host", b"site.example"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    (b"referer", b"https://site.example/"),
    (b"accept", b"text/html"),
]
TURN = 1_000


async def page(_: Any, __: Any, send: Any) -> None:
    """Answer with a page (ASGI)."""
    length = (b"content-length", str(len(PAGE)).encode())
    headers = [(b"content-type", b"text/html; charset=utf-8"), length]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": PAGE})


def old_page(_: Any, start_response: Any) -> Iterable[bytes]:
    """Answer with a page (WSGI)."""
    start_response(
        "200 OK", [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(PAGE)))]
    )
    return [PAGE]


def asked(app: Any) -> Callable[[int], float]:
    """Return what asks an ASGI application once, and says how long that took, in seconds."""

    async def send(_: Any) -> None:
        """Go nowhere."""

    async def ask(number: int) -> float:
        scope = {
            "type": "http", "method": "GET", "path": f"/{number % 50}", "headers": HEADERS,
            "client": ("192.0.2.7", 1), "query_string": b"",
        }  # fmt: skip
        began = time.perf_counter()
        await app(scope, None, send)
        return time.perf_counter() - began

    loop = asyncio.new_event_loop()
    return lambda number: loop.run_until_complete(ask(number))


def asked_of_old(app: Any) -> Callable[[int], float]:
    """Return the same for a WSGI application."""
    told = {f"HTTP_{name.decode().upper().replace('-', '_')}": value.decode() for name, value in HEADERS}

    def ask(number: int) -> float:
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": f"/{number % 50}",
            "REMOTE_ADDR": "192.0.2.7",
            **told,
        }
        began = time.perf_counter()
        parts = app(environ, lambda *_: None)
        for _ in parts:
            pass
        if hasattr(parts, "close"):
            parts.close()
        return time.perf_counter() - began

    return ask


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=20_000)
    requests = parser.parse_args().requests
    print(f"| {requests:,} requests, in turns of {TURN:,} | bare | wrapped | more | more, p99 |")
    print("|---|---:|---:|---:|---:|")
    for name, ask, app, middleware in (
        ("ASGI", asked, page, asgi.AsgiMiddleware),
        ("WSGI", asked_of_old, old_page, wsgi.WsgiMiddleware),
    ):
        with tempfile.TemporaryDirectory() as folder:
            wrapped = middleware(app, Path(folder), "/avowal.js")
            way, plain_way = ask(wrapped), ask(app)
            mine, plain = list[float](), list[float]()
            for _ in range(requests // TURN):
                plain += [plain_way(number) for number in range(TURN)]
                mine += [way(number) for number in range(TURN)]
            wrapped.collector.close()
        more, worst = median(mine) - median(plain), quantiles(mine, n=100)[98] - quantiles(plain, n=100)[98]
        cells = (median(plain), median(mine), more, worst)
        print(f"| {name} | {' | '.join(f'{cell * 1e6:.0f} µs' for cell in cells)} |")


if __name__ == "__main__":
    main()
