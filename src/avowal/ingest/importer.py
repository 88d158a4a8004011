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
from avowal.collect.admission import Promise
from avowal.collect.country import Countries
from avowal.collect.device import Devices
from avowal.collect.pipeline import Taken, Way
from avowal.collect.request_kind import Kinds
from avowal.collect.segment import Draft, Intake, Origin
from avowal.collect.visitor_key import SALTS, Salts
from avowal.config import Folder
from avowal.errors import AvowalError
from avowal.ingest.log_identity import HEAD_BYTES, Place, Sources, digest_to
from avowal.logs.formats import Reader, detect, named
from avowal.logs.log_file import STANDARD_INPUT, Block, Log, blocks, open_log
from avowal.store.interface import Loaded
from avowal.workspace import backend
from avowal.workspace.backend import House

SAMPLE_BYTES = 256 * 1024
SAMPLE_LINES = 400
"""How much of a log is looked at to recognise its format."""

TAKEN_AT_ONCE = 2
"""How many blocks are read at once, where their format bears no state."""

LOAD_SEGMENTS = 8
"""How many segments are loaded at once, while as many are read: some four of DuckDB's row groups."""

AUTOMATIC = "auto"
SOURCE_KEY = "source.key"


class FileReport(msgspec.Struct):
    """What became of one file."""

    name: str
    format: str = ""
    confidence: float | None = None
    """The share of the sample that the format read, where it was detected."""
    lines: int = 0
    requests: int = 0
    bots: int = 0
    late: int = 0
    """Requests of a day whose salt was gone: their visitors are others than before."""
    early: int = 0
    """Requests older than the first version of the terms, which they are bound to all the same."""
    left: dict[str, int] = {}
    """Lines that became no record, by reason."""
    damage: str = ""
    error: str = ""
    hint: str = ""

    def add(self, taken: Taken, loaded: Loaded) -> None:
        """Count what was taken from a block, less what it took the place of."""
        if not loaded.load:
            return
        self.lines += taken.lines - loaded.replaced.lines
        self.requests += taken.requests - loaded.replaced.requests
        self.bots += taken.bots - loaded.replaced.bots
        self.late += taken.late
        self.early += taken.early
        left = Counter(self.left)
        left.update(taken.left)
        left.subtract(loaded.replaced.left)
        self.left = {reason: lines for reason, lines in left.items() if lines}


@dataclass(frozen=True)
class BadLine:
    """A line that could not be read, read again from its file: it is nowhere else."""

    offset: int
    reason: str
    text: str


Progress = Callable[[int, int], None]
"""Told, after each block, how many bytes of the file were read, and how many lines of it were counted."""


@dataclass
class _Queue:
    """Segments on their way to the loader, in loads of LOAD_SEGMENTS: a load that fills row groups is cheaper.

    The next load begins when the one before is done, so that reading never runs far ahead of loading.
    """

    backend: House
    loader: ThreadPoolExecutor
    report: FileReport
    waiting: list[tuple[Taken, Draft]] = field(default_factory=list)
    under_way: tuple[list[Taken], Future[list[Loaded]]] | None = None

    def put(self, taken: Taken, draft: Draft) -> None:
        """Add a segment; waits where too many wait."""
        self.waiting.append((taken, draft))
        if len(self.waiting) >= LOAD_SEGMENTS:
            self._next()

    def finish(self) -> None:
        """Wait until all are loaded. Raises what the loader raised."""
        while self.waiting or self.under_way:
            self._next()

    def _next(self) -> None:
        if self.under_way:
            taken, loaded = self.under_way
            self.under_way = None
            for one, fate in zip(taken, loaded.result(), strict=True):
                self.report.add(one, fate)
        if self.waiting:
            future = self.loader.submit(self.backend.load, [draft for _, draft in self.waiting])
            self.under_way, self.waiting = ([taken for taken, _ in self.waiting], future), []


@dataclass
class Reading:
    """One log on its way into the store: how far it was read, and what became of it."""

    backend: House
    way: Way
    place: Place
    log: Log
    report: FileReport
    loader: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "load"))
    takers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(TAKEN_AT_ONCE, "take"))

    def advance(self, progress: Progress, *, whole_lines: bool = False) -> None:
        """Read on from the place to the end of the log; returns when all of it is in the store.

        `whole_lines` leaves an unfinished last line for the next time.
        """
        place, known = self.place, self.place.known
        digest = place.digest.copy()
        queue = _Queue(self.backend, self.loader, self.report)
        ahead: deque[tuple[Block, str, Future[Taken]]] = deque()
        for block in blocks(self.log, place.offset, digest):
            unchanged = known is not None and block.end_digest == known.provisional_digest
            if block.provisional and (whole_lines or unchanged):
                break
            while len(ahead) > (0 if self.way.reader.remembers else TAKEN_AT_ONCE - 1):
                self._queue(queue, *ahead.popleft())
            state = self.way.reader.state()
            now = utc_now()
            ahead.append((block, state, self.takers.submit(self.way.take, block, now)))
            if not block.provisional:
                self.place = replace(self.place, offset=block.end, digest=digest.copy())
            progress(self.log.position(), self.report.lines)
        while ahead:
            self._queue(queue, *ahead.popleft())
        queue.finish()
        self.report.damage = self.log.damage

    def _queue(self, queue: _Queue, block: Block, state: str, future: Future[Taken]) -> None:
        """Send what was taken from a block to the loader."""
        taken = future.result()
        draft = self._draft(taken, block, state if block.provisional else self.way.reader.state())
        queue.put(replace(taken, records=taken.records.clear()), draft)

    def close(self) -> None:
        """Close the log."""
        self.takers.shutdown()
        self.loader.shutdown()
        self.log.close()

    def _draft(self, taken: Taken, block: Block, state: str) -> Draft:
        origin = Origin(
            source=self.place.source,
            name=self.report.name,
            format=self.way.reader.name,
            state=state,
            head_bytes=self.place.head_bytes,
            head_digest=self.place.head_digest,
            start=block.start,
            start_digest=block.start_digest,
            end=block.end,
            end_digest=block.end_digest,
        )
        intake = Intake(
            origin=origin,
            lines=taken.lines,
            requests=taken.requests,
            late=taken.late,
            early=taken.early,
            dropped=taken.dropped,
            dead_letters=taken.dead_letters,
            provisional=block.provisional,
        )
        return Draft(intake, taken.records)


@dataclass
class Ways:
    """Makes ways in for lines of any format, under the settings of a folder and the versions of its terms."""

    folder: Folder
    promises: Callable[[datetime], Sequence[Promise]]
    devices: Devices = field(default_factory=Devices)

    @cached_property
    def countries(self) -> Countries | None:
        """The database of countries; None where there is none. Raises SettingsError where it is none."""
        return Countries.read(self.folder.country_database) if self.folder.country_database else None

    @property
    def salts(self) -> Salts:
        """The salts of the folder."""
        return Salts(self.folder.keys / SALTS)

    def way(self, reader: Reader) -> Way:
        """Return the way in for what a reader reads."""
        settings = self.folder.settings
        return Way(
            reader=reader,
            promises=self.promises,
            kinds=Kinds(settings.collect),
            salts=self.salts,
            zone=self.folder.zone,
            day_turns_at=self.folder.day_turns_at,
            host=settings.site.host,
            devices=self.devices,
            countries=self.countries,
        )


@dataclass
class Importer:
    """Reads logs under the versions of the terms into one house."""

    ways: Ways
    backend: House
    format: str = AUTOMATIC
    again: bool = False
    """Whether a log that begins like a known one, and is not its growth, is read as another log."""
    new_key: bool = False
    """Whether a lost key may be made anew, although no log is known by it then."""

    def __post_init__(self) -> None:
        """Raise LayoutError or SettingsError where format or database is none, before any log is opened."""
        if self.format != AUTOMATIC:
            named(self.format)
        _ = self.ways.countries

    @cached_property
    def sources(self) -> Sources:
        """The logs that the house knows."""
        return Sources(self.backend, self.ways.folder.keys / SOURCE_KEY, self.new_key)

    def first_time(self, path: Path) -> datetime:
        """Return the time of a log's first request, so that a rotated set can be read in order of time.

        What cannot be read comes last, and is explained when it is read.
        """
        with suppress(AvowalError):
            if path != STANDARD_INPUT:
                with open_log(path) as log:
                    sample = _sample(log)
                    reader, _ = self._recognise(sample)
                    earliest = reader.read(pl.Series(sample, dtype=pl.String)).requests["time"].min()
                    return earliest if isinstance(earliest, datetime) else datetime.max
        return datetime.max

    def read(self, path: Path, report: FileReport, progress: Progress) -> None:
        """Take in what is new in a log; returns when all of it is in the store.

        Raises AvowalError where the log cannot be read or recognised, or another process reads it; what was read
        before stays.
        """
        if reading := self.open(path, report):
            with closing(reading):
                reading.advance(progress)

    def open(self, path: Path, report: FileReport) -> Reading | None:
        """Open a log where what is new in it begins; None where it is empty. Raises as `read` does."""
        log = open_log(path)
        try:
            if not log.peek(HEAD_BYTES):
                report.damage = log.damage
                log.close()
                return None
            log, place = self.sources.find(path, log, again=self.again)
            if place.known and self.format in {AUTOMATIC, place.known.format}:
                reader = named(place.known.format)
                reader.restore(place.known.state)
            else:
                reader, report.confidence = self._recognise(_sample(log))
        except BaseException:
            log.close()
            raise
        report.format = reader.name
        return Reading(self.backend, self.ways.way(reader), place, log, report)

    def bad_lines(self, path: Path) -> list[BadLine]:
        """Read the lines of a log again that could not be read; none where the log was never read."""
        if path == STANDARD_INPUT:
            return []
        with open_log(path) as log:
            candidates = self.sources.candidates(log)
            letters = backend.dead_letters(self.backend, candidates[-1].source) if candidates else []
            found, position = [], 0
            for letter in sorted(letters, key=lambda letter: letter.offset):
                position += digest_to(log, self.sources.digest(b""), letter.offset - position)
                text = log.read(letter.length).decode("utf-8", "backslashreplace")
                position += letter.length
                found.append(BadLine(letter.offset, letter.reason, text))
            return found

    def knows(self, path: Path) -> bool:
        """Return whether a log begins like one that was read before."""
        with open_log(path) as log:
            return bool(self.sources.candidates(log))

    def _recognise(self, sample: list[str]) -> tuple[Reader, float | None]:
        if self.format != AUTOMATIC:
            return named(self.format), None
        detection = detect(sample)
        return detection.reader, detection.confidence


def _sample(log: Log) -> list[str]:
    """Return the first lines of a log, whole ones, and leave them there."""
    data = log.peek(SAMPLE_BYTES)
    cut = data.rfind(b"\n") + 1 or len(data)
    block = Block(0, "", cut, "", data[:cut])
    return block.lines().head(SAMPLE_LINES).to_list()
