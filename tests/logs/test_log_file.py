"""Log files: compression, encodings and blocks."""

import bz2
import gzip
import hmac
import io
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from avowal.errors import InvalidInputError
from avowal.logs import log_file
from avowal.logs.log_file import LogBlock, open_log, read_blocks

TEXT = b"first line\nsecond line\nthird\n"


def digest() -> hmac.HMAC:
    return hmac.new(b"key", b"", "sha256")


def read_all_blocks(path: Path) -> list[LogBlock]:
    with open_log(path) as log:
        return list(read_blocks(log, 0, digest()))


@pytest.mark.parametrize(
    "compress",
    [
        bytes,
        gzip.compress,
        bz2.compress,
        lzma.compress,
        zstandard.ZstdCompressor().compress,
        lambda data: gzip.compress(data[:7]) + gzip.compress(data[7:]),
        lambda data: (
            zstandard.ZstdCompressor().compress(data[:7]) + zstandard.ZstdCompressor().compress(data[7:])
        ),
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.decode().encode("utf-16"),
        lambda data: b"\xfe\xff" + data.decode().encode("utf-16-be"),
    ],
    ids=["plain", "gz", "bz2", "xz", "zst", "gz joined", "zst joined", "UTF-8 mark", "UTF-16", "UTF-16 big"],
)
def test_compressed_and_encoded_logs_are_read(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    """A log gives the same lines however it was compressed or encoded."""
    path = tmp_path / "log"
    path.write_bytes(compress(TEXT))
    (block,) = read_all_blocks(path)
    assert block.split_lines().to_list() == ["first line", "second line", "third"]
    assert (block.start, block.end, block.data) == (0, len(TEXT), TEXT)


@pytest.mark.parametrize(
    "compress", [gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress]
)
def test_a_truncated_compressed_log_gives_its_beginning(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    """A compressed log that was cut off gives its beginning and no error, and is marked as damaged."""
    data = compress(b"".join(b"line %d\n" % number for number in range(200_000)))
    path = tmp_path / "log"
    path.write_bytes(data[: len(data) * 2 // 3])
    with open_log(path) as log:
        blocks = list(read_blocks(log, 0, digest()))
        damage = log.damage
    assert damage
    assert not blocks or blocks[0].data.startswith(b"line 0\nline 1\n")


def test_garbage_after_a_gzip_member_is_damage(tmp_path: Path) -> None:
    """The gzip member is read, and the log is marked as damaged."""
    path = tmp_path / "log"
    path.write_bytes(gzip.compress(TEXT) + b"rubbish")
    with open_log(path) as log:
        (block,) = read_blocks(log, 0, digest())
        assert log.damage
    assert block.data == TEXT


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    """The error has a hint."""
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(InvalidInputError) as error_info:
            open_log(path)
        assert error_info.value.hint


def test_bytes_that_are_not_utf8_are_read_as_latin_1(tmp_path: Path) -> None:
    """Only the line with such a byte is read as Latin-1."""
    path = tmp_path / "log"
    path.write_bytes(b"caf\xe9\ncaf\xc3\xa9\n")
    (block,) = read_all_blocks(path)
    assert block.split_lines().to_list() == ["café", "café"]
    assert block.locate_lines(block.split_lines()).rows() == [(0, 4), (5, 5)]


@given(
    st.binary(max_size=200).map(lambda data: data.replace(b"b", b"\n")),
    st.integers(min_value=3, max_value=40),
)
def test_blocks_cover_every_byte_once(data: bytes, size: int) -> None:
    """Blocks of any size follow each other without gaps, and their digests match."""
    before = log_file.BLOCK_BYTES
    log_file.BLOCK_BYTES = size
    try:
        raw = io.BufferedReader(io.BytesIO(data))
        blocks = list(read_blocks(log_file.LogFile("log", raw, raw), 0, digest()))
    finally:
        log_file.BLOCK_BYTES = before
    position = 0
    for block in blocks:
        assert block.start == position
        assert block.start_digest == hmac.new(b"key", data[: block.start], "sha256").hexdigest()
        assert block.end_digest == hmac.new(b"key", data[: block.end], "sha256").hexdigest()
        places = [(block.start, block.data)] if block.data else []
        assert all(data[start : start + len(block_data)] == block_data for start, block_data in places)
        assert all(b"\n" not in data[offset : offset + length] for offset, length in block.oversized_lines)
        position = block.end
    assert position == len(data)
    lines = sum(len(block.split_lines()) for block in blocks) + sum(
        len(read_block.oversized_lines) for read_block in blocks
    )
    assert lines == len(data.removesuffix(b"\n").split(b"\n")) if data else lines == 0
    assert [block.provisional for block in blocks] == [False] * (len(blocks) - 1) + (
        [not data.endswith(b"\n") and not blocks[-1].oversized_lines] if blocks else []
    )


def test_an_oversized_line_is_skipped_and_located(tmp_path: Path) -> None:
    """A line longer than a block is skipped with its position, and the lines around it are read."""
    path = tmp_path / "log"
    path.write_bytes(b"before\n" + b"x" * (40 * 1024 * 1024) + b"\nafter\n")
    blocks = read_all_blocks(path)
    assert [line for block in blocks for line in block.split_lines()] == ["before", "after"]
    assert [location for block in blocks for location in block.oversized_lines] == [(7, 40 * 1024 * 1024)]


@pytest.mark.parametrize(
    "start",
    [gzip.compress(b"GET", mtime=0), zstandard.ZstdCompressor().compress(b"a"), b"x\x9c", b"x^", b"BZh9"],
)
def test_a_line_that_looks_compressed_is_not_decompressed(start: bytes) -> None:
    """A block that begins with the magic number of a compressed file is split into lines unchanged."""
    block = LogBlock(0, "", 0, "", start.replace(b"\n", b"") + b"\nnext\n")
    assert block.split_lines().to_list()[-1] == "next"
    assert len(block.split_lines()) == 2
