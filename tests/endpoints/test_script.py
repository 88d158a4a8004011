"""The script in a real Chromium, on pages whose content security policy permits little."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

from support.browsers import CHROMIUM, needs_chromium
from support.manual import read_snippet
from support.running_server import RunningServer, publish_version, site_in_three_languages, start_server
from support.site import CHROME, Site

pytestmark = needs_chromium

PAGE = """<!doctype html><html lang="en"><title>page</title><body><p>words <button data-avowal-event="pressed">press</button>
<script defer nonce="fixed" src="/avowal.js"></script>"""
DECLARED = (
    "[duties]\n",
    (
        '[[collect]]\ncategories = ["interaction", "page-quality"]\nkeep = { full = "30 days" }\n'
        'for = ["content", "performance", "availability", "abuse"]\n\n[duties]\n'
    ),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    site = site_in_three_languages(Site(tmp_path_factory.mktemp("site")), DECLARED)
    publish_version(site, 45)
    with start_server(site) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def open_page(server: RunningServer, browser: Browser, policy: str) -> tuple[Page, list[str]]:
    """Open a page under a content security policy; returns it, and the texts that its console gets."""

    def fulfil(route: Route) -> None:
        headers = {"Content-Security-Policy": policy, "Content-Type": "text/html"}
        route.fulfill(status=200, headers=headers, body=PAGE)

    page, texts = browser.new_context(user_agent=CHROME).new_page(), []
    page.on("console", lambda message: texts.append(message.text))
    page.on("pageerror", lambda error: texts.append(str(error)))
    page.route("**/page", fulfil)
    page.goto(f"http://127.0.0.1:{server.port}/page")
    return page, texts


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param("", id="none"),
        pytest.param("default-src 'none'; script-src 'self'; connect-src 'self'", id="own-host"),
        pytest.param("require-trusted-types-for 'script'", id="trusted-types"),
        pytest.param("require-trusted-types-for 'script'; trusted-types 'none'", id="no-trusted-types"),
        pytest.param("default-src 'none'; script-src 'nonce-fixed'; connect-src 'self'", id="nonce"),
        pytest.param(
            "default-src 'none'; script-src 'nonce-fixed' 'strict-dynamic'; connect-src 'self'; "
            "require-trusted-types-for 'script'; trusted-types",
            id="nonce-and-trusted-types",
        ),
    ],
)
def test_the_whole_script_works_under_strict_policies(
    server: RunningServer, browser: Browser, policy: str
) -> None:
    """The view, its details, an event and the notice arrive, and the page reports no violation."""
    page, texts = open_page(server, browser, policy)
    page.locator("#avowal-notice").wait_for()
    assert page.evaluate("getComputedStyle(document.querySelector('#avowal-notice')).display") == "flex"
    assert page.evaluate("'cumulative_layout_shift' in avowal.details")
    with page.expect_request(lambda sent: "event_name" in (sent.post_data or "")) as request:
        page.get_by_role("button", name="press").click()
    assert json.loads(request.value.post_data or "")["details"]["event_name"] == "pressed"
    assert texts == []
    page.context.close()


def test_the_documented_policy_permits_the_script(server: RunningServer, browser: Browser) -> None:
    """The policy in the documentation permits all that the script does."""
    snippet = read_snippet("#### Content Security Policy", "pages without scripts:").strip()
    name, _, policy = snippet.partition(": ")
    assert name == "Content-Security-Policy"
    page, texts = open_page(server, browser, policy)
    page.locator("#avowal-notice").wait_for()
    assert texts == []
    page.context.close()


def test_a_script_with_a_notice_is_not_cached(server: RunningServer) -> None:
    """A browser asks for a script with a notice each time, and learns by its tag that it is the same."""
    answer = server.request("GET", "/avowal.js")
    assert answer.headers["cache-control"] == "no-cache"
    assert (
        server.request("GET", "/avowal.js", headers={"If-None-Match": answer.headers["etag"]}).status == 304
    )
