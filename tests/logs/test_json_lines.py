from datetime import datetime
from typing import Any

import msgspec
import polars as pl
import pytest

from avowal.logs.formats import create_parser
from avowal.logs.json_lines import CADDY_KEYS, COMMON_KEYS, NESTING_DEPTH_MAX, TRAEFIK_KEYS

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
        ({"user_agent": {"name": "Other"}}, {"user_agent": ""}),
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
