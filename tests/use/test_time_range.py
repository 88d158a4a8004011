"""Rows out of the range of times that a query reads are not handed to its process, and its answer is the same."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st

from avowal.clock import utc_now
from avowal.policy.bounds import OPERATOR, OWN_USE, Bounds, Cell
from avowal.store.duckdb_store import DuckDBStore
from avowal.store.query_process import QueryLimits
from avowal.use.own_query import SqlQuery, run_sql_query
from avowal.use.purpose_view import RELATIONS, HiddenColumns, PurposeView
from avowal.use.table_scope import resolve_tables
from avowal.use.time_range import find_time_ranges
from support.depth import by_depth
from support.query_runner import run_here

DAY = datetime(2026, 11, 22)  # noqa: DTZ001  # UTC without a zone
LATER = datetime(2026, 11, 23, 10)  # noqa: DTZ001
NOW = datetime(2026, 11, 30, 12)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("FROM views", None, None),
        ("FROM views WHERE view_time >= '2026-11-22'", DAY, None),
        ("FROM views WHERE '2026-11-22' < view_time AND view_time < TIMESTAMP '2026-11-23 10:00:00'", DAY, LATER),
        ("FROM views AS v WHERE (v.view_time BETWEEN DATE '2026-11-22' AND '2026-11-23 10:00:00') AND host = 'a'", DAY, LATER),
        ("FROM views WHERE view_time > now() - INTERVAL 8 DAY", NOW - timedelta(days=8), None),
        ("FROM views WHERE view_time >= current_timestamp - INTERVAL '3 hours'", NOW - timedelta(hours=3), None),
        ("FROM views WHERE view_time >= '2026-11-22' AND view_time > '2026-11-23 10:00:00'", LATER, None),
        ("FROM views WHERE view_time = '2026-11-22'", DAY, DAY),
        ("FROM (SELECT * FROM views WHERE view_time < '2026-11-22') AS a", None, DAY),
        ("FROM views WHERE view_time >= '2026-11-22' OR host = 'a'", None, None),
        ("FROM views WHERE NOT view_time >= '2026-11-22'", None, None),
        ("FROM views WHERE view_time >= '20261122'", None, None),
        ("FROM views WHERE view_time < now() - INTERVAL 8 DAY", None, None),
        ("FROM views WHERE view_time::DATE >= '2026-11-22'", None, None),
        ("FROM views AS a JOIN views AS b USING (host) WHERE a.view_time >= '2026-11-22'", None, None),
        ("FROM views WHERE view_time >= '2026-11-22' UNION ALL SELECT count(*) FROM views", None, None),
        ("FROM views LEFT JOIN visits USING (host) WHERE view_time >= '2026-11-22'", None, None),
    ],
)  # fmt: skip
def test_the_range_of_times_comes_from_where(
    text: str, since: datetime | None, until: datetime | None
) -> None:
    """Comparisons of the time of a relation with constants, all of which have to hold, limit what is read."""
    tree = sqlglot.parse_one(f"SELECT count(*) {text}", dialect="duckdb")
    assert isinstance(tree, sqlglot.exp.Query)
    resolve_tables(tree)
    assert find_time_ranges(tree, NOW).get("views", (None, None)) == (since, until)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBStore]:
    """Make a store with a view in each hour of ten days."""
    opened = DuckDBStore(Path(tmp_path_factory.mktemp("store")), "256MB")
    with opened._write() as cursor:  # there is no other way to write views
        cursor.execute(
            "INSERT INTO views (view_time, page_path, host, view_source, version, governing) "
            "SELECT $last - to_hours(range::INTEGER), '/' || range % 7, 'a', 'log', 1, 1 FROM range(240)",
            {"last": utc_now().replace(minute=0, second=0, microsecond=0)},
        )
    yield opened
    opened.close()


def answer(store: DuckDBStore, text: str) -> list[list[Any]]:
    """Answer a query of a purpose that may see everything for 200 hours."""
    categories = {
        form.category
        for relation in RELATIONS.values()
        for forms in relation.columns.values()
        for form in forms
    }
    ages: dict[str, int | None] = dict.fromkeys(
        ("day", "name", "site", "page", "prefix", "country", "full"), 200 * 3600
    )
    bounds = Bounds({Cell(name, "content", OPERATOR, OWN_USE): ages for name in categories}, {})
    view = PurposeView(store, [bounds], "content", utc_now())
    limits = QueryLimits(timeout_seconds=30, rows_max=1_000, memory_bytes=256_000_000)
    hidden = HiddenColumns.create("UTC", time(4))
    result = run_sql_query(view, SqlQuery("content", text, "ann"), limits, hidden, run_here)
    assert result.table
    return result.table.rows


OPERATORS = st.sampled_from(["<", "<=", ">", ">=", "="])
DAYS = st.integers(0, 12)


@st.composite
def conditions(draw: st.DrawFn) -> str:
    """Make a condition on the time of views."""

    def draw_limit() -> str:
        moment = utc_now().replace(minute=0, second=0, microsecond=0) - timedelta(days=draw(DAYS))
        texts = [f"'{moment}'", f"TIMESTAMP '{moment}'", f"'{moment.date()}'", f"DATE '{moment.date()}'",
            f"now() - INTERVAL {draw(DAYS)} DAY", f"now() - INTERVAL '{draw(DAYS)} hours'"]  # fmt: skip
        return draw(st.sampled_from(texts))

    parts = [
        draw(
            st.sampled_from(
                [
                    f"view_time {draw(OPERATORS)} {draw_limit()}",
                    f"{draw_limit()} {draw(OPERATORS)} view_time",
                    f"view_time BETWEEN {draw_limit()} AND {draw_limit()}",
                    "page_path <> '/3'",
                ]
            )
        )
        for _ in range(draw(st.integers(1, 3)))
    ]
    return draw(st.sampled_from([" AND ", " AND ", " OR "])).join(parts)


@settings(max_examples=by_depth(standard=60, thorough=600))
@given(conditions())
def test_an_answer_is_the_same_without_a_range(store: DuckDBStore, condition: str) -> None:
    """Leaving rows out before the query changes no answer; the condition of CASE gives no range."""
    shown = answer(store, f"SELECT page_path, count(*) FROM views WHERE {condition} GROUP BY 1 ORDER BY 1")
    whole = answer(
        store,
        f"SELECT page_path, count(*) FROM views WHERE CASE WHEN {condition} THEN TRUE ELSE FALSE END GROUP BY 1 ORDER BY 1",
    )
    assert shown == whole
