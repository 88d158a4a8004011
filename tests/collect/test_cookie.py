"""The identifier in the site's cookie, and the terms that permit it."""

from datetime import date, datetime, timedelta

import pytest

from avowal.collect.admission import AdmissionRules
from avowal.collect.cookie import (
    IDENTIFIER_PATTERN,
    CookieState,
    compute_cookie_visitor_id,
    decide_cookie,
    issue_cookie,
)
from avowal.collect.visitor_key import compute_daily_key

TODAY = date(2026, 11, 22)
MONTH_SECONDS = 30 * 86_400


def rules_with(*bases: str, months: int = 12) -> AdmissionRules:
    """Return rules that permit the cookie on some bases, for some months."""
    lifetimes = dict.fromkeys(bases, months * MONTH_SECONDS)
    visitors = {"visitor-id": {"day": None, "full": None}}
    return AdmissionRules(1, visitors, datetime.min, datetime.max, lifetimes)


UNLESS_REFUSED = rules_with("if-accepted", "unless-refused")
IF_ACCEPTED = rules_with("if-accepted")


def state_with(identifier: str) -> CookieState:
    """Return the state of a request with an identifier, whose response can set a cookie."""
    return CookieState(identifier, privacy_signal=False, can_be_set=True)


def test_an_identifier_never_looks_like_a_command_option() -> None:
    """An identifier begins with a letter, never with a dash, and is unique."""
    identifiers = {issue_cookie(UNLESS_REFUSED, TODAY).identifier for _ in range(1_000)}
    assert len(identifiers) == 1_000
    assert all(
        IDENTIFIER_PATTERN.fullmatch(identifier) and identifier[0].isalpha() for identifier in identifiers
    )


def test_keys_of_cookies_are_odd_and_daily_keys_are_even() -> None:
    """The last bit of a visitor's key says whether it lasts for a day or as long as a cookie."""
    for number in range(100):
        assert compute_cookie_visitor_id(b"secret", str(number)) % 2 == 1
        assert compute_daily_key(b"salt", "site.example", "192.0.2.1", str(number)) % 2 == 0


def test_a_cookie_that_nobody_accepted_ends_when_it_has_to_be_accepted() -> None:
    """Under terms that permit the cookie only if it is accepted, one that was set without being asked for is removed."""
    unasked = issue_cookie(UNLESS_REFUSED, TODAY).identifier
    assert decide_cookie(UNLESS_REFUSED, state_with(unasked), TODAY).identifier == unasked
    removed = decide_cookie(IF_ACCEPTED, state_with(unasked), TODAY)
    assert (removed.identifier, "Max-Age=0" in removed.set_cookie_header) == ("", True)
    accepted = issue_cookie(IF_ACCEPTED, TODAY, is_accepted=True).identifier
    for rules in (IF_ACCEPTED, UNLESS_REFUSED):
        assert decide_cookie(rules, state_with(accepted), TODAY).identifier == accepted


@pytest.mark.parametrize("months", [1, 12])
def test_a_cookie_lives_no_longer_than_the_terms_in_force_permit(months: int) -> None:
    """A cookie that a browser keeps for longer, as older terms permitted it to, is replaced or removed."""
    issued = issue_cookie(UNLESS_REFUSED, TODAY).identifier
    last_day = TODAY + timedelta(days=30 * months)
    rules = rules_with("if-accepted", "unless-refused", months=months)
    assert decide_cookie(rules, state_with(issued), last_day).identifier == issued
    renewed = decide_cookie(rules, state_with(issued), last_day + timedelta(days=1))
    assert renewed.identifier not in {"", issued}
    accepted = issue_cookie(IF_ACCEPTED, TODAY, is_accepted=True).identifier
    strict = rules_with("if-accepted", months=months)
    removed = decide_cookie(strict, state_with(accepted), last_day + timedelta(days=1))
    assert (removed.identifier, "Max-Age=0" in removed.set_cookie_header) == ("", True)
