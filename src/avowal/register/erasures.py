"""Erasures of visitors: recorded as begun, done in the store and in the register, and recorded as done.

The rules are in `docs/spec/retention.md` (K7 and K8).
"""

import secrets
from datetime import datetime
from typing import Any

import msgspec

from avowal.ledger.checkpoint import EntryProof
from avowal.ledger.commitment import SALT_BYTES, compute_commitment
from avowal.ledger.entry import ErasureDone, decode_entry
from avowal.ledger.note import Verifier
from avowal.ledger.receipt import ReceiptProof, Statement, mismatch_error, parse_receipt
from avowal.register.ledger_storage import Ledger, append_entries
from avowal.register.releases import erase_visitor_from_releases
from avowal.register.repository import Repository
from avowal.register.restrictions import SubmissionSelector
from avowal.register.statements import load_statements
from avowal.store.interface import RecordCounts

SQL, CONSENTS_SQL, AUTHORISATIONS_SQL, SUBMISSIONS_SQL = (
    load_statements("avowal.register", name)
    for name in ("erasures", "consents", "authorisations", "submissions")
)


class ErasureCounts(msgspec.Struct, frozen=True):
    """How many records of each relation were erased."""

    requests: int
    views: int
    visits: int
    consents: int
    script_views: int = 0
    events: int = 0
    submissions: int = 0
    authorisations: int = 0


class Erasure(msgspec.Struct, frozen=True):
    """The erasure of a visitor. Times are UTC."""

    visitor: str
    counts: ErasureCounts
    erased_at: datetime
    entry: int
    """The number of its entry in the ledger."""
    salt: str
    """The salt of the entry's commitment, in hexadecimal; it is stored nowhere."""


class Erasures(Repository):
    """The erasures of a register."""

    def is_held(self, visitor: str) -> bool:
        """Return whether anything in the register is about a visitor."""
        with self._database.read() as connection:
            return bool(connection.execute(SQL["select_is_held"], {"visitor": visitor}).fetchone()[0])

    def begin(self, visitor: str) -> None:
        """Record that a visitor is to be erased. It will be done from now on, even after a crash."""
        with self._database.transaction() as connection:
            connection.execute(SQL["begin"], {"visitor": visitor})

    def pending(self) -> list[str]:
        """Return the visitors whose erasure is not finished yet."""
        with self._database.read() as connection:
            return [visitor for (visitor,) in connection.execute(SQL["select_pending"])]

    def finish(self, visitor: str, store_counts: RecordCounts, now: datetime) -> Erasure:
        """Erase a visitor from the register, and record that they were erased from the store, too."""
        salt, values = secrets.token_bytes(SALT_BYTES), {"visitor": visitor}
        selected = SubmissionSelector("visitor", visitor).parameters
        with self._database.transaction() as connection:
            connection.erase(SQL["finish"], values)
            counts = ErasureCounts(
                requests=store_counts.requests,
                views=store_counts.views,
                visits=store_counts.visits,
                consents=connection.erase(CONSENTS_SQL["erase_subjects"], values),
                script_views=store_counts.script_views,
                events=store_counts.events,
                submissions=connection.erase(SUBMISSIONS_SQL["delete_chosen"], selected),
                authorisations=connection.erase(AUTHORISATIONS_SQL["erase_subjects"], values),
            )
            connection.erase(SUBMISSIONS_SQL["delete_restrictions_of_visitor"], values)
            erase_visitor_from_releases(connection, visitor)
            commitment = compute_commitment(salt, **_state_erasure(visitor, counts, now))
            erasure_entry = ErasureDone(commitment=commitment, at=now, **msgspec.structs.asdict(counts))
            entry = append_entries(connection, [erasure_entry])
        return Erasure(visitor, counts, now, entry, salt.hex())

    def erase_submissions(self, selector: SubmissionSelector, now: datetime) -> int:
        """Erase submissions; returns how many. Nothing leads from its entry to them.

        Their files are deleted with `Submissions.delete_orphans`. Raises RefusedError if there are none.
        """
        commitment = selector.compute_commitment(secrets.token_bytes(SALT_BYTES))
        with self._database.transaction() as connection:
            count = connection.erase(SUBMISSIONS_SQL["delete_chosen"], selector.parameters)
            if not count:
                raise selector.not_found_error()
            erasure_entry = ErasureDone(
                commitment, requests=0, views=0, visits=0, consents=0, at=now, submissions=count
            )
            append_entries(connection, [erasure_entry])
        return count


ERASURE_RECEIPT_SCHEMA = "avowal erasure 1"


def _state_erasure(visitor: str, counts: ErasureCounts, erased_at: datetime) -> Statement:
    """Return the statement of the receipt of an erasure."""
    return {
        "schema": ERASURE_RECEIPT_SCHEMA,
        "visitor": visitor,
        "erased": msgspec.structs.asdict(counts),
        "erased_at": erased_at,
    }


def make_erasure_receipt(ledger: Ledger, erasure: Erasure) -> dict[str, Any]:
    """Return the receipt of an erasure for the visitor; anybody can verify it with the ledger's public key."""
    return {
        **_state_erasure(erasure.visitor, erasure.counts, erasure.erased_at),
        "proof": ReceiptProof(erasure.salt, str(ledger.prove_entry(erasure.entry))),
    }


class _ErasureStatement(msgspec.Struct):
    visitor: str
    erased: ErasureCounts
    erased_at: datetime


def check_erasure_receipt(text: str, verifier: Verifier) -> EntryProof:
    """Verify the receipt of an erasure with the ledger's public key alone; returns its proof.

    Raises InvalidInputError if it is not a receipt, and ProofError if it is not valid.
    """
    receipt = parse_receipt(text, _ErasureStatement, ReceiptProof)
    receipt.entry_proof.verify(verifier)
    stated = receipt.statement
    entry = ErasureDone(receipt.commitment, **msgspec.structs.asdict(stated.erased), at=stated.erased_at)
    if decode_entry(receipt.entry_proof.entry) != entry:
        raise mismatch_error()
    return receipt.entry_proof
