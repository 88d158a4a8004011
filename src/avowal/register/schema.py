"""The schema of the register: created for a new file, and brought up to date by numbered migrations."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cache
from importlib import resources

from avowal.errors import StoreError
from avowal.register.database import Database

APPLICATION_ID = 0x41564F58
"""Marks the file as a register (`PRAGMA application_id`): files of earlier builds have none, or another."""

_PACKAGE = resources.files("avowal.register")


def read_scripts() -> list[str]:
    """Return `sql/schema.sql`, which is number 1, and the migrations after it by their numbers."""
    folder = _PACKAGE / "sql" / "migrations"
    files = sorted(folder.iterdir(), key=lambda file: file.name) if folder.is_dir() else []
    return [file.read_text(encoding="utf-8") for file in (_PACKAGE / "sql" / "schema.sql", *files)]


def migrate(database: Database, scripts: Sequence[str]) -> None:
    """Bring a file to the newest schema; each script is applied wholly or not at all.

    Raises StoreError if the file belongs to another build of Avowal, or is not a register.
    """
    application_id, applied, tables = _read_state(database)
    if tables and application_id != APPLICATION_ID:
        raise StoreError(
            f"`{database.path}` was written by an earlier build of Avowal, or is not a register",
            "start with an empty data folder, or use the build that wrote it",
            code="earlier-store",
        )
    if applied > len(scripts):
        raise StoreError(
            f"the register was written by a newer version of Avowal (migration {applied}; this one has {len(scripts)})",
            "use that version",
            code="newer-store",
        )
    for number, script in enumerate(scripts[applied:], applied + 1):
        with database.transaction() as connection:
            if connection.execute("PRAGMA user_version").fetchone() == (number - 1,):
                for statement in split_statements(script):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {number}")


def read_schema_items(connection: sqlite3.Connection) -> frozenset[tuple[str, str, str]]:
    """Return the kind, name and SQL of each table, view, index and trigger, and the numbers that mark the file."""
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
    marks = ("application_id", "user_version")
    rows += [("pragma", name, connection.execute(f"PRAGMA {name}").fetchone()) for name in marks]
    return frozenset((kind, name, " ".join(str(text).split())) for kind, name, text in rows)


def create_declared_schema() -> sqlite3.Connection:
    """Return an empty register in memory."""
    fresh = sqlite3.connect(":memory:")
    for number, script in enumerate(read_scripts(), 1):
        fresh.executescript(f"{script}\nPRAGMA user_version = {number};")
    return fresh


@cache
def read_declared_items() -> frozenset[tuple[str, str, str]]:
    """Return the items of a register as `sql/schema.sql` and the migrations declare it."""
    with closing(create_declared_schema()) as fresh:
        return read_schema_items(fresh)


def split_statements(script: str) -> Iterator[str]:
    """Yield the statements of a script; those within a trigger stay in it."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _read_state(database: Database) -> tuple[int, int, int]:
    """Return the application's id, the number of the last script, and how many tables there are."""
    with database.read() as connection:
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (number,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return application_id, number, tables
