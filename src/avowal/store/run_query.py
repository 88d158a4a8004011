"""Run queries of our own in DuckDB; those with a condition that somebody chose have a time limit."""

import threading
from collections.abc import Mapping
from typing import Any

import duckdb

from avowal.errors import QueryError
from avowal.store.interface import ResultTable
from avowal.store.sql_builder import compose, constant, identifier


def execute_statements(cursor: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, Any]) -> None:
    """Execute each statement of `sql` with the parameters that it names."""
    for statement in cursor.extract_statements(sql):
        cursor.execute(statement, {name: parameters[name] for name in statement.named_parameters})


def run_query(cursor: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, Any]) -> ResultTable:
    """Execute statements, and return the result of the last one."""
    execute_statements(cursor, sql, parameters)
    columns = [column[0] for column in cursor.description or []]
    return ResultTable(columns, [list(row) for row in cursor.fetchall()])


def query_secure_views(
    cursor: duckdb.DuckDBPyConnection, missing_views: dict[str, str], sql: str, parameters: Mapping[str, Any]
) -> ResultTable:
    """Run a query of our own after creating those of the missing secure views that it may name.

    Creating all of them would take longer than many queries. Views that are created are removed from `missing_views`.
    """
    for name in [name for name in missing_views if name in sql.lower()]:
        _create_secure_view(cursor, name, missing_views.pop(name))
    return run_query(cursor, sql, parameters)


def query_with_timeout(cursor: duckdb.DuckDBPyConnection, sql: str, timeout_seconds: float) -> ResultTable:
    """Run a query with a condition that somebody chose. Raises QueryError if it fails or times out."""
    timer = threading.Timer(timeout_seconds, cursor.interrupt)
    timer.start()
    try:
        return run_query(cursor, sql, {})
    except duckdb.InterruptException:
        raise timeout_error(timeout_seconds) from None
    except duckdb.Error as error:
        kind = type(error).__name__.removesuffix("Exception").lower()
        raise QueryError(f"query failed ({kind})", "choose other rows", code="query-failed") from None
    finally:
        timer.cancel()


def timeout_error(timeout_seconds: float) -> QueryError:
    """Return the error of a query that took too long."""
    return QueryError(
        f"query timed out after {timeout_seconds:g} s",
        "ask for fewer rows or a shorter period",
        code="query-timeout",
    )


def _create_secure_view(cursor: duckdb.DuckDBPyConnection, name: str, select: str) -> None:
    """Create a secure view that only this cursor sees, until it is closed."""
    view = compose(
        "CREATE TEMP SECURE VIEW {name} AS {select}", name=identifier(name), select=constant(select)
    )
    cursor.execute(view.text)
