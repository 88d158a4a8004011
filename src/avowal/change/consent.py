"""Consent of a visitor to a version for data that was collected before, and its withdrawal (G2 to G9)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from avowal.change.consent_receipt import state_consent
from avowal.errors import InvalidInputError, RefusedError
from avowal.keep.enforcement import compute_governing_bounds, effective_versions
from avowal.keep.visitor_lookup import VisitorRecords
from avowal.policy.bounds import Bounds
from avowal.policy.describe import describe_looser_and_stricter
from avowal.policy.language import ENGLISH, Language
from avowal.register.consents import Consent
from avowal.register.register import Register, Version


class StatementChannel(StrEnum):
    """The channel by which a visitor informed the operator."""

    EMAIL = "e-mail"
    FORM = "form"
    IN_PERSON = "in-person"
    LETTER = "letter"
    PAGE = "page"
    TELEPHONE = "telephone"


class ConsentEffect(msgspec.Struct, frozen=True):
    """What a consent permits for those of a visitor's records that have one governing number without it."""

    governing: int
    """The governing number of the records without the consent."""
    records: int
    """How many records those are."""
    looser_rules: list[str]
    """A sentence for each rule that permits more with the consent."""


@dataclass(frozen=True)
class ConsentStatement:
    """How a visitor consented: the channel, the operator's reference to it, and the language of the document shown."""

    channel: StatementChannel
    reference: str = ""
    language: str = ""
    """May be empty if the version has only one document."""


def prepare_consent(
    register: Register,
    visitor_records: VisitorRecords,
    version_number: int,
    statement: ConsentStatement,
    now: datetime,
) -> Consent:
    """Return a visitor's consent to a version (0 is the one in force): the active one, or a new one to be recorded.

    Raises RefusedError if the version is neither in force nor in the future, or if it would govern no stored record.
    """
    version = _find_offered_version(register.versions(), version_number, now)
    active = find_active_consents(register.consents.for_visitor(visitor_records.key)).get(version.identity)
    if active:
        return active
    if not any(governing < version.number for governing in visitor_records.counts_by_governing):
        raise RefusedError(
            f"version {version.number} governs everything already that is stored of that visitor",
            "check the visitor's key, and whether the logs of the visits were imported",
            code="consent-not-needed",
        )
    pages = {page.language: page for page in register.documents(version.number)}
    language = statement.language or (next(iter(pages)) if len(pages) == 1 else "")
    if language not in pages:
        raise InvalidInputError(
            f"version {version.number} has no document in `{language}`"
            if language
            else "the language of the document that was shown is missing",
            f"there are: {', '.join(pages)}",
            code="document-not-found",
        )
    return Consent(
        visitor=visitor_records.key,
        version=version.number,
        identity=version.identity,
        given=True,
        language=language,
        document_hash=pages[language].sha256,
        channel=statement.channel,
        reference=statement.reference,
        recorded_at=now,
    )


def prepare_withdrawal(
    register: Register, visitor: str, version_number: int, statement: ConsentStatement, now: datetime
) -> Consent:
    """Return the withdrawal, to be recorded, of a visitor's consent to a version (0 is the highest consented to).

    Raises RefusedError if there is no active consent.
    """
    active = find_active_consents(register.consents.for_visitor(visitor)).values()
    fitting = [consent for consent in active if version_number in {0, consent.version}]
    if not fitting:
        raise RefusedError(
            "that visitor has no active consent"
            + (f" to version {version_number}" if version_number else ""),
            "check the visitor's key; nothing was changed",
            code="consent-not-found",
        )
    latest = max(fitting, key=lambda consent: consent.version)
    return msgspec.structs.replace(
        latest,
        given=False,
        channel=statement.channel,
        reference=statement.reference,
        recorded_at=now,
        entry=None,
    )


def record_consent(register: Register, consent: Consent) -> Consent:
    """Record a consent or a withdrawal, unless it is recorded already; returns it with its entry number."""
    if consent.entry is not None:
        return consent
    return register.consents.record(consent, state_consent(register, consent))


def find_active_consents(consents: Sequence[Consent]) -> dict[str, Consent]:
    """Return the active consents by the identity of their version. `consents` are one visitor's, in order."""
    active: dict[str, Consent] = {}
    for consent in consents:
        active.pop(consent.identity, None)
        if consent.given:
            active[consent.identity] = consent
    return active


def compute_consent_effects(
    versions: Sequence[Version],
    counts_by_governing: Mapping[int, int],
    version_number: int,
    language: Language = ENGLISH,
) -> list[ConsentEffect]:
    """Return what consent to a version permits once both are in effect.

    `counts_by_governing` is the number of the visitor's records with each governing number.
    """
    governing = compute_governing_bounds(versions[:version_number])
    return [
        ConsentEffect(
            number,
            count,
            _describe_looser_rules(governing[number - 1], governing[version_number - 1], language),
        )
        for number, count in sorted(counts_by_governing.items())
        if number < version_number
    ]


def compute_withdrawal_effects(
    versions: Sequence[Version],
    visitor_records: VisitorRecords,
    other_consent_versions: Sequence[int],
    version_number: int,
    language: Language = ENGLISH,
) -> list[ConsentEffect]:
    """Return what would not be permitted any longer if the consent to a version were withdrawn.

    `versions` are those in effect, `other_consent_versions` those that the visitor has other active consents to.
    """
    highest_other = max(other_consent_versions, default=0)
    counts = Counter[int]()
    for version, raised_to, count in visitor_records.version_counts:
        if raised_to == version_number > highest_other:
            counts[max(version, highest_other)] += count
    counts.pop(version_number, None)
    governing = compute_governing_bounds(versions)
    return [
        ConsentEffect(
            number,
            count,
            _describe_looser_rules(governing[number - 1], governing[version_number - 1], language),
        )
        for number, count in sorted(counts.items())
    ]


class ConsentChoice(msgspec.Struct, frozen=True):
    """A version that a visitor may consent to for data collected before, or whose consent they may withdraw."""

    version: int
    identity: str
    effective_at: datetime
    is_given: bool
    """Whether there is an active consent, which may be withdrawn."""
    effects: list[ConsentEffect]
    """What the consent would permit; if it is given, what would not be permitted after its withdrawal."""


def find_consent_choices(
    register: Register, visitor_records: VisitorRecords, now: datetime, language: Language = ENGLISH
) -> list[ConsentChoice]:
    """Return the choices of a visitor, in a language: active consents, and versions that would permit more."""
    versions = register.versions()
    effective = effective_versions(versions, now)
    active = find_active_consents(register.consents.for_visitor(visitor_records.key))
    offered, choices = find_offered_versions(versions, now), list[ConsentChoice]()
    for version in versions:
        number, identity = version.number, version.identity
        is_given = identity in active and active[identity].version == number
        effects = list[ConsentEffect]()
        if is_given and version in effective:
            other_versions = {
                consent.version for consent in active.values() if consent.version <= len(effective)
            }
            other_versions -= {number}
            effects = compute_withdrawal_effects(
                effective, visitor_records, sorted(other_versions), number, language
            )
        elif version in offered and identity not in active:
            counts = visitor_records.counts_by_governing
            effects = compute_consent_effects(versions, counts, number, language)
        if is_given or any(effect.looser_rules for effect in effects):
            choices.append(ConsentChoice(number, identity, version.effective_at, is_given, effects))
    return choices


def _describe_looser_rules(old: Bounds, new: Bounds, language: Language) -> list[str]:
    return describe_looser_and_stricter(old, new, language).looser


def find_offered_versions(versions: Sequence[Version], now: datetime) -> list[Version]:
    """Return the versions that visitors may consent to now: the one in force, and future ones."""
    effective = effective_versions(versions, now)
    return [*effective[-1:], *versions[len(effective) :]]


def _find_offered_version(versions: Sequence[Version], number: int, now: datetime) -> Version:
    fitting = [version for version in find_offered_versions(versions, now) if number in {0, version.number}]
    if not fitting:
        raise RefusedError(
            f"version {number} is neither in force nor a future version"
            if number
            else "no version is in force",
            "`avowal policy history` lists the versions; consent is to the one in force or to a future one",
            code="version-not-in-force",
        )
    return fitting[0]
