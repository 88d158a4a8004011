"""Verify a data folder, an exported ledger, or the proof of an entry."""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from avowal.app.folder import find_folder, open_folder_register
from avowal.app.owner_requests import VerifyStore
from avowal.app.session import Session, open_session
from avowal.change.consent_receipt import CONSENT_RECEIPT_SCHEMA, check_consent_receipt
from avowal.clock import utc_now
from avowal.ledger.checkpoint import Checkpoint, EntryProof
from avowal.ledger.export_check import EXPORT_FILE_BYTES_MAX, find_export_errors, read_checkpoint
from avowal.ledger.note import SignedNote, Verifier
from avowal.ledger.receipt import invalid_receipt, read_members
from avowal.register.erasures import ERASURE_RECEIPT_SCHEMA, check_erasure_receipt
from avowal.register.releases import RELEASE_RECEIPT_SCHEMA, check_release_receipt
from avowal.store.duckdb_store import STORE_FILE
from avowal.verify.checks import verify_register
from avowal.verify.last_result import record_result
from avowal.verify.verification import Finding, Verification

RECEIPT_CHECKS: dict[str, Callable[[str, Verifier], EntryProof]] = {
    ERASURE_RECEIPT_SCHEMA: check_erasure_receipt,
    RELEASE_RECEIPT_SCHEMA: check_release_receipt,
    CONSENT_RECEIPT_SCHEMA: lambda text, verifier: check_consent_receipt(text, verifier)[0],
}
"""The check of each receipt, by its schema."""


def verify_folder(data_folder: Path | None, witness_checkpoints: Sequence[SignedNote] = ()) -> Verification:
    """Verify the folder that a command works in, and record the result for the policy's page.

    The register is opened without the check that other commands need to pass, so that all findings are reported.
    """
    with closing(open_folder_register(data_folder, check=False)) as register:
        verification = verify_register(register, witness_checkpoints)
    folder = find_folder(data_folder).data_folder
    if verification.holds and (folder / STORE_FILE).exists():
        with open_session(data_folder) as session:
            verification = verification.merge(session.call(VerifyStore()))
    return _record(folder, verification)


def verify_open_folder(session: Session) -> Verification:
    """Verify an open folder, and record the result for the policy's page."""
    verification = verify_register(session.register, ())
    if verification.holds:
        verification = verification.merge(session.call(VerifyStore()))
    return _record(session.folder.data_folder, verification)


def verify_export(
    folder: Path, verifier: Verifier, witness_checkpoints: Sequence[SignedNote]
) -> Verification:
    """Verify an exported ledger, with every file in `tile/`. Raises ProofError if its checkpoint is not valid."""

    def read_file(name: str) -> bytes | None:
        try:
            with (folder / name).open("rb") as file:
                return file.read(EXPORT_FILE_BYTES_MAX + 1)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    size = read_checkpoint(read_file, verifier).size
    tiles = (path.relative_to(folder).as_posix() for path in folder.glob("tile/**/*") if not path.is_dir())
    errors = find_export_errors(read_file, verifier, witness_checkpoints, sorted(tiles))
    return Verification([Finding("export-mismatch", error) for error in errors], size)


def verify_entry(text: str, verifier: Verifier) -> tuple[EntryProof, Checkpoint]:
    """Verify the proof of an entry, or a receipt that contains one; return it with its checkpoint.

    Raises ProofError if it is not valid.
    """
    if not text.startswith("{"):
        proof = EntryProof.parse(text)
    else:
        members = read_members(text)
        check = RECEIPT_CHECKS.get(str(members.get("schema") or members.get("schema_version")))
        if check is None:
            raise invalid_receipt()
        proof = check(text, verifier)
    return proof, proof.verify(verifier)


def _record(data_folder: Path, verification: Verification) -> Verification:
    record_result(data_folder, utc_now(), verification.entries, passed=verification.holds)
    return verification
