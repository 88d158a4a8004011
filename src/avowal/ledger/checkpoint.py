"""Checkpoints (C2SP tlog-checkpoint): size and root of the ledger, signed; and proofs that stand on one."""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from avowal.errors import ProofError
from avowal.ledger.note import SignedNote, Signer, Verifier
from avowal.ledger.tree import HASH_BYTES, check_inclusion, hash_leaf

PROOF_HEADER = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True)
class Checkpoint:
    """Whose ledger it is, how many entries it has, and the root over them."""

    origin: str
    size: int
    root: bytes

    @property
    def signed_text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    def sign(self, signer: Signer) -> SignedNote:
        """Return the checkpoint as a note with its ledger's signature."""
        return SignedNote(self.signed_text, (signer.sign(self.signed_text),))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of a note. Raises ProofError where it is no checkpoint."""
        found = re.fullmatch(r"([^\n]+)\n(0|[1-9][0-9]*)\n([A-Za-z0-9+/]+=*)\n(?:[^\n]+\n)*", text)
        try:
            root = base64.b64decode(found[3], validate=True) if found else b""
        except binascii.Error:
            root = b""
        if not found or len(root) != HASH_BYTES:
            raise ProofError(
                "this is no checkpoint",
                "its lines are an origin, a size and a root",
                code="invalid-checkpoint",
            )
        return cls(found[1], int(found[2]), root)


def verify_checkpoint(note: SignedNote, verifier: Verifier) -> Checkpoint:
    """Return the checkpoint in a note. Raises ProofError where it is none, or not signed by the ledger's key."""
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != verifier.name or not note.is_signed_by(verifier):
        raise ProofError(
            "the checkpoint is not signed by this ledger",
            "its key is another one: use that of this ledger",
            code="signature-invalid",
        )
    return checkpoint


@dataclass(frozen=True)
class EntryProof:
    """A proof that an entry is in a ledger, with its checkpoint: nothing else is needed but the ledger's public key."""

    index: int
    entry: bytes
    path_hashes: tuple[bytes, ...]
    checkpoint: SignedNote

    def __str__(self) -> str:
        """Return it as a C2SP tlog-proof, whose `extra` is the entry."""
        lines = [
            PROOF_HEADER,
            f"extra {_encoded(self.entry)}",
            f"index {self.index}",
            *map(_encoded, self.path_hashes),
        ]
        return "\n".join(lines) + f"\n\n{self.checkpoint}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote. Raises ProofError where it is none."""
        head, _, note = text.partition("\n\n")
        found = re.fullmatch(
            rf"{re.escape(PROOF_HEADER)}\nextra ([A-Za-z0-9+/=]*)\nindex (0|[1-9][0-9]*)((?:\n[A-Za-z0-9+/=]+)*)",
            head,
        )
        if not found:
            raise ProofError("this is no proof of an entry", f"it begins with `{PROOF_HEADER}`")
        proof = tuple(map(_decoded, found[3].split()))
        return cls(int(found[2]), _decoded(found[1]), proof, SignedNote.parse(note))

    def verify(self, verifier: Verifier, witnesses: Sequence[Verifier] = ()) -> Checkpoint:
        """Check that the ledger has the entry, and that the witnesses saw its checkpoint; return that.

        Raises ProofError where it does not show it.
        """
        checkpoint = verify_checkpoint(self.checkpoint, verifier)
        for witness in witnesses:
            if not self.checkpoint.is_signed_by(witness):
                raise ProofError(
                    f"the checkpoint is not cosigned by `{witness.name}`", code="signature-missing"
                )
        check_inclusion(self.index, checkpoint.size, hash_leaf(self.entry), self.path_hashes, checkpoint.root)
        return checkpoint


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ProofError("the proof is no base64") from None
