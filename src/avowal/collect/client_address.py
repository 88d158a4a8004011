"""Find the address of the client of a request, also behind trusted proxies."""

import re
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_network

from avowal.logs.ip_address import canonicalise_address

DEFAULT_ADDRESS_HEADER = "X-Forwarded-For"
HOPS_MAX = 32
"""The most proxies between a client and us whose addresses are read."""

LINE_CHARACTERS_MAX = 8_192
"""The longest line of the header that is read; one that is longer counts as malformed."""

_FORWARDED = "forwarded"
_FORWARDED_PAIR = re.compile(
    r'\s*(?P<name>[!#$%&\'*+.^_`|~0-9A-Za-z-]+)=(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^",;\s]*))'
    r"\s*(?P<end>[;,]|$)"
)
_QUOTED_CHARACTER = re.compile(r"\\(.)")


@dataclass(frozen=True)
class TrustedProxies:
    """The trusted proxies, and the one header in which they name the client."""

    networks: tuple[tuple[bytes, bytes], ...]
    """The first and the last address of each network, packed."""
    address_header: str
    """The name of the header, in lower case."""

    @classmethod
    def parse(cls, networks: Iterable[str], address_header: str = DEFAULT_ADDRESS_HEADER) -> "TrustedProxies":
        """Parse networks such as `10.0.0.0/8`. Raises ValueError if one is not valid."""
        parsed = [ip_network(network) for network in networks]
        packed = tuple(
            (network.network_address.packed, network.broadcast_address.packed) for network in parsed
        )
        return cls(packed, address_header.lower())

    def find_client_address(self, peer: str, header_lines: Sequence[str] = ()) -> str:
        """Return the canonical address of the client behind `peer`; empty if it is unknown.

        `header_lines` are the values of the header that counts, in the order of its lines: together they are one list
        (RFC 9110, section 5.3). It is used only if the peer is trusted. It is read from the right, over trusted
        proxies, up to the first address that is not trusted: anything further left may be forged. If a text on this way
        is not an address, or there are more than `HOPS_MAX` proxies, the client is unknown, and trusted by nobody.
        """
        client = canonicalise_address(peer) or ""
        for hop_number, text in enumerate(self._read_hops(header_lines)):
            if not self._contains(client):
                break
            client = (canonicalise_address(text) or "") if "," not in text and hop_number < HOPS_MAX else ""
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

    def _read_hops(self, header_lines: Sequence[str]) -> Iterator[str]:
        """Yield the addresses in the header, the last proxy's first; empty text for what is malformed."""
        for line in reversed(header_lines):
            if len(line) > LINE_CHARACTERS_MAX:
                yield ""
            elif self.address_header == _FORWARDED:
                yield from reversed(_parse_forwarded(line))
            else:
                yield from (part.strip() for part in reversed(line.split(",")))


def _parse_forwarded(line: str) -> list[str]:
    """Return the addresses in a line of the header `Forwarded` (RFC 7239), the client's first.

    A malformed line gives one empty text, as nobody can say which of its parts the last proxy wrote.
    """
    addresses: list[str] = []
    position, element = 0, dict[str, str]()
    while match := _FORWARDED_PAIR.match(line, position):
        name, quoted = match["name"].lower(), match["quoted"]
        if name in element:
            return [""]
        element[name] = match["plain"] if quoted is None else _QUOTED_CHARACTER.sub(r"\1", quoted)
        position = match.end()
        if match["end"] != ";":
            addresses.append(element.get("for", ""))
            element = {}
        if not match["end"]:
            return addresses
    return [""]
