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
from avowal.ledger.entry import HandlingSet
from avowal.register.consents import SALT_BYTES, commitment
from avowal.register.ledger_storage import append
from avowal.register.readers import read
from avowal.register.repository import Part, insert
from avowal.submissions.access import Access, held
from avowal.submissions.submission import Submission, from_row, kept


class Which(msgspec.Struct, frozen=True):
    """Which submissions: one by its reference, those of a visitor, or those of a form."""

    kind: Literal["submission", "visitor", "form"]
    value: str

    @property
    def where(self) -> str:
        """The condition that chooses them, with a place for the value."""
        return f"{'reference' if self.kind == 'submission' else self.kind} = ?"

    def person(self, salt: bytes, **more: str) -> str:
        """Return the commitment to them under a salt, and to what else is told."""
        return commitment(salt, **{self.kind: self.value}, **more)

    def none(self) -> RefusedError:
        """Return what is said where there are none."""
        named = {"submission": "", "visitor": "of visitor ", "form": "by form "}[self.kind]
        return RefusedError(
            f"there is no submission {named}`{self.value}`", "`avowal submission list` tells which there are"
        )


class Change(msgspec.Struct, frozen=True):
    """What is to hold from now on; what is not set stays."""

    keep_until: datetime | UnsetType | None = UNSET
    objects_to: tuple[str, ...] | UnsetType = UNSET
    automated: bool | UnsetType = UNSET
    readers: tuple[str, ...] | UnsetType = UNSET
    recipients: tuple[str, ...] | UnsetType = UNSET
    source: str | UnsetType = UNSET
    visitor: str | UnsetType | None = UNSET
    categories: Mapping[str, str] | UnsetType = UNSET
    """Of fields."""

    @property
    def settings(self) -> dict[str, Any]:
        """What is set, by its name."""
        all_of_them = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return {name: value for name, value in all_of_them if value is not UNSET}


class Handling(msgspec.Struct, frozen=True):
    """That something was set for submissions. Times are UTC."""

    settings: list[str]
    """The names of what was set."""
    records: int
    """For how many."""
    means: str
    recorded_at: datetime
    entry: int
    """The number of its entry in the ledger."""


class Handlings(Part):
    """What was set for the submissions of a register."""

    def set(self, which: Which, change: Change, means: str, now: datetime) -> Handling:
        """Set what holds for submissions, and record it.

        Raises RefusedError where there are none, or nothing was handed over in a field whose category is set.
        """
        settings, salt = change.settings, secrets.token_bytes(SALT_BYTES)
        told = msgspec.json.encode({name: kept(value) for name, value in settings.items()}).decode()
        names, person = sorted(settings), which.person(salt, told=told)
        missing = list[str]()
        with self._transact() as database:
            for field, category in settings.pop("categories", {}).items():
                mine = f"submission IN (SELECT submission FROM submissions WHERE {which.where})"  # noqa: S608  # ours
                found = database.execute(
                    f"UPDATE answers SET category = ? WHERE field = ? AND {mine}",  # noqa: S608  # ours
                    (category, field, which.value),
                )
                missing += [] if found.rowcount else [field]
            set_ = ", ".join(f"{name} = ?" for name in settings) or "version = version"
            records = database.execute(
                f"UPDATE submissions SET {set_} WHERE {which.where}",  # noqa: S608  # ours
                (*map(kept, settings.values()), which.value),
            ).rowcount
            if not records:
                raise which.none()
            if missing:
                raise RefusedError(
                    f"nothing was handed over in a field `{missing[0]}`",
                    "`avowal submission show` tells the fields",
                )
            entry = append(database, [HandlingSet(person, names, records, means, now)])
            row = {"which": which.kind, "value": which.value, "entry": entry, "told": told, "salt": salt}
            insert(database, "handled", row)
        return Handling(names, records, means, now, entry)

    def categories(self, which: Which, field: str) -> list[tuple[int, str]]:
        """Return, of a field of submissions, the versions and categories that it has."""
        select = "SELECT DISTINCT version, category FROM answers JOIN submissions USING (submission)"
        with self._driven() as database:
            rows = database.execute(
                f"{select} WHERE {which.where} AND field = ? ORDER BY 1, 2",  # ours
                (which.value, field),
            )
            return [(version, category) for version, category in rows]

    def told(self, which: Which, access: Access, now: datetime) -> list[Submission]:
        """Return what is known of submissions, and nothing of what they say; that is recorded before it is told.

        Raises RefusedError where the reader may not read for the purpose.
        """
        with self._transact(access.burst) as database:
            automated = held(database, access.reader, access.purpose)
            select = access.select(which.where, now, automated=automated)
            found = list(map(from_row, database.execute(select, (which.value,))))
            question, version = f"submissions of {which.kind} {which.value}", len(access.governs)
            read(database, access.reader, access.purpose, version, len(found), question, now)
        return found


def forget(database: sqlite3.Connection) -> None:
    """Forget, in a transaction, what was set for submissions that are not there any more."""
    there = {
        "submission": "SELECT reference FROM submissions",
        "visitor": "SELECT visitor FROM submissions WHERE visitor IS NOT NULL",
    }
    for kind, known in there.items():
        database.execute(
            f"DELETE FROM handled WHERE which = ? AND value NOT IN ({known})",  # noqa: S608  # ours
            (kind,),
        )
