"""The address that a server listens at."""

from pathlib import Path

import pytest

from avowal.server.http_server import ListenAddress


@pytest.mark.parametrize(
    ("address", "url"),
    [
        (ListenAddress("192.0.2.1", 8080), "http://192.0.2.1:8080/"),
        (ListenAddress("2001:db8::1", 8080), "http://[2001:db8::1]:8080/"),
        (ListenAddress("site.example", 443, Path("chain.pem"), Path("key.pem")), "https://site.example:443/"),
    ],
)
def test_the_address_of_the_home_page_is_a_url(address: ListenAddress, url: str) -> None:
    """An IPv6 address is in brackets, and the scheme is that of the certificate."""
    assert address.url == url
