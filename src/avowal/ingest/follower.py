"""Follow a log for as long as the process lives, through rotation by renaming and by copying and truncating."""

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
from avowal.collect.line_counts import LineCounts
from avowal.errors import (
    AvowalError,
    FormatDetectionError,
    InvalidInputError,
    LogSourceError,
    ServerGoneError,
    StoreError,
)
from avowal.ingest.importer import LogImporter
from avowal.ingest.log_identity import HEAD_BYTES
from avowal.ingest.log_import import LogImport
from avowal.logs.log_file import open_log
from avowal.workspace.messages import ListLogPositions

POLL_SECONDS = 0.5
"""How often the log is read. The lines that were added since become one segment."""

SALT_SWEEP_SECONDS = 600.0
"""How often expired salts are destroyed, also if no lines arrive."""

DAY_SECONDS = 86_400.0

ROTATED_LOG_SECONDS = 60.0
"""How long a renamed log is read after its last growth: servers write to it until they open a new one."""


ROTATION_SUFFIX_PATTERN = re.compile(
    r"[.-](\d{1,4}|\d{8}([-_.]?\d+)?|\d{4}-\d\d-\d\d(-\d+)?)(\.(gz|bz2|xz|zst))?"
)
"""The suffixes that rotation adds to the name of a log."""


@dataclass
class LogTail:
    """A log that is being followed: its import, which file it is, and how it begins."""

    log_import: LogImport
    inode: int
    first_bytes: bytes
    last_growth_seconds: float = field(default_factory=time.monotonic)

    def file_descriptor(self) -> int:
        """Return the descriptor of the open file."""
        return self.log_import.log_file.raw_file.fileno()

    def is_unchanged(self) -> bool:
        """Return whether the file still begins with what was read: it was not truncated or written anew."""
        size = os.fstat(self.file_descriptor()).st_size
        return (
            size >= self.log_import.cursor.offset
            and os.pread(self.file_descriptor(), len(self.first_bytes), 0) == self.first_bytes
        )

    def advance(self) -> LineCounts | None:
        """Import the whole lines that were added. Return their counts, or None if there were none."""
        offset, counts = self.log_import.cursor.offset, self.log_import.counts
        if os.fstat(self.file_descriptor()).st_size > offset:
            self.log_import.log_file.seek(offset)
            self.log_import.advance(lambda *_: None, whole_lines=True)
        if self.log_import.cursor.offset == offset:
            return None
        self.last_growth_seconds = time.monotonic()
        return self.log_import.counts - counts


@dataclass
class LogFollower:
    """Follows the log at `path` until `stop_event` is set."""

    importer: LogImporter
    path: Path
    on_load: Callable[[LineCounts], None]
    """Called after lines were loaded, with their counts."""
    notify: Callable[[str], None]
    """Called with a sentence for the operator: a rotation, a log of unknown format."""
    stop_event: threading.Event
    on_day: Callable[[], None] = lambda: None
    """Called at the start and then once a day."""
    _current: LogTail | None = None
    _rotated: list[LogTail] = field(default_factory=list)
    _last_notice: str = ""

    @property
    def name(self) -> str:
        """The name of the log in the store."""
        return str(self.path.absolute())

    def run(self) -> None:
        """Import what was rotated away since the last run, then follow the log."""
        self._import_rotated_logs()
        salts_swept = day_started = time.monotonic()
        self.on_day()
        try:
            while True:
                is_last_round = self.stop_event.is_set()
                self._poll()
                if is_last_round:
                    return
                if time.monotonic() - salts_swept > SALT_SWEEP_SECONDS:
                    self.importer.pipeline_factory.salts.destroy_expired(utc_now())
                    salts_swept = time.monotonic()
                if time.monotonic() - day_started > DAY_SECONDS:
                    self.on_day()
                    day_started = time.monotonic()
                self.stop_event.wait(POLL_SECONDS)
        finally:
            for tail in self._tails():
                tail.log_import.close()

    def _import_rotated_logs(self) -> None:
        """Import the rest of logs that were followed earlier and renamed or copied, except those still open.

        A log that was created and rotated while nobody followed is recognised by its name and its modification time.
        """
        open_inodes = {tail.inode for tail in self._tails()}
        last_read = self._last_read_time()
        for sibling in sorted(self.path.parent.glob(f"{self.path.name}?*")):
            with suppress(AvowalError, FileNotFoundError):
                status = sibling.stat()
                if not sibling.is_file() or status.st_ino in open_inodes:
                    continue
                is_missed = (
                    ROTATION_SUFFIX_PATTERN.fullmatch(sibling.name[len(self.path.name) :])
                    and status.st_mtime > last_read
                )
                if is_missed or self.importer.is_known_log(sibling):
                    self._import_rotated_log(sibling)

    def _import_rotated_log(self, path: Path) -> None:
        report = self.importer.import_log(path, lambda *_: None, str(path.absolute()))
        if report.counts.lines:
            self.notify(f"loaded {report.counts.lines:,} lines of `{path}`")
            self.on_load(report.counts)

    def _last_read_time(self) -> float:
        """Return when this log, or a rotated one, was last read, in seconds since 1970; infinity if never."""
        times = [
            position.loaded_at
            for position in self.importer.backend.call(ListLogPositions())
            if position.name.startswith(self.name)
        ]
        return max(times).replace(tzinfo=UTC).timestamp() if times else math.inf

    def _poll(self) -> None:
        """Load the new lines of each open log, and close rotated logs that have not grown for a while."""
        self._detect_rotation()
        results = [counts for tail in self._tails() if (counts := self._advance(tail)) is not None]
        for tail in self._rotated.copy():
            if time.monotonic() - tail.last_growth_seconds > ROTATED_LOG_SECONDS:
                self._close(tail)
        if results:
            self.on_load(sum(results, LineCounts()))

    def _tails(self) -> list[LogTail]:
        return [*self._rotated, *([self._current] if self._current else [])]

    def _advance(self, tail: LogTail) -> LineCounts | None:
        """Load the new lines of a log. If another process has loaded them, close the log, to open it again."""
        try:
            return tail.advance()
        except ServerGoneError:
            raise
        except StoreError as error:
            self._notify_once(error.message)
            self._close(tail)
            return None

    def _close(self, tail: LogTail) -> None:
        tail.log_import.close()
        if tail is self._current:
            self._current = None
        else:
            self._rotated.remove(tail)

    def _detect_rotation(self) -> None:
        with suppress(FileNotFoundError):
            inode = self.path.stat().st_ino
            if self._current and inode != self._current.inode:
                self.notify(f"`{self.path}` was rotated")
                self._current.last_growth_seconds = time.monotonic()
                self._rotated.append(self._current)
                self._current = None
            elif self._current and not self._current.is_unchanged():
                self.notify(f"`{self.path}` was truncated")
                self._close(self._current)
                self._import_rotated_logs()  # the last lines may be only in the copy
            if self._current is None:
                self._current = self._open()

    def _open(self) -> LogTail | None:
        """Open the log. Return None if it is empty or its format cannot be detected yet."""
        try:
            log = open_log(self.path)
            if not log.peek(HEAD_BYTES):
                log.close()
                return None
            log_import = self.importer.start_import(self.path, log, self.name)
        except (FormatDetectionError, LogSourceError) as error:
            self._notify_once(f"waiting: {error.message}")
            return None
        if not log_import.log_file.is_plain_file:
            log_import.close()
            raise InvalidInputError(
                f"cannot follow `{self.path}`: it is compressed or in UTF-16",
                "use `avowal import`",
                code="log-not-followable",
            )
        self.importer.log_format = log_import.pipeline.parser.name
        descriptor = log_import.log_file.raw_file.fileno()
        return LogTail(log_import, os.fstat(descriptor).st_ino, os.pread(descriptor, HEAD_BYTES, 0))

    def _notify_once(self, notice: str) -> None:
        if notice != self._last_notice:
            self.notify(notice)
            self._last_notice = notice
