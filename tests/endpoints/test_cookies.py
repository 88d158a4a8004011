"""The cookie: it is set as the terms declare and never against a refusal, and everything works without it."""

import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from support.browsers import CHROMIUM, SCRIPTED_PAGE, needs_chromium_and_nginx
from support.running_server import SETTINGS, SITE, Answer, RunningServer, free_port, start_server
from support.site import CHROME, FIREFOX, Site, line

pytestmark = needs_chromium_and_nginx
SECURE = {"Host": SITE, "X-Forwarded-Proto": "https"}
COOKIE = re.compile(
    r"__Host-avowal=([A-Za-z0-9_-]{22}); Path=/; Max-Age=31104000; Secure; HttpOnly; SameSite=Lax"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with start_server(Site(tmp_path_factory.mktemp("site")).init(settings=SETTINGS)) as server:
        yield server


def read_cookie(answer: Answer) -> str:
    """Return the value that a cookie was set to; it must have the attributes that the terms declare."""
    assert answer.status in {202, 204}
    match = COOKIE.fullmatch(answer.headers.get("set-cookie", ""))
    assert match, answer.headers
    return match[1]


def test_the_cookie_is_set_once(server: RunningServer) -> None:
    """A visitor without the cookie gets one for as long as the terms declare; one who has it gets no other."""
    first = read_cookie(server.send_event(SECURE))
    assert first != read_cookie(server.send_event(SECURE))
    second_answer = server.send_event({**SECURE, "Cookie": f"other=1; __Host-avowal={first}"})
    assert (second_answer.status, "set-cookie" in second_answer.headers) == (202, False)


def test_views_with_the_cookie_are_matched_with_a_log(tmp_path: Path) -> None:
    """Script views with the cookie are matched with log lines, which have none, by the daily key."""
    site = Site(tmp_path).init(settings=SETTINGS)
    with start_server(site) as server:
        cookie_value = read_cookie(server.send_event(SECURE))
        server.send_event(
            {**SECURE, "Cookie": f"__Host-avowal={cookie_value}"},
            script_view_token="abcdefghij-another",
            url=f"https://{SITE}/b",
        )
        now = datetime.now(UTC).replace(tzinfo=None)
        lines = (
            line(0, path, start=now, address="203.0.113.7", agent=FIREFOX) for path in ("/a", "/b", "/c")
        )
        site.import_logs(site.log("a.log", *lines))
        (row,) = server.wait_for_rows(
            "SELECT DISTINCT visitor_id, daily_key FROM script_views WHERE page_path IN ('/a', '/b')", 1
        )
        assert row["daily_key"] not in {None, row["visitor_id"]}
        (row,) = site.report("coverage")["tables"]["coverage"]
        assert (row["script_views"], row["matched_views"], row["log_only_views"]) == (2, 2, 1)


@pytest.mark.parametrize(
    "extra_headers",
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
def test_a_refused_cookie_is_not_set(server: RunningServer, extra_headers: dict[str, str]) -> None:
    """After a refusal, over plain HTTP, or for another site no cookie is set; the event is still accepted."""
    answer = server.send_event({**SECURE, **extra_headers})
    assert (answer.status, "set-cookie" in answer.headers) == (202, False)


@pytest.mark.parametrize("extra_headers", [{"Sec-GPC": "1"}, {"DNT": "1"}])
def test_a_cookie_is_deleted_when_the_browser_objects(
    server: RunningServer, extra_headers: dict[str, str]
) -> None:
    """With Sec-GPC or DNT an existing cookie is deleted and not used."""
    cookie_value = read_cookie(server.send_event(SECURE))
    page = f"/{''.join(extra_headers)}"
    headers = {
        **SECURE,
        **extra_headers,
        "Cookie": f"__Host-avowal={cookie_value}",
        "X-Forwarded-For": "203.0.113.55",
    }
    answer = server.send_event(
        headers, script_view_token=f"objects-{''.join(extra_headers)}", url=f"https://{SITE}{page}"
    )
    assert answer.headers["set-cookie"].startswith("__Host-avowal=; Path=/; Max-Age=0;")
    (row,) = server.wait_for_rows(f"SELECT visitor_id FROM script_views WHERE page_path = '{page}'", 1)
    assert int(row["visitor_id"], 16) % 2 == 0


def test_a_cookie_identifies_its_visitor(server: RunningServer) -> None:
    """The cookie identifies a visitor at any address, and the operator finds the visitor by its value."""
    cookie_value = read_cookie(server.send_event(SECURE))
    for number, address in enumerate(("203.0.113.1", "2001:db8::1")):
        headers = {**SECURE, "Cookie": f"__Host-avowal={cookie_value}", "X-Forwarded-For": address}
        server.send_event(
            headers, script_view_token=f"the-same-visitor-{number}", url=f"https://{SITE}/known"
        )
    rows = server.wait_for_rows("SELECT DISTINCT visitor_id FROM script_views WHERE page_path = '/known'", 1)
    result = server.site.avowal("visitor", "show", cookie_value, "--json")
    assert result.status == 0, result.err
    assert result.json()["visitor"] == rows[0]["visitor_id"]
    assert result.json()["stored"]["script_views"]["records"] == 2
    for path in server.site.folder.rglob("*"):
        assert not path.is_file() or cookie_value.encode() not in path.read_bytes(), path


def test_a_visitor_can_refuse_and_accept_the_cookie(server: RunningServer) -> None:
    """Only pages of this host can refuse or accept the cookie; a refusal is stored without an identifier."""
    same_origin = {**SECURE, "Sec-Fetch-Site": "same-origin"}
    answer = server.request("POST", "/cookie/refuse", headers=same_origin)
    assert answer.headers["set-cookie"].startswith("__Host-avowal=refused; Path=/; Max-Age=31104000;")
    assert read_cookie(server.request("POST", "/cookie/accept", headers=same_origin))
    for other in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://else.example"}, {}):
        refused = server.request("POST", "/cookie/refuse", headers={**SECURE, **other})
        assert (refused.status, "set-cookie" in refused.headers) == (403, False)
    assert (
        server.request("POST", "/cookie/refuse", headers={**SECURE, "Origin": f"https://{SITE}"}).status
        == 204
    )
    assert server.request("POST", "/cookie/eat", headers=same_origin).status == 404


@pytest.mark.parametrize(
    ("basis", "set_at_once"), [("unless-refused", True), ("if-accepted", False), ("never", False)]
)
def test_the_basis_decides_when_the_cookie_is_set(tmp_path: Path, basis: str, set_at_once: bool) -> None:
    """With basis `if-accepted` the cookie is not set at once, and with `never` not even on request."""
    site = Site(tmp_path).init(
        ('name = "__Host-avowal"\nfor = ["content"]\nkeep = "12 months"\nbasis = "unless-refused"',
         f'name = "__Host-avowal"\nfor = ["content"]\nkeep = "12 months"\nbasis = "{basis}"'),
        settings=SETTINGS,
    )  # fmt: skip
    with start_server(site) as server:
        assert ("set-cookie" in server.send_event(SECURE).headers) is set_at_once
        assert site.avowal("status", "--json").json()["cookie_basis"] == basis.replace("never", "")
        answer = server.request("POST", "/cookie/accept", headers={**SECURE, "Sec-Fetch-Site": "same-origin"})
        assert ("__Host-avowal=;" in answer.headers["set-cookie"]) is (basis == "never")


def test_a_version_without_the_cookie_deletes_it(tmp_path: Path) -> None:
    """Once a version without the cookie is published it is deleted, and only daily keys are used."""
    site = Site(tmp_path).init(settings=SETTINGS)
    terms = site.folder / "policy" / "terms.toml"
    with start_server(site) as server:
        cookie_value = read_cookie(server.send_event(SECURE, script_view_token="before-the-change"))
        text = terms.read_text().replace(
            'keep = { day = "forever", full = "12 months" }', 'keep = { day = "forever" }'
        )
        terms.write_text(re.sub(r"(?m)^updated = \S+", f"updated = {datetime.now(UTC).date()}", text))
        result = site.avowal("policy", "publish")
        assert result.status == 0, result.err
        answer = server.send_event(
            {**SECURE, "Cookie": f"__Host-avowal={cookie_value}"}, script_view_token="after-the-change"
        )
        assert answer.headers["set-cookie"].startswith("__Host-avowal=; Path=/; Max-Age=0;")
        keys = {
            int(row["visitor_id"], 16) % 2
            for row in server.wait_for_rows("SELECT visitor_id FROM script_views", 2)
        }
        assert keys == {0}  # earlier records are shown by their daily key too


def test_a_real_browser_stores_the_cookie(tmp_path: Path) -> None:
    """Over HTTPS, Chromium stores the cookie, hides it from scripts, and sends it with the next page."""
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    arguments = [
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
    subprocess.run([*arguments, "-keyout", key, "-out", cert], check=True, capture_output=True)
    folder = tmp_path / "site"
    folder.mkdir()
    site, port = Site(folder).init(), free_port()
    with (
        site.start("serve", "--port", str(port), "--tls-cert", str(cert), "--tls-key", str(key)) as command,
        sync_playwright() as playwright,
    ):
        command.wait_for("serving https://")
        server = RunningServer(site, port, command)
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
        visitors = {
            row["visitor_id"] for row in server.wait_for_rows("SELECT visitor_id FROM script_views", 2)
        }
        assert len(visitors) == 1
        page = context.new_page()
        page.goto(f"https://localhost:{port}/page")
        assert page.evaluate("fetch('/cookie/refuse', {method: 'POST'}).then(answer => answer.status)") == 204
        (cookie,) = context.cookies()
        assert cookie["value"] == "refused"
        page.close(run_before_unload=True)
        browser.close()
