"""What the files of a folder may hold: tables and columns that are known, and no others."""

import sqlite3
from collections.abc import Iterator, Sequence
from importlib import resources

import duckdb

from avowal.register.register import SqliteRegister
from avowal.store.migrations import read_schema

SchemaItem = tuple[str, str, str]
"""A table, a column of it or what else there is, and its type or text."""

STORE_SCHEMA_QUERY = """
SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal AND schema_name = 'main'
UNION ALL
SELECT view_name, 'view', sql FROM duckdb_views() WHERE NOT internal AND schema_name = 'main'
ORDER BY ALL
"""


def find_store_schema_mismatches(schema_rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield how the store's tables differ from those that its migrations make; `found` is the answer to STORED."""
    with duckdb.connect(":memory:") as fresh:
        fresh.execute(read_schema())
        expected: set[SchemaItem] = {
            (table, column, kind) for table, column, kind in fresh.execute(STORE_SCHEMA_QUERY).fetchall()
        }
    yield from _differences("the store", {(one[0], one[1], one[2]) for one in schema_rows}, expected)


def find_register_schema_mismatches(register: SqliteRegister) -> Iterator[str]:
    """Yield how the register's tables and triggers differ from those that its migrations make."""
    sql = "SELECT type, name, coalesce(sql, '') FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
    fresh = sqlite3.connect(":memory:")
    for text in _migrations("register"):
        fresh.executescript(text)
    expected = {(kind, name, " ".join(text.split())) for kind, name, text in fresh.execute(sql)}
    fresh.close()
    with register.engine.connect() as connection:
        found = {(kind, name, " ".join(text.split())) for kind, name, text in connection.exec_driver_sql(sql)}
    yield from _differences("the register", found, expected)


def _differences(where: str, found: set[SchemaItem], expected: set[SchemaItem]) -> Iterator[str]:
    for one, other, _ in sorted(found - expected):
        yield f"{where} has `{one}` `{other}`, which nothing declares"
    for one, other, _ in sorted(expected - found):
        yield f"{where} lacks `{one}` `{other}`"


def _migrations(package: str, *folders: str) -> Iterator[str]:
    files = resources.files(f"avowal.{package}").joinpath("sql", *folders).iterdir()
    for file in sorted((one for one in files if one.name.endswith(".sql")), key=lambda one: one.name):
        yield file.read_text(encoding="utf-8")
