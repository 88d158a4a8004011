"""Each value that a report shows works as its filter."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from avowal.use.formatting import format_value
from avowal.use.reports import REPORTS
from support.site import CHROME, FIREFOX, IPHONE, Site, line

DAY = datetime.now(UTC).replace(tzinfo=None, hour=12, minute=0) - timedelta(days=2)
FILTERS = {
    "page_path": "page",
    "host": "host",
    "browser": "browser",
    "operating_system": "operating_system",
    "device_kind": "device",
    "status": "status",
    "source": "referrer",
}
"""The filter of each column that has one."""

PATHS = ["/caf%c3%a9", "/caf%C3%A9", "/%7euser/", "/a%2fb", "/100%25", "/a[1]*", "/a%20b", "/%E2%80%AE", "/x%ff", "/*", "/a?q=1"]  # fmt: skip
HOSTS = ["Site.example", "xn--bcher-kva.example", "other.example."]
REFERRERS = ["-", "https://Search.example:8443/find", "https://xn--bcher-kva.example/x", "https://site.example/", "android-app://org.example/"]  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = Site(tmp_path_factory.mktemp("site")).init(settings='[site]\nhost = "Site.example"\n')
    lines = [
        line(
            number % 40,
            path,
            start=DAY,
            address=f"192.0.2.{number}",
            status=(200, 404, 500)[number % 3],
            referrer=REFERRERS[number % len(REFERRERS)],
            agent=(FIREFOX, CHROME, IPHONE, "Mozilla/5.0 (QSP; Roku; AP; 6.2.80.2752)")[number % 4],
            host=HOSTS[number % len(HOSTS)],
        )
        for number, path in enumerate(PATHS * 9)
    ]
    lines += [
        line(number, path, start=DAY, address=f"198.51.100.{number}", host="Site.example", referrer=referrer)
        for number, (path, referrer) in enumerate(zip(PATHS, REFERRERS * 3, strict=False))
    ]
    site.import_logs(site.log("a.log", *lines))
    return site


@pytest.mark.parametrize("name", REPORTS)
def test_a_shown_value_is_its_filter(name: str, site: Site) -> None:
    """Filtered by what a cell shows, the report has the same row, with numbers of its own for other tables."""
    tables = site.report(name)["tables"]
    cells = {
        (table, column, format_value(column, row[column]))
        for table, rows in tables.items()
        for row in rows
        for column in FILTERS.keys() & row.keys()
        if column != "status" or not REPORTS[name].is_about_visits
    }
    for table, column, shown in sorted(cells):
        filtered = site.report(name, "--filter", f"{FILTERS[column]}={shown}")["tables"][table]
        assert shown in {format_value(column, row[column]) for row in filtered}, (table, column, shown)


def test_one_page_is_one_row(site: Site) -> None:
    """Paths that differ in the case of hexadecimal digits or in needless encodings are one page."""
    paths = [row["page_path"] for row in site.report("pages", "--limit", "100")["tables"]["pages"]]
    assert len(paths) == len({path.lower() for path in paths})
    assert {"/caf%C3%A9", "/~user/"} <= set(paths)
    for shown in ("/café", "/caf%c3%a9", "/CAFÉ".lower()):
        (row,) = site.report("pages", "--filter", f"page={shown}")["tables"]["pages"]
        assert row["page_path"] == "/caf%C3%A9"


def test_settings_with_an_internationalised_host(tmp_path: Path) -> None:
    """The name may be written as people know it; logs and events have the form of the DNS."""
    site = Site(tmp_path).init(settings='[site]\nhost = "Bücher.example"\n')
    site.import_logs(site.log("a.log", line(start=DAY, referrer="https://xn--bcher-kva.example/")))
    assert site.report("sources")["tables"]["sources"][0]["source"] == "(this site)"


@pytest.mark.parametrize("name", ["sources", "pages", "visits"])
def test_internal_visits_of_a_site_without_a_configured_host(name: str, tmp_path: Path) -> None:
    """Every report that is filtered by the source `Internal` knows the hosts that the log names."""
    site = Site(tmp_path).init()
    site.import_logs(
        site.log("a.log", line(start=DAY, host="site.example", referrer="https://site.example/"))
    )
    tables = site.report(name, "--filter", "referrer=Internal")["tables"]
    assert tables[name]
