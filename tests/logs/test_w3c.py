from datetime import datetime
from typing import Any

import polars as pl
import pytest

from avowal.logs.formats import ParseResult, create_parser
from avowal.logs.w3c import FIELDS_MAX

NOON = datetime(2026, 1, 2, 12, 0, 5)  # noqa: DTZ001
REQUEST = {"time": NOON, "address": "192.0.2.1", "method": "GET", "path": "/a", "status": 200}
NAMES = "date time c-ip cs-method cs-uri-stem sc-status"
VALUES = "2026-01-02 12:00:05 192.0.2.1 GET /a 200"


def parse_lines(*lines: str, format: str = "w3c") -> ParseResult:  # noqa: A002
    return create_parser(format).parse(pl.Series(lines, dtype=pl.String))


def requests(result: ParseResult) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in row.items() if value is not None}
        for row in result.requests.drop("line").to_dicts()
    ]


@pytest.mark.parametrize(
    ("names", "values", "expected"),
    [
        (NAMES, VALUES, {}),
        (NAMES, VALUES.replace(" ", "\t"), {}),
        (NAMES, VALUES.replace(" ", "    "), {}),
        (NAMES.replace(" ", "   "), f"  {VALUES} ", {}),
        (NAMES, " ".join(f'"{value}"' for value in VALUES.split()), {}),
        (NAMES, VALUES.replace("200", '""'), {"status": None}),
        (NAMES, VALUES.replace("200", "-"), {"status": None}),
        (NAMES, VALUES.replace("12:00:05", "12:00:05.678"), {"time": NOON.replace(microsecond=678000)}),
        (f"{NAMES} cs-uri-query", f"{VALUES} b=1", {"query": "b=1"}),
        (f"{NAMES} cs-uri-query", f"{VALUES} -", {}),
        (NAMES.replace("cs-uri-stem", "cs-uri"), VALUES.replace("/a", "/a?b=1"), {"query": "b=1"}),
        (NAMES.replace("cs-uri-stem", "cs-uri"), VALUES.replace("/a", "http://example.org/a"), {"host": "example.org"}),
        (NAMES.replace("cs-uri-stem", "cs-uri"), VALUES.replace("/a", "www.example.org/a"), {"host": "www.example.org"}),
        (f"{NAMES} cs(User-Agent)", f"{VALUES} Mozilla/5.0+(X11;++http://a.example/)", {"user_agent": "Mozilla/5.0 (X11; +http://a.example/)"}),
        (f"{NAMES} cs(User-Agent)", f'{VALUES} "Mozilla/5.0 ""a"" +b"', {"user_agent": 'Mozilla/5.0 "a" +b'}),
        (f"{NAMES} cs(User-Agent)", f"{VALUES} -", {"user_agent": ""}),
        (f"{NAMES} cs(User-Agent)".replace(" ", "\t"), f"{VALUES} x".replace(" ", "\t") + " y", {"user_agent": "x y"}),
        (f"{NAMES} cs(Referrer) cs-host", f"{VALUES} https://example.com/ Example.org:80", {"referrer": "https://example.com/", "host": "example.org"}),
        (f"{NAMES} cs(Host) x-host-header", f"{VALUES} d111.example.net example.org", {"host": "example.org"}),
        (f"{NAMES} sc-bytes cs-bytes", f"{VALUES} 12 7", {"bytes": 12}),
        (f"{NAMES} bytes time-taken", f"{VALUES} 12 0.002", {"bytes": 12, "response_time_us": 2000}),
        (f"{NAMES} sc-win32-status time-taken", f"{VALUES} 0 2", {"response_time_us": 2000}),
        (f"{NAMES} TimeTakenMS", f"{VALUES} 2", {"response_time_us": 2000}),
        (f"{NAMES} time-taken", f"{VALUES} 370879", {}),
    ],
)  # fmt: skip
def test_fields_follow_the_directive(names: str, values: str, expected: dict[str, Any]) -> None:
    """Each value goes to its column, separated by spaces or tabs, with or without quotes."""
    expected_request = {name: value for name, value in (REQUEST | expected).items() if value is not None}
    assert requests(parse_lines(f"#Fields: {names}", values)) == [expected_request]


def test_the_unit_of_time_taken_depends_on_the_software() -> None:
    """The last `#Software` sets the unit of `time-taken`."""
    lines = [f"#Fields: {NAMES} time-taken", f"{VALUES} 2"]
    assert (
        requests(parse_lines("#Software: Microsoft Internet Information Services 10.0", *lines))[0][
            "response_time_us"
        ]
        == 2000
    )
    result = parse_lines(
        "#Software: Microsoft Internet Information Services 10.0", *lines, "#Software: Other", lines[1]
    )
    assert [request["response_time_us"] for request in requests(result)] == [2000, 2_000_000]


def test_fields_may_change_within_a_file() -> None:
    """Each line is parsed under the directives before it, and keeps its line number."""
    other = "#Fields: cs-method cs-uri-stem sc-status c-ip time date"
    lines = [
        f"#Fields: {NAMES}",
        VALUES,
        other,
        "GET /a 200 192.0.2.1 12:00:05 2026-01-02",
        f"#Fields: {NAMES}",
        VALUES,
    ]
    result = parse_lines(*lines, VALUES + " more")
    assert requests(result) == [REQUEST] * 3
    assert sorted(result.requests["line"]) == [1, 3, 5]
    assert result.drops.rows() == [(0, "directive"), (2, "directive"), (4, "directive"), (6, "malformed")]


def test_the_date_may_come_from_a_directive() -> None:
    """If only the time is a field, its date is that of the last `#Date`."""
    names, values = NAMES.replace("date ", ""), VALUES.removeprefix("2026-01-02 ")
    assert requests(parse_lines("#Date: 2026-01-02 12:00:00", f"#Fields: {names}", values)) == [REQUEST]
    result = parse_lines("#Date: 2026-01-01", f"#Fields: {names}", values, "#Date: 2026-01-02", values)
    assert [request["time"].day for request in requests(result)] == [1, 2]
    assert parse_lines(f"#Fields: {names}", values).drops["reason"].to_list() == ["directive", "malformed"]


def test_an_offset_applies_to_local_times_only() -> None:
    """`#GMT-Offset` applies to `date-local` and `time-local`; `date` and `time` are UTC."""
    local = NAMES.replace("date time", "date-local time-local")
    assert requests(parse_lines("#GMT-Offset: -0800", f"#Fields: {NAMES}", VALUES)) == [REQUEST]
    assert requests(parse_lines(f"#Fields: {local}", VALUES)) == [REQUEST]
    offset = requests(parse_lines("#GMT-Offset: -0800", f"#Fields: {local}", VALUES))
    assert offset == [REQUEST | {"time": NOON.replace(hour=20)}]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([VALUES], "malformed"),
        ([f"#Fields: {NAMES}", VALUES + " more"], "malformed"),
        ([f"#Fields: {NAMES}", VALUES.replace(" 200", "")], "malformed"),
        ([f"#Fields: {NAMES}", VALUES.replace("200", "20")], "malformed"),
        ([f"#Fields: {NAMES}", VALUES[:40] + VALUES], "merged"),
        ([f"#Fields: {NAMES}", VALUES.replace("01-02", "02-31")], "invalid-time"),
        ([f"#Fields: {NAMES}", VALUES.replace("12:00", "25:61")], "invalid-time"),
        (["#Fields: date time s-ip", "2026-01-02 12:00:05 10.0.0.1"], "malformed"),
        (["#Date: 2026-01-02", "#Fields: time c-ip cs-method cs-uri-stem sc-status", "12:00:05 192.0.2.1 [2]USER frank 331"], "not-a-request"),
        (["#Fields: " + "x " * (FIELDS_MAX + 5) + NAMES, VALUES], "malformed"),
    ],
)  # fmt: skip
def test_a_line_that_does_not_match_the_directive_has_a_reason(lines: list[str], reason: str) -> None:
    """A line with too many, too few or invalid values is dropped."""
    assert parse_lines(*lines).drops["reason"].to_list()[-1] == reason


def test_a_directive_may_name_many_fields() -> None:
    """A directive with as many fields as the limit is accepted."""
    count = FIELDS_MAX - len(NAMES.split())
    assert requests(parse_lines(f"#Fields: {NAMES}{' x' * count}", f"{VALUES}{' y' * count}")) == [REQUEST]


CLOUDFRONT = "date time x-edge-location c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query x-host-header time-taken"


@pytest.mark.parametrize(
    ("column", "logged", "read_as"),
    [
        ("user_agent", "Mozilla/5.0%20(X11;%20+http://a.example)", "Mozilla/5.0 (X11; +http://a.example)"),
        ("user_agent", "Mozilla/5.0%2520(X11;%2520caf%25C3%25A9)", "Mozilla/5.0 (X11; café)"),
        ("path", "/a%2520b", "/a%20b"),
        ("path", "/a%20b", "/a%20b"),
        ("query", "q=%2522x%2522", "q=%22x%22"),
        ("referrer", "https://example.com/?q=%2520", "https://example.com/?q=%20"),
    ],
)
def test_cloudfront_encoding_is_undone_once(column: str, logged: str, read_as: str) -> None:
    """The additional encoding of CloudFront is undone once; the user agent becomes plain text."""
    values = {"user_agent": "-", "path": "/a", "query": "-", "referrer": "-"} | {column: logged}
    line = "\t".join(
        [
            "2026-01-02",
            "12:00:05",
            "FRA2",
            "192.0.2.1",
            "GET",
            "d111.cloudfront.net",
            values["path"],
            "200",
            values["referrer"],
            values["user_agent"],
            values["query"],
            "example.org",
            "0.002",
        ]
    )
    (request,) = requests(parse_lines("#Version: 1.0", f"#Fields: {CLOUDFRONT}", line, format="cloudfront"))
    assert request[column] == read_as
    assert (request["host"], request["response_time_us"]) == ("example.org", 2000)


def test_the_cloudfront_parser_parses_no_other_w3c_log() -> None:
    """Under a directive without its field, the parser of CloudFront logs parses no line."""
    assert requests(parse_lines(f"#Fields: {NAMES}", VALUES, format="cloudfront")) == []
