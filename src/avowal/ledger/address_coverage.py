"""What a request by an IP address and a period covers, day by day, as the person who made it is told."""

from datetime import datetime
from enum import StrEnum

import msgspec


class DayOutcome(StrEnum):
    """Whether the records of a day that came from an address are covered, and if not, why."""

    COVERED = "covered"
    """One visitor alone had the address; or the operator confirmed that the data of all of them goes."""
    PARTLY_COVERED = "partly-covered"
    """One visitor alone had the address, and has records under a cookie that lead further than the request."""
    SEVERAL_VISITORS = "several-visitors"
    """Several visitors had the address, and nobody can tell whose records the person's are."""
    COOKIE = "cookie"
    """The records are those of a cookie, and lead to other days or addresses: whoever has the cookie can see them."""
    ADDRESS_UNKNOWN = "address-unknown"
    """Records have no full address, or not any more, so nobody can tell whether they came from this one."""


class CoveredDay(msgspec.Struct, frozen=True):
    """One day of a period; a day on which nothing can be from the address is left out."""

    day: str
    """The date on which the visitor day begins."""
    outcome: DayOutcome
    visitors: int
    """How many visitor keys had the address."""
    records: int
    """How many requests and script views came from the address."""
    covered_records: int
    """How many of them are covered."""
    records_without_address: int
    """How many records of the day may be from the address, but have no full one, or no visitor key, any more."""
    is_salt_destroyed: bool
    """Whether the salt is destroyed without which nobody can make the visitor keys of that day again."""


class AddressCoverage(msgspec.Struct, frozen=True):
    """An address with a period (UTC; `since` is included, `until` is not), and what of it is covered."""

    address: str
    since: datetime
    until: datetime
    days: list[CoveredDay]
