"""With what readers sign in, in the register: hashes that are slow to try."""

import hashlib
import hmac
import secrets
from datetime import datetime

import sqlalchemy as sa

from avowal.errors import InvalidInputError
from avowal.register.repository import Repository
from avowal.register.tables import PASSWORDS

PASSWORD_CHARACTERS_MIN = 12
PASSWORD_CHARACTERS_MAX = 256
SALT_BYTES = 16
SCRYPT_COST, SCRYPT_BLOCK_SIZE, SCRYPT_PARALLELISM, HASH_BYTES = 2**15, 8, 1, 32
"""Of scrypt (RFC 7914): 32 MiB and some 60 ms for each try."""


class Passwords(Repository):
    """The passwords of a register."""

    def save(self, name: str, password: str, now: datetime) -> None:
        """Give a reader a password, in the place of the one before.

        Raises InvalidInputError where it is too short or too long.
        """
        if not PASSWORD_CHARACTERS_MIN <= len(password) <= PASSWORD_CHARACTERS_MAX:
            raise InvalidInputError(
                f"a password has {PASSWORD_CHARACTERS_MIN} to {PASSWORD_CHARACTERS_MAX} characters",
                "four words that do not belong together will do",
                code="password-length",
            )
        salt = secrets.token_bytes(SALT_BYTES)
        row = {"name": name, "salt": salt, "hash": _hash(password, salt), "recorded_at": now}
        with self._write_transaction() as connection:
            connection.execute(sa.delete(PASSWORDS).where(PASSWORDS.c.name == name))
            connection.execute(sa.insert(PASSWORDS).values(row))

    def check(self, name: str, password: str) -> bool:
        """Return whether a password is a reader's; it takes as long where there is no such reader."""
        salt, expected = self._of(name) or (bytes(SALT_BYTES), b"")
        return hmac.compare_digest(_hash(password[: PASSWORD_CHARACTERS_MAX + 1], salt), expected)

    def fingerprint(self, name: str) -> str:
        """Return what changes with a reader's password, and tells nothing of it; empty where there is none."""
        found = self._of(name)
        return hashlib.sha256(found[1]).hexdigest()[:16] if found else ""

    def _of(self, name: str) -> tuple[bytes, bytes] | None:
        statement = sa.select(PASSWORDS.c.salt, PASSWORDS.c.hash).where(PASSWORDS.c.name == name)
        with self._engine.connect() as connection:
            row = connection.execute(statement).first()
        return (row.salt, row.hash) if row else None


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
