"""When the folder was last verified: told to everybody beside the policy."""

from datetime import datetime
from pathlib import Path

import msgspec

from avowal.atomic_files import replace_text

FILE = "verified.json"


class Verified(msgspec.Struct, frozen=True):
    """When all held, and when something did not, the last time each. Times are UTC."""

    passed_at: datetime | None = None
    failed_at: datetime | None = None
    entries: int = 0
    """How many entries the ledger had when all held."""

    @property
    def holds(self) -> bool:
        """Whether all held the last time."""
        return self.passed_at is not None and (self.failed_at is None or self.failed_at < self.passed_at)


def last(data: Path) -> Verified:
    """Return when a data folder was last verified; one whose file cannot be read never was."""
    try:
        return msgspec.json.decode((data / FILE).read_bytes(), type=Verified)
    except (OSError, msgspec.DecodeError):
        return Verified()


def record(data: Path, now: datetime, entries: int, *, holds: bool) -> None:
    """Record that a data folder was verified."""
    told = {"passed_at": now, "entries": entries} if holds else {"failed_at": now}
    replace_text(data / FILE, msgspec.json.encode(msgspec.structs.replace(last(data), **told)).decode())
