"""Receipts of consents, which visitors can verify without the site.

A receipt has the sections and field names of ISO/IEC TS 27560:2023, and a proof that the ledger has its entry.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from secrets import token_hex
from typing import Any

import msgspec

from avowal.ledger.checkpoint import EntryProof
from avowal.ledger.entry import ConsentGiven, ConsentWithdrawn, decode_entry, hash_text
from avowal.ledger.note import Verifier
from avowal.ledger.receipt import ReceiptProof, Statement, mismatch_error, parse_receipt
from avowal.policy.bounds import OPERATOR, OWN_USE, Bounds, parse_canonical
from avowal.policy.describe import format_ages
from avowal.policy.vocabulary import Vocabulary, load_vocabulary
from avowal.register.consents import Consent, version_not_found
from avowal.register.register import Register

CONSENT_RECEIPT_SCHEMA = "ISO/IEC TS 27560:2023, avowal 1"
RECORD_ID_BYTES = 16
GIVEN_STATE = "consent given"
WITHDRAWN_STATE = "consent withdrawn"


def state_consent(register: Register, consent: Consent) -> Statement:
    """Return the statement of the receipt of a consent or a withdrawal that is to be recorded.

    Raises StoreError if the version does not exist any more.
    """
    version = next((known for known in register.versions() if known.identity == consent.identity), None)
    if version is None:
        raise version_not_found(consent.version)
    terms = version.terms
    return {
        "schema_version": CONSENT_RECEIPT_SCHEMA,
        "record_id": token_hex(RECORD_ID_BYTES),
        "pii_principal_id": consent.visitor,
        "pii_processing": {
            "privacy_notice": {
                "version": consent.version,
                "identity": consent.identity,
                "document_sha256": consent.document_hash,
            },
            "language": consent.language,
            "purposes": _describe_purposes(version.compiled_terms, load_vocabulary(terms.vocabulary)),
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
            "event_state": GIVEN_STATE if consent.given else WITHDRAWN_STATE,
            "entity_id": consent.visitor,
            "channel": consent.channel,
            "reference": consent.reference,
            "validity_duration": "until withdrawn",
        },
    }


def build_consent_receipt(register: Register, consent: Consent) -> dict[str, Any]:
    """Build the receipt of a consent or a withdrawal that is recorded."""
    assert consent.entry is not None and consent.salt is not None  # noqa: S101, PT018  # it was recorded
    proof = str(register.ledger.prove_entry(consent.entry))
    terms = register.consents.canonical_terms(consent)
    statement: Statement = msgspec.json.decode(consent.statement)
    return {**statement, "proof": _ConsentProof(consent.salt.hex(), proof, terms)}


def check_consent_receipt(
    text: str, verifier: Verifier
) -> tuple[EntryProof, ConsentGiven | ConsentWithdrawn]:
    """Verify a receipt with the ledger's public key alone; returns its proof, and the entry that it proves.

    Raises InvalidInputError if it is not a receipt, and ProofError if it is not valid.
    """
    receipt = parse_receipt(text, ConsentReceiptStatement, _ConsentProof)
    receipt.entry_proof.verify(verifier)
    entry = decode_entry(receipt.entry_proof.entry)
    if (
        not isinstance(entry, ConsentGiven | ConsentWithdrawn)
        or receipt.statement.to_ledger_entry(receipt.commitment) != entry
        or hash_text(receipt.proof.terms) != entry.identity
        or receipt.statement.permissions
        != _extract_permissions(
            _describe_purposes(parse_canonical(receipt.proof.terms.encode()), load_vocabulary())
        )
    ):
        raise mismatch_error()
    return receipt.entry_proof, entry


def _describe_purposes(bounds: Bounds, vocabulary: Vocabulary) -> list[dict[str, Any]]:
    """Return, for each purpose, the categories with their retention periods, and the recipients."""
    purposes: dict[str, dict[str, Any]] = {}
    for cell, ages in sorted(bounds.cells.items()):
        if cell.cookie_name:
            continue
        leaf = vocabulary.purposes.get(cell.purpose)
        purpose = purposes.setdefault(
            cell.purpose,
            {
                "purpose": cell.purpose,
                "purpose_type": list(leaf.dpv) if leaf else [],
                "lawful_basis": "dpv:ExpressedConsent",
                "pii_information": [],
                "pii_controllers": ["controller"],
                "recipient_third_parties": [],
            },
        )
        if (cell.recipient, cell.ground) == (OPERATOR, OWN_USE):
            category = vocabulary.categories.get(cell.category)
            purpose["pii_information"].append(
                {
                    "pii_type": cell.category,
                    "pii_type_dpv": list(category.dpv) if category else [],
                    "retention_period": format_ages(ages),
                }
            )
        elif cell.recipient not in purpose["recipient_third_parties"]:
            purpose["recipient_third_parties"].append(cell.recipient)
    return list(purposes.values())


def _extract_permissions(purposes: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Return what purposes permit, without their W3C DPV terms, which a later vocabulary may improve."""
    return [
        (
            purpose["purpose"],
            purpose["recipient_third_parties"],
            [(data["pii_type"], data["retention_period"]) for data in purpose["pii_information"]],
        )
        for purpose in purposes
    ]


class _ReceiptPrivacyNotice(msgspec.Struct):
    version: int
    identity: str
    document_sha256: str


class _ReceiptProcessing(msgspec.Struct):
    privacy_notice: _ReceiptPrivacyNotice
    language: str
    purposes: list[dict[str, Any]]


class _ReceiptEvent(msgspec.Struct):
    event_time: datetime
    event_state: str
    channel: str
    reference: str


class _ConsentProof(ReceiptProof, frozen=True, forbid_unknown_fields=True):
    terms: str
    """The terms of the version, as canonical JSON: they show that the purposes are those of the version."""


class ConsentReceiptStatement(msgspec.Struct):
    """The part of a receipt's statement that has to agree with its entry."""

    pii_principal_id: str
    pii_processing: _ReceiptProcessing
    event: _ReceiptEvent

    @property
    def permissions(self) -> list[Any]:
        """What the receipt says is permitted; empty if its purposes have another form."""
        try:
            return _extract_permissions(self.pii_processing.purposes)
        except (KeyError, TypeError):
            return []

    def to_ledger_entry(self, commitment: str) -> ConsentGiven | ConsentWithdrawn:
        """Return the ledger entry with the same content."""
        kind = ConsentWithdrawn if self.event.event_state == WITHDRAWN_STATE else ConsentGiven
        notice = self.pii_processing.privacy_notice
        return kind(
            notice.version,
            notice.identity,
            self.pii_processing.language,
            notice.document_sha256,
            self.event.channel,
            commitment,
            self.event.event_time,
        )
