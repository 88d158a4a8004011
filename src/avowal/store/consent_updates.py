"""Bringing the governing numbers of what is stored in line with what visitors consented to."""

import duckdb
import msgspec
import polars as pl

from avowal.store.interface import GoverningUpdate
from avowal.store.load_state import ArrowStream, read_sql
from avowal.store.run_query import execute_statements


def update_governing(cursor: duckdb.DuckDBPyConnection, governing_update: GoverningUpdate) -> None:
    """Bring governing numbers in line with consents; where there never was one, there is nothing to look at."""
    values = msgspec.structs.asdict(governing_update.cursor)
    cursor.execute("UPDATE settled SET consent = $consent, version = $version", values)
    if (
        not governing_update.governing_by_visitor
        and not cursor.execute("SELECT 1 FROM consents LIMIT 1").fetchall()
    ):
        return
    frame = pl.DataFrame(
        {
            "visitor_id": list(governing_update.governing_by_visitor),
            "governing": list(governing_update.governing_by_visitor.values()),
        },
        schema={"visitor_id": pl.UInt64, "governing": pl.UInt32},
    )
    cursor.register("raised", ArrowStream(frame))
    cursor.execute("CREATE TEMP TABLE raising AS FROM raised")
    cursor.unregister("raised")
    execute_statements(cursor, read_sql("derive_consents"), values)
