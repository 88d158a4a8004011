"""Derive views and visits from requests and script views, and write what changed."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import duckdb
import msgspec

from avowal.sql_files import read_sql
from avowal.store.interface import Cutoffs, VisitRules
from avowal.store.pairing import pair_new_records
from avowal.store.run_query import execute_statements

LONGEST_VISITOR_DAY = timedelta(hours=25)
"""The length of a visitor day on which the clock is put back. All rows of a daily key lie within it."""

SLICE_VISITORS_MAX = 200_000
"""How many visitor days are derived at a time: bounds the memory that it takes."""


def derive_views_and_visits(cursor: duckdb.DuckDBPyConnection, rules: VisitRules, cutoffs: Cutoffs) -> None:
    """Derive the views and visits of the visitor days that have new records.

    Records are paired first. What exists and does not change is not written again. The temporary
    tables go with the cursor.
    """
    values: dict[str, Any] = {
        f"{name}_since": since for name, since in msgspec.structs.asdict(cutoffs).items()
    }
    values |= msgspec.structs.asdict(rules) | {"slice_visitors_max": SLICE_VISITORS_MAX}
    pair_new_records(cursor)
    _execute(cursor, "derive_units", values)
    if cursor.execute("SELECT 1 FROM script_views WHERE daily_key IS NOT NULL LIMIT 1").fetchall():
        _execute(cursor, "derive_attributions", values)
    _execute(cursor, "derive_slices", values)
    slices = list(pairwise([since for (since,) in cursor.fetchall() if since]))
    keyless_since = cursor.execute("SELECT since FROM units_to_derive WHERE unit IS NULL").fetchall()
    if keyless_since:
        period = {
            "rows_from": keyless_since[0][0] - LONGEST_VISITOR_DAY,
            "rows_to": datetime.max - LONGEST_VISITOR_DAY,
        }
        _derive_slice(
            cursor,
            "derive_keyless",
            values | period | dict.fromkeys(("slice_from", "slice_to"), datetime.min),
        )
    for begin, end in slices:
        period = {"rows_from": begin - LONGEST_VISITOR_DAY, "rows_to": end + LONGEST_VISITOR_DAY}
        _derive_slice(cursor, "derive_activity", values | period | {"slice_from": begin, "slice_to": end})
    _execute(cursor, "derive_finish", values)


def _derive_slice(cursor: duckdb.DuckDBPyConnection, activity: str, values: Mapping[str, Any]) -> None:
    """Derive the views and visits of some visitor days, whose activity the SQL file `activity` selects."""
    _execute(cursor, "derive_slice", values)
    execute_statements(cursor, read_sql("store", "derive_records") + read_sql("store", activity), values)
    _execute(cursor, "derive_existing", values)
    exists = "SELECT 1 FROM existing_views UNION ALL SELECT 1 FROM existing_visits LIMIT 1"
    if not cursor.execute(exists).fetchall():
        _insert(cursor, {"views": "views", "visits": "visits"}, values)
        return
    _execute(cursor, "create_derived", values)
    _insert(cursor, {"views": "derived_views", "visits": "derived_visits"}, values)
    _execute(cursor, "derive_write", values)


def _insert(cursor: duckdb.DuckDBPyConnection, tables: Mapping[str, str], values: Mapping[str, Any]) -> None:
    """Insert the rows of `views` and `visits` that are derived, each into its table of `tables`."""
    for relation, table in tables.items():
        select = read_sql("store", f"derive_{relation}")
        execute_statements(cursor, f"INSERT INTO {table} BY NAME\n{select}", values)


def _execute(cursor: duckdb.DuckDBPyConnection, name: str, values: Mapping[str, Any]) -> None:
    execute_statements(cursor, read_sql("store", name), values)
