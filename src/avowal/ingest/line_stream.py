"""Turn lines that arrive one after the other, and are not in a file, into segments."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import polars as pl

from avowal.clock import utc_now
from avowal.collect.pipeline import Pipeline
from avowal.collect.segment import Segment, SegmentOrigin
from avowal.errors import FormatDetectionError
from avowal.ingest.importer import AUTOMATIC_FORMAT
from avowal.ingest.pipeline_factory import PipelineFactory
from avowal.logs.formats import create_parser, detect_format
from avowal.logs.log_file import LogBlock

UNRECOGNISED_LINES_MAX = 1_000
"""The most lines that wait until their format can be detected."""


@dataclass
class LineStream:
    """Lines of one format that arrive while the process lives. They are not on disk before they are stored."""

    pipeline_factory: PipelineFactory
    store_segments: Callable[[Sequence[Segment]], object]
    """Stores segments durably."""
    name: str
    log_format: str = AUTOMATIC_FORMAT
    log_id: str = field(default_factory=lambda: secrets.token_hex(16))
    _offset: int = 0
    _pipeline: Pipeline | None = None
    _waiting_lines: list[bytes] = field(default_factory=list)

    def load_lines(self, lines: Sequence[bytes]) -> bool:
        """Load lines. Return False if they wait for more lines, because their format cannot be detected yet.

        Raises FormatDetectionError if more than UNRECOGNISED_LINES_MAX lines wait; they are discarded.
        """
        try:
            self._load([*self._waiting_lines, *lines])
        except FormatDetectionError:
            self._waiting_lines = [*self._waiting_lines, *lines]
            if len(self._waiting_lines) > UNRECOGNISED_LINES_MAX:
                self._waiting_lines = []
                raise
            return False
        self._waiting_lines = []
        return True

    def _load(self, lines: Sequence[bytes]) -> None:
        data = b"\n".join(lines) + b"\n"
        block = LogBlock(
            self._offset, f"{self._offset}", self._offset + len(data), f"{self._offset + len(data)}", data
        )
        pipeline = self._pipeline = self._pipeline or self._create_pipeline(block.split_lines())
        result = pipeline.process(block, utc_now())
        origin = SegmentOrigin(
            log_id=self.log_id,
            name=self.name,
            format=pipeline.parser.name,
            parser_state="",
            head_bytes=1,
            head_digest=self.log_id,
            start=block.start,
            start_digest=block.start_digest if self._offset else "",
            end=block.end,
            end_digest=block.end_digest,
        )
        self.store_segments([result.to_segment(origin)])
        self._offset = block.end

    def _create_pipeline(self, lines: pl.Series) -> Pipeline:
        if self.log_format == AUTOMATIC_FORMAT:
            return self.pipeline_factory.create_pipeline(detect_format(lines.to_list()).parser)
        return self.pipeline_factory.create_pipeline(create_parser(self.log_format))
