"""Which version of the terms was in force when."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from avowal.disclose.evidence import NO_REQUIREMENTS
from avowal.keep.enforcement import effective_versions, find_governing_bounds
from avowal.ledger.release_entry import AgeReach, ReleaseMade
from avowal.policy.bounds import Bounds, Cell
from avowal.policy.ground import GroundRequirements
from avowal.register.register import Version
from avowal.verify.verification import Finding

RECORDING_DELAY_MAX = timedelta(minutes=10)
"""The longest time between the check of what is permitted and the entry in the ledger."""


@dataclass
class VersionTimeline:
    """The versions of the terms, in their order."""

    versions: list[Version]

    def was_in_force(self, number: int, recorded_at: datetime) -> bool:
        """Return whether a version was in force at a moment, or at most RECORDING_DELAY_MAX before."""
        return number in {
            len(effective_versions(self.versions, moment))
            for moment in (recorded_at, recorded_at - RECORDING_DELAY_MAX)
        }

    def check_in_force(self, number: int, recorded_at: datetime) -> Iterator[Finding]:
        """Yield a finding without its subject if a version was not in force."""
        if not self.was_in_force(number, recorded_at):
            yield Finding("version-not-in-force", f"names version {number}, which was not in force")

    def find_requirements(self, number: int, ground: str) -> GroundRequirements | None:
        """Return what a version requires on a ground; None if it does not permit the ground, or does not exist."""
        if not 1 <= number <= len(self.versions):
            return None
        return self.versions[number - 1].compiled_terms.grounds.get(ground)

    def find_release_requirements(self, entry: ReleaseMade) -> dict[str, GroundRequirements]:
        """Return what was required of the records of each category of a release, by the terms that governed them.

        That is at least what the version in force required then. A category whose terms did not permit it is absent.
        """
        made = entry.summary
        bounds, in_force = self.find_governing_bounds(made.released_at), NO_REQUIREMENTS
        if 1 <= made.version <= len(self.versions):
            in_force = self.versions[made.version - 1].compiled_terms.grounds.get(made.ground, in_force)
        required: dict[str, GroundRequirements] = {}
        for category, _, governing, _ in entry.age_reach:
            if 1 <= governing <= len(bounds) and made.ground in bounds[governing - 1].grounds:
                governed = bounds[governing - 1].grounds[made.ground]
                required[category] = required.get(category, in_force).merge(governed)
        return required

    def find_governing_bounds(self, recorded_at: datetime) -> list[Bounds]:
        """Return the bounds of each governing number, from 1 on, at a moment."""
        return find_governing_bounds(self.versions, recorded_at)

    def check_reach(
        self,
        age_reach: Sequence[AgeReach],
        bounds: Sequence[Bounds],
        purpose_recipient_ground: tuple[str, str, str],
        recorded_at: datetime,
    ) -> Iterator[Finding]:
        """Yield findings, without their subject, about records that go beyond bounds."""
        for category, precision, governing, oldest in age_reach:
            cell = Cell(category, *purpose_recipient_ground)
            age = bounds[governing - 1].max_age(cell, precision) if 1 <= governing <= len(bounds) else 0
            predicate = f"has `{category}` ({precision})"
            if age == 0:
                yield Finding(
                    "category-not-permitted", f"{predicate} of version {governing}, which does not permit it"
                )
            elif age is not None and oldest < recorded_at - timedelta(seconds=age) - RECORDING_DELAY_MAX:
                yield Finding(
                    "record-too-old", f"{predicate} of {oldest:%Y-%m-%d}, which was too old by then"
                )
