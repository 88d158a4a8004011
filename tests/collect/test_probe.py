"""Probes of real servers: up, slow, and down in every way."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from avowal.clock import utc_now
from avowal.collect.device import parse_user_agent
from avowal.collect.probe import PROBE_USER_AGENT, FailureReason, Prober, ProbeResult, ProbeState
from support.certificates import tls_context
from support.served import free_port

PROBER = Prober(interval_seconds=60, slow_threshold_ms=300, timeout_seconds=1)
WELL = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthere"
Answering = Callable[[socket.socket], None]


@contextmanager
def serving(answering: Answering, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Answer each connection of a port of the loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    plain, _ = listening.accept()
                    with tls.wrap_socket(plain, server_side=True) if tls else plain as connection:
                        connection.recv(65_536)
                        answering(connection)
                except ssl.SSLError:
                    continue
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]


def says(*parts: bytes, pause: float = 0.0) -> Answering:
    """Return what answers with some bytes, and waits before each."""

    def answer(connection: socket.socket) -> None:
        for part in parts:
            time.sleep(pause)
            connection.sendall(part)

    return answer


def probed(port: int, scheme: str = "http") -> ProbeResult:
    return PROBER.probe(f"{scheme}://127.0.0.1:{port}/page?x=1", utc_now())


@pytest.mark.parametrize(
    ("answering", "state", "why", "status"),
    [
        (says(WELL), ProbeState.UP, None, 200),
        (says(b"HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"), ProbeState.UP, None, 301),
        (says(WELL, pause=0.4), ProbeState.SLOW, None, 200),
        (says(WELL.replace(b"200", b"404")), ProbeState.DOWN, FailureReason.STATUS, 404),
        (says(WELL.replace(b"200", b"503")), ProbeState.DOWN, FailureReason.STATUS, 503),
        (says(b"SSH-2.0-x\r\n"), ProbeState.DOWN, FailureReason.NO_ANSWER, None),
        (says(), ProbeState.DOWN, FailureReason.NO_CONNECTION, None),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n", *[b"."] * 20, pause=0.3), ProbeState.DOWN, FailureReason.TIMEOUT, None),
        (says(WELL, pause=3), ProbeState.DOWN, FailureReason.TIMEOUT, None),
    ],
)  # fmt: skip
def test_a_page_is_found(
    answering: Answering, state: ProbeState, why: FailureReason | None, status: int | None
) -> None:
    """Up, slow or down, and why; a page that comes drop by drop ends with the time too."""
    with serving(answering) as port:
        found = probed(port)
    assert (found.state, found.failure_reason, found.status) == (state, why, status)
    assert found.host == "127.0.0.1"
    assert (found.response_ms is None) == (status is None)
    assert found.certificate_days is None


def test_nobody_there() -> None:
    """No name, no listener."""
    assert probed(free_port()).failure_reason is FailureReason.NO_CONNECTION
    assert PROBER.probe("http://nowhere.invalid/", utc_now()).failure_reason is FailureReason.NO_ADDRESS


def test_a_certificate_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How long it is valid yet; one that is not, or that nobody vouches for, is down."""
    with serving(says(WELL), tls_context(tmp_path, 20)) as port:
        assert probed(port, "https").failure_reason is FailureReason.CERTIFICATE
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        found = probed(port, "https")
        assert (found.state, found.certificate_days) == (ProbeState.UP, 20)
    with serving(says(WELL), tls_context(tmp_path, -2)) as port:
        assert probed(port, "https").failure_reason is FailureReason.CERTIFICATE
    with serving(says(WELL)) as port:
        assert probed(port, "https").failure_reason is FailureReason.NO_CONNECTION


def test_a_probe_is_a_request_of_a_bot() -> None:
    """So that in the site's own log it counts as nobody's view."""
    assert parse_user_agent(PROBE_USER_AGENT)[-1] == "AvowalBot"


def test_what_is_asked() -> None:
    """The page with its query, by a name that says who asks."""
    heard: list[bytes] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                heard.append(connection.recv(65_536))
                connection.sendall(WELL)

        thread = threading.Thread(target=serve)
        thread.start()
        probed(listening.getsockname()[1])
        thread.join()
    assert heard[0].startswith(b"GET /page?x=1 HTTP/1.1\r\n")
    assert b"AvowalBot" in heard[0]
