"""Packages: releases as recipients get them, which they can verify without the site.

A package is a zip file (see `disclose.archive`): `manifest.json`, `proof.txt`, and a file of JSON Lines and one of
Parquet for each relation. The proof shows that the ledger has an entry with the hash of the manifest, which has the
hashes of the other files. So every byte of a package is checked.
"""

import io
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import msgspec
import polars as pl

from avowal.disclose.archive import not_a_package, open_archive, write_archive
from avowal.errors import ProofError, RefusedError
from avowal.ledger.checkpoint import EntryProof
from avowal.ledger.entry import decode_entry
from avowal.ledger.note import Verifier
from avowal.ledger.release_entry import ReleaseMade, ReleaseSummary
from avowal.store.interface import ResultTable
from avowal.strict import JSON_ERRORS

PACKAGE_SCHEMA = "avowal release 1"
MANIFEST_FILE, PROOF_FILE = "manifest.json", "proof.txt"
TERMS_OF_USE = (
    "It is released on the ground that is named, and may be used only for that.",
    "It may not be passed on to anybody.",
    "It has to be deleted on the day on which it expires, or when it is recalled.",
)
MANIFEST_BYTES_MAX = 1 << 22
"""The longest manifest: as many files as an archive can have, each with its hash, are shorter."""

PROOF_BYTES_MAX = 1 << 18
"""The longest proof: that of an entry as long as entries can be, with the signatures of many witnesses."""


class PackageManifest(msgspec.Struct, frozen=True):
    """The manifest of a package. Times are UTC; hashes are SHA-256 in hexadecimal."""

    summary: ReleaseSummary
    """The release as its entry in the ledger has it."""
    recipient: str
    row_filter: str
    """The choice of rows, as it was run; empty if rows were not chosen."""
    controller: str
    contact: str
    refused_categories: dict[str, str]
    """The reason for each requested category that is not in the package."""
    file_hashes: dict[str, str]
    """The hash of each file of the package, but for the manifest and the proof."""
    time_zone: str = "UTC"
    """The time zone of all times without one."""
    terms_of_use: tuple[str, ...] = TERMS_OF_USE
    schema: str = PACKAGE_SCHEMA

    @property
    def content(self) -> bytes:
        """The manifest as it is in the package: JSON with a line feed at its end."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    @property
    def sha256(self) -> str:
        """The hash of the manifest, which the release's ledger entry has."""
        return sha256(self.content).hexdigest()


def encode_tables(tables: Mapping[str, ResultTable]) -> dict[str, bytes]:
    """Encode each table as a file of JSON Lines and one of Parquet."""
    files = {}
    for name, table in tables.items():
        files[f"{name}.jsonl"] = b"".join(msgspec.json.encode(row) + b"\n" for row in table.to_dicts())
        frame, parquet = pl.DataFrame(table.to_dicts(), infer_schema_length=None), io.BytesIO()
        frame.write_parquet(parquet)
        files[f"{name}.parquet"] = parquet.getvalue()
    return files


def hash_files(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the SHA-256 of each file, in hexadecimal."""
    return {name: sha256(content).hexdigest() for name, content in files.items()}


def build_package(manifest: PackageManifest, files: Mapping[str, bytes], proof: str) -> bytes:
    """Build a package: an archive of the manifest, the proof and the files.

    Raises RefusedError if the files are more, or longer, than a package can have.
    """
    try:
        return write_archive({MANIFEST_FILE: manifest.content, PROOF_FILE: proof.encode(), **files})
    except ValueError as error:
        raise RefusedError(str(error), "release less at once", code="too-many-records") from None


def is_package(path: Path) -> bool:
    """Return whether a file may be a package: whether it begins like a zip file."""
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def check_package(path: Path, verifier: Verifier, now: datetime) -> tuple[PackageManifest, EntryProof]:
    """Verify a package with the ledger's public key alone; returns its manifest and the proof of its entry.

    Raises InvalidInputError if it is not a package, and ProofError if it is not valid or has expired.
    """
    with open_archive(path) as archive:
        names = [member.name for member in archive.members]
        if names[:2] != [MANIFEST_FILE, PROOF_FILE]:
            raise not_a_package()
        archive.check_layout()
        content = archive.read(MANIFEST_FILE, MANIFEST_BYTES_MAX)
        try:
            manifest = msgspec.json.decode(content, type=PackageManifest)
            proof = EntryProof.parse(archive.read(PROOF_FILE, PROOF_BYTES_MAX).decode())
        except JSON_ERRORS:
            raise not_a_package() from None
        proof.verify(verifier)
        entry = decode_entry(proof.entry)
        if (
            not isinstance(entry, ReleaseMade)
            or (entry.manifest_hash, entry.summary) != (sha256(content).hexdigest(), manifest.summary)
            or manifest.content != content
        ):
            raise ProofError(
                "the ledger's entry is of another package",
                "it was changed, or mixed up",
                code="package-mismatch",
            )
        hashes = manifest.file_hashes
        if names[2:] != list(hashes) or any(archive.hash(name) != hashes[name] for name in hashes):
            raise ProofError(
                "the files are not those that were released",
                "they were changed, or mixed up",
                code="package-mismatch",
            )
    if now > manifest.summary.expires_at:
        raise ProofError(
            f"the package expired on {manifest.summary.expires_at:%Y-%m-%d}",
            "delete it",
            code="package-expired",
        )
    return manifest, proof
