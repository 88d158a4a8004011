"""Checkpoints (C2SP tlog-checkpoint), which sign the size and root of a ledger, and proofs of entries against them."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from avowal.errors import ProofError
from avowal.ledger.note import SignedNote, Signer, Verifier, decode_base64
from avowal.ledger.tree import HASH_BYTES, check_inclusion, hash_leaf

PROOF_HEADER = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True)
class Checkpoint:
    """The state of a ledger at a size."""

    origin: str
    """The name of the ledger."""
    size: int
    """The number of its entries."""
    root: bytes
    """The root hash of the tree of these entries."""

    @property
    def signed_text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    def sign(self, signer: Signer) -> SignedNote:
        """Return the checkpoint as a note signed by its ledger."""
        return SignedNote(self.signed_text, (signer.sign(self.signed_text),))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the text of a note. Raises ProofError if it is not a checkpoint."""
        match = re.fullmatch(r"([^\n]+)\n(0|[1-9][0-9]*)\n([A-Za-z0-9+/]+=*)\n(?:[^\n]+\n)*", text)
        root = (match and decode_base64(match[3])) or b""
        if not match or len(root) != HASH_BYTES:
            raise ProofError(
                "this is not a checkpoint",
                "a checkpoint has the lines origin, size and root",
                code="invalid-checkpoint",
            )
        return cls(match[1], int(match[2]), root)


def verify_checkpoint(note: SignedNote, verifier: Verifier) -> Checkpoint:
    """Return the checkpoint in a note. Raises ProofError if it has none, or the ledger did not sign it."""
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != verifier.name or not note.is_signed_by(verifier):
        raise ProofError(
            "the checkpoint is not signed by this ledger",
            "use the key of the ledger that the checkpoint belongs to",
            code="signature-invalid",
        )
    return checkpoint


@dataclass(frozen=True)
class EntryProof:
    """A proof that an entry is in a ledger, with a checkpoint. The ledger's public key suffices to verify it."""

    index: int
    entry: bytes
    path_hashes: tuple[bytes, ...]
    """The hashes of the inclusion proof, from the leaf upwards."""
    checkpoint: SignedNote

    def __str__(self) -> str:
        """Return the proof as a C2SP tlog-proof, whose `extra` is the entry."""
        lines = [
            PROOF_HEADER,
            f"extra {_encode_base64(self.entry)}",
            f"index {self.index}",
            *map(_encode_base64, self.path_hashes),
        ]
        return "\n".join(lines) + f"\n\n{self.checkpoint}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a proof as `str` returns it. Raises ProofError if it is not one."""
        head, _, note = text.partition("\n\n")
        match = re.fullmatch(
            rf"{re.escape(PROOF_HEADER)}\nextra ([A-Za-z0-9+/=]*)\nindex (0|[1-9][0-9]*)((?:\n[A-Za-z0-9+/=]+)*)",
            head,
        )
        if not match:
            raise ProofError("this is not a proof of an entry", f"a proof begins with `{PROOF_HEADER}`")
        path_hashes = tuple(map(_decode_base64, match[3].split()))
        return cls(int(match[2]), _decode_base64(match[1]), path_hashes, SignedNote.parse(note))

    def verify(self, verifier: Verifier, witnesses: Sequence[Verifier] = ()) -> Checkpoint:
        """Verify that the ledger has the entry and that the witnesses cosigned its checkpoint; returns the checkpoint.

        Raises ProofError if the proof does not show it.
        """
        checkpoint = verify_checkpoint(self.checkpoint, verifier)
        for witness in witnesses:
            if not self.checkpoint.is_signed_by(witness):
                raise ProofError(
                    f"the checkpoint is not cosigned by `{witness.name}`", code="signature-missing"
                )
        check_inclusion(self.index, checkpoint.size, hash_leaf(self.entry), self.path_hashes, checkpoint.root)
        return checkpoint


def _encode_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode_base64(text: str) -> bytes:
    data = decode_base64(text)
    if data is None:
        raise ProofError("the proof is not valid base64")
    return data
