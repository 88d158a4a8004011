"""Turn JSON documents into JSON lines: arrays, objects over many lines, several objects on a line.

Exports of log services are written like that: `[{…}, {…}]`, `{"records": [{…}, {…}]}`, or objects that are indented.
"""

import re
from dataclasses import dataclass
from typing import Protocol

RECORD_BYTES_MAX = 64 * 1024
"""The longest record that is put on one line, in bytes: as much as the longest line that is parsed."""

READ_BYTES = 256 * 1024

ENVELOPE_KEYS = (
    "records", "logs", "entries", "events", "logevents", "results", "data", "items", "value", "rows",
)  # fmt: skip
"""The keys, in lower case, of a list of records in an object."""

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|["{}\[\]]', re.DOTALL)
_LINE_END = re.compile(rb"\s*\n\s*")
_SEPARATORS = b" \t\r\n,[]{}"
_ARRAY = re.compile(rb"\s*\[\s*\{")
_ENVELOPE = re.compile(
    rb'\s*\{\s*(?:"[^"]*"\s*:\s*(?:"[^"]*"|[0-9]+|true|false|null)\s*,\s*){0,8}"(?i:'
    + "|".join(ENVELOPE_KEYS).encode()
    + rb')"\s*:\s*\[\s*\{'
)
_INDENTED = re.compile(rb"\s*\{\s*\n")
_SEVERAL_ON_A_LINE = re.compile(rb"\s*\{[^\n]*\}[ \t]*,?[ \t]*\{\"")


class ByteStream(Protocol):
    """The method that decompressors and files have in common."""

    def read1(self, size: int, /) -> bytes:
        """Return up to `size` bytes that are available now, or no bytes at the end."""
        ...


def open_documents(stream: ByteStream, head: bytes) -> ByteStream | None:
    """Return a stream of the records in the JSON documents of `stream`, or None if it has none.

    `head` has the first bytes, which the stream does not return again.
    """
    if _ARRAY.match(head):
        return JsonDocumentStream(stream, 1, head)
    if _ENVELOPE.match(head):
        return JsonDocumentStream(stream, 2, head)
    if _INDENTED.match(head):
        return JsonDocumentStream(stream, 0, head)
    if any(len(_split_objects(line)) > 1 for line in head.split(b"\n")[:SAMPLE_LINES]):
        return JoinedObjectStream(stream, head)
    return None


SAMPLE_LINES = 20
"""How many lines of a log show whether it has several objects on a line."""


@dataclass
class JsonDocumentStream:
    """Reads the records of JSON documents as lines, one for each."""

    stream: ByteStream
    record_depth: int
    """How many arrays and objects are around each record."""
    _rest: bytes
    _outer_depth: int = 0
    """How many arrays and objects are open where `_rest` begins."""
    _ready: bytes = b""

    def read1(self, size: int, /) -> bytes:
        """Return up to `size` bytes of lines."""
        while not self._ready:
            part = self.stream.read1(READ_BYTES)
            lines = self._find_records(self._rest + part, is_end=not part)
            self._ready = b"".join(line + b"\n" for line in lines)
            if not part:
                break
        part, self._ready = self._ready[:size], self._ready[size:]
        return part

    def _find_records(self, data: bytes, *, is_end: bool) -> list[bytes]:
        """Return the records in `data` as lines, and keep what is unfinished."""
        lines: list[bytes] = []
        depth, start, done = self._outer_depth, -1, 0
        for token in _TOKEN.finditer(data):
            match token[0]:
                case b"{" | b"[":
                    if depth == self.record_depth and start < 0:
                        lines += self._find_text(data[done : token.start()])
                        start = token.start()
                    depth += 1
                case b"}" | b"]":
                    depth = max(depth - 1, 0)
                    if start >= 0 and depth <= self.record_depth:
                        lines.append(_LINE_END.sub(b" ", data[start : token.end()]))
                        start = -1
                case b'"':  # a text that does not end here
                    break
            if start < 0:
                done, self._outer_depth = token.end(), depth
        rest = data[done if start < 0 else start :]
        self._outer_depth = self.record_depth if start >= 0 else self._outer_depth
        if is_end or len(rest) > RECORD_BYTES_MAX:
            lines += [line for line in rest.split(b"\n") if line.strip(_SEPARATORS)]
            rest, self._outer_depth = b"", 0
        self._rest = rest
        return lines

    def _find_text(self, between: bytes) -> list[bytes]:
        """Return the lines between two records that are no JSON. In an array or object there are none."""
        return (
            [line for line in between.split(b"\n") if line.strip(_SEPARATORS)]
            if not self.record_depth
            else []
        )


@dataclass
class JoinedObjectStream:
    """Reads JSON lines, and puts each of several objects on a line on a line of its own."""

    stream: ByteStream
    _rest: bytes
    _ready: bytes = b""

    def read1(self, size: int, /) -> bytes:
        """Return up to `size` bytes of lines."""
        while not self._ready:
            part = self.stream.read1(READ_BYTES)
            whole, line_feed, rest = (self._rest + part).rpartition(b"\n")
            if not part:
                whole, line_feed, rest = self._rest, b"", b""
            self._rest = rest
            objects = (b"\n".join(_split_objects(line)) for line in whole.split(b"\n"))
            self._ready = b"\n".join(objects) + line_feed
            if not part:
                break
        part, self._ready = self._ready[:size], self._ready[size:]
        return part


def _split_objects(line: bytes) -> list[bytes]:
    """Return the objects of a line that consists of whole objects; any other line as it is."""
    if not _SEVERAL_ON_A_LINE.match(line):
        return [line]
    objects, depth, start = [], 0, 0
    for token in _TOKEN.finditer(line):
        depth += {b"{": 1, b"[": 1, b"}": -1, b"]": -1}.get(token[0], 0)
        if token[0] == b"}" and depth == 0:
            objects.append(line[start : token.end()].strip(b", \t"))
            start = token.end()
    return [line] if depth or line[start:].strip(b", \t\r") else objects
