"""Telling promises and their differences in the words of the terms, so that a lawyer can read them."""

from collections.abc import Iterable
from typing import NamedTuple

from avow.policy.bounds import OPERATOR, OWN_USE, Age, Ages, Cell
from avow.policy.compare import Witness

UNITS = {"day": 86_400, "hour": 3600, "minute": 60, "second": 1}
OWED = {0: "not owed", 1: "owed"}
COUNTED = {"notice-days": "days", "smallest-group": "visitors"}
"""Duties that are a number, and of what."""


class Difference(NamedTuple):
    """Witnesses that differ in their purposes and categories alone, as one line (C3)."""

    what: tuple[str, ...]
    precision: str
    purposes: tuple[str, ...]
    recipient: str
    ground: str
    was: str
    now: str

    @property
    def about(self) -> str:
        """What it is about, and at which precision."""
        return ", ".join([*self.what, *([self.precision] if self.precision else [])])

    @property
    def sentence(self) -> str:
        """Say it in a line.

        >>> Difference(("ip-address",), "full", ("abuse",), "operator", "own-use", "90 days", "365 days").sentence
        'ip-address, full: kept 365 days, was 90 days; for abuse'
        """
        if not self.recipient:
            return f"{self.about}: {self.now}, was {self.was}"
        kept = "kept" if self.recipient == OPERATOR else f"to {self.recipient} until the age of"
        ground = "" if self.ground == OWN_USE else f"; on the ground {self.ground}"
        return f"{self.about}: {kept} {self.now}, was {self.was}; for {', '.join(self.purposes)}{ground}"


def differences(witnesses: Iterable[Witness]) -> list[Difference]:
    """Fold witnesses into as few lines as tell all of them (C3)."""
    purposes: dict[tuple[Cell, str, Age, Age], list[str]] = {}
    duties = []
    for about, precision, was, now in witnesses:
        if isinstance(about, Cell):
            purposes.setdefault((about._replace(purpose=""), precision, was, now), []).append(about.purpose)
        else:
            duties.append(Difference((about,), "", (), "", "", owed(about, was), owed(about, now)))
    finest = {
        (cell, tuple(served), was, now): precision for (cell, precision, was, now), served in purposes.items()
    }
    categories: dict[tuple[object, ...], list[str]] = {}
    for (cell, served, was, now), precision in finest.items():
        line = precision, served, cell.recipient, cell.ground, lasting(was), lasting(now)
        categories.setdefault(line, []).append(cell.category)
    return [Difference(tuple(what), *line) for line, what in categories.items()] + duties  # type: ignore[arg-type]


def lasting(age: Age) -> str:
    """Tell an age in the largest unit that it is a whole number of.

    >>> lasting(7 * 86_400), lasting(5400), lasting(0), lasting(None)
    ('7 days', '90 minutes', 'never', 'forever')
    """
    if not age:
        return "forever" if age is None else "never"
    unit, seconds = next((unit, seconds) for unit, seconds in UNITS.items() if not age % seconds)
    return f"{age // seconds:,} {unit}{'s' * (age != seconds)}"


def lasting_by_precision(ages: Ages) -> str:
    """Tell ages in words, finest first, leaving out what adds nothing.

    >>> lasting_by_precision({"country": 7776000, "prefix": 7776000, "full": 604800})
    'full 7 days, prefix 90 days'
    """
    told: dict[str, str] = {}
    for precision, age in reversed(list(ages.items())):
        told.setdefault(lasting(age), precision)
    return ", ".join(f"{precision} {age}" for age, precision in told.items())


def owed(duty: str, owes: Age) -> str:
    """Tell how much of a duty is owed."""
    return f"{owes} {COUNTED[duty]}" if duty in COUNTED else OWED[owes or 0]
