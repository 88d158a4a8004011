"""What was released, in the register: each release is recorded for good, and before anybody can read it."""

import secrets
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from avowal.errors import ProofError, RefusedError
from avowal.ledger.checkpoint import EntryProof
from avowal.ledger.entry import AgeReach, ErasureDone, ReleaseMade, ReleaseRecalled, decode_entry
from avowal.ledger.note import Verifier
from avowal.ledger.tree import (
    EMPTY_ROOT,
    NodeLookup,
    append_leaves,
    check_inclusion,
    compute_root,
    hash_leaf,
    prove_inclusion,
)
from avowal.register.consents import SALT_BYTES, compute_commitment
from avowal.register.ledger_storage import Ledger, append_entries, read_entries_from
from avowal.register.release_requests import erase_requests_about as erase_asked
from avowal.register.repository import Repository
from avowal.register.tables import (
    AUTHORISATION_SUBJECTS,
    AUTHORISATIONS,
    PENDING_ERASURES,
    RELEASE_SUBJECTS,
    RELEASES,
)

RELEASE_RECEIPT_SCHEMA = "avowal release receipt 1"


class Release(msgspec.Struct, frozen=True):
    """A release. Times are UTC."""

    reference: str
    ground: str
    recipient_kind: str
    recipient: str
    categories: list[str]
    records: int
    version: int
    manifest_hash: str
    """The hash of its package's manifest."""
    released_at: datetime
    expires_at: datetime
    recalled_at: datetime | None = None
    entry: int = -1
    """The number of its entry in the ledger."""
    sealed_until: datetime | None = None
    """Until when the visitors are not told of it."""


SHARED_ENTRY_FIELDS = ("reference", "ground", "recipient_kind", "records", "version", "manifest_hash")
"""What a release and its entry have alike, and what is plain of it."""


class Releases(Repository):
    """The releases of a register."""

    def record(
        self,
        release: Release,
        visitors: Sequence[str],
        age_reach: list[AgeReach],
        *,
        needs_authorisation: bool,
        seen_entries: int,
    ) -> Release:
        """Record a release of visitors with its entry in the ledger; returns it with that entry's number.

        `looked` is how many entries there were when it was looked up what would be released. Raises RefusedError where
        meanwhile the authorisation that it stands on was taken back, it was made already, or somebody was erased.
        """
        salts = [secrets.token_bytes(SALT_BYTES) for _ in visitors]
        persons = [
            compute_commitment(salt, visitor=visitor, recipient=release.recipient)
            for salt, visitor in zip(salts, visitors, strict=True)
        ]
        told = {name: getattr(release, name) for name in SHARED_ENTRY_FIELDS}
        with self._write_transaction() as connection:
            _check(connection, release, visitors, authorised=needs_authorisation, looked=seen_entries)
            made = ReleaseMade(
                commitment=combine_commitments(persons),
                visitor_count=len(persons),
                categories=release.categories,
                at=release.released_at,
                sealed_until=release.sealed_until,
                age_reach=age_reach,
                **told,
            )
            entry = append_entries(connection, [made])
            number = _insert(connection, release, made, entry)
            rows = [
                {"position": place, "commitment": person, "visitor": visitor, "salt": salt}
                for place, (person, visitor, salt) in enumerate(zip(persons, visitors, salts, strict=True))
            ]
            alike = {"release": number, "recipient": release.recipient}
            if rows:
                connection.execute(sa.insert(RELEASE_SUBJECTS), [{**one, **alike} for one in rows])
        return msgspec.structs.replace(release, entry=entry)

    def for_visitor(self, visitor: str, now: datetime) -> list[Release]:
        """Return what was released of a visitor, in its order, but for what is sealed."""
        mine = RELEASES.c.release.in_(
            sa.select(RELEASE_SUBJECTS.c.release).where(RELEASE_SUBJECTS.c.visitor == visitor)
        )
        return self._found(mine & (RELEASES.c.sealed_until.is_(None) | (RELEASES.c.sealed_until <= now)))

    def all(self) -> list[Release]:
        """Return all that was released, in its order; of who was erased, without the recipient."""
        return self._found(sa.true())

    def by_visitor(self) -> Iterator[tuple[str, Release]]:
        """Yield each visitor with each release that the visitor is in; who is erased is in none."""
        found = {one.reference: one for one in self.all()}
        statement = (
            sa.select(RELEASE_SUBJECTS.c.visitor, RELEASES.c.reference)
            .join(RELEASES, RELEASES.c.release == RELEASE_SUBJECTS.c.release)
            .where(RELEASE_SUBJECTS.c.visitor.is_not(None))
        )
        with self._engine.connect() as connection:
            rows = connection.execute(statement).all()
        for visitor, reference in rows:
            yield visitor, found[reference]

    def recall(self, reference: str, reason: str, now: datetime) -> Release:
        """Record that a release is recalled. Raises RefusedError where there is none, or it was before."""
        found = self._found(RELEASES.c.reference == reference)
        if not found or found[0].recalled_at:
            raise RefusedError(
                f"there is no release `{reference}` that is not recalled",
                "`avowal release list` tells which there are",
                code="release-not-found",
            )
        with self._write_transaction() as connection:
            append_entries(connection, [ReleaseRecalled(reference, reason, now)])
            row = {"recalled_at": now}
            connection.execute(sa.update(RELEASES).where(RELEASES.c.reference == reference).values(row))
        return msgspec.structs.replace(found[0], recalled_at=now)

    def find_unwritten(self, reference: str) -> Release | None:
        """Return a release whose package was never written, as its process ended; None where there is none."""
        due = RELEASES.c.written_at.is_(None) & RELEASES.c.recalled_at.is_(None)
        return next(iter(self._found((RELEASES.c.reference == reference) & due)), None)

    def mark_written(self, reference: str, now: datetime) -> None:
        """Record that the package of a release is written: it is made no more."""
        mine = (RELEASES.c.reference == reference) & RELEASES.c.written_at.is_(None)
        with self._write_transaction() as connection:
            connection.execute(sa.update(RELEASES).where(mine).values(written_at=now))

    def make_receipt(self, ledger: Ledger, visitor: str, release: Release) -> dict[str, Any]:
        """Return what proves to a visitor that a release of theirs is in the ledger: it can be checked without us."""
        whose = sa.select(RELEASE_SUBJECTS).join(RELEASES, RELEASES.c.release == RELEASE_SUBJECTS.c.release)
        of_release = whose.where(RELEASES.c.reference == release.reference).order_by(
            RELEASE_SUBJECTS.c.position
        )
        with self._engine.connect() as connection:
            rows = connection.execute(of_release).all()
        mine = next(row for row in rows if row.visitor == visitor)
        path = prove_inclusion(mine.position, len(rows), _tree([row.commitment for row in rows]))
        return {
            "schema": RELEASE_RECEIPT_SCHEMA,
            "visitor": visitor,
            "recipient": release.recipient,
            "reference": release.reference,
            "proof": {
                "salt": mine.salt.hex(),
                "position": mine.position,
                "path": [one.hex() for one in path],
                "tlog_proof": str(ledger.prove_entry(release.entry)),
            },
        }

    def _found(self, which: sa.ColumnElement[bool]) -> list[Release]:
        recipient = (
            sa.select(sa.func.max(RELEASE_SUBJECTS.c.recipient))
            .where(RELEASE_SUBJECTS.c.release == RELEASES.c.release)
            .scalar_subquery()
        )
        columns = [
            sa.func.coalesce(recipient, "").label(name) if name == "recipient" else RELEASES.c[name]
            for name in Release.__struct_fields__
        ]
        statement = sa.select(*columns).where(which).order_by(RELEASES.c.release)
        with self._engine.connect() as connection:
            rows = connection.execute(statement).mappings().all()
        return [Release(**{**row, "categories": msgspec.json.decode(row["categories"])}) for row in rows]


def erase_visitor_from_releases(connection: sa.Connection, visitor: str) -> None:
    """Erase, in a transaction, that anything was released or asked to be released of a visitor."""
    mine = sa.select(RELEASE_SUBJECTS.c.release).where(RELEASE_SUBJECTS.c.visitor == visitor)
    references = sa.select(RELEASES.c.reference).where(RELEASES.c.release.in_(mine))
    erase_asked(connection, visitor, list(connection.execute(references).scalars()))
    nobody = {"visitor": None, "recipient": None, "salt": None}
    connection.execute(
        sa.update(RELEASE_SUBJECTS).where(RELEASE_SUBJECTS.c.visitor == visitor).values(nobody)
    )


def combine_commitments(commitments: Sequence[str]) -> str:
    """Return the one commitment to persons that an entry has: theirs, or of several the root of their tree."""
    if len(commitments) == 1:
        return commitments[0]
    return compute_root(len(commitments), _tree(commitments)).hex() if commitments else EMPTY_ROOT.hex()


def check_release_receipt(text: str, verifier: Verifier) -> EntryProof:
    """Check what proves a release to a visitor with nothing but the ledger's public key; returns its proof.

    Raises ProofError where it does not hold, or is none.
    """
    try:
        told = msgspec.json.decode(text, type=_ReleaseReceipt)
        salt, path = bytes.fromhex(told.proof.salt), [bytes.fromhex(one) for one in told.proof.path]
    except (msgspec.DecodeError, ValueError):
        raise ProofError(
            "this is no receipt of a release", "give the file as it was handed out", code="invalid-receipt"
        ) from None
    proof = EntryProof.parse(told.proof.tlog_proof)
    proof.verify(verifier)
    made, person = (
        decode_entry(proof.entry),
        compute_commitment(salt, visitor=told.visitor, recipient=told.recipient),
    )
    if not isinstance(made, ReleaseMade) or made.reference != told.reference:
        raise ProofError(
            "the ledger's entry is of another release",
            "the receipt was changed, or mixed up",
            code="receipt-mismatch",
        )
    if made.visitor_count == 1 and person == made.commitment:
        return proof
    check_inclusion(
        told.proof.position,
        made.visitor_count,
        hash_leaf(bytes.fromhex(person)),
        path,
        bytes.fromhex(made.commitment),
    )
    return proof


def _tree(persons: Sequence[str]) -> NodeLookup:
    """Return what gives the nodes of the tree of commitments."""
    leaves = [hash_leaf(bytes.fromhex(person)) for person in persons]
    nodes: dict[tuple[int, int], bytes] = {}
    for level, place, value in append_leaves(0, leaves, lambda level, place: nodes[level, place]):
        nodes[level, place] = value
    return lambda level, place: nodes[level, place]


def _insert(connection: sa.Connection, release: Release, made: ReleaseMade, entry: int) -> int:
    """Insert a release; returns its number."""
    row = {
        **{
            name: getattr(release, name)
            for name in (*SHARED_ENTRY_FIELDS, "released_at", "expires_at", "sealed_until")
        },
        "categories": msgspec.json.encode(release.categories).decode(),
        "commitment": made.commitment,
        "entry": entry,
    }
    return int(connection.execute(sa.insert(RELEASES).values(row)).lastrowid)


def _check(
    connection: sa.Connection, release: Release, visitors: Sequence[str], *, authorised: bool, looked: int
) -> None:
    """Look, in the transaction of a release, whether what it stands on is still so."""
    if authorised:
        last = (
            sa.select(AUTHORISATIONS.c.given)
            .join(
                AUTHORISATION_SUBJECTS,
                AUTHORISATION_SUBJECTS.c.authorisation == AUTHORISATIONS.c.authorisation,
            )
            .where(
                AUTHORISATION_SUBJECTS.c.visitor.in_(visitors),
                AUTHORISATION_SUBJECTS.c.recipient == release.recipient,
            )
            .order_by(AUTHORISATIONS.c.authorisation.desc())
        )
        if not connection.execute(last.limit(1)).scalar():
            raise RefusedError(
                "the visitor took the authorisation back meanwhile",
                "nothing was released",
                code="authorisation-not-found",
            )
    begun = set(connection.execute(sa.select(PENDING_ERASURES.c.visitor)).scalars())
    erased = any(isinstance(one, ErasureDone) for one in read_entries_from(connection, looked))
    if erased or begun.intersection(visitors):
        raise RefusedError(
            "somebody was erased meanwhile", "nothing was released: ask again", code="records-changed"
        )
    made = sa.select(RELEASES.c.release).where(RELEASES.c.reference == release.reference)
    if connection.execute(made).first():
        raise RefusedError(
            f"`{release.reference}` was released already", "ask for another release", code="request-closed"
        )


class _ReleaseProof(msgspec.Struct):
    salt: str
    position: int
    path: list[str]
    tlog_proof: str


class _ReleaseReceipt(msgspec.Struct):
    visitor: str
    recipient: str
    reference: str
    proof: _ReleaseProof
