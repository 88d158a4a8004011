"""Signed notes (C2SP signed-note): a text with Ed25519 signatures below it."""

import base64
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from avowal.errors import ProofError

ED25519_TYPE = 1
COSIGNATURE_TYPE = 4
"""The signature of a witness, which includes its time (C2SP tlog-cosignature)."""

KEY_BYTES = 32
TIMESTAMP_BYTES = 8
_NAME = re.compile(r"[^\s+]+")
_SIGNATURE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")


def decode_base64(text: str) -> bytes | None:
    """Return the bytes of base64; None if it is not what encoding these bytes gives, so that each has one text."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return data if base64.b64encode(data).decode() == text else None


@dataclass(frozen=True)
class Verifier:
    """The name, signature type and public key of a ledger or a witness, which verify its signatures."""

    name: str
    signature_type: int
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes that each of its signatures begins with."""
        return sha256(self.name.encode() + b"\n" + bytes([self.signature_type]) + self.public_key).digest()[
            :4
        ]

    def __str__(self) -> str:
        """Return the verifier key as text, which is public: `NAME+ID+KEY`."""
        key = base64.b64encode(bytes([self.signature_type]) + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{key}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a verifier key as `str` returns it. Raises ProofError if it is not one."""
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        data = decode_base64(encoded) or b""
        if (
            _NAME.fullmatch(name)
            and len(data) == KEY_BYTES + 1
            and data[0] in {ED25519_TYPE, COSIGNATURE_TYPE}
        ):
            verifier = cls(name, data[0], data[1:])
            if verifier.key_id.hex() == key_id:
                return verifier
        raise ProofError(
            "this is not a verifier key",  # without the text, which may be that of any file
            "give a line NAME+ID+KEY as `avowal ledger key` prints it, or a file that contains only that line",
            code="invalid-verifier-key",
        )

    def verify(self, text: str, signature: bytes) -> bool:
        """Return whether a signature of a text was made with this key."""
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
    """A name and a secret key, which sign notes."""

    name: str
    secret_key: bytes
    signature_type: int = ED25519_TYPE

    @property
    def verifier(self) -> Verifier:
        """The verifier of its signatures."""
        public = Ed25519PrivateKey.from_private_bytes(self.secret_key).public_key().public_bytes_raw()
        return Verifier(self.name, self.signature_type, public)

    def sign(self, text: str, timestamp_seconds: int = 0) -> str:
        """Return the signature line for a text; a cosignature includes the timestamp, in seconds since 1970."""
        signed, stamp = text.encode(), b""
        if self.signature_type == COSIGNATURE_TYPE:
            stamp = timestamp_seconds.to_bytes(TIMESTAMP_BYTES, "big")
            signed = f"cosignature/v1\ntime {timestamp_seconds}\n".encode() + signed
        signature = Ed25519PrivateKey.from_private_bytes(self.secret_key).sign(signed)
        return f"— {self.name} {base64.b64encode(self.verifier.key_id + stamp + signature).decode()}\n"


@dataclass(frozen=True)
class SignedNote:
    """A text that ends with a line feed, and its signature lines, each with a line feed."""

    text: str
    signature_lines: tuple[str, ...]

    def __str__(self) -> str:
        """Return the note in its file format."""
        return f"{self.text}\n{''.join(self.signature_lines)}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a note in its file format. Raises ProofError if it is not one."""
        text, separator, rest = text.rpartition("\n\n")
        lines = rest.splitlines(keepends=True)
        if (
            not separator
            or not lines
            or not all(_SIGNATURE.fullmatch(line.removesuffix("\n")) for line in lines)
        ):
            raise ProofError(
                "this is not a signed note",
                "a signed note is a text, an empty line and lines of signatures",
                code="invalid-note",
            )
        return cls(f"{text}\n", tuple(line if line.endswith("\n") else f"{line}\n" for line in lines))

    def is_signed_by(self, verifier: Verifier) -> bool:
        """Return whether the note has a valid signature of a verifier."""
        return bool(self.signature_lines_by(verifier))

    def signature_lines_by(self, verifier: Verifier) -> tuple[str, ...]:
        """Return the lines that are valid signatures of a verifier."""
        return tuple(line for line in self.signature_lines if self._is_signature_by(line, verifier))

    def _is_signature_by(self, line: str, verifier: Verifier) -> bool:
        match = _SIGNATURE.fullmatch(line.removesuffix("\n"))
        if not match or match[1] != verifier.name:
            return False
        data = decode_base64(match[2])
        return data is not None and data[:4] == verifier.key_id and verifier.verify(self.text, data[4:])
