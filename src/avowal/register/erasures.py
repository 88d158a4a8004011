"""Erasing what is held of one visitor: recorded, done, and recorded as done; nothing leads to them after.

The rules stand in `docs/spec/retention.md` (K7 and K8).
"""

import secrets
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as upsert

from avowal.errors import MisuseError, ProofError
from avowal.ledger.checkpoint import Receipt
from avowal.ledger.entry import ErasureDone, read
from avowal.ledger.note import Verifier
from avowal.register.consents import SALT_BYTES, commitment
from avowal.register.ledger_storage import Ledger, append
from avowal.register.releases import erase as erase_released
from avowal.register.repository import Part
from avowal.register.restrictions import Which
from avowal.register.submissions import erase
from avowal.register.tables import AUTHORISING, ERASING, HANDLED, PERSONS, SUBMISSIONS
from avowal.store.interface import Erased


class Erasure(msgspec.Struct, frozen=True):
    """What was erased of a visitor, and when (UTC); `salt` opens the commitment of its entry, and is kept nowhere."""

    visitor: str
    erased: Erased
    consents: int
    submissions: int
    authorisations: int
    erased_at: datetime
    entry: int
    salt: str


class Erasures(Part):
    """The erasures of a register."""

    def begin(self, visitor: str) -> None:
        """Record that a visitor is to be erased: from now on it will be done, whatever happens."""
        with self._write() as connection:
            connection.execute(upsert(ERASING).values(visitor=visitor).on_conflict_do_nothing())

    def begun(self) -> list[str]:
        """Return the visitors whose erasure is not done yet."""
        with self._engine.connect() as connection:
            return list(connection.execute(sa.select(ERASING.c.visitor)).scalars())

    def finish(self, visitor: str, erased: Erased, now: datetime) -> Erasure:
        """Record that a visitor was erased from the store, and forget who it was in the register, too."""
        salt = secrets.token_bytes(SALT_BYTES)
        person = commitment(salt, visitor=visitor)
        with self._write() as connection:
            consents = connection.execute(sa.delete(PERSONS).where(PERSONS.c.visitor == visitor)).rowcount
            connection.execute(sa.delete(ERASING).where(ERASING.c.visitor == visitor))
            submissions = erase(connection, SUBMISSIONS.c.visitor == visitor)
            gone = sa.delete(AUTHORISING).where(AUTHORISING.c.visitor == visitor)
            authorisations = connection.execute(gone).rowcount
            connection.execute(
                sa.delete(HANDLED).where(HANDLED.c.which == "visitor", HANDLED.c.value == visitor)
            )
            erase_released(connection, visitor)
            counts = {**msgspec.structs.asdict(erased), "consents": consents, "submissions": submissions}
            counts["authorisations"] = authorisations
            entry = append(connection, [ErasureDone(person=person, at=now, **counts)])
        self.leave_nothing()
        return Erasure(visitor, erased, consents, submissions, authorisations, now, entry, salt.hex())

    def forget(self, which: Which, now: datetime) -> int:
        """Erase submissions; returns how many. Nothing leads from the entry of it to them.

        They go from the log of writes with `leave_nothing`. Raises RefusedError where there are none.
        """
        person = which.person(secrets.token_bytes(SALT_BYTES))
        with self._transact() as database:
            delete = f"DELETE FROM submissions WHERE {which.where}"  # noqa: S608  # ours; answers go with them
            gone = database.execute(delete, (which.value,)).rowcount
            if not gone:
                raise which.none()
            append(
                database,
                [ErasureDone(person, requests=0, views=0, visits=0, consents=0, at=now, submissions=gone)],
            )
        return int(gone)


SCHEMA = "avowal erasure 1"


def receipt(ledger: Ledger, done: Erasure) -> dict[str, Any]:
    """Return the receipt of an erasure, for the visitor to keep: it can be checked without us."""
    return {
        "schema": SCHEMA,
        "visitor": done.visitor,
        "erased": {
            **msgspec.structs.asdict(done.erased),
            "consents": done.consents,
            "submissions": done.submissions,
            "authorisations": done.authorisations,
        },
        "erased_at": done.erased_at,
        "proof": {"salt": done.salt, "tlog_proof": str(ledger.receipt(done.entry))},
    }


def check_receipt(text: str, verifier: Verifier) -> Receipt:
    """Check a receipt with nothing but the ledger's public key; returns its proof.

    Raises MisuseError where it is no receipt, and ProofError where it does not hold.
    """
    try:
        told = msgspec.json.decode(text, type=_Told)
        salt = bytes.fromhex(told.proof.salt)
    except (msgspec.DecodeError, ValueError):
        raise MisuseError("this is no receipt of an erasure", "give the file as it was handed out") from None
    proof = Receipt.parse(told.proof.tlog_proof)
    proof.check(verifier)
    entry = ErasureDone(
        commitment(salt, visitor=told.visitor), **msgspec.structs.asdict(told.erased), at=told.erased_at
    )
    if read(proof.entry) != entry:
        raise ProofError(
            "the receipt says something else than its entry in the ledger", "it was changed, or mixed up"
        )
    return proof


class _Proof(msgspec.Struct):
    salt: str
    tlog_proof: str


class _Counts(msgspec.Struct):
    requests: int
    views: int
    visits: int
    consents: int
    looks: int = 0
    interactions: int = 0
    submissions: int = 0
    authorisations: int = 0


class _Told(msgspec.Struct):
    visitor: str
    erased: _Counts
    erased_at: datetime
    proof: _Proof
