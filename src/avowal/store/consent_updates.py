"""Apply consents to the governing numbers of stored records."""

import duckdb
import msgspec
import polars as pl

from avowal.sql_files import read_sql
from avowal.store.interface import GoverningUpdate
from avowal.store.load_state import ArrowStream
from avowal.store.run_query import execute_statements
from avowal.store.visitor_sql import set_governing


def update_governing(cursor: duckdb.DuckDBPyConnection, governing_update: GoverningUpdate) -> None:
    """Bring governing numbers in line with consents. If there never was a consent, no record is read."""
    values = msgspec.structs.asdict(governing_update.cursor)
    cursor.execute(
        "UPDATE consent_cursor SET last_consent = $last_consent, last_version = $last_version", values
    )
    if (
        not governing_update.governing_by_visitor
        and not cursor.execute("SELECT 1 FROM visitor_governing LIMIT 1").fetchall()
    ):
        return
    frame = pl.DataFrame(
        {
            "visitor_id": list(governing_update.governing_by_visitor),
            "governing": list(governing_update.governing_by_visitor.values()),
        },
        schema={"visitor_id": pl.UInt64, "governing": pl.UInt32},
    )
    cursor.register("new_governing", ArrowStream(frame))
    cursor.execute("CREATE TEMP TABLE governing_updates AS FROM new_governing")
    cursor.unregister("new_governing")
    execute_statements(cursor, read_sql("store", "update_governing"), {})
    for statement in set_governing():
        cursor.execute(statement)
    execute_statements(cursor, read_sql("store", "limit_governing"), {})
    cursor.execute("DROP TABLE consenting_visitors")
