"""Tiles (C2SP tlog-tiles): the ledger as static files, which existing tools can read and any web server can serve.

A tile has up to 256 hashes of one level of the tree, an entry bundle up to 256 entries. The name of a partial tile or
bundle includes its width. Full ones never change.
"""

import re
import struct
from collections.abc import Iterator, Sequence

TILE_WIDTH = 256
TILE_HEIGHT = 8
"""The number of levels of the tree from one level of tiles to the next."""

CHECKPOINT_FILE = "checkpoint"
_PATH = re.compile(
    r"tile/(?P<kind>entries|[0-7])/(?P<groups>(?:x\d{3}/){0,5}\d{3})(?:\.p/(?P<width>\d{1,3}))?", re.ASCII
)
ENTRY_BYTES_MAX = 0xFFFF
LENGTH_PREFIX_BYTES = 2


def format_tile_path(kind: str, number: int, width: int) -> str:
    """Return the path of a tile; `kind` is its level, or `entries` for an entry bundle.

    >>> format_tile_path("0", 1234067, 256), format_tile_path("entries", 5, 17)
    ('tile/0/x001/x234/067', 'tile/entries/005.p/17')
    """
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.insert(0, f"x{number % 1000:03d}")
    partial = f".p/{width}" if width < TILE_WIDTH else ""
    return f"tile/{kind}/{'/'.join(groups)}{partial}"


def parse_tile_path(path: str, tree_size: int) -> tuple[int, int, int] | None:
    """Return the level, number and width of the tile at a path; None if a tree of that size has no such tile.

    The level of an entry bundle is 0.

    >>> parse_tile_path("tile/entries/001.p/88", 600), parse_tile_path("tile/1/000.p/2", 600)
    ((0, 1, 88), (1, 0, 2))
    >>> parse_tile_path("tile/0/002", 600)
    """
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    level = 0 if match["kind"] == "entries" else int(match["kind"])
    number, width = int(match["groups"].replace("/", "").replace("x", "")), int(match["width"] or TILE_WIDTH)
    hashes = tree_size >> (TILE_HEIGHT * level)
    exists = 0 < width <= TILE_WIDTH and number * TILE_WIDTH + width <= hashes
    is_canonical = format_tile_path(match["kind"], number, width) == path
    return (level, number, width) if exists and is_canonical else None


def list_tiles(tree_size: int) -> Iterator[tuple[int, int, int]]:
    """Yield the level, number and width of each tile of a tree of a size, without its entry bundles.

    >>> list(list_tiles(600))
    [(0, 0, 256), (0, 1, 256), (0, 2, 88), (1, 0, 2)]
    """
    level = 0
    while hashes := tree_size >> (TILE_HEIGHT * level):
        for start in range(0, hashes, TILE_WIDTH):
            yield level, start // TILE_WIDTH, min(TILE_WIDTH, hashes - start)
        level += 1


def encode_entry_bundle(entries: Sequence[bytes]) -> bytes:
    """Return entries as a bundle, each after its length in two bytes. Raises ValueError if one is too long."""
    if any(len(entry) > ENTRY_BYTES_MAX for entry in entries):
        raise ValueError(f"an entry is longer than {ENTRY_BYTES_MAX} bytes")
    return b"".join(struct.pack("!H", len(entry)) + entry for entry in entries)


def decode_entry_bundle(data: bytes) -> list[bytes] | None:
    r"""Return the entries of a bundle; None if the data is not a bundle.

    >>> decode_entry_bundle(encode_entry_bundle([b"a", b""])), decode_entry_bundle(b"\0")
    ([b'a', b''], None)
    """
    entries, offset = [], 0
    while offset < len(data):
        start = offset + LENGTH_PREFIX_BYTES
        if start > len(data):
            return None
        length = int.from_bytes(data[offset:start], "big")
        entries.append(data[start : start + length])
        offset = start + length
    return entries if offset == len(data) else None
