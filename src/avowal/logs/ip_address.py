"""Normalise IP addresses, and truncate them to their network."""

import re
import socket
from ipaddress import IPv6Address

import polars as pl

from avowal.logs.distinct_values import map_distinct_texts

OCTET_REGEX = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
IPV4_REGEX = rf"{OCTET_REGEX}(?:\.{OCTET_REGEX}){{3}}"
_GROUP = "[1-9a-f][0-9a-f]{0,3}"
_SHORTENED = "|".join(f"(?:{_GROUP}:){{{n}}}(?::|(?::{_GROUP}){{1,{6 - n}}})" for n in range(1, 6))
CANONICAL_ADDRESS_REGEX = rf"^(?:{IPV4_REGEX}|(?:{_GROUP}:){{7}}{_GROUP}|{_SHORTENED})$"
"""A regex of addresses that are surely canonical: in an IPv6 address only the groups replaced by `::` are zero."""

_WITH_PORT = re.compile(r"(?:\[([^\]]*)\]|([^:]*))(?::[0-9]*)?")
_MAPPED = bytes(10) + b"\xff\xff"
_PREFIX_BYTES = 6  # /48


def normalise_addresses(addresses: pl.Series) -> pl.Series:
    """Return addresses in canonical form (RFC 5952), without port, brackets and zone.

    An IPv4 address mapped into IPv6 becomes the IPv4 address. A list of addresses becomes its first. Anything else (a
    host name, a masked address, `-`) becomes null.

    >>> normalise_addresses(pl.Series(["192.0.2.1:80", "[2001:DB8:0::1%eth0]:443", "192.0.2.x"])).to_list()
    ['192.0.2.1', '2001:db8::1', None]
    """
    canonical = addresses.str.contains(CANONICAL_ADDRESS_REGEX).fill_null(value=False)
    if canonical.all():
        return addresses
    others = map_distinct_texts(
        addresses.set(canonical, None), lambda text: [canonicalise_address(text)], ["address"]
    )["address"]
    return addresses.zip_with(canonical, others)


def canonicalise_address(text: str) -> str | None:
    """Return one address in canonical form, or None if the text is not an address."""
    text = text.partition(",")[0].strip()
    if match := _WITH_PORT.fullmatch(text):
        text = match[1] or match[2]
    text = text.partition("%")[0]
    try:
        if ":" not in text:
            return socket.inet_ntop(socket.AF_INET, socket.inet_pton(socket.AF_INET, text))
        packed = socket.inet_pton(socket.AF_INET6, text)
    except (OSError, ValueError):  # ValueError: a null character, or a character outside ASCII
        return None
    if packed.startswith(_MAPPED):
        return socket.inet_ntop(socket.AF_INET, packed[len(_MAPPED) :])
    # inet_ntop is seven times as fast, but writes addresses of ::/96 as deprecated IPv4-compatible ones
    return socket.inet_ntop(socket.AF_INET6, packed) if any(packed[:12]) else str(IPv6Address(packed))


def truncate_addresses(addresses: pl.Series, precision: str) -> pl.Series:
    """Truncate normalised addresses to a precision of the terms: `full` or `prefix`.

    `prefix` is the network: /24 of IPv4, /48 of IPv6. Any other precision gives null, and so does text that is not an
    address.

    >>> truncate_addresses(pl.Series(["192.0.2.77", "2001:db8:1:2::3"]), "prefix").to_list()
    ['192.0.2.0/24', '2001:db8:1::/48']
    """
    if precision == "full":
        return addresses
    if precision != "prefix":
        return pl.Series(addresses.name, [None] * len(addresses), dtype=pl.String)
    is_ipv4 = addresses.str.contains(f"^{IPV4_REGEX}$").fill_null(value=False)
    others = map_distinct_texts(
        addresses.set(is_ipv4, None), lambda text: [_truncate_ipv6(text)], ["address"]
    )["address"]
    return addresses.str.replace(r"[0-9]+$", "0/24").zip_with(is_ipv4, others)


def _truncate_ipv6(text: str) -> str | None:
    try:
        packed = socket.inet_pton(socket.AF_INET6, text)
    except (OSError, ValueError):
        return None
    prefix = packed[:_PREFIX_BYTES]
    return f"{IPv6Address(prefix + bytes(len(packed) - len(prefix)))}/48"


def truncate_to_network(text: str) -> str | None:
    """Return the network of one normalised address."""
    network: str | None = truncate_addresses(pl.Series([text], dtype=pl.String), "prefix")[0]
    return network
