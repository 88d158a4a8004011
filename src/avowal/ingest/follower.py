"""Following a log for ever: through rotation by renaming, and by copying and truncating."""

import math
import os
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path

from avowal.clock import utc_now
from avowal.errors import AvowalError, FormatError, MisuseError, OwnerGoneError, SourceError, StoreError
from avowal.ingest.importer import FileReport, Importer, Reading
from avowal.ingest.log_identity import HEAD_BYTES
from avowal.workspace.backend import known as known_logs

POLL_SECONDS = 0.5
"""How often the log is looked at; what is in it by then becomes one segment."""

SWEEP_SECONDS = 600.0
"""How often salts that have lived their time are destroyed, whether or not lines come in."""

DAY_SECONDS = 86_400.0

RETIRED_SECONDS = 60.0
"""How long a log that was renamed is watched on: servers write to it until they are told to open a new one."""


ROTATED = re.compile(r"[.-](\d{1,4}|\d{8}([-_.]?\d+)?|\d{4}-\d\d-\d\d(-\d+)?)(\.(gz|bz2|xz|zst))?")
"""What rotation puts behind the name of a log."""


@dataclass
class Tail:
    """A log that is followed: which file it is, and how it begins."""

    reading: Reading
    file: int
    head: bytes
    grown: float = field(default_factory=time.monotonic)

    def descriptor(self) -> int:
        """Return the descriptor of the open file."""
        return self.reading.log.raw.fileno()

    def same(self) -> bool:
        """Return whether the file is still what was read of it: not truncated, and not begun anew."""
        size = os.fstat(self.descriptor()).st_size
        return (
            size >= self.reading.place.offset and os.pread(self.descriptor(), len(self.head), 0) == self.head
        )

    def advance(self) -> bool:
        """Take in the whole lines that were added; returns whether there were any."""
        before = self.reading.place.offset
        if os.fstat(self.descriptor()).st_size > before:
            self.reading.log.stand_at(before)
            self.reading.advance(lambda *_: None, whole_lines=True)
        if grown := self.reading.place.offset > before:
            self.grown = time.monotonic()
        return grown


@dataclass
class Follower:
    """Follows the log at `path` until `stop` is set; `loaded` is called whenever lines came in.

    `say` is told in a sentence what an operator would want to know: a rotation, a log of unknown format.
    """

    importer: Importer
    path: Path
    loaded: Callable[[], None]
    say: Callable[[str], None]
    stop: threading.Event
    report: FileReport = field(default_factory=lambda: FileReport(""))
    daily: Callable[[], None] = lambda: None
    """Called once a day, and when following begins."""
    _current: Tail | None = None
    _retired: list[Tail] = field(default_factory=list)
    _said: str = ""

    def run(self) -> None:
        """Catch up on what was rotated away meanwhile, then follow."""
        self.report.name = str(self.path.absolute())
        self._catch_up()
        swept = kept = time.monotonic()
        self.daily()
        try:
            while True:
                stopping = self.stop.is_set()
                if self._turn():
                    self.loaded()
                if stopping:
                    return
                if time.monotonic() - swept > SWEEP_SECONDS:
                    self.importer.ways.salts.destroy_old(utc_now())
                    swept = time.monotonic()
                if time.monotonic() - kept > DAY_SECONDS:
                    self.daily()
                    kept = time.monotonic()
                self.stop.wait(POLL_SECONDS)
        finally:
            for tail in self._tails():
                tail.reading.close()

    def _catch_up(self) -> None:
        """Read the rest of logs that were followed before and renamed or copied since, but for those still followed.

        A log that came and went while nobody followed is known by its name, and by having been written to since.
        """
        followed = {tail.file for tail in self._tails()}
        last_read = self._last_read()
        for sibling in sorted(self.path.parent.glob(f"{self.path.name}?*")):
            with suppress(AvowalError, FileNotFoundError):
                found = sibling.stat()
                if not sibling.is_file() or found.st_ino in followed:
                    continue
                missed = ROTATED.fullmatch(sibling.name[len(self.path.name) :]) and found.st_mtime > last_read
                if missed or self.importer.knows(sibling):
                    report = FileReport(str(sibling.absolute()))
                    self.importer.read(sibling, report, lambda *_: None)
                    if report.lines:
                        self.say(f"{report.lines:,} lines taken in from `{sibling}`")
                        self.loaded()

    def _last_read(self) -> float:
        """Return when this log, or one that was it, was last read, in seconds since 1970; never is infinity."""
        name = str(self.path.absolute())
        times = [
            known.loaded_at for known in known_logs(self.importer.backend) if known.name.startswith(name)
        ]
        return max(times).replace(tzinfo=UTC).timestamp() if times else math.inf

    def _turn(self) -> bool:
        """Look once at every log; returns whether lines came in."""
        self._notice_rotation()
        grown = [self._advance(tail) for tail in self._tails()]
        for tail in [tail for tail in self._retired if time.monotonic() - tail.grown > RETIRED_SECONDS]:
            self._leave(tail)
        return any(grown)

    def _tails(self) -> list[Tail]:
        return [*self._retired, *([self._current] if self._current else [])]

    def _advance(self, tail: Tail) -> bool:
        """Take in what was added. Where another process has read the same lines, begin anew behind them."""
        try:
            return tail.advance()
        except OwnerGoneError:
            raise
        except StoreError as error:
            self._say_once(error.message)
            self._leave(tail)
            return False

    def _leave(self, tail: Tail) -> None:
        tail.reading.close()
        if tail is self._current:
            self._current = None
        else:
            self._retired.remove(tail)

    def _notice_rotation(self) -> None:
        with suppress(FileNotFoundError):
            file = self.path.stat().st_ino
            if self._current and file != self._current.file:
                self.say(f"`{self.path}` was rotated")
                self._current.grown = time.monotonic()
                self._retired.append(self._current)
                self._current = None
            elif self._current and not self._current.same():
                self.say(f"`{self.path}` was truncated")
                self._leave(self._current)
                self._catch_up()  # what was written last may be in its copy alone
            if self._current is None:
                self._current = self._open()

    def _open(self) -> Tail | None:
        """Open the log, or wait where it is empty or has no line yet that tells its format."""
        try:
            reading = self.importer.open(self.path, self.report)
        except (FormatError, SourceError) as error:
            self._say_once(f"waiting: {error.message}")
            return None
        if reading is None:
            return None
        if not reading.log.plain:
            reading.close()
            raise MisuseError(
                f"`{self.path}` is compressed or in UTF-16, and cannot be followed", "use `avowal import`"
            )
        self.importer.format = reading.way.reader.name
        descriptor = reading.log.raw.fileno()
        return Tail(reading, os.fstat(descriptor).st_ino, os.pread(descriptor, HEAD_BYTES, 0))

    def _say_once(self, sentence: str) -> None:
        if sentence != self._said:
            self.say(sentence)
            self._said = sentence
