"""Import one log: read it in blocks, process these in parallel, and load the segments in order."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import msgspec

from avowal.clock import utc_now
from avowal.collect.line_counts import LineCounts, describe_missing_field
from avowal.collect.pipeline import BatchResult, Pipeline
from avowal.collect.segment import MemorySegment, SegmentOrigin
from avowal.errors import AvowalError
from avowal.ingest.log_identity import LogCursor
from avowal.logs.log_file import LogBlock, LogFile, read_blocks
from avowal.store.interface import LoadResult
from avowal.workspace.backend import FolderBackend

CONCURRENT_BLOCKS = 2
"""How many blocks are processed at once, if the parser has no state."""

SEGMENTS_PER_LOAD = 8
"""How many segments are loaded at once: about four of DuckDB's row groups. As many are read meanwhile."""

ProgressCallback = Callable[[int, int], None]
"""Called after each block with the number of bytes of the file that were read, and of lines that were loaded."""


class FileImportReport(msgspec.Struct, frozen=True):
    """The result of importing one file."""

    name: str
    format: str = ""
    confidence: float | None = None
    """The share of the sampled lines that match the format, if it was detected."""
    counts: LineCounts = LineCounts()
    missing_fields: dict[str, str] = {}
    """The fields that no line had, and what each costs."""
    damage: str = ""
    error: str = ""
    error_code: str = ""
    hint: str = ""

    def with_error(self, error: AvowalError) -> "FileImportReport":
        """Return the report of an import that ended with an error."""
        return msgspec.structs.replace(
            self, damage="", error=error.message, error_code=error.code, hint=error.hint
        )


@dataclass
class _LoadQueue:
    """Segments that wait to be loaded, SEGMENTS_PER_LOAD at a time, because loads that fill row groups are faster.

    One load runs at a time, so that reading is never far ahead of loading.
    """

    backend: FolderBackend
    load_executor: ThreadPoolExecutor
    pending: list[tuple[LineCounts, MemorySegment]] = field(default_factory=list)
    current_load: tuple[list[LineCounts], Future[list[LoadResult]]] | None = None

    def put(self, counts: LineCounts, segment: MemorySegment) -> LineCounts:
        """Add a segment. If enough wait, wait for the current load and start the next.

        Returns the counts of the segments that were loaded meanwhile. Raises the error of a failed load.
        """
        self.pending.append((counts, segment))
        return self._start_next_load() if len(self.pending) >= SEGMENTS_PER_LOAD else LineCounts()

    def finish(self) -> Iterator[LineCounts]:
        """Yield the counts of each load, until all segments are loaded. Raises the error of a failed load."""
        while self.pending or self.current_load:
            yield self._start_next_load()

    def _start_next_load(self) -> LineCounts:
        loaded_counts = LineCounts()
        if self.current_load:
            all_counts, future = self.current_load
            self.current_load = None
            for counts, result in zip(all_counts, future.result(), strict=True):
                if result.load_number:
                    loaded_counts += counts - result.replaced_lines
        if self.pending:
            future = self.load_executor.submit(
                self.backend.load_segments, [segment for _, segment in self.pending]
            )
            self.current_load, self.pending = ([counts for counts, _ in self.pending], future), []
        return loaded_counts


@dataclass
class LogImport:
    """The import of one log: how far it was read, and what became of its lines so far."""

    name: str
    backend: FolderBackend
    pipeline: Pipeline
    cursor: LogCursor
    log_file: LogFile
    confidence: float | None = None
    """The share of the sampled lines that match the format, if it was detected."""
    counts: LineCounts = field(default_factory=LineCounts)
    load_executor: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "load"))
    parse_executor: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(CONCURRENT_BLOCKS, "parse")
    )

    def advance(self, progress: ProgressCallback, *, whole_lines: bool = False) -> None:
        """Read from the cursor to the end of the log. When this returns, everything is loaded.

        With `whole_lines`, an unfinished last line is left for the next call.
        """
        digest = self.cursor.digest.copy()
        queue = _LoadQueue(self.backend, self.load_executor)
        in_progress: deque[tuple[LogBlock, str, Future[BatchResult]]] = deque()
        for block in read_blocks(self.log_file, self.cursor.offset, digest):
            if block.provisional and (whole_lines or self._is_loaded(block)):
                break
            while len(in_progress) > (0 if self.pipeline.parser.is_stateful else CONCURRENT_BLOCKS - 1):
                self._load(queue, *in_progress.popleft())
            state = self.pipeline.parser.export_state()
            now = utc_now()
            in_progress.append((block, state, self.parse_executor.submit(self.pipeline.process, block, now)))
            if not block.provisional:
                self.cursor = replace(self.cursor, offset=block.end, digest=digest.copy())
            progress(self.log_file.position(), self.counts.lines)
        while in_progress:
            self._load(queue, *in_progress.popleft())
        for counts in queue.finish():
            self.counts += counts

    def _is_loaded(self, block: LogBlock) -> bool:
        """Return whether an unfinished last line was loaded before, and has not changed."""
        position = self.cursor.stored_position
        return position is not None and block.end_digest == position.provisional_digest

    def _load(self, queue: _LoadQueue, block: LogBlock, state: str, future: Future[BatchResult]) -> None:
        """Put the segment of a processed block into the queue. `state` is the parser's before the block."""
        result = future.result()
        origin = SegmentOrigin(
            log_id=self.cursor.log_id,
            name=self.name,
            format=self.pipeline.parser.name,
            parser_state=state if block.provisional else self.pipeline.parser.export_state(),
            head_bytes=self.cursor.head_bytes,
            head_digest=self.cursor.head_digest,
            start=block.start,
            start_digest=block.start_digest,
            end=block.end,
            end_digest=block.end_digest,
        )
        self.counts += queue.put(result.counts, result.to_segment(origin, provisional=block.provisional))

    def report(self) -> FileImportReport:
        """Return what has been imported so far."""
        missing_fields = {name: describe_missing_field(name) for name in self.counts.missing_fields}
        return FileImportReport(
            self.name,
            self.pipeline.parser.name,
            self.confidence,
            self.counts,
            missing_fields,
            self.log_file.damage,
        )

    def close(self) -> None:
        """Close the log."""
        self.parse_executor.shutdown()
        self.load_executor.shutdown()
        self.log_file.close()
