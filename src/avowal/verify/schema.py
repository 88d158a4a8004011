"""Check that the files of a folder have the tables and columns of their schema, and no others."""

import sqlite3
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import closing
from functools import cache

import duckdb

from avowal.register.register import Register
from avowal.register.schema import read_schema_items, read_scripts
from avowal.store.migrations import read_schema
from avowal.verify.store_state import SQL, StoreState
from avowal.verify.verification import Finding, FindingCode

SchemaItem = tuple[str, str, str]
"""The name of a table or the type of an item; a column or the name of the item; its type or its SQL."""


def check_store_schema(state: StoreState) -> Iterator[Finding]:
    """Compare the tables and views of the store with those of its schema."""
    actual = {(table, column, kind) for table, column, kind in state.schema_rows}
    yield from _differences("store-schema-mismatch", "the store", actual, _expected_store_schema())


def check_register_schema(register: Register) -> Iterator[Finding]:
    """Compare the tables and triggers of the register with those of its schema."""
    with register.database.read() as connection:
        actual = read_schema_items(connection)
    yield from _differences("register-schema-mismatch", "the register", actual, _expected_register_schema())


@cache
def _expected_store_schema() -> frozenset[SchemaItem]:
    with duckdb.connect(":memory:") as fresh:
        fresh.execute(read_schema())
        rows = fresh.execute(SQL["store_schema"]).fetchall()
    return frozenset((table, column, kind) for table, column, kind in rows)


@cache
def _expected_register_schema() -> frozenset[SchemaItem]:
    with closing(sqlite3.connect(":memory:")) as fresh:
        for script in read_scripts():
            fresh.executescript(script)
        return read_schema_items(fresh)


def _differences(
    code: FindingCode, place: str, actual: AbstractSet[SchemaItem], expected: AbstractSet[SchemaItem]
) -> Iterator[Finding]:
    for first, second, _ in sorted(actual - expected):
        yield Finding(code, f"{place} has `{first}` `{second}`, which its schema does not declare")
    for first, second, _ in sorted(expected - actual):
        yield Finding(code, f"{place} lacks `{first}` `{second}`")
