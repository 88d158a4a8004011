"""Find the address of the client of a request, also behind trusted proxies."""

import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_network

from avowal.logs.ip_address import canonicalise_address

_FORWARDED_FOR = re.compile(r'(?:^|;)\s*for\s*=\s*("[^"]*"|[^;"]*)\s*(?=;|$)', re.IGNORECASE)
HOPS_MAX = 32
"""The most proxies between a client and us whose addresses are read."""


@dataclass(frozen=True)
class TrustedProxies:
    """The networks of trusted proxies: the first and the last address of each, packed."""

    networks: tuple[tuple[bytes, bytes], ...]

    @classmethod
    def parse(cls, networks: Iterable[str]) -> "TrustedProxies":
        """Parse networks such as `10.0.0.0/8`. Raises ValueError if one is not valid."""
        parsed = [ip_network(network) for network in networks]
        return cls(
            tuple((network.network_address.packed, network.broadcast_address.packed) for network in parsed)
        )

    def find_client_address(self, peer: str, forwarded: str = "", x_forwarded_for: str = "") -> str:
        """Return the canonical address of the client behind `peer`. The other arguments are headers.

        The headers are used only if the peer is trusted. They are read from the right, over trusted proxies, up to the
        first address that is not trusted: anything further left may be forged. If an address is malformed, the address
        of the peer is returned.
        """
        client = peer_address = canonicalise_address(peer) or ""
        if not self._contains(peer_address):
            return peer_address
        for text in reversed(_parse_forwarding_headers(forwarded, x_forwarded_for)[-HOPS_MAX:]):
            address = canonicalise_address(text)
            if address is None:
                return peer_address
            client = address
            if not self._contains(address):
                break
        return client

    def is_trusted(self, address: str) -> bool:
        """Return whether an address belongs to a trusted proxy."""
        return self._contains(canonicalise_address(address) or "")

    def _contains(self, address: str) -> bool:
        """Return whether a canonical address is in one of the networks. Empty text is not."""
        if not address:
            return False
        packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
        return any(len(first) == len(packed) and first <= packed <= last for first, last in self.networks)


def _parse_forwarding_headers(forwarded: str, x_forwarded_for: str) -> list[str]:
    """Return the addresses in the headers, the client's first.

    `Forwarded` (RFC 7239) is preferred if both headers are present, because it is the newer one.
    """
    if forwarded:
        matches = [_FORWARDED_FOR.search(part) for part in forwarded.split(",")]
        return [match[1].strip('"') if match else "" for match in matches]
    return [part.strip() for part in x_forwarded_for.split(",")] if x_forwarded_for else []
