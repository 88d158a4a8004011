"""Packages of releases: every byte is under the proof, and reading one needs little memory."""

import io
import struct
import tracemalloc
import warnings
import zipfile
import zlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avowal.disclose.archive import MEMBERS_MAX, write_archive
from avowal.disclose.package import (
    MANIFEST_BYTES_MAX,
    MANIFEST_FILE,
    PROOF_FILE,
    PackageManifest,
    build_package,
    check_package,
    hash_files,
)
from avowal.errors import AvowalError, RefusedError
from avowal.ledger.release_entry import ReleaseMade
from support.depth import by_depth
from support.errors import raises_code
from support.ledgers import SIGNER, prove_entry
from support.packages import FILES, MANIFEST, NOW, PACKAGE, PROOF

CONTENTS = {MANIFEST_FILE: MANIFEST.content, PROOF_FILE: PROOF.encode(), **FILES}


def check(folder: Path, content: bytes, now: datetime = NOW) -> PackageManifest:
    """Check the bytes of a package; returns what the reader is shown."""
    path = folder / "package.zip"
    path.write_bytes(content)
    return check_package(path, SIGNER.verifier, now)[0]


def test_a_package_is_an_ordinary_zip_file(tmp_path: Path) -> None:
    """Any program unpacks it, and it is what is written again from its contents."""
    assert check(tmp_path, PACKAGE) == MANIFEST
    with zipfile.ZipFile(io.BytesIO(PACKAGE)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == CONTENTS
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_STORED}
    assert write_archive(CONTENTS) == PACKAGE


def test_an_expired_package_is_not_valid(tmp_path: Path) -> None:
    """It is valid until its last moment."""
    assert check(tmp_path, PACKAGE, MANIFEST.summary.expires_at) == MANIFEST
    with raises_code("package-expired"):
        check(tmp_path, PACKAGE, MANIFEST.summary.expires_at + timedelta(seconds=1))


def test_each_changed_byte_is_refused(tmp_path: Path) -> None:
    """Whichever byte is changed, the package is not valid any more."""
    for place in range(len(PACKAGE)):
        for bit in (1, 32, 128):
            changed = bytearray(PACKAGE)
            changed[place] ^= bit
            with pytest.raises(AvowalError):
                raise AssertionError(place, bit, check(tmp_path, bytes(changed)))


@given(st.data())
@settings(
    max_examples=by_depth(standard=300, thorough=10_000),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_edit_of_the_bytes_is_refused(tmp_path: Path, data: st.DataObject) -> None:
    """Bytes that are inserted, left out, exchanged or repeated make a package invalid."""
    start = data.draw(st.integers(0, len(PACKAGE)))
    end = data.draw(st.integers(start, min(len(PACKAGE), start + 400)))
    inserted = data.draw(st.one_of(st.binary(max_size=8), st.just(PACKAGE[start:end] * 2), st.just(PACKAGE)))
    edited = PACKAGE[:start] + inserted + PACKAGE[end:]
    if edited == PACKAGE:
        return
    with pytest.raises(AvowalError):
        raise AssertionError(check(tmp_path, edited))


def zipped(
    contents: list[tuple[str | zipfile.ZipInfo, bytes]],
    compression: int = zipfile.ZIP_STORED,
    comment: bytes = b"",
) -> bytes:
    """Return a zip file as another program writes it."""
    file = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in contents:
            archive.writestr(name, content)
        archive.comment = comment
    return file.getvalue()


def a_symlink(name: str) -> zipfile.ZipInfo:
    """Return a member that is a symbolic link."""
    member = zipfile.ZipInfo(name)
    member.create_system, member.external_attr = 3, 0o120777 << 16
    return member


def with_extra_field(name: str) -> zipfile.ZipInfo:
    """Return a member with an extra field."""
    member = zipfile.ZipInfo(name)
    member.extra = struct.pack("<HH4s", 0x7075, 4, b"name")
    return member


MEMBERS: list[tuple[str | zipfile.ZipInfo, bytes]] = list(CONTENTS.items())
FORGED_FILE = ("requests.jsonl", b'{"page_path":"/forged"}\n')
FORGERIES: dict[str, Callable[[], bytes]] = {
    "a duplicate member": lambda: zipped([*MEMBERS, FORGED_FILE]),
    "a duplicate member before": lambda: zipped([FORGED_FILE, *MEMBERS]),
    "a duplicate manifest": lambda: zipped([*MEMBERS, (MANIFEST_FILE, MANIFEST.content)]),
    "a duplicate by case": lambda: zipped([*MEMBERS, ("Requests.jsonl", b"")]),
    "a duplicate in the layout of packages": lambda: write_archive(
        {**CONTENTS, "requests.jsonX": FORGED_FILE[1]}
    ).replace(b"requests.jsonX", b"requests.jsonl"),
    "another member": lambda: write_archive({**CONTENTS, "more.jsonl": b"{}\n"}),
    "a member left out": lambda: write_archive(dict(list(CONTENTS.items())[:-1])),
    "members in another order": lambda: write_archive(dict(sorted(CONTENTS.items()))),
    "no member": lambda: write_archive({}),
    "a folder": lambda: zipped([*MEMBERS, ("more/", b"")]),
    "a path upwards": lambda: zipped([*MEMBERS, ("../more.jsonl", b"")]),
    "an absolute path": lambda: zipped([*MEMBERS, ("/etc/passwd", b"")]),
    "a path of Windows": lambda: zipped([*MEMBERS, ("..\\more.jsonl", b"")]),
    "a name that is not ASCII": lambda: zipped([*MEMBERS, ("über.jsonl", b"")]),
    "a symbolic link": lambda: zipped([*MEMBERS[:2], (a_symlink("requests.jsonl"), FILES["requests.jsonl"]), *MEMBERS[3:]]),
    "an extra field": lambda: zipped([*MEMBERS[:4], (with_extra_field("files/0123-cv"), FILES["files/0123-cv"])]),
    "the same, compressed": lambda: zipped(MEMBERS, zipfile.ZIP_DEFLATED),
    "the same, compressed with bzip2": lambda: zipped(MEMBERS, zipfile.ZIP_BZIP2),
    "the same, compressed with LZMA": lambda: zipped(MEMBERS, zipfile.ZIP_LZMA),
    "the same, of another time": lambda: zipped(MEMBERS),
    "a comment": lambda: zipped(MEMBERS, comment=b"comment"),
    "bytes before": lambda: b"#!/bin/sh\n" + PACKAGE,
    "another zip file before": lambda: zipped([FORGED_FILE]) + PACKAGE,
    "bytes after": lambda: PACKAGE + b"\n",
    "another zip file after": lambda: PACKAGE + zipped([FORGED_FILE]),
    "the same twice": lambda: PACKAGE + PACKAGE,
    "the end alone": lambda: PACKAGE[-22:],
    "a wrong count": lambda: PACKAGE[:-12] + struct.pack("<H", 4) + PACKAGE[-10:],
    "too many members": lambda: PACKAGE[:-12] + struct.pack("<H", MEMBERS_MAX + 1) + PACKAGE[-10:],
    "a wrong checksum": lambda: PACKAGE.replace(struct.pack("<L", zlib.crc32(PROOF.encode())), b"\1\2\3\4"),
    "an empty file": lambda: b"",
    "half of it": lambda: PACKAGE[: len(PACKAGE) // 2],
    "a manifest with a duplicate key": lambda: write_archive(
        {**CONTENTS, MANIFEST_FILE: MANIFEST.content.replace(b"{\n", b'{\n  "recipient": "mallory",\n', 1)}
    ),
    "a manifest with another key": lambda: write_archive(
        {**CONTENTS, MANIFEST_FILE: MANIFEST.content.replace(b"{\n", b'{\n  "note": "forged",\n', 1)}
    ),
    "a manifest for another recipient": lambda: write_archive(
        {**CONTENTS, MANIFEST_FILE: msgspec.structs.replace(MANIFEST, recipient="mallory").content}
    ),
    "a manifest that is no JSON": lambda: write_archive({**CONTENTS, MANIFEST_FILE: b"\xff"}),
    "a manifest nested deeply": lambda: write_archive({**CONTENTS, MANIFEST_FILE: b"[" * 100_000}),
    "a proof that is no text": lambda: write_archive({**CONTENTS, PROOF_FILE: b"\xff"}),
    "a long manifest": lambda: write_archive({**CONTENTS, MANIFEST_FILE: b" " * (MANIFEST_BYTES_MAX + 1)}),
    "a proof of another entry": lambda: write_archive(
        {**CONTENTS, PROOF_FILE: str(prove_entry(ReleaseMade(MANIFEST.summary, "0" * 64, "0" * 64, 0, []))).encode()}
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", FORGERIES)
def test_a_forged_package_is_refused(tmp_path: Path, what: str) -> None:
    """What another program wrote, or what was added, left out or hidden, is refused."""
    with pytest.raises(AvowalError) as error:
        check(tmp_path, FORGERIES[what]())
    assert error.value.code in {
        *("invalid-package", "package-mismatch", "package-too-large"),
        *("invalid-proof", "signature-invalid"),
    }


def test_a_bomb_is_refused_with_little_memory(tmp_path: Path) -> None:
    """A file that unpacks to far more, and a real one that is long, are checked with at most a few megabytes."""
    bomb = zipped([*MEMBERS, ("bomb.jsonl", bytes(300_000_000))], zipfile.ZIP_DEFLATED)
    long_files = {**FILES, "views.parquet": bytes(40_000_000)}
    manifest = msgspec.structs.replace(MANIFEST, file_hashes=hash_files(long_files))
    proof = str(prove_entry(ReleaseMade(MANIFEST.summary, manifest.sha256, "0" * 64, 0, [])))
    path = tmp_path / "long.zip"
    path.write_bytes(build_package(manifest, long_files, proof))
    del long_files
    tracemalloc.start()
    with raises_code("invalid-package"):
        check(tmp_path, bomb)
    assert check_package(path, SIGNER.verifier, NOW)[0] == manifest
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_a_package_that_would_have_other_names_is_not_built() -> None:
    """A package is refused where it is made, not by its recipient."""
    for files in (
        {"../a": b""},
        {"": b""},
        {"a" * 201: b""},
        {str(number): b"" for number in range(MEMBERS_MAX)},
    ):
        with pytest.raises(RefusedError):
            build_package(MANIFEST, files, PROOF)
