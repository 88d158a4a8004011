"""The address of the client, behind trusted proxies."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from avowal.collect.client_address import HOPS_MAX, LINE_CHARACTERS_MAX, TrustedProxies
from avowal.logs.ip_address import canonicalise_address

NETWORKS = ["10.0.0.0/8", "2001:db8:ffff::/48"]
PROXIES = TrustedProxies.parse(NETWORKS)
FORWARDED = TrustedProxies.parse(NETWORKS, "Forwarded")
PROXY, CLIENT = "10.0.0.1", "203.0.113.7"


@pytest.mark.parametrize(
    ("peer", "lines", "client"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1", "203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1, 203.0.113.7, 10.9.9.9"], "203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1, 203.0.113.7", "10.9.9.9", "10.9.9.8"], "203.0.113.7"),
        ("10.0.0.1", ["10.0.0.9, 10.0.0.8"], "10.0.0.9"),
        ("10.0.0.1", ["unknown, 203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7, unknown"], ""),
        ("10.0.0.1", ["203.0.113.7, , 10.0.0.2"], ""),
        ("10.0.0.1", ["203.0.113.7", ""], ""),
        ("10.0.0.1", [""], ""),
        ("10.0.0.1", ["for=203.0.113.7"], ""),
        ("10.0.0.1", ["203.0.113.7:4711"], "203.0.113.7"),
        ("10.0.0.1", ["::ffff:203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7" + ", 10.0.0.2" * (HOPS_MAX - 1)], "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7" + ", 10.0.0.2" * HOPS_MAX], ""),
        ("10.0.0.1", ["203.0.113.7, " + " " * LINE_CHARACTERS_MAX + "10.0.0.2"], ""),
        ("::ffff:10.0.0.1", ["[2001:DB8::1]:80"], "2001:db8::1"),
        ("2001:db8:ffff::1", ["2001:db8::0:1"], "2001:db8::1"),
        ("", ["203.0.113.7"], ""),
        ("unix:", ["203.0.113.7"], ""),
    ],
)
def test_only_trusted_proxies_set_the_client_address(peer: str, lines: list[str], client: str) -> None:
    """The list is read from the right over trusted proxies; if a text on the way is malformed, the client is unknown."""
    assert PROXIES.find_client_address(peer, lines) == client


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        (["for=203.0.113.7"], "203.0.113.7"),
        (['for="[2001:db8::7]:4711";proto=https;by=10.0.0.1'], "2001:db8::7"),
        (["for=198.51.100.1;by=x, proto=https;For=203.0.113.7"], "203.0.113.7"),
        (['for="198.51.100.1, for=198.51.100.2", for="203.0.113.7"'], "203.0.113.7"),
        ([r'for="\203.0.113.7"'], "203.0.113.7"),
        (['for="', "for=203.0.113.7"], "203.0.113.7"),
        (['for=", for=203.0.113.7'], ""),
        (['for="203.0.113.7, 198.51.100.1"'], ""),
        (["for=203.0.113.7;for=198.51.100.1"], ""),
        (["for=_hidden"], ""),
        (["proto=https"], ""),
        (["203.0.113.7"], ""),
        (["for=203.0.113.7;"], ""),
        (["for=203.0.113.7,"], ""),
        (["for=unknown, for=203.0.113.7"], "203.0.113.7"),
    ],
)
def test_the_forwarded_header_is_read_by_its_grammar(lines: list[str], client: str) -> None:
    """`Forwarded` is read as RFC 7239 defines it; a line that is malformed names nobody."""
    assert FORWARDED.find_client_address("10.0.0.1", lines) == client


def find_by_model(peer: str, lines: list[str]) -> str:
    """Return the client's address by a walk over all parts of the header at once."""
    parts = [part.strip() for part in ",".join(lines).split(",")] if lines else []
    trusted = re.compile(r"10\.|2001:db8:ffff:")
    walk = [peer, *reversed(parts)]
    addresses = [canonicalise_address(text) or "" for text in walk]
    stop = next(
        (number for number, address in enumerate(addresses) if not trusted.match(address)), len(walk) - 1
    )
    return addresses[stop]


ADDRESSES = st.sampled_from(
    ["10.0.0.2", "10.255.0.3", "2001:db8:ffff::9", CLIENT, "2001:db8::7", "192.0.2.1"]
)
HOPS = st.one_of(
    ADDRESSES, st.sampled_from(["", "unknown", "_x", " 10.0.0.4 ", "[2001:db8::8]:80", "10.0.0.5:1"])
)
VISITOR_LINES = st.lists(
    st.one_of(st.lists(HOPS, max_size=4).map(", ".join), st.text(st.characters(max_codepoint=255), max_size=60)),
    max_size=4,
)  # fmt: skip
PROXY_HOPS = st.lists(st.sampled_from(["10.0.0.2", "10.9.9.9:80", "2001:db8:ffff::1"]), max_size=5)


@given(peer=ADDRESSES, lines=st.lists(st.lists(HOPS, min_size=1, max_size=4).map(", ".join), max_size=4))
def test_the_walk_equals_that_of_the_model(peer: str, lines: list[str]) -> None:
    """The client is the first address that is not trusted, from the right."""
    assert PROXIES.find_client_address(peer, lines) == find_by_model(peer, lines)


@given(
    peer=ADDRESSES.filter(lambda address: not address.startswith(("10.", "2001:db8:ffff:"))),
    lines=VISITOR_LINES,
)
def test_an_untrusted_peer_is_the_client(peer: str, lines: list[str]) -> None:
    """No header changes the address of a client that connects without a trusted proxy."""
    for proxies in (PROXIES, FORWARDED):
        assert proxies.find_client_address(peer, lines) == peer


@given(forged=VISITOR_LINES, hops=PROXY_HOPS)
@example(forged=['for="'], hops=[])
def test_nothing_that_a_visitor_sends_changes_the_address(forged: list[str], hops: list[str]) -> None:
    """If the first proxy appends the visitor's address, to the last line or as its own line, it is what counts."""
    appended = ", ".join([CLIENT, *hops])
    assert PROXIES.find_client_address(PROXY, [*forged, appended]) == CLIENT
    if forged:
        assert PROXIES.find_client_address(PROXY, [*forged[:-1], f"{forged[-1]}, {appended}"]) == CLIENT
    elements = ", ".join(f'for="{hop}"' for hop in [CLIENT, *hops])
    assert FORWARDED.find_client_address(PROXY, [*forged, elements]) == CLIENT
    if forged:
        joined = FORWARDED.find_client_address(PROXY, [*forged[:-1], f"{forged[-1]}, {elements}"])
        assert joined in {CLIENT, ""}
