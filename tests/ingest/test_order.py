"""The result of an import does not depend on the order of lines, files or imports."""

import itertools
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avowal.collect.request_kind import RequestKind
from support.depth import by_depth
from support.model_visits import Action, Visit, view_times, visits
from support.site import CHROME, FIREFOX, GOOGLEBOT, Site, line, read_store

GAP = timedelta(minutes=30)
ZONES = ["UTC", "Europe/Berlin", "America/St_Johns"]
NIGHT = datetime(2026, 3, 29, 1)  # noqa: DTZ001  # UTC; clocks in Europe change now, and a visitor day begins soon in each zone
KINDS = {
    "/": RequestKind.VIEW,
    "/a": RequestKind.VIEW,
    "/b.pdf": RequestKind.DOWNLOAD,
    "/upload": RequestKind.UPLOAD,
    "/style.css": RequestKind.STATIC,
    "/gone": RequestKind.OTHER,
}
SETTINGS = '[site]\ntimezone = "{zone}"\n\n[collect]\nlog_format = "combined"\nupload_paths = ["/upload"]\n'

LineFields = tuple[int, tuple[str, str, str], str, str]
"""Seconds after NIGHT, visitor (host, address, user agent), path, referrer."""

VISITORS = [
    ("a.example.org", "192.0.2.1", FIREFOX),
    ("b.example.org", "192.0.2.1", FIREFOX),
    ("a.example.org", "2001:db8::1", CHROME),
    ("a.example.org", "192.0.2.1", GOOGLEBOT),
]
moments = st.tuples(st.integers(0, 24), st.sampled_from([0, 0, 0, -1, 1])).map(
    lambda drawn: 900 * drawn[0] + drawn[1]
)
"""Few moments, so that many are equal, a gap or a second more apart, or at the beginning of a visitor day."""

lines = st.tuples(
    moments,
    st.sampled_from(VISITORS),
    st.sampled_from(sorted(KINDS)),
    st.sampled_from(["-", "https://example.org/x"]),
)


def write_line(number: int, fields: LineFields) -> str:
    """Write a line that its size makes different from every other."""
    seconds, (host, address, agent), path, referrer = fields
    method, status = {"/upload": ("POST", 201), "/gone": ("GET", 404)}.get(path, ("GET", 200))
    return line(
        seconds / 60,
        path,
        start=NIGHT,
        address=address,
        method=method,
        status=status,
        size=number,
        referrer=referrer,
        agent=agent,
        host=host,
    )


@contextmanager
def temporary_site(zone: str) -> Iterator[Site]:
    with tempfile.TemporaryDirectory() as folder:
        yield Site(Path(folder)).init(settings=SETTINGS.format(zone=zone))


@st.composite
def shuffled_imports(draw: st.DrawFn) -> tuple[list[LineFields], list[list[list[int]]]]:
    """Draw lines, and imports of files of line numbers that contain each line once."""
    all_lines = draw(st.lists(lines, min_size=1, max_size=24))
    order = draw(st.permutations(range(len(all_lines))))
    cuts = sorted(draw(st.lists(st.integers(0, len(all_lines)), max_size=4)))
    files = [list(order[start:end]) for start, end in itertools.pairwise([0, *cuts, len(all_lines)])]
    ends = sorted(draw(st.lists(st.integers(0, len(files)), max_size=2)))
    return all_lines, [files[start:end] for start, end in itertools.pairwise([0, *ends, len(files)])]


@settings(max_examples=by_depth(standard=10, thorough=80, quick=3))
@given(shuffled_imports(), st.sampled_from(ZONES), st.booleans())
def test_any_order_and_division_of_lines_gives_the_same_result(
    drawn: tuple[list[LineFields], list[list[list[int]]]], zone: str, one_by_one: bool
) -> None:
    """Lines in any order, divided into any files and imports, give the result of one import and of the model."""
    all_lines, runs = drawn
    texts = [write_line(number, fields) for number, fields in enumerate(all_lines)]
    with temporary_site(zone) as whole_site, temporary_site(zone) as divided_site:
        assert whole_site.import_logs(whole_site.log("access.log", *texts))["counts"]["requests"] == len(
            texts
        )
        for run, files in enumerate(runs):
            logs = [
                divided_site.log(f"{run}-{number}.log", *(texts[index] for index in file))
                for number, file in enumerate(files)
            ]
            for batch in [[log] for log in logs] if one_by_one else [logs]:
                if batch:
                    divided_site.import_logs(*batch)
        assert read_store(whole_site) == read_store(divided_site)
        assert_equals_model(whole_site, all_lines, zone)


def assert_equals_model(site: Site, lines: list[LineFields], zone: str) -> None:
    expected = visits(
        (
            Action(NIGHT + timedelta(seconds=seconds), who, KINDS[path], path)
            for seconds, who, path, _ in lines
            if KINDS[path] in {RequestKind.VIEW, RequestKind.DOWNLOAD, RequestKind.UPLOAD}
            and GOOGLEBOT not in who
        ),
        GAP,
        ZoneInfo(zone),
        time(4),
    )
    rows = site.rows(
        "SELECT visit_time, visit_duration_ms, host, views, downloads, uploads, browser FROM visits"
    )
    assert Counter(rows) == Counter(map(visit_row, expected))
    rows = site.rows("SELECT visit_time, view_time, view_duration_ms FROM views")
    assert Counter(rows) == Counter(
        (visit[0].time, start, milliseconds(duration))
        for visit in expected
        for start, duration in view_times(visit)
    )
    rows = site.rows("SELECT visit_time, view_time, host, page_path FROM views")
    assert Counter(rows) == Counter(
        (visit[0].time, action.time, action.visitor[0], action.path)
        for visit in expected
        for action in visit
        if action.kind == RequestKind.VIEW
    )
    entries = Counter(site.rows("SELECT visit_time, entry_path, exit_path FROM visits"))
    assert all(
        any(row[0] == visit[0].time and row[1:] in possible_entries_and_exits(visit) for visit in expected)
        for row in entries
    )


def visit_row(visit: Visit) -> tuple[object, ...]:
    kinds = Counter(action.kind for action in visit)
    host, _, agent = visit[0].visitor
    return (
        visit[0].time,
        milliseconds(visit[-1].time - visit[0].time if len(visit) > 1 else None),
        host,
        kinds[RequestKind.VIEW],
        kinds[RequestKind.DOWNLOAD],
        kinds[RequestKind.UPLOAD],
        {FIREFOX: "Firefox", CHROME: "Chrome"}[agent],
    )


def possible_entries_and_exits(visit: Visit) -> set[tuple[str | None, str | None]]:
    """Return the possible entry and exit pages: any views at the first and the last time of a visit."""
    views = [action for action in visit if action.kind == RequestKind.VIEW]
    if not views:
        return {(None, None)}
    entries = [action.path for action in views if action.time == views[0].time]
    exits = [action.path for action in views if action.time == views[-1].time]
    return set(itertools.product(entries, exits))


def milliseconds(duration: timedelta | None) -> int | None:
    return None if duration is None else duration // timedelta(milliseconds=1)


def test_a_late_line_joins_two_visits(tmp_path: Path) -> None:
    """A line between two visits that is imported last makes them one visit."""
    site = Site(tmp_path)
    site.import_logs(site.log("a.log", line(0, "/first"), line(50, "/last")))
    assert site.rows("SELECT views, visit_duration_ms FROM visits") == [(1, None)] * 2
    site.import_logs(site.log("b.log", line(25, "/between")))
    assert site.rows("SELECT views, visit_duration_ms, entry_path, exit_path FROM visits") == [
        (3, 3_000_000, "/first", "/last")
    ]
    assert site.rows("SELECT view_duration_ms FROM views ORDER BY view_time") == [
        (1_500_000,),
        (1_500_000,),
        (None,),
    ]


def test_a_late_line_changes_no_other_visit(tmp_path: Path) -> None:
    """A line of one visitor leaves the visits of all others unchanged."""
    site = Site(tmp_path)
    others = [line(n, f"/{n}", address=f"198.51.100.{n}") for n in range(50)]
    site.import_logs(site.log("a.log", *others, line(0)))
    before = site.rows("SELECT rowid, * FROM visits WHERE entry_path <> '/' ORDER BY ALL")
    site.import_logs(site.log("b.log", line(10, "/more")))
    after = site.rows("SELECT rowid, * FROM visits WHERE entry_path <> '/' ORDER BY ALL")
    assert [row[1:] for row in after] == [row[1:] for row in before]
    assert site.rows("SELECT views FROM visits WHERE entry_path = '/'") == [(2,)]


def test_an_import_of_distant_days_derives_only_those_days(tmp_path: Path) -> None:
    """An import of days that are far apart changes only the visits of these days."""
    site, other_site = Site(tmp_path / "site"), Site(tmp_path / "beside")
    for new_site in (site, other_site):
        new_site.folder.mkdir()
    texts = [line(24 * 60 * day + minute, f"/{day}/{minute}") for day in range(60) for minute in (0, 20, 40)]
    for part in (texts[1::3], texts[0::3], texts[2::3]):
        site.import_logs(site.log(f"{len(list(site.folder.iterdir()))}.log", *part))
    other_site.import_logs(other_site.log("access.log", *texts))
    assert read_store(site) == read_store(other_site)
    assert site.rows("SELECT count(*), min(views), max(views) FROM visits") == [(60, 3, 3)]


def test_a_visit_ends_with_its_visitor_day(tmp_path: Path) -> None:
    """A visit ends at the hour at which the visitor day begins, however short the pause."""
    site = Site(tmp_path).init(settings='[site]\ntimezone = "Europe/Berlin"\nday_start = "05:30"\n')
    start = datetime(2026, 1, 5, 4, 20)  # noqa: DTZ001  # UTC without a zone: ten minutes before
    site.import_logs(site.log("a.log", *(line(minute, start=start) for minute in (0, 5, 9, 10, 15))))
    assert site.rows("SELECT visit_time, views FROM visits ORDER BY visit_time") == [
        (start, 3),
        (start + timedelta(minutes=10), 2),
    ]


@pytest.mark.parametrize("minutes", [1, 7, 240])
def test_the_visit_gap_is_a_setting(tmp_path: Path, minutes: int) -> None:
    """A pause of `collect.visit_gap_minutes` continues a visit, a longer one ends it; old visits follow a change."""
    site = Site(tmp_path).init(settings=f"[collect]\nvisit_gap_minutes = {minutes}\n")
    site.import_logs(site.log("a.log", line(0), line(minutes), line(2 * minutes + 1 / 60)))
    assert site.rows("SELECT views FROM visits ORDER BY visit_time") == [(2,), (1,)]
    (site.folder / "avowal.toml").write_text(f"[collect]\nvisit_gap_minutes = {minutes + 1}\n")
    site.report("overview")
    assert site.rows("SELECT views FROM visits ORDER BY visit_time") == [(3,)]


def test_visitor_keys_change_when_their_salt_was_destroyed(tmp_path: Path) -> None:
    """Without the salt of their day, late lines belong to new visitors, and the import says so."""
    site = Site(tmp_path)
    site.import_logs(site.log("a.log", line(0), line(1)))
    (site.folder / "data.keys" / "salts.json").write_text(
        (site.folder / "data.keys" / "salts.json")
        .read_text()
        .replace('"first_used_at":"20', '"first_used_at":"19')
    )
    result = site.avowal("import", site.log("b.log", line(2, "/late")))
    assert "1 requests arrived after the salt of their day was destroyed" in result.out
    assert site.rows("SELECT views FROM visits ORDER BY visit_time") == [(2,), (1,)]
    with duckdb.connect(site.data / "avowal.duckdb") as store:
        assert store.execute("SELECT sum(late_requests) FROM logs").fetchall() == [(1,)]
