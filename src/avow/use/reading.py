"""Readings: what is stored, as far as one purpose may see it at this moment (`docs/spec/readings.md`).

Whatever in this room looks at stored information does so through a reading: `requests`, `views` and `visits` are then
secure views over the tables, cut row by row and column by column to what governs each row.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from importlib import resources
from typing import NamedTuple

from avow.keep.store import Ask, Store, Table
from avow.policy.bounds import OPERATOR, OWN_USE, Age, Bounds, Cell, shorter
from avow.policy.compare import Step, climbed

__all__ = ["RELATIONS", "Ask", "Reading", "Table"]

FULL = "full"
KEY_TEXT = "format('{:016x}', visitor_id)"
"""A visitor's key as people write it."""


class Form(NamedTuple):
    """One form that a column may have: the category and precision that permit it, and how it is made."""

    category: str
    precision: str
    sql: str


class Relation(NamedTuple):
    """A table as a reading shows it: the time that its rows are as old as, and the forms of each column, fine first."""

    time: str
    category: str
    columns: dict[str, tuple[Form, ...]]


def _whole(category: str, *columns: str) -> dict[str, tuple[Form, ...]]:
    return {column: (Form(category, FULL, column),) for column in columns}


def _device() -> dict[str, tuple[Form, ...]]:
    """Return the columns that a user agent told, which requests and visits have."""
    return {
        "browser": (Form("browser", "name", "browser"),),
        **_whole("browser", "browser_version"),
        "operating_system": (Form("operating-system", "name", "operating_system"),),
        **_whole("operating-system", "operating_system_version"),
        **_whole("device-kind", "device_kind"),
    }


VISITOR = {"visitor_id": (Form("visitor-id", "day", "visitor_id"),)}
REFERRER = {
    "referrer": (
        Form("referrer", FULL, "referrer"),
        Form("referrer", "page", "page_of(referrer)"),
        Form("referrer", "site", "site_of(referrer)"),
    )
}
RELATIONS = {
    "requests": Relation(
        "request_time",
        "request-time",
        {
            **_whole("request-time", "request_time"),
            **_whole("host", "host"),
            **VISITOR,
            "ip_address": (
                Form("ip-address", FULL, "ip_address"),
                Form("ip-address", "prefix", "network_of(ip_address)"),
            ),
            "country": (Form("country", FULL, "country"), Form("ip-address", "country", "country")),
            **_whole("request-kind", "request_kind"),
            **_whole("bot", "bot"),
            **_whole("method", "method"),
            **_whole("page-path", "page_path"),
            **_whole("page-query", "page_query"),
            **REFERRER,
            **_whole("status", "status"),
            **_whole("bytes", "bytes"),
            **_whole("response-time", "response_time_us"),
            **_device(),
        },
    ),
    "views": Relation(
        "view_time",
        "view-time",
        {
            **_whole("view-time", "view_time"),
            **_whole("view-duration", "view_duration_ms"),
            **VISITOR,
            **_whole("visit-time", "visit_time"),
            **_whole("host", "host"),
            **_whole("page-path", "page_path"),
            **REFERRER,
        },
    ),
    "visits": Relation(
        "visit_time",
        "visit-time",
        {
            **VISITOR,
            **_whole("visit-time", "visit_time"),
            **_whole("visit-duration", "visit_duration_ms"),
            **_whole("host", "host"),
            **_whole("request-kind", "views", "downloads", "uploads"),
            **_whole("page-path", "entry_path", "exit_path"),
            **REFERRER,
            **_device(),
        },
    ),
}
"""What a reading shows of each table: every column that holds something about a visit, and `version`."""

KEPT = (resources.files("avow.use") / "sql" / "_kept.sql").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Reading:
    """What is stored, for one purpose at one moment. `governs` has what governs each governing number, from 1 on.

    A purpose that nothing is permitted for sees nothing: no row, and no column.
    """

    store: Store
    governs: Sequence[Bounds]
    purpose: str
    now: datetime
    version: str = ""
    """The identity of the version in force, to be named in reasons."""

    @contextmanager
    def open(self, *needs: str) -> Iterator[Ask]:
        """Give what answers SQL over `requests`, `views` and `visits`; where categories are needed, rows that have all.

        The statements are our own, or were bound to these three before (`sql.py`).
        """
        views = {name: self.select(name, *needs) for name in RELATIONS}
        with self.store.reading(views) as ask:
            yield ask

    def ask_once(self, sql: str, seconds: float) -> Table:
        """Ask a question that was bound to this reading. Raises QueryError where it cannot be answered in time."""
        views = {
            name: f"SELECT * REPLACE ({KEY_TEXT} AS visitor_id) FROM ({self.select(name)})"  # noqa: S608  # our own names
            for name in RELATIONS
        }
        return self.store.ask_once(views, sql, seconds)

    def refused(self) -> dict[str, str]:
        """Return the columns that this purpose may not see of any row, each with the reason."""
        if not self.governs:
            return {}
        newest, found = self.governs[-1], {}
        for relation in RELATIONS.values():
            for column, forms in relation.columns.items():
                categories = dict.fromkeys(form.category for form in forms)
                if not any(self.sees(category) for category in categories):
                    served = sorted(
                        {purpose for category in categories for purpose in newest.purposes(category)}
                    )
                    why = f"collected for {', '.join(served)} only" if served else "not collected"
                    found[column] = (
                        f"is not available for {self.purpose} under version {self.version[:8]}…: {why}"
                    )
        return found

    def kept(self, since: datetime, until: datetime) -> Table:
        """Return how much of a period is kept, whether this purpose may see it or not, and between which times."""
        return self.store.query(KEPT, {"since": since, "until": until})

    def dropped(self) -> Table:
        """Return how many lines were left out as they came in, by reason."""
        return self.store.query(DROPPED, {})

    def ages(self, *categories: str) -> list[Age]:
        """Return, for each governing number, the greatest age at which all categories may be used; 0 is never."""
        return [
            reduce(shorter, (bounds.age(category, self.purpose) for category in categories), None)
            for bounds in self.governs
        ]

    def sees(self, category: str) -> bool:
        """Return whether this purpose may use a category by what holds now; where nothing holds yet, it may."""
        return not self.governs or self.purpose in self.governs[-1].purposes(category)

    def select(self, name: str, *needs: str) -> str:
        """Return the SELECT that a relation is in this reading: its thresholds are constants (G4)."""
        relation = RELATIONS[name]
        rows = self.ages(relation.category, *needs)
        columns = ", ".join(
            f"{self._column(forms, rows, relation.time)} AS {column}"
            for column, forms in relation.columns.items()
        )
        condition = self._condition(rows, relation.time)
        return f"SELECT {columns}, version FROM avow.main.{name} WHERE {condition}"  # noqa: S608  # our own names

    def _column(self, forms: Sequence[Form], rows: Sequence[Age], time: str) -> str:
        """Return the finest form that is permitted, row by row; null where none is."""
        cases: list[str] = []
        for category, precision, sql in forms:
            cell = Cell(category, self.purpose, OPERATOR, OWN_USE)
            ages = [bounds.greatest(cell, precision) for bounds in self.governs]
            if not cases and all(shorter(age, row) == row for age, row in zip(ages, rows, strict=True)):
                return sql
            if any(age != 0 for age in ages):
                cases.append(f"WHEN {self._condition(ages, time)} THEN {sql}")
        return f"CASE {' '.join(cases or [f'WHEN false THEN {forms[0].sql}'])} END"

    def _condition(self, ages: Sequence[Age], time: str) -> str:
        """Return whether a row of its governing number is young enough."""
        return " OR ".join(f"({self._step(step, time)})" for step in climbed(ages)) or "false"

    def _step(self, step: Step, time: str) -> str:
        governing = [f"governing >= {step.governing}"] if step.governing > 1 else []
        young = [] if step.age is None else [f"{time} >= {_literal(self.now - timedelta(seconds=step.age))}"]
        return " AND ".join([*governing, *young]) or "true"


DROPPED = (resources.files("avow.use") / "sql" / "_dropped.sql").read_text(encoding="utf-8")


def _literal(moment: datetime) -> str:
    return f"TIMESTAMP '{moment.isoformat(sep=' ')}'"
