"""`/privacy/check`: a browser checks receipts and proofs with the same results as `avowal verify`."""

import json
import re
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from avowal.change.consent_receipt import check_consent_receipt
from avowal.errors import InvalidInputError, ProofError
from avowal.ledger.note import Verifier
from avowal.register.erasures import check_erasure_receipt
from avowal.register.releases import check_release_receipt
from support.browsers import CHROMIUM, needs_chromium
from support.depth import by_depth
from support.receipts import change_middle_character, yield_receipt_changes
from support.running_server import (
    ANN,
    BEN,
    NEW,
    SAME_ORIGIN,
    SITE,
    RunningServer,
    browser_cookie,
    cookie_headers,
    publish_version,
    site_in_three_languages,
    start_server,
)
from support.site import Site

pytestmark = needs_chromium
DISCLOSE = (
    "disclose",
    "--ground",
    "fraud-or-misuse",
    "--recipient",
    "cert@example.net",
    "--reference",
)
HOLDS, ENTRY = "Valid: this receipt matches the public log.", "Valid: the public log has this entry."
SIGNATURE, TREE = "it is not signed with this key", "its proof does not lead to"
DIFFERS, NONE = "the receipt does not match its entry", "This is not a receipt or a proof."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Serve a site of three languages with a release of two visitors' records, one of another's, and a consent."""
    empty_site = Site(tmp_path_factory.mktemp("site"))
    with_views = '["ip-address", "request-time", "method"', '["ip-address", "view", "request-time", "method"'
    site = site_in_three_languages(empty_site, ("notice-days = 30", "notice-days = 0"), with_views)
    with start_server(site) as server:
        for number, visitor in enumerate((ANN, NEW, BEN)):
            token = f"{number}bcdefghij0123456789"
            url = f"https://{SITE}/{'other' if number == 1 else 'case'}"
            assert server.send_event(cookie_headers(visitor), script_view_token=token, url=url).status == 202
        server.wait_for_rows("SELECT page_path FROM views", 3)
        for name in ("case", "other"):
            rows = ("--rows", f"script_views WHERE page_path = '/{name}'", "--categories", "ip-address")
            package = ("--package", f"{name}.zip")
            result = site.avowal(*DISCLOSE, name, "--contact", "cert@example.net", *rows, *package)
            assert result.status == 0, result.err
        publish_version(site, 0, 9)
        page = server.request("GET", "/privacy/me", headers=cookie_headers(ANN)).body.decode()
        (identity,) = re.findall(r"/privacy/me/consent/([0-9a-f]{64})", page)
        assert (
            server.request(
                "POST", f"/privacy/me/consent/{identity}", headers=cookie_headers(ANN, **SAME_ORIGIN)
            ).status
            == 303
        )
        yield server


@pytest.fixture(scope="module")
def receipts(server: RunningServer) -> dict[str, str]:
    """Return a receipt of each kind, and a proof."""
    texts = {}
    for visitor, kinds in ((ANN, ("release", "consent")), (NEW, ("release of one visitor",))):
        page = server.request("GET", "/privacy/me", headers=cookie_headers(visitor)).body.decode()
        for kind, path in zip(kinds, re.findall(r"/privacy/me/receipts/\d+", page), strict=True):
            headers = cookie_headers(visitor, **SAME_ORIGIN)
            texts[kind] = server.request("GET", path, headers=headers).body.decode()
    texts["erasure"] = server.request(
        "POST", "/privacy/me/erasure", headers=cookie_headers(BEN, **SAME_ORIGIN)
    ).body.decode()
    texts["proof"] = server.site.avowal("ledger", "prove", "0").out
    return texts


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def context(server: RunningServer, browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context(base_url=f"http://127.0.0.1:{server.port}") as context:
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    view = context.new_page()
    view.goto("/privacy/check")
    yield view
    view.close()


def check_text(page: Page, text: str, key: str = "") -> str:
    """Check a text on the page; returns the only sentence of the result."""
    page.evaluate("document.getElementById('found').hidden = true")
    page.locator("#text").fill(text)
    if key:
        page.locator("#key").fill(key)
    page.locator("button").click()
    page.locator("#found").wait_for()
    (sentence,) = [line.inner_text() for line in page.locator("#found [data-result]:visible").all()]
    return sentence


@pytest.mark.parametrize("kind", ["consent", "release", "release of one visitor", "erasure", "proof"])
def test_a_valid_receipt_or_proof_passes(page: Page, receipts: dict[str, str], kind: str) -> None:
    """The page shows the entry and sends no request; the key of another ledger is refused."""
    requested_urls: list[str] = []
    page.on("request", lambda request: requested_urls.append(request.url))
    assert check_text(page, receipts[kind]).startswith(ENTRY if kind == "proof" else HOLDS)
    entry = page.locator("dl").inner_text()
    assert {"proof": "version-published", "erasure": "erasure-done"}.get(
        kind, kind.partition(" ")[0]
    ) in entry
    other = "avowal/223e6acd+1ce39118+AflIOKDz8CL0yOZZFP1LXXHHISuWFlNHq7UfAAAAAAAA"
    assert "This is not the public key" in check_text(page, receipts[kind], other)
    assert requested_urls == []


CHECK_ALL = """async (texts) => {
  const found = document.getElementById("found"), sentences = [];
  for (const text of texts) {
    found.hidden = true;
    document.getElementById("text").value = text;
    document.querySelector("button").click();
    while (found.hidden) await new Promise((resolve) => setTimeout(resolve));
    const [shown] = [...found.querySelectorAll("[data-result]")].filter((line) => line.offsetParent);
    sentences.push(shown.innerText);
  }
  return sentences;
}"""
"""Checks texts on the page one after the other; returns the sentence of each result."""

PAGE_CHANGES = by_depth(standard=200, thorough=10_000)
"""About how many changes of each receipt are checked on the page."""

CHECKS: dict[str, Callable[[str, Verifier], object]] = {
    "consent": check_consent_receipt,
    "release": check_release_receipt,
    "release of one visitor": check_release_receipt,
    "erasure": check_erasure_receipt,
}


@pytest.mark.parametrize("kind", ["consent", "release", "release of one visitor", "erasure"])
def test_a_changed_receipt_fails_as_in_verify(
    page: Page, server: RunningServer, receipts: dict[str, str], kind: str
) -> None:
    """Any change of a receipt fails on the page and with `avowal verify`."""
    key = Verifier.parse(server.site.avowal("ledger", "key").out)
    CHECKS[kind](receipts[kind], key)
    changes, texts = zip(*yield_receipt_changes(receipts[kind]), strict=True)
    for text in texts:
        with pytest.raises((ProofError, InvalidInputError)):
            CHECKS[kind](text, key)
    step = len(texts) // PAGE_CHANGES + 1
    sentences = page.evaluate(CHECK_ALL, texts[::step])
    results = zip(changes[::step], sentences, strict=True)
    assert [change for change, sentence in results if sentence.startswith(HOLDS)] == []


def test_an_error_is_named(page: Page, receipts: dict[str, str]) -> None:
    """The page names which check of a receipt failed, or that a text is no receipt."""
    receipt = json.loads(receipts["consent"])
    proof_text = receipt["proof"]["tlog_proof"]

    def with_proof(proof: str) -> str:
        return json.dumps({**receipt, "proof": {**receipt["proof"], "tlog_proof": proof}})

    index = re.search(r"index (\d+)", proof_text)
    assert index
    assert TREE in check_text(page, with_proof(proof_text.replace(index[0], f"index {int(index[1]) - 1}")))
    signature = proof_text.rstrip()[-20:]
    assert SIGNATURE in check_text(
        page, with_proof(proof_text.replace(signature, change_middle_character(signature)))
    )
    size = re.search(r"\n\n(\S+)\n(\d+)\n", proof_text)
    assert size
    assert SIGNATURE in check_text(
        page, with_proof(proof_text.replace(size[0], f"\n\n{size[1]}\n{int(size[2]) + 1}\n"))
    )
    assert DIFFERS in check_text(page, json.dumps({**receipt, "pii_principal_id": "0" * 16}))
    for invalid in (
        "",
        "{",
        "[]",
        "null",
        "1",
        '{"proof": 1}',
        "c2sp.org/tlog-proof@v1\nnothing",
        with_proof("x"),
    ):
        assert NONE in check_text(page, invalid), invalid
    assert "This is not the public key" in check_text(page, receipts["proof"], "key")


def test_a_visitor_checks_a_receipt_from_their_page(server: RunningServer, context: BrowserContext) -> None:
    """A visitor checks a receipt from their page with one key press, and a proof from a file."""
    view = context.new_page()
    view.goto("/privacy/check?entry=99")
    view.get_by_text("You have no receipt with this number").wait_for()
    context.add_cookies([browser_cookie(ANN)])
    view.goto("/privacy/me")
    view.get_by_role("link", name="Check the receipt: Consent to version 2").press("Enter")
    view.get_by_text(HOLDS).wait_for()
    assert view.evaluate("document.activeElement.id") == "found"
    view.locator("#file").set_input_files(
        {
            "name": "proof.txt",
            "mimeType": "text/plain",
            "buffer": server.site.avowal("ledger", "prove", "1").out.encode(),
        }
    )
    view.locator("button").press("Enter")
    view.locator("[data-result=proof]:visible").wait_for()
    context.clear_cookies()
    view.close()


@pytest.mark.parametrize(
    ("language", "title", "scheme"),
    [
        ("en", "Check a receipt", "dark"),
        ("pt-BR", "Conferir um recibo", "light"),
        ("zh-TW", "檢驗收據", "dark"),
    ],
)
def test_the_page_is_accessible(
    server: RunningServer, browser: Browser, receipts: dict[str, str], language: str, title: str, scheme: Any
) -> None:
    """The page passes axe-core in each language and width, and names the command if scripts are off."""
    rules = (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    url = f"http://127.0.0.1:{server.port}/privacy/check"
    with browser.new_context(bypass_csp=True, locale=language, color_scheme=scheme) as context:
        view = context.new_page()
        view.goto(url)
        assert view.locator("h1").inner_text() == title
        check_text(view, receipts["consent"])
        view.evaluate(rules)
        assert view.evaluate("axe.run()")["violations"] == []
        for width in (320, 768, 1920):
            view.set_viewport_size({"width": width, "height": 800})
            assert view.evaluate("document.documentElement.scrollWidth") <= width
    with browser.new_context(java_script_enabled=False) as context:
        view = context.new_page()
        view.goto(url)
        assert "avowal verify" in view.locator("main").inner_text()
