"""The limits of connections, and the watch over all connections of a server that somebody has to do something on."""

import asyncio
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Protocol

from avowal.collect.client_address import TrustedProxies
from avowal.http.rate_limit import find_network


@dataclass(frozen=True)
class ConnectionLimits:
    """What one connection may take, and all of them together. `docs/reference.md` lists these limits."""

    header_seconds: float = 10.0
    """How long the header of a request may take to arrive, from the opening of the connection or its first byte on."""
    header_bytes: int = 32_768
    """The longest header, with the request line."""
    header_lines: int = 100
    """The most lines of a header."""
    body_seconds: float = 30.0
    """How long a body may take to arrive, and one second more for every `body_bytes_per_second`."""
    body_bytes_per_second: int = 4_096
    body_idle_seconds: float = 15.0
    """How long nothing of a body may arrive."""
    unread_bytes: int = 1_048_576
    """How much of a body may arrive after the response."""
    write_seconds: float = 60.0
    """How long a client may take to read what was sent."""
    connections: int = 10_000
    """The most connections."""
    waiting: int = 1_000
    """The most connections whose request has not arrived completely. Beyond that, the oldest of them is closed."""
    per_network: int = 100
    """The most connections of one network that is no trusted proxy."""
    sweep_seconds: float = 1.0
    """How often connections are looked at whose time is over."""


DEFAULT_LIMITS = ConnectionLimits()


class WatchedConnection(Hashable, Protocol):
    """A connection that can be closed at once."""

    def abort(self) -> None:
        """Close the connection without sending anything."""
        ...

    @property
    def is_held_up(self) -> bool:
        """Whether it waits for the application, not for the client."""
        ...


@dataclass
class ConnectionWatch:
    """Knows which connections wait for their client, since when and until when, and closes those whose time is over."""

    limits: ConnectionLimits
    proxies: TrustedProxies
    _waiting: dict[WatchedConnection, float] = field(default_factory=dict)
    """The connections whose request has not arrived completely, by the time when it has to; the oldest first."""
    _blocked: dict[WatchedConnection, float] = field(default_factory=dict)
    """The connections whose client does not read, by the time when it has to."""
    _networks: Counter[bytes] = field(default_factory=Counter)
    _network_by_connection: dict[WatchedConnection, bytes] = field(default_factory=dict)
    _count: int = 0
    _timer: asyncio.TimerHandle | None = None

    def open(self, connection: WatchedConnection) -> bool:
        """Watch a new connection; return whether it may stay open."""
        self._count += 1
        now = asyncio.get_running_loop().time()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.limits.sweep_seconds, self._sweep)
        self.wait_until(connection, now + self.limits.header_seconds)
        return self._count <= self.limits.connections

    def admit(self, connection: WatchedConnection, client: str) -> bool:
        """Count a connection of a client; return whether its network may have one more."""
        if self.proxies.is_trusted(client):
            return True
        network = find_network(client)
        self._network_by_connection[connection] = network
        self._networks[network] += 1
        return self._networks[network] <= self.limits.per_network

    def close(self, connection: WatchedConnection) -> None:
        """Forget a connection."""
        self._count -= 1
        self.end_waiting(connection)
        self.end_blocked(connection)
        network = self._network_by_connection.pop(connection, None)
        if network is not None:
            self._networks[network] -= 1
            if not self._networks[network]:
                del self._networks[network]

    def wait_until(self, connection: WatchedConnection, deadline: float) -> None:
        """Set until when more of a request has to arrive; closes the oldest connection if too many wait."""
        self._waiting[connection] = deadline
        if len(self._waiting) > self.limits.waiting:
            oldest = next(iter(self._waiting))
            del self._waiting[oldest]
            oldest.abort()

    def is_waiting(self, connection: WatchedConnection) -> bool:
        """Return whether a request has begun to arrive and has not arrived completely."""
        return connection in self._waiting

    def end_waiting(self, connection: WatchedConnection) -> None:
        """Note that a request has arrived completely."""
        self._waiting.pop(connection, None)

    def begin_blocked(self, connection: WatchedConnection, deadline: float) -> None:
        """Set until when the client has to read what was sent."""
        self._blocked.setdefault(connection, deadline)

    def end_blocked(self, connection: WatchedConnection) -> None:
        """Note that the client reads."""
        self._blocked.pop(connection, None)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in [one for one, deadline in self._waiting.items() if deadline <= now]:
            if connection.is_held_up:
                self._waiting[connection] = now + self.limits.body_idle_seconds
            else:
                connection.abort()
        for connection in [one for one, deadline in self._blocked.items() if deadline <= now]:
            connection.abort()
        self._timer = loop.call_later(self.limits.sweep_seconds, self._sweep) if self._count else None
