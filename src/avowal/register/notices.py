"""The notices of versions as they were published, and where they were displayed."""

from collections.abc import Sequence
from datetime import date, datetime

import msgspec
import rfc8785

from avowal.errors import RefusedError
from avowal.ledger.entry import NoticeDisplayed, hash_text
from avowal.register.database import Connection
from avowal.register.ledger_storage import append_entries
from avowal.register.repository import Repository, parse_time, to_parameters
from avowal.register.statements import load_statements

SQL = load_statements("avowal.register", "notices")


class Notice(msgspec.Struct, frozen=True):
    """What a version changes, in one language, and the first and last day (UTC) on which that is displayed."""

    version: int
    language: str
    """A tag (BCP 47) that the terms declare."""
    relation: str
    looser: list[str]
    """Sentences; what is looser holds only for what is collected from the version on."""
    stricter: list[str]
    """Sentences; what is stricter holds for what was collected before, too."""
    first_day: date
    last_day: date

    def is_displayed(self, day: date) -> bool:
        """Return whether it is displayed on a day."""
        return self.first_day <= day <= self.last_day

    @property
    def canonical_json(self) -> str:
        """All of it, as canonical JSON (RFC 8785)."""
        return rfc8785.dumps(msgspec.to_builtins(self)).decode()


def hash_notices(notices: Sequence[Notice]) -> dict[str, str]:
    """Return the SHA-256 of each notice, in hexadecimal, by language."""
    return {notice.language: hash_text(notice.canonical_json) for notice in notices}


class NoticeDisplay(msgspec.Struct, frozen=True):
    """The display of a version's notice at a place. Times are UTC."""

    version: int
    location: str
    attested_by_operator: bool
    """Whether only the operator says so; otherwise Avowal itself displayed it."""
    recorded_at: datetime


class Notices(Repository):
    """The notices of a register."""

    def all(self) -> list[Notice]:
        """Return the notices of every version, by number and language."""
        with self._database.read() as connection:
            return _read_notices(connection)

    def displays(self) -> list[NoticeDisplay]:
        """Return where notices were displayed, in the order in which that was recorded."""
        with self._database.read() as connection:
            rows = connection.execute(SQL["select_displays"]).fetchall()
        return [
            NoticeDisplay(version, location, attested == 1, parse_time(recorded_at))
            for version, location, attested, recorded_at in rows
        ]

    def record_display(self, display: NoticeDisplay) -> None:
        """Record where a version's notice was displayed. Raises RefusedError if the version has no notice."""
        with self._database.transaction() as connection:
            notices = [notice for notice in _read_notices(connection) if notice.version == display.version]
            if not notices:
                raise RefusedError(
                    f"version {display.version} has no notice",
                    "`avowal policy notice` lists the notices; the first version has none, as nothing changed",
                    code="notice-not-found",
                )
            values = to_parameters(display)
            publication, identity = connection.execute(SQL["select_publication"], values).fetchone()
            displayed = NoticeDisplayed(
                display.version,
                identity,
                hash_notices(notices),
                display.location,
                display.attested_by_operator,
                display.recorded_at,
            )
            entry = append_entries(connection, [displayed])
            connection.execute(SQL["insert_display"], {**values, "publication": publication, "entry": entry})


def insert_notices(connection: Connection, publication: int, notices: Sequence[Notice]) -> None:
    """Record the notices of a publication, in its transaction."""
    for notice in notices:
        values = {
            "publication": publication,
            "language": notice.language,
            "canonical_json": notice.canonical_json,
        }
        connection.execute(SQL["insert_notice"], values)


def _read_notices(connection: Connection) -> list[Notice]:
    rows = connection.execute(SQL["select_notices"]).fetchall()
    return [msgspec.json.decode(canonical_json, type=Notice) for (canonical_json,) in rows]
