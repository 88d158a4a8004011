"""Retention: values that may not be kept are reduced or deleted, and their bytes are removed from the file."""

import itertools
import threading
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avowal.keep.enforcement import PolicyEnforcer
from avowal.keep.retention import plan_retention
from avowal.policy.bounds import (
    OPERATOR,
    OWN_USE,
    AgeByPrecision,
    Bounds,
    Cell,
    CompiledTerms,
    merge_longest_ages,
)
from avowal.policy.compare import list_governing_bounds
from avowal.register.register import PublishedDocument, Register, Version
from avowal.store.compaction import compacted_path
from avowal.store.duckdb_store import STORE_FILE, DuckDBStore
from avowal.store.interface import VisitRules
from support.depth import by_depth
from support.model_bounds import COARSER, FORMS, KEY, NOW, PRECISIONS, ROW, is_permitted, random_bounds
from support.store_records import admitted_records, write_segment

DAY = 86_400
ROWS = [(days, governing) for days in (0.5, 2, 5, 20) for governing in (1, 2, 3)]


def permitted_to_any(bounds: Bounds) -> Bounds:
    """Return what any purpose permits, as bounds of `content`."""
    cells: dict[Cell, AgeByPrecision] = {}
    for cell, ages in bounds.cells.items():
        content_cell = cell._replace(purpose="content")
        cells[content_cell] = merge_longest_ages(cells.get(content_cell, {}), ages)
    return Bounds(cells, {})


def expected_rows(governs: Sequence[Bounds]) -> list[list[Any]]:
    """Return the rows that may be kept, from a plain model of retention."""
    rows = []
    for days, governing in ROWS:
        bounds = permitted_to_any(governs[governing - 1])
        if not is_permitted(
            bounds, "visitor-id", "full", days
        ):  # a consent ends with the key of whoever gave it
            bounds = permitted_to_any(governs[0])
        if is_permitted(bounds, "request-time", "full", days):
            row = []
            for column, forms in FORMS.items():
                finest = next((form for form in forms if is_permitted(bounds, *form, days)), None)
                row.append(COARSER.get((column, finest[1]), ROW[column]) if finest else None)
            rows.append(row)
    return rows


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    store = DuckDBStore(tmp_path, "256MB")
    yield store
    store.close()


def load_rows(store: DuckDBStore, folder: Path, source: str) -> None:
    rows = [
        {**ROW, "request_time": NOW - timedelta(days=days), "governing": governing}
        for days, governing in ROWS
    ]
    store.load_segments([write_segment(folder, admitted_records(*rows), source=source)])


COLUMNS = ", ".join(KEY if name == "visitor_id" else name for name in FORMS)
NUMBERS = itertools.count()


@settings(
    max_examples=by_depth(standard=15, thorough=80),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(random_bounds(("content", "abuse")), min_size=3, max_size=3))
def test_retention_keeps_what_any_purpose_may_keep(
    store: DuckDBStore, tmp_path: Path, versions: list[Bounds]
) -> None:
    """Each row and column is checked; a second run changes nothing, and removals are counted."""
    governs = list_governing_bounds(versions)
    store.apply_retention(
        [action for action in plan_retention([Bounds({}, {})], NOW) if not action.column], NOW
    )  # the rows of the last example
    for removal in store.unrecorded_removals():
        store.clear_removals(removal.run_number)
    load_rows(store, tmp_path, f"{next(NUMBERS)}")
    store.apply_retention(plan_retention(governs, NOW), NOW)
    rows = store.query(f"SELECT {COLUMNS} FROM requests", {}).rows
    assert sorted(map(repr, rows)) == sorted(map(repr, expected_rows(governs)))
    deleted_count = sum(
        count.record_count for count in store.unrecorded_removals() if count.category == "request-time"
    )
    assert deleted_count == len(ROWS) - len(rows)
    before = store.unrecorded_removals()
    store.apply_retention(plan_retention(governs, NOW), NOW)
    assert store.unrecorded_removals() == before


def read_schema(path: Path) -> list[Any]:
    with duckdb.connect(path, read_only=True) as connection:
        return [
            connection.execute("SELECT sql FROM duckdb_tables() ORDER BY table_name").fetchall(),
            connection.execute(
                "SELECT table_name, constraint_text FROM duckdb_constraints() ORDER BY ALL"
            ).fetchall(),
            connection.execute(
                "SELECT function_name FROM duckdb_functions() WHERE NOT internal ORDER BY 1"
            ).fetchall(),
            connection.execute("SELECT sequence_name FROM duckdb_sequences() ORDER BY 1").fetchall(),
        ]


def test_compaction_removes_deleted_bytes_from_the_file(tmp_path: Path) -> None:
    """The schema stays the same, the bytes of deleted values are gone, and loading continues."""
    store = DuckDBStore(tmp_path, "256MB")
    marked = [{"request_time": NOW - timedelta(minutes=n), "page_path": f"/SECRET{n}"} for n in range(3000)]
    store.load_segments([write_segment(tmp_path, admitted_records(*marked))])
    store.close()
    before = read_schema(tmp_path / STORE_FILE)
    assert b"SECRET" in (tmp_path / STORE_FILE).read_bytes()
    store = DuckDBStore(tmp_path, "256MB")
    assert not store.compact()
    store.apply_retention(
        plan_retention(
            [Bounds({Cell("request-time", "content", OPERATOR, OWN_USE): {"full": None}}, {})], NOW
        ),
        NOW,
    )
    assert store.compact()
    assert not store.compact()
    assert store.query("SELECT count(*), count(page_path) FROM requests", {}).rows == [[3000, 0]]
    store.load_segments([write_segment(tmp_path, admitted_records({"request_time": NOW}), source="b")])
    assert store.query("SELECT count(DISTINCT load_number) FROM requests", {}).rows == [[2]]
    store.close()
    assert b"SECRET" not in (tmp_path / STORE_FILE).read_bytes()
    assert read_schema(tmp_path / STORE_FILE) == before
    assert not compacted_path(tmp_path / STORE_FILE).exists()


def test_queries_during_a_compaction_are_answered(store: DuckDBStore, tmp_path: Path) -> None:
    """A query reads the old file or the new one, and never fails."""
    load_rows(store, tmp_path, "a")
    query_errors: list[BaseException] = []
    stop = threading.Event()

    def run_queries() -> None:
        try:
            while not stop.is_set():
                with store.open_secure_views({"requests": "SELECT * FROM avowal.main.requests"}) as run_query:
                    assert run_query("SELECT count(*) FROM requests", {}).rows == [[len(ROWS)]]
                assert store.record_counts().requests == len(ROWS)
        except BaseException as error:  # noqa: BLE001  # the test reports any error
            query_errors.append(error)

    threads = [threading.Thread(target=run_queries) for _ in range(3)]
    for thread in threads:
        thread.start()
    everything = Bounds(
        {
            Cell(name, "content", OPERATOR, OWN_USE): dict.fromkeys(precisions)
            for name, precisions in PRECISIONS.items()
            if name != "browser"
        },
        {},
    )
    for number in range(3):
        with duckdb_cursor(store) as cursor:
            cursor.execute("UPDATE requests SET browser = ?", [str(number)])
        store.apply_retention(plan_retention([everything], NOW), NOW)
        assert store.compact()
    stop.set()
    for thread in threads:
        thread.join(30)
    assert query_errors == []


def duckdb_cursor(store: DuckDBStore) -> Any:
    return store._write()


def sample_version(number: int, age: int) -> Version:
    cells: dict[Cell, AgeByPrecision] = {
        Cell("request-time", "abuse", OPERATOR, OWN_USE): {"full": None},
        Cell("request-kind", "abuse", OPERATOR, OWN_USE): {"full": None},
        Cell("page-path", "abuse", OPERATOR, OWN_USE): {"full": None},
        Cell("visitor-id", "abuse", OPERATOR, OWN_USE): {"day": None},
        Cell("ip-address", "abuse", OPERATOR, OWN_USE): {
            "country": 90 * DAY,
            "prefix": 90 * DAY,
            "full": age * DAY,
        },
    }
    terms = CompiledTerms(cells, {}, vocabulary_identity="a" * 64)
    effective = NOW - timedelta(days=300 - number)
    return Version(number, terms.identity, terms.encode_canonical().decode(), "", effective, effective)


def test_an_address_is_reduced_step_by_step(tmp_path: Path) -> None:
    """It is whole for seven days and a network for ninety; each step is recorded once, and overdue ones are found."""
    register = Register(tmp_path, tmp_path / "keys")
    register.publish(sample_version(1, 7), [PublishedDocument("en", "", NOW)])
    store, enforcer = DuckDBStore(tmp_path, "256MB"), PolicyEnforcer(register, VisitRules())
    row = {"request_time": NOW, "ip_address": "192.0.2.7", "version": 1, "governing": 1}
    store.load_segments([write_segment(tmp_path, admitted_records(row))])
    address = "SELECT ip_address FROM requests"

    def after(days: float) -> datetime:
        return NOW + timedelta(days=days)

    for days, expected, entries in (
        (6.9, "192.0.2.7", 1),
        (7.1, "192.0.2.0/24", 2),
        (89, "192.0.2.0/24", 2),
        (91, None, 3),
    ):
        removals = enforcer.enforce_retention(store, after(days))
        assert store.query(address, {}).rows == [[expected]]
        assert register.ledger.count_entries() == entries
        assert [(removal.category, removal.record_count) for removal in removals] in ([], [("ip-address", 1)])
        assert enforcer.find_overdue_records(store, after(days)) == []
    with store._write() as cursor:
        cursor.execute("UPDATE requests SET ip_address = '192.0.2.7'")
    assert enforcer.find_overdue_records(store, after(7.9)) == []
    (overdue,) = enforcer.find_overdue_records(store, after(8.1))
    assert (overdue.relation, overdue.category, overdue.record_count) == ("requests", "ip-address", 1)
    store.close()
    register.close()


def test_an_unrecorded_retention_run_is_recorded_by_the_next(tmp_path: Path) -> None:
    """The removals of a killed run are recorded once, however often this is tried."""
    register = Register(tmp_path, tmp_path / "keys")
    register.publish(sample_version(1, 7), [PublishedDocument("en", "", NOW)])
    store, enforcer = DuckDBStore(tmp_path, "256MB"), PolicyEnforcer(register, VisitRules())
    row = {"request_time": NOW, "ip_address": "192.0.2.7", "version": 1, "governing": 1}
    store.load_segments([write_segment(tmp_path, admitted_records(row))])
    later = NOW + timedelta(days=8)
    store.apply_retention(plan_retention([sample_version(1, 7).compiled_terms], later), later)
    (removal,) = enforcer.enforce_retention(store, later)
    assert (removal.category, removal.record_count, register.ledger.count_entries()) == ("ip-address", 1, 2)
    register.retention_runs.record(removal.run_number, [removal], later)
    assert register.ledger.count_entries() == 2
    assert store.unrecorded_removals() == []
    store.close()
    register.close()
