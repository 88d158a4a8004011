"""Verify a data folder, an exported ledger, or the proof of an entry."""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import get_args

import duckdb

from avowal.app.folder import find_folder, open_folder_register
from avowal.app.owner_requests import VerifyStore
from avowal.app.session import Session, open_session
from avowal.change.consent_receipt import CONSENT_RECEIPT_SCHEMA, check_consent_receipt
from avowal.clock import utc_now
from avowal.errors import ProofError, StoreError
from avowal.ledger.checkpoint import Checkpoint, EntryProof
from avowal.ledger.export_check import EXPORT_FILE_BYTES_MAX, find_export_errors, read_checkpoint
from avowal.ledger.note import SignedNote, Verifier
from avowal.ledger.receipt import invalid_receipt, read_members
from avowal.register.erasures import ERASURE_RECEIPT_SCHEMA, check_erasure_receipt
from avowal.register.register import Register
from avowal.register.releases import RELEASE_RECEIPT_SCHEMA, check_release_receipt
from avowal.storage_errors import explain
from avowal.store.duckdb_store import STORE_FILE
from avowal.verify.checks import verify_register
from avowal.verify.last_result import record_failure, record_pass
from avowal.verify.schema import check_schema_of_closed_store
from avowal.verify.verification import Finding, StoreFindingCode, Verification

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
    folder = find_folder(data_folder).data_folder

    def verify_store() -> Verification:
        with open_session(data_folder) as session:
            return session.call(VerifyStore())

    with closing(open_folder_register(data_folder, check=False)) as register:
        verification = verify_register(register, witness_checkpoints)
        has_store = (folder / STORE_FILE).exists() or register.stores.known_version() is not None
        if verification.holds and has_store:
            verification = verification.merge(_collect_store_errors(verify_store, folder))
        return _record(folder, register, verification)


def verify_open_folder(session: Session) -> Verification:
    """Verify an open folder, and record the result for the policy's page."""
    verification, folder = verify_register(session.register, ()), session.folder.data_folder
    if verification.holds:
        stored = _collect_store_errors(lambda: session.call(VerifyStore()), folder)
        verification = verification.merge(stored)
    return _record(folder, session.register, verification)


def _collect_store_errors(verify_store: Callable[[], Verification], data_folder: Path) -> Verification:
    """Verify a store; if it cannot be opened or read, the error is the finding, or what its schema lacks."""
    try:
        return verify_store()
    except (StoreError, ProofError) as error:
        finding = Finding.from_error(error, get_args(StoreFindingCode), "store-unusable")
    except duckdb.Error as error:
        if explained := explain(error, data_folder / STORE_FILE):
            raise explained from None
        finding = Finding("store-unusable", f"the store cannot be read ({type(error).__name__})")
    return Verification(list(check_schema_of_closed_store(data_folder / STORE_FILE)) or [finding])


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


def _record(data_folder: Path, register: Register, verification: Verification) -> Verification:
    if verification.holds:
        record_pass(data_folder, utc_now(), verification.entries, register.sealer.authenticate)
    else:
        record_failure(data_folder, utc_now())
    return verification
