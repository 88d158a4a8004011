"""Who may read what was handed over, what for, and how far (R9 to R11 in `docs/spec/readings.md`)."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from avowal.errors import RefusedError
from avowal.policy.bounds import OPERATOR, OWN_USE, Age, Bounds, Cell
from avowal.policy.form import SUBMISSION_TIME_CATEGORY
from avowal.register.repository import format_time
from avowal.submissions.submission import SUBMISSION_COLUMNS, Submission

SUBJECT_ACCESS_PURPOSE = "may-see"
"""The purpose of a reading that a person asked for who is told of: the duty of that name."""


class SubmissionAccess(msgspec.Struct, frozen=True):
    """Somebody who reads for one purpose, under what governs each version."""

    reader: str
    purpose: str
    governing_bounds: Sequence[Bounds]

    @property
    def burst_key(self) -> tuple[str, str]:
        """What is the same of readings that need not each wait for the disk (R12)."""
        return self.reader, self.purpose

    def max_age(self, category: str, version: int) -> Age:
        """Return the greatest age at which a category may be seen; 0 where it never may."""
        bounds = self.governing_bounds[version - 1]
        if self.purpose == SUBJECT_ACCESS_PURPOSE:
            return bounds.retention_ages(category).get("full", 0)
        return bounds.max_age(Cell(category, self.purpose, OPERATOR, OWN_USE), "full")

    def may_show(self, submission: Submission, category: str, now: datetime) -> bool:
        """Return whether a category of something may be seen still."""
        return is_within_age(submission, self.max_age(category, submission.version), now)

    def check_readable(self, submission: Submission, *, reader_is_automated: bool) -> None:
        """Raise RefusedError where something may not be read so; `automated` is whether a program reads it."""
        if self.purpose == SUBJECT_ACCESS_PURPOSE:
            return
        if self.purpose in submission.objected_purposes:
            raise RefusedError(
                f"whoever handed it over objects to {self.purpose}",
                "`avowal submission object --withdraw` takes that back",
                code="subject-objects",
            )
        if submission.allowed_readers and self.reader not in submission.allowed_readers:
            raise RefusedError(
                f"only {', '.join(submission.allowed_readers)} may read it",
                "name who reads with `--as`; or ask one of them",
                code="reader-not-permitted",
            )
        if reader_is_automated and not submission.allows_automated_decisions:
            raise RefusedError(
                "no program may decide by it",
                "let a person read it: one whom `avowal user add` made without `--automated`",
                code="automation-not-permitted",
            )

    def build_select(self, sql_condition: str, now: datetime, *, reader_is_automated: bool) -> str:
        """Return a SELECT of those submissions, of some, that may be read so: what `check` and `shows` do, in SQL."""
        shown = list(SUBMISSION_COLUMNS)
        if self.purpose == SUBJECT_ACCESS_PURPOSE:
            return f"SELECT {', '.join(shown)} FROM submissions WHERE {sql_condition} ORDER BY submission"  # noqa: S608  # ours
        whose, there = self._young("visitor-id", now), self._young(SUBMISSION_TIME_CATEGORY, now)
        if whose != there:
            shown[SUBMISSION_COLUMNS.index("visitor")] = f"CASE WHEN {whose} THEN visitor END"
        terms = [sql_condition, there, f"(keep_until IS NULL OR keep_until > '{format_time(now)}')"]
        terms.append(f"instr(objected_purposes, {_quoted(self.purpose)}) = 0")
        terms.append(f"(allowed_readers = '[]' OR instr(allowed_readers, {_quoted(self.reader)}))")
        if reader_is_automated:
            terms.append("allows_automated_decisions")
        return f"SELECT {', '.join(shown)} FROM submissions WHERE {' AND '.join(terms)} ORDER BY submission"  # noqa: S608  # ours

    def _young(self, category: str, now: datetime) -> str:
        """Return the condition that a category may be seen still."""
        ages = {
            version: self.max_age(category, version) for version in range(1, len(self.governing_bounds) + 1)
        }
        if all(age is None for age in ages.values()):
            return "TRUE"
        terms = [
            f"(version = {version}"
            + ("" if age is None else f" AND submitted_at >= '{format_time(now - timedelta(seconds=age))}'")
            + ")"
            for version, age in ages.items()
            if age != 0
        ]
        return f"({' OR '.join(terms) or 'FALSE'})"


def is_within_age(submission: Submission, age: Age, now: datetime) -> bool:
    """Return whether something may be seen still that may be seen up to an age."""
    if submission.is_expired(now) or age == 0:
        return False
    return age is None or submission.submitted_at >= now - timedelta(seconds=age)


def check_reader_purpose(database: sqlite3.Connection, reader: str, purpose: str) -> bool:
    """Return whether a reader is a program. Raises RefusedError where they may not read for a purpose.

    Whoever has the machine, and names no reader, is the operator, to whom all purposes are open.
    """
    if reader == OPERATOR:
        return False
    select = "SELECT purposes, is_automated FROM readers WHERE name = ? ORDER BY reader DESC LIMIT 1"
    row = database.execute(select, (reader,)).fetchone()
    purposes = msgspec.json.decode(row[0], type=list[str]) if row else []
    if not purposes:
        raise RefusedError(
            f"there is no reader `{reader}`", "`avowal user add` makes one", code="reader-not-found"
        )
    if purpose not in purposes:
        raise RefusedError(
            f"`{reader}` does not read for {purpose}",
            f"what {reader} reads for: {', '.join(purposes)}",
            code="purpose-not-permitted",
        )
    return bool(row[1])


def _quoted(word: str) -> str:
    """Return a word as it stands in a list of the register, as a literal of SQL."""
    text = msgspec.json.encode(word).decode().replace("'", "''")
    return f"'{text}'"
