"""Notices of new versions: what changes, and for how long that is displayed on the site (V6)."""

from collections.abc import Iterable
from datetime import timedelta

from avowal.policy.describe import describe_looser_and_stricter
from avowal.policy.language import find_language
from avowal.register.notices import Notice
from avowal.register.register import Version

NOTICE_DISPLAY_DURATION = timedelta(days=30)
"""How long a notice is displayed after its version takes effect."""


def build_notices(old: Version, new: Version, languages: Iterable[str]) -> list[Notice]:
    """Return the notice of a version that follows another one, in each of its languages."""
    return [_build_notice(old, new, tag) for tag in languages]


def _build_notice(old: Version, new: Version, language_tag: str) -> Notice:
    language = find_language(language_tag)
    difference = describe_looser_and_stricter(old.compiled_terms, new.compiled_terms, language)
    return Notice(
        new.number,
        language_tag,
        language.translate_word("relation", difference.relation),
        difference.looser,
        difference.stricter,
        new.published_at.date(),
        (new.effective_at + NOTICE_DISPLAY_DURATION).date(),
    )
