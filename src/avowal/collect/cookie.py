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

from avowal.collect.admission import AdmissionRules

COOKIE_NAME = "__Host-avowal"
TAB_STORAGE_KEY = "avowal-views"
"""The key under which the script remembers a tab's own looks, in the tab's storage; terms declare it like a cookie."""

REFUSAL_VALUE = "refused"
COOKIE_LIFETIME_MAX = timedelta(days=400)
"""How long browsers keep a cookie at most (RFC 6265bis)."""

IDENTIFIER_PATTERN = re.compile(r"[A-Za-z0-9_-]{22}")
_ID_BYTES = 16


class CookieBasis(StrEnum):
    """When a cookie may be set."""

    UNLESS_REFUSED = "unless-refused"
    IF_ACCEPTED = "if-accepted"


@dataclass(frozen=True)
class CookieState:
    """What a request says about the cookie, and whether one can be set at all."""

    value: str
    """That of the cookie, as the browser sent it; empty where it sent none."""
    privacy_signal: bool
    """Whether the browser says, for its visitor, that it does not want to be known again (Sec-GPC, DNT)."""
    can_be_set: bool
    """Whether the browser would take it: the page came from this very host, over HTTPS."""

    @property
    def identifier(self) -> str:
        """The identifier that the browser sent; empty where it sent none."""
        return self.value if IDENTIFIER_PATTERN.fullmatch(self.value) else ""


def read_cookie_state(headers: Mapping[bytes, str], *, can_be_set: bool) -> CookieState:
    """Read what the headers of a request say."""
    objects = headers.get(b"sec-gpc") == "1" or headers.get(b"dnt") == "1"
    return CookieState(_value(headers.get(b"cookie", "")), objects, can_be_set)


def _value(header: str) -> str:
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE_NAME:
            return value
    return ""


@dataclass(frozen=True)
class CookieDecision:
    """By which identifier a visitor is known, if by any, and the header that is to be sent, if one is."""

    identifier: str = ""
    set_cookie_header: str = ""


def decide_cookie(rules: AdmissionRules, state: CookieState) -> CookieDecision:
    """Decide on the cookie of a request, under the version in force."""
    permitted = "full" in rules.maximum_ages.get("visitor-id", {}) and bool(rules.cookie_lifetimes)
    if not permitted or state.privacy_signal or state.value == REFUSAL_VALUE:
        return CookieDecision(
            set_cookie_header=build_removal_header() if state.identifier and state.can_be_set else ""
        )
    if state.identifier:
        return CookieDecision(state.identifier)
    if CookieBasis.UNLESS_REFUSED in rules.cookie_lifetimes and state.can_be_set:
        return issue_cookie(rules)
    return CookieDecision()


def issue_cookie(rules: AdmissionRules) -> CookieDecision:
    """Return a new identifier, with the header that sets it for as long as the terms say."""
    first = secrets.choice(ascii_letters)  # a command would take one that begins with `-` for an option
    identifier = first + secrets.token_urlsafe(_ID_BYTES)[1:]
    return CookieDecision(identifier, _header(identifier, _age(rules)))


def build_refusal_header(rules: AdmissionRules) -> str:
    """Return the header that puts the refusal in the identifier's place."""
    return _header(REFUSAL_VALUE, _age(rules)) if rules.cookie_lifetimes else build_removal_header()


def build_removal_header() -> str:
    """Return the header that takes the cookie away."""
    return _header("", timedelta())


def _age(promise: AdmissionRules) -> timedelta:
    age = next(iter(promise.cookie_lifetimes.values()), None)
    return COOKIE_LIFETIME_MAX if age is None else min(COOKIE_LIFETIME_MAX, timedelta(seconds=age))


def _header(value: str, age: timedelta) -> str:
    return f"{COOKIE_NAME}={value}; Path=/; Max-Age={age // timedelta(seconds=1)}; Secure; HttpOnly; SameSite=Lax"


def compute_cookie_visitor_id(secret: bytes, identifier: str) -> int:
    """Return the key of whoever has the cookie: odd, as those of a day are even."""
    return int.from_bytes(blake2b(identifier.encode(), key=secret, digest_size=8).digest(), "little") | 1
