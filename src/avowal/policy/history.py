"""The history of a policy: every version, and a readable difference between any two of them."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

from avowal.policy.document import Document
from avowal.policy.language import language
from avowal.policy.page import Shown, change, listed, rendered, version

_HEADING = re.compile(r"^#{1,6}[ \t]+", re.MULTILINE)


class Piece(NamedTuple):
    """Words of a block that both documents have, or only the old or the new one."""

    kind: Literal["same", "old", "new"]
    text: str


def changes(old: Shown, new: Shown, documents: tuple[Document, Document], history: str) -> str:
    """Return a page that tells two versions apart: in what they do, and in what they say; `history` is a link."""
    was, now = documents
    spoken = language(now.language)
    return rendered(
        "changes.html",
        now.language,
        title=now.title,
        old=version(old, spoken),
        new=version(new, spoken),
        change=change(old, new, spoken),
        prose=list(differing(was.body, now.body)),
        history=history,
    )


def history(
    versions: Sequence[Shown], document: Document, pairs: dict[tuple[int, int], str], now: datetime
) -> str:
    """Return a page with every version, the newest first; `pairs` has the links of each two that are told apart.

    Of those that take effect after `now`, it says so.
    """
    spoken = language(document.language)
    compared: dict[int, list[tuple[int, str]]] = {}
    for (old, new), link in sorted(pairs.items(), reverse=True):
        compared.setdefault(new, []).append((old, link))
    return rendered(
        "history.html",
        document.language,
        title=document.title,
        changes=listed(versions, spoken),
        compared=compared,
        to_come={one.number for one in versions if one.effective_at > now},
    )


def differing(old: str, new: str) -> Iterator[list[Piece]]:
    r"""Yield the blocks (paragraphs, headings, lists) of Markdown that differ, word by word where both have one.

    >>> list(differing("# A\n\nWe keep it.", "# A\n\nWe never keep it."))
    [[Piece(kind='same', text='We '), Piece(kind='new', text='never '), Piece(kind='same', text='keep it.')]]
    """
    was, now = (re.split(r"\n\s*\n", _HEADING.sub("", text.strip())) for text in (old, new))
    for kind, *places in SequenceMatcher(None, was, now, autojunk=False).get_opcodes():
        before, after = was[places[0] : places[1]], now[places[2] : places[3]]
        if kind == "equal":
            continue
        both = min(len(before), len(after))
        for one, other in zip(before[:both], after[:both], strict=True):
            yield _pieces(one, other)
        yield from ([Piece("old", block)] for block in before[both:])
        yield from ([Piece("new", block)] for block in after[both:])


def _pieces(old: str, new: str) -> list[Piece]:
    """Take two blocks apart into what both have and what one has; each word goes with the space behind it."""
    was, now = (re.findall(r"[\u3000-\u9fff]|[^\s\u3000-\u9fff]+\s*|\s+", text) for text in (old, new))
    pieces: list[Piece] = []
    for kind, *places in SequenceMatcher(None, was, now, autojunk=False).get_opcodes():
        before, after = "".join(was[places[0] : places[1]]), "".join(now[places[2] : places[3]])
        if kind == "equal":
            pieces.append(Piece("same", before))
            continue
        pieces += [Piece("old", before)] if before else []
        pieces += [Piece("new", after)] if after else []
    return pieces
