"""The schema of the register: a new file is created, and an older one is migrated."""

import sqlite3
from contextlib import closing
from pathlib import Path

from avowal.register.database import Database
from avowal.register.register import REGISTER_FILE, Register
from avowal.register.schema import migrate, read_schema_items, read_scripts
from support.errors import raises_code

MIGRATION = """
CREATE TABLE remarks (remark INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TRIGGER remarks_forbid_delete BEFORE DELETE ON remarks
    BEGIN SELECT RAISE(ABORT, 'remarks cannot be deleted'); END;
"""


def test_a_migration_is_applied_once(tmp_path: Path) -> None:
    """A migration is applied once, and brings an older file to the schema of a new one."""
    old, new = Database(tmp_path / "old.sqlite"), Database(tmp_path / "new.sqlite")
    migrate(old, read_scripts())
    for database in (old, old, new):
        migrate(database, [*read_scripts(), MIGRATION])
    with old.read() as connection, new.read() as other:
        assert read_schema_items(connection) == read_schema_items(other)
        assert connection.execute("PRAGMA user_version").fetchone() == (len(read_scripts()) + 1,)
    old.close()
    new.close()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    """A failed migration undoes its first statements too, and leaves the schema number as it was."""
    database = Database(tmp_path / "file.sqlite")
    migrate(database, read_scripts())
    with raises_code("store-unusable"):
        migrate(database, [*read_scripts(), f"{MIGRATION}CREATE TABLE remarks (remark TEXT);"])
    migrate(database, read_scripts())
    with database.read() as connection:
        assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'remarks'").fetchall()
    database.close()


def test_a_register_of_an_earlier_build_is_refused(tmp_path: Path) -> None:
    """A register with the tables of an earlier build is refused, and its file is not changed."""
    with closing(sqlite3.connect(tmp_path / REGISTER_FILE)) as file:
        file.execute("CREATE TABLE publications (publication INTEGER PRIMARY KEY)")
        file.execute("PRAGMA user_version = 21")
    with raises_code("earlier-store"):
        Register(tmp_path, tmp_path / "keys")
    with closing(sqlite3.connect(tmp_path / REGISTER_FILE)) as file:
        assert file.execute("SELECT name FROM sqlite_master").fetchall() == [("publications",)]
