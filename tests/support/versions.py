"""Versions and documents that tests publish."""

from datetime import datetime, timedelta

from avowal.policy.bounds import OPERATOR, OWN_USE, Cell, CompiledTerms
from avowal.register.register import PublishedDocument, Version

START = datetime(2026, 11, 1)  # noqa: DTZ001  # UTC without a zone
TERMS = CompiledTerms(
    {Cell("status", "abuse", OPERATOR, OWN_USE): {"full": None}}, {"may-see": 1}, vocabulary_identity="a" * 64
)
"""The terms of every version."""


def policy_version(number: int, days: float = 0) -> Version:
    """Return a version that takes effect some days after `START`."""
    canonical = TERMS.encode_canonical().decode()
    return Version(number, TERMS.identity, canonical, "# terms", START + timedelta(days=days), START)


def published_document(language: str = "en", text: str = "# Privacy") -> PublishedDocument:
    """Return a document of a version."""
    return PublishedDocument(language, text, START)
