"""Whose records: a visitor by its key, or by an address and a time in which nobody else had it."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import msgspec

from avowal.collect.cookie import IDENTIFIER, visitor_number
from avowal.errors import DisclosureError, MisuseError, RefusedError
from avowal.keep.enforcement import oldest
from avowal.logs.ip_address import canonical
from avowal.policy.bounds import Bounds
from avowal.register.release_requests import Why
from avowal.store.interface import Store
from avowal.store.load_state import statements

KEY = re.compile(r"[0-9a-f]{16}")


class Subject(msgspec.Struct, frozen=True):
    """A visitor as somebody told of it; times are UTC, `since` within and `until` without."""

    key: str = ""
    """16 hexadecimal digits; empty where an address is given."""
    address: str = ""
    since: datetime | None = None
    until: datetime | None = None


class Held(msgspec.Struct, frozen=True):
    """A visitor's key, and how many requests and looks came in under which version, with what governs them."""

    key: str
    rows: list[tuple[int, int, int]]
    """Each a version, a governing number, and how many that are."""

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(count for _, _, count in self.rows)

    @property
    def records(self) -> dict[int, int]:
        """How many each governing number governs."""
        found = Counter[int]()
        for _, governing, count in self.rows:
            found[governing] += count
        return dict(sorted(found.items()))


def parse_subject(word: str, since: datetime | None, until: datetime | None, cookie_key: bytes) -> Subject:
    """Parse a visitor's key, the identifier in a cookie, or an address with the period in which the visitor had it.

    Raises MisuseError where it is neither, or an address comes without its period.
    """
    if KEY.fullmatch(word.lower()):
        return Subject(word.lower())
    if IDENTIFIER.fullmatch(word):
        return Subject(f"{visitor_number(cookie_key, word):016x}")
    address = canonical(word)
    if address is None and "/" in word and canonical(word.partition("/")[0]):
        hint = "name one visitor: by a key, or by an address with `--since` and `--until`"
        raise DisclosureError("a range of addresses would hold others' records", hint, Why.OTHERS)
    if address is None:
        raise MisuseError(
            "this names no visitor",
            "give a visitor's key (16 hexadecimal digits), what a cookie holds (22 characters), or an address with "
            "`--since` and `--until`",
        )
    if since is None or until is None:
        raise MisuseError(
            "an address belongs to many people over time",
            "say when it was the visitor's: `--since`, `--until`",
        )
    return Subject("", address, since, until)


def held(store: Store, subject: Subject, governed: Sequence[Bounds], now: datetime) -> Held:
    """Find a visitor's records. `governed` has what governs each governing number, from 1 on.

    Raises RefusedError where an address in its period led to no visitor, or to several: one person's word is not
    another's.
    """
    key = subject.key or _found(store, subject, governed, now)
    rows = store.query(statements("subject_records"), {"visitor": int(key, 16)}).rows
    return Held(key, [(version, governing, count) for version, governing, count in rows])


def _found(store: Store, subject: Subject, governed: Sequence[Bounds], now: datetime) -> str:
    values = {
        **msgspec.structs.asdict(subject),
        "address_since": [oldest(bounds.kept("ip-address"), now) for bounds in governed] or [datetime.max],
    }
    visitors = [visitor for (visitor,) in store.query(statements("subject_visitors"), values).rows]
    if len(visitors) != 1:
        raise RefusedError(
            f"{len(visitors)} visitors are known by that address in that period"
            if visitors
            else "no visitor is known by that address in that period",
            "several people may share an address: give a period in which one visitor alone had it"
            if visitors
            else "addresses are known for as long as the terms keep them whole; look at the period, too",
        )
    return f"{visitors[0]:016x}"
