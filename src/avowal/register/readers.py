"""Who reads what is stored, in the register: readers with their purposes, and what was read."""

import secrets
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as upsert

from avowal.errors import DisclosureError
from avowal.ledger.entry import DataAccessed, hash_text
from avowal.ledger.entry import decode_entry as entry_of
from avowal.policy.bounds import OPERATOR
from avowal.register.consents import SALT_BYTES, compute_commitment
from avowal.register.database import Database
from avowal.register.ledger_storage import append_entries
from avowal.register.release_requests import RefusalReason
from avowal.register.repository import Repository
from avowal.register.tables import ACCESS_COUNTS, READERS
from avowal.submissions.access import check_reader_purpose

SELECT_ACCESSES = """
SELECT entry, access_reader, CAST(body AS BLOB) FROM entries
WHERE entry >= ? AND access_reader IS NOT NULL AND CAST(body AS BLOB) >= ? ORDER BY entry
"""
SELECT_ACCESS_READERS = """
SELECT entry, access_reader, CAST(access_salt AS BLOB) FROM entries
WHERE access_reader IS NOT NULL OR access_salt IS NOT NULL ORDER BY entry
"""


class Reader(msgspec.Struct, frozen=True):
    """Somebody who reads, and what for."""

    name: str
    purposes: list[str]
    can_disclose: bool = False
    """Whether they may ask for releases, and approve them."""
    is_automated: bool = False
    """Whether it is a program that decides by what it reads."""


class RecordedAccess(msgspec.Struct, frozen=True):
    """A reading that told of single visitors. Times are UTC."""

    reader: str
    purpose: str
    version: int
    """The last version that had taken effect."""
    rows: int
    query_hash: str
    """The SHA-256 of what was asked, in hexadecimal."""
    recorded_at: datetime


class AccessCount(msgspec.Struct, frozen=True):
    """How many readings told of many visitors together on a day."""

    day: date
    reader: str
    purpose: str
    accesses: int


class Readers(Repository):
    """The readers of a register."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._counting = threading.Lock()
        self._counted = 0
        self._singles = Counter[tuple[date, str]]()

    def all(self) -> list[Reader]:
        """Return every reader, by name."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(READERS).order_by(READERS.c.reader))
            held = {
                row.name: Reader(
                    row.name,
                    msgspec.json.decode(row.purposes, type=list[str]),
                    row.can_disclose,
                    row.is_automated,
                )
                for row in rows
            }
        return [held[name] for name in sorted(held) if held[name].purposes]

    def purpose_history(self) -> list[tuple[str, list[str], datetime]]:
        """Return who was given which purposes and when, in its order."""
        columns = READERS.c.name, READERS.c.purposes, READERS.c.recorded_at
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(*columns).order_by(READERS.c.reader)).all()
        return [
            (name, msgspec.json.decode(purposes, type=list[str]), since) for name, purposes, since in rows
        ]

    def save(self, reader: Reader, now: datetime) -> None:
        """Give a reader purposes, in the place of those before; none takes the reader away."""
        told = msgspec.json.encode(sorted(reader.purposes)).decode()
        row = {**msgspec.structs.asdict(reader), "purposes": told, "recorded_at": now}
        with self._write_transaction() as connection:
            connection.execute(sa.insert(READERS).values(row))

    def check_purpose(self, name: str, purpose: str) -> None:
        """Raise RefusedError where a reader may not read for a purpose; see `held`."""
        with self._driver_connection() as database:
            check_reader_purpose(database, name, purpose)

    def check_can_disclose(self, name: str) -> None:
        """Raise DisclosureError where somebody may not ask for releases, nor approve them; the operator may."""
        if name != OPERATOR and not any(one.name == name and one.can_disclose for one in self.all()):
            raise DisclosureError(
                f"`{name}` may not disclose",
                "`avowal user add … --disclose` lets a reader",
                RefusalReason.NO_PERMISSION,
                code="reader-may-not-disclose",
            )

    def record_access(
        self, name: str, purpose: str, version: int, rows: int, query: str, now: datetime
    ) -> None:
        """Record a reading that told of single visitors, with its entry in the ledger: before its answer is given."""
        with self._driver_transaction() as database:
            insert_access(database, name, purpose, version, rows, query, now)

    def count_access(self, name: str, purpose: str, now: datetime) -> None:
        """Count a reading that told of many visitors together: before its answer is given."""
        row = {"day": now.date().isoformat(), "reader": name, "purpose": purpose, "accesses": 1}
        more = {"accesses": ACCESS_COUNTS.c.accesses + 1}
        with self._write_transaction() as connection:
            connection.execute(upsert(ACCESS_COUNTS).values(row).on_conflict_do_update(set_=more))

    def accesses_since(self, since: datetime) -> list[RecordedAccess]:
        """Return the readings of single visitors since a moment, in their order."""
        with self._driver_connection() as database:
            return [
                RecordedAccess(name, one.purpose, one.version, one.rows, one.query_hash, one.at)
                for _, name, one in _made(database, 0, since)
            ]

    def access_readers(self) -> dict[int, tuple[str | None, bytes | None]]:
        """Return who read of single visitors, and the salt of the commitment to that, by the number of the entry."""
        with self._driver_connection() as database:
            rows = database.execute(SELECT_ACCESS_READERS)
            return {entry: (name, salt) for entry, name, salt in rows}

    def count_accesses_by_purpose(self, since: datetime) -> Counter[str]:
        """Return how often was read of single visitors since a day, by purpose: everybody may ask, and often."""
        with self._counting, self._driver_connection() as database:
            for number, _, one in _made(database, self._counted, datetime.min):
                self._singles[one.at.date(), one.purpose] += 1
                self._counted = number + 1
            found = Counter[str]()
            for (day, purpose), times in self._singles.items():
                found[purpose] += times if day >= since.date() else 0
        return +found

    def aggregate_access_counts(self, since: datetime) -> list[AccessCount]:
        """Return how often was read of many visitors together since a day, the newest day first."""
        statement = (
            sa.select(ACCESS_COUNTS)
            .where(ACCESS_COUNTS.c.day >= since.date().isoformat())
            .order_by(ACCESS_COUNTS.c.day.desc(), ACCESS_COUNTS.c.reader, ACCESS_COUNTS.c.purpose)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(statement)
            return [AccessCount(date.fromisoformat(day), *others) for day, *others in rows]


def insert_access(
    database: sqlite3.Connection,
    name: str,
    purpose: str,
    version: int,
    rows: int,
    query: str,
    now: datetime,
) -> None:
    """Record a reading, in the transaction that it reads in."""
    salt = secrets.token_bytes(SALT_BYTES)
    who = compute_commitment(salt, reader=name)
    append_entries(database, [DataAccessed(who, purpose, version, rows, hash_text(query), now)], name, salt)


def _made(
    database: sqlite3.Connection, first: int, since: datetime
) -> Iterator[tuple[int, str, DataAccessed]]:
    """Yield the readings from an entry on, as its number, who read, and itself, since a moment: it begins with that."""
    for number, name, body in database.execute(
        SELECT_ACCESSES, (first, f'{{"at":"{since.isoformat()}'.encode())
    ):
        if isinstance(one := entry_of(body), DataAccessed):
            yield number, name, one
