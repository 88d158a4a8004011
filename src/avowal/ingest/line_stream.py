"""From lines that come one after the other, and are in no file, to segments."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import polars as pl

from avowal.clock import utc_now
from avowal.collect.pipeline import Way
from avowal.collect.segment import Draft, Intake, Origin, Segment
from avowal.errors import FormatError
from avowal.ingest.importer import AUTOMATIC, Ways
from avowal.logs.formats import detect, named
from avowal.logs.log_file import Block

UNREAD_MAX = 1_000
"""How many lines may wait for one by which their format can be told."""


@dataclass
class Stream:
    """Lines of one kind, for as long as the process lives: on no disk before they are kept."""

    ways: Ways
    keep: Callable[[Sequence[Segment]], object]
    """Keeps a segment, so that no crash loses it."""
    name: str
    format: str = AUTOMATIC
    source: str = field(default_factory=lambda: secrets.token_hex(16))
    _place: int = 0
    _way: Way | None = None
    _unread: list[bytes] = field(default_factory=list)

    def load(self, lines: Sequence[bytes]) -> bool:
        """Load lines; returns whether that was done: they wait for others where their format cannot be told yet.

        Raises FormatError where so many cannot be recognised that nothing better will come.
        """
        try:
            self._load([*self._unread, *lines])
        except FormatError:
            self._unread = [*self._unread, *lines]
            if len(self._unread) > UNREAD_MAX:
                self._unread = []
                raise
            return False
        self._unread = []
        return True

    def _load(self, lines: Sequence[bytes]) -> None:
        data = b"\n".join(lines) + b"\n"
        block = Block(
            self._place, f"{self._place}", self._place + len(data), f"{self._place + len(data)}", data
        )
        way = self._way = self._way or self._recognised(block.lines())
        taken = way.take(block, utc_now())
        origin = Origin(
            self.source, self.name, way.reader.name, "", 1, self.source,
            block.start, block.start_digest if self._place else "", block.end, block.end_digest,
        )  # fmt: skip
        intake = Intake(
            origin, taken.lines, taken.requests, taken.late, taken.early, taken.dropped, taken.dead_letters
        )
        self.keep([Draft(intake, taken.records)])
        self._place = block.end

    def _recognised(self, lines: pl.Series) -> Way:
        known = self.format
        return self.ways.way(detect(lines.to_list()).reader if known == AUTOMATIC else named(known))
