"""Write and read journals: admitted events are on disk before the script gets its response.

A journal is a file of frames: length, checksum, and the rows of one write as lines of JSON. A process that is killed
can leave an incomplete last frame, of which nothing was acknowledged. Journals have random names and are written once;
the owner of the store loads and removes them (`Store.load_journals`).
"""

import os
import secrets
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import msgspec
import polars as pl

from avowal.atomic_files import sync_folder
from avowal.private_files import check_private_files, read_private

JOURNAL_SUFFIX = ".journal"
JOURNAL_HEADER = b"avowal journal 2\n"
_FRAME = struct.Struct("!II")


class JournalRow(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A record of an event, reduced to what the terms permit. None means not permitted or not reported.

    `version` is the version in force at the time of the record: at `received_at` for an action, and `elapsed_ms` before
    for a script view.
    """

    script_view_id: int
    received_at: int
    """By our clock, in microseconds since 1970."""
    version: int
    elapsed_ms: int = 0
    """How long the view had lasted, by the script's clock."""
    visible_ms: int | None = None
    host: str | None = None
    visitor_id: int | None = None
    daily_key: int | None = None
    """For a visitor with the cookie: the key that lines of a log have for the same visitor."""
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
    is_action: bool = False
    """Whether the row is what the visitor did at `received_at`; otherwise it is the script view itself."""


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
    "is_action": pl.Boolean,
}
JOURNAL_SCHEMA = pl.Schema({name: _NUMBERS.get(name, pl.String) for name in JournalRow.__struct_fields__})
"""The columns of a frame of rows."""

PAGE_METRICS = (
    "not_found",
    "largest_contentful_paint_ms",
    "interaction_to_next_paint_ms",
    "cumulative_layout_shift",
    "script_errors",
)
"""Page metrics. They never decrease during a view."""

EVENT_COLUMNS = ("download_path", "outbound_link", "upload_bytes", "event_name")
"""The columns of events at a moment."""


@dataclass
class JournalWriter:
    """Writes journals into a folder, one after the other. Use it from one thread at a time."""

    folder: Path
    note_journal: Callable[[str], object] = lambda _: None
    """Notes the name of a new journal, durably, before rows are written to it: then its loss is found."""
    _descriptor: int | None = None
    _end: int = 0
    _encoder: msgspec.json.Encoder = field(default_factory=msgspec.json.Encoder)

    def append(self, rows: Sequence[JournalRow]) -> None:
        """Write rows. They are on disk when this returns.

        Raises OSError if they cannot be written: then none of them is stored, and the journal remains valid.
        """
        payload = self._encoder.encode_lines(rows)
        frame = _FRAME.pack(len(payload), zlib.crc32(payload)) + payload
        descriptor = self._open()
        try:
            _write(descriptor, frame)
            os.fdatasync(descriptor)
        except OSError:
            self._discard_frame()
            raise
        self._end += len(frame)

    def check_writable(self) -> None:
        """Create a journal without rows. Raises OSError if that is not possible."""
        self._open()
        self.rotate()

    def rotate(self) -> None:
        """Close the current file, so that it can be loaded."""
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
                self.note_journal(path.stem)
            except BaseException:
                os.close(descriptor)
                path.unlink(missing_ok=True)
                raise
            self._descriptor, self._end = descriptor, len(JOURNAL_HEADER)
        return self._descriptor

    def _discard_frame(self) -> None:
        """Remove an incomplete frame, and continue in another file: after a failed sync its content is unknown."""
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
    """A journal that is complete."""

    path: Path

    @property
    def name(self) -> str:
        """The unique name of the journal."""
        return self.path.stem

    @property
    def is_damaged(self) -> bool:
        """Whether its header is not right, or there is anything after its first incomplete frame.

        Only a last frame can be what a process left that was killed.
        """
        data = memoryview(read_private(self.path))
        end = sum(_FRAME.size + len(payload) for payload in _read_frames(data)) + len(JOURNAL_HEADER)
        if data[: len(JOURNAL_HEADER)] != JOURNAL_HEADER:
            return True
        if end + _FRAME.size > len(data):
            return False
        length, _ = _FRAME.unpack_from(data, end)
        return bool(end + _FRAME.size + length < len(data))

    @property
    def is_empty(self) -> bool:
        """Whether it has no rows."""
        return self.path.stat().st_size <= len(JOURNAL_HEADER)

    def read_rows(self) -> pl.DataFrame:
        """Return the rows, of `JOURNAL_SCHEMA`, up to the first incomplete frame."""
        payloads = list(_read_frames(memoryview(read_private(self.path))))
        if not payloads:
            return JOURNAL_SCHEMA.to_frame()
        return pl.read_ndjson(b"".join(payloads), schema=JOURNAL_SCHEMA)


def _read_frames(data: memoryview) -> Iterator[memoryview]:
    """Yield the payload of each frame up to the first incomplete one."""
    offset = len(JOURNAL_HEADER)
    while offset + _FRAME.size <= len(data):
        length, checksum = _FRAME.unpack_from(data, offset)
        payload = data[offset + _FRAME.size : offset + _FRAME.size + length]
        if len(payload) < length or zlib.crc32(payload) != checksum:
            return
        yield payload
        offset += _FRAME.size + length


def list_journals(folder: Path) -> list[Journal]:
    """Return the journals in a folder. None of them may still be written. Raises StoreError if one is not safe."""
    paths = sorted(folder.glob(f"*{JOURNAL_SUFFIX}"))
    check_private_files(paths)
    return [Journal(path) for path in paths]


VIEW_DURATION_MAX = timedelta(days=1)
"""The longest duration of a script view. Later events are ignored."""

EVENT_AGE_MAX = VIEW_DURATION_MAX // timedelta(microseconds=1)
"""The greatest age of an event, in microseconds. Older ones are dropped."""

TRANSMISSION_DELAY_MAX = timedelta(seconds=5)
"""How much longer than later events the first one may have been in transit: it opens the connection."""


def add_record_times(rows: pl.DataFrame) -> pl.DataFrame:
    """Add `record_time`, the time of the record of each row: that of an action, or the beginning of a script view."""
    arrival = pl.col("received_at").cast(pl.Datetime("us"))
    began = arrival - pl.duration(milliseconds=pl.col("elapsed_ms").fill_null(0))
    return rows.with_columns(record_time=pl.when("is_action").then(arrival).otherwise(began))


def merge_script_views(rows: pl.DataFrame) -> pl.DataFrame:
    """Merge the rows of each script view: its first row, with the longest visible time that our clock permits.

    A row of another version than the first one is ignored: it was reduced to what another version permits.
    """
    rows = rows.filter(~pl.col("is_action").fill_null(value=False))
    rows = add_record_times(rows).sort("received_at", maintain_order=True)
    rows = rows.with_columns(pl.col("received_at").cast(pl.Datetime("us")), view_time="record_time")
    rows = rows.filter(pl.col("version") == pl.col("version").first().over("script_view_id"))
    first_columns = [
        name
        for name in JOURNAL_SCHEMA
        if name
        not in {
            "script_view_id",
            "received_at",
            "elapsed_ms",
            "visible_ms",
            "is_action",
            *PAGE_METRICS,
            *EVENT_COLUMNS,
        }
    ]
    since_start = (
        (pl.col("received_at") - pl.col("view_time").first()).dt.total_milliseconds().cast(pl.UInt64)
    )
    credible_visible_ms = pl.min_horizontal(
        "visible_ms", since_start + TRANSMISSION_DELAY_MAX // timedelta(milliseconds=1)
    ).filter(pl.col("visible_ms").is_not_null())
    return (
        rows.group_by("script_view_id", maintain_order=True)
        .agg(
            *(pl.col(name).first() for name in (*first_columns, "view_time")),
            pl.col("received_at").max(),
            pl.col(PAGE_METRICS).max(),
            visible_ms=credible_visible_ms.max(),
        )
        .with_columns(governing=pl.col("version"))
    )


def extract_events(rows: pl.DataFrame) -> pl.DataFrame:
    """Return what visitors did, one row for each event."""
    return rows.filter("is_action").select(
        pl.col("received_at").cast(pl.Datetime("us")).alias("event_time"),
        *("host", "visitor_id", "page_path", *EVENT_COLUMNS, "version"),
        governing=pl.col("version"),
    )
