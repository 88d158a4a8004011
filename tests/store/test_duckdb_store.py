"""The DuckDB store."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import msgspec
import pytest

from avowal.collect.line_counts import LineCounts
from avowal.collect.segment import MemorySegment, UnparsableLine
from avowal.errors import StoreError
from avowal.store.duckdb_store import DuckDBStore
from avowal.store.interface import Cutoffs, VisitRules
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


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    store = DuckDBStore(tmp_path, "256MB")
    yield store
    store.close()


def test_a_segment_is_loaded_once(tmp_path: Path, store: DuckDBStore) -> None:
    """A segment that is loaded again, as after a crash before its removal, changes nothing."""
    first = write_segment(
        tmp_path, admitted_records(request_at(0)), counts=LineCounts(3, 1, dropped={"blank": 2})
    )
    assert store.load_segments([first])[0].load_number > 0
    assert store.load_segments([first])[0].load_number == 0
    assert store.record_counts().requests == 1
    (position,) = store.log_positions()
    assert (position.read_bytes, position.read_digest) == (100, "d100")


def test_a_segment_that_does_not_continue_its_log_is_refused(tmp_path: Path, store: DuckDBStore) -> None:
    """A gap, an overlap or other content before a segment is an error, and nothing of it is stored."""
    store.load_segments([write_segment(tmp_path, admitted_records(request_at(0)))])
    for start, end in ((150, 200), (50, 150)):
        with pytest.raises(StoreError):
            store.load_segments([write_segment(tmp_path, admitted_records(request_at(1)), start, end)])
    other = write_segment(tmp_path, admitted_records(request_at(1)), 100, 200)
    metadata = other.metadata
    changed_metadata = msgspec.structs.replace(
        metadata, origin=msgspec.structs.replace(metadata.origin, start_digest="else")
    )
    with pytest.raises(StoreError):
        store.load_segments([MemorySegment(changed_metadata, admitted_records(request_at(1)))])
    assert store.record_counts().requests == 1


def test_a_provisional_line_is_replaced_by_the_continued_log(tmp_path: Path, store: DuckDBStore) -> None:
    """A provisional line counts until the next segment of its log is loaded."""
    store.load_segments([write_segment(tmp_path, admitted_records(request_at(0)))])
    store.load_segments(
        [write_segment(tmp_path, admitted_records(request_at(5, visitor_id=7)), 100, 110, provisional=True)]
    )
    store.derive_visits(VisitRules(30), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert [visit["visitor_id"] for visit in stored_visits(store)] == [2, 7]
    (position,) = store.log_positions()
    assert (position.read_bytes, position.provisional_digest) == (100, "d110")
    (result,) = store.load_segments(
        [
            write_segment(
                tmp_path, admitted_records(request_at(5, visitor_id=8), request_at(6, visitor_id=8)), 100, 200
            )
        ]
    )
    assert (result.replaced_lines.requests, result.replaced_lines.lines) == (1, 1)
    store.derive_visits(VisitRules(30), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert [visit["visitor_id"] for visit in stored_visits(store)] == [2, 8]
    assert store.record_counts().views == 3


def test_a_visit_ends_after_a_pause_longer_than_the_gap(tmp_path: Path, store: DuckDBStore) -> None:
    """A pause of exactly the gap continues a visit, and a longer one ends it."""
    later = timedelta(minutes=30) + timedelta(seconds=1)
    rows = [
        request_at(0, page_path="/a"),
        request_at(30, page_path="/b"),
        {"request_time": START + timedelta(minutes=30) + later},
    ]
    store.load_segments([write_segment(tmp_path, admitted_records(*rows))])
    store.derive_visits(VisitRules(30), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert [(visit["views"], visit["visit_duration_ms"]) for visit in stored_visits(store)] == [
        (2, 1_800_000),
        (1, None),
    ]
    assert [view["view_duration_ms"] for view in stored_views(store)] == [1_800_000, None, None]
    assert (stored_visits(store)[0]["entry_path"], stored_visits(store)[0]["exit_path"]) == ("/a", "/b")


def test_downloads_and_uploads_belong_to_visits(tmp_path: Path, store: DuckDBStore) -> None:
    """A visit counts its views, downloads and uploads; static files and bots make no visit."""
    store.load_segments(
        [
            write_segment(
                tmp_path,
                admitted_records(
                    request_at(0),
                    request_at(2, request_kind="download", page_path="/a.pdf"),
                    request_at(3, request_kind="upload", page_path="/inbox"),
                    request_at(4, request_kind="static", page_path="/a.css"),
                    request_at(5, request_kind="other", page_path="/form"),
                    request_at(0, visitor_id=6, request_kind="download"),
                    request_at(0, visitor_id=3, bot="Googlebot"),
                    request_at(0, visitor_id=4, request_kind="static"),
                ),
            )
        ]
    )
    store.derive_visits(VisitRules(30), KEEP_ALL, NO_GOVERNING_UPDATE)
    visits = [
        (
            visit["visitor_id"],
            visit["views"],
            visit["downloads"],
            visit["uploads"],
            visit["visit_duration_ms"],
        )
        for visit in stored_visits(store)
    ]
    assert visits == [(2, 1, 1, 1, 180_000), (6, 0, 1, 0, None)]


def test_views_without_a_visitor_key_have_no_duration(tmp_path: Path, store: DuckDBStore) -> None:
    """Views without a visitor key are counted once and belong to no visit."""
    store.load_segments(
        [
            write_segment(
                tmp_path, admitted_records(request_at(0, visitor_id=None), request_at(1, visitor_id=None))
            )
        ]
    )
    store.derive_visits(VisitRules(30), KEEP_ALL, NO_GOVERNING_UPDATE)
    store.load_segments(
        [write_segment(tmp_path, admitted_records(request_at(0.5, visitor_id=None)), 100, 200)]
    )
    store.derive_visits(VisitRules(30), KEEP_ALL, NO_GOVERNING_UPDATE)
    store.derive_visits(VisitRules(30), KEEP_ALL, NO_GOVERNING_UPDATE)
    assert [(view["view_duration_ms"], view["visit_time"]) for view in stored_views(store)] == [
        (None, None)
    ] * 3
    assert stored_visits(store) == []


def test_undeclared_derived_categories_are_not_derived(tmp_path: Path, store: DuckDBStore) -> None:
    """Undeclared views and visits are not derived; with their times alone, they have no duration."""
    store.load_segments([write_segment(tmp_path, admitted_records(request_at(0), request_at(1)))])
    store.derive_visits(VisitRules(30), KEEP_NONE, NO_GOVERNING_UPDATE)
    assert (stored_views(store), stored_visits(store)) == ([], [])
    store.load_segments([write_segment(tmp_path, admitted_records(request_at(2)), 100, 200)])
    store.derive_visits(
        VisitRules(30),
        Cutoffs([datetime.min], [datetime.max], [datetime.min], [datetime.max]),
        NO_GOVERNING_UPDATE,
    )
    assert [view["view_duration_ms"] for view in stored_views(store)] == [
        None
    ]  # a request makes its view once
    assert [visit["visit_duration_ms"] for visit in stored_visits(store)] == [None]
    store.load_segments([write_segment(tmp_path, admitted_records(request_at(3)), 200, 300)])
    store.derive_visits(
        VisitRules(30),
        Cutoffs([datetime.min], [datetime.min], [datetime.max], [datetime.max]),
        NO_GOVERNING_UPDATE,
    )
    kept, derived = sorted(stored_views(store), key=lambda view: view["view_time"])
    assert (derived["visit_time"], len(stored_visits(store))) == (None, 1)
    assert kept["visit_time"]  # what exists is retention's, which counts what it removes (K5)


def test_a_visit_ends_where_another_version_takes_effect(tmp_path: Path, store: DuckDBStore) -> None:
    """A visit has records of one version, and the lowest governing number of them."""
    store.load_segments(
        [
            write_segment(
                tmp_path,
                admitted_records(
                    request_at(0, version=1, governing=2),
                    request_at(1, version=1, governing=1),
                    request_at(2, version=3, governing=3),
                ),
            )
        ]
    )
    store.derive_visits(VisitRules(30), KEEP_ALL, NO_GOVERNING_UPDATE)
    visits = [(visit["version"], visit["governing"], visit["views"]) for visit in stored_visits(store)]
    assert visits == [(1, 1, 2), (3, 3, 1)]
    assert [view["view_duration_ms"] for view in stored_views(store)] == [60_000, None, None]


def test_a_reopened_store_has_the_same_content(tmp_path: Path) -> None:
    """Records and unparsable lines are there after the store was closed and opened again."""
    first = DuckDBStore(tmp_path, "256MB")
    first.load_segments(
        [
            write_segment(
                tmp_path,
                admitted_records(request_at(0)),
                unparsable_lines=[UnparsableLine(3, 4, "malformed", "a a")],
                counts=LineCounts(2, 1, unparsable={"malformed": 1}),
            )
        ]
    )
    first.close()
    reopened = DuckDBStore(tmp_path, "256MB")
    assert reopened.record_counts().requests == 1
    assert reopened.unparsable_lines("a") == [UnparsableLine(3, 4, "malformed", "a a")]
    reopened.close()


def test_the_store_has_no_external_access(store: DuckDBStore, tmp_path: Path) -> None:
    """SQL cannot read or write a file, attach a database or change the configuration."""
    for sql in (
        f"COPY requests TO '{tmp_path}/x.csv'",
        "SELECT * FROM read_csv('/etc/passwd')",
        f"ATTACH '{tmp_path}/x.db'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
    ):
        with pytest.raises(duckdb.Error):
            store.query(sql, {})


@pytest.mark.parametrize("name", ["requests", "REQUESTS", '"Requests"'])
def test_a_secure_view_hides_its_table(store: DuckDBStore, tmp_path: Path, name: str) -> None:
    """A query of a relation reads the secure view, however the name is written, in each session anew."""
    store.load_segments([write_segment(tmp_path, admitted_records(request_at(0)))])
    for answer in (1, 2):
        with store.open_secure_views({"requests": f"SELECT {answer} AS one"}) as query:
            assert query(f"SELECT * FROM {name}", {}).rows == [[answer]]
            assert query(f"SELECT * FROM (SELECT * FROM {name})", {}).rows == [[answer]]


def test_a_damaged_store_is_refused(tmp_path: Path) -> None:
    """The error has a hint, and the file is not changed."""
    (tmp_path / "avowal.duckdb").write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreError) as error_info:
        DuckDBStore(tmp_path, "256MB")
    assert error_info.value.hint
    assert (tmp_path / "avowal.duckdb").read_bytes() == b"not a database" * 1000


def test_a_newer_store_is_refused(tmp_path: Path, store: DuckDBStore) -> None:
    """A store that was migrated by a newer Avowal is not opened."""
    with store._write() as cursor:
        cursor.execute("INSERT INTO schema_migrations VALUES (9999, current_timestamp)")
    store.close()
    with raises_code("newer-store"):
        DuckDBStore(tmp_path, "256MB")
