"""What the script tells beside views: only what the terms declare, of what is done on pages and how they fared."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from playwright.sync_api import Page, Route, sync_playwright

from support.browsers import CHROMIUM, needs_chromium
from support.served import SETTINGS, SITE, Served, served
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


def declaring(folder: Path, *categories: str, keep: str = 'full = "forever"') -> Site:
    """Make a site whose terms declare these, too."""
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
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    site = declaring(tmp_path_factory.mktemp("site"), "interaction", "page-quality")
    with served(site) as it:
        yield it


def tell(it: Served, look: str, path: str, details: dict[str, Any], **told: Any) -> None:
    answer = it.tell(script_view_token=f"{look:-<12}", url=f"https://{SITE}{path}", details=details, **told)
    assert answer.status == 202, answer.body


def report(it: Served, name: str) -> list[dict[str, Any]]:
    rows = it.site.report(name)["tables"][name.replace("-", "_")]
    assert isinstance(rows, list)
    return rows


def test_what_is_declared_is_kept(server: Served) -> None:
    """In the look, or as what was done on its page; a file's query is not."""
    tell(server, "all", "/all", EVERYTHING)
    (look,) = server.kept("SELECT * FROM script_views WHERE page_path = '/all'", 1)
    fared = [
        look[name]
        for name in (
            "not_found",
            "largest_contentful_paint_ms",
            "interaction_to_next_paint_ms",
            "cumulative_layout_shift",
            "script_errors",
        )
    ]
    assert fared == [True, 1_200, 80, 0.05, 2]
    (done,) = server.kept("SELECT * FROM events WHERE page_path = '/all'", 1)
    assert (done["download_path"], done["outbound_link"], done["upload_bytes"], done["event_name"]) == (
        "/files/report.pdf",
        EVERYTHING["outbound_link"],
        5_000,
        "signed-up",
    )
    assert (done["host"], done["visitor_id"], done["version"]) == (SITE, look["visitor_id"], 1)


def test_how_a_page_fared_grows(server: Served) -> None:
    """Whatever comes first, and in whichever journal: the largest that was told stands; done is done as often as told."""
    for cls, errors, event in ((0.3, 1, "step"), (0.1, 4, "step")):
        tell(
            server,
            "grows",
            "/grows",
            {"cumulative_layout_shift": cls, "script_errors": errors, "event_name": event},
        )
        server.kept(
            f"SELECT 1 FROM script_views WHERE page_path = '/grows' AND script_errors = {errors}", 1
        )  # each is loaded by itself
    tell(
        server,
        "grows",
        "/grows",
        {"cumulative_layout_shift": 0.2, "largest_contentful_paint_ms": 90, "event_name": "step"},
    )
    server.kept("SELECT 1 FROM events WHERE page_path = '/grows'", 3)
    (look,) = server.kept("SELECT * FROM script_views WHERE page_path = '/grows'", 1)
    assert (look["cumulative_layout_shift"], look["script_errors"], look["largest_contentful_paint_ms"]) == (
        0.3,
        4,
        90,
    )
    assert look["not_found"] is None


def test_reports_tell_of_it(server: Served) -> None:
    """Of people alone: a robot's doings are none."""
    for number, cls in enumerate((0.0, 0.05, 0.2, 0.3)):
        visitor = {"X-Forwarded-For": f"198.51.100.{number}", "User-Agent": CHROME}
        event = {
            "script_view_token": f"look-of-many-{number}",
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
        assert server.ask("POST", "/collect", body, visitor).status == 202
        robot = json.dumps({**event, "script_view_token": f"robot-{number}----", "details": details}).encode()
        assert server.ask("POST", "/collect", robot, {"User-Agent": GOOGLEBOT}).status == 202
    server.kept("SELECT 1 FROM script_views WHERE page_path = '/many'", 8)
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
    (problems,) = [row for row in report(server, "errors") if row["page_path"] == "/many"]
    assert problems == {
        "page_path": "/many",
        "views": 4,
        "not_found": 0,
        "views_with_errors": 3,
        "script_errors": 6,
    }


@pytest.mark.parametrize(
    ("details", "said"),
    [
        ({"event_name": "a name with spaces"}, "$.details.event_name"),
        ({"event_name": ""}, "$.details.event_name"),
        ({"cumulative_layout_shift": -1}, "$.details.cumulative_layout_shift"),
        ({"largest_contentful_paint_ms": 1.5}, "$.details.largest_contentful_paint_ms"),
        ({"script_errors": 1e12}, "$.details.script_errors"),
        ({"download": "x" * 5_000}, "$.details.download"),
        (["event"], "$.details"),
    ],
)
def test_what_is_malformed_is_refused(server: Served, details: Any, said: str) -> None:
    """As the rest of an event."""
    answer = server.tell(details=details)
    assert (answer.status, answer.json()["code"]) == (400, "invalid-event")
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "https://a:b@other.example/", "https://[", "mailto:a@b"]
)
def test_what_is_no_page_is_no_link(server: Served, address: str) -> None:
    """The event is kept without it."""
    look = f"{abs(hash(address)):012d}"[:12]
    tell(server, look, f"/link-{look}", {"outbound_link": address, "event_name": look and "linked"})
    (done,) = server.kept(f"SELECT * FROM events WHERE page_path = '/link-{look}'", 1)
    assert (done["outbound_link"], done["event_name"]) == (None, "linked")


def test_a_visitor_sees_and_erases_it(server: Served) -> None:
    """With all else that is held: in the summary, the export, the page, and what is gone after."""
    tell(server, "mine", "/mine", EVERYTHING)
    (done,) = server.kept("SELECT visitor_id FROM events WHERE page_path = '/mine'", 1)
    key, site = done["visitor_id"], server.site
    told = site.avowal("visitor", "show", key, "--json").json()
    assert told["stored"]["events"]["records"] >= 1
    schema = jsonschema.Draft202012Validator(site.avowal("visitor", "schema").json())
    exported = site.folder / "export.jsonl"
    assert site.avowal("visitor", "export", key, "--output", exported).status == 0
    lines = [json.loads(line) for line in exported.read_text().splitlines()]
    assert [list(schema.iter_errors(line)) for line in lines] == [[] for _ in lines]
    assert "signed-up" in {line.get("event_name") for line in lines}
    page = site.folder / "person.html"
    assert site.avowal("visitor", "show", key, "--page", page).status == 0
    assert "What you did on pages" in page.read_text()
    records = told["stored"]["requests"]["records"] + told["stored"]["script_views"]["records"]
    ran = site.avowal("visitor", "erase", key, "--expected-records", str(records))
    assert ran.status == 0, ran.err
    assert "events" in ran.out
    server.kept(f"SELECT 1 FROM events WHERE visitor_id = '{key}'", 0)
    assert site.avowal("verify").status == 0


def test_what_is_not_declared_goes_nowhere(tmp_path: Path) -> None:
    """Whoever sends it: it is on no disk, and the script has no part that tells it."""
    with served(Site(tmp_path).init(settings=SETTINGS)) as it:
        tell(it, "none", "/none", {**EVERYTHING, "event_name": "s3cr3t-event"})
        (look,) = it.kept("SELECT * FROM script_views", 1)
        assert look["not_found"] is look["cumulative_layout_shift"] is look["script_errors"] is None
        it.kept("SELECT 1 FROM events", 0)
        assert b"details.js" not in it.ask("GET", "/avowal.js").body
        refused = it.ask("GET", "/avowal.details.js")
        assert (refused.status, refused.json()["code"]) == (404, "no-details-declared")
        assert it.ask("GET", "/avowal.details.source.js").status == 404
        for path in it.site.folder.rglob("*"):
            if path.is_file():
                assert b"s3cr3t" not in path.read_bytes(), path
        for name in ("events", "errors", "web-vitals"):
            (note,) = it.site.report(name)["notes"]
            assert "nothing is shown: the terms" in note


def test_the_script_has_what_is_declared(tmp_path: Path) -> None:
    """Those parts and no others; and a link at the precision that the terms let in."""
    site = declaring(tmp_path, "outbound-link", keep='site = "90 days"')
    with served(site) as it:
        assert b"avowal.details.js" in it.ask("GET", "/avowal.js").body
        script = it.ask("GET", "/avowal.details.js", headers={"Accept-Encoding": "gzip"})
        assert script.headers["content-encoding"] == "gzip"
        source = it.ask("GET", "/avowal.details.source.js").body
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
        tell(
            it,
            "linked",
            "/linked",
            {**EVERYTHING, "outbound_link": "https://other.example/a?q=s3cr3t#s3cr3t"},
        )
        (done,) = it.kept("SELECT * FROM events", 1)
        assert (done["outbound_link"], done["download_path"], done["event_name"]) == (
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
def test_a_browser_tells_it(server: Served) -> None:
    """What is done on a page, what the page names, and how it fared, in a real browser."""
    answering = f"http://127.0.0.1:{server.port}"

    def site(route: Route) -> None:
        path = route.request.url.removeprefix(f"https://{SITE}")
        if path.startswith(("/avowal", "/collect")):
            route.fulfill(response=route.fetch(url=answering + path, max_redirects=0))
        else:
            route.fulfill(status=404 if path == "/gone" else 200, body=PAGE, content_type="text/html")

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(user_agent=CHROME).new_page()
        page.route("**/*", site)
        page.goto(f"https://{SITE}/app")
        page.wait_for_function("window.avowal && avowal.details")
        use(page)
        page.goto(f"https://{SITE}/gone")
        page.wait_for_function("window.avowal && avowal.details")
        page.close(run_before_unload=True)
        browser.close()
    done = server.kept("SELECT * FROM events WHERE page_path = '/app'", 6)
    told = {
        name: {row[name] for row in done} - {None}
        for name in ("download_path", "outbound_link", "upload_bytes", "event_name")
    }
    assert told == {
        "download_path": {"/files/report.pdf", "/plain"},
        "outbound_link": {"https://other.example/page?q=1"},
        "upload_bytes": {11},
        "event_name": {"pressed", "called"},
    }
    (look,) = server.kept(
        "SELECT * FROM script_views WHERE page_path = '/app' AND cumulative_layout_shift > 0", 1
    )
    assert 0 < look["largest_contentful_paint_ms"] < 60_000
    assert look["interaction_to_next_paint_ms"] >= 50
    assert look["script_errors"] == 1
    assert look["not_found"] is None
    server.kept("SELECT 1 FROM script_views WHERE page_path = '/gone' AND not_found", 1)


def use(page: Page) -> None:
    """Do on a page what there is to do."""
    page.wait_for_timeout(1_000)  # past what is called an answer to an input
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
