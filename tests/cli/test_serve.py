"""`avowal serve`: what it says before it serves, and why it refuses."""

import socket
from pathlib import Path

from support.site import Site


def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    """The server says where it would listen, and that it cannot."""
    site = Site(tmp_path).init()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = site.avowal("serve", "--port", port)
    assert (result.status, result.code) == (1, "address-in-use"), result.err
    assert f"serving http://127.0.0.1:{port}/" in result.err


def test_the_address_is_shown_as_it_was_given(tmp_path: Path) -> None:
    """Brackets in a host are shown, not interpreted as a style."""
    result = Site(tmp_path).init().avowal("serve", "--host", "[red]", "--port", "1")
    assert (result.status, result.code) == (1, "address-in-use"), result.err
    assert "serving http://[red]:1/" in result.err
