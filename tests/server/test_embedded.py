"""Applications in real frameworks and servers, wrapped: their requests are collected, and their pages have the script."""

import asyncio
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from polars import read_parquet

from avowal.asgi import AsgiMiddleware
from avowal.server.embedded import EmbeddedRequest, RequestCollector
from avowal.server.embedded import EmbeddedResponse as AnswerTold
from support.applications import PAGE, PARTS
from support.served import SETTINGS, SITE, Answer, free_port, served
from support.site import FIREFOX, Site, wait_until

TAG = '<script src="/avowal.js" defer></script>'
VISITOR = "203.0.113.7"
SECRET = "s3cr3t"  # noqa: S105  # of nobody
APPLICATIONS = ["starlette", "fastapi", "django_asgi", "django_wsgi", "flask", "bare"]
UVICORN = ["-m", "uvicorn", "--factory", "--log-level", "warning", "--host", "127.0.0.1", "--port"]
GUNICORN = ["-m", "gunicorn", "--workers", "2", "--preload", "--log-level", "error", "--bind"]


@dataclass(frozen=True)
class Running:
    """An application that runs."""

    port: int
    process: subprocess.Popen[bytes]

    def ask(self, path: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Answer:
        """Ask it, as a proxy does for a visitor with Firefox."""
        told = {"Host": SITE, "User-Agent": FIREFOX, "X-Forwarded-For": VISITOR, **(headers or {})}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, headers=told)
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, headers, answer.read())


@contextmanager
def running(name: str, site: Site) -> Iterator[Running]:
    """Run an application behind uvicorn or gunicorn, with two workers that are forked from what loaded it."""
    (site.folder / "paper.pdf").write_bytes(b"%PDF" * 5_000)
    port = free_port()
    if name in {"starlette", "fastapi", "django_asgi"}:
        words = [*UVICORN, str(port), "--no-proxy-headers", f"support.applications:{name}"]
    else:
        words = [*GUNICORN, f"127.0.0.1:{port}", f"support.applications:{name}()"]
    environment = {
        **os.environ,
        "SITE_FOLDER": str(site.folder),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]),
    }
    with (site.folder.parent / "said").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd="/",
            env=environment,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    app = Running(port, process)

    def listens() -> bool:
        assert process.poll() is None, (site.folder.parent / "said").read_text()
        try:
            return app.ask("/nothing").status in {200, 404}
        except OSError:
            return False

    try:
        wait_until(listens, f"{name} on port {port}")
        yield app
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "site").mkdir()
    return Site(tmp_path / "site").init(settings=SETTINGS)


def requests(site: Site) -> list[tuple[str, int, str]]:
    """Return what is stored of requests, without those that were made to see whether the application listens."""
    ran = site.avowal(
        "query", "--purpose", "abuse", "--json", "SELECT page_path, status, request_kind FROM requests"
    )
    assert ran.status == 0, ran.err
    rows = [(row["page_path"], row["status"], row["request_kind"]) for row in ran.json()["rows"]]
    return sorted(row for row in rows if row[0] != "/nothing")


@pytest.mark.parametrize("name", APPLICATIONS)
def test_pages_have_the_script_and_requests_are_collected(site: Site, name: str) -> None:
    """Whole pages and those that come in parts; nothing else is changed, and the lengths are true."""
    with running(name, site) as app:
        page = app.ask(f"/page?id={SECRET}")
        assert page.status == 200
        assert page.body.decode() == PAGE.replace("</head>", f"{TAG}</head>")
        assert int(page.headers.get("content-length", len(page.body))) == len(page.body)
        assert app.ask("/parts").body.decode() == "".join(PARTS).replace("</head>", f"{TAG}</head>")
        head = app.ask("/page", "HEAD")
        assert (head.status, head.body) in {(200, b""), (405, b"")}
        data = app.ask("/data")
        assert TAG not in data.body.decode()
        assert app.ask("/paper.pdf").body == b"%PDF" * 5_000
        assert app.ask("/fails").status == 500
    found = requests(site)
    assert [row for row in found if row[0] not in {"/page", None}] == [
        ("/data", 200, "view"),
        ("/fails", 500, "other"),
        ("/paper.pdf", 200, "download"),
        ("/parts", 200, "view"),
    ]


def test_beside_a_server_they_are_there_in_seconds(site: Site) -> None:
    """Two processes of the application, and the server, which loads what they write while all of them run."""
    with served(site) as server, running("flask", site) as app:
        for number in range(20):
            assert app.ask("/page", headers={"X-Forwarded-For": f"203.0.113.{number}"}).status == 200
        server.kept("SELECT view_time FROM views", 20)
        app.ask("/parts")
        server.kept("SELECT view_time FROM views WHERE page_path = '/parts'", 1)


def test_only_what_the_terms_let_in_is_written(site: Site) -> None:
    """No query, user of a referrer or user agent is in a file, nor in what the application says."""
    with running("starlette", site) as app:
        app.ask(
            f"/page?id={SECRET}",
            headers={"User-Agent": f"{FIREFOX} {SECRET}", "Referer": f"https://{SECRET}@x.y/"},
        )
        wait_until(lambda: list((site.data / "journals").glob("*.parquet")) != [], "a segment")
        files = [path for path in site.folder.parent.rglob("*") if path.is_file()]
        written = {path.name: path.read_bytes() for path in files}
    for told in (SECRET, "Gecko"):
        assert [name for name, data in written.items() if told.encode() in data] == []


def test_what_was_written_survives_a_kill(site: Site) -> None:
    """Of the application and all its workers; the next command that opens the folder has it."""
    with running("django_wsgi", site) as app:
        for _ in range(10):
            app.ask("/page")
        wait_until(lambda: len(read_pages(site)) >= 10, "segments of ten requests")
        os.killpg(app.process.pid, signal.SIGKILL)
    assert len(requests(site)) == 10


def test_where_collecting_fails_the_application_goes_on(site: Site) -> None:
    """It says why, without what was to be collected; and collects it when it can again."""
    site.data.write_text("in the way")
    with running("fastapi", site) as app:
        assert app.ask(f"/page?id={SECRET}").status == 200
        said = site.folder.parent / "said"
        wait_until(lambda: "not collected at the moment" in said.read_text(), "a word of it")
        assert app.ask("/parts").status == 200
        assert "Traceback" not in said.read_text()
        assert SECRET not in said.read_text()
        site.data.unlink()
    assert requests(site) == [("/page", 200, "view"), ("/parts", 200, "view")]


def test_a_segment_waits_for_the_one_before(site: Site) -> None:
    """Where it is seen first, nothing of it is lost."""
    journals = site.data / "journals"
    with running("starlette", site) as app:
        for page in ("/page", "/parts"):
            app.ask(page)
            wait_until(lambda: read_pages(site)[-1:] == [page], page)  # noqa: B023  # is called at once
    first, *others = sorted(journals.iterdir())
    first.rename(site.folder / first.name)
    assert requests(site) == []
    assert sorted(journals.iterdir()) == others
    (site.folder / first.name).rename(first)
    assert requests(site) == [("/page", 200, "view"), ("/parts", 200, "view")]
    assert list(journals.iterdir()) == []


def read_pages(site: Site) -> list[str]:
    """Return the pages of the requests that wait in segments, one segment after the other."""
    return [
        page
        for path in sorted((site.data / "journals").glob("*.parquet"))
        for page in read_parquet(path)["page_path"].to_list()
        if page != "/nothing"
    ]


Message = dict[str, Any]


def asked(
    app: Any, scope: Message, *heard: Message, into: Path | str = "", script: str = "/avowal.js"
) -> list[Message]:
    """Call a wrapped application as a server does; returns what it sends."""
    sent: list[Message] = []
    hearing = iter(heard)

    async def receive() -> Message:
        return next(hearing)

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(AsgiMiddleware(app, into or None, script)(scope, receive, send))
    return sent


PAGE_START: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/html")],
}
ASKED: Message = {"type": "http", "method": "GET", "path": "/", "headers": [], "client": None}


def answering(*messages: Message) -> Any:
    """Return an application that sends just these."""

    async def app(_: Message, __: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return app


def body(text: bytes, *, more: bool = False) -> Message:
    """Return a part of an answer."""
    return {"type": "http.response.body", "body": text, "more_body": more}


def test_the_script_is_put_in_once(tmp_path: Path) -> None:
    """At the first end of a head, or else of a body; in whatever part of the page that is."""
    sent = asked(
        answering(PAGE_START, body(b"<p>", more=True), body(b"</HEAD ></body>")), ASKED, into=tmp_path
    )
    assert [part["body"] for part in sent[1:]] == [b"<p>", f"{TAG}</HEAD ></body>".encode()]
    sent = asked(
        answering(PAGE_START, body(b"<p></body>", more=True), body(b"</body>")), ASKED, into=tmp_path
    )
    assert [part["body"] for part in sent[1:]] == [f"<p>{TAG}</body>".encode(), b"</body>"]


@pytest.mark.parametrize(
    ("start", "method"),
    [
        ({"status": 404}, "GET"),
        ({"status": 206}, "GET"),
        ({}, "HEAD"),
        ({"headers": [(b"content-type", b"text/html"), (b"content-encoding", b"gzip")]}, "GET"),
        ({"headers": [(b"content-type", b"text/plain")]}, "GET"),
        ({"headers": []}, "GET"),
    ],
)
def test_other_answers_are_left_as_they_are(tmp_path: Path, start: Message, method: str) -> None:
    """What is no whole page of text, and what nobody could change without breaking it."""
    messages = [{**PAGE_START, **start}, body(b"</head>")]
    assert asked(answering(*messages), {**ASKED, "method": method}, into=tmp_path) == messages


def test_a_page_in_parts_with_a_length_is_left_as_it_is(tmp_path: Path) -> None:
    """Its length was told before anybody knew where its head ends."""
    headers = [(b"content-type", b"text/html"), (b"Content-Length", b"14")]
    messages: list[Message] = [
        {**PAGE_START, "headers": headers},
        body(b"<p>....", more=True),
        body(b"</head>"),
    ]
    assert asked(answering(*messages), ASKED, into=tmp_path) == messages
    sent = asked(answering(messages[0], body(b".......</head>")), ASKED, into=tmp_path)
    assert dict(sent[0]["headers"])[b"content-length"] == str(14 + len(TAG)).encode()


def test_a_file_that_the_server_sends_keeps_its_beginning(tmp_path: Path) -> None:
    """Where the application hands over a path, the beginning that was held back goes before it."""
    messages = [PAGE_START, {"type": "http.response.pathsend", "path": "/x"}]
    assert asked(answering(*messages), ASKED, into=tmp_path) == messages


STARTUP, SHUTDOWN = {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}


async def deaf(_: Message, __: Any, ___: Any) -> None:
    """Care for no lifespan, as Django does."""
    raise ValueError


async def half_deaf(_: Message, receive: Any, __: Any) -> None:
    """Look at what is asked before."""
    await receive()
    raise ValueError


async def silent(_: Message, __: Any, ___: Any) -> None:
    """Return without a word."""


@pytest.mark.parametrize("app", [deaf, half_deaf, silent])
def test_a_server_is_told_of_the_beginning_and_end(tmp_path: Path, app: Any) -> None:
    """So that what waits is written before the process ends, whether the application cares or not."""
    sent = asked(app, {"type": "lifespan"}, STARTUP, SHUTDOWN, into=tmp_path)
    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


def test_an_application_that_cannot_begin_says_so(tmp_path: Path) -> None:
    """Its word goes to the server, and nothing is asked any more."""
    failed = {"type": "lifespan.startup.failed", "message": "no"}
    assert asked(answering(failed), {"type": "lifespan"}, STARTUP, into=tmp_path) == [failed]


def test_threads_of_one_process_begin_together(tmp_path: Path) -> None:
    """However many requests come first at the same moment, each is collected once."""
    (tmp_path / "site").mkdir()
    site = Site(tmp_path / "site").init(settings=SETTINGS)
    threads, ready = 16, Barrier(16)
    collector = RequestCollector.open(site.folder, "")

    def ask(number: int) -> None:
        told = EmbeddedRequest(VISITOR, "GET", f"/{number}", {"host": SITE, "user-agent": FIREFOX})
        ready.wait()
        collector.collect(lambda: told, AnswerTold(time.time(), 200))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(ask, range(threads)))
    collector.close()
    assert sorted(read_pages(site)) == sorted(f"/{number}" for number in range(threads))


def test_where_the_terms_do_not_check_the_application_goes_on(site: Site) -> None:
    """As long as that is so, what comes in waits."""
    terms = site.folder / "policy" / "terms.toml"
    right = terms.read_text()
    terms.write_text("updated = ")
    with running("starlette", site) as app:
        assert app.ask("/page").status == 200
        said = site.folder.parent / "said"
        wait_until(lambda: "not collected at the moment (TermsError)" in said.read_text(), "a word of it")
        terms.write_text(right)
        wait_until(lambda: read_pages(site) == ["/page"], "the page")


def test_other_connections_pass(tmp_path: Path) -> None:
    """A websocket is none of ours."""
    message = {"type": "websocket.close"}
    assert asked(answering(message), {"type": "websocket"}, into=tmp_path) == [message]
