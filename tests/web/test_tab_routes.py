"""The script views of one tab, shown to a visitor without the cookie by the tokens that the tab remembers."""

import json
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jsonschema
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from support.browsers import CHROMIUM, needs_chromium
from support.running_server import SAME_ORIGIN, SETTINGS, SITE, Answer, RunningServer, start_server
from support.site import FIREFOX, Site, wait_until
from support.templates import make_once

MINE, OTHERS = ("mine0-mine0-mine0", "mine1-mine1-mine1"), ("others-others-others",)
PAGE = (
    '<!doctype html><html lang="en"><title>page</title><script defer src="/avowal.js"></script><body><p>words'
)
FORM = {**SAME_ORIGIN, "Content-Type": "application/x-www-form-urlencoded"}
UNDECLARED = re.compile(r'\[\[cookie\]\]\nname = "avowal-views"\n(.+\n)+')


@make_once
def site_with_script_views(folder: Path) -> Site:
    """Make a site with two visitors at one address with one browser, who share a daily key."""
    site = Site(folder).init(settings=SETTINGS)
    with start_server(site) as running_server:
        for token in (*MINE, *OTHERS):
            assert (
                running_server.send_event(
                    script_view_token=token, url=f"https://{SITE}/of-{token[:5]}"
                ).status
                == 202
            )
        assert (
            len(
                {row["visitor_id"] for row in running_server.wait_for_rows("SELECT visitor_id FROM views", 3)}
            )
            == 1
        )
        running_server.stop()
    return site


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with start_server(site_with_script_views(tmp_path)) as running_server:
        yield running_server


def request_tab(
    server: RunningServer, *tokens: str, action: str = "", headers: dict[str, str] | None = None
) -> Answer:
    """Request the data of script views by their tokens, as a page of the site does."""
    body = urlencode({"script_views": " ".join(tokens)}).encode()
    return server.request("POST", f"/privacy/me/tab{action}", body, FORM if headers is None else headers)


def list_visitor_accesses(server: RunningServer) -> list[int]:
    """Return the number of records of each access by a visitor."""
    accesses = server.site.avowal("status", "--json").json()["visitor_accesses"]
    return [access["rows"] for access in accesses if access["reader"] == "visitor"]


def test_a_tab_shows_only_its_own_views(server: RunningServer) -> None:
    """Visitors with one daily key see only their own views; repeated accesses within a minute count once."""
    for _ in range(2):
        answer = request_tab(server, *MINE)
        page = answer.body.decode()
        assert (answer.status, answer.headers["cache-control"]) == (200, "private, no-store")
        assert "/of-mine0" in page
        assert "/of-mine1" in page
        assert "/of-other" not in page
    assert list_visitor_accesses(server) == [2]
    answer = request_tab(server, *MINE, action="/export")
    lines = [json.loads(line) for line in answer.body.splitlines()]
    schema = jsonschema.Draft202012Validator(server.site.avowal("visitor", "schema").json())
    assert [error.message for row in lines for error in schema.iter_errors(row)] == []
    assert [row["page_path"] for row in lines[1:]] == ["/of-mine0", "/of-mine1"]
    (key,) = {row["visitor_id"] for row in server.wait_for_rows("SELECT visitor_id FROM views", 3)}
    assert key.encode() not in answer.body + request_tab(server, *MINE).body


def test_unknown_tokens_show_nothing(server: RunningServer) -> None:
    """Guessed or malformed tokens and requests of other sites show nothing and count as no access."""
    for guess in (("guess-guess-guess",), ("mine0-mine0-mine",), ("MINE0-MINE0-MINE0",)):
        answer = request_tab(server, *guess)
        assert (answer.status, b"We hold no data about the page views" in answer.body) == (200, True)
    for nothing in ((), ("short",), ("'; DROP",)):
        assert request_tab(server, *nothing).status == 403
    for headers in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        for action in ("", "/export", "/erasure"):
            assert request_tab(server, *MINE, action=action, headers=headers).status == 403
    assert (
        request_tab(server, *("x" * 40 for _ in range(1000))).status == 403
    )  # longer than any tab remembers
    for path in ("/privacy/me/tab", f"/privacy/me/tab?{urlencode({'views': MINE[0]})}"):
        assert server.request("GET", path, headers=SAME_ORIGIN).status == 405
    assert request_tab(server, "guess-guess-guess", action="/erasure").status == 404
    assert request_tab(server, "guess-guess-guess", action="/export").status == 404
    assert list_visitor_accesses(server) == []


def test_script_views_of_other_hosts_of_the_site_are_shown(tmp_path: Path) -> None:
    """A tab shows script views of every host of the site, whatever host the request names."""
    with start_server(
        Site(tmp_path).init(settings='[site]\nhost = "site.example"\nother_hosts = ["www.site.example"]\n')
    ) as running_server:
        assert (
            running_server.send_event(script_view_token=MINE[0], url="https://www.site.example/of-www").status
            == 202
        )
        running_server.wait_for_rows("SELECT page_path FROM views", 1)
        assert b"/of-www" in request_tab(running_server, MINE[0]).body
        assert (
            b"/of-www" in request_tab(running_server, MINE[0], headers={**FORM, "Host": "evil.example"}).body
        )


def test_a_tab_erases_its_views(server: RunningServer, tmp_path: Path) -> None:
    """An erasure has a valid receipt and leaves other visitors' views; repeating it finds nothing."""
    assert (
        request_tab(server, MINE[0], action="/erasure", headers={"Sec-Fetch-Site": "same-site"}).status == 403
    )
    answer = request_tab(server, *MINE, action="/erasure")
    assert answer.json()["erased"]["script_views"] == 2
    receipt = tmp_path / "receipt.json"
    receipt.write_bytes(answer.body)
    key = server.site.avowal("ledger", "key").out.strip()
    assert server.site.avowal("verify", receipt, "--key", key).status == 0
    for action, status in (("", 200), ("/export", 404), ("/erasure", 404)):
        replayed = request_tab(server, *MINE, action=action)
        assert (replayed.status, b"/of-mine" in replayed.body) == (status, False)
    assert [row["page_path"] for row in server.wait_for_rows("SELECT page_path FROM views", 1)] == [
        "/of-other"
    ]
    assert server.wait_for_rows("SELECT views FROM visits", 1) == [{"views": 1}]
    assert b"/of-other" in request_tab(server, *OTHERS).body
    wait_until(lambda: server.site.avowal("verify").status == 0, "all to hold")


def test_views_in_the_journal_are_shown_and_erased(server: RunningServer) -> None:
    """Events that are still in a journal are shown and erased too."""
    assert server.send_event(script_view_token="later-later-later", url=f"https://{SITE}/later").status == 202
    assert b"/later" in request_tab(server, "later-later-later").body
    assert server.send_event(script_view_token="later-later-last1", url=f"https://{SITE}/later").status == 202
    assert request_tab(server, "later-later-last1", action="/erasure").json()["erased"]["script_views"] == 1
    server.wait_for_rows("SELECT page_path FROM views", 4)


def test_a_tab_remembers_nothing_undeclared(tmp_path: Path) -> None:
    """The script has no code for the tokens unless the terms declare their name."""
    site = Site(tmp_path)
    site.init(settings=SETTINGS)
    terms = site.folder / "policy" / "terms.toml"
    terms.write_text(UNDECLARED.sub("", terms.read_text()))
    with start_server(site) as running_server:
        for path in ("/avowal.js", "/avowal.source.js"):
            assert b"sessionStorage" not in running_server.request("GET", path).body


@pytest.fixture
def own_host(tmp_path: Path) -> Iterator[RunningServer]:
    with start_server(Site(tmp_path).init(settings='[site]\nhost = "127.0.0.1"\n')) as running_server:
        yield running_server


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def visit_pages(server: RunningServer, context: BrowserContext, *paths: str) -> Page:
    """Visit pages of the site in one tab, then the visitor's page."""
    base = f"http://127.0.0.1:{server.port}"
    context.route(f"{base}/page/*", lambda route: route.fulfill(body=PAGE, content_type="text/html"))
    view = context.new_page()
    for path in paths:
        with view.expect_request("**/collect"):
            view.goto(f"{base}/page/{path}")
    view.goto(f"{base}/privacy/me")
    return view


@needs_chromium
def test_a_visitor_without_the_cookie_sees_and_erases_their_tab(
    own_host: RunningServer, browser: Browser
) -> None:
    """In a real browser, each tab shows and erases its own views by keyboard, and the page passes axe-core."""
    rules = (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    with browser.new_context(user_agent=FIREFOX, bypass_csp=True) as context:
        first, second = visit_pages(own_host, context, "one", "two"), visit_pages(own_host, context, "three")
        for view, own_paths, other_paths in (
            (first, ("one", "two"), ("three",)),
            (second, ("three",), ("one", "two")),
        ):
            view.get_by_role("button", name="Show the data about this tab's views").press("Enter")
            view.wait_for_url("**/privacy/me/tab*")
            text = view.locator("main").inner_text()
            assert all(f"/page/{path}" in text for path in own_paths)
            assert not any(f"/page/{path}" in text for path in other_paths)
        for width in (320, 1920):
            first.set_viewport_size({"width": width, "height": 800})
            assert first.evaluate("document.documentElement.scrollWidth") <= width
        first.evaluate(rules)
        assert first.evaluate("axe.run()")["violations"] == []
        first.get_by_role("checkbox").press("Space")
        first.get_by_role("button", name="Delete my data").press("Enter")
        first.get_by_role("heading", name="Your data was deleted").wait_for()
        with first.expect_download() as download:
            first.get_by_role("link", name="Save the receipt").press("Enter")
        receipt: Any = json.loads(download.value.path().read_text())
        assert receipt["erased"]["script_views"] == 2
        first.wait_for_function("sessionStorage.length == 0")
        assert second.evaluate("Object.keys(sessionStorage)") == ["avowal-views"]
        own_host.wait_for_rows("SELECT page_path FROM views", 1)


@needs_chromium
@pytest.mark.parametrize("objects", [False, True])
def test_a_tab_forgets_its_views_on_request(own_host: RunningServer, browser: Browser, objects: bool) -> None:
    """A tab remembers nothing if the browser objects, and forgets its views when the visitor asks."""
    with browser.new_context(user_agent=FIREFOX) as context:
        if objects:
            context.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})")
        view = visit_pages(own_host, context, "one")
        storage_keys = view.evaluate("Object.keys(sessionStorage).concat(Object.keys(localStorage))")
        assert storage_keys == ([] if objects else ["avowal-views"])
        forget = view.get_by_role("button", name="Let this tab forget them")
        assert forget.count() == (0 if objects else 1)
        if not objects:
            forget.press("Enter")
            assert view.evaluate("sessionStorage.length") == 0
            assert not forget.is_visible()
