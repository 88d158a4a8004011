"""Readers' SQL is answered from the purpose view, in a process of its own, and reveals nothing that is hidden."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avowal.errors import QueryError
from avowal.policy.bounds import OPERATOR, OWN_USE, AgeByPrecision, Bounds, Cell
from avowal.store.duckdb_store import DuckDBStore
from avowal.store.query_process import QueryLimits, run_in_process
from avowal.use.own_query import QueryResult, QueryRunner, SqlQuery, run_sql_query
from avowal.use.purpose_view import RELATIONS, HiddenColumns, PurposeView
from support.depth import by_depth
from support.errors import raises_code
from support.query_runner import run_here
from support.store_records import admitted_records, write_segment

NOW = datetime(2026, 11, 22)  # noqa: DTZ001  # UTC without a zone
ADDRESS = "198.51.100.99"
HIDDEN = "hidden-page"


def answer(
    purpose_view: PurposeView, text: str, *, rows_max: int = 100, run: QueryRunner = run_here
) -> QueryResult:
    """Run a query for its purpose."""
    query = SqlQuery(purpose_view.purpose, text, "ann")
    limits = QueryLimits(timeout_seconds=30, rows_max=rows_max, memory_bytes=256_000_000)
    return run_sql_query(purpose_view, query, limits, HiddenColumns.create("UTC", time(4)), run)


CATEGORIES = {
    form.category for relation in RELATIONS.values() for forms in relation.columns.values() for form in forms
}
CELLS: dict[Cell, AgeByPrecision] = {
    Cell(name, "content", OPERATOR, OWN_USE): {"day": None}
    if name == "visitor-id"
    else {"name": None, "site": None, "full": None}
    for name in CATEGORIES - {"ip-address", "request-time"}
}
REQUEST_TIME: dict[Cell, AgeByPrecision] = {
    Cell("request-time", "content", OPERATOR, OWN_USE): {"full": 10 * 86_400}
}
BOUNDS = Bounds(CELLS | REQUEST_TIME, {})


@pytest.fixture(scope="module")
def purpose_view(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PurposeView]:
    """Make a purpose view of four requests, one of them too old, without permission for addresses."""
    folder = tmp_path_factory.mktemp("store")
    opened = DuckDBStore(folder, "256MB")
    plain: dict[str, Any] = {
        "ip_address": ADDRESS,
        "status": 200,
        "referrer": "https://example.org/",
        "host": "a",
    }
    rows = [
        {**plain, "request_time": NOW - timedelta(days=days), "page_path": path, "bytes": 10 * days}
        for days, path in ((1, "/a"), (2, "/b"), (3, "/a"), (20, HIDDEN))
    ]
    opened.load_segments([write_segment(folder, admitted_records(*rows))])
    yield PurposeView(opened, [BOUNDS], "content", NOW, "3f9c2a11" + "0" * 56)
    opened.close()


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("SELECT count(*) FROM requests", [[3]]),
        ("select PAGE_PATH, count(*) n from REQUESTS group by all order by n desc", [["/a", 2], ["/b", 1]]),
        ('SELECT "page_path" FROM "requests" ORDER BY bytes LIMIT 1', [["/a"]]),
        (
            "WITH a AS (SELECT page_path AS p, sum(bytes) AS b FROM requests GROUP BY 1) SELECT max(b) FROM a",
            [[40]],
        ),
        ("SELECT count(*) FROM requests a JOIN requests b USING (page_path)", [[5]]),
        ("SELECT count(*) FROM requests a LEFT JOIN views v ON a.page_path = v.page_path", [[3]]),
        (
            "SELECT date_trunc('day', request_time)::DATE::VARCHAR AS d FROM requests ORDER BY d LIMIT 1",
            [["2026-11-19"]],
        ),
        ("SELECT extract(day FROM request_time) FROM requests ORDER BY 1 DESC LIMIT 1", [[21]]),
        ("SELECT count(*) FILTER (WHERE status = 200 AND page_path LIKE '/a%') FROM requests", [[2]]),
        ("SELECT page_path FROM requests QUALIFY row_number() OVER (ORDER BY bytes) = 1", [["/a"]]),
        (
            "SELECT CASE WHEN bytes > 15 THEN 'big' ELSE 'small' END AS k, count(*) FROM requests GROUP BY k ORDER BY k",
            [["big", 2], ["small", 1]],
        ),
        ("SELECT median(bytes), quantile_cont(bytes, 0.5), round(avg(bytes)) FROM requests", [[20, 20, 20]]),
        (
            "SELECT count(*) FROM requests WHERE request_time >= TIMESTAMP '2026-11-22' - INTERVAL 2 DAY",
            [[2]],
        ),
        ("SELECT DISTINCT regexp_extract(referrer, '//([^/]+)', 1) FROM requests", [["example.org"]]),
        ("SELECT page_path FROM requests EXCEPT SELECT '/a'", [["/b"]]),
        ("SELECT * EXCLUDE (visitor_id) FROM visits", []),
        ("SELECT try_cast(page_path AS INTEGER) FROM requests LIMIT 1", [[None]]),
        ("SELECT visitor_id FROM requests LIMIT 1", [["0000000000000002"]]),
        ("FROM requests SELECT count(*)", [[3]]),
        ("SELECT 1 -- and no more", [[1]]),
        ("SELECT min(strftime(request_time, '%Y')) FROM requests", [["2026"]]),
        ("SELECT coalesce(nullif(host, 'a'), upper('b')) AS h FROM requests GROUP BY h", [["B"]]),
        ("SELECT any_value(host), mode(host) FROM requests", [["a", "a"]]),
        ("SELECT TIMESTAMP '2026-01-01' AT TIME ZONE 'UTC', 1", [["2026-01-01T00:00:00", 1]]),
        ("SELECT sum(18446744073709551615) FROM requests", [["55340232221128654845"]]),
    ],
)
def test_a_query_is_answered_from_the_purpose_view(
    purpose_view: PurposeView, text: str, rows: list[list[Any]]
) -> None:
    """Hidden rows are in no count and in no other value."""
    result = answer(purpose_view, text)
    assert result.table
    assert result.table.rows == rows


def test_a_long_answer_is_truncated(purpose_view: PurposeView) -> None:
    """The answer says that it is truncated."""
    result = answer(purpose_view, "SELECT page_path FROM requests", rows_max=2)
    assert result.table
    assert (len(result.table.rows), result.is_truncated) == (2, True)


def test_a_query_runs_in_a_process_of_its_own(purpose_view: PurposeView) -> None:
    """The process answers as this one does, over the columns that the query needs alone."""
    for text in ("SELECT page_path, bytes FROM requests ORDER BY bytes", "SELECT count(*) FROM visits"):
        assert answer(purpose_view, text, run=run_in_process) == answer(purpose_view, text)


def test_an_error_does_not_reveal_stored_values(purpose_view: PurposeView) -> None:
    """The message of a failed cast does not contain the value, and casts skip hidden rows."""
    with pytest.raises(QueryError) as error_info:
        answer(purpose_view, "SELECT page_path::INTEGER FROM requests")
    assert "/a" not in error_info.value.message + error_info.value.hint
    text = f"SELECT CASE WHEN page_path = '{HIDDEN}' THEN page_path::INTEGER END FROM requests"
    assert answer(purpose_view, text).table


def test_an_unknown_purpose_sees_nothing(purpose_view: PurposeView) -> None:
    """The answer has a note that names the unknown purpose."""
    other = PurposeView(purpose_view.store, purpose_view.governing_bounds, "marketing", NOW)
    with raises_code("query-not-allowed"):
        answer(other, "SELECT page_path FROM requests")
    result = answer(other, "SELECT count(*) FROM requests")
    assert result.table
    assert result.table.rows == [[0]]
    assert "`marketing` is not a purpose" in result.notes[0]


WORDS = """
        SELECT FROM WHERE GROUP BY ORDER LIMIT 1 2 * ( ) , . ; = < + - || :: AS JOIN ON UNION ALL WITH x y a b r
        requests views visits page_path ip_address governing rowid bytes status version count sum max min main avowal temp
        stats read_csv 'avowal.duckdb' '/a' 'x' "requests" "x" IN EXISTS CASE WHEN THEN END NOT NULL IS DISTINCT HAVING
        INTEGER DATE TRY_CAST CAST OVER PARTITION FILTER USING LATERAL UNNEST VALUES COLUMNS EXCLUDE REPLACE range [ ] { }
        INTERVAL DAY SAMPLE PIVOT DESCRIBE SUMMARIZE ATTACH COPY SET information_schema tables duckdb_tables() [1] x:1 ? $1
        """
PIECES = st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=25)
STARTS = st.sampled_from(
    ["", "SELECT ", "SELECT * FROM requests ", "SELECT count(*) FROM ", "WITH x AS (SELECT * FROM requests) "]
)


@settings(
    max_examples=by_depth(standard=1_000, thorough=64_000), suppress_health_check=[HealthCheck.too_slow]
)
@given(STARTS, PIECES)
def test_no_query_reveals_a_hidden_value(purpose_view: PurposeView, start: str, pieces: list[str]) -> None:
    """Random queries are refused, or their answer contains neither the hidden address nor the hidden row."""
    try:
        result = answer(purpose_view, start + " ".join(pieces))
    except QueryError as error:
        shown = error.message + error.hint
    else:
        shown = repr(result.table)
    assert ADDRESS not in shown
    assert HIDDEN not in shown
