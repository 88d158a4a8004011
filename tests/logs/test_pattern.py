from datetime import datetime
from typing import Any

import polars as pl
import pytest

from avowal.errors import LogFormatError
from avowal.logs.fields import LOG_FIELDS, REQUEST_SCHEMA
from avowal.logs.formats import create_parser
from avowal.logs.pasted_formats import parse_apache_format, parse_nginx_format
from avowal.logs.pattern import FIELD_MARK, LinePattern

NOON = datetime(2026, 1, 2, 12, 0, 5)  # noqa: DTZ001
MILLI = NOON.replace(microsecond=678000)
EXPECTED = {"time": NOON, "address": "192.0.2.1", "method": "GET", "path": "/a", "query": "b=1"}
REQUEST = '"GET /a?b=1 HTTP/1.1"'
STAMP = "[02/Jan/2026:12:00:05 +0000]"


def parse_line(format: str, line: str) -> dict[str, Any] | None:  # noqa: A002
    requests: list[dict[str, Any]] = (
        create_parser(format).parse(pl.Series([line])).requests.drop("line").to_dicts()
    )
    return {name: value for name, value in requests[0].items() if value is not None} if requests else None


APACHE: list[tuple[str, str, dict[str, Any]]] = [
    ('%h %l %u %t "%r" %>s %b', f"192.0.2.1 - - {STAMP} {REQUEST} 200 12", EXPECTED | {"status": 200, "bytes": 12}),
    (r"%h %l %u %t \"%r\" %>s %b", f"192.0.2.1 - - {STAMP} {REQUEST} 200 -", EXPECTED | {"status": 200}),
    (r'LogFormat "%h %t \"%r\"" mine', f"192.0.2.1 {STAMP} {REQUEST}", EXPECTED),
    (r'CustomLog logs/access "%h %t \"%r\""', f"192.0.2.1 {STAMP} {REQUEST}", EXPECTED),
    ('%a %t "%r" %<s %O %I %{ms}T', f"192.0.2.1 {STAMP} {REQUEST} 200 12 7 3", EXPECTED | {"status": 200, "bytes": 12, "response_time_us": 3000}),
    ('%h %t "%r" %D', f"192.0.2.1 {STAMP} {REQUEST} 1500", EXPECTED | {"response_time_us": 1500}),
    ('%h %t "%r" %T', f"192.0.2.1 {STAMP} {REQUEST} 2", EXPECTED | {"response_time_us": 2_000_000}),
    ('%h %t "%r" %{us}T', f"192.0.2.1 {STAMP} {REQUEST} -", EXPECTED),
    ('%V:%p %h %t "%r"', f"Example.org:443 192.0.2.1 {STAMP} {REQUEST}", EXPECTED | {"host": "example.org"}),
    ("%h %t %m %U%q %H", f"192.0.2.1 {STAMP} GET /a?b=1 HTTP/1.1", EXPECTED),
    ('%h %t %m "%U" "%q"', f'192.0.2.1 {STAMP} GET "/a b" "?b=1"', EXPECTED | {"path": "/a%20b"}),
    ("%h %t %m %U%q %H", f"192.0.2.1 {STAMP} GET /a HTTP/1.1", {k: v for k, v in EXPECTED.items() if k != "query"}),
    ('%h %{sec}t "%r"', f"192.0.2.1 1767355205 {REQUEST}", EXPECTED),
    ('%h %{msec}t "%r"', f"192.0.2.1 1767355205678 {REQUEST}", EXPECTED | {"time": MILLI}),
    ('%h %{usec}t "%r"', f"192.0.2.1 1767355205678000 {REQUEST}", EXPECTED | {"time": MILLI}),
    ('%h %{begin:%s}t "%r"', f"192.0.2.1 1767355205 {REQUEST}", EXPECTED),
    ('%h [%{%Y-%m-%dT%H:%M:%S%z}t] "%r"', f"192.0.2.1 [2026-01-02T13:00:05+0100] {REQUEST}", EXPECTED),
    ('%h %{%d/%b/%Y %T}t.%{msec_frac}t %{%z}t "%r"', f"192.0.2.1 02/Jan/2026 13:00:05.678 +0100 {REQUEST}", EXPECTED | {"time": MILLI}),
    ('%h %{%F}t %{%T}t "%r"', f"192.0.2.1 2026-01-02 12:00:05 {REQUEST}", EXPECTED),
    ('%h %{%e %B %Y, %I:%M:%S %p}t "%r"', f"192.0.2.1  2 January 2026, 12:00:05 PM {REQUEST}", EXPECTED),
    ('%h %t "%r" "%{Referer}i" "%!200,304{User-agent}i"', f'192.0.2.1 {STAMP} {REQUEST} "https://example.com/" "Mozilla/5.0"', EXPECTED | {"referrer": "https://example.com/", "user_agent": "Mozilla/5.0"}),
    ('%h %t "%r" "%200,304{User-Agent}i"', f'192.0.2.1 {STAMP} {REQUEST} "-"', EXPECTED | {"user_agent": ""}),
    ('%h %t "%r" %{User-Agent}i', f"192.0.2.1 {STAMP} {REQUEST} Mozilla/5.0 (X11; Linux)", EXPECTED | {"user_agent": "Mozilla/5.0 (X11; Linux)"}),
    ('%h %t "%r" %{Foo}e %{Bar}C %{Baz}n %{Qux}o %{X-Y}i', f"192.0.2.1 {STAMP} {REQUEST} a b c d e f", EXPECTED),
    ('%{X-Forwarded-For}i %t "%r"', f"192.0.2.1, 10.0.0.1 {STAMP} {REQUEST}", EXPECTED),
    ('"%{X-Forwarded-For}i" %h %t "%r"', f'"198.51.100.7" 192.0.2.1 {STAMP} {REQUEST}', EXPECTED),
    (r"%h\t%t\t%r\t%>s", f"192.0.2.1\t{STAMP}\tGET /a?b=1 HTTP/1.1\t200", EXPECTED | {"status": 200}),
    ('%h %t "%r" %% %>s', f"192.0.2.1 {STAMP} {REQUEST} % 304", EXPECTED | {"status": 304}),
]  # fmt: skip

NGINX: list[tuple[str, str, dict[str, Any]]] = [
    ('$remote_addr - $remote_user [$time_local] "$request"', f"192.0.2.1 - - {STAMP} {REQUEST}", EXPECTED),
    (
        ("log_format main '$remote_addr - $remote_user [$time_local] \"$request\" '\n"
        "    '$status $body_bytes_sent \"$http_referer\" '\n    '\"$http_user_agent\" \"$http_x_forwarded_for\"';\n"),
        f'192.0.2.1 - - {STAMP} {REQUEST} 200 12 "-" "Mozilla/5.0" "-"',
        EXPECTED | {"status": 200, "bytes": 12, "user_agent": "Mozilla/5.0"},
    ),
    ('$time_iso8601 $remote_addr "$request" $request_time', f"2026-01-02T13:00:05+01:00 192.0.2.1 {REQUEST} 0.0015", EXPECTED | {"response_time_us": 1500}),
    ('$msec $remote_addr "$request"', f"1767355205.678 192.0.2.1 {REQUEST}", EXPECTED | {"time": MILLI}),
    ("$msec $remote_addr $request_method $request_uri", "1767355205 192.0.2.1 GET /a?b=1", EXPECTED),
    ("$msec $remote_addr $request_method ${uri}$is_args$args;", "1767355205 192.0.2.1 GET /a?b=1", EXPECTED),
    ("$msec $remote_addr $request_method $uri $args", "1767355205 192.0.2.1 GET /a b=1", EXPECTED),
    ("$msec $remote_addr $request_method $scheme://$host$request_uri", "1767355205 192.0.2.1 GET https://example.org/a?b=1", EXPECTED | {"host": "example.org"}),
    ('$msec $remote_addr "$request" $upstream_response_time $status', f"1767355205 192.0.2.1 {REQUEST} 0.1, 0.2 : 0.3 200", EXPECTED | {"status": 200}),
    ('$msec $remote_addr "$request" rt=$request_time mine=$mine', f"1767355205 192.0.2.1 {REQUEST} rt=0.001 mine=x", EXPECTED | {"response_time_us": 1000}),
    ('$msec $remote_addr_masked "$request"', f"1767355205 192.0.2.1 {REQUEST}", EXPECTED),
    ('$msec $http_x_forwarded_for "$request"', f"1767355205 192.0.2.1, 10.0.0.1 {REQUEST}", EXPECTED),
    ("$remote_addr|$msec|$request|$http_user_agent|$status", "192.0.2.1|1767355205|GET /a?b=1 HTTP/1.1|Mozilla (X11)|200", EXPECTED | {"status": 200, "user_agent": "Mozilla (X11)"}),
    (
        ("""log_format j escape=json '{"t":"$time_iso8601","a":"$remote_addr","s":$status, "r":"$request",'"""
        """ '"h":{"agent":"$http_user_agent"},"rt":$request_time,"up":"$upstream_addr $x"}';"""),
        '{"t":"2026-01-02T12:00:05+00:00","a":"192.0.2.1","s":200, "r":"GET /a?b=1 HTTP/1.1","h":{"agent":""},"rt":0.5,"up":""}',
        EXPECTED | {"status": 200, "user_agent": "", "response_time_us": 500_000},
    ),
    ('{"t":$msec,"a":"$remote_addr","r":"$request_method $request_uri $server_protocol"}', '{"t":1767355205.678,"a":"192.0.2.1","r":"GET /a?b=1 HTTP/1.1"}', EXPECTED | {"time": MILLI}),
    (r'{ "t":"%{%Y-%m-%dT%H:%M:%S%z}t", "a":"%a", "r":"%r", "s":%>s, "d":%D }', '{ "t":"2026-01-02T13:00:05+0100", "a":"192.0.2.1", "r":"GET /a?b=1 HTTP/1.1", "s":200, "d":1500 }', EXPECTED | {"status": 200, "response_time_us": 1500}),
]  # fmt: skip


@pytest.mark.parametrize(("format", "line", "expected"), APACHE + NGINX)
def test_a_pasted_format_parses_its_lines(format: str, line: str, expected: dict[str, Any]) -> None:  # noqa: A002
    """The value of each directive or variable goes to its column, whatever surrounds it."""
    assert parse_line(format, line) == expected
    assert create_parser(format).name == format


@pytest.mark.parametrize(
    ("format", "message", "hint"),
    [
        ("%h %t %r %Q", "`%Q`", "%s|, s"),
        ("%h %t %r %{a}d", "`%{a}d`", "%T"),
        ("%h %t %r %", "`%`", "known directives are"),
        ("%h %r", "has no time", "%t"),
        ("%h %t", "has no request", "%r"),
        ("%{%H:%M:%S}t %r", "incomplete", "year"),
        ("%{%Y-%m-%d %Q}t %r", "`%Q`", "known directives are"),
        ("$remote_adr $time_local $request", "`$remote_adr`", "`$remote_addr`"),
        ("$remote_addr $request", "has no time", "time_iso8601"),
        ('{"a": $request $time_local', "not valid JSON", ""),
    ],
)
def test_a_bad_format_is_refused(format: str, message: str, hint: str) -> None:  # noqa: A002
    """An unknown directive, or a format without time or request, is refused with a hint."""
    with pytest.raises(LogFormatError) as error_info:
        create_parser(format)
    assert (error_info.value.code, message in error_info.value.message) == ("invalid-log-format", True)
    assert any(part in error_info.value.hint for part in hint.split("|"))


def test_a_damaged_line_of_a_pasted_format_is_parsed() -> None:
    """A pasted format that contains the combined one also parses damaged lines."""
    pasted = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $pipe'
    line = f'192.0.2.1 - - {STAMP} {REQUEST} 200 "-" "a "quoted" agent"'
    assert parse_line(pasted, line) == EXPECTED | {"status": 200, "user_agent": 'a "quoted" agent'}


def test_an_unquoted_value_does_not_extend_into_another_record() -> None:
    """A line with two times is a merged line."""
    line = f"192.0.2.1 {STAMP} {REQUEST} Mozilla"
    result = create_parser('%h %t "%r" %{User-Agent}i').parse(pl.Series([f"{line} 198.51.100.2 {STAMP} x"]))
    assert result.drops["reason"].to_list() == ["merged"]


def test_directives_and_variables_compile_to_known_fields() -> None:
    """Their fields are in one table, which covers all columns of a request."""
    everything = "%a %b %D %h %m %q %r %s %t %T %U %v %V %{ms}T %{User-Agent}i %{Referer}i %{Host}i %{X-Real-IP}i %{sec}t"
    variables = (
        "$msec $request_uri $uri$is_args$args $time_iso8601 $upstream_addr $http_x $status $request_time"
    )
    marked = parse_apache_format(everything) + parse_nginx_format(variables)
    names = {part.partition("=")[0] for part in marked.split(FIELD_MARK)[1::2]}
    assert names <= set(LOG_FIELDS)
    assert {column for field in LOG_FIELDS.values() for column in field.columns} == set(REQUEST_SCHEMA) - {
        "line"
    }


def test_a_large_batch_keeps_the_order_of_its_lines() -> None:
    """The lines of a batch that several threads parse come out in order, each once."""
    pattern = LinePattern.from_template(parse_apache_format('%h %l %u %t "%r" %>s %b'))
    remaining = pl.DataFrame({"text": [f"192.0.2.1 - - {STAMP} {REQUEST} 200 12"] * 100_000}).with_row_index(
        "line"
    )
    raw, remaining = pattern.parse(remaining.with_columns(is_wrapped=False, reason=pl.lit(None, pl.String)))
    assert (raw["line"].to_list(), len(remaining)) == (list(range(100_000)), 0)
    assert raw["path"].null_count() == 0
