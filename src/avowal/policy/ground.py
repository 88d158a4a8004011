"""What a disclosure requires on each ground: evidence and approvals, which terms declare under `[[ground]]`.

Terms that require more evidence or approvals protect more. A ground that no `[[ground]]` declares is closed: nothing
can be disclosed on it, which protects most (B8 in `docs/spec/terms.md`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from avowal import strict
from avowal.errors import TermsError
from avowal.policy.vocabulary import Vocabulary


class EvidenceKind(StrEnum):
    """A kind of evidence that terms may require on a ground. Its value is a word of the terms."""

    AUTHORISATION = "authorisation"
    FUNCTION = "function"
    CASE = "case"
    RECORDS = "records"
    INSTRUMENT = "instrument"
    ISSUER = "issuer"
    REFERENCE = "reference"
    DATE = "date"
    SCOPE = "scope"
    CLAIM = "claim"
    DANGER = "danger"


EVIDENCE_DESCRIPTIONS = {
    EvidenceKind.AUTHORISATION: "what the person authorised, for that recipient and those categories",
    EvidenceKind.FUNCTION: "what the person asked for, such as a submission",
    EvidenceKind.CASE: "the case that is checked",
    EvidenceKind.RECORDS: "the records that gave rise to it",
    EvidenceKind.INSTRUMENT: "the kind of the instrument: a law, an order, a warrant",
    EvidenceKind.ISSUER: "who issued the instrument",
    EvidenceKind.REFERENCE: "its reference, such as a file number",
    EvidenceKind.DATE: "its date",
    EvidenceKind.SCOPE: "what it asks for",
    EvidenceKind.CLAIM: "the right that is enforced, and against whom",
    EvidenceKind.DANGER: "whose rights or safety are in danger, and by what",
}
"""What each kind of evidence is."""

APPROVALS_MAX = 9


class Ground(msgspec.Struct, frozen=True):
    """The table `[[ground]]`: what a disclosure on a ground requires."""

    name: str
    evidence: list[str]
    approvals: int = 0
    """How many other readers have to approve it."""


class GroundRequirements(NamedTuple):
    """What a disclosure on one ground requires."""

    evidence: tuple[EvidenceKind, ...]
    """In the order of EvidenceKind."""
    approvals: int

    def merge(self, other: "GroundRequirements") -> "GroundRequirements":
        """Return what both require together."""
        return GroundRequirements(
            sort_evidence({*self.evidence, *other.evidence}), max(self.approvals, other.approvals)
        )


def sort_evidence(kinds: Iterable[EvidenceKind]) -> tuple[EvidenceKind, ...]:
    """Return kinds of evidence in the order of EvidenceKind."""
    return tuple(sorted(kinds, key=list(EvidenceKind).index))


def compile_grounds(
    grounds: Sequence[Ground], vocabulary: Vocabulary, table: str = "ground"
) -> dict[str, GroundRequirements]:
    """Return what `[[ground]]` tables require on each ground. Raises TermsError with the key that is not valid."""
    requirements: dict[str, GroundRequirements] = {}
    for number, ground in enumerate(grounds):
        key = f"{table}[{number}]"
        leaves = vocabulary.expand("grounds", ground.name)
        if not leaves:
            hint = vocabulary.suggest_word("grounds", ground.name)
            raise TermsError(
                f"`{key}.name` is `{ground.name}`, which is not one of the grounds", hint, code="unknown-name"
            )
        for kind in ground.evidence or [""]:
            if kind not in EVIDENCE_DESCRIPTIONS:
                hint = strict.suggest_nearest(kind, list(EvidenceKind), "kinds of evidence")
                raise TermsError(f"`{key}.evidence` is `{kind}`, which is not a kind of evidence", hint)
        if not 0 <= ground.approvals <= APPROVALS_MAX:
            raise TermsError(f"`{key}.approvals` is `{ground.approvals}`", f"write 0 to {APPROVALS_MAX}")
        for leaf in leaves:
            if leaf in requirements:
                raise TermsError(
                    f"`{key}.name` names `{leaf}` once more",
                    "write one [[ground]] for each",
                    code="duplicate-name",
                )
        evidence = sort_evidence({EvidenceKind(kind) for kind in ground.evidence})
        requirements |= dict.fromkeys(leaves, GroundRequirements(evidence, ground.approvals))
    return requirements


def merge_requirements(
    first: Mapping[str, GroundRequirements], second: Mapping[str, GroundRequirements]
) -> dict[str, GroundRequirements]:
    """Return what a disclosure requires under both; a ground that is closed under one of them is closed."""
    return {ground: first[ground].merge(second[ground]) for ground in first if ground in second}


def find_closed_grounds(
    grounds: Iterable[str], requirements: Mapping[str, GroundRequirements]
) -> Iterator[str]:
    """Yield the grounds on which nothing can be disclosed, as no evidence is declared for them."""
    yield from sorted({ground for ground in grounds if ground not in requirements})
