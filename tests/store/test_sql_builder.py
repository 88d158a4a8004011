"""The SQL builder: any text stays a name or a value."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from avowal.store import sql_builder
from avowal.store.sql_builder import (
    FALSE,
    TRUE,
    all_of,
    any_of,
    compose,
    constant,
    identifier,
    join,
    literal,
    select_case,
)

HOSTILE = [
    "x' OR '1'='1",
    "'; DROP TABLE kept; --",
    '"; DROP TABLE kept; --',
    "/* comment */",
    "-- comment",
    "{braces}",
    "{0}",
    "$parameter",
    "?",
    "back\\slash\\'",
    "E'\\x27'",
    "line\nbreak",
    "ünïcödé \u2019quotes\u2019",
    "",
]


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as connection:
        connection.execute("CREATE TABLE kept (a INTEGER)")
        connection.execute("INSERT INTO kept VALUES (1)")
        yield connection
        assert connection.execute("SELECT * FROM kept").fetchall() == [(1,)]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_stays_a_value(database: duckdb.DuckDBPyConnection, text: str) -> None:
    """The text is returned unchanged."""
    statement = compose("SELECT {value}", value=literal(text)).text
    assert database.execute(statement).fetchall() == [(text,)]


@pytest.mark.parametrize("name", [name for name in HOSTILE if name])
def test_a_hostile_name_stays_a_name(database: duckdb.DuckDBPyConnection, name: str) -> None:
    """A column and a table can have this name."""
    table, column = identifier("main", name), identifier(name)
    for template in (
        "CREATE TABLE {table} ({column} INTEGER)",
        "INSERT INTO {table} ({column}) VALUES (7)",
        "SELECT {column} FROM {table} WHERE {column} = 7",
    ):
        cursor = database.execute(compose(template, table=table, column=column).text)
    assert ([description[0] for description in cursor.description or []], cursor.fetchall()) == (
        [name],
        [(7,)],
    )
    database.execute(compose("DROP TABLE {table}", table=table).text)


def random_values(count: int) -> Iterator[str | int | datetime | None]:
    """Yield values of each type; the texts consist mostly of characters with a meaning in SQL."""
    generator = random.Random(1)
    for _ in range(count):
        yield "".join(generator.choices("'\"\\;-/*{}$?%\n \u2019aé", k=generator.randrange(12)))
        yield generator.randrange(-(2**63), 2**64)
        yield datetime(1, 1, 1) + timedelta(microseconds=generator.randrange(315_537_897_599_999_999))  # noqa: DTZ001
    yield from (None, True, False, 0, datetime.min, datetime.max)


def test_a_literal_keeps_value_and_type(database: duckdb.DuckDBPyConnection) -> None:
    """Each value is returned unchanged and with its type."""
    for value in random_values(300):
        ((result,),) = database.execute(compose("SELECT {value}", value=literal(value)).text).fetchall()
        assert (result, type(result)) == (value, type(value))


@pytest.mark.parametrize("make", [literal, identifier])
def test_nul_is_refused(make: object) -> None:
    """DuckDB would cut off the statement at a NUL character."""
    with pytest.raises(ValueError, match="NUL"):
        make("a\0b")  # type: ignore[operator]  # both functions take a text


def test_a_fragment_is_not_used_as_a_template() -> None:
    """Braces in a value are not replaced."""
    fragment = compose("{a} {b}", a=literal("{b}"), b=literal("x"))
    assert fragment.text == "'{b}' 'x'"
    with pytest.raises(KeyError):
        compose("{missing}")


def test_conditions_are_combined(database: duckdb.DuckDBPyConnection) -> None:
    """Each condition keeps its precedence, and an empty list gives the neutral value."""
    parts = [constant("true OR false"), constant("false")]
    assert (all_of([]), any_of([])) == (TRUE, FALSE)
    for condition, expected in ((all_of(parts), False), (any_of(parts), True), (all_of([TRUE]), True)):
        assert database.execute(compose("SELECT {value}", value=condition).text).fetchall() == [(expected,)]


def test_a_case_without_conditions_is_a_typed_null(database: duckdb.DuckDBPyConnection) -> None:
    """A hidden column keeps its type."""
    masked = select_case([], constant("a"))
    case = select_case([(constant("a = 1"), literal("one"))], constant("''"))
    statement = compose("SELECT {columns} FROM kept", columns=join([masked, case])).text
    assert database.execute(f"DESCRIBE {statement}").fetchall()[0][1] == "INTEGER"
    assert database.execute(statement).fetchall() == [(None, "one")]


def test_only_the_builder_and_group_queries_create_fragments() -> None:
    """No other module wraps a text as an SQL fragment."""
    root = Path(sql_builder.__file__).parents[1]
    wrapping = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if "SqlFragment(" in path.read_text(encoding="utf-8")
    }
    assert wrapping == {"store/sql_builder.py", "use/group_query.py"}
