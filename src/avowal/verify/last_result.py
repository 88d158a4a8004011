"""When the folder was last verified, which the policy page shows."""

from collections.abc import Callable
from datetime import datetime
from hmac import compare_digest
from pathlib import Path

import msgspec

from avowal.atomic_files import replace_text
from avowal.strict import JSON_ERRORS

RESULT_FILE = "verified.json"

Authenticator = Callable[[bytes], bytes]
"""Returns a code of data that nobody can compute without the key of the folder."""


class VerificationResult(msgspec.Struct, frozen=True):
    """The last time that a verification passed, and the last time that one failed. Times are UTC."""

    passed_at: datetime | None = None
    failed_at: datetime | None = None
    entries: int = 0
    """How many entries the ledger had when the verification passed."""
    code: str = ""
    """Shows that Avowal wrote when it passed, in hexadecimal. That it failed is believed without."""

    @property
    def passed(self) -> bool:
        """Return whether the last verification passed."""
        return self.passed_at is not None and (self.failed_at is None or self.failed_at < self.passed_at)

    def compute_code(self, authenticate: Authenticator) -> str:
        """Return the code of when it passed."""
        return authenticate(msgspec.json.encode((self.passed_at, self.entries))).hex()


def read_last_result(data_folder: Path, authenticate: Authenticator) -> VerificationResult:
    """Return when a data folder was last verified: never, if the file is missing, forged or unreadable."""
    result = _read(data_folder)
    if compare_digest(result.code.encode(), result.compute_code(authenticate).encode()):
        return result
    return VerificationResult(failed_at=result.failed_at)


def record_pass(data_folder: Path, now: datetime, entry_count: int, authenticate: Authenticator) -> None:
    """Record that a verification passed; the time of the last that failed stays."""
    result = VerificationResult(now, _read(data_folder).failed_at, entry_count)
    _write(data_folder, msgspec.structs.replace(result, code=result.compute_code(authenticate)))


def record_failure(data_folder: Path, now: datetime) -> None:
    """Record that a verification failed; the time of the last that passed stays."""
    _write(data_folder, msgspec.structs.replace(_read(data_folder), failed_at=now))


def _read(data_folder: Path) -> VerificationResult:
    try:
        return msgspec.json.decode((data_folder / RESULT_FILE).read_bytes(), type=VerificationResult)
    except (OSError, *JSON_ERRORS):
        return VerificationResult()


def _write(data_folder: Path, result: VerificationResult) -> None:
    replace_text(data_folder / RESULT_FILE, msgspec.json.encode(result).decode())
