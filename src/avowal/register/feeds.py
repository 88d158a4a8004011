"""What processors were given, in the register: page by page, what they acknowledged, and the keys they come with."""

import secrets
from datetime import datetime, timedelta
from hashlib import sha256

import msgspec
import sqlalchemy as sa

from avowal.errors import RefusedError
from avowal.ledger.entry import AgeReach, FeedPageProvided
from avowal.register.ledger_storage import append_entries
from avowal.register.repository import Repository
from avowal.register.tables import FEED_KEYS, FEED_PAGES, PROCESSORS

KEY_BYTES = 32
KEY_OVERLAP = timedelta(hours=24)
"""How long a key still opens the feed after another was issued, unless it is ended at once."""


class FeedPosition(msgspec.Struct, frozen=True):
    """How far a processor is with its feed."""

    agreement_hash: str = ""
    """The hash of the contract and of the version that it went by: others begin anew."""
    last_record_numbers: dict[str, int] = {}
    """The number of the last record that was looked at, by relation."""
    last_change_number: int = 0
    """The number of the last change that was looked at."""
    last_expiry_day: str = ""
    """The last day on which it was told what has expired."""


class FeedPage(msgspec.Struct, frozen=True):
    """A page that a processor was given. Times are UTC."""

    processor: str
    reference: str
    contract_hash: str
    version: int
    position: FeedPosition
    records: dict[str, int]
    """How many records there are, by relation."""
    deletions: int
    """How many it was told to delete."""
    provided_at: datetime
    acknowledged_at: datetime | None = None


class Feeds(Repository):
    """The feeds of a register."""

    def issue_key(self, processor: str, now: datetime, *, revoke_previous: bool) -> str:
        """Return a new key for a processor; the one before ends after a day, or at once."""
        key = secrets.token_urlsafe(KEY_BYTES)
        ends = {"ends_at": now if revoke_previous else now + KEY_OVERLAP}
        open_ended = FEED_KEYS.c.ends_at.is_(None) | (FEED_KEYS.c.ends_at > ends["ends_at"])
        before = sa.update(FEED_KEYS).where(FEED_KEYS.c.processor == processor, open_ended)
        with self._write_transaction() as connection:
            connection.execute(before.values(ends))
            row = {"processor": processor, "hash": _hash(key), "issued_at": now}
            connection.execute(sa.insert(FEED_KEYS).values(row))
        return key

    def check_key(self, processor: str, key: str, now: datetime) -> bool | None:
        """Return whether a key opens a processor's feed; None where it did once, and ended."""
        statement = sa.select(FEED_KEYS.c.ends_at).where(
            FEED_KEYS.c.processor == processor, FEED_KEYS.c.hash == _hash(key)
        )
        with self._engine.connect() as connection:
            row = connection.execute(statement).first()
        if row is None:
            return False
        return True if row.ends_at is None or row.ends_at > now else None

    def position(self, processor: str, reference: str) -> FeedPosition:
        """Return how far a page went; nowhere where none is named. Raises RefusedError where there is none so named."""
        if not reference:
            return FeedPosition()
        statement = sa.select(FEED_PAGES.c.position).where(
            FEED_PAGES.c.processor == processor, FEED_PAGES.c.reference == reference
        )
        with self._engine.connect() as connection:
            found = connection.execute(statement).scalar()
        if found is None:
            raise RefusedError(
                f"`{processor}` was given no page `{reference}`",
                "begin anew, without one: nothing is lost by that",
                code="page-not-found",
            )
        return msgspec.json.decode(found, type=FeedPosition)

    def acknowledge(self, processor: str, reference: str, now: datetime) -> None:
        """Record that a processor has a page, and all before it."""
        mine = FEED_PAGES.c.processor == processor
        upto = sa.select(FEED_PAGES.c.page).where(mine, FEED_PAGES.c.reference == reference).scalar_subquery()
        due = mine & (FEED_PAGES.c.page <= upto) & FEED_PAGES.c.acknowledged_at.is_(None)
        with self._write_transaction() as connection:
            connection.execute(sa.update(FEED_PAGES).where(due).values(acknowledged_at=now))

    def record_page(self, page: FeedPage, age_reach: list[AgeReach]) -> int:
        """Record a page with its entry in the ledger, before it is given; returns that entry's number."""
        told = {
            name: getattr(page, name)
            for name in ("reference", "contract_hash", "version", "records", "deletions")
        }
        with self._write_transaction() as connection:
            entry = append_entries(
                connection,
                [
                    FeedPageProvided(
                        processor=page.processor, at=page.provided_at, age_reach=age_reach, **told
                    )
                ],
            )
            row = {
                **told,
                "processor": page.processor,
                "position": msgspec.json.encode(page.position).decode(),
                "records": msgspec.json.encode(page.records).decode(),
                "provided_at": page.provided_at,
                "entry": entry,
            }
            connection.execute(sa.insert(FEED_PAGES).values(row))
        return entry

    def pages(self, processor: str) -> list[FeedPage]:
        """Return what a processor was given, in its order."""
        columns = [FEED_PAGES.c[name] for name in FeedPage.__struct_fields__]
        statement = sa.select(*columns).where(FEED_PAGES.c.processor == processor).order_by(FEED_PAGES.c.page)
        with self._engine.connect() as connection:
            rows = connection.execute(statement).mappings().all()
        return [
            FeedPage(
                **{
                    **row,
                    "position": msgspec.json.decode(row["position"], type=FeedPosition),
                    "records": msgspec.json.decode(row["records"]),
                }
            )
            for row in rows
        ]

    def acknowledged_until(self, processor: str) -> datetime | None:
        """Return when the last page was given that a processor acknowledged; None where it acknowledged none."""
        given = sa.select(sa.func.max(FEED_PAGES.c.provided_at)).where(
            FEED_PAGES.c.processor == processor, FEED_PAGES.c.acknowledged_at.is_not(None)
        )
        with self._engine.connect() as connection:
            found = connection.execute(given).scalar()
        return datetime.fromisoformat(found) if isinstance(found, str) else found

    def first_provided_at(self, processor: str) -> datetime | None:
        """Return when a processor was given its first page; None where it never was."""
        given = sa.select(FEED_PAGES.c.provided_at).where(FEED_PAGES.c.processor == processor)
        with self._engine.connect() as connection:
            return connection.execute(given.order_by(FEED_PAGES.c.page).limit(1)).scalar()

    def is_before_acknowledged(self, processor: str, reference: str) -> bool:
        """Return whether a page comes before the last one that a processor acknowledged."""
        mine = FEED_PAGES.c.processor == processor
        page = sa.select(FEED_PAGES.c.page).where(mine, FEED_PAGES.c.reference == reference).scalar_subquery()
        later = sa.select(FEED_PAGES.c.page).where(
            mine, FEED_PAGES.c.acknowledged_at.is_not(None), FEED_PAGES.c.page > page
        )
        with self._engine.connect() as connection:
            return connection.execute(later.limit(1)).first() is not None

    def last_acknowledged(self, processor: str) -> str:
        """Return the reference of the last page that a processor acknowledged; empty where there is none."""
        mine = (FEED_PAGES.c.processor == processor) & FEED_PAGES.c.acknowledged_at.is_not(None)
        statement = sa.select(FEED_PAGES.c.reference).where(mine).order_by(FEED_PAGES.c.page.desc())
        with self._engine.connect() as connection:
            return connection.execute(statement.limit(1)).scalar() or ""

    def acknowledged_change_number(self) -> int:
        """Return the number of the change that every processor has acknowledged that is given anything."""
        last = sa.select(sa.func.max(PROCESSORS.c.processor)).group_by(PROCESSORS.c.name)
        there = sa.select(PROCESSORS.c.name).where(
            PROCESSORS.c.processor.in_(last), PROCESSORS.c.contract_text != ""
        )
        statement = sa.select(FEED_PAGES.c.processor).distinct().where(FEED_PAGES.c.processor.in_(there))
        with self._engine.connect() as connection:
            processors = list(connection.execute(statement).scalars())
        return min(
            (self.position(one, self.last_acknowledged(one)).last_change_number for one in processors),
            default=NO_FEED_CHANGE_NUMBER,
        )


NO_FEED_CHANGE_NUMBER = (1 << 63) - 1
"""The change that all processors have acknowledged where there are none."""


def _hash(key: str) -> str:
    """Return what is kept of a key, which is random and long: a fast hash will do."""
    return sha256(key.encode()).hexdigest()
