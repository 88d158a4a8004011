"""What holds for submissions beside their form and their version, in the register: whoever sets it is on record.

The rules stand in `docs/spec/readings.md` (R9 to R11).
"""

import secrets
import sqlite3
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from avowal.errors import RefusedError
from avowal.ledger.entry import RestrictionsChanged
from avowal.register.consents import SALT_BYTES, compute_commitment
from avowal.register.ledger_storage import append_entries
from avowal.register.readers import insert_access
from avowal.register.repository import Repository, insert_row
from avowal.submissions.access import SubmissionAccess, check_reader_purpose
from avowal.submissions.submission import Submission, from_row, to_column_value


class SubmissionSelector(msgspec.Struct, frozen=True):
    """Which submissions: one by its reference, those of a visitor, or those of a form."""

    kind: Literal["submission", "visitor", "form"]
    value: str

    @property
    def sql_condition(self) -> str:
        """The condition that chooses them, with a place for the value."""
        return f"{'reference' if self.kind == 'submission' else self.kind} = ?"

    def compute_commitment(self, salt: bytes, **committed_values: str) -> str:
        """Return the commitment to them under a salt, and to what else is told."""
        return compute_commitment(salt, **{self.kind: self.value}, **committed_values)

    def not_found_error(self) -> RefusedError:
        """Return what is said where there are none."""
        named = {"submission": "", "visitor": "of visitor ", "form": "by form "}[self.kind]
        return RefusedError(
            f"there is no submission {named}`{self.value}`",
            "`avowal submission list` tells which there are",
            code="submission-not-found",
        )


class RestrictionChange(msgspec.Struct, frozen=True):
    """What is to hold from now on; what is not set stays."""

    keep_until: datetime | UnsetType | None = UNSET
    objected_purposes: tuple[str, ...] | UnsetType = UNSET
    allows_automated_decisions: bool | UnsetType = UNSET
    allowed_readers: tuple[str, ...] | UnsetType = UNSET
    allowed_recipients: tuple[str, ...] | UnsetType = UNSET
    source: str | UnsetType = UNSET
    visitor: str | UnsetType | None = UNSET
    field_categories: Mapping[str, str] | UnsetType = UNSET
    """Of fields."""

    @property
    def settings(self) -> dict[str, Any]:
        """What is set, by its name."""
        all_of_them = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return {name: value for name, value in all_of_them if value is not UNSET}


class RestrictionRecord(msgspec.Struct, frozen=True):
    """That something was set for submissions. Times are UTC."""

    settings: list[str]
    """The names of what was set."""
    submissions: int
    """For how many."""
    channel: str
    recorded_at: datetime
    entry: int
    """The number of its entry in the ledger."""


class Restrictions(Repository):
    """What was set for the submissions of a register."""

    def set(
        self, selector: SubmissionSelector, change: RestrictionChange, channel: str, now: datetime
    ) -> RestrictionRecord:
        """Set what holds for submissions, and record it.

        Raises RefusedError where there are none, or nothing was handed over in a field whose category is set.
        """
        settings, salt = change.settings, secrets.token_bytes(SALT_BYTES)
        told = msgspec.json.encode(
            {name: to_column_value(value) for name, value in settings.items()}
        ).decode()
        names, person = sorted(settings), selector.compute_commitment(salt, details=told)
        missing = list[str]()
        with self._driver_transaction() as database:
            for field, category in settings.pop("field_categories", {}).items():
                mine = f"submission IN (SELECT submission FROM submissions WHERE {selector.sql_condition})"  # noqa: S608  # ours
                found = database.execute(
                    f"UPDATE submission_fields SET category = ? WHERE field = ? AND {mine}",  # noqa: S608  # ours
                    (category, field, selector.value),
                )
                missing += [] if found.rowcount else [field]
            set_ = ", ".join(f"{name} = ?" for name in settings) or "version = version"
            records = database.execute(
                f"UPDATE submissions SET {set_} WHERE {selector.sql_condition}",  # noqa: S608  # ours
                (*map(to_column_value, settings.values()), selector.value),
            ).rowcount
            if not records:
                raise selector.not_found_error()
            if missing:
                raise RefusedError(
                    f"nothing was handed over in a field `{missing[0]}`",
                    "`avowal submission show` tells the fields",
                    code="field-not-found",
                )
            entry = append_entries(database, [RestrictionsChanged(person, names, records, channel, now)])
            row = {
                "selector_kind": selector.kind,
                "selector_value": selector.value,
                "entry": entry,
                "settings": told,
                "salt": salt,
            }
            insert_row(database, "restrictions", row)
        return RestrictionRecord(names, records, channel, now, entry)

    def field_categories(self, selector: SubmissionSelector, field: str) -> list[tuple[int, str]]:
        """Return, of a field of submissions, the versions and categories that it has."""
        select = (
            "SELECT DISTINCT version, category FROM submission_fields JOIN submissions USING (submission)"
        )
        with self._driver_connection() as database:
            rows = database.execute(
                f"{select} WHERE {selector.sql_condition} AND field = ? ORDER BY 1, 2",  # ours
                (selector.value, field),
            )
            return [(version, category) for version, category in rows]

    def read_submissions(
        self, selector: SubmissionSelector, access: SubmissionAccess, now: datetime
    ) -> list[Submission]:
        """Return what is known of submissions, and nothing of what they say; that is recorded before it is told.

        Raises RefusedError where the reader may not read for the purpose.
        """
        with self._driver_transaction(access.burst_key) as database:
            automated = check_reader_purpose(database, access.reader, access.purpose)
            select = access.build_select(selector.sql_condition, now, reader_is_automated=automated)
            found = list(map(from_row, database.execute(select, (selector.value,))))
            question, version = (
                f"submissions of {selector.kind} {selector.value}",
                len(access.governing_bounds),
            )
            insert_access(database, access.reader, access.purpose, version, len(found), question, now)
        return found


def delete_orphaned_restrictions(database: sqlite3.Connection) -> None:
    """Forget, in a transaction, what was set for submissions that are not there any more."""
    there = {
        "submission": "SELECT reference FROM submissions",
        "visitor": "SELECT visitor FROM submissions WHERE visitor IS NOT NULL",
    }
    for kind, known in there.items():
        database.execute(
            f"DELETE FROM restrictions WHERE selector_kind = ? AND selector_value NOT IN ({known})",  # noqa: S608  # ours
            (kind,),
        )
