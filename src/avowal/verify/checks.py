"""Every check of a verification, in the order in which they run."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime

from avowal.errors import ProofError, StoreError
from avowal.ledger.entry import (
    AuthorisationGiven,
    ConsentGiven,
    DataAccessed,
    Entry,
    ErasureDone,
    FeedPageProvided,
    ProcessorAdded,
    RetentionRun,
    VersionPublished,
    decode_entry,
)
from avowal.ledger.note import SignedNote
from avowal.ledger.release_entry import ReleaseApproved, ReleaseMade, ReleaseRefused, ReleaseRequested
from avowal.ledger.restore_entry import BackupRestored
from avowal.register.ledger_storage import Ledger
from avowal.register.register import Register
from avowal.store.interface import ConsentCursor, OverdueRecords, Store
from avowal.strict import JSON_ERRORS
from avowal.verify.absences import check_absences
from avowal.verify.access_permissions import check_accesses
from avowal.verify.checkpoints import check_checkpoints, check_tree
from avowal.verify.feed_permissions import check_feeds
from avowal.verify.register_facts import check_commitments, check_facts
from avowal.verify.register_seal import check_keys, check_register_file, check_seal, check_submissions
from avowal.verify.register_state import RegisterState
from avowal.verify.release_permissions import (
    check_approvers,
    check_authorisations,
    check_releases,
    check_row_filters,
    check_served_forms,
)
from avowal.verify.restriction_facts import check_submission_settings
from avowal.verify.schema import check_register_schema, check_store_schema
from avowal.verify.store_state import StoreState, read_store_state
from avowal.verify.stored_records import (
    check_ages,
    check_consents,
    check_governing_numbers,
    check_store_seal,
    check_versions,
)
from avowal.verify.verification import Finding, Verification
from avowal.verify.version_terms import check_version_terms

RegisterCheck = Callable[[RegisterState], Iterator[Finding]]
StoreCheck = Callable[[StoreState], Iterator[Finding]]

INTEGRITY_CHECKS: tuple[RegisterCheck, ...] = (
    check_tree,
    check_checkpoints,
    check_facts,
    check_commitments,
    check_absences,
    check_submission_settings,
    check_version_terms,
)
"""Checks that ledger and register are undamaged and match."""

REGISTER_FILE_CHECKS: tuple[Callable[[Register], Iterator[Finding]], ...] = (
    check_register_schema,
    check_seal,
    check_register_file,
    check_keys,
    check_submissions,
)
"""Checks of the register as a whole: nothing in it was changed without Avowal."""

PERMISSION_CHECKS: tuple[RegisterCheck, ...] = (
    check_releases,
    check_feeds,
    check_authorisations,
    check_served_forms,
    check_approvers,
    check_row_filters,
    check_accesses,
)
"""Checks that recorded actions were permitted at their time; they run only if the integrity checks find nothing."""

STORE_CHECKS: tuple[StoreCheck, ...] = (
    check_store_seal,
    check_versions,
    check_governing_numbers,
    check_consents,
    check_ages,
)
"""Checks that records may be stored; they run only if the register has no findings."""

MALFORMED_REGISTER_ERRORS: tuple[type[Exception], ...] = (
    *(sqlite3.DatabaseError, *JSON_ERRORS),
    *(AttributeError, LookupError, TypeError, ValueError, StoreError),
)
"""The errors of checks when a table or a column of the register has values that Avowal does not write."""

COUNTED_ENTRIES: dict[type, str] = {
    VersionPublished: "publications",
    ConsentGiven: "consents",
    DataAccessed: "accesses",
    RetentionRun: "runs of retention",
    ErasureDone: "erasures",
    ProcessorAdded: "contracts",
    FeedPageProvided: "pages of feeds",
    AuthorisationGiven: "authorisations",
    ReleaseRequested: "requests for releases",
    ReleaseApproved: "approvals",
    ReleaseMade: "releases",
    ReleaseRefused: "refusals",
    BackupRestored: "restored backups",
}
"""The kinds of entry whose number a verification reports, by their plural names."""


def verify_register(register: Register, witness_checkpoints: Sequence[SignedNote]) -> Verification:
    """Verify the ledger, and the register against it; `witness_checkpoints` are those that somebody else holds."""
    # Read before the entries, as more of these may be appended meanwhile.
    last_checkpoint = register.ledger.last_checkpoint_beside_key()
    findings, entries = list[Finding](), list[Entry]()  # kept if a later check raises
    with _collect_errors(findings), register.snapshot() as snapshot:
        entries = _decode_entries(snapshot.ledger)
        state = RegisterState(snapshot, entries, last_checkpoint, witness_checkpoints)
        findings.extend(finding for check in INTEGRITY_CHECKS for finding in check(state))
        if not findings:
            findings.extend(finding for check in PERMISSION_CHECKS for finding in check(state))
    for check_file in REGISTER_FILE_CHECKS:
        with _collect_errors(findings):
            findings.extend(check_file(register))
    checked = Counter(COUNTED_ENTRIES[type(entry)] for entry in entries if type(entry) in COUNTED_ENTRIES)
    return Verification(findings, len(entries), dict(checked))


def verify_store(
    store: Store, register: Register, find_overdue: Callable[[], Sequence[OverdueRecords]], now: datetime
) -> Verification:
    """Verify what is stored against the register; `find_overdue` returns what is stored for longer than permitted.

    If the schema of the store is not the declared one, nothing else is verified: its statements would not run.
    Raises StoreError if the store is damaged.
    """
    if findings := list(check_store_schema(store)):
        return Verification(findings)
    consented = register.consents.compute_governing_update(ConsentCursor(), now).governing_by_visitor
    state = read_store_state(
        store, register.versions(), consented, find_overdue(), register.submissions.version_periods()
    )
    findings = [finding for check in STORE_CHECKS for finding in check(state)]
    records = sum(row["records"] for row in state.version_rows)
    return Verification(findings, checked={"records": records, "columns": state.column_count})


@contextmanager
def _collect_errors(findings: list[Finding]) -> Iterator[None]:
    """Turn the error of a check that cannot read the register into a finding."""
    try:
        yield
    except ProofError as error:
        findings.append(Finding("ledger-damaged", error.message))
    except MALFORMED_REGISTER_ERRORS as error:
        sentence = f"the register holds values that Avowal does not write ({type(error).__name__})"
        findings.append(Finding("register-malformed", sentence))


def _decode_entries(ledger: Ledger) -> list[Entry]:
    """Return the entries that can be decoded; `check_tree` finds those that cannot."""
    entries = []
    for _, body in ledger.entries():
        with suppress(ProofError):
            entries.append(decode_entry(body))
    return entries
