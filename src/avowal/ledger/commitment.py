"""Salted commitments, which entries of the ledger contain instead of personal data (L3 in `docs/spec/ledger.md`)."""

from hashlib import sha256
from typing import Any

import msgspec

SALT_BYTES = 32


def compute_commitment(salt: bytes, /, **committed_values: Any) -> str:
    """Return the SHA-256 of a salt followed by the values as canonical JSON (RFC 8785), in hexadecimal."""
    return commit_to_json(salt, msgspec.json.encode(committed_values, order="sorted"))


def commit_to_json(salt: bytes, canonical_json: bytes) -> str:
    """Return the same commitment to values that are encoded already."""
    return sha256(salt + canonical_json).hexdigest()
