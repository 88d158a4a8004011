"""How often somebody may try a password: from one address, and as one reader."""

from collections.abc import Callable

import limits
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

ATTEMPT_LIMIT = limits.parse("10/minute")


class AttemptLimiter:
    """Counts tries that fail, in memory only."""

    def __init__(self) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def check(self, address: str, name: str, verify: Callable[[], bool]) -> bool | None:
        """Return whether a try is right; None where it may not be made, as too many failed."""
        keys = f"from {address}", f"as {name}"
        for key in keys:  # counted before, so that many at once are no way round
            if not self._limiter.hit(ATTEMPT_LIMIT, key):
                return None
        right = verify()
        if right:
            for key in keys:
                self._limiter.clear(ATTEMPT_LIMIT, key)
        return right
