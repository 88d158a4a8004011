"""The result of a verification: its findings, and how much was checked."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from avowal.errors import AvowalError

RegisterFindingCode = Literal[
    "ledger-damaged",
    "checkpoint-missing",
    "checkpoint-invalid",
    "checkpoint-mismatch",
    "entries-missing",
    "ledger-replaced",
    "register-malformed",
    "register-schema-mismatch",
    "register-damaged",
    "register-rows-mismatch",
    "register-outdated",
    "seal-missing",
    "seal-invalid",
    "key-mismatch",
    "submission-unreadable",
    "version-mismatch",
    "version-identity-mismatch",
    "version-terms-mismatch",
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
"""Codes for a ledger that is damaged, or a register that differs from it."""

PermissionFindingCode = Literal[
    "version-not-in-force",
    "ground-not-permitted",
    "evidence-missing",
    "required-approvals-too-few",
    "approval-without-request",
    "approval-after-release",
    "approver-is-requester",
    "row-filter-invalid",
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
    "category-not-needed",
    "recall-without-release",
    "contract-insufficient",
    "contract-not-in-force",
    "purpose-not-permitted",
]
"""Codes for actions that were recorded but not permitted."""

StoreFindingCode = Literal[
    "store-unusable",
    "store-missing",
    "store-mismatch",
    "store-outdated",
    "store-damaged",
    "store-schema-mismatch",
    "store-rows-mismatch",
    "journal-missing",
    "journal-damaged",
    "journal-unknown",
    "record-version-unknown",
    "record-version-mismatch",
    "record-governing-mismatch",
    "governing-without-consent",
    "record-overdue",
]
"""Codes for stored records that violate the terms."""

FindingCode = RegisterFindingCode | PermissionFindingCode | StoreFindingCode | Literal["export-mismatch"]


class Finding(msgspec.Struct, frozen=True):
    """An error that a verification found: a stable code for programs, and a sentence for people."""

    code: FindingCode
    sentence: str

    @classmethod
    def from_error(cls, error: AvowalError, codes: Sequence[FindingCode], default: FindingCode) -> "Finding":
        """Return the finding of an error: with its own code if that is one of `codes`."""
        return cls(next((code for code in codes if code == error.code), default), error.message)

    def with_subject(self, subject: str) -> "Finding":
        """Return the finding of a subject; the sentence has to be a predicate so far."""
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
        """Whether there are no findings."""
        return not self.findings

    def merge(self, other: "Verification") -> "Verification":
        """Return both verifications as one, with the number of entries of the first."""
        return Verification(
            [*self.findings, *other.findings], self.entries, {**self.checked, **other.checked}
        )
