"""Restrictions of submissions in addition to their form and version; each change is recorded.

The rules are in `docs/spec/readings.md` (R9 to R11).
"""

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from avowal.errors import RefusedError
from avowal.ledger.commitment import SALT_BYTES, compute_commitment
from avowal.ledger.entry import RestrictionsChanged
from avowal.register.database import Connection
from avowal.register.ledger_storage import append_entries
from avowal.register.readers import check_reader_purpose, insert_access
from avowal.register.repository import Repository, to_column_value, to_parameters
from avowal.register.statements import load_statements
from avowal.store.sql_builder import bare_identifier, compose, join
from avowal.submissions.access import SubmissionAccess
from avowal.submissions.submission import SUBMISSION_COLUMNS, Submission, from_row

SQL = load_statements("avowal.register", "submissions")


class SubmissionSelector(msgspec.Struct, frozen=True):
    """Chooses submissions: one by its reference, those of a visitor, or those of a form."""

    kind: Literal["submission", "visitor", "form"]
    value: str

    @property
    def parameters(self) -> dict[str, str | None]:
        """The parameters of the statements that choose submissions: one of them is not null."""
        return {
            "reference": self.value if self.kind == "submission" else None,
            "visitor": self.value if self.kind == "visitor" else None,
            "form": self.value if self.kind == "form" else None,
        }

    def compute_commitment(self, salt: bytes, **committed_values: str) -> str:
        """Return the commitment to the selector, and to other values, under a salt."""
        return compute_commitment(salt, **{self.kind: self.value}, **committed_values)

    def not_found_error(self) -> RefusedError:
        """Return the error that it chooses no submission."""
        name = {"submission": "", "visitor": "of visitor ", "form": "by form "}[self.kind]
        return RefusedError(
            f"there is no submission {name}`{self.value}`",
            "`avowal submission list` lists the submissions",
            code="submission-not-found",
        )


class RestrictionChange(msgspec.Struct, frozen=True):
    """Restrictions to set; what is UNSET stays as it is."""

    keep_until: datetime | UnsetType | None = UNSET
    objected_purposes: tuple[str, ...] | UnsetType = UNSET
    allows_automated_decisions: bool | UnsetType = UNSET
    allowed_readers: tuple[str, ...] | UnsetType = UNSET
    allowed_recipients: tuple[str, ...] | UnsetType = UNSET
    source: str | UnsetType = UNSET
    visitor: str | UnsetType | None = UNSET
    field_categories: Mapping[str, str] | UnsetType = UNSET
    """The new category of each named field."""

    @property
    def settings(self) -> dict[str, Any]:
        """The values to set, by name."""
        fields = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return {name: value for name, value in fields if value is not UNSET}


class RestrictionRecord(msgspec.Struct, frozen=True):
    """A change of restrictions as it was recorded. Times are UTC."""

    settings: list[str]
    """The names of the changed settings, sorted."""
    submissions: int
    """How many submissions were changed."""
    channel: str
    recorded_at: datetime
    entry: int
    """The number of its entry in the ledger."""


class Restrictions(Repository):
    """The restrictions of the submissions of a register."""

    def set(
        self, selector: SubmissionSelector, change: RestrictionChange, channel: str, now: datetime
    ) -> RestrictionRecord:
        """Set restrictions of submissions, and record the change.

        Raises RefusedError if there are no such submissions, or none has a field whose category is set.
        """
        settings, salt = change.settings, secrets.token_bytes(SALT_BYTES)
        names, details = sorted(settings), to_column_value(to_parameters(settings))
        change_entry = RestrictionsChanged(
            selector.compute_commitment(salt, details=details), names, 0, channel, now
        )
        with self._database.transaction() as connection:
            missing = _set_field_categories(connection, selector, settings.get("field_categories", {}))
            count = _set_columns(connection, selector, settings)
            if not count:
                raise selector.not_found_error()
            if missing:
                raise RefusedError(
                    f"no submission has a field `{missing[0]}`",
                    "`avowal submission show` lists the fields",
                    code="field-not-found",
                )
            change_entry = msgspec.structs.replace(change_entry, submissions=count)
            values = {
                "selector_kind": selector.kind,
                "selector_value": selector.value,
                "entry": append_entries(connection, [change_entry]),
                "settings": details,
                "salt": salt,
            }
            connection.execute(SQL["insert_restriction"], values)
        return RestrictionRecord(names, count, channel, now, values["entry"])

    def field_categories(self, selector: SubmissionSelector, field: str) -> list[tuple[int, str]]:
        """Return the versions and categories that a field of submissions has."""
        with self._database.read() as connection:
            values = {**selector.parameters, "field": field}
            return connection.execute(SQL["select_field_categories"], values).fetchall()

    def read_submissions(
        self, selector: SubmissionSelector, access: SubmissionAccess, now: datetime
    ) -> list[Submission]:
        """Return submissions without their values; the access is recorded first.

        Raises RefusedError if the reader may not read for the purpose.
        """
        with self._database.transaction(access.burst_key) as connection:
            is_automated = check_reader_purpose(connection, access.reader, access.purpose)
            statement, values = SQL["select_chosen"], selector.parameters
            if not access.is_unrestricted:
                statement = SQL["select_readable"]
                values = {**values, **access.parameters(now, reader_is_automated=is_automated)}
            submissions = list(map(from_row, connection.execute(statement, values)))
            query, version = f"submissions of {selector.kind} {selector.value}", len(access.governing_bounds)
            insert_access(connection, access.reader, access.purpose, version, len(submissions), query, now)
        return submissions


def _set_field_categories(
    connection: Connection, selector: SubmissionSelector, categories: Mapping[str, str]
) -> list[str]:
    """Set the category of fields; returns those that no submission has."""
    missing = []
    for field, category in categories.items():
        values = {**selector.parameters, "field": field, "category": category}
        if not connection.execute(SQL["update_field_category"], values).rowcount:
            missing.append(field)
    return missing


def _set_columns(connection: Connection, selector: SubmissionSelector, settings: Mapping[str, Any]) -> int:
    """Set columns of submissions; returns the number of submissions."""
    assignments = [
        compose("{column} = :new_{column}", column=bare_identifier(name))
        for name in settings
        if name in SUBMISSION_COLUMNS
    ]
    if not assignments:  # rows that are written as they were would still be sealed
        ((count,),) = connection.execute(SQL["count_chosen"], selector.parameters).fetchall()
        return int(count)
    update = compose(
        "UPDATE submissions SET {assignments} "
        "WHERE reference = :reference OR visitor = :visitor OR form = :form",
        assignments=join(assignments),
    )
    new_values = {f"new_{name}": value for name, value in to_parameters(settings).items()}
    return connection.execute(update.text, {**new_values, **selector.parameters}).rowcount


def delete_orphaned_restrictions(connection: Connection) -> None:
    """Delete, in a transaction, the restrictions of submissions that do not exist any more."""
    connection.erase(SQL["delete_orphaned_restrictions"], {})
