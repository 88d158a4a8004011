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

from avowal.collect.admission import AdmissionRules
from avowal.collect.cookie import compute_cookie_visitor_id
from avowal.collect.device import DEVICE_SCHEMA, parse_user_agents
from avowal.collect.event_details import URL_CHARACTERS_MAX, EventDetails, admit_details, truncate_url
from avowal.collect.event_drop_reason import EventDropReason
from avowal.collect.journal import VIEW_DURATION_MAX, JournalRow
from avowal.collect.visitor_key import SaltFile, compute_daily_key, compute_visitor_day
from avowal.logs import request_line
from avowal.logs.ip_address import truncate_to_network

EVENT_BODY_BYTES_MAX = 16 * 1024
"""Longest body, in bytes."""

_MILLISECONDS = Annotated[int, msgspec.Meta(ge=0, le=VIEW_DURATION_MAX // timedelta(milliseconds=1))]


class ScriptEvent(msgspec.Struct, frozen=True):
    """One thing that the script tells. Durations are milliseconds."""

    id: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{10,40}$")]
    """Which look it is: drawn at random by the script."""
    url: Annotated[str, msgspec.Meta(max_length=URL_CHARACTERS_MAX)]
    """The page."""
    ref: Annotated[str, msgspec.Meta(max_length=URL_CHARACTERS_MAX)] = ""
    """The page that led here."""
    age: _MILLISECONDS = 0
    """How long the look has lasted."""
    seen: _MILLISECONDS | None = None
    """For how long of that the page was visible and in focus; null where nothing measures it."""
    details: EventDetails | None = None
    """What else is told."""


class ClientIdentity(msgspec.Struct, frozen=True):
    """Who tells it, as the connection shows: lives in memory only."""

    address: str
    user_agent: str
    cookie_identifier: str = ""
    """That of the cookie, where it counts."""


class VisitorKeys(NamedTuple):
    """By what a visitor is known; `of_day` is the key of the day where the other one lasts."""

    visitor_id: int
    daily_key: int | None = None


class EventDropError(Exception):  # not an AvowalError: dropping the event is right
    """The event is dropped."""

    def __init__(self, reason: EventDropReason) -> None:
        super().__init__(reason)
        self.reason = reason


_decode = msgspec.json.Decoder(ScriptEvent).decode


def parse_event(body: bytes) -> ScriptEvent:
    """Read what the script sent. Raises msgspec.ValidationError or DecodeError, which tell no value."""
    return _decode(body)


@dataclass
class EventAdmission:
    """Lets events in as far as one version of the terms does: cut before anything is written.

    An event is of now, so whatever may be kept for any time at all is let in; see `admit` for records that are older.
    """

    rules: AdmissionRules
    find_country: Callable[[str], str | None] | None = None
    _permitted: Mapping[str, bool] = field(init=False)

    def __post_init__(self) -> None:
        self._permitted = {
            f"{category} {precision}": True
            for category, ages in self.rules.maximum_ages.items()
            for precision, age in ages.items()
            if age != 0
        }
        has = self._permitted.get
        self._column_permissions = (
            has("host full"),
            has("page-path full"),
            has("page-query full"),
            has("browser full") or has("browser name"),
            has("browser full"),
            has("operating-system full") or has("operating-system name"),
            has("operating-system full"),
            has("device-kind full"),
        )
        self._permits_visitor_id = has("visitor-id day") or has("visitor-id full")
        self.permits_cookie_key = bool(has("visitor-id full") and self.rules.cookie_lifetimes)
        self._cached_address_columns = lru_cache(CACHE_ENTRIES_MAX)(self._address_of)
        self._cached_referrer_column = lru_cache(CACHE_ENTRIES_MAX)(self._referrer_column)

    def admit_event(
        self, event: ScriptEvent, client: ClientIdentity, keys: VisitorKeys, now: int
    ) -> JournalRow:
        """Return the row of an event of `now` (microseconds since 1970).

        Raises Drop where the terms let nothing of it in.
        """
        if "view-time full" not in self._permitted:
            raise EventDropError(EventDropReason.NOT_DECLARED)
        _, browser, browser_version, system, system_version, kind, bot = parse_user_agent(client.user_agent)
        if bot is not None and "bot full" not in self._permitted:
            raise EventDropError(EventDropReason.NOT_DECLARED)
        host, path, query = parse_page_url(event.url)
        address, country = self._cached_address_columns(client.address)
        told = (host, path, query, browser, browser_version, system, system_version, kind)
        host_in, path_in, query_in, name_in, version_in, system_in, of_system_in, kind_in = [
            value if allowed else None for value, allowed in zip(told, self._column_permissions, strict=True)
        ]
        details = admit_details(event.details, self._permitted) if event.details else {}
        return JournalRow(
            compute_script_view_id(host, event.id),
            now,
            self.rules.version,
            event.age,
            event.seen if "view-duration full" in self._permitted else None,
            host_in,
            keys.visitor_id if self._permits_visitor_id else None,
            keys.daily_key if self._permits_visitor_id else None,
            address,
            country,
            bot,
            path_in,
            query_in,
            self._cached_referrer_column(event.ref),
            name_in,
            version_in,
            system_in,
            of_system_in,
            kind_in,
            **details,
        )

    def _address_of(self, address: str) -> tuple[str | None, str | None]:
        """Return what is let in of an address, and its country."""
        has = self._permitted.get
        kept = (
            address
            if has("ip-address full")
            else truncate_to_network(address)
            if has("ip-address prefix")
            else None
        )
        wanted = has("country full") or has("ip-address country")
        return kept, self.find_country(address) if wanted and self.find_country else None

    def _referrer_column(self, referrer: str) -> str | None:
        """Return what is let in of a referrer."""
        return truncate_url(referrer, "referrer", self._permitted)


CACHE_ENTRIES_MAX = 20_000
"""How many answers of each kind are remembered, in memory only."""


@lru_cache(CACHE_ENTRIES_MAX)
def parse_user_agent(user_agent: str) -> tuple[str | None, ...]:
    """Return what a user agent says, in the order of DEVICE."""
    return parse_user_agents(pl.Series(DEVICE_SCHEMA.names()[0], [user_agent], dtype=pl.String)).row(0)


@lru_cache(CACHE_ENTRIES_MAX)
def parse_page_url(url: str) -> tuple[str, str | None, str | None]:
    """Return host, path and query of a page's address, safe to hand on. Raises Drop where it is no page of the web."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise EventDropError(EventDropReason.NO_PAGE) from None
    host = request_line.parse_host_name(parts.netloc.rpartition("@")[2])
    if parts.scheme not in {"http", "https"} or host is None:
        raise EventDropError(EventDropReason.NO_PAGE)
    return host, request_line.sanitise_path(parts.path or "/"), request_line.sanitise_query(parts.query)


def compute_script_view_id(host: str, token: str) -> int:
    """Return the number of a look in the store."""
    return int.from_bytes(blake2b(f"{host}\0{token}".encode(), digest_size=8).digest(), "little")


SALT_CACHE_SECONDS = 60
"""How long a salt is used before it is asked for again: it may have been destroyed meanwhile."""


@dataclass
class VisitorKeyFactory:
    """Gives visitors their keys of a day, as the way in of a log does."""

    salts: SaltFile
    zone: ZoneInfo
    day_start: time
    cookie_secret: bytes = b""
    """The key under which a cookie's identifier becomes a visitor's key."""
    _salt: bytes = b""
    _minute: int = -1

    def compute_keys(
        self, host: str, client: ClientIdentity, now: int, *, cookie_key_permitted: bool = False
    ) -> VisitorKeys:
        """Return the keys of whoever calls; `now` is in microseconds since 1970.

        One lasts only where that is let in, and the cookie has an identifier.
        """
        minute = now // (SALT_CACHE_SECONDS * 1_000_000)
        if minute != self._minute:  # a day turns with a minute, too
            moment = datetime.fromtimestamp(now / 1_000_000, UTC).replace(tzinfo=None)
            day = compute_visitor_day(moment, self.zone, self.day_start)
            self._salt = self.salts.load_or_create([day], moment)[0][day]
            self._minute = minute
        of_day = compute_daily_key(self._salt, host, client.address, client.user_agent)
        if cookie_key_permitted and client.cookie_identifier:
            return VisitorKeys(
                compute_cookie_visitor_id(self.cookie_secret, client.cookie_identifier), of_day
            )
        return VisitorKeys(of_day)
