"""Erasing what is held of one visitor: recorded, done, and recorded as done; nothing leads to them after.

The rules stand in `docs/spec/retention.md` (K7 and K8).
"""

import secrets
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as upsert

from avowal.errors import InvalidInputError, ProofError
from avowal.ledger.checkpoint import EntryProof
from avowal.ledger.entry import ErasureDone, decode_entry
from avowal.ledger.note import Verifier
from avowal.register.consents import SALT_BYTES, compute_commitment
from avowal.register.ledger_storage import Ledger, append_entries
from avowal.register.releases import erase_visitor_from_releases as erase_released
from avowal.register.repository import Repository
from avowal.register.restrictions import SubmissionSelector
from avowal.register.submissions import erase_submissions
from avowal.register.tables import (
    AUTHORISATION_SUBJECTS,
    CONSENT_SUBJECTS,
    PENDING_ERASURES,
    RESTRICTIONS,
    SUBMISSIONS,
)
from avowal.store.interface import RecordCounts


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
    """What was erased of a visitor, and when (UTC); `salt` opens the commitment of its entry, and is kept nowhere."""

    visitor: str
    counts: ErasureCounts
    erased_at: datetime
    entry: int
    salt: str


class Erasures(Repository):
    """The erasures of a register."""

    def begin(self, visitor: str) -> None:
        """Record that a visitor is to be erased: from now on it will be done, whatever happens."""
        with self._write_transaction() as connection:
            connection.execute(upsert(PENDING_ERASURES).values(visitor=visitor).on_conflict_do_nothing())

    def pending(self) -> list[str]:
        """Return the visitors whose erasure is not done yet."""
        with self._engine.connect() as connection:
            return list(connection.execute(sa.select(PENDING_ERASURES.c.visitor)).scalars())

    def finish(self, visitor: str, store_counts: RecordCounts, now: datetime) -> Erasure:
        """Record that a visitor was erased from the store, and forget who it was in the register, too."""
        salt = secrets.token_bytes(SALT_BYTES)
        person = compute_commitment(salt, visitor=visitor)
        with self._write_transaction() as connection:
            consents = connection.execute(
                sa.delete(CONSENT_SUBJECTS).where(CONSENT_SUBJECTS.c.visitor == visitor)
            ).rowcount
            connection.execute(sa.delete(PENDING_ERASURES).where(PENDING_ERASURES.c.visitor == visitor))
            submissions = erase_submissions(connection, SUBMISSIONS.c.visitor == visitor)
            gone = sa.delete(AUTHORISATION_SUBJECTS).where(AUTHORISATION_SUBJECTS.c.visitor == visitor)
            authorisations = connection.execute(gone).rowcount
            connection.execute(
                sa.delete(RESTRICTIONS).where(
                    RESTRICTIONS.c.selector_kind == "visitor", RESTRICTIONS.c.selector_value == visitor
                )
            )
            erase_released(connection, visitor)
            counts = ErasureCounts(
                requests=store_counts.requests,
                views=store_counts.views,
                visits=store_counts.visits,
                consents=consents,
                script_views=store_counts.script_views,
                events=store_counts.events,
                submissions=submissions,
                authorisations=authorisations,
            )
            done = ErasureDone(commitment=person, at=now, **msgspec.structs.asdict(counts))
            entry = append_entries(connection, [done])
        self.truncate_wal()
        return Erasure(visitor, counts, now, entry, salt.hex())

    def erase_submissions(self, selector: SubmissionSelector, now: datetime) -> int:
        """Erase submissions; returns how many. Nothing leads from the entry of it to them.

        They go from the log of writes with `leave_nothing`. Raises RefusedError where there are none.
        """
        person = selector.compute_commitment(secrets.token_bytes(SALT_BYTES))
        with self._driver_transaction() as database:
            delete = f"DELETE FROM submissions WHERE {selector.sql_condition}"  # noqa: S608  # ours; answers go with them
            gone = database.execute(delete, (selector.value,)).rowcount
            if not gone:
                raise selector.not_found_error()
            append_entries(
                database,
                [ErasureDone(person, requests=0, views=0, visits=0, consents=0, at=now, submissions=gone)],
            )
        return int(gone)


ERASURE_RECEIPT_SCHEMA = "avowal erasure 1"


def make_erasure_receipt(ledger: Ledger, erasure: Erasure) -> dict[str, Any]:
    """Return the receipt of an erasure, for the visitor to keep: it can be checked without us."""
    return {
        "schema": ERASURE_RECEIPT_SCHEMA,
        "visitor": erasure.visitor,
        "erased": msgspec.structs.asdict(erasure.counts),
        "erased_at": erasure.erased_at,
        "proof": {"salt": erasure.salt, "tlog_proof": str(ledger.prove_entry(erasure.entry))},
    }


def check_erasure_receipt(text: str, verifier: Verifier) -> EntryProof:
    """Check a receipt with nothing but the ledger's public key; returns its proof.

    Raises InvalidInputError where it is no receipt, and ProofError where it does not hold.
    """
    try:
        told = msgspec.json.decode(text, type=_ErasureReceipt)
        salt = bytes.fromhex(told.proof.salt)
    except (msgspec.DecodeError, ValueError):
        raise InvalidInputError(
            "this is no receipt of an erasure", "give the file as it was handed out", code="invalid-receipt"
        ) from None
    proof = EntryProof.parse(told.proof.tlog_proof)
    proof.verify(verifier)
    entry = ErasureDone(
        compute_commitment(salt, visitor=told.visitor),
        **msgspec.structs.asdict(told.erased),
        at=told.erased_at,
    )
    if decode_entry(proof.entry) != entry:
        raise ProofError(
            "the receipt says something else than its entry in the ledger",
            "it was changed, or mixed up",
            code="receipt-mismatch",
        )
    return proof


class _ErasureProof(msgspec.Struct):
    salt: str
    tlog_proof: str


class _ErasureReceipt(msgspec.Struct):
    visitor: str
    erased: ErasureCounts
    erased_at: datetime
    proof: _ErasureProof
