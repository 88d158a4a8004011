"""Releases: each is recorded for good, before anybody can read its package."""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from avowal.errors import RefusedError
from avowal.ledger.checkpoint import EntryProof
from avowal.ledger.commitment import SALT_BYTES, compute_commitment
from avowal.ledger.entry import ErasureDone, decode_entry, decode_entry_of
from avowal.ledger.note import Verifier
from avowal.ledger.receipt import (
    ReceiptProof,
    Statement,
    invalid_receipt,
    mismatch_error,
    parse_hash,
    parse_receipt,
)
from avowal.ledger.release_entry import ReleaseMade, ReleaseRecalled, ReleaseSummary
from avowal.ledger.tree import (
    EMPTY_ROOT,
    NodeLookup,
    append_leaves,
    check_inclusion,
    compute_root,
    hash_leaf,
    prove_inclusion,
)
from avowal.register.database import Connection
from avowal.register.ledger_storage import Ledger, append_entries, read_entries_from
from avowal.register.release_requests import erase_requests_about
from avowal.register.repository import (
    Repository,
    format_time,
    parse_optional_time,
    to_parameters,
)
from avowal.register.statements import load_statements

SQL = load_statements("avowal.register", "releases")
RELEASE_RECEIPT_SCHEMA = "avowal release receipt 1"


class Release(msgspec.Struct, frozen=True):
    """A release that is recorded. Times are UTC."""

    summary: ReleaseSummary
    manifest_hash: str
    """The SHA-256 of its package's manifest, in hexadecimal."""
    recipient: str
    """Empty if every visitor in it was erased."""
    recalled_at: datetime | None
    entry: int
    """The number of its entry in the ledger."""


class ReleaseSubject(NamedTuple):
    """A visitor whose data is released to a recipient, and the salted commitment to both."""

    visitor: str
    recipient: str
    salt: bytes
    commitment: str


def commit_to_visitors(reference: str, visitors: Iterable[str], recipient: str) -> list[ReleaseSubject]:
    """Return the visitors of a release with commitments under new salts."""
    salts = [(visitor, secrets.token_bytes(SALT_BYTES)) for visitor in visitors]
    return [
        ReleaseSubject(visitor, recipient, salt, commit_to_release(salt, reference, visitor, recipient))
        for visitor, salt in salts
    ]


def commit_to_release(salt: bytes, reference: str, visitor: str, recipient: str) -> str:
    """Return the commitment to what the receipt of a release states to a visitor."""
    return compute_commitment(salt, **_state_release(reference, visitor, recipient))


def _state_release(reference: str, visitor: str, recipient: str) -> Statement:
    """Return the statement of the receipt of a release."""
    return {
        "schema": RELEASE_RECEIPT_SCHEMA,
        "visitor": visitor,
        "recipient": recipient,
        "reference": reference,
    }


class Releases(Repository):
    """The releases of a register."""

    def record(
        self,
        release_entry: ReleaseMade,
        subjects: Sequence[ReleaseSubject],
        *,
        needs_authorisation: bool,
        seen_entries: int,
    ) -> int:
        """Record a release of visitors with its entry in the ledger; returns the number of the entry.

        `seen_entries` is how many entries there were when the data was extracted. Raises RefusedError if since then
        the authorisation was withdrawn, a visitor was erased, or the release was made already.
        """
        reference = release_entry.summary.reference
        with self._database.transaction() as connection:
            if needs_authorisation:
                _check_authorisation(connection, subjects)
            _check_unchanged(connection, reference, subjects, seen_entries)
            entry = append_entries(connection, [release_entry])
            values = {"reference": reference, "entry": entry}
            number = connection.execute(SQL["insert_release"], values).lastrowid
            rows = [
                {"release": number, "position": position, **subject._asdict()}
                for position, subject in enumerate(subjects)
            ]
            connection.executemany(SQL["insert_subject"], rows)
        return entry

    def for_visitor(self, visitor: str, now: datetime) -> list[Release]:
        """Return the releases of a visitor's data, in their order, except those under seal."""
        releases = self._select(visitor=visitor)
        return [
            release
            for release in releases
            if release.summary.sealed_until is None or release.summary.sealed_until <= now
        ]

    def all(self) -> list[Release]:
        """Return all releases, in their order; without the recipient if every visitor in it was erased."""
        return self._select()

    def by_visitor(self) -> Iterator[tuple[str, Release]]:
        """Yield each visitor with each release of their data; erased visitors are in none."""
        releases = {release.summary.reference: release for release in self.all()}
        with self._database.read() as connection:
            rows = connection.execute(SQL["select_visitors"]).fetchall()
        for visitor, reference in rows:
            yield visitor, releases[reference]

    def recall(self, reference: str, reason: str, now: datetime) -> Release:
        """Record that a release is recalled. Raises RefusedError if there is none, or it was recalled before."""
        releases = self._select(reference=reference)
        if not releases or releases[0].recalled_at:
            raise RefusedError(
                f"there is no release `{reference}`, or it was recalled already",
                "`avowal release list` lists the releases",
                code="release-not-found",
            )
        with self._database.transaction() as connection:
            append_entries(connection, [ReleaseRecalled(reference, reason, now)])
            connection.execute(SQL["recall"], {"reference": reference, "now": format_time(now)})
        return msgspec.structs.replace(releases[0], recalled_at=now)

    def find_unwritten(self, reference: str) -> Release | None:
        """Return a release whose package was never written, as the process ended; None if there is none."""
        with self._database.read() as connection:
            row = connection.execute(SQL["select_unwritten"], {"reference": reference}).fetchone()
        return self._select(reference=reference)[0] if row else None

    def mark_written(self, reference: str, now: datetime) -> None:
        """Record that the package of a release is written: it cannot be made again."""
        with self._database.transaction() as connection:
            connection.execute(SQL["mark_written"], {"reference": reference, "now": format_time(now)})

    def make_receipt(self, ledger: Ledger, visitor: str, release: Release) -> dict[str, Any]:
        """Return the receipt of a release, which proves to a visitor that it is in the ledger."""
        with self._database.read() as connection:
            rows = connection.execute(
                SQL["select_subjects"], {"reference": release.summary.reference}
            ).fetchall()
        position, salt = next((position, salt) for position, _, key, salt in rows if key == visitor)
        lookup = _build_tree([commitment for _, commitment, *_ in rows])
        return {
            **_state_release(release.summary.reference, visitor, release.recipient),
            "proof": _ReleaseProof(
                salt.hex(),
                str(ledger.prove_entry(release.entry)),
                position,
                [value.hex() for value in prove_inclusion(position, len(rows), lookup)],
            ),
        }

    def _select(self, reference: str | None = None, visitor: str | None = None) -> list[Release]:
        values = {"reference": reference, "visitor": visitor}
        with self._database.read() as connection:
            rows = connection.execute(SQL["select_releases"], values).fetchall()
        return [_parse_row(*row) for row in rows]


def _parse_row(body: bytes | None, recipient: str, recalled_at: str | None, entry: int) -> Release:
    release_entry = decode_entry_of(ReleaseMade, body)
    return Release(
        release_entry.summary, release_entry.manifest_hash, recipient, parse_optional_time(recalled_at), entry
    )


def erase_visitor_from_releases(connection: Connection, visitor: str) -> None:
    """Erase, in a transaction, that a visitor's data was released or requested."""
    values = {"visitor": visitor}
    references = [reference for (reference,) in connection.execute(SQL["select_references_about"], values)]
    erase_requests_about(connection, visitor, references)
    connection.erase(SQL["erase_subjects"], values)


def combine_commitments(commitments: Sequence[str]) -> str:
    """Return the commitment of an entry to visitors: the root of the tree of theirs."""
    return compute_root(len(commitments), _build_tree(commitments)).hex() if commitments else EMPTY_ROOT.hex()


class _ReleaseProof(ReceiptProof, frozen=True, forbid_unknown_fields=True):
    position: int
    """The position of the visitor among those of the release."""
    path: list[str]
    """The proof that the commitment is in the tree of those of the release."""


class _ReleaseStatement(msgspec.Struct):
    recipient: str
    reference: str


def check_release_receipt(text: str, verifier: Verifier) -> EntryProof:
    """Verify the receipt of a release with the ledger's public key alone; returns its proof.

    Raises InvalidInputError if it is not a receipt, and ProofError if it is not valid.
    """
    receipt = parse_receipt(text, _ReleaseStatement, _ReleaseProof)
    receipt.entry_proof.verify(verifier)
    entry = decode_entry(receipt.entry_proof.entry)
    if not isinstance(entry, ReleaseMade) or entry.summary.reference != receipt.statement.reference:
        raise mismatch_error()
    try:
        path = [parse_hash(value) for value in receipt.proof.path]
    except ValueError:
        raise invalid_receipt() from None
    check_inclusion(
        receipt.proof.position,
        entry.visitor_count,
        hash_leaf(bytes.fromhex(receipt.commitment)),
        path,
        bytes.fromhex(entry.commitment),
    )
    return receipt.entry_proof


def _build_tree(commitments: Sequence[str]) -> NodeLookup:
    """Return the lookup of the nodes of the tree of commitments."""
    leaves = [hash_leaf(bytes.fromhex(commitment)) for commitment in commitments]
    nodes: dict[tuple[int, int], bytes] = {}
    for level, position, value in append_leaves(0, leaves, lambda level, position: nodes[level, position]):
        nodes[level, position] = value
    return lambda level, position: nodes[level, position]


def _check_authorisation(connection: Connection, subjects: Sequence[ReleaseSubject]) -> None:
    """Raise RefusedError if the last authorisation of the visitors for the recipient is a withdrawal."""
    values = {
        "visitors": [subject.visitor for subject in subjects],
        "recipient": next((subject.recipient for subject in subjects), ""),
    }
    row = connection.execute(SQL["select_last_authorisation"], to_parameters(values)).fetchone()
    if row is None or not row[0]:
        raise RefusedError(
            "the visitor withdrew the authorisation meanwhile",
            "nothing was released; ask the visitor for another authorisation",
            code="authorisation-not-found",
        )


def _check_unchanged(
    connection: Connection, reference: str, subjects: Sequence[ReleaseSubject], seen_entries: int
) -> None:
    """Raise RefusedError if a visitor was erased, or the release was made, since the data was extracted."""
    pending = {visitor for (visitor,) in connection.execute(SQL["select_pending_erasures"])}
    is_erased = any(isinstance(entry, ErasureDone) for entry in read_entries_from(connection, seen_entries))
    if is_erased or pending.intersection(subject.visitor for subject in subjects):
        raise RefusedError(
            "a visitor was erased meanwhile", "nothing was released; request it again", code="records-changed"
        )
    if connection.execute(SQL["select_release"], {"reference": reference}).fetchone():
        raise RefusedError(
            f"`{reference}` was released already", "request another release", code="request-closed"
        )
