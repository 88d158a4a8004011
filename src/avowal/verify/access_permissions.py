"""Check that each recorded access to single visitors was for a purpose that its reader had at that moment."""

from collections.abc import Iterator

from avowal.ledger.entry import DataAccessed
from avowal.policy.bounds import OPERATOR, VISITOR
from avowal.submissions.access import SUBJECT_ACCESS_PURPOSE
from avowal.verify.register_state import RegisterState
from avowal.verify.verification import Finding


def check_accesses(state: RegisterState) -> Iterator[Finding]:
    """Check every access; the operator may have any purpose, and visitors may see their own data."""
    readers = state.register.readers
    history, names = readers.purpose_history(), readers.access_readers()
    accesses = [
        (names[entry][0], access)
        for entry, access in enumerate(state.entries)
        if isinstance(access, DataAccessed)
    ]
    for number, (reader, access) in enumerate(accesses, 1):
        subject = f"access {number}"
        purposes = [had for name, had, since in history if name == reader and since <= access.at]
        is_own = (reader, access.purpose) == (VISITOR, SUBJECT_ACCESS_PURPOSE)
        if reader != OPERATOR and not is_own and access.purpose not in (purposes[-1] if purposes else []):
            sentence = f"was for `{access.purpose}`, a purpose that its reader did not have"
            yield Finding("purpose-not-permitted", sentence).with_subject(subject)
        if access.version:
            for finding in state.timeline.check_in_force(access.version, access.at):
                yield finding.with_subject(subject)
