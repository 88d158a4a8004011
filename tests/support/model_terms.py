"""A simple and slow model of what terms permit, which the real comparison is checked against.

A promise is the set of its permissions, out of a small finite universe. Not doing a duty is a permission too.
So a promise protects at least as much as another if it is a subset, and the meet is the intersection.
"""

import tomllib
from collections.abc import Collection, Iterable, Sequence
from importlib import resources
from itertools import product
from typing import NamedTuple

from avowal.policy.terms import CollectRule, CookieRule, DiscloseRule, Terms

WORDS = tomllib.loads((resources.files("avowal.policy") / "vocabulary.toml").read_text(encoding="utf-8"))
DAYS = {"2 days": 2, "5 days": 5, "1 month": 30, "forever": 10**9}
"""The ages in rules; between any two of them is one of AGES."""
AGES = (1, 3, 10, 10**6)
"""The ages of data, in days."""
PRECISIONS = {"ip-address": ("country", "prefix", "full"), "visit-time": ("full",)}
PURPOSES = ("availability", "abuse")
GROUNDS = ("instrument", "legal-rights")
COOKIES = ("a", "b")
BASES = ("if-accepted", "unless-refused")
LEVELS = {"may_see": (1,), "may_refuse_cookies": (1,), "notice_days": (1, 20, 40), "smallest_group": (2, 4)}


class Use(NamedTuple):
    """The use or disclosure of a category at a precision and an age in days."""

    category: str
    precision: str
    purpose: str
    recipient: str
    ground: str
    age: int


class Setting(NamedTuple):
    """Setting a cookie that is found again after some days; `basis` is the choice that the visitor had."""

    name: str
    basis: str
    purpose: str
    party: str
    age: int


class Undone(NamedTuple):
    """Doing less of a duty than this level."""

    duty: str
    level: int


Permission = Use | Setting | Undone
Promise = frozenset[Permission]

UNIVERSE: tuple[Permission, ...] = (
    *(
        Use(category, precision, purpose, recipient, ground, age)
        for category, precisions in PRECISIONS.items()
        for precision, age in product(precisions, AGES)
        for purpose, recipient, ground in (
            *product(PURPOSES, ("operator", "processor"), ("own-use",)),
            *product((*PURPOSES, "ground-alone"), ("authority",), GROUNDS),
        )
    ),
    *(Setting(*one) for one in product(COOKIES, BASES, PURPOSES, ("first", "third"), AGES)),
    *(Undone(duty, level) for duty, levels in LEVELS.items() for level in levels),
)


def promise(terms: Terms) -> Promise:
    """Return all permissions that terms give."""
    return frozenset(one for one in UNIVERSE if permits(terms, one))


def permits(terms: Terms, one: Permission) -> bool:
    """Return whether terms give a permission."""
    if isinstance(one, Undone):
        return int(getattr(terms.duties, one.duty)) < one.level
    if isinstance(one, Setting):
        return any(_sets(cookie, one) for cookie in terms.cookies)
    lines: list[CollectRule | DiscloseRule] = [*terms.collect_rules, *terms.disclose_rules]
    return any(_allows(line, one) for line in lines)


def _sets(cookie: CookieRule, one: Setting) -> bool:
    has_basis = BASES.index(one.basis) <= (BASES.index(cookie.basis) if cookie.basis in BASES else -1)
    same = (cookie.name, cookie.party) == (one.name, one.party)
    return (
        same
        and has_basis
        and is_beneath("purposes", one.purpose, cookie.purposes)
        and one.age <= DAYS[cookie.max_age]
    )


def _allows(line: CollectRule | DiscloseRule, one: Use) -> bool:
    precisions = PRECISIONS[one.category]
    finer = precisions[precisions.index(one.precision) :]
    return (
        is_beneath("categories", one.category, line.categories)
        and _serves(line, one)
        and any(
            one.age <= DAYS[line.max_ages[precision]] for precision in finer if precision in line.max_ages
        )
    )


def _serves(line: CollectRule | DiscloseRule, one: Use) -> bool:
    recipient = "operator" if isinstance(line, CollectRule) else line.recipient
    ground = "" if isinstance(line, CollectRule) else line.ground
    served = (
        is_beneath("purposes", one.purpose, line.purposes) if line.purposes else one.purpose == "ground-alone"
    )
    grounded = is_beneath("grounds", one.ground, [ground]) if ground else one.ground == "own-use"
    return recipient == one.recipient and served and grounded


def is_beneath(kind: str, leaf: str, words: Iterable[str]) -> bool:
    """Return whether a leaf is one of the words or belongs to one of them."""
    parents = WORDS[kind].get(leaf, {}).get("parents", ())
    return any(word == leaf or word in parents for word in words)


def governing(versions: Sequence[Promise], collected: int, consented: Collection[int]) -> Promise:
    """Return the promise that governs a record after all versions; the first version has number 1."""
    governs = versions[collected - 1]
    for number, version in enumerate(versions, 1):
        if number > collected:
            governs = version if number in consented else governs & version
    return governs
