from ipaddress import IPv4Address, IPv6Address, ip_address

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avowal.logs.ip_address import normalise_addresses, truncate_addresses

CANONICAL = {
    "192.0.2.1": "192.0.2.1",
    "192.0.2.1:1234": "192.0.2.1",
    "2001:DB8:0:0::1": "2001:db8::1",
    "[2001:db8::1]": "2001:db8::1",
    "[2001:db8::1]:80": "2001:db8::1",
    "[2001:db8::1%eth0]:443": "2001:db8::1",
    "2001:db8::1%2": "2001:db8::1",
    "2001:db8:0:1:1:1:1:1": "2001:db8:0:1:1:1:1:1",
    "::ffff:192.0.2.1": "192.0.2.1",
    "::FFFF:c000:0201": "192.0.2.1",
    "[::ffff:192.0.2.1]:80": "192.0.2.1",
    "::1": "::1",
    "::192.0.2.1": "::c000:201",
    "192.0.2.1, 198.51.100.2": "192.0.2.1",
    "client.example.org": None,
    "192.0.2.xxx": None,
    "192.0.2.256": None,
    "192.0.2.01": None,
    "192.0.2": None,
    "2001:db8::1::2": None,
    "-": None,
    "": None,
    "١٩٢.0.2.1": None,
    "192.0.2.1\0": None,
}


@pytest.mark.parametrize(("logged", "canonical"), CANONICAL.items())
def test_an_address_has_one_canonical_form(logged: str, canonical: str | None) -> None:
    """Ports, brackets, zones and IPv4 mapping are removed; a text that is not an address gives null."""
    assert normalise_addresses(pl.Series([logged])).to_list() == [canonical]


def test_rows_keep_their_order_and_nulls() -> None:
    """Each row has the form of its own value, and null stays null."""
    logged = pl.Series("address", ["2001:DB8::2", None, "192.0.2.1", "2001:DB8::1", "-", "2001:DB8::2"])
    assert normalise_addresses(logged).to_list() == [
        "2001:db8::2",
        None,
        "192.0.2.1",
        "2001:db8::1",
        None,
        "2001:db8::2",
    ]
    assert normalise_addresses(logged.clear()).to_list() == []


@given(st.lists(st.ip_addresses() | st.text(), max_size=20))
def test_canonical_forms_match_the_standard_library(
    addresses: list[IPv4Address | IPv6Address | str],
) -> None:
    """The canonical form is that of RFC 5952, and normalising twice changes nothing."""
    logged = pl.Series([str(address) for address in addresses], dtype=pl.String)
    once = normalise_addresses(logged)
    assert normalise_addresses(once).to_list() == once.to_list()
    for address, canonical in zip(addresses, once, strict=True):
        if isinstance(address, IPv6Address):
            assert canonical == str(address.ipv4_mapped or address)
        elif isinstance(address, IPv4Address):
            assert canonical == str(address)
        elif canonical is not None:
            assert str(ip_address(canonical)) == canonical


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("2001:db8::1", "2001:db8::/48"),
        ("::1", "::/48"),
        (None, None),
        ("client.example.org", None),
    ],
)
def test_a_prefix_is_the_network_of_an_address(address: str | None, network: str | None) -> None:
    """The prefix is /24 for IPv4 and /48 for IPv6, and null for anything else."""
    assert truncate_addresses(pl.Series([address], dtype=pl.String), "prefix").to_list() == [network]


def test_an_unknown_precision_gives_null() -> None:
    """Only `full` keeps the whole address."""
    address = pl.Series(["192.0.2.77"])
    assert truncate_addresses(address, "full").to_list() == ["192.0.2.77"]
    assert truncate_addresses(address, "ful").to_list() == [None]
