"""What goes wrong around a server: it goes on, says so, and loses nothing that it acknowledged."""

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from support.served import SETTINGS, SITE, served
from support.site import Site, wait_until


def test_a_journal_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Whoever sends is told to come again, `/readyz` says why, and all is well once it can be written."""
    site = Site(tmp_path).init(settings=SETTINGS)
    journals = site.data / "journals"
    with served(site) as it:
        assert it.tell(script_view_token="before-it-broke", url=f"https://{SITE}/before").status == 202
        it.kept("SELECT 1 FROM script_views", 1)  # its journal is closed now
        journals.rename(journals.with_name("away"))
        journals.write_text("no folder")
        answer = it.tell(script_view_token="while-it-is-broken", url=f"https://{SITE}/broken")
        assert (answer.status, answer.json()["code"]) == (503, "unavailable")
        ready = it.ask("GET", "/readyz")
        assert (ready.status, ready.json()["ready"]) == (503, False)
        assert "cannot be written" in ready.json()["checks"]["journal"]
        assert it.ask("GET", "/healthz").status == 200
        journals.unlink()
        journals.with_name("away").rename(journals)
        assert it.tell(script_view_token="after-it-broke", url=f"https://{SITE}/after").status == 202
        assert it.ask("GET", "/readyz").status == 200
        pages = {row["page_path"] for row in it.kept("SELECT page_path FROM script_views", 2)}
        assert pages == {"/before", "/after"}
        assert "Traceback" not in it.started.said()


def test_connections_that_say_nothing_are_in_nobodys_way(tmp_path: Path) -> None:
    """Nor are those that stop in the middle of a word."""
    with served(Site(tmp_path).init(settings=SETTINGS)) as it, ExitStack() as stack:
        for number in range(900):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", it.port)))
            if number % 2:
                connection.sendall(b"POST /collect HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert it.tell().status == 202
        assert it.ask("GET", "/readyz").status == 200


def test_rubbish_is_answered_and_changes_nothing(tmp_path: Path) -> None:
    """Bodies, lines and headers that are none, from many at once; each gets its answer."""
    with served(Site(tmp_path).init(settings=SETTINGS + "[serve]\nevents_per_minute = 0\n")) as it:

        def send(number: int) -> int:
            bodies = (b"\xff" * 100, b"[" * 5_000, b'{"id":1}', b"", b'{"id":"' + b"x" * 9_000)
            return it.ask("POST", "/collect", bodies[number % len(bodies)]).status

        with ThreadPoolExecutor(8) as senders:
            assert set(senders.map(send, range(1_000))) == {400}
        for text in (
            b"\x16\x03\x01\x02\x00",
            b"GET\r\n\r\n",
            b"POST /collect HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", it.port)) as connection:
                connection.sendall(text)
        assert it.tell().status == 202
        assert len(it.kept("SELECT 1 FROM script_views", 1)) == 1


def test_a_clock_that_is_set_back_loses_nothing(tmp_path: Path) -> None:
    """What is told of a look after that does not shorten it."""
    site = Site(tmp_path).init(settings=SETTINGS)
    with served(site) as it:
        it.tell(
            script_view_token="over-the-step", url=f"https://{SITE}/step", visible_ms=2_000, elapsed_ms=2_500
        )
        it.kept("SELECT 1 FROM script_views", 1)
        it.stop()
    rewound = "UPDATE script_views SET view_time = view_time + INTERVAL 1 HOUR"  # as if our clock had been an hour ahead
    site.rows(rewound)
    with served(site) as it:
        assert (
            it.tell(
                script_view_token="over-the-step",
                url=f"https://{SITE}/step",
                visible_ms=3_000,
                elapsed_ms=3_500,
            ).status
            == 202
        )
        it.tell(script_view_token="another-one-after", url=f"https://{SITE}/later")
        wait_until(lambda: len(it.kept("SELECT 1 FROM script_views", 2)) == 2, "it is loaded")
        (row,) = it.kept("SELECT visible_ms FROM script_views WHERE page_path = '/step'", 1)
        assert row["visible_ms"] == 2_000
