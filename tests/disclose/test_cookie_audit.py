"""`avowal cookies audit`, with a real Chromium on a sample site that does what its terms do not declare."""

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
from support.templates import made_once

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
    ("kind", "name", "party", "seconds", "against"),
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
def test_what_is_met_is_judged(kind: str, name: str, party: str, seconds: float | None, against: str) -> None:
    """By name, party, basis and life; hosts by processors' contracts."""
    met = [Observation(ObservationKind(kind), name, party, "https://site.example/", seconds)]
    assert [
        one.violation for one in audit_observations(met, TERMS, ["*.shield.example"], sends_opt_out=False)
    ] == [against]


def test_a_browser_that_refuses_is_left_alone() -> None:
    """What may be set unless it is refused may not be then; what asks first never was."""
    met = [
        Observation(ObservationKind.COOKIE, name, "first", "https://site.example/", DAY)
        for name in ("own", "ask", "other")
    ]
    assert [one.violation for one in audit_observations(met, TERMS, [], sends_opt_out=True)] == [
        "is set although the browser refuses",
        "is set without being accepted",
        "is not declared",
    ]


HOME = """<!doctype html><title>home</title><a href="/second#there">second</a> <a href="http://other.example/">other</a>
<script>document.cookie = "tracker=1; max-age=5000";</script>"""
SECOND = """<!doctype html><title>second</title><img src="http://localhost:{port}/pixel.gif" alt="">
<script>localStorage.setItem("tracking-id", "1"); sessionStorage.setItem("seen", "1"); indexedDB.open("hoard");</script>"""


@contextmanager
def sample(*, behaves: bool) -> Iterator[str]:
    """Serve the sample site; `localhost` is somebody else for a page of 127.0.0.1."""

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


@made_once
def site_with_cookies(folder: Path) -> Site:
    made = Site(folder).init()
    terms = made.folder / "policy" / "terms.toml"
    own = '\n[[cookie]]\nname = "own"\nfor = ["content"]\nkeep = "30 days"\nbasis = "unless-refused"\nparty = "first"\n'
    head, duties, rest = terms.read_text().partition("# What else visitors are owed.")
    terms.write_text(f"{head}{own}\n{duties}{rest}")
    assert made.avowal("policy", "adopt").status == 0
    return made


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_with_cookies(tmp_path)


@needs_chromium
def test_what_a_site_does_is_found(site: Site) -> None:
    """A cookie that is not declared, one that lives too long, storage, and a picture of somebody else's."""
    with sample(behaves=False) as url:
        ran = site.avowal("cookies", "audit", url, "--json", "--chromium", CHROMIUM)
        told = ran.json()
        shown = site.avowal("cookies", "audit", url, "--max-pages", "1", "--chromium", CHROMIUM)
    assert ran.status == 1
    assert told["pages"] == [url, f"{url}second"]
    found = {(one["kind"], one["name"]): one["violation"] for one in told["observations"] if one["violation"]}
    assert found == {
        ("cookie", "tracker"): "is not declared",
        ("cookie", "own"): "lives for 400 days, declared are 30 days",
        ("storage", "tracking-id"): "is not declared",
        ("storage", "seen"): "is not declared",
        ("storage", "hoard"): "is not declared",
        ("request", "localhost"): "no processor's contract names this host",
    }
    (pixel,) = [one for one in told["observations"] if one["name"] == "localhost"]
    assert pixel["page"] == f"{url}second"
    assert (shown.status, "2 of 3 are not as the terms declare" in shown.out) == (1, True), shown.out


@needs_chromium
def test_a_site_that_does_as_it_says_passes(site: Site) -> None:
    """Also for a browser that refuses, to which it gives nothing."""
    with sample(behaves=True) as url:
        for refusing, cookies in (((), ["own"]), (("--opt-out",), [])):
            ran = site.avowal("cookies", "audit", url, "--json", "--chromium", CHROMIUM, *refusing)
            assert ran.status == 0, ran.out
            assert [one["name"] for one in ran.json()["observations"] if one["kind"] == "cookie"] == cookies


@needs_chromium
def test_a_processor_may_be_met(site: Site) -> None:
    """Where its contract names the host, and holds."""
    folder = site.folder / "policy" / "processors"
    folder.mkdir()
    (folder / "pictures.toml").write_text(
        'vocabulary = 2\nprocessor = "Pictures"\ncontact = "a@pictures.example"\nservice = ["third-party-service"]\n'
        'begins = 2026-01-01\nhosts = ["localhost"]\n'
        'receive = [{ categories = ["ip-address"], keep = { full = "1 day" }, for = ["third-party-service"] }]\n'
        "duties = { may-see = true, may-erase = true, smallest-group = 5 }\n"
    )
    assert site.avowal("processor", "add", "pictures").status == 0
    with sample(behaves=False) as url:
        told = site.avowal("cookies", "audit", url, "--json", "--chromium", CHROMIUM).json()
    assert [one["violation"] for one in told["observations"] if one["name"] == "localhost"] == [""]


@needs_chromium
def test_a_site_that_does_not_answer_is_told(site: Site) -> None:
    """With what the browser says of it."""
    ran = site.avowal("cookies", "audit", "http://127.0.0.1:9/", "--chromium", CHROMIUM)
    assert (ran.status, ran.code) == (1, "page-unreachable")


def test_what_cannot_be_audited_says_why(site: Site, tmp_path: Path) -> None:
    """No page, no browser, no version."""
    for arguments, status, code in (
        (["example.org"], 2, "invalid-address"),
        (["ftp://example.org/"], 2, "invalid-address"),
        (["http://127.0.0.1/", "--chromium", "/nowhere"], 2, "browser-missing"),
    ):
        ran = site.avowal("cookies", "audit", *arguments)
        assert (ran.status, ran.code) == (status, code), ran.err
    (tmp_path / "new").mkdir()
    ran = Site(tmp_path / "new").init().avowal("cookies", "audit", "http://127.0.0.1/")
    assert (ran.status, ran.code) == (1, "no-version-in-force")
