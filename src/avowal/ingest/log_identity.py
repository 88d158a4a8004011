"""Recognise a log by its content, whatever its name, and find where its new lines begin."""

import hmac
import secrets
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from avowal.errors import LogSourceError, StoreError
from avowal.key_files import read_or_create_secret
from avowal.logs.log_file import READ_BYTES, STANDARD_INPUT, LogFile, open_log
from avowal.store.interface import LogPosition
from avowal.workspace.backend import FolderBackend
from avowal.workspace.messages import ClaimLog, ListLogPositions

HEAD_BYTES = 4096
"""How many first bytes of a log are used to recognise it."""


@dataclass(frozen=True)
class LogCursor:
    """A recognised log, and how far it was read. The digest covers the bytes up to `offset`."""

    log_id: str
    head_bytes: int
    head_digest: str
    offset: int
    digest: "hmac.HMAC"
    stored_position: LogPosition | None
    """The position in the store, or None if the log is new."""


@dataclass
class LogCatalogue:
    """The logs that a folder knows, by keyed digests of their bytes."""

    backend: FolderBackend
    key_file: Path
    """The key of the digests, in `keys/`. The first import creates it."""
    allow_new_key: bool = False
    """Whether a missing key may be created again, although it makes all logs unknown."""

    @cached_property
    def digest_key(self) -> bytes:
        """The key of the digests.

        Raises StoreError if it is missing: with a new one every log would silently be counted again.
        """
        positions = (
            [] if self.allow_new_key or self.key_file.exists() else self.backend.call(ListLogPositions())
        )
        if any(position.head_digest != position.log_id for position in positions):  # streams need no key
            raise StoreError(
                f"`{self.key_file}` is missing, so logs that were read before cannot be recognised",
                "restore it from a backup; or import with `--as-new-log`, and all logs count as new",
                code="key-missing",
            )
        return read_or_create_secret(self.key_file)

    def candidates(self, log: LogFile) -> list[LogPosition]:
        """Return the known logs that begin like a log, the shortest first."""
        head = log.peek(HEAD_BYTES)
        matching = [
            position
            for position in self.backend.call(ListLogPositions())
            if position.head_bytes <= len(head)
            and position.head_digest == self.create_digest(head[: position.head_bytes]).hexdigest()
        ]
        return sorted(matching, key=lambda position: position.read_bytes)

    def locate(self, path: Path, log: LogFile, *, as_new_log: bool) -> tuple[LogFile, LogCursor]:
        """Move a log to where its new lines begin, and claim it, so that no other process reads it.

        Raises LogSourceError if another process reads it, or if it begins like a known log but does not continue it.
        With `as_new_log`, the latter becomes a log of its own.
        """
        head = log.peek(HEAD_BYTES)
        self.backend.call(ClaimLog(self.create_digest(head).hexdigest()))
        candidates = self.candidates(log)
        digest, offset = self.create_digest(b""), 0
        match: tuple[LogPosition, hmac.HMAC] | None = None
        for position in candidates:
            offset += read_into_digest(log, digest, position.read_bytes - offset)
            if offset == position.read_bytes and digest.hexdigest() == position.read_digest:
                match = position, digest.copy()
        if match:
            position, digest = match
            cursor = LogCursor(
                position.log_id,
                position.head_bytes,
                position.head_digest,
                position.read_bytes,
                digest,
                position,
            )
            log = self._move(path, log, offset, position.read_bytes)
            return self._skip_joined_logs(path, log, cursor)
        if candidates and not as_new_log:
            raise LogSourceError(
                f"`{path}` begins like `{candidates[0].name}`, which was read before, but does not continue it",
                "if it is another log, or its lines should count again, use `--as-new-log`",
                code="log-mismatch",
            )
        head_digest = self.create_digest(head).hexdigest()
        cursor = LogCursor(
            secrets.token_hex(8), len(head), head_digest, 0, self.create_digest(b""), stored_position=None
        )
        return self._move(path, log, offset, 0), cursor

    def _skip_joined_logs(self, path: Path, log: LogFile, cursor: LogCursor) -> tuple[LogFile, LogCursor]:
        """Skip known logs that follow a known log, as in `cat a b c | avowal import -`.

        What follows them is a log of its own, so that its lines count once even if it is imported alone later. What
        follows one known log alone are its new lines.
        """
        offset, is_joined = cursor.offset, False
        while (head := log.peek(HEAD_BYTES)) and (candidates := self.candidates(log)):
            self.backend.call(ClaimLog(self.create_digest(head).hexdigest()))
            digest, read_bytes, matched_bytes = self.create_digest(b""), 0, 0
            for position in candidates:
                read_bytes += read_into_digest(log, digest, position.read_bytes - read_bytes)
                if read_bytes == position.read_bytes and digest.hexdigest() == position.read_digest:
                    matched_bytes = read_bytes
            log = self._move(path, log, offset + read_bytes, offset + matched_bytes)
            if not matched_bytes:
                break
            offset, is_joined = offset + matched_bytes, True
        if not (is_joined and head):
            return log, cursor
        head_digest = self.create_digest(head).hexdigest()
        return log, LogCursor(
            secrets.token_hex(8), len(head), head_digest, 0, self.create_digest(b""), stored_position=None
        )

    def create_digest(self, data: bytes) -> hmac.HMAC:
        """Create a keyed digest of some bytes."""
        return hmac.new(self.digest_key, data, "sha256")

    def _move(self, path: Path, log: LogFile, current: int, offset: int) -> LogFile:
        """Return the log at an offset. It is opened again if it was read beyond the offset."""
        if current > offset:
            if path == STANDARD_INPUT:
                raise LogSourceError(
                    "standard input differs from the log that it begins like",
                    "import it as a file instead",
                    code="log-mismatch",
                )
            log.close()
            log = open_log(path)
            current = 0
        read_into_digest(log, self.create_digest(b""), offset - current)
        return log


def read_into_digest(log: LogFile, digest: hmac.HMAC, size: int) -> int:
    """Read up to `size` bytes into a digest, and return how many were read."""
    read_count = 0
    while read_count < size and (data := log.read(min(size - read_count, READ_BYTES))):
        digest.update(data)
        read_count += len(data)
    return read_count
