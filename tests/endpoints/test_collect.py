"""`avowal serve`: what pages tell is on the disk before it is acknowledged, and only what the terms let in."""

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
    with served(Site(tmp_path_factory.mktemp("site")).init(settings=SETTINGS)) as it:
        yield it


def test_a_fresh_folder_serves(tmp_path: Path) -> None:
    """Without a configuration: it writes its own, says where it is, collects, and ends well."""
    with served(Site(tmp_path)) as it:
        assert "made `avowal.toml`" in it.started.said()
        assert (tmp_path / "policy" / "terms.toml").is_file()
        told = it.tell(url=f"http://127.0.0.1:{it.port}/a")
        assert told.status == 202
        it.stop()
        assert "stopped" in it.started.said()
    assert it.site.rows("SELECT host, page_path, ip_address FROM script_views") == [
        ("127.0.0.1", "/a", "203.0.113.7")
    ]
    assert it.site.rows("SELECT page_path FROM views") == [("/a",)]
    assert not list((tmp_path / "data" / "journals").iterdir())


def test_it_listens_where_the_settings_say(tmp_path: Path) -> None:
    """Where the command names no other place."""
    port = free_port()
    site = Site(tmp_path).init(settings=f"[serve]\nport = {port}\n")
    with site.started("serve") as started:
        started.wait_for(f"serving http://127.0.0.1:{port}/")
        it = Served(site, port, started)
        wait_until(lambda: answers(it), "the server answers")
        it.stop()


def test_a_second_server_is_refused(server: Served) -> None:
    """With the process that has the folder, and what to do."""
    ran = server.site.avowal("serve")
    assert (ran.status, ran.code) == (1, "folder-in-use")
    assert f"process {server.started.process.pid} has the folder" in ran.err


def test_a_look_becomes_a_view_with_its_duration(server: Served) -> None:
    """Told in parts, out of order and twice: its time never goes back, and never beyond the clock on the wall."""
    for seen, age in ((0, 0), (900, 1000), (400, 500), (900, 1000)):
        assert (
            server.tell(
                script_view_token="parts-of-one-look",
                url=f"https://{SITE}/parts",
                visible_ms=seen,
                elapsed_ms=age,
            ).status
            == 202
        )
    (row,) = server.kept("SELECT view_duration_ms AS d FROM views WHERE page_path = '/parts'", 1)
    assert row["d"] == 900 or 0 < row["d"] < 900  # no longer than the test itself took
    assert (
        server.tell(
            script_view_token="parts-of-one-look",
            url=f"https://{SITE}/parts",
            visible_ms=80_000,
            elapsed_ms=90_000,
        ).status
        == 202
    )
    server.tell(script_view_token="another-look", url=f"https://{SITE}/parts-2")
    server.kept("SELECT 1 FROM script_views WHERE page_path = '/parts-2'", 1)
    (row,) = server.kept("SELECT visible_ms AS d FROM script_views WHERE page_path = '/parts'", 1)
    assert row["d"] < 60_000


def test_only_what_the_terms_let_in_is_kept(server: Served) -> None:
    """The referrer without its query, no query of the page, no user agent, nowhere on the disk."""
    secret = "s3cr3t-words"  # noqa: S105  # of nobody
    told = server.tell(
        {"User-Agent": f"{CHROME} {secret}"},
        script_view_token="with-a-secret",
        url=f"https://user:{secret}@{SITE}/secrets?q={secret}#{secret}",
        referrer=f"https://search.example/find?q={secret}",
    )
    assert told.status == 202
    for path in server.site.folder.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
    (row,) = server.kept("SELECT * FROM script_views WHERE page_path = '/secrets'", 1)
    assert row["referrer"] == "https://search.example/find"
    assert row["page_query"] is None
    assert (row["browser"], row["operating_system"], row["device_kind"]) == ("Chrome", "Windows", "desktop")
    assert secret not in server.started.said()


@pytest.mark.parametrize(
    ("body", "said"),
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
    ],
)
def test_what_is_malformed_is_refused(server: Served, body: bytes, said: str) -> None:
    """With 400, where it is wrong, and nothing of what was sent."""
    answer = server.ask("POST", "/collect", body)
    assert (answer.status, answer.json()["code"]) == (400, "invalid-event")
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.json()["detail"]
    assert answer.json()["hint"]


def test_what_is_too_long_is_refused(server: Served) -> None:
    """With 413, also where its length is not told before."""
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
def test_what_is_left_out_is_told_why(server: Served, url: str, headers: dict[str, str], reason: str) -> None:
    """With 204 and the reason in a header; nothing of it is kept."""
    answer = server.tell(headers, url=url)
    assert (answer.status, answer.headers["avowal-dropped"], answer.body) == (204, reason, b"")


def test_robots_are_kept_apart(server: Served) -> None:
    """As those of logs: a look that is no view."""
    assert (
        server.tell(
            {"User-Agent": GOOGLEBOT}, script_view_token="a-robot-look", url=f"https://{SITE}/robot"
        ).status
        == 202
    )
    (row,) = server.kept("SELECT bot FROM script_views WHERE page_path = '/robot'", 1)
    assert row["bot"] == "Googlebot"
    assert not server.kept("SELECT 1 FROM views WHERE page_path = '/robot'", 0)


def test_a_page_without_script_has_a_view(server: Served) -> None:
    """The pixel's view has no duration: nobody measured it."""
    answer = server.ask("GET", "/pixel.gif", headers={"Referer": f"https://{SITE}/pixel"})
    assert (answer.status, answer.headers["content-type"]) == (200, "image/gif")
    assert answer.headers["cache-control"] == "no-store"
    (row,) = server.kept("SELECT view_duration_ms AS d FROM views WHERE page_path = '/pixel'", 1)
    assert row["d"] is None
    assert server.ask("GET", "/pixel.gif").headers["avowal-dropped"] == "no-page"


def test_a_visit_ends_with_its_last_page(server: Served) -> None:
    """Its duration has that of the last page in it, as that was measured."""
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


def test_reports_tell_of_a_site_without_logs(server: Served) -> None:
    """What the script told is enough for them; none says that nothing was collected."""
    server.tell(
        script_view_token="for-the-reports",
        url=f"https://{SITE}/reported",
        visible_ms=5_000,
        elapsed_ms=6_000,
    )
    server.kept("SELECT 1 FROM views WHERE page_path = '/reported'", 1)
    told = server.site.report("pages", "--filter", "page=/reported")
    assert told["tables"]["pages"][0]["median_time_on_page_ms"] == 5_000
    assert told["notes"] == []
    (row,) = server.site.report("coverage", "--filter", "page=/reported")["tables"]["coverage"]
    assert (row["script_views"], row["script_only_views"], row["log_views"]) == (1, 1, 0)


def test_health_and_metrics(server: Served) -> None:
    """They tell that it works; numbers are told to its own machine only."""
    assert server.ask("GET", "/readyz").json() == {
        "ready": True,
        "checks": {"journal": "ok", "background": "ok", "probes": "ok"},
    }
    own = server.ask("GET", "/metrics", headers={"X-Forwarded-For": "127.0.0.1"})
    assert b'avowal_events_total{outcome="accepted"}' in own.body
    assert server.ask("GET", "/metrics").status == 404


def test_pages_of_sites_that_are_named_may_send(tmp_path: Path) -> None:
    """Those of no other; a browser that asks before is answered."""
    settings = '[serve]\nallowed_origins = ["https://shop.example"]\nevents_per_minute = 3\n'
    with served(Site(tmp_path).init(settings=settings)) as it:
        for origin, allowed in (("https://shop.example", True), ("https://else.example", False)):
            answer = it.ask("OPTIONS", "/collect", headers={"Origin": origin})
            assert answer.headers.get("access-control-allow-origin") == (origin if allowed else None)
            told = it.tell({"Origin": origin}, url="https://shop.example/")
            assert told.status == (202 if allowed else 204)
            assert ("access-control-allow-origin" in told.headers) is allowed
        assert it.tell(url="https://shop.example/").status == 202
        answer = it.tell(url="https://shop.example/")
        assert (answer.status, answer.headers["retry-after"]) == (429, "60")
        assert it.tell({"X-Forwarded-For": "203.0.113.8"}, url="https://shop.example/").status == 202


def test_nothing_acknowledged_is_lost_in_a_kill(tmp_path: Path) -> None:
    """What was told 202 is there once, whoever opens the folder next."""
    site = Site(tmp_path).init(settings=SETTINGS)
    acknowledged = set[str]()
    for round_ in range(3):
        with served(site) as it:
            for number in range(20):
                page = f"/{round_}-{number}"
                if (
                    it.tell(script_view_token=f"{LOOK}-{round_}-{number}", url=f"https://{SITE}{page}").status
                    == 202
                ):
                    acknowledged.add(page)
            it.started.process.send_signal(signal.SIGKILL)
            it.started.process.wait()
    assert len(acknowledged) == 60
    assert site.report("overview")["tables"]["overview"][0]["views"] == 60
    pages = [page for (page,) in site.rows("SELECT page_path FROM script_views")]
    assert sorted(pages) == sorted(acknowledged)
    assert not list((site.data / "journals").iterdir())


def test_a_new_version_binds_from_its_publication(tmp_path: Path) -> None:
    """The next event is let in by it, while the server runs."""
    site = Site(tmp_path).init(settings=SETTINGS)
    terms = site.folder / "policy" / "terms.toml"
    with served(site) as it:
        assert it.tell(script_view_token="before-the-change", url=f"https://{SITE}/before").status == 202
        text = terms.read_text().replace('"page-path", ', "")
        terms.write_text(re.sub(r"(?m)^updated = \S+", f"updated = {datetime.now(UTC).date()}", text))
        ran = site.avowal("policy", "publish")
        assert ran.status == 0, ran.err
        assert it.tell(script_view_token="after-the-change", url=f"https://{SITE}/after").status == 202
        rows = it.kept("SELECT version FROM script_views ORDER BY view_time", 2)
        assert [row["version"] for row in rows] == [1, 2]
        it.stop()
    assert site.rows("SELECT page_path FROM script_views WHERE version = 2") == [(None,)]
    for path in site.folder.rglob("*"):
        assert not path.is_file() or b"/after" not in path.read_bytes()


def test_who_is_erased_is_erased_from_the_journal(tmp_path: Path) -> None:
    """Also what was told a moment before and waits there."""
    site = Site(tmp_path).init(settings=SETTINGS)
    with served(site) as it:
        it.tell(script_view_token="to-be-erased", url=f"https://{SITE}/mine")
        (row,) = it.kept("SELECT visitor_id FROM script_views", 1)
        key = row["visitor_id"]
        it.tell(script_view_token="to-be-erased-2", url=f"https://{SITE}/mine-too")
        ran = site.avowal("visitor", "erase", key, "--expected-records", "2", "--json")
        assert ran.status == 0, ran.err
        assert ran.json()["erased"]["script_views"] == 2
        it.stop()
    assert site.rows("SELECT count(*) FROM script_views") == [(0,)]
    assert not any(b"/mine" in path.read_bytes() for path in site.data.rglob("*") if path.is_file())
