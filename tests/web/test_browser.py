"""The script in a real Chromium, on a site behind a real nginx: stored views match what the visitor did."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, Route, sync_playwright

from avowal.clock import utc_now
from support.browsers import CHROMIUM, NGINX, SCRIPTED_PAGE, needs_chromium_and_nginx
from support.programs import NGINX_START, run_program
from support.running_server import RunningServer, free_port, start_server
from support.site import CHROME, Site, wait_until

pytestmark = needs_chromium_and_nginx

CONFIG = (
    NGINX_START
    + """ types {{ text/html html; }}
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
)


HIDE = """hidden => {
    Object.defineProperty(document, 'visibilityState', {value: hidden ? 'hidden' : 'visible', configurable: true});
    document.dispatchEvent(new Event('visibilitychange'));
}"""


@dataclass
class ProxiedSite:
    """A site with its pages behind nginx, its server, and a browser."""

    server: RunningServer
    port: int
    browser: Browser
    folder: Path

    def url(self, path: str) -> str:
        """Return the address of a page."""
        return f"http://127.0.0.1:{self.port}{path}"

    def view(self, path: str) -> dict[str, Any]:
        """Return the only view of a page, once it is stored."""
        sql = f"SELECT * FROM views WHERE page_path = '{path}'"
        return self.server.wait_for_rows(sql, 1)[0]

    def wait_for_seconds_seen(self, path: str, at_least: float) -> float:
        """Return the seconds that a page was seen, once they are at least `at_least`."""
        seconds = 0.0

        def is_long_enough() -> bool:
            nonlocal seconds
            seconds = (self.view(path)["view_duration_ms"] or 0) / 1_000
            return seconds >= at_least - SLACK

        try:
            wait_until(is_long_enough, f"{path} was seen for {at_least} s")
        except AssertionError as error:
            raise AssertionError(f"{error}, but {seconds} s") from None
        return seconds


@pytest.fixture(scope="module")
def proxied_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedSite]:
    folder = tmp_path_factory.mktemp("world")
    pages = folder / "pages"
    pages.mkdir()
    (pages / "app.html").write_text(SCRIPTED_PAGE)
    with (
        start_server(
            Site(tmp_path_factory.mktemp("site")).init(settings='[site]\nhost = "127.0.0.1"\n')
        ) as server,
        run_nginx(folder, server.port) as port,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield ProxiedSite(server, port, browser, folder)
        browser.close()


@dataclass
class Stopwatch:
    """Bounds for the time that a page can have been seen, on a machine of any speed."""

    started_at: float = field(default_factory=time.monotonic)
    closed_at: float = 0.0

    def close(self, page: Page) -> None:
        """Close a page as a visitor does, and stop the time."""
        page.close(run_before_unload=True)
        self.closed_at = time.monotonic()

    def contains(self, seconds: float, at_least: float, *, hidden_seconds: float = 0.0) -> bool:
        """Check that something was seen for at least `at_least` seconds, and not during `besides` further ones."""
        most = (self.closed_at or time.monotonic()) - self.started_at - hidden_seconds
        assert at_least - SLACK <= seconds <= most + SLACK, (at_least, seconds, most)
        return True


SLACK = 0.05
"""Seconds by which the browser's clock and ours may differ."""


@contextmanager
def run_nginx(folder: Path, server_port: int) -> Iterator[int]:
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(folder=folder, port=port, behind=server_port))
    command = [NGINX, "-e", str(folder / "error.log"), "-c", str(config)]
    with run_program(command, port, folder / "output"):
        yield port


@pytest.fixture
def context(proxied_site: ProxiedSite) -> Iterator[BrowserContext]:
    context = proxied_site.browser.new_context(user_agent=CHROME)  # the default one names a bot
    yield context
    context.close()


def emulate_focus(page: Page) -> CDPSession:
    """Give a page focus only while it is in front; under automation all pages have it by default."""
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setFocusEmulationEnabled", {"enabled": False})
    return session


def test_a_view_has_the_time_that_its_page_was_seen(
    proxied_site: ProxiedSite, context: BrowserContext
) -> None:
    """A page that is seen for a second has a view of that duration."""
    page = context.new_page()
    stopwatch = Stopwatch()
    page.goto(proxied_site.url("/second"))
    page.wait_for_timeout(1_000)
    stopwatch.close(page)
    assert stopwatch.contains(proxied_site.wait_for_seconds_seen("/second", 1.0), 1.0)


def test_time_behind_another_tab_is_not_counted(proxied_site: ProxiedSite, context: BrowserContext) -> None:
    """Each tab has its own view, which counts only the time that the tab was in front."""
    page = context.new_page()
    stopwatch = Stopwatch()
    page.goto(proxied_site.url("/in-front"))
    sessions = [emulate_focus(page)]
    page.wait_for_timeout(700)
    other = context.new_page()
    other.goto(proxied_site.url("/other-tab"))
    sessions.append(emulate_focus(other))
    other.bring_to_front()
    other.wait_for_timeout(1_500)
    page.bring_to_front()
    page.wait_for_timeout(700)
    for session in sessions:
        session.detach()
    stopwatch.close(page)
    assert stopwatch.contains(proxied_site.wait_for_seconds_seen("/in-front", 1.4), 1.4, hidden_seconds=1.5)
    assert stopwatch.contains(proxied_site.wait_for_seconds_seen("/other-tab", 1.4), 1.4, hidden_seconds=1.4)
    assert proxied_site.view("/in-front")["visitor_id"] == proxied_site.view("/other-tab")["visitor_id"]


def test_hidden_time_is_not_counted(proxied_site: ProxiedSite, context: BrowserContext) -> None:
    """The time that a page is hidden, as by another window, is not counted."""
    page = context.new_page()
    stopwatch = Stopwatch()
    page.goto(proxied_site.url("/hidden"))
    page.wait_for_timeout(600)
    page.evaluate(HIDE, arg=True)
    assert stopwatch.contains(proxied_site.wait_for_seconds_seen("/hidden", 0.6), 0.6)
    page.wait_for_timeout(1_000)
    page.evaluate(HIDE, arg=False)
    page.wait_for_timeout(600)
    stopwatch.close(page)
    assert stopwatch.contains(proxied_site.wait_for_seconds_seen("/hidden", 1.2), 1.2, hidden_seconds=1.0)


def test_a_background_page_has_no_view_until_it_is_seen(
    proxied_site: ProxiedSite, context: BrowserContext
) -> None:
    """A page that was opened in the background gets a view only when it becomes visible."""
    page = context.new_page()
    page.add_init_script(
        "Object.defineProperty(document, 'visibilityState', {value: 'hidden', configurable: true})"
    )
    page.goto(proxied_site.url("/background"))
    loaded_at = utc_now()
    page.wait_for_timeout(500)
    sql = "SELECT 1 FROM script_views WHERE page_path = '/background'"
    time.sleep(1)  # longer than loading takes
    proxied_site.server.wait_for_rows(sql, 0)
    page.evaluate(
        "Object.defineProperty(document, 'visibilityState', {value: 'visible', configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    proxied_site.server.wait_for_rows(sql, 1)
    (row,) = proxied_site.server.wait_for_rows(sql.replace("1", "view_time", 1), 1)
    assert row["view_time"] < loaded_at.isoformat()  # with the navigation, not when it was seen


def test_a_page_that_loads_the_script_twice_has_one_view(
    proxied_site: ProxiedSite, context: BrowserContext
) -> None:
    """So has one that executes it again when its application changes the page."""
    page = context.new_page()
    page.goto(proxied_site.url("/twice"))
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {src: '/avowal.js'}))"
    )
    page.wait_for_timeout(500)
    page.close(run_before_unload=True)
    time.sleep(3)  # longer than loading takes
    proxied_site.server.wait_for_rows("SELECT 1 FROM script_views WHERE page_path = '/twice'", 1)


def test_a_query_that_is_not_kept_makes_no_view(proxied_site: ProxiedSite, context: BrowserContext) -> None:
    """A search field that writes each letter into the address, and a very long address, make one view each."""
    page = context.new_page()
    page.goto(proxied_site.url("/search"))
    for text in ("c", "ca", "cafe", "a" * 5_000):
        page.evaluate("text => history.replaceState(null, '', '?q=' + text)", text)
        page.wait_for_timeout(100)
    page.evaluate("history.pushState(null, '', '/long?state=' + 'a'.repeat(5000))")
    page.wait_for_timeout(300)
    page.close(run_before_unload=True)
    time.sleep(3)  # longer than loading takes
    for path in ("/search", "/long"):
        proxied_site.server.wait_for_rows(f"SELECT 1 FROM script_views WHERE page_path = '{path}'", 1)


def test_each_address_of_a_single_page_application_is_a_view(
    proxied_site: ProxiedSite, context: BrowserContext
) -> None:
    """Each new address is a view with its own duration; a changed fragment is none."""
    page = context.new_page()
    stopwatch = Stopwatch()
    page.goto(proxied_site.url("/app/one"))
    page.wait_for_timeout(500)
    page.evaluate("history.pushState({}, '', '/app/two')")
    page.wait_for_timeout(800)
    page.evaluate("location.hash = 'part'; history.replaceState({}, '', '/app/two#else')")
    page.wait_for_timeout(200)
    page.evaluate("history.pushState({}, '', '/app/three')")
    page.wait_for_timeout(300)
    stopwatch.close(page)
    assert stopwatch.contains(proxied_site.wait_for_seconds_seen("/app/one", 0.5), 0.5, hidden_seconds=1.3)
    assert stopwatch.contains(proxied_site.wait_for_seconds_seen("/app/two", 1.0), 1.0, hidden_seconds=0.8)
    assert stopwatch.contains(proxied_site.wait_for_seconds_seen("/app/three", 0.3), 0.3, hidden_seconds=1.5)
    assert proxied_site.view("/app/two")["referrer"] == proxied_site.url("/app/one")


@pytest.mark.parametrize("cached", [True, False])
def test_going_back_to_a_page_is_a_new_view(proxied_site: ProxiedSite, cached: bool) -> None:
    """Going back to a page is a new view, whether the browser cached the page or not."""
    switch = "--disable-back-forward-cache"
    browser = proxied_site.browser.browser_type.launch(
        executable_path=CHROMIUM, args=["--no-sandbox"], ignore_default_args=[switch] if cached else []
    )
    page = browser.new_page(user_agent=CHROME)
    stopwatch = Stopwatch()
    page.goto(proxied_site.url(f"/back/{cached}"))
    page.evaluate("window.mark = 1")
    page.wait_for_timeout(400)
    page.goto(proxied_site.url("/back/second"))
    page.wait_for_timeout(400)
    page.go_back(wait_until="commit")
    page.wait_for_function(
        "document.readyState === 'complete'"
    )  # its script has started, on a machine of any speed
    page.wait_for_timeout(600)
    assert page.evaluate("window.mark === 1") is cached
    stopwatch.close(page)
    sql = f"""
        SELECT view_duration_ms AS d FROM views
        WHERE page_path = '/back/{cached}' AND view_duration_ms > 0 ORDER BY view_time
    """
    first, second = (row["d"] for row in proxied_site.server.wait_for_rows(sql, 2))
    browser.close()  # not earlier: a browser that ends drops the events that its pages are still sending
    assert stopwatch.contains(first / 1_000, 0.4, hidden_seconds=1.0)
    assert stopwatch.contains(second / 1_000, 0.5, hidden_seconds=0.8)


def test_a_killed_browser_keeps_its_view(proxied_site: ProxiedSite) -> None:
    """After the browser is killed, the view has its time up to the last event."""
    browser = proxied_site.browser.browser_type.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    page = browser.new_page(user_agent=CHROME)
    stopwatch = Stopwatch()
    page.route("**/avowal.js", shorten_beat)
    page.goto(proxied_site.url("/killed"))
    page.wait_for_timeout(2_500)  # past the first beat
    browser.new_browser_cdp_session().send("Browser.close")
    assert stopwatch.contains(proxied_site.wait_for_seconds_seen("/killed", 2.0), 2.0)


def shorten_beat(route: Route) -> None:
    """Serve the script with its first repeated event after 2 seconds instead of 15."""
    response = route.fetch()
    assert "beat=15;" in response.text()
    route.fulfill(response=response, body=response.text().replace("beat=15;", "beat=2;"))


def test_a_slow_network_does_not_shorten_a_view(proxied_site: ProxiedSite, context: BrowserContext) -> None:
    """A page is measured from when it is seen, not from when its event arrives."""
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 800, "downloadThroughput": 20_000, "uploadThroughput": 5_000},
    )
    stopwatch = Stopwatch()
    page.goto(proxied_site.url("/slow"))
    page.wait_for_timeout(1_000)
    page.evaluate(HIDE, arg=True)
    assert stopwatch.contains(proxied_site.wait_for_seconds_seen("/slow", 1.0), 1.0)


def test_a_page_without_javascript_has_a_view(proxied_site: ProxiedSite) -> None:
    """Without JavaScript the pixel records a view of unknown duration."""
    context = proxied_site.browser.new_context(user_agent=CHROME, java_script_enabled=False)
    context.new_page().goto(proxied_site.url("/plain"))
    assert proxied_site.view("/plain")["view_duration_ms"] is None
    context.close()


def test_a_view_in_log_and_script_counts_once(proxied_site: ProxiedSite, context: BrowserContext) -> None:
    """Importing nginx's log of the same pages adds no views, and the coverage report shows the match."""
    page = context.new_page()
    stopwatch = Stopwatch()
    page.goto(proxied_site.url("/both"))
    page.wait_for_timeout(500)
    stopwatch.close(page)
    assert stopwatch.contains(proxied_site.wait_for_seconds_seen("/both", 0.5), 0.5)
    before = proxied_site.server.wait_for_rows("SELECT count(*) AS n FROM views", 1)[0]["n"]
    result = proxied_site.server.site.avowal("import", proxied_site.folder / "access.log", "--json")
    assert result.status == 0, result.err
    assert result.json()["counts"]["requests"] > 10
    assert proxied_site.server.wait_for_rows("SELECT count(*) AS n FROM views", 1)[0]["n"] == before
    (coverage,) = proxied_site.server.site.report("coverage", "--filter", "page=/both")["tables"]["coverage"]
    assert coverage == {
        "host": "127.0.0.1",
        "script_views": 1,
        "log_views": 1,
        "matched_views": 1,
        "script_only_views": 0,
        "log_only_views": 0,
    }
    (within,) = proxied_site.server.site.report("coverage", "--filter", "page=/app/two")["tables"]["coverage"]
    assert (within["script_only_views"], within["log_views"]) == (1, 0)


def test_the_address_is_that_of_the_client_of_the_proxy(proxied_site: ProxiedSite) -> None:
    """The stored address is the one that nginx passes on."""
    rows = proxied_site.server.wait_for_rows("SELECT DISTINCT ip_address FROM script_views", 1)
    assert rows == [{"ip_address": "127.0.0.1"}]
