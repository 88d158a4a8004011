"""What people handed over, in the register: each value sealed, bound to its version, and gone when its time is over."""

import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from avow.clock import utc_now
from avow.errors import RefusedError, StoreError
from avow.keep.objections import correct, forget
from avow.keep.part import Part
from avow.keep.retention import record
from avow.keep.sealed import PART, Incoming, Seal, unsealed
from avow.keep.store import Removed
from avow.keep.tables import ANSWERS, SUBMISSIONS
from avow.policy.bounds import Age, Bounds
from avow.policy.form import FILE, PARENT, TIME
from avow.policy.vocabulary import vocabulary

FILES = "files"
"""The folder of files, in that of the data."""

REFERENCE_BYTES = 12
REFERENCE = re.compile(r"[0-9a-f]{24}")
LEFT_SECONDS = 86_400
"""How long a file may take to come in: one that takes longer was given up."""


class Upload(msgspec.Struct, frozen=True):
    """A file that came in whole."""

    incoming: Incoming
    digest: str
    """The name that its content makes."""
    name: str
    type: str


class Given(msgspec.Struct, frozen=True):
    """A field with what was given for it."""

    field: str
    category: str
    value: str | Upload


class Submission(msgspec.Struct, frozen=True):
    """What was handed over, without what it says. Times are UTC."""

    reference: str
    """24 hexadecimal digits, told to whoever handed it over."""
    form: str
    means: str
    """How it came: by the form itself, or as the operator recorded it."""
    visitor: str | None
    """The key of the visitor who sent it, where one is known."""
    version: int
    submitted_at: datetime
    recorded_at: datetime


class Opened(msgspec.Struct, frozen=True):
    """A field with what was given for it, opened; of a file its name, type and size."""

    field: str
    category: str
    value: Any


class Submissions(Part):
    """The submissions of a register."""

    def __init__(
        self,
        engine: sa.Engine,
        write: Callable[[], AbstractContextManager[sa.Connection]],
        seal: Seal,
        folder: Path,
    ) -> None:
        super().__init__(engine, write)
        self._seal = seal
        self.folder = folder / FILES

    def record(self, submission: Submission, given: Sequence[Given]) -> None:
        """Record a submission with all of its values, and let its files have their names."""
        with self._write() as connection:
            self._check_key(connection)
            row = msgspec.structs.asdict(submission)
            number = connection.execute(sa.insert(SUBMISSIONS).values(row)).lastrowid
            for one in given:
                told = one.value
                if isinstance(told, Upload):
                    key = self._kept_key(connection, told.digest) or told.incoming.key.hex()
                    value: Any = {
                        "name": told.name,
                        "type": told.type,
                        "size": told.incoming.size,
                        "key": key,
                    }
                    if key == told.incoming.key.hex():
                        told.incoming.keep(told.digest)
                else:
                    value = told
                row = {
                    "submission": number,
                    "field": one.field,
                    "category": one.category,
                    "sealed": self._seal.seal(value, submission.reference, one.field),
                    "file": told.digest if isinstance(told, Upload) else None,
                }
                connection.execute(sa.insert(ANSWERS).values(row))

    def _check_key(self, connection: sa.Connection) -> None:
        """Raise StoreError where the key is lost: a new one in its place would be lost when it is put back."""
        if self._seal.lost and connection.execute(sa.select(ANSWERS.c.answer).limit(1)).first():
            raise StoreError(
                f"`{self._seal.path}` is missing: nobody can open what was handed over",
                "put it back from its backup",
            )

    def _kept_key(self, connection: sa.Connection, digest: str) -> str | None:
        """Return the key of a file that is here already, where its content came in before."""
        statement = (
            sa.select(SUBMISSIONS.c.reference, ANSWERS.c.field, ANSWERS.c.sealed)
            .join(SUBMISSIONS, SUBMISSIONS.c.submission == ANSWERS.c.submission)
            .where(ANSWERS.c.file == digest)
        )
        row = connection.execute(statement).first()
        return str(self._seal.open(row.sealed, row.reference, row.field)["key"]) if row else None

    def all(self, since: datetime, until: datetime, visitor: str = "") -> list[Submission]:
        """Return what was handed over in a period, in its order; of one visitor, where one is named."""
        columns = [SUBMISSIONS.c[name] for name in Submission.__struct_fields__]
        statement = (
            sa.select(*columns)
            .where(SUBMISSIONS.c.submitted_at >= since, SUBMISSIONS.c.submitted_at < until)
            .order_by(SUBMISSIONS.c.submission)
        )
        if visitor:
            statement = statement.where(SUBMISSIONS.c.visitor == visitor)
        with self._engine.connect() as connection:
            return [Submission(*row) for row in connection.execute(statement)]

    def known(self, reference: str) -> Submission | None:
        """Return a submission; None where there is none."""
        columns = [SUBMISSIONS.c[name] for name in Submission.__struct_fields__]
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(*columns).where(SUBMISSIONS.c.reference == reference)).first()
        return Submission(*row) if row else None

    def one(self, reference: str) -> Submission:
        """Return a submission. Raises RefusedError where there is none."""
        found = self.known(reference)
        if found is None:
            raise RefusedError(
                f"there is no submission `{reference}`", "`avow submission list` tells which there are"
            )
        return found

    def opened(self, submission: Submission, allowed: Callable[[str], Age]) -> list[Opened]:
        """Open the values of a submission; `allowed` tells the greatest age at which a category may be seen."""
        return [
            Opened(row.field, row.category, self._told(submission, row)[0])
            for row in self._answers(submission)
            if _young(submission, allowed(row.category))
        ]

    def file(self, submission: Submission, field: str, allowed: Callable[[str], Age]) -> Iterator[bytes]:
        """Yield a file's content; see `unsealed`. Raises RefusedError where there is none that may be seen."""
        rows = [row for row in self._answers(submission) if row.field == field and row.file]
        if not rows or not _young(submission, allowed(FILE)):
            raise RefusedError(
                f"there is no file `{field}` that may be seen", "look at `avow submission show`"
            )
        yield from unsealed(self.folder / rows[0].file, bytes.fromhex(self._told(submission, rows[0])[1]))

    def _answers(self, submission: Submission) -> Sequence[sa.Row[Any]]:
        statement = (
            sa.select(ANSWERS)
            .join(SUBMISSIONS, SUBMISSIONS.c.submission == ANSWERS.c.submission)
            .where(SUBMISSIONS.c.reference == submission.reference)
            .order_by(ANSWERS.c.answer)
        )
        with self._engine.connect() as connection:
            return connection.execute(statement).all()

    def _told(self, submission: Submission, row: sa.Row[Any]) -> tuple[Any, str]:
        """Return a value, and the key of its file."""
        value = self._seal.open(row.sealed, submission.reference, row.field)
        return (value, "") if row.file is None else (value, value.pop("key"))

    def correct(self, submission: Submission, values: Mapping[str, str], means: str, now: datetime) -> int:
        """Put values in the place of those that were handed over, and record it; returns the number of its entry.

        Raises RefusedError where a field has no value that is a text.
        """
        with self._write() as connection:
            self._check_key(connection)
            answers = {row.field: row for row in self._answers(submission) if row.file is None}
            if missing := sorted(values.keys() - answers.keys()):
                raise RefusedError(
                    f"nothing was written in the field `{missing[0]}`",
                    f"there are: {', '.join(answers) or 'none'}",
                )
            for field, value in values.items():
                sealed = {"sealed": self._seal.seal(value, submission.reference, field)}
                mine = ANSWERS.c.answer == answers[field].answer
                connection.execute(sa.update(ANSWERS).where(mine).values(sealed))
            categories = sorted({answers[field].category for field in values})
            entry = correct(connection, submission.reference, categories, means, now)
        self._leave_nothing()
        return entry

    def turn_key(self) -> int:
        """Put everything under a new key, and forget those before; returns how many values that were."""
        with self._write() as connection:
            self._check_key(connection)
            self._seal.turn()
            rows = connection.execute(sa.select(ANSWERS.c.answer, ANSWERS.c.sealed)).all()
            for answer, sealed in rows:
                again = {"sealed": self._seal.again(sealed)}
                connection.execute(sa.update(ANSWERS).where(ANSWERS.c.answer == answer).values(again))
        with self._write():  # nobody has one under way
            self._seal.forget()
        self._leave_nothing()
        return len(rows)

    def retain(self, governs: Sequence[Bounds], now: datetime, run: int) -> list[Removed]:
        """Take away what may not be kept any more, and record it as a run of retention; returns what that was."""
        removed = []
        with self._write() as connection:
            for one, doing in _beyond(connection, governs, now):
                removed.append(msgspec.structs.replace(one, run=run))
                connection.execute(doing)
            if removed:
                record(connection, run, removed, now)
        if removed:
            self._leave_nothing()
        self.sweep()
        return removed

    def beyond(self, governs: Sequence[Bounds], before: datetime) -> list[Removed]:
        """Return what should have been taken away before a moment."""
        with self._engine.connect() as connection:
            return [one for one, _ in _beyond(connection, governs, before)]

    def sweep(self) -> None:
        """Take away the files that nothing leads to, and those that never came in whole."""
        with self._write() as connection:  # nobody records one meanwhile
            forget(connection)
            known = set(connection.execute(sa.select(ANSWERS.c.file).distinct()).scalars())
            for path in self.folder.iterdir() if self.folder.is_dir() else ():
                if path.suffix == PART:
                    given_up = path.stat().st_mtime < time.time() - LEFT_SECONDS
                else:
                    given_up = path.name not in known
                if given_up:
                    path.unlink(missing_ok=True)


def new_reference() -> str:
    """Return a reference that nobody guesses."""
    return secrets.token_hex(REFERENCE_BYTES)


def erase(connection: sa.Connection, which: sa.ColumnElement[bool]) -> int:
    """Erase submissions, in a transaction; returns how many. Their files go with the next sweep."""
    numbers = sa.select(SUBMISSIONS.c.submission).where(which)
    connection.execute(sa.delete(ANSWERS).where(ANSWERS.c.submission.in_(numbers)))
    return connection.execute(sa.delete(SUBMISSIONS).where(which)).rowcount


def _young(submission: Submission, age: Age) -> bool:
    return age is None or (age != 0 and submission.submitted_at >= utc_now() - timedelta(seconds=age))


def _beyond(
    connection: sa.Connection, governs: Sequence[Bounds], now: datetime
) -> Iterator[tuple[Removed, sa.Delete | sa.Update]]:
    """Yield what may not be kept any more, of each version and category, and how it is taken away."""
    for version, bounds in enumerate(governs, 1):
        for category, gone, doing in _due(version, bounds, now):
            count = sa.select(sa.func.count()).select_from(gone.subquery())
            if records := connection.execute(count).scalar_one():
                yield Removed(0, "submissions", category, version, records, now), doing


def _due(
    version: int, bounds: Bounds, now: datetime
) -> Iterator[tuple[str, sa.Select[Any], sa.Delete | sa.Update]]:
    """Yield each category with what may not be kept of it any more, and how that is taken away."""

    def old(category: str, precision: str = "full") -> sa.ColumnElement[bool] | None:
        age = bounds.kept(category).get(precision, 0)
        of_version = SUBMISSIONS.c.version == version
        return (
            None if age is None else of_version & (SUBMISSIONS.c.submitted_at < now - timedelta(seconds=age))
        )

    for category in vocabulary().leaves("categories", PARENT):
        if category != TIME and (gone := old(category)) is not None:
            numbers = sa.select(SUBMISSIONS.c.submission).where(gone)
            within = (ANSWERS.c.category == category) & ANSWERS.c.submission.in_(numbers)
            yield category, sa.select(ANSWERS.c.answer).where(within), sa.delete(ANSWERS).where(within)
    for precision, odd in (("day", 0), ("full", 1)):
        if (gone := old("visitor-id", precision)) is not None:
            last = sa.func.instr("0123456789abcdef", sa.func.substr(SUBMISSIONS.c.visitor, 16, 1)) - 1
            kind = gone & SUBMISSIONS.c.visitor.is_not(None) & (last % 2 == odd)
            nobody = sa.update(SUBMISSIONS).where(kind).values(visitor=None)
            yield "visitor-id", sa.select(SUBMISSIONS.c.submission).where(kind), nobody
    if (gone := old(TIME)) is not None:
        yield TIME, sa.select(SUBMISSIONS.c.submission).where(gone), sa.delete(SUBMISSIONS).where(gone)
