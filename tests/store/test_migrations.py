"""The numbered migrations of the store's schema."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from avowal.errors import StoreError
from avowal.store.duckdb_store import DuckDBStore
from avowal.store.migrations import migrate, read_migrations, read_schema
from avowal.verify.store_state import SQL

OLD_SCHEMA = "CREATE TABLE requests (page_path VARCHAR);"
NEW_SCHEMA = "CREATE TABLE requests (page_path VARCHAR, country VARCHAR);"
TABLE = "CREATE TABLE schema_migrations (number UINTEGER PRIMARY KEY, applied_at TIMESTAMP NOT NULL);"
ADD_COUNTRY = "ALTER TABLE requests ADD COLUMN country VARCHAR;"


class Database:
    """An empty store in memory, with the transactions of DuckDBStore."""

    def __init__(self) -> None:
        self.connection = duckdb.connect(":memory:")

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Commit at the end, or roll back on an error."""
        self.connection.execute("BEGIN")
        try:
            yield self.connection
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def columns(self) -> list[tuple[str, str, str]]:
        """Return every table, column and type."""
        return self.connection.execute(SQL["store_schema"]).fetchall()

    def applied(self) -> list[int]:
        """Return the numbers of the migrations that were applied."""
        rows = self.connection.execute("SELECT number FROM schema_migrations ORDER BY number").fetchall()
        return [number for (number,) in rows]


@pytest.fixture
def database() -> Iterator[Database]:
    database = Database()
    yield database
    database.connection.close()


def test_a_migrated_store_has_the_schema_of_a_new_one(database: Database) -> None:
    """A migration is applied once, keeps the stored rows and leads to the schema of a new store."""
    migrate(database.transaction, OLD_SCHEMA + TABLE, [])
    database.connection.execute("INSERT INTO requests VALUES ('/a')")
    for _ in range(2):
        migrate(database.transaction, NEW_SCHEMA + TABLE, [ADD_COUNTRY])
    assert database.applied() == [1, 2]
    assert database.connection.execute("SELECT * FROM requests").fetchall() == [("/a", None)]
    fresh = Database()
    migrate(fresh.transaction, NEW_SCHEMA + TABLE, [ADD_COUNTRY])
    assert fresh.columns() == database.columns()
    assert fresh.applied() == [2]


def test_a_failed_migration_changes_nothing(database: Database) -> None:
    """The migrations before it stay applied."""
    migrate(database.transaction, OLD_SCHEMA + TABLE, [])
    broken = [ADD_COUNTRY, "CREATE TABLE half (a INTEGER); SELECT * FROM nowhere;"]
    with pytest.raises(duckdb.CatalogException):
        migrate(database.transaction, NEW_SCHEMA + TABLE, broken)
    assert database.applied() == [1, 2]
    assert "half" not in {table for table, _, _ in database.columns()}


def test_a_new_store_needs_no_migration() -> None:
    """A new store has the number of the last migration."""
    database = Database()
    migrate(database.transaction, read_schema(), read_migrations())
    assert database.applied() == [1 + len(read_migrations())]


def test_a_store_of_an_earlier_build_is_refused(tmp_path: Path) -> None:
    """The error has a hint, and the file is not changed."""
    with duckdb.connect(tmp_path / "avowal.duckdb") as old:
        old.execute("CREATE TABLE migrations (number UINTEGER PRIMARY KEY, done_at TIMESTAMP)")
        old.execute("CREATE TABLE looks (look UBIGINT)")
    with pytest.raises(StoreError, match="earlier build") as error_info:
        DuckDBStore(tmp_path, "256MB")
    assert error_info.value.hint
    with duckdb.connect(tmp_path / "avowal.duckdb") as old:
        assert len(old.execute("SELECT * FROM duckdb_tables()").fetchall()) == 2
