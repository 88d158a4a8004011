"""How often a client may do something, counted in memory by the network that it comes from."""

import math
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b

from anyio import CapacityLimiter, to_thread

CLIENTS_MAX = 50_000
"""How many clients one limit counts apart; those that come later in the same period share one budget."""

IPV6_NETWORK_BYTES = 8
"""One client has a /64 of IPv6, so its addresses are counted together."""

MINUTE_SECONDS = 60
HOUR_SECONDS = 3_600
ATTEMPTS_PER_MINUTE, ATTEMPTS_PER_HOUR = 10, 60
"""How many wrong passwords or keys one network, or one browser in which a reader signed in before, may send."""

NAME_ATTEMPTS_PER_HOUR = 1_000
"""How many wrong passwords for one name may come from all networks and browsers that never proved it."""

PARALLEL_ATTEMPTS_MAX = 4
"""How many passwords are checked at the same time: each takes 32 MiB. The other ones wait."""

_KEY_BYTES = 8


def find_network(address: str) -> bytes:
    """Return the network that counts as one client: an address of IPv4, a /64 of IPv6; empty if it is unknown."""
    with suppress(OSError, ValueError):
        return socket.inet_pton(socket.AF_INET, address)
    with suppress(OSError, ValueError):
        return socket.inet_pton(socket.AF_INET6, address)[:IPV6_NETWORK_BYTES]
    return b""


class RateLimit:
    """Counts requests by client in periods of fixed length. Its memory is bounded. For one thread."""

    def __init__(
        self,
        requests: int,
        period_seconds: int = MINUTE_SECONDS,
        clients_max: int = CLIENTS_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Allow `requests` of a client in each period; 0 allows any number."""
        self.requests = requests
        self.period_seconds = period_seconds
        self._clients_max = clients_max
        self._clock = clock
        self._period = 0
        self._counts: dict[bytes, int] = {}

    def count(self, client: bytes) -> int:
        """Count a request; return 0 if the client is within the limit, else for how many seconds to wait."""
        if not self.requests:
            return 0
        now = self._clock()
        period = int(now // self.period_seconds)
        if period != self._period:
            self._period, self._counts = period, {}
        key = self._key(client)
        self._counts[key] = self._counts.get(key, 0) + 1
        if self._counts[key] <= self.requests:
            return 0
        return max(1, math.ceil((period + 1) * self.period_seconds - now))

    def give_back(self, client: bytes) -> None:
        """Take back one counted request of a client."""
        key = self._key(client)
        if self._counts.get(key):
            self._counts[key] -= 1

    def _key(self, client: bytes) -> bytes:
        """Return the client, or what stands for all of those that are not counted apart."""
        key = client if len(client) <= _KEY_BYTES else blake2b(client, digest_size=_KEY_BYTES).digest()
        return key if key in self._counts or len(self._counts) < self._clients_max else b"others"


class AttemptLimiter:
    """Limits wrong passwords and keys by network and by name, so that nobody is locked out by somebody elsewhere.

    A network has a budget for all names. A name has a budget for all networks and browsers that never proved it, so
    that guessing from many networks is bounded; it is larger than what a few networks may send. Who proved the name
    before, from the same network or in a browser that has the cookie for it, does not depend on the name's budget, and
    the browser has a budget of its own. For one event loop.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clients = (
            RateLimit(ATTEMPTS_PER_MINUTE, clock=clock),
            RateLimit(ATTEMPTS_PER_HOUR, HOUR_SECONDS, clock=clock),
        )
        self._names = RateLimit(NAME_ATTEMPTS_PER_HOUR, HOUR_SECONDS, clock=clock)
        self._proved: dict[bytes, None] = {}
        """Networks with the names that were proved from them, the least recent first."""
        self._threads = CapacityLimiter(PARALLEL_ATTEMPTS_MAX)

    async def check(
        self, address: str, name: str, verify: Callable[[], bool], browser: str = ""
    ) -> tuple[bool, int]:
        """Return whether `verify` succeeds; and, if it was not called, for how many seconds to wait.

        `name` is whose password is verified; empty for a key, which nobody can guess. `browser` identifies a browser in
        which the name was proved before. `verify` runs in a thread.
        """
        network, name_bytes = find_network(address), name.encode("utf-8", "surrogatepass")
        pair = blake2b(network + b"\0" + name_bytes, digest_size=_KEY_BYTES).digest()
        client = b"browser " + browser.encode() if browser else network
        counted = [(limit, client) for limit in self._clients]
        if name and not browser and pair not in self._proved:
            counted.append((self._names, name_bytes))
        # counted before verifying, so that parallel attempts count, too
        seconds = max(limit.count(key) for limit, key in counted)
        is_right = not seconds and await to_thread.run_sync(verify, limiter=self._threads)
        if is_right:
            for limit, key in counted:
                limit.give_back(key)
            self._proved.pop(pair, None)
            self._proved[pair] = None
            if len(self._proved) > CLIENTS_MAX:
                del self._proved[next(iter(self._proved))]
        return is_right, seconds
