"""Records and segments that tests write to the store, and queries of it."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from avowal.collect import segment
from avowal.collect.admission import ADMITTED_SCHEMA
from avowal.collect.line_counts import LineCounts
from avowal.collect.segment import MemorySegment, SegmentFile, SegmentMetadata, SegmentOrigin
from avowal.store.duckdb_store import DuckDBStore
from avowal.store.interface import Cutoffs, GoverningUpdate

START = datetime(2026, 11, 22, 12, 0)  # noqa: DTZ001  # UTC without a zone
"""The time of the first request."""
KEEP_ALL = Cutoffs(*([[datetime.min] * 3] * 4))
"""Cutoffs that delete nothing."""
KEEP_NONE = Cutoffs(*([[datetime.max] * 3] * 4))
"""Cutoffs that delete everything."""
NO_GOVERNING_UPDATE = GoverningUpdate()
"""An update that changes no governing number."""


def admitted_records(*rows: dict[str, Any]) -> pl.DataFrame:
    """Return a frame of admitted requests with default values for all columns that a row does not set."""
    plain = {"request_kind": "view", "visitor_id": 2, "page_path": "/", "version": 1, "governing": 1}
    return pl.DataFrame(
        [{**dict.fromkeys(ADMITTED_SCHEMA.names()), **plain, **row} for row in rows], schema=ADMITTED_SCHEMA
    )


def request_at(minutes: float, **columns: Any) -> dict[str, Any]:
    """Return the columns of a request, some minutes after `START`."""
    return {"request_time": START + timedelta(minutes=minutes), **columns}


def write_segment(
    folder: Path, frame: pl.DataFrame, start: int = 0, end: int = 100, source: str = "a", **columns: Any
) -> SegmentFile:
    """Write a segment of some records; returns its file."""
    origin = SegmentOrigin(
        source, "access.log", "combined", "", 50, "head", start, f"d{start}", end, f"d{end}"
    )
    plain = SegmentMetadata(origin, LineCounts(len(frame), len(frame)), [])
    return segment.write_segment(
        folder / "segments", MemorySegment(msgspec.structs.replace(plain, **columns), frame)
    )


def stored_visits(store: DuckDBStore) -> list[dict[str, Any]]:
    """Return all visits of a store, by visitor and time."""
    return store.query("SELECT * FROM visits ORDER BY visitor_id, visit_time", {}).to_dicts()


def stored_views(store: DuckDBStore) -> list[dict[str, Any]]:
    """Return all views of a store, by time and path."""
    return store.query("SELECT * FROM views ORDER BY view_time, page_path", {}).to_dicts()
