"""What people said of what they had handed over, in the register: objections to purposes, and corrections.

Of which submission it was stands apart, and goes with that: what is left then leads to nobody (L3 in
`docs/spec/ledger.md`).
"""

import secrets
import sqlite3
from datetime import datetime

import msgspec

from avowal.ledger.entry import ObjectionRaised, ObjectionWithdrawn, SubmissionCorrected, decode_entry
from avowal.register.consents import SALT_BYTES, compute_commitment
from avowal.register.ledger_storage import append_entries
from avowal.register.repository import Repository, insert_row
from avowal.submissions.submission import to_column_value

SELECT_OBJECTIONS = """
SELECT entry, CAST(body AS BLOB) FROM objection_subjects JOIN entries USING (entry) WHERE submission = ? ORDER BY entry
"""


class Objection(msgspec.Struct, frozen=True):
    """Somebody's word that what they handed over may not be used for purposes, or may be again. Times are UTC."""

    submission: str
    """Its reference."""
    given: bool
    """False where it was taken back."""
    purposes: list[str]
    channel: str
    recorded_at: datetime
    entry: int = -1
    """The number of its entry in the ledger."""


class Objections(Repository):
    """The objections of a register."""

    def record(self, objection: Objection) -> Objection:
        """Record an objection, or that it was taken back, with its entry; returns it with that entry's number."""
        kind = ObjectionRaised if objection.given else ObjectionWithdrawn
        salt, person = _committed(objection.submission)
        with self._driver_transaction() as database:
            entry = append_entries(
                database, [kind(person, objection.purposes, objection.channel, objection.recorded_at)]
            )
            select = "SELECT objected_purposes FROM submissions WHERE reference = ?"
            ((told,),) = database.execute(select, (objection.submission,))
            stood, said = set(msgspec.json.decode(told, type=list[str])), set(objection.purposes)
            stands = to_column_value(tuple(sorted(stood | said if objection.given else stood - said)))
            database.execute(
                "UPDATE submissions SET objected_purposes = ? WHERE reference = ?",
                (stands, objection.submission),
            )
            insert_row(
                database,
                "objection_subjects",
                {"submission": objection.submission, "entry": entry, "salt": salt},
            )
        return msgspec.structs.replace(objection, entry=entry)

    def for_submission(self, submission: str) -> list[Objection]:
        """Return what was said of a submission, in its order."""
        with self._driver_connection() as database:
            said = [
                (number, decode_entry(body))
                for number, body in database.execute(SELECT_OBJECTIONS, (submission,))
            ]
        return [
            Objection(
                submission, not isinstance(one, ObjectionWithdrawn), one.purposes, one.channel, one.at, number
            )
            for number, one in said
            if isinstance(one, ObjectionRaised)
        ]


def record_correction(
    database: sqlite3.Connection, submission: str, categories: list[str], channel: str, now: datetime
) -> int:
    """Record, in a transaction, that values of a submission were corrected; returns the number of the entry."""
    salt, person = _committed(submission)
    entry = append_entries(database, [SubmissionCorrected(person, categories, channel, now)])
    insert_row(database, "correction_subjects", {"entry": entry, "submission": submission, "salt": salt})
    return entry


def delete_orphaned_objections(database: sqlite3.Connection) -> None:
    """Forget, in a transaction, what was said of submissions that are not there any more."""
    for table in ("objection_subjects", "correction_subjects"):
        database.execute(
            f"DELETE FROM {table} WHERE submission NOT IN (SELECT reference FROM submissions)"  # noqa: S608  # ours
        )


def _committed(submission: str) -> tuple[bytes, str]:
    """Return a new salt, and the commitment to a submission under it."""
    salt = secrets.token_bytes(SALT_BYTES)
    return salt, compute_commitment(salt, submission=submission)
