"""Whose address a request bears: the peer's, or what proxies that are trusted say of the one before them."""

import re
from collections.abc import Iterable, Mapping
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

    def client(self, peer: str, headers: Mapping[str, str]) -> str:
        """Return the address of the client behind `peer`, in its canonical form.

        The headers count only where the peer is trusted. They are walked from the right, over proxies that are trusted
        themselves, to the first that is not: whoever that is wrote what stands further left. What is malformed makes
        all of it worthless, and the peer counts.
        """
        own = canonical(peer) or ""
        if not self.trusts(own):
            return own
        told = _told(headers)
        if told is None:
            return own
        client = own
        for text in reversed(told[-HOPS_MAX:]):
            address = canonical(text)
            if address is None:
                return own
            client = address
            if not self.trusts(address):
                break
        return client

    def trusts(self, address: str) -> bool:
        """Return whether an address is a trusted proxy's."""
        return _within(self.networks, address)


@lru_cache(maxsize=10_000)
def _within(networks: tuple[IPv4Network | IPv6Network, ...], address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


def _told(headers: Mapping[str, str]) -> list[str] | None:
    """Return the addresses that the headers tell, the client's first; None where there are none.

    `Forwarded` is RFC 7239; where a proxy writes both headers, this one is the newer.
    """
    if forwarded := headers.get("forwarded"):
        found = [_FORWARDED_FOR.search(part) for part in forwarded.split(",")]
        return [one[1].strip('"') if one else "" for one in found]
    if listed := headers.get("x-forwarded-for"):
        return [part.strip() for part in listed.split(",")]
    return None
