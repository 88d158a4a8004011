"""`avowal serve`: an event is on the disk before it is acknowledged, and the terms decide what is stored."""

import re
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support.served import LOOK, SETTINGS, SITE, Served, answers, free_port, served
from support.site import CHROME, GOOGLEBOT, Site, wait_until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(Site(tmp_path_factory.mktemp("site")).init(settings=SETTINGS)) as server:
        yield server


def test_a_new_folder_is_served(tmp_path: Path) -> None:
    """In a new folder `serve` writes its configuration, prints its address, collects, and stops cleanly."""
    with served(Site(tmp_path)) as server:
        assert "created `avowal.toml`" in server.started.said()
        assert (tmp_path / "policy" / "terms.toml").is_file()
        answer = server.tell(url=f"http://127.0.0.1:{server.port}/a")
        assert answer.status == 202
        server.stop()
        assert "stopped" in server.started.said()
    assert server.site.rows("SELECT host, page_path, ip_address FROM script_views") == [
        ("127.0.0.1", "/a", "203.0.113.7")
    ]
    assert server.site.rows("SELECT page_path FROM views") == [("/a",)]
    assert not list((tmp_path / "data" / "journals").iterdir())


def test_the_server_listens_on_the_port_of_the_settings(tmp_path: Path) -> None:
    """Without an option the server listens on the port of the settings."""
    port = free_port()
    site = Site(tmp_path).init(settings=f"[serve]\nport = {port}\n")
    with site.started("serve") as started:
        started.wait_for(f"serving http://127.0.0.1:{port}/")
        server = Served(site, port, started)
        wait_until(lambda: answers(server), "the server answers")
        server.stop()


def test_a_second_server_is_refused(server: Served) -> None:
    """A second server on a folder is refused with the ID of the process that owns it."""
    ran = server.site.avowal("serve")
    assert (ran.status, ran.code) == (1, "folder-in-use")
    assert f"process {server.started.process.pid} owns the folder" in ran.err


def test_a_script_view_becomes_a_view_with_its_duration(server: Served) -> None:
    """Events in parts, out of order or repeated never reduce a duration, nor raise it above the time elapsed."""
    for seen, age in ((0, 0), (900, 1000), (400, 500), (900, 1000)):
        assert (
            server.tell(
                script_view_token="parts-of-one-view",
                url=f"https://{SITE}/parts",
                visible_ms=seen,
                elapsed_ms=age,
            ).status
            == 202
        )
    (row,) = server.kept("SELECT view_duration_ms AS d FROM views WHERE page_path = '/parts'", 1)
    assert row["d"] == 900 or 0 < row["d"] < 900  # at most the time that the test took
    assert (
        server.tell(
            script_view_token="parts-of-one-view",
            url=f"https://{SITE}/parts",
            visible_ms=80_000,
            elapsed_ms=90_000,
        ).status
        == 202
    )
    server.tell(script_view_token="another-view", url=f"https://{SITE}/parts-2")
    server.kept("SELECT 1 FROM script_views WHERE page_path = '/parts-2'", 1)
    (row,) = server.kept("SELECT visible_ms AS d FROM script_views WHERE page_path = '/parts'", 1)
    assert row["d"] < 60_000


def test_only_what_the_terms_permit_is_stored(server: Served) -> None:
    """No query string, fragment, credentials or user agent of an event is in any file."""
    secret = "s3cr3t-words"  # noqa: S105  # of nobody
    answer = server.tell(
        {"User-Agent": f"{CHROME} {secret}"},
        script_view_token="with-a-secret",
        url=f"https://user:{secret}@{SITE}/secrets?q={secret}#{secret}",
        referrer=f"https://search.example/find?q={secret}",
    )
    assert answer.status == 202
    for path in server.site.folder.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
    (row,) = server.kept("SELECT * FROM script_views WHERE page_path = '/secrets'", 1)
    assert row["referrer"] == "https://search.example/find"
    assert row["page_query"] is None
    assert (row["browser"], row["operating_system"], row["device_kind"]) == ("Chrome", "Windows", "desktop")
    assert secret not in server.started.said()


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
            b'{"script_view_token": "abcdefghij0123", "url": "https://site.example/", "elapsed_ms": -1}',
            "$.elapsed_ms",
        ),
        (
            b'{"script_view_token": "abcdefghij0123", "url": "https://site.example/", "visible_ms": 1e99}',
            "$.visible_ms",
        ),
        (
            b'{"script_view_token": "abcdefghij0123", "url": "https://site.example/' + b"x" * 5_000 + b'"}',
            "$.url",
        ),
        (b"\xff\xfe", "malformed"),
        (b'{"script_view_token": "abcdefghij0123", "url": "https://site.ex\xc0mple/"}', "utf-8"),
        (b'{"script_view_token": "abcdefghij0123", "details": ' + b'{"a": ' * 2_500 + b"}", "recursion"),
    ],
)
def test_a_malformed_event_is_refused(server: Served, body: bytes, message: str) -> None:
    """A malformed event is refused with status 400 and a problem that says where the error is."""
    answer = server.ask("POST", "/collect", body)
    assert (answer.status, answer.json()["code"]) == (400, "invalid-event")
    assert answer.headers["content-type"] == "application/problem+json"
    assert message in answer.json()["detail"]
    assert answer.json()["hint"]


def test_a_body_that_is_too_long_is_refused(server: Served) -> None:
    """A body that is too long is refused with status 413."""
    assert server.ask("POST", "/collect", b"x" * 20_000).status == 413


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
    server: Served, url: str, headers: dict[str, str], reason: str
) -> None:
    """A dropped event is answered with status 204 and the reason in a header."""
    answer = server.tell(headers, url=url)
    assert (answer.status, answer.headers["avowal-dropped"], answer.body) == (204, reason, b"")


def test_a_script_view_of_a_bot_is_no_view(server: Served) -> None:
    """A script view of a bot is stored with the bot's name and counts as no view."""
    assert (
        server.tell(
            {"User-Agent": GOOGLEBOT}, script_view_token="view-of-a-bot", url=f"https://{SITE}/bot"
        ).status
        == 202
    )
    (row,) = server.kept("SELECT bot FROM script_views WHERE page_path = '/bot'", 1)
    assert row["bot"] == "Googlebot"
    assert not server.kept("SELECT 1 FROM views WHERE page_path = '/bot'", 0)


def test_the_pixel_records_a_view_without_duration(server: Served) -> None:
    """A request of the pixel records a view whose duration is unknown."""
    answer = server.ask("GET", "/pixel.gif", headers={"Referer": f"https://{SITE}/pixel"})
    assert (answer.status, answer.headers["content-type"]) == (200, "image/gif")
    assert answer.headers["cache-control"] == "no-store"
    (row,) = server.kept("SELECT view_duration_ms AS d FROM views WHERE page_path = '/pixel'", 1)
    assert row["d"] is None
    assert server.ask("GET", "/pixel.gif").headers["avowal-dropped"] == "no-page"


def test_a_visit_includes_the_duration_of_its_last_page(server: Served) -> None:
    """The duration of a visit includes the measured time on its last page."""
    alone = {"X-Forwarded-For": "203.0.113.99"}
    server.tell(
        alone,
        script_view_token="the-last-page",
        url=f"https://{SITE}/last",
        visible_ms=50_000,
        elapsed_ms=60_000,
    )
    (row,) = server.kept("SELECT visit_duration_ms AS d, views FROM visits WHERE exit_path = '/last'", 1)
    assert (row["d"], row["views"]) == (50_000, 1)


def test_reports_work_without_logs(server: Served) -> None:
    """Reports use script views alone on a site without logs, and print no note about missing data."""
    server.tell(
        script_view_token="for-the-reports",
        url=f"https://{SITE}/reported",
        visible_ms=5_000,
        elapsed_ms=6_000,
    )
    server.kept("SELECT 1 FROM views WHERE page_path = '/reported'", 1)
    result = server.site.report("pages", "--filter", "page=/reported")
    assert result["tables"]["pages"][0]["median_time_on_page_ms"] == 5_000
    assert result["notes"] == []
    (row,) = server.site.report("coverage", "--filter", "page=/reported")["tables"]["coverage"]
    assert (row["script_views"], row["script_only_views"], row["log_views"]) == (1, 1, 0)


def test_readiness_and_metrics_are_served(server: Served) -> None:
    """`/readyz` lists its checks; `/metrics` is served to the same machine only."""
    assert server.ask("GET", "/readyz").json() == {
        "ready": True,
        "checks": {"journal": "ok", "background": "ok", "probes": "ok"},
    }
    own = server.ask("GET", "/metrics", headers={"X-Forwarded-For": "127.0.0.1"})
    assert b'avowal_events_total{outcome="accepted"}' in own.body
    assert server.ask("GET", "/metrics").status == 404


def test_only_allowed_origins_may_send_events(tmp_path: Path) -> None:
    """Pages of the origins in the settings may send events, others may not, and a limit holds per address."""
    settings = '[serve]\nallowed_origins = ["https://shop.example"]\nevents_per_minute = 3\n'
    with served(Site(tmp_path).init(settings=settings)) as server:
        for origin, allowed in (("https://shop.example", True), ("https://else.example", False)):
            answer = server.ask("OPTIONS", "/collect", headers={"Origin": origin})
            assert answer.headers.get("access-control-allow-origin") == (origin if allowed else None)
            event_answer = server.tell({"Origin": origin}, url="https://shop.example/")
            assert event_answer.status == (202 if allowed else 204)
            assert ("access-control-allow-origin" in event_answer.headers) is allowed
        assert server.tell(url="https://shop.example/").status == 202
        answer = server.tell(url="https://shop.example/")
        assert (answer.status, answer.headers["retry-after"]) == (429, "60")
        assert server.tell({"X-Forwarded-For": "203.0.113.8"}, url="https://shop.example/").status == 202


def test_an_acknowledged_event_survives_a_kill(tmp_path: Path) -> None:
    """Every event that was acknowledged before a kill is stored exactly once."""
    site = Site(tmp_path).init(settings=SETTINGS)
    acknowledged = set[str]()
    for round_ in range(3):
        with served(site) as server:
            for number in range(20):
                page = f"/{round_}-{number}"
                if (
                    server.tell(
                        script_view_token=f"{LOOK}-{round_}-{number}", url=f"https://{SITE}{page}"
                    ).status
                    == 202
                ):
                    acknowledged.add(page)
            server.started.process.send_signal(signal.SIGKILL)
            server.started.process.wait()
    assert len(acknowledged) == 60
    assert site.report("overview")["tables"]["overview"][0]["views"] == 60
    pages = [page for (page,) in site.rows("SELECT page_path FROM script_views")]
    assert sorted(pages) == sorted(acknowledged)
    assert not list((site.data / "journals").iterdir())


def test_a_new_version_applies_from_its_publication(tmp_path: Path) -> None:
    """A running server applies a version that takes effect at once to the next event."""
    site = Site(tmp_path).init(settings=SETTINGS)
    terms = site.folder / "policy" / "terms.toml"
    with served(site) as server:
        assert server.tell(script_view_token="before-the-change", url=f"https://{SITE}/before").status == 202
        text = terms.read_text().replace('"page-path", ', "")
        terms.write_text(re.sub(r"(?m)^updated = \S+", f"updated = {datetime.now(UTC).date()}", text))
        ran = site.avowal("policy", "publish")
        assert ran.status == 0, ran.err
        assert server.tell(script_view_token="after-the-change", url=f"https://{SITE}/after").status == 202
        rows = server.kept("SELECT version FROM script_views ORDER BY view_time", 2)
        assert [row["version"] for row in rows] == [1, 2]
        server.stop()
    assert site.rows("SELECT page_path FROM script_views WHERE version = 2") == [(None,)]
    for path in site.folder.rglob("*"):
        assert not path.is_file() or b"/after" not in path.read_bytes()


def test_erasure_includes_the_journal(tmp_path: Path) -> None:
    """An erasure includes events that are still in the journal."""
    site = Site(tmp_path).init(settings=SETTINGS)
    with served(site) as server:
        server.tell(script_view_token="to-be-erased", url=f"https://{SITE}/mine")
        (row,) = server.kept("SELECT visitor_id FROM script_views", 1)
        key = row["visitor_id"]
        server.tell(script_view_token="to-be-erased-2", url=f"https://{SITE}/mine-too")
        ran = site.avowal("visitor", "erase", key, "--expected-records", "2", "--json")
        assert ran.status == 0, ran.err
        assert ran.json()["erased"]["script_views"] == 2
        server.stop()
    assert site.rows("SELECT count(*) FROM script_views") == [(0,)]
    assert not any(b"/mine" in path.read_bytes() for path in site.data.rglob("*") if path.is_file())
