"""Feeds of processors: the pages that were provided and acknowledged, and the keys of the feeds."""

import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec

from avowal.errors import RefusedError
from avowal.ledger.entry import FeedPageProvided
from avowal.ledger.release_entry import AgeReach
from avowal.register.ledger_storage import append_entries
from avowal.register.repository import (
    Repository,
    format_time,
    parse_optional_time,
    parse_time,
    to_parameters,
)
from avowal.register.statements import load_statements

SQL = load_statements("avowal.register", "processors")

KEY_BYTES = 32
KEY_OVERLAP = timedelta(hours=24)
"""How long a key stays valid after a new one was issued, unless it is revoked at once."""


class FeedPosition(msgspec.Struct, frozen=True):
    """How far a processor has read its feed."""

    agreement_hash: str = ""
    """The hash of the contract and of the version that the feed follows: with another one the feed begins again."""
    last_record_numbers: dict[str, int] = {}
    """The number of the last record that was read, by relation."""
    last_change_number: int = 0
    """The number of the last change that was read."""
    last_expiry_day: str = ""
    """The last day for which it received the expired records, as `YYYY-MM-DD`."""


class FeedPage(msgspec.Struct, frozen=True):
    """A page that a processor fetched. Times are UTC."""

    processor: str
    reference: str
    contract_hash: str
    version: int
    position: FeedPosition
    records: dict[str, int]
    """How many records there are, by relation."""
    deletions: int
    """How many records the page asks the processor to delete."""
    provided_at: datetime
    acknowledged_at: datetime | None = None


class Feeds(Repository):
    """The feeds of a register."""

    def issue_key(self, processor: str, now: datetime, *, revoke_previous: bool) -> str:
        """Return a new key for a processor; its previous key ends after KEY_OVERLAP, or at once."""
        key = secrets.token_urlsafe(KEY_BYTES)
        values = to_parameters(
            {
                "processor": processor,
                "hash": _hash_key(key),
                "issued_at": now,
                "ends_at": now if revoke_previous else now + KEY_OVERLAP,
            }
        )
        with self._database.transaction() as connection:
            connection.execute(SQL["revoke_keys"], values)
            connection.execute(SQL["insert_key"], values)
        return key

    def check_key(self, processor: str, key: str, now: datetime) -> bool | None:
        """Return whether a key of a processor's feed is valid; None if it was valid and has ended."""
        row = self._select("select_key_end", processor=processor, hash=_hash_key(key))
        if row is None:
            return False
        (ends_at,) = row
        return True if ends_at is None or parse_time(ends_at) > now else None

    def position(self, processor: str, reference: str) -> FeedPosition:
        """Return the position after a page; the start if `reference` is empty. Raises RefusedError if it is unknown."""
        if not reference:
            return FeedPosition()
        row = self._select("select_position", processor=processor, reference=reference)
        if row is None:
            raise RefusedError(
                f"the feed of `{processor}` has no page `{reference}`",
                "begin again without a page; nothing is lost",
                code="page-not-found",
            )
        return msgspec.json.decode(row[0], type=FeedPosition)

    def acknowledge(self, processor: str, reference: str, now: datetime) -> None:
        """Record that a processor has received a page, and all pages before it."""
        values = {"processor": processor, "reference": reference, "now": format_time(now)}
        with self._database.transaction() as connection:
            connection.execute(SQL["acknowledge_pages"], values)

    def record_page(self, page: FeedPage, age_reach: list[AgeReach]) -> int:
        """Record a page with its entry in the ledger, before it is provided; returns that entry's number."""
        entry = FeedPageProvided(
            page.processor,
            page.reference,
            page.contract_hash,
            page.version,
            page.records,
            page.deletions,
            page.provided_at,
            age_reach,
        )
        with self._database.transaction() as connection:
            number = append_entries(connection, [entry])
            connection.execute(SQL["insert_page"], to_parameters(page, entry=number))
        return number

    def pages(self, processor: str) -> list[FeedPage]:
        """Return the pages that a processor fetched, in their order."""
        with self._database.read() as connection:
            rows = connection.execute(SQL["select_pages"], {"processor": processor}).fetchall()
        return [
            FeedPage(
                name,
                reference,
                contract_hash,
                version,
                msgspec.json.decode(position, type=FeedPosition),
                msgspec.json.decode(records, type=dict[str, int]),
                deletions,
                parse_time(times[0]),
                parse_optional_time(times[1]),
            )
            for name, reference, contract_hash, version, position, records, deletions, *times in rows
        ]

    def acknowledged_until(self, processor: str) -> datetime | None:
        """Return when the last page that a processor acknowledged was provided; None if it acknowledged none."""
        row = self._select("select_acknowledged_until", processor=processor)
        return parse_optional_time(row[0]) if row else None

    def first_provided_at(self, processor: str) -> datetime | None:
        """Return when a processor fetched its first page; None if it has fetched none."""
        row = self._select("select_first_provided_at", processor=processor)
        return parse_time(row[0]) if row else None

    def is_before_acknowledged(self, processor: str, reference: str) -> bool:
        """Return whether a page comes before the last one that a processor acknowledged."""
        return bool(self._select("select_later_acknowledged_page", processor=processor, reference=reference))

    def last_acknowledged(self, processor: str) -> str:
        """Return the reference of the last page that a processor acknowledged; empty if there is none."""
        row = self._select("select_last_acknowledged", processor=processor)
        return row[0] if row else ""

    def acknowledged_change_number(self) -> int:
        """Return the number of the last change that every processor with a feed has acknowledged."""
        with self._database.read() as connection:
            processors = [name for (name,) in connection.execute(SQL["select_processors_with_feed"])]
        return min(
            (self.position(name, self.last_acknowledged(name)).last_change_number for name in processors),
            default=NO_FEED_CHANGE_NUMBER,
        )

    def _select(self, statement: str, **values: str) -> Any:
        """Return the first row of a statement; None if there is none."""
        with self._database.read() as connection:
            return connection.execute(SQL[statement], values).fetchone()


NO_FEED_CHANGE_NUMBER = (1 << 63) - 1
"""The change that all processors have acknowledged if there are none."""


def _hash_key(key: str) -> str:
    """Return the stored hash of a key. A fast hash is safe, as keys are long and random."""
    return sha256(key.encode()).hexdigest()
