"""Find, day by day, which visitors had an IP address in a period, and whose records a person with that address may see.

Visitor keys without a cookie are those of one day, so an address has at least one key for each day. Other people may
have the same address: at home, at work, behind a mobile network. A person who shows no more than that they had it
is therefore given a day's records only if one visitor alone had it on that day (K10 in `docs/spec/retention.md`).
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from avowal.collect.visitor_key import compute_visitor_day
from avowal.errors import InvalidInputError, RefusedError
from avowal.keep.enforcement import oldest_permitted_time
from avowal.keep.visitor_lookup import VisitorSelector
from avowal.ledger.address_coverage import AddressCoverage, CoveredDay, DayOutcome
from avowal.policy.bounds import Bounds
from avowal.sql_files import read_sql
from avowal.store.interface import Store
from avowal.store.visitor_sql import reach_outside

PERIOD_DAYS_MAX = 3_660
"""The longest period in which an address is searched."""

CODE_DIGITS = 12


class AddressPeriod(msgspec.Struct, frozen=True):
    """An address, and the period in which a person had it. Times are UTC; `since` is included, `until` is not."""

    address: str
    since: datetime
    until: datetime

    @classmethod
    def of(cls, selector: VisitorSelector) -> "AddressPeriod | None":
        """Return the address and the period that a selector names; None if it names a key."""
        if selector.since is None or selector.until is None or not selector.address:
            return None
        return cls(selector.address, selector.since, selector.until)


class AddressVisitor(msgspec.Struct, frozen=True):
    """A visitor who had the address on a day."""

    key: str
    records: int
    """How many requests and script views of the day came from the address."""
    is_covered: bool
    """Whether a person who had the address may see and erase what is stored under the key."""


class AddressDay(msgspec.Struct, frozen=True):
    """A visitor day, and who had the address. A day on which nothing can be from the address is left out."""

    day: str
    outcome: DayOutcome
    visitors: list[AddressVisitor]
    records_without_address: int
    is_salt_destroyed: bool


class AddressRecords(msgspec.Struct, frozen=True):
    """What is known of an address in a period. Times are UTC; `since` is included, `until` is not."""

    address: str
    since: datetime
    until: datetime
    days: list[AddressDay]
    covered_records: int
    """How many requests and script views are stored under `covered_keys`."""
    all_records: int
    """How many are stored under `all_keys`."""

    @property
    def covered_keys(self) -> list[str]:
        """The keys that a person who had the address may see and erase."""
        return list_keys(self.days, covered_only=True)

    @property
    def all_keys(self) -> list[str]:
        """The keys of all visitors who had the address."""
        return list_keys(self.days)

    @property
    def code(self) -> str:
        """A code for exactly these days, visitors and numbers: it confirms what somebody was shown."""
        shown = [(day.day, day.visitors) for day in self.days], self.all_records
        return sha256(msgspec.json.encode((self.address, shown))).hexdigest()[:CODE_DIGITS]

    def to_coverage(self, *, includes_others: bool = False) -> AddressCoverage:
        """Return what the person is told, which names no key of others; `includes_others` if all keys are covered."""
        return AddressCoverage(
            self.address, self.since, self.until, [_cover(day, includes_others) for day in self.days]
        )


class ErasureConfirmation(msgspec.Struct, frozen=True):
    """What an operator expects an erasure by address to erase."""

    expected_records: int
    """How many requests and script views."""
    others_code: str = ""
    """The code of what was shown (`AddressRecords.code`), if the data of everybody who had the address is to go."""

    def check(self, records: AddressRecords) -> list[str]:
        """Return the keys to erase. Raises RefusedError if the operator expects something else, or there is no key."""
        if self.others_code and self.others_code != records.code:
            raise RefusedError(
                "what is stored of that address is not what the code was shown for",
                "look at it again (`avowal visitor show`), and give the code that it prints",
                code="records-changed",
            )
        keys = records.all_keys if self.others_code else records.covered_keys
        if not keys:
            raise RefusedError(
                "on no day one visitor alone had that address, so nobody can tell whose records these are",
                "`avowal visitor show` lists the days; with `--include-others` the data of all of them goes",
                code="visitor-ambiguous",
            )
        stored = records.all_records if self.others_code else records.covered_records
        if stored != self.expected_records:
            raise RefusedError(
                f"{stored:,} requests and script views would be erased, not {self.expected_records:,}",
                "compare with `avowal visitor show`",
                code="record-count-mismatch",
            )
        return keys


def list_keys(days: Sequence[AddressDay], *, covered_only: bool = False) -> list[str]:
    """Return the keys of those who had the address, each once."""
    visitors = [visitor for day in days for visitor in day.visitors]
    return list(dict.fromkeys(visitor.key for visitor in visitors if visitor.is_covered or not covered_only))


def _cover(day: AddressDay, includes_others: bool) -> CoveredDay:
    is_whole = includes_others and bool(day.visitors)
    return CoveredDay(
        day.day,
        DayOutcome.COVERED if is_whole else day.outcome,
        len(day.visitors),
        sum(visitor.records for visitor in day.visitors),
        sum(visitor.records for visitor in day.visitors if is_whole or visitor.is_covered),
        day.records_without_address,
        day.is_salt_destroyed,
    )


class VisitorDay(NamedTuple):
    """A visitor day with its limits, in UTC."""

    name: str
    """The date on which it begins."""
    starts: datetime
    ends: datetime
    is_salt_destroyed: bool


def find_address_records(
    store: Store,
    period: AddressPeriod,
    governing_bounds: Sequence[Bounds],
    days: Sequence[VisitorDay],
    find_statements: Callable[[str], Iterable[datetime]],
    now: datetime,
) -> AddressRecords:
    """Find who had an address in a period. `days` are those of `list_visitor_days`.

    `find_statements` returns when a visitor submitted, consented to or authorised something. Raises RefusedError if
    no visitor is known to have had the address.
    """
    search = _AddressSearch.run(store, period, governing_bounds, days, now)
    closed = {
        visitor
        for visitor in search.cookies
        if search.leads_further(store, visitor, find_statements(f"{visitor:016x}"))
    }
    found = [search.describe(day, closed) for day in search.days_of_period]
    keys = list_keys(found)
    if not keys:
        lost = sum(day.records_without_address for day in found)
        raise RefusedError(
            "no visitor is known to have had that address in that period",
            "check the period; full addresses are known only for as long as the terms keep them"
            + (f", and {lost:,} records of these days have none, or none any more" if lost else ""),
            code="visitor-not-found",
        )
    covered = _count_records(store, list_keys(found, covered_only=True))
    return AddressRecords(
        period.address, period.since, period.until, found, covered, _count_records(store, keys)
    )


def list_visitor_days(
    period: AddressPeriod, zone: ZoneInfo, starts_at: time, salt_days: Collection[date]
) -> list[VisitorDay]:
    """Return the visitor days that a period touches; `salt_days` are those whose salt is not destroyed.

    Whole days are looked at: whoever had the address in another hour of a day is another visitor of that day. Raises
    InvalidInputError if the period ends before it begins, or is too long.
    """
    if not timedelta() < period.until - period.since <= timedelta(PERIOD_DAYS_MAX):
        raise InvalidInputError(
            f"the period has to end after it begins, and to have at most {PERIOD_DAYS_MAX:,} days",
            "give other times with `--since` and `--until`",
            code="invalid-time",
        )
    first = compute_visitor_day(period.since, zone, starts_at)
    last = compute_visitor_day(period.until - timedelta(microseconds=1), zone, starts_at)

    def begin(day: date) -> datetime:
        return datetime.combine(day, starts_at, zone).astimezone(UTC).replace(tzinfo=None)

    days = [first + timedelta(number) for number in range((last - first).days + 1)]
    return [
        VisitorDay(day.isoformat(), begin(day), begin(day + timedelta(1)), day not in salt_days)
        for day in days
    ]


def _count_records(store: Store, keys: Sequence[str]) -> int:
    values = {"visitor_ids": [int(key, 16) for key in keys]}
    return int(store.query(read_sql("store", "visitors_count"), values).rows[0][0])


class _DayRecords(NamedTuple):
    """How many records of a day each visitor has; None stands for records without a visitor key."""

    known: dict[int | None, int]
    """Those that are from the address."""
    unknown: dict[int | None, int]
    """Those that may be from it, but have no whole address, or none any more."""

    @property
    def visitors(self) -> set[int]:
        """Those who had the address."""
        return {visitor for visitor in self.known if visitor is not None}

    @property
    def possible_others(self) -> set[int]:
        """Those who may have had it, too."""
        return {visitor for visitor in self.unknown if visitor is not None} - self.visitors


@dataclass(frozen=True)
class _AddressSearch:
    """What the store has of an address, by visitor day."""

    address: str
    records: Mapping[str, _DayRecords]
    daily_keys: Mapping[int, set[int]]
    """The keys that visitors with the cookie have in a log, by the key of the cookie."""
    days_of_period: list[VisitorDay]
    """Those of which a record in the period is, or may be, from the address."""

    @classmethod
    def run(
        cls,
        store: Store,
        period: AddressPeriod,
        governing_bounds: Sequence[Bounds],
        days: Sequence[VisitorDay],
        now: datetime,
    ) -> "_AddressSearch":
        """Search the store."""
        values = {
            **msgspec.structs.asdict(period),
            "days": [day.name for day in days],
            "starts": [day.starts for day in days],
            "ends": [day.ends for day in days],
            "address_since": [
                oldest_permitted_time(bounds.retention_ages("ip-address"), now) for bounds in governing_bounds
            ]
            or [datetime.max],
        }
        records = {day.name: _DayRecords({}, {}) for day in days}
        in_period = set[str]()
        for index, query in enumerate(("address_days", "address_unknown")):
            for name, visitor, count, count_of_period in store.query(read_sql("store", query), values).rows:
                records[name][index][visitor] = count
                in_period |= {name} if count_of_period else set()
        daily_keys: dict[int, set[int]] = {}
        whole_days = {"address": period.address, "since": days[0].starts, "until": days[-1].ends}
        for visitor, daily_key in store.query(read_sql("store", "address_cookies"), whole_days).rows:
            daily_keys.setdefault(visitor, set()).add(daily_key)
        return cls(
            period.address,
            records,
            daily_keys,
            [day for day in days if day.name in in_period],
        )

    @property
    def cookies(self) -> set[int]:
        """The visitors with the cookie who had the address."""
        return {
            visitor
            for day in self.days_of_period
            for visitor in self.records[day.name].visitors
            if visitor % 2
        }

    def is_alone(self, day: VisitorDay) -> bool:
        """Return whether one visitor alone had the address on a day, and no other one may have had it.

        A visitor with the cookie has a second key in a log, which the script views with the cookie tell.
        """
        records = self.records[day.name]
        cookies = {visitor for visitor in records.visitors if visitor % 2}
        logged = records.visitors - cookies
        if not cookies:
            return len(logged) == 1 and not records.possible_others
        (cookie, *others) = cookies
        linked = self.daily_keys.get(cookie, set())
        return not others and logged <= linked and records.possible_others <= linked

    def leads_further(self, store: Store, visitor: int, statements: Iterable[datetime]) -> bool:
        """Return whether the key of a cookie has anything that is not of this address on a day of its own."""
        own = [
            day
            for day in self.days_of_period
            if visitor in self.records[day.name].visitors and self.is_alone(day)
        ]
        values = {
            "visitor_id": visitor,
            "address": self.address,
            "starts": [day.starts for day in own],
            "ends": [day.ends for day in own],
        }
        return bool(store.query(reach_outside(), values).rows[0][0]) or not all(
            any(day.starts <= moment < day.ends for day in own) for moment in statements
        )

    def describe(self, day: VisitorDay, closed: set[int]) -> AddressDay:
        """Return what is known of a day; `closed` are the keys of cookies that lead further."""
        records, is_alone = self.records[day.name], self.is_alone(day)
        visitors = [
            AddressVisitor(
                f"{visitor:016x}", self._count(records, visitor), is_alone and visitor not in closed
            )
            for visitor in sorted(records.visitors)
        ]
        lost = sum(count for visitor, count in records.unknown.items() if visitor not in records.visitors)
        return AddressDay(
            day.name,
            _find_outcome(visitors, is_alone=is_alone),
            visitors,
            lost + records.known.get(None, 0),
            day.is_salt_destroyed,
        )

    def _count(self, records: _DayRecords, visitor: int) -> int:
        return records.known[visitor] + records.unknown.get(visitor, 0)


def _find_outcome(visitors: Sequence[AddressVisitor], *, is_alone: bool) -> DayOutcome:
    if is_alone and all(visitor.is_covered for visitor in visitors):
        return DayOutcome.COVERED
    if is_alone:
        is_partly_covered = any(visitor.is_covered for visitor in visitors)
        return DayOutcome.PARTLY_COVERED if is_partly_covered else DayOutcome.COOKIE
    return DayOutcome.SEVERAL_VISITORS if len(visitors) > 1 else DayOutcome.ADDRESS_UNKNOWN
