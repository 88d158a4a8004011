"""What the script in a page tells, and what of it the terms let in: nothing else goes any further.

The script tells of one look at a page, again and again while it lasts: which look it is, of which page, how long it
has lasted, and for how long of that the page was visible and in focus.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec
import polars as pl

from avowal.collect.admission import Promise
from avowal.collect.cookie import visitor_number
from avowal.collect.device import DEVICE, learn
from avowal.collect.event_details import URL_MAX, More, admitted, linked
from avowal.collect.journal import OPEN_MAX, Row
from avowal.collect.visitor_key import Salts, event_day_of, visitor_key
from avowal.logs import request_line
from avowal.logs.ip_address import network

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
    more: More | None = None
    """What else is told."""


class Caller(msgspec.Struct, frozen=True):
    """Who tells it, as the connection shows: lives in memory only."""

    address: str
    user_agent: str
    identifier: str = ""
    """That of the cookie, where it counts."""


class Keys(NamedTuple):
    """By what a visitor is known; `of_day` is the key of the day where the other one lasts."""

    visitor: int
    of_day: int | None = None


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
    _has: Mapping[str, bool] = field(init=False)

    def __post_init__(self) -> None:
        self._has = {
            f"{category} {precision}": True
            for category, ages in self.promise.kept.items()
            for precision, age in ages.items()
            if age != 0
        }
        has = self._has.get
        self._plain = (
            has("host full"),
            has("page-path full"),
            has("page-query full"),
            has("browser full") or has("browser name"),
            has("browser full"),
            has("operating-system full") or has("operating-system name"),
            has("operating-system full"),
            has("device-kind full"),
        )
        self._visitor = has("visitor-id day") or has("visitor-id full")
        self.lasting = bool(has("visitor-id full") and self.promise.cookie)
        self._address = lru_cache(CACHED_MAX)(self._address_of)
        self._referrer = lru_cache(CACHED_MAX)(self._referrer_of)

    def let_in(self, event: Event, caller: Caller, keys: Keys, now: int) -> Row:
        """Return the row of an event of `now` (microseconds since 1970).

        Raises Drop where the terms let nothing of it in.
        """
        if "view-time full" not in self._has:
            raise Drop("not-declared")
        _, browser, browser_version, system, system_version, kind, bot = device(caller.user_agent)
        if bot is not None and "bot full" not in self._has:
            raise Drop("not-declared")
        host, path, query = place(event.url)
        address, country = self._address(caller.address)
        told = (host, path, query, browser, browser_version, system, system_version, kind)
        host_in, path_in, query_in, name_in, version_in, system_in, of_system_in, kind_in = [
            value if allowed else None for value, allowed in zip(told, self._plain, strict=True)
        ]
        more = admitted(event.more, self._has) if event.more else {}
        return Row(
            look_number(host, event.id),
            now,
            self.promise.version,
            event.age,
            event.seen if "view-duration full" in self._has else None,
            host_in,
            keys.visitor if self._visitor else None,
            keys.of_day if self._visitor else None,
            address,
            country,
            bot,
            path_in,
            query_in,
            self._referrer(event.ref),
            name_in,
            version_in,
            system_in,
            of_system_in,
            kind_in,
            **more,
        )

    def _address_of(self, address: str) -> tuple[str | None, str | None]:
        """Return what is let in of an address, and its country."""
        has = self._has.get
        kept = address if has("ip-address full") else network(address) if has("ip-address prefix") else None
        wanted = has("country full") or has("ip-address country")
        return kept, self.country_of(address) if wanted and self.country_of else None

    def _referrer_of(self, referrer: str) -> str | None:
        """Return what is let in of a referrer."""
        return linked(referrer, "referrer", self._has)


CACHED_MAX = 20_000
"""How many answers of each kind are remembered, in memory only."""


@lru_cache(CACHED_MAX)
def device(user_agent: str) -> tuple[str | None, ...]:
    """Return what a user agent says, in the order of DEVICE."""
    return learn(pl.Series(DEVICE.names()[0], [user_agent], dtype=pl.String)).row(0)


@lru_cache(CACHED_MAX)
def place(url: str) -> tuple[str, str | None, str | None]:
    """Return host, path and query of a page's address, safe to hand on. Raises Drop where it is no page of the web."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise Drop("no-page") from None
    host = request_line.host_name(parts.netloc.rpartition("@")[2])
    if parts.scheme not in {"http", "https"} or host is None:
        raise Drop("no-page")
    return host, request_line.path(parts.path or "/"), request_line.query(parts.query)


def look_number(host: str, look: str) -> int:
    """Return the number of a look in the store."""
    return int.from_bytes(blake2b(f"{host}\0{look}".encode(), digest_size=8).digest(), "little")


SALT_SECONDS = 60
"""How long a salt is used before it is asked for again: it may have been destroyed meanwhile."""


@dataclass
class Visitors:
    """Gives visitors their keys of a day, as the way in of a log does."""

    salts: Salts
    zone: ZoneInfo
    day_turns_at: time
    secret: bytes = b""
    """The key under which a cookie's identifier becomes a visitor's key."""
    _salt: bytes = b""
    _minute: int = -1

    def keys(self, host: str, caller: Caller, now: int, *, lasting: bool = False) -> Keys:
        """Return the keys of whoever calls; `now` is in microseconds since 1970.

        One lasts only where that is let in, and the cookie has an identifier.
        """
        minute = now // (SALT_SECONDS * 1_000_000)
        if minute != self._minute:  # a day turns with a minute, too
            moment = datetime.fromtimestamp(now / 1_000_000, UTC).replace(tzinfo=None)
            day = event_day_of(moment, self.zone, self.day_turns_at)
            self._salt = self.salts.of([day], moment)[0][day]
            self._minute = minute
        of_day = visitor_key(self._salt, host, caller.address, caller.user_agent)
        if lasting and caller.identifier:
            return Keys(visitor_number(self.secret, caller.identifier), of_day)
        return Keys(of_day)
