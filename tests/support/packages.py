"""The package of a small release, and the proof of its entry in a ledger that `SIGNER` signed."""

from datetime import datetime, timedelta

from avowal.disclose.package import PackageManifest, build_package, hash_files
from avowal.ledger.release_entry import ReleaseMade, ReleaseSummary
from support.ledgers import prove_entry

NOW = datetime(2026, 11, 22, 12)  # noqa: DTZ001  # UTC without a zone
FILES = {
    "requests.jsonl": b'{"page_path":"/a"}\n',
    "requests.parquet": b"PAR1 content PAR1",
    "files/0123-cv": b"%PDF-1.4\n",
}
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
    contact="privacy@site.example",
    refused_categories={},
    file_hashes=hash_files(FILES),
)
PROOF = str(prove_entry(ReleaseMade(MANIFEST.summary, MANIFEST.sha256, "0" * 64, 0, [])))
PACKAGE = build_package(MANIFEST, FILES, PROOF)
