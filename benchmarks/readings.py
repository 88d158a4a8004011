"""Measure readings, questions, erasing and retention beside the same SQL straight on the tables.

    python benchmarks/readings.py [--views 10000000]

Views of two years under twenty versions, of whose visitors one in a hundred consented to a later one. Each figure is
the median of some turns taken in alternation with its peer, so that the noise of the machine falls on both.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from statistics import median

from avowal.keep.retention import plan_retention
from avowal.policy.bounds import OPERATOR, OWN_USE, AgeByPrecision, Bounds, Cell
from avowal.policy.compare import list_governing_bounds
from avowal.store.duckdb_store import DuckDBStore
from avowal.store.query_process import QueryLimits
from avowal.use.own_query import SqlQuery, run_sql_query
from avowal.use.purpose_view import HiddenColumns, PurposeView
from avowal.use.sql_allow_list import validate_query

VERSIONS = 20
TURNS = 7
NOW = datetime.now(UTC).replace(tzinfo=None)
REPORTS = {
    "pages": """
        SELECT page_path, count(*) AS n, median(view_duration_ms) FROM {views} GROUP BY ALL ORDER BY n DESC LIMIT 20
    """,
    "days": """
        SELECT date_trunc('day', view_time) AS day, count(*), count(DISTINCT visitor_id) FROM {views} GROUP BY ALL
    """,
    "hosts": "SELECT host, avg(view_duration_ms), count(*) FROM {views} GROUP BY ALL",
}
FILL = """
INSERT INTO views BY NAME
SELECT $now - to_seconds((range * 63072000 // $views)::BIGINT) AS view_time,
       (range % 300000)::UBIGINT AS view_duration_ms,
       (range // 8)::UBIGINT AS visitor_id,
       $now - to_seconds((range * 63072000 // $views)::BIGINT) AS visit_time,
       'www.example.org' AS host, '/page/' || (range * 7919 % 5000) AS page_path,
       'https://example.com/' || (range % 100) AS referrer,
       greatest(1, 20 - range * 20 // $views)::UINTEGER AS version,
       CASE WHEN range // 8 % 100 = 0 THEN 20 ELSE greatest(1, 20 - range * 20 // $views) END::UINTEGER AS governing
FROM range($views)
"""


def bounds(number: int, *, restricted: bool) -> Bounds:
    """Return what a version promises: views for two years; restricted, keys and referrers cut, durations for a year."""
    whole: dict[str, AgeByPrecision] = {
        name: {"full": None} for name in ("view-time", "visit-time", "page-path", "host")
    }
    whole["visitor-id"] = {"day": None, "full": 0 if restricted else None}
    whole["view-duration"] = {"full": (365 - number) * 86_400 if restricted else None}
    whole["referrer"] = {"site": None, "page": None, "full": (30 + number) * 86_400 if restricted else None}
    return Bounds({Cell(name, "content", OPERATOR, OWN_USE): ages for name, ages in whole.items()}, {})


def seconds(work: Callable[[], object]) -> float:
    """Return how long something takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def beside(work: Callable[[], object], peer: Callable[[], object]) -> tuple[float, float]:
    """Return the median times of two pieces of work, done in turns."""
    taken = [(seconds(work), seconds(peer)) for _ in range(TURNS)]
    return median(one for one, _ in taken), median(other for _, other in taken)


def ask(store: DuckDBStore, sql: str, limits: QueryLimits) -> None:
    """Run a reader's query of restricted columns."""
    governs = list_governing_bounds([bounds(number, restricted=True) for number in range(1, VERSIONS + 1)])
    hidden = HiddenColumns.create("UTC", clock(4))
    run_sql_query(
        PurposeView(store, governs, "content", NOW), SqlQuery("content", sql, "ann"), limits, hidden
    )


def through(reading: PurposeView, sql: str) -> None:
    """Ask through a reading."""
    with reading.open() as ask:
        ask(sql, {})


def measure(store: DuckDBStore, views: int) -> None:
    """Print the table."""
    for name, restricted in (("the same columns", False), ("restricted columns", True)):
        governs = list_governing_bounds(
            [bounds(number, restricted=restricted) for number in range(1, VERSIONS + 1)]
        )
        reading = PurposeView(store, governs, "content", NOW)
        for report, sql in REPORTS.items():
            bound, straight = sql.format(views="views"), sql.format(views="avowal.main.views")
            mine, plain = beside(
                lambda sql=bound, by=reading: through(by, sql),  # type: ignore[misc]
                lambda sql=straight: store.query(sql, {}),  # type: ignore[misc]
            )
            print(f"| {report}, {name} | {mine * 1000:.0f} ms | {plain * 1000:.0f} ms | {mine / plain:.2f} |")
    question = REPORTS["pages"].format(views="views")
    validated = median(seconds(lambda: validate_query(question, {}, 10_000)) for _ in range(50))
    print(f"| a query validated | {validated * 1000:.1f} ms | | |")
    limits = QueryLimits(timeout_seconds=600, rows_max=10_000, memory_bytes=1_000_000_000)
    for name, sql in {"small": "SELECT 1", "count": "SELECT count(*) FROM views", **REPORTS}.items():
        text = sql.format(views="views")
        taken = median(seconds(lambda text=text: ask(store, text, limits)) for _ in range(3))  # type: ignore[misc]
        print(f"| query {name}, in a process of its own | {taken * 1000:.0f} ms | | |")
    print(f"| a visitor erased, logically | {seconds(lambda: store.erase_visitor(7)) * 1000:.0f} ms | | |")
    year = NOW - timedelta(days=365)
    half = [Bounds({Cell("view-time", "content", OPERATOR, OWN_USE): {"full": 365 * 86_400}}, {})]
    kept = {
        cell: ages for cell, ages in bounds(1, restricted=False).cells.items() if cell.category != "view-time"
    }
    retained = [Bounds({**kept, **half[0].cells}, {})]
    before = store.record_counts().views
    taken = seconds(lambda: store.apply_retention(plan_retention(retained, NOW), NOW))
    gone = before - store.record_counts().views
    with store._write() as cursor:
        cursor.execute(FILL, {"now": year, "views": views})
    started = time.perf_counter()
    with store._write() as cursor:
        cursor.execute("DELETE FROM views WHERE view_time < ?", [year])
    plain = time.perf_counter() - started
    print(f"| {gone:,} views past their time | {taken:.2f} s | plain DELETE {plain:.2f} s | |")
    print(f"| the file written anew | {seconds(store.compact):.1f} s | | |")


def main() -> None:
    """Fill a store, and measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--views", type=int, default=10_000_000)
    views = parser.parse_args().views
    with tempfile.TemporaryDirectory() as name:
        store = DuckDBStore(Path(name), "2GB")
        with store._write() as cursor:
            cursor.execute(FILL, {"now": NOW, "views": views})
        store.query("CHECKPOINT", {})
        print(f"| {views:,} views, {VERSIONS} versions | reading | straight | ratio |\n|---|---:|---:|---:|")
        measure(store, views)
        store.close()


if __name__ == "__main__":
    main()
