"""How often a client may do something: send events or forms, or try a password. Counted in memory only."""

from collections.abc import Callable

import limits
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

ATTEMPTS_PER_MINUTE = 10


class RateLimit:
    """Counts requests per client and minute."""

    def __init__(self, per_minute: int) -> None:
        """Allow `per_minute` requests of a client each minute; 0 allows any number."""
        self._limit = limits.parse(f"{per_minute}/minute") if per_minute else None
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def allows(self, client: str) -> bool:
        """Count a request; return whether the client is still within the limit."""
        return self._limit is None or self._limiter.hit(self._limit, client)

    def clear(self, client: str) -> None:
        """Forget the requests of a client."""
        if self._limit is not None:
            self._limiter.clear(self._limit, client)


class AttemptLimiter:
    """Limits failed attempts to prove who one is, from one address and under one name."""

    def __init__(self) -> None:
        self._attempts = RateLimit(ATTEMPTS_PER_MINUTE)

    def check(self, address: str, name: str, verify: Callable[[], bool]) -> bool | None:
        """Return whether `verify` succeeds; None, without calling it, if too many attempts failed before."""
        clients = f"from {address}", f"as {name}"
        for client in clients:  # counted before verifying, so that parallel attempts count, too
            if not self._attempts.allows(client):
                return None
        is_right = verify()
        if is_right:
            for client in clients:
                self._attempts.clear(client)
        return is_right
