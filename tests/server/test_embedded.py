"""Wrapped applications in real frameworks and servers: requests are collected, and pages get the script."""

import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
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
from avowal.server.embedded import EmbeddedRequest, EmbeddedResponse, RequestCollector
from avowal.wsgi import WsgiMiddleware
from support.applications import PAGE, PARTS
from support.errors import raises_code
from support.running_server import SETTINGS, SITE, Answer, free_port, start_server
from support.site import FIREFOX, Site, wait_until

TAG = '<script src="/avowal.js" defer></script>'
VISITOR = "203.0.113.7"
SECRET = "s3cr3t"  # noqa: S105  # of nobody
APPLICATIONS = ["starlette", "fastapi", "django_asgi", "django_wsgi", "flask", "bare"]
UVICORN = ["-m", "uvicorn", "--factory", "--log-level", "warning", "--host", "127.0.0.1", "--port"]
GUNICORN = ["-m", "gunicorn", "--workers", "2", "--preload", "--log-level", "error", "--bind"]


@dataclass(frozen=True)
class RunningApplication:
    """A running application and its port."""

    port: int
    process: subprocess.Popen[bytes]

    def request(self, path: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request as a proxy does for a visitor with Firefox."""
        all_headers = {"Host": SITE, "User-Agent": FIREFOX, "X-Forwarded-For": VISITOR, **(headers or {})}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, headers=all_headers)
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, headers, answer.read())


@contextmanager
def run_application(name: str, site: Site) -> Iterator[RunningApplication]:
    """Run an application behind uvicorn, or behind gunicorn with two workers forked from the loaded application."""
    (site.folder / "paper.pdf").write_bytes(b"%PDF" * 5_000)
    port = free_port()
    if name in {"starlette", "fastapi", "django_asgi"}:
        arguments = [*UVICORN, str(port), "--no-proxy-headers", f"support.applications:{name}"]
    else:
        arguments = [*GUNICORN, f"127.0.0.1:{port}", f"support.applications:{name}()"]
    environment = {
        **os.environ,
        "SITE_FOLDER": str(site.folder),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]),
    }
    with (site.folder.parent / "output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd="/",
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    app = RunningApplication(port, process)

    def is_answering() -> bool:
        assert process.poll() is None, (site.folder.parent / "output").read_text()
        try:
            return app.request("/nothing").status in {200, 404}
        except OSError:
            return False

    try:
        wait_until(is_answering, f"{name} on port {port}")
        yield app
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "site").mkdir()
    return Site(tmp_path / "site").init(settings=SETTINGS)


def list_requests(site: Site) -> list[tuple[str, int, str]]:
    """Return the stored requests, without those that check whether the application is listening."""
    result = site.avowal(
        "query", "--purpose", "abuse", "--json", "SELECT page_path, status, request_kind FROM requests"
    )
    assert result.status == 0, result.err
    rows = [(row["page_path"], row["status"], row["request_kind"]) for row in result.json()["rows"]]
    return sorted(row for row in rows if row[0] != "/nothing")


@pytest.mark.parametrize("name", APPLICATIONS)
def test_pages_have_the_script_and_requests_are_collected(site: Site, name: str) -> None:
    """Pages get the script, whole or in parts, with true lengths; other responses are not changed."""
    with run_application(name, site) as app:
        page = app.request(f"/page?id={SECRET}")
        assert page.status == 200
        assert page.body.decode() == PAGE.replace("</head>", f"{TAG}</head>")
        assert int(page.headers.get("content-length", len(page.body))) == len(page.body)
        assert app.request("/parts").body.decode() == "".join(PARTS).replace("</head>", f"{TAG}</head>")
        head = app.request("/page", "HEAD")
        assert (head.status, head.body) in {(200, b""), (405, b"")}
        data = app.request("/data")
        assert TAG not in data.body.decode()
        assert app.request("/paper.pdf").body == b"%PDF" * 5_000
        assert app.request("/fails").status == 500
    requests = list_requests(site)
    assert [row for row in requests if row[0] not in {"/page", None}] == [
        ("/data", 200, "other"),
        ("/fails", 500, "other"),
        ("/paper.pdf", 200, "download"),
        ("/parts", 200, "view"),
    ]


def test_a_running_server_loads_the_requests_of_an_application(site: Site) -> None:
    """While both run, the server loads within seconds what two processes of the application write."""
    with start_server(site) as server, run_application("flask", site) as app:
        for number in range(20):
            assert app.request("/page", headers={"X-Forwarded-For": f"203.0.113.{number}"}).status == 200
        server.wait_for_rows("SELECT view_time FROM views", 20)
        app.request("/parts")
        server.wait_for_rows("SELECT view_time FROM views WHERE page_path = '/parts'", 1)


def test_only_what_the_terms_permit_is_written(site: Site) -> None:
    """No query string, credentials or user agent is in any file, nor in the application's output."""
    with run_application("starlette", site) as app:
        app.request(
            f"/page?id={SECRET}",
            headers={"User-Agent": f"{FIREFOX} {SECRET}", "Referer": f"https://{SECRET}@x.y/"},
        )
        wait_until(lambda: list((site.data / "journals").glob("*.parquet")) != [], "a segment")
        files = [path for path in site.folder.parent.rglob("*") if path.is_file()]
        contents = {path.name: path.read_bytes() for path in files}
    for secret in (SECRET, "Gecko"):
        assert [name for name, data in contents.items() if secret.encode() in data] == []


def test_written_requests_survive_a_kill(site: Site) -> None:
    """After the application and its workers are killed, the next command loads their requests."""
    with run_application("django_wsgi", site) as app:
        for _ in range(10):
            app.request("/page")
        wait_until(lambda: len(read_pages(site)) >= 10, "segments of ten requests")
        os.killpg(app.process.pid, signal.SIGKILL)
    assert len(list_requests(site)) == 10


def test_an_application_runs_while_collection_fails(site: Site) -> None:
    """A failure is logged once without request data, and what waits is collected when it is possible again."""
    site.data.write_text("in the way")
    with run_application("fastapi", site) as app:
        assert app.request(f"/page?id={SECRET}").status == 200
        output = site.folder.parent / "output"
        wait_until(lambda: "not collected at the moment" in output.read_text(), "the failure to be logged")
        assert app.request("/parts").status == 200
        assert "Traceback" not in output.read_text()
        assert SECRET not in output.read_text()
        site.data.unlink()
    assert list_requests(site) == [("/page", 200, "view"), ("/parts", 200, "view")]


def test_segments_are_loaded_in_order(site: Site) -> None:
    """A segment is not loaded before the one that precedes it, so nothing is lost."""
    journals = site.data / "journals"
    with run_application("starlette", site) as app:
        for page in ("/page", "/parts"):
            app.request(page)
            wait_until(lambda: read_pages(site)[-1:] == [page], page)  # noqa: B023  # is called at once
    first, *others = sorted(journals.iterdir())
    first.rename(site.folder / first.name)
    assert list_requests(site) == []
    assert sorted(journals.iterdir()) == others
    (site.folder / first.name).rename(first)
    assert list_requests(site) == [("/page", 200, "view"), ("/parts", 200, "view")]
    assert list(journals.iterdir()) == []


def read_pages(site: Site) -> list[str]:
    """Return the pages of the requests in waiting segments, segment by segment."""
    return [
        page
        for path in sorted((site.data / "journals").glob("*.parquet"))
        for page in read_parquet(path)["page_path"].to_list()
        if page != "/nothing"
    ]


Message = dict[str, Any]


def call_application(
    app: Any, scope: Message, *messages: Message, folder: Path | str = "", script: str = "/avowal.js"
) -> list[Message]:
    """Call a wrapped application as a server does; returns the messages that it sends."""
    sent: list[Message] = []
    incoming = iter(messages)

    async def receive() -> Message:
        return next(incoming)

    async def send(message: Message) -> None:
        sent.append(message)

    with tempfile.TemporaryDirectory() as empty_folder:
        used_folder = Path(folder or empty_folder)
        (used_folder / "avowal.toml").touch()
        asyncio.run(AsgiMiddleware(app, used_folder, script)(scope, receive, send))
    return sent


PAGE_START: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/html")],
}
SCOPE: Message = {"type": "http", "method": "GET", "path": "/", "headers": [], "client": None}


def send_messages(*messages: Message) -> Any:
    """Return an application that sends these messages."""

    async def app(_: Message, __: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return app


def body_message(text: bytes, *, has_more: bool = False) -> Message:
    """Return a message with a part of a response body."""
    return {"type": "http.response.body", "body": text, "more_body": has_more}


def test_the_script_is_inserted_once(tmp_path: Path) -> None:
    """The script is inserted before the first end of a head, or else of a body, in any part of the page."""
    sent = call_application(
        send_messages(PAGE_START, body_message(b"<p>", has_more=True), body_message(b"</HEAD ></body>")),
        SCOPE,
        folder=tmp_path,
    )
    assert [part["body"] for part in sent[1:]] == [b"<p>", f"{TAG}</HEAD ></body>".encode()]
    sent = call_application(
        send_messages(PAGE_START, body_message(b"<p></body>", has_more=True), body_message(b"</body>")),
        SCOPE,
        folder=tmp_path,
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
def test_other_responses_are_not_changed(tmp_path: Path, start: Message, method: str) -> None:
    """A response that is no complete HTML page, or that is compressed, is not changed."""
    messages = [{**PAGE_START, **start}, body_message(b"</head>")]
    assert (
        call_application(send_messages(*messages), {**SCOPE, "method": method}, folder=tmp_path) == messages
    )


def test_a_page_in_parts_with_a_length_is_not_changed(tmp_path: Path) -> None:
    """A page in parts is not changed if its length was sent first; in one part, its length is corrected."""
    headers = [(b"content-type", b"text/html"), (b"Content-Length", b"14")]
    messages: list[Message] = [
        {**PAGE_START, "headers": headers},
        body_message(b"<p>....", has_more=True),
        body_message(b"</head>"),
    ]
    assert call_application(send_messages(*messages), SCOPE, folder=tmp_path) == messages
    sent = call_application(
        send_messages(messages[0], body_message(b".......</head>")), SCOPE, folder=tmp_path
    )
    assert dict(sent[0]["headers"])[b"content-length"] == str(14 + len(TAG)).encode()


def test_the_start_is_sent_before_a_file_path(tmp_path: Path) -> None:
    """If the application sends a file by its path, the start of the response is sent before it."""
    messages = [PAGE_START, {"type": "http.response.pathsend", "path": "/x"}]
    assert call_application(send_messages(*messages), SCOPE, folder=tmp_path) == messages


STARTUP, SHUTDOWN = {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}


async def refuse_lifespan(_: Message, __: Any, ___: Any) -> None:
    """Raise an error on a lifespan, as Django does."""
    raise ValueError


async def fail_after_startup(_: Message, receive: Any, __: Any) -> None:
    """Receive a message, then raise an error."""
    await receive()
    raise ValueError


async def ignore_lifespan(_: Message, __: Any, ___: Any) -> None:
    """Return without sending a message."""


@pytest.mark.parametrize("app", [refuse_lifespan, fail_after_startup, ignore_lifespan])
def test_startup_and_shutdown_are_always_completed(tmp_path: Path, app: Any) -> None:
    """Startup and shutdown are completed even if the application does not support the lifespan."""
    sent = call_application(app, {"type": "lifespan"}, STARTUP, SHUTDOWN, folder=tmp_path)
    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


def test_a_failed_startup_is_passed_on(tmp_path: Path) -> None:
    """The message of a failed startup is passed on to the server, and nothing follows it."""
    failed = {"type": "lifespan.startup.failed", "message": "no"}
    assert call_application(send_messages(failed), {"type": "lifespan"}, STARTUP, folder=tmp_path) == [failed]


def test_concurrent_first_requests_are_each_collected_once(tmp_path: Path) -> None:
    """First requests of several threads at the same moment are each collected once."""
    (tmp_path / "site").mkdir()
    site = Site(tmp_path / "site").init(settings=SETTINGS)
    threads, ready = 16, Barrier(16)
    collector = RequestCollector.open(site.folder, "")

    def ask(number: int) -> None:
        request = EmbeddedRequest(VISITOR, "GET", f"/{number}", [("host", SITE), ("user-agent", FIREFOX)])
        ready.wait()
        collector.collect(lambda: request, EmbeddedResponse(time.time(), 200))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(ask, range(threads)))
    collector.close()
    assert sorted(read_pages(site)) == sorted(f"/{number}" for number in range(threads))


def test_an_application_runs_while_the_terms_are_invalid(site: Site) -> None:
    """Requests wait while the terms are invalid, and are collected afterwards."""
    terms = site.folder / "policy" / "terms.toml"
    valid_text = terms.read_text()
    terms.write_text("updated = ")
    with run_application("starlette", site) as app:
        assert app.request("/page").status == 200
        output = site.folder.parent / "output"
        wait_until(
            lambda: "not collected at the moment (TermsError)" in output.read_text(),
            "the failure to be logged",
        )
        terms.write_text(valid_text)
        wait_until(lambda: read_pages(site) == ["/page"], "the page")


def test_websockets_are_passed_through(tmp_path: Path) -> None:
    """A websocket is passed through unchanged."""
    message = {"type": "websocket.close"}
    assert call_application(send_messages(message), {"type": "websocket"}, folder=tmp_path) == [message]


FORGED = "198.51.100.66"


def asgi_address(
    folder: Path, headers: list[tuple[bytes, bytes]], trailers: list[tuple[bytes, bytes]]
) -> str:
    """Return the collected address of a request whose trailers arrive while the application reads its body."""

    async def app(scope: Message, _: Any, send: Any) -> None:
        scope["headers"] += trailers
        scope["client"] = (FORGED, 1)
        await send({**PAGE_START, "headers": []})
        await send(body_message(b""))

    async def send(_: Message) -> None:
        pass

    (folder / "avowal.toml").touch()
    middleware = AsgiMiddleware(app, folder)
    asyncio.run(middleware({**SCOPE, "headers": headers, "client": ("127.0.0.1", 1)}, None, send))
    return collected_address(middleware.collector)


def wsgi_address(folder: Path, headers: list[tuple[bytes, bytes]], _: list[tuple[bytes, bytes]]) -> str:
    """Return the collected address of a request whose application changes what it received."""

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        environ["REMOTE_ADDR"] = environ["HTTP_X_FORWARDED_FOR"] = environ["HTTP_FORWARDED"] = FORGED
        start("200 OK", [])
        return []

    (folder / "avowal.toml").touch()
    middleware = WsgiMiddleware(app, folder)
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "REMOTE_ADDR": "127.0.0.1"}
    for name, value in headers:
        key = f"HTTP_{name.decode().replace('-', '_').upper()}"
        environ[key] = ", ".join(filter(None, [environ.get(key), value.decode()]))
    middleware(environ, lambda *_: None).close()  # type: ignore[attr-defined]
    return collected_address(middleware.collector)


def collected_address(collector: RequestCollector) -> str:
    """Return the address in the only line that waits to be written."""
    (line,) = collector.line_queue.drain()
    address = json.loads(line)["remote_addr"]
    assert isinstance(address, str)
    return address


@pytest.mark.parametrize("read_address", [asgi_address, wsgi_address])
@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "CF-Connecting-IP"])
def test_one_header_names_the_client(
    site: Site, monkeypatch: pytest.MonkeyPatch, read_address: Any, header: str
) -> None:
    """Only the header of the settings counts, as it came with the request; its lines are one list."""
    monkeypatch.setattr(RequestCollector, "_start", lambda _: None)
    (site.folder / "avowal.toml").write_text(f'{SETTINGS}[serve]\nclient_address_header = "{header}"\n')
    before = b"for=" if header == "Forwarded" else b""
    name, others = (
        header.lower().encode(),
        [b"x-forwarded-for", b"forwarded", b"x-real-ip", b"cf-connecting-ip"],
    )
    forged = [(other, FORGED.encode()) for other in others if other != name]
    assert read_address(site.folder, forged, forged) == "127.0.0.1"
    lines = [(name, before + FORGED.encode()), *forged, (name, before + VISITOR.encode())]
    assert read_address(site.folder, lines, [(name, before + FORGED.encode())]) == VISITOR
    assert read_address(site.folder, [*lines, (name, b"unknown")], []) == ""


@pytest.mark.parametrize("middleware", [AsgiMiddleware, WsgiMiddleware])
def test_a_mistyped_folder_is_an_error(tmp_path: Path, middleware: Any) -> None:
    """A folder that does not exist, or has no settings, is refused when the application starts, and nothing is made."""
    site = Site(tmp_path / "site")
    site.folder.mkdir()
    site.init()
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))
    for folder in (tmp_path / "sote", site.folder / "sote", tmp_path / "empty"):
        with raises_code("file-missing"):
            middleware(None, folder)
    assert sorted(tmp_path.rglob("*")) == before
    assert middleware(None, site.folder).collector.folder.data_folder == site.data
