"""Logs written by real servers."""

import http.client
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from avowal.logs.formats import create_parser, detect_format
from support.programs import APACHE_START, NGINX_START, find_program, run_program
from support.running_server import free_port
from support.site import wait_until

ODD_AGENT = 'Odd "quoted" \\agent/1.0 [x]'
REQUESTS = (
    ("GET", "/", "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0"),
    ("GET", "/page?q=a%20b&x=1", ODD_AGENT),
    ("HEAD", "/missing", "-"),
    ("POST", "/form%C3%A9", ""),
)
PATHS = [target.partition("?")[0] for _, target, _ in REQUESTS]

NGINX = (
    NGINX_START
    + """    {directive}
    access_log {log} {name};
    server {{ listen 127.0.0.1:{port}; location = /missing {{ return 404; }} location / {{ return 200 "there"; }} }}
}}
"""
)
PASTED = (
    'log_format timed \'$remote_addr|$time_iso8601|$status|"$request"|"$http_user_agent"|$request_time\';'
)
JSON = (
    'log_format json escape=json \'{"time_iso8601":"$time_iso8601","remote_addr":"$remote_addr",'
    '"request":"$request","status":$status,"http_user_agent":"$http_user_agent",'
    '"request_time":$request_time}\';'
)
APACHE = (
    APACHE_START
    + """LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
DocumentRoot {folder}
Redirect 404 /missing
Redirect 200 /
LogFormat "%v %h %l %u %t \\"%r\\" %>s %b \\"%{{Referer}}i\\" \\"%{{User-Agent}}i\\"" vhost
CustomLog {log} vhost
"""
)
HAPROXY = """
global
    log stdout format {syslog} local0
defaults
    mode http
    log global
    option httplog
    timeout client 5s
    timeout connect 5s
    timeout server 5s
frontend here
    bind 127.0.0.1:{port}
    http-request capture req.hdr(User-Agent) len 128
    http-request return status 404 if {{ path /missing }}
    http-request return status 200 content-type text/plain string there
"""
CADDY = """
{{
    admin off
    auto_https off
    storage file_system {folder}
}}
http://127.0.0.1:{port} {{
    log {{
        output file {log}
        format json
    }}
    respond /missing 404
    respond "there"
}}
"""


@dataclass(frozen=True)
class Server:
    """A server: its program, its configuration, how to start it, and the expected format of its log."""

    program: str
    config: str
    arguments: tuple[str, ...]
    format: str
    pasted: str = ""
    agents: bool = True


SERVERS = {
    "nginx combined": Server("nginx", NGINX, ("-c", "{config}"), "combined"),
    "nginx json": Server("nginx", NGINX, ("-c", "{config}"), "nginx-json"),
    "nginx pasted": Server("nginx", NGINX, ("-c", "{config}"), "", PASTED),
    "apache with virtual host": Server("apache2", APACHE, ("-X", "-f", "{config}"), "combined"),
    "haproxy": Server("haproxy", HAPROXY, ("-f", "{config}"), "haproxy"),
    "haproxy through syslog": Server("haproxy", HAPROXY, ("-f", "{config}"), "haproxy"),
    "caddy": Server("caddy", CADDY, ("run", "--config", "{config}", "--adapter", "caddyfile"), "caddy-json"),
}
NGINX_LOGS = {
    "nginx combined": ("", "combined"),
    "nginx json": (JSON, "json"),
    "nginx pasted": (PASTED, "timed"),
}


@contextmanager
def run_server(name: str, folder: Path, log: Path) -> Iterator[int]:
    """Run a server at a free port of the loopback until the block ends."""
    server = SERVERS[name]
    program = find_program(server.program)
    port, config = free_port(), folder / "config"
    directive, log_name = NGINX_LOGS.get(name, ("", ""))
    syslog = "rfc3164" if "syslog" in name else "raw"
    text = server.config.format(
        folder=folder, log=log, port=port, directive=directive, name=log_name, syslog=syslog
    )
    config.write_text(text, encoding="utf-8")
    arguments = [word.format(config=config) for word in server.arguments]
    with run_program([program, *arguments], port, folder / "output"):
        yield port


def send_requests(port: int) -> None:
    for method, target, agent in REQUESTS:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.putrequest(method, target, skip_accept_encoding=True)
            connection.putheader("User-Agent", agent)
            connection.putheader("Content-Length", "0")
            connection.endheaders()
            connection.getresponse().read()


def complete_lines(log: Path) -> str:
    return log.read_text(encoding="utf-8").rpartition("\n")[0]


@pytest.mark.parametrize("name", SERVERS)
def test_the_log_of_a_real_server_is_parsed(name: str, tmp_path: Path) -> None:
    """Each request is parsed with its method, path, query, status, user agent and time."""
    log = tmp_path / "access.log"
    before = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=2)
    with run_server(name, tmp_path, log) as port:
        log = tmp_path / "output" if name.startswith("haproxy") else log
        send_requests(port)
        wait_until(
            lambda: all(re.search(rf'[ "]{path}[ "?]', complete_lines(log)) for path in PATHS),
            "all are logged",
        )
    lines = log.read_text(encoding="utf-8").splitlines()
    server = SERVERS[name]
    reader = create_parser(server.pasted) if server.pasted else detect_format(lines).parser
    assert reader.name == (server.format or server.pasted)
    rows = reader.parse(pl.Series(lines)).requests.filter(pl.col("method").is_not_null()).rows(named=True)
    rows.sort(key=lambda row: PATHS.index(row["path"]))  # several threads may write lines in any order
    requests = [(row["method"], row["path"], row["query"], row["status"]) for row in rows]
    assert requests == [
        ("GET", "/", None, 200),
        ("GET", "/page", "q=a%20b&x=1", 200),
        ("HEAD", "/missing", None, 404),
        ("POST", "/form%C3%A9", None, 200),
    ]
    assert {row["address"] for row in rows} == {"127.0.0.1"}
    after = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=2)
    assert all(before <= row["time"] <= after for row in rows)
    assert rows[0]["user_agent"] == REQUESTS[0][2]
    if not name.startswith("haproxy"):  # HAProxy captures headers without names
        assert rows[1]["user_agent"] == ODD_AGENT
        assert rows[3]["user_agent"] == ""
