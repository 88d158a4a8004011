"""A model of what is stored, seen, exported and released, in plain Python: written from `docs/spec` alone.

It knows versions, requests, script views, what is derived from them, consents, withdrawals, erasures and retention. Ages
are days, and None is for ever. The names of rules are those of the specification.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any, NamedTuple

Age = int | None
Ages = dict[tuple[str, str, str], Age]
"""The greatest age of a category and precision, for a purpose or for the recipient; what is absent is 0."""

PURPOSES = ("content", "abuse")
RECIPIENT = "recipient"
"""Stands for whoever a visitor authorised."""

TIMES = {
    "requests": ("request_time", "request-time"),
    "script_views": ("view_time", "view-time"),
    "views": ("view_time", "view-time"),
    "visits": ("visit_time", "visit-time"),
}
"""The column and the category of each relation's time."""

CATEGORIES = {
    "page_path": "page-path",
    "entry_path": "page-path",
    "exit_path": "page-path",
    "status": "status",
    "ip_address": "ip-address",
    "visit_time": "visit-time",
}
"""The category of each column of the model."""


def min_age(first: Age, second: Age) -> Age:
    """Return the smaller age."""
    ages = [age for age in (first, second) if age is not None]
    return min(ages, default=None)


def max_age(ages: Sequence[Age]) -> Age:
    """Return the greatest age."""
    return None if None in ages else max((age for age in ages if age is not None), default=0)


def meet(first: Ages, second: Ages) -> Ages:
    """Return what both permit (C4)."""
    return {cell: min_age(first[cell], second[cell]) for cell in first.keys() & second.keys()}


class Cell(NamedTuple):
    """One value that came out, or is stored."""

    relation: str
    moment: datetime
    column: str
    value: Any


@dataclass
class Record:
    """A stored record."""

    relation: str
    moment: datetime
    visitor: str
    """Empty once the visitor's key is cut: then no consent reaches the record (G5)."""
    version: int
    values: dict[str, Any]


Removals = Counter[tuple[str, str, int]]
"""From how many records something was removed, by relation, category and version (K5)."""


@dataclass
class History:
    """What happened in a folder, and what is stored of it now."""

    now: datetime
    versions: list[Ages] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    consents: dict[str, set[int]] = field(default_factory=dict)
    """The versions that each visitor consents to."""
    known: set[str] = field(default_factory=set)
    """The visitors who ever consented, or authorised the recipient: that is on record, too."""

    def publish(self, terms: Ages) -> None:
        """Put terms into force now; terms that are in force already make no version (V1)."""
        if not self.versions or self.versions[-1] != terms:
            self.versions.append(terms)

    def visit_by_log(self, visitor: str, address: str, moments: Sequence[datetime]) -> None:
        """Collect requests of a visitor, who makes one visit."""
        for moment in moments:
            values = {"page_path": path_of(moment), "status": 200, "ip_address": address}
            self._collect("requests", moment, visitor, values)
        self._derive(visitor, moments)

    def visit_by_script(self, visitor: str, address: str, moments: Sequence[datetime]) -> None:
        """Collect script views of a visitor, who makes one visit."""
        for moment in moments:
            values = {"page_path": path_of(moment), "ip_address": address}
            self._collect("script_views", moment, visitor, values)
        self._derive(visitor, moments)

    def _derive(self, visitor: str, moments: Sequence[datetime]) -> None:
        for moment in moments:
            values = {"page_path": path_of(moment), "visit_time": min(moments)}
            self._collect("views", moment, visitor, values)
        first, last = min(moments), max(moments)
        values = {"entry_path": path_of(first), "exit_path": path_of(last), "views": len(moments)}
        self._collect("visits", first, visitor, values)

    def _collect(self, relation: str, moment: datetime, visitor: str, values: dict[str, Any]) -> None:
        """Store what the version in force, which governs the record unless the visitor consented, permits (G1, G11)."""
        record = Record(relation, moment, visitor, len(self.versions), dict(values))
        ages = self.versions[-1]
        if self._is_young(ages, PURPOSES, TIMES[relation][1], "full", moment):
            self._reduce(record, ages)
            self.records.append(record)

    def governing_number(self, record: Record) -> int:
        """Return the record's version, or the last one that its visitor consented to (G3)."""
        return max(record.version, *self.consents.get(record.visitor, set()), 0)

    def governing_ages(self, record: Record) -> Ages:
        """Return the meet of the versions from the governing number on (G3)."""
        ages, *others = self.versions[self.governing_number(record) - 1 :]
        for other in others:
            ages = meet(ages, other)
        return ages

    def _is_young(
        self, ages: Ages, users: Sequence[str], category: str, precision: str, moment: datetime
    ) -> bool:
        age = max_age([ages.get((category, precision, user), 0) for user in users])
        return age is None or (age > 0 and moment >= self.now - timedelta(days=age))

    def _show(self, record: Record, users: Sequence[str], ages: Ages) -> dict[str, Any]:
        """Return the finest permitted form of each value (R3); a value that is coarse already stays as it is."""
        shown = {}
        for column, value in record.values.items():
            category = CATEGORIES.get(column)
            if category is None or self._is_young(ages, users, category, "full", record.moment):
                shown[column] = value
            elif category == "ip-address" and self._is_young(ages, users, category, "prefix", record.moment):
                shown[column] = (
                    value if value is None or "/" in value else str(ip_network(f"{value}/24", strict=False))
                )
            else:
                shown[column] = None
        return shown

    def _reduce(self, record: Record, ages: Ages) -> set[str]:
        """Reduce a record to what any purpose may keep (K1, K2); returns the categories of what changed."""
        before, record.values = record.values, self._show(record, PURPOSES, ages)
        return {CATEGORIES[column] for column, value in before.items() if value != record.values[column]}

    def retain(self) -> Removals:
        """Remove what no purpose may keep."""
        removals, kept = Removals(), []
        for record in self.records:
            ages, category = self.governing_ages(record), TIMES[record.relation][1]
            has_key = self._is_young(ages, PURPOSES, "visitor-id", "full", record.moment)
            is_cut = bool(record.visitor) and not has_key
            if is_cut:
                record.visitor = ""
                ages = self.governing_ages(record)
            if self._is_young(ages, PURPOSES, category, "full", record.moment):
                removals[record.relation, "visitor-id", record.version] += is_cut
                for changed in self._reduce(record, ages):
                    removals[record.relation, changed, record.version] += 1
                kept.append(record)
            else:
                removals[record.relation, category, record.version] += 1
        self.records = kept
        return +removals

    def consent(self, visitor: str) -> bool:
        """Let a visitor consent to the version in force; returns whether there was anything to consent to (G7)."""
        version, consents = len(self.versions), self.consents.setdefault(visitor, set())
        is_needed = any(
            self.governing_number(record) < version for record in self.records if record.visitor == visitor
        )
        if version in consents or not is_needed:
            return version in consents
        consents.add(version)
        self.known.add(visitor)
        return True

    def withdraw(self, visitor: str) -> bool:
        """Let a visitor withdraw the last consent; returns whether there was one (G5)."""
        consents = self.consents.setdefault(visitor, set())
        is_given = bool(consents)
        consents -= {max(consents, default=0)}
        return is_given

    def erase(self, visitor: str) -> bool:
        """Erase a visitor; returns whether anything was held (K7)."""
        is_held = visitor in self.known or any(record.visitor == visitor for record in self.records)
        self.records = [record for record in self.records if record.visitor != visitor]
        self.consents.pop(visitor, None)
        self.known.discard(visitor)
        return is_held

    def seen_by(self, user: str) -> set[Cell]:
        """Return what a purpose sees (R2, R3), or what the recipient may have of all records (X2)."""

        def show(record: Record) -> dict[str, Any] | None:
            ages = self.governing_ages(record)
            if not self._is_young(ages, [user], TIMES[record.relation][1], "full", record.moment):
                return None
            return self._show(record, [user], ages)

        return set(self._cells(self.records, show))

    def released_of(self, visitor: str) -> set[Cell]:
        """Return what a release of a visitor holds."""
        moments = {record.moment for record in self.records if record.visitor == visitor}
        return {cell for cell in self.seen_by(RECIPIENT) if cell.moment in moments and cell.column != "views"}

    def stored(self, visitor: str = "") -> set[Cell]:
        """Return what is stored, of one visitor if one is named: an export has all of it."""
        records = [record for record in self.records if visitor in {"", record.visitor}]
        return set(self._cells(records, lambda record: record.values))

    def _cells(
        self, records: Sequence[Record], show: Callable[[Record], dict[str, Any] | None]
    ) -> Iterator[Cell]:
        for record in records:
            values = show(record)
            if values is not None:
                yield Cell(record.relation, record.moment, "time", record.moment)
                for column, value in values.items():
                    if value is not None:
                        yield Cell(record.relation, record.moment, column, value)


def path_of(moment: datetime) -> str:
    """Return the path of the page that is seen at a moment; it is of that moment alone."""
    return f"/{moment:%Y-%m-%d-%H-%M-%S}"
