"""Decide on the site's own cookie: it is set only as the terms permit, and never against the visitor's choice.

The value is a random identifier, or `refused`. So a refusal is remembered without an identifier. An identifier also
says whether the visitor accepted it and on which day it was issued: later terms that permit the cookie only if it is
accepted, or for a shorter time, hold for cookies that browsers have already.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from hashlib import blake2b
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits

from avowal.collect.admission import AdmissionRules

COOKIE_NAME = "__Host-avowal"
TAB_STORAGE_KEY = "avowal-views"
"""The key of the session storage where the script keeps the script views of a tab. Terms declare it like a cookie."""

REFUSAL_VALUE = "refused"
COOKIE_LIFETIME_MAX = timedelta(days=400)
"""The longest time that browsers keep a cookie (RFC 6265bis)."""

IDENTIFIER_LENGTH = 22
IDENTIFIER_PATTERN = re.compile(rf"[A-Za-z0-9_-]{{{IDENTIFIER_LENGTH}}}")
"""A letter, upper case if the visitor accepted the cookie; the day of issue in DAY_DIGITS digits; and a random rest."""

DAY_DIGITS, DIGITS = 3, f"{ascii_letters}{digits}-_"
EPOCH = date(2020, 1, 1)
_RANDOM_BYTES = 14


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

    def is_permitted(self, rules: AdmissionRules, today: date) -> bool:
        """Return whether terms permit the identifier: on the basis on which it was issued, and for that long."""
        if not (self.identifier and permits_cookie(rules)) or self.privacy_signal:
            return False
        if self.identifier[0].islower() and CookieBasis.UNLESS_REFUSED not in rules.cookie_lifetimes:
            return False
        return today - _read_day_of_issue(self.identifier) <= _compute_cookie_age(rules)


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


def permits_cookie(rules: AdmissionRules) -> bool:
    """Return whether terms permit a cookie with an identifier, on whatever basis."""
    return "full" in rules.maximum_ages.get("visitor-id", {}) and bool(rules.cookie_lifetimes)


def decide_cookie(rules: AdmissionRules, state: CookieState, today: date) -> CookieDecision:
    """Decide on the cookie of a request, under the version in force."""
    if state.is_permitted(rules, today):
        return CookieDecision(state.identifier)
    is_refused = state.privacy_signal or state.value == REFUSAL_VALUE or not permits_cookie(rules)
    if not is_refused and CookieBasis.UNLESS_REFUSED in rules.cookie_lifetimes and state.can_be_set:
        return issue_cookie(rules, today)
    return CookieDecision(
        set_cookie_header=build_removal_header() if state.identifier and state.can_be_set else ""
    )


def issue_cookie(rules: AdmissionRules, today: date, *, is_accepted: bool = False) -> CookieDecision:
    """Create an identifier, with the header that sets it for the lifetime in the terms."""
    first = secrets.choice(ascii_uppercase if is_accepted else ascii_lowercase)
    day, number = "", (today - EPOCH).days
    for _ in range(DAY_DIGITS):
        number, digit = divmod(number, len(DIGITS))
        day = DIGITS[digit] + day
    identifier = f"{first}{day}{secrets.token_urlsafe(_RANDOM_BYTES)}"[:IDENTIFIER_LENGTH]
    return CookieDecision(identifier, _build_header(identifier, _compute_cookie_age(rules)))


def _read_day_of_issue(identifier: str) -> date:
    number = 0
    for digit in identifier[1 : 1 + DAY_DIGITS]:
        number = number * len(DIGITS) + DIGITS.index(digit)
    return EPOCH + timedelta(days=number)


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
