"""Salted commitments, which stand in entries of the ledger in the place of persons (L3 in `docs/spec/ledger.md`)."""

from hashlib import sha256

import msgspec

SALT_BYTES = 32


def compute_commitment(salt: bytes, /, **committed_values: str) -> str:
    """Return the SHA-256 of a salt and of the canonical JSON (RFC 8785) of what it commits to, in hexadecimal."""
    return sha256(salt + msgspec.json.encode(committed_values, order="sorted")).hexdigest()
