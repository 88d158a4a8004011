"""Readers' SQL: what is not known to be harmless is refused, with its place and the reason."""

import re
from pathlib import Path

import duckdb
import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st

from avowal.errors import QueryError
from avowal.use.sql_allow_list import FUNCTION_NODES, NESTING_NODES_MAX, QUERY_CHARACTERS_MAX, validate_query
from support.depth import by_depth
from support.errors import raises_code

ATTEMPTS = [
    line
    for line in Path(__file__).with_name("attempts.txt").read_text(encoding="utf-8").split("\n")
    if not line.startswith("#")
]
REFUSED = {"ip_address": "is not available for content under version 3f9c2a11…: collected for abuse only"}


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


LITERALS = [
    "0x10", "0X1f", "0b11", "0o17", "1_000", "1__0", "12abc", "1e", "1e3", "1.5e-3", ".5", "5.", "1.e3", "1.2.3", "00012",
    "'a'", "'it''s'", "''", "e'a'", "E'a\\n'", "x'41'", "X'41'", "b'1'", "n'a'", "u&'a'", "r'a'", "$$a$$", "$x$a$x$",
    "'\\x41'", "'a' 'b'", "'a'b", "DATE '2026-11-22'", "TIMESTAMP '2026-11-22 01:02:03'", "INTERVAL '1' DAY",
    "INTERVAL 5 HOUR", "TRUE", "NULL", "18446744073709551616", "-1", "- -1", "1 . 5", "1e+3", "1E3", "1.0", "0.1", "1;",
]  # fmt: skip


@pytest.mark.parametrize("literal", LITERALS)
def test_a_literal_is_refused_or_means_what_it_means_in_duckdb(literal: str) -> None:
    """No literal is read as another value, such as `0x10` as a zero that is called `x10`."""
    try:
        sql = validate_query(f"SELECT {literal}", {}, 10).sql
    except QueryError:
        return
    with duckdb.connect() as connection:
        assert connection.execute(sql).fetchall() == connection.execute(f"SELECT {literal}").fetchall()


@settings(max_examples=by_depth(standard=100, thorough=10_000))
@given(st.from_regex(r"[0-9.][0-9a-fxobe_.+'$-]{0,5}", fullmatch=True))
def test_any_number_is_refused_or_means_what_it_means_in_duckdb(literal: str) -> None:
    """However a number is written, it is refused or means what DuckDB or the SQL standard takes it for."""
    try:
        sql = validate_query(f"SELECT {literal} AS n", {}, 10).sql
    except QueryError:
        return
    with duckdb.connect() as connection:
        assert connection.execute(sql).fetchall() == connection.execute(f"SELECT {literal} AS n").fetchall()


@pytest.mark.parametrize(
    "text",
    [
        "WITH consents AS (SELECT * FROM consents) SELECT * FROM consents",
        "WITH a AS (SELECT * FROM b), b AS (SELECT 1 AS x) SELECT * FROM a",
        "WITH a AS (WITH consents AS (SELECT 1 AS x) SELECT * FROM consents) SELECT * FROM consents",
        "SELECT * FROM (WITH x AS (SELECT 1 AS y) SELECT * FROM x) AS z, x",
        "WITH a AS (SELECT 1 AS x) SELECT * FROM a, (WITH a AS (SELECT 2 AS x) SELECT * FROM a) AS b",
        "WITH a AS (SELECT 1 AS x), A AS (SELECT 2 AS x) SELECT * FROM a",
        "WITH requests AS (SELECT 1 AS x) SELECT * FROM requests",
        'WITH "Requests" AS (SELECT 1 AS x) SELECT * FROM requests',
        "SELECT * FROM requests UNION SELECT * FROM sources",
        "WITH sqlite_master AS (SELECT 1 AS x UNION ALL SELECT * FROM sqlite_master) SELECT * FROM sqlite_master",
        "SELECT count(*) FROM views AS v, (SELECT * FROM dead_letters) AS d",
        "SELECT count(*) FROM (views JOIN erased ON true)",
        "WITH a AS MATERIALIZED (SELECT * FROM duckdb_tables) SELECT * FROM a",
        "SELECT count(*) FROM memory.main.views",
        "SELECT host FROM requests AS r(a, b, host)",
    ],
)
def test_a_table_is_a_relation_or_a_with_that_is_visible_there(text: str) -> None:
    """No name reaches a table of the store: not by a WITH of its name, and not where that WITH is not visible."""
    with raises_code("query-not-allowed"):
        validate_query(text, {}, 100)


def test_a_relation_is_written_as_the_full_name_of_its_table() -> None:
    """What runs names each relation in full, and a WITH by its own name."""
    text = "WITH a AS (SELECT host FROM Views) SELECT count(*) FROM a, visits v, (SELECT 1 FROM a) AS b"
    assert validate_query(text, {}, 100).sql == (
        'WITH a AS (SELECT host FROM "memory"."main"."views" AS views) '
        'SELECT COUNT(*) FROM a, "memory"."main"."visits" AS v, (SELECT 1 FROM a) AS b LIMIT 101'
    )


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("SELECT 1", {}),
        ("SELECT count(*) FROM visits", {"visits": ["version"]}),
        ("SELECT host FROM requests r JOIN views v USING (page_path)", {"requests": 2, "views": 2}),
        ("WITH a AS (SELECT host FROM views) SELECT * FROM a", {"views": ["host"]}),
        ("SELECT v.* FROM views AS v", {"views": 9}),
        ("WITH a AS (SELECT * FROM views) SELECT host FROM a", {"views": 9}),
    ],
)
def test_a_query_needs_the_columns_that_it_names(text: str, columns: dict[str, list[str] | int]) -> None:
    """Columns that the query cannot show are not handed over to it."""
    needed = validate_query(text, {}, 100).columns
    assert needed.keys() == columns.keys()
    for name, expected in columns.items():
        assert needed[name] == expected or len(needed[name]) == expected


FUNCTIONS = """
    count(*) | count(host) | count(DISTINCT(host)) | count_if(status>1) | sum(bytes) | avg(bytes) | min(host) |
    max(host) | median(bytes) | quantile_cont(bytes,0.5) | quantile_disc(bytes,0.5) | quantile(bytes,0.5) |
    approx_count_distinct(host) | stddev(bytes) | stddev_pop(bytes) | stddev_samp(bytes) | variance(bytes) |
    var_pop(bytes) | any_value(host) | mode(host) | bool_or(status>1) | bool_and(status>1) |
    row_number()OVER() | rank()OVER(ORDER BY host) | dense_rank()OVER(ORDER BY host) | ntile(2)OVER() |
    percent_rank()OVER(ORDER BY host) | cume_dist()OVER(ORDER BY host) | lag(host)OVER() | lead(host)OVER() |
    first_value(host)OVER() | last_value(host)OVER() | coalesce(host,'') | nullif(host,'') | greatest(1,2) |
    least(1,2) | lower(host) | upper(host) | length(host) | trim(host) | substring(host,1,1) |
    split_part(host,'.',1) | concat(host,'a') | replace(host,'a','b') | regexp_matches(host,'a') |
    regexp_extract(host,'a') | starts_with(host,'a') | ends_with(host,'a') | contains(host,'a') | round(1.5) |
    floor(1.5) | ceil(1.5) | abs(-1) | ln(2) | sqrt(2) | date_trunc('day',request_time) |
    extract(year FROM request_time) | year(request_time) | month(request_time) | day(request_time) |
    hour(request_time) | minute(request_time) | dayofweek(request_time) | isodow(request_time) |
    dayofyear(request_time) | week(request_time) | quarter(request_time) | strftime(request_time,'%Y') |
    date_diff('day',request_time,request_time) | current_date | current_timestamp | now() | today() |
    epoch(request_time) | epoch_ms(request_time) | dayname(request_time) | monthname(request_time) |
    date_part('year',request_time) | left(host,1) | right(host,1) | strpos(host,'a') |
    regexp_replace(host,'a','b') | concat_ws('-',host,host) | log(2) | pow(2,2) |
    date(request_time) | date_trunc('day', request_time::DATE) | time_bucket(INTERVAL 1 DAY, request_time) |
    host GLOB 'a*' | host SIMILAR TO 'a' | request_time AT TIME ZONE 'UTC' < now()
"""


def test_every_listed_function_is_tested() -> None:
    """Each kind of node that is listed as a function is that of a function above."""
    calls = [text.strip() for text in FUNCTIONS.split("|")]
    trees = [sqlglot.parse_one(f"SELECT {call}", read="duckdb") for call in calls]
    assert set(FUNCTION_NODES.split()) <= {type(node).__name__ for tree in trees for node in tree.walk()}


@pytest.mark.parametrize("function", [text.strip() for text in FUNCTIONS.split("|")])
def test_a_listed_function_is_that_of_duckdb(function: str) -> None:
    """What the list has is not refused, and the SQL that is generated of it gives the same as the text."""
    sql = validate_query(f"SELECT {function} AS value FROM requests", {}, 100).sql
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE requests (host VARCHAR, status INTEGER, bytes BIGINT, request_time TIMESTAMP)"
        )
        connection.execute(
            "INSERT INTO requests SELECT 'a.' || range % 3, 200, range, TIMESTAMP '2026-11-22 01:02:03' FROM range(4)"
        )
        value = connection.execute(f"SELECT value::VARCHAR FROM ({sql})").fetchall()  # names from above
        text = connection.execute(f"SELECT ({function})::VARCHAR FROM requests").fetchall()
    assert value == text or "current_timestamp" in function or "now()" in function


@settings(max_examples=by_depth(standard=3_000, thorough=34_000))
@given(st.text(max_size=60))
def test_any_text_is_validated_or_refused(text: str) -> None:
    """No text raises any other error than QueryError."""
    for query in (text, f"SELECT {text} FROM requests"):
        try:
            validate_query(query, REFUSED, 10)
        except QueryError:
            continue
