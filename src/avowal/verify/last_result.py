"""When the folder was last verified: told to everybody beside the policy."""

from datetime import datetime
from pathlib import Path

import msgspec

from avowal.atomic_files import replace_text

RESULT_FILE = "verified.json"


class VerificationResult(msgspec.Struct, frozen=True):
    """When all held, and when something did not, the last time each. Times are UTC."""

    passed_at: datetime | None = None
    failed_at: datetime | None = None
    entries: int = 0
    """How many entries the ledger had when all held."""

    @property
    def passed(self) -> bool:
        """Whether all held the last time."""
        return self.passed_at is not None and (self.failed_at is None or self.failed_at < self.passed_at)


def read_last_result(data_folder: Path) -> VerificationResult:
    """Return when a data folder was last verified; one whose file cannot be read never was."""
    try:
        return msgspec.json.decode((data_folder / RESULT_FILE).read_bytes(), type=VerificationResult)
    except (OSError, msgspec.DecodeError):
        return VerificationResult()


def record_result(data_folder: Path, now: datetime, entry_count: int, *, passed: bool) -> None:
    """Record that a data folder was verified."""
    told = {"passed_at": now, "entries": entry_count} if passed else {"failed_at": now}
    replace_text(
        data_folder / RESULT_FILE,
        msgspec.json.encode(msgspec.structs.replace(read_last_result(data_folder), **told)).decode(),
    )
