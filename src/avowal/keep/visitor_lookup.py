"""Whose records: a visitor by its key, or by an address and a time in which nobody else had it."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import msgspec

from avowal.collect.cookie import IDENTIFIER_PATTERN, compute_cookie_visitor_id
from avowal.errors import DisclosureError, InvalidInputError, RefusedError
from avowal.keep.enforcement import oldest_permitted_time
from avowal.logs.ip_address import canonicalise_address
from avowal.policy.bounds import Bounds
from avowal.register.release_requests import RefusalReason
from avowal.sql_files import read_sql
from avowal.store.interface import Store

VISITOR_KEY_PATTERN = re.compile(r"[0-9a-f]{16}")


class VisitorSelector(msgspec.Struct, frozen=True):
    """A visitor as somebody told of it; times are UTC, `since` within and `until` without."""

    key: str = ""
    """16 hexadecimal digits; empty where an address is given."""
    address: str = ""
    since: datetime | None = None
    until: datetime | None = None


class VisitorRecords(msgspec.Struct, frozen=True):
    """A visitor's key, and how many requests and looks came in under which version, with what governs them."""

    key: str
    version_counts: list[tuple[int, int, int]]
    """Each a version, a governing number, and how many that are."""

    @property
    def record_count(self) -> int:
        """How many there are."""
        return sum(count for _, _, count in self.version_counts)

    @property
    def counts_by_governing(self) -> dict[int, int]:
        """How many each governing number governs."""
        found = Counter[int]()
        for _, governing, count in self.version_counts:
            found[governing] += count
        return dict(sorted(found.items()))


def parse_visitor_selector(
    text: str, since: datetime | None, until: datetime | None, cookie_key: bytes
) -> VisitorSelector:
    """Parse a visitor's key, the identifier in a cookie, or an address with the period in which the visitor had it.

    Raises InvalidInputError where it is neither, or an address comes without its period.
    """
    if VISITOR_KEY_PATTERN.fullmatch(text.lower()):
        return VisitorSelector(text.lower())
    if IDENTIFIER_PATTERN.fullmatch(text):
        return VisitorSelector(f"{compute_cookie_visitor_id(cookie_key, text):016x}")
    address = canonicalise_address(text)
    if address is None and "/" in text and canonicalise_address(text.partition("/")[0]):
        hint = "name one visitor: by a key, or by an address with `--since` and `--until`"
        raise DisclosureError(
            "a range of addresses would hold others' records",
            hint,
            RefusalReason.OTHER_SUBJECTS,
            code="selection-too-broad",
        )
    if address is None:
        raise InvalidInputError(
            "this names no visitor",
            "give a visitor's key (16 hexadecimal digits), what a cookie holds (22 characters), or an address with "
            "`--since` and `--until`",
            code="invalid-visitor",
        )
    if since is None or until is None:
        raise InvalidInputError(
            "an address belongs to many people over time",
            "say when it was the visitor's: `--since`, `--until`",
            code="missing-input",
        )
    return VisitorSelector("", address, since, until)


def find_visitor_records(
    store: Store, selector: VisitorSelector, governing_bounds: Sequence[Bounds], now: datetime
) -> VisitorRecords:
    """Find a visitor's records. `governed` has what governs each governing number, from 1 on.

    Raises RefusedError where an address in its period led to no visitor, or to several: one person's word is not
    another's.
    """
    key = selector.key or _found(store, selector, governing_bounds, now)
    rows = store.query(read_sql("store", "visitor_version_counts"), {"visitor_id": int(key, 16)}).rows
    return VisitorRecords(key, [(version, governing, count) for version, governing, count in rows])


def _found(store: Store, subject: VisitorSelector, governed: Sequence[Bounds], now: datetime) -> str:
    values = {
        **msgspec.structs.asdict(subject),
        "address_since": [
            oldest_permitted_time(bounds.retention_ages("ip-address"), now) for bounds in governed
        ]
        or [datetime.max],
    }
    visitors = [visitor for (visitor,) in store.query(read_sql("store", "visitor_by_address"), values).rows]
    if len(visitors) != 1:
        raise RefusedError(
            f"{len(visitors)} visitors are known by that address in that period"
            if visitors
            else "no visitor is known by that address in that period",
            "several people may share an address: give a period in which one visitor alone had it"
            if visitors
            else "addresses are known for as long as the terms keep them whole; look at the period, too",
            code="visitor-ambiguous" if visitors else "visitor-not-found",
        )
    return f"{visitors[0]:016x}"
