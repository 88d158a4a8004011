"""`avowal cookies audit`, with a real Chromium on a sample site that violates its terms."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from avowal.disclose.cookie_audit import Observation, ObservationKind, audit_observations
from avowal.policy.bounds import OPERATOR, OWN_USE, THIRD_PARTY, Bounds, Cell
from support.browsers import CHROMIUM, needs_chromium
from support.site import Site
from support.templates import make_once

DAY = 86_400
TERMS = Bounds(
    {
        Cell("cookie own", "content", OPERATOR, OWN_USE): {
            "if-accepted": 30 * DAY,
            "unless-refused": 30 * DAY,
        },
        Cell("cookie ask", "content", OPERATOR, OWN_USE): {"if-accepted": 30 * DAY},
        Cell("cookie shield_*", "abuse", THIRD_PARTY, OWN_USE): {"if-accepted": None, "unless-refused": None},
    },
    {},
)


@pytest.mark.parametrize(
    ("kind", "name", "party", "seconds", "violation"),
    [
        ("cookie", "own", "first", 30 * DAY, ""),
        ("cookie", "own", "first", None, ""),
        ("cookie", "own", "first", 31 * DAY, "lives for 31 days, declared are 30 days"),
        ("cookie", "own", "third", DAY, "is not declared"),
        ("cookie", "ask", "first", DAY, "is set without being accepted"),
        ("cookie", "shield_7", "third", 900 * DAY, ""),
        ("cookie", "other", "first", DAY, "is not declared"),
        ("storage", "own", "first", None, ""),
        ("storage", "other", "first", None, "is not declared"),
        ("request", "site.example", "first", None, ""),
        ("request", "cdn.shield.example", "third", None, ""),
        ("request", "shield.example", "third", None, "no processor's contract names this host"),
    ],
)
def test_each_observation_is_compared_with_the_terms(
    kind: str, name: str, party: str, seconds: float | None, violation: str
) -> None:
    """A cookie or stored item is compared by name, party, basis and life, and a host with the contracts."""
    observations = [Observation(ObservationKind(kind), name, party, "https://site.example/", seconds)]
    assert [
        finding.violation
        for finding in audit_observations(observations, TERMS, ["*.shield.example"], sends_opt_out=False)
    ] == [violation]


def test_cookies_are_not_set_when_the_browser_refuses() -> None:
    """A cookie with basis `unless-refused` violates the terms when it is set although the browser refuses."""
    observations = [
        Observation(ObservationKind.COOKIE, name, "first", "https://site.example/", DAY)
        for name in ("own", "ask", "other")
    ]
    assert [
        finding.violation for finding in audit_observations(observations, TERMS, [], sends_opt_out=True)
    ] == [
        "is set although the browser refuses",
        "is set without being accepted",
        "is not declared",
    ]


HOME = """<!doctype html><title>home</title><a href="/second#there">second</a> <a href="http://other.example/">other</a>
<script>document.cookie = "tracker=1; max-age=5000";</script>"""
SECOND = """<!doctype html><title>second</title><img src="http://localhost:{port}/pixel.gif" alt="">
<script>localStorage.setItem("tracking-id", "1"); sessionStorage.setItem("seen", "1"); indexedDB.open("hoard");</script>"""


@contextmanager
def serve_sample(*, behaves: bool) -> Iterator[str]:
    """Serve the sample site; on its pages at 127.0.0.1, `localhost` is a third party."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            if self.path == "/" and self.headers.get("Sec-GPC") != "1":
                self.send_header("Set-Cookie", f"own=1; Max-Age={30 * DAY if behaves else 400 * DAY}")
            self.end_headers()
            page = HOME if self.path == "/" else SECOND
            text = "<!doctype html><title>plain</title><a href='/second'>second</a>" if behaves else page
            self.wfile.write(text.replace("{port}", str(server.server_port)).encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@make_once
def site_with_cookies(folder: Path) -> Site:
    site = Site(folder).init()
    terms = site.folder / "policy" / "terms.toml"
    rule = '\n[[cookie]]\nname = "own"\nfor = ["content"]\nkeep = "30 days"\nbasis = "unless-refused"\nparty = "first"\n'
    head, comment, rest = terms.read_text().partition("# What else visitors are owed.")
    terms.write_text(f"{head}{rule}\n{comment}{rest}")
    assert site.avowal("policy", "adopt").status == 0
    return site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_with_cookies(tmp_path)


@needs_chromium
def test_violations_of_a_site_are_found(site: Site) -> None:
    """Undeclared cookies and storage, a cookie that lives too long, and a third-party picture are found."""
    with serve_sample(behaves=False) as url:
        result = site.avowal("cookies", "audit", url, "--json", "--chromium", CHROMIUM)
        audit = result.json()
        table = site.avowal("cookies", "audit", url, "--max-pages", "1", "--chromium", CHROMIUM)
    assert result.status == 1
    assert audit["pages"] == [url, f"{url}second"]
    violations = {
        (observation["kind"], observation["name"]): observation["violation"]
        for observation in audit["observations"]
        if observation["violation"]
    }
    assert violations == {
        ("cookie", "tracker"): "is not declared",
        ("cookie", "own"): "lives for 400 days, declared are 30 days",
        ("storage", "tracking-id"): "is not declared",
        ("storage", "seen"): "is not declared",
        ("storage", "hoard"): "is not declared",
        ("request", "localhost"): "no processor's contract names this host",
    }
    (pixel,) = [observation for observation in audit["observations"] if observation["name"] == "localhost"]
    assert pixel["page"] == f"{url}second"
    assert (table.status, "2 of 3 differ from the terms" in table.out) == (1, True), table.out


@needs_chromium
def test_a_site_that_follows_its_terms_passes(site: Site) -> None:
    """A site that sets only what it declares passes, also with a browser that opts out."""
    with serve_sample(behaves=True) as url:
        for options, cookies in (((), ["own"]), (("--opt-out",), [])):
            result = site.avowal("cookies", "audit", url, "--json", "--chromium", CHROMIUM, *options)
            assert result.status == 0, result.out
            assert [
                observation["name"]
                for observation in result.json()["observations"]
                if observation["kind"] == "cookie"
            ] == cookies


@needs_chromium
def test_a_host_of_a_contract_is_permitted(site: Site) -> None:
    """Requests to a host that a sufficient contract names are no violation."""
    folder = site.folder / "policy" / "processors"
    folder.mkdir()
    (folder / "pictures.toml").write_text(
        'vocabulary = 2\nprocessor = "Pictures"\ncontact = "a@pictures.example"\nservice = ["third-party-service"]\n'
        'begins = 2026-01-01\nhosts = ["localhost"]\n'
        'receive = [{ categories = ["ip-address"], keep = { full = "1 day" }, for = ["third-party-service"] }]\n'
        "duties = { may-see = true, may-erase = true, smallest-group = 5 }\n"
    )
    assert site.avowal("processor", "add", "pictures").status == 0
    with serve_sample(behaves=False) as url:
        audit = site.avowal("cookies", "audit", url, "--json", "--chromium", CHROMIUM).json()
    assert [
        observation["violation"]
        for observation in audit["observations"]
        if observation["name"] == "localhost"
    ] == [""]


@needs_chromium
def test_an_unreachable_site_is_an_error(site: Site) -> None:
    """A site that does not answer is an error with its own code."""
    result = site.avowal("cookies", "audit", "http://127.0.0.1:9/", "--chromium", CHROMIUM)
    assert (result.status, result.code) == (1, "page-unreachable")


def test_an_impossible_audit_is_an_error(site: Site, tmp_path: Path) -> None:
    """Without a valid address, a browser, or a version in force, the audit is an error."""
    for arguments, status, code in (
        (["example.org"], 2, "invalid-address"),
        (["ftp://example.org/"], 2, "invalid-address"),
        (["http://127.0.0.1/", "--chromium", "/nowhere"], 2, "browser-missing"),
    ):
        result = site.avowal("cookies", "audit", *arguments)
        assert (result.status, result.code) == (status, code), result.err
    (tmp_path / "new").mkdir()
    result = Site(tmp_path / "new").init().avowal("cookies", "audit", "http://127.0.0.1/")
    assert (result.status, result.code) == (1, "no-version-in-force")
