"""Adopts the first version of the policy and publishes later ones (V1 to V5 in `docs/spec/terms.md`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum

from avowal.change.notice import build_notices
from avowal.errors import RefusedError, TermsError
from avowal.policy.compare import Comparison, compare
from avowal.policy.document import Document, normalize_text
from avowal.policy.prose_check import ProseCheck, check_prose, encode_checks
from avowal.policy.references import render_document
from avowal.policy.terms import Terms, compile_terms
from avowal.register.register import (
    PROSE_CHECK_DOCUMENT,
    TERMS_DOCUMENT,
    PublishedDocument,
    Register,
    Version,
)


@dataclass(frozen=True)
class VersionDraft:
    """What a version would be made of: terms, the text of their file, and their documents by language."""

    terms: Terms
    terms_text: str
    documents: Mapping[str, Document]

    def build_version(self, number: int, effective_at: datetime, now: datetime) -> Version:
        """Build the version with a number and a time from which it is in force."""
        compiled = compile_terms(self.terms)
        canonical = compiled.encode_canonical().decode()
        return Version(number, compiled.identity, canonical, self.terms_text, effective_at, now)

    def require_documents(self) -> None:
        """Raise TermsError if there is no document in a language that the terms declare."""
        if missing := [language for language in self.terms.languages if language not in self.documents]:
            raise TermsError(
                f"there is no document in `{missing[0]}`, which the terms declare",
                f"put one in the folder of the terms, with `lang: {missing[0]}`",
                code="document-missing",
            )

    def build_pages(self, now: datetime) -> list[PublishedDocument]:
        """Return the documents in the languages that the terms declare, with their references rendered.

        Their lines end with line feeds. Raises TermsError if a document is missing, or if a reference names nothing.
        """
        self.require_documents()
        return [
            PublishedDocument(
                language, render_document(self.documents[language], self.terms).document.text, now
            )
            for language in self.terms.languages
        ]

    def check_prose(self) -> list[ProseCheck]:
        """Return the comparison of each document with the terms. Raises TermsError if a reference names nothing."""
        return [
            check_prose(self.documents[language], self.terms)
            for language in self.terms.languages
            if language in self.documents
        ]

    def build_record_of_checks(self, now: datetime) -> PublishedDocument:
        """Return what is recorded of the comparison, whose hash is what the operator acknowledged."""
        return PublishedDocument(PROSE_CHECK_DOCUMENT, encode_checks(self.check_prose()), now)


class PublishOutcome(StrEnum):
    """What publishing did."""

    PUBLISHED = "published"
    CORRECTED = "corrected"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class PublishResult:
    """What publishing did, the version, and its comparison with the version before."""

    outcome: PublishOutcome
    version: Version
    comparison: Comparison


def adopt_first_version(register: Register, draft: VersionDraft, now: datetime) -> Version:
    """Adopt the first version, in force from its date in the past (V3).

    Raises RefusedError if there is a version already, or if the date is in the future.
    """
    effective_at = compute_effective_at(draft.terms)
    if register.versions():
        raise RefusedError(
            "there is a version of the terms already: nothing was changed",
            "`avowal policy publish` publishes the next one",
            code="version-exists",
        )
    if effective_at > now:
        raise RefusedError(
            f"the terms are in force from {draft.terms.updated_on}, which is in the future",
            "write a past date as `updated` for the first version",
            code="date-in-future",
        )
    version = draft.build_version(1, effective_at, now)
    register.publish(version, [*draft.build_pages(now), draft.build_record_of_checks(now)])
    return version


def publish_version(
    register: Register, draft: VersionDraft, now: datetime, *, accept_weaker: bool
) -> PublishResult:
    """Publish a later version, in force from its date; from now on if that is today.

    `now` must be read within `register.publication_lock()`, so that nobody collects under the version before any more.
    Terms with the meaning of the last version make no new version (V1). If their documents, forms, controller or
    contact differ, these are recorded as its correction (V5), else nothing happens. Raises RefusedError if the rules of
    versions do not permit it, or if the terms protect less and `accept_weaker` is not set.
    """
    versions = register.versions()
    if not versions:
        raise RefusedError(
            "no version is in force yet",
            "`avowal policy adopt` adopts the first one",
            code="no-version-in-force",
        )
    last = versions[-1]
    compiled, pages = compile_terms(draft.terms), draft.build_pages(now)
    comparison = compare(last.compiled_terms, compiled)
    if compiled.identity == last.identity:
        published = {page.language: normalize_text(page.text) for page in register.documents(last.number)}
        corrections = [page for page in pages if published.get(page.language) != normalize_text(page.text)]
        if _needs_correction(last.terms, draft.terms):
            corrections.append(PublishedDocument(TERMS_DOCUMENT, draft.terms_text, now))
        if corrections:
            corrections.append(draft.build_record_of_checks(now))
            register.correct_documents(last.number, corrections)
        return PublishResult(
            PublishOutcome.CORRECTED if corrections else PublishOutcome.UNCHANGED, last, comparison
        )
    effective_at = now if draft.terms.updated_on == now.date() else compute_effective_at(draft.terms)
    _check_effective_at(draft.terms, effective_at, last, now)
    if not comparison.is_at_least_as_protective:
        _check_notice_period(effective_at, versions, now)
        if not accept_weaker:
            raise RefusedError(
                f"the terms weaken version {last.number} in {len(comparison.looser)} ways; "
                "data that was collected before keeps its protection",
                "read them (`avowal policy diff`), and publish with `--accept-weaker`",
                code="weaker-terms",
            )
    version = draft.build_version(last.number + 1, effective_at, now)
    languages = dict.fromkeys(page.language for page in (*pages, *register.documents(last.number)))
    record = draft.build_record_of_checks(now)
    register.publish(version, [*pages, record], build_notices(last, version, languages))
    return PublishResult(PublishOutcome.PUBLISHED, version, comparison)


def _needs_correction(published: Terms, draft: Terms) -> bool:
    """Return whether terms of the same meaning differ in what is used of them besides their bounds."""
    return any(
        getattr(published, name) != getattr(draft, name)
        for name in ("controller", "contact", "languages", "forms", "about")
    )


def withdraw_version(register: Register, version_number: int, now: datetime) -> None:
    """Withdraw the last version before it takes effect (V5). Raises StoreError for any other version.

    `now` must be read within `register.publication_lock()`, so that nobody collects under the version.
    """
    register.withdraw(version_number, now)


def compute_effective_at(terms: Terms) -> datetime:
    """Return the start of the day from which terms are in force (V2), in UTC without a zone."""
    return datetime.combine(terms.updated_on, time.min)


def _check_effective_at(terms: Terms, effective_at: datetime, last: Version, now: datetime) -> None:
    if effective_at < now:
        raise RefusedError(
            f"the terms are in force from {terms.updated_on}, which is in the past",
            "write the day from which they are in force as `updated`: today (UTC) or later",
            code="date-in-past",
        )
    if effective_at <= last.effective_at:
        raise RefusedError(
            f"version {last.number} takes effect at {last.effective_at:%Y-%m-%d %H:%M} UTC, this one earlier",
            "write a later day as `updated`, or withdraw that version (`avowal policy withdraw`)",
            code="version-out-of-order",
        )


def _check_notice_period(effective_at: datetime, versions: Sequence[Version], now: datetime) -> None:
    """Raise RefusedError if weaker terms take effect before the longest promised notice period is over (V4).

    That is of the version in force and of those that are scheduled: a shorter one that is still to come is none yet.
    """
    promising = [
        version
        for version, following in zip(versions, [*versions[1:], None], strict=True)
        if following is None or following.effective_at > now
    ]
    strictest = max(promising, key=lambda version: version.compiled_terms.duties.get("notice-days", 0))
    days = strictest.compiled_terms.duties.get("notice-days", 0)
    earliest = now.date() + timedelta(days=days)
    if effective_at.date() < earliest:
        raise RefusedError(
            f"version {strictest.number} promises {days} days of notice before weaker terms take effect",
            f"write {earliest} or a later day as `updated`",
            code="notice-too-short",
        )
