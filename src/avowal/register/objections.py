"""Objections of people to uses of their submissions, and corrections of submissions.

The submission is stored apart, and deleted with it: then nothing leads to the person any more (L3 in
`docs/spec/ledger.md`).
"""

import secrets
from datetime import datetime

import msgspec

from avowal.ledger.commitment import SALT_BYTES, compute_commitment
from avowal.ledger.entry import ObjectionRaised, ObjectionWithdrawn, SubmissionCorrected
from avowal.register.database import Connection
from avowal.register.ledger_storage import append_entries
from avowal.register.repository import Repository, parse_words, to_column_value
from avowal.register.statements import load_statements

SQL = load_statements("avowal.register", "submissions")


class Objection(msgspec.Struct, frozen=True):
    """An objection to the use of a submission for purposes, or its withdrawal. Times are UTC."""

    submission: str
    """The reference of the submission."""
    given: bool
    """False if it was withdrawn."""
    purposes: list[str]
    channel: str
    recorded_at: datetime
    entry: int | None = None
    """The number of its entry in the ledger; None if it is not recorded yet."""


class Objections(Repository):
    """The objections of a register."""

    def record(self, objection: Objection) -> Objection:
        """Record an objection or its withdrawal, with its entry; returns it with that entry's number."""
        kind = ObjectionRaised if objection.given else ObjectionWithdrawn
        salt, commitment = _commit(objection.submission)
        objection_entry = kind(commitment, objection.purposes, objection.channel, objection.recorded_at)
        subject = {"reference": objection.submission}
        with self._database.transaction() as connection:
            entry = append_entries(connection, [objection_entry])
            (before,) = connection.execute(SQL["select_objected_purposes"], subject).fetchone()
            purposes = set(objection.purposes)
            after = (
                {*parse_words(before)} | purposes if objection.given else {*parse_words(before)} - purposes
            )
            values = {**subject, "objected_purposes": to_column_value(sorted(after))}
            connection.execute(SQL["update_objected_purposes"], values)
            values = {"submission": objection.submission, "entry": entry, "salt": salt}
            connection.execute(SQL["insert_objection_subject"], values)
        return msgspec.structs.replace(objection, entry=entry)


def record_correction(
    connection: Connection, submission: str, categories: list[str], channel: str, now: datetime
) -> int:
    """Record, in a transaction, that values of a submission were corrected; returns the number of the entry."""
    salt, commitment = _commit(submission)
    entry = append_entries(connection, [SubmissionCorrected(commitment, categories, channel, now)])
    values = {"entry": entry, "submission": submission, "salt": salt}
    connection.execute(SQL["insert_correction_subject"], values)
    return entry


def delete_orphaned_objections(connection: Connection) -> None:
    """Delete, in a transaction, what opens the entries about submissions that do not exist any more."""
    connection.erase(SQL["delete_orphaned_objections"], {})
    connection.erase(SQL["delete_orphaned_corrections"], {})


def _commit(submission: str) -> tuple[bytes, str]:
    """Return a new salt, and the commitment to a submission under it."""
    salt = secrets.token_bytes(SALT_BYTES)
    return salt, compute_commitment(salt, submission=submission)
