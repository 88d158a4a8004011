"""Adopting the first version and publishing later ones, by the law of versions (`docs/spec/terms.md`, V1 to V5)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum

from avowal.change.notice import build_notices
from avowal.errors import RefusedError, TermsError
from avowal.policy.compare import Comparison, compare
from avowal.policy.document import Document
from avowal.policy.terms import Terms, compile_terms
from avowal.register.register import PublishedDocument, Register, Version


@dataclass(frozen=True)
class VersionDraft:
    """What would be promised: terms, the text that they stand in, and their documents by language."""

    terms: Terms
    terms_text: str
    documents: Mapping[str, Document]

    def build_version(self, number: int, effective_at: datetime, now: datetime) -> Version:
        """Return the version that this would be."""
        compiled = compile_terms(self.terms)
        canonical = compiled.encode_canonical().decode()
        return Version(number, compiled.identity, canonical, self.terms_text, effective_at, now)

    def build_pages(self, now: datetime) -> list[PublishedDocument]:
        """Return its documents in the languages that the terms declare. Raises TermsError where one is missing."""
        if missing := [language for language in self.terms.languages if language not in self.documents]:
            raise TermsError(
                f"there is no document in `{missing[0]}`, which the terms declare",
                f"put one beside the terms, with `lang: {missing[0]}`",
                code="document-missing",
            )
        return [
            PublishedDocument(language, self.documents[language].text, now)
            for language in self.terms.languages
        ]


class PublishOutcome(StrEnum):
    """What publishing did."""

    PUBLISHED = "published"
    CORRECTED = "corrected"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class PublishResult:
    """What publishing did, to which version, and how that stands to the one before it."""

    outcome: PublishOutcome
    version: Version
    comparison: Comparison


def adopt_first_version(register: Register, draft: VersionDraft, now: datetime) -> Version:
    """Take the first version into force, as of the past date that it bears (V3).

    Raises RefusedError where there is a version already, or the date is still to come.
    """
    effective_at = compute_effective_at(draft.terms)
    if register.versions():
        raise RefusedError(
            "a version of the terms is in force already, and nothing was changed",
            "`avowal policy publish` takes a later one into force",
            code="version-exists",
        )
    if effective_at > now:
        raise RefusedError(
            f"the terms hold from {draft.terms.updated_on}, which is still to come",
            "the first version bears a past date: write that as `updated`",
            code="date-in-future",
        )
    version = draft.build_version(1, effective_at, now)
    register.publish(version, draft.build_pages(now))
    register.ledger.sign_checkpoint()
    return version


def publish_version(
    register: Register, draft: VersionDraft, now: datetime, *, accept_witnesses: bool
) -> PublishResult:
    """Publish a later version, from the day that it bears on: from now on where that is today.

    The terms of the last version again are no new one (V1): documents that say something else are recorded as its
    correction (V5), and else nothing happens. Raises RefusedError where the law of versions stands against it, or what
    protects less is not accepted.
    """
    versions = register.versions()
    if not versions:
        raise RefusedError(
            "no version is in force yet",
            "`avowal policy adopt` takes the first one into force, with its past date",
            code="no-version-in-force",
        )
    last = versions[-1]
    compiled, pages = compile_terms(draft.terms), draft.build_pages(now)
    comparison = compare(last.compiled_terms, compiled)
    if compiled.identity == last.identity:
        shown = {page.language: page.text for page in register.documents(last.number)}
        changed = [page for page in pages if shown.get(page.language) != page.text]
        if changed:
            register.correct_documents(last.number, changed)
        register.ledger.sign_checkpoint()
        return PublishResult(
            PublishOutcome.CORRECTED if changed else PublishOutcome.UNCHANGED, last, comparison
        )
    effective_at = now if draft.terms.updated_on == now.date() else compute_effective_at(draft.terms)
    _check_effective_at(draft.terms, effective_at, last, now)
    if not comparison.is_at_least_as_protective:
        _check_notice_period(effective_at, last, now)
        if not accept_witnesses:
            raise RefusedError(
                f"the terms are {comparison.relation} beside version {last.number} in {len(comparison.looser)} places, "
                "which will not hold for what was collected before",
                "read them (`avowal policy diff`), and publish with `--accept-weaker`",
                code="weaker-terms",
            )
    version = draft.build_version(last.number + 1, effective_at, now)
    register.publish(version, pages, build_notices(last, version, [page.language for page in pages]))
    register.ledger.sign_checkpoint()
    return PublishResult(PublishOutcome.PUBLISHED, version, comparison)


def withdraw_version(register: Register, version_number: int, now: datetime) -> None:
    """Take back the last version before it takes effect. Raises StoreError where it is not the last, or has (V5)."""
    register.withdraw(version_number, now)
    register.ledger.sign_checkpoint()


def compute_effective_at(terms: Terms) -> datetime:
    """Return the first moment of the day from which terms hold (V2): UTC, without a zone."""
    return datetime.combine(terms.updated_on, time.min)


def _check_effective_at(terms: Terms, effective_at: datetime, last: Version, now: datetime) -> None:
    if effective_at < now:
        raise RefusedError(
            f"the terms hold from {terms.updated_on}, which is past",
            "write the day from which they shall hold as `updated`: today (UTC) or later",
            code="date-in-past",
        )
    if effective_at <= last.effective_at:
        raise RefusedError(
            f"version {last.number} takes effect at {last.effective_at:%Y-%m-%d %H:%M} UTC, and this one would before",
            "write a later day as `updated`, or take that version back (`avowal policy withdraw`)",
            code="version-out-of-order",
        )


def _check_notice_period(effective_at: datetime, last: Version, now: datetime) -> None:
    """Refuse what protects less before the notice that the version before it owes is over (V4)."""
    days = last.compiled_terms.duties.get("notice-days", 0)
    earliest = now.date() + timedelta(days=days)
    if effective_at.date() < earliest:
        raise RefusedError(
            f"version {last.number} promises {days} days of notice before a version that protects less in anything",
            f"write {earliest} or a later day as `updated`",
            code="notice-too-short",
        )
