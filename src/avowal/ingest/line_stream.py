"""From lines that come one after the other, and are in no file, to segments."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import polars as pl

from avowal.clock import utc_now
from avowal.collect.pipeline import Pipeline
from avowal.collect.segment import MemorySegment, Segment, SegmentMetadata, SegmentOrigin
from avowal.errors import FormatDetectionError
from avowal.ingest.importer import AUTOMATIC_FORMAT, PipelineFactory
from avowal.logs.formats import create_parser, detect_format
from avowal.logs.log_file import LogBlock

UNRECOGNISED_LINES_MAX = 1_000
"""How many lines may wait for one by which their format can be told."""


@dataclass
class LineStream:
    """Lines of one kind, for as long as the process lives: on no disk before they are kept."""

    pipeline_factory: PipelineFactory
    store_segments: Callable[[Sequence[Segment]], object]
    """Keeps a segment, so that no crash loses it."""
    name: str
    log_format: str = AUTOMATIC_FORMAT
    log_id: str = field(default_factory=lambda: secrets.token_hex(16))
    _place: int = 0
    _way: Pipeline | None = None
    _unread: list[bytes] = field(default_factory=list)

    def load_lines(self, lines: Sequence[bytes]) -> bool:
        """Load lines; returns whether that was done: they wait for others where their format cannot be told yet.

        Raises FormatDetectionError where so many cannot be recognised that nothing better will come.
        """
        try:
            self._load([*self._unread, *lines])
        except FormatDetectionError:
            self._unread = [*self._unread, *lines]
            if len(self._unread) > UNRECOGNISED_LINES_MAX:
                self._unread = []
                raise
            return False
        self._unread = []
        return True

    def _load(self, lines: Sequence[bytes]) -> None:
        data = b"\n".join(lines) + b"\n"
        block = LogBlock(
            self._place, f"{self._place}", self._place + len(data), f"{self._place + len(data)}", data
        )
        way = self._way = self._way or self._recognised(block.split_lines())
        taken = way.process(block, utc_now())
        origin = SegmentOrigin(
            self.log_id, self.name, way.parser.name, "", 1, self.log_id,
            block.start, block.start_digest if self._place else "", block.end, block.end_digest,
        )  # fmt: skip
        intake = SegmentMetadata(
            origin,
            taken.lines,
            taken.requests,
            taken.late_requests,
            taken.early_requests,
            taken.dropped,
            taken.unparsable_lines,
        )
        self.store_segments([MemorySegment(intake, taken.records)])
        self._place = block.end

    def _recognised(self, lines: pl.Series) -> Pipeline:
        known = self.log_format
        return self.pipeline_factory.create_pipeline(
            detect_format(lines.to_list()).parser if known == AUTOMATIC_FORMAT else create_parser(known)
        )
