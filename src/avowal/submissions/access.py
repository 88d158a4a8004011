"""Who may read what was handed over, what for, and how far (R9 to R11 in `docs/spec/readings.md`)."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from avowal.errors import RefusedError
from avowal.policy.bounds import OPERATOR, OWN_USE, Age, Bounds, Cell
from avowal.policy.form import TIME
from avowal.register.repository import moment
from avowal.submissions.submission import COLUMNS, Submission

MAY_SEE = "may-see"
"""The purpose of a reading that a person asked for who is told of: the duty of that name."""


class Access(msgspec.Struct, frozen=True):
    """Somebody who reads for one purpose, under what governs each version."""

    reader: str
    purpose: str
    governs: Sequence[Bounds]

    @property
    def burst(self) -> tuple[str, str]:
        """What is the same of readings that need not each wait for the disk (R12)."""
        return self.reader, self.purpose

    def age(self, category: str, version: int) -> Age:
        """Return the greatest age at which a category may be seen; 0 where it never may."""
        bounds = self.governs[version - 1]
        if self.purpose == MAY_SEE:
            return bounds.kept(category).get("full", 0)
        return bounds.greatest(Cell(category, self.purpose, OPERATOR, OWN_USE), "full")

    def shows(self, one: Submission, category: str, now: datetime) -> bool:
        """Return whether a category of something may be seen still."""
        return young(one, self.age(category, one.version), now)

    def check(self, one: Submission, *, automated: bool) -> None:
        """Raise RefusedError where something may not be read so; `automated` is whether a program reads it."""
        if self.purpose == MAY_SEE:
            return
        if self.purpose in one.objects_to:
            raise RefusedError(
                f"whoever handed it over objects to {self.purpose}",
                "`avowal submission object --withdraw` takes that back",
            )
        if one.readers and self.reader not in one.readers:
            raise RefusedError(
                f"only {', '.join(one.readers)} may read it", "name who reads with `--as`; or ask one of them"
            )
        if automated and not one.automated:
            raise RefusedError(
                "no program may decide by it",
                "let a person read it: one whom `avowal user add` made without `--automated`",
            )

    def select(self, where: str, now: datetime, *, automated: bool) -> str:
        """Return a SELECT of those submissions, of some, that may be read so: what `check` and `shows` do, in SQL."""
        shown = list(COLUMNS)
        if self.purpose == MAY_SEE:
            return f"SELECT {', '.join(shown)} FROM submissions WHERE {where} ORDER BY submission"  # noqa: S608  # ours
        whose, there = self._young("visitor-id", now), self._young(TIME, now)
        if whose != there:
            shown[COLUMNS.index("visitor")] = f"CASE WHEN {whose} THEN visitor END"
        terms = [where, there, f"(keep_until IS NULL OR keep_until > '{moment(now)}')"]
        terms.append(f"instr(objects_to, {_quoted(self.purpose)}) = 0")
        terms.append(f"(readers = '[]' OR instr(readers, {_quoted(self.reader)}))")
        if automated:
            terms.append("automated")
        return f"SELECT {', '.join(shown)} FROM submissions WHERE {' AND '.join(terms)} ORDER BY submission"  # noqa: S608  # ours

    def _young(self, category: str, now: datetime) -> str:
        """Return the condition that a category may be seen still."""
        ages = {version: self.age(category, version) for version in range(1, len(self.governs) + 1)}
        if all(age is None for age in ages.values()):
            return "TRUE"
        terms = [
            f"(version = {version}"
            + ("" if age is None else f" AND submitted_at >= '{moment(now - timedelta(seconds=age))}'")
            + ")"
            for version, age in ages.items()
            if age != 0
        ]
        return f"({' OR '.join(terms) or 'FALSE'})"


def young(one: Submission, age: Age, now: datetime) -> bool:
    """Return whether something may be seen still that may be seen up to an age."""
    if one.over(now) or age == 0:
        return False
    return age is None or one.submitted_at >= now - timedelta(seconds=age)


def held(database: sqlite3.Connection, name: str, purpose: str) -> bool:
    """Return whether a reader is a program. Raises RefusedError where they may not read for a purpose.

    Whoever has the machine, and names no reader, is the operator, to whom all purposes are open.
    """
    if name == OPERATOR:
        return False
    select = "SELECT purposes, automated FROM readers WHERE name = ? ORDER BY reader DESC LIMIT 1"
    row = database.execute(select, (name,)).fetchone()
    purposes = msgspec.json.decode(row[0], type=list[str]) if row else []
    if not purposes:
        raise RefusedError(f"there is no reader `{name}`", "`avowal user add` makes one")
    if purpose not in purposes:
        raise RefusedError(
            f"`{name}` does not read for {purpose}", f"what {name} reads for: {', '.join(purposes)}"
        )
    return bool(row[1])


def _quoted(word: str) -> str:
    """Return a word as it stands in a list of the register, as a literal of SQL."""
    text = msgspec.json.encode(word).decode().replace("'", "''")
    return f"'{text}'"
