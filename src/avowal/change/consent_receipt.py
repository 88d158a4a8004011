"""Receipts of consents, which visitors can verify without the site.

A receipt has the sections and field names of ISO/IEC TS 27560:2023, and a proof that the ledger has its entry.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec

from avowal.ledger.checkpoint import EntryProof
from avowal.ledger.commitment import compute_commitment
from avowal.ledger.entry import ConsentGiven, ConsentWithdrawn, decode_entry
from avowal.ledger.note import Verifier
from avowal.ledger.receipt import ReceiptProof, mismatch_error, parse_receipt
from avowal.policy.bounds import OPERATOR, OWN_USE, Bounds, parse_canonical
from avowal.policy.describe import format_ages
from avowal.policy.vocabulary import Vocabulary, load_vocabulary
from avowal.register.consents import Consent
from avowal.register.register import Register

CONSENT_RECEIPT_SCHEMA = "ISO/IEC TS 27560:2023, avowal 1"
GIVEN_STATE = "consent given"
WITHDRAWN_STATE = "consent withdrawn"


def build_consent_receipt(register: Register, consent: Consent) -> dict[str, Any]:
    """Build the receipt of a consent or a withdrawal."""
    version = next(published for published in register.versions() if published.identity == consent.identity)
    assert consent.entry is not None and consent.salt is not None  # noqa: S101, PT018  # it was recorded
    terms = version.terms
    return {
        "schema_version": CONSENT_RECEIPT_SCHEMA,
        "record_id": f"{register.ledger.signer.name}#{consent.entry}",
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
        "proof": {
            "salt": consent.salt.hex(),
            "tlog_proof": str(register.ledger.prove_entry(consent.entry)),
            "terms": version.canonical_terms,
        },
    }


def check_consent_receipt(
    text: str, verifier: Verifier
) -> tuple[EntryProof, ConsentGiven | ConsentWithdrawn]:
    """Verify a receipt with the ledger's public key alone; returns its proof, and the entry that it proves.

    Raises InvalidInputError if it is not a receipt, and ProofError if it is not valid.
    """
    receipt = parse_receipt(text, _ConsentReceipt, "a consent")
    salt = receipt.proof.salt_bytes
    proof = EntryProof.parse(receipt.proof.tlog_proof)
    origin = proof.verify(verifier).origin
    entry = decode_entry(proof.entry)
    if (
        not isinstance(entry, ConsentGiven | ConsentWithdrawn)
        or receipt.record_id != f"{origin}#{proof.index}"
        or receipt.to_entry(salt) != entry
        or sha256(receipt.proof.terms.encode()).hexdigest() != entry.identity
        or receipt.permissions
        != _extract_permissions(
            _describe_purposes(parse_canonical(receipt.proof.terms.encode()), load_vocabulary())
        )
    ):
        raise mismatch_error()
    return proof, entry


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


class _ConsentReceiptProof(ReceiptProof):
    terms: str


class _ConsentReceipt(msgspec.Struct):
    """The part of a receipt that has to agree with its entry."""

    record_id: str
    pii_principal_id: str
    pii_processing: _ReceiptProcessing
    event: _ReceiptEvent
    proof: _ConsentReceiptProof

    @property
    def permissions(self) -> list[Any]:
        """What the receipt says is permitted; empty if its purposes have another form."""
        try:
            return _extract_permissions(self.pii_processing.purposes)
        except (KeyError, TypeError):
            return []

    def to_entry(self, salt: bytes) -> ConsentGiven | ConsentWithdrawn:
        """Return the ledger entry with the same content."""
        kind = ConsentWithdrawn if self.event.event_state == WITHDRAWN_STATE else ConsentGiven
        notice = self.pii_processing.privacy_notice
        return kind(
            notice.version,
            notice.identity,
            self.pii_processing.language,
            notice.document_sha256,
            self.event.channel,
            compute_commitment(salt, visitor=self.pii_principal_id, reference=self.event.reference),
            self.event.event_time,
        )
