"""Probes of real servers that are up, slow or down."""

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
from support.running_server import free_port

PROBER = Prober(interval_seconds=60, slow_threshold_ms=300, timeout_seconds=1)
OK_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthere"
Responder = Callable[[socket.socket], None]


@contextmanager
def run_server(responder: Responder, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Answer each connection at a port of the loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    plain, _ = listening.accept()
                    with tls.wrap_socket(plain, server_side=True) if tls else plain as connection:
                        connection.recv(65_536)
                        responder(connection)
                except ssl.SSLError:
                    continue
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]


def respond_with(*parts: bytes, pause: float = 0.0) -> Responder:
    """Return a responder that sends some bytes, each after a pause."""

    def answer(connection: socket.socket) -> None:
        for part in parts:
            time.sleep(pause)
            connection.sendall(part)

    return answer


def probe_page(port: int, scheme: str = "http") -> ProbeResult:
    return PROBER.probe(f"{scheme}://127.0.0.1:{port}/page?x=1", utc_now())


@pytest.mark.parametrize(
    ("responder", "state", "reason", "status"),
    [
        (respond_with(OK_RESPONSE), ProbeState.UP, None, 200),
        (respond_with(b"HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"), ProbeState.UP, None, 301),
        (respond_with(OK_RESPONSE, pause=0.4), ProbeState.SLOW, None, 200),
        (respond_with(OK_RESPONSE.replace(b"200", b"404")), ProbeState.DOWN, FailureReason.STATUS, 404),
        (respond_with(OK_RESPONSE.replace(b"200", b"503")), ProbeState.DOWN, FailureReason.STATUS, 503),
        (respond_with(b"SSH-2.0-x\r\n"), ProbeState.DOWN, FailureReason.NO_ANSWER, None),
        (respond_with(), ProbeState.DOWN, FailureReason.NO_CONNECTION, None),
        (respond_with(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n", *[b"."] * 20, pause=0.3), ProbeState.DOWN, FailureReason.TIMEOUT, None),
        (respond_with(OK_RESPONSE, pause=3), ProbeState.DOWN, FailureReason.TIMEOUT, None),
    ],
)  # fmt: skip
def test_the_state_of_a_page_is_probed(
    responder: Responder, state: ProbeState, reason: FailureReason | None, status: int | None
) -> None:
    """A page is up, slow or down for a reason; a page that is sent too slowly times out."""
    with run_server(responder) as port:
        result = probe_page(port)
    assert (result.state, result.failure_reason, result.status) == (state, reason, status)
    assert result.host == "127.0.0.1"
    assert (result.response_ms is None) == (status is None)
    assert result.certificate_days is None


def test_a_server_that_does_not_answer_is_down() -> None:
    """A closed port and a name without an address have different reasons."""
    assert probe_page(free_port()).failure_reason is FailureReason.NO_CONNECTION
    assert PROBER.probe("http://nowhere.invalid/", utc_now()).failure_reason is FailureReason.NO_ADDRESS


def test_the_certificate_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The days until it expires are reported; a site with an expired or untrusted certificate is down."""
    with run_server(respond_with(OK_RESPONSE), tls_context(tmp_path, 20)) as port:
        assert probe_page(port, "https").failure_reason is FailureReason.CERTIFICATE
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        result = probe_page(port, "https")
        assert (result.state, result.certificate_days) == (ProbeState.UP, 20)
    with run_server(respond_with(OK_RESPONSE), tls_context(tmp_path, -2)) as port:
        assert probe_page(port, "https").failure_reason is FailureReason.CERTIFICATE
    with run_server(respond_with(OK_RESPONSE)) as port:
        assert probe_page(port, "https").failure_reason is FailureReason.NO_CONNECTION


def test_a_probe_is_a_request_of_a_bot() -> None:
    """The site's own log counts a probe as a request of a bot, and not as a view."""
    assert parse_user_agent(PROBE_USER_AGENT)[-1] == "AvowalBot"


def test_a_probe_requests_the_page_with_its_query() -> None:
    """The user agent of the request names Avowal."""
    requests: list[bytes] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                requests.append(connection.recv(65_536))
                connection.sendall(OK_RESPONSE)

        thread = threading.Thread(target=serve)
        thread.start()
        probe_page(listening.getsockname()[1])
        thread.join()
    assert requests[0].startswith(b"GET /page?x=1 HTTP/1.1\r\n")
    assert b"AvowalBot" in requests[0]
