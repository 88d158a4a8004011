"""`/privacy/` and the pages below it: the policy for people and programs, in each language, with its proofs."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree as ET

import msgspec
import pytest
from msgspec.structs import replace
from playwright.sync_api import ViewportSize, sync_playwright

from avowal.register.register import open_register
from avowal.store.duckdb_store import STORE_FILE
from avowal.verify.last_result import VerificationResult, read_last_result, record_failure
from avowal.web.policy_status import assign_topics
from support.running_server import (
    TODAY,
    RunningServer,
    publish_version,
    site_in_three_languages,
    start_server,
)
from support.site import Site, line, tamper, wait_until

ATOM = "{http://www.w3.org/2005/Atom}"
PLACES = {"pt-BR": "/pt/privacidade/", "zh-TW": "/zh/privacy.html"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Serve two versions in force, in three languages, and a future one."""
    site = site_in_three_languages(Site(tmp_path_factory.mktemp("site")), **PLACES)
    english = site.folder / "policy" / "privacy-policy.en.md"
    for days, age in ((0, 6), (45, 5)):
        english.write_text(f"{english.read_text()}\n\nWords of version {age}.\n")
        publish_version(site, days, age)
    now = [
        line(n, f"/{n}", start=datetime.now(UTC).replace(tzinfo=None), address="203.0.113.9")
        for n in range(3)
    ]
    site.import_logs(site.log("a.log", *now))
    assert site.avowal("query", "--purpose", "abuse", "SELECT visitor_id FROM requests").status == 0
    with start_server(site) as server:
        yield server


def fetch_text(server: RunningServer, path: str, language_header: str = "") -> str:
    answer = server.request("GET", path, headers={"Accept-Language": language_header})
    assert answer.status == 200, (path, answer.body)
    return answer.body.decode()


@pytest.mark.parametrize(
    ("path", "language_header", "language"),
    [
        ("/privacy/", "", "en"),
        ("/privacy/", "pt", "pt-BR"),
        ("/privacy/", "fr, zh-TW;q=0.3", "zh-TW"),
        ("/privacy/?lang=zh-TW", "pt", "zh-TW"),
        ("/privacy/?lang=xx", "pt", "en"),
        ("/pt/privacidade/", "en", "pt-BR"),
        ("/pt/privacidade", "zh-TW", "pt-BR"),
        ("/zh/privacy.html", "", "zh-TW"),
        ("/privacy/versions/1", "pt-BR", "pt-BR"),
        ("/privacy/versions/3", "", "en"),
        ("/privacy/history", "pt-BR", "pt-BR"),
        ("/privacy/changes/1..3", "zh-TW", "zh-TW"),
        ("/disclosures", "pt-BR", "pt-BR"),
    ],
)
def test_each_page_is_in_the_requested_language(
    server: RunningServer, path: str, language_header: str, language: str
) -> None:
    """A page names its language, is cached by its ETag, and sets no cookie."""
    answer = server.request("GET", path, headers={"Accept-Language": language_header})
    page = answer.body.decode()
    assert (answer.status, answer.headers["content-language"]) == (200, language)
    assert f'<html lang="{language}"' in page
    assert answer.headers["vary"] == "Accept-Language"
    assert "set-cookie" not in answer.headers
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    same = {"Accept-Language": language_header, "If-None-Match": answer.headers["etag"]}
    assert (server.request("GET", path, headers=same).status, server.request("HEAD", path).body) == (304, b"")


def test_a_page_links_its_version_languages_and_feeds(server: RunningServer) -> None:
    """A page names its version and links its languages and feeds; every link works."""
    page = fetch_text(server, "/privacy/")
    assert "Version 2, in force from" in page
    assert "Number 1 of this document." in page
    assert '<link rel="canonical" href="https://site.example/privacy/">' in page
    assert "português (Brasil)" in page
    assert '<meta property="og:title" content="Privacy Policy">' in page
    assert "og:" not in fetch_text(server, "/privacy/", "pt-BR")
    links = set(re.findall(r'href="(/[^"]*)"', page + fetch_text(server, "/privacy/history")))
    assert {"/privacy/changes/1..2?lang=en", "/privacy/feed.atom", "/privacy/?lang=zh-TW"} <= links
    for link in links:
        assert server.request("GET", link.replace("&amp;", "&")).status == 200, link
    redirected = server.request("GET", "/privacy")
    assert (redirected.status, redirected.headers["location"]) == (308, "/privacy/")
    assert 'href="/sign-in">Sign in' in fetch_text(server, "/")


def test_two_versions_can_be_compared(server: RunningServer) -> None:
    """The page of changes compares the terms and texts of two versions, including the future one."""
    assert "Version 3 is to come, and holds from" in fetch_text(server, "/privacy/history")
    page = fetch_text(server, "/privacy/changes/1..3")
    assert "<ins>Words of version" in page
    assert "more protective" in page


@pytest.mark.parametrize(
    "path",
    [
        "/privacy/versions/0",
        "/privacy/versions/4",
        "/privacy/versions/-1",
        "/privacy/versions/one",
        "/privacy/changes/2..1",
        "/privacy/changes/1..4",
        "/privacy/changes/1..1",
        "/privacy/changes/0..1",
        "/privacy/terms.json?version=9",
        "/privacy/terms.json?version=x",
        "/privacy/terms.jsonld?version=" + "9" * 400,
        "/privacy/feed.xml",
        "/privacy/ledger/tile/0/001",
        "/privacy/ledger/tile/0/000.p/9999",
        "/privacy/ledger/tile/0/000.p/0",
        "/privacy/ledger/tile/9/000.p/1",
        "/privacy/ledger/tile/entries/000",
        "/privacy/ledger/../../keys/ledger.key",
        "/privacy/ledger/%2e%2e/%2e%2e/keys/ledger.key",
        "/pt/",
        "/nothing",
    ],
)
def test_an_unknown_path_is_not_found(server: RunningServer, path: str) -> None:
    """Every unknown path has the same response, which shows nothing of the folder."""
    answer = server.request("GET", path)
    assert (answer.status, answer.json()["code"]) == (404, "not-found")
    assert server.request("GET", "/nothing").body == answer.body


def test_a_browser_gets_an_error_page(server: RunningServer) -> None:
    """A browser gets an error page in its language; a wrong method is a problem of its own."""
    browser = {"Accept": "text/html,*/*;q=0.8", "Accept-Language": "pt-BR"}
    answer = server.request("GET", "/nothing", headers=browser)
    assert (answer.status, answer.headers["content-language"]) == (404, "pt-BR")
    assert "Página não encontrada" in answer.body.decode()
    refused = server.request("DELETE", "/privacy/")
    assert (refused.status, refused.json()["code"]) == (405, "method-not-allowed")
    assert set(refused.headers["allow"].split(", ")) == {"GET", "HEAD"}


def test_the_terms_are_served_to_programs(server: RunningServer) -> None:
    """The hash of the canonical terms is the identity of the version, as its page shows it."""
    for number in (1, 2, 3):
        answer = server.request("GET", f"/privacy/terms.json?version={number}")
        identity = sha256(answer.body).hexdigest()
        assert identity in fetch_text(server, f"/privacy/versions/{number}")
        assert answer.headers["access-control-allow-origin"] == "*"
    assert sha256(server.request("GET", "/privacy/terms.json").body).hexdigest() in fetch_text(
        server, "/privacy/"
    )
    linked = server.request("GET", "/privacy/terms.jsonld").json()
    assert linked["@type"] == "dpv:PrivacyNotice"


def test_the_served_ledger_equals_the_export(server: RunningServer, tmp_path: Path) -> None:
    """The served ledger equals the exported one, and is verified with its key alone."""
    key = server.site.avowal("ledger", "key").out.strip()
    exported = tmp_path / "exported"
    assert server.site.avowal("ledger", "export", exported).status == 0
    served_folder = tmp_path / "served"
    for path in (path for path in exported.rglob("*") if path.is_file()):
        name = path.relative_to(exported).as_posix()
        answer = server.request("GET", f"/privacy/ledger/{name}")
        assert (answer.status, answer.body) == (200, path.read_bytes()), name
        assert ("immutable" in answer.headers["cache-control"]) is (name != "checkpoint")
        (served_folder / name).parent.mkdir(parents=True, exist_ok=True)
        (served_folder / name).write_bytes(answer.body)
    result = server.site.avowal("verify", served_folder, "--key", key)
    assert result.status == 0, result.out


def test_feeds_list_the_versions(server: RunningServer) -> None:
    """All three feeds list the same versions, newest first with the future one, in the requested language."""
    atom = ET.fromstring(fetch_text(server, "/privacy/feed.atom"))  # noqa: S314  # our own
    rss = ET.fromstring(fetch_text(server, "/privacy/feed.rss"))  # noqa: S314  # our own
    json_feed = json.loads(fetch_text(server, "/privacy/feed.json"))
    links = [f"https://site.example/privacy/versions/{number}" for number in (3, 2, 1)]
    assert [item["url"] for item in json_feed["items"]] == links
    assert [item.findtext(f"{ATOM}id") for item in atom.findall(f"{ATOM}entry")] == links
    assert [item.findtext("link") for item in rss.iter("item")] == links
    assert json_feed["version"] == "https://jsonfeed.org/version/1.1"
    assert "more protective" in json_feed["items"][0]["content_html"]
    assert "mais protetora" in fetch_text(server, "/privacy/feed.atom", "pt-BR")
    for item in atom.iter(f"{ATOM}updated"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", item.text or "")
    answer = server.request("GET", "/privacy/feed.atom")
    assert answer.headers["content-type"] == "application/atom+xml; charset=utf-8"


def read_notes(page: str) -> dict[str, list[str]]:
    """Return the status notes of each section, by its heading."""
    parts = re.findall(r"<h2>(.*?)</h2>(.*?)</section>", page, re.DOTALL)
    return {heading: re.findall(r"<p>(.*?)</p>", text.partition('role="note"')[2]) for heading, text in parts}


def test_the_policy_page_shows_the_current_status(server: RunningServer) -> None:
    """Sections show what was collected today, who accessed it, releases, future versions and the last verification."""
    result_file = server.site.data / "verified.json"
    wait_until(result_file.exists, "the server to verify the folder")
    wait_until(lambda: "We last checked" in fetch_text(server, "/privacy/"), "the page to say so")
    notes = read_notes(fetch_text(server, "/privacy/"))
    assert list(notes) == [
        "Everyone",
        "All of it",
        "For what",
        "For whom",
        "Versions",
    ]
    count_note, precision_note = notes["All of it"]
    count = "Fewer than 5" if datetime.now(UTC).date() == TODAY.date() else "0"  # midnight was between
    assert count_note == f"{count} requests and page views came in today (UTC)."
    assert "ip-address: full, " in precision_note
    assert notes["For what"] == [
        "It was looked at 1 time in the last 30 days, for abuse.",
        "1 of these told of single visitors: it is in the ledger.",
    ]
    assert notes["For whom"] == ["In the last twelve months nothing was released to anybody."]
    assert notes["Versions"][1].startswith("Version 3 is to come, and holds from ")
    assert [
        "Verificamos" in note for note in read_notes(fetch_text(server, "/privacy/", "pt"))["Everyone"]
    ] == [True]
    assert not any(read_notes(fetch_text(server, "/privacy/versions/1")).values())


def test_a_failed_verification_is_shown(server: RunningServer) -> None:
    """A failed verification is shown together with the time of the last one that passed."""
    path = server.site.data / "verified.json"
    wait_until(path.exists, "the server to verify the folder")
    saved = path.read_bytes()
    record_failure(server.site.data, TODAY + timedelta(hours=1))
    try:
        assert (
            server.site.avowal("query", "--purpose", "abuse", "SELECT visitor_id FROM requests").status == 0
        )
        first = read_notes(fetch_text(server, "/privacy/"))["Everyone"]
        assert "not fully kept" in first[0]
        assert "We last checked" in first[1]
    finally:
        path.write_bytes(saved)


def read_result(site: Site) -> VerificationResult:
    """Return when a site was last verified."""
    with closing(open_register(site.data, site.folder / "keys", store_file=STORE_FILE)) as register:
        return read_last_result(site.data, register.sealer.authenticate)


def test_verify_records_its_last_result(tmp_path: Path) -> None:
    """`avowal verify` records whether it passed, and keeps the time of the last pass; nobody else can write that."""
    site = Site(tmp_path).init()
    assert read_result(site) == VerificationResult()
    assert site.avowal("policy", "adopt").status == 0
    assert site.avowal("verify").status == 0
    last_result = read_result(site)
    assert (last_result.passed, last_result.entries) == (True, 1)
    tamper(site, "UPDATE publications SET terms_text = ''")
    assert site.avowal("verify").status == 1
    failed = read_result(site)
    assert (failed.passed, failed.passed_at) == (False, last_result.passed_at)
    forged = replace(failed, failed_at=None, passed_at=TODAY)
    (site.data / "verified.json").write_bytes(msgspec.json.encode(forged))
    assert not read_result(site).passed
    (site.data / "verified.json").write_text("{")
    assert read_result(site) == VerificationResult()


def test_each_status_is_shown_at_its_section() -> None:
    """A status is shown at the section on its topic, or at the last one if there is none."""
    sections = [
        "Introduction: this is our policy.",
        "We log your IP address, the time of your visit, the pages you view, and your browser.",
        "We monitor and improve availability, performance and content.",
        "We disclose nothing to a third party, unless authorized by you, or required by law.",
        "This may change from time to time.",
    ]
    assert assign_topics(sections) == {
        "collection": 1,
        "use": 2,
        "releases": 3,
        "changes": 4,
        "verification": 0,
    }
    assert set(assign_topics(["", ""]).values()) == {0, 1}
    assert set(assign_topics(["words"]).values()) == {0}


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium: `apt install chromium`")
@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 320), ("dark", 1440), ("light", 1920), ("dark", 375)]
)
def test_pages_are_accessible(server: RunningServer, scheme: Literal["light", "dark"], width: int) -> None:
    """Pages pass axe-core and fit each width."""
    rules = (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    paths = ("/privacy/", "/privacy/?lang=zh-TW", "/privacy/history", "/privacy/changes/1..3", "/disclosures")
    size: ViewportSize = {"width": width, "height": 900}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        with browser.new_context(bypass_csp=True, viewport=size, color_scheme=scheme) as context:
            page = context.new_page()
            for path in paths:
                page.goto(f"http://127.0.0.1:{server.port}{path}")
                assert page.evaluate("document.documentElement.scrollWidth") <= width, path
                page.evaluate(rules)
                violations = page.evaluate("axe.run()")["violations"]
                assert [(violation["id"], violation["nodes"][0]["html"]) for violation in violations] == [], (
                    path
                )
        browser.close()


@pytest.mark.parametrize(
    ("language", "adopted"), [("en", "adopted on "), ("pt-BR", "adotada em "), ("zh-TW", "採用")]
)
def test_an_adoption_as_of_an_earlier_day_is_marked(
    server: RunningServer, language: str, adopted: str
) -> None:
    """The first version says when it was adopted, wherever it names its day; a published one does not."""
    days = [f'<time datetime="{(TODAY - timedelta(ago)).date()}">' for ago in (0, 60)]
    for path in ("/privacy/versions/1", "/privacy/history"):
        text = fetch_text(server, f"{path}?lang={language}").partition("<article")[0]
        assert text.count(adopted) == 1
        assert all(day in text for day in days)
    head = fetch_text(server, f"/privacy/versions/2?lang={language}").partition("<article")[0]
    assert adopted not in head
