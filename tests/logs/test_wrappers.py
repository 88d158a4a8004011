import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avowal.logs.formats import create_parser, detect_format
from avowal.logs.wrappers import unwrap_lines
from support.depth import by_depth

CLF = '192.0.2.1 - - [02/Jan/2026:12:00:05 +0000] "GET /a?b=1 HTTP/1.1" 200 12 "-" "Mozilla/5.0 (X11)"'
LINES = {
    "combined": CLF,
    "traefik": f'{CLF} 7 "web@docker" "http://10.0.0.2:80" 15ms',
    "nginx-json": '{"time_iso8601":"2026-01-02T12:00:05Z","remote_addr":"192.0.2.1","request":"GET /a HTTP/1.1","status":200}',
    "caddy-json": (
        '{"ts":1767355205.6,"logger":"http.log.access","msg":"handled request","request":{"client_ip":"192.0.2.1",'
        '"method":"GET","uri":"/a"},"status":200}'
    ),
    "haproxy": '192.0.2.1:5 [02/Jan/2026:12:00:05.678] web~ app/a1 0/0/1/20/21 200 12 - - ---- 3/2/0/0/0 0/0 "GET /a HTTP/1.1"',
    "envoy": (
        '[2026-01-02T12:00:05.000Z] "GET /a HTTP/1.1" 200 - 0 12 14 9 "192.0.2.1" "Mozilla" "dd33" "example.org" "10.0.0.2:80"'
    ),
    "elb": '2026-01-02T12:00:05.678901Z site 192.0.2.1:2817 10.0.0.1:80 0.1 0.1 0.1 200 200 0 12 "GET http://a.example/a HTTP/1.1"',
    "bunny": "HIT|200|1767355205000|12|390|192.0.2.1|-|https://example.org/a|WA|Mozilla/5.0 (X11)|3226|DE",
}
PREFIXES = [
    "Jan  2 12:00:05 web1 nginx[2869]: ",
    "Jan 12 12:00:05 web1.example.org access.log: ",
    "Jan  2 12:00:05 nginx: ",
    "<190>Jan  2 12:00:05 web1 nginx: ",
    "Jan 02 12:00:05.123456 web1 nginx[2869]: ",
    "<134>1 2026-01-02T12:00:05.678Z web1 nginx 2869 - - ",
    '<134>1 2026-01-02T12:00:05+01:00 web1 nginx - ID47 [a@32473 b="c\\]"][d@1 e="f"] \ufeff',
    "2026-01-02T12:00:05.678901+00:00 web1 nginx[2869]: ",
    "2026-01-02T12:00:05+0000 web1 nginx[2869]: ",
    "<134>2026-01-02T12:00:05.678901+00:00 web1 nginx: ",
    "Fri 2026-01-02 12:00:05 UTC web1 nginx[2869]: ",
    "1767355205.678901 web1 nginx[2869]: ",
    "[ 5823.136155] web1 nginx[2869]: ",
    "2026-01-02T12:00:05.19327046+01:00 stdout F ",
    "2026-01-02T12:00:05.19327046Z stderr F ",
    "2026-01-02T12:00:05.193270467Z ",
    "web-1  | ",
    "nginx.1     | ",
    "web.1.abc123@node-1    | ",
    "0|site  | ",
    "\x1b[0;33;1mnginx.1     | \x1b[0m",
    "\x1b[36mnginx_1  |\x1b[0m ",
    "[0;33;1mnginx.1     | [0m",
    "[pod/web-6d4cf56db6-x7k2p/nginx] ",
    "[pod/web-6d4cf56db6-x7k2p/nginx] 2026-01-02T12:00:05.193270467Z ",
    "web-1  | 2026-01-02T12:00:05.193270467Z ",
]


def docker(line: str) -> str:
    return msgspec.json.encode(
        {"log": f"{line}\n", "stream": "stdout", "time": "2026-01-02T12:00:06Z"}
    ).decode()


def journald(line: str) -> str:
    return msgspec.json.encode(
        {"__REALTIME_TIMESTAMP": "1767355206000000", "MESSAGE": line, "_PID": "7"}
    ).decode()


def journald_bytes(line: str) -> str:
    return msgspec.json.encode({"MESSAGE": list(f"\x1b[36m{line}\x1b[0m".encode()), "_PID": "7"}).decode()


def shipper(line: str) -> str:
    value = {"@timestamp": "2026-01-02T12:00:06Z", "kubernetes": {"pod": "web"}, "message": line}
    return msgspec.json.encode(value).decode()


def logging(line: str) -> str:
    value = {"insertId": "1", "jsonPayload": {"message": line}, "timestamp": "2026-01-02T12:00:06Z"}
    return msgspec.json.encode(value).decode()


IN_JSON = [docker, journald, journald_bytes, shipper, logging]


def parse(format: str, line: str) -> list[dict[str, object]]:  # noqa: A002
    return create_parser(format).parse(pl.Series([line])).requests.drop("line").to_dicts()


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("format", LINES)
def test_a_prefix_is_stripped_around_any_format(prefix: str, format: str) -> None:  # noqa: A002
    """A line after the prefix of another program gives the same request as without it, and is detected."""
    line = LINES[format]
    assert parse(format, line)
    assert parse(format, prefix + line) == parse(format, line)
    assert detect_format([prefix + line]).parser.name == format


@pytest.mark.parametrize("wrap", IN_JSON)
@pytest.mark.parametrize("format", LINES)
def test_a_line_in_json_is_read_in_any_format(wrap: object, format: str) -> None:  # noqa: A002
    """A line that a container or a log shipper put into JSON gives the same request as without it."""
    line = LINES[format]
    assert callable(wrap)
    assert parse(format, wrap(line)) == parse(format, line)
    assert detect_format([wrap(line)]).parser.name == format
    assert parse(format, wrap(PREFIXES[0] + line)) == parse(format, line)


def test_a_quoted_line_is_read() -> None:
    """OpenLiteSpeed can write quotes around a whole line."""
    for line in (CLF, CLF.partition(' "-"')[0]):
        assert parse("combined", f'"{line}"') == parse("combined", line)


@pytest.mark.parametrize(
    "text",
    [
        *LINES.values(),
        '"192.0.2.1" example.org [02/Jan/2026:12:00:05 +0000] "GET /a HTTP/1.1" 200 12',
        "HIT|200|1767355205000|12|390|192.0.2.1|-|https://example.org/a|WA|a | b|3226|DE",
        '{"message":"GET /a HTTP/1.1","request":"GET /a HTTP/1.1","status":200}',
        '{"msg":"handled request","log":{"path":"/var/log"}}',
        "192.0.2.1 | 10.0.0.1 | 02/Jan/2026:12:00:05 +0000 | GET /a HTTP/1.1",
        "2026-01-02T12:00:05Z 192.0.2.1 GET /a",
        '2026-01-02T12:00:05Z 192.0.2.1 "GET /[02/Jan/2026:12:00:05" 200',
    ],
)
def test_a_line_without_a_wrapper_is_not_changed(text: str) -> None:
    """A line that only begins like a wrapper, or has one in a value that a visitor sent, stays as it is."""
    lines, _ = unwrap_lines(pl.Series([text]))
    assert lines.to_list() == [text]


def test_a_pasted_format_may_begin_like_a_wrapper() -> None:
    """A pasted format is tried before anything is stripped, and with what is left after that."""
    pasted = '$time_iso8601 $remote_addr [$time_local] "$request" $status'
    line = '2026-01-02T12:00:05+00:00 192.0.2.1 [02/Jan/2026:12:00:05 +0000] "GET /a HTTP/1.1" 200'
    assert parse(pasted, line) == parse(pasted, f"web-1  | {line}") == parse(pasted, docker(line))
    assert len(parse(pasted, line)) == 1


@settings(max_examples=by_depth(standard=60, thorough=600))
@given(st.lists(st.text(max_size=40) | st.sampled_from([*PREFIXES, *LINES.values()]), max_size=4))
def test_every_line_stays_a_line(parts: list[str]) -> None:
    """Whatever the lines are, there are as many of them afterwards, and none is longer."""
    lines = pl.Series(["".join(parts), *parts], dtype=pl.String)
    unwrapped, is_wrapped = unwrap_lines(lines)
    assert len(unwrapped) == len(is_wrapped) == len(lines)
    assert (unwrapped.str.len_bytes() <= lines.str.len_bytes()).all()
