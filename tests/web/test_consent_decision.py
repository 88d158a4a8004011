"""Visitors consent on their page to a later version for data collected before, and withdraw the consent."""

import json
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from support.browsers import CHROMIUM, needs_chromium
from support.running_server import (
    ANN,
    BEN,
    SAME_ORIGIN,
    TODAY,
    RunningServer,
    browser_cookie,
    cookie_headers,
    site_in_three_languages,
    start_server,
)
from support.site import Site
from support.templates import make_once

LOOSER = "referrer, full: kept forever, was never; for abuse, availability, content, performance"


def publish(site: Site, old: str, new: str, days: int = 0) -> None:
    """Publish a version that replaces a part of the terms."""
    terms = site.folder / "policy" / "terms.toml"
    text = terms.read_text()
    assert old in text
    day = TODAY.date().fromordinal(TODAY.toordinal() + days)
    terms.write_text(re.sub(r"(?m)^updated = \S+", f"updated = {day}", text.replace(old, new)))
    result = site.avowal("policy", "publish", "--accept-weaker")
    assert result.status == 0, result.err


@make_once
def site_with_looser_version(folder: Path) -> Site:
    """Make a site of three languages with two visitors, and then a second version that keeps more."""
    site = site_in_three_languages(Site(folder), ("notice-days = 30", "notice-days = 0"))
    with start_server(site) as server:
        server.send_views_of_two_visitors()
        server.stop()
    publish(site, 'keep = { page = "forever" }', 'keep = { full = "forever" }')
    return site


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with start_server(site_with_looser_version(tmp_path)) as server:
        yield server


def fetch_page(server: RunningServer, visitor: str = ANN, language: str = "en") -> str:
    answer = server.request("GET", f"/privacy/me?lang={language}", headers=cookie_headers(visitor))
    assert answer.status == 200
    return answer.body.decode()


def find_decisions(text: str) -> dict[str, str]:
    """Return the identity of the version of each decision that a page offers, by `consent` or `withdrawal`."""
    return dict(re.findall(r'action="/privacy/me/(consent|withdrawal)/([0-9a-f]{64})', text))


def find_governing(server: RunningServer) -> dict[str, tuple[int, int]]:
    """Return for each page the version that it was collected under, and the one that governs it."""
    lines = [
        json.loads(line)
        for visitor in (ANN, BEN)
        for line in server.request(
            "GET", "/privacy/me/export", headers=cookie_headers(visitor, **SAME_ORIGIN)
        ).body.splitlines()
    ]
    return {
        record["page_path"]: (record["version"], record["governing"])
        for record in lines
        if record.get("relation") == "script_views"
    }


def test_a_visitor_reads_the_changes_and_decides(server: RunningServer, tmp_path: Path) -> None:
    """Consent and withdrawal apply to the visitor's own records; each has a receipt, and all verify."""
    text = fetch_page(server)
    assert LOOSER in text
    assert "2 records, to which version 1 applies without your consent:" in text
    identity = find_decisions(text)["consent"]
    answer = server.request(
        "POST", f"/privacy/me/consent/{identity}?lang=en", headers=cookie_headers(ANN, **SAME_ORIGIN)
    )
    location = answer.headers["location"]
    assert (answer.status, re.sub(r"\d+", "N", location)) == (303, "/privacy/me?lang=en&decided=N#result")
    decided = server.request("GET", location.partition("#")[0], headers=cookie_headers(ANN)).body.decode()
    assert "We recorded your consent to version 2." in decided
    others = server.request("GET", location.partition("#")[0], headers=cookie_headers(BEN)).body.decode()
    assert "We recorded" not in others
    assert find_governing(server) == {"/of-ann": (1, 2), "/too": (1, 2), "/of-ben": (1, 1)}
    text = fetch_page(server)
    assert find_decisions(text) == {"withdrawal": identity}
    assert "If you withdraw your consent, this is no longer permitted:" in text
    assert LOOSER in text
    answer = server.request(
        "POST", f"/privacy/me/withdrawal/{identity}", headers=cookie_headers(ANN, **SAME_ORIGIN)
    )
    assert answer.status == 303
    assert set(find_governing(server).values()) == {(1, 1)}
    text = fetch_page(server)
    assert find_decisions(text) == {"consent": identity}
    entries = re.findall(r"/privacy/me/receipts/(\d+)", text)
    states = []
    for entry in entries:
        receipt = server.request(
            "GET", f"/privacy/me/receipts/{entry}", headers=cookie_headers(ANN, **SAME_ORIGIN)
        )
        assert receipt.headers["cache-control"] == "private, no-store"
        (tmp_path / entry).write_bytes(receipt.body)
        key = server.site.avowal("ledger", "key").out.strip()
        assert server.site.avowal("verify", tmp_path / entry, "--key", key).status == 0
        decision = receipt.json()
        states.append(decision["event"]["event_state"])
        assert (decision["event"]["channel"], decision["event"]["reference"]) == ("page", "/privacy/me")
    assert states == ["consent given", "consent withdrawn"]
    assert server.site.avowal("verify").status == 0


def test_a_receipt_is_only_for_its_visitor(server: RunningServer) -> None:
    """For other visitors and other sites a receipt is answered as if it did not exist."""
    identity = find_decisions(fetch_page(server))["consent"]
    server.request("POST", f"/privacy/me/consent/{identity}", headers=cookie_headers(ANN, **SAME_ORIGIN))
    (entry,) = re.findall(r"/privacy/me/receipts/(\d+)", fetch_page(server))
    path = f"/privacy/me/receipts/{entry}"
    assert server.request("GET", path, headers=cookie_headers(ANN, **SAME_ORIGIN)).status == 200
    other, missing = (
        server.request("GET", receipt_path, headers=cookie_headers(BEN, **SAME_ORIGIN))
        for receipt_path in (path, "/privacy/me/receipts/99")
    )
    assert (other.status, other.body) == (404, missing.body)
    assert server.request("GET", path, headers=SAME_ORIGIN).status == 403
    assert server.request("GET", path, headers=cookie_headers(ANN)).status == 403
    assert f"receipts/{entry}" not in fetch_page(server, BEN)


def test_only_an_offered_decision_is_recorded(server: RunningServer) -> None:
    """Only a decision that the page offers is recorded, and only from a page of the site."""
    identity = find_decisions(fetch_page(server))["consent"]
    first = server.request("GET", "/privacy/terms.json?version=1").headers["etag"].strip('"')
    path = f"/privacy/me/consent/{identity}"
    cross_site = {"Sec-Fetch-Site": "cross-site"}
    assert server.request("POST", path, headers=SAME_ORIGIN).status == 403
    assert server.request("POST", path, headers=cookie_headers(ANN)).status == 403
    assert server.request("POST", path, headers=cookie_headers(ANN, **cross_site)).status == 403
    assert server.request("POST", path, headers=cookie_headers("refused", **SAME_ORIGIN)).status == 403
    assert server.request("GET", path, headers=cookie_headers(ANN, **SAME_ORIGIN)).status == 405
    assert (
        server.request(
            "POST", f"/privacy/me/thing/{identity}", headers=cookie_headers(ANN, **SAME_ORIGIN)
        ).status
        == 404
    )
    for invalid_path in (
        f"/privacy/me/consent/{first}",
        f"/privacy/me/withdrawal/{identity}",
        f"/privacy/me/consent/{'0' * 64}",
    ):
        assert (
            server.request("POST", invalid_path, headers=cookie_headers(ANN, **SAME_ORIGIN)).status == 409
        ), invalid_path
    assert (
        server.request("POST", path, headers=cookie_headers("newnewnewnewnewnewnewn", **SAME_ORIGIN)).status
        == 409
    )
    assert "receipts" not in fetch_page(server)
    server.request("POST", path, headers=cookie_headers(ANN, **SAME_ORIGIN))
    assert server.request("POST", path, headers=cookie_headers(ANN, **SAME_ORIGIN)).status == 409
    assert len(re.findall(r"/privacy/me/receipts/(\d+)", fetch_page(server))) == 1


def test_consent_to_a_future_version_waits(server: RunningServer) -> None:
    """A consent to a future version governs nothing until the version takes effect."""
    identity = find_decisions(fetch_page(server))["consent"]
    publish(server.site, 'full = "7 days", prefix', 'full = "9 days", prefix', days=40)
    text = fetch_page(server)
    assert "Version 3, in force from" in text
    later = next(
        decision
        for decision in re.findall(r"/privacy/me/consent/([0-9a-f]{64})", text)
        if decision != identity
    )
    assert (
        server.request(
            "POST", f"/privacy/me/consent/{later}", headers=cookie_headers(ANN, **SAME_ORIGIN)
        ).status
        == 303
    )
    assert "So far this changes nothing" in fetch_page(server)
    assert set(find_governing(server).values()) == {(1, 1)}


@pytest.mark.parametrize("language", ["en", "pt-BR", "zh-TW"])
def test_a_refusal_is_a_page_for_browsers_and_json_for_programs(server: RunningServer, language: str) -> None:
    """A browser gets an uncached page with a link back, and a program gets a JSON problem."""
    browser_headers = {"Accept": "text/html,application/xhtml+xml", "Accept-Language": language}
    identity = find_decisions(fetch_page(server))["consent"]
    own, foreign = cookie_headers(ANN, **SAME_ORIGIN), cookie_headers(ANN, Origin="https://evil.example")
    for method, path, headers, status, code in (
        ("POST", f"/privacy/me/withdrawal/{identity}", own, 409, "consent-not-offered"),
        ("POST", f"/privacy/me/consent/{identity}", foreign, 403, "unidentified-visitor"),
        ("POST", "/privacy/me/erasure", foreign, 403, "unidentified-visitor"),
        ("GET", "/privacy/me/export", foreign, 403, "unidentified-visitor"),
        ("GET", "/privacy/me/receipts/999", own, 404, "receipt-not-found"),
        ("POST", "/privacy/me/tab", SAME_ORIGIN, 403, "unidentified-visitor"),
        ("POST", "/privacy/me/tab/export", SAME_ORIGIN, 403, "unidentified-visitor"),
    ):
        by_page = server.request(method, path, headers={**headers, **browser_headers})
        by_json = server.request(method, path, headers=headers)
        assert (by_page.status, by_json.status) == (status, status), path
        assert by_page.headers["content-type"].startswith("text/html")
        assert f'href="/privacy/me?lang={language}"' in by_page.body.decode()
        assert by_json.json()["code"] == code
        assert {answer.headers["cache-control"] for answer in (by_page, by_json)} == {"private, no-store"}


@needs_chromium
@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("pt-BR", "dark"), ("zh-TW", "dark")])
def test_the_page_is_accessible(server: RunningServer, language: str, scheme: Any) -> None:
    """The page passes axe-core, fits each width, and prints without buttons."""
    rules = (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    identity = find_decisions(fetch_page(server))["consent"]
    assert (
        server.request(
            "POST", f"/privacy/me/consent/{identity}", headers=cookie_headers(ANN, **SAME_ORIGIN)
        ).status
        == 303
    )
    publish(server.site, 'full = "7 days", prefix', 'full = "9 days", prefix', days=40)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with browser.new_context(bypass_csp=True, locale=language, color_scheme=scheme) as context:
            context.add_cookies([browser_cookie(ANN)])
            view = context.new_page()
            view.goto(f"http://127.0.0.1:{server.port}/privacy/me")
            assert view.locator("html").get_attribute("lang") == language
            assert view.locator("form[action*=withdrawal], form[action*=consent]").count() == 2
            for width in (320, 768, 1920):
                view.set_viewport_size({"width": width, "height": 900})
                assert view.evaluate("document.documentElement.scrollWidth") <= width
            view.evaluate(rules)
            violations = view.evaluate("axe.run()")["violations"]
            assert [(violation["id"], violation["nodes"][0]["html"]) for violation in violations] == []
            view.emulate_media(media="print")
            assert not view.locator("button").first.is_visible()
            assert view.get_by_text("/of-ann").first.is_visible()
        browser.close()


@needs_chromium
@pytest.mark.parametrize(
    ("language", "consent", "withdrawal"),
    [
        ("en", "Consent to version 2", "Withdraw consent to version 2"),
        ("pt-BR", "Consentir com a versão 2", "Retirar o consentimento com a versão 2"),
        ("zh-TW", "同意第 2 版", "撤回對第 2 版的同意"),
    ],
)
def test_decisions_work_by_keyboard_in_each_language(
    server: RunningServer, language: str, consent: str, withdrawal: str
) -> None:
    """Without scripts, decisions work by keyboard in each language, and the receipt names that language."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with browser.new_context(java_script_enabled=False, locale=language) as context:
            context.add_cookies([browser_cookie(ANN)])
            view = context.new_page()
            view.goto(f"http://127.0.0.1:{server.port}/privacy/me")
            for name in (consent, withdrawal, consent):
                button = view.get_by_role("button", name=name)
                while not button.evaluate("node => node == document.activeElement"):
                    view.keyboard.press("Tab")
                with view.expect_navigation():
                    view.keyboard.press("Enter")
                assert re.search(rf"lang={language}&decided=\d+#result$", view.url)
                result = view.get_by_role("status").inner_text()
                assert "2" in result
            link = view.get_by_role("status").get_by_role("link").first
            with view.expect_download() as download:
                link.press("Enter")
            receipt: Any = json.loads(download.value.path().read_text())
            assert receipt["pii_processing"]["language"] == language
        browser.close()
