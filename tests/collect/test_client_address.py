"""The address of the client, behind trusted proxies."""

import pytest

from avowal.collect.client_address import TrustedProxies

PROXIES = TrustedProxies.parse(["10.0.0.0/8", "2001:db8:ffff::/48"])


@pytest.mark.parametrize(
    ("peer", "x_forwarded_for", "client"),
    [
        ("203.0.113.7", "", "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.7, 10.9.9.9", "203.0.113.7"),
        ("10.0.0.1", "10.0.0.9, 10.0.0.8", "10.0.0.9"),
        ("10.0.0.1", "unknown, 203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "203.0.113.7, unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.7, , 10.0.0.2", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.7:4711", "203.0.113.7"),
        ("10.0.0.1", "::ffff:203.0.113.7", "203.0.113.7"),
        ("::ffff:10.0.0.1", "[2001:DB8::1]:80", "2001:db8::1"),
        ("2001:db8:ffff::1", "2001:db8::0:1", "2001:db8::1"),
        ("", "203.0.113.7", ""),
        ("unix:", "203.0.113.7", ""),
    ],
)
def test_only_trusted_proxies_set_the_client_address(peer: str, x_forwarded_for: str, client: str) -> None:
    """X-Forwarded-For is read from the right; if it is malformed, the address of the peer counts."""
    assert PROXIES.find_client_address(peer, "", x_forwarded_for) == client


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("for=203.0.113.7", "203.0.113.7"),
        ('for="[2001:db8::7]:4711";proto=https;by=10.0.0.1', "2001:db8::7"),
        ("for=198.51.100.1;by=x, proto=https;For=203.0.113.7", "203.0.113.7"),
        ("for=_hidden", "10.0.0.1"),
        ("proto=https", "10.0.0.1"),
        ("for=unknown, for=203.0.113.7", "203.0.113.7"),
    ],
)
def test_the_forwarded_header_takes_precedence(forwarded: str, client: str) -> None:
    """The header Forwarded of RFC 7239 is preferred to X-Forwarded-For."""
    assert PROXIES.find_client_address("10.0.0.1", forwarded, "198.51.100.99") == client
