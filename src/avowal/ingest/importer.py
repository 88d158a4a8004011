"""From logs into the store: what is new in each, once."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

import msgspec
import polars as pl

from avowal.clock import utc_now
from avowal.collect.admission import AdmissionRules
from avowal.collect.country import CountryDatabase
from avowal.collect.device import DeviceParser
from avowal.collect.pipeline import BatchResult, Pipeline
from avowal.collect.request_kind import RequestKindRules
from avowal.collect.segment import MemorySegment, SegmentMetadata, SegmentOrigin
from avowal.collect.visitor_key import SALTS_FILE_NAME, SaltFile
from avowal.config import Folder
from avowal.errors import AvowalError
from avowal.ingest.log_identity import HEAD_BYTES, LogCatalogue, LogCursor, read_into_digest
from avowal.logs.formats import LogParser, create_parser, detect_format
from avowal.logs.log_file import STANDARD_INPUT, LogBlock, LogFile, open_log, read_blocks
from avowal.store.interface import LoadResult
from avowal.workspace.backend import FolderBackend
from avowal.workspace.requests import ListUnparsableLines

SAMPLE_BYTES = 256 * 1024
SAMPLE_LINES = 400
"""How much of a log is looked at to recognise its format."""

CONCURRENT_BLOCKS = 2
"""How many blocks are read at once, where their format bears no state."""

SEGMENTS_PER_LOAD = 8
"""How many segments are loaded at once, while as many are read: some four of DuckDB's row groups."""

AUTOMATIC_FORMAT = "auto"
LOG_KEY_FILE_NAME = "source.key"


class FileImportReport(msgspec.Struct):
    """What became of one file."""

    name: str
    format: str = ""
    confidence: float | None = None
    """The share of the sample that the format read, where it was detected."""
    lines: int = 0
    requests: int = 0
    bots: int = 0
    late_requests: int = 0
    """Requests of a day whose salt was gone: their visitors are others than before."""
    early_requests: int = 0
    """Requests older than the first version of the terms, which they are bound to all the same."""
    drop_reasons: dict[str, int] = {}
    """Lines that became no record, by reason."""
    damage: str = ""
    error: str = ""
    hint: str = ""

    def add(self, result: BatchResult, loaded: LoadResult) -> None:
        """Count what was taken from a block, less what it took the place of."""
        if not loaded.load_number:
            return
        self.lines += result.lines - loaded.replaced_lines.line_count
        self.requests += result.requests - loaded.replaced_lines.requests
        self.bots += result.bots - loaded.replaced_lines.bots
        self.late_requests += result.late_requests
        self.early_requests += result.early_requests
        left = Counter(self.drop_reasons)
        left.update(result.drop_reasons)
        left.subtract(loaded.replaced_lines.dropped)
        self.drop_reasons = {reason: lines for reason, lines in left.items() if lines}


@dataclass(frozen=True)
class UnparsableLineText:
    """A line that could not be read, read again from its file: it is nowhere else."""

    offset: int
    reason: str
    text: str


ProgressCallback = Callable[[int, int], None]
"""Told, after each block, how many bytes of the file were read, and how many lines of it were counted."""


@dataclass
class _LoadQueue:
    """Segments on their way to the loader, in loads of LOAD_SEGMENTS: a load that fills row groups is cheaper.

    The next load begins when the one before is done, so that reading never runs far ahead of loading.
    """

    backend: FolderBackend
    load_executor: ThreadPoolExecutor
    report: FileImportReport
    pending: list[tuple[BatchResult, MemorySegment]] = field(default_factory=list)
    current_load: tuple[list[BatchResult], Future[list[LoadResult]]] | None = None

    def put(self, taken: BatchResult, draft: MemorySegment) -> None:
        """Add a segment; waits where too many wait."""
        self.pending.append((taken, draft))
        if len(self.pending) >= SEGMENTS_PER_LOAD:
            self._next()

    def finish(self) -> None:
        """Wait until all are loaded. Raises what the loader raised."""
        while self.pending or self.current_load:
            self._next()

    def _next(self) -> None:
        if self.current_load:
            taken, loaded = self.current_load
            self.current_load = None
            for one, fate in zip(taken, loaded.result(), strict=True):
                self.report.add(one, fate)
        if self.pending:
            future = self.load_executor.submit(
                self.backend.load_segments, [draft for _, draft in self.pending]
            )
            self.current_load, self.pending = ([taken for taken, _ in self.pending], future), []


@dataclass
class LogImport:
    """One log on its way into the store: how far it was read, and what became of it."""

    backend: FolderBackend
    pipeline: Pipeline
    cursor: LogCursor
    log_file: LogFile
    report: FileImportReport
    load_executor: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "load"))
    parse_executor: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(CONCURRENT_BLOCKS, "take")
    )

    def advance(self, progress: ProgressCallback, *, whole_lines: bool = False) -> None:
        """Read on from the place to the end of the log; returns when all of it is in the store.

        `whole_lines` leaves an unfinished last line for the next time.
        """
        place, known = self.cursor, self.cursor.stored_position
        digest = place.digest.copy()
        queue = _LoadQueue(self.backend, self.load_executor, self.report)
        ahead: deque[tuple[LogBlock, str, Future[BatchResult]]] = deque()
        for block in read_blocks(self.log_file, place.offset, digest):
            unchanged = known is not None and block.end_digest == known.provisional_digest
            if block.provisional and (whole_lines or unchanged):
                break
            while len(ahead) > (0 if self.pipeline.parser.is_stateful else CONCURRENT_BLOCKS - 1):
                self._queue(queue, *ahead.popleft())
            state = self.pipeline.parser.export_state()
            now = utc_now()
            ahead.append((block, state, self.parse_executor.submit(self.pipeline.process, block, now)))
            if not block.provisional:
                self.cursor = replace(self.cursor, offset=block.end, digest=digest.copy())
            progress(self.log_file.position(), self.report.lines)
        while ahead:
            self._queue(queue, *ahead.popleft())
        queue.finish()
        self.report.damage = self.log_file.damage

    def _queue(self, queue: _LoadQueue, block: LogBlock, state: str, future: Future[BatchResult]) -> None:
        """Send what was taken from a block to the loader."""
        taken = future.result()
        draft = self._draft(taken, block, state if block.provisional else self.pipeline.parser.export_state())
        queue.put(replace(taken, records=taken.records.clear()), draft)

    def close(self) -> None:
        """Close the log."""
        self.parse_executor.shutdown()
        self.load_executor.shutdown()
        self.log_file.close()

    def _draft(self, taken: BatchResult, block: LogBlock, state: str) -> MemorySegment:
        origin = SegmentOrigin(
            log_id=self.cursor.log_id,
            name=self.report.name,
            format=self.pipeline.parser.name,
            parser_state=state,
            head_bytes=self.cursor.head_bytes,
            head_digest=self.cursor.head_digest,
            start=block.start,
            start_digest=block.start_digest,
            end=block.end,
            end_digest=block.end_digest,
        )
        intake = SegmentMetadata(
            origin=origin,
            lines=taken.lines,
            requests=taken.requests,
            late_requests=taken.late_requests,
            early_requests=taken.early_requests,
            dropped=taken.dropped,
            unparsable_lines=taken.unparsable_lines,
            provisional=block.provisional,
        )
        return MemorySegment(intake, taken.records)


@dataclass
class PipelineFactory:
    """Makes ways in for lines of any format, under the settings of a folder and the versions of its terms."""

    folder: Folder
    admission_rules: Callable[[datetime], Sequence[AdmissionRules]]
    device_parser: DeviceParser = field(default_factory=DeviceParser)

    @cached_property
    def country_database(self) -> CountryDatabase | None:
        """The database of countries; None where there is none. Raises SettingsError where it is none."""
        return CountryDatabase.open(self.folder.country_database) if self.folder.country_database else None

    @property
    def salts(self) -> SaltFile:
        """The salts of the folder."""
        return SaltFile(self.folder.keys_folder / SALTS_FILE_NAME)

    def create_pipeline(self, parser: LogParser) -> Pipeline:
        """Return the way in for what a reader reads."""
        settings = self.folder.settings
        return Pipeline(
            parser=parser,
            admission_rules=self.admission_rules,
            kind_rules=RequestKindRules(settings.collect),
            salts=self.salts,
            zone=self.folder.time_zone,
            day_start=self.folder.day_start,
            default_host=settings.site.host,
            device_parser=self.device_parser,
            country_database=self.country_database,
        )


@dataclass
class LogImporter:
    """Reads logs under the versions of the terms into one house."""

    pipeline_factory: PipelineFactory
    backend: FolderBackend
    log_format: str = AUTOMATIC_FORMAT
    as_new_log: bool = False
    """Whether a log that begins like a known one, and is not its growth, is read as another log."""
    allow_new_key: bool = False
    """Whether a lost key may be made anew, although no log is known by it then."""

    def __post_init__(self) -> None:
        """Raise LogFormatError or SettingsError where format or database is none, before any log is opened."""
        if self.log_format != AUTOMATIC_FORMAT:
            create_parser(self.log_format)
        _ = self.pipeline_factory.country_database

    @cached_property
    def log_catalogue(self) -> LogCatalogue:
        """The logs that the house knows."""
        return LogCatalogue(
            self.backend, self.pipeline_factory.folder.keys_folder / LOG_KEY_FILE_NAME, self.allow_new_key
        )

    def find_first_request_time(self, path: Path) -> datetime:
        """Return the time of a log's first request, so that a rotated set can be read in order of time.

        What cannot be read comes last, and is explained when it is read.
        """
        with suppress(AvowalError):
            if path != STANDARD_INPUT:
                with open_log(path) as log:
                    sample = _sample(log)
                    reader, _ = self._recognise(sample)
                    earliest = reader.parse(pl.Series(sample, dtype=pl.String)).requests["time"].min()
                    return earliest if isinstance(earliest, datetime) else datetime.max
        return datetime.max

    def import_log(self, path: Path, report: FileImportReport, progress: ProgressCallback) -> None:
        """Take in what is new in a log; returns when all of it is in the store.

        Raises AvowalError where the log cannot be read or recognised, or another process reads it; what was read
        before stays.
        """
        if reading := self.start_import(path, report):
            with closing(reading):
                reading.advance(progress)

    def start_import(self, path: Path, report: FileImportReport) -> LogImport | None:
        """Open a log where what is new in it begins; None where it is empty. Raises as `read` does."""
        log = open_log(path)
        try:
            if not log.peek(HEAD_BYTES):
                report.damage = log.damage
                log.close()
                return None
            log, place = self.log_catalogue.locate(path, log, as_new_log=self.as_new_log)
            if place.stored_position and self.log_format in {AUTOMATIC_FORMAT, place.stored_position.format}:
                reader = create_parser(place.stored_position.format)
                reader.restore_state(place.stored_position.parser_state)
            else:
                reader, report.confidence = self._recognise(_sample(log))
        except BaseException:
            log.close()
            raise
        report.format = reader.name
        return LogImport(self.backend, self.pipeline_factory.create_pipeline(reader), place, log, report)

    def read_unparsable_lines(self, path: Path) -> list[UnparsableLineText]:
        """Read the lines of a log again that could not be read; none where the log was never read."""
        if path == STANDARD_INPUT:
            return []
        with open_log(path) as log:
            candidates = self.log_catalogue.candidates(log)
            letters = self.backend.call(ListUnparsableLines(candidates[-1].log_id)) if candidates else []
            found, position = [], 0
            for letter in sorted(letters, key=lambda letter: letter.offset_bytes):
                position += read_into_digest(
                    log, self.log_catalogue.create_digest(b""), letter.offset_bytes - position
                )
                text = log.read(letter.length_bytes).decode("utf-8", "backslashreplace")
                position += letter.length_bytes
                found.append(UnparsableLineText(letter.offset_bytes, letter.reason, text))
            return found

    def is_known_log(self, path: Path) -> bool:
        """Return whether a log begins like one that was read before."""
        with open_log(path) as log:
            return bool(self.log_catalogue.candidates(log))

    def _recognise(self, sample: list[str]) -> tuple[LogParser, float | None]:
        if self.log_format != AUTOMATIC_FORMAT:
            return create_parser(self.log_format), None
        detection = detect_format(sample)
        return detection.parser, detection.confidence


def _sample(log: LogFile) -> list[str]:
    """Return the first lines of a log, whole ones, and leave them there."""
    data = log.peek(SAMPLE_BYTES)
    cut = data.rfind(b"\n") + 1 or len(data)
    block = LogBlock(0, "", cut, "", data[:cut])
    return block.split_lines().head(SAMPLE_LINES).to_list()
