"""Compares the cookies, storage keys and connections that a browser observed on a site with what the terms declare."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

import msgspec

from avowal.policy.bounds import OPERATOR, AgeByPrecision, Bounds, merge_longest_ages
from avowal.policy.describe import format_age

HOUR_SECONDS = 3600
COOKIE_LIFETIME_TOLERANCE = timedelta(hours=1)
"""How much longer than declared a cookie may live, as clocks differ and browsers round."""


class ObservationKind(StrEnum):
    """What was observed."""

    COOKIE = "cookie"
    STORAGE = "storage"
    REQUEST = "request"


class Observation(msgspec.Struct, frozen=True):
    """A cookie, a storage key or a connection that a browser observed on a site."""

    kind: ObservationKind
    name: str
    """The name of the cookie or of the key; for a request, the host that it went to."""
    party: str
    """Whose it is: `first` (the site's) or `third`."""
    page: str
    """The URL of the page where it was observed first."""
    lifetime_seconds: float | None = None
    """The lifetime of a cookie; None if it ends with the browser."""


class AuditResult(msgspec.Struct, frozen=True):
    """An observation, and how it violates the terms; empty if it does not."""

    observation: Observation
    violation: str


def audit_observations(
    observations: Iterable[Observation], terms: Bounds, processor_hosts: Sequence[str], *, sends_opt_out: bool
) -> list[AuditResult]:
    """Compare observations with terms.

    `processor_hosts` are the hosts that contracts declare; `sends_opt_out` is whether the browser sent Sec-GPC and DNT.
    A storage key has to be declared as a cookie of its name is, because it identifies visitors as well.
    """
    return [
        AuditResult(
            observation,
            _check_host(observation, processor_hosts)
            if observation.kind is ObservationKind.REQUEST
            else _check_name(observation, terms, sends_opt_out=sends_opt_out),
        )
        for observation in observations
    ]


def _check_host(observation: Observation, hosts: Sequence[str]) -> str:
    is_declared = any(fnmatchcase(observation.name, host) for host in hosts)
    return "" if observation.party == "first" or is_declared else "no processor's contract names this host"


def _check_name(observation: Observation, terms: Bounds, *, sends_opt_out: bool) -> str:
    bases = _find_declared_ages(observation, terms)
    if not bases:
        return "is not declared"
    if "unless-refused" not in bases:
        return "is set without being accepted"
    if sends_opt_out:
        return "is set although the browser refuses"
    age, lifetime = bases["unless-refused"], observation.lifetime_seconds
    if age is None or lifetime is None or lifetime <= age + COOKIE_LIFETIME_TOLERANCE.total_seconds():
        return ""
    return f"lives for {format_lifetime(lifetime)}, declared are {format_age(age)}"


def format_lifetime(seconds: float) -> str:
    """Return the lifetime of a cookie as text, in whole hours."""
    return format_age(max(1, round(seconds / HOUR_SECONDS)) * HOUR_SECONDS)


def _find_declared_ages(observation: Observation, terms: Bounds) -> AgeByPrecision:
    """Return the bases on which the terms permit a cookie, each with its longest lifetime."""
    longest: AgeByPrecision = {}
    for cell, ages in terms.cells.items():
        is_same_party = (cell.recipient == OPERATOR) is (observation.party == "first")
        if cell.cookie_name and is_same_party and fnmatchcase(observation.name, cell.cookie_name):
            longest = merge_longest_ages(longest, ages)
    return longest
