"""Asking DuckDB: our own statements, and those of a person, which end in time and tell nothing by their errors."""

import threading
from collections.abc import Mapping
from typing import Any

import duckdb

from avowal.errors import QueryError
from avowal.store.interface import ResultTable
from avowal.store.sql_builder import compose, constant, identifier


def execute_statements(cursor: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, Any]) -> None:
    """Execute each statement of `sql` with those of the values that it names."""
    for statement in cursor.extract_statements(sql):
        cursor.execute(statement, {name: parameters[name] for name in statement.named_parameters})


def run_query(cursor: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, Any]) -> ResultTable:
    """Execute statements, and return what the last one gives."""
    execute_statements(cursor, sql, parameters)
    columns = [column[0] for column in cursor.description or []]
    return ResultTable(columns, [list(row) for row in cursor.fetchall()])


def query_secure_views(
    cursor: duckdb.DuckDBPyConnection, missing_views: dict[str, str], sql: str, parameters: Mapping[str, Any]
) -> ResultTable:
    """Ask with those of the secure views that the statement may name: to make all takes longer than many an answer."""
    for name in [name for name in missing_views if name in sql.lower()]:
        _see(cursor, name, missing_views.pop(name))
    return run_query(cursor, sql, parameters)


def query_with_timeout(
    cursor: duckdb.DuckDBPyConnection, views: Mapping[str, str], sql: str, timeout_seconds: float
) -> ResultTable:
    """Ask a person's question with all of the secure views. Raises QueryError where it cannot be answered in time."""
    for name, select in views.items():
        _see(cursor, name, select)
    timer = threading.Timer(timeout_seconds, cursor.interrupt)
    timer.start()
    try:
        return run_query(cursor, sql, {})
    except duckdb.InterruptException:
        raise QueryError(
            f"the question took longer than {timeout_seconds:g} s",
            "ask for less, or a shorter time",
            code="query-timeout",
        ) from None
    except duckdb.BinderException as error:  # told before anything stored is looked at
        raise QueryError(
            f"the question does not fit: {str(error).splitlines()[0].lower()}", "", code="query-invalid"
        ) from None
    except duckdb.Error as error:
        kind = type(error).__name__.removesuffix("Exception").lower()
        raise QueryError(
            f"the question cannot be answered ({kind})",
            "use try_cast where a value may not convert",
            code="query-failed",
        ) from None
    finally:
        timer.cancel()


def _see(cursor: duckdb.DuckDBPyConnection, name: str, select: str) -> None:
    """Make a secure view, which is the cursor's own and goes with it."""
    view = compose(
        "CREATE TEMP SECURE VIEW {name} AS {select}", name=identifier(name), select=constant(select)
    )
    cursor.execute(view.text)
