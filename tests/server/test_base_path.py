"""A server below a base path, behind real web servers with the settings of the manual."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from urllib.parse import urlencode, urljoin, urlsplit

import pytest

from avowal.web.syndication import FEED_FILE_NAMES
from support.manual import read_snippet
from support.running_server import (
    ANN,
    SAME_ORIGIN,
    SITE,
    Answer,
    RunningServer,
    cookie_headers,
    publish_version,
    site_in_three_languages,
    start_server,
)
from support.site import Site
from support.web_servers import WEB_SERVERS, run_web_server

PASSWORD = "four words for nobody"  # noqa: S105  # of the tests' reader
BASE = "/stats"
SETTINGS = f"""[site]
host = "{SITE}"
[serve]
base_path = "{BASE}"
events_per_minute = 0
"""
LINK = re.compile(r'(href|src|action)="([^"]*)"')
PATHS_OF_THE_SITE = (
    "/collections/",
    "/collect/",
    "/collector",
    "/privacy-policy",
    "/privacyx/",
    "/disclosures-2025",
    "/cookies",
    "/cookie/",
    "/cookie/refuse/x",
    "/submit/",
    "/submit/form/x",
    "/notices/1",
    "/notice/one",
    "/avowalXjs",
    "/avowal.jsx",
    "/x/avowal.js",
    "/sign-in-here",
    "/reports/2026",
    "/pixelxgif",
    "/",
    "/metrics-of-the-site",
)
OWN_PATHS = (
    "/avowal.js",
    "/avowal.source.js",
    "/pixel.gif",
    "/privacy",
    "/privacy/",
    "/privacy/me",
    "/privacy/me.js",
    "/privacy/history",
    "/privacy/terms.json",
    "/privacy/feed.atom",
    "/disclosures",
    "/reports",
    "/sign-in",
)


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Yield a site with two versions in three languages, a reader, and what one visitor with a cookie left."""
    site = site_in_three_languages(Site(tmp_path_factory.mktemp("site")))
    (site.folder / "avowal.toml").write_text(SETTINGS)
    publish_version(site, 30, 5)
    assert site.avowal("user", "add", "ann", "--purposes", "content,abuse").status == 0
    assert site.avowal("user", "password", "ann", "--stdin", stdin=f"{PASSWORD}\n".encode()).status == 0
    with start_server(site) as server:
        server.send_views_of_two_visitors()
        yield server


@contextmanager
def behind(name: str, server: RunningServer, folder: Path, base: str = BASE) -> Iterator[RunningServer]:
    """Run a web server before a server, which is mounted at the root or below a path; yields what visitors reach."""
    rules = read_snippet("#### Below a path", "write:").splitlines() if base else []
    with run_web_server(name, folder, server.port, [rule for rule in rules if rule.strip()]) as port:
        yield RunningServer(server.site, port, server.command)


def links_of(page: str, answer: Answer) -> Iterator[tuple[str, str]]:
    """Yield the attribute and the address of each link of a page that leads to this host."""
    if "html" not in answer.headers.get("content-type", ""):
        return
    for attribute, value in LINK.findall(answer.body.decode()):
        url = urlsplit(urljoin(f"http://host.example{page}", unescape(value)))
        if url.netloc == "host.example":
            yield attribute, f"{url.path}?{url.query}" if url.query else url.path


def crawl(server: RunningServer, start: str, headers: dict[str, str]) -> dict[str, int]:
    """Follow each link and redirect; return the status of each address, which must be below the base path."""
    statuses, forms, waiting = dict[str, int](), set[str](), [start]
    while waiting:
        page = waiting.pop()
        if page in statuses:
            continue
        answer = server.request("GET", page, headers=headers)
        statuses[page] = answer.status
        if location := answer.headers.get("location"):
            waiting.append(urljoin(page, location))
        for attribute, link in links_of(page, answer):
            if attribute == "action":
                forms.add(link.partition("?")[0])
            else:
                waiting.append(link)
    outside = [page for page in (*statuses, *forms) if not page.startswith(f"{BASE}/")]
    assert not outside
    return statuses


def cookies_of(answer: Answer) -> str:
    return "; ".join(part.split(";")[0] for part in answer.headers["set-cookie"].split(", "))


@pytest.mark.parametrize("name", WEB_SERVERS)
def test_all_links_lead_below_the_base_path(mounted: RunningServer, name: str, tmp_path: Path) -> None:
    """Behind a web server, each link, redirect and form of every page leads below the path, and each link to a page."""
    with behind(name, mounted, tmp_path) as server:
        assert server.request("GET", BASE).headers["location"].endswith(f"{BASE}/")
        stranger = crawl(server, f"{BASE}/", {})
        visitor = crawl(server, f"{BASE}/privacy/me", cookie_headers(ANN, **SAME_ORIGIN))
        body = urlencode({"name": "ann", "password": PASSWORD}).encode()
        signed_in = server.request("POST", f"{BASE}/sign-in", body, SAME_ORIGIN)
        reader = crawl(server, signed_in.headers["location"], {"Cookie": cookies_of(signed_in)})
    assert {status for pages in (stranger, visitor, reader) for status in pages.values()} <= {200, 308}
    assert {f"{BASE}/privacy/history", f"{BASE}/privacy/check", f"{BASE}/privacy/check.js"} <= set(stranger)
    assert {f"{BASE}/privacy/me/export", f"{BASE}/privacy/?lang=en"} <= set(visitor)
    assert f"{BASE}/reports?report=pages&since=7+days" in reader


@pytest.mark.parametrize("name", WEB_SERVERS)
def test_forms_cookies_and_events_work_below_the_base_path(
    mounted: RunningServer, name: str, tmp_path: Path
) -> None:
    """Events are stored, cookies have a path that the browser sends them to, and forms redirect below the path."""
    with behind(name, mounted, tmp_path) as server:
        script = server.request("GET", f"{BASE}/avowal.js")
        assert (script.status, "javascript" in script.headers["content-type"]) == (200, True)
        event = f'{{"script_view_token": "{name:_<20}", "url": "https://{SITE}/of-{name}", "elapsed_ms": 0}}'
        assert server.request("POST", f"{BASE}/collect", event.encode()).status == 202
        body = urlencode({"name": "ann", "password": PASSWORD}).encode()
        signed_in = server.request("POST", f"{BASE}/sign-in", body, SAME_ORIGIN)
        assert (signed_in.status, signed_in.headers["location"]) == (303, f"{BASE}/reports")
        assert f"Path={BASE}/;" in signed_in.headers["set-cookie"]
        signed_out = server.request("POST", f"{BASE}/sign-out", b"", SAME_ORIGIN)
        assert (signed_out.status, signed_out.headers["location"]) == (303, f"{BASE}/sign-in")
        assert f"Path={BASE}/;" in signed_out.headers["set-cookie"]
        navigate = {**SAME_ORIGIN, "Sec-Fetch-Mode": "navigate"}
        refused = server.request("POST", f"{BASE}/cookie/refuse", b"", navigate)
        assert (refused.status, refused.headers["location"]) == (303, f"{BASE}/privacy/me")
        assert "Path=/;" in refused.headers["set-cookie"]
    rows = mounted.wait_for_rows(f"SELECT page_path FROM views WHERE page_path = '/of-{name}'", 1)
    assert rows == [{"page_path": f"/of-{name}"}]


def test_absolute_addresses_name_the_base_path(mounted: RunningServer) -> None:
    """Feeds, the canonical address and the link of the notice are below the path, on the site's host."""
    home = f"https://{SITE}{BASE}/privacy/"
    for feed in FEED_FILE_NAMES.values():
        text = mounted.request("GET", f"{BASE}/privacy/{feed}").body.decode()
        assert f"{home}versions/1" in text
        assert {
            url for url in re.findall(rf"https://{SITE}[^\"<]*", text) if not url.startswith(home)
        } == set()
    page = mounted.request("GET", f"{BASE}/privacy/").body.decode()
    assert f'<link rel="canonical" href="{home}">' in page
    notice = mounted.request("GET", f"{BASE}/privacy/notice").body.decode()
    assert not notice or f'href="{BASE}/privacy/changes/' in notice


def test_a_web_server_may_remove_the_base_path(mounted: RunningServer) -> None:
    """What arrives without the path is answered in the same way, with links below it."""
    paths = ("/privacy/", "/privacy/history", "/sign-in", "/privacy/me", "/privacy/check")
    for path in paths:
        below, removed = (mounted.request("GET", f"{base}{path}") for base in (BASE, ""))
        assert (below.status, below.body) == (removed.status, removed.body)
    assert mounted.request("GET", f"{BASE}x/privacy/").status == 404


@pytest.mark.parametrize("name", WEB_SERVERS)
def test_a_web_server_passes_on_own_addresses_only(mounted: RunningServer, name: str, tmp_path: Path) -> None:
    """The site keeps addresses that begin like one of Avowal, at the root and below a path."""
    header = "x-content-type-options"
    with behind(name, mounted, tmp_path, "") as server:
        for path in PATHS_OF_THE_SITE:
            assert server.request("GET", path).headers.get(header) is None, path
        for path in OWN_PATHS:
            assert server.request("GET", path).status in {200, 303, 308}, path
        assert server.request("POST", "/sign-in", b"", SAME_ORIGIN).status == 401
    (tmp_path / "below").mkdir()
    with behind(name, mounted, tmp_path / "below") as server:
        for path in ("/", "/statsx/", "/x/stats/", "/privacy/", "/collect"):
            assert server.request("GET", path).headers.get(header) is None, path


def test_every_link_of_a_template_is_an_address() -> None:
    """Each link, source and action of a template goes through `address`, so that none misses the base path."""
    templates = Path(__file__).parents[2] / "src" / "avowal"
    for template in templates.glob("*/templates/*.html"):
        for attribute, value in re.findall(r'\b(href|src|action)="([^"]*)', template.read_text("utf-8")):
            assert value.startswith(
                (
                    "{{ address(",
                    "#",
                    "{{ base_url }}",
                    "{{ links.canonical_url }}",
                    "{{ receipt_url }}",
                    "mailto:",
                )
            ), (
                template.name,
                attribute,
                value,
            )


def test_redirects_are_made_in_one_place() -> None:
    """No other module than those of redirects names `RedirectResponse`."""
    source = Path(__file__).parents[2] / "src" / "avowal"
    users = {path.name for path in source.rglob("*.py") if "RedirectResponse" in path.read_text("utf-8")}
    assert users == {"redirect.py", "base_path_mount.py"}
