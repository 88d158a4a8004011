"""The journal: what the script tells is on the disk, as far as the terms let it in, before it is acknowledged.

A journal is a file of frames: length, checksum, and the rows of one write, a line of JSON each. A process that is
killed leaves a last frame that may be torn: nothing of it was acknowledged. Files are named at random and written once;
whoever owns the store loads them and takes them away (`Store.load_journals`).
"""

import os
import secrets
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import msgspec
import polars as pl

from avowal.atomic_files import sync_folder

JOURNAL_SUFFIX = ".journal"
JOURNAL_HEADER = b"avowal journal 1\n"
_FRAME = struct.Struct("!II")


class JournalRow(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One thing that the script told of a look, as far as the terms let it in; null is what was not let in or told."""

    script_view_id: int
    received_at: int
    """By our clock, in microseconds since 1970."""
    version: int
    elapsed_ms: int = 0
    """How long the look had lasted by then, by the script's clock."""
    visible_ms: int | None = None
    host: str | None = None
    visitor_id: int | None = None
    daily_key: int | None = None
    """Of a visitor with the cookie: the key of the day, which a log's lines of the same have."""
    ip_address: str | None = None
    country: str | None = None
    bot: str | None = None
    page_path: str | None = None
    page_query: str | None = None
    referrer: str | None = None
    browser: str | None = None
    browser_version: str | None = None
    operating_system: str | None = None
    operating_system_version: str | None = None
    device_kind: str | None = None
    not_found: bool | None = None
    largest_contentful_paint_ms: int | None = None
    interaction_to_next_paint_ms: int | None = None
    cumulative_layout_shift: float | None = None
    script_errors: int | None = None
    download_path: str | None = None
    outbound_link: str | None = None
    upload_bytes: int | None = None
    event_name: str | None = None


_NUMBERS = {
    "script_view_id": pl.UInt64,
    "received_at": pl.Int64,
    "version": pl.UInt32,
    "elapsed_ms": pl.Int64,
    "visible_ms": pl.UInt64,
    "visitor_id": pl.UInt64,
    "daily_key": pl.UInt64,
    "not_found": pl.Boolean,
    "largest_contentful_paint_ms": pl.UInt32,
    "interaction_to_next_paint_ms": pl.UInt32,
    "cumulative_layout_shift": pl.Float64,
    "script_errors": pl.UInt32,
    "upload_bytes": pl.UInt64,
}
JOURNAL_SCHEMA = pl.Schema({name: _NUMBERS.get(name, pl.String) for name in JournalRow.__struct_fields__})
"""Rows as a frame."""

PAGE_METRICS = (
    "not_found",
    "largest_contentful_paint_ms",
    "interaction_to_next_paint_ms",
    "cumulative_layout_shift",
    "script_errors",
)
"""How a page fared: what is told later is never less."""

EVENT_COLUMNS = ("download_path", "outbound_link", "upload_bytes", "event_name")
"""What was done on a page at a moment."""


@dataclass
class JournalWriter:
    """Writes journals into a folder: one after the other, by one thread at a time."""

    folder: Path
    _descriptor: int | None = None
    _end: int = 0
    _encoder: msgspec.json.Encoder = field(default_factory=msgspec.json.Encoder)

    def append(self, rows: Sequence[JournalRow]) -> None:
        """Write rows, and return when no crash and no loss of power can lose them.

        Raises OSError where that cannot be done: then none of them is kept, and the journal is whole.
        """
        payload = self._encoder.encode_lines(rows)
        frame = _FRAME.pack(len(payload), zlib.crc32(payload)) + payload
        descriptor = self._open()
        try:
            _write(descriptor, frame)
            os.fdatasync(descriptor)
        except OSError:
            self._take_back()
            raise
        self._end += len(frame)

    def rotate(self) -> None:
        """Close the file that is written to, so that it can be loaded."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is None:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = self.folder / f"{secrets.token_hex(16)}{JOURNAL_SUFFIX}"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                _write(descriptor, JOURNAL_HEADER)
                os.fsync(descriptor)
                sync_folder(self.folder)
            except OSError:
                os.close(descriptor)
                path.unlink(missing_ok=True)
                raise
            self._descriptor, self._end = descriptor, len(JOURNAL_HEADER)
        return self._descriptor

    def _take_back(self) -> None:
        """Cut off what was written in part, and go on in another file: nobody knows what a failed sync kept."""
        if self._descriptor is not None:
            try:
                os.ftruncate(self._descriptor, self._end)
                os.fsync(self._descriptor)
            finally:
                self.rotate()


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


@dataclass(frozen=True)
class Journal:
    """A journal that is written to no more."""

    path: Path

    @property
    def name(self) -> str:
        """Its name, which no other has."""
        return self.path.stem

    def read_rows(self) -> pl.DataFrame:
        """Return what it holds, of the schema SCHEMA, up to the first frame that is not whole."""
        data, lines = memoryview(self.path.read_bytes()), []
        place = len(JOURNAL_HEADER)
        while place + _FRAME.size <= len(data):
            length, checksum = _FRAME.unpack_from(data, place)
            payload = data[place + _FRAME.size : place + _FRAME.size + length]
            if len(payload) < length or zlib.crc32(payload) != checksum:
                break
            lines.append(payload)
            place += _FRAME.size + length
        if not lines:
            return JOURNAL_SCHEMA.to_frame()
        return pl.read_ndjson(b"".join(lines), schema=JOURNAL_SCHEMA)


def list_journals(folder: Path) -> list[Journal]:
    """Return the journals that wait to be loaded, of a folder where none is being written."""
    return [Journal(path) for path in sorted(folder.glob(f"*{JOURNAL_SUFFIX}"))]


VIEW_DURATION_MAX = timedelta(days=1)
"""How long a look may last: what the script tells later is of no use."""

TRANSMISSION_DELAY_MAX = timedelta(seconds=5)
"""How long a first word may have been under way, beyond the later ones: a connection is made with it."""


def merge_script_views(rows: pl.DataFrame) -> pl.DataFrame:
    """Make one row of all that was told of each look: its first row, and the longest time that the clock allows."""
    longest = VIEW_DURATION_MAX // timedelta(milliseconds=1)
    rows = rows.with_columns(
        pl.col("received_at").cast(pl.Datetime("us")), pl.col("elapsed_ms").fill_null(0).clip(0, longest)
    ).sort("received_at", maintain_order=True)
    rows = rows.with_columns(view_time=pl.col("received_at") - pl.duration(milliseconds="elapsed_ms"))
    own = [
        name
        for name in JOURNAL_SCHEMA
        if name
        not in {"script_view_id", "received_at", "elapsed_ms", "visible_ms", *PAGE_METRICS, *EVENT_COLUMNS}
    ]
    since = (pl.col("received_at") - pl.col("view_time").first()).dt.total_milliseconds().cast(pl.UInt64)
    possible = pl.min_horizontal(
        "visible_ms", since + TRANSMISSION_DELAY_MAX // timedelta(milliseconds=1)
    ).filter(pl.col("visible_ms").is_not_null())
    return (
        rows.group_by("script_view_id", maintain_order=True)
        .agg(
            *(pl.col(name).first() for name in (*own, "view_time")),
            pl.col("received_at").max(),
            pl.col(PAGE_METRICS).max(),
            visible_ms=possible.max(),
        )
        .with_columns(governing=pl.col("version"))
    )


def extract_events(rows: pl.DataFrame) -> pl.DataFrame:
    """Return what people did on pages, a row each; robots' doings are none."""
    done = rows.filter(pl.any_horizontal(pl.col(EVENT_COLUMNS).is_not_null()) & pl.col("bot").is_null())
    return done.select(
        pl.col("received_at").cast(pl.Datetime("us")).alias("event_time"),
        *("host", "visitor_id", "page_path", *EVENT_COLUMNS, "version"),
        governing=pl.col("version"),
    )
