"""A package and a receipt that a small ledger proves, which the fuzzer changes."""

from datetime import datetime, timedelta

import msgspec

from avowal.disclose.package import PackageManifest, build_package, hash_files
from avowal.ledger.checkpoint import Checkpoint, EntryProof
from avowal.ledger.commitment import compute_commitment
from avowal.ledger.entry import Entry, ErasureDone, encode_entry
from avowal.ledger.note import Signer
from avowal.ledger.release_entry import ReleaseMade, ReleaseSummary
from avowal.ledger.tree import hash_leaf
from avowal.register.erasures import ERASURE_RECEIPT_SCHEMA, ErasureCounts

SIGNER = Signer("avowal/00000000", bytes(32))
NOW = datetime(2026, 11, 22, 12)  # noqa: DTZ001  # UTC without a zone


def prove_alone(entry: Entry) -> str:
    """Return the proof of the only entry of a ledger."""
    body = encode_entry(entry)
    checkpoint = Checkpoint(SIGNER.name, 1, hash_leaf(body)).sign(SIGNER)
    return str(EntryProof(0, body, (), checkpoint))


FILES = {"requests.jsonl": b'{"page_path":"/a"}\n', "requests.parquet": b"PAR1"}
MANIFEST = PackageManifest(
    summary=ReleaseSummary(
        reference="0" * 22,
        ground="checking",
        recipient_kind="named-person",
        categories=["page-path"],
        records={"requests": 1},
        version=1,
        released_at=NOW,
        expires_at=NOW + timedelta(days=30),
    ),
    recipient="cert@example.net",
    row_filter="requests WHERE status = 404",
    controller="Example",
    contact="privacy@example.org",
    refused_categories={},
    file_hashes=hash_files(FILES),
)
PACKAGE = build_package(
    MANIFEST, FILES, prove_alone(ReleaseMade(MANIFEST.summary, MANIFEST.sha256, "0" * 64, 0, []))
)

STATEMENT = {
    "schema": ERASURE_RECEIPT_SCHEMA,
    "visitor": "0123456789abcdef",
    "erased": ErasureCounts(requests=3, views=2, visits=1, consents=0),
    "erased_at": NOW,
}
_SALT = bytes(range(32))
_ENTRY = ErasureDone(
    compute_commitment(_SALT, **STATEMENT), requests=3, views=2, visits=1, consents=0, at=NOW
)
RECEIPT = msgspec.json.encode(
    {**STATEMENT, "proof": {"salt": _SALT.hex(), "tlog_proof": prove_alone(_ENTRY)}}
)
