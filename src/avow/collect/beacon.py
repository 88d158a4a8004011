"""What the script in a page tells, and what of it the terms let in: nothing else goes any further.

The script tells of one look at a page, again and again while it lasts: which look it is, of which page, how long it
has lasted, and for how long of that the page was visible and in focus.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec
import polars as pl

from avow.collect import request
from avow.collect.address import network
from avow.collect.admit import REFERRER_PAGE, REFERRER_SITE, Promise
from avow.collect.device import DEVICE, learn
from avow.collect.journal import OPEN_MAX, Row
from avow.collect.visitor import Salts, event_day_of, visitor_key

URL_MAX = 4_096
BODY_MAX = 16 * 1024
"""Longest body, in bytes."""

_MILLISECONDS = Annotated[int, msgspec.Meta(ge=0, le=OPEN_MAX // timedelta(milliseconds=1))]


class Event(msgspec.Struct, frozen=True):
    """One thing that the script tells. Durations are milliseconds."""

    id: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{10,40}$")]
    """Which look it is: drawn at random by the script."""
    url: Annotated[str, msgspec.Meta(max_length=URL_MAX)]
    """The page."""
    ref: Annotated[str, msgspec.Meta(max_length=URL_MAX)] = ""
    """The page that led here."""
    age: _MILLISECONDS = 0
    """How long the look has lasted."""
    seen: _MILLISECONDS | None = None
    """For how long of that the page was visible and in focus; null where nothing measures it."""


class Caller(msgspec.Struct, frozen=True):
    """Who tells it, as the connection shows: lives in memory only."""

    address: str
    user_agent: str


class Drop(Exception):  # noqa: N818  # no error: the event is rightly left out
    """The event is left out, for a reason of `docs/reference.md`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


_decode = msgspec.json.Decoder(Event).decode


def parse(body: bytes) -> Event:
    """Read what the script sent. Raises msgspec.ValidationError or DecodeError, which tell no value."""
    return _decode(body)


@dataclass
class Gate:
    """Lets events in as far as one version of the terms does: cut before anything is written.

    An event is of now, so whatever may be kept for any time at all is let in; see `admit` for records that are older.
    """

    promise: Promise
    country_of: Callable[[str], str | None] | None = None
    _kept: Mapping[str, frozenset[str]] = field(init=False)

    def __post_init__(self) -> None:
        self._kept = {
            category: frozenset(precision for precision, age in ages.items() if age != 0)
            for category, ages in self.promise.kept.items()
        }

    def _has(self, category: str, precision: str = "full") -> bool:
        return precision in self._kept.get(category, ())

    def let_in(self, event: Event, caller: Caller, visitor: int, now: datetime) -> Row:
        """Return the row of an event, of the schema ROW. Raises Drop where the terms let nothing of it in."""
        has = self._has
        if not has("view-time"):
            raise Drop("not-declared")
        _, browser, browser_version, system, system_version, kind, bot = device(caller.user_agent)
        if bot is not None and not has("bot"):
            raise Drop("not-declared")
        host, path, query = place(event.url)
        named, versioned = has("browser") or has("browser", "name"), has("browser")
        system_named = has("operating-system") or has("operating-system", "name")
        return (
            look_number(host, event.id),
            int(now.replace(tzinfo=UTC).timestamp() * 1_000_000),
            event.age,
            event.seen if has("view-duration") else None,
            host if has("host") else None,
            visitor if has("visitor-id", "day") or has("visitor-id") else None,
            self._address(caller.address),
            self._country(caller.address),
            bot,
            path if has("page-path") else None,
            query if has("page-query") else None,
            self._referrer(event.ref),
            browser if named else None,
            browser_version if versioned else None,
            system if system_named else None,
            system_version if has("operating-system") else None,
            kind if has("device-kind") else None,
            self.promise.version,
        )

    def _address(self, address: str) -> str | None:
        if self._has("ip-address"):
            return address
        return network(address) if self._has("ip-address", "prefix") else None

    def _country(self, address: str) -> str | None:
        wanted = self._has("country") or self._has("ip-address", "country")
        return self.country_of(address) if wanted and self.country_of else None

    def _referrer(self, referrer: str) -> str | None:
        referrer = request.query(referrer) or ""
        if self._has("referrer"):
            return referrer or None
        for precision, pattern in (("page", REFERRER_PAGE), ("site", REFERRER_SITE)):
            if self._has("referrer", precision):
                found = re.match(pattern, referrer)
                return found[1] if found else None
        return None


@lru_cache(maxsize=20_000)
def device(user_agent: str) -> tuple[str | None, ...]:
    """Return what a user agent says, in the order of DEVICE."""
    return learn(pl.Series(DEVICE.names()[0], [user_agent], dtype=pl.String)).row(0)


def place(url: str) -> tuple[str, str | None, str | None]:
    """Return host, path and query of a page's address, safe to hand on. Raises Drop where it is no page of the web."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise Drop("no-page") from None
    host = request.host_name(parts.netloc.rpartition("@")[2])
    if parts.scheme not in {"http", "https"} or host is None:
        raise Drop("no-page")
    return host, request.path(parts.path or "/"), request.query(parts.query)


def look_number(host: str, look: str) -> int:
    """Return the number of a look in the store."""
    return int.from_bytes(blake2b(f"{host}\0{look}".encode(), digest_size=8).digest(), "little")


SALT_SECONDS = 60.0


@dataclass
class Visitors:
    """Gives visitors their keys of a day, as the way in of a log does."""

    salts: Salts
    zone: ZoneInfo
    day_turns_at: time
    _known: dict[date, tuple[bytes, datetime]] = field(default_factory=dict)

    def key(self, host: str, caller: Caller, now: datetime) -> int:
        """Return the key of whoever calls."""
        return visitor_key(self._salt(now), host, caller.address, caller.user_agent)

    def _salt(self, now: datetime) -> bytes:
        day = event_day_of(now, self.zone, self.day_turns_at)
        salt, asked_at = self._known.get(day, (b"", datetime.min))
        if not timedelta() <= now - asked_at < timedelta(seconds=SALT_SECONDS):
            salt = self.salts.of([day], now)[0][day]
            self._known = {day: (salt, now)}
        return salt
