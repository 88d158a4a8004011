"""What a disclosure requires on each ground: evidence and approvals, which terms declare under `[[ground]]`.

Each kind of evidence is a duty, and so is the number of approvals: terms that require more protect more.
"""

from collections.abc import Iterator, Mapping, Sequence
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

EVIDENCE_DUTY_INFIX, APPROVALS_DUTY_SUFFIX = " needs ", " approvals"
APPROVALS_MAX = 9


class Ground(msgspec.Struct, frozen=True):
    """The table `[[ground]]`: what a disclosure on a ground requires."""

    name: str
    evidence: list[str]
    approvals: int = 0
    """How many other readers have to approve it."""


class GroundRequirements(NamedTuple):
    """What a disclosure on one ground requires, from the duties of a version."""

    evidence: tuple[EvidenceKind, ...]
    approvals: int


def compile_ground_duties(grounds: Sequence[Ground], vocabulary: Vocabulary) -> dict[str, int]:
    """Return the duties of `[[ground]]` tables. Raises TermsError with the key that is not valid."""
    owed: dict[str, int] = {}
    for number, ground in enumerate(grounds):
        key = f"ground[{number}]"
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
            if any(name.startswith(f"{leaf}{EVIDENCE_DUTY_INFIX}") for name in owed):
                raise TermsError(
                    f"`{key}.name` names `{leaf}` once more",
                    "write one [[ground]] for each",
                    code="duplicate-name",
                )
        owed |= {f"{leaf}{EVIDENCE_DUTY_INFIX}{kind}": 1 for leaf in leaves for kind in ground.evidence}
        owed |= {f"{leaf}{APPROVALS_DUTY_SUFFIX}": ground.approvals for leaf in leaves if ground.approvals}
    return owed


def is_ground_duty(duty: str) -> bool:
    """Return whether a duty is evidence or approvals for a ground."""
    return EVIDENCE_DUTY_INFIX in duty or duty.endswith(APPROVALS_DUTY_SUFFIX)


def parse_ground_requirements(duties: Mapping[str, int]) -> dict[str, GroundRequirements]:
    """Return what a disclosure on each ground requires, from duties. A ground that is absent permits no disclosure."""
    kinds_by_ground: dict[str, list[EvidenceKind]] = {}
    for name in duties:
        ground, infix, kind = name.partition(EVIDENCE_DUTY_INFIX)
        if infix:
            kinds_by_ground.setdefault(ground, []).append(EvidenceKind(kind))
    return {
        ground: GroundRequirements(
            tuple(sorted(kinds, key=list(EvidenceKind).index)),
            duties.get(f"{ground}{APPROVALS_DUTY_SUFFIX}", 0),
        )
        for ground, kinds in sorted(kinds_by_ground.items())
    }


def find_grounds_without_evidence(grounds: Sequence[str], duties: Mapping[str, int]) -> Iterator[str]:
    """Yield the grounds for which no evidence is declared, so that nothing can be disclosed on them."""
    with_evidence = parse_ground_requirements(duties)
    yield from sorted({ground for ground in grounds if ground not in with_evidence})
