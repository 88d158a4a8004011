"""Signed notes (C2SP signed-note): a text, and below it the signatures of those who stand for it, by Ed25519."""

import base64
import binascii
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from avowal.errors import ProofError

ED25519_TYPE = 1
COSIGNATURE_TYPE = 4
"""A witness's signature, which bears the time of it (C2SP tlog-cosignature)."""

KEY_BYTES = 32
TIMESTAMP_BYTES = 8
_NAME = re.compile(r"[^\s+]+")
_SIGNATURE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")


@dataclass(frozen=True)
class Verifier:
    """Whose signature it is: a name, the kind of signature, and the public key."""

    name: str
    signature_type: int
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes that a signature begins with."""
        return sha256(self.name.encode() + b"\n" + bytes([self.signature_type]) + self.public_key).digest()[
            :4
        ]

    def __str__(self) -> str:
        """Return it as a line of text (`NAME+ID+KEY`), which may be handed on."""
        key = base64.b64encode(bytes([self.signature_type]) + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{key}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote. Raises ProofError where it is none."""
        name, _, rest = text.strip().partition("+")
        told, _, encoded = rest.partition("+")
        try:
            data = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            data = b""
        if (
            _NAME.fullmatch(name)
            and len(data) == KEY_BYTES + 1
            and data[0] in {ED25519_TYPE, COSIGNATURE_TYPE}
        ):
            found = cls(name, data[0], data[1:])
            if found.key_id.hex() == told:
                return found
        raise ProofError(
            "this is no verifier key",  # its text may be that of any file
            "it is a line NAME+ID+KEY, as `avowal ledger key` prints it; name it, or the file that has it alone",
            code="invalid-verifier-key",
        )

    def verify(self, text: str, signature: bytes) -> bool:
        """Return whether a signature is this one's of a text."""
        signed = text.encode()
        if self.signature_type == COSIGNATURE_TYPE:
            if len(signature) <= TIMESTAMP_BYTES:
                return False
            signed_at, signature = (
                int.from_bytes(signature[:TIMESTAMP_BYTES], "big"),
                signature[TIMESTAMP_BYTES:],
            )
            signed = f"cosignature/v1\ntime {signed_at}\n".encode() + signed
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, signed)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class Signer:
    """A name and a secret key."""

    name: str
    secret_key: bytes
    signature_type: int = ED25519_TYPE

    @property
    def verifier(self) -> Verifier:
        """The public part."""
        public = Ed25519PrivateKey.from_private_bytes(self.secret_key).public_key().public_bytes_raw()
        return Verifier(self.name, self.signature_type, public)

    def sign(self, text: str, timestamp_seconds: int = 0) -> str:
        """Return the line of a signature of a text; a witness's bears the time, in seconds since 1970."""
        signed, stamp = text.encode(), b""
        if self.signature_type == COSIGNATURE_TYPE:
            stamp = timestamp_seconds.to_bytes(TIMESTAMP_BYTES, "big")
            signed = f"cosignature/v1\ntime {timestamp_seconds}\n".encode() + signed
        signature = Ed25519PrivateKey.from_private_bytes(self.secret_key).sign(signed)
        return f"— {self.name} {base64.b64encode(self.verifier.key_id + stamp + signature).decode()}\n"


@dataclass(frozen=True)
class SignedNote:
    """A text that ends with a line feed, and the lines of its signatures."""

    text: str
    signature_lines: tuple[str, ...]

    def __str__(self) -> str:
        """Return the note as it is written."""
        return f"{self.text}\n{''.join(self.signature_lines)}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a note as it is written. Raises ProofError where it is none."""
        text, found, rest = text.rpartition("\n\n")
        lines = rest.splitlines(keepends=True)
        if not found or not lines or not all(_SIGNATURE.fullmatch(line.removesuffix("\n")) for line in lines):
            raise ProofError(
                "this is no signed note",
                "it is a text, an empty line, and lines of signatures",
                code="invalid-note",
            )
        return cls(f"{text}\n", tuple(line if line.endswith("\n") else f"{line}\n" for line in lines))

    def is_signed_by(self, verifier: Verifier) -> bool:
        """Return whether a verifier stands for the text."""
        return bool(self.signature_lines_by(verifier))

    def signature_lines_by(self, verifier: Verifier) -> tuple[str, ...]:
        """Return the lines with which a verifier stands for the text."""
        return tuple(line for line in self.signature_lines if self._holds(line, verifier))

    def _holds(self, line: str, verifier: Verifier) -> bool:
        found = _SIGNATURE.fullmatch(line.removesuffix("\n"))
        if not found or found[1] != verifier.name:
            return False
        try:
            data = base64.b64decode(found[2], validate=True)
        except binascii.Error:
            return False
        return data[:4] == verifier.key_id and verifier.verify(self.text, data[4:])
