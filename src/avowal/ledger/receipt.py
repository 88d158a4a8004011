"""Receipts: JSON with the proof of a ledger entry, which can be verified with the ledger's public key alone."""

from typing import Protocol, TypeVar

import msgspec

from avowal.errors import InvalidInputError, ProofError
from avowal.strict import JSON_ERRORS


class ReceiptProof(msgspec.Struct):
    """The part of a receipt that proves its entry."""

    salt: str
    """The salt of the entry's commitment, in hexadecimal."""
    tlog_proof: str
    """The proof of the entry (C2SP tlog-proof)."""

    def __post_init__(self) -> None:
        """Raise ValueError if the salt is not hexadecimal."""
        bytes.fromhex(self.salt)

    @property
    def salt_bytes(self) -> bytes:
        """The salt."""
        return bytes.fromhex(self.salt)


class Receipt(Protocol):
    """The receipt of an entry."""

    @property
    def proof(self) -> ReceiptProof:
        """The proof of the entry."""
        ...


ReceiptKind = TypeVar("ReceiptKind", bound=Receipt)


def parse_receipt(text: str, kind: type[ReceiptKind], name: str) -> ReceiptKind:
    """Parse the JSON of a receipt; `name` is its kind for the error. Raises InvalidInputError if it is not one."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (*JSON_ERRORS, ValueError):
        raise InvalidInputError(
            f"this is not a receipt of {name}",
            "give the file unchanged, as it was received",
            code="invalid-receipt",
        ) from None


def mismatch_error() -> ProofError:
    """Return the error that a receipt does not match its entry."""
    return ProofError(
        "the receipt does not match its entry in the ledger",
        "it was changed, or belongs to another entry; ask for a new one",
        code="receipt-mismatch",
    )
