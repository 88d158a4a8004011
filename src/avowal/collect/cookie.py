"""The one cookie of the site itself: set only as the terms say, and never against the visitor's word.

Its value is an identifier drawn at random, or the word `refused`: so a refusal is remembered without another cookie,
and without anything that tells visitors apart.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from hashlib import blake2b
from string import ascii_letters

from avowal.collect.admission import Promise

NAME = "__Host-avowal"
TAB = "avowal-views"
"""The key under which the script remembers a tab's own looks, in the tab's storage; terms declare it like a cookie."""

REFUSED = "refused"
AGE_MAX = timedelta(days=400)
"""How long browsers keep a cookie at most (RFC 6265bis)."""

IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{22}")
_ID_BYTES = 16


class Basis(StrEnum):
    """When a cookie may be set."""

    UNLESS_REFUSED = "unless-refused"
    IF_ACCEPTED = "if-accepted"


@dataclass(frozen=True)
class Asked:
    """What a request says about the cookie, and whether one can be set at all."""

    value: str
    """That of the cookie, as the browser sent it; empty where it sent none."""
    objects: bool
    """Whether the browser says, for its visitor, that it does not want to be known again (Sec-GPC, DNT)."""
    possible: bool
    """Whether the browser would take it: the page came from this very host, over HTTPS."""

    @property
    def identifier(self) -> str:
        """The identifier that the browser sent; empty where it sent none."""
        return self.value if IDENTIFIER.fullmatch(self.value) else ""


def asked(headers: Mapping[bytes, str], *, possible: bool) -> Asked:
    """Read what the headers of a request say."""
    objects = headers.get(b"sec-gpc") == "1" or headers.get(b"dnt") == "1"
    return Asked(_value(headers.get(b"cookie", "")), objects, possible)


def _value(header: str) -> str:
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name == NAME:
            return value
    return ""


@dataclass(frozen=True)
class Decision:
    """By which identifier a visitor is known, if by any, and the header that is to be sent, if one is."""

    identifier: str = ""
    header: str = ""


def decide(promise: Promise, request: Asked) -> Decision:
    """Decide on the cookie of a request, under the version in force."""
    permitted = "full" in promise.kept.get("visitor-id", {}) and bool(promise.cookie)
    if not permitted or request.objects or request.value == REFUSED:
        return Decision(header=taken_back() if request.identifier and request.possible else "")
    if request.identifier:
        return Decision(request.identifier)
    if Basis.UNLESS_REFUSED in promise.cookie and request.possible:
        return given(promise)
    return Decision()


def given(promise: Promise) -> Decision:
    """Return a new identifier, with the header that sets it for as long as the terms say."""
    first = secrets.choice(ascii_letters)  # a command would take one that begins with `-` for an option
    identifier = first + secrets.token_urlsafe(_ID_BYTES)[1:]
    return Decision(identifier, _header(identifier, _age(promise)))


def refused(promise: Promise) -> str:
    """Return the header that puts the refusal in the identifier's place."""
    return _header(REFUSED, _age(promise)) if promise.cookie else taken_back()


def taken_back() -> str:
    """Return the header that takes the cookie away."""
    return _header("", timedelta())


def _age(promise: Promise) -> timedelta:
    age = next(iter(promise.cookie.values()), None)
    return AGE_MAX if age is None else min(AGE_MAX, timedelta(seconds=age))


def _header(value: str, age: timedelta) -> str:
    return f"{NAME}={value}; Path=/; Max-Age={age // timedelta(seconds=1)}; Secure; HttpOnly; SameSite=Lax"


def visitor_number(secret: bytes, identifier: str) -> int:
    """Return the key of whoever has the cookie: odd, as those of a day are even."""
    return int.from_bytes(blake2b(identifier.encode(), key=secret, digest_size=8).digest(), "little") | 1
