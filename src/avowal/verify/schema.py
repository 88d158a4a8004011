"""Check that the files of a folder have the tables and columns of their schema, and no others."""

import sqlite3
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import closing
from functools import cache
from importlib import resources

import duckdb

from avowal.register.register import SqliteRegister
from avowal.store.migrations import read_schema
from avowal.verify.store_state import STORE_SCHEMA_QUERY, StoreState
from avowal.verify.verification import Finding, FindingCode

SchemaItem = tuple[str, str, str]
"""The name of a table or the type of an item; a column or the name of the item; its type or its SQL."""

REGISTER_SCHEMA_QUERY = (
    "SELECT type, name, coalesce(sql, '') FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
)


def check_store_schema(state: StoreState) -> Iterator[Finding]:
    """Compare the tables and views of the store with those of its schema."""
    found = {(table, column, kind) for table, column, kind in state.schema_rows}
    yield from _differences("store-schema-mismatch", "the store", found, _expected_store_schema())


def check_register_schema(register: SqliteRegister) -> Iterator[Finding]:
    """Compare the tables and triggers of the register with those of its schema."""
    with register.engine.connect() as connection:
        rows = connection.exec_driver_sql(REGISTER_SCHEMA_QUERY)
        found = {(kind, name, " ".join(text.split())) for kind, name, text in rows}
    yield from _differences("register-schema-mismatch", "the register", found, _expected_register_schema())


@cache
def _expected_store_schema() -> frozenset[SchemaItem]:
    with duckdb.connect(":memory:") as fresh:
        fresh.execute(read_schema())
        rows = fresh.execute(STORE_SCHEMA_QUERY).fetchall()
    return frozenset((table, column, kind) for table, column, kind in rows)


@cache
def _expected_register_schema() -> frozenset[SchemaItem]:
    with closing(sqlite3.connect(":memory:")) as fresh:
        for text in _migrations("register"):
            fresh.executescript(text)
        rows = fresh.execute(REGISTER_SCHEMA_QUERY).fetchall()
    return frozenset((kind, name, " ".join(text.split())) for kind, name, text in rows)


def _differences(
    code: FindingCode, place: str, found: AbstractSet[SchemaItem], expected: AbstractSet[SchemaItem]
) -> Iterator[Finding]:
    for first, second, _ in sorted(found - expected):
        yield Finding(code, f"{place} has `{first}` `{second}`, which its schema does not declare")
    for first, second, _ in sorted(expected - found):
        yield Finding(code, f"{place} lacks `{first}` `{second}`")


def _migrations(package: str, *folders: str) -> Iterator[str]:
    files = resources.files(f"avowal.{package}").joinpath("sql", *folders).iterdir()
    for file in sorted((one for one in files if one.name.endswith(".sql")), key=lambda one: one.name):
        yield file.read_text(encoding="utf-8")
