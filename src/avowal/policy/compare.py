"""Comparing promises by what they mean: which protects more, what several come to, and what governs a record.

The rules and their numbers stand in `docs/spec/terms.md`. Nothing here knows of files, times or stores.
"""

from collections.abc import Collection, Iterator, Sequence
from enum import StrEnum
from functools import reduce
from typing import NamedTuple

from avowal.policy.bounds import Age, Bounds, Cell, min_age


class ProtectionRelation(StrEnum):
    """How a new version stands to an old one (C2)."""

    SAME = "same"
    MORE_PROTECTIVE = "more protective"
    LESS_PROTECTIVE = "less protective"
    INCOMPARABLE = "incomparable"


class Witness(NamedTuple):
    """Where two versions differ (C3): a precision of a cell with its ages, or a duty with what it owes."""

    rule: Cell | str
    precision: str
    old_value: Age
    new_value: Age


class Comparison(NamedTuple):
    """How a new version stands to an old one, and every place where it permits more or less."""

    relation: ProtectionRelation
    looser: tuple[Witness, ...]
    stricter: tuple[Witness, ...]

    @property
    def is_at_least_as_protective(self) -> bool:
        """Whether the new version is at least as protective as the old one (C1)."""
        return not self.looser


class AgeStep(NamedTuple):
    """From a governing number on, the greatest age permitted, in seconds (G4)."""

    governing: int
    age: Age


def compare(old: Bounds, new: Bounds) -> Comparison:
    """Compare a new version with an old one, in time linear in their cells."""
    differing = list(_differing(old, new))
    looser = tuple(witness for witness, permits_more in differing if permits_more)
    stricter = tuple(witness for witness, permits_more in differing if not permits_more)
    if looser:
        relation = ProtectionRelation.INCOMPARABLE if stricter else ProtectionRelation.LESS_PROTECTIVE
    else:
        relation = ProtectionRelation.MORE_PROTECTIVE if stricter else ProtectionRelation.SAME
    return Comparison(relation, looser, stricter)


def meet(first: Bounds, second: Bounds) -> Bounds:
    """Return the least protective bounds that are at least as protective as both (C4)."""
    cells = {}
    for cell in first.cells.keys() & second.cells.keys():
        both = first.cells[cell].keys() & second.cells[cell].keys()
        if ages := {
            precision: min_age(first.max_age(cell, precision), second.max_age(cell, precision))
            for precision in first.cells[cell]
            if precision in both
        }:
            cells[cell] = ages
    names = first.duties.keys() | second.duties.keys()
    duties = {name: max(first.duties.get(name, 0), second.duties.get(name, 0)) for name in names}
    return Bounds(cells, duties)


def compute_governing_number(collected_version: int, consented_versions: Collection[int] = ()) -> int:
    """Return the version from which on versions govern a record (G3), all of them numbered from 1."""
    return max([collected_version, *consented_versions])


def compute_record_bounds(
    versions: Sequence[Bounds], collected_version: int, consented_versions: Collection[int] = ()
) -> Bounds:
    """Return what governs a record after all of the versions: in its closed form, the meet of those from its number on.

    `versions` are in the order of their numbers, the first of which is 1. Raises ValueError where there is no version
    of one of the numbers.
    """
    if not all(1 <= number <= len(versions) for number in (collected_version, *consented_versions)):
        raise ValueError(f"versions are numbered from 1 to {len(versions)}")
    return reduce(meet, versions[compute_governing_number(collected_version, consented_versions) - 1 :])


def list_governing_bounds(versions: Sequence[Bounds]) -> list[Bounds]:
    """Return what governs the records of each governing number, from 1 on: the meets of the versions from it on."""
    found: list[Bounds] = []
    for version in reversed(versions):
        found.append(meet(version, found[-1]) if found else version)
    return found[::-1]


def compute_age_steps(versions: Sequence[Bounds]) -> dict[Cell, dict[str, tuple[AgeStep, ...]]]:
    """Return, for each precision of each cell that some governing number permits, its steps (G4), both growing."""
    found: dict[Cell, dict[str, tuple[AgeStep, ...]]] = {}
    newest = versions[-1].cells if versions else {}
    for cell, ages in newest.items():
        for precision, age in ages.items():
            found.setdefault(cell, {})[precision] = _steps(versions, cell, precision, age)
    return found


def _steps(versions: Sequence[Bounds], cell: Cell, precision: str, newest: Age) -> tuple[AgeStep, ...]:
    ages = [newest]
    for version in reversed(versions[:-1]):
        ages.append(min_age(version.max_age(cell, precision), ages[-1]))
    return collapse_to_age_steps(ages[::-1])


def collapse_to_age_steps(ages: Sequence[Age]) -> tuple[AgeStep, ...]:
    """Return the steps (G4) of the greatest age permitted to each governing number, from 1 on, which never shrinks."""
    below: list[Age] = [0, *ages]
    return tuple(AgeStep(number, age) for number, age in enumerate(ages, 1) if age != below[number - 1])


def is_age_permitted(steps: Sequence[AgeStep], governing_number: int, age_seconds: float) -> bool:
    """Return whether steps permit an age to a record of a governing number: what a reading's SQL asks."""
    return any(
        step.governing <= governing_number and (step.age is None or age_seconds <= step.age) for step in steps
    )


def _differing(old: Bounds, new: Bounds) -> Iterator[tuple[Witness, bool]]:
    """Yield each difference, and whether the new version permits more there, or owes less."""
    for cell in sorted(old.cells.keys() | new.cells.keys()):
        for precision in {**old.cells.get(cell, {}), **new.cells.get(cell, {})}:
            was, now = old.max_age(cell, precision), new.max_age(cell, precision)
            if was != now:
                yield Witness(cell, precision, was, now), min_age(was, now) == was
    for duty in sorted(old.duties.keys() | new.duties.keys()):
        owed, owes = old.duties.get(duty, 0), new.duties.get(duty, 0)
        if owed != owes:
            yield Witness(duty, "", owed, owes), owes < owed
