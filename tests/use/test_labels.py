"""Labels of reports: people see no identifier where a label exists."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from avowal.clock import utc_now
from avowal.disclose.statistics import DisclosureCount
from avowal.store.duckdb_store import DuckDBStore
from avowal.use.formatting import format_column_heading, format_table_title, format_value
from avowal.use.labels import COLUMNS, TABLE_TITLES
from avowal.use.purpose_view import PurposeView
from avowal.use.report_request import ReportRequest, parse_filters
from avowal.use.reports import REPORTS, run_report


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    store = DuckDBStore(tmp_path, "256MB")
    yield store
    store.close()


def test_every_table_and_column_of_a_report_has_a_label(store: DuckDBStore) -> None:
    """There are no other labels."""
    tables = {"disclosures": list(DisclosureCount._fields)}
    for name in REPORTS:
        request = ReportRequest(name, filters=parse_filters([]))
        result = run_report(lambda purpose: PurposeView(store, (), purpose, utc_now()), request)
        tables |= {table: rows.columns for table, rows in result.tables.items()}
    assert set(TABLE_TITLES) == set(tables)
    assert set(COLUMNS) == {column for columns in tables.values() for column in columns}
    assert list(COLUMNS) == sorted(COLUMNS)


@pytest.mark.parametrize(
    ("column", "value", "formatted"),
    [
        ("unique_visitors", 12_345, "12,345"),
        ("bounce_rate", 0.25, "25.0%"),
        ("views_per_visit", 1.25, "1.2"),
        ("median_time_on_page_ms", 65_400.0, "0:01:05"),
        ("bytes", 999, "999 B"),
        ("bytes", 1_500_000, "1.5 MB"),
        ("page_path", "/caf%C3%A9", "/café"),
        ("page_path", "/%1B[2J", "/%1B[2J"),
        ("page_path", "/100%25%20%3F%E2%80%AE", "/100%25%20%3F%E2%80%AE"),
        ("host", "xn--bcher-kva.example", "bücher.example"),
        ("source", "xn--bcher-kva.example", "bücher.example"),
        ("page_path", "/" + "a" * 80, "/" + "a" * 80),
        ("status", 1404, "1404"),
        ("last_seen_at", "2026-11-22T12:00:30", "2026-11-22 12:00"),
        ("started_at", "2026-11-22T12:00:30.5", "2026-11-22 12:00:30"),
        ("source", "(none)", "Direct or unknown"),
        ("source", "example.org", "example.org"),
        ("bot", "unnamed", "Unidentified bot"),
        ("event_kind", "outbound-link", "Outbound link"),
        ("host", "a\x1b[2J", "a\ufffd[2J"),
        ("bytes", None, "unknown"),
        ("visit_duration_ms", 20_000, "0:00:20"),
        ("anything", "x", "x"),
    ],
)
def test_values_are_formatted_by_their_column(column: str, value: object, formatted: str) -> None:
    """Columns of reports have their own formats; columns of a reader's SQL get one from the ending of their name."""
    assert format_value(column, value) == formatted


def test_tables_and_columns_have_titles() -> None:
    """The heading of an unknown column is its own name."""
    assert format_table_title("web_vitals") == "Web Vitals"
    assert format_column_heading("unique_visitors") == "Unique visitors (per day)"
    assert format_column_heading("my_count") == "my_count"
