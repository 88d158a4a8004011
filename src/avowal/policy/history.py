"""Pages about the versions of a policy: the list of all versions, and the differences between any two."""

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
    """Text of a block that both documents have, or only the old or the new one."""

    kind: Literal["same", "old", "new"]
    text: str


def render_changes(
    old: PageVersion, new: PageVersion, documents: tuple[Document, Document], history_url: str
) -> str:
    """Return a page with the differences between two versions, in their terms and in their documents.

    The page links to `history_url`, and is in the language of the new document.
    """
    old_document, new_document = documents
    language = find_language(new_document.language)
    return render_template(
        "changes.html",
        new_document.language,
        title=new_document.title,
        old=label_version(old, language),
        new=label_version(new, language),
        change=describe_version_change(old, new, language),
        prose=list(diff_blocks(old_document.body, new_document.body)),
        history=history_url,
    )


def render_history(
    versions: Sequence[PageVersion],
    document: Document,
    comparison_urls: dict[tuple[int, int], str],
    now: datetime,
) -> str:
    """Return a page with every version, the newest first. Versions that take effect after `now` are marked.

    `comparison_urls` has the page that compares each pair of versions, by their old and new numbers.
    """
    language = find_language(document.language)
    comparisons: dict[int, list[tuple[int, str]]] = {}
    for (old, new), url in sorted(comparison_urls.items(), reverse=True):
        comparisons.setdefault(new, []).append((old, url))
    return render_template(
        "history.html",
        document.language,
        title=document.title,
        changes=describe_version_changes(versions, language),
        comparisons=comparisons,
        future_versions={version.number for version in versions if version.effective_at > now},
    )


def diff_blocks(old: str, new: str) -> Iterator[list[DiffFragment]]:
    r"""Yield the blocks of Markdown (paragraphs, headings, lists) that differ; word by word if both texts have one.

    >>> for fragments in diff_blocks("# A\n\nWe keep it.", "# A\n\nWe never keep it."):
    ...     print([(fragment.kind, fragment.text) for fragment in fragments])
    [('same', 'We '), ('new', 'never '), ('same', 'keep it.')]
    """
    old_blocks, new_blocks = (re.split(r"\n\s*\n", _HEADING.sub("", text.strip())) for text in (old, new))
    matcher = SequenceMatcher(None, old_blocks, new_blocks, autojunk=False)
    for kind, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        if kind == "equal":
            continue
        removed, added = old_blocks[old_start:old_end], new_blocks[new_start:new_end]
        pairs = min(len(removed), len(added))
        for old_block, new_block in zip(removed[:pairs], added[:pairs], strict=True):
            yield _diff_words(old_block, new_block)
        yield from ([DiffFragment("old", block)] for block in removed[pairs:])
        yield from ([DiffFragment("new", block)] for block in added[pairs:])


def _diff_words(old: str, new: str) -> list[DiffFragment]:
    """Return the fragments of two blocks. A word includes the space after it; Han and kana are split by character."""
    old_words, new_words = (
        re.findall(r"[\u3000-\u9fff]|[^\s\u3000-\u9fff]+\s*|\s+", text) for text in (old, new)
    )
    fragments: list[DiffFragment] = []
    matcher = SequenceMatcher(None, old_words, new_words, autojunk=False)
    for kind, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        removed, added = "".join(old_words[old_start:old_end]), "".join(new_words[new_start:new_end])
        if kind == "equal":
            fragments.append(DiffFragment("same", removed))
            continue
        fragments += [DiffFragment("old", removed)] if removed else []
        fragments += [DiffFragment("new", added)] if added else []
    return fragments
