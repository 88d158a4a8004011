"""The address of a visitor behind real web servers with the settings of the manual, whatever headers the visitor sends."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.running_server import SITE, RunningServer, start_server
from support.site import FIREFOX, Site
from support.web_servers import WEB_SERVERS, run_web_server

REAL, FORGED = "127.0.0.9", "203.0.113.66"
"""The visitor's address, from which the tests connect, and one that the visitor would like to have."""

SETTINGS = f"""[site]
host = "{SITE}"
[serve]
trusted_proxies = ["127.0.0.1/32"]
events_per_minute = 0
"""
NAMES = (
    "Forwarded",
    "X-Forwarded-For",
    "x-forwarded-for",
    "X-FORWARDED-FOR",
    "X_Forwarded_For",
    "X-Forwarded_For",
    "X-Forwarded",
    "Forwarded-For",
    "X-Real-IP",
    "x_real_ip",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "Fastly-Client-IP",
    "X-Original-Forwarded-For",
    "X-Forwarded-Host",
    "X-ProxyUser-Ip",
)
VALUES = (
    FORGED,
    f"{FORGED}:4711",
    "[2001:db8::66]:80",
    "",
    ", ,",
    "unknown",
    "_hidden",
    "127.0.0.1",
    f"{FORGED}, 127.0.0.1",
    "127.0.0.1, " * 300 + "127.0.0.1",
    f"for={FORGED}",
    f'for="{FORGED}, for=',
    'for="[2001:db8::66]";proto=https, for="a\\",for=b"',
    "\xff\xfe garbage \t %00",
)
FORGERIES = [
    *([(name, value)] for name in NAMES for value in VALUES),
    [("X-Forwarded-For", FORGED), ("X-Forwarded-For", "127.0.0.1"), ("x-forwarded-for", FORGED)],
    [("Forwarded", f"for={FORGED}"), ("X-Forwarded-For", FORGED), ("X-Real-IP", FORGED)],
    [("X-Forwarded-For", FORGED), ("Connection", "close, X-Forwarded-For")],
    [("X-Forwarded-For", FORGED), ("Connection", "X-Forwarded-For, X-Forwarded-Proto")],
    [("Connection", "x-forwarded-for"), ("Connection", "X-Forwarded-For, Host, Cookie")],
]
"""The headers that a visitor sends in each attempt."""

PROTOCOLS = [
    [("X-Forwarded-Proto", "https")],
    [("x-forwarded-proto", "https"), ("X-Forwarded-Proto", "https")],
    [("X_Forwarded_Proto", "https"), ("Forwarded", "proto=https"), ("X-Forwarded-Ssl", "on")],
    [("X-Forwarded-Proto", "https"), ("Connection", "X-Forwarded-Proto")],
]
COMMON = f"Host: {SITE}\r\nUser-Agent: {FIREFOX}\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with start_server(Site(tmp_path_factory.mktemp("site")).init(settings=SETTINGS)) as server:
        yield server


def send(port: int, request: str) -> int:
    """Send one request from the visitor's address; returns the status of the response, which must set no cookie."""
    with socket.create_connection(("127.0.0.1", port), 10, source_address=(REAL, 0)) as connection:
        connection.sendall(request.encode("latin-1"))
        received = b""
        while b"\r\n\r\n" not in received and (part := connection.recv(65_536)):
            received += part
    match = re.match(rb"HTTP/1\.[01] ([0-9]{3}) ", received)
    assert match, received
    assert b"set-cookie" not in received.lower(), (
        received
    )  # a cookie is for HTTPS, which no visitor speaks here
    return int(match[1])


def event_request(path: str, extra: str, trailers: str = "") -> str:
    """Return a request that sends an event of a page; with trailers its body is chunked."""
    token = path.strip("/").replace("/", "-").ljust(20, "_")
    event = {"script_view_token": token, "url": f"https://{SITE}{path}", "elapsed_ms": 0}
    body = json.dumps(event)
    if trailers:
        chunked = f"{len(body):x}\r\n{body}\r\n0\r\n{trailers}\r\n"
        return f"POST /collect HTTP/1.1\r\n{COMMON}{extra}Transfer-Encoding: chunked\r\n\r\n{chunked}"
    return f"POST /collect HTTP/1.1\r\n{COMMON}{extra}Content-Length: {len(body)}\r\n\r\n{body}"


@pytest.mark.parametrize("name", WEB_SERVERS)
def test_a_visitor_behind_a_web_server_cannot_choose_an_address(
    server: RunningServer, name: str, tmp_path: Path
) -> None:
    """Whatever headers a visitor sends, the stored address is the one of the connection to the web server."""
    accepted = list[str]()
    with run_web_server(name, tmp_path, server.port) as port:
        for number, headers in enumerate([*FORGERIES, *PROTOCOLS]):
            path, lines = f"/{name}/{number}", "".join(f"{field}: {value}\r\n" for field, value in headers)
            status = send(port, event_request(path, lines))
            assert status in {202, 400}, headers  # a web server may refuse a malformed header
            if status == 202:
                accepted.append(path)
        trailers = f"X-Forwarded-For: {FORGED}\r\n"
        assert send(port, event_request(f"/{name}/trailer", "Trailer: X-Forwarded-For\r\n", trailers)) == 202
        for headers in FORGERIES:
            lines = "".join(f"{field}: {value}\r\n" for field, value in headers)
            assert send(port, f"GET /metrics HTTP/1.1\r\n{COMMON}{lines}\r\n") in {400, 404}, headers
    assert len(accepted) > len(FORGERIES) * 0.8
    rows = server.wait_for_rows(
        "SELECT ip_address, count(*) AS pages FROM script_views "
        f"WHERE page_path LIKE '/{name}/%' GROUP BY ip_address HAVING count(*) = {len(accepted) + 1}",
        1,
    )
    assert rows == [{"ip_address": REAL, "pages": len(accepted) + 1}]


def test_trailers_name_no_client(server: RunningServer) -> None:
    """A trailer that names an address is ignored, also by a request whose body is read first."""
    lines = "Connection: close\r\nTrailer: X-Forwarded-For\r\n"
    request = event_request("/direct", lines, f"X-Forwarded-For: {FORGED}\r\n")
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(request.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 202 ")
    rows = server.wait_for_rows("SELECT ip_address FROM script_views WHERE page_path = '/direct'", 1)
    assert rows == [{"ip_address": "127.0.0.1"}]
