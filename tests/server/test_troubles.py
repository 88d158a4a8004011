"""Faults around a running server: it continues, reports them, and loses nothing that it acknowledged."""

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from support.running_server import SETTINGS, SITE, start_server
from support.site import Site, wait_until


def test_an_unwritable_journal_is_reported(tmp_path: Path) -> None:
    """Events are refused and `/readyz` names the fault; both recover once the journal can be written."""
    site = Site(tmp_path).init(settings=SETTINGS)
    journals = site.data / "journals"
    with start_server(site) as server:
        assert (
            server.send_event(script_view_token="before-it-broke", url=f"https://{SITE}/before").status == 202
        )
        server.wait_for_rows("SELECT 1 FROM script_views", 1)  # its journal is closed now
        journals.rename(journals.with_name("away"))
        journals.write_text("no folder")
        answer = server.send_event(script_view_token="while-it-is-broken", url=f"https://{SITE}/broken")
        assert (answer.status, answer.json()["code"]) == (503, "unavailable")
        ready = server.request("GET", "/readyz")
        assert (ready.status, ready.json()["ready"]) == (503, False)
        assert "cannot be written" in ready.json()["checks"]["journal"]
        assert server.request("GET", "/healthz").status == 200
        journals.unlink()
        journals.with_name("away").rename(journals)
        assert (
            server.send_event(script_view_token="after-it-broke", url=f"https://{SITE}/after").status == 202
        )
        assert server.request("GET", "/readyz").status == 200
        pages = {row["page_path"] for row in server.wait_for_rows("SELECT page_path FROM script_views", 2)}
        assert pages == {"/before", "/after"}
        assert "Traceback" not in server.command.read_output()


def test_idle_connections_do_not_block_others(tmp_path: Path) -> None:
    """Hundreds of connections that send nothing, or half a request, do not block other clients."""
    with start_server(Site(tmp_path).init(settings=SETTINGS)) as server, ExitStack() as stack:
        for number in range(900):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            if number % 2:
                connection.sendall(b"POST /collect HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert server.send_event().status == 202
        assert server.request("GET", "/readyz").status == 200


def test_invalid_requests_are_answered_and_not_stored(tmp_path: Path) -> None:
    """Invalid bodies, lines and headers of many clients are answered, and nothing of them is stored."""
    with start_server(Site(tmp_path).init(settings=SETTINGS + "[serve]\nevents_per_minute = 0\n")) as server:

        def send(number: int) -> int:
            bodies = (b"\xff" * 100, b"[" * 5_000, b'{"id":1}', b"", b'{"id":"' + b"x" * 9_000)
            return server.request("POST", "/collect", bodies[number % len(bodies)]).status

        with ThreadPoolExecutor(8) as senders:
            assert set(senders.map(send, range(1_000))) == {400}
        for text in (
            b"\x16\x03\x01\x02\x00",
            b"GET\r\n\r\n",
            b"POST /collect HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                connection.sendall(text)
        assert server.send_event().status == 202
        assert len(server.wait_for_rows("SELECT 1 FROM script_views", 1)) == 1


def test_a_clock_set_back_does_not_shorten_a_view(tmp_path: Path) -> None:
    """After the clock is set back, a later event does not shorten the time of a script view."""
    site = Site(tmp_path).init(settings=SETTINGS)
    with start_server(site) as server:
        server.send_event(
            script_view_token="over-the-step", url=f"https://{SITE}/step", visible_ms=2_000, elapsed_ms=2_500
        )
        server.wait_for_rows("SELECT 1 FROM script_views", 1)
        server.stop()
    rewound = "UPDATE script_views SET view_time = view_time + INTERVAL 1 HOUR"  # as if our clock had been an hour ahead
    site.rows(rewound)
    with start_server(site) as server:
        assert (
            server.send_event(
                script_view_token="over-the-step",
                url=f"https://{SITE}/step",
                visible_ms=3_000,
                elapsed_ms=3_500,
            ).status
            == 202
        )
        server.send_event(script_view_token="another-one-after", url=f"https://{SITE}/later")
        wait_until(lambda: len(server.wait_for_rows("SELECT 1 FROM script_views", 2)) == 2, "it is loaded")
        (row,) = server.wait_for_rows("SELECT visible_ms FROM script_views WHERE page_path = '/step'", 1)
        assert row["visible_ms"] == 2_000
