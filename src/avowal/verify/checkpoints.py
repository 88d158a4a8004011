"""Check the tree of the ledger, and every checkpoint that was signed over it."""

from collections.abc import Iterator, Sequence

from avowal.errors import AvowalError
from avowal.ledger.checkpoint import Checkpoint, verify_checkpoint
from avowal.ledger.entry import Entry
from avowal.ledger.restore_entry import BackupRestored
from avowal.verify.register_state import RegisterState
from avowal.verify.verification import Finding


def check_tree(state: RegisterState) -> Iterator[Finding]:
    """Compute the hashes of all entries and nodes again."""
    for sentence in state.register.ledger.find_errors():
        yield Finding("ledger-damaged", sentence)


def check_checkpoints(state: RegisterState) -> Iterator[Finding]:
    """Check the checkpoints of the register, the one beside the key, and those of witnesses."""
    ledger = state.register.ledger
    notes = [("a checkpoint of the register", note) for note in ledger.checkpoints()]
    notes += (
        [("the last checkpoint, beside the key,", state.last_checkpoint)] if state.last_checkpoint else []
    )
    notes += [("a checkpoint that a witness holds", note) for note in state.witness_checkpoints]
    size = ledger.count_entries()
    if size and not notes:
        yield Finding("checkpoint-missing", "the ledger has entries, but no checkpoint was ever signed")
    elif (
        len(notes) > 1 and state.last_checkpoint is None
    ):  # the first may wait for the next command after a kill
        yield Finding("checkpoint-missing", "the last checkpoint, beside the key, is missing")
    for name, note in notes:
        try:
            checkpoint = verify_checkpoint(note, ledger.signer.verifier)
            is_consistent = (
                checkpoint.size <= size and ledger.compute_root(checkpoint.size) == checkpoint.root
            )
            if not is_consistent and (sentence := _describe_replacement(state.entries, checkpoint)):
                yield Finding("ledger-replaced", f"{name} {sentence}")
            elif checkpoint.size > size:
                sentence = f"{name} covers {checkpoint.size} entries, and the ledger has {size}: the last are missing"
                yield Finding("entries-missing", sentence)
            elif not is_consistent:
                sentence = f"{name} over {checkpoint.size} entries does not match: one of them was changed"
                yield Finding("checkpoint-mismatch", sentence)
        except AvowalError as error:
            yield Finding("checkpoint-invalid", f"{name}: {error.message}")


def _describe_replacement(entries: Sequence[Entry], checkpoint: Checkpoint) -> str:
    """Return what the restore of a backup says of a checkpoint that the ledger does not match; empty if none does."""
    for number, entry in enumerate(entries):
        if isinstance(entry, BackupRestored) and number < checkpoint.size <= entry.last_entries:
            named = " and names this checkpoint" if checkpoint.root.hex() == entry.last_root else ""
            return (
                f"covers {checkpoint.size} entries of the ledger that a backup took the place of: entry {number} says "
                f"so{named}; entries {number} to {entry.last_entries - 1} of that ledger are gone"
            )
    return ""
