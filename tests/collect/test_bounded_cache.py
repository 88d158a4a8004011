"""Caches that are bounded in bytes."""

from sys import getsizeof

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avowal.collect import script_event
from avowal.collect.bounded_cache import ENTRY_OVERHEAD_BYTES, BoundedCache
from avowal.collect.script_event import EventDropError, parse_page_url


@given(st.lists(st.text(max_size=300), max_size=100), st.integers(0, 5_000))
def test_a_cache_holds_no_more_bytes_than_its_bound(texts: list[str], bytes_max: int) -> None:
    """Each result is that of the function, and what is held is within the bound."""
    cache = BoundedCache(lambda text: (text.upper(), None), bytes_max)
    for text in texts:
        assert cache(text) == (text.upper(), None)
        held = sum(
            ENTRY_OVERHEAD_BYTES + getsizeof(key) + getsizeof(value[0])
            for key, value in cache._results.items()
        )
        assert held <= cache.size_bytes <= bytes_max


def test_a_result_is_computed_once_while_it_is_held() -> None:
    """A result is remembered until newer ones take its place; an error is not."""
    calls = list[str]()

    def compute(text: str) -> str:
        calls.append(text)
        if text == "wrong":
            raise ValueError("it is wrong")
        return text

    cache = BoundedCache(compute, 1_000)
    for text in ("a", "a", "b", "a"):
        cache(text)
    assert calls == ["a", "b"]
    for _ in range(2):
        with pytest.raises(ValueError, match="wrong"):
            cache("wrong")
    for number in range(10):
        cache(f"other {number}")
    cache("a")
    assert calls.count("a") == 2
    assert calls.count("wrong") == 2


def test_addresses_of_pages_are_cached_within_their_bound() -> None:
    """Addresses of pages of the greatest length, in any script, do not grow the cache beyond its bound."""
    for number in range(2_000):
        parse_page_url(f"https://site.example/{number}/" + "\U0001f600" * 4_000)
    assert 0 < parse_page_url.size_bytes <= script_event.CACHE_BYTES_MAX
    with pytest.raises(EventDropError):
        parse_page_url("https://[")
