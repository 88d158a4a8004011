"""Two versions in one folder: each record is governed by the version under which it was collected."""

import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from support.moved_clock import moved_clock
from support.site import Site, line
from support.templates import make_once

ADDRESSES = 'keep = { full = "7 days", prefix = "90 days" }\nfor = ["availability", "performance", "content", "abuse"]'
PATHS = '["request-time", "request-kind", "host", "method", "page-path", "status", "bytes", "response-time"]'
TODAY = datetime.now(UTC).replace(tzinfo=None)


@make_once
def site_with_old_policy(folder: Path) -> Site:
    """Make a site whose policy is 60 days old."""
    site = Site(folder).init()
    change(site, ("updated = 2026-11-22", f"updated = {(TODAY - timedelta(days=60)).date()}"))
    assert site.avowal("policy", "adopt").status == 0
    return site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_with_old_policy(tmp_path)


def change(site: Site, *changes: tuple[str, str]) -> None:
    terms = site.folder / "policy" / "terms.toml"
    text = terms.read_text()
    for was, now in changes:
        assert was in text
        text = text.replace(was, now, 1)
    terms.write_text(text)


def publish(site: Site, *changes: tuple[str, str]) -> None:
    """Publish changed terms that hold from now on."""
    text = (site.folder / "policy" / "terms.toml").read_text()
    old = next(row for row in text.splitlines() if row.startswith("updated = "))
    change(site, (old, f"updated = {datetime.now(UTC).date()}"), *changes)
    result = site.avowal("policy", "publish", "--accept-weaker")
    assert result.status == 0, result.err


def write_view(moment: datetime, path: str, address: str = "192.0.2.1") -> str:
    return line(0, path, start=moment, address=address)


def test_a_stricter_version_protects_old_records_at_once(site: Site) -> None:
    """After the retention of pages is limited to ten days, older pages are hidden at once, and never admitted again."""
    log = site.log(
        "access.log", *(write_view(TODAY - timedelta(days=days), f"/{days}") for days in (40, 20, 5))
    )
    site.import_logs(log)
    assert {row["page_path"] for row in site.report("pages")["tables"]["pages"]} == {"/40", "/20", "/5"}
    retention = f'categories = {PATHS}\nkeep = {{ full = "forever" }}'
    publish(site, (retention, retention.replace("forever", "10 days")))
    report = site.report("pages")
    assert {row["page_path"] for row in report["tables"]["pages"]} == {"/5"}
    assert report["excluded"]["hidden_rows"] == 2
    report_of_late_log = site.import_logs(
        site.log("late.log", *(write_view(TODAY - timedelta(days=days), f"/late-{days}") for days in (30, 4)))
    )
    assert (report_of_late_log["counts"]["requests"], report_of_late_log["counts"]["dropped"]) == (
        1,
        {"too-old": 1},
    )
    assert site.rows("SELECT DISTINCT version, governing FROM requests") == [(1, 1)]


def test_a_looser_version_does_not_affect_old_records(site: Site) -> None:
    """Data collected under seven days of retention keeps it, and only later data is stored for thirty days."""
    change(site, ("notice-days = 30", "notice-days = 0"))
    site_two = Site(site.folder, {"AVOWAL_DATA": str(site.folder / "two")})
    assert site_two.avowal("policy", "adopt").status == 0
    publish(site_two, (ADDRESSES, ADDRESSES.replace("7 days", "30 days")))
    before, after = TODAY - timedelta(days=8), datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=2)
    site_two.import_logs(site.log("access.log", write_view(before, "/before"), write_view(after, "/after")))
    requests = duck(site_two, "SELECT page_path, ip_address, version FROM requests ORDER BY page_path")
    assert requests == [("/after", "192.0.2.1", 2), ("/before", "192.0.2.0/24", 1)]


def duck(site: Site, sql: str) -> list[tuple[object, ...]]:
    """Ask the store of a site whose data lies elsewhere."""
    import duckdb  # in this one helper

    with duckdb.connect(Path(site.environment["AVOWAL_DATA"]) / "avowal.duckdb") as store:
        return store.execute(sql).fetchall()


def test_a_category_that_a_later_version_drops_is_hidden_everywhere(site: Site) -> None:
    """After a version that collects no referrers, reports show none of old visits, and none is admitted."""
    site.import_logs(site.log("access.log", write_view(TODAY - timedelta(days=5), "/")))
    assert site.report("sources")["notes"] == []
    referrers = '[[collect]]\ncategories = ["referrer"]\nkeep = { page = "forever" }\nfor = ["availability", "performance", "content", "abuse"]\n'
    publish(site, (referrers, ""))
    assert site.report("sources")["notes"] == [
        "nothing is shown: the terms do not permit `referrer` for content"
    ]
    site.import_logs(
        site.log("more.log", line(0, "/x", start=TODAY - timedelta(days=3), referrer="https://example.com/a"))
    )
    assert site.rows("SELECT count(*) FROM requests WHERE referrer IS NOT NULL") == [(0,)]


def test_a_visit_across_a_publication_has_views_of_both_versions(site: Site) -> None:
    """Each view has the version in force at its time, and a visit ends where another version takes effect."""
    publish(site, (ADDRESSES, ADDRESSES.replace("7 days", "6 days")))
    (effective_at,) = [
        version["effective_at"]
        for version in site.avowal("policy", "history", "--json").json()
        if version["version"] == 2
    ]
    moment = datetime.fromisoformat(effective_at).replace(microsecond=0)
    views = [write_view(moment + timedelta(seconds=seconds), f"/{seconds}") for seconds in (-60, -1, 1, 5)]
    with moved_clock(moment + timedelta(seconds=9)):
        site.import_logs(site.log("access.log", *views))
    assert site.rows("SELECT page_path, version FROM views ORDER BY view_time") == [
        ("/-60", 1),
        ("/-1", 1),
        ("/1", 2),
        ("/5", 2),
    ]
    visits = site.rows("SELECT version, governing, views FROM visits ORDER BY visit_time")
    assert visits == [(1, 1, 2), (2, 2, 2)]


def test_a_scheduled_version_applies_from_its_day(site: Site) -> None:
    """A scheduled version has no effect before its day, and never has one if it is withdrawn."""
    text = (site.folder / "policy" / "terms.toml").read_text()
    old = next(row for row in text.splitlines() if row.startswith("updated = "))
    change(
        site,
        (old, f"updated = {(TODAY + timedelta(days=40)).date()}"),
        (ADDRESSES, ADDRESSES.replace("7", "30")),
    )
    result = site.avowal("policy", "publish")
    assert (result.status, result.code) == (1, "weaker-terms")
    result = site.avowal("policy", "publish", "--accept-weaker", "--json")
    assert result.json()["outcome"] == "published"
    assert result.json()["looser"] == [
        "ip-address, full: kept 30 days, was 7 days; for abuse, availability, content, performance"
    ]
    site.import_logs(site.log("access.log", write_view(TODAY - timedelta(days=8), "/")))
    assert site.rows("SELECT DISTINCT ip_address, version FROM requests") == [("192.0.2.0/24", 1)]
    assert "(scheduled)" in site.avowal("policy", "history").out
    assert site.avowal("policy", "withdraw", "1").status == 1
    assert site.avowal("policy", "withdraw", "2").status == 0
    assert [version["version"] for version in site.avowal("policy", "history", "--json").json()] == [1]


def test_pages_show_the_published_version(site: Site) -> None:
    """The pages show the published document, terms and identity, whatever the folder contains by now."""
    document = next((site.folder / "policy").glob("*.md"))
    head = document.read_text().partition("{")[0]
    document.write_text("---\ntitle: Draft\n---\nNothing.\n")
    result = site.avowal("policy", "page", "--output-folder", "out", "--json")
    assert result.json()["version"] == 1
    assert (site.folder / "out" / "privacy.en.md").read_text().startswith(f"{head}- IP address\n")
    identity = site.avowal("policy", "history", "--json").json()[0]["identity"]
    assert sha256((site.folder / "out" / "terms.json").read_bytes()).hexdigest() == identity
    assert identity in (site.folder / "out" / "privacy.en.html").read_text()
    assert site.avowal("policy", "page", "--version", "7").status == 1


def test_a_folder_without_its_register_is_refused(site: Site) -> None:
    """A store whose register is lost is refused with a hint, and no new register is created."""
    log = site.log("access.log", write_view(TODAY, "/"))
    site.import_logs(log)
    for file in site.data.glob("register.sqlite*"):
        file.unlink()
    for arguments in (["report"], ["import", log], ["policy", "history"], ["policy", "adopt"]):
        result = site.avowal(*arguments)
        assert (result.status, result.code) == (1, "store-missing")
    assert not (site.data / "register.sqlite").exists()


def test_notices_and_pages_exist_in_every_language_of_the_terms(site: Site) -> None:
    """Pages, histories, differences and notices exist in each language, and a notice shows where it was posted."""
    policy = site.folder / "policy"
    english = next(policy.glob("*.md"))
    for tag in ("pt-BR", "zh-TW"):
        english.with_name(f"privacy-policy.{tag}.md").write_text(
            english.read_text().replace("lang: en", f"lang: {tag}")
        )
    change(site, ('languages = ["en"]', 'languages = ["en", "pt-BR", "zh-TW"]'))
    for age in ("6 days", "5 days"):
        old = re.search(r'full = "\d days", prefix', (policy / "terms.toml").read_text())
        assert old
        english.write_text(f"{english.read_text()}\n\nWords of version {age[0]}.\n")
        publish(site, (old[0], f'full = "{age}", prefix'))
    second, third = site.avowal("policy", "notice", "--json").json()
    assert list(second["languages"]) == ["en", "pt-BR", "zh-TW"]
    assert third["languages"]["pt-BR"]["relation"] == "mais protetora"
    assert "保留期間 5 天" in site.avowal("policy", "notice", "--language", "zh-TW").out
    assert site.avowal("policy", "record-posting", 3, "--place", "https://example.org/").status == 0
    assert site.avowal("policy", "record-posting", 1, "--place", "https://example.org/").status == 1
    third = site.avowal("policy", "notice", "--json").json()[1]
    assert [(display["location"], display["attested_by_operator"]) for display in third["shown"]] == [
        ("https://example.org/", True)
    ]
    assert site.avowal("verify").status == 0
    site.avowal("policy", "page", "--output-folder", "out")
    names = {path.name for path in (site.folder / "out").iterdir()}
    pairs = {f"changes.{pair}.en.html" for pair in ("1..2", "1..3", "2..3")}
    assert {name for name in names if ".en.html" in name} == {
        *("privacy.en.html", "history.en.html", "disclosures.en.html"),
        *pairs,
    }
    assert {
        "privacy.zh-TW.html",
        "disclosures.pt-BR.html",
        "changes.2..3.pt-BR.html",
        "history.zh-TW.html",
    } <= names
    for name in names:
        page = (site.folder / "out" / name).read_text()
        assert set(re.findall(r'href="([^"#]+)"', page)) <= names, name
    assert "<ins>Words of version 5.</ins>" in (site.folder / "out" / "changes.2..3.en.html").read_text()


def test_two_versions_are_compared_by_their_numbers(site: Site) -> None:
    """Versions are compared as files are; the exit status says whether the later one protects less."""
    publish(site, (ADDRESSES, ADDRESSES.replace("7", "3")))
    result = site.avowal("policy", "diff", 1, 2, "--json")
    assert (result.status, result.json()["relation"]) == (0, "more protective")
    assert site.avowal("policy", "diff", 2, 1).status == 1
    result = site.avowal("policy", "diff", 2, 9)
    assert (result.status, result.code) == (1, "version-not-found")
