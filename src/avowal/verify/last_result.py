"""When the folder was last verified, which the policy page shows."""

from datetime import datetime
from pathlib import Path

import msgspec

from avowal.atomic_files import replace_text
from avowal.strict import JSON_ERRORS

RESULT_FILE = "verified.json"


class VerificationResult(msgspec.Struct, frozen=True):
    """The last time that a verification passed, and the last time that one failed. Times are UTC."""

    passed_at: datetime | None = None
    failed_at: datetime | None = None
    entries: int = 0
    """How many entries the ledger had when the verification passed."""

    @property
    def passed(self) -> bool:
        """Return whether the last verification passed."""
        return self.passed_at is not None and (self.failed_at is None or self.failed_at < self.passed_at)


def read_last_result(data_folder: Path) -> VerificationResult:
    """Return when a data folder was last verified: never, if the file is missing or cannot be read."""
    try:
        return msgspec.json.decode((data_folder / RESULT_FILE).read_bytes(), type=VerificationResult)
    except (OSError, *JSON_ERRORS):
        return VerificationResult()


def record_result(data_folder: Path, now: datetime, entry_count: int, *, passed: bool) -> None:
    """Record that a data folder was verified; the time of the other outcome stays."""
    changes = {"passed_at": now, "entries": entry_count} if passed else {"failed_at": now}
    replace_text(
        data_folder / RESULT_FILE,
        msgspec.json.encode(msgspec.structs.replace(read_last_result(data_folder), **changes)).decode(),
    )
