"""Asking DuckDB: our own statements, and those of a person, which end in time and tell nothing by their errors."""

import threading
from collections.abc import Mapping
from typing import Any

import duckdb

from avowal.errors import QueryError
from avowal.store.interface import Table


def execute(cursor: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, Any]) -> None:
    """Execute each statement of `sql` with those of the values that it names."""
    for statement in cursor.extract_statements(sql):
        cursor.execute(statement, {name: values[name] for name in statement.named_parameters})


def ask(cursor: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, Any]) -> Table:
    """Execute statements, and return what the last one gives."""
    execute(cursor, sql, values)
    columns = [column[0] for column in cursor.description or []]
    return Table(columns, [list(row) for row in cursor.fetchall()])


def ask_over(
    cursor: duckdb.DuckDBPyConnection, unseen: dict[str, str], sql: str, values: Mapping[str, Any]
) -> Table:
    """Ask with those of the secure views that the statement may name: to make all takes longer than many an answer."""
    for name in [name for name in unseen if name in sql.lower()]:
        _see(cursor, name, unseen.pop(name))
    return ask(cursor, sql, values)


def ask_once(cursor: duckdb.DuckDBPyConnection, views: Mapping[str, str], sql: str, seconds: float) -> Table:
    """Ask a person's question with all of the secure views. Raises QueryError where it cannot be answered in time."""
    for name, select in views.items():
        _see(cursor, name, select)
    timer = threading.Timer(seconds, cursor.interrupt)
    timer.start()
    try:
        return ask(cursor, sql, {})
    except duckdb.InterruptException:
        raise QueryError(
            f"the question took longer than {seconds:g} s", "ask for less, or a shorter time"
        ) from None
    except duckdb.BinderException as error:  # told before anything stored is looked at
        raise QueryError(f"the question does not fit: {str(error).splitlines()[0].lower()}", "") from None
    except duckdb.Error as error:
        kind = type(error).__name__.removesuffix("Exception").lower()
        raise QueryError(
            f"the question cannot be answered ({kind})", "use try_cast where a value may not convert"
        ) from None
    finally:
        timer.cancel()


def _see(cursor: duckdb.DuckDBPyConnection, name: str, select: str) -> None:
    """Make a secure view, which is the cursor's own and goes with it."""
    cursor.execute(f"CREATE TEMP SECURE VIEW {name} AS {select}")
