"""The PROXY protocol: from a real HAProxy, torn anyhow, and from nobody who is not trusted."""

import http.client
import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from proxyprotocol.result import ProxyResultIPv4, ProxyResultIPv6
from proxyprotocol.v1 import ProxyProtocolV1
from proxyprotocol.v2 import ProxyProtocolV2

from avowal.server.proxy_protocol import MAX_HEADER_BYTES, MAX_V1_HEADER_BYTES, parse_proxy_header
from support.certificates import tls_context
from support.served import LOOK, SITE, Answer, Served, free_port
from support.site import FIREFOX, Site, wait_until

SETTINGS = f'[site]\nhost = "{SITE}"\n[serve]\nproxy_protocol = true\n'
HAPROXY = """
defaults
    mode tcp
    timeout client 5s
    timeout connect 5s
    timeout server 5s
frontend here
    bind 127.0.0.1:{port} {tls}
    default_backend avowal
backend avowal
    server avowal 127.0.0.1:{behind} {speaking}
"""


@contextmanager
def haproxy(folder: Path, behind: int, speaking: str, tls: str = "") -> Iterator[int]:
    """Run HAProxy before a server."""
    program = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/opt/homebrew/bin")
    if not program:
        pytest.skip("haproxy is not installed")
    port, config = free_port(), folder / "haproxy.cfg"
    config.write_text(HAPROXY.format(port=port, behind=behind, speaking=speaking, tls=tls))
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen([program, "-f", str(config)], stdout=said, stderr=said)
    try:
        wait_until(lambda: _listens(port), "haproxy listens")
        yield port
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "site").mkdir()
    return Site(tmp_path / "site").init(settings=SETTINGS)


@contextmanager
def proxied(site: Site) -> Iterator[Served]:
    """Run a server that is only to be reached through the protocol."""
    port = free_port()
    with site.started("serve", "--port", str(port)) as started:
        started.wait_for("serving")
        wait_until(lambda: _listens(port), "the server listens")
        yield Served(site, port, started)


def raw(port: int, *parts: bytes) -> bytes:
    """Send bytes, and return all that comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for part in parts:
            connection.sendall(part)
        found = b""
        try:
            while part := connection.recv(65_536):
                found += part
        except ConnectionResetError:
            pass
        return found


ASKING = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def told(port: int, tls: ssl.SSLContext | None = None) -> Answer:
    """Tell of a look at a page, from an address of the loopback that is not the proxy's."""
    made: dict[str, Any] = {"source_address": ("127.0.0.9", 0), "timeout": 10}
    connection = (
        http.client.HTTPSConnection("127.0.0.1", port, context=tls, **made)
        if tls
        else http.client.HTTPConnection("127.0.0.1", port, **made)
    )
    with closing(connection):
        event = {
            "script_view_token": LOOK,
            "url": f"https://{SITE}/a",
            "elapsed_ms": 0,
            "visible_ms": 0,
        }
        connection.request("POST", "/collect", json.dumps(event), {"User-Agent": FIREFOX, "Host": SITE})
        answer = connection.getresponse()
        return Answer(
            answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        )


@pytest.mark.parametrize("speaking", ["send-proxy", "send-proxy-v2"])
def test_haproxy_says_whose_a_connection_is(site: Site, tmp_path: Path, speaking: str) -> None:
    """The visitor's address is that of whoever connected to it."""
    with proxied(site) as server, haproxy(tmp_path, server.port, speaking) as port:
        assert told(port).status == 202
        (row,) = server.kept(
            "SELECT ip_address FROM requests UNION ALL SELECT ip_address FROM script_views", 1
        )
        assert row["ip_address"] == "127.0.0.9"


def test_haproxy_says_that_the_browser_speaks_https(site: Site, tmp_path: Path) -> None:
    """So that the cookie can be set; without that word, it cannot."""
    tls_context(tmp_path, 20)
    (tmp_path / "both.pem").write_bytes(
        (tmp_path / "cert.pem").read_bytes() + (tmp_path / "key.pem").read_bytes()
    )
    trusting = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    with proxied(site) as server:
        for speaking, secure in (("send-proxy-v2-ssl", True), ("send-proxy-v2", False)):
            with haproxy(tmp_path, server.port, speaking, f"ssl crt {tmp_path / 'both.pem'}") as port:
                answer = told(port, trusting)
                assert (answer.status, "set-cookie" in answer.headers) == (202, secure)


V1 = ProxyProtocolV1().pack(ProxyResultIPv4((IPv4Address("192.0.2.7"), 1), (IPv4Address("192.0.2.1"), 80)))
V2 = ProxyProtocolV2().pack(
    ProxyResultIPv6((IPv6Address("2001:db8::7"), 1), (IPv6Address("2001:db8::1"), 80))
)
LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"


def test_only_connections_that_begin_so_are_heard(site: Site) -> None:
    """Torn anyhow, and with a request in the same piece or later; whatever else comes is closed without an answer."""
    with proxied(site) as server:
        for begin in (V1, V2, LOCAL, b"PROXY UNKNOWN\r\n"):
            assert raw(server.port, begin + ASKING).endswith(b"ok\n")
            assert raw(server.port, *(bytes([one]) for one in begin + ASKING)).endswith(b"ok\n")
        for begin in (
            b"",
            b"PROXY TCP4 x y 1 2\r\n",
            b"PROXY " + b"x" * MAX_V1_HEADER_BYTES,
            V2[:12] + b"\x31" + V2[13:],
        ):
            assert raw(server.port, begin + ASKING) == b""
        assert raw(server.port, V1 + ASKING).endswith(b"ok\n")
        assert raw(server.port, V1[:9]) == b""


def test_others_than_proxies_are_not_heard(site: Site) -> None:
    """Whoever is in no trusted network could say anything."""
    (site.folder / "avowal.toml").write_text(f'{SETTINGS}trusted_proxies = ["192.0.2.0/24"]\n')
    with proxied(site) as server:
        assert raw(server.port, V1 + ASKING) == b""


def test_it_excludes_tls(site: Site, tmp_path: Path) -> None:
    """The one comes before the other: that is said, and nothing is served."""
    tls_context(tmp_path, 20)
    ran = site.avowal("serve", "--tls-cert", tmp_path / "cert.pem", "--tls-key", tmp_path / "key.pem")
    assert (ran.status, ran.code) == (2, "conflicting-options")


@given(st.binary(max_size=200), st.sampled_from([b"", V1, V2, V1[:6], V2[:16]]))
def test_whatever_comes_is_read_or_refused(data: bytes, begin: bytes) -> None:
    """No bytes give anything else than a beginning, a wish for more, or a ValueError."""
    with suppress(ValueError):
        if read := parse_proxy_header(begin + data):
            assert read[1] <= len(begin + data)


@pytest.mark.parametrize("begin", [V1, V2, LOCAL])
def test_a_beginning_is_whole_or_not(begin: bytes) -> None:
    """At each place where it may be torn; and what follows is not read."""
    assert all(parse_proxy_header(begin[:place]) is None for place in range(len(begin)))
    assert [parse_proxy_header(begin + rest)[1] for rest in (b"", b"G", begin)] == [len(begin)] * 3  # type: ignore[index]


def test_no_beginning_is_awaited_for_ever() -> None:
    """A line ends soon, and lengths are bounded."""
    with pytest.raises(ValueError, match="longer"):
        parse_proxy_header(b"PROXY TCP4 " + b"1" * MAX_V1_HEADER_BYTES)
    with pytest.raises(ValueError, match="longer"):
        parse_proxy_header(LOCAL[:14] + b"\xff\xff" + b"x" * MAX_HEADER_BYTES)
