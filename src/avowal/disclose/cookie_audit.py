"""What a site leaves in a browser and whom it has the browser meet, beside what the terms declare of both."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

import msgspec

from avowal.policy.bounds import OPERATOR, AgeByPrecision, Bounds, max_ages
from avowal.policy.describe import format_age

HOUR_SECONDS = 3600
COOKIE_LIFETIME_TOLERANCE = timedelta(hours=1)
"""How much longer a cookie may live than is declared: clocks differ, and browsers round."""


class ObservationKind(StrEnum):
    """What was met."""

    COOKIE = "cookie"
    STORAGE = "storage"
    REQUEST = "request"


class Observation(msgspec.Struct, frozen=True):
    """Something that a browser met on a site."""

    kind: ObservationKind
    name: str
    """Of the cookie or of the key; of a request, the host that it went to."""
    party: str
    """Whose it is: `first` or `third`."""
    page: str
    """Where it was met first."""
    lifetime_seconds: float | None = None
    """How long a cookie lives; None where it ends with the browser."""


class AuditResult(msgspec.Struct, frozen=True):
    """What was met, and what stands against it; empty where it is as the terms declare."""

    observation: Observation
    violation: str


def audit_observations(
    observations: Iterable[Observation], terms: Bounds, processor_hosts: Sequence[str], *, sends_opt_out: bool
) -> list[AuditResult]:
    """Judge what was met by terms; `hosts` are those of processors, and `refusing` whether the browser objected.

    A key of a browser's storage is declared as a cookie of that name is: it tells visitors apart as well.
    """
    return [
        AuditResult(
            one,
            _of_host(one, processor_hosts)
            if one.kind is ObservationKind.REQUEST
            else _of_name(one, terms, refusing=sends_opt_out),
        )
        for one in observations
    ]


def _of_host(one: Observation, hosts: Sequence[str]) -> str:
    known = any(fnmatchcase(one.name, host) for host in hosts)
    return "" if one.party == "first" or known else "no processor's contract names this host"


def _of_name(one: Observation, terms: Bounds, *, refusing: bool) -> str:
    bases = _declared(one, terms)
    if not bases:
        return "is not declared"
    if "unless-refused" not in bases:
        return "is set without being accepted"
    if refusing:
        return "is set although the browser refuses"
    age, lifetime = bases["unless-refused"], one.lifetime_seconds
    if age is None or lifetime is None or lifetime <= age + COOKIE_LIFETIME_TOLERANCE.total_seconds():
        return ""
    return f"lives for {format_lifetime(lifetime)}, declared are {format_age(age)}"


def format_lifetime(seconds: float) -> str:
    """Tell how long a cookie lives, in whole hours."""
    return format_age(max(1, round(seconds / HOUR_SECONDS)) * HOUR_SECONDS)


def _declared(one: Observation, terms: Bounds) -> AgeByPrecision:
    """Return the bases on which the terms let it be set, each with how long it may live."""
    found: AgeByPrecision = {}
    for cell, ages in terms.cells.items():
        own = cell.recipient == OPERATOR
        if cell.cookie_name and own is (one.party == "first") and fnmatchcase(one.name, cell.cookie_name):
            found = max_ages(found, ages)
    return found
