from datetime import datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from avowal.logs.damaged_lines import LINE_CHARACTERS_MAX, DamagedLineStep
from avowal.logs.drop_reason import DropReason
from avowal.logs.formats import LogParser, create_parser
from support.depth import by_depth

FIRST = "192.0.2.1"
SECOND = "198.51.100.2"
TIME = "[02/Jan/2026:12:00:05 +0000]"
CLF = f'{FIRST} - - {TIME} "GET /a?b=1 HTTP/1.1" 200 12'
COMBINED = f'{CLF} "https://example.com/" "Mozilla/5.0 (X11)"'
OTHER = f'{SECOND} - - [02/Jan/2026:12:00:06 +0000] "GET /other HTTP/1.1" 404 5 "-" "Other/1.0"'
OTHER_EXPECTED = {"address": SECOND, "path": "/other", "status": 404, "bytes": 5, "user_agent": "Other/1.0"}


def parse_line(line: str, format: str = "combined") -> dict[str, Any] | str:  # noqa: A002
    reading = create_parser(format).parse(pl.Series([line]))
    requests: list[dict[str, Any]] = reading.requests.drop("line").to_dicts()
    return requests[0] if requests else str(reading.drops["reason"][0])


EXPECTED = {
    "address": FIRST,
    "path": "/a",
    "query": "b=1",
    "status": 200,
    "bytes": 12,
    "referrer": "https://example.com/",
    "user_agent": "Mozilla/5.0 (X11)",
}
REPAIRED: list[tuple[str, dict[str, Any]]] = [
    (COMBINED.replace(" - - ", " "), {}),
    (COMBINED.replace(" - - ", " - "), {}),
    (COMBINED.replace(" - - ", " - frank smith "), {}),
    (COMBINED.replace(" - - ", "  -  - "), {}),
    (COMBINED.replace(" - - ", " 0 - - - "), {}),
    (COMBINED.replace(" 12 ", " "), {"bytes": None}),
    (f"www.example.org {COMBINED}".replace(" - - ", " "), {"host": "www.example.org"}),
    (COMBINED.replace("(X11)", '(X11; "quoted")'), {"user_agent": 'Mozilla/5.0 (X11; "quoted")'}),
    (COMBINED.replace("(X11)", 'a" b'), {"user_agent": 'Mozilla/5.0 a" b'}),
    (COMBINED.replace("(X11)", '"x"') + ' "203.0.113.9"', {"user_agent": 'Mozilla/5.0 "x"'}),
    (
        COMBINED.replace("(X11)", 'a"' * 58),
        {"user_agent": "Mozilla/5.0 " + 'a"' * 58},
    ),  # with 64 quotes, the most
    (COMBINED.replace("/a?b=1", '/a"?b=1'), {"path": "/a%22"}),
    (COMBINED.removesuffix('"'), {"user_agent": None}),
    (COMBINED.removesuffix('X11)"'), {"user_agent": None}),
]


@pytest.mark.parametrize(("line", "expected_changes"), REPAIRED)
def test_a_damaged_line_with_its_essential_fields_is_parsed(
    line: str, expected_changes: dict[str, Any]
) -> None:
    """Lines with missing fields, a missing size or wrong quotes are parsed if the essential fields are certain."""
    result = parse_line(line)
    assert isinstance(result, dict)
    assert result["time"] == datetime(2026, 1, 2, 12, 0, 5)  # noqa: DTZ001
    assert {name: result[name] for name in (EXPECTED | expected_changes)} == EXPECTED | expected_changes


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (COMBINED.replace(FIRST, "client.example.org").replace(" - - ", " "), DropReason.MALFORMED),
        (COMBINED.replace(FIRST + " ", ""), DropReason.MALFORMED),
        (COMBINED.replace(TIME, "[02/Jan/2026]"), DropReason.MALFORMED),
        (COMBINED.replace(" - - ", " ").replace('"GET /a?b=1 HTTP/1.1"', '"-"'), DropReason.MALFORMED),
        (COMBINED.replace(" - - ", " ").replace("GET /a", "GET a"), DropReason.MALFORMED),
        (COMBINED.replace(" - - ", " ").replace(" 200 ", " 20 "), DropReason.MALFORMED),
        (COMBINED.replace(" - - ", " ").replace("02/Jan", "31/Feb"), DropReason.INVALID_TIME),
        (COMBINED.replace(" - - ", " ") + " " + "x" * LINE_CHARACTERS_MAX, DropReason.MALFORMED),
        (COMBINED.replace("(X11)", '" ' * 100) + "]", DropReason.MALFORMED),
        (COMBINED.replace("(X11)", 'a"' * 59), DropReason.MALFORMED),
    ],
)
def test_an_ambiguous_line_is_unparsable(line: str, reason: DropReason) -> None:
    """A line without a certain address, time, request or status is unparsable."""
    assert parse_line(line) == reason.value


@pytest.mark.parametrize("end", range(len(COMBINED) - len('Mozilla/5.0 (X11)"')))
def test_a_line_cut_off_before_its_user_agent_has_none(end: int) -> None:
    """A cut line is unparsable, unless it ends where a line of the common format could."""
    result = parse_line(COMBINED[:end])
    if isinstance(result, dict):
        assert COMBINED[:end].startswith(CLF[:-1])
        known = {"address", "time", "method", "path", "query", "status", "bytes"}
        assert {name for name, value in result.items() if value is not None} == known
    else:
        assert result in {DropReason.MALFORMED.value, DropReason.BLANK.value}


@pytest.mark.parametrize("end", range(1, len(CLF) - 2))
def test_a_common_line_cut_off_before_its_size_is_unparsable(end: int) -> None:
    """A line of the common format that ends before its size is unparsable."""
    assert parse_line(CLF[:end], "common") == DropReason.MALFORMED.value


@pytest.mark.parametrize("end", range(1, len(COMBINED) + 1))
@pytest.mark.parametrize("second", [OTHER, f"{OTHER} 0.5", OTHER.replace(SECOND, "2001:db8::2")])
def test_no_field_of_a_cut_line_enters_the_next_one(end: int, second: str) -> None:
    """Wherever the first of two lines was cut, the second is parsed on its own, or neither is."""
    result = parse_line(COMBINED[:end] + second)
    if isinstance(result, dict):
        expected = OTHER_EXPECTED | ({"address": "2001:db8::2"} if "2001" in second else {})
        assert result["address"] in {expected["address"], None}
        assert {name: result[name] for name in expected} == expected | {"address": result["address"]}
        assert (result["query"], result["host"], result["referrer"]) == (None, None, None)
    else:
        assert result == DropReason.MERGED.value


@pytest.mark.parametrize("cut", ["H", "HT", "HTT", "HTTP"])
@pytest.mark.parametrize("address", [SECOND, "2001:db8::2"])
def test_a_complete_second_record_is_parsed(cut: str, address: str) -> None:
    """If a line was cut in its protocol, the record after it is parsed."""
    result = parse_line(f'{FIRST} - - {TIME} "GET /a?token {cut}{OTHER.replace(SECOND, address)}')
    assert isinstance(result, dict)
    assert {name: result[name] for name in OTHER_EXPECTED} == OTHER_EXPECTED | {"address": address}
    assert (result["query"], result["host"], result["referrer"]) == (None, None, None)


@pytest.mark.parametrize(
    "line",
    [
        f'{FIRST} - - {TIME} "GET /a?id=5{OTHER}',
        f'{FIRST} - - {TIME} "GET /a HTTP/{OTHER}',
        f'{FIRST} - - {TIME} "GET /a HTTP/1.1" 200 5 "-" "Chrome/{OTHER}',
        f"{FIRST} - frank [02/Jan{OTHER}",
        f"{FIRST} - x{OTHER}",
        f'{FIRST} - - {TIME} "GET /a HT{OTHER[:-8]}',
        f'{FIRST} - - {TIME} "GET /a HT{OTHER.replace(SECOND, "client.example.org")}',
        f"{COMBINED}{OTHER.replace(' 5 ', ' ')}",
    ],
)
def test_two_records_without_a_clear_boundary_are_not_parsed(line: str) -> None:
    """If the start of the second record is not certain, or it is damaged too, neither is parsed."""
    assert parse_line(line) == DropReason.MERGED.value


def test_text_written_into_a_line_does_not_become_a_user_agent() -> None:
    """If other text was written into a line, its last quoted text is not used as the user agent."""
    noise = f'2026/01/02 12:00:05 [error] client: {SECOND}, request: "GET / HTTP/1.1", host: "example.org"'
    result = parse_line(COMBINED.removesuffix('(X11)"') + noise)
    assert isinstance(result, dict)
    assert (result["path"], result["user_agent"]) == ("/a", None)


def test_a_damaged_traefik_line_keeps_its_duration() -> None:
    """A damaged line of Traefik gives its duration, and a cut one is unparsable."""
    line = f'{COMBINED} 7 "web@docker" "http://10.0.0.2:80" 15ms'.replace(" - - ", " ")
    result = parse_line(line, "traefik")
    assert isinstance(result, dict)
    assert result["response_time_us"] == 15_000
    assert parse_line(line.removesuffix(" 15ms"), "traefik") == DropReason.MALFORMED.value


WORD = st.sampled_from(
    ["-", FIRST, SECOND, "frank", "a.example.org:80", "2001:db8::1", "fra198.51.100.2", ""]
)
PIECE = st.sampled_from(
    [
        '"',
        '\\"',
        "\\",
        " ",
        '" "',
        "-",
        "GET /a",
        "GET /b HTTP/1.1",
        "Mozilla/5.0",
        " 200 5 ",
        SECOND,
        "é",
        TIME,
        f'{SECOND} - - {TIME} "GET /b HTTP/1.1" 200 5 "-" "B"',
        '" 200 5 "',
    ]
)
VALUE = st.lists(PIECE, max_size=5).map("".join)


@settings(max_examples=by_depth(standard=200, thorough=2_400))
@given(
    head=st.lists(WORD, min_size=1, max_size=4),
    request=st.sampled_from(["GET /a HTTP/1.1", "-"]) | VALUE,
    rest=st.sampled_from([" 200 5", " 200 -", " 404", ""]),
    referrer=VALUE,
    agent=VALUE,
    extras=st.sampled_from(["", ' "x"', " 0.5", ' "a b" "']) | VALUE,
    format=st.sampled_from(["common", "combined"]),
)
@example([FIRST, "-", "-"], 'GET /x\\" 200 5 \\"y HTTP/1.1', " 404 7", "-", "a", "", "combined")
@example(["2001:db8::1", "-", "-", "-"], "GET /a HTTP/1.1", " 200 5", "-", "a", "", "combined")
@example([FIRST, "a.example.org:80", "-"], "GET /a HTTP/1.1", " 200 5", "", "", "", "common")
@example([f"{FIRST}:80", "-", "frank", "b"], "GET /a HTTP/1.1", " 200 5", "-", "a", "", "combined")
@example(["a.example.org", FIRST, "-"], "GET /a HTTP/1.1", " 200 5", "-", "a", "", "combined")
def test_the_tolerant_parser_never_contradicts_the_strict_one(
    head: list[str],
    request: str,
    rest: str,
    referrer: str,
    agent: str,
    extras: str,
    format: str,  # noqa: A002
) -> None:
    """A line that the strict parser accepts gives the same with the tolerant one, or is refused by it."""
    line = f'{" ".join(head)} {TIME} "{request}"{rest} "{referrer}" "{agent}"{extras}'
    reader = create_parser(format)
    assert isinstance(reader, LogParser)
    lines = pl.Series([line])
    strict = LogParser(
        format, tuple(step for step in reader.steps if not isinstance(step, DamagedLineStep))
    ).parse(lines)
    tolerant = LogParser(
        format, tuple(step for step in reader.steps if isinstance(step, DamagedLineStep))
    ).parse(lines)
    if len(strict.requests) and len(tolerant.requests):
        assert strict.requests.to_dicts() == tolerant.requests.to_dicts()
