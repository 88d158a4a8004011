"""The schema of the store and its numbered migrations.

`sql/schema.sql` makes a new store. A change to it comes with a migration `sql/migrations/NNNN_NAME.sql`, numbered from
2, that makes the same of a store of the schema before.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from importlib import resources

import duckdb

from avowal.clock import utc_now
from avowal.errors import StoreError
from avowal.sql_files import read_sql

CREATE_MIGRATIONS_TABLE = """
CREATE TABLE schema_migrations (number UINTEGER PRIMARY KEY, applied_at TIMESTAMP NOT NULL)
"""

Transaction = Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]]
"""Opens a transaction of the store."""


def read_schema() -> str:
    """Return the SQL of the whole schema."""
    return f"{read_sql('store', 'schema')}\n{CREATE_MIGRATIONS_TABLE}"


def read_migrations() -> list[str]:
    """Return the SQL of the migrations, from number 2 on."""
    folder = resources.files("avowal.store") / "sql" / "migrations"
    if not folder.is_dir():
        return []
    files = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name
    )
    return [file.read_text(encoding="utf-8") for file in files]


def migrate(transaction: Transaction, schema: str, migrations: Sequence[str]) -> None:
    """Create the schema in an empty store, or apply the migrations that a store lacks, each in a transaction.

    Raises StoreError if the store was made by an earlier build without numbered schemas, or by a newer version.
    """
    newest = 1 + len(migrations)
    with transaction() as cursor:
        applied = last_applied(cursor)
        if applied == 0:
            cursor.execute(schema)
            _record(cursor, newest)
            return
    if applied > newest:
        raise StoreError(
            f"the store was made by a newer version of Avowal (schema {applied}, this version knows {newest})",
            "use the newer version",
            code="newer-store",
        )
    for number, text in enumerate(migrations[applied - 1 :], applied + 1):
        with transaction() as cursor:
            cursor.execute(text)
            _record(cursor, number)


def last_applied(cursor: duckdb.DuckDBPyConnection) -> int:
    """Return the number of the last migration that was applied; 0 if the store is empty."""
    rows = cursor.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main'").fetchall()
    tables = {name for (name,) in rows}
    if not tables:
        return 0
    if "schema_migrations" not in tables:
        raise StoreError(
            "the store was made by an earlier build of Avowal, whose format this one does not read",
            "use another data folder and import the logs again",
            code="earlier-store",
        )
    ((number,),) = cursor.execute("SELECT coalesce(max(number), 0) FROM schema_migrations").fetchall()
    if number == 0:
        raise StoreError(
            "the store does not say which schema it has",
            "put back the newest `avowal.duckdb` of this folder, with its `.wal`",
            code="store-damaged",
        )
    return int(number)


def _record(cursor: duckdb.DuckDBPyConnection, number: int) -> None:
    cursor.execute("INSERT INTO schema_migrations VALUES (?, ?)", [number, utc_now()])
