"""A release as its recipient gets it: a package that says what it is, and can be checked without us.

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
from avowal.ledger.entry import ReleaseMade, decode_entry
from avowal.ledger.note import Verifier
from avowal.store.interface import ResultTable

PACKAGE_SCHEMA = "avowal release 1"
MANIFEST_FILE, PROOF_FILE = "manifest.json", "proof.txt"
TERMS_OF_USE = (
    "It is released on the ground that is named, and may be used for nothing else.",
    "It may be handed on to nobody.",
    "It is to be deleted on the day on which it expires, or when it is recalled.",
)
UNPACKED_BYTES_MAX = 1 << 32
READ_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    RuntimeError,
    KeyError,
    ValueError,
    msgspec.DecodeError,
)
"""What reading a package comes to that somebody changed, also to one that looks encrypted, or packed otherwise."""


class PackageManifest(msgspec.Struct, frozen=True):
    """What a package says of itself. Times are UTC; hashes are SHA-256, in hexadecimal."""

    reference: str
    controller: str
    contact: str
    ground: str
    recipient: str
    recipient_kind: str
    categories: list[str]
    version: int
    """The version in force."""
    records: dict[str, int]
    """How many there are of each relation."""
    refused_categories: dict[str, str]
    """What was asked for and is not in it, with the reason."""
    released_at: datetime
    expires_at: datetime
    file_hashes: dict[str, str]
    """The hash of each file."""
    time_zone: str = "UTC"
    """The time zone of all times that bear none."""
    terms_of_use: tuple[str, ...] = TERMS_OF_USE
    schema: str = PACKAGE_SCHEMA

    @property
    def content(self) -> bytes:
        """What stands in the package."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    @property
    def sha256(self) -> str:
        """Its hash, which its entry in the ledger has."""
        return sha256(self.content).hexdigest()


def encode_tables(tables: Mapping[str, ResultTable]) -> dict[str, bytes]:
    """Return the files of tables: each as JSON Lines, and as Parquet."""
    found = {}
    for name, table in tables.items():
        found[f"{name}.jsonl"] = b"".join(msgspec.json.encode(row) + b"\n" for row in table.to_dicts())
        frame, written = pl.DataFrame(table.to_dicts(), infer_schema_length=None), io.BytesIO()
        frame.write_parquet(written)
        found[f"{name}.parquet"] = written.getvalue()
    return found


def hash_files(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the hash of each file."""
    return {name: sha256(content).hexdigest() for name, content in files.items()}


def build_package(manifest: PackageManifest, files: Mapping[str, bytes], proof: str) -> bytes:
    """Return a package."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in {MANIFEST_FILE: manifest.content, PROOF_FILE: proof.encode(), **files}.items():
            package.writestr(name, content)
    return written.getvalue()


def is_package(path: Path) -> bool:
    """Return whether a file is a package, by its form."""
    return zipfile.is_zipfile(path)


def check_package(path: Path, verifier: Verifier, now: datetime) -> tuple[PackageManifest, EntryProof]:
    """Check a package with nothing but the ledger's public key; returns its manifest and the proof of its entry.

    Raises InvalidInputError where it is none, and ProofError where it does not hold, or has expired.
    """
    try:
        with zipfile.ZipFile(path) as package:
            if sum(one.file_size for one in package.infolist()) > UNPACKED_BYTES_MAX:
                raise ProofError(
                    "the package unpacks to more than a release has",
                    "do not unpack it",
                    code="package-too-large",
                )
            found = {name: package.read(name) for name in package.namelist()}
        text, proof = found.pop(MANIFEST_FILE), EntryProof.parse(found.pop(PROOF_FILE).decode())
        manifest = msgspec.json.decode(text, type=PackageManifest)
    except READ_ERRORS:
        raise InvalidInputError(
            "this is no package of a release", "give the file as it was handed over", code="invalid-package"
        ) from None
    proof.verify(verifier)
    entry = decode_entry(proof.entry)
    if not isinstance(entry, ReleaseMade) or entry.manifest_hash != sha256(text).hexdigest():
        raise ProofError(
            "the ledger's entry is of another package", "it was changed, or mixed up", code="package-mismatch"
        )
    if hash_files(found) != manifest.file_hashes:
        raise ProofError(
            "the files are not those that were released",
            "they were changed, or mixed up",
            code="package-mismatch",
        )
    if now > manifest.expires_at:
        raise ProofError(
            f"the package expired on {manifest.expires_at:%Y-%m-%d}", "delete it", code="package-expired"
        )
    return manifest, proof
