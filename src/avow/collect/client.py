"""Whose address a request bears: the peer's, or what proxies that are trusted say of the one before them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from avow.collect.address import canonical

_FORWARDED_FOR = re.compile(r'(?:^|;)\s*for\s*=\s*("[^"]*"|[^;"]*)\s*(?=;|$)', re.IGNORECASE)
HOPS_MAX = 32
"""How many proxies may stand in a row: nobody has more."""


@dataclass(frozen=True)
class Proxies:
    """The networks of the proxies that are trusted to say whom they speak for."""

    networks: tuple[IPv4Network | IPv6Network, ...]

    @classmethod
    def of(cls, networks: Iterable[str]) -> "Proxies":
        """Read networks, as `10.0.0.0/8`. Raises ValueError where one is none."""
        return cls(tuple(ip_network(network) for network in networks))

    def client(self, peer: str, forwarded: str = "", x_forwarded_for: str = "") -> str:
        """Return the address of the client behind `peer`, in its canonical form; the others are headers.

        They count only where the peer is trusted. They are walked from the right, over proxies that are trusted
        themselves, to the first that is not: whoever that is wrote what stands further left. What is malformed makes
        all of it worthless, and the peer counts.
        """
        return _client(self.networks, peer, forwarded, x_forwarded_for)

    def trusts(self, address: str) -> bool:
        """Return whether an address is a trusted proxy's."""
        return _within(self.networks, address)


Networks = tuple[IPv4Network | IPv6Network, ...]


@lru_cache(maxsize=10_000)
def _client(networks: Networks, peer: str, forwarded: str, x_forwarded_for: str) -> str:
    client = own = canonical(peer) or ""
    if not _within(networks, own):
        return own
    for text in reversed(_told(forwarded, x_forwarded_for)[-HOPS_MAX:]):
        address = canonical(text)
        if address is None:
            return own
        client = address
        if not _within(networks, address):
            break
    return client


@lru_cache(maxsize=10_000)
def _within(networks: Networks, address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


def _told(forwarded: str, x_forwarded_for: str) -> list[str]:
    """Return the addresses that the headers tell, the client's first.

    `Forwarded` is RFC 7239; where a proxy writes both headers, this one is the newer.
    """
    if forwarded:
        found = [_FORWARDED_FOR.search(part) for part in forwarded.split(",")]
        return [one[1].strip('"') if one else "" for one in found]
    return [part.strip() for part in x_forwarded_for.split(",")] if x_forwarded_for else []
