"""A segment: some records on their way into the store, as one file that is either wholly there or not at all.

It is a Parquet file of the schema ADMITTED, in the folder `segments/` of the data; its metadata, under the key
`avowal`, is the JSON of Intake: where the records come from, and what became of the lines that became none. It holds
only what the terms let in. The format is described in `docs/segments.md`.
"""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec
import polars as pl

from avowal.atomic_files import sync_folder
from avowal.collect.admission import ADMITTED_SCHEMA

METADATA_KEY = "avowal"
SEGMENT_SUFFIX = ".parquet"


class SegmentOrigin(msgspec.Struct, frozen=True):
    """The bytes of a log that a segment was made from.

    The digests are keyed hashes of the log's decompressed bytes from the first on: to `start`, and to `end`. What
    was read is known again by them, and nothing can be told from them without the key.
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
    """A line that could not be read: where it is, why, and its shape; never the line."""

    offset_bytes: int
    length_bytes: int
    reason: str
    shape: str


class SegmentMetadata(msgspec.Struct, frozen=True):
    """What became of some lines: `lines` is the sum of the records, the dropped and the dead letters.

    `provisional` are the lines that a log may yet go on writing: whatever comes next from the same log takes their
    place.
    """

    origin: SegmentOrigin
    lines: int
    requests: int
    late_requests: int
    early_requests: int
    dropped: dict[str, int]
    unparsable_lines: list[UnparsableLine]
    provisional: bool = False


class Segment(Protocol):
    """Some records, and where they come from."""

    @property
    def metadata(self) -> SegmentMetadata:
        """What it says of itself."""
        ...

    @property
    def records(self) -> pl.DataFrame:
        """Its records, of the schema ADMITTED."""
        ...


@dataclass(frozen=True)
class MemorySegment:
    """A segment in memory."""

    metadata: SegmentMetadata
    records: pl.DataFrame


@dataclass(frozen=True)
class SegmentFile:
    """A segment on the disk."""

    path: Path

    @property
    def metadata(self) -> SegmentMetadata:
        """What it says of itself."""
        return msgspec.json.decode(pl.read_parquet_metadata(self.path)[METADATA_KEY], type=SegmentMetadata)

    @property
    def age_seconds(self) -> float:
        """How long ago it was written, in seconds."""
        return time.time() - self.path.stat().st_mtime

    @property
    def records(self) -> pl.DataFrame:
        """Its records, of the schema ADMITTED."""
        return pl.read_parquet(self.path, schema=ADMITTED_SCHEMA)


def write_segment(folder: Path, segment: Segment) -> SegmentFile:
    """Write a segment: once this returns, no crash and no loss of power can lose it.

    Named by its log and byte range: the same bytes written twice make one segment.
    """
    folder.mkdir(parents=True, exist_ok=True)
    intake = segment.metadata
    last = "open" if intake.provisional else f"{intake.origin.end:016x}"
    path = folder / f"{intake.origin.log_id}-{intake.origin.start:016x}-{last}{SEGMENT_SUFFIX}"
    written = path.with_suffix(".new")
    with written.open("wb") as file:
        metadata = {METADATA_KEY: msgspec.json.encode(intake).decode()}
        segment.records.write_parquet(file, compression="lz4", metadata=metadata)
        file.flush()
        os.fsync(file.fileno())
    written.replace(path)
    sync_folder(folder)
    return SegmentFile(path)


ABANDONED_FILE_SECONDS = 600
"""After which a segment that nobody finished is swept up: whoever wrote it is gone."""


def list_segments(folder: Path) -> list[SegmentFile]:
    """Return the segments that wait to be loaded, each log's in the order of its bytes."""
    for unfinished in folder.glob("*.new"):
        with suppress(FileNotFoundError):
            if time.time() - unfinished.stat().st_mtime > ABANDONED_FILE_SECONDS:
                unfinished.unlink()
    return [SegmentFile(path) for path in sorted(folder.glob(f"*{SEGMENT_SUFFIX}"))]
