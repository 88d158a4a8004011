"""Who may do what at each address: all routes as each kind of caller, against the table in the docs."""

import base64
import http.client
import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlencode

import pytest

from avowal.server.application import Endpoints, list_routes
from support.disclosures import COURT_REQUEST
from support.processors import CONTRACT, add_processor
from support.running_server import (
    SITE,
    Answer,
    RunningServer,
    publish_version,
    site_in_three_languages,
    start_server,
)
from support.site import CHROME, FIREFOX, Site, line, wait_until

ROOT = Path(__file__).parents[2]
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
PASSWORD = "correct horse battery staple"  # noqa: S105  # of readers that are made for tests
READERS = {
    "reader without the purpose": "ann",
    "reader with the purpose": "ben",
    "reader who may disclose": "cyd",
    "requester": "dan",
}
"""The reader of each kind of caller. `eve` approves what others request."""

RECENT = (datetime.now(UTC).replace(tzinfo=None) - timedelta(days=2)).replace(hour=12, minute=0)
FIRST_COOKIE = '[[cookie]]\nname = "__Host-avowal"'
FORM = """
[[collect]]
categories = ["submission", "outbound-link"]
keep = { full = "30 days" }
for = ["requested-service"]

[[form]]
name = "contact"
fields = { text = "message" }
required = ["text"]
for = ["requested-service"]

"""
PARAMETERS = {
    "{choice}": "refuse",
    "{form}": "contact",
    "{version}": "2",
    "{number}": "1",
    "{first}": "1",
    "{second}": "2",
    "{name}": "tile/entries/000.p/1",
    "{entry}": "0",
}


def read_table() -> dict[str, dict[str, int]]:
    """Return the status by kind of caller, by request, from the table in the docs."""
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8").partition("\n### Rights\n")[2]
    rows = re.findall(r"^\| (.+) \|$", re.split(r"\n#+ ", text)[0], re.MULTILINE)
    callers = rows[0].split(" | ")[1:]
    cells = [row.split(" | ") for row in rows[2:]]
    return {
        request.strip("`"): dict(zip(callers, map(int, statuses), strict=True))
        for request, *statuses in cells
    }


RIGHTS = read_table()


@dataclass
class Caller:
    """A kind of caller, and what it proves itself by."""

    kind: str
    server: RunningServer
    cookie: str = ""
    tokens: str = "notstored-notstored"
    authorization: str = ""
    references: dict[tuple[str, str], str] = field(default_factory=dict)
    """The requests for releases that were made for a caller who may change them, or for all others, and a step."""

    def request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        """Send a request; each comes from another network, as rights do not depend on rate limits."""
        number = next(ADDRESS_NUMBERS)
        all_headers = {
            "User-Agent": FIREFOX,
            "Sec-Fetch-Site": "same-origin",
            "Host": SITE,
            **(headers or {}),
        }
        if self.kind != "this machine":
            all_headers["X-Forwarded-For"] = f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::1"
        if self.cookie:
            all_headers["Cookie"] = self.cookie
        if self.authorization:
            all_headers["Authorization"] = self.authorization
        with closing(http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)) as connection:
            connection.request(method, path, body, all_headers)
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, names, answer.read())


ADDRESS_NUMBERS = count()


def basic(name: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{PASSWORD} {name}".encode()).decode()


JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    site = site_in_three_languages(
        Site(tmp_path_factory.mktemp("site")), (FIRST_COOKIE, f"{FORM}{FIRST_COOKIE}")
    )
    publish_version(site, 45, age=9)
    site.import_logs(site.log("a.log", line(0, "/a", start=RECENT, address="203.0.113.77", agent=CHROME)))
    readers = {"ann": "abuse", "ben": "content", "cyd": "abuse", "dan": "abuse", "eve": "abuse"}
    for name, purposes in readers.items():
        more = ["--disclose"] if name in "cyd dan eve" else []
        assert site.avowal("user", "add", name, "--purposes", purposes, *more).status == 0
        password = f"{PASSWORD} {name}\n".encode()
        assert site.avowal("user", "password", name, "--stdin", stdin=password).status == 0
    add_processor(site, CONTRACT)
    with start_server(site) as running_server:
        yield running_server


@pytest.fixture(scope="module")
def callers(server: RunningServer) -> dict[str, Caller]:
    """Return each kind of caller of the table."""
    references = dict[tuple[str, str], str]()
    made = {kind: Caller(kind, server, references=references) for kind in next(iter(RIGHTS.values()))}
    for kind, name in READERS.items():
        body = urlencode({"name": name, "password": f"{PASSWORD} {name}"}).encode()
        made[kind].cookie = (
            made[kind].request("POST", "/sign-in", body).headers["set-cookie"].partition(";")[0]
        )
        made[kind].authorization = basic(name)
    key = server.site.avowal("processor", "key", "guard")
    made["processor"].authorization = f"Bearer {key.out.split()[0]}"
    visitor = made["visitor"]
    visitor.cookie, visitor.tokens = "__Host-avowal=" + "v" * 22, "visitortoken-1"
    event = {"script_view_token": visitor.tokens, "url": f"https://{SITE}/a", "elapsed_ms": 0}
    assert visitor.request("POST", "/collect", json.dumps(event).encode()).status == 202
    wait_until(
        lambda: visitor.request("GET", "/privacy/me/export").body.count(b"\n") > 1, "the view is stored"
    )
    return made


def request_release(server: RunningServer, *, approved: bool) -> str:
    """Request a release as the requester; returns its reference."""
    requester = Caller("", server, authorization=basic("dan"))
    answer = requester.request("POST", "/releases", json.dumps(COURT_REQUEST).encode(), JSON)
    reference: str = answer.json()["reference"]
    if approved:
        approver = Caller("", server, authorization=basic("eve"))
        path = f"/releases/{reference}/approval"
        assert approver.request("POST", path, b"{}", JSON).status == 200
    return reference


def call(caller: Caller, request: str) -> Answer:
    """Send the request of a row as a caller."""
    method, path = request.split(" ")
    name = READERS.get(caller.kind, "nobody")
    event = {"script_view_token": f"token-{next(ADDRESS_NUMBERS):010}", "url": f"https://{SITE}/b"}
    bodies = {
        "/collect": json.dumps(event),
        "/sign-in": urlencode({"name": name, "password": f"{PASSWORD} {name}"}),
        "/submit/{form}": "text=words",
        "/releases": json.dumps({**COURT_REQUEST, "dry_run": True}),
        "/releases/{reference}/approval": "{}",
        "/releases/{reference}/package": "{}",
        **{f"/privacy/me/tab{rest}": f"script_views={caller.tokens}" for rest in ("", "/export", "/erasure")},
    }
    body = bodies.get(path, "").encode() if method == "POST" else b""
    kind = "application/json" if path.startswith("/releases") else "application/x-www-form-urlencoded"
    if "{reference}" in path:
        step = path.rpartition("/")[2]
        is_shared = method != "POST" or caller.kind not in {"reader who may disclose", "requester"}
        key = ("shared" if is_shared else caller.kind, step)
        if key not in caller.references:
            caller.references[key] = request_release(caller.server, approved=step == "package")
        path = path.replace("{reference}", caller.references[key])
    if "{identity}" in path:
        terms = caller.request("GET", "/privacy/terms.json?version=2").body
        path = path.replace("{identity}", sha256(terms).hexdigest())
    path = path.replace("/feed/{name}", "/feed/guard")
    for parameter, value in PARAMETERS.items():
        path = path.replace(parameter, value)
    return caller.request(method, path, body, {"Content-Type": kind, "Referer": f"https://{SITE}/b"})


def routes_of_the_application() -> dict[str, set[str]]:
    """Return the methods by path of all routes, GET for HEAD as well."""
    kinds = get_type_hints(Endpoints).items()
    parts: Any = {name: kind.__new__(kind) if hasattr(kind, "routes") else None for name, kind in kinds}
    endpoints = Endpoints(**parts)
    methods: dict[str, set[str]] = {"/collect": {"POST"}}  # which bypasses the router
    for route in list_routes(endpoints):
        path = re.sub(r":\w+\}", "}", route.path)
        methods.setdefault(path, set()).update((route.methods or set()) - {"HEAD"})
    return methods


def test_each_route_has_a_row() -> None:
    """The table has each method of each route of the application, and no other."""
    documented: dict[str, set[str]] = {}
    for request in RIGHTS:
        method, path = request.split(" ")
        documented.setdefault(path.partition("?")[0], set()).add(method)
    assert documented == routes_of_the_application()


@pytest.mark.parametrize("request_line", RIGHTS)
def test_each_caller_may_do_what_the_table_says(callers: dict[str, Caller], request_line: str) -> None:
    """Each kind of caller gets the status of its cell, HEAD like GET, and without a right nothing but the problem."""
    for kind, status in RIGHTS[request_line].items():
        answer = call(callers[kind], request_line)
        assert answer.status == status, (request_line, kind, answer.body[:300])
        if status in {401, 403, 404}:
            assert not re.search(rb"203\.0\.113\.77|District Court|visitortoken", answer.body)
        if request_line.startswith("GET "):
            head = call(callers[kind], request_line.replace("GET ", "HEAD ", 1))
            assert (head.status, head.body) == (status, b""), (request_line, kind)


def test_other_methods_are_answered_with_405(callers: dict[str, Caller]) -> None:
    """Every method that the table lacks is answered with status 405, whoever calls."""
    for path, methods in routes_of_the_application().items():
        example = path.replace("/feed/{name}", "/feed/guard")
        for name, value in PARAMETERS.items():
            example = example.replace(name, value)
        for method in METHODS:
            if method in methods or (method == "HEAD" and "GET" in methods):
                continue
            for kind in ("stranger", "reader who may disclose"):
                assert callers[kind].request(method, example).status == 405, (method, path, kind)


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/privacy/me/",
        "/healthz/",
        "/privacy/me/x",
        "/releases/a/b/c",
        "/metrics/x",
        "//",
        "/%2e%2e/avowal.toml",
    ],
)
def test_other_addresses_are_answered_with_404(callers: dict[str, Caller], path: str) -> None:
    """Every other address is answered with status 404, whoever calls."""
    for caller in callers.values():
        assert caller.request("GET", path).status == 404


def test_whether_a_reference_exists_is_not_revealed(
    server: RunningServer, callers: dict[str, Caller]
) -> None:
    """Who may not see a request for a release gets the same response for one that exists and one that does not."""
    existing, unknown = request_release(server, approved=True), "zzzzzzzzzzzzzzzz"
    for kind, status in RIGHTS["GET /releases/{reference}"].items():
        if status == 200:
            continue
        for method, suffix in (("GET", ""), ("POST", "/approval"), ("POST", "/package")):
            first, second = (
                callers[kind].request(method, f"/releases/{reference}{suffix}", b"{}", JSON)
                for reference in (existing, unknown)
            )
            assert (first.status, first.body) == (second.status, second.body), (kind, method, suffix)
            assert first.status in {401, 403}


def test_whether_a_feed_exists_is_not_revealed(callers: dict[str, Caller]) -> None:
    """Who has no key for a feed gets the same response for one that exists and one that does not."""
    for kind, status in RIGHTS["GET /feed/{name}"].items():
        if status == 401:
            first, second = (callers[kind].request("GET", f"/feed/{name}") for name in ("guard", "other"))
            assert (first.status, first.body) == (second.status, second.body)
