"""Readers' SQL: queries that go around the purpose view are refused, and others are answered from it."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avowal.errors import QueryError
from avowal.policy.bounds import OPERATOR, OWN_USE, AgeByPrecision, Bounds, Cell
from avowal.store.duckdb_store import DuckDBStore
from avowal.use.own_query import SqlQuery, run_sql_query
from avowal.use.purpose_view import RELATIONS, PurposeView
from avowal.use.sql_allow_list import NESTING_NODES_MAX, QUERY_CHARACTERS_MAX, validate_query
from support.depth import by_depth
from support.errors import raises_code
from support.store_records import admitted_records, write_segment

NOW = datetime(2026, 11, 22)  # noqa: DTZ001  # UTC without a zone
ATTEMPTS = [
    line
    for line in Path(__file__).with_name("attempts.txt").read_text(encoding="utf-8").split("\n")
    if not line.startswith("#")
]
REFUSED = {"ip_address": "is not available for content under version 3f9c2a11…: collected for abuse only"}
ADDRESS = "198.51.100.99"
HIDDEN = "hidden-page"


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_an_attempt_to_bypass_the_purpose_view_is_refused(attempt: str) -> None:
    """The query is refused with a message before it is executed."""
    with pytest.raises(QueryError) as error_info:
        validate_query(attempt, REFUSED, 100)
    assert error_info.value.message


@pytest.mark.parametrize("text", ["SHOW ALL --", "ALTER TABLE views ADD/ x", "FORCE CHECK("])
def test_text_that_the_parser_fails_on_is_refused_silently(
    text: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Text on which the parser itself fails, or of which it warns, is refused, and nothing of it is logged."""
    with pytest.raises(QueryError):
        validate_query(text, {}, 10)
    assert (caplog.text, *capfd.readouterr()) == ("", "", "")


def test_the_corpus_of_attempts_does_not_shrink() -> None:
    """The corpus has at least 400 different attempts."""
    assert len(set(ATTEMPTS)) >= 400


def test_a_refusal_says_where_and_why() -> None:
    """The message has the position in the text and the reason in terms of the policy."""
    with pytest.raises(QueryError) as error_info:
        validate_query("SELECT page_path, ip_address FROM requests", REFUSED, 100)
    assert error_info.value.message == (
        "`ip_address` is not available for content under version 3f9c2a11…: collected for abuse only "
        "(at character 19)"
    )
    with raises_code("query-invalid") as unparsable:
        validate_query("SELECT FROM WHERE", REFUSED, 100)
    assert re.search(r"at line 1, column \d+", unparsable.value.message)
    with pytest.raises(QueryError) as error_info:
        validate_query("SELECT page_pth FROM views", REFUSED, 100)
    assert "did you mean `page_path`" in error_info.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "SELECT " + "(" * 400 + "1" + ")" * 400,
        "SELECT 1" + " + 1" * (QUERY_CHARACTERS_MAX // 4 + 1),
        "SELECT " + "-" * 1 + "(-" * (NESTING_NODES_MAX + 1) + "1" + ")" * (NESTING_NODES_MAX + 1),
        "SELECT " + "CASE WHEN true THEN " * 200 + "1" + " END" * 200,
        "SELECT * FROM " + "(SELECT * FROM " * 200 + "requests" + ")" * 200,
    ],
)
def test_a_query_that_is_too_long_or_too_deep_is_refused(text: str) -> None:
    """It is refused before it uses up memory or the stack."""
    with pytest.raises(QueryError):
        validate_query(text, REFUSED, 100)


def test_the_number_of_rows_is_limited() -> None:
    """One row above the limit is requested, to detect truncation; a smaller limit in the query stays."""
    assert validate_query("SELECT page_path FROM views", {}, 100).sql.endswith("LIMIT 101")
    assert validate_query("SELECT page_path FROM views LIMIT 5", {}, 100).sql.endswith("LIMIT 5")
    assert validate_query("SELECT page_path FROM views LIMIT 500", {}, 100).sql.endswith("LIMIT 101")
    assert validate_query("SELECT 1 AS a UNION ALL SELECT 2", {}, 100).sql.endswith("LIMIT 101")


@pytest.mark.parametrize(
    ("text", "single"),
    [
        ("SELECT count(*) FROM requests", False),
        ("SELECT page_path, count(*) FROM views GROUP BY page_path", False),
        ("SELECT count(DISTINCT visitor_id) FROM visits", False),
        ("SELECT page_path FROM views", True),
        ("SELECT visitor_id, count(*) FROM views GROUP BY visitor_id", True),
        ("SELECT count(*) FROM visits WHERE visitor_id = '0123456789abcdef'", True),
        ("WITH v AS (SELECT * FROM views) SELECT count(*) FROM v", True),
        ("WITH v AS (SELECT page_path, count(*) AS n FROM views GROUP BY ALL) SELECT * FROM v", False),
        ("SELECT count(*) OVER () FROM views", True),
        ("SELECT 1", False),
        ("SELECT max(ip_address) FROM requests", True),
        ("SELECT visit_time, count(*) FROM visits GROUP BY 1", True),
        ("SELECT count(*) FROM visits GROUP BY visit_time", True),
        ("SELECT epoch(visit_time) AS t, count(*) FROM visits GROUP BY ALL", True),
        ("SELECT date_trunc('minute', visit_time) AS t, count(*) FROM visits GROUP BY t", True),
        ("SELECT extract(epoch FROM visit_time), count(*) FROM visits GROUP BY ALL", True),
        ("SELECT bytes, count(*) FROM requests GROUP BY ALL", True),
        ("SELECT date_trunc('day', visit_time) AS t, count(*) FROM visits GROUP BY t", False),
        ("SELECT hour(visit_time), avg(visit_duration_ms) FROM visits GROUP BY ALL", False),
        ("SELECT extract(dow FROM visit_time), count(*) FROM visits GROUP BY ALL", False),
        ("SELECT visit_time::DATE, count(*) FROM visits GROUP BY ALL", False),
    ],
)
def test_queries_that_reveal_individuals_are_recognised(text: str, single: bool) -> None:
    """Such a query returns rows without aggregation, or groups them by something that identifies a person."""
    assert validate_query(text, {}, 100).reveals_individuals is single


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
    store = DuckDBStore(folder, "256MB")
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
    store.load_segments([write_segment(folder, admitted_records(*rows))])
    yield PurposeView(store, [BOUNDS], "content", NOW, "3f9c2a11" + "0" * 56)
    store.close()


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
    ],
)
def test_a_query_is_answered_from_the_purpose_view(
    purpose_view: PurposeView, text: str, rows: list[list[Any]]
) -> None:
    """Hidden rows are in no count and in no other value."""
    result = run_sql_query(purpose_view, SqlQuery("content", text, "ann"), 100, 30)
    assert result.table
    assert result.table.rows == rows


def test_a_long_answer_is_truncated(purpose_view: PurposeView) -> None:
    """The answer says that it is truncated."""
    result = run_sql_query(purpose_view, SqlQuery("content", "SELECT page_path FROM requests", "ann"), 2, 30)
    assert result.table
    assert (len(result.table.rows), result.is_truncated) == (2, True)


def test_a_query_that_takes_too_long_is_interrupted(purpose_view: PurposeView) -> None:
    """The query is interrupted, and the store answers the next one."""
    names = ", ".join(f"requests r{number}" for number in range(30))
    with raises_code("query-timeout"):
        run_sql_query(
            purpose_view,
            SqlQuery("content", f"SELECT count(*) FROM {names} WHERE r1.bytes > r2.bytes * -1", "ann"),
            10,
            0.2,
        )
    assert run_sql_query(purpose_view, SqlQuery("content", "SELECT 1", "ann"), 10, 30).table


def test_an_error_does_not_reveal_stored_values(purpose_view: PurposeView) -> None:
    """The message of a failed cast does not contain the value, and casts skip hidden rows."""
    with pytest.raises(QueryError) as error_info:
        run_sql_query(
            purpose_view, SqlQuery("content", "SELECT page_path::INTEGER FROM requests", "ann"), 10, 30
        )
    assert "/a" not in error_info.value.message + error_info.value.hint
    result = run_sql_query(
        purpose_view,
        SqlQuery(
            "content",
            f"SELECT CASE WHEN page_path = '{HIDDEN}' THEN page_path::INTEGER END FROM requests",
            "ann",
        ),
        10,
        30,
    )
    assert result.table


def test_an_unknown_purpose_sees_nothing(purpose_view: PurposeView) -> None:
    """The answer has a note that names the unknown purpose."""
    other = PurposeView(purpose_view.store, purpose_view.governing_bounds, "marketing", NOW)
    with raises_code("query-not-allowed"):
        run_sql_query(other, SqlQuery("marketing", "SELECT page_path FROM requests", "ann"), 10, 30)
    result = run_sql_query(other, SqlQuery("marketing", "SELECT count(*) FROM requests", "ann"), 10, 30)
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
    max_examples=by_depth(standard=3_000, thorough=64_000), suppress_health_check=[HealthCheck.too_slow]
)
@given(STARTS, PIECES)
def test_no_query_reveals_a_hidden_value(purpose_view: PurposeView, start: str, pieces: list[str]) -> None:
    """Random queries are refused, or their answer contains neither the hidden address nor the hidden row."""
    try:
        result = run_sql_query(purpose_view, SqlQuery("content", start + " ".join(pieces), "ann"), 50, 5)
    except QueryError as error:
        answer = error.message + error.hint
    else:
        answer = repr(result.table)
    assert ADDRESS not in answer
    assert HIDDEN not in answer


@settings(max_examples=by_depth(standard=3_000, thorough=34_000))
@given(st.text(max_size=60))
def test_any_text_is_validated_or_refused(text: str) -> None:
    """No text raises any other error than QueryError."""
    for query in (text, f"SELECT {text} FROM requests"):
        try:
            validate_query(query, REFUSED, 10)
        except QueryError:
            continue
