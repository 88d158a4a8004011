"""Tiles (C2SP tlog-tiles): the ledger as static files, which existing tools can read and a plain web server can serve.

A tile has up to 256 hashes of one level, a bundle up to 256 entries; one that is not full bears its width in its name.
Full ones never change.
"""

import re
import struct
from collections.abc import Iterator

TILE_WIDTH = 256
TILE_HEIGHT = 8
"""Levels of the tree between two levels of tiles."""

CHECKPOINT_FILE = "checkpoint"
_PATH = re.compile(
    r"tile/(?P<kind>entries|[0-7])/(?P<groups>(?:x\d{3}/){0,5}\d{3})(?:\.p/(?P<width>\d{1,3}))?", re.ASCII
)
ENTRY_BYTES_MAX = 0xFFFF
LENGTH_PREFIX_BYTES = 2


def format_tile_path(kind: str, number: int, width: int) -> str:
    """Return where a tile is: of a level, or `entries`.

    >>> path("0", 1234067, 256), path("entries", 5, 17)
    ('tile/0/x001/x234/067', 'tile/entries/005.p/17')
    """
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.insert(0, f"x{number % 1000:03d}")
    partial = f".p/{width}" if width < TILE_WIDTH else ""
    return f"tile/{kind}/{'/'.join(groups)}{partial}"


def parse_tile_path(path: str, tree_size: int) -> tuple[int, int, int] | None:
    """Return the level, number and width of the tile at a path, in a tree of some size; None where there is none.

    >>> parsed("tile/entries/001.p/88", 600), parsed("tile/1/000.p/2", 600), parsed("tile/0/002", 600)
    ((0, 1, 88), (1, 0, 2), None)
    """
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    level = 0 if found["kind"] == "entries" else int(found["kind"])
    number, width = int(found["groups"].replace("/", "").replace("x", "")), int(found["width"] or TILE_WIDTH)
    hashes = tree_size >> (TILE_HEIGHT * level)
    there = 0 < width <= TILE_WIDTH and number * TILE_WIDTH + width <= hashes
    return (
        (level, number, width) if there and format_tile_path(found["kind"], number, width) == path else None
    )


def list_tiles(tree_size: int) -> Iterator[tuple[int, int, int]]:
    """Yield each tile of a tree of some size, as its level, its number and its width.

    >>> list(spans(600))
    [(0, 0, 256), (0, 1, 256), (0, 2, 88), (1, 0, 2)]
    """
    level = 0
    while hashes := tree_size >> (TILE_HEIGHT * level):
        for start in range(0, hashes, TILE_WIDTH):
            yield level, start // TILE_WIDTH, min(TILE_WIDTH, hashes - start)
        level += 1


def encode_entry_bundle(entries: list[bytes]) -> bytes:
    """Return a bundle of entries, each behind its length in two bytes. Raises ValueError where one is too long."""
    if any(len(entry) > ENTRY_BYTES_MAX for entry in entries):
        raise ValueError(f"an entry is longer than {ENTRY_BYTES_MAX} bytes")
    return b"".join(struct.pack("!H", len(entry)) + entry for entry in entries)


def decode_entry_bundle(data: bytes) -> list[bytes] | None:
    r"""Return the entries of a bundle; None where it is none.

    >>> unbundled(bundle([b"a", b""])), unbundled(b"\0")
    ([b'a', b''], None)
    """
    entries, at = [], 0
    while at < len(data):
        if at + LENGTH_PREFIX_BYTES > len(data):
            return None
        length = int.from_bytes(data[at : at + LENGTH_PREFIX_BYTES], "big")
        entries.append(data[at + LENGTH_PREFIX_BYTES : at + LENGTH_PREFIX_BYTES + length])
        at += LENGTH_PREFIX_BYTES + length
    return entries if at == len(data) else None
