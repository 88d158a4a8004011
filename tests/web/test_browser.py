"""The script in a real Chromium, on a site behind a real nginx: what a visitor does is what is kept."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, Route, sync_playwright

from support.browsers import CHROMIUM, NGINX, SCRIPTED_PAGE, needs_chromium_and_nginx
from support.served import Served, free_port, served
from support.site import CHROME, Site, wait_until

pytestmark = needs_chromium_and_nginx

CONFIG = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log; worker_rlimit_nofile 256;
events {{ worker_connections 64; }}
http {{
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi; types {{ text/html html; }}
    access_log {folder}/access.log combined;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/pages;
        location ~ ^/(avowal|collect|pixel) {{
            proxy_pass http://127.0.0.1:{behind};
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
        }}
        location / {{ try_files $uri $uri.html $uri/index.html /app.html; add_header Cache-Control no-cache; }}
    }}
}}
"""


HIDE = """hidden => {
    Object.defineProperty(document, 'visibilityState', {value: hidden ? 'hidden' : 'visible', configurable: true});
    document.dispatchEvent(new Event('visibilitychange'));
}"""


@dataclass
class World:
    """A site: its pages behind nginx, the server behind it, and a browser before it."""

    server: Served
    port: int
    browser: Browser
    folder: Path

    def url(self, path: str) -> str:
        """Return the address of a page."""
        return f"http://127.0.0.1:{self.port}{path}"

    def view(self, path: str) -> dict[str, Any]:
        """Return the one view of a page, once it is kept and its page told the last of it."""
        sql = f"SELECT * FROM views WHERE page_path = '{path}'"
        return self.server.kept(sql, 1)[0]

    def seen(self, path: str, at_least: float) -> float:
        """Return for how many seconds a page was seen, once it is as many as it has to be at least."""
        found = 0.0

        def enough() -> bool:
            nonlocal found
            found = (self.view(path)["view_duration_ms"] or 0) / 1_000
            return found >= at_least - SLACK

        try:
            wait_until(enough, f"{path} was seen for {at_least} s")
        except AssertionError as late:
            raise AssertionError(f"{late}, but {found} s") from None
        return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    pages = folder / "pages"
    pages.mkdir()
    (pages / "app.html").write_text(SCRIPTED_PAGE)
    with (
        served(Site(tmp_path_factory.mktemp("site")).init(settings='[site]\nhost = "127.0.0.1"\n')) as server,
        proxied(folder, server.port) as port,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield World(server, port, browser, folder)
        browser.close()


@dataclass
class Clock:
    """Tells how long something may have been seen: no longer than it took, however slow the machine is."""

    began: float = field(default_factory=time.monotonic)
    ended: float = 0.0

    def close(self, page: Page) -> None:
        """Close a page as its visitor does, and stop."""
        page.close(run_before_unload=True)
        self.ended = time.monotonic()

    def allows(self, seen: float, at_least: float, *, besides: float = 0.0) -> bool:
        """Return whether something was seen for `at_least` so many seconds, and `besides` others not seen at all."""
        most = (self.ended or time.monotonic()) - self.began - besides
        assert at_least - SLACK <= seen <= most + SLACK, (at_least, seen, most)
        return True


SLACK = 0.05
"""By how much the browser's clock and ours may differ, in seconds."""


@contextmanager
def proxied(folder: Path, behind: int) -> Iterator[int]:
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(folder=folder, port=port, behind=behind))
    process = subprocess.Popen([NGINX, "-e", str(folder / "error.log"), "-c", str(config)])
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def context(world: World) -> Iterator[BrowserContext]:
    context = world.browser.new_context(user_agent=CHROME)  # its own says that it is a robot
    yield context
    context.close()


def focused_alone(page: Page) -> CDPSession:
    """Let a page be in focus only while it is in front, as long as the session lasts: automation has all think so."""
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setFocusEmulationEnabled", {"enabled": False})
    return session


def test_a_second_seen_is_a_second(world: World, context: BrowserContext) -> None:
    """What is looked at for a second has a view of that duration."""
    page = context.new_page()
    clock = Clock()
    page.goto(world.url("/second"))
    page.wait_for_timeout(1_000)
    clock.close(page)
    assert clock.allows(world.seen("/second", 1.0), 1.0)


def test_time_out_of_focus_does_not_count(world: World, context: BrowserContext) -> None:
    """Neither while another tab is in front, nor while the page is hidden; several tabs have views of their own."""
    page = context.new_page()
    clock = Clock()
    page.goto(world.url("/in-front"))
    sessions = [focused_alone(page)]
    page.wait_for_timeout(700)
    other = context.new_page()
    other.goto(world.url("/other-tab"))
    sessions.append(focused_alone(other))
    other.bring_to_front()
    other.wait_for_timeout(1_500)
    page.bring_to_front()
    page.wait_for_timeout(700)
    for session in sessions:
        session.detach()
    clock.close(page)
    assert clock.allows(world.seen("/in-front", 1.4), 1.4, besides=1.5)
    assert clock.allows(world.seen("/other-tab", 1.4), 1.4, besides=1.4)
    assert world.view("/in-front")["visitor_id"] == world.view("/other-tab")["visitor_id"]


def test_hidden_time_does_not_count(world: World, context: BrowserContext) -> None:
    """A page that is hidden, as by another window, is not looked at."""
    page = context.new_page()
    clock = Clock()
    page.goto(world.url("/hidden"))
    page.wait_for_timeout(600)
    page.evaluate(HIDE, arg=True)
    assert clock.allows(world.seen("/hidden", 0.6), 0.6)
    page.wait_for_timeout(1_000)
    page.evaluate(HIDE, arg=False)
    page.wait_for_timeout(600)
    clock.close(page)
    assert clock.allows(world.seen("/hidden", 1.2), 1.2, besides=1.0)


def test_a_page_opened_in_the_background_is_no_view_until_it_is_seen(
    world: World, context: BrowserContext
) -> None:
    """And then it is one, from that moment."""
    page = context.new_page()
    page.add_init_script(
        "Object.defineProperty(document, 'visibilityState', {value: 'hidden', configurable: true})"
    )
    page.goto(world.url("/background"))
    page.wait_for_timeout(500)
    sql = "SELECT 1 FROM script_views WHERE page_path = '/background'"
    time.sleep(1)  # longer than loading takes
    world.server.kept(sql, 0)
    page.evaluate(
        "Object.defineProperty(document, 'visibilityState', {value: 'visible', configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    world.server.kept(sql, 1)


def test_each_address_of_an_application_is_a_view(world: World, context: BrowserContext) -> None:
    """Moving within it, back and forward, by the address alone; a changed fragment is no move."""
    page = context.new_page()
    clock = Clock()
    page.goto(world.url("/app/one"))
    page.wait_for_timeout(500)
    page.evaluate("history.pushState({}, '', '/app/two')")
    page.wait_for_timeout(800)
    page.evaluate("location.hash = 'part'; history.replaceState({}, '', '/app/two#else')")
    page.wait_for_timeout(200)
    page.evaluate("history.pushState({}, '', '/app/three')")
    page.wait_for_timeout(300)
    clock.close(page)
    assert clock.allows(world.seen("/app/one", 0.5), 0.5, besides=1.3)
    assert clock.allows(world.seen("/app/two", 1.0), 1.0, besides=0.8)
    assert clock.allows(world.seen("/app/three", 0.3), 0.3, besides=1.5)
    assert world.view("/app/two")["referrer"] == world.url("/app/one")


@pytest.mark.parametrize("cached", [True, False])
def test_a_page_that_comes_back_is_looked_at_again(world: World, cached: bool) -> None:
    """Going back, from the browser's cache of whole pages or not, is a view of its own."""
    switch = "--disable-back-forward-cache"
    browser = world.browser.browser_type.launch(
        executable_path=CHROMIUM, args=["--no-sandbox"], ignore_default_args=[switch] if cached else []
    )
    page = browser.new_page(user_agent=CHROME)
    clock = Clock()
    page.goto(world.url(f"/back/{cached}"))
    page.evaluate("window.mark = 1")
    page.wait_for_timeout(400)
    page.goto(world.url("/back/second"))
    page.wait_for_timeout(400)
    page.go_back(wait_until="commit")
    page.wait_for_function(
        "document.readyState === 'complete'"
    )  # its script has begun, however slow the machine is
    page.wait_for_timeout(600)
    assert page.evaluate("window.mark === 1") is cached
    clock.close(page)
    sql = f"""
        SELECT view_duration_ms AS d FROM views
        WHERE page_path = '/back/{cached}' AND view_duration_ms > 0 ORDER BY view_time
    """
    first, again = (row["d"] for row in world.server.kept(sql, 2))
    browser.close()  # not before: a browser that ends takes along what its pages were still telling
    assert clock.allows(first / 1_000, 0.4, besides=1.0)
    assert clock.allows(again / 1_000, 0.5, besides=0.8)


def test_a_tab_that_is_killed_keeps_its_view(world: World) -> None:
    """What was told before stands: the view, and its time as of the last beat."""
    browser = world.browser.browser_type.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    page = browser.new_page(user_agent=CHROME)
    clock = Clock()
    page.route("**/avowal.js", beat_sooner)
    page.goto(world.url("/killed"))
    page.wait_for_timeout(2_500)  # past the first beat
    browser.new_browser_cdp_session().send("Browser.close")
    assert clock.allows(world.seen("/killed", 2.0), 2.0)


def beat_sooner(route: Route) -> None:
    """Serve the script with its first beat after 2 seconds, not after 15."""
    answer = route.fetch()
    assert "beat=15;" in answer.text()
    route.fulfill(response=answer, body=answer.text().replace("beat=15;", "beat=2;"))


def test_a_slow_network_loses_nothing(world: World, context: BrowserContext) -> None:
    """The page is measured from when it is seen, not from when what it told arrives."""
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 800, "downloadThroughput": 20_000, "uploadThroughput": 5_000},
    )
    clock = Clock()
    page.goto(world.url("/slow"))
    page.wait_for_timeout(1_000)
    page.evaluate(HIDE, arg=True)
    assert clock.allows(world.seen("/slow", 1.0), 1.0)


def test_without_javascript_there_is_a_view(world: World) -> None:
    """By its picture; nobody measures it, so its duration is not known."""
    context = world.browser.new_context(user_agent=CHROME, java_script_enabled=False)
    context.new_page().goto(world.url("/plain"))
    assert world.view("/plain")["view_duration_ms"] is None
    context.close()


def test_log_and_script_count_once(world: World, context: BrowserContext) -> None:
    """Nginx's log of the same pages adds no view; what only it has is shown apart."""
    page = context.new_page()
    clock = Clock()
    page.goto(world.url("/both"))
    page.wait_for_timeout(500)
    clock.close(page)
    assert clock.allows(world.seen("/both", 0.5), 0.5)
    before = world.server.kept("SELECT count(*) AS n FROM views", 1)[0]["n"]
    ran = world.server.site.avowal("import", world.folder / "access.log", "--json")
    assert ran.status == 0, ran.err
    assert ran.json()["counts"]["requests"] > 10
    assert world.server.kept("SELECT count(*) AS n FROM views", 1)[0]["n"] == before
    (told,) = world.server.site.report("coverage", "--filter", "page=/both")["tables"]["coverage"]
    assert told == {
        "host": "127.0.0.1",
        "script_views": 1,
        "log_views": 1,
        "matched_views": 1,
        "script_only_views": 0,
        "log_only_views": 0,
    }
    (within,) = world.server.site.report("coverage", "--filter", "page=/app/two")["tables"]["coverage"]
    assert (within["script_only_views"], within["log_views"]) == (1, 0)


def test_the_client_is_the_one_before_the_proxy(world: World) -> None:
    """The address that nginx told, as nginx is on this machine."""
    rows = world.server.kept("SELECT DISTINCT ip_address FROM script_views", 1)
    assert rows == [{"ip_address": "127.0.0.1"}]
