"""Reading receipts: JSON with an entry's proof, which is checked with nothing but the ledger's public key."""

from typing import Protocol, TypeVar

import msgspec

from avowal.errors import InvalidInputError, ProofError


class ReceiptProof(msgspec.Struct):
    """The part of every receipt that proves it."""

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
        """What proves the entry."""
        ...


ReceiptKind = TypeVar("ReceiptKind", bound=Receipt)


def parse_receipt(text: str, kind: type[ReceiptKind], name: str) -> ReceiptKind:
    """Return a receipt from its JSON; `name` says of what it is. Raises InvalidInputError if it is no such receipt."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, ValueError):
        raise InvalidInputError(
            f"this is no receipt of {name}", "give the file as it was handed out", code="invalid-receipt"
        ) from None


def mismatch_error() -> ProofError:
    """Return the error that a receipt is not what its entry says."""
    return ProofError(
        "the receipt says something else than its entry in the ledger",
        "it was changed, or belongs to another entry",
        code="receipt-mismatch",
    )
