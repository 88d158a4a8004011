"""A simple and slow model of what terms permit, which the real comparison is checked against.

Terms are modelled as the set of what they permit, out of a small finite universe. Not doing a duty is a permission
too, and so is disclosing with so much evidence and so many approvals, and releasing for a form what it needs.
So terms protect at least as much as others if their set is a subset, and the meet of both is the intersection.
"""

import tomllib
from collections.abc import Collection, Iterable, Sequence
from importlib import resources
from itertools import chain, combinations, product
from typing import NamedTuple

from avowal.policy.form import Form
from avowal.policy.ground import Ground
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
EVIDENCE = ("case", "records")
APPROVALS = (0, 1, 9)
FORMS = ("order", "instrument")
"""The names of forms; one of them is a ground as well."""
NEEDED = ("message", "person-name")
LEVELS = {"may_see": (1,), "may_refuse_cookies": (1,), "notice_days": (1, 20, 40), "smallest_group": (2, 4)}


class Use(NamedTuple):
    """The use or disclosure of a category at a precision and an age in days."""

    category: str
    precision: str
    purpose: str
    recipient: str
    ground: str
    age: int


class CookieUse(NamedTuple):
    """Setting a cookie that the browser returns after some days; `basis` is the choice that the visitor had."""

    name: str
    basis: str
    purpose: str
    party: str
    age: int


class ReducedDuty(NamedTuple):
    """Doing less of a duty than this level."""

    duty: str
    level: int


class Disclosure(NamedTuple):
    """Disclosure on a ground, with this evidence and so many approvals."""

    ground: str
    evidence: frozenset[str]
    approvals: int


class FormRelease(NamedTuple):
    """Releasing a category for what a form asks, though the person objects to a purpose (empty: to none)."""

    form: str
    category: str
    objection: str


Permission = Use | CookieUse | ReducedDuty | Disclosure | FormRelease
Permissions = frozenset[Permission]

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
    *(CookieUse(*fields) for fields in product(COOKIES, BASES, PURPOSES, ("first", "third"), AGES)),
    *(ReducedDuty(duty, level) for duty, levels in LEVELS.items() for level in levels),
    *(
        Disclosure(ground, frozenset(evidence), approvals)
        for ground, evidence, approvals in product(
            GROUNDS,
            chain.from_iterable(combinations(EVIDENCE, size) for size in range(len(EVIDENCE) + 1)),
            APPROVALS,
        )
    ),
    *(FormRelease(*one) for one in product(FORMS, NEEDED, ("", *PURPOSES))),
)


def find_permissions(terms: Terms) -> Permissions:
    """Return everything that terms permit."""
    return frozenset(permission for permission in UNIVERSE if permits(terms, permission))


def permits(terms: Terms, permission: Permission) -> bool:
    """Return whether terms permit something."""
    if isinstance(permission, ReducedDuty):
        return int(getattr(terms.duties, permission.duty)) < permission.level
    if isinstance(permission, CookieUse):
        return any(_cookie_rule_permits(rule, permission) for rule in terms.cookies)
    if isinstance(permission, Disclosure):
        return any(_ground_permits(ground, permission) for ground in terms.grounds)
    if isinstance(permission, FormRelease):
        return any(_form_permits(form, permission) for form in terms.forms)
    is_closed = not any(is_beneath("grounds", permission.ground, [ground.name]) for ground in terms.grounds)
    if permission.ground != "own-use" and is_closed:
        return False
    rules: list[CollectRule | DiscloseRule] = [*terms.collect_rules, *terms.disclose_rules]
    return any(_rule_permits(rule, permission) for rule in rules)


def _ground_permits(ground: Ground, disclosure: Disclosure) -> bool:
    return (
        is_beneath("grounds", disclosure.ground, [ground.name])
        and disclosure.evidence >= {*ground.evidence}
        and disclosure.approvals >= ground.approvals
    )


def _form_permits(form: Form, release: FormRelease) -> bool:
    return (
        form.name == release.form
        and is_beneath("categories", release.category, form.needed_categories)
        and not is_beneath("purposes", release.objection, form.purposes)
    )


def _cookie_rule_permits(rule: CookieRule, use: CookieUse) -> bool:
    has_basis = BASES.index(use.basis) <= (BASES.index(rule.basis) if rule.basis in BASES else -1)
    same = (rule.name, rule.party) == (use.name, use.party)
    return (
        same
        and has_basis
        and is_beneath("purposes", use.purpose, rule.purposes)
        and use.age <= DAYS[rule.max_age]
    )


def _rule_permits(rule: CollectRule | DiscloseRule, use: Use) -> bool:
    precisions = PRECISIONS[use.category]
    finer = precisions[precisions.index(use.precision) :]
    return (
        is_beneath("categories", use.category, rule.categories)
        and _rule_covers(rule, use)
        and any(
            use.age <= DAYS[rule.max_ages[precision]] for precision in finer if precision in rule.max_ages
        )
    )


def _rule_covers(rule: CollectRule | DiscloseRule, use: Use) -> bool:
    recipient = "operator" if isinstance(rule, CollectRule) else rule.recipient
    ground = "" if isinstance(rule, CollectRule) else rule.ground
    has_purpose = (
        is_beneath("purposes", use.purpose, rule.purposes) if rule.purposes else use.purpose == "ground-alone"
    )
    has_ground = is_beneath("grounds", use.ground, [ground]) if ground else use.ground == "own-use"
    return recipient == use.recipient and has_purpose and has_ground


def is_beneath(kind: str, leaf: str, words: Iterable[str]) -> bool:
    """Return whether a leaf is one of the words or belongs to one of them."""
    parents = WORDS[kind].get(leaf, {}).get("parents", ())
    return any(word == leaf or word in parents for word in words)


def governing(versions: Sequence[Permissions], collected: int, consented: Collection[int]) -> Permissions:
    """Return the permissions that govern a record after all versions; the first version has number 1."""
    governs = versions[collected - 1]
    for number, version in enumerate(versions, 1):
        if number > collected:
            governs = version if number in consented else governs & version
    return governs
