"""Knowing a log again: which one it is, whatever it is called now, and where what is new in it begins."""

import hmac
import secrets
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from avowal.errors import LogSourceError, StoreError
from avowal.key_files import read_or_create_secret
from avowal.logs.log_file import STANDARD_INPUT, LogFile, open_log
from avowal.store.interface import LogPosition
from avowal.workspace.backend import FolderBackend
from avowal.workspace.requests import ClaimLog, ListLogPositions

HEAD_BYTES = 4096
"""How much of a log's beginning tells it from others at a glance."""

READ_BYTES = 256 * 1024


@dataclass(frozen=True)
class LogCursor:
    """A log that was recognised, and where what is new in it begins: the log stands there."""

    log_id: str
    head_bytes: int
    head_digest: str
    offset: int
    digest: "hmac.HMAC"
    stored_position: LogPosition | None


@dataclass
class LogCatalogue:
    """The logs that a house knows, by keyed digests of their bytes."""

    backend: FolderBackend
    key_file: Path
    """In `keys/`, made at the first import."""
    allow_new_key: bool = False
    """Whether a lost key may be made anew, although no log is known by it then."""

    @cached_property
    def digest_key(self) -> bytes:
        """The key of the digests.

        Raises StoreError where it was lost: under a new one every log would silently count again.
        """
        if not self.allow_new_key and not self.key_file.exists() and self.backend.call(ListLogPositions()):
            raise StoreError(
                f"`{self.key_file}` is missing, by which logs are known that were read before",
                "put it back; or import with `--again`: all that is then read counts anew, whether or not it was "
                "read before",
                code="key-missing",
            )
        return read_or_create_secret(self.key_file)

    def candidates(self, log: LogFile) -> list[LogPosition]:
        """Return those that a log begins like, the shortest first."""
        head = log.peek(HEAD_BYTES)
        alike = [
            known
            for known in self.backend.call(ListLogPositions())
            if known.head_bytes <= len(head)
            and known.head_digest == self.create_digest(head[: known.head_bytes]).hexdigest()
        ]
        return sorted(alike, key=lambda known: known.read_bytes)

    def locate(self, path: Path, log: LogFile, *, as_new_log: bool) -> tuple[LogFile, LogCursor]:
        """Lead a log to where what is new in it begins, and keep others from reading it.

        Raises LogSourceError where another process reads it, or where it begins like a known one and does not go on
        like it; `again` takes the latter for a log of its own.
        """
        head = log.peek(HEAD_BYTES)
        self.backend.call(ClaimLog(self.create_digest(head).hexdigest()))
        candidates = self.candidates(log)
        digest, position = self.create_digest(b""), 0
        found: tuple[LogPosition, hmac.HMAC] | None = None
        for known in candidates:
            position += read_into_digest(log, digest, known.read_bytes - position)
            if position == known.read_bytes and digest.hexdigest() == known.read_digest:
                found = known, digest.copy()
        if found:
            known, digest = found
            place = LogCursor(
                known.log_id, known.head_bytes, known.head_digest, known.read_bytes, digest, known
            )
            return self._stand_at(path, log, position, known.read_bytes), place
        if candidates and not as_new_log:
            raise LogSourceError(
                f"`{path}` begins like `{candidates[0].name}`, which was read before, but does not go on like it",
                "if it is another log, or its lines shall count again, use `--again`",
                code="log-mismatch",
            )
        fresh = LogCursor(
            secrets.token_hex(8),
            len(head),
            self.create_digest(head).hexdigest(),
            0,
            self.create_digest(b""),
            None,
        )
        return self._stand_at(path, log, position, 0), fresh

    def create_digest(self, data: bytes) -> hmac.HMAC:
        """Begin a keyed digest with some bytes."""
        return hmac.new(self.digest_key, data, "sha256")

    def _stand_at(self, path: Path, log: LogFile, position: int, offset: int) -> LogFile:
        """Return the log standing at an offset; opened anew where it was read beyond."""
        if position > offset:
            if path == STANDARD_INPUT:
                raise LogSourceError(
                    "standard input differs from the log that it begins like",
                    "import it as a file instead",
                    code="log-mismatch",
                )
            log.close()
            log = open_log(path)
            position = 0
        read_into_digest(log, self.create_digest(b""), offset - position)
        return log


def read_into_digest(log: LogFile, digest: hmac.HMAC, size: int) -> int:
    """Read on by `size` bytes, or to the end, into a digest; return how many there were."""
    done = 0
    while done < size and (part := log.read(min(size - done, READ_BYTES))):
        digest.update(part)
        done += len(part)
    return done
