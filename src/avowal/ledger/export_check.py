"""Check an exported ledger with nothing but its files and its public key."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from avowal.errors import ProofError
from avowal.ledger.checkpoint import Checkpoint, verify_checkpoint
from avowal.ledger.entry import decode_entry
from avowal.ledger.note import SignedNote, Verifier
from avowal.ledger.tiles import (
    CHECKPOINT_FILE,
    ENTRY_BYTES_MAX,
    LENGTH_PREFIX_BYTES,
    TILE_HEIGHT,
    TILE_WIDTH,
    decode_entry_bundle,
    encode_entry_bundle,
    format_tile_path,
    list_tiles,
    parse_tile_path,
)
from avowal.ledger.tree import compute_root, hash_leaf, hash_node

EXPORT_FILE_BYTES_MAX = TILE_WIDTH * (LENGTH_PREFIX_BYTES + ENTRY_BYTES_MAX)
"""The longest file of an export: a bundle of the longest entries."""

ExportFileReader = Callable[[str], bytes | None]
"""Returns the bytes of a file by its path within the export; None if it is missing."""


def read_checkpoint(read_export_file: ExportFileReader, verifier: Verifier) -> Checkpoint:
    """Return the checkpoint of an export. Raises ProofError if it is missing, or the ledger did not sign it."""
    content = read_export_file(CHECKPOINT_FILE)
    if content is None:
        raise ProofError(
            "the checkpoint is missing",
            "an exported ledger has a file `checkpoint`",
            code="checkpoint-missing",
        )
    try:
        return verify_checkpoint(SignedNote.parse(content.decode()), verifier)
    except UnicodeDecodeError:
        raise ProofError("the checkpoint is not text", code="invalid-checkpoint") from None


def find_export_errors(
    read_export_file: ExportFileReader,
    verifier: Verifier,
    known_checkpoints: Sequence[SignedNote] = (),
    tile_paths: Iterable[str] = (),
) -> Iterator[str]:
    """Yield a sentence for each error of an exported ledger.

    `known_checkpoints` are earlier checkpoints that somebody else has kept; `tile_paths` are those of all files that
    may be tiles, also of earlier exports. Raises ProofError if a checkpoint is missing or invalid.
    """
    last = read_checkpoint(read_export_file, verifier)
    entries: list[bytes] = []
    for level, number, width in list_tiles(last.size):
        name = format_tile_path("entries", number, width)
        bundle = _decode_full_bundle(read_export_file(name), width) if level == 0 else []
        if bundle is None:
            yield f"`{name}` is missing, or does not have its {width} entries"
            return
        entries += bundle
    for number, entry in enumerate(entries):
        try:
            decode_entry(entry)
        except ProofError as error:
            yield f"entry {number}: {error.message}"
    levels = _build_levels(entries)
    yield from _find_tile_errors(read_export_file, entries, levels, tile_paths)
    for description, note in [
        ("the checkpoint", None),
        *(("a checkpoint that a witness holds", note) for note in known_checkpoints),
    ]:
        checkpoint = last if note is None else verify_checkpoint(note, verifier)
        if checkpoint.size > last.size:
            yield f"{description} covers {checkpoint.size} entries, and there are {last.size}: the last are missing"
        elif compute_root(checkpoint.size, lambda level, index: levels[level][index]) != checkpoint.root:
            yield f"{description} over {checkpoint.size} entries does not match: one of them was changed"


def _find_tile_errors(
    read_export_file: ExportFileReader,
    entries: Sequence[bytes],
    levels: Sequence[Sequence[bytes]],
    tile_paths: Iterable[str],
) -> Iterator[str]:
    """Yield a sentence for each tile that does not match the entries, and for each file that is not a tile."""
    needed = {
        format_tile_path(str(level), number, width) for level, number, width in list_tiles(len(entries))
    }
    for path in sorted({*needed, *tile_paths}):
        tile = _find_tile(path, entries, levels)
        if tile is None:
            yield f"`{path}` is not a tile of this ledger"
        elif read_export_file(path) != tile:
            yield f"`{path}` does not match the entries"


def _find_tile(path: str, entries: Sequence[bytes], levels: Sequence[Sequence[bytes]]) -> bytes | None:
    """Return the content of the tile or the bundle at a path; None if the ledger has none."""
    tile = parse_tile_path(path, len(entries))
    if tile is None:
        return None
    level, number, width = tile
    first = number * TILE_WIDTH
    if path.startswith("tile/entries/"):
        return encode_entry_bundle(entries[first : first + width])
    return b"".join(levels[level * TILE_HEIGHT][first : first + width])


def _decode_full_bundle(bundle: bytes | None, width: int) -> list[bytes] | None:
    """Return the entries of a bundle; None if their number is not its width."""
    entries = None if bundle is None else decode_entry_bundle(bundle)
    return entries if entries is not None and len(entries) == width else None


def _build_levels(entries: Sequence[bytes]) -> list[list[bytes]]:
    """Return the nodes of the tree of entries, by level and index."""
    levels = [[hash_leaf(entry) for entry in entries]]
    while len(levels[-1]) > 1:
        level = levels[-1]
        levels.append([hash_node(*level[index : index + 2]) for index in range(0, len(level) - 1, 2)])
    return levels
