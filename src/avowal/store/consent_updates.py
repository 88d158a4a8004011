"""Bringing the governing numbers of what is stored in line with what visitors consented to."""

import duckdb
import msgspec
import polars as pl

from avowal.store.interface import Raised
from avowal.store.load_state import Arrow, statements
from avowal.store.run_query import execute


def raise_governing(cursor: duckdb.DuckDBPyConnection, raised: Raised) -> None:
    """Bring governing numbers in line with consents; where there never was one, there is nothing to look at."""
    values = msgspec.structs.asdict(raised.settled)
    cursor.execute("UPDATE settled SET consent = $consent, version = $version", values)
    if not raised.governing and not cursor.execute("SELECT 1 FROM consents LIMIT 1").fetchall():
        return
    frame = pl.DataFrame(
        {"visitor_id": list(raised.governing), "governing": list(raised.governing.values())},
        schema={"visitor_id": pl.UInt64, "governing": pl.UInt32},
    )
    cursor.register("raised", Arrow(frame))
    cursor.execute("CREATE TEMP TABLE raising AS FROM raised")
    cursor.unregister("raised")
    execute(cursor, statements("derive_consents"), values)
