"""Readers of stored data with their purposes, and records of what they read."""

import secrets
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime

import msgspec

from avowal.errors import DisclosureError, RefusedError
from avowal.ledger.commitment import SALT_BYTES, compute_commitment
from avowal.ledger.entry import DataAccessed, decode_entry, hash_text
from avowal.policy.bounds import OPERATOR
from avowal.register.database import Connection, Database
from avowal.register.ledger_storage import append_entries
from avowal.register.release_requests import RefusalReason
from avowal.register.repository import Repository, parse_time, parse_words, to_parameters
from avowal.register.statements import load_statements

SQL, LEDGER_SQL = (load_statements("avowal.register", name) for name in ("readers", "ledger"))


REPORT_QUESTION = "avowal report"
"""What the entry of an access by reports has the hash of, in place of the text of a query."""


class Reader(msgspec.Struct, frozen=True):
    """Somebody who may read stored data, and for which purposes."""

    name: str
    purposes: list[str]
    can_disclose: bool = False
    """Whether they may request releases, and approve those of others."""
    is_automated: bool = False
    """Whether it is a program that decides by what it reads."""


class RecordedAccess(msgspec.Struct, frozen=True):
    """An access to data of single visitors. Times are UTC."""

    reader: str
    purpose: str
    version: int
    """The last version that had taken effect."""
    rows: int
    query_hash: str
    """The SHA-256 of the query, in hexadecimal."""
    recorded_at: datetime


class AccessCount(msgspec.Struct, frozen=True):
    """How many times a reader read figures about many visitors on a day."""

    day: date
    reader: str
    purpose: str
    accesses: int


class Readers(Repository):
    """The readers of a register."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._count_lock = threading.Lock()
        self._report_lock = threading.Lock()
        self._report_hours: dict[tuple[str, str], datetime] = {}
        """The hour of the last report entry, by reader and purpose."""
        self._next_entry = 0
        self._daily_counts = Counter[tuple[date, str]]()

    def all(self) -> list[Reader]:
        """Return every reader, by name."""
        with self._database.read() as connection:
            rows = connection.execute(SQL["select_readers"]).fetchall()
        last = {
            name: Reader(name, parse_words(purposes), can_disclose == 1, is_automated == 1)
            for name, purposes, can_disclose, is_automated in rows
        }
        return [last[name] for name in sorted(last) if last[name].purposes]

    def purpose_history(self) -> list[tuple[str, list[str], datetime]]:
        """Return who was given which purposes and when, in that order."""
        with self._database.read() as connection:
            rows = connection.execute(SQL["select_purpose_history"]).fetchall()
        return [(name, parse_words(purposes), parse_time(since)) for name, purposes, since in rows]

    def save(self, reader: Reader, now: datetime) -> None:
        """Set the purposes and rights of a reader; without a purpose the reader is removed."""
        values = to_parameters(reader, purposes=sorted(reader.purposes), recorded_at=now)
        with self._database.transaction() as connection:
            connection.execute(SQL["insert_reader"], values)

    def check_purpose(self, name: str, purpose: str) -> None:
        """Raise RefusedError if a reader may not read for a purpose; see `check_reader_purpose`."""
        with self._database.read() as connection:
            check_reader_purpose(connection, name, purpose)

    def check_can_disclose(self, name: str) -> None:
        """Raise DisclosureError if a reader may not request or approve releases; the operator may."""
        if name != OPERATOR and not any(reader.name == name and reader.can_disclose for reader in self.all()):
            raise DisclosureError(
                f"`{name}` may not disclose",
                "`avowal user add … --disclose` permits it",
                RefusalReason.NO_PERMISSION,
                code="reader-may-not-disclose",
            )

    def record_access(
        self, name: str, purpose: str, version: int, rows: int, query: str, now: datetime
    ) -> None:
        """Record an access to data of single visitors with its entry in the ledger, before the answer is given."""
        with self._database.transaction() as connection:
            insert_access(connection, name, purpose, version, rows, query, now)

    def count_access(self, name: str, purpose: str, now: datetime) -> None:
        """Count an access to figures about many visitors, before the answer is given."""
        values = {"day": now.date().isoformat(), "reader": name, "purpose": purpose}
        with self._database.transaction() as connection:
            connection.execute(SQL["count_access"], values)

    def record_report(self, name: str, purpose: str, version: int, rows: int, now: datetime) -> None:
        """Count an access by a report, and record it unless another one of that hour and purpose is recorded.

        The entry in the ledger has the number of rows of the first report.
        """
        self.count_access(name, purpose, now)
        hour = now.replace(minute=0, second=0, microsecond=0)
        with self._report_lock:
            if self._report_hours.get((name, purpose)) == hour:
                return
            with self._database.transaction() as connection:
                if not _has_report_entry(connection, name, purpose, hour):
                    insert_access(connection, name, purpose, version, rows, REPORT_QUESTION, now)
            self._report_hours[name, purpose] = hour

    def accesses_since(self, since: datetime) -> list[RecordedAccess]:
        """Return the accesses to data of single visitors since a time, in their order."""
        with self._database.read() as connection:
            return [
                RecordedAccess(reader, entry.purpose, entry.version, entry.rows, entry.query_hash, entry.at)
                for _, reader, entry in _read_accesses(connection, 0, since)
            ]

    def access_readers(self) -> dict[int, tuple[str | None, bytes | None]]:
        """Return the reader, and the salt of the commitment to the reader, by the number of the access's entry."""
        with self._database.read() as connection:
            rows = connection.execute(LEDGER_SQL["select_access_readers"]).fetchall()
        return {entry: (reader, salt) for entry, reader, salt in rows}

    def count_accesses_by_purpose(self, since: datetime) -> Counter[str]:
        """Return the number of accesses to data of single visitors since a day, by purpose.

        Reports are not among them: `aggregate_access_counts` has how often they were read.
        Only entries that came since the last call are read, as public pages call this often.
        """
        with self._count_lock, self._database.read() as connection:
            for number, _, entry in _read_accesses(connection, self._next_entry, datetime.min):
                if not is_report(entry):
                    self._daily_counts[entry.at.date(), entry.purpose] += 1
                self._next_entry = number + 1
            counts = Counter[str]()
            for (day, purpose), count in self._daily_counts.items():
                counts[purpose] += count if day >= since.date() else 0
        return +counts

    def aggregate_access_counts(self, since: datetime) -> list[AccessCount]:
        """Return the accesses to figures about many visitors since a day, the newest day first."""
        with self._database.read() as connection:
            rows = connection.execute(SQL["select_access_counts"], {"since": since.date().isoformat()})
            return [AccessCount(date.fromisoformat(day), *others) for day, *others in rows]


def check_reader_purpose(connection: Connection, reader: str, purpose: str) -> bool:
    """Return whether a reader is a program. Raises RefusedError if they may not read for a purpose.

    Whoever uses the machine and names no reader is the operator, who may read for all purposes.
    """
    if reader == OPERATOR:
        return False
    row = connection.execute(SQL["select_reader"], {"name": reader}).fetchone()
    purposes = parse_words(row[0]) if row else []
    if not purposes:
        raise RefusedError(
            f"there is no reader `{reader}`", "`avowal user add` makes one", code="reader-not-found"
        )
    if purpose not in purposes:
        raise RefusedError(
            f"`{reader}` does not read for {purpose}",
            f"{reader} reads for: {', '.join(purposes)}",
            code="purpose-not-permitted",
        )
    return bool(row[1])


def insert_access(
    connection: Connection, name: str, purpose: str, version: int, rows: int, query: str, now: datetime
) -> None:
    """Record an access, in the transaction that reads the data."""
    salt = secrets.token_bytes(SALT_BYTES)
    commitment = compute_commitment(salt, reader=name)
    entry = DataAccessed(commitment, purpose, version, rows, hash_text(query), now)
    append_entries(connection, [entry], name, salt)


def _has_report_entry(connection: Connection, reader: str, purpose: str, since: datetime) -> bool:
    """Return whether an access by a report is recorded since a time. Entries are read back to that time only."""
    for name, body in connection.execute(LEDGER_SQL["select_newest_entries"]):
        entry = decode_entry(body)
        if entry.at < since:
            return False
        if (
            name == reader
            and isinstance(entry, DataAccessed)
            and entry.purpose == purpose
            and is_report(entry)
        ):
            return True
    return False


def is_report(access: DataAccessed) -> bool:
    """Return whether a recorded access is that of an hour's reports."""
    return access.query_hash == hash_text(REPORT_QUESTION)


def _read_accesses(
    connection: Connection, first_entry: int, since: datetime
) -> Iterator[tuple[int, str, DataAccessed]]:
    """Yield the accesses since a time, from an entry on: the entry's number, the reader, and the entry.

    The JSON of an entry begins with its time, so that entries can be compared with a time as texts.
    """
    values = {"first": first_entry, "since": f'{{"at":"{since.isoformat()}'.encode()}
    for number, reader, body in connection.execute(LEDGER_SQL["select_accesses_from"], values):
        if isinstance(entry := decode_entry(body), DataAccessed):
            yield number, reader, entry
