"""Visitors' consents to a version for data collected before it: each consent and withdrawal is recorded for good.

Who consented is stored apart and can be erased: then nothing leads to the visitor any more (L3 in
`docs/spec/ledger.md`).
"""

import secrets
from datetime import datetime

import msgspec

from avowal.errors import StoreError
from avowal.ledger.commitment import SALT_BYTES, commit_to_json
from avowal.ledger.entry import ConsentGiven, ConsentWithdrawn
from avowal.ledger.receipt import Statement
from avowal.register.ledger_storage import append_entries
from avowal.register.repository import Repository, format_time, parse_time, to_parameters
from avowal.register.statements import load_statements
from avowal.store.interface import ConsentCursor, GoverningUpdate

SQL = load_statements("avowal.register", "consents")


class Consent(msgspec.Struct, frozen=True):
    """A visitor's consent to a version for data collected before it, or its withdrawal. Times are UTC."""

    visitor: str
    """The visitor's key: 16 hexadecimal digits."""
    version: int
    identity: str
    given: bool
    """False if it was withdrawn."""
    language: str
    """The language of the document that was shown."""
    document_hash: str
    """The SHA-256 of the document that was shown, in hexadecimal."""
    channel: str
    """How the visitor consented, or withdrew it."""
    reference: str
    """Where the operator finds the visitor's statement."""
    recorded_at: datetime
    entry: int | None = None
    """The number of its entry in the ledger; None if it is not recorded yet."""
    salt: bytes | None = None
    """None if it is not recorded yet."""
    statement: str = ""
    """The statement of its receipt, as canonical JSON; empty if it is not recorded yet."""

    @property
    def commitment(self) -> str:
        """The commitment to the statement in its entry."""
        return commit_to_json(self.salt or b"", self.statement.encode())

    def to_ledger_entry(self) -> ConsentGiven | ConsentWithdrawn:
        """Return its entry in the ledger."""
        kind = ConsentGiven if self.given else ConsentWithdrawn
        return kind(
            self.version,
            self.identity,
            self.language,
            self.document_hash,
            self.channel,
            self.commitment,
            self.recorded_at,
        )


class Consents(Repository):
    """The consents of a register."""

    def for_visitor(self, visitor: str) -> list[Consent]:
        """Return a visitor's consents and withdrawals, in their order; also of versions withdrawn meanwhile."""
        with self._database.read() as connection:
            rows = connection.execute(SQL["select_for_visitor"], {"visitor": visitor}).fetchall()
        return [
            Consent(
                *(key, version, identity, given == 1, language, document_hash, channel, reference),
                recorded_at=parse_time(recorded_at),
                entry=entry,
                salt=salt,
                statement=statement,
            )
            for key, version, identity, given, language, document_hash, channel, reference, *recorded in rows
            for recorded_at, entry, salt, statement in [recorded]
        ]

    def record(self, consent: Consent, statement: Statement) -> Consent:
        """Record a consent or a withdrawal with its entry in the ledger; returns it with its entry and salt.

        `statement` is that of its receipt. Raises StoreError if the version does not exist any more.
        """
        consent = msgspec.structs.replace(
            consent,
            salt=secrets.token_bytes(SALT_BYTES),
            statement=msgspec.json.encode(statement, order="sorted").decode(),
        )
        with self._database.transaction() as connection:
            row = connection.execute(SQL["select_publication"], to_parameters(consent)).fetchone()
            if row is None:
                raise version_not_found(consent.version)
            entry = append_entries(connection, [consent.to_ledger_entry()])
            consent = msgspec.structs.replace(consent, entry=entry)
            values = to_parameters(consent, publication=row[0], commitment=consent.commitment)
            number = connection.execute(SQL["insert_consent"], values).lastrowid
            connection.execute(SQL["insert_subject"], {**values, "consent": number})
        return consent

    def canonical_terms(self, consent: Consent) -> str:
        """Return the terms of a consent's version, also if the version was withdrawn meanwhile."""
        with self._database.read() as connection:
            (terms,) = connection.execute(SQL["select_terms"], {"identity": consent.identity}).fetchone()
        return str(terms)

    def compute_governing_update(self, cursor: ConsentCursor, now: datetime) -> GoverningUpdate:
        """Return the governing number of every visitor whose consents changed, or took effect, since a cursor.

        The number is 0 for a visitor who has no consent.
        """
        with self._database.read() as connection:
            (version,) = connection.execute(
                SQL["select_last_version_in_force"], {"now": format_time(now)}
            ).fetchone()
            (last_consent,) = connection.execute(SQL["select_last_consent"]).fetchone()
            if (last_consent, version) == (cursor.last_consent, cursor.last_version):
                return GoverningUpdate(cursor)
            rows = connection.execute(
                SQL["select_consents_to_apply"],
                {
                    "version": version,
                    "last_consent": cursor.last_consent,
                    "last_version": cursor.last_version,
                },
            ).fetchall()
        versions_by_visitor: dict[str, set[int]] = {}
        for visitor, number, given, is_effective in rows:
            versions = versions_by_visitor.setdefault(visitor, set())
            if is_effective and given:
                versions.add(number)
            elif is_effective:
                versions.discard(number)
        governing = {
            int(visitor, 16): max(versions, default=0) for visitor, versions in versions_by_visitor.items()
        }
        return GoverningUpdate(ConsentCursor(last_consent, version), governing)


def version_not_found(number: int) -> StoreError:
    """Return the error that a version does not exist any more."""
    return StoreError(
        f"version {number} does not exist any more",
        "`avowal policy history` lists the versions",
        code="version-not-found",
    )
