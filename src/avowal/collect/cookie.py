"""Decide on the site's own cookie: it is set only as the terms permit, and never against the visitor's choice.

The value is a random identifier, or `refused`. So a refusal is remembered without an identifier.
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
"""The key of the session storage where the script keeps the script views of a tab. Terms declare it like a cookie."""

REFUSAL_VALUE = "refused"
COOKIE_LIFETIME_MAX = timedelta(days=400)
"""The longest time that browsers keep a cookie (RFC 6265bis)."""

IDENTIFIER_PATTERN = re.compile(r"[A-Za-z0-9_-]{22}")
_ID_BYTES = 16


class CookieBasis(StrEnum):
    """Say when a cookie may be set."""

    UNLESS_REFUSED = "unless-refused"
    IF_ACCEPTED = "if-accepted"


@dataclass(frozen=True)
class CookieState:
    """What a request says about the cookie, and whether the response can set it."""

    value: str
    """The value of the cookie that the browser sent; empty if it sent none."""
    privacy_signal: bool
    """Whether the browser signals that its visitor does not want to be tracked (Sec-GPC, DNT)."""
    can_be_set: bool
    """Whether the browser would accept the cookie: the page is from the same host, over HTTPS."""

    @property
    def identifier(self) -> str:
        """The identifier in the cookie; empty if there is none."""
        return self.value if IDENTIFIER_PATTERN.fullmatch(self.value) else ""


def read_cookie_state(headers: Mapping[bytes, str], *, can_be_set: bool) -> CookieState:
    """Read the state of the cookie from the headers of a request."""
    privacy_signal = any("1" in headers.get(name, "").split(", ") for name in (b"sec-gpc", b"dnt"))
    return CookieState(_find_cookie_value(headers.get(b"cookie", "")), privacy_signal, can_be_set)


def _find_cookie_value(header: str) -> str:
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE_NAME:
            return value
    return ""


@dataclass(frozen=True)
class CookieDecision:
    """The identifier of the visitor and the `Set-Cookie` header to send; either is empty if there is none."""

    identifier: str = ""
    set_cookie_header: str = ""


def decide_cookie(rules: AdmissionRules, state: CookieState) -> CookieDecision:
    """Decide on the cookie of a request, under the version in force."""
    is_permitted = "full" in rules.maximum_ages.get("visitor-id", {}) and bool(rules.cookie_lifetimes)
    if not is_permitted or state.privacy_signal or state.value == REFUSAL_VALUE:
        return CookieDecision(
            set_cookie_header=build_removal_header() if state.identifier and state.can_be_set else ""
        )
    if state.identifier:
        return CookieDecision(state.identifier)
    if CookieBasis.UNLESS_REFUSED in rules.cookie_lifetimes and state.can_be_set:
        return issue_cookie(rules)
    return CookieDecision()


def issue_cookie(rules: AdmissionRules) -> CookieDecision:
    """Create an identifier, with the header that sets it for the lifetime in the terms."""
    first = secrets.choice(ascii_letters)  # a command line would read a leading `-` as an option
    identifier = first + secrets.token_urlsafe(_ID_BYTES)[1:]
    return CookieDecision(identifier, _build_header(identifier, _compute_cookie_age(rules)))


def build_refusal_header(rules: AdmissionRules) -> str:
    """Return the header that replaces the identifier by the refusal."""
    return (
        _build_header(REFUSAL_VALUE, _compute_cookie_age(rules))
        if rules.cookie_lifetimes
        else build_removal_header()
    )


def build_removal_header() -> str:
    """Return the header that deletes the cookie."""
    return _build_header("", timedelta())


def _compute_cookie_age(rules: AdmissionRules) -> timedelta:
    age = next(iter(rules.cookie_lifetimes.values()), None)
    return COOKIE_LIFETIME_MAX if age is None else min(COOKIE_LIFETIME_MAX, timedelta(seconds=age))


def _build_header(value: str, age: timedelta) -> str:
    return f"{COOKIE_NAME}={value}; Path=/; Max-Age={age // timedelta(seconds=1)}; Secure; HttpOnly; SameSite=Lax"


def compute_cookie_visitor_id(secret: bytes, identifier: str) -> int:
    """Return the visitor key of a cookie's identifier. It is odd; daily keys are even."""
    return int.from_bytes(blake2b(identifier.encode(), key=secret, digest_size=8).digest(), "little") | 1
