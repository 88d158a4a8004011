"""Bounds: the most that terms permit and the least that they owe. Every decision about data compares with them.

The rules and their numbers (B1 and so on) are in `docs/spec/terms.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import NamedTuple

import msgspec
import rfc8785

from avowal.errors import TermsError
from avowal.policy.ground import EvidenceKind, GroundRequirements, sort_evidence

COMPILATION = 1
"""The number of the rules by which terms compile to bounds (B10). Other rules need another number."""

OPERATOR = "operator"
PROCESSOR = "processor"
VISITOR = "visitor"
"""The visitor whose data it is."""

THIRD_PARTY = "third-party"
"""The recipient of a cookie that another site sets."""

OWN_USE = "own-use"
"""The ground of use by the operator and its processors; the other grounds are for other recipients."""

GROUND_ONLY_PURPOSE = "ground-alone"
"""The purpose of a disclosure whose rule names no purpose, only a ground."""

COOKIE_PREFIX = "cookie "
"""The prefix of a category that is a cookie's name. No word of the vocabulary has a space, so there is no clash."""

FOREVER = "forever"

Age = int | None
"""A greatest permitted age in seconds. None is unlimited, 0 is never."""

UNIT_SECONDS = {
    "second": 1,
    "minute": 60,
    "hour": 3600,
    "day": 86_400,
    "week": 7 * 86_400,
    "month": 30 * 86_400,
    "year": 365 * 86_400,
}
"""Seconds per unit. An age is an exact number of seconds, so a month is 30 days and a year 365."""

AgeByPrecision = Mapping[str, Age]
"""The greatest age at each precision, from coarse to fine. A precision that is absent is never permitted."""


class Cell(NamedTuple):
    """The subject of a rule: a category, for a purpose, to a recipient, on a ground. All four are leaves (B2)."""

    category: str
    purpose: str
    recipient: str
    ground: str

    @property
    def cookie_name(self) -> str:
        """The name of the cookie that the cell is about; empty if it is about a category of the vocabulary."""
        return self.category.removeprefix(COOKIE_PREFIX) if self.category.startswith(COOKIE_PREFIX) else ""


class FormNeeds(NamedTuple):
    """What others may receive of a form's submissions to provide what it asks for (B9)."""

    categories: frozenset[str]
    purposes: frozenset[str]
    """The purposes of the form: whoever objects to one of them is not served by a release."""


@dataclass(frozen=True)
class Bounds:
    """What a version, or several versions together, permit and owe (B1)."""

    cells: Mapping[Cell, AgeByPrecision]
    duties: Mapping[str, int]
    """The amount of each duty (B6). A duty of amount 0 is absent."""
    grounds: Mapping[str, GroundRequirements] = field(default_factory=dict)
    """What a disclosure requires on each ground (B8). A ground that is absent is closed, and no cell is on it."""
    form_needs: Mapping[str, FormNeeds] = field(default_factory=dict)
    """What others may receive of the submissions of each form (B9). Of an absent form they may receive nothing."""

    @property
    def smallest_group(self) -> int:
        """The least number of visitors of a group in what is shared."""
        return self.duties.get("smallest-group", 1)

    def max_age(self, cell: Cell, precision: str) -> Age:
        """Return the greatest permitted age; 0 if the cell is never permitted at that precision."""
        return self.cells.get(cell, {}).get(precision, 0)

    @cached_property
    def _operator_cells(self) -> dict[Cell, AgeByPrecision]:
        return {
            cell: ages
            for cell, ages in self.cells.items()
            if cell.recipient == OPERATOR and not cell.cookie_name
        }

    @cached_property
    def collected_categories(self) -> list[str]:
        """The categories that the operator collects."""
        return sorted({cell.category for cell in self._operator_cells})

    def retention_ages(self, category: str) -> AgeByPrecision:
        """Return the greatest age at each precision over all of the operator's purposes; empty if never."""
        longest: AgeByPrecision = {}
        for cell, ages in self._operator_cells.items():
            if cell.category == category:
                longest = merge_longest_ages(longest, ages)
        return longest

    def cookie_ages(self, name: str) -> AgeByPrecision:
        """Return the greatest age on each basis on which the operator may set a cookie; empty if on none (B5)."""
        longest: AgeByPrecision = {}
        for cell, ages in self.cells.items():
            if cell.cookie_name == name and cell.recipient == OPERATOR:
                longest = merge_longest_ages(longest, ages)
        return longest

    def is_at_least_as_strict(self, category: str, other_category: str) -> bool:
        """Return whether a category may be used only where another may be, and nowhere for longer."""
        for needs in self.form_needs.values():
            if category in needs.categories and other_category not in needs.categories:
                return False
        for cell, ages in self.cells.items():
            if cell.category == category:
                other_ages = self.cells.get(cell._replace(category=other_category), {})
                if any(min_age(age, other_ages.get(precision, 0)) != age for precision, age in ages.items()):
                    return False
        return True

    def collection_purposes(self, category: str) -> list[str]:
        """Return the purposes that a category is collected for."""
        return sorted(cell.purpose for cell in self._operator_cells if cell.category == category)

    def disclosed_categories(self, recipient: str, ground: str) -> frozenset[str]:
        """Return the categories that a recipient may have on a ground."""
        return frozenset(
            cell.category for cell in self.cells if (cell.recipient, cell.ground) == (recipient, ground)
        )

    def max_age_coarsest(self, cell: Cell) -> Age:
        """Return the greatest permitted age at the coarsest precision; 0 if the cell is never permitted."""
        ages = self.cells.get(cell)
        return next(iter(ages.values())) if ages else 0


@dataclass(frozen=True)
class CompiledTerms(Bounds):
    """The bounds of one version, with the identity of the vocabulary that its terms are written in."""

    vocabulary_identity: str = ""

    def encode_canonical(self) -> bytes:
        """Return canonical JSON (RFC 8785). Terms with the same meaning have the same bytes (V1)."""
        canonical = _CanonicalTerms(
            cells=[
                (*cell, [(precision, FOREVER if age is None else age) for precision, age in ages.items()])
                for cell, ages in sorted(self.cells.items())
            ],
            compilation=COMPILATION,
            duties=dict(self.duties),
            forms={
                name: _CanonicalNeeds(sorted(needs.categories), sorted(needs.purposes))
                for name, needs in self.form_needs.items()
            },
            grounds={
                name: _CanonicalGround(requirements.approvals, sorted(requirements.evidence))
                for name, requirements in self.grounds.items()
            },
            vocabulary=self.vocabulary_identity,
        )
        return rfc8785.dumps(msgspec.to_builtins(canonical))

    @cached_property
    def identity(self) -> str:
        """The SHA-256 of the canonical form, in hexadecimal: the identity of a version."""
        return sha256(self.encode_canonical()).hexdigest()


def parse_canonical(text: bytes) -> CompiledTerms:
    """Parse what `encode_canonical` returned. Older versions keep the bounds that they were compiled to (B7, B10).

    Raises TermsError if they were compiled by rules that this version of Avowal does not know, and msgspec.DecodeError
    if it is not canonical terms.
    """
    if (number := msgspec.json.decode(text, type=_Compilation).compilation) != COMPILATION:
        raise TermsError(
            f"the terms were compiled by rules of number {number}, which are unknown here",
            "use a newer Avowal",
            code="unknown-compilation",
        )
    canonical = msgspec.json.decode(text, type=_CanonicalTerms)
    return CompiledTerms(
        cells={
            Cell(*cell[:4]): {precision: None if age == FOREVER else age for precision, age in cell[4]}  # type: ignore[misc]  # an age is a number or FOREVER
            for cell in canonical.cells
        },
        duties=canonical.duties,
        grounds={
            name: GroundRequirements(sort_evidence(ground.evidence), ground.approvals)
            for name, ground in canonical.grounds.items()
        },
        form_needs={
            name: FormNeeds(frozenset(needs.categories), frozenset(needs.purposes))
            for name, needs in canonical.forms.items()
        },
        vocabulary_identity=canonical.vocabulary,
    )


class _Compilation(msgspec.Struct):
    compilation: int


class _CanonicalNeeds(msgspec.Struct, forbid_unknown_fields=True, rename={"categories": "needs"}):
    categories: list[str]
    purposes: list[str]


class _CanonicalGround(msgspec.Struct, forbid_unknown_fields=True):
    approvals: int
    evidence: list[EvidenceKind]


class _CanonicalTerms(msgspec.Struct, forbid_unknown_fields=True):
    cells: list[tuple[str, str, str, str, list[tuple[str, int | str]]]]
    compilation: int
    duties: dict[str, int]
    forms: dict[str, _CanonicalNeeds]
    grounds: dict[str, _CanonicalGround]
    vocabulary: str


def merge_longest_ages(first: AgeByPrecision, second: AgeByPrecision) -> AgeByPrecision:
    """Return the longer age at each precision."""
    longest = dict(first)
    for precision, age in second.items():
        first_age = longest.get(precision, 0)
        longest[precision] = None if first_age is None or age is None else max(first_age, age)
    return longest


def min_age(first: Age, second: Age) -> Age:
    """Return the shorter of two ages."""
    return second if first is None else first if second is None else min(first, second)
