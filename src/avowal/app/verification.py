"""Verify a data folder, an exported ledger, or the proof of an entry."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from avowal.app.folder import find_folder, open_folder_register
from avowal.app.owner_requests import VerifyStore
from avowal.app.session import Session, open_session
from avowal.change.consent_receipt import check_consent_receipt
from avowal.clock import utc_now
from avowal.ledger.checkpoint import Checkpoint, EntryProof
from avowal.ledger.export_check import find_export_errors, read_checkpoint
from avowal.ledger.note import SignedNote, Verifier
from avowal.register.erasures import ERASURE_RECEIPT_SCHEMA, check_erasure_receipt
from avowal.register.releases import RELEASE_RECEIPT_SCHEMA, check_release_receipt
from avowal.store.duckdb_store import STORE_FILE
from avowal.verify.checks import verify_register
from avowal.verify.last_result import record_result
from avowal.verify.verification import Finding, Verification

RECEIPT_CHECKS = {
    ERASURE_RECEIPT_SCHEMA: check_erasure_receipt,
    RELEASE_RECEIPT_SCHEMA: check_release_receipt,
}
"""The check of each receipt, by its schema; all other receipts are those of consents."""


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
    """Verify an exported ledger. Raises ProofError if its checkpoint is not valid."""

    def read_file(name: str) -> bytes | None:
        try:
            return (folder / name).read_bytes()
        except FileNotFoundError:
            return None

    size = read_checkpoint(read_file, verifier).size
    errors = find_export_errors(read_file, verifier, witness_checkpoints)
    return Verification([Finding("export-mismatch", error) for error in errors], size)


def verify_entry(text: str, verifier: Verifier) -> tuple[EntryProof, Checkpoint]:
    """Verify the proof of an entry, or a receipt that contains one; return it with its checkpoint.

    Raises ProofError if it is not valid.
    """
    if not text.startswith("{"):
        proof = EntryProof.parse(text)
    else:
        checks = [check for schema, check in RECEIPT_CHECKS.items() if f'"{schema}"' in text]
        proof = checks[0](text, verifier) if checks else check_consent_receipt(text, verifier)[0]
    return proof, proof.verify(verifier)


def _record(data_folder: Path, verification: Verification) -> Verification:
    record_result(data_folder, utc_now(), verification.entries, passed=verification.holds)
    return verification
