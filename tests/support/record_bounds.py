"""The bounds of one record and its age steps, from the functions that the SQL of purpose views is built with."""

from collections.abc import Collection, Sequence

from avowal.policy.bounds import Bounds, Cell
from avowal.policy.compare import AgeStep, collapse_to_age_steps, list_governing_bounds


def compute_record_bounds(
    versions: Sequence[Bounds], collected_version: int, consented_versions: Collection[int] = ()
) -> Bounds:
    """Return the bounds of a record that was collected under a version, after consent to others (G3)."""
    return list_governing_bounds(versions)[max(collected_version, *consented_versions, 1) - 1]


def compute_age_steps(versions: Sequence[Bounds]) -> dict[Cell, dict[str, tuple[AgeStep, ...]]]:
    """Return the steps (G4) of each precision of each cell that the newest version permits."""
    governing = list_governing_bounds(versions)
    return {
        cell: {
            precision: collapse_to_age_steps([bounds.max_age(cell, precision) for bounds in governing])
            for precision in ages
        }
        for cell, ages in (versions[-1].cells if versions else {}).items()
    }


def is_age_permitted(steps: Sequence[AgeStep], governing_number: int, age_seconds: float) -> bool:
    """Return whether age steps permit an age to a record with a governing number."""
    return any(
        step.governing <= governing_number and (step.age is None or age_seconds <= step.age) for step in steps
    )
