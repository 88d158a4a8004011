"""Answers that are not recorded are about groups of visitors: no value and no row of them is of a single visitor."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sqlglot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avowal.errors import QueryError
from avowal.policy.bounds import OPERATOR, OWN_USE, Bounds, Cell
from avowal.store.columns import MEASURE_COLUMNS
from avowal.store.duckdb_store import DuckDBStore
from avowal.store.query_process import QueryLimits
from avowal.use.own_query import QueryResult, SqlQuery, run_sql_query
from avowal.use.purpose_view import RELATIONS, HiddenColumns, PurposeView
from avowal.use.row_types import MayFailError, RowType, find_row_type
from support.depth import by_depth
from support.query_runner import run_here

NOW = datetime(2026, 11, 22, 12)  # noqa: DTZ001  # UTC without a zone
CROWD = 24
"""How many other visitors there are: half of them have the cookie."""

PLANTED_ID = 0xFEED_FACE_CAFE_0000
CATEGORIES = {
    form.category for relation in RELATIONS.values() for forms in relation.columns.values() for form in forms
}
EVERYTHING = dict.fromkeys(("day", "name", "site", "page", "prefix", "country", "full"), None)


def bounds(duties: dict[str, int], *withheld: str) -> Bounds:
    """Return bounds that permit everything for `content`, but for some categories."""
    cells = {
        Cell(name, "content", OPERATOR, OWN_USE): dict(EVERYTHING) for name in CATEGORIES.difference(withheld)
    }
    return Bounds(cells, duties)


class Stores(NamedTuple):
    """What a purpose may see of a crowd with a planted visitor, and of the crowd alone."""

    planted: PurposeView
    """The visitor's numbers are much larger than all of the crowd's together."""
    hidden: PurposeView
    """The visitor's numbers are larger than those of the crowd, but less than half of their sum."""
    crowd: PurposeView

    def __repr__(self) -> str:
        return "the stores"


LARGE, MIDDLE = 1_234_567_891, 100_003
"""The numbers of the planted visitor in both stores."""


def ordinary(relation: str, column: str, kind: str, visitor: int, row: int, scale: int) -> Any:
    """Return a value that other visitors have, too."""
    by_column = {
        "visitor_id": 2 * visitor + 1000 + visitor % 2,
        "daily_key": 2 * visitor + 1000,
        "ip_address": f"192.0.2.{visitor}",
        "request_kind": "view",
        "device_kind": "desktop",
        "status": 200,
        "view_source": "both",
    }
    by_kind = {
        "TIMESTAMP": NOW - timedelta(hours=row % 3, seconds=visitor),
        "BOOLEAN": row % 2 == 0,
        "VARCHAR": f"{relation[:2]}-{column}-{row % 3}",
    }
    return by_column.get(column, by_kind.get(kind, (10 * (row % 5) + visitor % 2 + 1) * scale))


def unusual(column: str, kind: str, number: int) -> Any:
    """Return a value that no other visitor has."""
    by_column = {
        "visitor_id": PLANTED_ID,
        "daily_key": PLANTED_ID + 2,
        "ip_address": "203.0.113.77",
        "request_kind": "upload",
        "device_kind": "tv",
        "view_source": "both",
        "status": 777,
    }
    by_kind = {
        "TIMESTAMP": NOW - timedelta(hours=1, microseconds=123_457),
        "BOOLEAN": True,
        "VARCHAR": f"planted-{column}",
    }
    return by_column.get(column, by_kind.get(kind, number))


def fill(store: DuckDBStore, planted: int | None = None, scale: int = 1) -> None:
    """Store three records of each visitor of the crowd in each relation, and three of the planted one."""
    for name, relation in RELATIONS.items():
        kinds = {row[0]: row[1] for row in store.query(f"DESCRIBE {name}", {}).rows}
        shown = {column: kinds[column] for column in relation.columns}
        rows = [
            [ordinary(name, column, kind, visitor, row, scale) for column, kind in shown.items()]
            for visitor in range(CROWD)
            for row in range(3)
        ]
        if planted:
            rows += 3 * [[unusual(column, kind, planted) for column, kind in shown.items()]]
        numbers = {
            column: 0 for column in ("load_number", "record_number", "script_view_id") if column in kinds
        }
        columns = [*shown, "version", "governing", *numbers]
        with store._write() as cursor:  # there is no other way to write views and visits
            cursor.executemany(
                f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
                [[*row, 1, 1, *numbers.values()] for row in rows],
            )


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """Make the stores."""
    opened = []
    for planted, scale in ((LARGE, 1), (MIDDLE, 1_000), (None, 1)):
        store = DuckDBStore(Path(tmp_path_factory.mktemp("store")), "256MB")
        fill(store, planted, scale)
        opened.append(PurposeView(store, [bounds({})], "content", NOW, "3f9c2a11" + "0" * 56))
    yield Stores(*opened)
    for view in opened:
        view.store.close()


def answer(view: PurposeView, text: str) -> QueryResult:
    """Run a query."""
    limits = QueryLimits(timeout_seconds=30, rows_max=1_000, memory_bytes=256_000_000)
    hidden = HiddenColumns.create("UTC", time(4))
    return run_sql_query(view, SqlQuery("content", text, "ann"), limits, hidden, run_here)


def balanced(leaf: str, operator: str, count: int) -> str:
    """Combine leaves by an operator, without deep nesting."""
    if count == 1:
        return leaf
    half = balanced(leaf, operator, count // 2)
    return f"({half} {operator} {half})"


UNRECORDED = [
    "SELECT count(*) FROM requests",
    "SELECT 1",
    "SELECT count(DISTINCT visitor_id) FROM visits",
    "SELECT count(DISTINCT ip_address), count(DISTINCT request_time) FROM requests",
    "SELECT count(DISTINCT ip_address) AS addresses, approx_count_distinct(page_path) FROM requests WHERE status = 200",
    "SELECT page_path, count(*) FROM views GROUP BY 1 HAVING count(*) > 5 ORDER BY 2 DESC, 1 LIMIT 2",
    "SELECT page_path AS p, count(*) AS n FROM views WHERE page_path LIKE 'vi-%' GROUP BY p HAVING n > 1 ORDER BY n",
    "SELECT page_path, count(*), sum(bytes), avg(bytes) FROM requests WHERE status = 200 GROUP BY ALL",
    "SELECT median(bytes), quantile_cont(bytes, 0.5), quantile_disc(bytes, 0.25) FROM requests WHERE status = 200",
    "SELECT view_time::DATE AS d, avg(view_duration_ms) / 1000 FROM views WHERE view_duration_ms < 99 GROUP BY d",
    "SELECT hour(view_time), count(*) FROM views WHERE host <> 'planted-host' AND view_time < TIMESTAMP '2026-11-22 12:00:00' GROUP BY 1",
    "SELECT (view_time AT TIME ZONE 'UTC' AT TIME ZONE 'Europe/Berlin')::DATE, count(*) FROM views GROUP BY 1",
    "SELECT count(*) FILTER (WHERE host = 'vi-host-1') * 100.0 / count(*) AS share FROM visits WHERE host <> 'planted-host'",
    "SELECT avg(bytes) FILTER (WHERE host LIKE 're-%') FROM requests",
    "SELECT count(*) FROM views WHERE view_time > '2026-11-01' AND view_time <= now() - INTERVAL 5 MINUTE OR 1 = 1",
    "SELECT count(*) FROM requests WHERE status BETWEEN -1 AND 300 AND (request_kind IN ('view') OR host IS NULL)",
    "SELECT count(*) FROM script_views WHERE NOT not_found OR not_found IS TRUE OR length(lower(host)) > 2",
    "SELECT count(*) FROM views WHERE view_time < current_date + 1 AND hour(view_time) < 24 AND starts_with(host, 'vi-')",
    "SELECT split_part(page_path, '-', 2), count(*) FROM views WHERE page_path <> 'planted-page_path' GROUP BY ALL",
    "SELECT max.page_path, count(*) FROM views AS max WHERE host <> 'planted-host' GROUP BY max.page_path",
]


@pytest.mark.parametrize("text", UNRECORDED)
def test_an_answer_about_groups_is_not_recorded(stores: Stores, text: str) -> None:
    """Counts, distinct counts, sums, averages and quantiles of rows of enough visitors are not recorded."""
    result = answer(stores.planted, text)
    assert result.table
    assert result.table.rows
    assert not result.reveals_individuals


RECORDED = [
    # values of single rows
    "SELECT page_path FROM views",
    "SELECT DISTINCT host FROM views",
    "SELECT max(bytes) FROM requests",
    "SELECT min(page_path) FROM requests WHERE request_time = TIMESTAMP '2026-11-22 10:59:59.876543'",
    "SELECT any_value(host), mode(host) FROM requests",
    "SELECT max(concat_ws('|', host, ip_address, page_path)) FROM requests",
    "SELECT first_value(host) OVER () FROM requests",
    "SELECT count(*) OVER () FROM views",
    "SELECT stddev(bytes) FROM requests WHERE status = 200",
    # rows of few visitors
    "SELECT page_path, count(*) FROM views GROUP BY page_path",
    "SELECT page_path, count(*) FROM views GROUP BY page_path HAVING count(*) = 3",
    "SELECT upload_bytes, count(*) FROM events GROUP BY upload_bytes",
    "SELECT largest_contentful_paint_ms, count(*) FROM script_views GROUP BY 1",
    "SELECT visit_time, count(*) FROM visits GROUP BY ALL",
    "SELECT extract(second FROM view_time), count(*) FROM views GROUP BY ALL",
    "SELECT count(*) FROM requests WHERE status = 777",
    "SELECT count(*) FILTER (WHERE status = 777), count(*) FROM requests",
    "SELECT sum(bytes) FILTER (WHERE host = 'planted-host') FROM requests",
    "SELECT sum(CASE WHEN status = 777 THEN 1 END) FROM requests",
    "SELECT sum((status = 777)::INTEGER) FROM requests",
    "SELECT count(nullif(status, 200)), count_if(status = 777) FROM requests",
    "SELECT count(*) - 72 FROM requests HAVING count(*) FILTER (WHERE status = 777) > 0",
    "SELECT page_path, count(*) FROM requests GROUP BY 1 ORDER BY sum(bytes) FILTER (WHERE status = 777) LIMIT 1",
    # figures whose difference is of one visitor
    "SELECT count(*) - count(*) FILTER (WHERE status = 200) FROM requests",
    "SELECT count(*), count(*) FILTER (WHERE status <> 777) FROM requests",
    "SELECT count(*) FROM requests HAVING count(*) > count(*) FILTER (WHERE status = 200)",
    "SELECT count(*) FILTER (WHERE status < 800), count(*) FILTER (WHERE status < 700) FROM requests",
    # figures that one visitor decides
    "SELECT sum(bytes) FROM requests",
    "SELECT avg(upload_bytes) FROM events",
    "SELECT sum(bytes) - 1000 FROM requests",
    "SELECT quantile_cont(bytes, 1.0) FROM requests",
    "SELECT quantile_disc(bytes, 0.99) FROM requests",
    "SELECT quantile_cont(bytes, 0.965) FROM requests",
    # columns that tell who somebody is
    "SELECT count(*) FROM requests WHERE ip_address <> '203.0.113.77'",
    "SELECT count(*) FILTER (WHERE visitor_id > '8') FROM requests",
    "SELECT visitor_id, count(*) FROM views GROUP BY visitor_id",
    "SELECT ip_address LIKE '2%', count(*) FROM requests GROUP BY ALL",
    # conditions that can fail for a single row
    "SELECT count(*) FROM requests WHERE try_cast(host AS INTEGER) IS NULL",
    "SELECT count(*) FROM requests WHERE CASE WHEN status = 777 THEN false ELSE true END",
    "SELECT nullif(host, 'planted-host'), count(*) FROM requests GROUP BY 1 HAVING count(*) > 3",
    # answers without rows
    "SELECT host, count(*) FROM requests WHERE status = 778 GROUP BY host",
    "SELECT count(*) FROM requests WHERE status = 778",
    "SELECT count(*) FROM requests LIMIT 0",
    "SELECT 1 FROM requests",
    "SELECT page_path, count(*) FROM views GROUP BY 1 ORDER BY 1 LIMIT 5 OFFSET 20",
    # rows that tell of others before them
    "SELECT page_path, count(*) FROM views WHERE page_path IN ('vi-page_path-0', 'planted-page_path') GROUP BY 1 ORDER BY 1 OFFSET 1",
    "SELECT host, count(*) FROM views GROUP BY 1 ORDER BY count(*) LIMIT 1 OFFSET 2",
    # counts of values of which one visitor has one
    "SELECT count(DISTINCT page_path) FROM requests WHERE page_path IN ('re-page_path-0', 'planted-page_path')",
    "SELECT approx_count_distinct(host) FROM requests",
    "SELECT count(DISTINCT host) - 3 FROM requests HAVING count(*) > 9",
    "SELECT count(*), count(DISTINCT host) FILTER (WHERE bytes > 10) FROM requests",
    # what would take too long to read, as each alias stands for many nodes
    f"SELECT count(*) + ({balanced('1', '+', 256)}) AS k FROM views ORDER BY {', '.join(['k'] * 2_000)}",
    f"SELECT count(*) + ({balanced('1', '+', 256)}) AS k FROM views HAVING {balanced('k > 0', 'AND', 512)}",
    f"SELECT count(*) + ({balanced('1', '+', 256)}) FROM views ORDER BY {', '.join(['1'] * 2_000)}",
    f"SELECT count(*) FROM views WHERE view_duration_ms IN ({', '.join(map(str, range(1_500)))})",
    # what is not one SELECT over one relation
    "WITH a AS (SELECT * FROM views) SELECT count(*) FROM a",
    "SELECT count(*) FROM (SELECT * FROM views) AS a",
    "SELECT count(*) FROM views AS a JOIN views AS b USING (page_path)",
    "SELECT count(*) FROM views AS a, views AS b",
    "SELECT count(*) FROM views UNION ALL SELECT count(*) FROM visits",
    "SELECT count(*) FROM views QUALIFY row_number() OVER () = 1",
    "SELECT DISTINCT count(*) FROM views",
    # names that may mean two things
    "SELECT lower(page_path) AS host, count(*) FROM views WHERE host = 'vi-host-1' GROUP BY 1",
    "SELECT page_path AS a, host AS a, count(*) FROM views GROUP BY 1, 2",
]


@pytest.mark.parametrize("text", RECORDED)
def test_an_answer_that_may_be_about_a_visitor_is_recorded(stores: Stores, text: str) -> None:
    """Everything else is recorded, whatever it shows."""
    assert answer(stores.planted, text).reveals_individuals


@pytest.mark.parametrize(
    "figures",
    [
        "sum(bytes) - sum(bytes) FILTER (WHERE status = 200)",
        "sum(bytes), sum(bytes) FILTER (WHERE host <> 'planted-host')",
        "avg(bytes) * count(bytes) - sum(bytes) FILTER (WHERE bytes <> 100003)",
        "avg(bytes), count(*), avg(bytes) FILTER (WHERE bytes < 100000), count(*) FILTER (WHERE bytes < 100000)",
    ],
)
def test_a_difference_within_an_answer_is_not_of_one_visitor(stores: Stores, figures: str) -> None:
    """A sum without one visitor, beside the sum with them, is recorded, even where neither of both would be."""
    assert not answer(stores.hidden, "SELECT sum(bytes), avg(bytes) FROM requests").reveals_individuals
    assert answer(stores.hidden, f"SELECT {figures} FROM requests").reveals_individuals


def test_visitors_without_the_cookie_are_counted_by_day(tmp_path: Path) -> None:
    """One person on five days has five keys: the day that has most visitors counts. With the cookie all days count."""
    store = DuckDBStore(tmp_path, "256MB")
    insert = (
        "INSERT INTO views (view_time, visitor_id, page_path, view_source, version, governing) "
        "SELECT $now - to_days((range * $days)::INTEGER), $first + range * 2, $page, 'log', 1, 1 FROM range(5)"
    )
    with store._write() as cursor:
        for first, days, page in ((1_000, 1, "/many-days"), (2_000, 0, "/one-day"), (3_001, 1, "/cookie")):
            cursor.execute(insert, {"now": NOW, "days": days, "first": first, "page": page})
    view = PurposeView(store, [bounds({})], "content", NOW)
    found = {
        page: answer(view, f"SELECT count(*) FROM views WHERE page_path = '{page}'").reveals_individuals
        for page in ("/many-days", "/one-day", "/cookie")
    }
    store.close()
    assert found == {"/many-days": True, "/one-day": False, "/cookie": False}


@pytest.mark.parametrize(("smallest_group", "is_recorded"), [(1, False), (CROWD // 2, False), (CROWD, True)])
def test_the_terms_can_require_larger_groups(stores: Stores, smallest_group: int, is_recorded: bool) -> None:
    """The least number of visitors is five, or `smallest-group` if that is more."""
    view = PurposeView(stores.crowd.store, [bounds({"smallest-group": smallest_group})], "content", NOW)
    assert answer(view, "SELECT count(*) FROM visits").reveals_individuals is is_recorded


def test_visitors_are_counted_for_a_purpose_that_may_not_see_them(stores: Stores) -> None:
    """The hidden count needs no permission, and shows no key."""
    view = PurposeView(stores.planted.store, [bounds({}, "visitor-id")], "content", NOW)
    assert not answer(view, "SELECT count(*) FROM views").reveals_individuals
    assert answer(view, "SELECT count(*) FROM requests WHERE status = 777").reveals_individuals


def test_records_of_an_unknown_visitor_are_of_nobody(tmp_path: Path) -> None:
    """A group of records without a visitor's key counts as one of no visitor."""
    store = DuckDBStore(tmp_path, "256MB")
    with store._write() as cursor:
        cursor.execute(
            "INSERT INTO views (view_time, page_path, view_source, version, governing) "
            "SELECT $now, '/', 'log', 1, 1 FROM range(50)",
            {"now": NOW},
        )
    is_recorded = answer(PurposeView(store, [bounds({})], "content", NOW), "SELECT count(*) FROM views")
    store.close()
    assert is_recorded.reveals_individuals


def test_every_number_of_the_store_is_a_measure_or_a_code(stores: Stores) -> None:
    """A new column of numbers fails this test until it is declared as a measure, or as a code here."""
    codes = {"visitor_id", "daily_key", "status"}
    for name, relation in RELATIONS.items():
        kinds = {row[0]: row[1] for row in stores.crowd.store.query(f"DESCRIBE {name}", {}).rows}
        numbers = {
            column for column in relation.columns if kinds[column].endswith(("INT", "INTEGER", "DOUBLE"))
        }
        assert numbers - codes == MEASURE_COLUMNS & relation.columns.keys()


# Queries that a curious reader might try. `{...}` are chosen below.
KEYS = st.sampled_from(
    [
        "{c}",
        "lower({t})",
        "date_trunc('{u}', {time})",
        "extract({u} FROM {time})",
        "split_part({t}, '-', 1)",
        "{m}",
        "{c} = {v}",
    ]
)
FIGURES = st.sampled_from(
    """
    count(*); count({c}); count(DISTINCT {c}); sum({m}); avg({m}); median({m}); quantile_cont({m}, {q}); min({c}); max({c});
    quantile_disc({m}, {q}); any_value({c}); mode({c}); count(*) FILTER (WHERE {c} = {v}); sum({m}) FILTER (WHERE {c} = {v});
    sum({m}) * 2; round(avg({m})); sum(CASE WHEN {c} = {v} THEN 1 END); count_if({c} = {v}); max(concat_ws('|', {c}, {c}));
    sum({m}) / count(*); approx_count_distinct({c}); median({m}) + 1; stddev({m}); {c}; first_value({c}) OVER (); sum(-{m});
    sum({m}) - sum({m}) FILTER (WHERE {c} <> {v}); count(*) - count(*) FILTER (WHERE {c} <> {v}); count(*) FILTER (WHERE {m} < 99999);
    sum({m}) FILTER (WHERE {m} < 99999); avg({m}) * count({m}) - sum({m}) FILTER (WHERE {c} <> {v}); sum({m} * {m}); min(CASE WHEN {c} = {v} THEN {t} END); avg({m}) FILTER (WHERE {m} > 1000); sum(DISTINCT {m})
    """.replace("\n", " ").split(";")
)
CONDITIONS = st.sampled_from(
    ["", "WHERE {m} < 1000", "WHERE {m} < 1000", "WHERE {c} = {v}", "WHERE {c} <> {v}", "WHERE {m} > 1000", "WHERE {t} LIKE 'pl%'",
     "WHERE {c} = {v} OR {c} = {v}", "WHERE {c} IS NOT NULL", "WHERE {time} > TIMESTAMP '2026-11-22 10:59:59'"]
)  # fmt: skip
GROUPS = st.sampled_from(["GROUP BY ALL", "GROUP BY ALL", "{keys}", ""])
RESTS = st.sampled_from(
    ["", "HAVING count(*) > 6", "HAVING count(*) > 6", "HAVING count(*) = 3", "HAVING count(*) > 3", "HAVING count(*) <= 6", "HAVING sum({m}) > 1000000", "ORDER BY 1 LIMIT 3",
     "ORDER BY count(*) LIMIT 1", "ORDER BY sum({m}) DESC LIMIT 1", "LIMIT 2 OFFSET 1", "HAVING max({m}) > 1000000"]
)  # fmt: skip
SHAPES = st.sampled_from(
    ["{q}"] * 8
    + [
        "WITH a AS (SELECT * FROM {r}) {qa}",
        "SELECT * FROM ({q}) AS x",
        "WITH a AS ({q}) SELECT * FROM a",
        "{q} UNION ALL {q}",
    ]
)


@st.composite
def questions(draw: st.DrawFn) -> tuple[str, int]:
    """Make a query; returns its text and how many of its first columns are keys."""
    name = draw(st.sampled_from(list(RELATIONS)))
    columns = st.sampled_from(list(RELATIONS[name].columns))
    texts = st.sampled_from(
        [
            column
            for column in ("host", "page_path", "referrer", "entry_path")
            if column in RELATIONS[name].columns
        ]
    )
    measures = st.sampled_from(sorted(MEASURE_COLUMNS & RELATIONS[name].columns.keys()))

    def complete(template: str) -> str:
        while "{" in template:
            column = draw(columns)
            quoted = "1" if column in MEASURE_COLUMNS | {"status", "not_found"} else f"'planted-{column}'"
            for part, value in (
                ("{c} = {v}", f"{column} = {quoted}"), ("{c} <> {v}", f"{column} <> {quoted}"), ("{c}", column),
                ("{t}", draw(texts)), ("{m}", draw(measures)), ("{q}", draw(st.sampled_from(["0.5", "1.0", "0.97", "0.99"]))),
                ("{u}", draw(st.sampled_from(["hour", "day", "second", "microsecond"]))), ("{time}", RELATIONS[name].time_column),
            ):  # fmt: skip
                template = template.replace(part, value, 1)
        return template

    keys = [complete(key) for key in draw(st.lists(KEYS, max_size=2))]
    figures = [complete(figure.strip()) for figure in draw(st.lists(FIGURES, min_size=1, max_size=3))]
    group = draw(GROUPS).replace(
        "{keys}", f"GROUP BY {', '.join(map(str, range(1, len(keys) + 1)))}" if keys else ""
    )
    rest = f"{complete(draw(CONDITIONS))} {group} {complete(draw(RESTS))}"
    plain = f"SELECT {', '.join(keys + figures)} FROM {name} {rest}"
    text = (
        draw(SHAPES)
        .replace("{qa}", plain.replace(f"FROM {name} ", "FROM a "))
        .replace("{q}", plain)
        .replace("{r}", name)
    )
    return text, len(keys)


FAILING = [
    "page_path = 5", "page_path IN ('/a', 5)", "page_path BETWEEN status AND 9", "status = 'abc'", "NOT page_path",
    "page_path IS TRUE", "TRUE IS page_path", "request_kind = 5", "request_time = 'abc'", "request_time = '20261122'", "request_time = page_path",
    "request_time + INTERVAL '300000 years' > now()", "-status > 1", "bytes + 9223372036854775807 > 1", "status * 2 = 4",
    "request_time AT TIME ZONE 'Nowhere/City' > now()", "request_time > TIMESTAMP 'abc'", "page_path::DATE > '2026-01-01'",
    "length(page_path) = 'x'", "split_part(page_path, '/', status) = 'a'", "status = page_path", "request_time = 5",
    "coalesce(page_path, 5) = 5", "page_path LIKE status", "hour(page_path) = 1", "lower(status) = 'a'",
]  # fmt: skip


@pytest.mark.parametrize("condition", FAILING)
@pytest.mark.parametrize(
    "text",
    [
        "SELECT count(*) FROM requests WHERE status = 200 OR (host = 'nobody' AND {})",
        "SELECT count(*), count(*) FILTER (WHERE status = 200 OR (host = 'nobody' AND {})) FROM requests",
        "SELECT {}, count(*) FROM requests GROUP BY 1",
    ],
)
def test_what_might_fail_is_recorded_where_it_does_not(stores: Stores, text: str, condition: str) -> None:
    """That a query did not fail over a value tells that nobody has the value."""
    try:
        assert answer(stores.crowd, text.format(condition)).reveals_individuals
    except QueryError as error:
        assert error.code in {"query-not-allowed", "query-failed", "query-invalid"}  # noqa: PT017


@settings(max_examples=by_depth(standard=60, thorough=10_000), suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(list(RELATIONS)), st.data())
def test_a_condition_with_a_type_never_fails(stores: Stores, relation: str, data: st.DataObject) -> None:
    """A condition that may be part of an unrecorded query is valid for any stored value, or for none."""
    columns = [*RELATIONS[relation].columns]
    operand = st.sampled_from([*columns, "5", "-5", "'a'", "'2026-11-22'", "'2026-11-22 10:00:00'", "TRUE", "NULL", "now()",
        "current_date - 3", "lower({})", "hour({})", "{}::DATE", "length({})", "date_trunc('day', {})", "({})"])  # fmt: skip
    shape = st.sampled_from(["{} = {}", "{} < {}", "{} IN ({}, {})", "{} BETWEEN {} AND {}", "{} LIKE {}", "{} IS NULL",
        "{} IS {}", "NOT {}", "{} AND {}", "({} = {}) OR {}", "{} AND ({} <> {})", "starts_with({}, {})", "{}"])  # fmt: skip
    condition = data.draw(shape)
    for _ in range(6):
        condition = condition.replace("{}", data.draw(operand), 1)
    condition = condition.replace("{}", columns[0])
    tree = sqlglot.parse_one(f"SELECT count(*) FROM {relation} WHERE {condition}", dialect="duckdb")
    try:
        is_condition = find_row_type(tree.args["where"].this) is RowType.BOOLEAN
    except MayFailError:
        return
    if not is_condition:
        return
    outcomes = {
        view is stores.planted: run_outcome(view, tree.sql("duckdb"))
        for view in (stores.planted, stores.crowd)
    }
    assert outcomes[True] == outcomes[False] != "query-failed"


def run_outcome(view: PurposeView, text: str) -> str:
    """Return the code of the error that a query ends with, if it ends with one."""
    try:
        answer(view, text)
    except QueryError as error:
        return str(error.code)
    return ""


@settings(max_examples=by_depth(standard=60, thorough=10_000), suppress_health_check=[HealthCheck.too_slow])
@given(questions())
def test_no_unrecorded_answer_is_about_one_visitor(stores: Stores, question: tuple[str, int]) -> None:
    """An answer that is not recorded has no value of the planted visitor, and no row that only they cause."""
    text, keys = question
    try:
        crowd = answer(stores.crowd, text).table
    except QueryError:
        return
    for view, number in ((stores.planted, LARGE), (stores.hidden, MIDDLE)):
        try:
            result = answer(view, text)
        except QueryError:
            continue  # this is recorded
        if result.reveals_individuals:
            continue
        assert result.table
        for value in [value for row in result.table.rows for value in row]:
            assert "planted" not in str(value)
            if isinstance(value, int | float):
                assert not any(
                    abs(value - times * number) <= number / 1_000 for times in (1, 2, 3, -1, -3)
                ), value
                assert value < LARGE / 100  # no figure of the crowd comes near
        assert crowd
        if "LIMIT" not in text and "HAVING" not in text:
            assert {repr(row[:keys]) for row in result.table.rows} <= {repr(row[:keys]) for row in crowd.rows}
