"""Reports of a small log, compared with values computed by hand."""

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from avowal.use.reports import REPORTS
from support.site import CHROME, FIREFOX, GOOGLEBOT, IPHONE, Site, line

DAY = datetime(2026, 1, 5)  # noqa: DTZ001  # UTC without a zone
TIMED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" '
    '"$http_user_agent" $request_time'
)
SITE_URL = "https://www.example.org/"


def timed_line(hour: int, minute: float, path: str, seconds: float = 0.01, **values: Any) -> str:
    """Write a line of format TIMED on DAY; hours from 24 on are on later days."""
    base_line = line(60 * hour + minute, path, start=DAY, **values).removesuffix("\n")
    return f"{base_line} {seconds:.3f}\n"


def linux_line(hour: int, minute: float, path: str, seconds: float = 0.01, **values: Any) -> str:
    return timed_line(hour, minute, path, seconds, address="192.0.2.1", agent=FIREFOX, **values)


def phone_line(hour: int, minute: float, path: str, seconds: float = 0.01, **values: Any) -> str:
    return timed_line(hour, minute, path, seconds, address="192.0.2.2", agent=IPHONE, **values)


LOG = [
    linux_line(10, 0, "/", 0.1, size=1000, referrer="https://Search.example.com/find?q=private"),
    linux_line(10, 0, "/style.css", size=100, referrer=SITE_URL),
    linux_line(10, 1, "/a", size=2000, referrer=SITE_URL),
    linux_line(10, 2, "/missing", status=404, size=50, referrer=SITE_URL),
    linux_line(10, 2.5, "/boom", status=500, size=60, referrer=SITE_URL),
    linux_line(10, 3, "/b", size=3000, referrer=SITE_URL),
    linux_line(10, 4, "/paper.pdf", size=50_000, referrer=SITE_URL),
    linux_line(11, 0, "/a", size=2000),
    phone_line(10, 30, "/", 0.2, size=1000),
    phone_line(10, 30 + 20 / 60, "/a", size=2000),
    phone_line(10, 30 + 80 / 60, "/upload", method="POST", status=201, size=10),
    timed_line(47, 30, "/", 0.3, size=1000, address="2001:db8::7", agent=CHROME, referrer=f"{SITE_URL}other"),
    timed_line(12, 0, "/", 0.4, size=1000, address="198.51.100.9", agent=GOOGLEBOT),
    timed_line(12, 1, "/missing", status=404, size=50, address="198.51.100.9", agent=GOOGLEBOT),
    "no line of a log\n",
    "\n",
]
"""Four visits of three visitors on two days, a bot, and lines that are not requests."""

SETTINGS = '[collect]\nupload_paths = ["/upload"]\n'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = Site(tmp_path_factory.mktemp("site")).init(settings=SETTINGS)
    with (site.folder / "policy" / "terms.toml").open("a") as file:
        file.write(
            '\n[[collect]]\ncategories = ["country"]\nkeep = { full = "forever" }\nfor = ["content"]\n'
            '\n[[collect]]\ncategories = ["interaction", "page-quality"]\nkeep = { full = "forever" }\n'
            'for = ["content", "performance", "availability"]\n'
        )
    site.import_logs(site.log("access.log", *LOG), "--format", TIMED)
    return site


@pytest.fixture
def empty(tmp_path: Path) -> Site:
    return Site(tmp_path).init(settings=SETTINGS)


def read_table(site: Site, name: str, *arguments: object) -> list[dict[str, Any]]:
    """Return a table of the report that contains it."""
    report = next(report.name for report in REPORTS.values() if name in report.tables)
    rows = site.report(report, *arguments)["tables"][name]
    assert isinstance(rows, list)
    return rows


def test_the_overview_counts_people(site: Site) -> None:
    """Requests, views and visits of people are counted, and medians include only known durations."""
    assert read_table(site, "overview") == [
        {
            "requests": 12,
            "views": 7,
            "visits": 4,
            "unique_visitors": 3,
            "views_per_visit": 7 / 4,
            "median_visit_duration_ms": 160_000,
            "mean_visit_duration_ms": 160_000,
            "median_time_on_page_ms": 60_000,
            "bounce_rate": 0.5,
            "visits_with_download": 1,
            "visits_with_upload": 1,
            "bytes": 1000 + 100 + 2000 + 50 + 60 + 3000 + 50_000 + 2000 + 1000 + 2000 + 10 + 1000,
        }
    ]


def daily_row(day: str, *counted: float | None) -> dict[str, Any]:
    names = ("visits", "unique_visitors", "views", "median_visit_duration_ms", "downloads", "uploads")
    return {"day": day, **dict(zip(names, counted, strict=True))}


@pytest.mark.parametrize(
    ("zone", "second"),
    [("UTC", "2026-01-06"), ("Europe/Berlin", "2026-01-07"), ("America/Lima", "2026-01-06")],
)
def test_daily_counts_follow_the_time_zone(site: Site, zone: str, second: str) -> None:
    """A visit belongs to the day on which it began in the chosen time zone; the newest day comes first."""
    assert read_table(site, "overview_daily", "--timezone", zone) == [
        daily_row(second, 1, 1, 1, None, 0, 0),
        daily_row("2026-01-05", 3, 2, 6, 160_000, 1, 1),
    ]


def test_the_time_zone_of_the_site_is_the_default(empty: Site) -> None:
    """Without `--timezone` the setting `site.timezone` applies."""
    (empty.folder / "avowal.toml").write_text('[site]\ntimezone = "Europe/Berlin"\n')
    empty.import_logs(empty.log("access.log", *LOG), "--format", TIMED)
    assert [row["day"] for row in read_table(empty, "overview_daily")] == ["2026-01-07", "2026-01-05"]
    assert empty.report("overview")["timezone"] == "Europe/Berlin"


def test_pages_are_counted(site: Site) -> None:
    """Each page has its views, visitors, time on page, entries and exits."""
    names = (
        "page_path",
        "views",
        "unique_visitors",
        "median_time_on_page_ms",
        "measured_share",
        "entries",
        "exits",
    )
    assert [tuple(row[name] for name in names) for row in read_table(site, "pages")] == [
        ("/", 3, 3, 40_000, 2 / 3, 3, 1),
        ("/a", 3, 2, 120_000, 1 / 3, 1, 2),
        ("/b", 1, 1, None, 0, 0, 1),
    ]


def test_visits_are_grouped_by_duration(site: Site) -> None:
    """Visits of unknown duration are a group of their own."""
    rows = [tuple(row.values()) for row in read_table(site, "visits")]
    assert rows == [
        ("unknown", 2, 0.5, 1.0, 0, 0, 2),
        ("1 to 3 min", 1, 0.25, 2.0, 0, 1, 0),
        ("3 to 10 min", 1, 0.25, 3.0, 1, 0, 0),
    ]


def test_visits_are_counted_by_hour(site: Site) -> None:
    """The hour is that of the beginning of a visit in the chosen time zone."""
    assert [tuple(row.values()) for row in read_table(site, "visits_hourly")] == [
        (10, 2, 5, 160_000),
        (11, 1, 1, None),
        (23, 1, 1, None),
    ]
    assert [row["hour"] for row in read_table(site, "visits_hourly", "--timezone", "Asia/Kolkata")] == [
        5,
        15,
        16,
    ]


def test_browsers_systems_and_devices_are_counted(site: Site) -> None:
    """They are counted in visits, without bots."""
    assert [tuple(row.values()) for row in read_table(site, "technology_browsers")] == [
        ("Firefox", 2, 0.5, 4),
        ("Chrome", 1, 0.25, 1),
        ("Mobile Safari", 1, 0.25, 2),
    ]
    assert [tuple(row.values()) for row in read_table(site, "technology_operating_systems")] == [
        ("Linux", 2, 0.5, 4),
        ("Windows", 1, 0.25, 1),
        ("iOS", 1, 0.25, 2),
    ]
    assert [tuple(row.values()) for row in read_table(site, "technology_devices")] == [
        ("desktop", 3, 0.75, 5),
        ("phone", 1, 0.25, 2),
    ]
    versions = [tuple(row.values()) for row in read_table(site, "technology_browser_versions")]
    assert versions == [
        ("Firefox", "128", "Linux", None, 2, 0.5),
        ("Chrome", "131", "Windows", "10", 1, 0.25),
        ("Mobile Safari", "17", "iOS", "17.5", 1, 0.25),
    ]


def test_status_codes_are_counted(site: Site) -> None:
    """Status codes count all requests, and those of people separately."""
    rows = [tuple(row.values()) for row in read_table(site, "availability")]
    assert rows == [
        (200, 10, 10 / 14, 9, "2026-01-06T23:30:00"),
        (404, 2, 2 / 14, 1, "2026-01-05T12:01:00"),
        (201, 1, 1 / 14, 1, "2026-01-05T10:31:20"),
        (500, 1, 1 / 14, 1, "2026-01-05T10:02:30"),
    ]
    assert [tuple(row.values()) for row in read_table(site, "availability_daily")] == [
        ("2026-01-06", 1, 0, 0, 0),
        ("2026-01-05", 13, 2, 1, 1 / 13),
    ]
    assert [tuple(row.values()) for row in read_table(site, "availability_not_found")] == [
        ("/missing", 2, 1, "2026-01-05T12:01:00")
    ]
    assert [tuple(row.values()) for row in read_table(site, "availability_server_errors")] == [
        ("/boom", 500, 1, "2026-01-05T10:02:30")
    ]


def test_response_times_are_reported_by_page(site: Site) -> None:
    """All requests of a page count; the page with the greatest total time comes first."""
    first, *others = read_table(site, "performance")
    assert first.pop("page_path") == "/"
    assert first == pytest.approx(
        {
            "requests": 4,
            "median_response_ms": 250,
            "p95_response_ms": 385,
            "p99_response_ms": 397,
            "max_response_ms": 400,
            "median_bytes": 1000,
        }
    )
    assert [row["page_path"] for row in others] == [
        "/a",
        "/missing",
        "/b",
        "/boom",
        "/paper.pdf",
        "/style.css",
        "/upload",
    ]
    largest = read_table(site, "performance_largest_pages")[0]
    assert largest == {"page_path": "/paper.pdf", "requests": 1, "median_bytes": 50_000, "bytes": 50_000}
    assert [(row["day"], row["requests"]) for row in read_table(site, "performance_daily")] == [
        ("2026-01-06", 1),
        ("2026-01-05", 13),
    ]


def test_sources_are_counted(site: Site) -> None:
    """Visits are counted by the site of their referrer; the site itself is recognised by its static files."""
    assert [tuple(row.values()) for row in read_table(site, "sources")] == [
        ("(none)", 2, 0.5, 3, 80_000),
        ("(this site)", 1, 0.25, 1, None),
        ("search.example.com", 1, 0.25, 3, 240_000),
    ]


def test_downloads_and_bots_are_counted(site: Site) -> None:
    """Only downloads of people are counted; bots have their own report."""
    assert [tuple(row.values()) for row in read_table(site, "downloads")] == [
        ("/paper.pdf", 1, 1, 50_000, "2026-01-05T10:04:00")
    ]
    assert [tuple(row.values()) for row in read_table(site, "bots")] == [
        ("Googlebot", "", "", 2, 1, 2, 1, 1050, 0, "2026-01-05T12:01:00")
    ]


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_says_what_it_excludes(site: Site, name: str) -> None:
    """Each report states its purpose, the coverage of durations and what it excludes."""
    report = site.report(name)
    assert report["purpose"] == REPORTS[name].purpose
    assert report["duration_coverage"] == {"views": 3 / 7, "visits": 2 / 4}
    assert report["excluded"] == {
        "bot_requests": 2,
        "hidden_rows": 0,
        "dropped_lines": {"blank": 1},
        "unparsable_lines": 1,
    }
    assert report["notes"] == []
    output = site.avowal("report", name).out
    assert (
        "Durations are based on 43% of 7 views and 50% of 4 visits, where they could be measured; the others are "
        "unknown, not zero." in output
    )
    assert (
        "Visits and views leave out 2 bot requests and, of all logs, 1 dropped lines (blank), 1 unparsable lines."
        in output
    )


@pytest.mark.parametrize(
    ("arguments", "visits"),
    [
        (["--since", "2026-01-06"], 1),
        (["--since", "2026-01-05 10:30"], 3),
        (["--since", "2026-01-05 10:30:01"], 2),
        (["--until", "2026-01-05"], 3),
        (["--until", "2026-01-05 10:30"], 1),
        (["--since", "2026-01-05", "--until", "2026-01-05"], 3),
        (["--since", "2026-01-07", "--timezone", "Europe/Berlin"], 1),
        (["--until", "2026-01-06", "--timezone", "Europe/Berlin"], 3),
        (["--since", "2026-01-05T10:30:00+01:00"], 4),
        (["--since", "20000 days"], 4),
        (["--filter", "page=/a"], 3),
        (["--filter", "page=/?"], 3),
        (["--filter", "page=/nothing*"], 0),
        (["--filter", "browser=Fire*"], 2),
        (["--filter", "operating_system=iOS"], 1),
        (["--filter", "device=desktop"], 3),
        (["--filter", "device=desktop", "--filter", "page=/b"], 1),
        (["--filter", "referrer=https://[sS]earch.example.com/*"], 1),
    ],
)
def test_periods_and_filters_select_visits(site: Site, arguments: list[str], visits: int) -> None:
    """A period includes its start and excludes its end; a visit has to match all filters."""
    assert read_table(site, "overview", *arguments)[0]["visits"] == visits


def test_filters_select_requests(site: Site) -> None:
    """Requests can be filtered by status, method and browser."""
    assert [row["requests"] for row in read_table(site, "availability", "--filter", "status=4*")] == [2]
    assert [row["status"] for row in read_table(site, "availability", "--filter", "method=POST")] == [201]
    assert [
        row["page_path"] for row in read_table(site, "availability_not_found", "--filter", "browser=*")
    ] == ["/missing"]


def test_times_are_shown_in_the_chosen_time_zone(site: Site) -> None:
    """`last_seen_at` is written in the time zone of the request."""
    arguments = "bots", "--timezone", "Asia/Tokyo"
    assert [row["last_seen_at"] for row in read_table(site, "bots")] == ["2026-01-05T12:01:00"]
    assert [row["last_seen_at"] for row in read_table(site, *arguments)] == ["2026-01-05T21:01:00"]


def test_a_limit_applies_to_each_table(site: Site) -> None:
    """`--limit` is the maximum number of rows and at least 1."""
    assert len(read_table(site, "pages", "--limit", "1")) == 1
    assert len(read_table(site, "availability_daily", "--limit", "1")) == 1
    assert site.avowal("report", "pages", "--limit", "0").status == 2


def test_csv_has_a_header_and_empty_unknown_values(site: Site) -> None:
    """`--csv` prints the first table or the named one; an unknown value is empty and not zero."""
    result = site.avowal("report", "pages", "--csv")
    assert result.out == (
        "page_path,views,unique_visitors,median_time_on_page_ms,measured_share,entries,exits\r\n"
        "/,3,3,40000.0,0.6666666666666666,3,1\r\n"
        "/a,3,2,120000.0,0.3333333333333333,1,2\r\n"
        "/b,1,1,,0.0,0,1\r\n"
    )
    rows = list(csv.DictReader(io.StringIO(site.avowal("report", "--csv", "--table", "overview_daily").out)))
    assert [row["visits"] for row in rows] == ["1", "3"]
    refusal = site.avowal("report", "--csv", "--table", "pages")
    assert (refusal.status, refusal.out) == (2, "")
    assert "overview_daily" in refusal.err


@pytest.mark.parametrize("name", REPORTS)
def test_an_unknown_duration_is_not_zero(site: Site, name: str) -> None:
    """A duration that was not measured is shown as unknown."""
    output = site.avowal("report", name).out
    assert "0:00:00" not in output
    if name in {"pages", "visits", "sources"}:
        assert "unknown" in output


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_of_an_empty_store_says_so(empty: Site, name: str) -> None:
    """The report is no error; it says that nothing was collected yet and how to begin."""
    report = empty.report(name)
    assert report["notes"] == [
        "nothing was collected yet: `avowal import FILE` reads a log, and `avowal serve` measures pages"
    ]
    assert report["duration_coverage"] == {"views": None, "visits": None}
    result = empty.avowal("report", name)
    assert result.status == 0
    assert "nothing was collected yet" in result.out
    assert "nan" not in result.out
    assert (
        empty.avowal("report", name, "--csv").err
        == "nothing was collected yet: `avowal import FILE` reads a log, and `avowal serve` measures pages\n"
    )


@pytest.mark.parametrize("name", REPORTS)
def test_an_empty_period_names_the_stored_period(site: Site, name: str) -> None:
    """A report of a period without rows says from when to when rows are stored."""
    assert site.report(name, "--since", "2026-01-08")["notes"] == [
        "nothing was collected in this period: what is stored is from 2026-01-05 10:00 to 2026-01-06 23:30 UTC"
    ]


def test_rows_too_old_for_the_purpose_are_hidden_and_counted(empty: Site) -> None:
    """Rows older than the terms permit for the purpose are not counted, and the report says how many."""
    forever = 'categories = ["visit", "view"]\nkeep = { full = "forever" }\nfor = ["availability", "performance", "content", "abuse"]'
    empty_terms = empty.folder / "policy" / "terms.toml"
    text = empty_terms.read_text()
    assert forever in text
    shorter = forever.replace('"content", ', "") + (
        '\n\n[[collect]]\ncategories = ["visit", "view"]\nkeep = { full = "30 days" }\nfor = ["content"]'
    )
    empty_terms.write_text(text.replace(forever, shorter))
    now = datetime.now(UTC).replace(tzinfo=None)
    old, new = (line(n, start=now - timedelta(days=days)) for n, days in ((0, 40), (1, 20)))
    empty.import_logs(empty.log("access.log", old, new))
    report = empty.report("overview")
    assert report["tables"]["overview"][0]["visits"] == 1
    assert report["notes"] == ["1 rows are older than the terms allow for content and are not counted"]
    assert report["excluded"]["hidden_rows"] == 1
    assert "1 rows are older than the terms allow" in empty.avowal("report").out
    assert empty.report("availability")["notes"] == []
    assert empty.report("overview", "--since", "30 days")["notes"] == []


COLUMNS = {
    "page_path": "page-path",
    "entries": "page-path",
    "exits": "page-path",
    "pages": "page-path",
    "status": "status",
    "client_errors": "status",
    "server_errors": "status",
    "server_error_rate": "status",
    "errors": "status",
    "not_found": "status",
    "bytes": "bytes",
    "median_bytes": "bytes",
    "unique_visitors": "visitor-id",
    "median_visit_duration_ms": "visit-duration",
    "mean_visit_duration_ms": "visit-duration",
    "duration": "visit-duration",
    "median_time_on_page_ms": "view-duration",
    "measured_share": "view-duration",
    "browser": "browser",
    "browser_version": "browser",
    "operating_system": "operating-system",
    "operating_system_version": "operating-system",
    "device_kind": "device-kind",
    "bot": "bot",
    "human_requests": "bot",
    "source": "referrer",
    "downloads": "request-kind",
    "uploads": "request-kind",
    "median_response_ms": "response-time",
    "max_response_ms": "response-time",
    "last_seen_at": "request-time",
    "hour": "visit-time",
}
"""The category that each column of a report is computed from."""


@pytest.mark.parametrize("name", REPORTS)
def test_no_report_shows_a_category_not_permitted_for_its_purpose(tmp_path: Path, name: str) -> None:
    """If a category is collected for other purposes only, no column computed from it has a value."""
    purpose = REPORTS[name].purpose
    site = Site(tmp_path).init(settings=SETTINGS)
    terms = site.folder / "policy" / "terms.toml"
    text = terms.read_text()
    site.import_logs(site.log("access.log", *LOG), "--format", TIMED)
    columns = {column for rows in site.report(name)["tables"].values() for row in rows for column in row}
    problems = []
    for category in sorted({COLUMNS[column] for column in columns if column in COLUMNS}):
        head, _, rest = text.partition("# Who else may receive what.")
        lines = [
            f'[[collect]]\ncategories = ["{collected}"]\nkeep = {{ {finest} = "forever" }}\nfor = ["{kept_for}"]\n'
            for collected, finest in FINEST.items()
            for kept_for in ("availability", "performance", "content", "abuse")
            if (collected, kept_for) != (category, purpose)
        ]
        terms.write_text("\n".join([head.partition("[[collect]]")[0], *lines]))
        other = Site(tmp_path, {"AVOWAL_DATA": str(tmp_path / category)})
        other.import_logs(site.folder / "access.log", "--format", TIMED)
        report = other.report(name)
        problems += [
            f"{column} = {row[column]!r} though {category} is not for {purpose}"
            for rows in report["tables"].values()
            for row in rows
            for column in row
            if COLUMNS.get(column) == category and row[column] not in {None, 0}
        ]
        if not any(category in note for note in report["notes"]):
            problems.append(f"nothing is said of {category}, which is not for {purpose}")
        terms.write_text(rest and text)
    assert not problems, "\n".join(problems)


FINEST = dict.fromkeys(sorted({*COLUMNS.values(), "host", "method", "view-time"}), "full") | {
    "visitor-id": "day"
}


def test_a_report_without_its_category_is_empty_and_says_why(empty: Site) -> None:
    """If the terms do not permit the category that a report needs, it shows no row and says why."""
    terms = empty.folder / "policy" / "terms.toml"
    text = terms.read_text()
    referrers = 'keep = { page = "forever" }\nfor = ["availability", "performance", "content", "abuse"]'
    assert referrers in text
    terms.write_text(text.replace(referrers, referrers.replace('"content", ', "")))
    empty.import_logs(empty.log("access.log", *LOG), "--format", TIMED)
    report = empty.report("sources")
    assert report["tables"] == {"sources": []}
    assert report["notes"] == ["nothing is shown: the terms do not permit `referrer` for content"]
    result = empty.avowal("report", "sources")
    assert result.status == 0
    assert "nothing is shown: the terms do not permit `referrer` for content" in result.out
    assert "search" not in result.out
    assert empty.report("pages")["notes"] == []


def test_no_report_shows_a_finer_precision_than_permitted(empty: Site) -> None:
    """Browser versions that are kept for another purpose only are not shown."""
    terms = empty.folder / "policy" / "terms.toml"
    text = terms.read_text()
    rule = 'categories = ["browser", "operating-system", "device-kind", "bot"]\nkeep = { full = "forever" }'
    assert rule in text
    rules = (
        '[[collect]]\ncategories = ["browser", "operating-system"]\nkeep = { name = "forever" }\nfor = ["content"]\n\n'
        '[[collect]]\ncategories = ["browser", "operating-system"]\nkeep = { full = "forever" }\nfor = ["abuse"]\n\n'
        '[[collect]]\ncategories = ["device-kind", "bot"]\nkeep = { full = "forever" }'
    )
    terms.write_text(text.replace(f"[[collect]]\n{rule}", rules))
    empty.import_logs(empty.log("access.log", *LOG), "--format", TIMED)
    assert {row["browser"] for row in read_table(empty, "technology_browsers")} == {
        "Firefox",
        "Chrome",
        "Mobile Safari",
    }
    versions = read_table(empty, "technology_browser_versions")
    assert {row["browser_version"] or row["operating_system_version"] for row in versions} <= {None}


def test_visits_from_the_site_itself_are_recognised_if_permitted(empty: Site) -> None:
    """The site is recognised by `host` and static files only if content may use them."""
    terms = empty.folder / "policy" / "terms.toml"
    text = terms.read_text()
    categories = '["request-time", "request-kind", "host", "method", '
    assert categories in text
    lines = [line(0, "/", address="192.0.2.9", referrer=SITE_URL), line(1, "/x.css", referrer=SITE_URL)]
    for kinds, source in (('"request-kind", ', "(this site)"), ("", "www.example.org")):
        rule = '\n\n[[collect]]\ncategories = ["request-kind", "host"]\nkeep = { full = "forever" }\nfor = ["abuse"]\n'
        terms.write_text(
            text.replace(categories, f'["request-time", {kinds}"method", ').replace(
                "\n# Where a visitor", f"{rule}\n# Where a"
            )
        )
        site = Site(empty.folder, {"AVOWAL_DATA": str(empty.folder / f"data{len(kinds)}")})
        site.import_logs(empty.log("access.log", *lines))
        assert [row["source"] for row in read_table(site, "sources")] == [source]


def test_a_filter_by_a_category_that_is_not_permitted_matches_nothing(empty: Site) -> None:
    """Such a filter is refused, or gives no row and a note."""
    terms = empty.folder / "policy" / "terms.toml"
    text = terms.read_text()
    referrers = 'keep = { page = "forever" }\nfor = ["availability", "performance", "content", "abuse"]'
    terms.write_text(text.replace(referrers, referrers.replace('"availability", ', "")))
    empty.import_logs(empty.log("access.log", *LOG), "--format", TIMED)
    result = empty.avowal("report", "availability", "--json", "--filter", "referrer=*earch.example.com*")
    assert result.status != 0 or (
        result.json()["tables"]["availability"] == [] and "referrer" in " ".join(result.json()["notes"])
    )


HOSTILE_PATHS = (
    "/\x1b[2J\x1b]0;title\x07",
    "/\x9b31mred",
    "/%1b[2J%07",
    "/\u202egnp.exe",
    "/[red]x[/red][/nothing]",
    "/[link=https://example.org]x[/link]",
    "/%5Bbold%5Dx%5B/bold%5D",
    "/a\rb",
    "/:smile:",
    "/\u2028line",
)
FORMULAS = ("=cmd()", "+1", "-1", "@SUM(A1)", "=1+1|'/c calc'")


def test_paths_cannot_control_the_terminal(empty: Site) -> None:
    """Control characters, direction marks and markup in a path are shown as text."""
    lines = [line(n, path) for n, path in enumerate(HOSTILE_PATHS)]
    lines += [line(n, path, status=404, agent="\x1b[5mX [/b] \u202e") for n, path in enumerate(HOSTILE_PATHS)]
    log = empty.folder / "access.log"
    log.write_bytes("".join(lines).encode())
    result = empty.avowal("import", log, "--max-unparsable-percent", "100")
    assert result.status == 0
    for name in REPORTS:
        for wide in (True, False):
            result = empty.avowal("report", name, wide=wide)
            assert result.status == 0, result.err
            disturbing = {letter for letter in result.out if not letter.isprintable()} - {"\n"}
            assert not disturbing, (name, disturbing)
    output = empty.avowal("report", "pages").out
    assert "[red]x[/red][/nothing]" in output
    assert "%5Bbold%5Dx%5B/bold%5D" in output  # as it was requested
    assert ":smile:" in output


def test_no_csv_cell_is_a_formula(empty: Site) -> None:
    """A cell that a spreadsheet would take for a formula is written as text."""
    json_line = (
        '{{"time": "2026-01-05T12:0{n}:00Z", "remote_addr": "192.0.2.{n}", "request_method": "GET", "uri": "{uri}", '
        '"status": 200, "http_user_agent": "{agent}", "http_referer": "{referrer}"}}\n'
    )
    lines = [
        json_line.format(n=n, uri=f"/{text}", agent=FIREFOX, referrer=f"{text}://example.org/{text}")
        for n, text in enumerate(FORMULAS)
    ]
    lines += [json_line.format(n=5, uri=f"/{text}", agent=f"{text} bot", referrer=text) for text in FORMULAS]
    empty.import_logs(
        empty.log("access.log", *lines), "--format", "nginx-json", "--max-unparsable-percent", "100"
    )
    assert empty.rows("SELECT count(*) FROM requests") == [(2 * len(FORMULAS),)]
    for name, report in REPORTS.items():
        for table in report.tables:
            out = empty.avowal("report", name, "--csv", "--table", table).out
            for row in csv.reader(io.StringIO(out)):
                assert not [cell for cell in row if cell.startswith(("=", "+", "@", "\t", "\r"))], out
                assert not [cell for cell in row if cell.startswith("-") and not cell[1:].isdecimal()], out


def test_invalid_report_arguments_are_refused(site: Site) -> None:
    """Status 2 and a message with a hint on standard error follow from each invalid argument."""
    for arguments in (
        ["page"],
        ["--timezone", "Middle/Earth"],
        ["--timezone", "../../etc/passwd"],
        ["--filter", "pge=/a"],
        ["--filter", "page"],
        ["--since", "soon"],
        ["--until", "2026-02-30"],
        ["--since", "0001-01-01", "--timezone", "Asia/Tokyo"],
        ["--until", "9999-12-31"],
        ["--filter", "status=404"],
        ["sources", "--filter", "method=POST"],
        ["--json", "--csv"],
    ):
        result = site.avowal("report", *arguments)
        assert (result.status, result.out) == (2, ""), arguments
        assert len(result.err.splitlines()) == (1 if "--json" in arguments else 2), arguments


@pytest.fixture
def site_with_groups(tmp_path: Path) -> Site:
    """Make a site where six visitors saw one page and four another, and a bot saw each."""
    site = Site(tmp_path).init(settings=SETTINGS)
    lines = [line(n, "/many", address=f"192.0.2.{n}") for n in range(1, 7)]
    lines += [line(n, "/few", address=f"192.0.2.{n}", status=200) for n in range(1, 5)]
    lines += [line(n, "/gone", address=f"192.0.2.{n}", status=404) for n in range(1, 5)]
    lines += [line(9, path, address="198.51.100.1", agent=GOOGLEBOT) for path in ("/many", "/few", "/gone")]
    site.import_logs(site.log("crowd.log", *lines))
    return site


def test_a_shared_report_hides_small_groups(site_with_groups: Site) -> None:
    """Groups smaller than the terms owe are hidden and counted; the operator's own reports show them."""
    assert {row["page_path"] for row in read_table(site_with_groups, "pages")} == {"/many", "/few"}
    report = site_with_groups.report("pages", "--shared")
    assert [row["page_path"] for row in report["tables"]["pages"]] == ["/many"]
    assert any("1 groups are left out: they have fewer than 5 visitors" in note for note in report["notes"])
    assert read_table(site_with_groups, "availability_not_found") != []
    assert read_table(site_with_groups, "availability_not_found", "--shared") == []


@pytest.mark.parametrize("name", REPORTS)
def test_a_filter_does_not_reveal_a_small_group(site_with_groups: Site, name: str) -> None:
    """A filter that matches only a few people gives a shared report without rows and counts."""
    options = ["--filter", "page=/few"]
    report = site_with_groups.report(name, *options, "--shared")
    all_rows = [
        row for table, table_rows in report["tables"].items() if table != "bots" for row in table_rows
    ]
    assert all_rows == [], name
    if name != "bots":
        excluded = report["excluded"]
        assert (excluded["hidden_rows"], excluded["bot_requests"], report["duration_coverage"]) == (
            None,
            None,
            {"views": None, "visits": None},
        )


@pytest.mark.parametrize("name", REPORTS)
def test_without_visitor_keys_a_shared_report_is_empty(empty: Site, name: str) -> None:
    """Without visitor keys the size of a group is unknown, so nothing is shared."""
    terms = empty.folder / "policy" / "terms.toml"
    head, rule, rest = terms.read_text().partition('[[collect]]\ncategories = ["visitor-id"]')
    assert rule
    terms.write_text(head + rest[rest.index("[[") :])
    empty.import_logs(empty.log("access.log", *LOG), "--format", TIMED)
    tables = empty.report(name, "--shared")["tables"]
    assert all(rows == [] for table, rows in tables.items() if table != "bots")
