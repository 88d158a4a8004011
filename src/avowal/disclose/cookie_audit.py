"""What a site leaves in a browser and whom it has the browser meet, beside what the terms declare of both."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

import msgspec

from avowal.policy.bounds import OPERATOR, Ages, Bounds, longer
from avowal.policy.describe import lasting

HOUR = 3600
TOLERANCE = timedelta(hours=1)
"""How much longer a cookie may live than is declared: clocks differ, and browsers round."""


class Kind(StrEnum):
    """What was met."""

    COOKIE = "cookie"
    STORAGE = "storage"
    REQUEST = "request"


class Met(msgspec.Struct, frozen=True):
    """Something that a browser met on a site."""

    kind: Kind
    name: str
    """Of the cookie or of the key; of a request, the host that it went to."""
    party: str
    """Whose it is: `first` or `third`."""
    page: str
    """Where it was met first."""
    seconds: float | None = None
    """How long a cookie lives; None where it ends with the browser."""


class Judged(msgspec.Struct, frozen=True):
    """What was met, and what stands against it; empty where it is as the terms declare."""

    met: Met
    against: str


def judge(met: Iterable[Met], terms: Bounds, hosts: Sequence[str], *, refusing: bool) -> list[Judged]:
    """Judge what was met by terms; `hosts` are those of processors, and `refusing` whether the browser objected.

    A key of a browser's storage is declared as a cookie of that name is: it tells visitors apart as well.
    """
    return [
        Judged(
            one, _of_host(one, hosts) if one.kind is Kind.REQUEST else _of_name(one, terms, refusing=refusing)
        )
        for one in met
    ]


def _of_host(one: Met, hosts: Sequence[str]) -> str:
    known = any(fnmatchcase(one.name, host) for host in hosts)
    return "" if one.party == "first" or known else "no processor's contract names this host"


def _of_name(one: Met, terms: Bounds, *, refusing: bool) -> str:
    bases = _declared(one, terms)
    if not bases:
        return "is not declared"
    if "unless-refused" not in bases:
        return "is set without being accepted"
    if refusing:
        return "is set although the browser refuses"
    age = bases["unless-refused"]
    if age is None or one.seconds is None or one.seconds <= age + TOLERANCE.total_seconds():
        return ""
    return f"lives for {living(one.seconds)}, declared are {lasting(age)}"


def living(seconds: float) -> str:
    """Tell how long a cookie lives, in whole hours."""
    return lasting(max(1, round(seconds / HOUR)) * HOUR)


def _declared(one: Met, terms: Bounds) -> Ages:
    """Return the bases on which the terms let it be set, each with how long it may live."""
    found: Ages = {}
    for cell, ages in terms.cells.items():
        own = cell.recipient == OPERATOR
        if cell.cookie and own is (one.party == "first") and fnmatchcase(one.name, cell.cookie):
            found = longer(found, ages)
    return found
