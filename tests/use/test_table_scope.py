"""Each name of a table in a query is that of a WITH that is visible there, or of a relation, and of nothing else."""

from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avowal.errors import QueryError
from avowal.use.purpose_view import RELATIONS
from avowal.use.sql_allow_list import validate_query
from support.depth import by_depth

NAMES = [
    "a",
    "b",
    "consents",
    "sqlite_master",
    "duckdb_tables",
    "A",
    '"b"',
    "memory",
    "views",
    "requests",
    "Visits",
]
"""Names that a query gives to a WITH or reads from: of relations, of other tables, and of nothing."""


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """Make the tables of the relations, and before them, on the search path, a table with a secret for every name."""
    with duckdb.connect() as connection:
        for name in RELATIONS:
            connection.execute(f"CREATE TABLE {name} AS SELECT 'public' AS host")
        for name in {name.strip('"').lower() for name in NAMES} | set(RELATIONS):
            connection.execute(f"CREATE TEMP TABLE {name} AS SELECT 'secret' AS host")
        yield connection


def sources(query: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Make what may stand after FROM: a name, a query, or a join of both."""
    source = st.one_of(
        st.sampled_from(NAMES),
        st.sampled_from(NAMES).map(lambda name: f"{name} AS s"),
        st.sampled_from(NAMES).map(lambda name: f"({name})"),
        query.map(lambda text: f"({text}) AS q"),
    )
    return st.one_of(
        source, st.tuples(source, source).map(lambda pair: f"{pair[0]} JOIN {pair[1]} USING (host)")
    )


def extend(query: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Make larger queries of queries: with one or two WITHs, and of two of them."""
    definition = st.tuples(st.sampled_from(NAMES), query).map(lambda pair: f"{pair[0]} AS ({pair[1]})")
    definitions = st.lists(definition, min_size=1, max_size=2).map(", ".join)
    return st.one_of(
        sources(query).map(lambda source: f"SELECT host FROM {source}"),
        st.tuples(st.sampled_from(NAMES), query, sources(query)).map(
            lambda parts: (
                f"WITH {parts[0]} AS ({parts[1]}) SELECT host FROM {parts[0]} JOIN {parts[2]} USING (host)"
            )
        ),
        st.tuples(st.sampled_from(NAMES), query).map(
            lambda parts: f"WITH {parts[0]} AS ({parts[1]}) SELECT host FROM {parts[0]}"
        ),
        st.tuples(definitions, sources(query)).map(lambda pair: f"WITH {pair[0]} SELECT host FROM {pair[1]}"),
        st.tuples(query, query).map(lambda pair: f"({pair[0]}) UNION ALL ({pair[1]})"),
    )


QUERIES = st.recursive(
    st.sampled_from(NAMES).map(lambda name: f"SELECT host FROM {name}"), extend, max_leaves=8
)


@settings(max_examples=by_depth(standard=300, thorough=20_000))
@given(QUERIES)
def test_no_name_reaches_another_table(database: duckdb.DuckDBPyConnection, text: str) -> None:
    """A query that is not refused reads the tables of the relations alone, wherever its names stand."""
    try:
        sql = validate_query(text, {}, 1_000).sql
    except QueryError:
        return
    try:
        rows = database.execute(sql).fetchall()
    except duckdb.BinderException:  # two columns of one name
        return
    assert {host for (host,) in rows} <= {"public"}
