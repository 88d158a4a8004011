"""What a disclosure needs on each ground: evidence, and others who approve; terms say so under `[[ground]]`.

Each kind of evidence is a duty, and so are approvals: whoever asks for more protects more.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from avowal import strict
from avowal.errors import TermsError
from avowal.policy.vocabulary import Vocabulary

EVIDENCE = {
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

NEEDS, APPROVALS = " needs ", " approvals"
APPROVALS_MAX = 9


class Ground(msgspec.Struct, frozen=True):
    """What a disclosure needs on a ground."""

    name: str
    evidence: list[str]
    approvals: int = 0
    """How many others have to approve."""


class Need(NamedTuple):
    """What a disclosure needs on one ground, as bounds have it."""

    evidence: tuple[str, ...]
    approvals: int


def duties(grounds: Sequence[Ground], words: Vocabulary) -> dict[str, int]:
    """Return what is owed by grounds. Raises TermsError with the key that is wrong."""
    owed: dict[str, int] = {}
    for number, ground in enumerate(grounds):
        key = f"ground[{number}]"
        leaves = words.leaves("grounds", ground.name)
        if not leaves:
            hint = words.nearest("grounds", ground.name)
            raise TermsError(f"`{key}.name` is `{ground.name}`, which is none of the grounds", hint)
        for kind in ground.evidence or [""]:
            if kind not in EVIDENCE:
                hint = strict.nearest(kind, list(EVIDENCE), "kinds of evidence")
                raise TermsError(f"`{key}.evidence` is `{kind}`, which is no evidence", hint)
        if not 0 <= ground.approvals <= APPROVALS_MAX:
            raise TermsError(f"`{key}.approvals` is `{ground.approvals}`", f"write 0 to {APPROVALS_MAX}")
        for leaf in leaves:
            if any(name.startswith(f"{leaf}{NEEDS}") for name in owed):
                raise TermsError(f"`{key}.name` names `{leaf}` once more", "write one [[ground]] for each")
        owed |= {f"{leaf}{NEEDS}{kind}": 1 for leaf in leaves for kind in ground.evidence}
        owed |= {f"{leaf}{APPROVALS}": ground.approvals for leaf in leaves if ground.approvals}
    return owed


def is_need(duty: str) -> bool:
    """Return whether a duty is one of those."""
    return NEEDS in duty or duty.endswith(APPROVALS)


def needs(owed: Mapping[str, int]) -> dict[str, Need]:
    """Return what a disclosure needs on each ground, of duties; a ground that is absent permits none."""
    found: dict[str, list[str]] = {}
    for name in owed:
        ground, needed, kind = name.partition(NEEDS)
        if needed:
            found.setdefault(ground, []).append(kind)
    return {
        ground: Need(tuple(sorted(kinds, key=list(EVIDENCE).index)), owed.get(f"{ground}{APPROVALS}", 0))
        for ground, kinds in sorted(found.items())
    }


def unevidenced(grounds: Sequence[str], owed: Mapping[str, int]) -> Iterator[str]:
    """Yield the grounds of disclosures for which no evidence is named."""
    told = needs(owed)
    yield from sorted({ground for ground in grounds if ground not in told})
