"""The PROXY protocol: read from a real HAProxy in any pieces, and accepted from trusted proxies only."""

import http.client
import json
import socket
import ssl
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
from support.programs import find_program, is_listening, run_program
from support.running_server import SCRIPT_VIEW_TOKEN, SITE, Answer, RunningServer, free_port
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
    server avowal 127.0.0.1:{behind} {option}
"""


@contextmanager
def run_haproxy(folder: Path, server_port: int, option: str, tls: str = "") -> Iterator[int]:
    """Run HAProxy before a server; yields its port."""
    program = find_program("haproxy")
    port, config = free_port(), folder / "haproxy.cfg"
    config.write_text(HAPROXY.format(port=port, behind=server_port, option=option, tls=tls))
    with run_program([program, "-f", str(config)], port, folder / "output"):
        yield port


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "site").mkdir()
    return Site(tmp_path / "site").init(settings=SETTINGS)


@contextmanager
def run_server(site: Site) -> Iterator[RunningServer]:
    """Run a server that requires the PROXY protocol."""
    port = free_port()
    with site.start("serve", "--port", str(port)) as command:
        command.wait_for("serving")
        wait_until(lambda: is_listening(port), "the server to listen")
        yield RunningServer(site, port, command)


def send_raw(port: int, *parts: bytes) -> bytes:
    """Send bytes in parts; returns all that is received."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for part in parts:
            connection.sendall(part)
        received = b""
        try:
            while part := connection.recv(65_536):
                received += part
        except ConnectionResetError:
            pass
        return received


REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def send_event(port: int, tls: ssl.SSLContext | None = None) -> Answer:
    """Send an event from a loopback address that is not the proxy's."""
    options: dict[str, Any] = {"source_address": ("127.0.0.9", 0), "timeout": 10}
    connection = (
        http.client.HTTPSConnection("127.0.0.1", port, context=tls, **options)
        if tls
        else http.client.HTTPConnection("127.0.0.1", port, **options)
    )
    with closing(connection):
        event = {
            "script_view_token": SCRIPT_VIEW_TOKEN,
            "url": f"https://{SITE}/a",
            "elapsed_ms": 0,
            "visible_ms": 0,
        }
        connection.request("POST", "/collect", json.dumps(event), {"User-Agent": FIREFOX, "Host": SITE})
        response = connection.getresponse()
        return Answer(
            response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        )


@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2"])
def test_the_visitor_address_comes_from_haproxy(site: Site, tmp_path: Path, option: str) -> None:
    """The stored address is that of the client that connected to HAProxy."""
    with run_server(site) as server, run_haproxy(tmp_path, server.port, option) as port:
        assert send_event(port).status == 202
        (row,) = server.wait_for_rows(
            "SELECT ip_address FROM requests UNION ALL SELECT ip_address FROM script_views", 1
        )
        assert row["ip_address"] == "127.0.0.9"


def test_https_at_haproxy_permits_the_cookie(site: Site, tmp_path: Path) -> None:
    """The cookie is set if HAProxy reports TLS, and otherwise not."""
    tls_context(tmp_path, 20)
    (tmp_path / "both.pem").write_bytes(
        (tmp_path / "cert.pem").read_bytes() + (tmp_path / "key.pem").read_bytes()
    )
    client_tls = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    with run_server(site) as server:
        for option, secure in (("send-proxy-v2-ssl", True), ("send-proxy-v2", False)):
            with run_haproxy(tmp_path, server.port, option, f"ssl crt {tmp_path / 'both.pem'}") as port:
                answer = send_event(port, client_tls)
                assert (answer.status, "set-cookie" in answer.headers) == (202, secure)


V1 = ProxyProtocolV1().pack(ProxyResultIPv4((IPv4Address("192.0.2.7"), 1), (IPv4Address("192.0.2.1"), 80)))
V2 = ProxyProtocolV2().pack(
    ProxyResultIPv6((IPv6Address("2001:db8::7"), 1), (IPv6Address("2001:db8::1"), 80))
)
LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"


def test_a_connection_must_begin_with_a_valid_header(site: Site) -> None:
    """A valid header is read in any pieces; any other connection is closed without a response."""
    with run_server(site) as server:
        for header in (V1, V2, LOCAL, b"PROXY UNKNOWN\r\n"):
            assert send_raw(server.port, header + REQUEST).endswith(b"ok\n")
            assert send_raw(server.port, *(bytes([byte]) for byte in header + REQUEST)).endswith(b"ok\n")
        for header in (
            b"",
            b"PROXY TCP4 x y 1 2\r\n",
            b"PROXY " + b"x" * MAX_V1_HEADER_BYTES,
            V2[:12] + b"\x31" + V2[13:],
        ):
            assert send_raw(server.port, header + REQUEST) == b""
        assert send_raw(server.port, V1 + REQUEST).endswith(b"ok\n")
        assert send_raw(server.port, V1[:9]) == b""


def test_a_client_that_the_proxy_does_not_know_is_nobody(site: Site) -> None:
    """Without an address in the proxy's header, a header of the request names no trusted client instead."""
    request = REQUEST.replace(b"/healthz", b"/metrics").replace(
        b"Host: x", b"Host: x\r\nX-Forwarded-For: 127.0.0.1"
    )
    with run_server(site) as server:
        for header in (LOCAL, b"PROXY UNKNOWN\r\n"):
            assert send_raw(server.port, header + request).startswith(b"HTTP/1.1 404 ")


def test_a_header_of_an_untrusted_address_is_refused(site: Site) -> None:
    """A connection from outside the trusted networks is closed, whatever header it sends."""
    (site.folder / "avowal.toml").write_text(f'{SETTINGS}trusted_proxies = ["192.0.2.0/24"]\n')
    with run_server(site) as server:
        assert send_raw(server.port, V1 + REQUEST) == b""


def test_the_proxy_protocol_excludes_tls(site: Site, tmp_path: Path) -> None:
    """The PROXY protocol together with TLS options is refused."""
    tls_context(tmp_path, 20)
    result = site.avowal("serve", "--tls-cert", tmp_path / "cert.pem", "--tls-key", tmp_path / "key.pem")
    assert (result.status, result.code) == (2, "conflicting-options")


@given(st.binary(max_size=200), st.sampled_from([b"", V1, V2, V1[:6], V2[:16]]))
def test_any_bytes_are_read_or_refused(data: bytes, start: bytes) -> None:
    """Any bytes give a header, a request for more, or a ValueError, and nothing else."""
    with suppress(ValueError):
        if header := parse_proxy_header(start + data):
            assert header[1] <= len(start + data)


@pytest.mark.parametrize("header", [V1, V2, LOCAL])
def test_a_header_is_read_once_it_is_complete(header: bytes) -> None:
    """An incomplete header gives nothing; a complete one is read without the bytes after it."""
    assert all(parse_proxy_header(header[:length]) is None for length in range(len(header)))
    assert [parse_proxy_header(header + rest)[1] for rest in (b"", b"G", header)] == [len(header)] * 3  # type: ignore[index]


def test_a_header_has_a_maximum_length() -> None:
    """A header line without an end, or with too great a length, is refused."""
    with pytest.raises(ValueError, match="longer"):
        parse_proxy_header(b"PROXY TCP4 " + b"1" * MAX_V1_HEADER_BYTES)
    with pytest.raises(ValueError, match="longer"):
        parse_proxy_header(LOCAL[:14] + b"\xff\xff" + b"x" * MAX_HEADER_BYTES)
