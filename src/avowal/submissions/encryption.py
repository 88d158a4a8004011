"""What people handed over, sealed: nothing of it is on a disk that its key does not open.

Values are sealed with AES-256 in Galois/Counter Mode (NIST SP 800-38D), under the newest key in a file of `keys/`, each
with a nonce drawn for it. A file is sealed so while it comes in, under a key of its own, which is itself sealed as a
value: so another key of the house needs no file written anew.
"""

import os
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from avowal.atomic_files import replace_text, sync_folder
from avowal.errors import StoreError

SUBMISSION_KEYS_FILE = "submissions.key"
PARTIAL_SUFFIX = ".part"
FORMAT_MARKER = b"\x01"
"""What a sealed value begins with. Those from before begin with a letter: they are Fernet tokens under the same key."""

BOUND_VALUE_DECODER = msgspec.json.Decoder(tuple[list[str], Any])
"""Reads what was sealed: where, and the value. To read it by its type takes ten times as long."""

KEY_BYTES, NONCE_BYTES, TAG_BYTES = 32, 12, 16
FILE_NAME_BYTES = 20
CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class SubmissionCipher:
    """Seals values and opens them. The file has a key in each line, the newest first."""

    keys_file: Path

    @property
    def is_key_missing(self) -> bool:
        """Whether there is no key: whoever seals first makes one."""
        return not self.keys_file.exists()

    def missing_key_error(self) -> StoreError:
        """Return what is said where it is lost, and something was sealed."""
        return StoreError(
            f"`{self.keys_file}` is missing: nobody can open what was handed over",
            "put it back from its backup",
            code="key-missing",
        )

    def encrypt(self, value: Any, *context: str) -> bytes:
        """Seal a value of JSON; it opens in the same place only."""
        return self._sealed(msgspec.json.encode([context, value]))

    def decrypt(self, ciphertext: bytes, *context: str) -> Any:
        """Open a value. Raises StoreError where no key opens it, or it was put elsewhere."""
        found, value = BOUND_VALUE_DECODER.decode(self._told(ciphertext))
        if found != list(context):
            raise StoreError(
                "a submission holds what belongs to another",
                "put the register back from a backup",
                code="submission-unreadable",
            )
        return value

    def rotate_key(self) -> None:
        """Draw a new key, and put it first."""
        self._made()  # which have to be keys
        replace_text(self.keys_file, "\n".join([_drawn(), *self._lines()]), private=True)

    def reencrypt(self, ciphertext: bytes) -> bytes:
        """Return the same value under the newest key."""
        return self._sealed(self._told(ciphertext))

    def delete_old_keys(self) -> None:
        """Forget all keys but the newest."""
        replace_text(self.keys_file, self._lines()[0], private=True)

    def _sealed(self, told: bytes) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return FORMAT_MARKER + nonce + self._made().ciphers[0].encrypt(nonce, told, None)

    def _told(self, sealed: bytes) -> bytes:
        try:
            keys = self._keys()
        except FileNotFoundError:
            raise self.missing_key_error() from None
        nonce, rest = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        if sealed[:1] != FORMAT_MARKER:
            with suppress(InvalidToken):
                return keys.legacy_fernet.decrypt(sealed)
        else:
            for cipher in keys.ciphers:
                with suppress(InvalidTag, ValueError):
                    return cipher.decrypt(nonce, rest, None)
        raise StoreError(
            f"a submission cannot be opened with `{self.keys_file}`",
            "put the key back from its backup",
            code="submission-unreadable",
        )

    def _made(self) -> "_CipherKeys":
        """Return the keys, and make one where there is none."""
        try:
            return self._keys()
        except FileNotFoundError:
            self.keys_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_text(self.keys_file, _drawn(), private=True)
            return self._keys()

    def _keys(self) -> "_CipherKeys":
        now = self.keys_file.stat()
        return _opened(self.keys_file, (now.st_ino, now.st_mtime_ns, now.st_ctime_ns))

    def _lines(self) -> list[str]:
        return self.keys_file.read_text(encoding="ascii").split()


class _CipherKeys(NamedTuple):
    """What seals and opens: the newest first."""

    ciphers: list[AESGCM]
    legacy_fernet: MultiFernet
    """Opens what was sealed before."""


@lru_cache(maxsize=2)
def _opened(path: Path, _: tuple[int, ...]) -> _CipherKeys:
    """Return what seals and opens, of a file in one of its states: to make it takes longer than to open a value."""
    try:
        lines = path.read_text(encoding="ascii").split()
        before = MultiFernet(list(map(Fernet, lines)))  # which they have to be keys of
    except ValueError:  # its words may hold some of it
        raise StoreError(
            f"`{path}` holds no keys", "put it back from its backup", code="key-damaged"
        ) from None
    return _CipherKeys([AESGCM(_derived(line)) for line in lines], before)


def _derived(line: str) -> bytes:
    """Return the key of a line that seals: another one than those that the line has for Fernet."""
    return blake2b(urlsafe_b64decode(line), digest_size=KEY_BYTES, person=b"avowal seal").digest()


def _drawn() -> str:
    """Return a new line for the file of keys."""
    return urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode()


@dataclass
class IncomingFile:
    """A file that comes in: sealed as it is written, and named by its content once it is whole."""

    folder: Path
    name_key: bytes
    """Under which its content makes its name: who has a file cannot tell by its name whether it is here."""
    size_bytes: int = 0
    content_key: bytes = field(default_factory=lambda: secrets.token_bytes(KEY_BYTES))
    _name: Any = None
    _path: Path = field(init=False)
    _file: BinaryIO = field(init=False)
    _sealing: Any = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = self.folder / f"{secrets.token_hex(FILE_NAME_BYTES)}{PARTIAL_SUFFIX}"
        self._file = os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        nonce = secrets.token_bytes(NONCE_BYTES)
        self._sealing = Cipher(AES(self.content_key), GCM(nonce)).encryptor()
        self._name = blake2b(key=self.name_key, digest_size=FILE_NAME_BYTES)
        self._file.write(nonce)

    def write(self, data: bytes) -> None:
        """Write more of it."""
        self.size_bytes += len(data)
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

    def save_as(self, name: str) -> None:
        """Let it have its name."""
        self._path.replace(self.folder / name)
        sync_folder(self.folder)

    def discard(self) -> None:
        """Take it away."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def decrypt_file(path: Path, key: bytes) -> Iterator[bytes]:
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
                code="submission-unreadable",
            ) from None
