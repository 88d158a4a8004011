"""Compares bounds by meaning: which protect more, what several permit together, and what governs a record.

The rules and their numbers (C1 and so on) are in `docs/spec/terms.md`. Nothing here reads files, clocks or stores.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from avowal.policy.bounds import Age, Bounds, Cell, FormNeeds, min_age
from avowal.policy.duty import find_duty_differences
from avowal.policy.ground import merge_requirements


class ProtectionRelation(StrEnum):
    """How well a new version protects, compared with an old one (C2)."""

    SAME = "same"
    MORE_PROTECTIVE = "more protective"
    LESS_PROTECTIVE = "less protective"
    INCOMPARABLE = "incomparable"


class Witness(NamedTuple):
    """One difference between two versions (C3).

    `rule` is a cell, whose greatest age at `precision` differs, or the name of a duty, whose amount differs.
    """

    rule: Cell | str
    precision: str
    old_value: Age
    new_value: Age


class Comparison(NamedTuple):
    """How well a new version protects, and every difference: where it permits more, and where less."""

    relation: ProtectionRelation
    looser: tuple[Witness, ...]
    stricter: tuple[Witness, ...]

    @property
    def is_at_least_as_protective(self) -> bool:
        """Whether the new version is at least as protective as the old one (C1)."""
        return not self.looser


class AgeStep(NamedTuple):
    """The greatest permitted age, in seconds, from a governing number on (G4)."""

    governing: int
    age: Age


def compare(old: Bounds, new: Bounds) -> Comparison:
    """Compare a new version with an old one, in time linear in the number of their cells."""
    differences = list(_find_differences(old, new))
    looser = tuple(witness for witness, permits_more in differences if permits_more)
    stricter = tuple(witness for witness, permits_more in differences if not permits_more)
    if looser:
        relation = ProtectionRelation.INCOMPARABLE if stricter else ProtectionRelation.LESS_PROTECTIVE
    else:
        relation = ProtectionRelation.MORE_PROTECTIVE if stricter else ProtectionRelation.SAME
    return Comparison(relation, looser, stricter)


def meet(first: Bounds, second: Bounds) -> Bounds:
    """Return the least protective bounds that are at least as protective as both (C4)."""
    cells = {}
    for cell in first.cells.keys() & second.cells.keys():
        shared_precisions = first.cells[cell].keys() & second.cells[cell].keys()
        if ages := {
            precision: min_age(first.max_age(cell, precision), second.max_age(cell, precision))
            for precision in first.cells[cell]
            if precision in shared_precisions
        }:
            cells[cell] = ages
    names = first.duties.keys() | second.duties.keys()
    duties = {name: max(first.duties.get(name, 0), second.duties.get(name, 0)) for name in names}
    grounds = merge_requirements(first.grounds, second.grounds)
    return Bounds(cells, duties, grounds, _meet_form_needs(first, second))


def list_governing_bounds(versions: Sequence[Bounds]) -> list[Bounds]:
    """Return what governs the records with each governing number, from 1 on (G3).

    That is the meet of the version with that number and all later ones. `versions` are in the order of their numbers.
    """
    governing: list[Bounds] = []
    for version in reversed(versions):
        governing.append(meet(version, governing[-1]) if governing else version)
    return governing[::-1]


def collapse_to_age_steps(ages: Sequence[Age]) -> tuple[AgeStep, ...]:
    """Return the steps (G4) of the greatest permitted ages, given for each governing number from 1 on.

    The ages never decrease, so a step is left out where the age is the same as at the number before.
    """
    ages_before: list[Age] = [0, *ages]
    return tuple(AgeStep(number, age) for number, age in enumerate(ages, 1) if age != ages_before[number - 1])


def _find_differences(old: Bounds, new: Bounds) -> Iterator[tuple[Witness, bool]]:
    """Yield each difference, and whether the new version permits more there."""
    for cell in sorted(old.cells.keys() | new.cells.keys()):
        for precision in {**old.cells.get(cell, {}), **new.cells.get(cell, {})}:
            old_age, new_age = old.max_age(cell, precision), new.max_age(cell, precision)
            if old_age != new_age:
                yield Witness(cell, precision, old_age, new_age), min_age(old_age, new_age) == old_age
    for duty, old_amount, new_amount in find_duty_differences(old, new):
        yield Witness(duty, "", old_amount, new_amount), new_amount < old_amount


def _meet_form_needs(first: Bounds, second: Bounds) -> dict[str, FormNeeds]:
    """Return what others may receive of each form under both; a form of which that is nothing is absent."""
    shared = {
        form: FormNeeds(
            first.form_needs[form].categories & second.form_needs[form].categories,
            first.form_needs[form].purposes | second.form_needs[form].purposes,
        )
        for form in first.form_needs.keys() & second.form_needs.keys()
    }
    return {form: needs for form, needs in shared.items() if needs.categories}
