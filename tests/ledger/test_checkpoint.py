"""Signed notes, checkpoints and receipts: valid ones are accepted, and changed ones are refused."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avowal.errors import ProofError
from avowal.ledger.checkpoint import Checkpoint, EntryProof, verify_checkpoint
from avowal.ledger.note import COSIGNATURE_TYPE, SignedNote, Signer, Verifier
from avowal.ledger.tree import append_leaves, compute_root, hash_leaf, prove_inclusion
from support.depth import by_depth
from support.errors import raises_code

LEDGER = Signer("avowal/00000000", bytes(32))
WITNESS = Signer("witness.example.org", bytes([7]) * 32, COSIGNATURE_TYPE)
ENTRIES = [f"entry {number}".encode() for number in range(11)]
NODES = {
    (level, place): value
    for level, place, value in append_leaves(0, [hash_leaf(entry) for entry in ENTRIES], lambda *_: b"")
}
CHECKPOINT = Checkpoint(LEDGER.name, len(ENTRIES), compute_root(len(ENTRIES), lambda *place: NODES[place]))


def receipt(index: int) -> EntryProof:
    proof = prove_inclusion(index, len(ENTRIES), lambda *place: NODES[place])
    return EntryProof(index, ENTRIES[index], tuple(proof), CHECKPOINT.sign(LEDGER))


def test_a_checkpoint_has_the_standard_format() -> None:
    """A checkpoint has a line each for origin, size and root, an empty line, and a signature with the key's ID."""
    origin, size, root, empty, signature, rest = str(CHECKPOINT.sign(LEDGER)).split("\n")
    assert (origin, size, root) == (LEDGER.name, "11", base64.b64encode(CHECKPOINT.root).decode())
    assert (empty, rest) == ("", "")
    dash, name, data = signature.split(" ")
    assert (dash, name) == ("—", LEDGER.name)
    assert base64.b64decode(data)[:4] == LEDGER.verifier.key_id
    assert len(base64.b64decode(data)) == 4 + 64


def test_a_verifier_key_is_read_from_its_text() -> None:
    """A verifier key is read back from its line of text; a changed line is refused."""
    for signer in (LEDGER, WITNESS):
        line = str(signer.verifier)
        assert Verifier.parse(f"{line}\n") == signer.verifier
        for changed_note in (
            line[:-4],
            line.replace("+", " "),
            f"other{line}",
            line.replace("example", "exbmple"),
            "",
            "a+b+c",
        ):
            if changed_note != line:
                with raises_code("invalid-verifier-key"):
                    Verifier.parse(changed_note)


def test_a_checkpoint_needs_the_signature_of_the_ledger() -> None:
    """A checkpoint is accepted only with the signature of the ledger's key, whatever other signatures it has."""
    note = CHECKPOINT.sign(LEDGER)
    assert verify_checkpoint(SignedNote.parse(str(note)), LEDGER.verifier) == CHECKPOINT
    other = Signer(LEDGER.name, bytes([1]) * 32)
    note_of_three = SignedNote(
        note.text, (other.sign(note.text), WITNESS.sign(note.text, 1_790_000_000), *note.signature_lines)
    )
    assert verify_checkpoint(note_of_three, LEDGER.verifier) == CHECKPOINT
    assert note_of_three.is_signed_by(WITNESS.verifier)
    for changed_note in (
        SignedNote(note.text, (other.sign(note.text),)),
        SignedNote(note.text.replace("11", "12"), note.signature_lines),
    ):
        with raises_code("signature-invalid"):
            verify_checkpoint(changed_note, LEDGER.verifier)
    assert not SignedNote(
        note.text, (Signer(WITNESS.name, WITNESS.secret_key).sign(note.text),)
    ).is_signed_by(WITNESS.verifier)


@pytest.mark.parametrize("index", range(11))
def test_a_receipt_is_verified_with_the_key_alone(index: int) -> None:
    """A receipt that was written and read again is verified with nothing but the ledger's key."""
    parsed = EntryProof.parse(str(receipt(index)))
    assert parsed == receipt(index)
    assert parsed.verify(LEDGER.verifier) == CHECKPOINT
    with raises_code("signature-missing"):
        parsed.verify(LEDGER.verifier, [WITNESS.verifier])


@settings(max_examples=by_depth(standard=150, thorough=1_200))
@given(st.integers(0, 10), st.data())
def test_a_changed_proof_is_refused(index: int, data: st.DataObject) -> None:
    """A proof with one character changed is refused."""
    text = str(receipt(index))
    position = data.draw(st.integers(0, len(text) - 1))
    changed_text = text[:position] + data.draw(st.sampled_from("AZaz09+/=\n —")) + text[position + 1 :]
    try:
        parsed = EntryProof.parse(changed_text)
        parsed.verify(LEDGER.verifier)
    except ProofError:
        return
    assert changed_text == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "a\n1\n",
        f"{CHECKPOINT.signed_text}\nunsigned\n",
        f"{CHECKPOINT.signed_text}\n— a !\n",
        f"a\n01\n{'A' * 43}=\n\n— a AAAA\n",
    ],
)
def test_text_that_is_no_checkpoint_is_refused(text: str) -> None:
    """A text that is no valid checkpoint is refused with a proof error."""
    with pytest.raises(ProofError):
        verify_checkpoint(SignedNote.parse(text), LEDGER.verifier)
    with pytest.raises(ProofError):
        EntryProof.parse(text)
