"""Consent to a version for what was collected before: given and taken back (rules G2 to G9)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from avowal.errors import InvalidInputError, RefusedError
from avowal.keep.enforcement import compute_governing_bounds, effective_versions
from avowal.keep.visitor_lookup import VisitorRecords
from avowal.policy.bounds import Bounds
from avowal.policy.compare import compare
from avowal.policy.describe import group_witnesses
from avowal.policy.language import ENGLISH, Language
from avowal.register.consents import UNRECORDED_ENTRY, Consent
from avowal.register.register import Register, Version


class StatementChannel(StrEnum):
    """How a visitor said so."""

    EMAIL = "e-mail"
    FORM = "form"
    IN_PERSON = "in-person"
    LETTER = "letter"
    PAGE = "page"
    TELEPHONE = "telephone"


class ConsentEffect(msgspec.Struct, frozen=True):
    """What a consent permits beyond what governs some of the visitor's records without it."""

    governing: int
    """The records' governing number without it."""
    records: int
    looser_rules: list[str]


@dataclass(frozen=True)
class ConsentStatement:
    """What a visitor said: how, where the operator finds it again, and the language of what was shown."""

    channel: StatementChannel
    reference: str = ""
    language: str = ""
    """May be empty where the version has one document."""


def prepare_consent(
    register: Register,
    visitor_records: VisitorRecords,
    version_number: int,
    statement: ConsentStatement,
    now: datetime,
) -> Consent:
    """Return a visitor's consent to a version, 0 for the one in force: one that stands already, or one to record.

    Raises RefusedError where the version is neither in force nor to come, or nothing would be governed by it.
    """
    version = _find_offered_version(register.versions(), version_number, now)
    stands = find_active_consents(register.consents.for_visitor(visitor_records.key)).get(version.identity)
    if stands:
        return stands
    if not any(governing < version.number for governing in visitor_records.counts_by_governing):
        raise RefusedError(
            f"nothing is kept of that visitor which version {version.number} does not govern already",
            "look at the visitor's key, and that the logs of the visits were read",
            code="consent-not-needed",
        )
    pages = {page.language: page for page in register.documents(version.number)}
    language = statement.language or (next(iter(pages)) if len(pages) == 1 else "")
    if language not in pages:
        raise InvalidInputError(
            f"version {version.number} has no document in `{language}`"
            if language
            else "it is not said in which language the document was shown",
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
    """Return the withdrawal to record of a visitor's consent to a version; 0 for the highest consented to.

    Raises RefusedError where none stands.
    """
    given = find_active_consents(register.consents.for_visitor(visitor)).values()
    fitting = [consent for consent in given if version_number in {0, consent.version}]
    if not fitting:
        raise RefusedError(
            "no consent of that visitor stands" + (f" to version {version_number}" if version_number else ""),
            "look at the visitor's key; nothing was changed",
            code="consent-not-found",
        )
    latest = max(fitting, key=lambda consent: consent.version)
    return msgspec.structs.replace(
        latest,
        given=False,
        channel=statement.channel,
        reference=statement.reference,
        recorded_at=now,
        entry=UNRECORDED_ENTRY,
    )


def record_consent(register: Register, consent: Consent) -> Consent:
    """Record a consent or a withdrawal, unless it is recorded; returns it as it was recorded."""
    if consent.entry != UNRECORDED_ENTRY:
        return consent
    recorded = register.consents.record(consent)
    register.ledger.sign_checkpoint()
    return recorded


def find_active_consents(consents: Sequence[Consent]) -> dict[str, Consent]:
    """Return the consents that stand, by the identity of their version; `consents` are one visitor's, in order."""
    stand: dict[str, Consent] = {}
    for consent in consents:
        stand.pop(consent.identity, None)
        if consent.given:
            stand[consent.identity] = consent
    return stand


def compute_consent_effects(
    versions: Sequence[Version],
    counts_by_governing: Mapping[int, int],
    version_number: int,
    language: Language = ENGLISH,
) -> list[ConsentEffect]:
    """Return what consent to a version, in force or to come, permits of records from its effect on.

    `records` tells how many of them each governing number governs.
    """
    governing = compute_governing_bounds(versions[:version_number])
    return [
        ConsentEffect(
            before,
            count,
            _describe_looser_rules(governing[before - 1], governing[version_number - 1], language),
        )
        for before, count in sorted(counts_by_governing.items())
        if before < version_number
    ]


def compute_withdrawal_effects(
    versions: Sequence[Version],
    visitor_records: VisitorRecords,
    other_consent_versions: Sequence[int],
    version_number: int,
    language: Language = ENGLISH,
) -> list[ConsentEffect]:
    """Return what would be permitted no more if the consent to a version were taken back.

    `versions` are those that have taken effect; `others` are those of them that other consents which stand are to.
    """
    stays = max(other_consent_versions, default=0)
    without = Counter[int]()
    for version, raised_to, count in visitor_records.version_counts:
        if raised_to == version_number > stays:
            without[max(version, stays)] += count
    without.pop(version_number, None)
    governing = compute_governing_bounds(versions)
    return [
        ConsentEffect(
            left, count, _describe_looser_rules(governing[left - 1], governing[version_number - 1], language)
        )
        for left, count in sorted(without.items())
    ]


class ConsentChoice(msgspec.Struct, frozen=True):
    """A version that a visitor may consent to for what was collected before, or whose consent they may take back."""

    version: int
    identity: str
    effective_at: datetime
    is_given: bool
    """Whether the consent stands, so that it may be taken back."""
    effects: list[ConsentEffect]
    """What it permits; what would not be permitted any more where it stands."""


def find_consent_choices(
    register: Register, visitor_records: VisitorRecords, now: datetime, language: Language = ENGLISH
) -> list[ConsentChoice]:
    """Return what a visitor may decide on, in a language: consents that stand, and versions that would permit more."""
    versions = register.versions()
    past, given = (
        effective_versions(versions, now),
        find_active_consents(register.consents.for_visitor(visitor_records.key)),
    )
    found = []
    for one in versions:
        stands = one.identity in given and given[one.identity].version == one.number
        if stands:
            others = {of.version for of in given.values() if of.version <= len(past)} - {one.number}
            permits = (
                compute_withdrawal_effects(past, visitor_records, sorted(others), one.number, language)
                if one in past
                else []
            )
        elif one in find_offered_versions(versions, now) and one.identity not in given:
            permits = compute_consent_effects(
                versions, visitor_records.counts_by_governing, one.number, language
            )
        else:
            continue
        if stands or any(effect.looser_rules for effect in permits):
            found.append(ConsentChoice(one.number, one.identity, one.effective_at, stands, permits))
    return found


def _describe_looser_rules(old: Bounds, new: Bounds, spoken: Language) -> list[str]:
    return [line.describe(spoken) for line in group_witnesses(compare(old, new).looser)]


def find_offered_versions(versions: Sequence[Version], now: datetime) -> list[Version]:
    """Return the versions that somebody may consent to now: the one in force, and those that are to come."""
    past = effective_versions(versions, now)
    return [*past[-1:], *versions[len(past) :]]


def _find_offered_version(versions: Sequence[Version], number: int, now: datetime) -> Version:
    fitting = [version for version in find_offered_versions(versions, now) if number in {0, version.number}]
    if not fitting:
        raise RefusedError(
            f"version {number} is neither in force nor to come" if number else "no version is in force",
            "`avowal policy history` tells which are: consent is to what is promised now, or will be",
            code="version-not-in-force",
        )
    return fitting[0]
