"""Consent to a version for what was collected before: given and taken back, with a receipt (rules G2 to G9).

The receipt has the sections and field names of ISO/IEC TS 27560:2023, and a proof that the ledger has its entry.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

import msgspec

from avow.errors import MisuseError, ProofError, RefusedError
from avow.keep.consents import UNRECORDED, Consent, commitment
from avow.keep.governing import governs, in_force
from avow.keep.register import Register, Version
from avow.keep.subject import Held
from avow.ledger.checkpoint import Receipt
from avow.ledger.entry import ConsentGiven, ConsentWithdrawn, read
from avow.ledger.note import Verifier
from avow.policy.bounds import OPERATOR, OWN_USE, Bounds, read_canonical
from avow.policy.compare import compare
from avow.policy.tell import differences, lasting_by_precision
from avow.policy.terms import parse_terms
from avow.policy.vocabulary import Vocabulary, vocabulary

SCHEMA = "ISO/IEC TS 27560:2023, avow 1"
GIVEN = "consent given"
WITHDRAWN = "consent withdrawn"


class Means(StrEnum):
    """How a visitor said so."""

    E_MAIL = "e-mail"
    FORM = "form"
    IN_PERSON = "in-person"
    LETTER = "letter"
    PAGE = "page"
    TELEPHONE = "telephone"


class Effect(msgspec.Struct, frozen=True):
    """What a consent permits beyond what governed some of the visitor's records."""

    governed_by: int
    """The records' governing number before."""
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
    version = _offered(register.versions(), number, now)
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


def effects(versions: Sequence[Version], records: Mapping[int, int], number: int) -> list[Effect]:
    """Return what consent to a version, in force or to come, permits of records from its effect on.

    `records` tells how many of them each governing number governs.
    """
    governing = governs(versions[:number])
    return [
        Effect(
            before,
            count,
            [
                line.sentence()
                for line in differences(compare(governing[before - 1], governing[number - 1]).looser)
            ],
        )
        for before, count in sorted(records.items())
        if before < number
    ]


def receipt(register: Register, consent: Consent) -> dict[str, Any]:
    """Return the receipt of a consent or a withdrawal, for the visitor to keep: it can be checked without us."""
    version = next(one for one in register.versions() if one.identity == consent.identity)
    terms = parse_terms(version.terms, f"the terms of version {version.number}")
    return {
        "schema_version": SCHEMA,
        "record_id": f"{register.ledger.signer.name}#{consent.entry}",
        "pii_principal_id": consent.visitor,
        "pii_processing": {
            "privacy_notice": {
                "version": consent.version,
                "identity": consent.identity,
                "document_sha256": consent.document,
            },
            "language": consent.language,
            "purposes": _purposes(version.promised, vocabulary(terms.vocabulary)),
            "withdrawal_method": f"tell {terms.contact}",
        },
        "party_identification": [
            {
                "party_id": "controller",
                "party_role": "PII controller",
                "party_name": terms.controller,
                "party_contact": terms.contact,
            }
        ],
        "event": {
            "event_time": consent.recorded_at,
            "event_type": "explicit consent for what was collected before",
            "event_state": GIVEN if consent.given else WITHDRAWN,
            "entity_id": consent.visitor,
            "means": consent.means,
            "reference": consent.reference,
            "validity_duration": "until withdrawn",
        },
        "proof": {
            "salt": consent.salt.hex(),
            "tlog_proof": str(register.ledger.receipt(consent.entry)),
            "terms": version.canonical,
        },
    }


def check_receipt(text: str, verifier: Verifier) -> tuple[Receipt, ConsentGiven]:
    """Check a receipt with nothing but the ledger's public key; returns its proof, and the entry that it proves.

    Raises MisuseError where it is no receipt, and ProofError where it does not hold.
    """
    try:
        told = msgspec.json.decode(text, type=_Told)
        salt = bytes.fromhex(told.proof.salt)
    except (msgspec.DecodeError, ValueError):
        raise MisuseError("this is no receipt of a consent", "give the file as it was handed out") from None
    proof = Receipt.parse(told.proof.tlog_proof)
    origin = proof.check(verifier).origin
    entry = read(proof.entry)
    if (
        not isinstance(entry, ConsentGiven)
        or told.record_id != f"{origin}#{proof.index}"
        or told.entry(salt) != entry
        or sha256(told.proof.terms.encode()).hexdigest() != entry.identity
        or told.promises != _promises(_purposes(read_canonical(told.proof.terms.encode()), vocabulary()))
    ):
        raise ProofError(
            "the receipt says something else than its entry in the ledger", "it was changed, or mixed up"
        )
    return proof, entry


def _offered(versions: Sequence[Version], number: int, now: datetime) -> Version:
    """Return the version that somebody may consent to now: the one in force, or one that is to come."""
    past = in_force(versions, now)
    offered = [*past[-1:], *versions[len(past) :]]
    fitting = [version for version in offered if number in {0, version.number}]
    if not fitting:
        raise RefusedError(
            f"version {number} is neither in force nor to come" if number else "no version is in force",
            "`avow policy history` tells which are: consent is to what is promised now, or will be",
        )
    return fitting[0]


def _purposes(bounds: Bounds, words: Vocabulary) -> list[dict[str, Any]]:
    """Return what each purpose of the operator's may use, for how long, and who else receives it for that."""
    purposes: dict[str, dict[str, Any]] = {}
    for cell, ages in sorted(bounds.cells.items()):
        if cell.cookie:
            continue
        known = words.purposes.get(cell.purpose)
        purpose = purposes.setdefault(
            cell.purpose,
            {
                "purpose": cell.purpose,
                "purpose_type": list(known.dpv) if known else [],
                "lawful_basis": "dpv:ExpressedConsent",
                "pii_information": [],
                "pii_controllers": ["controller"],
                "recipient_third_parties": [],
            },
        )
        if (cell.recipient, cell.ground) == (OPERATOR, OWN_USE):
            category = words.categories.get(cell.category)
            purpose["pii_information"].append(
                {
                    "pii_type": cell.category,
                    "pii_type_dpv": list(category.dpv) if category else [],
                    "retention_period": lasting_by_precision(ages),
                }
            )
        elif cell.recipient not in purpose["recipient_third_parties"]:
            purpose["recipient_third_parties"].append(cell.recipient)
    return list(purposes.values())


def _promises(purposes: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Return what purposes say without their words in W3C DPV, for which better ones may be found."""
    return [
        (
            purpose["purpose"],
            purpose["recipient_third_parties"],
            [(told["pii_type"], told["retention_period"]) for told in purpose["pii_information"]],
        )
        for purpose in purposes
    ]


class _Notice(msgspec.Struct):
    version: int
    identity: str
    document_sha256: str


class _Processing(msgspec.Struct):
    privacy_notice: _Notice
    language: str
    purposes: list[dict[str, Any]]


class _Event(msgspec.Struct):
    event_time: datetime
    event_state: str
    means: str
    reference: str


class _Proof(msgspec.Struct):
    salt: str
    tlog_proof: str
    terms: str


class _Told(msgspec.Struct):
    """What of a receipt has to agree with its entry."""

    record_id: str
    pii_principal_id: str
    pii_processing: _Processing
    event: _Event
    proof: _Proof

    @property
    def promises(self) -> list[Any]:
        """What it says is permitted; nothing where that is told in another form."""
        try:
            return _promises(self.pii_processing.purposes)
        except (KeyError, TypeError):
            return []

    def entry(self, salt: bytes) -> ConsentGiven:
        """Return the entry that would say the same."""
        kind = ConsentWithdrawn if self.event.event_state == WITHDRAWN else ConsentGiven
        notice = self.pii_processing.privacy_notice
        return kind(
            notice.version,
            notice.identity,
            self.pii_processing.language,
            notice.document_sha256,
            self.event.means,
            commitment(salt, visitor=self.pii_principal_id, reference=self.event.reference),
            self.event.event_time,
        )
