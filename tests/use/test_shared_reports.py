"""Reports that are shared with others than readers, over random records: no figure is about fewer than five visitors.

A visitor is behind a number if it is another number without the visitor's records. That is found out by deleting the
records of each visitor in turn, and running every report again.
"""

import random
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest

from avowal.policy.bounds import OPERATOR, OWN_USE, Bounds, Cell
from avowal.store.columns import RELATIONS
from avowal.store.duckdb_store import STORE_FILE, DuckDBStore
from avowal.use.purpose_view import PurposeView
from avowal.use.report_request import ReportRequest, parse_filters
from avowal.use.reports import REPORTS, ReportResult, run_report
from avowal.use.shared_table import GROUP_COLUMNS, TABLES_WITHOUT_VISITORS
from support.depth import by_depth

NOW = datetime(2026, 3, 1, 12)  # noqa: DTZ001  # UTC without a zone
SMALLEST_GROUP = 5
VISITORS = range(2, 20, 2)
ROWS = 240
PRECISIONS = ("full", "prefix", "country", "page", "site", "day", "name")
BOUNDS = Bounds(
    {
        Cell(form.category, purpose, OPERATOR, OWN_USE): dict.fromkeys(PRECISIONS)
        for purpose in ("content", "performance", "availability")
        for relation in RELATIONS.values()
        for forms in relation.columns.values()
        for form in forms
    },
    {"smallest-group": SMALLEST_GROUP},
)
UNSTABLE = ("median_", "mean_", "p95_", "p99_", "_p75", "per_visit", "share", "rate")
"""Parts of the names of figures that may stay the same without a visitor who is behind them."""
POOLS: dict[str, list[Any]] = {
    "host": ["a.example"],
    "page_path": ["/", "/a", "/a", "/b", "/c"],
    "entry_path": ["/", "/a", "/b"],
    "exit_path": ["/", "/a", "/a", "/a", "/c"],
    "country": ["BR", "BR", "TW", None],
    "bot": [None, None, None, "Bot"],
    "request_kind": ["view", "view", "download", "upload"],
    "status": [200, 200, 200, 404, 500],
    "referrer": [None, "https://example.org/a", "https://example.com/b"],
    "browser": ["Firefox", "Firefox", "Chrome"],
    "device_kind": ["phone", "desktop"],
    "views": [1, 1, 2],
    "downloads": [0, 0, 0, 1],
    "uploads": [0, 0, 0, 0, 0, 1],
    "view_duration_ms": [None, 1_000, 60_000],
    "visit_duration_ms": [None, 5_000, 90_000],
    "not_found": [False, False, True],
    "script_errors": [0, 0, 0, 2],
    "download_path": [None, "/f.zip"],
    "outbound_link": [None, None, "https://example.net/"],
    "event_name": [None, "play"],
    "upload_bytes": [None, None, 7],
}


class Shared(NamedTuple):
    """Each report as others get it, as readers get it, and as readers get it without each visitor."""

    shared: dict[str, ReportResult]
    full: dict[str, ReportResult]
    without: list[dict[str, ReportResult]]


def make_row(generator: random.Random, columns: dict[str, str], relation: str) -> dict[str, Any]:
    """Return a random row; some visitors have many, and some few."""
    row: dict[str, Any] = {}
    for name, data_type in columns.items():
        others: dict[str, list[Any]] = {"TIMESTAMP": [NOW], "VARCHAR": ["1"], "BOOLEAN": [True]}
        words = data_type.split("'")[1::2] if data_type.startswith("ENUM") else others.get(data_type, [1])
        row[name] = generator.choice(POOLS.get(name, words))
    row["visitor_id"] = (
        1_000 if row.get("bot") else generator.choice([*VISITORS, *VISITORS[:6], *VISITORS[:3]])
    )
    row[RELATIONS[relation].time_column] = NOW - timedelta(hours=generator.randrange(72))
    return row


def run_reports(folder: Path, *, is_shared: bool = False) -> dict[str, ReportResult]:
    """Return every report, for readers or for others."""
    store = DuckDBStore(folder, "256MB")
    results = {
        name: run_report(
            lambda purpose: PurposeView(store, [BOUNDS], purpose, NOW),
            ReportRequest(name, filters=parse_filters([]), limit=1000, is_shared=is_shared),
        )
        for name in REPORTS
    }
    store.close()
    return results


@pytest.fixture(scope="module", params=range(by_depth(standard=1, thorough=5)))
def reports(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    generator, folder = random.Random(request.param), tmp_path_factory.mktemp("store")
    DuckDBStore(folder, "256MB").close()
    with duckdb.connect(folder / STORE_FILE) as file:
        for relation in RELATIONS:
            types = file.execute(
                "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ? AND NOT internal",
                [relation],
            ).fetchall()
            rows = [make_row(generator, dict(types), relation) for _ in range(ROWS)]
            names, places = ", ".join(rows[0]), ", ".join("?" * len(rows[0]))
            file.executemany(
                f"INSERT INTO {relation} ({names}) VALUES ({places})", [[*row.values()] for row in rows]
            )
    full, shared = run_reports(folder), run_reports(folder, is_shared=True)
    without = []
    for visitor in VISITORS:
        other = tmp_path_factory.mktemp("without")
        shutil.copy(folder / STORE_FILE, other)
        with duckdb.connect(other / STORE_FILE) as file:
            for relation in RELATIONS:
                file.execute(f"DELETE FROM {relation} WHERE visitor_id = ?", [visitor])
        without.append(run_reports(other))
    return Shared(shared, full, without)


def index(result: ReportResult, table: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return the rows of a table by their groups."""
    return {tuple(row[key] for key in GROUP_COLUMNS[table]): row for row in result.tables[table].to_dicts()}


TABLES = [
    (name, table)
    for name, report in REPORTS.items()
    for table in report.tables
    if table not in TABLES_WITHOUT_VISITORS
]


@pytest.mark.parametrize(("report", "table"), TABLES)
def test_every_shared_figure_is_about_enough_visitors(reports: Shared, report: str, table: str) -> None:
    """Each number that is shown is what readers see, and would be another one without each of at least five visitors."""
    full = index(reports.full[report], table)
    without = [index(results[report], table) for results in reports.without]
    shared = index(reports.shared[report], table)
    assert shared, "the records are chosen so that something is shown"
    for group, row in shared.items():
        for column, value in row.items():
            if value is None or column in GROUP_COLUMNS[table]:
                continue
            assert value == full[group][column], column
            if value and not any(part in column for part in UNSTABLE):
                changed = sum(others.get(group, {}).get(column) != value for others in without)
                assert changed >= SMALLEST_GROUP, (group, column, value)


def test_small_figures_are_hidden(reports: Shared) -> None:
    """Some figures of shared groups are about fewer visitors, and are hidden; without a limit nothing is."""
    rows = [row for report, table in TABLES for row in index(reports.shared[report], table).values()]
    assert sum(value is None for row in rows for value in row.values()) > len(TABLES)


@pytest.mark.parametrize("report", REPORTS)
def test_what_surrounds_a_shared_report_tells_of_nobody(reports: Shared, report: str) -> None:
    """Hidden rows and the times of the first and the last record are unknown, not zero."""
    completeness = reports.shared[report].completeness
    assert (completeness.hidden_rows, completeness.stored_rows, completeness.first_time) == (None, None, None)
    assert completeness.views in {None, reports.full[report].completeness.views}


def test_every_table_says_how_it_is_shared() -> None:
    """A new table of a report needs its groups, and a statement that counts the visitors behind its figures."""
    assert set(GROUP_COLUMNS) | TABLES_WITHOUT_VISITORS == {
        table for report in REPORTS.values() for table in report.tables
    }


def test_shared_figures_pass_the_filter_of_an_unknown_host(tmp_path: Path) -> None:
    """A filter chooses the same events for the figures of a shared report and for the visitors behind them."""
    DuckDBStore(tmp_path, "256MB").close()
    with duckdb.connect(tmp_path / STORE_FILE) as file:
        file.executemany(
            "INSERT INTO events (event_time, visitor_id, event_name, version, governing, load_number, record_number) "
            "VALUES (?, ?, 'play', 1, 1, 1, 1)",
            [[NOW - timedelta(hours=1), visitor] for visitor in VISITORS],
        )
    store = DuckDBStore(tmp_path, "256MB")
    result = run_report(
        lambda purpose: PurposeView(store, [BOUNDS], purpose, NOW),
        ReportRequest("events", filters=parse_filters(["host=unknown"]), limit=10, is_shared=True),
    )
    store.close()
    (row,) = result.tables["events"].to_dicts()
    assert (row["target"], row["count"], row["unique_visitors"]) == ("play", len(VISITORS), len(VISITORS))
