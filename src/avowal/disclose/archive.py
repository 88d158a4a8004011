"""The zip file of a package: its members one after another, without compression, and nothing else.

All its bytes follow from the names and contents of its members: times, permissions and versions are constants, and
there are no comments, no extra fields and no gaps. So whoever checks the contents has checked every byte.
"""

import os
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from struct import Struct
from typing import BinaryIO, NamedTuple

from avowal.errors import InvalidInputError, ProofError

ARCHIVE_BYTES_MAX = (1 << 32) - 1
"""The longest archive: longer ones need extensions of the format."""

MEMBERS_MAX = 10_000
NAME_CHARACTERS_MAX = 200
CHUNK_BYTES = 1 << 16
"""How much of a member is in memory at once while it is hashed."""

_NAME = re.compile(r"(?:files/)?[A-Za-z0-9][A-Za-z0-9._-]*")
_LOCAL_HEADER = Struct("<4s5H3L2H")
_CENTRAL_HEADER = Struct("<4s6H3L5H2L")
_END_RECORD = Struct("<4s4H2LH")
_VERSION_NEEDED, _VERSION_MADE_BY = 20, 3 << 8 | 20  # 2.0; Unix
_TIME, _DATE = 0, 1 << 5 | 1  # 1980-01-01, the first day of the format
_ATTRIBUTES = 0o100600 << 16  # a file that only its owner reads and writes


class Member(NamedTuple):
    """A member of an archive; `crc` is its CRC-32."""

    name: str
    size: int
    crc: int


def write_archive(files: Mapping[str, bytes]) -> bytes:
    """Return the archive of files, in their order. Raises ValueError if a name or a size is not permitted."""
    members = [Member(name, len(content), zlib.crc32(content)) for name, content in files.items()]
    if problem := _find_problem(members):
        raise ValueError(problem)
    parts = [
        part
        for member, content in zip(members, files.values(), strict=True)
        for part in (_local_header(member), content)
    ]
    return b"".join([*parts, _directory(members)])


@dataclass(frozen=True)
class Archive:
    """An archive that is open for reading. Its members are those of its directory; `check_layout` checks all else."""

    file: BinaryIO
    size: int
    members: Sequence[Member]

    def check_layout(self) -> None:
        """Raise ProofError unless the file is these members and nothing else. Contents are checked by reading them."""
        directory = _directory(self.members)
        start = self.size - len(directory)
        is_exact = start == sum(len(_local_header(member)) + member.size for member in self.members)
        is_exact = is_exact and self._read_at(start, len(directory)) == directory
        for member, offset in zip(self.members, _offsets(self.members), strict=True):
            header = _local_header(member)
            is_exact = is_exact and self._read_at(offset, len(header)) == header
        if problem := "the file has more than its members" if not is_exact else _find_problem(self.members):
            raise _mismatch(problem)

    def read(self, name: str, bytes_max: int) -> bytes:
        """Return the content of a member. Raises ProofError if it is longer than a limit, or damaged."""
        member, _ = self._places[name]
        if member.size > bytes_max:
            raise ProofError(
                f"`{name}` is longer than {bytes_max:,} bytes", "do not unpack it", code="package-too-large"
            )
        return b"".join(self._read_chunks(name))

    def hash(self, name: str) -> str:
        """Return the SHA-256 of a member, in hexadecimal. Raises ProofError if it is damaged."""
        digest = sha256()
        for chunk in self._read_chunks(name):
            digest.update(chunk)
        return digest.hexdigest()

    @cached_property
    def _places(self) -> dict[str, tuple[Member, int]]:
        """Each member with its offset, by its name."""
        offsets = _offsets(self.members)
        return {member.name: (member, at) for member, at in zip(self.members, offsets, strict=True)}

    def _read_chunks(self, name: str) -> Iterator[bytes]:
        member, offset = self._places[name]
        position, crc = offset + len(_local_header(member)), 0
        end = position + member.size
        while position < end:
            chunk = self._read_at(position, min(CHUNK_BYTES, end - position))
            if not chunk:
                raise _mismatch(f"`{member.name}` is cut off")
            crc, position = zlib.crc32(chunk, crc), position + len(chunk)
            yield chunk
        if crc != member.crc:
            raise _mismatch(f"`{member.name}` is damaged")

    def _read_at(self, offset: int, size: int) -> bytes:
        self.file.seek(offset)
        return self.file.read(size)


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open an archive and read its directory.

    Raises InvalidInputError if it has none that `write_archive` could write, and ProofError if it is too long.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > ARCHIVE_BYTES_MAX:
            raise ProofError(
                "the package is longer than a release can be", "do not unpack it", code="package-too-large"
            )
        yield Archive(file, size, _read_directory(file, size))


def _read_directory(file: BinaryIO, size: int) -> list[Member]:
    """Return the members that the directory at the end of a file names."""
    file.seek(max(size - _END_RECORD.size, 0))
    end = file.read(_END_RECORD.size)
    if len(end) != _END_RECORD.size:
        raise not_a_package()
    signature, *_, count, directory_size, _, _ = _END_RECORD.unpack(end)
    start = size - _END_RECORD.size - directory_size
    longest = MEMBERS_MAX * (_CENTRAL_HEADER.size + NAME_CHARACTERS_MAX)
    if signature != b"PK\5\6" or count > MEMBERS_MAX or directory_size > longest or start < 0:
        raise not_a_package()
    file.seek(start)
    directory = file.read(directory_size)
    members, position = list[Member](), 0
    while position < len(directory):
        header = directory[position : position + _CENTRAL_HEADER.size]
        if len(header) != _CENTRAL_HEADER.size:
            raise not_a_package()
        fields = _CENTRAL_HEADER.unpack(header)
        signature, _, _, flags, method, _, _, crc, stored_size, member_size, name_size, extra, comment, *_ = (
            fields
        )
        position += _CENTRAL_HEADER.size + name_size + extra + comment
        name = directory[position - name_size - extra - comment : position - extra - comment]
        if signature != b"PK\1\2" or flags or method or stored_size != member_size or not name.isascii():
            raise not_a_package()
        members.append(Member(name.decode("ascii"), member_size, crc))
    return members


def _local_header(member: Member) -> bytes:
    name, size = member.name.encode("ascii"), member.size
    return (
        _LOCAL_HEADER.pack(
            *(b"PK\3\4", _VERSION_NEEDED, 0, 0, _TIME, _DATE, member.crc, size, size, len(name), 0)
        )
        + name
    )


def _offsets(members: Sequence[Member]) -> list[int]:
    """Return where the local header of each member begins."""
    offsets, position = [], 0
    for member in members:
        offsets.append(position)
        position += len(_local_header(member)) + member.size
    return offsets


def _directory(members: Sequence[Member]) -> bytes:
    """Return all that follows the members: the central directory, and the record of its end."""
    offsets = _offsets(members)
    directory = b"".join(
        _CENTRAL_HEADER.pack(
            *(b"PK\1\2", _VERSION_MADE_BY, _VERSION_NEEDED, 0, 0, _TIME, _DATE, crc, size, size),
            *(len(name), 0, 0, 0, 0, _ATTRIBUTES, offset),
        )
        + name.encode("ascii")
        for (name, size, crc), offset in zip(members, offsets, strict=True)
    )
    start = offsets[-1] + len(_local_header(members[-1])) + members[-1].size if members else 0
    count = len(members)
    return directory + _END_RECORD.pack(b"PK\5\6", 0, 0, count, count, len(directory), start, 0)


def _find_problem(members: Sequence[Member]) -> str:
    """Return why there can be no archive of these members; empty if there can."""
    names = [member.name for member in members]
    if len(members) > MEMBERS_MAX:
        return f"the package has more than {MEMBERS_MAX:,} files"
    if len({*names}) != len(names):
        return "two files of the package have one name"
    if not all(_NAME.fullmatch(name) and len(name) <= NAME_CHARACTERS_MAX for name in names):
        return "a file of the package has a name that no release has"
    if sum(member.size for member in members) > ARCHIVE_BYTES_MAX - MEMBERS_MAX * (
        _LOCAL_HEADER.size + _CENTRAL_HEADER.size + 2 * NAME_CHARACTERS_MAX
    ):
        return "the files of the package are too long"
    return ""


def not_a_package() -> InvalidInputError:
    """Return the error that a file is not a package."""
    return InvalidInputError(
        "the file is not a package of a release", "give the file as it was received", code="invalid-package"
    )


def _mismatch(problem: str) -> ProofError:
    return ProofError(problem, "it was changed, or mixed up", code="package-mismatch")
