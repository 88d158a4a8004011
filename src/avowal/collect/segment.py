"""Write and read segments: files of admitted records that wait to be loaded into the store.

A segment is a Parquet file of `ADMITTED_SCHEMA` in the folder `segments/`. Its metadata, under the key `avowal`, is the
JSON of `SegmentMetadata`. It contains only what the terms permit. `docs/segments.md` specifies the format.
"""

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec
import polars as pl

from avowal.atomic_files import replace_file
from avowal.collect.admission import ADMITTED_SCHEMA
from avowal.collect.line_counts import LineCounts
from avowal.private_files import check_private_files

METADATA_KEY = "avowal"
SEGMENT_SUFFIX = ".parquet"


class SegmentOrigin(msgspec.Struct, frozen=True):
    """The part of a log that a segment was made from: the decompressed bytes from `start` to `end`.

    The digests are keyed hashes of the bytes from the first to `start`, and to `end`. They identify what was read, and
    reveal nothing without the key.
    """

    log_id: str
    name: str
    format: str
    parser_state: str
    head_bytes: int
    head_digest: str
    start: int
    start_digest: str
    end: int
    end_digest: str


class UnparsableLine(msgspec.Struct, frozen=True):
    """A line that could not be parsed: its position, reason and shape, but not the line itself."""

    offset_bytes: int
    length_bytes: int
    reason: str
    shape: str


class SegmentMetadata(msgspec.Struct, frozen=True):
    """Where the records of a segment come from, and what became of all lines there.

    A `provisional` segment is made from an unfinished last line: the next segment of the same log replaces it.
    """

    origin: SegmentOrigin
    counts: LineCounts
    unparsable_lines: list[UnparsableLine]
    provisional: bool = False


class Segment(Protocol):
    """Admitted records and their metadata."""

    @property
    def metadata(self) -> SegmentMetadata:
        """The metadata of the segment."""
        ...

    @property
    def records(self) -> pl.DataFrame:
        """The records, of `ADMITTED_SCHEMA`."""
        ...


@dataclass(frozen=True)
class MemorySegment:
    """A segment in memory."""

    metadata: SegmentMetadata
    records: pl.DataFrame


@dataclass(frozen=True)
class SegmentFile:
    """A segment on disk."""

    path: Path

    @property
    def metadata(self) -> SegmentMetadata:
        """The metadata of the segment."""
        return msgspec.json.decode(pl.read_parquet_metadata(self.path)[METADATA_KEY], type=SegmentMetadata)

    @property
    def age_seconds(self) -> float:
        """The time since the segment was written, in seconds."""
        return time.time() - self.path.stat().st_mtime

    @property
    def records(self) -> pl.DataFrame:
        """The records, of `ADMITTED_SCHEMA`."""
        return pl.read_parquet(self.path, schema=ADMITTED_SCHEMA)


def write_segment(folder: Path, segment: Segment) -> SegmentFile:
    """Write a segment. It is on disk when this returns.

    Its name is made from its log and byte range, so the same bytes written twice give one segment.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    metadata = segment.metadata
    end = "open" if metadata.provisional else f"{metadata.origin.end:016x}"
    path = folder / f"{metadata.origin.log_id}-{metadata.origin.start:016x}-{end}{SEGMENT_SUFFIX}"
    parquet_metadata = {METADATA_KEY: msgspec.json.encode(metadata).decode()}
    with replace_file(path, path.with_suffix(UNFINISHED_SUFFIX)) as file:
        segment.records.write_parquet(file, compression="lz4", metadata=parquet_metadata)
    return SegmentFile(path)


UNFINISHED_SUFFIX = ".new"
ABANDONED_FILE_SECONDS = 600
"""The age from which an unfinished segment is deleted, in seconds: its writer has gone."""


def list_segments(folder: Path) -> list[SegmentFile]:
    """Return the segments of a folder, those of a log in the order of their bytes. Delete abandoned files.

    Raises StoreError if one is not safe.
    """
    for unfinished in folder.glob(f"*{UNFINISHED_SUFFIX}"):
        with suppress(FileNotFoundError):
            if time.time() - unfinished.stat().st_mtime > ABANDONED_FILE_SECONDS:
                unfinished.unlink()
    paths = sorted(folder.glob(f"*{SEGMENT_SUFFIX}"))
    check_private_files(paths)
    return [SegmentFile(path) for path in paths]
