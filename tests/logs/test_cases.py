"""Small inputs of situations that operators reported, and odd ones that were always right."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from avowal.ingest.importer import _read_sample
from avowal.logs.formats import create_parser, detect_format
from avowal.logs.log_file import open_log

CASES = Path(__file__).parents[2].parent / "shared" / "data" / "cases"
XFF = (
    '$http_X_Forwarded_For - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer"'
    ' "$http_user_agent"'
)
TEMPLATE = '{"t":"$time_iso8601","a":"$remote_addr","r":"$request","s":$status,"n":$request_length}'

EXPECTED: dict[str, tuple[str, int, dict[str, Any]]] = {
    "apache-json-duration-us.log": ("", 1, {"path": "/index/apps", "query": "x=1", "response_time_us": None, "bytes": 1200}),
    "caddy-stderr-default-real.log": ("", 5, {"path": "/", "status": 200}),
    "haproxy-clf-real.log": ("", 2, {"path": "/a", "query": "b=1", "user_agent": None, "referrer": None}),
    "matomo-nginx-json.log": ("", 2, {"address": "192.0.2.10", "bytes": 915, "method": "GET", "path": "/start"}),
    "nginx-upper-case-xff.log": (XFF, 1, {"address": "192.0.2.99"}),
    "nginx-upper-case-variables.log": ("", 1, {"address": "10.0.0.1"}),
    "ingress-nginx-new.log": ("", 2, {"address": "192.0.2.3", "path": "/en/resources", "response_time_us": 102_000}),
    "npm-proxy-host.log": ("", 2, {"address": "192.0.2.60", "host": "www.example.org", "path": "/api/v3/series"}),
    "openlitespeed-quoted-line.log": ("", 2, {"address": "192.0.2.1", "path": "/a"}),
    "envoy-default.log": ("", 1, {"address": "192.0.2.49", "host": "www.example.org", "path": "/headers"}),
    "lighttpd-default.log": ("", 2, {"address": "192.0.2.8", "host": "www.example.org", "path": "/a"}),
    "gcp-lb-json.log": (
        "", 1, {"address": "192.0.2.61", "path": "/themes/page", "status": 200, "response_time_us": 1115},
    ),
    "gcp-log-explorer-array.json": ("", 1, {"address": "192.0.2.62", "path": "/x", "response_time_us": 186}),
    "docker-json-file.log": ("", 2, {"address": "192.0.2.123", "path": "/storage/clients"}),
    "json-nested-under-a-name.log": ("", 1, {"address": "192.0.2.62", "path": "/x", "bytes": 24162}),
    "json-array-one-object-a-line.json": ("", 2, {"address": "192.0.2.1", "path": "/a"}),
    "json-escape-word-before.log": ("", 1, {"address": "192.0.2.14", "path": "/x"}),
    "json-mostly-wrapped.log": ("", 2, {"address": "192.0.2.123", "path": "/storage/clients"}),
    "json-template-bare-unread.log": (TEMPLATE, 1, {"address": "192.0.2.77", "path": "/t4", "status": 200}),
    "cri-prefix-combined.log": ("", 2, {"address": "192.0.2.3", "path": "/a"}),
    "docker-compose-ansi.log": ("", 2, {"address": "192.0.2.116", "host": "www.example.org", "path": "/lp/ten/"}),
    "jetty-two-spaces.log": ("", 3, {"address": "192.0.2.26", "path": "/servlet/user"}),
    "clf-tab-separated.log": ("", 1, {"address": "192.0.2.1", "path": "/a"}),
    "xff-list-among-others.log": ("", 7, {"address": "192.0.2.1", "path": "/a1"}),
    "xff-list-as-address.log": ("", 3, {"address": "203.0.113.188", "path": "/blog/"}),
    "right/caddy-26-no-client-ip.log": ("", 1, {"address": "192.0.2.5", "path": "/a"}),
    "right/clf-trailing-space-crlf.log": ("", 2, {"address": "192.0.2.1", "path": "/a"}),
    "right/combined-extra-vhost.log": ("", 1, {"address": "192.0.2.19", "path": "/picture.php", "bytes": 580}),
    "right/dst-march-berlin.log": ("", 192, {"address": "192.0.2.1", "path": "/p"}),
    "right/dst-october-berlin.log": ("", 192, {"address": "192.0.2.1", "path": "/p"}),
    "right/gunicorn-default.log": ("", 1, {"address": "192.0.2.1", "path": "/a"}),
    "right/haproxy-captures-tilde.log": ("", 2, {"address": "192.0.2.250", "host": "sg.example.org", "bytes": 210}),
    "right/haproxy-httpslog-real.log": ("", 2, {"address": "127.0.0.1", "path": "/a", "status": 200}),
    "right/iis-dash-client.log": ("", 2, {"address": "2001:db8:8:a101::6:1", "host": "www.example.com"}),
    "right/json-cdn-epoch-string.log": ("", 1, {"address": "192.0.2.21", "path": "//page", "status": 200}),
    "right/json-epoch-client.log": ("", 1, {"address": "192.0.2.10", "path": "/search/", "bytes": 0}),
    "right/json-unusual-keys.log": ("", 2, {"address": "192.0.2.75", "host": "app.example.org", "bytes": 5969}),
    "right/many-408.log": ("", 61, {}),
    "right/request-line-odds.log": ("", 26, {}),
    "right/spaces-in-url.log": ("", 2, {"address": "172.16.2.5", "bytes": 96063}),
    "right/traefik-json-service-object.log": ("", 1, {"address": "192.0.2.1", "path": "/something"}),
    "right/user-agents.log": ("", 26, {"path": "/0"}),
    "right/user-with-spaces.log": ("", 4, {}),
    "right/varnishncsa.log": ("", 1, {"host": "www.example.org", "path": "/a", "query": "x=1"}),
    "right/vhost-dash-user.log": ("", 1, {"address": "192.0.2.15", "host": "www.example.org"}),
}  # fmt: skip


@pytest.mark.skipif(not CASES.is_dir(), reason=f"the inputs are not at {CASES}")
@pytest.mark.parametrize("name", EXPECTED)
def test_reported_logs_are_read(name: str) -> None:
    """The format of each log is detected, or was pasted, and the values of its first request are those found by hand."""
    log_format, count, expected = EXPECTED[name]
    with open_log(CASES / name) as log:
        lines = _read_sample(log)
    parser = create_parser(log_format) if log_format else detect_format(lines).parser
    requests = parser.parse(pl.Series(lines, dtype=pl.String)).requests
    assert len(requests) == count
    first = requests.sort("line").row(0, named=True)
    assert first | expected == first
