from datetime import datetime
from typing import Any

import msgspec
import polars as pl
import pytest

from avowal.errors import FormatDetectionError
from avowal.logs.formats import create_parser, detect_format
from avowal.logs.json_keys import COMMON_KEYS
from avowal.logs.json_lines import CADDY_KEYS, NESTING_DEPTH_MAX, TRAEFIK_KEYS

NOON = datetime(2026, 1, 2, 12, 0, 5)  # noqa: DTZ001
REQUEST = {"time": NOON, "address": "192.0.2.1", "method": "GET", "path": "/a", "status": 200}
NGINX = {
    "time_local": "02/Jan/2026:12:00:05 +0000",
    "remote_addr": "192.0.2.1",
    "request": "GET /a HTTP/1.1",
    "status": 200,
}
CADDY_LINE = {
    "ts": 1767355205,
    "status": 200,
    "request": {"client_ip": "192.0.2.1", "remote_ip": "10.0.0.1", "method": "GET", "uri": "/a"},
}


def parse_line(format: str, line: dict[str, Any] | str) -> dict[str, Any] | str:  # noqa: A002
    text = line if isinstance(line, str) else msgspec.json.encode(line).decode()
    reading = create_parser(format).parse(pl.Series([text]))
    if reading.drops["reason"].to_list():
        return str(reading.drops["reason"][0])
    request: dict[str, Any] = reading.requests.drop("line").to_dicts()[0]
    return {name: value for name, value in request.items() if value is not None}


TIMES = [
    "2026-01-02T12:00:05Z",
    "2026-01-02T13:00:05+01:00",
    "2026-01-02T13:00:05+0100",
    "2026-01-02T12:00:05.000000000Z",
    "2026-01-02 12:00:05",
    "2026/01/02 12:00:05",
    "02/Jan/2026:13:00:05 +0100",
    "1767355205.000",
    1767355205,
    1767355205.0,
    1767355205000,
    1767355205000000,
    1767355205000000000,
]


@pytest.mark.parametrize("time", TIMES)
def test_the_form_of_a_time_is_detected(time: str | float) -> None:
    """ISO 8601, the form of the common format, and seconds to nanoseconds since 1970 give one moment."""
    request = parse_line("nginx-json", NGINX | {"time_local": time})
    assert request == REQUEST


@pytest.mark.parametrize(
    "time", ["2026-02-31T12:00:05Z", "now", "", "-", 5, None, True, [], {}, 1e300, "99999999999999999999"]
)
def test_a_time_that_does_not_exist_is_invalid(time: Any) -> None:
    """A line without a valid time is dropped."""
    assert parse_line("nginx-json", NGINX | {"time_local": time}) == "invalid-time"


@pytest.mark.parametrize(
    ("other_keys", "expected"),
    [
        ({"http_user_agent": "Mozilla"}, {"user_agent": "Mozilla"}),
        ({"HTTP-User-Agent": "Mozilla"}, {"user_agent": "Mozilla"}),
        ({"httpUserAgent": "Mozilla"}, {"user_agent": "Mozilla"}),
        ({"user_agent": {"original": "Mozilla"}}, {"user_agent": "Mozilla"}),
        ({"user_agent.original": "Mozilla"}, {"user_agent": "Mozilla"}),
        ({"http_user_agent": "-"}, {"user_agent": ""}),
        ({"http_user_agent": ""}, {"user_agent": ""}),
        ({"user_agent": {"name": "Other"}}, {}),
        ({"http_user_agent": 'a "b" \\ é'}, {"user_agent": 'a "b" \\ é'}),
        ({"request_time": "0.0015"}, {"response_time_us": 1500}),
        ({"duration_ms": 1.5}, {"response_time_us": 1500}),
        ({"event": {"duration": 1500000}}, {"response_time_us": 1500}),
        ({"request_time": -1}, {}),
        ({"request_time": 1e9}, {}),
        ({"body_bytes_sent": "12"}, {"bytes": 12}),
        ({"bytes": 12.0}, {"bytes": 12}),
        ({"bytes": -1}, {}),
        ({"host": {"name": "machine"}, "server_name": "Example.org"}, {"host": "example.org"}),
        ({"host": ["example.org", "other.example"]}, {"host": "example.org"}),
        ({"referer": "-"}, {}),
    ],
)
def test_keys_are_recognised_in_each_spelling(other_keys: dict[str, Any], expected: dict[str, Any]) -> None:
    """Case, underscores and nesting do not matter, and values of another type are ignored."""
    assert parse_line("nginx-json", NGINX | other_keys) == REQUEST | expected


def test_common_errors_of_templates_are_repaired() -> None:
    r"""A line is parsed although it has `\xHH`, which JSON does not allow, or lacks a number."""
    line = r'{"msec":1767355205,"remote_addr":"192.0.2.1","request":"GET /\xC3\xA9 HTTP/1.1","status":200,"up":-,"x":,"http_user_agent":"\x22\xC3\xA9"}'
    assert parse_line("nginx-json", line) == REQUEST | {"path": "/%C3%A9", "user_agent": '"é'}


def test_caddy_headers_without_a_user_agent_give_an_empty_one() -> None:
    """If a line has headers, a missing user agent is empty; without headers it is null."""
    assert parse_line("caddy-json", CADDY_LINE) == REQUEST
    headers = CADDY_LINE | {"request": CADDY_LINE["request"] | {"headers": {"Accept": ["*/*"]}}}  # type: ignore[operator]
    assert parse_line("caddy-json", headers) == REQUEST | {"user_agent": ""}


def test_traefik_takes_the_address_of_the_client() -> None:
    """`ClientHost` is preferred to `ClientAddr`, its first address counts, and a status of 0 is null."""
    line = {
        "StartUTC": "2026-01-02T12:00:05Z",
        "ClientAddr": "10.0.0.1:39496",
        "ClientHost": "192.0.2.1,10.0.0.50",
        "RequestMethod": "GET",
        "RequestPath": "/a",
        "DownstreamStatus": 0,
        "Duration": 1500,
    }
    expected = {name: value for name, value in REQUEST.items() if name != "status"}
    assert parse_line("traefik-json", line) == expected | {"response_time_us": 2}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"level":"info","msg":"started"}', "not-a-request"),
        ("{}", "not-a-request"),
        ("[1]", "malformed"),
        ("null", "malformed"),
        ('{"time_local":"02/Jan', "malformed"),
        ('{"a":' * 100_000, "merged"),
        ('{"status":200,"b":{"status":404,"b":1}', "merged"),
        ('{"request":"GET / HTTP/1.1","b":"\\ud800"}', "malformed"),
    ],
)
def test_a_line_that_is_not_a_request_has_a_reason(line: str, reason: str) -> None:
    """Other objects, values that are not objects, and invalid JSON have different reasons."""
    assert parse_line("nginx-json", line) == reason


def test_nested_objects_are_searched_to_a_limit() -> None:
    """A deeply nested object does not stop its line from being parsed."""
    line: dict[str, Any] = {}
    for _ in range(NESTING_DEPTH_MAX * 4):
        line = {"a": line}
    assert parse_line("nginx-json", NGINX | {"x": line}) == REQUEST


@pytest.mark.parametrize("names", [COMMON_KEYS, CADDY_KEYS, TRAEFIK_KEYS])
def test_key_tables_contain_normalised_keys(names: dict[str, tuple[str, ...]]) -> None:
    """Keys are in lower case, without the characters that are removed before a lookup."""
    assert all(key == key.lower() and not set(key) & set("_- ") for keys in names.values() for key in keys)


FULL = REQUEST | {"query": "b=1", "bytes": 12, "user_agent": "Mozilla/5.0 (X11)", "host": "example.org"}
AGENT = "Mozilla/5.0 (X11)"
RECIPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "Matomo": (
        {"ip": "192.0.2.1", "host": "example.org", "path": "/a?b=1", "status": "200", "user_agent": AGENT, "length": 12,
         "generation_time_milli": 0.123, "date": "2026-01-02T13:00:05+01:00"},
        {},
    ),
    "Google's load balancer": (
        {"httpRequest": {"remoteIp": "192.0.2.1:49194", "requestMethod": "GET", "requestUrl": "https://example.org/a?b=1",
         "requestSize": "127", "responseSize": "12", "serverIp": "10.0.0.9", "status": 200, "userAgent": AGENT,
         "latency": "0.001115s"}, "jsonPayload": {"statusDetails": "x"}, "receiveTimestamp": "2026-01-02T12:00:09Z",
         "timestamp": "2026-01-02T12:00:05Z"},
        {"response_time_us": 1115},
    ),
    "under a name": (
        {"@timestamp": "2026-01-02T12:00:05Z", "host": {"name": "node1"}, "agent": {"type": "filebeat"}, "log": {"file": {"path": "/x.log"}},
         "nginx": {"access": {"remote_ip": "192.0.2.1", "host": "example.org", "url": "/a?b=1", "response_code": 200, "method": "GET",
         "user_agent": AGENT, "bytes": 12}}},
        {},
    ),
    "Cloudflare": (
        {"ClientIP": "192.0.2.1", "ClientRequestHost": "example.org", "ClientRequestMethod": "GET", "ClientRequestURI": "/a?b=1",
         "EdgeEndTimestamp": "2026-01-02T12:00:06Z", "EdgeResponseBytes": 12, "EdgeResponseStatus": 200,
         "EdgeStartTimestamp": 1767355205000000000, "ClientRequestUserAgent": AGENT, "OriginResponseStatus": 0},
        {},
    ),
    "Azure Front Door": (
        {"time": "2026-01-02T12:00:05Z", "category": "FrontDoorAccessLog", "properties": {"trackingReference": "x", "httpMethod": "GET",
         "requestUri": "https://example.org:443/a?b=1", "clientIp": "192.0.2.1", "socketIp": "10.0.0.1", "timeTaken": "0.158",
         "responseBytes": "12", "requestBytes": "5", "userAgent": AGENT, "httpStatusCode": "200"}},
        {"response_time_us": 158_000},
    ),
    "CloudFront": (
        {"date": "2026-01-02", "time": "12:00:05", "x-edge-location": "FRA2", "sc-bytes": "12", "c-ip": "192.0.2.1", "cs-method": "GET",
         "cs(Host)": "d111.cloudfront.net", "cs-uri-stem": "/a", "sc-status": "200", "cs(User-Agent)": "Mozilla/5.0%20(X11)",
         "cs-uri-query": "b=1", "x-host-header": "example.org", "time-taken": "0.002", "sc-content-type": "text/html"},
        {"response_time_us": 2000, "content_type": "text/html"},
    ),
    "Amazon's load balancer": (
        {"type": "h2", "time": "2026-01-02T12:00:05Z", "elb": "app/x", "client_ip": "192.0.2.1", "client_port": 2817, "target_ip": "10.0.0.1",
         "elb_status_code": 200, "target_status_code": "502", "received_bytes": 34, "sent_bytes": 12, "request_verb": "GET",
         "request_url": "https://example.org:443/a?b=1", "user_agent": AGENT},
        {},
    ),
    "Amazon's firewall": (
        {"timestamp": 1767355205000, "httpRequest": {"clientIp": "192.0.2.1", "headers": [{"name": "Host", "value": "example.org"},
         {"name": "User-Agent", "value": AGENT}], "uri": "/a", "args": "b=1", "httpMethod": "GET"}, "responseCodeSent": 200, "bytes": 12},
        {},
    ),
    "Istio": (
        {"authority": "example.org", "bytes_received": 0, "bytes_sent": 12, "downstream_remote_address": "10.0.0.1:5", "duration": 4,
         "method": "GET", "path": "/a?b=1", "response_code": 200, "response_flags": "-", "start_time": "2026-01-02T12:00:05Z",
         "upstream_cluster": "x", "upstream_host": "10.0.0.2:80", "user_agent": AGENT, "x_forwarded_for": "192.0.2.1, 10.0.0.9"},
        {"response_time_us": 4000},
    ),
    "Fastly": (
        {"timestamp": "2026-01-02T12:00:05+0000", "client_ip": "192.0.2.1", "host": "example.org", "request": "GET", "url": "/a?b=1",
         "response_status": 200, "response_body_size": 12, "request_user_agent": AGENT, "fastly_server": "x"},
        {},
    ),
    "pino": (
        {"level": 30, "time": 1767355205000, "pid": 7, "hostname": "web1", "req": {"id": 1, "method": "GET", "url": "/a?b=1",
         "headers": {"host": "example.org", "user-agent": AGENT, "content-type": "text/csv"}, "remoteAddress": "192.0.2.1"},
         "res": {"statusCode": 200, "headers": {"content-type": "application/json; charset=utf-8"}, "size": 12}, "responseTime": 12},
        {"response_time_us": 12_000, "content_type": "application/json"},
    ),
    "an API gateway": (
        {"requestId": "x", "ip": "192.0.2.1", "requestTime": "02/Jan/2026:12:00:05 +0000", "httpMethod": "GET", "path": "/a?b=1",
         "status": "200", "responseLength": "12", "domainName": "example.org", "userAgent": AGENT},
        {},
    ),
    "Apache": (
        {"time": "2026-01-02T13:00:05+0100", "remoteAddr": "192.0.2.1", "host": "example.org", "method": "GET", "request": "/a",
         "query": "?b=1", "status": 200, "userAgent": AGENT, "duration": 12345, "bytesReceived": 300, "bytesSent": 12},
        {},
    ),
    "short names": (
        {"ts": 1767355205, "ua": AGENT, "ip": "192.0.2.1", "url": "/a?b=1", "code": 200, "size": 12, "vhost": "example.org", "latency": "12ms"},
        {"response_time_us": 12_000},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("line", "more"), RECIPES.values(), ids=RECIPES)
def test_the_keys_of_common_recipes_are_known(line: dict[str, Any], more: dict[str, Any]) -> None:
    """Each field of a request is read, also if an object names no method, or holds the request under a name."""
    assert parse_line("nginx-json", line) == FULL | more
    assert detect_format([msgspec.json.encode(line).decode()]).parser.name == "nginx-json"


@pytest.mark.parametrize("key", ["ip", "path", "status", "date"])
def test_a_value_that_does_not_fit_is_not_read(key: str) -> None:
    """A value that cannot be what its key says is not read; the value of another key may be."""
    line, _ = RECIPES["Matomo"]
    assert (
        parse_line("nginx-json", line | {key: "info"})
        == {
            "ip": {name: value for name, value in FULL.items() if name != "address"},
            "path": "not-a-request",
            "status": {name: value for name, value in FULL.items() if name != "status"},
            "date": "invalid-time",
        }[key]
    )
    others = {
        "client_ip": "192.0.2.1",
        "request_uri": "/a?b=1",
        "status_code": 200,
        "timestamp": "2026-01-02T12:00:05Z",
    }
    assert parse_line("nginx-json", line | {key: "info"} | others) == FULL


@pytest.mark.parametrize(
    ("value", "microseconds"),
    [
        ("0.001115s", 1115),
        ("12ms", 12_000),
        ("1.5\u00b5s", 2),
        ("PT0.25S", 250_000),
        (0.0015, 1500),
        (12345, None),
        ("soon", None),
    ],
)
def test_a_duration_says_its_unit(value: str | float, microseconds: int | None) -> None:
    """A duration with its unit is read; a bare whole number may be in any unit, and is unknown."""
    assert parse_line("nginx-json", NGINX | {"duration": value}).get("response_time_us") == microseconds  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "logger", ["http.log.error", "http.log.error.log0", "http.handlers.reverse_proxy", "tls.obtain"]
)
@pytest.mark.parametrize("format", ["caddy-json", "nginx-json"])
def test_other_messages_of_caddy_are_no_requests(format: str, logger: str) -> None:  # noqa: A002
    """A message that repeats a request is none; with the default settings each failed request has one."""
    assert parse_line(format, CADDY_LINE | {"logger": logger, "msg": "dial tcp: refused"}) == "not-a-request"
    assert (
        parse_line(format, CADDY_LINE | {"logger": "http.log.access.log0", "msg": "handled request"})
        == REQUEST
    )


@pytest.mark.parametrize(
    "line",
    [
        {"time": "2026-01-02T12:00:05Z", "level": "info", "url": "/a", "msg": "cache miss"},
        {"time": "2026-01-02T12:00:05Z", "path": "var/log/x", "status": 200, "ip": "192.0.2.1"},
        {"time": "2026-01-02T12:00:05Z", "message": "GET /a", "status": 200},
    ],
)
def test_an_object_without_a_request_is_none(line: dict[str, Any]) -> None:
    """A path alone makes no request, and neither does a value that is no path."""
    assert parse_line("nginx-json", line) == "not-a-request"


def test_missing_keys_are_named() -> None:
    """The hint of a JSON log without requests names the keys that were looked for, and none of the log."""
    with pytest.raises(FormatDetectionError) as error_info:
        detect_format(['{"t":"2026-01-02T12:00:05Z","secret":"/a","s":200}'])
    assert "`request_uri`" in error_info.value.hint
    assert "secret" not in error_info.value.hint + error_info.value.message


def test_a_template_accepts_any_bare_variable() -> None:
    """Variables without quotes, read or not, also in lists, and beside texts with commas, are accepted."""
    pasted = '{"t":$msec,"a":["$remote_addr"],"l":[$pid, $request_length,$x],"u":"$a,$b,$c","url":"$scheme://$host$request_uri","s":$status }'
    line = '{"t":1767355205.0,"a":["192.0.2.1"],"l":[1, 105,2],"u":"a,b,c","url":"https://example.org/a?b=1","s":200 }'
    assert parse_line(pasted, line) == REQUEST | {"query": "b=1", "host": "example.org"}
