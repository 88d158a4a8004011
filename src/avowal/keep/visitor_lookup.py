"""Find a visitor's records: by the visitor's key, or by an address and a period in which only that visitor had it."""

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
from avowal.store.columns import SOURCE_RELATIONS
from avowal.store.interface import Store
from avowal.store.visitor_sql import count_by_version

VISITOR_KEY_PATTERN = re.compile(r"[0-9a-f]{16}")


class VisitorSelector(msgspec.Struct, frozen=True):
    """A visitor as an operator names one; times are UTC, `since` is included and `until` is not."""

    key: str = ""
    """16 hexadecimal digits; empty if an address is given."""
    address: str = ""
    since: datetime | None = None
    until: datetime | None = None


class VisitorRecords(msgspec.Struct, frozen=True):
    """A visitor's key, and how many records are stored of the visitor."""

    key: str
    relation_counts: list[tuple[str, int, int, int]]
    """Tuples of a relation, a version, a governing number, and how many records have all three."""

    @property
    def version_counts(self) -> list[tuple[int, int, int]]:
        """Tuples of a version, a governing number, and the number of records that have both.

        Requests and script views are counted. Views and visits are derived from them, and events belong to them, so
        these are counted only where none of them is left.
        """
        sources, others = Counter[tuple[int, int]](), Counter[tuple[int, int]]()
        for relation, version, governing, count in self.relation_counts:
            counts = sources if relation in SOURCE_RELATIONS else others
            counts[version, governing] += count
        return [(*numbers, count) for numbers, count in sorted(({**others, **sources}).items())]

    @property
    def record_count(self) -> int:
        """The number of records; see `version_counts`."""
        return sum(count for _, _, count in self.version_counts)

    @property
    def counts_by_governing(self) -> dict[int, int]:
        """The number of records by governing number; see `version_counts`."""
        counts = Counter[int]()
        for _, governing, count in self.version_counts:
            counts[governing] += count
        return dict(sorted(counts.items()))


def parse_visitor_selector(
    text: str, since: datetime | None, until: datetime | None, cookie_key: bytes
) -> VisitorSelector:
    """Parse a visitor's key, the identifier in a cookie, or an address with the period in which the visitor had it.

    Raises InvalidInputError if it is neither, or an address comes without a period, and DisclosureError if it is a
    range of addresses.
    """
    if VISITOR_KEY_PATTERN.fullmatch(text.lower()):
        return VisitorSelector(text.lower())
    if IDENTIFIER_PATTERN.fullmatch(text):
        return VisitorSelector(f"{compute_cookie_visitor_id(cookie_key, text):016x}")
    address = canonicalise_address(text)
    if address is None and "/" in text and canonicalise_address(text.partition("/")[0]):
        hint = "name one visitor: by a key, or by an address with `--since` and `--until`"
        raise DisclosureError(
            "a range of addresses would include records of other people",
            hint,
            RefusalReason.OTHER_SUBJECTS,
            code="selection-too-broad",
        )
    if address is None:
        raise InvalidInputError(
            "not a visitor key, cookie value or address",
            "give a visitor's key (16 hexadecimal digits), a cookie's value (22 characters), or an address with "
            "`--since` and `--until`",
            code="invalid-visitor",
        )
    if since is None or until is None:
        raise InvalidInputError(
            "an address alone does not identify a visitor, because it changes hands",
            "add the period in which the visitor had it: `--since`, `--until`",
            code="missing-input",
        )
    return VisitorSelector("", address, since, until)


def find_visitor_records(
    store: Store, selector: VisitorSelector, governing_bounds: Sequence[Bounds], now: datetime
) -> VisitorRecords:
    """Find a visitor's records. `governing_bounds` has the bounds of each governing number, from 1 on.

    Raises RefusedError if no visitor had the address in the period, or several had it: nobody may act for another.
    """
    key = selector.key or _find_key_by_address(store, selector, governing_bounds, now)
    rows = store.query(count_by_version(), {"visitor_id": int(key, 16)}).rows
    return VisitorRecords(key, [(relation, *numbers) for relation, *numbers in rows])


def _find_key_by_address(
    store: Store, selector: VisitorSelector, governing_bounds: Sequence[Bounds], now: datetime
) -> str:
    values = {
        **msgspec.structs.asdict(selector),
        "address_since": [
            oldest_permitted_time(bounds.retention_ages("ip-address"), now) for bounds in governing_bounds
        ]
        or [datetime.max],
    }
    visitors = [visitor for (visitor,) in store.query(read_sql("store", "visitor_by_address"), values).rows]
    if len(visitors) != 1:
        raise RefusedError(
            f"{len(visitors)} visitors had that address in that period"
            if visitors
            else "no visitor is known to have had that address in that period",
            "give a period in which only one visitor had it"
            if visitors
            else "check the period; full addresses are known only for as long as the terms keep them",
            code="visitor-ambiguous" if visitors else "visitor-not-found",
        )
    return f"{visitors[0]:016x}"
