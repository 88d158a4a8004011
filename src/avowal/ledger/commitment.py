"""Salted commitments, which entries of the ledger contain instead of personal data (L3 in `docs/spec/ledger.md`)."""

from hashlib import sha256

import msgspec

SALT_BYTES = 32


def compute_commitment(salt: bytes, /, **committed_values: str) -> str:
    """Return the SHA-256 of a salt followed by the values as canonical JSON (RFC 8785), in hexadecimal."""
    return sha256(salt + msgspec.json.encode(committed_values, order="sorted")).hexdigest()
