"""What people handed over, in the register: each value sealed, bound to its version, and gone when its time is over."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from avowal.clock import utc_now
from avowal.errors import RefusedError
from avowal.policy.bounds import Age, Bounds
from avowal.policy.form import FILE, PARENT, TIME
from avowal.policy.vocabulary import vocabulary
from avowal.register.database import Connection, Database, driver
from avowal.register.objections import correct, forget
from avowal.register.readers import read
from avowal.register.repository import Part, insert, moment
from avowal.register.restrictions import Which
from avowal.register.restrictions import forget as forget_handled
from avowal.register.retentions import record
from avowal.register.tables import ANSWERS, SUBMISSIONS
from avowal.store.interface import Removed
from avowal.submissions.access import Access, held, young
from avowal.submissions.encryption import PART, Seal, unsealed
from avowal.submissions.submission import COLUMNS, Given, Opened, Submission, Upload, from_row, to_row

FILES = "files"
"""The folder of files, in that of the data."""

SELECT = f"SELECT {', '.join(COLUMNS)} FROM submissions"  # noqa: S608  # our own names
INSERT = f"INSERT INTO submissions ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608  # the same
ANSWERED = """
SELECT answer, field, category, sealed, file FROM answers
WHERE submission = (SELECT submission FROM submissions WHERE reference = ?) ORDER BY answer
"""
LEFT_SECONDS = 86_400
"""How long a file may take to come in: one that takes longer was given up."""


class _Answer(NamedTuple):
    answer: int
    field: str
    category: str
    sealed: bytes
    file: str | None


class Submissions(Part):
    """The submissions of a register."""

    def __init__(self, database: Database, seal: Seal, folder: Path) -> None:
        super().__init__(database)
        self._seal = seal
        self.folder = folder / FILES

    def record(self, submission: Submission, given: Sequence[Given]) -> None:
        """Record a submission with all of its values, and let its files have their names."""
        with self._transact() as database:
            self._check_key(database)
            number = database.execute(INSERT, to_row(submission)).lastrowid
            for one in given:
                told: Any = one.value
                digest = told.digest if isinstance(told, Upload) else None
                if isinstance(told, Upload):
                    key = self._kept_key(database, told.digest) or told.incoming.key.hex()
                    size, incoming = told.incoming.size, told.incoming
                    told = {"name": told.name, "type": told.type, "size": size, "key": key}
                    if key == incoming.key.hex():
                        incoming.keep(str(digest))
                sealed = self._seal.seal(told, submission.reference, one.field)
                row = {"submission": number, "field": one.field, "category": one.category}
                insert(database, "answers", {**row, "sealed": sealed, "file": digest})

    def _check_key(self, connection: Connection) -> None:
        """Raise StoreError where the key is lost: a new one in its place would be lost when it is put back."""
        if self._seal.lost and driver(connection).execute("SELECT answer FROM answers LIMIT 1").fetchone():
            raise self._seal.missing()

    def _kept_key(self, database: sqlite3.Connection, digest: str) -> str | None:
        """Return the key of a file that is here already, where its content came in before."""
        select = (
            "SELECT reference, field, sealed FROM answers JOIN submissions USING (submission) WHERE file = ?"
        )
        row = database.execute(select, (digest,)).fetchone()
        return str(self._seal.open(row[2], row[0], row[1])["key"]) if row else None

    def all(self, since: datetime, until: datetime, visitor: str = "") -> list[Submission]:
        """Return what was handed over in a period, in its order; of one visitor, where one is named."""
        where, values = "submitted_at >= ? AND submitted_at < ?", [moment(since), moment(until)]
        if visitor:
            where, values = f"{where} AND visitor = ?", [*values, visitor]
        with self._driven() as database:
            rows = database.execute(f"{SELECT} WHERE {where} ORDER BY submission", values)
            return list(map(from_row, rows))

    def known(self, reference: str) -> Submission | None:
        """Return a submission; None where there is none."""
        with self._driven() as database:
            return _known(database, reference)

    def one(self, reference: str) -> Submission:
        """Return a submission. Raises RefusedError where there is none."""
        with self._driven() as database:
            return _one(database, reference)

    def read(
        self, reference: str, access: Access, now: datetime, file: str = ""
    ) -> tuple[Submission, list[Opened]]:
        """Open what somebody may read of a submission, or is to read in a file; that is recorded before it is told.

        Raises RefusedError where there is no such submission, or they may not read it.
        """
        with self._transact(access.burst) as database:
            automated = held(database, access.reader, access.purpose)
            one = _one(database, reference)
            if one.over(now):
                raise Which("submission", reference).none()
            access.check(one, automated=automated)
            question, version = f"submission {reference} {file}", len(access.governs)
            read(database, access.reader, access.purpose, version, 1, question, now)
            answers = [_Answer(*row) for row in database.execute(ANSWERED, (reference,))]
        return one, self._opened(one, answers, lambda category: access.shows(one, category, now))

    def opened(self, submission: Submission, allowed: Callable[[str], Age]) -> list[Opened]:
        """Open the values of a submission; `allowed` tells the greatest age at which a category may be seen."""
        now, answers = utc_now(), self._answers(submission)
        return self._opened(submission, answers, lambda one: young(submission, allowed(one), now))

    def _opened(
        self, submission: Submission, answers: Sequence["_Answer"], shows: Callable[[str], bool]
    ) -> list[Opened]:
        return [
            Opened(one.field, one.category, self._told(submission, one)[0])
            for one in answers
            if shows(one.category)
        ]

    def file(self, submission: Submission, field: str, allowed: Callable[[str], Age]) -> Iterator[bytes]:
        """Yield a file's content; see `unsealed`. Raises RefusedError where there is none that may be seen."""
        rows = [row for row in self._answers(submission) if row.field == field]
        if not rows or not rows[0].file or not young(submission, allowed(FILE), utc_now()):
            raise RefusedError(
                f"there is no file `{field}` that may be seen", "look at `avowal submission show`"
            )
        yield from unsealed(self.folder / rows[0].file, bytes.fromhex(self._told(submission, rows[0])[1]))

    def _answers(self, submission: Submission) -> list["_Answer"]:
        with self._driven() as database:
            return [_Answer(*row) for row in database.execute(ANSWERED, (submission.reference,))]

    def _told(self, submission: Submission, answer: "_Answer") -> tuple[Any, str]:
        """Return a value, and the key of its file."""
        value = self._seal.open(answer.sealed, submission.reference, answer.field)
        return (value, "") if answer.file is None else (value, value.pop("key"))

    def correct(self, reference: str, values: Mapping[str, str], means: str, now: datetime) -> int:
        """Put values in the place of those that were handed over, and record it; returns the number of its entry.

        What stood there goes from the log of writes with `leave_nothing`. Raises RefusedError where there is no such
        submission, or a field has no value that is a text.
        """
        with self._transact() as database:
            found = (_Answer(*row) for row in database.execute(ANSWERED, (reference,)))
            answers = {one.field: one for one in found if one.file is None}
            if missing := sorted(values.keys() - answers.keys()):
                _one(database, reference)
                raise RefusedError(
                    f"nothing was written in the field `{missing[0]}`",
                    f"there are: {', '.join(answers) or 'none'}",
                )
            self._check_key(database)
            for field, value in values.items():
                row = self._seal.seal(value, reference, field), answers[field].answer
                database.execute("UPDATE answers SET sealed = ? WHERE answer = ?", row)
            categories = sorted({answers[field].category for field in values})
            return correct(database, reference, categories, means, now)

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
        self.leave_nothing()
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
            self.leave_nothing()
        self.sweep()
        return removed

    def beyond(self, governs: Sequence[Bounds], before: datetime) -> list[Removed]:
        """Return what should have been taken away before a moment."""
        with self._engine.connect() as connection:
            return [one for one, _ in _beyond(connection, governs, before)]

    def sweep(self) -> None:
        """Take away the files that nothing leads to, and those that never came in whole."""
        with self._transact() as database:  # nobody records one meanwhile
            forget(database)
            forget_handled(database)
            known = {name for (name,) in database.execute("SELECT file FROM answers WHERE file IS NOT NULL")}
            for path in self.folder.iterdir() if self.folder.is_dir() else ():
                if path.suffix == PART:
                    given_up = path.stat().st_mtime < time.time() - LEFT_SECONDS
                else:
                    given_up = path.name not in known
                if given_up:
                    path.unlink(missing_ok=True)


def _known(database: sqlite3.Connection, reference: str) -> Submission | None:
    row = database.execute(f"{SELECT} WHERE reference = ?", (reference,)).fetchone()
    return from_row(row) if row else None


def _one(database: sqlite3.Connection, reference: str) -> Submission:
    found = _known(database, reference)
    if found is None:
        raise Which("submission", reference).none()
    return found


def erase(connection: sa.Connection, which: sa.ColumnElement[bool]) -> int:
    """Erase submissions, in a transaction; returns how many. Their files go with the next sweep."""
    numbers = sa.select(SUBMISSIONS.c.submission).where(which)
    connection.execute(sa.delete(ANSWERS).where(ANSWERS.c.submission.in_(numbers)))
    return connection.execute(sa.delete(SUBMISSIONS).where(which)).rowcount


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
    ended = (SUBMISSIONS.c.version == version) & (SUBMISSIONS.c.keep_until <= now)
    gone = ended if (gone := old(TIME)) is None else gone | ended
    yield TIME, sa.select(SUBMISSIONS.c.submission).where(gone), sa.delete(SUBMISSIONS).where(gone)
