"""The result of a verification: what does not hold, and how much was checked."""

from typing import Literal

import msgspec

RegisterFindingCode = Literal[
    "ledger-damaged",
    "checkpoint-missing",
    "checkpoint-invalid",
    "checkpoint-mismatch",
    "entries-missing",
    "register-malformed",
    "register-schema-mismatch",
    "version-mismatch",
    "version-identity-mismatch",
    "withdrawal-mismatch",
    "document-mismatch",
    "notice-display-mismatch",
    "consent-mismatch",
    "access-mismatch",
    "retention-run-mismatch",
    "processor-mismatch",
    "authorisation-mismatch",
    "release-request-mismatch",
    "approval-mismatch",
    "refusal-mismatch",
    "release-mismatch",
    "recall-mismatch",
    "feed-page-mismatch",
    "objection-mismatch",
    "correction-mismatch",
    "restriction-mismatch",
    "submission-settings-mismatch",
]
"""Codes of what is not as the ledger records it."""

PermissionFindingCode = Literal[
    "version-not-in-force",
    "ground-not-permitted",
    "evidence-missing",
    "required-approvals-too-few",
    "approval-without-request",
    "approval-after-release",
    "approver-is-requester",
    "release-without-request",
    "release-made-twice",
    "release-ground-mismatch",
    "category-not-requested",
    "approvals-missing",
    "seal-without-instrument",
    "reach-missing",
    "category-not-permitted",
    "record-too-old",
    "category-not-authorised",
    "recall-without-release",
    "contract-insufficient",
    "contract-not-in-force",
    "purpose-not-permitted",
]
"""Codes of what was done although nothing permitted it."""

StoreFindingCode = Literal[
    "store-schema-mismatch",
    "record-version-unknown",
    "record-version-mismatch",
    "record-governing-mismatch",
    "governing-without-consent",
    "record-overdue",
]
"""Codes of what is stored against the terms."""

FindingCode = RegisterFindingCode | PermissionFindingCode | StoreFindingCode | Literal["export-mismatch"]


class Finding(msgspec.Struct, frozen=True):
    """Something that does not hold: a stable code for programs, and a sentence for people."""

    code: FindingCode
    sentence: str

    def of(self, subject: str) -> "Finding":
        """Return the finding with a subject, where the sentence is a predicate."""
        return Finding(self.code, f"{subject} {self.sentence}")


class Verification(msgspec.Struct, frozen=True):
    """What a verification found, and how much it checked."""

    findings: list[Finding] = []
    entries: int = 0
    """How many entries the ledger has."""
    checked: dict[str, int] = {}
    """How much was checked, by the plural name of what it is."""

    @property
    def holds(self) -> bool:
        """Return whether nothing was found."""
        return not self.findings

    def merge(self, other: "Verification") -> "Verification":
        """Return both verifications as one, of the entries of the first."""
        return Verification(
            [*self.findings, *other.findings], self.entries, {**self.checked, **other.checked}
        )
