"""Parse the events that the script of a page sends, and recognise their visitors.

The script sends events of a page view while it lasts: which script view it is, of which page, how long it has lasted,
and for how long of that the page was visible and in focus.
"""

from dataclasses import dataclass, field
from datetime import date, time
from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec

from avowal.clock import from_microseconds
from avowal.collect.bounded_cache import bounded_cache
from avowal.collect.cookie import compute_cookie_visitor_id
from avowal.collect.event_details import EventDetails, shorten_url
from avowal.collect.event_drop_reason import EventDropReason
from avowal.collect.visitor_key import SaltFile, compute_daily_key, compute_visitor_day
from avowal.logs import request_line
from avowal.url_parts import parse_host_name

EVENT_BODY_BYTES_MAX = 16 * 1024
"""The longest body of an event, in bytes."""

_MILLISECONDS = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


class ScriptEvent(msgspec.Struct, frozen=True):
    """One message of the script about a page view."""

    script_view_token: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{10,40}$")]
    """Identifies the script view. The script draws it at random."""
    url: str
    """The address of the page."""
    referrer: str = ""
    """The address of the page before."""
    elapsed_ms: int = 0
    """How long the view has lasted: its age. Events of an age below 0 or above EVENT_AGE_MAX are dropped."""
    visible_ms: _MILLISECONDS | None = None
    """For how long the page was visible and in focus; None if it is not measured."""
    details: EventDetails | None = None


class ClientIdentity(msgspec.Struct, frozen=True):
    """The identifying data of the client that sent an event. It exists in memory only."""

    address: str
    user_agent: str
    cookie_identifier: str = ""
    """The identifier in the cookie, if the cookie is permitted."""


class VisitorKeys(NamedTuple):
    """The key of a visitor. `daily_key` is the key of the day if `visitor_id` comes from the cookie."""

    visitor_id: int
    daily_key: int | None = None


class EventDropError(Exception):  # not an AvowalError: dropping the event is right
    """The event is dropped."""

    def __init__(self, reason: EventDropReason) -> None:
        super().__init__(reason)
        self.reason = reason


_decode = msgspec.json.Decoder(ScriptEvent).decode


def parse_event(body: bytes) -> ScriptEvent:
    """Parse the body of an event. Raises msgspec.ValidationError or DecodeError, whose messages contain no values."""
    return _decode(body)


CACHE_BYTES_MAX = 8 << 20
"""The size of each cache of texts that clients send. Caches exist in memory only."""

CACHED_DAYS_MAX = 1_000


@bounded_cache(CACHE_BYTES_MAX)
def parse_page_url(url: str) -> tuple[str, str | None, str | None]:
    """Return host, path and query of a page's address.

    Raises EventDropError if it is not a web page.
    """
    try:
        parts = urlsplit(shorten_url(url))
    except ValueError:
        raise EventDropError(EventDropReason.NO_PAGE) from None
    host = parse_host_name(parts.netloc.rpartition("@")[2])
    if parts.scheme not in {"http", "https"} or host is None:
        raise EventDropError(EventDropReason.NO_PAGE)
    return host, request_line.sanitise_path(parts.path or "/"), request_line.sanitise_query(parts.query)


def compute_script_view_id(host: str, token: str) -> int:
    """Return the identifier of a script view in the store."""
    return int.from_bytes(blake2b(f"{host}\0{token}".encode(), digest_size=8).digest(), "little")


MINUTE = 60_000_000
"""A minute in microseconds."""


@dataclass
class VisitorKeyFactory:
    """Computes the keys of visitors, as the pipeline of a log does."""

    salts: SaltFile
    zone: ZoneInfo
    day_start: time
    cookie_secret: bytes = b""
    """The secret that turns the identifier in a cookie into a visitor key."""
    _salts_by_day: dict[date, bytes] = field(default_factory=dict)
    _minute: int = -1

    def __post_init__(self) -> None:
        self._visitor_day = lru_cache(CACHED_DAYS_MAX)(self._compute_visitor_day)

    def compute_keys(
        self,
        host: str,
        client: ClientIdentity,
        record_time: int,
        now: int,
        *,
        cookie_key_permitted: bool = False,
    ) -> VisitorKeys:
        """Return the keys that a client has at the time of a record. Times are in microseconds since 1970.

        The key comes from the cookie if that is permitted and the cookie has an identifier.
        """
        salt = self._find_salt(
            self._visitor_day(record_time // MINUTE), now
        )  # a day also starts with a minute
        daily_key = compute_daily_key(salt, host, client.address, client.user_agent)
        if cookie_key_permitted and client.cookie_identifier:
            return VisitorKeys(
                compute_cookie_visitor_id(self.cookie_secret, client.cookie_identifier), daily_key
            )
        return VisitorKeys(daily_key)

    def _compute_visitor_day(self, minute: int) -> date:
        return compute_visitor_day(from_microseconds(minute * MINUTE), self.zone, self.day_start)

    def _find_salt(self, day: date, now: int) -> bytes:
        """Return the salt of a visitor day. It is read again each minute: it may have been destroyed meanwhile."""
        if now // MINUTE != self._minute:
            self._salts_by_day, self._minute = {}, now // MINUTE
        if day not in self._salts_by_day:
            self._salts_by_day[day] = self.salts.load_or_create([day], from_microseconds(now))[0][day]
        return self._salts_by_day[day]
