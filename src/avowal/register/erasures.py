"""Erasures of visitors: recorded as begun, done in the store and in the register, and recorded as done.

The rules are in `docs/spec/retention.md` (K7 and K8).
"""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from avowal.ledger.address_coverage import AddressCoverage
from avowal.ledger.checkpoint import EntryProof
from avowal.ledger.commitment import SALT_BYTES, compute_commitment
from avowal.ledger.entry import ErasureDone, decode_entry
from avowal.ledger.note import Verifier
from avowal.ledger.receipt import ReceiptProof, Statement, mismatch_error, parse_receipt
from avowal.register.database import Connection, Database
from avowal.register.erased_list import ErasedKind, ErasedList
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
    """The erasure of a visitor, or of those who had an address. Times are UTC."""

    visitors: list[str]
    counts: ErasureCounts
    erased_at: datetime
    entry: int
    """The number of its entry in the ledger."""
    salt: str
    """The salt of the entry's commitment, in hexadecimal; it is stored nowhere."""
    coverage: AddressCoverage | None = None
    """What an erasure by address covers; None for one by a visitor's key."""


class Erasures(Repository):
    """The erasures of a register."""

    def __init__(self, database: Database, erased_list: ErasedList) -> None:
        super().__init__(database)
        self._erased_list = erased_list

    def is_held(self, visitor: str) -> bool:
        """Return whether anything in the register is about a visitor."""
        with self._database.read() as connection:
            return bool(connection.execute(SQL["select_is_held"], {"visitor": visitor}).fetchone()[0])

    def begin(self, visitors: Sequence[str]) -> None:
        """Record that visitors are to be erased in one act. It will be done from now on, even after a crash."""
        self._erased_list.add(ErasedKind.VISITOR, visitors)
        with self._database.transaction() as connection:
            for visitor in visitors:
                connection.execute(SQL["begin"], {"visitor": visitor})

    def list_script_views(self, script_view_ids: Sequence[int]) -> None:
        """List script views that are about to be erased, which belong to no visitor by then."""
        self._erased_list.add(ErasedKind.SCRIPT_VIEW, map(str, script_view_ids))

    def known_visitors(self) -> list[str]:
        """Return every visitor whom anything in the register is about."""
        with self._database.read() as connection:
            return [visitor for (visitor,) in connection.execute(SQL["select_visitors"])]

    def known_submissions(self) -> list[str]:
        """Return the reference of every submission."""
        with self._database.read() as connection:
            return [reference for (reference,) in connection.execute(SQL["select_references"])]

    def pending(self) -> list[str]:
        """Return the visitors of the erasure that is not finished yet."""
        with self._database.read() as connection:
            return [visitor for (visitor,) in connection.execute(SQL["select_pending"])]

    def finish(
        self,
        visitors: Sequence[str],
        store_counts: Sequence[RecordCounts],
        now: datetime,
        coverage: AddressCoverage | None = None,
    ) -> Erasure:
        """Erase visitors from the register, and record in one entry that they were erased from the store, too.

        `store_counts` has what was erased from the store of each.
        """
        salt = secrets.token_bytes(SALT_BYTES)
        with self._database.transaction() as connection:
            erased = [
                _erase_visitor(connection, visitor, counts)
                for visitor, counts in zip(visitors, store_counts, strict=True)
            ]
            sums = {
                name: sum(getattr(counts, name) for counts in erased)
                for name in ErasureCounts.__struct_fields__
            }
            erasure = Erasure(list(visitors), ErasureCounts(**sums), now, 0, salt.hex(), coverage)
            commitment = compute_commitment(salt, **_state_erasure(erasure))
            entry = append_entries(connection, [ErasureDone(commitment=commitment, at=now, **sums)])
        return msgspec.structs.replace(erasure, entry=entry)

    def erase_submissions(self, selector: SubmissionSelector, now: datetime) -> int:
        """Erase submissions; returns how many. Nothing leads from its entry to them.

        Their files are deleted with `Submissions.delete_orphans`. Raises RefusedError if there are none.
        """
        commitment = selector.compute_commitment(secrets.token_bytes(SALT_BYTES))
        with self._database.transaction() as connection:
            rows = connection.execute(
                SUBMISSIONS_SQL["select_chosen_references"], selector.parameters
            ).fetchall()
            if not rows:
                raise selector.not_found_error()
            self._erased_list.add(ErasedKind.SUBMISSION, [reference for (reference,) in rows])
            count = connection.erase(SUBMISSIONS_SQL["delete_chosen"], selector.parameters)
            erasure_entry = ErasureDone(
                commitment, requests=0, views=0, visits=0, consents=0, at=now, submissions=count
            )
            append_entries(connection, [erasure_entry])
        return count


ERASURE_RECEIPT_SCHEMA = "avowal erasure 1"


def _erase_visitor(connection: Connection, visitor: str, store_counts: RecordCounts) -> ErasureCounts:
    """Erase, in a transaction, a visitor from the register; returns how much went there and from the store."""
    values, selected = {"visitor": visitor}, SubmissionSelector("visitor", visitor).parameters
    connection.erase(SQL["finish"], values)
    counts = ErasureCounts(
        **msgspec.structs.asdict(store_counts),
        consents=connection.erase(CONSENTS_SQL["erase_subjects"], values),
        submissions=connection.erase(SUBMISSIONS_SQL["delete_chosen"], selected),
        authorisations=connection.erase(AUTHORISATIONS_SQL["erase_subjects"], values),
    )
    connection.erase(SUBMISSIONS_SQL["delete_restrictions_of_visitor"], values)
    erase_visitor_from_releases(connection, visitor)
    return counts


def _state_erasure(erasure: Erasure) -> Statement:
    """Return the statement of the receipt of an erasure."""
    coverage = {"coverage": msgspec.to_builtins(erasure.coverage)} if erasure.coverage else {}
    return {
        "schema": ERASURE_RECEIPT_SCHEMA,
        "visitors": erasure.visitors,
        "erased": msgspec.structs.asdict(erasure.counts),
        "erased_at": erasure.erased_at,
        **coverage,
    }


def make_erasure_receipt(ledger: Ledger, erasure: Erasure) -> dict[str, Any]:
    """Return the receipt of an erasure for the visitor; anybody can verify it with the ledger's public key."""
    proof = ReceiptProof(erasure.salt, str(ledger.prove_entry(erasure.entry)))
    return {**_state_erasure(erasure), "proof": proof}


class _ErasureStatement(msgspec.Struct):
    visitors: list[str]
    erased: ErasureCounts
    erased_at: datetime
    coverage: AddressCoverage | None = None


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
