"""Encryption of submitted values and files: neither is ever on a disk unencrypted.

Values are encrypted with AES-256 in Galois/Counter Mode (NIST SP 800-38D), with the newest key of a file in `keys/` and
a random nonce each. A file is encrypted in the same way while it is received, with a key of its own that is stored as
an encrypted value, so that files stay as they are when the keys change.
"""

import os
import secrets
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from avowal.atomic_files import replace_text, sync_folder
from avowal.errors import StoreError
from avowal.private_files import open_private

SUBMISSION_KEYS_FILE = "submissions.key"
PARTIAL_SUFFIX = ".part"
FORMAT_MARKER = b"\x01"
"""The first byte of an encrypted value: a later format gets another one."""

BOUND_VALUE_DECODER = msgspec.json.Decoder(tuple[list[str], Any])
"""Decodes a decrypted value with its context. Decoding by a declared type would take ten times as long."""

KEY_BYTES, NONCE_BYTES, TAG_BYTES = 32, 12, 16
FILE_NAME_BYTES = 20
CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class SubmissionCipher:
    """Encrypts and decrypts values with the keys of a file."""

    keys_file: Path
    """A key in each line, the newest first."""

    @property
    def is_key_missing(self) -> bool:
        """Whether there is no key file; the first encryption creates it."""
        return not self.keys_file.exists()

    def missing_key_error(self) -> StoreError:
        """Return the error that the key file is missing although there are encrypted values."""
        return StoreError(
            f"`{self.keys_file}` is missing: submissions cannot be decrypted",
            "restore it from its backup",
            code="key-missing",
        )

    def encrypt(self, value: Any, *context: str) -> bytes:
        """Encrypt a value that JSON can express; it can be decrypted only with the same context."""
        return self._encrypt(msgspec.json.encode([context, value]))

    def decrypt(self, ciphertext: bytes, *context: str) -> Any:
        """Decrypt a value. Raises StoreError if no key decrypts it, or it was encrypted with another context."""
        encrypted_context, value = BOUND_VALUE_DECODER.decode(self._decrypt(ciphertext))
        if encrypted_context != list(context):
            raise StoreError(
                "a submission has a value that belongs to another submission or field",
                "restore the register from a backup",
                code="submission-unreadable",
            )
        return value

    def rotate_key(self) -> None:
        """Add a new key, which encrypts from now on."""
        self._load_or_create_keys()  # raises StoreError if the file is damaged
        replace_text(self.keys_file, "\n".join([_generate_key_line(), *self._read_lines()]), private=True)

    def reencrypt(self, ciphertext: bytes) -> bytes:
        """Return the same value, encrypted with the newest key."""
        return self._encrypt(self._decrypt(ciphertext))

    def delete_old_keys(self) -> None:
        """Delete all keys but the newest."""
        replace_text(self.keys_file, self._read_lines()[0], private=True)

    def _encrypt(self, plaintext: bytes) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        cipher = self._load_or_create_keys()[0]
        return FORMAT_MARKER + nonce + cipher.encrypt(nonce, plaintext, None)

    def _decrypt(self, ciphertext: bytes) -> bytes:
        try:
            keys = self._load_keys()
        except FileNotFoundError:
            raise self.missing_key_error() from None
        nonce, encrypted = ciphertext[1 : 1 + NONCE_BYTES], ciphertext[1 + NONCE_BYTES :]
        for cipher in keys if ciphertext[:1] == FORMAT_MARKER else ():
            with suppress(InvalidTag, ValueError):
                return cipher.decrypt(nonce, encrypted, None)
        raise StoreError(
            f"a submission cannot be decrypted with the keys in `{self.keys_file}`",
            "restore the key from its backup",
            code="submission-unreadable",
        )

    def _load_or_create_keys(self) -> list[AESGCM]:
        """Return the keys; create the file with a new key if it does not exist."""
        try:
            return self._load_keys()
        except FileNotFoundError:
            self.keys_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_text(self.keys_file, _generate_key_line(), private=True)
            return self._load_keys()

    def _load_keys(self) -> list[AESGCM]:
        status = self.keys_file.stat()
        return _parse_keys(self.keys_file, (status.st_ino, status.st_mtime_ns, status.st_ctime_ns))

    def _read_lines(self) -> list[str]:
        return self.keys_file.read_text(encoding="ascii").split()


@lru_cache(maxsize=2)
def _parse_keys(path: Path, _: tuple[int, ...]) -> list[AESGCM]:
    """Return the keys of a file, the newest first; they are cached by the file's status."""
    try:
        lines = path.read_text(encoding="ascii").split() or [""]
        return [AESGCM(_derive_key(line)) for line in lines]
    except ValueError:  # not chained: its message may contain a part of a key
        raise StoreError(
            f"`{path}` does not contain keys", "restore it from its backup", code="key-damaged"
        ) from None


def _derive_key(line: str) -> bytes:
    """Return the AES key of a line of the key file. Raises ValueError if the line is not a key."""
    if len(secret := b64decode(line, b"-_", validate=True)) != KEY_BYTES:
        raise ValueError("a key of another length")
    return blake2b(secret, digest_size=KEY_BYTES, person=b"avowal seal").digest()


def _generate_key_line() -> str:
    """Return a new line for the key file."""
    return urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode()


@dataclass
class IncomingFile:
    """A file that is being received: encrypted as it is written, and named after its content when it is complete."""

    folder: Path
    name_key: bytes
    """The key of the hash that becomes its name; so nobody can tell by the names whether a known file is stored."""
    size_bytes: int = 0
    content_key: bytes = field(default_factory=lambda: secrets.token_bytes(KEY_BYTES))
    _content_hash: Any = None
    _path: Path = field(init=False)
    _file: BinaryIO = field(init=False)
    _encryptor: Any = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = self.folder / f"{secrets.token_hex(FILE_NAME_BYTES)}{PARTIAL_SUFFIX}"
        self._file = os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        nonce = secrets.token_bytes(NONCE_BYTES)
        self._encryptor = Cipher(AES(self.content_key), GCM(nonce)).encryptor()
        self._content_hash = blake2b(key=self.name_key, digest_size=FILE_NAME_BYTES)
        self._file.write(nonce)

    def write(self, data: bytes) -> None:
        """Encrypt and append data."""
        self.size_bytes += len(data)
        self._content_hash.update(data)
        self._file.write(self._encryptor.update(data))

    def finish(self) -> str:
        """Write the rest durably to the disk; returns the name that the content gives the file."""
        self._file.write(self._encryptor.finalize())
        self._file.write(self._encryptor.tag)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return str(self._content_hash.hexdigest())

    def save_as(self, name: str) -> None:
        """Give the file its final name, durably."""
        self._path.replace(self.folder / name)
        sync_folder(self.folder)

    def discard(self) -> None:
        """Delete the file, unless it has its final name."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def decrypt_file(path: Path, key: bytes) -> Iterator[bytes]:
    """Yield the content of a file in blocks. Callers must not use it before the end: only then it is authenticated.

    Raises StoreError at the end if the file is not as it was written.
    """
    with os.fdopen(open_private(path, os.O_RDONLY), "rb") as file:
        remaining_bytes = path.stat().st_size - NONCE_BYTES - TAG_BYTES
        decryptor: CipherContext = Cipher(AES(key), GCM(file.read(NONCE_BYTES))).decryptor()
        while remaining_bytes > 0:
            data = file.read(min(CHUNK_BYTES, remaining_bytes))
            remaining_bytes -= len(data)
            yield decryptor.update(data)
        try:
            yield decryptor.finalize_with_tag(file.read(TAG_BYTES))  # type: ignore[attr-defined]  # a decryptor has it
        except InvalidTag:
            raise StoreError(
                f"`{path}` is not the file that was submitted",
                "it was damaged or changed; restore it from a backup",
                code="submission-unreadable",
            ) from None
