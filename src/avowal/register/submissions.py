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
from avowal.policy.form import FILE_CATEGORY, SUBMISSION_CATEGORY, SUBMISSION_TIME_CATEGORY
from avowal.policy.vocabulary import load_vocabulary
from avowal.register.database import AnyConnection, Database, get_driver_connection
from avowal.register.objections import delete_orphaned_objections, record_correction
from avowal.register.readers import insert_access
from avowal.register.repository import Repository, format_time, insert_row
from avowal.register.restrictions import SubmissionSelector
from avowal.register.restrictions import delete_orphaned_restrictions as forget_handled
from avowal.register.retentions import record_retention_run
from avowal.register.tables import SUBMISSION_FIELDS, SUBMISSIONS
from avowal.store.interface import OverdueRecords, RemovedRecords
from avowal.submissions.access import SubmissionAccess, check_reader_purpose, is_within_age
from avowal.submissions.encryption import PARTIAL_SUFFIX, SubmissionCipher, decrypt_file
from avowal.submissions.submission import (
    SUBMISSION_COLUMNS,
    FieldInput,
    FieldValue,
    Submission,
    UploadedFile,
    from_row,
    to_row,
)

FILES_FOLDER = "files"
"""The folder of files, in that of the data."""

SELECT_SUBMISSIONS = f"SELECT {', '.join(SUBMISSION_COLUMNS)} FROM submissions"  # noqa: S608  # our own names
_MARKS = ", ".join("?" * len(SUBMISSION_COLUMNS))
INSERT_SUBMISSION = f"INSERT INTO submissions ({', '.join(SUBMISSION_COLUMNS)}) VALUES ({_MARKS})"  # noqa: S608  # the same
SELECT_FIELD_VALUES = """
SELECT submission_field, field, category, ciphertext, file_name FROM submission_fields
WHERE submission = (SELECT submission FROM submissions WHERE reference = ?) ORDER BY submission_field
"""
SELECT_FILE_KEY = """
SELECT reference, field, ciphertext FROM submission_fields JOIN submissions USING (submission) WHERE file_name = ?
"""
UPLOAD_SECONDS_MAX = 86_400
"""How long a file may take to come in: one that takes longer was given up."""


class _StoredFieldValue(NamedTuple):
    answer: int
    field: str
    category: str
    sealed: bytes
    file: str | None


class Submissions(Repository):
    """The submissions of a register."""

    def __init__(self, database: Database, cipher: SubmissionCipher, folder: Path) -> None:
        super().__init__(database)
        self._seal = cipher
        self.folder = folder / FILES_FOLDER

    def record(self, submission: Submission, field_inputs: Sequence[FieldInput]) -> None:
        """Record a submission with all of its values, and let its files have their names."""
        with self._driver_transaction() as database:
            self._check_key(database)
            number = database.execute(INSERT_SUBMISSION, to_row(submission)).lastrowid
            for one in field_inputs:
                told: Any = one.value
                digest = told.content_name if isinstance(told, UploadedFile) else None
                if isinstance(told, UploadedFile):
                    key = self._kept_key(database, told.content_name) or told.incoming_file.content_key.hex()
                    size, incoming = told.incoming_file.size_bytes, told.incoming_file
                    told = {"name": told.name, "type": told.media_type, "size": size, "key": key}
                    if key == incoming.content_key.hex():
                        incoming.save_as(str(digest))
                sealed = self._seal.encrypt(told, submission.reference, one.field)
                row = {"submission": number, "field": one.field, "category": one.category}
                insert_row(database, "submission_fields", {**row, "ciphertext": sealed, "file_name": digest})

    def _check_key(self, connection: AnyConnection) -> None:
        """Raise StoreError where the key is lost: a new one in its place would be lost when it is put back."""
        if (
            self._seal.is_key_missing
            and get_driver_connection(connection)
            .execute("SELECT 1 FROM submission_fields LIMIT 1")
            .fetchone()
        ):
            raise self._seal.missing_key_error()

    def _kept_key(self, database: sqlite3.Connection, digest: str) -> str | None:
        """Return the key of a file that is here already, where its content came in before."""
        row = database.execute(SELECT_FILE_KEY, (digest,)).fetchone()
        return str(self._seal.decrypt(row[2], row[0], row[1])["key"]) if row else None

    def in_period(self, since: datetime, until: datetime, visitor: str = "") -> list[Submission]:
        """Return what was handed over in a period, in its order; of one visitor, where one is named."""
        where, values = "submitted_at >= ? AND submitted_at < ?", [format_time(since), format_time(until)]
        if visitor:
            where, values = f"{where} AND visitor = ?", [*values, visitor]
        with self._driver_connection() as database:
            rows = database.execute(f"{SELECT_SUBMISSIONS} WHERE {where} ORDER BY submission", values)
            return list(map(from_row, rows))

    def find(self, reference: str) -> Submission | None:
        """Return a submission; None where there is none."""
        with self._driver_connection() as database:
            return _known(database, reference)

    def get(self, reference: str) -> Submission:
        """Return a submission. Raises RefusedError where there is none."""
        with self._driver_connection() as database:
            return _one(database, reference)

    def read(
        self, reference: str, access: SubmissionAccess, now: datetime, file_field: str = ""
    ) -> tuple[Submission, list[FieldValue]]:
        """Open what somebody may read of a submission, or is to read in a file; that is recorded before it is told.

        Raises RefusedError where there is no such submission, or they may not read it.
        """
        with self._driver_transaction(access.burst_key) as database:
            automated = check_reader_purpose(database, access.reader, access.purpose)
            one = _one(database, reference)
            if one.is_expired(now):
                raise SubmissionSelector("submission", reference).not_found_error()
            access.check_readable(one, reader_is_automated=automated)
            question, version = f"submission {reference} {file_field}", len(access.governing_bounds)
            insert_access(database, access.reader, access.purpose, version, 1, question, now)
            answers = [_StoredFieldValue(*row) for row in database.execute(SELECT_FIELD_VALUES, (reference,))]
        return one, self._opened(one, answers, lambda category: access.may_show(one, category, now))

    def decrypt_values(self, submission: Submission, max_age: Callable[[str], Age]) -> list[FieldValue]:
        """Open the values of a submission; `allowed` tells the greatest age at which a category may be seen."""
        now, answers = utc_now(), self._answers(submission)
        return self._opened(submission, answers, lambda one: is_within_age(submission, max_age(one), now))

    def _opened(
        self, submission: Submission, answers: Sequence["_StoredFieldValue"], shows: Callable[[str], bool]
    ) -> list[FieldValue]:
        return [
            FieldValue(one.field, one.category, self._told(submission, one)[0])
            for one in answers
            if shows(one.category)
        ]

    def decrypt_file(
        self, submission: Submission, field: str, max_age: Callable[[str], Age]
    ) -> Iterator[bytes]:
        """Yield a file's content; see `unsealed`. Raises RefusedError where there is none that may be seen."""
        rows = [row for row in self._answers(submission) if row.field == field]
        if not rows or not rows[0].file or not is_within_age(submission, max_age(FILE_CATEGORY), utc_now()):
            raise RefusedError(
                f"there is no file `{field}` that may be seen",
                "look at `avowal submission show`",
                code="field-not-found",
            )
        yield from decrypt_file(self.folder / rows[0].file, bytes.fromhex(self._told(submission, rows[0])[1]))

    def _answers(self, submission: Submission) -> list["_StoredFieldValue"]:
        with self._driver_connection() as database:
            return [
                _StoredFieldValue(*row)
                for row in database.execute(SELECT_FIELD_VALUES, (submission.reference,))
            ]

    def _told(self, submission: Submission, answer: "_StoredFieldValue") -> tuple[Any, str]:
        """Return a value, and the key of its file."""
        value = self._seal.decrypt(answer.sealed, submission.reference, answer.field)
        return (value, "") if answer.file is None else (value, value.pop("key"))

    def correct(self, reference: str, values: Mapping[str, str], channel: str, now: datetime) -> int:
        """Put values in the place of those that were handed over, and record it; returns the number of its entry.

        What stood there goes from the log of writes with `leave_nothing`. Raises RefusedError where there is no such
        submission, or a field has no value that is a text.
        """
        with self._driver_transaction() as database:
            found = (_StoredFieldValue(*row) for row in database.execute(SELECT_FIELD_VALUES, (reference,)))
            answers = {one.field: one for one in found if one.file is None}
            if missing := sorted(values.keys() - answers.keys()):
                _one(database, reference)
                raise RefusedError(
                    f"nothing was written in the field `{missing[0]}`",
                    f"there are: {', '.join(answers) or 'none'}",
                    code="field-not-found",
                )
            self._check_key(database)
            for field, value in values.items():
                row = self._seal.encrypt(value, reference, field), answers[field].answer
                database.execute(
                    "UPDATE submission_fields SET ciphertext = ? WHERE submission_field = ?", row
                )
            categories = sorted({answers[field].category for field in values})
            return record_correction(database, reference, categories, channel, now)

    def rotate_key(self) -> int:
        """Put everything under a new key, and forget those before; returns how many values that were."""
        with self._write_transaction() as connection:
            self._check_key(connection)
            self._seal.rotate_key()
            rows = connection.execute(
                sa.select(SUBMISSION_FIELDS.c.submission_field, SUBMISSION_FIELDS.c.ciphertext)
            ).all()
            for answer, sealed in rows:
                again = {"ciphertext": self._seal.reencrypt(sealed)}
                connection.execute(
                    sa.update(SUBMISSION_FIELDS)
                    .where(SUBMISSION_FIELDS.c.submission_field == answer)
                    .values(again)
                )
        with self._write_transaction():  # nobody has one under way
            self._seal.delete_old_keys()
        self.truncate_wal()
        return len(rows)

    def apply_retention(
        self, governing_bounds: Sequence[Bounds], now: datetime, run_number: int
    ) -> list[RemovedRecords]:
        """Take away what may not be kept any more, and record it as a run of retention; returns what that was."""
        removed = []
        with self._write_transaction() as connection:
            for overdue, doing in _beyond(connection, governing_bounds, now):
                removed.append(RemovedRecords(run_number, **msgspec.structs.asdict(overdue), removed_at=now))
                connection.execute(doing)
            if removed:
                record_retention_run(connection, run_number, removed, now)
        if removed:
            self.truncate_wal()
        self.delete_orphans()
        return removed

    def find_overdue(self, governing_bounds: Sequence[Bounds], before: datetime) -> list[OverdueRecords]:
        """Return what should have been taken away before a moment."""
        with self._engine.connect() as connection:
            return [one for one, _ in _beyond(connection, governing_bounds, before)]

    def delete_orphans(self) -> None:
        """Take away the files that nothing leads to, and those that never came in whole."""
        with self._driver_transaction() as database:  # nobody records one meanwhile
            delete_orphaned_objections(database)
            forget_handled(database)
            known = {
                name
                for (name,) in database.execute(
                    "SELECT file_name FROM submission_fields WHERE file_name IS NOT NULL"
                )
            }
            for path in self.folder.iterdir() if self.folder.is_dir() else ():
                if path.suffix == PARTIAL_SUFFIX:
                    given_up = path.stat().st_mtime < time.time() - UPLOAD_SECONDS_MAX
                else:
                    given_up = path.name not in known
                if given_up:
                    path.unlink(missing_ok=True)


def _known(database: sqlite3.Connection, reference: str) -> Submission | None:
    row = database.execute(f"{SELECT_SUBMISSIONS} WHERE reference = ?", (reference,)).fetchone()
    return from_row(row) if row else None


def _one(database: sqlite3.Connection, reference: str) -> Submission:
    found = _known(database, reference)
    if found is None:
        raise SubmissionSelector("submission", reference).not_found_error()
    return found


def erase_submissions(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> int:
    """Erase submissions, in a transaction; returns how many. Their files go with the next sweep."""
    numbers = sa.select(SUBMISSIONS.c.submission).where(condition)
    connection.execute(sa.delete(SUBMISSION_FIELDS).where(SUBMISSION_FIELDS.c.submission.in_(numbers)))
    return connection.execute(sa.delete(SUBMISSIONS).where(condition)).rowcount


def _beyond(
    connection: sa.Connection, governs: Sequence[Bounds], now: datetime
) -> Iterator[tuple[OverdueRecords, sa.Delete | sa.Update]]:
    """Yield what may not be kept any more, of each version and category, and how it is taken away."""
    for version, bounds in enumerate(governs, 1):
        for category, gone, doing in _due(version, bounds, now):
            count = sa.select(sa.func.count()).select_from(gone.subquery())
            if records := connection.execute(count).scalar_one():
                yield OverdueRecords("submissions", category, version, records), doing


def _due(
    version: int, bounds: Bounds, now: datetime
) -> Iterator[tuple[str, sa.Select[Any], sa.Delete | sa.Update]]:
    """Yield each category with what may not be kept of it any more, and how that is taken away."""

    def old(category: str, precision: str = "full") -> sa.ColumnElement[bool] | None:
        age = bounds.retention_ages(category).get(precision, 0)
        of_version = SUBMISSIONS.c.version == version
        return (
            None if age is None else of_version & (SUBMISSIONS.c.submitted_at < now - timedelta(seconds=age))
        )

    for category in load_vocabulary().expand("categories", SUBMISSION_CATEGORY):
        if category != SUBMISSION_TIME_CATEGORY and (gone := old(category)) is not None:
            numbers = sa.select(SUBMISSIONS.c.submission).where(gone)
            within = (SUBMISSION_FIELDS.c.category == category) & SUBMISSION_FIELDS.c.submission.in_(numbers)
            yield (
                category,
                sa.select(SUBMISSION_FIELDS.c.submission_field).where(within),
                sa.delete(SUBMISSION_FIELDS).where(within),
            )
    for precision, odd in (("day", 0), ("full", 1)):
        if (gone := old("visitor-id", precision)) is not None:
            last = sa.func.instr("0123456789abcdef", sa.func.substr(SUBMISSIONS.c.visitor, 16, 1)) - 1
            kind = gone & SUBMISSIONS.c.visitor.is_not(None) & (last % 2 == odd)
            nobody = sa.update(SUBMISSIONS).where(kind).values(visitor=None)
            yield "visitor-id", sa.select(SUBMISSIONS.c.submission).where(kind), nobody
    ended = (SUBMISSIONS.c.version == version) & (SUBMISSIONS.c.keep_until <= now)
    gone = ended if (gone := old(SUBMISSION_TIME_CATEGORY)) is None else gone | ended
    yield (
        SUBMISSION_TIME_CATEGORY,
        sa.select(SUBMISSIONS.c.submission).where(gone),
        sa.delete(SUBMISSIONS).where(gone),
    )
