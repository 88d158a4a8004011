"""Access logs that real servers send by syslog become requests, as the terms permit, while the server runs."""

import http.client
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support.programs import NGINX_START, find_program, run_program
from support.running_server import RunningServer, free_port, start_server
from support.site import FIREFOX, Site, wait_until

SECRET = "s3cr3t"  # noqa: S105  # not a real secret
CONFIGS = {
    "nginx": NGINX_START
    + """    access_log syslog:server=127.0.0.1:{syslog} combined;
    server {{ listen 127.0.0.1:{port}; location / {{ return 200 "there"; }} }}
}}
""",
    "haproxy": """
global
    log 127.0.0.1:{syslog} format rfc3164 local0
defaults
    mode http
    log global
    option httplog
    timeout client 5s
    timeout connect 5s
    timeout server 5s
frontend here
    bind 127.0.0.1:{port}
    http-request return status 200 content-type text/plain string there
""",
    "haproxy over tcp": """
global
    log ring@sent format rfc5424 local0
ring sent
    format rfc5424
    maxlen 4096
    size 65536
    timeout connect 5s
    timeout server 10s
    server avowal 127.0.0.1:{syslog} log-proto octet-count
defaults
    mode http
    log global
    option httplog
    timeout client 5s
    timeout connect 5s
    timeout server 5s
frontend here
    bind 127.0.0.1:{port}
    http-request return status 200 content-type text/plain string there
""",
}
ARGUMENTS = {"nginx": ["-e", "{folder}/error.log", "-c", "{config}"], "haproxy": ["-f", "{config}"]}


@contextmanager
def run_server(name: str, folder: Path, syslog: int) -> Iterator[int]:
    """Run a server that sends its log to a port."""
    program = find_program(name.partition(" ")[0])
    port, config = free_port(), folder / "config"
    config.write_text(CONFIGS[name].format(folder=folder, port=port, syslog=syslog))
    arguments = [word.format(folder=folder, config=config) for word in ARGUMENTS[name.partition(" ")[0]]]
    with run_program([program, *arguments], port, folder / "output"):
        yield port


def site_with_syslog(folder: Path) -> tuple[Site, int]:
    folder.mkdir()
    syslog = free_port()
    return Site(folder).init(settings=f'[serve]\nsyslog_address = "127.0.0.1:{syslog}"\n'), syslog


@pytest.mark.parametrize("name", CONFIGS)
def test_a_real_server_sends_its_log(name: str, tmp_path: Path) -> None:
    """Requests arrive over UDP and TCP, and what the terms do not permit is in no file."""
    site, syslog = site_with_syslog(tmp_path / "site")
    with start_server(site) as server, run_server(name, tmp_path, syslog) as port:
        for number in range(3):
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
                connection.request("GET", f"/page/{number}?q={SECRET}", headers={"User-Agent": FIREFOX})
                assert connection.getresponse().read() == b"there"
        rows = server.wait_for_rows(
            "SELECT page_path, status FROM requests WHERE page_path LIKE '/page/%'",
            3,
        )
        assert sorted((row["page_path"], row["status"]) for row in rows) == [
            (f"/page/{number}", 200) for number in range(3)
        ]
        server.stop()
    for path in site.folder.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


def syslog_lines(*numbers: int) -> list[bytes]:
    now = datetime.now(UTC)
    return [
        f'<190>{now:%b %d %H:%M:%S} web nginx: 192.0.2.{number} - - [{now:%d/%b/%Y:%H:%M:%S} +0000] '
        f'"GET /{number} HTTP/1.1" 200 5 "-" "{FIREFOX}"'.encode()
        for number in numbers
    ]  # fmt: skip


def read_paths(server: RunningServer, count: int) -> set[str]:
    return {row["page_path"] for row in server.wait_for_rows("SELECT page_path FROM requests", count)}


def test_messages_arrive_in_each_framing(tmp_path: Path) -> None:
    """Messages with lengths, on lines or in pieces are all read, and invalid ones harm no other."""
    site, syslog = site_with_syslog(tmp_path / "site")
    with start_server(site) as server:
        one, two, three, four, five = syslog_lines(1, 2, 3, 4, 5)
        with socket.create_connection(("127.0.0.1", syslog)) as stream:
            stream.sendall(b"%d %s" % (len(one), one) + b"%d %s" % (len(two), two[:20]))
            stream.sendall(two[20:] + three + b"\r\n")
            stream.sendall(b"99999999 nonsense\n" + four + b"\n")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            for message in (b"", b"\x00\xff nonsense", five + b"\n", b"x" * 60_000):
                datagrams.sendto(message, ("127.0.0.1", syslog))
        assert read_paths(server, 5) == {"/1", "/2", "/3", "/4", "/5"}
        with socket.create_connection(("127.0.0.1", syslog)) as stream:
            stream.sendall(syslog_lines(6)[0] + b"\n" + b"y" * 200_000)
        assert "/6" in read_paths(server, 6)
        assert server.request("GET", "/readyz").status == 200


def test_lines_wait_until_their_format_is_detected(tmp_path: Path) -> None:
    """Lines before the first request are kept until then; a line of another program is counted as dropped."""
    site, syslog = site_with_syslog(tmp_path / "site")
    with start_server(site) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.sendto(b"<13>Nov 22 12:00:00 web cron: nothing of a request", ("127.0.0.1", syslog))
        wait_until(lambda: server.request("GET", "/readyz").status == 200, "the server is ready")
        for line in syslog_lines(1, 2):
            datagrams.sendto(line, ("127.0.0.1", syslog))
        assert read_paths(server, 2) == {"/1", "/2"}
        server.stop()
    assert site.rows("SELECT sum(line_count) FROM dropped_lines") == [(1,)]


def test_an_address_in_use_is_refused(tmp_path: Path) -> None:
    """The server does not start if it cannot listen for syslog."""
    site, syslog = site_with_syslog(tmp_path / "site")
    with (
        socket.create_server(("127.0.0.1", syslog)),
        site.start("serve", "--port", str(free_port())) as command,
    ):
        assert command.process.wait(60) == 1
        assert "cannot listen at" in command.read_output()
