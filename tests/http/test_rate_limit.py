"""Rate limits by network, and attempts to guess a password."""

import asyncio
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avowal.http.rate_limit import (
    ATTEMPTS_PER_HOUR,
    ATTEMPTS_PER_MINUTE,
    CLIENTS_MAX,
    HOUR_SECONDS,
    NAME_ATTEMPTS_PER_HOUR,
    AttemptLimiter,
    RateLimit,
    find_network,
)

READER, STRANGER = "192.0.2.1", "203.0.113.7"


class Clock:
    """A clock that a test sets."""

    now = 120.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_a_client_may_send_so_many_requests_in_a_period() -> None:
    """Within a period the number is limited; after it, the client may send again."""
    clock = Clock()
    limit = RateLimit(3, 60, clock=clock)
    assert [limit.count(b"a") for _ in range(5)] == [0, 0, 0, 60, 60]
    clock.now += 45.5
    assert (limit.count(b"a"), limit.count(b"b")) == (15, 0)
    clock.now += 14.5
    assert limit.count(b"a") == 0
    assert RateLimit(0).count(b"a") == 0


def test_addresses_of_one_ipv6_network_are_one_client() -> None:
    """A /64 of IPv6 is one client, and an address of IPv4; what is no address is one client, too."""
    assert find_network("2001:db8::1") == find_network("2001:db8::ffff:1") != find_network("2001:db8:0:1::1")
    assert find_network("192.0.2.1") != find_network("192.0.2.2")
    assert find_network("") == find_network("unknown") == b""


@given(st.lists(st.binary(max_size=300), max_size=200))
def test_a_limit_holds_no_more_clients_than_its_bound(clients: list[bytes]) -> None:
    """However many clients there are, and however long their names, so many are held; no client gets more than its share."""
    limit, allowed = RateLimit(2, clients_max=8, clock=Clock()), dict[bytes, int]()
    for client in clients:
        if not limit.count(client):
            allowed[client] = allowed.get(client, 0) + 1
    assert len(limit._counts) <= 9  # with the one that the others share
    assert all(len(key) <= 8 for key in limit._counts)
    assert max(allowed.values(), default=0) <= 2


def test_a_full_limit_is_small() -> None:
    """A limit that is full takes less than 10 MB."""
    limit = RateLimit(2, clock=Clock())
    for number in range(2 * CLIENTS_MAX):
        limit.count(number.to_bytes(8, "big"))
    keys_and_slots = sum(key.__sizeof__() for key in limit._counts) + limit._counts.__sizeof__()
    assert keys_and_slots < 10_000_000


def attempt(
    limiter: AttemptLimiter, address: str, *, right: bool, name: str = "ann", browser: str = ""
) -> tuple[bool, bool]:
    """Return whether an attempt succeeded, and whether it was refused unchecked."""
    is_right, wait_seconds = asyncio.run(limiter.check(address, name, lambda: right, browser))
    return is_right, bool(wait_seconds)


def test_wrong_passwords_from_elsewhere_lock_no_reader_out() -> None:
    """However often a stranger tries, a reader at another address signs in."""
    limiter = AttemptLimiter(Clock())
    for _ in range(3 * ATTEMPTS_PER_MINUTE):
        attempt(limiter, STRANGER, right=False)
    assert attempt(limiter, STRANGER, right=True) == (False, True)
    assert attempt(limiter, READER, right=True) == (True, False)


def test_a_stranger_who_is_a_reader_gains_no_attempts() -> None:
    """Signing in under another name does not renew the budget of a network."""
    limiter, answers = AttemptLimiter(Clock()), list[tuple[bool, bool]]()
    for _ in range(2 * ATTEMPTS_PER_MINUTE):
        answers.append(attempt(limiter, STRANGER, right=False))
        attempt(limiter, STRANGER, right=True, name="mallory")
    assert answers.count((False, False)) == ATTEMPTS_PER_MINUTE


def test_guessing_from_many_networks_is_bounded() -> None:
    """All networks together have a budget for a name; who proved it before does not depend on it."""
    clock = Clock()
    limiter = AttemptLimiter(clock)
    assert attempt(limiter, READER, right=True) == (True, False)
    unchecked = 0
    for number in range(2 * NAME_ATTEMPTS_PER_HOUR):
        unchecked += attempt(limiter, f"10.0.{number >> 8}.{number & 255}", right=False)[1]
    assert unchecked == NAME_ATTEMPTS_PER_HOUR
    assert attempt(limiter, "198.51.100.1", right=True) == (False, True)
    assert attempt(limiter, "198.51.100.1", right=True, browser="known") == (True, False)
    assert attempt(limiter, READER, right=True) == (True, False)
    assert attempt(limiter, "198.51.100.1", right=True, name="bea") == (True, False)
    clock.now += HOUR_SECONDS
    assert attempt(limiter, "198.51.100.1", right=True) == (True, False)


def test_a_browser_has_a_budget_of_its_own() -> None:
    """A browser in which a reader signed in is limited, too, and no other client uses up its budget."""
    limiter = AttemptLimiter(Clock())
    for _ in range(2 * ATTEMPTS_PER_MINUTE):
        attempt(limiter, READER, right=False)
    assert attempt(limiter, READER, right=True, browser="b") == (True, False)
    answers = [attempt(limiter, READER, right=False, browser="b") for _ in range(2 * ATTEMPTS_PER_MINUTE)]
    assert answers.count((False, False)) == ATTEMPTS_PER_MINUTE


def test_one_network_is_also_limited_by_the_hour() -> None:
    """A patient stranger has fewer attempts in an hour than a name has."""
    clock, limiter, checked = Clock(), None, 0
    limiter = AttemptLimiter(clock)
    for _ in range(50):
        clock.now += 60
        checked += sum(not attempt(limiter, STRANGER, right=False)[1] for _ in range(ATTEMPTS_PER_MINUTE))
    assert checked == ATTEMPTS_PER_HOUR < NAME_ATTEMPTS_PER_HOUR


@pytest.mark.parametrize("parallel", [50])
def test_parallel_attempts_count(parallel: int) -> None:
    """Attempts at the same moment are counted before any is verified."""
    limiter, calls = AttemptLimiter(Clock()), count()

    def verify() -> bool:
        next(calls)
        return False

    async def attempt_all() -> None:
        await asyncio.gather(*(limiter.check(STRANGER, "ann", verify) for _ in range(parallel)))

    asyncio.run(attempt_all())
    assert next(calls) == ATTEMPTS_PER_MINUTE
