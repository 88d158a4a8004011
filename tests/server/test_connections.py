"""The limits of connections, with real sockets and short times: headers, bodies, clients that do not read, and numbers."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from avowal.collect.client_address import TrustedProxies
from avowal.server import event_loop
from avowal.server.connection_watch import ConnectionLimits
from avowal.server.event_loop import ServerLoop
from avowal.server.http_connection import HttpConnection, create_connection_class
from support.certificates import tls_context
from support.site import wait_until

SHORT = ConnectionLimits(
    header_seconds=0.3,
    header_bytes=2_000,
    header_lines=20,
    body_seconds=0.6,
    body_idle_seconds=0.3,
    body_bytes_per_second=100_000_000,
    unread_bytes=50_000,
    write_seconds=0.3,
    sweep_seconds=0.05,
)
PATIENT = ConnectionLimits(header_bytes=2_000, header_lines=20, unread_bytes=50_000, sweep_seconds=0.05)
NO_PROXIES = TrustedProxies.parse([])
LOOPBACK = TrustedProxies.parse(["127.0.0.0/8"])
LARGE = b"x" * 20_000_000


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the length of the body, with a large body, or without reading the body."""
    length = 0
    while scope["path"] != "/unread":
        message = await receive()
        length += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    body = LARGE if scope["path"] == "/large" else str(length).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]}
    )
    await send({"type": "http.response.body", "body": body})


@contextmanager
def serving(
    limits: ConnectionLimits, proxies: TrustedProxies = NO_PROXIES, **options: Any
) -> Iterator[tuple[int, uvicorn.Server]]:
    """Run a server in a thread; yields its port and the server."""
    connection_class = create_connection_class(HttpConnection, proxies, limits)
    config = uvicorn.Config(
        application, port=0, http=connection_class, lifespan="off", log_config=None, **options
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:

        def run() -> None:
            with asyncio.Runner(loop_factory=ServerLoop) as runner:
                runner.run(server.serve([listener]))

        thread = threading.Thread(target=run)
        thread.start()
        wait_until(lambda: server.started, "the server to start")
        yield listener.getsockname()[1], server
        server.force_exit = server.should_exit = True
        thread.join(30)


def connect(port: int, sent: bytes = b"", source: str = "127.0.0.1") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), 30, source_address=(source, 0))
    connection.sendall(sent)
    return connection


def read_to_the_end(connection: socket.socket) -> bytes:
    """Return all that is received until the server closes the connection."""
    received = b""
    with suppress(ConnectionResetError), connection:
        while part := connection.recv(65_536):
            received += part
    return received


def is_answered(port: int) -> bool:
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
    return read_to_the_end(connect(port, request)).endswith(b"\r\n\r\n3")


HALF_SENT = {
    "nothing": b"",
    "half a request line": b"GET /",
    "half a header": b"GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: a",
    "half a body": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc",
    "half a chunk": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    "half of the trailers": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b",
    "half of a second request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HT",
}


@pytest.mark.parametrize("sent", HALF_SENT.values(), ids=HALF_SENT)
def test_half_a_request_is_not_waited_for_without_end(sent: bytes) -> None:
    """A connection whose request does not arrive completely is closed; others are answered."""
    with serving(SHORT) as (port, _):
        connection = connect(port, sent)
        assert is_answered(port)
        read_to_the_end(connection)  # returns once the server has closed it


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\nHost: x\r\n", HALF_SENT["half a body"]])
def test_bytes_that_arrive_one_by_one_are_not_waited_for_without_end(start: bytes) -> None:
    """A client that sends a byte now and then to keep its connection open loses it."""
    with serving(SHORT) as (port, _), connect(port, start) as connection:
        connection.settimeout(0.02)
        wait_until(lambda: is_closed_after(connection, b"a"), "the server to close the connection")


def is_closed_after(connection: socket.socket, data: bytes) -> bool:
    """Send data; return whether the server has closed the connection."""
    try:
        connection.sendall(data)
        return not connection.recv(1_000)
    except TimeoutError:
        return False
    except OSError:
        return True


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /" + b"a" * 3_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 3_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 30 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 3_000,
    ],
)
def test_a_header_has_a_longest_length(request_bytes: bytes) -> None:
    """A header that is too long, or has too many lines, is answered with status 400, complete or not."""
    with serving(PATIENT) as (port, _):
        assert read_to_the_end(connect(port, request_bytes)).startswith(b"HTTP/1.1 400 ")
        assert is_answered(port)


@pytest.mark.parametrize("end", [b"A: " + b"a" * 100_000, b"1;" + b"a" * 100_000])
def test_trailers_and_extensions_have_a_longest_length(end: bytes) -> None:
    """A connection that sends endless trailers or extensions of chunks is closed."""
    start = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with serving(PATIENT) as (port, _):
        connection = connect(port, start)
        assert is_answered(port)
        with suppress(ConnectionResetError, BrokenPipeError):
            connection.sendall((b"0\r\n" if end.startswith(b"A") else b"") + end)
        assert b"200 OK" not in read_to_the_end(connection)


def test_a_body_that_nobody_reads_has_a_longest_length() -> None:
    """After the response, a client cannot go on sending a body without end."""
    with (
        serving(PATIENT) as (port, _),
        connect(port, b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 900000000\r\n\r\n") as connection,
    ):
        assert connection.recv(4) == b"HTTP"
        connection.settimeout(0.02)
        wait_until(lambda: is_closed_after(connection, b"a" * 10_000), "the server to close the connection")


def test_a_client_that_does_not_read_is_not_waited_for() -> None:
    """A connection whose client does not read a large response is closed."""
    with serving(SHORT) as (port, server):
        connection = connect(port, b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: len(server.server_state.connections) == 1, "the connection")
        wait_until(lambda: not server.server_state.connections, "the connection to be closed")
        connection.close()


def test_half_a_handshake_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that begins a TLS handshake and does not end it is closed; others are answered."""
    monkeypatch.setattr(event_loop, "TLS_HANDSHAKE_SECONDS", 0.3)
    tls_context(tmp_path, 20)
    files: Any = {"ssl_certfile": tmp_path / "cert.pem", "ssl_keyfile": tmp_path / "key.pem"}
    with serving(PATIENT, **files) as (port, _):
        connection = connect(port, b"\x16\x03\x01\x02")
        context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        with context.wrap_socket(connect(port), server_hostname="127.0.0.1") as secure:
            secure.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert secure.recv(12) == b"HTTP/1.1 200"
        read_to_the_end(connection)


def test_a_slow_request_within_its_time_is_answered() -> None:
    """A request in pieces, and several on one connection, are answered."""
    with serving(PATIENT) as (port, _), connect(port) as connection:
        for _ in range(3):
            for part in (b"POST / HT", b"TP/1.1\r\nHo", b"st: x\r\nContent-Length: 4\r\n\r\na", b"bc", b"d"):
                connection.sendall(part)
            received = b""
            while not received.endswith(b"\r\n\r\n4"):
                received += connection.recv(1_000)


def test_the_oldest_half_sent_request_makes_room() -> None:
    """There are never more half-sent requests than the limit, and complete ones are answered meanwhile."""
    limits = ConnectionLimits(waiting=20, per_network=1_000)
    with serving(limits) as (port, server), ExitStack() as stack:
        first = connect(port, b"GET / HTTP/1.1\r\nHost: x\r\nA")
        for _ in range(60):
            stack.enter_context(connect(port, b"GET / HTTP/1.1\r\nHost: x\r\nA"))
        read_to_the_end(first)
        assert is_answered(port)
        wait_until(lambda: len(server.server_state.connections) <= limits.waiting, "the oldest to be closed")


def test_one_network_has_a_number_of_connections() -> None:
    """Connections of one address beyond the limit are closed; those of another and of a trusted proxy are not."""
    limits = ConnectionLimits(per_network=5)
    with serving(limits) as (port, server), ExitStack() as stack:
        held = [stack.enter_context(connect(port, b"GET", "127.0.0.9")) for _ in range(5)]
        wait_until(lambda: len(server.server_state.connections) == len(held), "the connections")
        assert read_to_the_end(connect(port, b"", "127.0.0.9")) == b""
        assert is_answered(port)
        held[0].close()
        wait_until(lambda: len(server.server_state.connections) == len(held) - 1, "one to be closed")
        sixth = stack.enter_context(connect(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "127.0.0.9"))
        assert sixth.recv(12) == b"HTTP/1.1 200"
    with serving(limits, LOOPBACK) as (port, server), ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(connect(port, b"GET"))
        wait_until(lambda: len(server.server_state.connections) == 20, "all connections of a proxy")


def test_a_server_has_a_number_of_connections() -> None:
    """Connections beyond the limit of the server are closed, and the count goes down with them."""
    limits = ConnectionLimits(connections=5)
    with serving(limits, LOOPBACK) as (port, server), ExitStack() as stack:
        held = [stack.enter_context(connect(port, b"GET")) for _ in range(5)]
        wait_until(lambda: len(server.server_state.connections) == len(held), "the connections")
        assert read_to_the_end(connect(port)) == b""
        held[0].close()
        wait_until(lambda: len(server.server_state.connections) == len(held) - 1, "one to be closed")
        assert is_answered(port)
