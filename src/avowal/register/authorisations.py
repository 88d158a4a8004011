"""What visitors authorised to be disclosed, to whom, in the register: each is recorded for good, and can be taken back.

Who it was, and to whom, stands apart, and can be erased (L3 in `docs/spec/ledger.md`).
"""

import secrets
from datetime import datetime

import msgspec
import sqlalchemy as sa

from avowal.errors import ProofError
from avowal.ledger.entry import AuthorisationGiven, AuthorisationWithdrawn, decode_entry
from avowal.register.consents import SALT_BYTES, compute_commitment
from avowal.register.ledger_storage import ENTRIES, append_entries
from avowal.register.repository import Repository
from avowal.register.tables import AUTHORISATION_SUBJECTS, AUTHORISATIONS


class Authorisation(msgspec.Struct, frozen=True):
    """A visitor's word that a recipient may have categories of theirs, or that it may have nothing any more."""

    visitor: str
    """The visitor's key: 16 hexadecimal digits."""
    recipient: str
    given: bool
    """False where it was taken back: then it has no categories."""
    categories: list[str]
    channel: str
    """How the visitor said so."""
    reference: str
    """Where the operator finds the visitor's word again."""
    recorded_at: datetime
    entry: int = -1
    """The number of its entry in the ledger."""

    def to_ledger_entry(self, salt: bytes) -> AuthorisationGiven | AuthorisationWithdrawn:
        """Return what the ledger says of it."""
        person = compute_commitment(
            salt, visitor=self.visitor, recipient=self.recipient, reference=self.reference
        )
        kind = AuthorisationGiven if self.given else AuthorisationWithdrawn
        return kind(person, self.categories, self.channel, self.recorded_at)


class Authorisations(Repository):
    """The authorisations of a register."""

    def record(self, authorisation: Authorisation) -> Authorisation:
        """Record a visitor's word, with its entry in the ledger; returns it with that entry's number."""
        salt = secrets.token_bytes(SALT_BYTES)
        told = authorisation.to_ledger_entry(salt)
        with self._write_transaction() as connection:
            entry = append_entries(connection, [told])
            row = {
                "given": authorisation.given,
                "categories": msgspec.json.encode(authorisation.categories).decode(),
                "channel": authorisation.channel,
                "commitment": told.commitment,
                "entry": entry,
                "recorded_at": authorisation.recorded_at,
            }
            number = connection.execute(sa.insert(AUTHORISATIONS).values(row)).lastrowid
            who = {
                "visitor": authorisation.visitor,
                "recipient": authorisation.recipient,
                "reference": authorisation.reference,
                "salt": salt,
            }
            connection.execute(sa.insert(AUTHORISATION_SUBJECTS).values(authorisation=number, **who))
        return msgspec.structs.replace(authorisation, entry=entry)

    def for_visitor(self, visitor: str) -> list[Authorisation]:
        """Return what a visitor authorised and took back, in its order.

        Raises ProofError where one is not what the ledger says was recorded: nothing may stand on it.
        """
        columns = [
            ENTRIES.c.body,
            AUTHORISATION_SUBJECTS.c.salt,
            *(AUTHORISATION_SUBJECTS.c[name] for name in ("visitor", "recipient")),
            *(AUTHORISATIONS.c[name] for name in ("given", "categories", "channel")),
            AUTHORISATION_SUBJECTS.c.reference,
            *(AUTHORISATIONS.c[name] for name in ("recorded_at", "entry")),
        ]
        statement = (
            sa.select(*columns)
            .join(
                AUTHORISATION_SUBJECTS,
                AUTHORISATION_SUBJECTS.c.authorisation == AUTHORISATIONS.c.authorisation,
            )
            .outerjoin(ENTRIES, ENTRIES.c.entry == AUTHORISATIONS.c.entry)
            .where(AUTHORISATION_SUBJECTS.c.visitor == visitor)
            .order_by(AUTHORISATIONS.c.authorisation)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(statement).all()
        found = []
        for body, salt, who, whom, given, categories, *rest in rows:
            one = Authorisation(who, whom, given, msgspec.json.decode(categories, type=list[str]), *rest)
            if body is None or decode_entry(body) != one.to_ledger_entry(salt):
                raise ProofError(
                    f"an authorisation of entry {one.entry} is not what the ledger says was recorded",
                    "nothing may stand on it: put the newest backup back; `avowal verify` tells what does not hold",
                    code="ledger-mismatch",
                )
            found.append(one)
        return found

    def current_by_category(self, visitor: str, recipient: str) -> dict[str, Authorisation]:
        """Return the categories that a recipient may have of a visitor by now, each with the word that says so."""
        found: dict[str, Authorisation] = {}
        for one in self.for_visitor(visitor):
            if one.recipient == recipient:
                found = {**found, **dict.fromkeys(one.categories, one)} if one.given else {}
        return found
