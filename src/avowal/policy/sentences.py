"""Split the prose of a document into sentences with their lines, headings and lists."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from avowal.policy.document import Document
from avowal.policy.references import REFERENCE

_PLACE = "\ue000"
"""What stands in a text for a reference: a character for private use."""
_LIST_ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+")
_HEADING = re.compile(r"\s*#{1,6}\s*(?:\d+[.)]?\s+)?")
_SENTENCE = re.compile(r"\S.*?(?:[.!?;](?=[\s*_])|[\u3002\uff01\uff1f\uff1b]|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Sentence:
    """A sentence of a document."""

    line: int
    text: str
    """Its text, with `_PLACE` for each reference."""
    context: str
    """What stands before it in its paragraph or list item."""
    heading: str
    """The heading of its section."""
    is_heading: bool
    is_item: bool
    section: int


def split_sentences(document: Document) -> Iterator[Sentence]:
    """Yield the sentences of a document with their lines; headings and items of lists begin blocks of their own."""
    body = REFERENCE.sub(lambda match: match[0][1:] if match["escape"] else _PLACE, document.body)
    first = document.first_body_line
    heading, section = "", 0
    for line, text in _split_blocks(body):
        if match := _HEADING.match(text):
            heading, section = text[match.end() :], section + 1
            yield Sentence(
                first + line, heading, "", heading, is_heading=True, is_item=False, section=section
            )
            continue
        item = _LIST_ITEM.match(text)
        if item:
            text = " " * item.end() + text[item.end() :]  # noqa: PLW2901  # the number of an item is no part of the prose
        for match in _SENTENCE.finditer(text):
            yield Sentence(
                first + line + text.count("\n", 0, match.start()),
                match[0],
                text[: match.start()],
                heading,
                is_heading=False,
                is_item=bool(item),
                section=section,
            )


def _split_blocks(body: str) -> Iterator[tuple[int, str]]:
    """Yield the number of the first line, from 0, and the text of each paragraph, heading and item of a list."""
    block, start = list[str](), 0
    for number, line in enumerate([*body.split("\n"), ""]):
        begins = not line.strip() or _HEADING.match(line) or _LIST_ITEM.match(line)
        if begins and block:
            yield start, "\n".join(block)
            block = []
        if line.strip():
            start = start if block else number
            block.append(line)
            if _HEADING.match(line):
                yield start, line
                block = []
