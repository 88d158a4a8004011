"""Who had an address on a day, and when one visitor alone had it, also where cookies and cut addresses are involved."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from avowal.collect.journal import Journal, JournalRow, JournalWriter, list_journals
from avowal.keep.address_lookup import AddressPeriod, AddressRecords, find_address_records, list_visitor_days
from avowal.policy.bounds import OPERATOR, OWN_USE, Bounds, Cell
from avowal.store.duckdb_store import DuckDBStore
from support.errors import raises_code
from support.store_records import START, admitted_records, request_at, write_segment

HOME, AWAY = "203.0.113.77", "198.51.100.7"
DAY = 24 * 60
"""The minutes of a day."""
ANN, BEN, CAROL, COOKIE, ANOTHER_COOKIE = 2, 4, 6, 7, 9
"""Visitor keys: those of cookies are odd."""
KEPT_SECONDS = 7 * 86_400
NOW = START + timedelta(days=3)
BOUNDS = [
    Bounds({Cell("ip-address", "abuse", OPERATOR, OWN_USE): {"full": KEPT_SECONDS, "prefix": None}}, {})
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    store = DuckDBStore(tmp_path, "256MB")
    yield store
    store.close()


def request(minutes: float, visitor: int | None, address: str | None = HOME) -> dict[str, object]:
    return request_at(minutes, visitor_id=visitor, ip_address=address)


def script_view(
    minutes: float, visitor: int, daily_key: int | None = None, address: str | None = HOME
) -> JournalRow:
    moment = START.replace(tzinfo=UTC) + timedelta(minutes=minutes)
    number = 2_000_000 + int(minutes * 100) + visitor
    return JournalRow(
        *(number, int(moment.timestamp()) * 1_000_000, 1),
        visitor_id=visitor,
        daily_key=daily_key,
        ip_address=address,
    )


def load(folder: Path, store: DuckDBStore, *records: dict[str, object] | JournalRow) -> None:
    requests = [record for record in records if isinstance(record, dict)]
    if requests:
        store.load_segments([write_segment(folder, admitted_records(*requests))])
    rows = [record for record in records if isinstance(record, JournalRow)]
    if rows:
        store.load_journals([_write_journal(folder, rows)])


def _write_journal(folder: Path, rows: list[JournalRow]) -> Journal:
    writer = JournalWriter(folder / "journals")
    writer.append(rows)
    writer.rotate()
    (journal,) = list_journals(folder / "journals")
    return journal


def search(
    store: DuckDBStore, days: int = 1, statements: tuple[datetime, ...] = (), now: datetime = NOW
) -> AddressRecords:
    """Find who had the address from START on, which is noon, for a number of days."""
    period = AddressPeriod(HOME, START, START + timedelta(days=days) - timedelta(hours=10))
    salt_days = {START.date()}
    visitor_days = list_visitor_days(period, ZoneInfo("UTC"), time(4), salt_days)
    return find_address_records(store, period, BOUNDS, visitor_days, lambda _: statements, now)


def covered(records: AddressRecords) -> list[int]:
    return sorted(int(key, 16) for key in records.covered_keys)


CASES: dict[str, tuple[list[Any], list[int], str]] = {
    "one visitor": ([request(0, ANN), request(1, ANN)], [ANN], "covered"),
    "two visitors": ([request(0, ANN), request(600, BEN)], [], "several-visitors"),
    "a neighbour": ([request(0, ANN), request(1, BEN, "203.0.113.78")], [ANN], "covered"),
    "another network": ([request(0, ANN), request(1, BEN, "198.51.100.0/24")], [ANN], "covered"),
    "somebody whose address was cut": (
        [request(0, ANN), request(1, BEN, "203.0.113.0/24")],
        [],
        "address-unknown",
    ),
    "somebody without an address": ([request(0, ANN), request(1, BEN, None)], [], "address-unknown"),
    "a record of nobody": ([request(0, ANN), request(1, None, None)], [ANN], "covered"),
    "the visitor's own cut address": ([request(0, ANN), request(1, ANN, "203.0.113.0/24")], [ANN], "covered"),
    "a cookie alone": ([script_view(0, COOKIE)], [COOKIE], "covered"),
    "a cookie and its daily key": ([request(0, ANN), script_view(0, COOKIE, ANN)], [ANN, COOKIE], "covered"),
    "a cookie and another browser": ([request(0, BEN), script_view(0, COOKIE, ANN)], [], "several-visitors"),
    "two cookies of one browser kind": (
        [request(0, ANN), script_view(0, COOKIE, ANN), script_view(1, ANOTHER_COOKIE, ANN)],
        [],
        "several-visitors",
    ),
    "a cookie that was elsewhere": (
        [request(0, ANN), script_view(0, COOKIE, ANN), script_view(60, COOKIE, CAROL, AWAY)],
        [ANN],
        "partly-covered",
    ),
    "a cookie of another day": ([script_view(0, COOKIE), script_view(3 * DAY, COOKIE)], [], "cookie"),
    "a cookie in a network that was cut": (
        [script_view(0, COOKIE), script_view(-9 * DAY, COOKIE, None, "203.0.113.0/24")],
        [],
        "cookie",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_day_is_covered_if_one_visitor_alone_had_the_address(
    tmp_path: Path, store: DuckDBStore, name: str
) -> None:
    """A visitor with a cookie may have a second key in the log; a cookie opens only if it leads nowhere else."""
    records, keys, outcome = CASES[name]
    load(tmp_path, store, *records)
    found = search(store)
    assert covered(found) == keys
    assert [day.outcome.value for day in found.days] == [outcome]


def test_a_cookie_with_statements_of_other_days_stays_closed(tmp_path: Path, store: DuckDBStore) -> None:
    """What was submitted or consented to under a cookie is of nobody else, so its day has to be one of the address."""
    load(tmp_path, store, script_view(0, COOKIE))
    assert covered(search(store, statements=(START,))) == [COOKIE]
    assert covered(search(store, statements=(START, START - timedelta(days=2)))) == []


def test_an_address_beyond_its_age_is_not_known(tmp_path: Path, store: DuckDBStore) -> None:
    """An address that retention is about to cut finds nobody, and makes nobody alone."""
    load(tmp_path, store, request(0, ANN), request(300, BEN))
    late = START + timedelta(seconds=KEPT_SECONDS, minutes=60)
    (day,) = search(store, now=late).days
    assert ([visitor.key for visitor in day.visitors], day.outcome.value) == (
        [f"{BEN:016x}"],
        "address-unknown",
    )
    assert day.records_without_address == 1
    with raises_code("visitor-not-found"):
        search(store, now=late + timedelta(days=1))


def test_days_begin_at_the_hour_of_visitor_keys(tmp_path: Path, store: DuckDBStore) -> None:
    """What comes before 04:00 belongs to the visitor day before, and is listed with the whole of it."""
    load(tmp_path, store, request(0, ANN), request(12 * 60 + 60, ANN), request(DAY, BEN))
    found = search(store, days=2)
    assert [(day.day, len(day.visitors)) for day in found.days] == [
        (f"{START.date()}", 1),
        (f"{START.date() + timedelta(1)}", 1),
    ]
    assert found.days[0].visitors[0].records == 2
    assert [day.is_salt_destroyed for day in found.days] == [False, True]


def test_days_of_summer_time_are_whole() -> None:
    """Visitor days follow each other without a gap where the clock changes."""
    zone = ZoneInfo("Europe/Berlin")
    period = AddressPeriod(HOME, datetime(2026, 3, 27), datetime(2026, 3, 31))  # noqa: DTZ001  # UTC without a zone
    days = list_visitor_days(period, zone, time(2, 30), set[date]())
    assert [day.ends for day in days[:-1]] == [day.starts for day in days[1:]]
    assert days[0].starts <= period.since < period.until <= days[-1].ends
