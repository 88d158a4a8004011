"""Consent to a version for what was collected before: given and taken back (rules G2 to G9)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from avowal.errors import MisuseError, RefusedError
from avowal.keep.enforcement import governs, in_force
from avowal.keep.visitor_lookup import Held
from avowal.policy.bounds import Bounds
from avowal.policy.compare import compare
from avowal.policy.describe import differences
from avowal.policy.language import ENGLISH, Language
from avowal.register.consents import UNRECORDED, Consent
from avowal.register.register import Register, Version


class Means(StrEnum):
    """How a visitor said so."""

    E_MAIL = "e-mail"
    FORM = "form"
    IN_PERSON = "in-person"
    LETTER = "letter"
    PAGE = "page"
    TELEPHONE = "telephone"


class Effect(msgspec.Struct, frozen=True):
    """What a consent permits beyond what governs some of the visitor's records without it."""

    governed_by: int
    """The records' governing number without it."""
    records: int
    looser: list[str]


@dataclass(frozen=True)
class Word:
    """What a visitor said: how, where the operator finds it again, and the language of what was shown."""

    means: Means
    reference: str = ""
    language: str = ""
    """May be empty where the version has one document."""


def giving(register: Register, held: Held, number: int, word: Word, now: datetime) -> Consent:
    """Return a visitor's consent to a version, 0 for the one in force: one that stands already, or one to record.

    Raises RefusedError where the version is neither in force nor to come, or nothing would be governed by it.
    """
    version = _wanted(register.versions(), number, now)
    stands = standing(register.consents.of(held.key)).get(version.identity)
    if stands:
        return stands
    if not any(governing < version.number for governing in held.records):
        raise RefusedError(
            f"nothing is kept of that visitor which version {version.number} does not govern already",
            "look at the visitor's key, and that the logs of the visits were read",
        )
    pages = {page.language: page for page in register.pages(version.number)}
    language = word.language or (next(iter(pages)) if len(pages) == 1 else "")
    if language not in pages:
        raise MisuseError(
            f"version {version.number} has no document in `{language}`"
            if language
            else "it is not said in which language the document was shown",
            f"there are: {', '.join(pages)}",
        )
    return Consent(
        visitor=held.key,
        version=version.number,
        identity=version.identity,
        given=True,
        language=language,
        document=pages[language].sha256,
        means=word.means,
        reference=word.reference,
        recorded_at=now,
    )


def taking_back(register: Register, visitor: str, number: int, word: Word, now: datetime) -> Consent:
    """Return the withdrawal to record of a visitor's consent to a version; 0 for the highest consented to.

    Raises RefusedError where none stands.
    """
    given = standing(register.consents.of(visitor)).values()
    fitting = [consent for consent in given if number in {0, consent.version}]
    if not fitting:
        raise RefusedError(
            "no consent of that visitor stands" + (f" to version {number}" if number else ""),
            "look at the visitor's key; nothing was changed",
        )
    latest = max(fitting, key=lambda consent: consent.version)
    return msgspec.structs.replace(
        latest, given=False, means=word.means, reference=word.reference, recorded_at=now, entry=UNRECORDED
    )


def record(register: Register, consent: Consent) -> Consent:
    """Record a consent or a withdrawal, unless it is recorded; returns it as it was recorded."""
    if consent.entry != UNRECORDED:
        return consent
    recorded = register.consents.record(consent)
    register.ledger.sign()
    return recorded


def standing(consents: Sequence[Consent]) -> dict[str, Consent]:
    """Return the consents that stand, by the identity of their version; `consents` are one visitor's, in order."""
    stand: dict[str, Consent] = {}
    for consent in consents:
        stand.pop(consent.identity, None)
        if consent.given:
            stand[consent.identity] = consent
    return stand


def effects(
    versions: Sequence[Version], records: Mapping[int, int], number: int, spoken: Language = ENGLISH
) -> list[Effect]:
    """Return what consent to a version, in force or to come, permits of records from its effect on.

    `records` tells how many of them each governing number governs.
    """
    governing = governs(versions[:number])
    return [
        Effect(before, count, _looser(governing[before - 1], governing[number - 1], spoken))
        for before, count in sorted(records.items())
        if before < number
    ]


def undone(
    versions: Sequence[Version], held: Held, others: Sequence[int], number: int, spoken: Language = ENGLISH
) -> list[Effect]:
    """Return what would be permitted no more if the consent to a version were taken back.

    `versions` are those that have taken effect; `others` are those of them that other consents which stand are to.
    """
    stays = max(others, default=0)
    without = Counter[int]()
    for version, raised_to, count in held.rows:
        if raised_to == number > stays:
            without[max(version, stays)] += count
    without.pop(number, None)
    governing = governs(versions)
    return [
        Effect(left, count, _looser(governing[left - 1], governing[number - 1], spoken))
        for left, count in sorted(without.items())
    ]


class Choice(msgspec.Struct, frozen=True):
    """A version that a visitor may consent to for what was collected before, or whose consent they may take back."""

    version: int
    identity: str
    effective_at: datetime
    given: bool
    """Whether the consent stands, so that it may be taken back."""
    effects: list[Effect]
    """What it permits; what would not be permitted any more where it stands."""


def choices(register: Register, held: Held, now: datetime, spoken: Language = ENGLISH) -> list[Choice]:
    """Return what a visitor may decide on, in a language: consents that stand, and versions that would permit more."""
    versions = register.versions()
    past, given = in_force(versions, now), standing(register.consents.of(held.key))
    found = []
    for one in versions:
        stands = one.identity in given and given[one.identity].version == one.number
        if stands:
            others = {of.version for of in given.values() if of.version <= len(past)} - {one.number}
            permits = undone(past, held, sorted(others), one.number, spoken) if one in past else []
        elif one in offered(versions, now) and one.identity not in given:
            permits = effects(versions, held.records, one.number, spoken)
        else:
            continue
        if stands or any(effect.looser for effect in permits):
            found.append(Choice(one.number, one.identity, one.effective_at, stands, permits))
    return found


def _looser(old: Bounds, new: Bounds, spoken: Language) -> list[str]:
    return [line.sentence(spoken) for line in differences(compare(old, new).looser)]


def offered(versions: Sequence[Version], now: datetime) -> list[Version]:
    """Return the versions that somebody may consent to now: the one in force, and those that are to come."""
    past = in_force(versions, now)
    return [*past[-1:], *versions[len(past) :]]


def _wanted(versions: Sequence[Version], number: int, now: datetime) -> Version:
    fitting = [version for version in offered(versions, now) if number in {0, version.number}]
    if not fitting:
        raise RefusedError(
            f"version {number} is neither in force nor to come" if number else "no version is in force",
            "`avowal policy history` tells which are: consent is to what is promised now, or will be",
        )
    return fitting[0]
