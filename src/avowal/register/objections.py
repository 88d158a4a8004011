"""What people said of what they had handed over, in the register: objections to purposes, and corrections.

Of which submission it was stands apart, and goes with that: what is left then leads to nobody (L3 in
`docs/spec/ledger.md`).
"""

import secrets
import sqlite3
from datetime import datetime

import msgspec

from avowal.ledger.entry import ObjectionRaised, ObjectionWithdrawn, SubmissionCorrected, read
from avowal.register.consents import SALT_BYTES, commitment
from avowal.register.ledger_storage import append
from avowal.register.repository import Part, insert
from avowal.submissions.submission import kept

SAID = """
SELECT entry, CAST(body AS BLOB) FROM objecting JOIN entries USING (entry) WHERE submission = ? ORDER BY entry
"""


class Objection(msgspec.Struct, frozen=True):
    """Somebody's word that what they handed over may not be used for purposes, or may be again. Times are UTC."""

    submission: str
    """Its reference."""
    given: bool
    """False where it was taken back."""
    purposes: list[str]
    means: str
    recorded_at: datetime
    entry: int = -1
    """The number of its entry in the ledger."""


class Objections(Part):
    """The objections of a register."""

    def record(self, one: Objection) -> Objection:
        """Record an objection, or that it was taken back, with its entry; returns it with that entry's number."""
        kind = ObjectionRaised if one.given else ObjectionWithdrawn
        salt, person = _committed(one.submission)
        with self._transact() as database:
            entry = append(database, [kind(person, one.purposes, one.means, one.recorded_at)])
            select = "SELECT objects_to FROM submissions WHERE reference = ?"
            ((told,),) = database.execute(select, (one.submission,))
            stood, said = set(msgspec.json.decode(told, type=list[str])), set(one.purposes)
            stands = kept(tuple(sorted(stood | said if one.given else stood - said)))
            database.execute(
                "UPDATE submissions SET objects_to = ? WHERE reference = ?", (stands, one.submission)
            )
            insert(database, "objecting", {"submission": one.submission, "entry": entry, "salt": salt})
        return msgspec.structs.replace(one, entry=entry)

    def of(self, submission: str) -> list[Objection]:
        """Return what was said of a submission, in its order."""
        with self._driven() as database:
            said = [(number, read(body)) for number, body in database.execute(SAID, (submission,))]
        return [
            Objection(
                submission, not isinstance(one, ObjectionWithdrawn), one.purposes, one.means, one.at, number
            )
            for number, one in said
            if isinstance(one, ObjectionRaised)
        ]


def correct(
    database: sqlite3.Connection, submission: str, categories: list[str], means: str, now: datetime
) -> int:
    """Record, in a transaction, that values of a submission were corrected; returns the number of the entry."""
    salt, person = _committed(submission)
    entry = append(database, [SubmissionCorrected(person, categories, means, now)])
    insert(database, "correcting", {"entry": entry, "submission": submission, "salt": salt})
    return entry


def forget(database: sqlite3.Connection) -> None:
    """Forget, in a transaction, what was said of submissions that are not there any more."""
    for table in ("objecting", "correcting"):
        database.execute(
            f"DELETE FROM {table} WHERE submission NOT IN (SELECT reference FROM submissions)"  # noqa: S608  # ours
        )


def _committed(submission: str) -> tuple[bytes, str]:
    """Return a new salt, and the commitment to a submission under it."""
    salt = secrets.token_bytes(SALT_BYTES)
    return salt, commitment(salt, submission=submission)
