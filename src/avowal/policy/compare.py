"""Comparing promises by what they mean: which protects more, what several come to, and what governs a record.

The rules and their numbers stand in `docs/spec/terms.md`. Nothing here knows of files, times or stores.
"""

from collections.abc import Collection, Iterator, Sequence
from enum import StrEnum
from functools import reduce
from typing import NamedTuple

from avowal.policy.bounds import Age, Bounds, Cell, shorter


class Relation(StrEnum):
    """How a new version stands to an old one (C2)."""

    SAME = "same"
    MORE_PROTECTIVE = "more protective"
    LESS_PROTECTIVE = "less protective"
    INCOMPARABLE = "incomparable"


class Witness(NamedTuple):
    """Where two versions differ (C3): a precision of a cell with its ages, or a duty with what it owes."""

    about: Cell | str
    precision: str
    was: Age
    now: Age


class Comparison(NamedTuple):
    """How a new version stands to an old one, and every place where it permits more or less."""

    relation: Relation
    looser: tuple[Witness, ...]
    stricter: tuple[Witness, ...]

    @property
    def protects(self) -> bool:
        """Whether the new version is at least as protective as the old one (C1)."""
        return not self.looser


class Step(NamedTuple):
    """From a governing number on, the greatest age permitted, in seconds (G4)."""

    governing: int
    age: Age


def compare(old: Bounds, new: Bounds) -> Comparison:
    """Compare a new version with an old one, in time linear in their cells."""
    differing = list(_differing(old, new))
    looser = tuple(witness for witness, permits_more in differing if permits_more)
    stricter = tuple(witness for witness, permits_more in differing if not permits_more)
    if looser:
        relation = Relation.INCOMPARABLE if stricter else Relation.LESS_PROTECTIVE
    else:
        relation = Relation.MORE_PROTECTIVE if stricter else Relation.SAME
    return Comparison(relation, looser, stricter)


def meet(one: Bounds, other: Bounds) -> Bounds:
    """Return the least protective bounds that are at least as protective as both (C4)."""
    cells = {}
    for cell in one.cells.keys() & other.cells.keys():
        both = one.cells[cell].keys() & other.cells[cell].keys()
        if ages := {
            precision: shorter(one.greatest(cell, precision), other.greatest(cell, precision))
            for precision in one.cells[cell]
            if precision in both
        }:
            cells[cell] = ages
    names = one.duties.keys() | other.duties.keys()
    duties = {name: max(one.duties.get(name, 0), other.duties.get(name, 0)) for name in names}
    return Bounds(cells, duties)


def governing_number(collected: int, consented: Collection[int] = ()) -> int:
    """Return the version from which on versions govern a record (G3), all of them numbered from 1."""
    return max([collected, *consented])


def governing(versions: Sequence[Bounds], collected: int, consented: Collection[int] = ()) -> Bounds:
    """Return what governs a record after all of the versions: in its closed form, the meet of those from its number on.

    `versions` are in the order of their numbers, the first of which is 1. Raises ValueError where there is no version
    of one of the numbers.
    """
    if not all(1 <= number <= len(versions) for number in (collected, *consented)):
        raise ValueError(f"versions are numbered from 1 to {len(versions)}")
    return reduce(meet, versions[governing_number(collected, consented) - 1 :])


def governed(versions: Sequence[Bounds]) -> list[Bounds]:
    """Return what governs the records of each governing number, from 1 on: the meets of the versions from it on."""
    found: list[Bounds] = []
    for version in reversed(versions):
        found.append(meet(version, found[-1]) if found else version)
    return found[::-1]


def steps(versions: Sequence[Bounds]) -> dict[Cell, dict[str, tuple[Step, ...]]]:
    """Return, for each precision of each cell that some governing number permits, its steps (G4), both growing."""
    found: dict[Cell, dict[str, tuple[Step, ...]]] = {}
    newest = versions[-1].cells if versions else {}
    for cell, ages in newest.items():
        for precision, age in ages.items():
            found.setdefault(cell, {})[precision] = _steps(versions, cell, precision, age)
    return found


def _steps(versions: Sequence[Bounds], cell: Cell, precision: str, newest: Age) -> tuple[Step, ...]:
    ages = [newest]
    for version in reversed(versions[:-1]):
        ages.append(shorter(version.greatest(cell, precision), ages[-1]))
    return climbed(ages[::-1])


def climbed(ages: Sequence[Age]) -> tuple[Step, ...]:
    """Return the steps (G4) of the greatest age permitted to each governing number, from 1 on, which never shrinks."""
    below: list[Age] = [0, *ages]
    return tuple(Step(number, age) for number, age in enumerate(ages, 1) if age != below[number - 1])


def permitted(steps: Sequence[Step], governing: int, age_seconds: float) -> bool:
    """Return whether steps permit an age to a record of a governing number: what a reading's SQL asks."""
    return any(
        step.governing <= governing and (step.age is None or age_seconds <= step.age) for step in steps
    )


def _differing(old: Bounds, new: Bounds) -> Iterator[tuple[Witness, bool]]:
    """Yield each difference, and whether the new version permits more there, or owes less."""
    for cell in sorted(old.cells.keys() | new.cells.keys()):
        for precision in {**old.cells.get(cell, {}), **new.cells.get(cell, {})}:
            was, now = old.greatest(cell, precision), new.greatest(cell, precision)
            if was != now:
                yield Witness(cell, precision, was, now), shorter(was, now) == was
    for duty in sorted(old.duties.keys() | new.duties.keys()):
        owed, owes = old.duties.get(duty, 0), new.duties.get(duty, 0)
        if owed != owes:
            yield Witness(duty, "", owed, owes), owes < owed
