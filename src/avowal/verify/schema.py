"""Check that the files of a folder have the tables and columns of their schema, and no others."""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from functools import cache
from pathlib import Path

import duckdb

from avowal.register.register import Register
from avowal.register.schema import read_declared_items, read_schema_items
from avowal.store.interface import Store
from avowal.store.migrations import read_schema
from avowal.verify.store_state import SQL
from avowal.verify.verification import Finding, FindingCode

SchemaItem = tuple[str, str, str | None]
"""The name of a table or the type of an item; a column or the name of the item; its type or its SQL."""


def check_store_schema(store: Store) -> Iterator[Finding]:
    """Compare tables, constraints, views, macros, types, sequences and indexes of the store with its schema."""
    yield from _compare_store_schema(store.query(SQL["store_schema"], {}).rows)


def check_schema_of_closed_store(path: Path) -> Iterator[Finding]:
    """Compare the schema of a store that no process can open as one; yields nothing if its file cannot be read."""
    with suppress(duckdb.Error), duckdb.connect(path, read_only=True) as file:
        yield from _compare_store_schema(file.execute(SQL["store_schema"]).fetchall())


def _compare_store_schema(rows: Iterable[Sequence[str]]) -> Iterator[Finding]:
    actual = {(name, part, text) for name, part, text in rows}
    yield from _differences("store-schema-mismatch", "the store", actual, _expected_store_schema())


def check_register_schema(register: Register) -> Iterator[Finding]:
    """Compare the tables and triggers of the register with those of its schema."""
    with register.database.read() as connection:
        actual = read_schema_items(connection)
    yield from _differences("register-schema-mismatch", "the register", actual, read_declared_items())


@cache
def _expected_store_schema() -> frozenset[SchemaItem]:
    with duckdb.connect(":memory:") as fresh:
        fresh.execute(read_schema())
        rows = fresh.execute(SQL["store_schema"]).fetchall()
    return frozenset((name, part, text) for name, part, text in rows)


def _differences(
    code: FindingCode, place: str, actual: AbstractSet[SchemaItem], expected: AbstractSet[SchemaItem]
) -> Iterator[Finding]:
    for first, second, _ in sorted(actual - expected, key=str):
        yield Finding(code, f"{place} has `{first}` `{second}`, which its schema does not declare")
    for first, second, _ in sorted(expected - actual, key=str):
        yield Finding(code, f"{place} lacks `{first}` `{second}`")
