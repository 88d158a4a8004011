"""What a disclosure needs on each ground: evidence, and others who approve; terms say so under `[[ground]]`.

Each kind of evidence is a duty, and so are approvals: whoever asks for more protects more.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from avowal import strict
from avowal.errors import TermsError
from avowal.policy.vocabulary import Vocabulary

EVIDENCE_KINDS = {
    "authorisation": "what the person authorised, for that recipient and those categories",
    "function": "what the person asked for, such as a submission",
    "case": "the case that is checked",
    "records": "the records that gave rise to it",
    "instrument": "the kind of the instrument: a law, an order, a warrant",
    "issuer": "who issued the instrument",
    "reference": "where it is found again",
    "date": "of which day it is",
    "scope": "what it asks for",
    "claim": "the right that is enforced, and against whom",
    "danger": "whose rights or safety are in danger, and by what",
}
"""Each kind of evidence, with what it is."""

EVIDENCE_DUTY_INFIX, APPROVALS_DUTY_SUFFIX = " needs ", " approvals"
APPROVALS_MAX = 9


class Ground(msgspec.Struct, frozen=True):
    """What a disclosure needs on a ground."""

    name: str
    evidence: list[str]
    approvals: int = 0
    """How many others have to approve."""


class GroundRequirements(NamedTuple):
    """What a disclosure needs on one ground, as bounds have it."""

    evidence: tuple[str, ...]
    approvals: int


def compile_ground_duties(grounds: Sequence[Ground], vocabulary: Vocabulary) -> dict[str, int]:
    """Return what is owed by grounds. Raises TermsError with the key that is wrong."""
    owed: dict[str, int] = {}
    for number, ground in enumerate(grounds):
        key = f"ground[{number}]"
        leaves = vocabulary.expand("grounds", ground.name)
        if not leaves:
            hint = vocabulary.suggest_word("grounds", ground.name)
            raise TermsError(
                f"`{key}.name` is `{ground.name}`, which is none of the grounds", hint, code="unknown-name"
            )
        for kind in ground.evidence or [""]:
            if kind not in EVIDENCE_KINDS:
                hint = strict.suggest_nearest(kind, list(EVIDENCE_KINDS), "kinds of evidence")
                raise TermsError(f"`{key}.evidence` is `{kind}`, which is no evidence", hint)
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
    """Return whether a duty is one of those."""
    return EVIDENCE_DUTY_INFIX in duty or duty.endswith(APPROVALS_DUTY_SUFFIX)


def parse_ground_requirements(duties: Mapping[str, int]) -> dict[str, GroundRequirements]:
    """Return what a disclosure needs on each ground, of duties; a ground that is absent permits none."""
    found: dict[str, list[str]] = {}
    for name in duties:
        ground, needed, kind = name.partition(EVIDENCE_DUTY_INFIX)
        if needed:
            found.setdefault(ground, []).append(kind)
    return {
        ground: GroundRequirements(
            tuple(sorted(kinds, key=list(EVIDENCE_KINDS).index)),
            duties.get(f"{ground}{APPROVALS_DUTY_SUFFIX}", 0),
        )
        for ground, kinds in sorted(found.items())
    }


def find_grounds_without_evidence(grounds: Sequence[str], duties: Mapping[str, int]) -> Iterator[str]:
    """Yield the grounds of disclosures for which no evidence is named."""
    told = parse_ground_requirements(duties)
    yield from sorted({ground for ground in grounds if ground not in told})
