"""`avowal serve`: an event is on the disk before it is acknowledged, and the terms decide what is stored."""

import json
import re
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support.running_server import (
    SCRIPT_VIEW_TOKEN,
    SETTINGS,
    SITE,
    RunningServer,
    free_port,
    is_answering,
    start_server,
)
from support.site import CHROME, GOOGLEBOT, Site, fill_placeholders, wait_until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with start_server(Site(tmp_path_factory.mktemp("site")).init(settings=SETTINGS)) as server:
        yield server


def test_a_new_folder_is_served(tmp_path: Path) -> None:
    """In a new folder `serve` writes its configuration, collects once terms are adopted, and stops cleanly."""
    with start_server(Site(tmp_path)) as server:
        assert "created `avowal.toml`" in server.command.read_output()
        terms = tmp_path / "policy" / "terms.toml"
        terms.write_text(fill_placeholders(terms.read_text()))
        assert server.site.avowal("policy", "adopt").status == 0
        answer = server.send_event(url=f"http://127.0.0.1:{server.port}/a")
        assert answer.status == 202
        server.stop()
        assert "stopped" in server.command.read_output()
    assert server.site.rows("SELECT host, page_path, ip_address FROM script_views") == [
        ("127.0.0.1", "/a", "203.0.113.7")
    ]
    assert server.site.rows("SELECT page_path FROM views") == [("/a",)]
    assert not list((tmp_path / "data" / "journals").iterdir())


def test_the_server_listens_on_the_port_of_the_settings(tmp_path: Path) -> None:
    """Without an option the server listens on the port of the settings."""
    port = free_port()
    site = Site(tmp_path).init(settings=f"[serve]\nport = {port}\n")
    with site.start("serve") as command:
        command.wait_for(f"serving http://127.0.0.1:{port}/")
        server = RunningServer(site, port, command)
        wait_until(lambda: is_answering(server), "the server answers")
        server.stop()


def test_a_second_server_is_refused(server: RunningServer) -> None:
    """A second server on a folder is refused with the ID of the process that owns it."""
    result = server.site.avowal("serve")
    assert (result.status, result.code) == (1, "folder-in-use")
    assert f"process {server.command.process.pid} owns the folder" in result.err


def test_a_script_view_becomes_a_view_with_its_duration(server: RunningServer) -> None:
    """Events in parts, out of order or repeated never reduce a duration, nor raise it above the time elapsed."""
    for visible_ms, age in ((0, 0), (900, 1000), (400, 500), (900, 1000)):
        assert (
            server.send_event(
                script_view_token="parts-of-one-view",
                url=f"https://{SITE}/parts",
                visible_ms=visible_ms,
                elapsed_ms=age,
            ).status
            == 202
        )
    (row,) = server.wait_for_rows("SELECT view_duration_ms AS d FROM views WHERE page_path = '/parts'", 1)
    assert row["d"] == 900 or 0 < row["d"] < 900  # at most the time that the test took
    assert (
        server.send_event(
            script_view_token="parts-of-one-view",
            url=f"https://{SITE}/parts",
            visible_ms=80_000,
            elapsed_ms=90_000,
        ).status
        == 202
    )
    server.send_event(script_view_token="another-view", url=f"https://{SITE}/parts-2")
    server.wait_for_rows("SELECT 1 FROM script_views WHERE page_path = '/parts-2'", 1)
    (row,) = server.wait_for_rows("SELECT visible_ms AS d FROM script_views WHERE page_path = '/parts'", 1)
    assert row["d"] < 60_000


def test_only_what_the_terms_permit_is_stored(server: RunningServer) -> None:
    """No query string, fragment, credentials or user agent of an event is in any file."""
    secret = "s3cr3t-words"  # noqa: S105  # of nobody
    answer = server.send_event(
        {"User-Agent": f"{CHROME} {secret}"},
        script_view_token="with-a-secret",
        url=f"https://user:{secret}@{SITE}/secrets?q={secret}#{secret}",
        referrer=f"https://search.example/find?q={secret}",
    )
    assert answer.status == 202
    for path in server.site.folder.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
    (row,) = server.wait_for_rows("SELECT * FROM script_views WHERE page_path = '/secrets'", 1)
    assert row["referrer"] == "https://search.example/find"
    assert row["page_query"] is None
    assert (row["browser"], row["operating_system"], row["device_kind"]) == ("Chrome", "Windows", "desktop")
    assert secret not in server.command.read_output()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"[]", "Expected `object`"),
        (b'{"url": "https://site.example/"}', "missing required field `script_view_token`"),
        (b'{"script_view_token": "short", "url": "https://site.example/"}', "$.script_view_token"),
        (b'{"script_view_token": "abcdefghij0123", "url": 7}', "$.url"),
        (
            b'{"script_view_token": "abcdefghij0123", "url": "https://site.example/", "elapsed_ms": 1.5}',
            "$.elapsed_ms",
        ),
        (
            b'{"script_view_token": "abcdefghij0123", "url": "https://site.example/", "visible_ms": 1e99}',
            "$.visible_ms",
        ),
        (b"\xff\xfe", "malformed"),
        (b'{"script_view_token": "abcdefghij0123", "url": "https://site.ex\xc0mple/"}', "utf-8"),
        (b'{"script_view_token": "abcdefghij0123", "details": ' + b'{"a": ' * 2_500 + b"}", "recursion"),
    ],
)
def test_a_malformed_event_is_refused(server: RunningServer, body: bytes, message: str) -> None:
    """A malformed event is refused with status 400 and a problem that says where the error is."""
    answer = server.request("POST", "/collect", body)
    assert (answer.status, answer.json()["code"]) == (400, "invalid-event")
    assert answer.headers["content-type"] == "application/problem+json"
    assert message in answer.json()["detail"]
    assert answer.json()["hint"]


@pytest.mark.parametrize(("rest", "path"), [("?" + "x" * 5_000, "/long"), ("y" * 5_000, "/longy*")])
def test_a_long_address_is_cut(server: RunningServer, rest: str, path: str) -> None:
    """A view of an address that is longer than 4,096 characters counts: the address is cut at its query first."""
    url = f"https://{SITE}/long{rest}"
    body = {"script_view_token": f"abcdefghij{ord(rest[0])}", "url": url, "referrer": url}
    assert server.request("POST", "/collect", json.dumps(body).encode()).status == 202
    (row,) = server.wait_for_rows(f"SELECT page_path FROM script_views WHERE page_path GLOB '{path}'", 1)
    assert len(row["page_path"]) <= 4_096


def test_a_body_that_is_too_long_is_refused(server: RunningServer) -> None:
    """A body that is too long is refused with status 413."""
    assert server.request("POST", "/collect", b"x" * 20_000).status == 413


@pytest.mark.parametrize(
    ("url", "headers", "reason"),
    [
        ("https://else.example/", {}, "not-our-site"),
        (f"https://{SITE}/", {"Origin": "https://else.example"}, "not-our-site"),
        ("file:///home/ann/page.html", {}, "no-page"),
        ("https://[/", {}, "no-page"),
    ],
)
def test_a_dropped_event_is_answered_with_its_reason(
    server: RunningServer, url: str, headers: dict[str, str], reason: str
) -> None:
    """A dropped event is answered with status 204 and the reason in a header."""
    answer = server.send_event(headers, url=url)
    assert (answer.status, answer.headers["avowal-dropped"], answer.body) == (204, reason, b"")


@pytest.mark.parametrize(
    ("elapsed_ms", "reason"),
    [(-1, "in-the-future"), (86_400_001, "too-old"), (10**30, "too-old"), (86_399_000, None)],
)
def test_an_event_older_than_a_day_is_dropped(
    server: RunningServer, elapsed_ms: int, reason: str | None
) -> None:
    """An event is dropped if it is older than a day, or in the future, and its reason is counted."""
    answer = server.send_event(script_view_token=f"view-of-an-age-{elapsed_ms % 100}", elapsed_ms=elapsed_ms)
    assert answer.headers.get("avowal-dropped") == reason


def test_a_script_view_of_a_bot_is_no_view(server: RunningServer) -> None:
    """A script view of a bot is stored with the bot's name and counts as no view."""
    assert (
        server.send_event(
            {"User-Agent": GOOGLEBOT}, script_view_token="view-of-a-bot", url=f"https://{SITE}/bot"
        ).status
        == 202
    )
    (row,) = server.wait_for_rows("SELECT bot FROM script_views WHERE page_path = '/bot'", 1)
    assert row["bot"] == "Googlebot"
    assert not server.wait_for_rows("SELECT 1 FROM views WHERE page_path = '/bot'", 0)


def test_the_pixel_records_a_view_without_duration(server: RunningServer) -> None:
    """A request of the pixel records a view whose duration is unknown."""
    answer = server.request("GET", "/pixel.gif", headers={"Referer": f"https://{SITE}/pixel"})
    assert (answer.status, answer.headers["content-type"]) == (200, "image/gif")
    assert answer.headers["cache-control"] == "no-store"
    (row,) = server.wait_for_rows("SELECT view_duration_ms AS d FROM views WHERE page_path = '/pixel'", 1)
    assert row["d"] is None
    assert server.request("GET", "/pixel.gif").headers["avowal-dropped"] == "no-page"


def test_a_visit_includes_the_duration_of_its_last_page(server: RunningServer) -> None:
    """The duration of a visit includes the measured time on its last page."""
    alone = {"X-Forwarded-For": "203.0.113.99"}
    server.send_event(
        alone,
        script_view_token="the-last-page",
        url=f"https://{SITE}/last",
        visible_ms=50_000,
        elapsed_ms=60_000,
    )
    (row,) = server.wait_for_rows(
        "SELECT visit_duration_ms AS d, views FROM visits WHERE exit_path = '/last'", 1
    )
    assert (row["d"], row["views"]) == (50_000, 1)


def test_reports_work_without_logs(server: RunningServer) -> None:
    """Reports use script views alone on a site without logs, and print no note about missing data."""
    server.send_event(
        script_view_token="for-the-reports",
        url=f"https://{SITE}/reported",
        visible_ms=5_000,
        elapsed_ms=6_000,
    )
    server.wait_for_rows("SELECT 1 FROM views WHERE page_path = '/reported'", 1)
    result = server.site.report("pages", "--filter", "page=/reported")
    assert result["tables"]["pages"][0]["median_time_on_page_ms"] == 5_000
    assert result["notes"] == []
    (row,) = server.site.report("coverage", "--filter", "page=/reported")["tables"]["coverage"]
    assert (row["script_views"], row["script_only_views"], row["log_views"]) == (1, 1, 0)


def test_readiness_and_metrics_are_served(server: RunningServer) -> None:
    """`/readyz` lists its checks; `/metrics` is served to the same machine only."""
    assert server.request("GET", "/readyz").json() == {
        "ready": True,
        "checks": {"journal": "ok", "background": "ok", "probes": "ok"},
        "warnings": [],
    }
    response = server.request("GET", "/metrics", headers={"X-Forwarded-For": "127.0.0.1"})
    assert b'avowal_events_total{outcome="accepted"}' in response.body
    assert server.request("GET", "/metrics").status == 404


def test_only_allowed_origins_may_send_events(tmp_path: Path) -> None:
    """Pages of the origins in the settings may send events, others may not, and a limit holds per address."""
    settings = '[serve]\nallowed_origins = ["https://shop.example"]\nevents_per_minute = 3\n'
    with start_server(Site(tmp_path).init(settings=settings)) as server:
        for origin, allowed in (("https://shop.example", True), ("https://else.example", False)):
            answer = server.request("OPTIONS", "/collect", headers={"Origin": origin})
            assert answer.headers.get("access-control-allow-origin") == (origin if allowed else None)
            event_answer = server.send_event({"Origin": origin}, url="https://shop.example/")
            assert event_answer.status == (202 if allowed else 204)
            assert ("access-control-allow-origin" in event_answer.headers) is allowed
        assert server.send_event(url="https://shop.example/").status == 202
        answer = server.send_event(url="https://shop.example/")
        assert answer.status == 429
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert (
            server.send_event({"X-Forwarded-For": "203.0.113.8"}, url="https://shop.example/").status == 202
        )


def test_an_acknowledged_event_survives_a_kill(tmp_path: Path) -> None:
    """Every event that was acknowledged before a kill is stored exactly once."""
    site = Site(tmp_path).init(settings=SETTINGS)
    acknowledged = set[str]()
    for round_ in range(3):
        with start_server(site) as server:
            for number in range(20):
                page = f"/{round_}-{number}"
                if (
                    server.send_event(
                        script_view_token=f"{SCRIPT_VIEW_TOKEN}-{round_}-{number}",
                        url=f"https://{SITE}{page}",
                    ).status
                    == 202
                ):
                    acknowledged.add(page)
            server.command.process.send_signal(signal.SIGKILL)
            server.command.process.wait()
    assert len(acknowledged) == 60
    assert site.report("overview")["tables"]["overview"][0]["views"] == 60
    pages = [page for (page,) in site.rows("SELECT page_path FROM script_views")]
    assert sorted(pages) == sorted(acknowledged)
    assert not list((site.data / "journals").iterdir())


def test_a_new_version_applies_from_its_publication(tmp_path: Path) -> None:
    """A running server applies a version that takes effect at once to the next event."""
    site = Site(tmp_path).init(settings=SETTINGS)
    terms = site.folder / "policy" / "terms.toml"
    with start_server(site) as server:
        assert (
            server.send_event(script_view_token="before-the-change", url=f"https://{SITE}/before").status
            == 202
        )
        text = terms.read_text().replace('"page-path", ', "")
        terms.write_text(re.sub(r"(?m)^updated = \S+", f"updated = {datetime.now(UTC).date()}", text))
        result = site.avowal("policy", "publish")
        assert result.status == 0, result.err
        assert (
            server.send_event(script_view_token="after-the-change", url=f"https://{SITE}/after").status == 202
        )
        rows = server.wait_for_rows("SELECT version FROM script_views ORDER BY view_time", 2)
        assert [row["version"] for row in rows] == [1, 2]
        server.stop()
    assert site.rows("SELECT page_path FROM script_views WHERE version = 2") == [(None,)]
    for path in site.folder.rglob("*"):
        assert not path.is_file() or b"/after" not in path.read_bytes()


def test_erasure_includes_the_journal(tmp_path: Path) -> None:
    """An erasure includes events that are still in the journal."""
    site = Site(tmp_path).init(settings=SETTINGS)
    with start_server(site) as server:
        server.send_event(script_view_token="to-be-erased", url=f"https://{SITE}/mine")
        (row,) = server.wait_for_rows("SELECT visitor_id FROM script_views", 1)
        key = row["visitor_id"]
        server.send_event(script_view_token="to-be-erased-2", url=f"https://{SITE}/mine-too")
        result = site.avowal("visitor", "erase", key, "--expected-records", "2", "--json")
        assert result.status == 0, result.err
        assert result.json()["erased"]["script_views"] == 2
        server.stop()
    assert site.rows("SELECT count(*) FROM script_views") == [(0,)]
    assert not any(b"/mine" in path.read_bytes() for path in site.data.rglob("*") if path.is_file())
