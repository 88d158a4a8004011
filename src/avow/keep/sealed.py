"""What people handed over, sealed: nothing of it is on a disk that its key does not open.

Values are sealed as Fernet tokens (cryptography.io/en/stable/fernet), under the newest key in a file of `keys/`.
A file is sealed while it comes in, under a key of its own (AES-256 in Galois/Counter Mode, NIST SP 800-38D), which is
itself sealed as a value: so another key of the house needs no file written anew.
"""

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from avow.collect.visitor import sync_folder
from avow.errors import StoreError
from avow.keep.keys import put

KEYS = "submissions.key"
PART = ".part"
FILE_KEY_BYTES, NONCE_BYTES, TAG_BYTES = 32, 12, 16
NAME_BYTES = 20
CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Seal:
    """Seals values and opens them. The file has a key in each line, the newest first."""

    path: Path

    @property
    def lost(self) -> bool:
        """Whether there is no key: whoever seals first makes one."""
        return not self.path.exists()

    def seal(self, value: Any, *place: str) -> bytes:
        """Seal a value of JSON; it opens in the same place only."""
        return self._keys().encrypt(msgspec.json.encode([place, value]))

    def open(self, sealed: bytes, *place: str) -> Any:
        """Open a value. Raises StoreError where no key opens it, or it was put elsewhere."""
        try:
            found, value = msgspec.json.decode(self._keys().decrypt(sealed), type=tuple[list[str], Any])
        except InvalidToken:
            raise StoreError(
                f"a submission cannot be opened with `{self.path}`", "put the key back from its backup"
            ) from None
        if found != list(place):
            raise StoreError(
                "a submission holds what belongs to another", "put the register back from a backup"
            )
        return value

    def turn(self) -> None:
        """Draw a new key, and put it first."""
        self._keys()  # which have to be keys
        put(self.path, "\n".join([Fernet.generate_key().decode(), *self._lines()]), private=True)

    def again(self, sealed: bytes) -> bytes:
        """Return the same value under the newest key."""
        return self._keys().rotate(sealed)

    def forget(self) -> None:
        """Forget all keys but the newest."""
        put(self.path, self._lines()[0], private=True)

    def _keys(self) -> MultiFernet:
        lines = self._lines()
        try:
            return _opened(tuple(lines))
        except ValueError:  # its words may hold some of it
            raise StoreError(f"`{self.path}` holds no keys", "put it back from its backup") from None

    def _lines(self) -> list[str]:
        if self.lost:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            put(self.path, Fernet.generate_key().decode(), private=True)
        return self.path.read_text(encoding="ascii").split()


@lru_cache(maxsize=2)
def _opened(lines: tuple[str, ...]) -> MultiFernet:
    """Return what seals and opens: to make it takes longer than to open a value."""
    return MultiFernet([Fernet(line) for line in lines])


@dataclass
class Incoming:
    """A file that comes in: sealed as it is written, and named by its content once it is whole."""

    folder: Path
    secret: bytes
    """Under which its content makes its name: who has a file cannot tell by its name whether it is here."""
    size: int = 0
    key: bytes = field(default_factory=lambda: secrets.token_bytes(FILE_KEY_BYTES))
    _name: Any = None
    _path: Path = field(init=False)
    _file: BinaryIO = field(init=False)
    _sealing: Any = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = self.folder / f"{secrets.token_hex(NAME_BYTES)}{PART}"
        self._file = os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        nonce = secrets.token_bytes(NONCE_BYTES)
        self._sealing = Cipher(AES(self.key), GCM(nonce)).encryptor()
        self._name = blake2b(key=self.secret, digest_size=NAME_BYTES)
        self._file.write(nonce)

    def write(self, data: bytes) -> None:
        """Write more of it."""
        self.size += len(data)
        self._name.update(data)
        self._file.write(self._sealing.update(data))

    def finish(self) -> str:
        """Put it on the disk for good; returns its name."""
        self._file.write(self._sealing.finalize())
        self._file.write(self._sealing.tag)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return str(self._name.hexdigest())

    def keep(self, name: str) -> None:
        """Let it have its name."""
        self._path.replace(self.folder / name)
        sync_folder(self.folder)

    def drop(self) -> None:
        """Take it away."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def unsealed(path: Path, key: bytes) -> Iterator[bytes]:
    """Yield what a file holds. Whoever takes it must not use it before the end: only there it is known to be whole.

    Raises StoreError at the end where it is not what was written.
    """
    with path.open("rb") as file:
        left = path.stat().st_size - NONCE_BYTES - TAG_BYTES
        opening: CipherContext = Cipher(AES(key), GCM(file.read(NONCE_BYTES))).decryptor()
        while left > 0:
            data = file.read(min(CHUNK_BYTES, left))
            left -= len(data)
            yield opening.update(data)
        try:
            yield opening.finalize_with_tag(file.read(TAG_BYTES))  # type: ignore[attr-defined]  # as of a decryptor
        except InvalidTag:
            raise StoreError(
                f"`{path}` is not what was handed over",
                "it was damaged or changed: put it back from a backup",
            ) from None
