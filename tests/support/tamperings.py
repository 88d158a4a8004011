"""Every way to change the tables and schema of an SQLite or DuckDB file, generated from the file itself."""

import re
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple


class Column(NamedTuple):
    """A column of a table."""

    name: str
    is_key: bool


class Tampering(NamedTuple):
    """A change that somebody makes to a file behind Avowal's back."""

    name: str
    statement: str
    values: Sequence[Any] = ()


def copy_database(file: Path, folder: Path) -> None:
    """Copy a database file into a folder, without the log of writes that an earlier copy may have left there."""
    for earlier in folder.glob(f"{file.name}*"):
        earlier.unlink()
    shutil.copy(file, folder)


def changed(value: Any) -> Any:
    """Return another value of the same type that looks as real as it can."""
    if isinstance(value, int | float):
        return not value if isinstance(value, bool) else value + 1
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:]
    if not value:
        return "1"
    if time := re.fullmatch(r"(\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:)(\d{2})(.*)", value):
        return f"{time[1]}{59 - int(time[2]):02}{time[3]}"
    is_json = value.endswith(("]", "}"))
    return f"{value[:-1]} {value[-1]}" if is_json else value[:-1] + ("0" if value[-1] != "0" else "1")


def read_columns(file: sqlite3.Connection, table: str) -> list[Column]:
    """Return the columns of a table."""
    rows = file.execute("SELECT name, pk FROM pragma_table_info(?)", [table])
    return [Column(name, pk > 0) for name, pk in rows]


def tamper_with_rows(
    table: str, columns: Sequence[Column], rows: Sequence[Sequence[Any]], older_rows: Sequence[Sequence[Any]]
) -> Iterator[Tampering]:
    """Yield what can be done to the rows of a table: `older_rows` are those of an older copy."""
    names = ", ".join(f'"{column.name}"' for column in columns)
    marks = ", ".join("?" * len(columns))
    insert = f'INSERT INTO "{table}" ({names}) VALUES ({marks})'

    def choose(row: Sequence[Any]) -> tuple[str, list[Any]]:
        return " AND ".join(f'"{column.name}" IS ?' for column in columns), list(row)

    def update(row: Sequence[Any], new: Sequence[Any]) -> tuple[str, list[Any]]:
        settings = ", ".join(f'"{column.name}" = ?' for column in columns)
        condition, values = choose(row)
        return f'UPDATE "{table}" SET {settings} WHERE {condition}', [*new, *values]

    template = rows[0] if rows else [None if column.is_key else 1 for column in columns]
    yield Tampering("insert", insert, [changed(value) for value in template])
    for row in rows[:1]:
        condition, values = choose(row)
        yield Tampering("delete", f'DELETE FROM "{table}" WHERE {condition}', values)
        for place, column in enumerate(columns):
            new = [*row[:place], changed(row[place]), *row[place + 1 :]]
            yield Tampering(f"change {column.name}", *update(row, new))
            if row[place] is not None:
                yield Tampering(f"clear {column.name}", *update(row, [*row[:place], None, *row[place + 1 :]]))
    if rows:
        yield Tampering("delete all", f'DELETE FROM "{table}"')
    for first, second in pairwise(rows):
        swapped = [
            one if column.is_key else two for column, one, two in zip(columns, first, second, strict=True)
        ]
        if swapped != list(first):
            yield Tampering("another row's values", *update(first, swapped))
            break
    if older_rows != rows:
        yield Tampering("older copy", insert, [list(row) for row in older_rows])


def apply_to_register(path: Path, table: str, tampering: Tampering) -> bool:
    """Apply a tampering with rows as somebody who knows SQLite would; returns whether the table has changed.

    Checks and triggers are out of force meanwhile, and as they were afterwards.
    """
    with closing(sqlite3.connect(path)) as file:
        triggers = file.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            file.execute(f'DROP TRIGGER "{name}"')
        file.execute("PRAGMA ignore_check_constraints = ON")
        file.execute("PRAGMA writable_schema = ON")
        before = file.execute(f'SELECT * FROM "{table}"').fetchall()
        try:
            if tampering.name == "older copy":
                file.execute(f'DELETE FROM "{table}"')
                file.executemany(tampering.statement, tampering.values)
            else:
                file.execute(tampering.statement, tampering.values)
        except sqlite3.IntegrityError:  # the file does not take it
            return False
        for _, sql in triggers:
            file.execute(sql)
        has_changed = file.execute(f'SELECT * FROM "{table}"').fetchall() != before
        file.commit()
    return has_changed
