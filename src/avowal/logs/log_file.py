"""Log files as they lie about: compressed, in another encoding, unfinished, damaged; read as blocks of whole lines."""

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

BLOCK_BYTES = 16 * 1024 * 1024
"""How much of a log is in memory as one piece."""

LINE_BYTES_MAX = 64 * 1024
"""A longer line is no log line of any server known: it becomes a dead letter."""

READ_BYTES = 1024 * 1024

STANDARD_INPUT = Path("-")


class ByteStream(Protocol):
    """What decompressors have in common with files."""

    def read1(self, size: int, /) -> bytes:
        """Return at most `size` bytes, as many as are at hand; none at the end."""
        ...


@dataclass
class LogFile:
    """A log open for reading: its decompressed bytes, in UTF-8 or nearly so, from the first on.

    `damage` says what ended it before its end, and holds nothing of what it contains.
    """

    name: str
    stream: ByteStream
    raw_file: BinaryIO
    exit_stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    damage: str = ""
    lookahead: bytes = b""
    """What was read ahead, and is to be read first."""

    def read(self, size: int) -> bytes:
        """Return `size` bytes, or fewer at the end or at the damage."""
        return b"".join(self._parts(size))

    def read_lines(self, size: int) -> bytes:
        """Return the whole lines among the next `size` bytes; all of these where no line ends among them."""
        parts = self._parts(size)
        for place in range(len(parts) - 1, -1, -1):
            if cut := parts[place].rfind(b"\n") + 1:
                self.lookahead = b"".join([parts[place][cut:], *parts[place + 1 :], self.lookahead])
                parts[place:] = [parts[place][:cut]]
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
                self.damage = _damage(error)
                break
            if not part:
                break
            parts.append(part)
            missing -= len(part)
        return parts

    def peek(self, size: int) -> bytes:
        """Return what `read` will return, and leave it there."""
        self.lookahead = self.read(size)
        return self.lookahead

    def position(self) -> int:
        """Return how many bytes of the file, as it lies on the disk, were read."""
        return self.raw_file.tell() if self.raw_file.seekable() else 0

    @property
    def is_plain_file(self) -> bool:
        """Whether its bytes are those of the file, neither compressed nor in another encoding."""
        return isinstance(self.stream, io.BufferedReader)

    def seek(self, offset: int) -> None:
        """Go to an offset of a log that is neither compressed nor recoded, to see what was added since."""
        self.raw_file.seek(offset)
        self.lookahead = b""

    def close(self) -> None:
        """Close every file beneath."""
        self.exit_stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _damage(error: Exception) -> str:
    """Tell a decompressor's error in words that hold nothing of the file."""
    if isinstance(error, EOFError):
        return "it ends in the middle of its compressed data"
    return f"its compressed data is damaged ({type(error).__name__})"


def open_log(path: Path) -> LogFile:
    """Open a log file, or standard input for `-`, and undo its compression and encoding by its first bytes.

    Knows gzip, bzip2, xz, Zstandard (each also as several joined), UTF-16 and a UTF-8 mark.
    Raises InvalidInputError where there is no such file, LogSourceError where it may not be read.
    """
    closing = contextlib.ExitStack()
    if path == STANDARD_INPUT:
        raw: BinaryIO = sys.stdin.buffer
    else:
        if path.is_dir():
            raise InvalidInputError(
                f"`{path}` is a folder", f"name the files in it: `{path}/*.log*`", code="not-a-file"
            )
        try:
            raw = closing.enter_context(path.open("rb"))
        except FileNotFoundError:
            raise InvalidInputError(
                f"there is no file `{path}`", "look at its spelling and folder", code="file-missing"
            ) from None
        except OSError as error:
            raise LogSourceError(
                f"`{path}` cannot be read: {error.strerror}", "look at its permissions"
            ) from None
    buffered = io.BufferedReader(raw, READ_BYTES) if isinstance(raw, io.RawIOBase) else raw
    stream = _decompress(buffered, closing)
    log = LogFile("standard input" if path == STANDARD_INPUT else str(path), stream, buffered, closing)
    return _decode(log)


def _decompress(raw: BinaryIO, closing: contextlib.ExitStack) -> ByteStream:
    magic = raw.peek(6)[:6] if isinstance(raw, io.BufferedReader) else b""
    if magic.startswith(b"\x1f\x8b"):
        return closing.enter_context(gzip.GzipFile(fileobj=raw))
    if magic.startswith(b"BZh"):
        return closing.enter_context(bz2.BZ2File(raw))
    if magic.startswith(b"\xfd7zXZ\x00"):
        return closing.enter_context(lzma.LZMAFile(raw))
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        return _ZstandardStream(raw)
    return raw  # type: ignore[return-value]  # a BufferedReader has read1


@dataclass
class _ZstandardStream:
    """Zstandard frames, one behind the other; unlike the library's own reader, it notices that the last one was cut."""

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
    """Bytes of another encoding as UTF-8."""

    stream: ByteStream
    decoder: codecs.IncrementalDecoder

    def read1(self, size: int, /) -> bytes:
        while part := self.stream.read1(max(size // 3, 1)):
            if text := self.decoder.decode(part):
                return text.encode()
        return self.decoder.decode(b"", final=True).encode()


def _decode(log: LogFile) -> LogFile:
    """Undo UTF-16, and take away a UTF-8 mark."""
    head = log.read(3)
    log.lookahead = head.removeprefix(codecs.BOM_UTF8)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        decoder = codecs.getincrementaldecoder("utf-16")(errors="replace")
        ahead = decoder.decode(head).encode()
        return replace(log, stream=_TranscodedStream(log.stream, decoder), lookahead=ahead)
    return log


class KeyedDigest(Protocol):
    """A keyed hash of a log's bytes from the first on."""

    def update(self, data: bytes, /) -> None:
        """Take in more bytes."""
        ...

    def hexdigest(self) -> str:
        """Return the hash of all that was taken in so far."""
        ...


@dataclass(frozen=True)
class LogBlock:
    """Some lines of a log, one after the other, in the decompressed bytes from `start` to `end`.

    `too_long` are lines that were left out of `data`: their offset and length in bytes. `provisional` is the last
    line of a log that does not end with a line feed: the log may yet go on writing it.
    """

    start: int
    start_digest: str
    end: int
    end_digest: str
    data: bytes
    oversized_lines: tuple[tuple[int, int], ...] = ()
    provisional: bool = False

    def split_lines(self) -> pl.Series:
        """Return its lines as text, without line ends; a byte that is no UTF-8 is read as Latin-1."""
        if not self.data:
            return pl.Series([], dtype=pl.String)
        try:
            return _split(self.data)
        except pl.exceptions.ComputeError:
            return _split(self.data.decode("utf-8", errors="avowal-latin-1").encode())

    def locate_lines(self, lines: pl.Series) -> pl.DataFrame:
        """Return the `offset` and the `length` of each line in bytes; `lines` are its `lines()`."""
        lengths = lines.str.len_bytes()
        ends = len(lines) - (not self.data.endswith(b"\n"))
        if lengths.sum() + ends != len(self.data):  # what the lines' text does not tell
            lengths = pl.Series([len(line) for line in self.data.removesuffix(b"\n").split(b"\n")])
        offsets = (lengths + 1).cum_sum().shift(1, fill_value=0) + self.start
        return pl.DataFrame([offsets.alias("offset"), lengths.alias("length")])


def _split(data: bytes) -> pl.Series:
    """Split lines. What could be the magic number of a compressed file, Polars would undo: a line feed hides it."""
    if data[0] in COMPRESSION_MAGIC_BYTES:
        return pl.read_lines(io.BytesIO(b"\n" + data)).to_series().slice(1)
    return pl.read_lines(io.BytesIO(data)).to_series()


COMPRESSION_MAGIC_BYTES = b"\x1f\x28\x78\x42\xfd\x04"
"""First bytes of gzip, Zstandard, zlib, bzip2, xz and LZ4 files; `(`, `x` and `B` among them."""


def _as_latin_1(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("avowal-latin-1", _as_latin_1)


NO_OVERSIZED_LINES: tuple[tuple[int, int], ...] = ()


def read_blocks(log: LogFile, start: int, digest: KeyedDigest) -> Iterator[LogBlock]:
    """Read a log from where it stands, at offset `start` and with the digest of what comes before, as blocks.

    Memory is bounded by BLOCK_BYTES: a line that does not end within one is skipped over, and named in `too_long`.
    """
    start_digest = digest.hexdigest()
    while data := log.read_lines(BLOCK_BYTES):
        end, too_long = start + len(data), NO_OVERSIZED_LINES
        provisional = not data.endswith(b"\n") and len(data) < BLOCK_BYTES
        if provisional or data.endswith(b"\n"):
            digest.update(data)
        else:
            length, ended, log.lookahead = _skip_line(log, data, digest)
            data, end, too_long = b"", start + length + ended, ((start, length),)
        end_digest = digest.hexdigest()
        yield LogBlock(start, start_digest, end, end_digest, data, too_long, provisional)
        start, start_digest = end, end_digest


def _skip_line(log: LogFile, data: bytes, digest: KeyedDigest) -> tuple[int, bool, bytes]:
    """Read on to the end of a line; return its length in bytes, whether it ended, and what was read behind it."""
    length = 0
    while data:
        line, ended, behind = data.partition(b"\n")
        digest.update(line + ended)
        length += len(line)
        if ended:
            return length, True, behind
        data = log.read(READ_BYTES)
    return length, False, b""
