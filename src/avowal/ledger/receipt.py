"""Receipts: what a person gets about an entry of the ledger, and verifies with the ledger's public key alone.

A receipt is a JSON object. Its member `proof` has a salt and the proof of the entry; all other members together are the
statement of the receipt. The entry has a salted commitment to the whole statement, as canonical JSON, so that nothing
in it can be changed, added or left out.
"""

import json
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from avowal.errors import InvalidInputError, ProofError
from avowal.ledger.checkpoint import EntryProof
from avowal.ledger.commitment import SALT_BYTES, compute_commitment

RECEIPT_BYTES_MAX = 1 << 20
"""The longest receipt or proof that is read."""

Statement = dict[str, Any]
"""What a receipt says: all its members but the proof."""


class ReceiptProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The part of a receipt that proves its statement."""

    salt: str
    """The salt of the commitment, in hexadecimal."""
    tlog_proof: str
    """The proof of the entry (C2SP tlog-proof)."""


ProofType = TypeVar("ProofType", bound=ReceiptProof)
StatementType = TypeVar("StatementType", bound=msgspec.Struct)


class Receipt(NamedTuple, Generic[StatementType, ProofType]):
    """A receipt that was parsed, but not verified."""

    statement: StatementType
    proof: ProofType
    entry_proof: EntryProof
    commitment: str
    """The commitment to all of the statement, which the entry has to have."""


def parse_receipt(
    text: str, statement_type: type[StatementType], proof_type: type[ProofType]
) -> Receipt[StatementType, ProofType]:
    """Parse a receipt. Raises InvalidInputError if it is not one with such a statement and such a proof."""
    statement = read_members(text)
    try:
        proof = msgspec.convert(statement.pop("proof", None), proof_type)
        salt = parse_hash(proof.salt)
        commitment = compute_commitment(salt, **statement)
        typed_statement = msgspec.convert(statement, statement_type)
    except (msgspec.MsgspecError, ValueError):
        raise invalid_receipt() from None
    return Receipt(typed_statement, proof, EntryProof.parse(proof.tlog_proof), commitment)


def read_members(text: str) -> Statement:
    """Return the members of a JSON object. Raises InvalidInputError if it is none, or two members have one name."""
    try:
        members = json.loads(text, object_pairs_hook=_unique_members, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise invalid_receipt() from None
    if not isinstance(members, dict):
        raise invalid_receipt()
    return members


def _unique_members(members: list[tuple[str, Any]]) -> Statement:
    unique = dict(members)
    if len(unique) != len(members):
        raise ValueError("two members have one name")
    return unique


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def parse_hash(text: str) -> bytes:
    """Return the bytes of a salt or a hash: 64 lower-case hexadecimal digits. Raises ValueError if it is none."""
    data = bytes.fromhex(text)
    if len(data) != SALT_BYTES or data.hex() != text:
        raise ValueError("a salt or a hash has 64 lower-case hexadecimal digits")
    return data


def invalid_receipt() -> InvalidInputError:
    """Return the error that a text is not a receipt."""
    return InvalidInputError(
        "this is not a receipt", "give the file unchanged, as it was received", code="invalid-receipt"
    )


def mismatch_error() -> ProofError:
    """Return the error that a receipt does not match its entry."""
    return ProofError(
        "the receipt does not match its entry in the ledger",
        "it was changed, or belongs to another entry; ask for a new one",
        code="receipt-mismatch",
    )
