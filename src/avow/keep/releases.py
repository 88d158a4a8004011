"""What was released, in the register: each release is recorded for good, and before anybody can read it."""

import secrets
from datetime import datetime

import msgspec
import sqlalchemy as sa

from avow.errors import RefusedError
from avow.keep.consents import SALT_BYTES, commitment
from avow.keep.ledger import append
from avow.keep.part import Part
from avow.keep.tables import AUTHORISATIONS, AUTHORISING, RELEASED, RELEASES
from avow.ledger.entry import ReleaseMade, ReleaseRecalled


class Release(msgspec.Struct, frozen=True):
    """A release of what is held of a visitor. Times are UTC."""

    reference: str
    ground: str
    recipient_kind: str
    recipient: str
    categories: list[str]
    records: int
    version: int
    manifest: str
    """The hash of its package's manifest."""
    released_at: datetime
    expires_at: datetime
    recalled_at: datetime | None = None
    entry: int = -1
    """The number of its entry in the ledger."""


class Releases(Part):
    """The releases of a register."""

    def record(self, release: Release, visitor: str) -> Release:
        """Record a release with its entry in the ledger; returns it with that entry's number.

        Raises RefusedError where the visitor took the authorisation back meanwhile, or was erased.
        """
        salt = secrets.token_bytes(SALT_BYTES)
        person = commitment(salt, visitor=visitor, recipient=release.recipient)
        told = {
            name: getattr(release, name)
            for name in (
                "reference",
                "ground",
                "recipient_kind",
                "categories",
                "records",
                "version",
                "manifest",
            )
        }
        last = (
            sa.select(AUTHORISATIONS.c.given)
            .join(AUTHORISING, AUTHORISING.c.authorisation == AUTHORISATIONS.c.authorisation)
            .where(AUTHORISING.c.visitor == visitor, AUTHORISING.c.recipient == release.recipient)
            .order_by(AUTHORISATIONS.c.authorisation.desc())
        )
        with self._write() as connection:
            if not connection.execute(last.limit(1)).scalar():
                raise RefusedError(
                    "the visitor took the authorisation back meanwhile", "nothing was released"
                )
            entry = append(connection, [ReleaseMade(person=person, at=release.released_at, **told)])
            row = {
                **told,
                "categories": msgspec.json.encode(release.categories).decode(),
                "person": person,
                "released_at": release.released_at,
                "expires_at": release.expires_at,
                "entry": entry,
            }
            number = connection.execute(sa.insert(RELEASES).values(row)).lastrowid
            who = {"visitor": visitor, "recipient": release.recipient, "salt": salt}
            connection.execute(sa.insert(RELEASED).values(release=number, **who))
        return msgspec.structs.replace(release, entry=entry)

    def of(self, visitor: str) -> list[Release]:
        """Return what was released of a visitor, in its order."""
        return self._found(RELEASED.c.visitor == visitor)

    def all(self) -> list[Release]:
        """Return all that was released, in its order; of who was erased, without the recipient."""
        return self._found(sa.true())

    def recall(self, reference: str, reason: str, now: datetime) -> Release:
        """Record that a release is recalled. Raises RefusedError where there is none, or it was before."""
        found = [one for one in self.all() if one.reference == reference]
        if not found or found[0].recalled_at:
            raise RefusedError(
                f"there is no release `{reference}` that is not recalled",
                "`avow release list` tells which there are",
            )
        with self._write() as connection:
            append(connection, [ReleaseRecalled(reference, reason, now)])
            row = {"recalled_at": now}
            connection.execute(sa.update(RELEASES).where(RELEASES.c.reference == reference).values(row))
        return msgspec.structs.replace(found[0], recalled_at=now)

    def _found(self, which: sa.ColumnElement[bool]) -> list[Release]:
        statement = (
            sa.select(RELEASES, RELEASED.c.recipient)
            .outerjoin(RELEASED, RELEASED.c.release == RELEASES.c.release)
            .where(which)
            .order_by(RELEASES.c.release)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(statement).all()
        return [
            Release(
                row.reference, row.ground, row.recipient_kind, row.recipient or "", msgspec.json.decode(row.categories),
                row.records, row.version, row.manifest, row.released_at, row.expires_at, row.recalled_at, row.entry,
            )
            for row in rows
        ]  # fmt: skip
