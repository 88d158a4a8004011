"""What people said of what they had handed over, in the register: objections to purposes, and corrections.

Of which submission it was stands apart, and goes with that: what is left then leads to nobody (L3 in
`docs/spec/ledger.md`).
"""

import secrets
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from avow.keep.consents import SALT_BYTES, commitment
from avow.keep.database import Connection, driver
from avow.keep.ledger import append
from avow.keep.part import Part, insert
from avow.keep.submission import kept
from avow.keep.tables import CORRECTING, OBJECTING, OBJECTIONS, SUBMISSIONS
from avow.ledger.entry import ObjectionRaised, ObjectionWithdrawn, SubmissionCorrected


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
        with self._write() as connection:
            entry = append(connection, [kind(person, one.purposes, one.means, one.recorded_at)])
            where = "FROM submissions WHERE reference = ?"
            ((told,),) = driver(connection).execute(f"SELECT objects_to {where}", (one.submission,))  # ours
            stood, said = set(msgspec.json.decode(told, type=list[str])), set(one.purposes)
            stands = kept(tuple(sorted(stood | said if one.given else stood - said)))
            driver(connection).execute(
                "UPDATE submissions SET objects_to = ? WHERE reference = ?", (stands, one.submission)
            )
            row = {
                **{name: getattr(one, name) for name in ("given", "means", "recorded_at")},
                "purposes": msgspec.json.encode(one.purposes).decode(),
                "person": person,
                "entry": entry,
            }
            number = connection.execute(sa.insert(OBJECTIONS).values(row)).lastrowid
            apart = {"objection": number, "submission": one.submission, "salt": salt}
            connection.execute(sa.insert(OBJECTING).values(apart))
        return msgspec.structs.replace(one, entry=entry)

    def of(self, submission: str) -> list[Objection]:
        """Return what was said of a submission, in its order."""
        statement = (
            sa.select(OBJECTIONS)
            .join(OBJECTING, OBJECTING.c.objection == OBJECTIONS.c.objection)
            .where(OBJECTING.c.submission == submission)
            .order_by(OBJECTIONS.c.objection)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(statement).all()
        return [
            Objection(
                submission,
                row.given,
                msgspec.json.decode(row.purposes),
                row.means,
                row.recorded_at,
                row.entry,
            )
            for row in rows
        ]


def correct(connection: Connection, submission: str, categories: list[str], means: str, now: datetime) -> int:
    """Record, in a transaction, that values of a submission were corrected; returns the number of the entry."""
    salt, person = _committed(submission)
    entry = append(connection, [SubmissionCorrected(person, categories, means, now)])
    row: dict[str, Any] = {"categories": msgspec.json.encode(categories).decode(), "means": means}
    number = insert(connection, "corrections", {**row, "person": person, "entry": entry, "recorded_at": now})
    insert(connection, "correcting", {"correction": number, "submission": submission, "salt": salt})
    return entry


def forget(connection: sa.Connection) -> None:
    """Forget, in a transaction, what was said of submissions that are not there any more."""
    there = sa.select(SUBMISSIONS.c.reference)
    for table in (OBJECTING, CORRECTING):
        connection.execute(sa.delete(table).where(table.c.submission.not_in(there)))


def _committed(submission: str) -> tuple[bytes, str]:
    """Return a new salt, and the commitment to a submission under it."""
    salt = secrets.token_bytes(SALT_BYTES)
    return salt, commitment(salt, submission=submission)
