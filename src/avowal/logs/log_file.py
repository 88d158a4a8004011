"""Read log files as blocks of whole lines, also if they are compressed, in UTF-16, in JSON or damaged."""

import bz2
import codecs
import contextlib
import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self

import polars as pl
import zstandard

from avowal.errors import InvalidInputError, LogSourceError
from avowal.logs.json_documents import ByteStream, open_documents

BLOCK_BYTES = 16 * 1024 * 1024
"""The largest block of a log in memory, in bytes."""

LINE_BYTES_MAX = 64 * 1024
"""The longest line that is parsed, in bytes. No known server writes longer ones."""

READ_BYTES = 1024 * 1024

JSON_HEAD_BYTES = 16 * 1024
"""How many first bytes of a log show whether it is a JSON document."""

STANDARD_INPUT = Path("-")


@dataclass
class LogFile:
    """An open log: its decompressed bytes, in UTF-8 or a similar encoding, from the first byte on.

    `damage` says why reading stopped before the end. It contains no data of the log.
    """

    name: str
    stream: ByteStream
    raw_file: BinaryIO
    exit_stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    damage: str = ""
    lookahead: bytes = b""
    """Bytes that were read ahead. They are returned first."""

    def read(self, size: int) -> bytes:
        """Return `size` bytes, or fewer if the log ends or is damaged there."""
        return b"".join(self._parts(size))

    def read_lines(self, size: int) -> bytes:
        """Return the whole lines among the next `size` bytes, or all of these bytes if no line ends among them."""
        parts = self._parts(size)
        for index in range(len(parts) - 1, -1, -1):
            if end := parts[index].rfind(b"\n") + 1:
                self.lookahead = b"".join([parts[index][end:], *parts[index + 1 :], self.lookahead])
                parts[index:] = [parts[index][:end]]
                break
        return b"".join(parts)

    def _parts(self, size: int) -> list[bytes]:
        parts = [self.lookahead[:size]]
        self.lookahead = self.lookahead[size:]
        missing = size - len(parts[0])
        while missing and not self.damage:
            try:
                part = self.stream.read1(min(missing, READ_BYTES))
            except (EOFError, OSError, zlib.error, lzma.LZMAError, zstandard.ZstdError) as error:
                self.damage = _describe_damage(error)
                break
            if not part:
                break
            parts.append(part)
            missing -= len(part)
        return parts

    def peek(self, size: int) -> bytes:
        """Return the bytes that `read` will return next, without consuming them."""
        ahead = self.read(size)
        self.lookahead = ahead + self.lookahead
        return ahead

    def position(self) -> int:
        """Return how many bytes of the file on disk were read, before decompression."""
        return self.raw_file.tell() if self.raw_file.seekable() else 0

    @property
    def is_plain_file(self) -> bool:
        """Whether the log is neither compressed nor transcoded."""
        return isinstance(self.stream, io.BufferedReader)

    def seek(self, offset: int) -> None:
        """Continue at an offset of a plain file, also after more was written to it."""
        self.raw_file.seek(offset)
        self.lookahead = b""

    def close(self) -> None:
        """Close all underlying files."""
        self.exit_stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _describe_damage(error: Exception) -> str:
    """Describe the error of a decompressor without any content of the file."""
    if isinstance(error, EOFError):
        return "it ends in the middle of its compressed data"
    return f"its compressed data is damaged ({type(error).__name__})"


def open_log(path: Path) -> LogFile:
    """Open a log file, or standard input for `-`. Decompress and decode it as its first bytes say.

    Supports gzip, bzip2, xz, Zstandard (each also as several streams in sequence), UTF-16 and a UTF-8 byte order mark.
    Raises InvalidInputError if there is no such file, LogSourceError if it cannot be read.
    """
    exit_stack = contextlib.ExitStack()
    if path == STANDARD_INPUT:
        raw: BinaryIO = sys.stdin.buffer
    else:
        if path.is_dir():
            raise InvalidInputError(
                f"`{path}` is a folder", f"name the files in it: `{path}/*.log*`", code="not-a-file"
            )
        try:
            raw = exit_stack.enter_context(path.open("rb"))
        except FileNotFoundError:
            raise InvalidInputError(
                f"there is no file `{path}`", "check the spelling and the folder", code="file-missing"
            ) from None
        except OSError as error:
            raise LogSourceError(f"cannot read `{path}`: {error.strerror}", "check its permissions") from None
    buffered = io.BufferedReader(raw, READ_BYTES) if isinstance(raw, io.RawIOBase) else raw
    stream = _decompress(buffered, exit_stack)
    log = LogFile("standard input" if path == STANDARD_INPUT else str(path), stream, buffered, exit_stack)
    return _open_documents(_decode(log))


def _decompress(raw: BinaryIO, exit_stack: contextlib.ExitStack) -> ByteStream:
    magic = raw.peek(6)[:6] if isinstance(raw, io.BufferedReader) else b""
    if magic.startswith(b"\x1f\x8b"):
        return exit_stack.enter_context(gzip.GzipFile(fileobj=raw))
    if magic.startswith(b"BZh"):
        return exit_stack.enter_context(bz2.BZ2File(raw))
    if magic.startswith(b"\xfd7zXZ\x00"):
        return exit_stack.enter_context(lzma.LZMAFile(raw))
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        return _ZstandardStream(raw)
    return raw  # type: ignore[return-value]  # a BufferedReader has read1


@dataclass
class _ZstandardStream:
    """Decompresses Zstandard frames. Unlike the library's reader, it raises EOFError if the last frame is cut off."""

    raw: BinaryIO
    frame: Any = field(default_factory=lambda: zstandard.ZstdDecompressor().decompressobj())
    ahead: bytes = b""

    def read1(self, size: int, /) -> bytes:
        while not self.ahead:
            rest = self.frame.unused_data if self.frame.eof else b""
            part = rest or self.raw.read(READ_BYTES)
            if not part:
                if not self.frame.eof:
                    raise EOFError
                return b""
            if self.frame.eof:
                self.frame = zstandard.ZstdDecompressor().decompressobj()
            self.ahead = self.frame.decompress(part)
        part, self.ahead = self.ahead[:size], self.ahead[size:]
        return part


@dataclass
class _TranscodedStream:
    """Converts bytes of another encoding to UTF-8."""

    stream: ByteStream
    decoder: codecs.IncrementalDecoder

    def read1(self, size: int, /) -> bytes:
        while part := self.stream.read1(max(size // 3, 1)):
            if text := self.decoder.decode(part):
                return text.encode()
        return self.decoder.decode(b"", final=True).encode()


def _decode(log: LogFile) -> LogFile:
    """Decode UTF-16, and remove a UTF-8 byte order mark."""
    head = log.read(3)
    log.lookahead = head.removeprefix(codecs.BOM_UTF8)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        decoder = codecs.getincrementaldecoder("utf-16")(errors="replace")
        ahead = decoder.decode(head).encode()
        return replace(log, stream=_TranscodedStream(log.stream, decoder), lookahead=ahead)
    return log


def _open_documents(log: LogFile) -> LogFile:
    """Read the records of JSON documents as lines."""
    if not log.peek(JSON_BEGINNING_BYTES).lstrip().startswith((b"{", b"[")):
        return log
    if documents := open_documents(log.stream, log.peek(JSON_HEAD_BYTES)):
        return replace(log, stream=documents, lookahead=b"")
    return log


JSON_BEGINNING_BYTES = 64
"""How many first bytes of a log show whether it may be JSON: there can be blanks before the first bracket."""


class KeyedDigest(Protocol):
    """A keyed hash of the bytes of a log, from the first byte on."""

    def update(self, data: bytes, /) -> None:
        """Add bytes."""
        ...

    def hexdigest(self) -> str:
        """Return the hash of all bytes so far."""
        ...


@dataclass(frozen=True)
class LogBlock:
    """Consecutive lines of a log: the decompressed bytes from `start` to `end`.

    `oversized_lines` are the offset and length, in bytes, of lines that are not in `data`. `provisional` says that the
    block ends with the last line of the log and has no line feed: the server may still be writing that line.
    """

    start: int
    start_digest: str
    end: int
    end_digest: str
    data: bytes
    oversized_lines: tuple[tuple[int, int], ...] = ()
    provisional: bool = False

    def split_lines(self) -> pl.Series:
        """Return the lines as text, without line ends. A byte that is not UTF-8 is decoded as Latin-1."""
        if not self.data:
            return pl.Series([], dtype=pl.String)
        try:
            return _split(self.data)
        except pl.exceptions.ComputeError:
            return _split(self.data.decode("utf-8", errors="avowal-latin-1").encode())

    def locate_lines(self, lines: pl.Series) -> pl.DataFrame:
        """Return the `offset` and `length` of each line in bytes. `lines` is the result of `split_lines`."""
        lengths = lines.str.len_bytes()
        ends = len(lines) - (not self.data.endswith(b"\n"))
        if lengths.sum() + ends != len(self.data):  # carriage returns or Latin-1 bytes
            lengths = pl.Series([len(line) for line in self.data.removesuffix(b"\n").split(b"\n")])
        offsets = (lengths + 1).cum_sum().shift(1, fill_value=0) + self.start
        return pl.DataFrame([offsets.alias("offset"), lengths.alias("length")])


def _split(data: bytes) -> pl.Series:
    """Split lines. A line feed before the data keeps Polars from decompressing text that starts with a magic number."""
    if data[0] in COMPRESSION_MAGIC_BYTES:
        return pl.read_lines(io.BytesIO(b"\n" + data)).to_series().slice(1)
    return pl.read_lines(io.BytesIO(data)).to_series()


COMPRESSION_MAGIC_BYTES = b"\x1f\x28\x78\x42\xfd\x04"
"""The first bytes of gzip, Zstandard, zlib, bzip2, xz and LZ4 files. `(`, `x` and `B` are among them."""


def _as_latin_1(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("avowal-latin-1", _as_latin_1)


NO_OVERSIZED_LINES: tuple[tuple[int, int], ...] = ()


def read_blocks(log: LogFile, start: int, digest: KeyedDigest) -> Iterator[LogBlock]:
    """Read a log from its current position as blocks. `digest` is the digest of the `start` bytes before it.

    A block has at most BLOCK_BYTES. A line that does not fit is skipped and listed in `oversized_lines`.
    """
    start_digest = digest.hexdigest()
    while data := log.read_lines(BLOCK_BYTES):
        end, oversized_lines = start + len(data), NO_OVERSIZED_LINES
        provisional = not data.endswith(b"\n") and len(data) < BLOCK_BYTES
        if provisional or data.endswith(b"\n"):
            digest.update(data)
        else:
            length, has_line_feed, log.lookahead = _skip_line(log, data, digest)
            data, end, oversized_lines = b"", start + length + has_line_feed, ((start, length),)
        end_digest = digest.hexdigest()
        yield LogBlock(start, start_digest, end, end_digest, data, oversized_lines, provisional)
        start, start_digest = end, end_digest


def _skip_line(log: LogFile, data: bytes, digest: KeyedDigest) -> tuple[int, bool, bytes]:
    """Skip the rest of a line. Return its length in bytes, whether it ends with a line feed, and the bytes after it."""
    length = 0
    while data:
        line, line_feed, after = data.partition(b"\n")
        digest.update(line + line_feed)
        length += len(line)
        if line_feed:
            return length, True, after
        data = log.read(READ_BYTES)
    return length, False, b""
