"""The notices of versions, in the register: as they were worded at publication, and where they were shown."""

from collections.abc import Sequence
from datetime import date, datetime

import msgspec
import rfc8785
import sqlalchemy as sa

from avowal.errors import RefusedError
from avowal.ledger.entry import NoticeDisplayed, hash_text
from avowal.register.ledger_storage import append_entries
from avowal.register.repository import Repository
from avowal.register.tables import NOTICE_DISPLAYS, NOTICES, PUBLICATIONS, STANDING


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


def insert_notices(connection: sa.Connection, publication: int, notices: Sequence[Notice]) -> None:
    """Record the notices of a publication, in its transaction."""
    for notice in notices:
        row = {
            "publication": publication,
            "language": notice.language,
            "canonical_json": notice.canonical_json,
        }
        connection.execute(sa.insert(NOTICES).values(row))


class NoticeDisplay(msgspec.Struct, frozen=True):
    """That a version's notice was shown: where, since when, and whether that is the operator's word."""

    version: int
    location: str
    attested_by_operator: bool
    recorded_at: datetime


class Notices(Repository):
    """The notices of a register."""

    def all(self) -> list[Notice]:
        """Return the notices of every version, by number and language."""
        with self._engine.connect() as connection:
            return _of(connection)

    def displays(self) -> list[NoticeDisplay]:
        """Return where notices were shown, in the order in which that was recorded."""
        statement = (
            sa.select(
                PUBLICATIONS.c.number,
                NOTICE_DISPLAYS.c.location,
                NOTICE_DISPLAYS.c.attested_by_operator,
                NOTICE_DISPLAYS.c.recorded_at,
            )
            .join(PUBLICATIONS, PUBLICATIONS.c.publication == NOTICE_DISPLAYS.c.publication)
            .where(STANDING)
            .order_by(NOTICE_DISPLAYS.c.notice_display)
        )
        with self._engine.connect() as connection:
            return [NoticeDisplay(*row) for row in connection.execute(statement)]

    def record_display(self, display: NoticeDisplay) -> None:
        """Record where a version's notice was shown.

        Raises RefusedError where the version has no notice.
        """
        with self._write_transaction() as connection:
            notices = [notice for notice in _of(connection) if notice.version == display.version]
            if not notices:
                raise RefusedError(
                    f"version {display.version} has no notice",
                    "`avowal policy notice` tells which have: the first version has none, as nothing changed",
                    code="notice-not-found",
                )
            publication, identity = connection.execute(
                sa.select(PUBLICATIONS.c.publication, PUBLICATIONS.c.identity).where(
                    STANDING, PUBLICATIONS.c.number == display.version
                )
            ).one()
            told = NoticeDisplayed(
                display.version,
                identity,
                hash_notices(notices),
                display.location,
                display.attested_by_operator,
                display.recorded_at,
            )
            row = {
                "publication": publication,
                "attested_by_operator": display.attested_by_operator,
                "location": display.location,
                "recorded_at": display.recorded_at,
                "entry": append_entries(connection, [told]),
            }
            connection.execute(sa.insert(NOTICE_DISPLAYS).values(row))


def _of(connection: sa.Connection) -> list[Notice]:
    statement = (
        sa.select(NOTICES.c.canonical_json)
        .join(PUBLICATIONS, PUBLICATIONS.c.publication == NOTICES.c.publication)
        .where(STANDING)
        .order_by(PUBLICATIONS.c.number, NOTICES.c.language)
    )
    return [msgspec.json.decode(told, type=Notice) for (told,) in connection.execute(statement)]
