"""The result of a verification: what does not hold, and how much was checked."""

from collections.abc import Iterable

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """Something that does not hold: a stable code for programs, and a sentence for people."""

    code: str
    sentence: str


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

    def with_findings(self, findings: Iterable[Finding]) -> "Verification":
        """Return this verification with more findings."""
        return msgspec.structs.replace(self, findings=[*self.findings, *findings])

    def merge(self, other: "Verification") -> "Verification":
        """Return both verifications as one, of the entries of the first."""
        return Verification(
            [*self.findings, *other.findings], self.entries, {**self.checked, **other.checked}
        )
