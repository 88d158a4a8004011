"""Parse the events that the script of a page sends, and reduce them to what the terms permit.

The script sends events of a page view while it lasts: which script view it is, of which page, how long it has lasted,
and for how long of that the page was visible and in focus.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec

from avowal.collect.admission import AdmissionRules
from avowal.collect.cookie import compute_cookie_visitor_id
from avowal.collect.device import parse_user_agent
from avowal.collect.event_details import (
    URL_CHARACTERS_MAX,
    EventDetails,
    PrecisionKey,
    admit_details,
    truncate_url,
)
from avowal.collect.event_drop_reason import EventDropReason
from avowal.collect.journal import VIEW_DURATION_MAX, JournalRow
from avowal.collect.visitor_key import SaltFile, compute_daily_key, compute_visitor_day
from avowal.logs import request_line
from avowal.logs.ip_address import truncate_to_network

EVENT_BODY_BYTES_MAX = 16 * 1024
"""The longest body of an event, in bytes."""

_MILLISECONDS = Annotated[int, msgspec.Meta(ge=0, le=VIEW_DURATION_MAX // timedelta(milliseconds=1))]


class ScriptEvent(msgspec.Struct, frozen=True):
    """One message of the script about a page view."""

    script_view_token: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{10,40}$")]
    """Identifies the script view. The script draws it at random."""
    url: Annotated[str, msgspec.Meta(max_length=URL_CHARACTERS_MAX)]
    """The address of the page."""
    referrer: Annotated[str, msgspec.Meta(max_length=URL_CHARACTERS_MAX)] = ""
    """The address of the page before."""
    elapsed_ms: _MILLISECONDS = 0
    """How long the view has lasted."""
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


@dataclass
class EventAdmission:
    """Reduces events to what one version of the terms permits, before anything is written.

    An event has the age zero, so everything that may be stored for any time is admitted. For older records see
    `admission.admit_records`.
    """

    rules: AdmissionRules
    find_country: Callable[[str], str | None] | None = None
    _permitted: frozenset[PrecisionKey] = field(init=False)

    def __post_init__(self) -> None:
        self._permitted = frozenset(
            (category, precision)
            for category, ages in self.rules.maximum_ages.items()
            for precision, age in ages.items()
            if age != 0
        )
        has = self._is_permitted
        self._column_permissions = (
            has("host", "full"),
            has("page-path", "full"),
            has("page-query", "full"),
            has("browser", "full") or has("browser", "name"),
            has("browser", "full"),
            has("operating-system", "full") or has("operating-system", "name"),
            has("operating-system", "full"),
            has("device-kind", "full"),
        )
        self._permits_visitor_id = has("visitor-id", "day") or has("visitor-id", "full")
        self.permits_cookie_key = bool(has("visitor-id", "full") and self.rules.cookie_lifetimes)
        self._cached_address_columns = lru_cache(CACHE_ENTRIES_MAX)(self._address_columns)
        self._cached_referrer_column = lru_cache(CACHE_ENTRIES_MAX)(self._referrer_column)

    def admit_event(
        self, event: ScriptEvent, client: ClientIdentity, keys: VisitorKeys, now: int
    ) -> JournalRow:
        """Return the journal row of an event at `now` (microseconds since 1970).

        Raises EventDropError if the terms do not permit it.
        """
        if ("view-time", "full") not in self._permitted:
            raise EventDropError(EventDropReason.NOT_DECLARED)
        _, browser, browser_version, system, system_version, kind, bot = parse_user_agent(client.user_agent)
        if bot is not None and ("bot", "full") not in self._permitted:
            raise EventDropError(EventDropReason.NOT_DECLARED)
        host, path, query = parse_page_url(event.url)
        address, country = self._cached_address_columns(client.address)
        values = (host, path, query, browser, browser_version, system, system_version, kind)
        permitted_host, path, query, browser, browser_version, system, system_version, kind = [
            value if is_permitted else None
            for value, is_permitted in zip(values, self._column_permissions, strict=True)
        ]
        details = admit_details(event.details, self._permitted) if event.details else {}
        return JournalRow(
            compute_script_view_id(host, event.script_view_token),
            now,
            self.rules.version,
            event.elapsed_ms,
            event.visible_ms if ("view-duration", "full") in self._permitted else None,
            permitted_host,
            keys.visitor_id if self._permits_visitor_id else None,
            keys.daily_key if self._permits_visitor_id else None,
            address,
            country,
            bot,
            path,
            query,
            self._cached_referrer_column(event.referrer),
            browser,
            browser_version,
            system,
            system_version,
            kind,
            **details,
        )

    def _is_permitted(self, category: str, precision: str) -> bool:
        return (category, precision) in self._permitted

    def _address_columns(self, address: str) -> tuple[str | None, str | None]:
        """Return the permitted part of an address, and its country if that is permitted; None of an unknown one."""
        if not address:
            return None, None
        has = self._is_permitted
        permitted_address = (
            address
            if has("ip-address", "full")
            else truncate_to_network(address)
            if has("ip-address", "prefix")
            else None
        )
        needs_country = has("country", "full") or has("ip-address", "country")
        return permitted_address, self.find_country(address) if needs_country and self.find_country else None

    def _referrer_column(self, referrer: str) -> str | None:
        """Return the permitted part of a referrer."""
        return truncate_url(referrer, "referrer", self._permitted)


CACHE_ENTRIES_MAX = 20_000
"""The size of each cache, in entries. Caches exist in memory only."""


@lru_cache(CACHE_ENTRIES_MAX)
def parse_page_url(url: str) -> tuple[str, str | None, str | None]:
    """Return host, path and query of a page's address.

    Raises EventDropError if it is not a web page.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise EventDropError(EventDropReason.NO_PAGE) from None
    host = request_line.parse_host_name(parts.netloc.rpartition("@")[2])
    if parts.scheme not in {"http", "https"} or host is None:
        raise EventDropError(EventDropReason.NO_PAGE)
    return host, request_line.sanitise_path(parts.path or "/"), request_line.sanitise_query(parts.query)


def compute_script_view_id(host: str, token: str) -> int:
    """Return the identifier of a script view in the store."""
    return int.from_bytes(blake2b(f"{host}\0{token}".encode(), digest_size=8).digest(), "little")


SALT_CACHE_SECONDS = 60
"""How long a salt is used before it is read again: it may have been destroyed meanwhile."""


@dataclass
class VisitorKeyFactory:
    """Computes the keys of visitors, as the pipeline of a log does."""

    salts: SaltFile
    zone: ZoneInfo
    day_start: time
    cookie_secret: bytes = b""
    """The secret that turns the identifier in a cookie into a visitor key."""
    _salt: bytes = b""
    _minute: int = -1

    def compute_keys(
        self, host: str, client: ClientIdentity, now: int, *, cookie_key_permitted: bool = False
    ) -> VisitorKeys:
        """Return the keys of a client. `now` is in microseconds since 1970.

        The key comes from the cookie if that is permitted and the cookie has an identifier.
        """
        minute = now // (SALT_CACHE_SECONDS * 1_000_000)
        if minute != self._minute:  # a day also starts with a minute
            moment = datetime.fromtimestamp(now / 1_000_000, UTC).replace(tzinfo=None)
            day = compute_visitor_day(moment, self.zone, self.day_start)
            self._salt = self.salts.load_or_create([day], moment)[0][day]
            self._minute = minute
        daily_key = compute_daily_key(self._salt, host, client.address, client.user_agent)
        if cookie_key_permitted and client.cookie_identifier:
            return VisitorKeys(
                compute_cookie_visitor_id(self.cookie_secret, client.cookie_identifier), daily_key
            )
        return VisitorKeys(daily_key)
