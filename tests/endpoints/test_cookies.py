"""The cookie: set as the terms say, never against the visitor's word, and everything works without it."""

import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from support.browsers import CHROMIUM, SCRIPTED_PAGE, needs_chromium_and_nginx
from support.served import SETTINGS, SITE, Answer, Served, free_port, served
from support.site import CHROME, FIREFOX, Site, line

pytestmark = needs_chromium_and_nginx
SECURE = {"Host": SITE, "X-Forwarded-Proto": "https"}
COOKIE = re.compile(
    r"__Host-avowal=([A-Za-z0-9_-]{22}); Path=/; Max-Age=31104000; Secure; HttpOnly; SameSite=Lax"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(Site(tmp_path_factory.mktemp("site")).init(settings=SETTINGS)) as it:
        yield it


def identifier(answer: Answer) -> str:
    """Return what a cookie was set to; it has to be set as the terms have it."""
    assert answer.status in {202, 204}
    found = COOKIE.fullmatch(answer.headers.get("set-cookie", ""))
    assert found, answer.headers
    return found[1]


def test_it_is_set_unless_refused(server: Served) -> None:
    """For as long as the terms say; and whoever has it is not given another."""
    first = identifier(server.tell(SECURE))
    assert first != identifier(server.tell(SECURE))
    again = server.tell({**SECURE, "Cookie": f"other=1; __Host-avowal={first}"})
    assert (again.status, "set-cookie" in again.headers) == (202, False)


def test_a_log_tells_of_the_same_visitor(tmp_path: Path) -> None:
    """Who has the cookie is matched with the lines of a log, which knows none, and named nowhere else by that."""
    site = Site(tmp_path).init(settings=SETTINGS)
    with served(site) as it:
        given = identifier(it.tell(SECURE))
        it.tell(
            {**SECURE, "Cookie": f"__Host-avowal={given}"},
            script_view_token="abcdefghij-another",
            url=f"https://{SITE}/b",
        )
        now = datetime.now(UTC).replace(tzinfo=None)
        lines = (
            line(0, path, start=now, address="203.0.113.7", agent=FIREFOX) for path in ("/a", "/b", "/c")
        )
        site.take_in(site.log("a.log", *lines))
        (row,) = it.kept(
            "SELECT DISTINCT visitor_id, daily_key FROM script_views WHERE page_path IN ('/a', '/b')", 1
        )
        assert row["daily_key"] not in {None, row["visitor_id"]}
        (row,) = site.report("coverage")["tables"]["coverage"]
        assert (row["script_views"], row["matched_views"], row["log_only_views"]) == (2, 2, 1)


@pytest.mark.parametrize(
    "told",
    [
        {"Sec-GPC": "1"},
        {"DNT": "1"},
        {"Cookie": "__Host-avowal=refused"},
        {"X-Forwarded-Proto": "http"},
        {"Host": "stats.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_it_is_not_set_against_the_word_or_in_vain(server: Served, told: dict[str, str]) -> None:
    """Nor over plain HTTP, nor for the pages of another host; what was told is kept all the same."""
    answer = server.tell({**SECURE, **told})
    assert (answer.status, "set-cookie" in answer.headers) == (202, False)


@pytest.mark.parametrize("told", [{"Sec-GPC": "1"}, {"DNT": "1"}])
def test_who_objects_loses_the_one_they_have(server: Served, told: dict[str, str]) -> None:
    """It is taken back, and does not count."""
    given = identifier(server.tell(SECURE))
    page = f"/{''.join(told)}"
    headers = {**SECURE, **told, "Cookie": f"__Host-avowal={given}", "X-Forwarded-For": "203.0.113.55"}
    answer = server.tell(headers, script_view_token=f"objects-{''.join(told)}", url=f"https://{SITE}{page}")
    assert answer.headers["set-cookie"].startswith("__Host-avowal=; Path=/; Max-Age=0;")
    (row,) = server.kept(f"SELECT visitor_id FROM script_views WHERE page_path = '{page}'", 1)
    assert int(row["visitor_id"], 16) % 2 == 0


def test_a_visitor_is_known_by_it(server: Served) -> None:
    """From another address, with another browser; and by what the cookie holds the operator finds the visitor."""
    given = identifier(server.tell(SECURE))
    for number, address in enumerate(("203.0.113.1", "2001:db8::1")):
        headers = {**SECURE, "Cookie": f"__Host-avowal={given}", "X-Forwarded-For": address}
        server.tell(headers, script_view_token=f"the-same-visitor-{number}", url=f"https://{SITE}/known")
    rows = server.kept("SELECT DISTINCT visitor_id FROM script_views WHERE page_path = '/known'", 1)
    ran = server.site.avowal("visitor", "show", given, "--json")
    assert ran.status == 0, ran.err
    assert ran.json()["visitor"] == rows[0]["visitor_id"]
    assert ran.json()["stored"]["script_views"]["records"] == 2
    for path in server.site.folder.rglob("*"):
        assert not path.is_file() or given.encode() not in path.read_bytes(), path


def test_it_can_be_refused_and_accepted(server: Served) -> None:
    """By a page of this host only; the refusal is remembered, and holds no identifier."""
    own = {**SECURE, "Sec-Fetch-Site": "same-origin"}
    answer = server.ask("POST", "/cookie/refuse", headers=own)
    assert answer.headers["set-cookie"].startswith("__Host-avowal=refused; Path=/; Max-Age=31104000;")
    assert identifier(server.ask("POST", "/cookie/accept", headers=own))
    for other in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://else.example"}, {}):
        refused = server.ask("POST", "/cookie/refuse", headers={**SECURE, **other})
        assert (refused.status, "set-cookie" in refused.headers) == (403, False)
    assert server.ask("POST", "/cookie/refuse", headers={**SECURE, "Origin": f"https://{SITE}"}).status == 204
    assert server.ask("POST", "/cookie/eat", headers=own).status == 404


@pytest.mark.parametrize(
    ("basis", "set_at_once"), [("unless-refused", True), ("if-accepted", False), ("never", False)]
)
def test_it_is_set_as_its_basis_says(tmp_path: Path, basis: str, set_at_once: bool) -> None:
    """`never` not even where somebody asks for it."""
    site = Site(tmp_path).init(
        ('name = "__Host-avowal"\nfor = ["content"]\nkeep = "12 months"\nbasis = "unless-refused"',
         f'name = "__Host-avowal"\nfor = ["content"]\nkeep = "12 months"\nbasis = "{basis}"'),
        settings=SETTINGS,
    )  # fmt: skip
    with served(site) as it:
        assert ("set-cookie" in it.tell(SECURE).headers) is set_at_once
        assert site.avowal("status", "--json").json()["cookie_basis"] == basis.replace("never", "")
        answer = it.ask("POST", "/cookie/accept", headers={**SECURE, "Sec-Fetch-Site": "same-origin"})
        assert ("__Host-avowal=;" in answer.headers["set-cookie"]) is (basis == "never")


def test_a_version_without_it_ends_it(tmp_path: Path) -> None:
    """From its publication on it is taken back, and visitors are known for a day only."""
    site = Site(tmp_path).init(settings=SETTINGS)
    terms = site.folder / "policy" / "terms.toml"
    with served(site) as it:
        given = identifier(it.tell(SECURE, script_view_token="before-the-change"))
        text = terms.read_text().replace(
            'keep = { day = "forever", full = "12 months" }', 'keep = { day = "forever" }'
        )
        terms.write_text(re.sub(r"(?m)^updated = \S+", f"updated = {datetime.now(UTC).date()}", text))
        ran = site.avowal("policy", "publish")
        assert ran.status == 0, ran.err
        answer = it.tell({**SECURE, "Cookie": f"__Host-avowal={given}"}, script_view_token="after-the-change")
        assert answer.headers["set-cookie"].startswith("__Host-avowal=; Path=/; Max-Age=0;")
        keys = {int(row["visitor_id"], 16) % 2 for row in it.kept("SELECT visitor_id FROM script_views", 2)}
        assert keys == {0}  # what the first left is shown as that of a day, too


def test_a_real_browser_keeps_it(tmp_path: Path) -> None:
    """Over HTTPS Chromium takes it, no script can read it, and it comes back with the next page."""
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    words = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    subprocess.run([*words, "-keyout", key, "-out", cert], check=True, capture_output=True)
    folder = tmp_path / "site"
    folder.mkdir()
    site, port = Site(folder).init(), free_port()
    with (
        site.started("serve", "--port", str(port), "--tls-cert", str(cert), "--tls-key", str(key)) as started,
        sync_playwright() as playwright,
    ):
        started.wait_for("serving https://")
        it = Served(site, port, started)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(user_agent=CHROME, ignore_https_errors=True)
        context.route("**/page*", lambda route: route.fulfill(body=SCRIPTED_PAGE, content_type="text/html"))
        for number in range(2):
            page = context.new_page()
            page.goto(f"https://localhost:{port}/page{number}", timeout=20_000)
            page.wait_for_timeout(500)
            page.close(run_before_unload=True)
        (cookie,) = context.cookies()
        assert (cookie["name"], cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (
            "__Host-avowal", True, True, "Lax",
        )  # fmt: skip
        known = {row["visitor_id"] for row in it.kept("SELECT visitor_id FROM script_views", 2)}
        assert len(known) == 1
        page = context.new_page()
        page.goto(f"https://localhost:{port}/page")
        assert page.evaluate("fetch('/cookie/refuse', {method: 'POST'}).then(answer => answer.status)") == 204
        (cookie,) = context.cookies()
        assert cookie["value"] == "refused"
        page.close(run_before_unload=True)
        browser.close()
