"""The choice of rows of a release: what is recorded is what runs, and it selects what it says."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avowal.errors import QueryError
from avowal.policy.bounds import GROUND_ONLY_PURPOSE, Bounds, Cell
from avowal.sql_files import read_sql
from avowal.store.columns import FULL, RELATIONS, VISITOR_KEY_COLUMNS, ValueType, find_value_type
from avowal.store.duckdb_store import DuckDBStore
from avowal.store.sql_builder import SqlFragment
from avowal.use.purpose_view import PurposeView
from avowal.use.row_condition import (
    Absence,
    ColumnComparison,
    Condition,
    Conjunction,
    Disjunction,
    Membership,
    Negation,
    Operator,
    Pattern,
    Range,
    Value,
)
from avowal.use.row_selection import (
    CONDITION_DEPTH_MAX,
    SELECTION_CHARACTERS_MAX,
    RowSelection,
    check_columns,
    parse_row_selection,
)
from support.depth import by_depth
from support.store_records import admitted_records, write_segment

NORMALIZED = {
    "requests WHERE status = 404": "requests WHERE status = 404",
    "  Requests where STATUS=404  ": "requests WHERE status = 404",
    "requests WHERE (((status = 404)))": "requests WHERE status = 404",
    "requests WHERE status != 404": "requests WHERE status <> 404",
    "requests WHERE status NOT IN (200, 301)": "requests WHERE NOT (status IN (200, 301))",
    "requests WHERE page_path NOT LIKE '/wp%'": "requests WHERE NOT (page_path LIKE '/wp%')",
    "requests WHERE bot IS NOT NULL": "requests WHERE NOT (bot IS NULL)",
    "requests WHERE NOT NOT status = 404": "requests WHERE NOT (NOT (status = 404))",
    "requests WHERE page_path = '/it''s'": "requests WHERE page_path = '/it''s'",
    "requests WHERE page_path LIKE '/a!_%' ESCAPE '!'": "requests WHERE page_path LIKE '/a!_%' ESCAPE '!'",
    "requests WHERE request_time >= '2026-11-01'": "requests WHERE request_time >= TIMESTAMP '2026-11-01 00:00:00'",
    "requests WHERE request_time < DATE '2026-11-01'": "requests WHERE request_time < TIMESTAMP '2026-11-01 00:00:00'",
    "requests WHERE request_time BETWEEN '2026-11-01 10:00' AND TIMESTAMP '2026-11-01T10:30:00.5'": (
        "requests WHERE request_time BETWEEN TIMESTAMP '2026-11-01 10:00:00' AND TIMESTAMP '2026-11-01 10:30:00.500000'"
    ),
    "script_views WHERE not_found = TRUE AND cumulative_layout_shift > -0.25": (
        "script_views WHERE (not_found = true) AND (cumulative_layout_shift > -0.25)"
    ),
    "requests WHERE status = 1 OR status = 2 AND bytes = 3": (
        "requests WHERE (status = 1) OR ((status = 2) AND (bytes = 3))"
    ),
    "requests WHERE (status = 1 OR status = 2) AND bytes = 3": (
        "requests WHERE ((status = 1) OR (status = 2)) AND (bytes = 3)"
    ),
    "requests WHERE NOT status = 1 AND bytes = 3": "requests WHERE (NOT (status = 1)) AND (bytes = 3)",
}


@pytest.mark.parametrize("text", NORMALIZED)
def test_a_selection_is_recorded_as_it_runs(text: str) -> None:
    """The text of a selection is rendered from its tree, and parses to the same tree."""
    selection = parse_row_selection(text)
    assert str(selection) == NORMALIZED[text]
    assert parse_row_selection(str(selection)) == selection


REFUSED = [
    "",
    "requests",
    "requests WHERE",
    "WHERE status = 404",
    "secrets WHERE status = 404",
    "consents WHERE version = 1",
    "main.requests WHERE status = 404",
    "avowal.main.requests WHERE status = 404",
    '"requests" WHERE status = 404',
    '"main.requests" WHERE status = 404',
    "'requests' WHERE status = 404",
    "requests AS r WHERE status = 404",
    "requests r WHERE status = 404",
    "requests AS r(a, b, c) WHERE a = 404",
    "(SELECT * FROM requests WHERE status = 404) WHERE page_path LIKE '/%'",
    "(SELECT * FROM requests WHERE status = 404 AND page_path='/wp-login') WHERE page_path LIKE '/%' AND page_path <> '/4'",
    "(SELECT * FROM requests) AS requests WHERE status = 404",
    "(requests) WHERE status = 404",
    "(FROM requests WHERE status = 404) WHERE page_path LIKE '/%'",
    "(VALUES (404)) AS requests(status) WHERE status = 404",
    "(TABLE requests) WHERE status = 404",
    "LATERAL (SELECT 1) WHERE status = 404",
    "requests, views WHERE status = 404",
    "requests JOIN views ON true WHERE status = 404",
    "requests NATURAL JOIN views WHERE status = 404",
    "requests ASOF JOIN views ON view_time >= request_time WHERE status = 404",
    "requests POSITIONAL JOIN views WHERE status = 404",
    "requests SEMI JOIN views USING (page_path) WHERE status = 404",
    "requests TABLESAMPLE 10% WHERE status = 404",
    "requests WHERE status = 404 USING SAMPLE 10%",
    "PIVOT requests ON status WHERE status = 404",
    "requests PIVOT (count(*) FOR status IN (404)) WHERE status = 404",
    "UNPIVOT requests ON status WHERE status = 404",
    "range(10) WHERE status = 404",
    "read_csv('/etc/passwd') WHERE status = 404",
    "glob('*') WHERE status = 404",
    "query('SELECT 1') WHERE status = 404",
    "requests AT (VERSION => 1) WHERE status = 404",
    "WITH requests AS (SELECT * FROM consents) SELECT * FROM requests WHERE status = 404",
    "requests WHERE status = 404 UNION SELECT * FROM requests",
    "requests WHERE status = 404 UNION ALL BY NAME FROM requests",
    "requests WHERE status = 404 EXCEPT SELECT * FROM requests",
    "requests WHERE status = 404 INTERSECT SELECT * FROM requests",
    "requests WHERE status = 404; DROP TABLE requests",
    "requests WHERE status = 404;",
    "requests WHERE status = 404 -- AND page_path = '/a'",
    "requests WHERE status = 404 --",
    "requests WHERE status = 404 /* AND page_path = '/a' */",
    "requests WHERE status = 404 /*",
    "requests WHERE /* */ status = 404",
    "requests WHERE status = 404 # comment",
    "requests WHERE status = 404 LIMIT 1",
    "requests WHERE status = 404 OFFSET 1",
    "requests WHERE status = 404 FETCH FIRST ROW ONLY",
    "requests WHERE status = 404 ORDER BY bytes",
    "requests WHERE status = 404 ORDER BY ALL",
    "requests WHERE status = 404 GROUP BY ALL",
    "requests WHERE status = 404 GROUP BY status",
    "requests WHERE status = 404 HAVING count(*) > 1",
    "requests WHERE status = 404 QUALIFY row_number() OVER () = 1",
    "requests WHERE status = 404 WINDOW w AS ()",
    "requests WHERE status = 404 FOR UPDATE",
    "requests WHERE status IN (SELECT 404)",
    "requests WHERE status = (SELECT max(status) FROM requests)",
    "requests WHERE status = ANY (SELECT 404)",
    "requests WHERE status = ALL ([404])",
    "requests WHERE EXISTS (SELECT 1)",
    "requests WHERE EXISTS (FROM views)",
    "requests WHERE (status, bytes) = (404, 1)",
    "requests WHERE (status) = 404",
    "requests WHERE status IN 404",
    "requests WHERE status IN ()",
    "requests WHERE status IN (404,)",
    "requests WHERE status IN (404, NULL)",
    "requests WHERE status IN [404]",
    "requests WHERE status IN (bytes)",
    "requests WHERE status = NULL",
    "requests WHERE status IS 404",
    "requests WHERE status IS DISTINCT FROM 404",
    "requests WHERE status ISNULL",
    "requests WHERE status NOTNULL",
    "requests WHERE status IS TRUE",
    "requests WHERE true",
    "requests WHERE 1 = 1",
    "requests WHERE 404 = status",
    "requests WHERE 1",
    "requests WHERE status",
    "requests WHERE NOT status",
    "requests WHERE status = status",
    "requests WHERE status = bytes",
    "requests WHERE status = 400 + 4",
    "requests WHERE status + 4 = 404",
    "requests WHERE -status = 404",
    "requests WHERE status = - 404",
    "requests WHERE status = +404",
    "requests WHERE status % 2 = 0",
    "requests WHERE status = 0x194",
    "requests WHERE status = 0b1",
    "requests WHERE status = 1_000",
    "requests WHERE status = 1e2",
    "requests WHERE status = 1e400",
    "requests WHERE status = 404.",
    "requests WHERE status = .5",
    "requests WHERE status = 404.0",
    "requests WHERE status = 0404",
    "requests WHERE status = 99999999999999999999",
    "requests WHERE status = ٤٠٤",
    "requests WHERE status = '404'",
    "requests WHERE status = $1",
    "requests WHERE status = $status",
    "requests WHERE status = ?",
    "requests WHERE status = :status",
    "requests WHERE status = @status",
    "requests WHERE status = 404::INTEGER",
    "requests WHERE status::VARCHAR = '404'",
    "requests WHERE CAST(status AS VARCHAR) = '404'",
    "requests WHERE TRY_CAST(page_path AS INTEGER) = 1",
    "requests WHERE status = CASE WHEN true THEN 404 END",
    "requests WHERE lower(page_path) = '/a'",
    "requests WHERE page_path.lower() = '/a'",
    "requests WHERE coalesce(status, 404) = 404",
    "requests WHERE error('x') = 404",
    "requests WHERE getenv('HOME') = 'x'",
    "requests WHERE regexp_matches(page_path, '.*')",
    "requests WHERE COLUMNS(*) = 404",
    "requests WHERE COLUMNS('s.*') = 404",
    "requests WHERE * = 404",
    "requests WHERE requests.status = 404",
    "requests WHERE requests = 404",
    "requests WHERE rowid = 1",
    "requests WHERE row_id = 1",
    "requests WHERE governing = 1",
    "requests WHERE load_number = 1",
    "requests WHERE record_number = 1",
    "requests WHERE view_time > '2026-01-01'",
    'requests WHERE "status" = 404',
    'requests WHERE "requests.status" = 404',
    "requests WHERE `status` = 404",
    "requests WHERE [status] = 404",
    "requests WHERE status == 404",
    "requests WHERE status <=> 404",
    "requests WHERE status = 404 AND",
    "requests WHERE AND status = 404",
    "requests WHERE status = 404 status = 405",
    "requests WHERE status = 404 XOR status = 405",
    "requests WHERE status = 404 && status = 405",
    "requests WHERE status = 404 || status = 405",
    "requests WHERE NOT",
    "requests WHERE ! status = 404",
    "requests WHERE (status = 404",
    "requests WHERE status = 404)",
    "requests WHERE ()",
    "requests WHERE status BETWEEN 400 AND",
    "requests WHERE status BETWEEN 400",
    "requests WHERE status BETWEEN SYMMETRIC 499 AND 400",
    "requests WHERE status LIKE '4%'",
    "requests WHERE request_time LIKE '2026%'",
    "requests WHERE page_path ILIKE '/A%'",
    "requests WHERE page_path SIMILAR TO '/a'",
    "requests WHERE page_path GLOB '/a*'",
    "requests WHERE page_path ~ '/a'",
    "requests WHERE page_path ~~ '/a%'",
    "requests WHERE page_path ^@ '/a'",
    "requests WHERE page_path LIKE ANY ('/a', '/b')",
    "requests WHERE page_path LIKE page_query",
    "requests WHERE page_path LIKE '/a' || '%'",
    "requests WHERE page_path LIKE '/a!' ESCAPE '!'",
    "requests WHERE page_path LIKE '/a!b' ESCAPE '!'",
    "requests WHERE page_path LIKE '/a' ESCAPE ''",
    "requests WHERE page_path LIKE '/a' ESCAPE '!!'",
    "requests WHERE page_path LIKE '/a' ESCAPE 'é'",
    "requests WHERE page_path LIKE '/a' ESCAPE",
    "requests WHERE page_path = '/a' COLLATE NOCASE",
    "requests WHERE page_path COLLATE NOCASE = '/a'",
    "requests WHERE page_path = '/a' '/b'",
    "requests WHERE page_path = E'/\\x61'",
    "requests WHERE page_path = e'/a'",
    "requests WHERE page_path = x'2f61'",
    "requests WHERE page_path = U&'/a'",
    "requests WHERE page_path = $$/a$$",
    "requests WHERE page_path = $a$/a$a$",
    'requests WHERE page_path = "/a"',
    "requests WHERE page_path = '/a",
    "requests WHERE page_path = '/a\0'",
    "requests WHERE page_path = 5",
    "requests WHERE page_path = TRUE",
    "requests WHERE request_kind < 'view'",
    "requests WHERE request_kind BETWEEN 'a' AND 'z'",
    "script_views WHERE not_found",
    "script_views WHERE not_found = 1",
    "script_views WHERE not_found = 'true'",
    "script_views WHERE not_found > FALSE",
    "script_views WHERE cumulative_layout_shift = '0.1'",
    "requests WHERE request_time = 5",
    "requests WHERE request_time = '2026-02-30'",
    "requests WHERE request_time = '2026-11-01 25:00'",
    "requests WHERE request_time = '20261101'",
    "requests WHERE request_time = '2026-W45-1'",
    "requests WHERE request_time = '2026-11-01T10:00Z'",
    "requests WHERE request_time = '2026-11-01 10:00+02'",
    "requests WHERE request_time = 'yesterday'",
    "requests WHERE request_time = 'infinity'",
    "requests WHERE request_time > now()",
    "requests WHERE request_time > now() - INTERVAL 1 DAY",
    "requests WHERE request_time > current_date",
    "requests WHERE request_time = DATE 5",
    "requests WHERE request_time = TIMESTAMP DATE '2026-11-01'",
    "requests WHERE status = DATE '2026-11-01'",
    "requests\u00a0WHERE status = 404",
    "requests WHERE status = 404\u2028AND bytes = 1",
    "requests WHERE \u017ftatus = 404",
    "requests WHERE status = 404\x00",
    "requests WHERE " + "(" * 200 + "status = 404" + ")" * 200,
    "requests WHERE " + "NOT " * 200 + "status = 404",
    "requests WHERE " + "NOT " * CONDITION_DEPTH_MAX + "status = 404",
    f"requests WHERE page_path = '{'a' * SELECTION_CHARACTERS_MAX}'",
    "requests WHERE request_time IN ("
    + "'2026-11-01', " * (SELECTION_CHARACTERS_MAX // 16)
    + "'2026-11-01')",
]


@pytest.mark.parametrize("text", REFUSED)
def test_what_the_grammar_lacks_is_refused(text: str) -> None:
    """Anything but one condition over one relation is refused, also what could hide another condition."""
    with pytest.raises(QueryError) as error:
        parse_row_selection(text)
    assert error.value.code in {"query-not-allowed", "query-too-long"}
    assert error.value.hint


def test_a_refusal_names_the_piece() -> None:
    """The error has the piece that is not allowed, and its place."""
    with pytest.raises(QueryError, match=re.escape("`limit` is not allowed at character 29")):
        parse_row_selection("requests WHERE status = 404 LIMIT 1")
    with pytest.raises(QueryError, match=re.escape("`requests` has no column `statsu` (at character 16)")):
        parse_row_selection("requests WHERE statsu = 404")


def test_a_column_that_may_not_be_used_is_refused() -> None:
    """A refused column is found anywhere in the condition."""
    selection = parse_row_selection("requests WHERE status = 404 OR NOT (bytes > 1 AND host IN ('a'))")
    check_columns(selection, {"referrer": "is refused"})
    with pytest.raises(QueryError, match="`host` is refused"):
        check_columns(selection, {"host": "is refused"})


# The same rows as an independent evaluation

NOW = datetime(2026, 11, 22)  # noqa: DTZ001  # UTC without a zone
TEXTS = [
    "/",
    "/wp-login",
    "/it's",
    "100%",
    "a_b",
    "a!b",
    "é",
    "e\u0301",
    "😀",
    "\\",
    "A",
    "a",
    "line\nbreak",
    "view",
]
POOLS: dict[ValueType, list[Any]] = {
    ValueType.TEXT: TEXTS,
    ValueType.WORD: ["view", "download", "other", "desktop", "phone"],
    ValueType.INTEGER: [0, 1, 2, 200, 404],
    ValueType.DECIMAL: [Decimal(text) for text in ("0", "-0.5", "0.1", "0.3", "1", "0.123456789012")],
    ValueType.BOOLEAN: [True, False],
    ValueType.TIME: [datetime(2026, 11, 1) + timedelta(hours=hours) for hours in (0, 1, 24, 36.5)],  # noqa: DTZ001
}
PATTERNS = ["%", "_", "__", "/%", "%'%", "a_b", "%é", "", "%\n%", "_%_", "100%", "\\", "A%"]
ESCAPED_PATTERNS = ["a!_b", "100!%", "a!!b", "%!%", "!_", "%"]
OPERATORS: tuple[Operator, ...] = ("=", "<>", "<", "<=", ">", ">=")
DATABASE_TYPES = {
    ValueType.TEXT: {"VARCHAR"},
    ValueType.INTEGER: {"USMALLINT", "UINTEGER", "BIGINT", "UBIGINT"},
    ValueType.DECIMAL: {"DOUBLE"},
    ValueType.BOOLEAN: {"BOOLEAN"},
    ValueType.TIME: {"TIMESTAMP"},
}


def relation_columns(relation: str) -> list[str]:
    """Return the columns that a selection may use."""
    return [*RELATIONS[relation].columns, "version"]


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """Make the relations as people see them: with the store's types, and with keys as text."""
    with duckdb.connect(":memory:") as connection:
        connection.execute(read_sql("store", "schema"))
        for name in RELATIONS:
            keys = [column for column in VISITOR_KEY_COLUMNS if column in RELATIONS[name].columns]
            replaced = ", ".join(f"{key}::VARCHAR AS {key}" for key in keys)
            columns = ", ".join(relation_columns(name))
            connection.execute(
                f"CREATE TABLE seen_{name} AS SELECT 0 AS number, * FROM "  # names of ours
                f"(SELECT {columns} FROM (SELECT * REPLACE ({replaced}) FROM {name}))"
            )
        yield connection


def test_each_column_has_the_type_of_the_store(database: duckdb.DuckDBPyConnection) -> None:
    """The type that decides what values a column is compared with is that of the store."""
    for name in RELATIONS:
        described = database.execute(f"DESCRIBE seen_{name}").fetchall()
        for column, database_type, *_ in described[1:]:
            value_type = find_value_type(column)
            if value_type is ValueType.WORD:
                assert database_type.startswith("ENUM"), column
            else:
                assert database_type in DATABASE_TYPES[value_type], column


def values_of(column: str) -> list[Any]:
    """Return values that a column can have."""
    value_type = find_value_type(column)
    if value_type is ValueType.WORD:
        words = {
            "request_kind": ["view", "download"],
            "device_kind": ["desktop", "phone"],
            "view_source": ["both", "log"],
        }
        return words[column]
    return POOLS[value_type]


def make_rows(relation: str) -> list[dict[str, Any]]:
    """Return rows in which each column has each of its values and none, in many combinations."""
    columns = relation_columns(relation)
    return [
        {
            column: (values[(number * step + shift) % len(values)] if (number + shift) % 5 else None)
            for shift, column in enumerate(columns)
            for values in (values_of(column),)
        }
        for number, step in product(range(15), (1, 2, 3))
    ]


ROWS = {relation: make_rows(relation) for relation in RELATIONS}


@pytest.fixture(scope="module")
def filled(database: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Insert the rows, numbered from 0 on."""
    for relation, rows in ROWS.items():
        places = ", ".join("?" * (len(rows[0]) + 1))
        database.executemany(
            f"INSERT INTO seen_{relation} VALUES ({places})",  # names of ours
            [[number, *row.values()] for number, row in enumerate(rows)],
        )
    return database


def evaluate(condition: Condition, row: dict[str, Any]) -> bool | None:
    """Return whether a condition holds for a row, by the three-valued logic of SQL; None means unknown."""
    match condition:
        case Negation(inner):
            result = evaluate(inner, row)
            return None if result is None else not result
        case Conjunction(conditions):
            results = [evaluate(inner, row) for inner in conditions]
            return False if False in results else None if None in results else True
        case Disjunction(conditions):
            results = [evaluate(inner, row) for inner in conditions]
            return True if True in results else None if None in results else False
        case Absence(column):
            return row[column] is None
        case predicate:
            value = row[predicate.column]
            return None if value is None else evaluate_value(predicate, as_stored(value))


def as_stored(value: Value) -> Any:
    return float(value) if isinstance(value, Decimal) else value


def evaluate_value(predicate: ColumnComparison | Membership | Range | Pattern, value: Any) -> bool:
    """Return whether a predicate holds for a value."""
    match predicate:
        case ColumnComparison(_, operator, other):
            other = as_stored(other)
            results = {"=": value == other, "<>": value != other}
            return bool(results[operator] if operator in results else ordered(operator, value, other))
        case Membership(_, values):
            return value in [as_stored(other) for other in values]
        case Range(_, least, greatest):
            return bool(as_stored(least) <= value <= as_stored(greatest))
        case Pattern(_, pattern, escape):
            return matches(value, pattern, escape)


def ordered(operator: str, value: Any, other: Any) -> bool:
    return bool(
        {"<": value < other, "<=": value <= other, ">": value > other, ">=": value >= other}[operator]
    )


def matches(text: str, pattern: str, escape: str | None) -> bool:
    """Return whether a text matches a pattern, tried character by character."""
    if not pattern:
        return not text
    if pattern[0] == escape:
        return text[:1] == pattern[1] and matches(text[1:], pattern[2:], escape)
    if pattern[0] == "%":
        return any(matches(text[start:], pattern[1:], escape) for start in range(len(text) + 1))
    return (
        (pattern[0] == "_" or text[:1] == pattern[0])
        and bool(text)
        and matches(text[1:], pattern[1:], escape)
    )


def predicates(column: str) -> st.SearchStrategy[Condition]:
    """Return a strategy for predicates on a column."""
    value_type, named = find_value_type(column), st.just(column)
    values = st.sampled_from(POOLS[value_type])
    has_order = value_type not in {ValueType.WORD, ValueType.BOOLEAN}
    kinds: list[st.SearchStrategy[Condition]] = [
        st.just(Absence(column)),
        st.builds(
            ColumnComparison, named, st.sampled_from(OPERATORS if has_order else OPERATORS[:2]), values
        ),
        st.builds(Membership, named, st.one_of(st.tuples(values), st.tuples(values, values))),
    ]
    if has_order:
        kinds.append(st.builds(Range, named, values, values))
    if value_type in {ValueType.TEXT, ValueType.WORD}:
        kinds.append(st.builds(Pattern, named, st.sampled_from(PATTERNS)))
        kinds.append(st.builds(Pattern, named, st.sampled_from(ESCAPED_PATTERNS), st.just("!")))
    return st.one_of(kinds)


def extend(conditions: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    """Return a strategy for conditions that are composed of others."""
    several = st.one_of(st.tuples(conditions, conditions), st.tuples(conditions, conditions, conditions))
    return st.one_of(
        st.builds(Negation, conditions), st.builds(Conjunction, several), st.builds(Disjunction, several)
    )


CONDITIONS = {
    relation: st.recursive(
        st.one_of([predicates(column) for column in relation_columns(relation)]), extend, max_leaves=6
    )
    for relation in RELATIONS
}
SELECTIONS = st.one_of(
    [st.builds(RowSelection, st.just(relation), CONDITIONS[relation]) for relation in RELATIONS]
)


@given(SELECTIONS)
@settings(max_examples=by_depth(standard=300, thorough=20_000))
def test_a_selection_selects_what_it_says(filled: duckdb.DuckDBPyConnection, selection: RowSelection) -> None:
    """A condition selects the rows for which an independent evaluation holds, and its text means the same."""
    parsed = parse_row_selection(str(selection))
    assert parsed == selection
    found = filled.execute(
        f"SELECT number FROM seen_{selection.relation} WHERE {parsed.sql.text} ORDER BY number"  # rendered
    ).fetchall()
    rows = ROWS[selection.relation]
    assert [number for (number,) in found] == [
        number for number, row in enumerate(rows) if evaluate(selection.condition, row)
    ]
    timeless = filled.execute(
        f"SELECT number FROM seen_{selection.relation} WHERE {parsed.timeless_sql.text}"  # rendered
    ).fetchall()
    assert set(found) <= set(timeless)


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PurposeView]:
    """Store requests, and permit all of them to a recipient."""
    folder = tmp_path_factory.mktemp("store")
    store = DuckDBStore(folder, "256MB")
    rows = [{**row, "visitor_id": number % 3 or None} for number, row in enumerate(ROWS["requests"])]
    rows = [{**row, "request_time": row["request_time"] or NOW, "version": 1, "governing": 1} for row in rows]
    store.load_segments([write_segment(folder, admitted_records(*rows))])
    forms = [form for forms in RELATIONS["requests"].columns.values() for form in forms]
    cells = {
        Cell(form.category, GROUND_ONLY_PURPOSE, "authority", "checking"): {FULL: None} for form in forms
    }
    yield PurposeView(store, [Bounds(cells, {})], GROUND_ONLY_PURPOSE, NOW, "", "authority", "checking")
    store.close()


@given(CONDITIONS["requests"])
@settings(max_examples=by_depth(standard=40, thorough=2_000))
def test_a_recipient_gets_the_rows_of_the_selection(view: PurposeView, condition: Condition) -> None:
    """Through a purpose view, a selection reads those of the permitted rows for which its condition holds."""
    columns = RELATIONS["requests"].columns

    def read(sql: SqlFragment | None) -> list[dict[str, Any]]:
        return [
            {**row, "version": 1, "visitor_id": row["visitor_id"] and f"{row['visitor_id']:016x}"}
            for row in view.read_rows("requests", None, sql, columns, 1_000, 60).to_dicts()
        ]

    selection = parse_row_selection(str(RowSelection("requests", condition)))
    expected = [row for row in read(None) if evaluate(condition, row)]
    assert sorted(map(str, read(selection.sql))) == sorted(map(str, expected))


PIECES = st.one_of(
    st.sampled_from(
        [
            "requests",
            "views",
            "WHERE",
            "AND",
            "OR",
            "NOT",
            "IN",
            "LIKE",
            "BETWEEN",
            "IS",
            "NULL",
            "ESCAPE",
            "(",
            ")",
            ",",
            "=",
            "<>",
            "!=",
            "<",
            "<=",
            ">",
            ">=",
            "-",
            "--",
            "/*",
            "*/",
            ";",
            "'",
            "''",
            "$1",
            "*",
            ".",
        ]
    ),
    st.sampled_from(
        [*RELATIONS["requests"].columns, "version", "rowid", "TRUE", "DATE", "TIMESTAMP", "SELECT", "FROM"]
    ),
    st.sampled_from(
        ["404", "-1", "0x10", "1e400", "'a'", "'a''b'", "'%'", "'2026-11-01'", "\u00a0", "\n", '"status"']
    ),
    st.text(max_size=3),
)


@st.composite
def changed_texts(draw: st.DrawFn) -> str:
    """Return the text of a selection with a piece inserted, or with a part exchanged or left out."""
    text = str(draw(SELECTIONS))
    start = draw(st.integers(0, len(text)))
    end = min(len(text), start + draw(st.integers(0, 8)))
    separator = draw(st.sampled_from(["", " "]))
    return f"{text[:start]}{separator}{draw(PIECES)}{separator}{text[end:]}"


@given(
    st.one_of(
        changed_texts(),
        st.lists(PIECES, max_size=10).map(" ".join),
        st.lists(PIECES, max_size=10).map(lambda pieces: " ".join(["requests WHERE status =", *pieces])),
        st.text(),
    )
)
@settings(max_examples=by_depth(standard=500, thorough=20_000))
def test_any_text_is_refused_or_keeps_its_meaning(filled: duckdb.DuckDBPyConnection, text: str) -> None:
    """Whatever is given is refused, or its rendered text parses to the same tree and can be run."""
    try:
        selection = parse_row_selection(text)
    except QueryError:
        return
    assert parse_row_selection(str(selection)) == selection
    filled.execute(f"SELECT count(*) FROM seen_{str(selection)}").fetchall()  # noqa: RUF010  # rendered
