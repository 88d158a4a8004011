"""The reports, on a small log whose answers are computed by hand."""

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
OWN = "https://www.example.org/"


def at(hour: int, minute: float, path: str, took: float = 0.01, **told: Any) -> str:
    """Write a line of TIMED, on DAY or as many days later as hours are beyond it."""
    plain = line(60 * hour + minute, path, start=DAY, **told).removesuffix("\n")
    return f"{plain} {took:.3f}\n"


def linux(hour: int, minute: float, path: str, took: float = 0.01, **told: Any) -> str:
    return at(hour, minute, path, took, address="192.0.2.1", agent=FIREFOX, **told)


def phone(hour: int, minute: float, path: str, took: float = 0.01, **told: Any) -> str:
    return at(hour, minute, path, took, address="192.0.2.2", agent=IPHONE, **told)


LOG = [
    linux(10, 0, "/", 0.1, size=1000, referrer="https://Search.example.com/find?q=private"),
    linux(10, 0, "/style.css", size=100, referrer=OWN),
    linux(10, 1, "/a", size=2000, referrer=OWN),
    linux(10, 2, "/missing", status=404, size=50, referrer=OWN),
    linux(10, 2.5, "/boom", status=500, size=60, referrer=OWN),
    linux(10, 3, "/b", size=3000, referrer=OWN),
    linux(10, 4, "/paper.pdf", size=50_000, referrer=OWN),
    linux(11, 0, "/a", size=2000),
    phone(10, 30, "/", 0.2, size=1000),
    phone(10, 30 + 20 / 60, "/a", size=2000),
    phone(10, 30 + 80 / 60, "/upload", method="POST", status=201, size=10),
    at(47, 30, "/", 0.3, size=1000, address="2001:db8::7", agent=CHROME, referrer=f"{OWN}other"),
    at(12, 0, "/", 0.4, size=1000, address="198.51.100.9", agent=GOOGLEBOT),
    at(12, 1, "/missing", status=404, size=50, address="198.51.100.9", agent=GOOGLEBOT),
    "no line of a log\n",
    "\n",
]
"""Four visits of three visitors on two days, a robot, and what is no request."""

SETTINGS = '[collect]\nupload_paths = ["/upload"]\n'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = Site(tmp_path_factory.mktemp("site")).init(settings=SETTINGS)
    with (made.folder / "policy" / "terms.toml").open("a") as file:
        file.write(
            '\n[[collect]]\ncategories = ["country"]\nkeep = { full = "forever" }\nfor = ["content"]\n'
            '\n[[collect]]\ncategories = ["interaction", "page-quality"]\nkeep = { full = "forever" }\n'
            'for = ["content", "performance", "availability"]\n'
        )
    made.take_in(made.log("access.log", *LOG), "--format", TIMED)
    return made


@pytest.fixture
def empty(tmp_path: Path) -> Site:
    return Site(tmp_path).init(settings=SETTINGS)


def table(site: Site, name: str, *arguments: object) -> list[dict[str, Any]]:
    """Return one table of the report that has it."""
    report = next(report.name for report in REPORTS.values() if name in report.tables)
    rows = site.report(report, *arguments)["tables"][name]
    assert isinstance(rows, list)
    return rows


def test_overview(site: Site) -> None:
    """The overview counts people's requests, views and visits, and takes durations of those that have one."""
    assert table(site, "overview") == [
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


def day(day: str, *counted: float | None) -> dict[str, Any]:
    names = ("visits", "unique_visitors", "views", "median_visit_duration_ms", "downloads", "uploads")
    return {"day": day, **dict(zip(names, counted, strict=True))}


@pytest.mark.parametrize(
    ("zone", "second"),
    [("UTC", "2026-01-06"), ("Europe/Berlin", "2026-01-07"), ("America/Lima", "2026-01-06")],
)
def test_days_are_those_of_the_time_zone(site: Site, zone: str, second: str) -> None:
    """A visit belongs to the day on which it began in the time zone asked for, the newest day first."""
    assert table(site, "overview_daily", "--timezone", zone) == [
        day(second, 1, 1, 1, None, 0, 0),
        day("2026-01-05", 3, 2, 6, 160_000, 1, 1),
    ]


def test_the_site_s_own_time_zone_is_the_default(empty: Site) -> None:
    """Without `--timezone` days are those of the setting `site.timezone`."""
    (empty.folder / "avowal.toml").write_text('[site]\ntimezone = "Europe/Berlin"\n')
    empty.take_in(empty.log("access.log", *LOG), "--format", TIMED)
    assert [row["day"] for row in table(empty, "overview_daily")] == ["2026-01-07", "2026-01-05"]
    assert empty.report("overview")["timezone"] == "Europe/Berlin"


def test_pages(site: Site) -> None:
    """Each page has its views, visitors, measured time, and how many visits began and ended with it."""
    names = (
        "page_path",
        "views",
        "unique_visitors",
        "median_time_on_page_ms",
        "measured_share",
        "entries",
        "exits",
    )
    assert [tuple(row[name] for name in names) for row in table(site, "pages")] == [
        ("/", 3, 3, 40_000, 2 / 3, 3, 1),
        ("/a", 3, 2, 120_000, 1 / 3, 1, 2),
        ("/b", 1, 1, None, 0, 0, 1),
    ]


def test_visits(site: Site) -> None:
    """Visits are grouped by how long they lasted, unknown for itself, with what was done in them."""
    rows = [tuple(row.values()) for row in table(site, "visits")]
    assert rows == [
        ("unknown", 2, 0.5, 1.0, 0, 0, 2),
        ("1 to 3 min", 1, 0.25, 2.0, 0, 1, 0),
        ("3 to 10 min", 1, 0.25, 3.0, 1, 0, 0),
    ]


def test_hours(site: Site) -> None:
    """Visits are counted by the hour at which they began, in the time zone asked for."""
    assert [tuple(row.values()) for row in table(site, "visits_hourly")] == [
        (10, 2, 5, 160_000),
        (11, 1, 1, None),
        (23, 1, 1, None),
    ]
    assert [row["hour"] for row in table(site, "visits_hourly", "--timezone", "Asia/Kolkata")] == [5, 15, 16]


def test_technology(site: Site) -> None:
    """Browsers, systems and devices are counted in visits; robots are not among them."""
    assert [tuple(row.values()) for row in table(site, "technology_browsers")] == [
        ("Firefox", 2, 0.5, 4),
        ("Chrome", 1, 0.25, 1),
        ("Mobile Safari", 1, 0.25, 2),
    ]
    assert [tuple(row.values()) for row in table(site, "technology_operating_systems")] == [
        ("Linux", 2, 0.5, 4),
        ("Windows", 1, 0.25, 1),
        ("iOS", 1, 0.25, 2),
    ]
    assert [tuple(row.values()) for row in table(site, "technology_devices")] == [
        ("desktop", 3, 0.75, 5),
        ("phone", 1, 0.25, 2),
    ]
    versions = [tuple(row.values()) for row in table(site, "technology_browser_versions")]
    assert versions == [
        ("Firefox", "128", "Linux", None, 2, 0.5),
        ("Chrome", "131", "Windows", "10", 1, 0.25),
        ("Mobile Safari", "17", "iOS", "17.5", 1, 0.25),
    ]


def test_availability(site: Site) -> None:
    """Statuses count every request, robots' too, and say how many were people's."""
    rows = [tuple(row.values()) for row in table(site, "availability")]
    assert rows == [
        (200, 10, 10 / 14, 9, "2026-01-06T23:30:00"),
        (404, 2, 2 / 14, 1, "2026-01-05T12:01:00"),
        (201, 1, 1 / 14, 1, "2026-01-05T10:31:20"),
        (500, 1, 1 / 14, 1, "2026-01-05T10:02:30"),
    ]
    assert [tuple(row.values()) for row in table(site, "availability_daily")] == [
        ("2026-01-06", 1, 0, 0, 0),
        ("2026-01-05", 13, 2, 1, 1 / 13),
    ]
    assert [tuple(row.values()) for row in table(site, "availability_not_found")] == [
        ("/missing", 2, 1, "2026-01-05T12:01:00")
    ]
    assert [tuple(row.values()) for row in table(site, "availability_server_errors")] == [
        ("/boom", 500, 1, "2026-01-05T10:02:30")
    ]


def test_performance(site: Site) -> None:
    """Response times are those of all requests of a page, the page that took most in all first."""
    first, *others = table(site, "performance")
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
    largest = table(site, "performance_largest_pages")[0]
    assert largest == {"page_path": "/paper.pdf", "requests": 1, "median_bytes": 50_000, "bytes": 50_000}
    assert [(row["day"], row["requests"]) for row in table(site, "performance_daily")] == [
        ("2026-01-06", 1),
        ("2026-01-05", 13),
    ]


def test_sources(site: Site) -> None:
    """Visits are counted by the site that they came from; the site itself is told by what its pages load."""
    assert [tuple(row.values()) for row in table(site, "sources")] == [
        ("(none)", 2, 0.5, 3, 80_000),
        ("(this site)", 1, 0.25, 1, None),
        ("search.example.com", 1, 0.25, 3, 240_000),
    ]


def test_downloads_and_bots(site: Site) -> None:
    """Downloads are people's; robots have a report of their own."""
    assert [tuple(row.values()) for row in table(site, "downloads")] == [
        ("/paper.pdf", 1, 1, 50_000, "2026-01-05T10:04:00")
    ]
    assert [tuple(row.values()) for row in table(site, "bots")] == [
        ("Googlebot", 2, 1, 2, 1, 1050, "2026-01-05T12:01:00")
    ]


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_says_what_is_not_in_it(site: Site, name: str) -> None:
    """Each report tells its purpose, the share of durations that was measured, and what it leaves out."""
    found = site.report(name)
    assert found["purpose"] == REPORTS[name].purpose
    assert found["duration_coverage"] == {"views": 3 / 7, "visits": 2 / 4}
    assert found["excluded"] == {
        "bot_requests": 2,
        "hidden_rows": 0,
        "dropped_lines": {"blank": 1},
        "unparsable_lines": 1,
    }
    assert found["notes"] == []
    shown = site.avowal("report", name).out
    assert (
        "Durations are based on 43% of 7 views and 50% of 4 visits, where they could be measured; the others are "
        "unknown, not zero." in shown
    )
    assert (
        "Visits and views leave out 2 bot requests and, of all logs, 1 dropped lines (blank), 1 unparsable lines."
        in shown
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
def test_a_question_is_of_a_period_and_of_what_its_filters_choose(
    site: Site, arguments: list[str], visits: int
) -> None:
    """Periods take in their first moment and not their last; filters are globs, and all of them hold."""
    assert table(site, "overview", *arguments)[0]["visits"] == visits


def test_filters_choose_requests(site: Site) -> None:
    """Statuses and methods choose requests."""
    assert [row["requests"] for row in table(site, "availability", "--filter", "status=4*")] == [2]
    assert [row["status"] for row in table(site, "availability", "--filter", "method=POST")] == [201]
    assert [row["page_path"] for row in table(site, "availability_not_found", "--filter", "browser=*")] == [
        "/missing"
    ]


def test_moments_are_told_in_the_time_zone_asked_for(site: Site) -> None:
    """`last_seen_at` is a moment of the time zone of the question."""
    asked = "bots", "--timezone", "Asia/Tokyo"
    assert [row["last_seen_at"] for row in table(site, "bots")] == ["2026-01-05T12:01:00"]
    assert [row["last_seen_at"] for row in table(site, *asked)] == ["2026-01-05T21:01:00"]


def test_a_limit_cuts_each_table(site: Site) -> None:
    """`--limit` is the greatest number of rows; it begins at 1."""
    assert len(table(site, "pages", "--limit", "1")) == 1
    assert len(table(site, "availability_daily", "--limit", "1")) == 1
    assert site.avowal("report", "pages", "--limit", "0").status == 2


def test_csv_has_a_header_and_leaves_unknown_empty(site: Site) -> None:
    """`--csv` prints the first table, or the one that is named; what is unknown is empty, not zero."""
    ran = site.avowal("report", "pages", "--csv")
    assert ran.out == (
        "page_path,views,unique_visitors,median_time_on_page_ms,measured_share,entries,exits\r\n"
        "/,3,3,40000.0,0.6666666666666666,3,1\r\n"
        "/a,3,2,120000.0,0.3333333333333333,1,2\r\n"
        "/b,1,1,,0.0,0,1\r\n"
    )
    rows = list(csv.DictReader(io.StringIO(site.avowal("report", "--csv", "--table", "overview_daily").out)))
    assert [row["visits"] for row in rows] == ["1", "3"]
    wrong = site.avowal("report", "--csv", "--table", "pages")
    assert (wrong.status, wrong.out) == (2, "")
    assert "overview_daily" in wrong.err


@pytest.mark.parametrize("name", REPORTS)
def test_unknown_is_not_zero(site: Site, name: str) -> None:
    """A duration that nobody measured is shown as unknown, never as 0:00:00."""
    shown = site.avowal("report", name).out
    assert "0:00:00" not in shown
    if name in {"pages", "visits", "sources"}:
        assert "unknown" in shown


@pytest.mark.parametrize("name", REPORTS)
def test_an_empty_store_says_so(empty: Site, name: str) -> None:
    """A report on nothing is no error: it says that nothing was collected yet, and how to."""
    found = empty.report(name)
    assert found["notes"] == [
        "nothing was collected yet: `avowal import FILE` reads a log, and `avowal serve` measures pages"
    ]
    assert found["duration_coverage"] == {"views": None, "visits": None}
    ran = empty.avowal("report", name)
    assert ran.status == 0
    assert "nothing was collected yet" in ran.out
    assert "nan" not in ran.out
    assert (
        empty.avowal("report", name, "--csv").err
        == "nothing was collected yet: `avowal import FILE` reads a log, and `avowal serve` measures pages\n"
    )


@pytest.mark.parametrize("name", REPORTS)
def test_a_period_without_rows_says_what_there_is(site: Site, name: str) -> None:
    """A report on a period of which nothing is kept says of which time something is."""
    assert site.report(name, "--since", "2026-01-08")["notes"] == [
        "nothing was collected in this period: what is stored is from 2026-01-05 10:00 to 2026-01-06 23:30 UTC"
    ]


def test_what_is_too_old_for_the_purpose_is_hidden_and_counted(empty: Site) -> None:
    """Rows older than the terms permit for the report's purpose are left out, and the report says how many."""
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
    empty.take_in(empty.log("access.log", old, new))
    found = empty.report("overview")
    assert found["tables"]["overview"][0]["visits"] == 1
    assert found["notes"] == ["1 rows are older than the terms allow for content and are not counted"]
    assert found["excluded"]["hidden_rows"] == 1
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
"""The category that a column of a report is made of."""


@pytest.mark.parametrize("name", REPORTS)
def test_no_report_shows_what_its_purpose_may_not_see(tmp_path: Path, name: str) -> None:
    """Where a category is collected for other purposes than the report's, no column made of it shows anything."""
    purpose = REPORTS[name].purpose
    plain = Site(tmp_path).init(settings=SETTINGS)
    terms = plain.folder / "policy" / "terms.toml"
    text = terms.read_text()
    plain.take_in(plain.log("access.log", *LOG), "--format", TIMED)
    columns = {column for rows in plain.report(name)["tables"].values() for row in rows for column in row}
    told = []
    for category in sorted({COLUMNS[column] for column in columns if column in COLUMNS}):
        head, _, rest = text.partition("# Who else may receive what.")
        lines = [
            f'[[collect]]\ncategories = ["{one}"]\nkeep = {{ {finest} = "forever" }}\nfor = ["{kept_for}"]\n'
            for one, finest in FINEST.items()
            for kept_for in ("availability", "performance", "content", "abuse")
            if (one, kept_for) != (category, purpose)
        ]
        terms.write_text("\n".join([head.partition("[[collect]]")[0], *lines]))
        other = Site(tmp_path, {"AVOWAL_DATA": str(tmp_path / category)})
        other.take_in(plain.folder / "access.log", "--format", TIMED)
        found = other.report(name)
        told += [
            f"{column} = {row[column]!r} though {category} is not for {purpose}"
            for rows in found["tables"].values()
            for row in rows
            for column in row
            if COLUMNS.get(column) == category and row[column] not in {None, 0}
        ]
        if not any(category in note for note in found["notes"]):
            told.append(f"nothing is said of {category}, which is not for {purpose}")
        terms.write_text(rest and text)
    assert not told, "\n".join(told)


FINEST = dict.fromkeys(sorted({*COLUMNS.values(), "host", "method", "view-time"}), "full") | {
    "visitor-id": "day"
}


def test_a_report_whose_category_is_not_permitted_is_withheld_and_says_so(empty: Site) -> None:
    """Where the terms do not let a purpose see a category, the report that needs it shows no row and says why."""
    terms = empty.folder / "policy" / "terms.toml"
    text = terms.read_text()
    referrers = 'keep = { page = "forever" }\nfor = ["availability", "performance", "content", "abuse"]'
    assert referrers in text
    terms.write_text(text.replace(referrers, referrers.replace('"content", ', "")))
    empty.take_in(empty.log("access.log", *LOG), "--format", TIMED)
    found = empty.report("sources")
    assert found["tables"] == {"sources": []}
    assert found["notes"] == ["nothing is shown: the terms do not permit `referrer` for content"]
    ran = empty.avowal("report", "sources")
    assert ran.status == 0
    assert "nothing is shown: the terms do not permit `referrer` for content" in ran.out
    assert "search" not in ran.out
    assert empty.report("pages")["notes"] == []


def test_no_report_shows_a_finer_precision_than_its_purpose_may_see(empty: Site) -> None:
    """Where versions of browsers are kept for another purpose alone, the report for content does not show them."""
    terms = empty.folder / "policy" / "terms.toml"
    text = terms.read_text()
    whole = 'categories = ["browser", "operating-system", "device-kind", "bot"]\nkeep = { full = "forever" }'
    assert whole in text
    named = (
        '[[collect]]\ncategories = ["browser", "operating-system"]\nkeep = { name = "forever" }\nfor = ["content"]\n\n'
        '[[collect]]\ncategories = ["browser", "operating-system"]\nkeep = { full = "forever" }\nfor = ["abuse"]\n\n'
        '[[collect]]\ncategories = ["device-kind", "bot"]\nkeep = { full = "forever" }'
    )
    terms.write_text(text.replace(f"[[collect]]\n{whole}", named))
    empty.take_in(empty.log("access.log", *LOG), "--format", TIMED)
    assert {row["browser"] for row in table(empty, "technology_browsers")} == {
        "Firefox",
        "Chrome",
        "Mobile Safari",
    }
    versions = table(empty, "technology_browser_versions")
    assert {row["browser_version"] or row["operating_system_version"] for row in versions} <= {None}


def test_the_sites_own_names_are_told_from_what_the_purpose_may_see(empty: Site) -> None:
    """Visits from the site itself are known by `host` and by parts of pages where these are permitted for content."""
    terms = empty.folder / "policy" / "terms.toml"
    text = terms.read_text()
    whole = '["request-time", "request-kind", "host", "method", '
    assert whole in text
    lines = [line(0, "/", address="192.0.2.9", referrer=OWN), line(1, "/x.css", referrer=OWN)]
    for kinds, source in (('"request-kind", ', "(this site)"), ("", "www.example.org")):
        other = '\n\n[[collect]]\ncategories = ["request-kind", "host"]\nkeep = { full = "forever" }\nfor = ["abuse"]\n'
        terms.write_text(
            text.replace(whole, f'["request-time", {kinds}"method", ').replace(
                "\n# Where a visitor", f"{other}\n# Where a"
            )
        )
        site = Site(empty.folder, {"AVOWAL_DATA": str(empty.folder / f"data{len(kinds)}")})
        site.take_in(empty.log("access.log", *lines))
        assert [row["source"] for row in table(site, "sources")] == [source]


def test_filters_cannot_ask_for_what_the_purpose_may_not_see(empty: Site) -> None:
    """A filter by a category that the terms do not permit for the report's purpose chooses nothing, and this is said."""
    terms = empty.folder / "policy" / "terms.toml"
    text = terms.read_text()
    referrers = 'keep = { page = "forever" }\nfor = ["availability", "performance", "content", "abuse"]'
    terms.write_text(text.replace(referrers, referrers.replace('"availability", ', "")))
    empty.take_in(empty.log("access.log", *LOG), "--format", TIMED)
    ran = empty.avowal("report", "availability", "--json", "--filter", "referrer=*earch.example.com*")
    assert ran.status != 0 or (
        ran.json()["tables"]["availability"] == [] and "referrer" in " ".join(ran.json()["notes"])
    )


EVIL = (
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


def test_paths_cannot_disturb_the_terminal(empty: Site) -> None:
    """Control characters, direction marks and markup in a path are shown, never obeyed."""
    lines = [line(n, path) for n, path in enumerate(EVIL)]
    lines += [line(n, path, status=404, agent="\x1b[5mX [/b] \u202e") for n, path in enumerate(EVIL)]
    log = empty.folder / "access.log"
    log.write_bytes("".join(lines).encode())
    ran = empty.avowal("import", log, "--max-unparsable-percent", "100")
    assert ran.status == 0
    for name in REPORTS:
        for wide in (True, False):
            ran = empty.avowal("report", name, wide=wide)
            assert ran.status == 0, ran.err
            disturbing = {letter for letter in ran.out if not letter.isprintable()} - {"\n"}
            assert not disturbing, (name, disturbing)
    shown = empty.avowal("report", "pages").out
    assert "[red]x[/red][/nothing]" in shown
    assert "[bold]x[/bold]" in shown
    assert ":smile:" in shown


def test_nothing_in_a_csv_is_a_formula(empty: Site) -> None:
    """A cell that a spreadsheet would take for a formula is made text."""
    json_line = (
        '{{"time": "2026-01-05T12:0{n}:00Z", "remote_addr": "192.0.2.{n}", "request_method": "GET", "uri": "{uri}", '
        '"status": 200, "http_user_agent": "{agent}", "http_referer": "{referrer}"}}\n'
    )
    lines = [
        json_line.format(n=n, uri=f"/{text}", agent=FIREFOX, referrer=f"{text}://example.org/{text}")
        for n, text in enumerate(FORMULAS)
    ]
    lines += [json_line.format(n=5, uri=f"/{text}", agent=f"{text} bot", referrer=text) for text in FORMULAS]
    empty.take_in(
        empty.log("access.log", *lines), "--format", "nginx-json", "--max-unparsable-percent", "100"
    )
    assert empty.rows("SELECT count(*) FROM requests") == [(2 * len(FORMULAS),)]
    for name, report in REPORTS.items():
        for one in report.tables:
            out = empty.avowal("report", name, "--csv", "--table", one).out
            for row in csv.reader(io.StringIO(out)):
                assert not [cell for cell in row if cell.startswith(("=", "+", "@", "\t", "\r"))], out
                assert not [cell for cell in row if cell.startswith("-") and not cell[1:].isdecimal()], out


def test_reports_have_the_exit_status_of_misuse(site: Site) -> None:
    """An unknown report, time zone, filter or time is misuse, and told with a remedy on standard error."""
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
        ran = site.avowal("report", *arguments)
        assert (ran.status, ran.out) == (2, ""), arguments
        assert len(ran.err.splitlines()) == (1 if "--json" in arguments else 2), arguments


@pytest.fixture
def crowd(tmp_path: Path) -> Site:
    """Make a site of which six people saw one page and four another, and a robot each of them."""
    made = Site(tmp_path).init(settings=SETTINGS)
    lines = [line(n, "/many", address=f"192.0.2.{n}") for n in range(1, 7)]
    lines += [line(n, "/few", address=f"192.0.2.{n}", status=200) for n in range(1, 5)]
    lines += [line(n, "/gone", address=f"192.0.2.{n}", status=404) for n in range(1, 5)]
    lines += [line(9, path, address="198.51.100.1", agent=GOOGLEBOT) for path in ("/many", "/few", "/gone")]
    made.take_in(made.log("crowd.log", *lines))
    return made


def test_what_is_shared_has_no_small_group(crowd: Site) -> None:
    """Groups of fewer people than the terms owe are left out and counted; readers themselves see all."""
    assert {row["page_path"] for row in table(crowd, "pages")} == {"/many", "/few"}
    found = crowd.report("pages", "--shared")
    assert [row["page_path"] for row in found["tables"]["pages"]] == ["/many"]
    assert any("1 groups are left out: they have fewer than 5 visitors" in note for note in found["notes"])
    assert table(crowd, "availability_not_found") != []
    assert table(crowd, "availability_not_found", "--shared") == []


@pytest.mark.parametrize("name", REPORTS)
def test_a_filter_does_not_get_around_the_smallest_group(crowd: Site, name: str) -> None:
    """What is filtered down to a few people is shown in no table of a shared report, nor counted beside it."""
    words = ["--filter", "page=/few"]
    found = crowd.report(name, *words, "--shared")
    rows = [row for one, shown in found["tables"].items() if one != "bots" for row in shown]
    assert rows == [], name
    if name != "bots":
        told = found["excluded"]
        assert (told["hidden_rows"], told["bot_requests"], found["duration_coverage"]) == (
            0,
            None,
            {"views": None, "visits": None},
        )


@pytest.mark.parametrize("name", REPORTS)
def test_nobody_known_is_nobody_counted(empty: Site, name: str) -> None:
    """Where visitors are not told apart, nothing that might be about few of them is shared."""
    terms = empty.folder / "policy" / "terms.toml"
    head, found, rest = terms.read_text().partition('[[collect]]\ncategories = ["visitor-id"]')
    assert found
    terms.write_text(head + rest[rest.index("[[") :])
    empty.take_in(empty.log("access.log", *LOG), "--format", TIMED)
    shown = empty.report(name, "--shared")["tables"]
    assert all(rows == [] for one, rows in shown.items() if one != "bots")
