"""The notice of a new version in a real Chromium: displayed, closed, remembered, and recorded."""

import http.client
import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright

from support.browsers import CHROMIUM
from support.manual import read_snippet
from support.notices import list_displays, site_with_versions
from support.programs import find_program, run_program
from support.running_server import SAME_ORIGIN, RunningServer, free_port, start_server
from support.site import Site, wait_until

PAGE = '<!doctype html><html lang="{lang}"><title>page</title><script defer src="/avowal.js"></script><body><p>words'
STRICT = "default-src 'none'; script-src 'self'; connect-src 'self'"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with start_server(site_with_versions(Site(tmp_path_factory.mktemp("site")), 45)) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip("needs chromium: `apt install chromium`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context() as context:
        yield context


def open_page(server: RunningServer, context: BrowserContext, lang: str = "en", csp: str = STRICT) -> Page:
    """Open a page of the site with a strict content security policy."""

    def fulfil(route: Route) -> None:
        headers = {"Content-Security-Policy": csp, "Content-Type": "text/html"}
        route.fulfill(status=200, headers=headers, body=PAGE.format(lang=lang))

    page = context.new_page()
    page.route("**/page", fulfil)
    page.goto(f"http://127.0.0.1:{server.port}/page")
    return page


def test_the_first_display_of_a_notice_is_recorded(server: RunningServer, context: BrowserContext) -> None:
    """The first display of a notice is recorded, and other sites cannot record one."""
    assert list_displays(server.site) == []
    assert server.request("POST", "/notice/2").status == 403
    assert server.request("POST", "/notice/2", headers={"Sec-Fetch-Site": "cross-site"}).status == 403
    for number in (1, 3, 99):
        assert server.request("POST", f"/notice/{number}", headers=SAME_ORIGIN).status == 404
    assert list_displays(server.site) == []
    for _ in range(2):
        open_page(server, context).get_by_role("region", name="The privacy policy changes").wait_for()
    wait_until(lambda: len(list_displays(server.site)) == 1, "the notice to be recorded")
    assert server.request("POST", "/notice/2", headers=SAME_ORIGIN).status == 204
    assert list_displays(server.site) == [("every page with the script", False)]
    script = server.request("GET", "/avowal.source.js").body
    notice = json.loads(script.split(b"var notice = ")[1].split(b";\n")[0])
    assert notice["report_display"] is False
    assert server.site.avowal("verify").status == 0


@pytest.mark.parametrize(
    ("lang", "text", "close_label"),
    [
        ("en", "The privacy policy changes: Version 2, in force from", "Close"),
        ("pt", "A política de privacidade muda: ", "Fechar"),
        ("zh-TW", "隱私權政策有變更", "關閉"),
        ("fr", "The privacy policy changes: Version 2, in force from", "Close"),
    ],
)
def test_a_notice_is_in_the_language_of_its_page(
    server: RunningServer, context: BrowserContext, lang: str, text: str, close_label: str
) -> None:
    """The notice is the first region of the page, in its language, with a link to the changes."""
    page = open_page(server, context, lang)
    notice = page.locator("#avowal-notice")
    notice.wait_for()
    assert text in notice.inner_text()
    assert page.locator("body > *").first.get_attribute("id") == "avowal-notice"
    assert notice.get_by_role("button").inner_text() == close_label
    assert page.evaluate("getComputedStyle(document.querySelector('#avowal-notice')).display") == "flex"
    link = notice.get_by_role("link").get_attribute("href") or ""
    page.goto(link)
    assert "6 days" in page.content() or "6 dias" in page.content() or "6 天" in page.content()


def test_a_notice_is_closed_by_keyboard_and_stays_closed(
    server: RunningServer, context: BrowserContext
) -> None:
    """A closed notice stays closed after a reload; local storage has only its version, and no cookie is set."""
    page = open_page(server, context)
    page.locator("#avowal-notice").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "A"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator("#avowal-notice").count() == 0
    page.reload()
    page.wait_for_load_state("networkidle")
    assert page.locator("#avowal-notice").count() == 0
    assert page.evaluate("JSON.stringify(localStorage)") == '{"avowal-notice":"2"}'
    assert not [cookie for cookie in context.cookies() if "notice" in str(cookie.get("name"))]


@pytest.mark.parametrize("width", [320, 375, 1440, 1920])
def test_a_notice_fits_its_page(server: RunningServer, browser: Browser, width: int) -> None:
    """The notice fits each width, is styled by variables of the page, and is not printed."""
    with browser.new_context(viewport={"width": width, "height": 700}) as context:
        page = open_page(server, context)
        notice = page.locator("#avowal-notice")
        notice.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.evaluate(
            "document.documentElement.style.setProperty('--avowal-notice-background', 'rgb(1, 2, 3)')"
        )
        assert (
            page.evaluate("getComputedStyle(document.querySelector('#avowal-notice')).backgroundColor")
            == "rgb(1, 2, 3)"
        )
        page.emulate_media(media="print")
        assert not notice.is_visible()


def test_a_notice_works_without_local_storage(server: RunningServer, context: BrowserContext) -> None:
    """Without local storage a notice can be closed, and returns with the next page."""
    context.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new Error('no') }})"
    )
    page = open_page(server, context)
    page.get_by_role("button", name="Close").click()
    assert page.locator("#avowal-notice").count() == 0
    page.reload()
    page.locator("#avowal-notice").wait_for()


def test_a_notice_is_served_as_a_fragment(server: RunningServer) -> None:
    """The notice is served as a fragment without scripts, in the requested language."""
    fragment = server.request("GET", "/privacy/notice", headers={"Accept-Language": "pt-BR"}).body.decode()
    assert fragment.startswith('<section id="avowal-notice" lang="pt-BR" dir="ltr"')
    assert 'href="/privacy/changes/1..2?lang=pt-BR"' in fragment
    assert "<script" not in fragment


def test_without_a_notice_nothing_is_served(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Without a notice the script has no part for it, and the fragment is empty."""
    with start_server(site_with_versions(Site(tmp_path_factory.mktemp("site")))) as server:
        assert b"notice" not in server.request("GET", "/avowal.js").body
        answer = server.request("GET", "/privacy/notice")
        assert (answer.status, answer.body) == (200, b"")
        assert server.request("POST", "/notice/1", headers=SAME_ORIGIN).status == 404


def fetch(port: int, path: str = "/") -> str:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", path, headers={"Accept-Language": "pt-BR", "Host": "site.example"})
        return connection.getresponse().read().decode()


def test_nginx_inserts_the_notice_into_pages(server: RunningServer, tmp_path: Path) -> None:
    """An nginx server inserts the notice with the configuration of the manual."""
    (tmp_path / "index.html").write_text("<!doctype html><title>page</title><body><p>words</body>")
    port, kinds = free_port(), ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = " ".join(f"{name}_temp_path {tmp_path}/{name};" for name in kinds)
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {tmp_path}/pid; error_log {tmp_path}/error.log;\n"
        f"events {{}} http {{ {folders} access_log off; types {{ text/html html; }}\n"
        f"server {{ listen 127.0.0.1:{port}; root {tmp_path};\n"
        f"location /privacy {{ proxy_pass http://127.0.0.1:{server.port}; }}\n"
        f"{read_snippet('### The notice', 'nginx puts it in by itself:')} }} }}\n"
    )
    command = ["-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "error.log")]
    with run_program([find_program("nginx"), *command], port, tmp_path / "output"):
        page = fetch(port)
    assert re.search(
        r'<noscript><section id="avowal-notice" lang="pt-BR".*</section>\s*</noscript></body>',
        page,
        re.DOTALL,
    )


def test_caddy_inserts_the_notice_into_templates(server: RunningServer, tmp_path: Path) -> None:
    """Caddy inserts the notice with the configuration of the manual."""
    manual = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()
    (snippet,) = set(re.findall(r"<noscript>\{\{.*?\}\}</noscript>", manual))
    (tmp_path / "index.html").write_text(f"<!doctype html><title>page</title><body><p>words{snippet}</body>")
    port = free_port()
    (tmp_path / "Caddyfile").write_text(
        f"{{\n admin off\n auto_https off\n}}\nhttp://:{port} {{\n bind 127.0.0.1\n root * {tmp_path}\n"
        f" handle /privacy* {{\n reverse_proxy 127.0.0.1:{server.port}\n }}\n"
        f"{read_snippet('### The notice', 'in their body:')}\n}}\n"
    )
    command = ["run", "--config", str(tmp_path / "Caddyfile"), "--adapter", "caddyfile"]
    with run_program([find_program("caddy"), *command], port, tmp_path / "output"):
        page = fetch(port)
    assert '<noscript><section id="avowal-notice" lang="pt-BR"' in page, page
