"""The tiles of an exported ledger: a reader that knows only the standard finds every entry and the root."""

import base64
import struct
from pathlib import Path

import pytest

from avowal.ledger.tiles import ENTRY_BYTES_MAX, encode_entry_bundle, format_tile_path
from avowal.ledger.tree import hash_leaf, hash_node
from avowal.register.register import Register
from support.ledgers import append_withdrawals


def compute_rfc6962_root(leaves: list[bytes]) -> bytes:
    """Return a root as RFC 6962 defines it."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hash_node(compute_rfc6962_root(leaves[:half]), compute_rfc6962_root(leaves[half:]))


def read_tiles(folder: Path, kind: str, count: int) -> bytes:
    """Return the content of all tiles of a kind, joined in order."""
    parts = []
    for number in range(-(-count // 256)):
        width = min(256, count - 256 * number)
        name = f"{number:03d}" if width == 256 else f"{number:03d}.p/{width}"  # a full tile
        parts.append((folder / "tile" / kind / name).read_bytes())
    return b"".join(parts)


def test_a_standard_reader_finds_every_entry(tmp_path: Path) -> None:
    """While the ledger grows, its files lead to the signed root; a full tile is written only once."""
    register = Register(tmp_path / "data", tmp_path / "keys")
    folder = tmp_path / "static"
    assert register.ledger.export(folder) == 0
    sizes = [1, 3, 255, 256, 257, 700]
    for start, size in zip([0, *sizes], sizes, strict=False):
        append_withdrawals(register, start, size)
        file_count = register.ledger.export(folder)
        assert register.ledger.export(folder) == 0 < file_count
        origin, size_line, root = (folder / "checkpoint").read_text().split("\n")[:3]
        assert (origin, size_line) == (register.ledger.signer.name, str(size))
        data, entries = read_tiles(folder, "entries", size), []
        while data:
            (length,) = struct.unpack("!H", data[:2])
            entries.append(data[2 : 2 + length])
            data = data[2 + length :]
        assert len(entries) == size
        hashes = read_tiles(folder, "0", size)
        leaves = [hashes[start_byte : start_byte + 32] for start_byte in range(0, len(hashes), 32)]
        assert leaves == [hash_leaf(entry) for entry in entries]
        assert compute_rfc6962_root(leaves) == base64.b64decode(root)
        if size >= 256:  # a full tile
            upper_hashes = read_tiles(folder, "1", size // 256)
            assert upper_hashes[:32] == compute_rfc6962_root(leaves[:256])
    full = folder / "tile" / "0" / "000"
    before = full.stat().st_mtime_ns
    register.ledger.export(folder)
    assert full.stat().st_mtime_ns == before
    register.close()


def test_tile_paths_follow_the_standard() -> None:
    """The number in a tile path has groups of three digits; all but the last begin with `x`."""
    assert format_tile_path("1", 0, 256) == "tile/1/000"
    assert format_tile_path("entries", 1_000_000, 3) == "tile/entries/x001/x000/000.p/3"


def test_an_entry_that_is_too_long_for_a_bundle_is_refused() -> None:
    """An entry whose length does not fit into two bytes is refused."""
    assert encode_entry_bundle([b"a" * ENTRY_BYTES_MAX])[:2] == b"\xff\xff"
    with pytest.raises(ValueError, match="longer than 65535"):
        encode_entry_bundle([b"a" * (ENTRY_BYTES_MAX + 1)])
