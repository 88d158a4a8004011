"""A receipt that a small ledger proves, which the fuzzer changes."""

import msgspec

from avowal.ledger.commitment import compute_commitment
from avowal.ledger.entry import ErasureDone
from avowal.register.erasures import ERASURE_RECEIPT_SCHEMA, ErasureCounts
from support.ledgers import prove_entry
from support.packages import NOW

STATEMENT = {
    "schema": ERASURE_RECEIPT_SCHEMA,
    "visitors": ["0123456789abcdef"],
    "erased": ErasureCounts(requests=3, views=2, visits=1, consents=0),
    "erased_at": NOW,
}
_SALT = bytes(range(32))
_ENTRY = ErasureDone(
    compute_commitment(_SALT, **STATEMENT), requests=3, views=2, visits=1, consents=0, at=NOW
)
RECEIPT = msgspec.json.encode(
    {**STATEMENT, "proof": {"salt": _SALT.hex(), "tlog_proof": str(prove_entry(_ENTRY))}}
)
