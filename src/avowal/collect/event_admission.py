"""Reduce the events of the script to what the terms permit, before anything is written.

An event leads to up to two records: its script view, whose time is when the view began, and what the visitor did on the
page, whose time is when the event arrives. Each is collected under the version in force at its own time, and reduced to
what this version and all later ones permit at its age, as `admission.admit_records` does with the lines of a log.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from avowal.clock import from_microseconds, to_microseconds
from avowal.collect.admission import AdmissionRules
from avowal.collect.bounded_cache import BoundedCache
from avowal.collect.cookie import CookieState
from avowal.collect.device import parse_user_agent
from avowal.collect.event_details import EventDetails, admit_details, truncate_url
from avowal.collect.event_drop_reason import EventDropReason
from avowal.collect.journal import EVENT_AGE_MAX, EVENT_COLUMNS, PAGE_METRICS, JournalRow
from avowal.collect.script_event import (
    CACHE_BYTES_MAX,
    ClientIdentity,
    EventDropError,
    ScriptEvent,
    VisitorKeys,
    compute_script_view_id,
    parse_page_url,
)
from avowal.logs.ip_address import truncate_to_network

FindCountry = Callable[[str], str | None]
"""Returns the country of an address; None if it is not known."""


class ComputeKeys(Protocol):
    """Returns the keys that a client has at the time of a record; see `VisitorKeyFactory.compute_keys`."""

    def __call__(
        self, host: str, client: ClientIdentity, record_time: int, now: int, *, cookie_key_permitted: bool
    ) -> VisitorKeys:
        """Return the keys."""
        ...


class EventAdmission:
    """Reduces events to what the versions that have taken effect permit, the first version first."""

    def __init__(self, versions: Sequence[AdmissionRules], find_country: FindCountry | None = None) -> None:
        self._starts = [to_microseconds(rules.effective_from) for rules in versions]
        self._periods = [_VersionPeriod(rules, find_country) for rules in versions]
        self.rules = versions[-1]
        """The rules of the version in force, which decide about cookies and the parts of the script."""

    def admit_event(
        self, event: ScriptEvent, client: ClientIdentity, compute_keys: ComputeKeys, now: int
    ) -> list[JournalRow]:
        """Return the journal rows of an event that arrives at `now` (microseconds since 1970).

        Raises EventDropError if the terms permit none of its records, or if its age is not credible.
        """
        if event.elapsed_ms < 0:
            raise EventDropError(EventDropReason.IN_THE_FUTURE)
        began = now - 1_000 * event.elapsed_ms
        if began < now - EVENT_AGE_MAX:
            raise EventDropError(EventDropReason.TOO_OLD)
        record_filter = self._find_filter(began, now)
        if event.details is None:
            return [record_filter.admit_script_view(event, client, compute_keys, now)]
        action = self._find_filter(now, now).admit_action(event, event.details, client, compute_keys, now)
        try:
            view = record_filter.admit_script_view(event, client, compute_keys, now)
        except EventDropError:
            if action is None:
                raise
            return [action]
        return [view] if action is None else [view, action]

    def _find_filter(self, record_time: int, now: int) -> "_RecordFilter":
        """Return the filter of records of a time. Those older than the first version belong to it (G1)."""
        period = self._periods[max(bisect_right(self._starts, record_time), 1) - 1]
        return period.find_filter((now - record_time) / 1_000_000)


class _VersionPeriod:
    """The filters of the records that belong to one version, by their ages."""

    def __init__(self, rules: AdmissionRules, find_country: FindCountry | None) -> None:
        self._rules = rules
        self._find_country = find_country
        ages = {age for ages in rules.maximum_ages.values() for age in ages.values() if age}
        self._age_limits = sorted(age for age in ages if age * 1_000_000 < EVENT_AGE_MAX)
        self._filters: dict[int, _RecordFilter] = {}

    def find_filter(self, age_seconds: float) -> "_RecordFilter":
        """Return the filter of records of an age: the same between any two ages that the terms name."""
        position = bisect_left(self._age_limits, age_seconds)
        if position not in self._filters:
            self._filters[position] = _RecordFilter(self._rules, age_seconds, self._find_country)
        return self._filters[position]


class _RecordFilter:
    """Reduces records of one age to what the terms permit."""

    def __init__(self, rules: AdmissionRules, age_seconds: float, find_country: FindCountry | None) -> None:
        self._rules = rules
        self._find_country = find_country
        self._permitted = frozenset(
            (category, precision)
            for category, ages in rules.maximum_ages.items()
            for precision, age in ages.items()
            if age is None or (age != 0 and age_seconds <= age)
        )
        has = self._has
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
        self._drop_reason = self._find_drop_reason("view-time")
        self._drop_reason_of_bots = self._find_drop_reason("view-time", "bot")
        self._permits_visitor_id = has("visitor-id", "day") or has("visitor-id", "full")
        self._cached_address_columns = BoundedCache(self._address_columns, CACHE_BYTES_MAX)
        self._cached_referrer_column = BoundedCache(self._referrer_column, CACHE_BYTES_MAX)

    def admit_script_view(
        self, event: ScriptEvent, client: ClientIdentity, compute_keys: ComputeKeys, now: int
    ) -> JournalRow:
        """Return the journal row of the script view of an event. Raises EventDropError if it is not permitted."""
        _, browser, browser_version, system, system_version, kind, bot = parse_user_agent(client.user_agent)
        if reason := self._drop_reason_of_bots if bot else self._drop_reason:
            raise EventDropError(reason)
        host, path, query = parse_page_url(event.url)
        address, country = self._cached_address_columns(client.address)
        values = (host, path, query, browser, browser_version, system, system_version, kind)
        permitted_host, path, query, browser, browser_version, system, system_version, kind = [
            value if is_permitted else None
            for value, is_permitted in zip(values, self._column_permissions, strict=True)
        ]
        began = now - 1_000 * event.elapsed_ms
        keys = self._compute_keys(host, client, compute_keys, began, now)
        return JournalRow(
            compute_script_view_id(host, event.script_view_token),
            now,
            self._rules.version,
            event.elapsed_ms,
            event.visible_ms if self._has("view-duration", "full") else None,
            permitted_host,
            keys.visitor_id if keys else None,
            keys.daily_key if keys else None,
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
            **(self._details(event.details, PAGE_METRICS) if event.details else {}),
        )

    def admit_action(
        self,
        event: ScriptEvent,
        details: EventDetails,
        client: ClientIdentity,
        compute_keys: ComputeKeys,
        now: int,
    ) -> JournalRow | None:
        """Return the journal row of what the visitor did; None if that is nothing, not permitted, or done by a bot."""
        columns = self._details(details, EVENT_COLUMNS)
        if not columns or not self._has("view-time", "full") or parse_user_agent(client.user_agent)[-1]:
            return None
        host, path, _ = parse_page_url(event.url)
        keys = self._compute_keys(host, client, compute_keys, now, now)
        return JournalRow(
            compute_script_view_id(host, event.script_view_token),
            now,
            self._rules.version,
            is_action=True,
            host=host if self._has("host", "full") else None,
            visitor_id=keys.visitor_id if keys else None,
            page_path=path if self._has("page-path", "full") else None,
            **columns,
        )

    def _find_drop_reason(self, *categories: str) -> EventDropReason | None:
        """Return why a script view that needs some categories is dropped; None if it is not."""
        if not self._rules.maximum_ages.keys() >= {*categories}:
            return EventDropReason.NOT_DECLARED
        return None if all(self._has(name, "full") for name in categories) else EventDropReason.TOO_OLD

    def _has(self, category: str, precision: str) -> bool:
        return (category, precision) in self._permitted

    def _compute_keys(
        self, host: str, client: ClientIdentity, compute_keys: ComputeKeys, record_time: int, now: int
    ) -> VisitorKeys | None:
        """Return the keys of the client at the time of a record; None if the terms do not permit any."""
        if not self._permits_visitor_id:
            return None
        is_permitted = False
        if client.cookie_identifier and self._has("visitor-id", "full"):
            state = CookieState(client.cookie_identifier, privacy_signal=False, can_be_set=False)
            is_permitted = state.is_permitted(self._rules, from_microseconds(now).date())
        return compute_keys(host, client, record_time, now, cookie_key_permitted=is_permitted)

    def _details(self, details: EventDetails, columns: Sequence[str]) -> dict[str, Any]:
        """Return the permitted details that belong into some columns."""
        admitted = admit_details(details, self._permitted)
        return {name: value for name, value in admitted.items() if name in columns}

    def _address_columns(self, address: str) -> tuple[str | None, str | None]:
        """Return the permitted part of an address, and its country if that is permitted; None of an unknown one."""
        if not address:
            return None, None
        has = self._has
        permitted_address = (
            address
            if has("ip-address", "full")
            else truncate_to_network(address)
            if has("ip-address", "prefix")
            else None
        )
        needs_country = has("country", "full") or has("ip-address", "country")
        return permitted_address, self._find_country(
            address
        ) if needs_country and self._find_country else None

    def _referrer_column(self, referrer: str) -> str | None:
        """Return the permitted part of a referrer."""
        return truncate_url(referrer, "referrer", self._permitted)
