"""Verify a data folder: the ledger and the register first, and then, if these hold, what is stored."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from avowal.app.folder import find_folder, open_folder_register
from avowal.app.owner_requests import VerifyStore
from avowal.app.session import Session, open_session
from avowal.clock import utc_now
from avowal.ledger.note import SignedNote
from avowal.store.duckdb_store import STORE_FILE
from avowal.verify.checks import verify_register
from avowal.verify.last_result import record_result
from avowal.verify.verification import Verification


def verify_folder(data_folder: Path | None, witness_checkpoints: Sequence[SignedNote] = ()) -> Verification:
    """Verify the folder that a command works in, and record the result for the policy's page.

    The register is opened without the check that other commands need to pass, so that all findings are reported.
    """
    with closing(open_folder_register(data_folder, check=False)) as register:
        verification = verify_register(register, witness_checkpoints)
    folder = find_folder(data_folder).data_folder
    if verification.holds and (folder / STORE_FILE).exists():
        with open_session(data_folder) as opened:
            verification = verification.merge(opened.call(VerifyStore()))
    return _record(folder, verification)


def verify_open_folder(session: Session) -> Verification:
    """Verify an open folder, and record the result for the policy's page."""
    verification = verify_register(session.register, ())
    if verification.holds:
        verification = verification.merge(session.call(VerifyStore()))
    return _record(session.folder.data_folder, verification)


def _record(data_folder: Path, verification: Verification) -> Verification:
    record_result(data_folder, utc_now(), verification.entries, passed=verification.holds)
    return verification
