"""Check that rows about persons are absent only where an entry of an erasure or of retention explains it."""

from collections.abc import Iterator

from avowal.ledger.entry import Entry, ErasureDone, RetentionRun
from avowal.verify.fact import read_rows
from avowal.verify.register_facts import COMMITMENT_OPENINGS
from avowal.verify.register_state import RegisterState
from avowal.verify.verification import Finding


def check_absences(state: RegisterState) -> Iterator[Finding]:
    """Compare the entries about persons with the rows that open them; yields each absence that is not explained.

    What an entry announced can be absent only after a later erasure; of submissions also after a later run of retention
    that removed some. Details of requests that were never released expire without an entry.
    """
    entries = list(enumerate(state.entries))
    erased_until = max((number for number, entry in entries if isinstance(entry, ErasureDone)), default=-1)
    removed_until = max((number for number, entry in entries if _removes_submissions(entry)), default=-1)
    for code, number in read_rows(state.register, "absences"):
        if number > erased_until:
            yield Finding(code, f"whom entry {number} is about is missing, and no erasure explains it")
    for code, opening in COMMITMENT_OPENINGS.items():
        opened = {entry for entry, *_ in read_rows(state.register, opening.statement)}
        for number, entry in entries:
            if (
                number > max(erased_until, removed_until)
                and number not in opened
                and isinstance(entry, opening.entry_types)
            ):
                sentence = (
                    f"what entry {number} is about is missing, and neither erasure nor retention explains it"
                )
                yield Finding(code, sentence)


def _removes_submissions(entry: Entry) -> bool:
    return isinstance(entry, RetentionRun) and any(
        removed.relation == "submissions" for removed in entry.removed_records
    )
