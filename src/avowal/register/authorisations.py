"""Visitors' authorisations of disclosures: each authorisation and withdrawal is recorded for good.

The visitor and the recipient are stored apart, and can be erased (L3 in `docs/spec/ledger.md`).
"""

import secrets
from datetime import datetime

import msgspec

from avowal.errors import ProofError
from avowal.ledger.commitment import SALT_BYTES, compute_commitment
from avowal.ledger.entry import AuthorisationGiven, AuthorisationWithdrawn, decode_entry
from avowal.register.ledger_storage import append_entries
from avowal.register.repository import Repository, parse_time, parse_words, to_parameters
from avowal.register.statements import load_statements

SQL = load_statements("avowal.register", "authorisations")


class Authorisation(msgspec.Struct, frozen=True):
    """A visitor's authorisation that a recipient may have categories of data, or its withdrawal. Times are UTC."""

    visitor: str
    """The visitor's key: 16 hexadecimal digits."""
    recipient: str
    given: bool
    """False if it was withdrawn: then it has no categories."""
    categories: list[str]
    channel: str
    """How the visitor authorised it, or withdrew it."""
    reference: str
    """Where the operator finds the visitor's statement."""
    recorded_at: datetime
    entry: int | None = None
    """The number of its entry in the ledger; None if it is not recorded yet."""

    def to_ledger_entry(self, salt: bytes) -> AuthorisationGiven | AuthorisationWithdrawn:
        """Return its entry in the ledger."""
        person = compute_commitment(
            salt, visitor=self.visitor, recipient=self.recipient, reference=self.reference
        )
        if not self.given:
            return AuthorisationWithdrawn(person, self.channel, self.recorded_at)
        return AuthorisationGiven(person, self.categories, self.channel, self.recorded_at)


class Authorisations(Repository):
    """The authorisations of a register."""

    def record(self, authorisation: Authorisation) -> Authorisation:
        """Record an authorisation or a withdrawal with its entry in the ledger; returns it with that entry's number."""
        salt = secrets.token_bytes(SALT_BYTES)
        ledger_entry = authorisation.to_ledger_entry(salt)
        with self._database.transaction() as connection:
            entry = append_entries(connection, [ledger_entry])
            authorisation = msgspec.structs.replace(authorisation, entry=entry)
            values = to_parameters(authorisation, commitment=ledger_entry.commitment, salt=salt)
            number = connection.execute(SQL["insert_authorisation"], values).lastrowid
            connection.execute(SQL["insert_subject"], {**values, "authorisation": number})
        return authorisation

    def for_visitor(self, visitor: str) -> list[Authorisation]:
        """Return a visitor's authorisations and withdrawals, in their order.

        Raises ProofError if one is not what the ledger says was recorded: nothing may be disclosed on it.
        """
        with self._database.read() as connection:
            rows = connection.execute(SQL["select_for_visitor"], {"visitor": visitor}).fetchall()
        authorisations = []
        for body, salt, key, recipient, given, categories, channel, reference, recorded_at, entry in rows:
            authorisation = Authorisation(
                key,
                recipient,
                given == 1,
                parse_words(categories),
                channel,
                reference,
                parse_time(recorded_at),
                entry,
            )
            if body is None or decode_entry(body) != authorisation.to_ledger_entry(salt):
                raise ProofError(
                    f"an authorisation of entry {entry} is not what the ledger says was recorded",
                    "restore the newest backup; `avowal verify` lists what does not match",
                    code="ledger-mismatch",
                )
            authorisations.append(authorisation)
        return authorisations

    def current_by_category(self, visitor: str, recipient: str) -> dict[str, Authorisation]:
        """Return the categories that a recipient may have of a visitor now, each with its authorisation."""
        current: dict[str, Authorisation] = {}
        for authorisation in self.for_visitor(visitor):
            if authorisation.recipient == recipient:
                granted = dict.fromkeys(authorisation.categories, authorisation)
                current = {**current, **granted} if authorisation.given else {}
        return current
