"""Looks in the store: loaded once, grown, and made views and visits of, beside those of logs."""

import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest

from avowal.collect.journal import TRANSMISSION_DELAY_MAX, Journal, JournalRow, JournalWriter, list_journals
from avowal.keep.retention import plan_retention
from avowal.policy.bounds import OPERATOR, OWN_USE, AgeByPrecision, Bounds, Cell
from avowal.store.duckdb_store import DuckDBStore
from avowal.store.interface import ConsentCursor, Cutoffs, GoverningUpdate, RetentionAction, VisitRules
from support.store_records import (
    KEEP_ALL,
    KEEP_NONE,
    NO_GOVERNING_UPDATE,
    START,
    admitted_records,
    request_at,
    stored_views,
    stored_visits,
    written_segment,
)

VISITOR, COOKIE = 2, 7
DAY = 86_400
MICROSECONDS = int(START.replace(tzinfo=UTC).timestamp()) * 1_000_000
HOST = "site.example"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    opened = DuckDBStore(tmp_path, "256MB")
    yield opened
    opened.close()


def look(number: int, minutes: float, seen: float | None = None, **told: Any) -> JournalRow:
    """Tell of a look at `minutes`, and once more of it when it was seen for `seen` seconds."""
    age = 0 if seen is None else int(seen * 1_000)
    heard = MICROSECONDS + int(minutes * 60_000_000) + age * 1_000
    plain = {"host": HOST, "visitor_id": VISITOR, "page_path": "/", **told}
    return JournalRow(number, heard, 1, age, None if seen is None else age, **plain)


def journal(folder: Path, *rows: JournalRow) -> Journal:
    before = list_journals(folder / "journals")
    writer = JournalWriter(folder / "journals")
    writer.append(rows)
    writer.rotate()
    (written,) = (one for one in list_journals(folder / "journals") if one not in before)
    return written


def durations(store: DuckDBStore) -> list[tuple[float, int | None]]:
    """Return when each view was, in minutes, and its duration in milliseconds."""
    return [
        ((view["view_time"] - START) / timedelta(minutes=1), view["view_duration_ms"])
        for view in stored_views(store)
    ]


def test_a_journal_is_loaded_once(tmp_path: Path, store: DuckDBStore) -> None:
    """One that comes again, as after a crash between load and unlink, changes nothing."""
    one = journal(tmp_path, look(1, 0, 5))
    for _ in range(2):
        store.load_journals([one])
    other = journal(tmp_path, look(2, 1))
    store.load_journals([one, other])
    assert store.record_counts().script_views == 2
    one.path.unlink()
    store.load_journals([other])
    assert store.query("SELECT journal_name FROM loaded_journals", {}).rows == [[other.name]]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_look_grows_whatever_comes_first(tmp_path: Path, store: DuckDBStore, order: Sequence[int]) -> None:
    """Its time is the longest that was told, never goes back, and never beyond the clock on the wall."""
    told = [look(1, 0), look(1, 0, 30), look(1, 0, 10)]
    for place in order:
        store.load_journals([journal(tmp_path, told[place])])
        store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert durations(store) == [(0, 30_000)]
    forged = JournalRow(1, MICROSECONDS + 31_000_000, 1, 3_600_000, 3_600_000, HOST, VISITOR)
    store.load_journals([journal(tmp_path, forged)])
    store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert durations(store) == [(0, 31_000 + TRANSMISSION_DELAY_MAX // timedelta(milliseconds=1))]


@pytest.mark.parametrize("apart", [True, False])
def test_a_first_word_may_be_late(tmp_path: Path, store: DuckDBStore, *, apart: bool) -> None:
    """It takes the longest way: what was seen meanwhile is not lost for that."""
    late, next_one = JournalRow(1, MICROSECONDS + 800_000, 1, 0, 0, HOST, VISITOR), look(1, 0, 3)
    for rows in ([late], [next_one]) if apart else ([late, next_one],):
        store.load_journals([journal(tmp_path, *rows)])
        store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert [milliseconds for _, milliseconds in durations(store)] == [3_000]


def test_a_visit_lasts_as_long_as_it_was_seen(tmp_path: Path, store: DuckDBStore) -> None:
    """The last page is in its duration; a page that was read for long is no pause; one that was not measured is none."""
    rows = [
        look(1, 0, 20 * 60),  # read for twenty minutes,
        look(2, 45, 60),  # and the next page twenty-five minutes after that
        look(3, 200, None, visitor_id=4),
    ]
    store.load_journals([journal(tmp_path, *rows)])
    store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert [(one["visitor_id"], one["views"], one["visit_duration_ms"]) for one in stored_visits(store)] == [
        (2, 2, 46 * 60_000),
        (4, 1, None),
    ]


def both(tmp_path: Path, store: DuckDBStore, order: Sequence[int], rules: VisitRules) -> None:
    """Load three views of a log and four looks, of which two pairs are of the same views, in some order."""

    def load_log() -> None:
        log = admitted_records(
            request_at(0, host=HOST, referrer="https://example.org/x"),
            request_at(10, host=HOST, page_path="/b"),
            request_at(20, host=HOST, page_path="/no-script"),
            request_at(0, host="other.example", page_path="/other", visitor_id=8),
        )
        store.load_segments([written_segment(tmp_path, log)])

    def load_looks() -> None:
        rows = [look(1, 4 / 60, 7), look(2, 10 - 3 / 60, 8, page_path="/b"), look(3, 30, 9, page_path="/app")]
        rows.append(look(4, 40, 6, page_path="/else", visitor_id=9))
        store.load_journals([journal(tmp_path, *rows)])

    for step in order:
        (load_log, load_looks)[step]()
        store.derive_visits(rules, KEEP_ALL, NO_GOVERNING_UPDATE)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_where_both_tell_the_script_counts(tmp_path: Path, store: DuckDBStore, order: Sequence[int]) -> None:
    """The log's views of that host and day are not added, whichever comes first; it adds where a visitor came from."""
    both(tmp_path, store, order, VisitRules())
    found = [
        (one["host"], one["page_path"], one["view_duration_ms"], one["referrer"])
        for one in stored_views(store)
    ]
    assert sorted(found) == [
        ("other.example", "/other", None, None),
        (HOST, "/", 7_000, "https://example.org/x"),
        (HOST, "/app", 9_000, None),
        (HOST, "/b", 8_000, None),
        (HOST, "/else", 6_000, None),
    ]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_where_both_tell_the_log_may_count(tmp_path: Path, store: DuckDBStore, order: Sequence[int]) -> None:
    """By the setting; then the script adds the time that it measured. Who changes it has all made anew."""
    both(tmp_path, store, order, VisitRules(prefer_script=False))
    found = [
        (one["page_path"], one["view_duration_ms"]) for one in stored_views(store) if one["host"] == HOST
    ]
    assert sorted(found) == [("/", 7_000), ("/b", 8_000), ("/no-script", None)]
    store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert sorted(one["page_path"] for one in stored_views(store) if one["host"] == HOST) == [
        "/",
        "/app",
        "/b",
        "/else",
    ]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("script", [True, False])
def test_log_and_cookie_are_matched_by_the_day(
    tmp_path: Path, store: DuckDBStore, order: Sequence[int], script: bool
) -> None:
    """Whoever has the cookie has a key of the day in the log: each tells the other what it knows, whichever is first."""
    for step in order:
        if step:
            row = look(1, 2 / 60, 7, visitor_id=COOKIE, daily_key=VISITOR)
            store.load_journals([journal(tmp_path, row, look(2, 9, 3, visitor_id=COOKIE, daily_key=VISITOR))])
        else:
            store.load_segments(
                [
                    written_segment(
                        tmp_path, admitted_records(request_at(0, host=HOST, referrer="https://example.org/x"))
                    )
                ]
            )
        store.derive_visits(VisitRules(prefer_script=script), KEEP_ALL, NO_GOVERNING_UPDATE)
    found = [(one["visitor_id"], one["view_duration_ms"], one["referrer"]) for one in stored_views(store)]
    first, second = (COOKIE, 7_000, "https://example.org/x"), (COOKIE, 3_000, None)
    assert sorted(found, key=str) == (
        [second, first] if script else [(VISITOR, 7_000, "https://example.org/x")]
    )
    store.erase_visitor(VISITOR)
    assert store.query("SELECT DISTINCT visitor_id, daily_key FROM script_views", {}).rows == [[COOKIE, None]]


def test_looks_without_a_key_are_views(tmp_path: Path, store: DuckDBStore) -> None:
    """Of nobody's visit; the log's of the same host and day do not count beside them either."""
    store.load_segments(
        [written_segment(tmp_path, admitted_records(request_at(1, host=HOST, visitor_id=None)))]
    )
    store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert len(stored_views(store)) == 1
    store.load_journals([journal(tmp_path, look(1, 0, 3, visitor_id=None), look(2, 1, bot="Googlebot"))])
    store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert durations(store) == [(0, 3_000)]
    assert stored_visits(store) == []


def test_a_visit_has_the_country_of_its_first_deed(tmp_path: Path, store: DuckDBStore) -> None:
    """So that the script alone tells of countries, too."""
    there = [look(1, 0, country="BR"), look(2, 5, country="DE"), look(3, 0, visitor_id=8)]
    store.load_journals([journal(tmp_path, *there)])
    store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert sorted((one["visitor_id"], one["country"], one["views"]) for one in stored_visits(store)) == [
        (VISITOR, "BR", 2),
        (8, None, 1),
    ]


def test_what_a_lasting_visitor_did_later_stays(tmp_path: Path, store: DuckDBStore) -> None:
    """Whoever has the cookie comes again on other days: making an old day anew takes nothing of these away."""
    days = (0, 3, 9)
    store.load_journals(
        [journal(tmp_path, *(look(day + 1, day * 1440, 5, visitor_id=COOKIE) for day in days))]
    )
    store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    expected = [(day * 1440, 5_000) for day in days]
    assert sorted(durations(store)) == expected
    store.load_journals([journal(tmp_path, look(50, 2, 4, visitor_id=COOKIE))])
    store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert sorted(durations(store)) == sorted([*expected, (2, 4_000)])
    assert sorted(one["views"] for one in stored_visits(store)) == [1, 1, 2]
    store.derive_visits(VisitRules(gap_minutes=1), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert sorted(one["views"] for one in stored_visits(store)) == [1, 1, 1, 1]


def test_a_duration_is_kept_only_where_it_may_be(tmp_path: Path, store: DuckDBStore) -> None:
    """And a view only where that may be."""
    store.load_journals([journal(tmp_path, look(1, 0, 5))])
    ages = Cutoffs(KEEP_ALL.view_time, KEEP_NONE.view_duration, KEEP_ALL.visit_time, KEEP_NONE.visit_duration)
    store.derive_visits(VisitRules(), ages, NO_GOVERNING_UPDATE)
    assert durations(store) == [(0, None)]
    assert stored_visits(store)[0]["visit_duration_ms"] is None


def test_consent_raises_looks_too(tmp_path: Path, store: DuckDBStore) -> None:
    """Those that are there, those that come later, and what is made of them; a withdrawal restores them."""
    store.load_journals([journal(tmp_path, look(1, 0, 5, visitor_id=COOKIE), look(2, 0, 5))])
    for step, (governing, expected) in enumerate([(3, {2: {1}, 7: {3}}), (0, {2: {1}, 7: {1}})], 1):
        store.derive_visits(
            VisitRules(), KEEP_ALL, GoverningUpdate(ConsentCursor(step, 0), {COOKIE: governing})
        )
        store.load_journals([journal(tmp_path, look(10 + step, 60 * step, 5, visitor_id=COOKIE))])
        store.derive_visits(VisitRules(), KEEP_ALL, GoverningUpdate(ConsentCursor(step, 0), {}))
        for table in ("script_views", "views", "visits"):
            rows = store.query(f"SELECT DISTINCT visitor_id, governing FROM {table}", {}).rows
            assert {visitor: {one for who, one in rows if who == visitor} for visitor, _ in rows} == expected


def test_what_may_not_be_kept_goes(tmp_path: Path, store: DuckDBStore) -> None:
    """Step by step, as with requests: an address, a cookie's key, at last the look itself."""
    told: dict[str, AgeByPrecision] = {
        "view-time": {"full": 400 * DAY},
        "ip-address": {"prefix": 90 * DAY, "full": 7 * DAY},
        "visitor-id": {"day": None, "full": 30 * DAY},
        "view-duration": {"full": 100 * DAY},
    }
    bounds = Bounds({Cell(name, "abuse", OPERATOR, OWN_USE): ages for name, ages in told.items()}, {})
    store.load_journals([journal(tmp_path, look(1, 0, 5, visitor_id=COOKIE, ip_address="192.0.2.7"))])
    for days, expected in (
        (6, [["192.0.2.7", 5_000, True]]),
        (8, [["192.0.2.0/24", 5_000, True]]),
        (31, [["192.0.2.0/24", 5_000, False]]),
        (101, [[None, None, False]]),
        (401, []),
    ):
        moment = START + timedelta(days=days)
        store.apply_retention(plan_retention([bounds], moment), moment)
        assert (
            store.query("SELECT ip_address, visible_ms, visitor_id % 2 = 1 FROM script_views", {}).rows
            == expected
        )


def test_what_is_erased_is_gone(tmp_path: Path, store: DuckDBStore) -> None:
    """Looks with the rest, and counted."""
    store.load_journals([journal(tmp_path, look(1, 0, 5), look(2, 0, 5, visitor_id=4))])
    store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert store.erase_visitor(VISITOR).script_views == 1
    assert [row["visitor_id"] for row in stored_views(store)] == [4]
    assert store.query("SELECT visitor_id FROM script_views", {}).rows == [[4]]
    assert list_journals(tmp_path / "journals")


def test_what_is_done_is_governed_as_its_visitor_consented(tmp_path: Path, store: DuckDBStore) -> None:
    """Also where it comes in after its look, and where the consent is taken back after the look is gone."""

    def governing() -> list[int]:
        return [row[0] for row in store.query("SELECT governing FROM events ORDER BY rowid", {}).rows]

    store.load_journals([journal(tmp_path, look(1, 0))])
    store.derive_visits(VisitRules(), KEEP_ALL, GoverningUpdate(ConsentCursor(1, 0), {VISITOR: 2}))
    store.load_journals([journal(tmp_path, look(1, 0, 3, event_name="pressed"))])
    store.derive_visits(VisitRules(), KEEP_ALL, GoverningUpdate(ConsentCursor(1, 0), {}))
    assert governing() == [2]
    store.apply_retention([RetentionAction("script_views", "view-time", START, [0])], START)
    store.derive_visits(VisitRules(), KEEP_ALL, GoverningUpdate(ConsentCursor(2, 0), {VISITOR: 0}))
    assert governing() == [1]
