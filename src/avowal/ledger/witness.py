"""Looking at an exported ledger from outside: with nothing but its files and its public key."""

from collections.abc import Callable, Iterator, Sequence

from avowal.errors import ProofError
from avowal.ledger.checkpoint import Checkpoint, verify_checkpoint
from avowal.ledger.entry import decode_entry as read_entry
from avowal.ledger.note import SignedNote, Verifier
from avowal.ledger.tiles import (
    CHECKPOINT_FILE,
    TILE_HEIGHT,
    TILE_WIDTH,
    decode_entry_bundle,
    format_tile_path,
    list_tiles,
)
from avowal.ledger.tree import compute_root, hash_leaf, hash_node

ExportFileReader = Callable[[str], bytes | None]
"""Gives the bytes of a file by its path within the export; None where it is missing."""


def read_checkpoint(read_export_file: ExportFileReader, verifier: Verifier) -> Checkpoint:
    """Return the checkpoint of an export. Raises ProofError where it is missing, or not signed by the ledger's key."""
    told = read_export_file(CHECKPOINT_FILE)
    if told is None:
        raise ProofError(
            "there is no checkpoint", "an exported ledger has a file `checkpoint`", code="checkpoint-missing"
        )
    try:
        return verify_checkpoint(SignedNote.parse(told.decode()), verifier)
    except UnicodeDecodeError:
        raise ProofError("the checkpoint is no text", code="invalid-checkpoint") from None


def find_export_errors(
    read_export_file: ExportFileReader, verifier: Verifier, known_checkpoints: Sequence[SignedNote] = ()
) -> Iterator[str]:
    """Yield, in a sentence each, what does not hold of an exported ledger; nothing where all does.

    `witnessed` are checkpoints of it that were handed out before. Raises as `checkpoint_of` does.
    """
    last = read_checkpoint(read_export_file, verifier)
    entries: list[bytes] = []
    for level, number, width in list_tiles(last.size):
        name = format_tile_path("entries", number, width)
        found = _entries(read_export_file(name), width) if level == 0 else []
        if found is None:
            yield f"`{name}` is missing, or does not have its {width} entries"
            return
        entries += found
    for number, entry in enumerate(entries):
        try:
            read_entry(entry)
        except ProofError as error:
            yield f"entry {number}: {error.message}"
    levels = _levels(entries)
    for level, number, width in list_tiles(last.size):
        name, first = format_tile_path(str(level), number, width), number * TILE_WIDTH
        if read_export_file(name) != b"".join(levels[level * TILE_HEIGHT][first : first + width]):
            yield f"`{name}` is not what the entries beneath it come to"
    for whose, note in [
        ("the checkpoint", None),
        *(("a checkpoint that a witness holds", note) for note in known_checkpoints),
    ]:
        checkpoint = last if note is None else verify_checkpoint(note, verifier)
        if checkpoint.size > last.size:
            yield f"{whose} is of {checkpoint.size} entries, and there are {last.size}: the last ones are gone"
        elif compute_root(checkpoint.size, lambda level, place: levels[level][place]) != checkpoint.root:
            yield f"{whose} over {checkpoint.size} entries does not hold: one of these was changed"


def _entries(bundle: bytes | None, width: int) -> list[bytes] | None:
    """Return the entries of a bundle; None where there are not as many as there should be."""
    found = None if bundle is None else decode_entry_bundle(bundle)
    return found if found is not None and len(found) == width else None


def _levels(entries: Sequence[bytes]) -> list[list[bytes]]:
    """Return the nodes of the tree over entries, by level; of each only those that are full."""
    levels = [[hash_leaf(entry) for entry in entries]]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([hash_node(*below[at : at + 2]) for at in range(0, len(below) - 1, 2)])
    return levels
