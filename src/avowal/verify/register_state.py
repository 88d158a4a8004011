"""What the checks of a register read."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from avowal.ledger.entry import Entry
from avowal.ledger.note import SignedNote
from avowal.register.register import Register
from avowal.verify.version_timeline import VersionTimeline


@dataclass(frozen=True)
class RegisterState:
    """A register at one moment, the entries of its ledger, and the checkpoints that it has to match."""

    register: Register
    """A snapshot."""
    entries: Sequence[Entry]
    last_checkpoint: SignedNote | None
    """The last checkpoint that was written beside the key."""
    witness_checkpoints: Sequence[SignedNote]
    """Checkpoints that somebody else holds."""

    @cached_property
    def timeline(self) -> VersionTimeline:
        """The versions of the terms, by when each was in force."""
        return VersionTimeline(self.register.versions())
