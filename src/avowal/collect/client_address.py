"""Whose address a request bears: the peer's, or what proxies that are trusted say of the one before them."""

import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_network

from avowal.logs.ip_address import canonicalise_address

_FORWARDED_FOR = re.compile(r'(?:^|;)\s*for\s*=\s*("[^"]*"|[^;"]*)\s*(?=;|$)', re.IGNORECASE)
HOPS_MAX = 32
"""How many proxies may stand in a row: nobody has more."""


@dataclass(frozen=True)
class TrustedProxies:
    """The networks of the proxies that are trusted to say whom they speak for: the first and last address of each."""

    networks: tuple[tuple[bytes, bytes], ...]

    @classmethod
    def parse(cls, networks: Iterable[str]) -> "TrustedProxies":
        """Read networks, as `10.0.0.0/8`. Raises ValueError where one is none."""
        read = [ip_network(network) for network in networks]
        return cls(tuple((one.network_address.packed, one.broadcast_address.packed) for one in read))

    def find_client_address(self, peer: str, forwarded: str = "", x_forwarded_for: str = "") -> str:
        """Return the address of the client behind `peer`, in its canonical form; the others are headers.

        They count only where the peer is trusted. They are walked from the right, over proxies that are trusted
        themselves, to the first that is not: whoever that is wrote what stands further left. What is malformed makes
        all of it worthless, and the peer counts.
        """
        client = own = canonicalise_address(peer) or ""
        if not self._has(own):
            return own
        for text in reversed(_told(forwarded, x_forwarded_for)[-HOPS_MAX:]):
            address = canonicalise_address(text)
            if address is None:
                return own
            client = address
            if not self._has(address):
                break
        return client

    def is_trusted(self, address: str) -> bool:
        """Return whether an address is a trusted proxy's."""
        return self._has(canonicalise_address(address) or "")

    def _has(self, address: str) -> bool:
        """Tell of a canonical address, or of an empty one, whether it is in a network."""
        if not address:
            return False
        packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
        return any(len(first) == len(packed) and first <= packed <= last for first, last in self.networks)


def _told(forwarded: str, x_forwarded_for: str) -> list[str]:
    """Return the addresses that the headers tell, the client's first.

    `Forwarded` is RFC 7239; where a proxy writes both headers, this one is the newer.
    """
    if forwarded:
        found = [_FORWARDED_FOR.search(part) for part in forwarded.split(",")]
        return [one[1].strip('"') if one else "" for one in found]
    return [part.strip() for part in x_forwarded_for.split(",")] if x_forwarded_for else []
