"""Script views in the store, and the views and visits derived from them and from logs."""

import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from avowal.collect.journal import TRANSMISSION_DELAY_MAX, Journal, JournalRow, JournalWriter, list_journals
from avowal.keep.retention import plan_retention
from avowal.policy.bounds import OPERATOR, OWN_USE, AgeByPrecision, Bounds, Cell
from avowal.store.duckdb_store import STORE_FILE, DuckDBStore
from avowal.store.interface import ConsentCursor, Cutoffs, GoverningUpdate, RetentionAction, VisitRules
from avowal.store.visitor_sql import select_page
from support.errors import raises_code
from support.store_records import (
    KEEP_ALL,
    KEEP_NONE,
    NO_GOVERNING_UPDATE,
    START,
    admitted_records,
    request_at,
    stored_views,
    stored_visits,
    write_segment,
)

VISITOR, COOKIE = 2, 7
DAY = 86_400
MICROSECONDS = int(START.replace(tzinfo=UTC).timestamp()) * 1_000_000
HOST = "site.example"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    store = DuckDBStore(tmp_path, "256MB")
    yield store
    store.close()


def script_view(
    number: int, minutes: float, visible_seconds: float | None = None, **columns: Any
) -> JournalRow:
    """Return a row of a script view at `minutes`, or of its later event after `seen` seconds of visibility."""
    age = 0 if visible_seconds is None else int(visible_seconds * 1_000)
    received_at = MICROSECONDS + int(minutes * 60_000_000) + age * 1_000
    plain = {"host": HOST, "visitor_id": VISITOR, "page_path": "/", **columns}
    return JournalRow(number, received_at, 1, age, None if visible_seconds is None else age, **plain)


def journal(folder: Path, *rows: JournalRow) -> Journal:
    before = list_journals(folder / "journals")
    writer = JournalWriter(folder / "journals")
    writer.append(rows)
    writer.rotate()
    (new_journal,) = (
        journal_file for journal_file in list_journals(folder / "journals") if journal_file not in before
    )
    return new_journal


def durations(store: DuckDBStore) -> list[tuple[float, int | None]]:
    """Return the time of each view in minutes, and its duration in milliseconds."""
    return [
        ((view["view_time"] - START) / timedelta(minutes=1), view["view_duration_ms"])
        for view in stored_views(store)
    ]


def test_a_journal_is_loaded_once(tmp_path: Path, store: DuckDBStore) -> None:
    """A journal that is loaded again, as after a crash before its removal, changes nothing."""
    first_journal = journal(tmp_path, script_view(1, 0, 5))
    for _ in range(2):
        store.load_journals([first_journal])
    other = journal(tmp_path, script_view(2, 1))
    store.load_journals([first_journal, other])
    assert store.record_counts().script_views == 2
    first_journal.path.unlink()
    store.load_journals([other])
    assert store.query("SELECT journal_name FROM loaded_journals", {}).rows == [[other.name]]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_visible_time_of_a_script_view_only_grows(
    tmp_path: Path, store: DuckDBStore, order: Sequence[int]
) -> None:
    """In any order of events the longest time counts, limited by the time since the view on the server's clock."""
    rows = [script_view(1, 0), script_view(1, 0, 30), script_view(1, 0, 10)]
    for position in order:
        store.load_journals([journal(tmp_path, rows[position])])
        store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert durations(store) == [(0, 30_000)]
    false_claim = JournalRow(1, MICROSECONDS + 31_000_000, 1, 3_600_000, 3_600_000, HOST, VISITOR)
    store.load_journals([journal(tmp_path, false_claim)])
    store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert durations(store) == [(0, 31_000 + TRANSMISSION_DELAY_MAX // timedelta(milliseconds=1))]


@pytest.mark.parametrize("separately", [True, False])
def test_a_delayed_first_event_loses_no_visible_time(
    tmp_path: Path, store: DuckDBStore, *, separately: bool
) -> None:
    """A first event that arrives late does not shorten the visible time."""
    late_row, next_row = JournalRow(1, MICROSECONDS + 800_000, 1, 0, 0, HOST, VISITOR), script_view(1, 0, 3)
    for rows in ([late_row], [next_row]) if separately else ([late_row, next_row],):
        store.load_journals([journal(tmp_path, *rows)])
        store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert [milliseconds for _, milliseconds in durations(store)] == [3_000]


def test_a_visit_lasts_until_the_end_of_its_last_page(tmp_path: Path, store: DuckDBStore) -> None:
    """The last page counts, a long read is not a pause, and an unmeasured view has no duration."""
    rows = [
        script_view(1, 0, 20 * 60),  # read for twenty minutes,
        script_view(2, 45, 60),  # and the next page twenty-five minutes after that
        script_view(3, 200, None, visitor_id=4),
    ]
    store.load_journals([journal(tmp_path, *rows)])
    store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert [
        (visit["visitor_id"], visit["views"], visit["visit_duration_ms"]) for visit in stored_visits(store)
    ] == [
        (2, 2, 46 * 60_000),
        (4, 1, None),
    ]


def load_both(tmp_path: Path, store: DuckDBStore, order: Sequence[int]) -> None:
    """Load a log with four views and four script views in some order, and derive the visits."""

    def load_log() -> None:
        log = admitted_records(
            request_at(0, host=HOST, referrer="https://example.org/x"),
            request_at(10, host=HOST, page_path="/b"),
            request_at(20, host=HOST, page_path="/no-script"),
            request_at(0, host="other.example", page_path="/other", visitor_id=8),
        )
        store.load_segments([write_segment(tmp_path, log)])

    def load_script_views() -> None:
        rows = [
            script_view(1, 4 / 60, 7),
            script_view(2, 10 - 3 / 60, 8, page_path="/b"),
            script_view(3, 30, 9, page_path="/app"),
        ]
        rows.append(script_view(4, 40, 6, page_path="/else", visitor_id=9))
        store.load_journals([journal(tmp_path, *rows)])

    for step in order:
        (load_log, load_script_views)[step]()
        store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_request_and_a_script_view_of_the_same_page_view_count_once(
    tmp_path: Path, store: DuckDBStore, order: Sequence[int]
) -> None:
    """Every view counts, in any order; one that both reported has the script's duration and the log's referrer."""
    load_both(tmp_path, store, order)
    views = [
        (view["host"], view["page_path"], view["view_source"], view["view_duration_ms"], view["referrer"])
        for view in stored_views(store)
    ]
    assert sorted(views) == [
        ("other.example", "/other", "log", None, None),
        (HOST, "/", "both", 7_000, "https://example.org/x"),
        (HOST, "/app", "script", 9_000, None),
        (HOST, "/b", "both", 8_000, None),
        (HOST, "/else", "script", 6_000, None),
        (HOST, "/no-script", "log", 600_000, None),
    ]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_pair_is_the_view_of_the_cookies_visitor(
    tmp_path: Path, store: DuckDBStore, order: Sequence[int]
) -> None:
    """A script view with a cookie key is paired by its daily key; other requests of that key are the visitor's, too."""
    for step in order:
        if step:
            row = script_view(1, 2 / 60, 7, visitor_id=COOKIE, daily_key=VISITOR)
            later = script_view(2, 9, 3, visitor_id=COOKIE, daily_key=VISITOR)
            store.load_journals([journal(tmp_path, row, later)])
        else:
            log = admitted_records(
                request_at(0, host=HOST, referrer="https://example.org/x"),
                request_at(1, host=HOST, page_path="/no-script"),
                request_at(2, host=HOST, page_path="/a.zip", request_kind="download"),
            )
            store.load_segments([write_segment(tmp_path, log)])
        store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    views = [
        (view["visitor_id"], view["view_source"], view["view_duration_ms"], view["referrer"])
        for view in stored_views(store)
    ]
    assert views == [
        (COOKIE, "both", 7_000, "https://example.org/x"),
        (COOKIE, "log", 8 * 60_000, None),
        (COOKIE, "script", 3_000, None),
    ]
    (visit,) = stored_visits(store)
    assert (visit["visitor_id"], visit["views"], visit["downloads"]) == (COOKIE, 3, 1)
    store.erase_visitor(VISITOR)
    assert store.query("SELECT DISTINCT visitor_id, daily_key FROM script_views", {}).rows == [[COOKIE, None]]


@pytest.mark.parametrize("others", [8, COOKIE + 2])
def test_the_requests_of_a_key_that_several_people_share_are_nobodys_in_particular(
    tmp_path: Path, store: DuckDBStore, others: int
) -> None:
    """Where two visitors have pairs of one daily key, what the script did not report remains the key's."""
    log = admitted_records(
        request_at(0, host=HOST),
        request_at(1, host=HOST, page_path="/b"),
        request_at(2, host=HOST, page_path="/a.zip", request_kind="download"),
    )
    store.load_segments([write_segment(tmp_path, log)])
    store.load_journals([journal(tmp_path, script_view(1, 0, 7, visitor_id=COOKIE, daily_key=VISITOR))])
    store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert {visit["visitor_id"] for visit in stored_visits(store)} == {COOKIE}
    other = script_view(2, 1, 3, page_path="/b", visitor_id=others, daily_key=VISITOR)
    store.load_journals([journal(tmp_path, other)])
    store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert sorted(
        (visit["visitor_id"], visit["views"], visit["downloads"]) for visit in stored_visits(store)
    ) == sorted([(VISITOR, 0, 1), (COOKIE, 1, 0), (others, 1, 0)])


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("key_of_script", [None, VISITOR])
def test_records_without_a_visitor_key_are_paired_by_page_and_time(
    tmp_path: Path, store: DuckDBStore, order: Sequence[int], key_of_script: int | None
) -> None:
    """A line without an address and the script view of the same page and moment are one view."""
    for step in order:
        if step:
            rows = script_view(1, 0, 3, visitor_id=key_of_script), script_view(2, 1, bot="Googlebot")
            store.load_journals([journal(tmp_path, *rows)])
        else:
            log = admitted_records(
                *(request_at(minutes, host=HOST, visitor_id=None) for minutes in (0.05, 1))
            )
            store.load_segments([write_segment(tmp_path, log)])
        store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert durations(store) == [(0, 3_000), (1, None)]
    assert [view["view_source"] for view in stored_views(store)] == ["both", "log"]
    assert [visit["views"] for visit in stored_visits(store)] == ([1] if key_of_script else [])


def test_one_script_view_hides_no_log_views(tmp_path: Path, store: DuckDBStore) -> None:
    """Whoever sends an event adds at most one view to those of the log."""
    log = admitted_records(
        *(request_at(minutes, host=HOST, visitor_id=2 * minutes) for minutes in range(1, 181))
    )
    store.load_segments([write_segment(tmp_path, log)])
    store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    for number, minutes in enumerate((5, -60 * 20)):
        store.load_journals([journal(tmp_path, script_view(number + 1, minutes, 3, visitor_id=3_001))])
        store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
        assert store.record_counts().views == 181 + number


def test_a_load_writes_as_much_as_is_new(tmp_path: Path, store: DuckDBStore) -> None:
    """Eight more views of a visitor with thousands on that day cost no more than those of a new visitor."""

    def load(first: int, count: int) -> int:
        def size() -> int:
            return sum(path.stat().st_size for path in tmp_path.glob("avowal.duckdb*"))

        before = size()
        numbers = range(first, first + count)
        store.load_journals(
            [journal(tmp_path, *(script_view(number, number / 600, 0.05) for number in numbers))]
        )
        store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
        return size() - before

    load(0, 8_000)
    assert 0 < load(8_000, 8) < 20_000
    assert [visit["views"] for visit in stored_visits(store)] == [8_008]


@pytest.mark.parametrize("visitor", [VISITOR, COOKIE])
def test_a_consent_makes_nothing_again_from_less(tmp_path: Path, store: DuckDBStore, visitor: int) -> None:
    """Views and visits whose records retention has reduced stay as they are, and follow the consent."""
    log = admitted_records(*(request_at(minutes, host=HOST, visitor_id=VISITOR) for minutes in (0, 1)))
    store.load_segments([write_segment(tmp_path, log)])
    rows = (script_view(number, 60 + 45 * number, 30 * 60, visitor_id=visitor) for number in range(3))
    store.load_journals([journal(tmp_path, *rows)])
    store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    before = [(visit["visit_time"], visit["views"]) for visit in stored_visits(store)]
    now = START + timedelta(days=20)
    cut = [
        RetentionAction("requests", "request-kind", now, [None], "request_kind", [[DAY]]),
        RetentionAction("script_views", "view-duration", now, [None], "visible_ms", [[DAY]]),
    ]
    store.apply_retention(cut, now)
    cutoffs = msgspec.structs.replace(KEEP_ALL, whole=[now - timedelta(days=1)] * 3)
    store.derive_visits(VisitRules(), cutoffs, GoverningUpdate(ConsentCursor(1, 0), {VISITOR: 2, COOKIE: 2}))
    assert [(visit["visit_time"], visit["views"]) for visit in stored_visits(store)] == before
    assert {view["governing"] for view in stored_views(store)} == {2}
    store.derive_visits(VisitRules(gap_minutes=1), cutoffs, NO_GOVERNING_UPDATE)
    assert [(visit["visit_time"], visit["views"]) for visit in stored_visits(store)] == before


def test_a_visit_with_the_cookie_ends_with_its_day(tmp_path: Path, store: DuckDBStore) -> None:
    """Like every other visit it does not run over 04:00."""
    minutes = 16 * 60  # START is at noon
    rows = (script_view(n, minutes + ten, 5, visitor_id=COOKIE) for n, ten in enumerate((-10, -1, 1, 10)))
    store.load_journals([journal(tmp_path, *rows)])
    store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert [visit["views"] for visit in stored_visits(store)] == [2, 2]


def test_a_cookies_day_begins_at_the_sites_day_start(tmp_path: Path, store: DuckDBStore) -> None:
    """In São Paulo 04:00 is 07:00 UTC: only there a new visit and another unique visitor begin."""
    start = (START - START.replace(hour=0, minute=0)) // timedelta(minutes=1)
    minutes = [hour * 60 - start for hour in (3.9, 4.1, 6.9, 7.1)]
    rows = [script_view(number, minute, 1, visitor_id=COOKIE) for number, minute in enumerate(minutes)]
    store.load_journals([journal(tmp_path, *rows)])
    rules = VisitRules(600, "America/Sao_Paulo", 4 * 60)
    store.derive_visits(rules, KEEP_ALL, NO_GOVERNING_UPDATE)
    assert [visit["views"] for visit in stored_visits(store)] == [3, 1]
    days = "SELECT daily_visitor_id(visitor_id, view_time) AS day, count(*) AS views FROM views GROUP BY day"
    assert sorted(row["views"] for row in store.query(days, {}).to_dicts()) == [1, 3]
    assert store.applied_visit_rules() == rules
    store.derive_visits(VisitRules(600), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert [visit["views"] for visit in stored_visits(store)] == [1, 3]


def test_a_pair_stays_when_retention_has_cut_what_it_was_made_from(
    tmp_path: Path, store: DuckDBStore
) -> None:
    """Another script view that would have matched the request makes a view of its own, and the pair stays one."""
    store.load_segments([write_segment(tmp_path, admitted_records(request_at(0, host=HOST)))])
    store.load_journals([journal(tmp_path, script_view(1, 0, 3, visitor_id=COOKIE, daily_key=VISITOR))])
    store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    category = RetentionAction(
        "script_views", "visitor-id", START + timedelta(days=2), [None], "daily_key", [[DAY]]
    )
    store.apply_retention([category], START + timedelta(days=2))
    assert store.query("SELECT daily_key FROM script_views", {}).rows == [[None]]
    store.load_journals([journal(tmp_path, script_view(2, 0, 3))])
    store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert [(view["visitor_id"], view["view_source"]) for view in stored_views(store)] == [
        (COOKIE, "both"),
        (VISITOR, "script"),
    ]


def test_a_visit_has_the_country_of_its_first_view(tmp_path: Path, store: DuckDBStore) -> None:
    """The country of a visit comes from script views too."""
    rows = [
        script_view(1, 0, country="BR"),
        script_view(2, 5, country="DE"),
        script_view(3, 0, visitor_id=8),
    ]
    store.load_journals([journal(tmp_path, *rows)])
    store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert sorted(
        (visit["visitor_id"], visit["country"], visit["views"]) for visit in stored_visits(store)
    ) == [
        (VISITOR, "BR", 2),
        (8, None, 1),
    ]


def test_deriving_an_old_day_keeps_later_visits_of_a_cookie(tmp_path: Path, store: DuckDBStore) -> None:
    """A visitor with a cookie has visits on several days; deriving one of them again keeps the others."""
    days = (0, 3, 9)
    store.load_journals(
        [journal(tmp_path, *(script_view(day + 1, day * 1440, 5, visitor_id=COOKIE) for day in days))]
    )
    store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    expected = [(day * 1440, 5_000) for day in days]
    assert sorted(durations(store)) == expected
    store.load_journals([journal(tmp_path, script_view(50, 2, 4, visitor_id=COOKIE))])
    store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert sorted(durations(store)) == sorted([*expected, (2, 4_000)])
    assert sorted(visit["views"] for visit in stored_visits(store)) == [1, 1, 2]
    store.derive_visits(VisitRules(gap_minutes=1), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert sorted(visit["views"] for visit in stored_visits(store)) == [1, 1, 1, 1]


def test_durations_are_derived_only_if_permitted(tmp_path: Path, store: DuckDBStore) -> None:
    """Without permission for durations, views and visits have none."""
    store.load_journals([journal(tmp_path, script_view(1, 0, 5))])
    ages = Cutoffs(KEEP_ALL.view_time, KEEP_NONE.view_duration, KEEP_ALL.visit_time, KEEP_NONE.visit_duration)
    store.derive_visits(VisitRules(), ages, NO_GOVERNING_UPDATE)
    assert durations(store) == [(0, None)]
    assert stored_visits(store)[0]["visit_duration_ms"] is None


def test_consent_raises_script_views(tmp_path: Path, store: DuckDBStore) -> None:
    """Present and later script views are raised with what is derived from them; a withdrawal restores them."""
    store.load_journals([journal(tmp_path, script_view(1, 0, 5, visitor_id=COOKIE), script_view(2, 0, 5))])
    for step, (governing, expected) in enumerate([(3, {2: {1}, 7: {3}}), (0, {2: {1}, 7: {1}})], 1):
        store.derive_visits(
            VisitRules(), KEEP_ALL, GoverningUpdate(ConsentCursor(step, 0), {COOKIE: governing})
        )
        store.load_journals([journal(tmp_path, script_view(10 + step, 60 * step, 5, visitor_id=COOKIE))])
        store.derive_visits(VisitRules(), KEEP_ALL, GoverningUpdate(ConsentCursor(step, 0), {}))
        for table in ("script_views", "views", "visits"):
            rows = store.query(f"SELECT DISTINCT visitor_id, governing FROM {table}", {}).rows
            assert {
                visitor: {number for row_visitor, number in rows if row_visitor == visitor}
                for visitor, _ in rows
            } == expected


def test_retention_reduces_script_views_step_by_step(tmp_path: Path, store: DuckDBStore) -> None:
    """First the address is shortened, then the cookie key is removed, and at last the whole script view."""
    retention_ages: dict[str, AgeByPrecision] = {
        "view-time": {"full": 400 * DAY},
        "ip-address": {"prefix": 90 * DAY, "full": 7 * DAY},
        "visitor-id": {"day": None, "full": 30 * DAY},
        "view-duration": {"full": 100 * DAY},
    }
    bounds = Bounds(
        {Cell(name, "abuse", OPERATOR, OWN_USE): ages for name, ages in retention_ages.items()}, {}
    )
    store.load_journals([journal(tmp_path, script_view(1, 0, 5, visitor_id=COOKIE, ip_address="192.0.2.7"))])
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


def test_erasing_a_visitor_erases_script_views(tmp_path: Path, store: DuckDBStore) -> None:
    """The script views of the visitor are deleted and counted, and those of others stay."""
    store.load_journals([journal(tmp_path, script_view(1, 0, 5), script_view(2, 0, 5, visitor_id=4))])
    store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert store.erase_visitor(VISITOR).script_views == 1
    assert [row["visitor_id"] for row in stored_views(store)] == [4]
    assert store.query("SELECT visitor_id FROM script_views", {}).rows == [[4]]
    assert list_journals(tmp_path / "journals")


def test_erasing_a_cookies_visitor_erases_the_requests_under_the_daily_key(
    tmp_path: Path, store: DuckDBStore
) -> None:
    """The paired request goes, and so does what is attributed to the visitor; the file holds none of its bytes."""
    log = admitted_records(
        request_at(0, host=HOST, page_path="/only-paired"),
        request_at(1, host=HOST, page_path="/only-in-log"),
        request_at(2, host=HOST, page_path="/only-a-download.zip", request_kind="download"),
        request_at(3, host=HOST, page_path="/of-another", visitor_id=4),
    )
    store.load_segments([write_segment(tmp_path, log)])
    row = script_view(1, 0, 7, page_path="/only-paired", visitor_id=COOKIE, daily_key=VISITOR)
    store.load_journals([journal(tmp_path, row)])
    store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    values = {"visitor_id": COOKIE, "other_visitors": [], "after": -1, "limit": 10}
    shown = store.query(select_page("requests"), values).to_dicts()
    assert [request["page_path"][:6] for request in shown] == ["/only-"] * 3
    assert not store.query(select_page("requests"), values | {"other_visitors": [VISITOR]}).rows
    counts = store.erase_visitor(COOKIE)
    assert (counts.requests, counts.script_views, counts.views, counts.visits) == (3, 1, 2, 1)
    changes = store.query("SELECT relation, record_number FROM record_changes ORDER BY ALL", {}).rows
    assert changes == [["requests", 1], ["requests", 2], ["requests", 3], ["script_views", 1]]
    store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert {visit["visitor_id"] for visit in stored_visits(store)} == {4}
    store.compact()
    store.wait_for_compaction()
    store.close()
    content = (tmp_path / STORE_FILE).read_bytes()
    assert b"/of-another" in content
    assert b"/only-" not in content


def test_erasing_one_of_two_visitors_of_a_daily_key_leaves_the_others_requests(
    tmp_path: Path, store: DuckDBStore
) -> None:
    """Only the visitor's own pair goes, and what is nobody's in particular does not become the other's."""
    paths = ["/first", "/second", "/nobody"]
    requests = [request_at(minute, host=HOST, page_path=path) for minute, path in enumerate(paths)]
    store.load_segments([write_segment(tmp_path, admitted_records(*requests))])
    rows = [
        script_view(number, number, 7, page_path=paths[number], visitor_id=visitor, daily_key=VISITOR)
        for number, visitor in enumerate((COOKIE, COOKIE + 2))
    ]
    store.load_journals([journal(tmp_path, *rows)])
    store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert store.erase_visitor(COOKIE).requests == 1
    store.derive_visits(VisitRules(), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert [row["page_path"] for row in stored_views(store)] == ["/second", "/nobody"]
    assert [row["visitor_id"] for row in stored_views(store)] == [COOKIE + 2, VISITOR]
    assert store.erase_visitor(COOKIE + 2).requests == 1


def test_consent_governs_events_without_their_script_view(tmp_path: Path, store: DuckDBStore) -> None:
    """A late event is raised like its script view, and lowered by a withdrawal after the view was deleted."""

    def governing() -> list[int]:
        return [row[0] for row in store.query("SELECT governing FROM events ORDER BY rowid", {}).rows]

    store.load_journals([journal(tmp_path, script_view(1, 0))])
    store.derive_visits(VisitRules(), KEEP_ALL, GoverningUpdate(ConsentCursor(1, 0), {VISITOR: 2}))
    store.load_journals([journal(tmp_path, script_view(1, 0, 3, event_name="pressed", is_action=True))])
    store.derive_visits(VisitRules(), KEEP_ALL, GoverningUpdate(ConsentCursor(1, 0), {}))
    assert governing() == [2]
    store.apply_retention([RetentionAction("script_views", "view-time", START, [0])], START)
    store.derive_visits(VisitRules(), KEEP_ALL, GoverningUpdate(ConsentCursor(2, 0), {VISITOR: 0}))
    assert governing() == [1]


@pytest.mark.parametrize("apart", [True, False])
def test_a_report_under_another_version_adds_nothing_to_a_script_view(
    tmp_path: Path, store: DuckDBStore, *, apart: bool
) -> None:
    """What another version permits is not added to a view that names the version of its first report."""
    first = script_view(1, 0, 5)
    other = msgspec.structs.replace(script_view(1, 0, 60), version=2, largest_contentful_paint_ms=9)
    for rows in [[first], [other]] if apart else [[first, other]]:
        store.load_journals([journal(tmp_path, *rows)])
    columns = "version, visible_ms, largest_contentful_paint_ms"
    assert store.query(f"SELECT {columns} FROM script_views", {}).rows == [[1, 5_000, None]]


@pytest.mark.parametrize(
    ("of_request", "of_script_view", "expected"),
    [
        ((1, 1), (1, 1), (1, 1, "https://example.org/x", 5_000)),
        ((1, 1), (2, 2), (1, 1, "https://example.org/x", None)),
        ((2, 2), (1, 1), (1, 1, None, 5_000)),
        ((1, 2), (1, 2), (1, 2, "https://example.org/x", 5_000)),
    ],
)
def test_a_pair_of_two_versions_holds_what_the_stricter_one_permits(
    tmp_path: Path,
    store: DuckDBStore,
    of_request: tuple[int, int],
    of_script_view: tuple[int, int],
    expected: tuple[int, int, str | None, int | None],
) -> None:
    """It is one view, and neither a log's referrer nor a script's visible time gets into that of another version."""
    version, governing = of_request
    log = request_at(0, host=HOST, referrer="https://example.org/x", version=version, governing=governing)
    store.load_segments([write_segment(tmp_path, admitted_records(log))])
    version, governing = of_script_view
    store.load_journals([journal(tmp_path, msgspec.structs.replace(script_view(1, 0, 5), version=version))])
    update = GoverningUpdate(ConsentCursor(1, 0), {VISITOR: governing} if governing > version else {})
    store.derive_visits(VisitRules(), KEEP_ALL, update)
    (view,) = stored_views(store)
    columns = ("version", "governing", "referrer", "view_duration_ms")
    assert tuple(view[column] for column in columns) == expected
    assert view["view_source"] == "both"


def test_the_stricter_record_of_a_pair_governs_it(tmp_path: Path, store: DuckDBStore) -> None:
    """A consent of the cookie's visitor raises the script view, but not the request, nor what both are."""
    log = request_at(0, host=HOST, referrer="https://example.org/x", visitor_id=VISITOR)
    store.load_segments([write_segment(tmp_path, admitted_records(log))])
    store.load_journals([journal(tmp_path, script_view(1, 0, 5, visitor_id=COOKIE, daily_key=VISITOR))])
    for governing in (0, 2):
        update = GoverningUpdate(ConsentCursor(1 + governing, 0), {COOKIE: governing})
        store.derive_visits(VisitRules(), KEEP_ALL, update)
        assert [view["governing"] for view in stored_views(store)] == [1]


STARTS = [START - timedelta(days=9), START + timedelta(minutes=10)]
"""The times from which two versions are in force."""


@pytest.mark.parametrize(
    ("minutes", "version", "is_loaded"),
    [(0, 1, True), (0, 2, False), (0, 3, False), (10, 1, False), (10, 2, True), (10, 3, False)],
)
def test_only_records_of_the_version_in_force_at_their_time_are_loaded(
    tmp_path: Path, minutes: int, version: int, is_loaded: bool
) -> None:
    """The store refuses a journal or a segment with a record of another version, and loads what is beside it."""
    store = DuckDBStore(tmp_path, "256MB", lambda: STARTS)
    row = msgspec.structs.replace(script_view(1, minutes - 1, 60), version=version)
    if minutes == 10:  # an event of an age, of which the view began at the moment of effect
        row = msgspec.structs.replace(row, received_at=row.received_at + 60_000_000)
    checked, other = journal(tmp_path, row), journal(tmp_path, script_view(2, 0))
    assert store.load_journals([checked, other]) == ([] if is_loaded else [checked])
    assert store.record_counts().script_views == 1 + is_loaded
    segment = write_segment(
        tmp_path, admitted_records(request_at(minutes, version=version, governing=version))
    )
    if is_loaded:
        store.load_segments([segment])
    else:
        with raises_code("version-mismatch"):
            store.load_segments([segment])
    assert store.record_counts().requests == is_loaded
    store.close()


def test_nothing_is_loaded_while_no_version_is_in_force(tmp_path: Path) -> None:
    """Without a version every record is refused."""
    store = DuckDBStore(tmp_path, "256MB", list)
    refused = journal(tmp_path, script_view(1, 0))
    assert store.load_journals([refused]) == [refused]
    with raises_code("version-mismatch"):
        store.load_segments([write_segment(tmp_path, admitted_records(request_at(0)))])
    store.close()
