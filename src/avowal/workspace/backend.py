"""A data folder that is open, as everybody uses it: who owns it makes no difference (`owner.py`)."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from avowal.collect.segment import Segment, UnparsableLine
from avowal.errors import LogSourceError
from avowal.store.interface import LoadResult, LogPosition, RecordCounts


class FolderBackend(Protocol):
    """A data folder that is open, in this process or through the one that owns it."""

    is_owner: bool

    def call(self, operation: str, argument: Any = None) -> Any:
        """Put a question to the store; returns builtins (lists, dictionaries, strings, numbers).

        Raises the AvowalError that the owner raised, and StoreError where the owner is gone.
        """
        ...

    def load_segments(self, segments: Sequence[Segment]) -> list[LoadResult]:
        """Load segments, as Store does."""
        ...

    def close(self) -> None:
        """Let go of the folder."""
        ...


def fetch_log_positions(backend: FolderBackend) -> list[LogPosition]:
    """Return every log that was read before."""
    return msgspec.convert(backend.call("known"), list[LogPosition])


def claim_log(backend: FolderBackend, head_digest: str) -> None:
    """Keep others from reading the same log until this house is closed. Raises LogSourceError where one does."""
    backend.call("claim", head_digest)


def fetch_unparsable_lines(backend: FolderBackend, log_id: str) -> list[UnparsableLine]:
    """Return where the lines of a log are that could not be read."""
    return msgspec.convert(backend.call("dead_letters", log_id), list[UnparsableLine])


def fetch_record_counts(backend: FolderBackend) -> RecordCounts:
    """Return how much is kept."""
    return msgspec.convert(backend.call("counts"), RecordCounts)


class LogClaimant(Protocol):
    """Who claims logs: the owner, or a conversation with a guest."""

    def is_disconnected(self) -> bool:
        """Whether it will read no more, so that its claims are about to be released."""
        ...


@dataclass
class LogClaims:
    """Who is reading which log, so that no two processes read the same one."""

    _of: dict[str, LogClaimant] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def acquire(self, head_digest: str, claimant: LogClaimant) -> None:
        """Give a log to a holder; raises LogSourceError where another reads it.

        Waits where the other has gone and what it left is still being loaded: an import that was killed can be
        given again at once. Who has gone itself waits for nobody: two such could wait for each other.
        """
        with self._changed:
            while (other := self._of.setdefault(head_digest, claimant)) is not claimant:
                if claimant.is_disconnected() or not other.is_disconnected():
                    raise LogSourceError(
                        "this log is being read by another import or `avowal follow` at this moment",
                        "wait until that is done, or stop it",
                        code="log-in-use",
                    )
                self._changed.wait()

    def logs_claimed_by(self, claimant: LogClaimant) -> set[str]:
        """Return the logs that a holder has."""
        with self._changed:
            return {log for log, other in self._of.items() if other is claimant}

    def release(self, claimant: LogClaimant) -> None:
        """Take back all that a holder has."""
        with self._changed:
            self._of = {log: other for log, other in self._of.items() if other is not claimant}
            self._changed.notify_all()
