"""The notice of a new version on a site's pages, in a real Chromium: shown, closed, remembered, and on record."""

import http.client
import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import takewhile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright

from support.browsers import CHROMIUM
from support.notices import shown_notices, site_with_versions
from support.served import OWN, Served, free_port, served
from support.site import Site, wait_until

PAGE = '<!doctype html><html lang="{lang}"><title>page</title><script defer src="/avowal.js"></script><body><p>words'
STRICT = "default-src 'none'; script-src 'self'; connect-src 'self'"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(site_with_versions(Site(tmp_path_factory.mktemp("site")), 45)) as it:
        yield it


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


def opened(server: Served, context: BrowserContext, lang: str = "en", csp: str = STRICT) -> Page:
    """Open a page of the site, whose policy of content lets nothing in but what the server gives."""

    def fulfil(route: Route) -> None:
        headers = {"Content-Security-Policy": csp, "Content-Type": "text/html"}
        route.fulfill(status=200, headers=headers, body=PAGE.format(lang=lang))

    page = context.new_page()
    page.route("**/page", fulfil)
    page.goto(f"http://127.0.0.1:{server.port}/page")
    return page


def test_a_notice_is_on_record_once_a_page_showed_it(server: Served, context: BrowserContext) -> None:
    """The first time; whoever is on another site cannot say that it was."""
    assert shown_notices(server.site) == []
    assert server.ask("POST", "/notice/2").status == 403
    assert server.ask("POST", "/notice/2", headers={"Sec-Fetch-Site": "cross-site"}).status == 403
    for wrong in (1, 3, 99):
        assert server.ask("POST", f"/notice/{wrong}", headers=OWN).status == 404
    assert shown_notices(server.site) == []
    for _ in range(2):
        opened(server, context).get_by_role("region", name="The privacy policy changes").wait_for()
    wait_until(lambda: len(shown_notices(server.site)) == 1, "the notice to be recorded")
    assert server.ask("POST", "/notice/2", headers=OWN).status == 204
    assert shown_notices(server.site) == [("every page with the script", False)]
    script = server.ask("GET", "/avowal.notice.js").body
    notice = json.loads(script.split(b"var notice = ")[1].split(b";\n")[0])
    assert notice["report_display"] is False
    assert server.site.avowal("verify").status == 0


@pytest.mark.parametrize(
    ("lang", "says", "close"),
    [
        ("en", "The privacy policy changes: Version 2, in force from", "Close"),
        ("pt", "A política de privacidade muda: ", "Fechar"),
        ("zh-TW", "隱私權政策有變更", "關閉"),
        ("fr", "The privacy policy changes: Version 2, in force from", "Close"),
    ],
)
def test_it_is_in_the_page_s_language(
    server: Served, context: BrowserContext, lang: str, says: str, close: str
) -> None:
    """As a region of its own, before everything else, with a link to what changes."""
    page = opened(server, context, lang)
    notice = page.locator("#avowal-notice")
    notice.wait_for()
    assert says in notice.inner_text()
    assert page.locator("body > *").first.get_attribute("id") == "avowal-notice"
    assert notice.get_by_role("button").inner_text() == close
    assert page.evaluate("getComputedStyle(document.querySelector('#avowal-notice')).display") == "flex"
    link = notice.get_by_role("link").get_attribute("href") or ""
    page.goto(link)
    assert "6 days" in page.content() or "6 dias" in page.content() or "6 天" in page.content()


def test_it_is_closed_by_keyboard_and_stays_closed(server: Served, context: BrowserContext) -> None:
    """Without a cookie, and nothing else is kept."""
    page = opened(server, context)
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
    assert not [one for one in context.cookies() if "notice" in str(one.get("name"))]


@pytest.mark.parametrize("width", [320, 375, 1440, 1920])
def test_it_fits(server: Served, browser: Browser, width: int) -> None:
    """Nothing is wider than the page; the variables of a page style it; what is printed has none of it."""
    with browser.new_context(viewport={"width": width, "height": 700}) as context:
        page = opened(server, context)
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


def test_where_a_browser_keeps_nothing_it_is_shown_and_closed_all_the_same(
    server: Served, context: BrowserContext
) -> None:
    """It comes back with the next page."""
    context.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new Error('no') }})"
    )
    page = opened(server, context)
    page.get_by_role("button", name="Close").click()
    assert page.locator("#avowal-notice").count() == 0
    page.reload()
    page.locator("#avowal-notice").wait_for()


def test_pages_without_scripts_have_it_as_a_part(server: Served) -> None:
    """In the language that is asked for."""
    part = server.ask("GET", "/privacy/notice", headers={"Accept-Language": "pt-BR"}).body.decode()
    assert part.startswith('<section id="avowal-notice" lang="pt-BR" dir="ltr"')
    assert 'href="/privacy/changes/1..2?lang=pt-BR"' in part
    assert "<script" not in part


def test_where_there_is_no_notice_nothing_is_shown(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Neither by the script, which is as small as before, nor as a part."""
    with served(site_with_versions(Site(tmp_path_factory.mktemp("site")))) as server:
        assert b"notice" not in server.ask("GET", "/avowal.js").body
        assert server.ask("GET", "/avowal.notice.js").status == 404
        part = server.ask("GET", "/privacy/notice")
        assert (part.status, part.body) == (200, b"")
        assert server.ask("POST", "/notice/1", headers=OWN).status == 404


def snippet(after: str) -> str:
    """Return the lines of configuration that the manual has after some words of it."""
    manual = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()
    lines = manual.partition("### The notice")[2].partition(after)[2].splitlines()[1:]
    block = list(takewhile(lambda row: not row or row.startswith("    "), lines))
    return "\n".join(block)


def fetched(port: int, path: str = "/") -> str:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", path, headers={"Accept-Language": "pt-BR", "Host": "site.example"})
        return connection.getresponse().read().decode()


@pytest.mark.skipif(not shutil.which("nginx", path="/usr/sbin:/usr/bin"), reason="needs nginx")
def test_nginx_puts_it_into_pages(server: Served, tmp_path: Path) -> None:
    """As the manual says."""
    (tmp_path / "index.html").write_text("<!doctype html><title>page</title><body><p>words</body>")
    port, kinds = free_port(), ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = " ".join(f"{name}_temp_path {tmp_path}/{name};" for name in kinds)
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {tmp_path}/pid; error_log {tmp_path}/error.log;\n"
        f"events {{}} http {{ {folders} access_log off; types {{ text/html html; }}\n"
        f"server {{ listen 127.0.0.1:{port}; root {tmp_path};\n"
        f"location /privacy {{ proxy_pass http://127.0.0.1:{server.port}; }}\n"
        f"{snippet('nginx puts it in by itself:')} }} }}\n"
    )
    with running("/usr/sbin/nginx", "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "error.log")):
        wait_until(lambda: answers(port), "nginx to listen")
        page = fetched(port)
    assert re.search(
        r'<noscript><section id="avowal-notice" lang="pt-BR".*</section>\s*</noscript></body>',
        page,
        re.DOTALL,
    )


@pytest.mark.skipif(not shutil.which("caddy"), reason="needs caddy")
def test_caddy_puts_it_into_templates(server: Served, tmp_path: Path) -> None:
    """As the manual says."""
    manual = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()
    (part,) = set(re.findall(r"<noscript>\{\{.*?\}\}</noscript>", manual))
    (tmp_path / "index.html").write_text(f"<!doctype html><title>page</title><body><p>words{part}</body>")
    port = free_port()
    (tmp_path / "Caddyfile").write_text(
        f"{{\n admin off\n auto_https off\n}}\nhttp://:{port} {{\n bind 127.0.0.1\n root * {tmp_path}\n"
        f" handle /privacy* {{\n reverse_proxy 127.0.0.1:{server.port}\n }}\n"
        f"{snippet('in their body:')}\n}}\n"
    )
    with running("caddy", "run", "--config", str(tmp_path / "Caddyfile"), "--adapter", "caddyfile"):
        wait_until(lambda: answers(port), "caddy to listen")
        page = fetched(port)
    assert '<noscript><section id="avowal-notice" lang="pt-BR"' in page, page


def answers(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(*command: str) -> Iterator[None]:
    """Run a server, and end it."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)
