"""`/privacy/check`: a browser checks receipts and proofs by itself, and says the same of them as `avowal verify`."""

import json
import re
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from avowal.change.consent_receipt import check_consent_receipt as check_consent
from avowal.errors import InvalidInputError, ProofError
from avowal.ledger.note import Verifier
from avowal.register.erasures import check_erasure_receipt as check_erasure
from avowal.register.releases import check_release_receipt as check_release
from support.browsers import CHROMIUM, needs_chromium
from support.served import ANN, BEN, OWN, SITE, Served, changed, cookie, in_browser, served, translated
from support.site import Site

pytestmark = needs_chromium
DISCLOSE = (
    "disclose",
    "--ground",
    "fraud-or-misuse",
    "--recipient",
    "cert@example.net",
    "--reference",
    "case 12",
)
HOLDS, ENTRY = "It holds: the ledger has this entry, and", "It holds: the ledger has this entry."
SIGNATURE, TREE = "it is not signed by the ledger", "its proof does not lead to"
DIFFERS, NONE = "the receipt says something else", "This is no receipt and no proof."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve a site of three languages; of two visitors something was released, and one consented."""
    made = Site(tmp_path_factory.mktemp("site"))
    looks_too = '["ip-address", "request-time", "method"', '["ip-address", "view", "request-time", "method"'
    site = translated(made, ("notice-days = 30", "notice-days = 0"), looks_too)
    with served(site) as it:
        for number, who in enumerate((ANN, "carcarcarcarcarcarcarc", BEN)):
            look = f"{number}bcdefghij0123456789"
            place = f"https://{SITE}/{'other' if number == 1 else 'case'}"
            assert it.tell(cookie(who), script_view_token=look, url=place).status == 202
        it.kept("SELECT page_path FROM views", 3)
        rows = ("--rows", "script_views WHERE page_path = '/case'", "--categories", "ip-address")
        ran = site.avowal(*DISCLOSE, "--contact", "cert@example.net", *rows, "--package", "case.zip")
        assert ran.status == 0, ran.err
        changed(site, 0, 9)
        page = it.ask("GET", "/privacy/me", headers=cookie(ANN)).body.decode()
        (identity,) = re.findall(r"/privacy/me/consent/([0-9a-f]{64})", page)
        assert it.ask("POST", f"/privacy/me/consent/{identity}", headers=cookie(ANN, **OWN)).status == 303
        yield it


@pytest.fixture(scope="module")
def receipts(server: Served) -> dict[str, str]:
    """Return what visitors were handed out, and a proof."""
    page = server.ask("GET", "/privacy/me", headers=cookie(ANN)).body.decode()
    found = {}
    for name, entry in zip(
        ("release", "consent"), re.findall(r"/privacy/me/receipts/(\d+)", page), strict=True
    ):
        found[name] = server.ask(
            "GET", f"/privacy/me/receipts/{entry}", headers=cookie(ANN, **OWN)
        ).body.decode()
    found["erasure"] = server.ask("POST", "/privacy/me/erasure", headers=cookie(BEN, **OWN)).body.decode()
    found["proof"] = server.site.avowal("ledger", "prove", "0").out
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def context(server: Served, browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context(base_url=f"http://127.0.0.1:{server.port}") as made:
        yield made


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    view = context.new_page()
    view.goto("/privacy/check")
    yield view
    view.close()


def said(page: Page, text: str, key: str = "") -> str:
    """Check a text, and return the one sentence that the page says of it."""
    page.evaluate("document.getElementById('found').hidden = true")
    page.locator("#text").fill(text)
    if key:
        page.locator("#key").fill(key)
    page.locator("button").click()
    page.locator("#found").wait_for()
    (sentence,) = [line.inner_text() for line in page.locator("#found [data-result]:visible").all()]
    return sentence


@pytest.mark.parametrize("kind", ["consent", "release", "erasure", "proof"])
def test_what_was_handed_out_holds(page: Page, receipts: dict[str, str], kind: str) -> None:
    """The entry is shown; nothing is asked of the server, and another ledger's key is not this one's."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    assert said(page, receipts[kind]).startswith(ENTRY if kind == "proof" else HOLDS)
    entry = page.locator("dl").inner_text()
    assert {"proof": "version-published", "erasure": "erasure-done"}.get(kind, kind) in entry
    other = "avowal/223e6acd+1ce39118+AflIOKDz8CL0yOZZFP1LXXHHISuWFlNHq7UfAAAAAAAA"
    assert "This is no public key" in said(page, receipts[kind], other)
    assert asked == []


CHECKS: dict[str, Callable[[str, Verifier], object]] = {
    "consent": check_consent,
    "release": check_release,
    "erasure": check_erasure,
}


def changes(text: str) -> Iterator[tuple[str, str]]:
    """Yield a receipt with something else in each of its places, with the place."""

    def walk(node: Any, set_in: Callable[[Any], None], path: str) -> Iterator[str]:
        if isinstance(node, dict | list):
            pairs = node.items() if isinstance(node, dict) else enumerate(node)
            for name, value in list(pairs):
                yield from walk(value, lambda new, name=name: node.__setitem__(name, new), f"{path}/{name}")  # type: ignore[misc]
            return
        other = node + 1 if isinstance(node, int) else f"{node}x" if not node else _turned(node)
        set_in(other)
        yield path
        set_in(node)

    told = json.loads(text)
    for path in walk(told, lambda _: None, ""):
        if not path.startswith("/schema"):  # which says what it is, and who checks
            yield path, json.dumps(told)


def _turned(text: str) -> str:
    """Return a text with its middle character exchanged for another of its kind."""
    place = len(text) // 2
    new = "1" if text[place] == "0" else "0" if text[place].isdigit() else "b" if text[place] == "a" else "a"
    return text[:place] + new + text[place + 1 :]


@pytest.mark.parametrize("kind", ["consent", "release", "erasure"])
def test_what_was_changed_does_not_hold(
    page: Page, server: Served, receipts: dict[str, str], kind: str
) -> None:
    """In any place: the page says so wherever `avowal verify` does, and of nothing else."""
    key, found = Verifier.parse(server.site.avowal("ledger", "key").out), []
    for place, text in changes(receipts[kind]):
        holds = True
        try:
            CHECKS[kind](text, key)
        except (ProofError, InvalidInputError):
            holds = False
        assert said(page, text).startswith(HOLDS) is holds, place
        found.append(holds)
    assert found.count(False) > 5


def test_what_is_wrong_is_named(page: Page, receipts: dict[str, str]) -> None:
    """By what it is; whatever is no receipt is told to be none."""
    told = json.loads(receipts["consent"])
    written = told["proof"]["tlog_proof"]

    def with_proof(proof: str) -> str:
        return json.dumps({**told, "proof": {**told["proof"], "tlog_proof": proof}})

    index = re.search(r"index (\d+)", written)
    assert index
    assert TREE in said(page, with_proof(written.replace(index[0], f"index {int(index[1]) - 1}")))
    signature = written.rstrip()[-20:]
    assert SIGNATURE in said(page, with_proof(written.replace(signature, _turned(signature))))
    size = re.search(r"\n\n(\S+)\n(\d+)\n", written)
    assert size
    assert SIGNATURE in said(
        page, with_proof(written.replace(size[0], f"\n\n{size[1]}\n{int(size[2]) + 1}\n"))
    )
    assert DIFFERS in said(page, json.dumps({**told, "pii_principal_id": "0" * 16}))
    for none in (
        "",
        "{",
        "[]",
        "null",
        "1",
        '{"proof": 1}',
        "c2sp.org/tlog-proof@v1\nnothing",
        with_proof("x"),
    ):
        assert NONE in said(page, none), none
    assert "This is no public key" in said(page, receipts["proof"], "key")


def test_a_visitor_checks_from_their_own_page(server: Served, context: BrowserContext) -> None:
    """With one press of a key; whoever has no such receipt is told so. A file does as well as a text."""
    view = context.new_page()
    view.goto("/privacy/check?entry=99")
    view.get_by_text("There is no receipt of that number").wait_for()
    context.add_cookies([in_browser(ANN)])
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
def test_it_is_for_everybody(
    server: Served, browser: Browser, receipts: dict[str, str], language: str, title: str, scheme: Any
) -> None:
    """In each language and width, without violations of axe-core's rules; without scripts it says what does the same."""
    rules = (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    place = f"http://127.0.0.1:{server.port}/privacy/check"
    with browser.new_context(bypass_csp=True, locale=language, color_scheme=scheme) as context:
        view = context.new_page()
        view.goto(place)
        assert view.locator("h1").inner_text() == title
        said(view, receipts["consent"])
        view.evaluate(rules)
        assert view.evaluate("axe.run()")["violations"] == []
        for width in (320, 768, 1920):
            view.set_viewport_size({"width": width, "height": 800})
            assert view.evaluate("document.documentElement.scrollWidth") <= width
    with browser.new_context(java_script_enabled=False) as context:
        view = context.new_page()
        view.goto(place)
        assert "avowal verify" in view.locator("main").inner_text()
