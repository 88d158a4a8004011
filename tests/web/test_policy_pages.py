"""`/privacy/` and what stands below it: the policy for people and programs, in their languages, with its proofs."""

import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree as ET

import pytest
from playwright.sync_api import ViewportSize, sync_playwright

from avowal.verify.last_result import VerificationResult, read_last_result, record_result
from avowal.web.policy_status import assign_topics as places
from support.served import TODAY, Served, changed, served, translated
from support.site import Site, line, tamper, wait_until

ATOM = "{http://www.w3.org/2005/Atom}"
PLACES = {"pt-BR": "/pt/privacidade/", "zh-TW": "/zh/privacy.html"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve two versions in force, in three languages, and one to come."""
    site = translated(Site(tmp_path_factory.mktemp("site")), **PLACES)
    english = site.folder / "policy" / "privacy-policy.en.md"
    for days, age in ((0, 6), (45, 5)):
        english.write_text(f"{english.read_text()}\n\nWords of version {age}.\n")
        changed(site, days, age)
    now = [
        line(n, f"/{n}", start=datetime.now(UTC).replace(tzinfo=None), address="203.0.113.9")
        for n in range(3)
    ]
    site.take_in(site.log("a.log", *now))
    assert site.avowal("query", "--purpose", "abuse", "SELECT visitor_id FROM requests").status == 0
    with served(site) as it:
        yield it


def text(server: Served, path: str, asked: str = "") -> str:
    answer = server.ask("GET", path, headers={"Accept-Language": asked})
    assert answer.status == 200, (path, answer.body)
    return answer.body.decode()


@pytest.mark.parametrize(
    ("path", "asked", "language"),
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
def test_each_page_is_in_the_language_that_is_asked_for(
    server: Served, path: str, asked: str, language: str
) -> None:
    """Says which that is, is not made again for who has it, and leads to the same in the others."""
    answer = server.ask("GET", path, headers={"Accept-Language": asked})
    page = answer.body.decode()
    assert (answer.status, answer.headers["content-language"]) == (200, language)
    assert f'<html lang="{language}"' in page
    assert answer.headers["vary"] == "Accept-Language"
    assert "set-cookie" not in answer.headers
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    same = {"Accept-Language": asked, "If-None-Match": answer.headers["etag"]}
    assert (server.ask("GET", path, headers=same).status, server.ask("HEAD", path).body) == (304, b"")


def test_a_page_says_what_belongs_to_it(server: Served) -> None:
    """Its number, its languages, its feeds, its proofs; each link leads somewhere."""
    page = text(server, "/privacy/")
    assert "Version 2, in force from" in page
    assert "Number 1 of this document." in page
    assert '<link rel="canonical" href="https://site.example/privacy/">' in page
    assert "português (Brasil)" in page
    assert '<meta property="og:title" content="Privacy Policy">' in page
    assert "og:" not in text(server, "/privacy/", "pt-BR")
    links = set(re.findall(r'href="(/[^"]*)"', page + text(server, "/privacy/history")))
    assert {"/privacy/changes/1..2?lang=en", "/privacy/feed.atom", "/privacy/?lang=zh-TW"} <= links
    for link in links:
        assert server.ask("GET", link.replace("&amp;", "&")).status == 200, link
    redirected = server.ask("GET", "/privacy")
    assert (redirected.status, redirected.headers["location"]) == (308, "/privacy/")


def test_what_differs_between_any_two_is_shown(server: Served) -> None:
    """In what is done and in what is said; also beside the one that is to come, which the history has, too."""
    assert "Version 3 is to come, and holds from" in text(server, "/privacy/history")
    page = text(server, "/privacy/changes/1..3")
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
def test_what_there_is_not_is_not_found(server: Served, path: str) -> None:
    """And nothing of the folder is told."""
    answer = server.ask("GET", path)
    assert (answer.status, answer.json()["code"]) == (404, "not-found")
    assert server.ask("GET", "/nothing").body == answer.body


def test_a_person_gets_a_page_that_says_so(server: Served) -> None:
    """In the language that the browser prefers; a method that does not fit is a problem of its own."""
    browser = {"Accept": "text/html,*/*;q=0.8", "Accept-Language": "pt-BR"}
    answer = server.ask("GET", "/nothing", headers=browser)
    assert (answer.status, answer.headers["content-language"]) == (404, "pt-BR")
    assert "Página não encontrada" in answer.body.decode()
    refused = server.ask("DELETE", "/privacy/")
    assert (refused.status, refused.json()["code"]) == (405, "method-not-allowed")
    assert set(refused.headers["allow"].split(", ")) == {"GET", "HEAD"}


def test_programs_have_the_terms(server: Served) -> None:
    """The hash of the canonical ones is the version's identity, as the page has it."""
    for number in (1, 2, 3):
        answer = server.ask("GET", f"/privacy/terms.json?version={number}")
        identity = sha256(answer.body).hexdigest()
        assert identity in text(server, f"/privacy/versions/{number}")
        assert answer.headers["access-control-allow-origin"] == "*"
    assert sha256(server.ask("GET", "/privacy/terms.json").body).hexdigest() in text(server, "/privacy/")
    linked = server.ask("GET", "/privacy/terms.jsonld").json()
    assert linked["@type"] == "dpv:PrivacyNotice"


def test_the_ledger_is_verified_from_what_is_served(server: Served, tmp_path: Path) -> None:
    """With its public key alone, as an exported one is."""
    key = server.site.avowal("ledger", "key").out.strip()
    exported = tmp_path / "exported"
    assert server.site.avowal("ledger", "export", exported).status == 0
    served_folder = tmp_path / "served"
    for path in (one for one in exported.rglob("*") if one.is_file()):
        name = path.relative_to(exported).as_posix()
        answer = server.ask("GET", f"/privacy/ledger/{name}")
        assert (answer.status, answer.body) == (200, path.read_bytes()), name
        assert ("immutable" in answer.headers["cache-control"]) is (name != "checkpoint")
        (served_folder / name).parent.mkdir(parents=True, exist_ok=True)
        (served_folder / name).write_bytes(answer.body)
    ran = server.site.avowal("verify", served_folder, "--key", key)
    assert ran.status == 0, ran.out


def test_feeds_tell_of_versions(server: Served) -> None:
    """The same in all three, the newest first, and the one to come; in the language that is asked for."""
    atom = ET.fromstring(text(server, "/privacy/feed.atom"))  # noqa: S314  # our own
    rss = ET.fromstring(text(server, "/privacy/feed.rss"))  # noqa: S314  # our own
    told = json.loads(text(server, "/privacy/feed.json"))
    links = [f"https://site.example/privacy/versions/{number}" for number in (3, 2, 1)]
    assert [one["url"] for one in told["items"]] == links
    assert [one.findtext(f"{ATOM}id") for one in atom.findall(f"{ATOM}entry")] == links
    assert [one.findtext("link") for one in rss.iter("item")] == links
    assert told["version"] == "https://jsonfeed.org/version/1.1"
    assert "more protective" in told["items"][0]["content_html"]
    assert "mais protetora" in text(server, "/privacy/feed.atom", "pt-BR")
    for one in atom.iter(f"{ATOM}updated"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", one.text or "")
    answer = server.ask("GET", "/privacy/feed.atom")
    assert answer.headers["content-type"] == "application/atom+xml; charset=utf-8"


def beside(page: str) -> dict[str, list[str]]:
    """Return what is told beside each section, by its heading."""
    parts = re.findall(r"<h2>(.*?)</h2>(.*?)</section>", page, re.DOTALL)
    return {heading: re.findall(r"<p>(.*?)</p>", part.partition('role="note"')[2]) for heading, part in parts}


def test_what_is_so_at_this_moment_stands_beside_what_the_policy_says(server: Served) -> None:
    """What came in, at which precision; who looked at it; what was released; what is to come; and that it was verified."""
    verified = server.site.data / "verified.json"
    wait_until(verified.exists, "the server to verify the folder")
    wait_until(lambda: "was verified on" in text(server, "/privacy/"), "the page to say so")
    told = beside(text(server, "/privacy/"))
    assert list(told) == [
        "Whom this concerns",
        "What we collect",
        "What we use it for",
        "Who else receives it",
        "When this changes",
    ]
    came, precise = told["What we collect"]
    some = "Fewer than 5" if datetime.now(UTC).date() == TODAY.date() else "0"  # midnight was between
    assert came == f"{some} requests and page views came in today (UTC)."
    assert "ip-address: full, " in precise
    assert told["What we use it for"] == [
        "It was looked at 1 time in the last 30 days, for abuse.",
        "1 of these told of single visitors: it is in the ledger.",
    ]
    assert told["Who else receives it"] == ["In the last twelve months nothing was released to anybody."]
    assert told["When this changes"][1].startswith("Version 3 is to come, and holds from ")
    assert ["verificado" in one for one in beside(text(server, "/privacy/", "pt"))["Whom this concerns"]] == [
        True
    ]
    assert not any(beside(text(server, "/privacy/versions/1")).values())


def test_it_is_told_where_something_did_not_hold(server: Served) -> None:
    """Beside when all did."""
    path = server.site.data / "verified.json"
    kept = path.read_bytes()
    record_result(server.site.data, TODAY + timedelta(hours=1), 0, passed=False)
    try:
        assert (
            server.site.avowal("query", "--purpose", "abuse", "SELECT visitor_id FROM requests").status == 0
        )
        first = beside(text(server, "/privacy/"))["Whom this concerns"]
        assert "something did not hold" in first[0]
        assert "was verified on" in first[1]
    finally:
        path.write_bytes(kept)


def test_the_command_records_whether_all_holds(tmp_path: Path) -> None:
    """And keeps when it last did."""
    site = Site(tmp_path).init()
    assert read_last_result(site.data) == VerificationResult()
    assert site.avowal("policy", "adopt").status == 0
    assert site.avowal("verify").status == 0
    passed = read_last_result(site.data)
    assert (passed.passed, passed.entries) == (True, 1)
    tamper(site, "UPDATE publications SET terms_text = ''")
    assert site.avowal("verify").status == 1
    failed = read_last_result(site.data)
    assert (failed.passed, failed.passed_at) == (False, passed.passed_at)
    (site.data / "verified.json").write_text("{")
    assert read_last_result(site.data) == VerificationResult()


def test_each_fact_stands_where_it_is_spoken_of() -> None:
    """Where nothing speaks of it, at the end; that all holds, where nothing else is told."""
    speaking = [
        "Introduction: this is our policy.",
        "We log your IP address, the time of your visit, the pages you view, and your browser.",
        "We monitor and improve availability, performance and content.",
        "We disclose nothing to a third party, unless authorized by you, or required by law.",
        "This may change from time to time.",
    ]
    assert places(speaking) == {"collection": 1, "use": 2, "releases": 3, "changes": 4, "verification": 0}
    assert set(places(["", ""]).values()) == {0, 1}
    assert set(places(["words"]).values()) == {0}


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium: `apt install chromium`")
@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 320), ("dark", 1440), ("light", 1920), ("dark", 375)]
)
def test_pages_have_no_barriers(server: Served, scheme: Literal["light", "dark"], width: int) -> None:
    """By the rules of axe-core; and nothing is wider than the page."""
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
                found = page.evaluate("axe.run()")["violations"]
                assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], path
        browser.close()
