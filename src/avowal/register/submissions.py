"""Submissions: recorded with encrypted values, read, corrected, and deleted when their time is over."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from avowal.clock import utc_now
from avowal.errors import RefusedError, StoreError
from avowal.policy.bounds import Age, Bounds
from avowal.policy.form import FILE_CATEGORY, SUBMISSION_CATEGORY, SUBMISSION_TIME_CATEGORY
from avowal.policy.vocabulary import load_vocabulary
from avowal.register.database import Connection, Database
from avowal.register.objections import delete_orphaned_objections, record_correction
from avowal.register.readers import check_reader_purpose, insert_access
from avowal.register.repository import Repository, format_time, parse_time, to_parameters
from avowal.register.restrictions import SubmissionSelector, delete_orphaned_restrictions
from avowal.register.retention_runs import record_retention_run
from avowal.register.statements import load_statements
from avowal.store.interface import OverdueRecords, RemovedRecords
from avowal.submissions.access import SubmissionAccess, is_within_age
from avowal.submissions.encryption import PARTIAL_SUFFIX, SubmissionCipher, decrypt_file
from avowal.submissions.submission import (
    VISITOR_KEY_LAST_BITS,
    FieldInput,
    FieldValue,
    Submission,
    UploadedFile,
    from_row,
)

SQL = load_statements("avowal.register", "submissions")

FILES_FOLDER = "files"
"""The folder of uploaded files, in the data folder."""

UPLOAD_SECONDS_MAX = 86_400
"""How long an upload may take; then its partial file is deleted."""


class VersionPeriod(NamedTuple):
    """The times of the first and the last of the records of a version (UTC), and how many there are."""

    version: int
    first: datetime
    last: datetime
    records: int


class _StoredField(NamedTuple):
    number: int
    field: str
    category: str
    ciphertext: bytes
    file_name: str | None


class _ExpiredRecords(NamedTuple):
    """Records that may not be kept any longer, and the statement that removes them."""

    counts: OverdueRecords
    statement: str
    parameters: dict[str, Any]


class Submissions(Repository):
    """The submissions of a register."""

    def __init__(self, database: Database, cipher: SubmissionCipher, folder: Path) -> None:
        super().__init__(database)
        self._cipher = cipher
        self.folder = folder / FILES_FOLDER

    def record(self, submission: Submission, field_inputs: Sequence[FieldInput]) -> None:
        """Record a submission with all of its values, and give its files their final names.

        Raises StoreError if it names another version than the one in force at its time.
        """
        with self._database.transaction() as connection:
            self._check_key(connection)
            parameters = to_parameters({"submitted_at": submission.submitted_at})
            in_force = connection.execute(SQL["select_version_in_force"], parameters).fetchone()
            if in_force != (submission.version,):
                raise StoreError(
                    "the submission names a version of the terms that was not in force at its time",
                    "another version took effect meanwhile; send it again",
                    code="version-mismatch",
                )
            number = connection.execute(SQL["insert_submission"], to_parameters(submission)).lastrowid
            for field_input in field_inputs:
                value: Any = field_input.value
                file_name = None
                if isinstance(value, UploadedFile):
                    file_name = value.content_name
                    value = self._save_file(connection, value)
                values = {
                    "submission": number,
                    "field": field_input.field,
                    "category": field_input.category,
                    "ciphertext": self._cipher.encrypt(value, submission.reference, field_input.field),
                    "file_name": file_name,
                }
                connection.execute(SQL["insert_field"], values)

    def version_periods(self) -> list[VersionPeriod]:
        """Return when the submissions of each version arrived."""
        with self._database.read() as connection:
            rows = connection.execute(SQL["select_version_periods"]).fetchall()
        return [
            VersionPeriod(version, parse_time(first), parse_time(last), records)
            for version, first, last, records in rows
        ]

    def _save_file(self, connection: Connection, upload: UploadedFile) -> dict[str, Any]:
        """Give a file its final name, unless its content is stored already; returns its description, with its key."""
        incoming = upload.incoming_file
        key = incoming.content_key.hex()
        row = connection.execute(SQL["select_file"], {"file_name": upload.content_name}).fetchone()
        if row:
            reference, field, ciphertext = row
            key = str(self._cipher.decrypt(ciphertext, reference, field)["key"])
        else:
            incoming.save_as(upload.content_name)
        return {"name": upload.name, "type": upload.media_type, "size": incoming.size_bytes, "key": key}

    def _check_key(self, connection: Connection) -> None:
        """Raise StoreError if the key is lost: a new one would be lost in turn when the old one is restored."""
        if self._cipher.is_key_missing and connection.execute(SQL["select_any_field"]).fetchone():
            raise self._cipher.missing_key_error()

    def in_period(self, since: datetime, until: datetime, visitor: str = "") -> list[Submission]:
        """Return the submissions of a period, in their order; only those of a visitor, if one is named."""
        values = {"since": format_time(since), "until": format_time(until), "visitor": visitor}
        statement = SQL["select_of_visitor" if visitor else "select_in_period"]
        with self._database.read() as connection:
            return list(map(from_row, connection.execute(statement, values)))

    def find(self, reference: str) -> Submission | None:
        """Return a submission; None if there is none."""
        with self._database.read() as connection:
            return _find(connection, reference)

    def get(self, reference: str) -> Submission:
        """Return a submission. Raises RefusedError if there is none."""
        with self._database.read() as connection:
            return _get(connection, reference)

    def read(
        self, reference: str, access: SubmissionAccess, now: datetime, file_field: str = ""
    ) -> tuple[Submission, list[FieldValue]]:
        """Return a submission with the values that a reader may see; the access is recorded first.

        `file_field` names the file that is read next. Raises RefusedError if there is no such submission, or the
        reader may not read it.
        """
        with self._database.transaction(access.burst_key) as connection:
            is_automated = check_reader_purpose(connection, access.reader, access.purpose)
            submission = _get(connection, reference)
            if submission.is_expired(now):
                raise SubmissionSelector("submission", reference).not_found_error()
            access.check_readable(submission, reader_is_automated=is_automated)
            query, version = f"submission {reference} {file_field}", len(access.governing_bounds)
            insert_access(connection, access.reader, access.purpose, version, 1, query, now)
            fields = _read_fields(connection, reference)
        return submission, self._decrypt(
            submission, fields, lambda category: access.may_show(submission, category, now)
        )

    def decrypt_values(self, submission: Submission, max_age: Callable[[str], Age]) -> list[FieldValue]:
        """Return the values of a submission; `max_age` gives the greatest age at which a category may be shown."""
        now = utc_now()
        with self._database.read() as connection:
            fields = _read_fields(connection, submission.reference)
        return self._decrypt(
            submission, fields, lambda category: is_within_age(submission, max_age(category), now)
        )

    def _decrypt(
        self, submission: Submission, fields: Sequence[_StoredField], may_show: Callable[[str], bool]
    ) -> list[FieldValue]:
        return [
            FieldValue(stored.field, stored.category, self._decrypt_field(submission, stored)[0])
            for stored in fields
            if may_show(stored.category)
        ]

    def decrypt_file(
        self, submission: Submission, field: str, max_age: Callable[[str], Age]
    ) -> Iterator[bytes]:
        """Yield a file's content; see `encryption.decrypt_file`. Raises RefusedError if none may be shown."""
        with self._database.read() as connection:
            fields = _read_fields(connection, submission.reference)
        field_row = next((field_row for field_row in fields if field_row.field == field), None)
        may_show = is_within_age(submission, max_age(FILE_CATEGORY), utc_now())
        if field_row is None or not field_row.file_name or not may_show:
            raise RefusedError(
                f"there is no file `{field}` that may be shown",
                "`avowal submission show` lists the fields",
                code="field-not-found",
            )
        key = bytes.fromhex(self._decrypt_field(submission, field_row)[1])
        yield from decrypt_file(self.folder / field_row.file_name, key)

    def _decrypt_field(self, submission: Submission, field_row: _StoredField) -> tuple[Any, str]:
        """Return a value, and the key of its file."""
        value = self._cipher.decrypt(field_row.ciphertext, submission.reference, field_row.field)
        return (value, "") if field_row.file_name is None else (value, value.pop("key"))

    def correct(self, reference: str, values: Mapping[str, str], channel: str, now: datetime) -> int:
        """Replace values of a submission, and record that; returns the number of its entry.

        Raises RefusedError if there is no such submission, or a field has no text.
        """
        with self._database.transaction() as connection:
            fields = {
                field_row.field: field_row
                for field_row in _read_fields(connection, reference)
                if field_row.file_name is None
            }
            if missing := sorted(values.keys() - fields.keys()):
                _get(connection, reference)
                raise RefusedError(
                    f"the submission has no text in a field `{missing[0]}`",
                    f"it has these fields: {', '.join(fields) or 'none'}",
                    code="field-not-found",
                )
            self._check_key(connection)
            for field, value in values.items():
                ciphertext = self._cipher.encrypt(value, reference, field)
                row = {"ciphertext": ciphertext, "submission_field": fields[field].number}
                connection.erase(SQL["update_ciphertext"], row)
            categories = sorted({fields[field].category for field in values})
            return record_correction(connection, reference, categories, channel, now)

    def find_unreadable(self) -> Iterator[str]:
        """Yield a sentence for each value or file that cannot be decrypted."""
        with self._database.read() as connection:
            fields = connection.execute(SQL["select_all_fields"]).fetchall()
        for reference, *row in fields:
            stored = _StoredField(*row)
            try:
                value = self._cipher.decrypt(stored.ciphertext, reference, stored.field)
                if stored.file_name:
                    for _ in decrypt_file(self.folder / stored.file_name, bytes.fromhex(value["key"])):
                        pass
            except FileNotFoundError:
                yield f"the file of field `{stored.field}` of submission {reference} is missing"
            except (StoreError, OSError, ValueError) as error:
                reason = error.message if isinstance(error, StoreError) else type(error).__name__
                yield f"field `{stored.field}` of submission {reference} cannot be opened: {reason}"

    def rotate_key(self) -> int:
        """Encrypt every value with a new key, and delete the keys before; returns how many values there are."""
        with self._database.transaction() as connection:
            self._check_key(connection)
            self._cipher.rotate_key()
            rows = connection.execute(SQL["select_ciphertexts"]).fetchall()
            for number, ciphertext in rows:
                row = {"ciphertext": self._cipher.reencrypt(ciphertext), "submission_field": number}
                connection.erase(SQL["update_ciphertext"], row)
        with self._database.transaction():  # so that no other process is about to use an old key
            self._cipher.delete_old_keys()
        return len(rows)

    def apply_retention(
        self, governing_bounds: Sequence[Bounds], now: datetime, run_number: int
    ) -> list[RemovedRecords]:
        """Delete what may not be kept any longer, and record it as a run of retention; returns what that was."""
        removed = []
        with self._database.transaction() as connection:
            for expired in _find_expired(connection, governing_bounds, now):
                counts = msgspec.structs.asdict(expired.counts)
                removed.append(RemovedRecords(run_number, **counts, removed_at=now))
                connection.erase(expired.statement, expired.parameters)
            if removed:
                record_retention_run(connection, run_number, removed, now)
        self.delete_orphans()
        return removed

    def find_overdue(self, governing_bounds: Sequence[Bounds], before: datetime) -> list[OverdueRecords]:
        """Return what should have been deleted before a time."""
        with self._database.read() as connection:
            return [expired.counts for expired in _find_expired(connection, governing_bounds, before)]

    def delete_orphans(self) -> None:
        """Delete files that no submission has, uploads that were given up, and what is left of deleted submissions."""
        with self._database.transaction() as connection:  # so that nobody records a submission meanwhile
            delete_orphaned_objections(connection)
            delete_orphaned_restrictions(connection)
            stored_names = {name for (name,) in connection.execute(SQL["select_file_names"])}
            for path in self.folder.iterdir() if self.folder.is_dir() else ():
                if path.suffix == PARTIAL_SUFFIX:
                    is_orphan = path.stat().st_mtime < time.time() - UPLOAD_SECONDS_MAX
                else:
                    is_orphan = path.name not in stored_names
                if is_orphan:
                    path.unlink(missing_ok=True)


def _find(connection: Connection, reference: str) -> Submission | None:
    row = connection.execute(SQL["select_submission"], {"reference": reference}).fetchone()
    return from_row(row) if row else None


def _get(connection: Connection, reference: str) -> Submission:
    submission = _find(connection, reference)
    if submission is None:
        raise SubmissionSelector("submission", reference).not_found_error()
    return submission


def _read_fields(connection: Connection, reference: str) -> list[_StoredField]:
    rows = connection.execute(SQL["select_fields"], {"reference": reference})
    return [_StoredField(*row) for row in rows]


def _find_expired(
    connection: Connection, governing_bounds: Sequence[Bounds], now: datetime
) -> Iterator[_ExpiredRecords]:
    """Yield what may not be kept any longer, by version and category; each is removed before the next is counted."""
    for version, bounds in enumerate(governing_bounds, 1):
        for category, name, parameters in _list_limits(version, bounds, now):
            (count,) = connection.execute(SQL[f"count_expired_{name}"], parameters).fetchone()
            if count:
                counts = OverdueRecords("submissions", category, version, count)
                statement = SQL[f"{'clear' if name == 'visitors' else 'delete'}_expired_{name}"]
                yield _ExpiredRecords(counts, statement, parameters)


def _list_limits(version: int, bounds: Bounds, now: datetime) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield each category with the kind of its records, and the parameters that choose what is too old."""

    def oldest_time(category: str, precision: str = "full") -> str | None:
        age = bounds.retention_ages(category).get(precision, 0)
        return None if age is None else format_time(now - timedelta(seconds=age))

    for category in load_vocabulary().expand("categories", SUBMISSION_CATEGORY):
        if category != SUBMISSION_TIME_CATEGORY and (before := oldest_time(category)):
            yield category, "fields", {"version": version, "category": category, "before": before}
    for precision, last_bit in VISITOR_KEY_LAST_BITS.items():
        if before := oldest_time("visitor-id", precision):
            yield "visitor-id", "visitors", {"version": version, "before": before, "last_bit": last_bit}
    times = {"before": oldest_time(SUBMISSION_TIME_CATEGORY), "now": format_time(now)}
    yield SUBMISSION_TIME_CATEGORY, "submissions", {"version": version, **times}
