"""A cache of what is computed from texts that anybody may send: bounded in bytes, in memory only."""

from collections.abc import Callable
from functools import update_wrapper
from sys import getsizeof
from threading import Lock
from typing import Generic, TypeVar

Result = TypeVar("Result")

ENTRY_OVERHEAD_BYTES = 200
"""What an entry takes besides its texts, about."""


class BoundedCache(Generic[Result]):
    """A function of a text that remembers its results, the newest up to a number of bytes. For several threads."""

    def __init__(self, compute: Callable[[str], Result], bytes_max: int) -> None:
        update_wrapper(self, compute)
        self._compute = compute
        self._bytes_max = bytes_max
        self._results: dict[str, Result] = {}
        self._lock = Lock()
        self.size_bytes = 0
        """How many bytes the cache holds."""

    def __call__(self, text: str) -> Result:
        """Return the result for a text. Raises what the function raises; that is not remembered."""
        try:
            return self._results[text]
        except KeyError:
            pass
        result = self._compute(text)
        size = _measure(text, result)
        with self._lock:
            if text not in self._results and size <= self._bytes_max:
                while self._results and self.size_bytes + size > self._bytes_max:
                    oldest = next(iter(self._results))
                    self.size_bytes -= _measure(oldest, self._results.pop(oldest))
                self._results[text] = result
                self.size_bytes += size
        return result


def bounded_cache(bytes_max: int) -> Callable[[Callable[[str], Result]], BoundedCache[Result]]:
    """Return a decorator that caches the results of a function of a text."""
    return lambda compute: BoundedCache(compute, bytes_max)


def _measure(text: str, result: object) -> int:
    parts = result if isinstance(result, tuple) else ()
    return ENTRY_OVERHEAD_BYTES + getsizeof(text) + getsizeof(result) + sum(map(getsizeof, parts))
