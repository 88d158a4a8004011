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
from avowal.errors import (
    AvowalError,
    FormatDetectionError,
    InvalidInputError,
    LogSourceError,
    ServerGoneError,
    StoreError,
)
from avowal.ingest.importer import FileImportReport, LogImport, LogImporter
from avowal.ingest.log_identity import HEAD_BYTES
from avowal.workspace.requests import ListLogPositions

POLL_SECONDS = 0.5
"""How often the log is looked at; what is in it by then becomes one segment."""

SALT_SWEEP_SECONDS = 600.0
"""How often salts that have lived their time are destroyed, whether or not lines come in."""

DAY_SECONDS = 86_400.0

ROTATED_LOG_SECONDS = 60.0
"""How long a log that was renamed is watched on: servers write to it until they are told to open a new one."""


ROTATION_SUFFIX_PATTERN = re.compile(
    r"[.-](\d{1,4}|\d{8}([-_.]?\d+)?|\d{4}-\d\d-\d\d(-\d+)?)(\.(gz|bz2|xz|zst))?"
)
"""What rotation puts behind the name of a log."""


@dataclass
class LogTail:
    """A log that is followed: which file it is, and how it begins."""

    log_import: LogImport
    inode: int
    first_bytes: bytes
    last_growth_seconds: float = field(default_factory=time.monotonic)

    def file_descriptor(self) -> int:
        """Return the descriptor of the open file."""
        return self.log_import.log_file.raw_file.fileno()

    def is_unchanged(self) -> bool:
        """Return whether the file is still what was read of it: not truncated, and not begun anew."""
        size = os.fstat(self.file_descriptor()).st_size
        return (
            size >= self.log_import.cursor.offset
            and os.pread(self.file_descriptor(), len(self.first_bytes), 0) == self.first_bytes
        )

    def advance(self) -> bool:
        """Take in the whole lines that were added; returns whether there were any."""
        before = self.log_import.cursor.offset
        if os.fstat(self.file_descriptor()).st_size > before:
            self.log_import.log_file.seek(before)
            self.log_import.advance(lambda *_: None, whole_lines=True)
        if grown := self.log_import.cursor.offset > before:
            self.last_growth_seconds = time.monotonic()
        return grown


@dataclass
class LogFollower:
    """Follows the log at `path` until `stop` is set; `loaded` is called whenever lines came in.

    `say` is told in a sentence what an operator would want to know: a rotation, a log of unknown format.
    """

    importer: LogImporter
    path: Path
    on_load: Callable[[], None]
    notify: Callable[[str], None]
    stop_event: threading.Event
    report: FileImportReport = field(default_factory=lambda: FileImportReport(""))
    on_day: Callable[[], None] = lambda: None
    """Called once a day, and when following begins."""
    _current: LogTail | None = None
    _retired: list[LogTail] = field(default_factory=list)
    _said: str = ""

    def run(self) -> None:
        """Catch up on what was rotated away meanwhile, then follow."""
        self.report.name = str(self.path.absolute())
        self._catch_up()
        swept = kept = time.monotonic()
        self.on_day()
        try:
            while True:
                stopping = self.stop_event.is_set()
                if self._turn():
                    self.on_load()
                if stopping:
                    return
                if time.monotonic() - swept > SALT_SWEEP_SECONDS:
                    self.importer.pipeline_factory.salts.destroy_expired(utc_now())
                    swept = time.monotonic()
                if time.monotonic() - kept > DAY_SECONDS:
                    self.on_day()
                    kept = time.monotonic()
                self.stop_event.wait(POLL_SECONDS)
        finally:
            for tail in self._tails():
                tail.log_import.close()

    def _catch_up(self) -> None:
        """Read the rest of logs that were followed before and renamed or copied since, but for those still followed.

        A log that came and went while nobody followed is known by its name, and by having been written to since.
        """
        followed = {tail.inode for tail in self._tails()}
        last_read = self._last_read()
        for sibling in sorted(self.path.parent.glob(f"{self.path.name}?*")):
            with suppress(AvowalError, FileNotFoundError):
                found = sibling.stat()
                if not sibling.is_file() or found.st_ino in followed:
                    continue
                missed = (
                    ROTATION_SUFFIX_PATTERN.fullmatch(sibling.name[len(self.path.name) :])
                    and found.st_mtime > last_read
                )
                if missed or self.importer.is_known_log(sibling):
                    report = FileImportReport(str(sibling.absolute()))
                    self.importer.import_log(sibling, report, lambda *_: None)
                    if report.lines:
                        self.notify(f"{report.lines:,} lines taken in from `{sibling}`")
                        self.on_load()

    def _last_read(self) -> float:
        """Return when this log, or one that was it, was last read, in seconds since 1970; never is infinity."""
        name = str(self.path.absolute())
        times = [
            known.loaded_at
            for known in self.importer.backend.call(ListLogPositions())
            if known.name.startswith(name)
        ]
        return max(times).replace(tzinfo=UTC).timestamp() if times else math.inf

    def _turn(self) -> bool:
        """Look once at every log; returns whether lines came in."""
        self._notice_rotation()
        grown = [self._advance(tail) for tail in self._tails()]
        for tail in [
            tail
            for tail in self._retired
            if time.monotonic() - tail.last_growth_seconds > ROTATED_LOG_SECONDS
        ]:
            self._leave(tail)
        return any(grown)

    def _tails(self) -> list[LogTail]:
        return [*self._retired, *([self._current] if self._current else [])]

    def _advance(self, tail: LogTail) -> bool:
        """Take in what was added. Where another process has read the same lines, begin anew behind them."""
        try:
            return tail.advance()
        except ServerGoneError:
            raise
        except StoreError as error:
            self._say_once(error.message)
            self._leave(tail)
            return False

    def _leave(self, tail: LogTail) -> None:
        tail.log_import.close()
        if tail is self._current:
            self._current = None
        else:
            self._retired.remove(tail)

    def _notice_rotation(self) -> None:
        with suppress(FileNotFoundError):
            file = self.path.stat().st_ino
            if self._current and file != self._current.inode:
                self.notify(f"`{self.path}` was rotated")
                self._current.last_growth_seconds = time.monotonic()
                self._retired.append(self._current)
                self._current = None
            elif self._current and not self._current.is_unchanged():
                self.notify(f"`{self.path}` was truncated")
                self._leave(self._current)
                self._catch_up()  # what was written last may be in its copy alone
            if self._current is None:
                self._current = self._open()

    def _open(self) -> LogTail | None:
        """Open the log, or wait where it is empty or has no line yet that tells its format."""
        try:
            reading = self.importer.start_import(self.path, self.report)
        except (FormatDetectionError, LogSourceError) as error:
            self._say_once(f"waiting: {error.message}")
            return None
        if reading is None:
            return None
        if not reading.log_file.is_plain_file:
            reading.close()
            raise InvalidInputError(
                f"`{self.path}` is compressed or in UTF-16, and cannot be followed",
                "use `avowal import`",
                code="log-not-followable",
            )
        self.importer.log_format = reading.pipeline.parser.name
        descriptor = reading.log_file.raw_file.fileno()
        return LogTail(reading, os.fstat(descriptor).st_ino, os.pread(descriptor, HEAD_BYTES, 0))

    def _say_once(self, sentence: str) -> None:
        if sentence != self._said:
            self.notify(sentence)
            self._said = sentence
