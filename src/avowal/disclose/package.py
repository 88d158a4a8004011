"""Packages: releases as recipients get them, which they can verify without the site.

A package is a zip file: `manifest.json`, a file of JSON Lines and one of Parquet for each relation, and `proof.txt`,
which shows that the ledger has an entry with the hash of the manifest. The manifest has the hashes of the other files.
"""

import io
import zipfile
import zlib
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import msgspec
import polars as pl

from avowal.errors import InvalidInputError, ProofError
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
UNPACKED_BYTES_MAX = 1 << 32
"""The most bytes of all files of a package together."""

READ_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    RuntimeError,
    KeyError,
    ValueError,
    *JSON_ERRORS,
)
"""Errors of reading a package that was changed, also if it looks encrypted or uses another compression."""


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
    """Build a package: a zip file of the manifest, the proof and the files."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in {MANIFEST_FILE: manifest.content, PROOF_FILE: proof.encode(), **files}.items():
            package.writestr(name, content)
    return archive.getvalue()


def is_package(path: Path) -> bool:
    """Return whether a file may be a package: whether it is a zip file."""
    return zipfile.is_zipfile(path)


def check_package(path: Path, verifier: Verifier, now: datetime) -> tuple[PackageManifest, EntryProof]:
    """Verify a package with the ledger's public key alone; returns its manifest and the proof of its entry.

    Raises InvalidInputError if it is not a package, and ProofError if it is not valid or has expired.
    """
    try:
        with zipfile.ZipFile(path) as package:
            if sum(member.file_size for member in package.infolist()) > UNPACKED_BYTES_MAX:
                raise ProofError(
                    "the package unpacks to more than a release has",
                    "do not unpack it",
                    code="package-too-large",
                )
            files = {name: package.read(name) for name in package.namelist()}
        text, proof = files.pop(MANIFEST_FILE), EntryProof.parse(files.pop(PROOF_FILE).decode())
        manifest = msgspec.json.decode(text, type=PackageManifest)
    except READ_ERRORS:
        raise InvalidInputError(
            "the file is not a package of a release",
            "give the file as it was received",
            code="invalid-package",
        ) from None
    proof.verify(verifier)
    entry = decode_entry(proof.entry)
    if not isinstance(entry, ReleaseMade) or (entry.manifest_hash, entry.summary) != (
        sha256(text).hexdigest(),
        manifest.summary,
    ):
        raise ProofError(
            "the ledger's entry is of another package", "it was changed, or mixed up", code="package-mismatch"
        )
    if hash_files(files) != manifest.file_hashes:
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
