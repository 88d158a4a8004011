"""The notice of a new version: what changes, and how long it is displayed where everybody sees it (V6)."""

from collections.abc import Iterable
from datetime import timedelta

from avowal.policy.compare import compare
from avowal.policy.describe import group_witnesses
from avowal.policy.language import find_language
from avowal.register.notices import Notice
from avowal.register.register import Version

NOTICE_DISPLAY_DURATION = timedelta(days=30)
"""How long a notice stays after its version took effect."""


def build_notices(old: Version, new: Version, languages: Iterable[str]) -> list[Notice]:
    """Word the notice of a version that follows on another, in each of its languages."""
    comparison = compare(old.compiled_terms, new.compiled_terms)
    return [
        Notice(
            new.number,
            tag,
            find_language(tag).translate_word("relation", comparison.relation),
            [line.describe(find_language(tag)) for line in group_witnesses(comparison.looser)],
            [line.describe(find_language(tag)) for line in group_witnesses(comparison.stricter)],
            new.published_at.date(),
            (new.effective_at + NOTICE_DISPLAY_DURATION).date(),
        )
        for tag in languages
    ]
