"""What visitors consented to for their past, in the register: each consent and each withdrawal is recorded for good.

Who it was stands apart, and can be erased: what is left then leads to nobody (L3 in `docs/spec/ledger.md`).
"""

import secrets
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec
import sqlalchemy as sa

from avowal.errors import StoreError
from avowal.ledger.entry import ConsentGiven, ConsentWithdrawn
from avowal.register.ledger_storage import append_entries
from avowal.register.repository import Repository
from avowal.register.tables import CONSENT_SUBJECTS, CONSENTS, PUBLICATIONS, STANDING
from avowal.store.interface import ConsentCursor, GoverningUpdate

SALT_BYTES = 32
UNRECORDED_ENTRY = -1
"""The entry of a consent that the ledger has none of yet."""


class Consent(msgspec.Struct, frozen=True):
    """A visitor's consent to a version for what was collected before, or its withdrawal. Times are UTC."""

    visitor: str
    """The visitor's key: 16 hexadecimal digits."""
    version: int
    identity: str
    given: bool
    """False where it was taken back."""
    language: str
    """Of the document that was shown."""
    document_hash: str
    """The SHA-256 of the document that was shown, in hexadecimal."""
    channel: str
    """How the visitor said so."""
    reference: str
    """Where the operator finds the visitor's word again."""
    recorded_at: datetime
    entry: int = UNRECORDED_ENTRY
    """The number of its entry in the ledger."""
    salt: bytes = b""

    @property
    def commitment(self) -> str:
        """The commitment that its entry has in the person's place."""
        return compute_commitment(self.salt, visitor=self.visitor, reference=self.reference)

    def to_ledger_entry(self) -> ConsentGiven | ConsentWithdrawn:
        """Return what the ledger says of it."""
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


def compute_commitment(salt: bytes, /, **committed_values: str) -> str:
    """Return the SHA-256 of a salt and of what says who it was (canonical JSON, RFC 8785), in hexadecimal."""
    return sha256(salt + msgspec.json.encode(committed_values, order="sorted")).hexdigest()


class Consents(Repository):
    """The consents of a register."""

    def for_visitor(self, visitor: str) -> list[Consent]:
        """Return what a visitor gave and took back, in its order; also of versions that were withdrawn meanwhile."""
        with self._engine.connect() as connection:
            rows = connection.execute(
                _TOLD.where(CONSENT_SUBJECTS.c.visitor == visitor).order_by(CONSENTS.c.consent)
            )
            return [Consent(**row) for row in rows.mappings()]

    def record(self, consent: Consent) -> Consent:
        """Record a consent or a withdrawal with its entry in the ledger; returns it with its entry and salt.

        Raises StoreError where there is no such version any more.
        """
        consent = msgspec.structs.replace(consent, salt=secrets.token_bytes(SALT_BYTES))
        with self._write_transaction() as connection:
            publication = connection.execute(
                sa.select(PUBLICATIONS.c.publication).where(
                    STANDING,
                    PUBLICATIONS.c.number == consent.version,
                    PUBLICATIONS.c.identity == consent.identity,
                )
            ).scalar()
            if publication is None:
                raise StoreError(
                    f"version {consent.version} is not there any more",
                    "`avowal policy history` tells which are",
                    code="version-not-found",
                )
            consent = msgspec.structs.replace(
                consent, entry=append_entries(connection, [consent.to_ledger_entry()])
            )
            row = {"publication": publication, "commitment": consent.commitment, **_named(consent, CONSENTS)}
            number = connection.execute(sa.insert(CONSENTS).values(row)).inserted_primary_key
            assert number is not None  # noqa: S101  # SQLite always tells it
            person = {"consent": number[0], **_named(consent, CONSENT_SUBJECTS)}
            connection.execute(sa.insert(CONSENT_SUBJECTS).values(person))
        return consent

    def compute_governing_update(self, cursor: ConsentCursor, now: datetime) -> GoverningUpdate:
        """Return to what governing number the records of visitors are raised who consented or withdrew since.

        Whoever consented to a version that has taken effect since is among them; 0 is for those who have no consent.
        """
        with self._engine.connect() as connection:
            effective = sa.select(sa.func.max(PUBLICATIONS.c.number)).where(
                STANDING, PUBLICATIONS.c.effective_at <= now
            )
            version = connection.execute(effective).scalar() or 0
            last = connection.execute(sa.select(sa.func.max(CONSENTS.c.consent))).scalar() or 0
            if (last, version) == (cursor.last_consent, cursor.last_version):
                return GoverningUpdate(cursor)
            changed = (
                sa.select(CONSENT_SUBJECTS.c.visitor)
                .select_from(_JOINED)
                .where(
                    (CONSENTS.c.consent > cursor.last_consent) | (PUBLICATIONS.c.number > cursor.last_version)
                )
            )
            rows = connection.execute(
                sa.select(
                    CONSENT_SUBJECTS.c.visitor,
                    PUBLICATIONS.c.number,
                    CONSENTS.c.given,
                    STANDING.label("standing"),
                )
                .select_from(_JOINED)
                .where(CONSENT_SUBJECTS.c.visitor.in_(changed), PUBLICATIONS.c.number <= version)
                .order_by(CONSENTS.c.consent)
            ).all()
            visitors = dict.fromkeys(connection.execute(changed).scalars(), 0)
        stands: dict[str, set[int]] = {visitor: set() for visitor in visitors}
        for visitor, number, given, standing in rows:
            if given and standing:
                stands[visitor].add(number)
            elif standing:
                stands[visitor].discard(number)
        governing = {int(visitor, 16): max(numbers, default=0) for visitor, numbers in stands.items()}
        return GoverningUpdate(ConsentCursor(last, version), governing)


_JOINED = CONSENT_SUBJECTS.join(CONSENTS, CONSENTS.c.consent == CONSENT_SUBJECTS.c.consent).join(
    PUBLICATIONS, PUBLICATIONS.c.publication == CONSENTS.c.publication
)
_TOLD = sa.select(
    CONSENT_SUBJECTS.c.visitor,
    PUBLICATIONS.c.number.label("version"),
    PUBLICATIONS.c.identity,
    CONSENTS.c.given,
    CONSENTS.c.language,
    CONSENTS.c.document_hash,
    CONSENTS.c.channel,
    CONSENT_SUBJECTS.c.reference,
    CONSENTS.c.recorded_at,
    CONSENTS.c.entry,
    CONSENT_SUBJECTS.c.salt,
).select_from(_JOINED)


def _named(consent: Consent, table: sa.Table) -> dict[str, Any]:
    """Return the values of a consent that a table has columns for."""
    told = msgspec.structs.asdict(consent)
    return {column.name: told[column.name] for column in table.c if column.name in told}
