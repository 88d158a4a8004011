"""What promises come to: the most that is permitted, and the least that is owed; everything that decides stands on it.

The rules and their numbers (B1 and so on) stand in `docs/spec/terms.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec
import rfc8785

OPERATOR = "operator"
PROCESSOR = "processor"
VISITOR = "visitor"
"""Who reads what is held of themselves."""

THIRD_PARTY = "third-party"
"""Who sets a cookie that is not the site's own."""

OWN_USE = "own-use"
"""The ground of what the operator does itself, or has a processor do; the other grounds are for others."""

GROUND_ONLY_PURPOSE = "ground-alone"
"""The purpose of a disclosure that names none: its ground is all that it is for."""

COOKIE_PREFIX = "cookie "
"""What stands before a cookie's name where it is the category of a cell; no word of the vocabulary has a space."""

FOREVER = "forever"

Age = int | None
"""Seconds; None is for ever."""

UNIT_SECONDS = {
    "second": 1,
    "minute": 60,
    "hour": 3600,
    "day": 86_400,
    "week": 7 * 86_400,
    "month": 30 * 86_400,
    "year": 365 * 86_400,
}
"""Seconds of each unit. An age is an exact number of seconds, so a month is 30 days, and a year 365."""

AgeByPrecision = Mapping[str, Age]
"""The greatest age at each precision, coarse to fine; an absent precision is never permitted."""


class Cell(NamedTuple):
    """What a promise is about: a category for a purpose, to a recipient, on a ground; all are leaves (B2)."""

    category: str
    purpose: str
    recipient: str
    ground: str

    @property
    def cookie_name(self) -> str:
        """The name of the cookie that it is about; empty where it is about none."""
        return self.category.removeprefix(COOKIE_PREFIX) if self.category.startswith(COOKIE_PREFIX) else ""


@dataclass(frozen=True)
class Bounds:
    """What a version comes to, or several of them together (B1)."""

    cells: Mapping[Cell, AgeByPrecision]
    duties: Mapping[str, int]
    """How much each duty owes (B6); one that owes nothing is absent."""

    def max_age(self, cell: Cell, precision: str) -> Age:
        """Return the greatest age permitted; 0 where it never is."""
        return self.cells.get(cell, {}).get(precision, 0)

    @cached_property
    def _own(self) -> dict[Cell, AgeByPrecision]:
        return {
            cell: ages
            for cell, ages in self.cells.items()
            if cell.recipient == OPERATOR and not cell.cookie_name
        }

    @cached_property
    def collected_categories(self) -> list[str]:
        """The categories that the operator collects."""
        return sorted({cell.category for cell in self._own})

    def retention_ages(self, category: str) -> AgeByPrecision:
        """Return the greatest age at each precision over all of the operator's purposes; empty if never."""
        kept: AgeByPrecision = {}
        for cell, ages in self._own.items():
            if cell.category == category:
                kept = max_ages(kept, ages)
        return kept

    def cookie_ages(self, name: str) -> AgeByPrecision:
        """Return the basis on which the operator may set a cookie, with the greatest age; empty if on none (B5)."""
        found: AgeByPrecision = {}
        for cell, ages in self.cells.items():
            if cell.cookie_name == name and cell.recipient == OPERATOR:
                found = max_ages(found, ages)
        return found

    def is_at_least_as_strict(self, category: str, other_category: str) -> bool:
        """Return whether a category may be used for nothing that another may not, and nowhere for longer."""
        for cell, ages in self.cells.items():
            if cell.category == category:
                other = self.cells.get(cell._replace(category=other_category), {})
                if any(min_age(age, other.get(precision, 0)) != age for precision, age in ages.items()):
                    return False
        return True

    def collection_purposes(self, category: str) -> list[str]:
        """Return the purposes that a category is collected for."""
        return sorted(cell.purpose for cell in self._own if cell.category == category)

    def max_age_coarsest(self, cell: Cell) -> Age:
        """Return the greatest age permitted at the coarsest precision; 0 where it never is."""
        ages = self.cells.get(cell)
        return next(iter(ages.values())) if ages else 0


@dataclass(frozen=True)
class CompiledTerms(Bounds):
    """What the terms of one version promise, under the vocabulary that they were written in."""

    vocabulary_identity: str

    def encode_canonical(self) -> bytes:
        """Return canonical JSON (RFC 8785): the same promise is the same bytes, however it was written (V1)."""
        cells: list[Any] = [
            [*cell, [[precision, FOREVER if age is None else age] for precision, age in ages.items()]]
            for cell, ages in sorted(self.cells.items())
        ]
        return rfc8785.dumps(
            {"cells": cells, "duties": dict(self.duties), "vocabulary": self.vocabulary_identity}
        )

    @cached_property
    def identity(self) -> str:
        """The SHA-256 of the canonical form, in hexadecimal: the identity of a version."""
        return sha256(self.encode_canonical()).hexdigest()


def parse_canonical(text: bytes) -> CompiledTerms:
    """Read what `canonical` wrote: an older version keeps the leaves that it was compiled with (B7).

    Raises msgspec.DecodeError where it is none.
    """
    told = msgspec.json.decode(text, type=_CanonicalTerms)
    cells = {
        Cell(*cell[:4]): {precision: None if age == FOREVER else age for precision, age in cell[4]}
        for cell in told.cells
    }
    return CompiledTerms(cells, told.duties, told.vocabulary)  # type: ignore[arg-type]  # an age is a number or FOREVER


class _CanonicalTerms(msgspec.Struct, forbid_unknown_fields=True):
    cells: list[tuple[str, str, str, str, list[tuple[str, int | str]]]]
    duties: dict[str, int]
    vocabulary: str


def max_ages(first: AgeByPrecision, second: AgeByPrecision) -> AgeByPrecision:
    """Return the longer age at each precision."""
    both = dict(first)
    for precision, age in second.items():
        mine = both.get(precision, 0)
        both[precision] = None if mine is None or age is None else max(mine, age)
    return both


def min_age(first: Age, second: Age) -> Age:
    """Return the shorter of two ages."""
    return second if first is None else first if second is None else min(first, second)
