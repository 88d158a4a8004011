"""A running server, and requests to it."""

import http.client
import json
import re
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from support.site import FIREFOX, RunningCommand, Site, wait_until

SITE = "site.example"
SETTINGS = f'[site]\nhost = "{SITE}"\n'
SCRIPT_VIEW_TOKEN = "abcdefghij0123456789"  # noqa: S105  # it identifies a script view of the tests
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}
ANN, BEN, NEW = "annannannannannannanna", "benbenbenbenbenbenbenb", "newnewnewnewnewnewnewn"
"""The identifiers of visitors in the site's cookie."""

TODAY = datetime.now(UTC).replace(tzinfo=None)


def site_in_three_languages(folder: Site, *changes: tuple[str, str], **permalinks: str) -> Site:
    """Make a site in three languages whose policy was adopted 60 days ago; `places` are permalinks by language."""
    site = folder.init(
        ("updated = 2026-11-22", f"updated = {(TODAY - timedelta(60)).date()}"),
        ('languages = ["en"]', 'languages = ["en", "pt-BR", "zh-TW"]'),
        *changes,
        settings=SETTINGS,
    )
    english = next((site.folder / "policy").glob("*.md"))
    for tag in ("pt-BR", "zh-TW"):
        text = english.read_text().replace("lang: en", f"lang: {tag}")
        if tag in permalinks:
            text = text.replace("permalink: /privacy/", f"permalink: {permalinks[tag]}\nshare: false")
        english.with_name(f"privacy-policy.{tag}.md").write_text(text)
    assert site.avowal("policy", "adopt").status == 0
    return site


def publish_version(site: Site, days: int, age: int = 6) -> None:
    """Publish a version that takes effect after some days, and keeps full addresses for `age` days."""
    terms = site.folder / "policy" / "terms.toml"
    text = re.sub(r'full = "\d days", prefix', f'full = "{age} days", prefix', terms.read_text())
    terms.write_text(re.sub(r"(?m)^updated = \S+", f"updated = {(TODAY + timedelta(days)).date()}", text))
    result = site.avowal("policy", "publish", "--accept-weaker")
    assert result.status == 0, result.err


def free_port() -> int:
    """Return a port of the loopback that no process listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def cookie_headers(identifier: str, **other_headers: str) -> dict[str, str]:
    """Return the headers of a visitor with this cookie identifier."""
    return {"Cookie": f"other=1; __Host-avowal={identifier}", **other_headers}


def browser_cookie(identifier: str) -> Any:
    """Return a visitor's cookie for a browser."""
    return {"name": "__Host-avowal", "value": identifier, "domain": "127.0.0.1", "path": "/", "secure": True}


@dataclass(frozen=True)
class Answer:
    """A response of the server."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body, decoded from JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class RunningServer:
    """A server at a port of the loopback."""

    site: Site
    port: int
    command: RunningCommand

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request; by default the visitor uses Firefox and comes through a proxy."""
        all_headers = {"User-Agent": FIREFOX, "X-Forwarded-For": "203.0.113.7", **(headers or {})}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, body, all_headers)
            answer = connection.getresponse()
            response_headers = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, response_headers, answer.read())

    def send_event(self, headers: Mapping[str, str] | None = None, **values: Any) -> Answer:
        """Send an event of a script view of the site's page."""
        event = {
            "script_view_token": SCRIPT_VIEW_TOKEN,
            "url": f"https://{SITE}/a",
            "elapsed_ms": 0,
            "visible_ms": 0,
            **values,
        }
        return self.request("POST", "/collect", json.dumps(event).encode(), headers)

    def wait_for_rows(self, sql: str, row_count: int) -> list[dict[str, Any]]:
        """Query through the command line until there are as many rows; returns them."""
        rows: list[dict[str, Any]] = []

        def has_row_count() -> bool:
            result = self.site.avowal("query", "--purpose", "abuse", "--json", sql)
            assert result.status == 0, result.err
            rows[:] = result.json()["rows"]
            return len(rows) == row_count

        try:
            wait_until(has_row_count, f"{row_count} rows of {sql}")
        except AssertionError as error:
            error.add_note(f"the last rows were {rows}")
            raise
        return rows

    def send_views_of_two_visitors(self) -> None:
        """Send script views of `/of-ann` and `/too` by ANN, and of `/of-ben` by BEN, and wait until they are loaded."""
        for number, (visitor, path) in enumerate(((ANN, "/of-ann"), (ANN, "/too"), (BEN, "/of-ben"))):
            token, url = f"{number}bcdefghij0123456789", f"https://{SITE}{path}"
            assert self.send_event(cookie_headers(visitor), script_view_token=token, url=url).status == 202
        self.wait_for_rows("SELECT page_path FROM views", 3)

    def stop(self) -> None:
        """End the server with SIGTERM, and assert that it ends with status 0."""
        assert self.command.end(signal.SIGTERM) == 0


def is_answering(server: RunningServer) -> bool:
    """Return whether a started server answers; it must not have ended."""
    assert server.command.process.poll() is None, server.command.read_output()
    try:
        return server.request("GET", "/healthz").status == 200
    except OSError:
        return False


@contextmanager
def start_server(site: Site, *options: str) -> Iterator[RunningServer]:
    """Run a server for a site until the block ends."""
    port = free_port()
    with site.start("serve", "--port", str(port), *options) as command:
        command.wait_for("serving")
        server = RunningServer(site, port, command)
        wait_until(lambda: is_answering(server), "the server answers")
        yield server
