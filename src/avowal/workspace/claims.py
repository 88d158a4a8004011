"""Claims of logs, so that no two processes read the same log at the same time."""

import threading
from dataclasses import dataclass, field
from typing import Protocol

from avowal.errors import LogSourceError


class LogClaimant(Protocol):
    """A process that claims logs: the owner itself, or the connection of another process."""

    def is_disconnected(self) -> bool:
        """Return whether it reads no more, so that its claims are about to be released."""
        ...


@dataclass
class LogClaims:
    """Which claimant reads which log; the methods may be called from any thread."""

    _claimants: dict[str, LogClaimant] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def acquire(self, head_digest: str, claimant: LogClaimant) -> None:
        """Claim a log. Raises LogSourceError if another claimant has it.

        If that claimant has disconnected, wait until the segments that it left are loaded: an import that was killed
        can be started again at once. A claimant that has itself disconnected never waits, as two of them could wait
        for each other.
        """
        with self._changed:
            while (holder := self._claimants.setdefault(head_digest, claimant)) is not claimant:
                if claimant.is_disconnected() or not holder.is_disconnected():
                    raise LogSourceError(
                        "this log is being read by another import or `avowal follow`",
                        "wait until it has finished, or stop it",
                        code="log-in-use",
                    )
                self._changed.wait()

    def logs_claimed_by(self, claimant: LogClaimant) -> set[str]:
        """Return the logs that a claimant has."""
        with self._changed:
            return {log for log, holder in self._claimants.items() if holder is claimant}

    def release(self, claimant: LogClaimant) -> None:
        """Release every log that a claimant has."""
        with self._changed:
            self._claimants = {
                log: holder for log, holder in self._claimants.items() if holder is not claimant
            }
            self._changed.notify_all()
