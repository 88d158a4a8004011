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

ED25519 = 1
COSIGNATURE = 4
"""A witness's signature, which bears the time of it (C2SP tlog-cosignature)."""

KEY_BYTES = 32
TIME_BYTES = 8
_NAME = re.compile(r"[^\s+]+")
_SIGNATURE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")


@dataclass(frozen=True)
class Verifier:
    """Whose signature it is: a name, the kind of signature, and the public key."""

    name: str
    kind: int
    key: bytes

    @property
    def id(self) -> bytes:
        """The four bytes that a signature begins with."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.key).digest()[:4]

    def __str__(self) -> str:
        """Return it as a line of text (`NAME+ID+KEY`), which may be handed on."""
        key = base64.b64encode(bytes([self.kind]) + self.key).decode()
        return f"{self.name}+{self.id.hex()}+{key}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote. Raises ProofError where it is none."""
        name, _, rest = text.strip().partition("+")
        told, _, encoded = rest.partition("+")
        try:
            data = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            data = b""
        if _NAME.fullmatch(name) and len(data) == KEY_BYTES + 1 and data[0] in {ED25519, COSIGNATURE}:
            found = cls(name, data[0], data[1:])
            if found.id.hex() == told:
                return found
        raise ProofError(
            "this is no verifier key",  # its text may be that of any file
            "it is a line NAME+ID+KEY, as `avowal ledger key` prints it; name it, or the file that has it alone",
        )

    def holds(self, text: str, signature: bytes) -> bool:
        """Return whether a signature is this one's of a text."""
        signed = text.encode()
        if self.kind == COSIGNATURE:
            if len(signature) <= TIME_BYTES:
                return False
            signed_at, signature = int.from_bytes(signature[:TIME_BYTES], "big"), signature[TIME_BYTES:]
            signed = f"cosignature/v1\ntime {signed_at}\n".encode() + signed
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, signed)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class Signer:
    """A name and a secret key."""

    name: str
    secret: bytes
    kind: int = ED25519

    @property
    def verifier(self) -> Verifier:
        """The public part."""
        public = Ed25519PrivateKey.from_private_bytes(self.secret).public_key().public_bytes_raw()
        return Verifier(self.name, self.kind, public)

    def sign(self, text: str, signed_at: int = 0) -> str:
        """Return the line of a signature of a text; a witness's bears the time, in seconds since 1970."""
        signed, stamp = text.encode(), b""
        if self.kind == COSIGNATURE:
            stamp = signed_at.to_bytes(TIME_BYTES, "big")
            signed = f"cosignature/v1\ntime {signed_at}\n".encode() + signed
        signature = Ed25519PrivateKey.from_private_bytes(self.secret).sign(signed)
        return f"— {self.name} {base64.b64encode(self.verifier.id + stamp + signature).decode()}\n"


@dataclass(frozen=True)
class Note:
    """A text that ends with a line feed, and the lines of its signatures."""

    text: str
    signatures: tuple[str, ...]

    def __str__(self) -> str:
        """Return the note as it is written."""
        return f"{self.text}\n{''.join(self.signatures)}"

    @classmethod
    def parse(cls, written: str) -> Self:
        """Read a note as it is written. Raises ProofError where it is none."""
        text, found, rest = written.rpartition("\n\n")
        lines = rest.splitlines(keepends=True)
        if not found or not lines or not all(_SIGNATURE.fullmatch(line.removesuffix("\n")) for line in lines):
            raise ProofError("this is no signed note", "it is a text, an empty line, and lines of signatures")
        return cls(f"{text}\n", tuple(line if line.endswith("\n") else f"{line}\n" for line in lines))

    def signed_by(self, verifier: Verifier) -> bool:
        """Return whether a verifier stands for the text."""
        return bool(self.lines_of(verifier))

    def lines_of(self, verifier: Verifier) -> tuple[str, ...]:
        """Return the lines with which a verifier stands for the text."""
        return tuple(line for line in self.signatures if self._holds(line, verifier))

    def _holds(self, line: str, verifier: Verifier) -> bool:
        found = _SIGNATURE.fullmatch(line.removesuffix("\n"))
        if not found or found[1] != verifier.name:
            return False
        try:
            data = base64.b64decode(found[2], validate=True)
        except binascii.Error:
            return False
        return data[:4] == verifier.id and verifier.holds(self.text, data[4:])
