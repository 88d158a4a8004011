"""The notice of a new version: what changes, and how long it is displayed where everybody sees it (V6)."""

from collections.abc import Iterable
from datetime import timedelta

from avowal.policy.compare import compare
from avowal.policy.describe import differences
from avowal.policy.language import language
from avowal.register.notices import Notice
from avowal.register.register import Version

DISPLAYED = timedelta(days=30)
"""How long a notice stays after its version took effect."""


def notices(old: Version, new: Version, languages: Iterable[str]) -> list[Notice]:
    """Word the notice of a version that follows on another, in each of its languages."""
    comparison = compare(old.promised, new.promised)
    return [
        Notice(
            new.number,
            tag,
            language(tag).word("relation", comparison.relation),
            [line.sentence(language(tag)) for line in differences(comparison.looser)],
            [line.sentence(language(tag)) for line in differences(comparison.stricter)],
            new.published_at.date(),
            (new.effective_at + DISPLAYED).date(),
        )
        for tag in languages
    ]
