"""Event details: only what the terms declare about interactions and page quality is stored."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from playwright.sync_api import Page, Route, sync_playwright

from support.browsers import CHROMIUM, needs_chromium
from support.running_server import SETTINGS, SITE, RunningServer, start_server
from support.site import CHROME, GOOGLEBOT, Site

EVERYTHING = {
    "not_found": True,
    "largest_contentful_paint_ms": 1_200,
    "interaction_to_next_paint_ms": 80,
    "cumulative_layout_shift": 0.05,
    "script_errors": 2,
    "download": f"https://{SITE}/files/report.pdf?to=s3cr3t",
    "outbound_link": "https://other.example/page?q=1",
    "upload_bytes": 5_000,
    "event_name": "signed-up",
}


def site_with_categories(folder: Path, *categories: str, keep: str = 'full = "forever"') -> Site:
    """Make a site whose terms also collect these categories."""
    site = Site(folder).init(settings=SETTINGS)
    terms = site.folder / "policy" / "terms.toml"
    lines = "".join(
        f'\n[[collect]]\ncategories = ["{category}"]\nkeep = {{ {keep} }}\n'
        'for = ["content", "performance", "availability", "abuse"]\n'
        for category in categories
    )
    terms.write_text(terms.read_text() + lines)
    return site


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    site = site_with_categories(tmp_path_factory.mktemp("site"), "interaction", "page-quality")
    with start_server(site) as server:
        yield server


def send_event(server: RunningServer, token: str, path: str, details: dict[str, Any], **fields: Any) -> None:
    answer = server.send_event(
        script_view_token=f"{token:-<12}", url=f"https://{SITE}{path}", details=details, **fields
    )
    assert answer.status == 202, answer.body


def report(server: RunningServer, name: str) -> list[dict[str, Any]]:
    rows = server.site.report(name)["tables"][name.replace("-", "_")]
    assert isinstance(rows, list)
    return rows


def test_declared_details_are_stored(server: RunningServer) -> None:
    """Declared page metrics are stored in the script view and interactions as an event, without a query string."""
    send_event(server, "all", "/all", EVERYTHING)
    (script_view,) = server.wait_for_rows("SELECT * FROM script_views WHERE page_path = '/all'", 1)
    metrics = [
        script_view[name]
        for name in (
            "not_found",
            "largest_contentful_paint_ms",
            "interaction_to_next_paint_ms",
            "cumulative_layout_shift",
            "script_errors",
        )
    ]
    assert metrics == [True, 1_200, 80, 0.05, 2]
    (event,) = server.wait_for_rows("SELECT * FROM events WHERE page_path = '/all'", 1)
    assert (event["download_path"], event["outbound_link"], event["upload_bytes"], event["event_name"]) == (
        "/files/report.pdf",
        EVERYTHING["outbound_link"],
        5_000,
        "signed-up",
    )
    assert (event["host"], event["visitor_id"], event["version"]) == (SITE, script_view["visitor_id"], 1)


def test_page_metrics_only_grow(server: RunningServer) -> None:
    """Across several journals the largest value of a metric is stored, and each interaction is an event."""
    for cls, errors, event in ((0.3, 1, "step"), (0.1, 4, "step")):
        send_event(
            server,
            "grows",
            "/grows",
            {"cumulative_layout_shift": cls, "script_errors": errors, "event_name": event},
        )
        server.wait_for_rows(
            f"SELECT 1 FROM script_views WHERE page_path = '/grows' AND script_errors = {errors}", 1
        )  # each is loaded by itself
    send_event(
        server,
        "grows",
        "/grows",
        {"cumulative_layout_shift": 0.2, "largest_contentful_paint_ms": 90, "event_name": "step"},
    )
    server.wait_for_rows("SELECT 1 FROM events WHERE page_path = '/grows'", 3)
    (script_view,) = server.wait_for_rows("SELECT * FROM script_views WHERE page_path = '/grows'", 1)
    assert (
        script_view["cumulative_layout_shift"],
        script_view["script_errors"],
        script_view["largest_contentful_paint_ms"],
    ) == (
        0.3,
        4,
        90,
    )
    assert script_view["not_found"] is None


def test_reports_show_details_of_people_only(server: RunningServer) -> None:
    """The reports of events, web vitals and errors leave out bots."""
    for number, cls in enumerate((0.0, 0.05, 0.2, 0.3)):
        visitor = {"X-Forwarded-For": f"198.51.100.{number}", "User-Agent": CHROME}
        event = {
            "script_view_token": f"view-of-many-{number}",
            "url": f"https://{SITE}/many",
            "elapsed_ms": 0,
            "visible_ms": 0,
        }
        details = {
            "cumulative_layout_shift": cls,
            "largest_contentful_paint_ms": 1_000 * number,
            "script_errors": number,
            "event_name": "many",
        }
        body = json.dumps({**event, "details": details}).encode()
        assert server.request("POST", "/collect", body, visitor).status == 202
        bot_body = json.dumps(
            {**event, "script_view_token": f"bot-{number}-------", "details": details}
        ).encode()
        assert server.request("POST", "/collect", bot_body, {"User-Agent": GOOGLEBOT}).status == 202
    server.wait_for_rows("SELECT 1 FROM script_views WHERE page_path = '/many'", 8)
    assert [row for row in report(server, "events") if row["target"] == "many"] == [
        {"event_kind": "named-event", "target": "many", "count": 4, "unique_visitors": 4, "bytes": None}
    ]
    (vitals,) = [row for row in report(server, "web-vitals") if row["page_path"] == "/many"]
    assert (
        vitals["measured_views"],
        vitals["cumulative_layout_shift_p75"],
        vitals["largest_contentful_paint_p75_ms"],
    ) == (4, 0.2, 2_000)
    assert (
        vitals["good_cls_share"],
        vitals["good_lcp_share"],
        vitals["interaction_to_next_paint_p75_ms"],
    ) == (
        0.5,
        0.75,
        None,
    )
    (errors,) = [row for row in report(server, "errors") if row["page_path"] == "/many"]
    assert errors == {
        "page_path": "/many",
        "views": 4,
        "not_found": 0,
        "views_with_errors": 3,
        "script_errors": 6,
    }


@pytest.mark.parametrize(
    ("details", "path"),
    [
        ({"event_name": "a name with spaces"}, "$.details.event_name"),
        ({"event_name": ""}, "$.details.event_name"),
        ({"cumulative_layout_shift": -1}, "$.details.cumulative_layout_shift"),
        ({"largest_contentful_paint_ms": 1.5}, "$.details.largest_contentful_paint_ms"),
        ({"script_errors": 1e12}, "$.details.script_errors"),
        ({"download": 5}, "$.details.download"),
        (["event"], "$.details"),
    ],
)
def test_malformed_details_are_refused(server: RunningServer, details: Any, path: str) -> None:
    """Malformed details are refused like the rest of an event."""
    answer = server.send_event(details=details)
    assert (answer.status, answer.json()["code"]) == (400, "invalid-event")
    assert path in answer.json()["detail"]


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "https://a:b@other.example/", "https://[", "mailto:a@b"]
)
def test_an_invalid_link_is_not_stored(server: RunningServer, address: str) -> None:
    """An event is stored without a link that is not the address of a page."""
    token = f"{abs(hash(address)):012d}"[:12]
    send_event(server, token, f"/link-{token}", {"outbound_link": address, "event_name": token and "linked"})
    (event,) = server.wait_for_rows(f"SELECT * FROM events WHERE page_path = '/link-{token}'", 1)
    assert (event["outbound_link"], event["event_name"]) == (None, "linked")


def test_a_visitor_sees_and_erases_events(server: RunningServer) -> None:
    """Events are in the summary, the export and the page of a visitor, and are erased with the rest."""
    send_event(server, "mine", "/mine", EVERYTHING)
    (event,) = server.wait_for_rows("SELECT visitor_id FROM events WHERE page_path = '/mine'", 1)
    key, site = event["visitor_id"], server.site
    summary = site.avowal("visitor", "show", key, "--json").json()
    assert summary["stored"]["events"]["records"] >= 1
    schema = jsonschema.Draft202012Validator(site.avowal("visitor", "schema").json())
    exported = site.folder / "export.jsonl"
    assert site.avowal("visitor", "export", key, "--output", exported).status == 0
    lines = [json.loads(line) for line in exported.read_text().splitlines()]
    assert [list(schema.iter_errors(line)) for line in lines] == [[] for _ in lines]
    assert "signed-up" in {line.get("event_name") for line in lines}
    page = site.folder / "person.html"
    assert site.avowal("visitor", "show", key, "--page", page).status == 0
    assert "Your actions on pages" in page.read_text()
    records = summary["stored"]["requests"]["records"] + summary["stored"]["script_views"]["records"]
    result = site.avowal("visitor", "erase", key, "--expected-records", str(records))
    assert result.status == 0, result.err
    assert "events" in result.out
    server.wait_for_rows(f"SELECT 1 FROM events WHERE visitor_id = '{key}'", 0)
    assert site.avowal("verify").status == 0


def test_undeclared_details_are_not_stored(tmp_path: Path) -> None:
    """Undeclared details are in no file, and the script has no part that sends them."""
    with start_server(Site(tmp_path).init(settings=SETTINGS)) as server:
        send_event(server, "none", "/none", {**EVERYTHING, "event_name": "s3cr3t-event"})
        (script_view,) = server.wait_for_rows("SELECT * FROM script_views", 1)
        assert (
            script_view["not_found"]
            is script_view["cumulative_layout_shift"]
            is script_view["script_errors"]
            is None
        )
        server.wait_for_rows("SELECT 1 FROM events", 0)
        script = server.request("GET", "/avowal.js").body
        assert not [name for name in EVERYTHING if name.encode() in script]
        for path in server.site.folder.rglob("*"):
            if path.is_file():
                assert b"s3cr3t" not in path.read_bytes(), path
        for name in ("events", "errors", "web-vitals"):
            (note,) = server.site.report(name)["notes"]
            assert "nothing is shown: the terms" in note


def test_the_script_has_only_declared_parts(tmp_path: Path) -> None:
    """The script has only the parts that the terms declare; a link is stored at the declared precision."""
    site = site_with_categories(tmp_path, "outbound-link", keep='site = "90 days"')
    with start_server(site) as server:
        script = server.request("GET", "/avowal.js", headers={"Accept-Encoding": "gzip"})
        assert script.headers["content-encoding"] == "gzip"
        assert b"outbound_link:" in gzip.decompress(script.body)
        source = server.request("GET", "/avowal.source.js").body
        assert b"outbound_link:" in source
        assert not [
            part
            for part in (
                b"download:",
                b"largest_contentful_paint_ms",
                b"upload_bytes:",
                b"unhandledrejection",
            )
            if part in source
        ]
        send_event(
            server,
            "linked",
            "/linked",
            {**EVERYTHING, "outbound_link": "https://other.example/a?q=s3cr3t#s3cr3t"},
        )
        (event,) = server.wait_for_rows("SELECT * FROM events", 1)
        assert (event["outbound_link"], event["download_path"], event["event_name"]) == (
            "https://other.example",
            None,
            None,
        )


PAGE = """<!doctype html><title>page</title><script defer src="/avowal.js"></script>
<h1 style="font-size: 90px">words</h1><div id="late"></div><p>more words
<a href="/files/report.pdf">file</a> <a href="/plain" download>saved</a> <a href="/next">next</a>
<a href="https://other.example/page?q=1#there"><b>other</b></a>
<button data-avowal-event="pressed">press</button>
<form action="/sent"><input type="file" multiple><button id="send">send</button></form>
<script>
  addEventListener("load", () => setTimeout(() => { throw Error("s3cr3t words") }, 300));
</script>"""


@needs_chromium
def test_a_browser_sends_details(server: RunningServer) -> None:
    """A real browser sends interactions, named events and page metrics."""
    server_url = f"http://127.0.0.1:{server.port}"

    def route_request(route: Route) -> None:
        path = route.request.url.removeprefix(f"https://{SITE}")
        if path.startswith(("/avowal", "/collect")):
            route.fulfill(response=route.fetch(url=server_url + path, max_redirects=0))
        else:
            route.fulfill(status=404 if path == "/gone" else 200, body=PAGE, content_type="text/html")

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(user_agent=CHROME).new_page()
        page.route("**/*", route_request)
        page.goto(f"https://{SITE}/app")
        page.wait_for_function("window.avowal && avowal.details")
        interact(page)
        page.goto(f"https://{SITE}/gone")
        page.wait_for_function("window.avowal && avowal.details")
        page.close(run_before_unload=True)
        browser.close()
    events = server.wait_for_rows("SELECT * FROM events WHERE page_path = '/app'", 6)
    files = {
        name: {row[name] for row in events} - {None}
        for name in ("download_path", "outbound_link", "upload_bytes", "event_name")
    }
    assert files == {
        "download_path": {"/files/report.pdf", "/plain"},
        "outbound_link": {"https://other.example/page?q=1"},
        "upload_bytes": {11},
        "event_name": {"pressed", "called"},
    }
    (script_view,) = server.wait_for_rows(
        "SELECT * FROM script_views WHERE page_path = '/app' AND cumulative_layout_shift > 0", 1
    )
    assert 0 < script_view["largest_contentful_paint_ms"] < 60_000
    assert script_view["interaction_to_next_paint_ms"] >= 50
    assert script_view["script_errors"] == 1
    assert script_view["not_found"] is None
    server.wait_for_rows("SELECT 1 FROM script_views WHERE page_path = '/gone' AND not_found", 1)


def interact(page: Page) -> None:
    """Interact with each element of a page."""
    page.wait_for_timeout(1_000)  # longer than a layout shift counts as caused by an input
    page.evaluate("document.getElementById('late').style.height = '300px'")
    page.wait_for_timeout(500)
    page.evaluate(
        "for (const link of document.links) link.addEventListener('click', e => e.preventDefault())"
    )
    page.evaluate("document.forms[0].addEventListener('submit', e => e.preventDefault())")
    for text in ("file", "saved", "next", "other"):
        page.get_by_text(text, exact=True).click()
    page.evaluate(
        "document.querySelector('[data-avowal-event]').addEventListener('click',"
        " () => { const end = performance.now() + 120; while (performance.now() < end); })"
    )
    page.get_by_text("press", exact=True).click()
    page.evaluate("avowal.event('called')")
    files = [
        {"name": name, "mimeType": "text/plain", "buffer": b"x" * size} for name, size in (("a", 5), ("b", 6))
    ]
    page.set_input_files("input", files)  # type: ignore[arg-type]  # as Playwright takes them
    page.click("#send")
    page.wait_for_timeout(300)
