"""The history of a policy: every version, and a readable difference between any two of them."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

from avowal.policy.document import Document
from avowal.policy.language import find_language
from avowal.policy.page import (
    PageVersion,
    describe_version_change,
    describe_version_changes,
    label_version,
    render_template,
)

_HEADING = re.compile(r"^#{1,6}[ \t]+", re.MULTILINE)


class DiffFragment(NamedTuple):
    """Words of a block that both documents have, or only the old or the new one."""

    kind: Literal["same", "old", "new"]
    text: str


def render_changes(
    old: PageVersion, new: PageVersion, documents: tuple[Document, Document], history_url: str
) -> str:
    """Return a page that tells two versions apart: in what they do, and in what they say; `history` is a link."""
    was, now = documents
    spoken = find_language(now.language)
    return render_template(
        "changes.html",
        now.language,
        title=now.title,
        old=label_version(old, spoken),
        new=label_version(new, spoken),
        change=describe_version_change(old, new, spoken),
        prose=list(diff_blocks(was.body, now.body)),
        history=history_url,
    )


def render_history(
    versions: Sequence[PageVersion],
    document: Document,
    comparison_urls: dict[tuple[int, int], str],
    now: datetime,
) -> str:
    """Return a page with every version, the newest first; `pairs` has the links of each two that are told apart.

    Of those that take effect after `now`, it says so.
    """
    spoken = find_language(document.language)
    compared: dict[int, list[tuple[int, str]]] = {}
    for (old, new), link in sorted(comparison_urls.items(), reverse=True):
        compared.setdefault(new, []).append((old, link))
    return render_template(
        "history.html",
        document.language,
        title=document.title,
        changes=describe_version_changes(versions, spoken),
        compared=compared,
        to_come={one.number for one in versions if one.effective_at > now},
    )


def diff_blocks(old: str, new: str) -> Iterator[list[DiffFragment]]:
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
        yield from ([DiffFragment("old", block)] for block in before[both:])
        yield from ([DiffFragment("new", block)] for block in after[both:])


def _pieces(old: str, new: str) -> list[DiffFragment]:
    """Take two blocks apart into what both have and what one has; each word goes with the space behind it."""
    was, now = (re.findall(r"[\u3000-\u9fff]|[^\s\u3000-\u9fff]+\s*|\s+", text) for text in (old, new))
    pieces: list[DiffFragment] = []
    for kind, *places in SequenceMatcher(None, was, now, autojunk=False).get_opcodes():
        before, after = "".join(was[places[0] : places[1]]), "".join(now[places[2] : places[3]])
        if kind == "equal":
            pieces.append(DiffFragment("same", before))
            continue
        pieces += [DiffFragment("old", before)] if before else []
        pieces += [DiffFragment("new", after)] if after else []
    return pieces
