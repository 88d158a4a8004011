"""Passwords of readers, stored as hashes that are slow to try."""

import hashlib
import hmac
import secrets
from datetime import datetime

from avowal.errors import InvalidInputError
from avowal.register.repository import Repository, to_parameters
from avowal.register.statements import load_statements

SQL = load_statements("avowal.register", "readers")

PASSWORD_CHARACTERS_MIN = 12
PASSWORD_CHARACTERS_MAX = 256
SALT_BYTES = 16
SCRYPT_COST, SCRYPT_BLOCK_SIZE, SCRYPT_PARALLELISM, HASH_BYTES = 2**15, 8, 1, 32
"""The parameters of scrypt (RFC 7914): 32 MiB and about 60 ms for each attempt."""


class Passwords(Repository):
    """The passwords of a register."""

    def save(self, name: str, password: str, now: datetime) -> None:
        """Set the password of a reader. Raises InvalidInputError if it is too short or too long."""
        if not PASSWORD_CHARACTERS_MIN <= len(password) <= PASSWORD_CHARACTERS_MAX:
            raise InvalidInputError(
                f"a password has {PASSWORD_CHARACTERS_MIN} to {PASSWORD_CHARACTERS_MAX} characters",
                "use four unrelated words, for example",
                code="password-length",
            )
        salt = secrets.token_bytes(SALT_BYTES)
        row = {"name": name, "salt": salt, "hash": _hash(password, salt), "recorded_at": now}
        with self._database.transaction() as connection:
            connection.erase(SQL["delete_password"], {"name": name})
            connection.execute(SQL["insert_password"], to_parameters(row))

    def check(self, name: str, password: str) -> bool:
        """Return whether a password is that of a reader; takes the same time if there is no such reader."""
        salt, expected = self._read(name) or (bytes(SALT_BYTES), b"")
        return hmac.compare_digest(_hash(password[: PASSWORD_CHARACTERS_MAX + 1], salt), expected)

    def fingerprint(self, name: str) -> str:
        """Return a text that changes with a reader's password and reveals nothing of it; empty without a password."""
        row = self._read(name)
        return hashlib.sha256(row[1]).hexdigest()[:16] if row else ""

    def _read(self, name: str) -> tuple[bytes, bytes] | None:
        """Return the salt and the hash of a reader's password."""
        with self._database.read() as connection:
            row: tuple[bytes, bytes] | None = connection.execute(
                SQL["select_password"], {"name": name}
            ).fetchone()
        return row


def _hash(password: str, salt: bytes) -> bytes:
    memory = 2 * 128 * SCRYPT_COST * SCRYPT_BLOCK_SIZE
    return hashlib.scrypt(
        password.encode(),
        salt=salt,
        n=SCRYPT_COST,
        r=SCRYPT_BLOCK_SIZE,
        p=SCRYPT_PARALLELISM,
        maxmem=memory,
        dklen=HASH_BYTES,
    )
