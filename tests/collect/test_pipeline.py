"""The pipeline from lines to records, step by step."""

import re
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avowal.collect.admission import ADMITTED_SCHEMA, AdmissionRules
from avowal.collect.device import DeviceParser
from avowal.collect.pipeline import BatchResult, Pipeline, extract_shape
from avowal.collect.request_kind import RequestKindRules
from avowal.collect.visitor_key import SALT_LIFETIME, SaltFile
from avowal.config import CollectSettings
from avowal.logs.drop_reason import DropReason
from avowal.logs.formats import create_parser
from avowal.logs.log_file import LINE_BYTES_MAX, LogBlock
from support.depth import by_depth

NOW = datetime(2026, 11, 22, 12, 0)  # noqa: DTZ001  # UTC without a zone
GOOD = '192.0.2.1 - - [22/Nov/2026:10:00:00 +0000] "GET /a?b=c HTTP/1.1" 200 5 "-" "curl/8.5.0"'
AGES = {
    "request-time": {"full": None},
    "page-path": {"full": None},
    "request-kind": {"full": None},
    "visitor-id": {"day": None},
    "bot": {"full": None},
}


def pipeline(
    folder: Path, log_format: str = "combined", ages: dict[str, dict[str, int | None]] | None = None
) -> Pipeline:
    return Pipeline(
        parser=create_parser(log_format),
        admission_rules=lambda _: [
            AdmissionRules(1, AGES if ages is None else ages, NOW - timedelta(hours=1))
        ],
        kind_rules=RequestKindRules(CollectSettings()),
        salts=SaltFile(folder / "salts.json"),
        zone=ZoneInfo("UTC"),
        day_start=time(4),
        default_host="",
        device_parser=DeviceParser(),
    )


def block(*lines: str) -> LogBlock:
    data = "".join(f"{line}\n" for line in lines).encode()
    return LogBlock(1000, "", 1000 + len(data), "", data)


def process(folder: Path, *lines: str) -> BatchResult:
    return pipeline(folder).process(block(*lines), NOW)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", DropReason.BLANK),
        (" \t ", DropReason.BLANK),
        ("GET \0\0 here", DropReason.NOT_TEXT),
        (GOOD.replace("/a", "/" + "a" * LINE_BYTES_MAX), DropReason.TOO_LONG),
        ("nothing of the kind", DropReason.MALFORMED),
        (GOOD[:60], DropReason.MALFORMED),
        (GOOD.replace("22/Nov/2026:10", "32/Nov/2026:10"), DropReason.INVALID_TIME),
        (GOOD.replace("22/Nov/2026", "24/Nov/2026"), DropReason.IN_THE_FUTURE),
        ("#Fields: date", DropReason.DIRECTIVE),
        (GOOD[:60] + GOOD, DropReason.MERGED),
    ],
)
def test_a_dropped_line_has_a_reason(tmp_path: Path, line: str, reason: DropReason) -> None:
    """Each dropped line has its reason, and the lines around it become requests."""
    result = process(tmp_path, GOOD, line, GOOD)
    assert result.counts.dropped | result.counts.unparsable == {reason: 1}
    assert (result.counts.lines, result.counts.requests) == (3, 2)
    assert result.records["page_path"].to_list() == ["/a", "/a"]


def test_null_characters_before_a_line_are_ignored(tmp_path: Path) -> None:
    """A file system may leave null characters before a line after a loss of power."""
    assert process(tmp_path, "\0\0\0\0" + GOOD).counts.requests == 1


def test_an_unparsable_line_has_only_its_position_and_shape(tmp_path: Path) -> None:
    """Offset, length, reason and shape of an unparsable line are stored, and nothing of its content."""
    text = "secret user@example.org 192.0.2.77 na\u00efve"
    (unparsable,) = process(tmp_path, GOOD, text, GOOD).unparsable_lines
    assert (unparsable.offset_bytes, unparsable.length_bytes) == (1000 + len(GOOD) + 1, len(text.encode()))
    assert unparsable.shape == "a a@a.a 9.9.9.9 a"


@given(st.text(max_size=300))
def test_a_shape_contains_no_content_of_its_line(line: str) -> None:
    """A shape has no letter but `a`, no digit but `9`, and nothing beyond ASCII."""
    assert re.fullmatch(r"[a9\x20-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e]*", extract_shape(line))
    assert len(extract_shape(line)) <= 120


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=by_depth(standard=30, thorough=240),
)
@given(
    st.lists(st.one_of(st.text(alphabet=st.characters(exclude_characters="\n"), max_size=60), st.just(GOOD)))
)
def test_every_line_is_a_request_or_has_a_reason(tmp_path: Path, lines: list[str]) -> None:
    """Any line becomes a record or has one reason, and the records have the schema of admission."""
    result = process(tmp_path, *[re.sub("[\ud800-\udfff]", "", line) for line in lines])
    counts = result.counts
    drops = [*counts.dropped.values(), *counts.unparsable.values()]
    assert counts.lines == counts.requests + sum(drops) == len(lines)
    assert result.records.schema == ADMITTED_SCHEMA
    assert counts.requests >= lines.count(GOOD)


def test_late_and_early_requests_are_counted(tmp_path: Path) -> None:
    """Requests whose daily salt was destroyed, and requests from before the first version, are counted."""
    first = pipeline(tmp_path)
    assert first.process(block(GOOD), NOW).counts.late_requests == 0
    assert first.process(block(GOOD, GOOD), NOW + SALT_LIFETIME).counts.late_requests == 2
    assert first.process(block(GOOD, GOOD.replace(":10:", ":11:")), NOW).counts.early_requests == 1


def test_undeclared_request_times_drop_every_request(tmp_path: Path) -> None:
    """If the terms do not declare the request time, each request is dropped with a reason."""
    result = pipeline(tmp_path, ages={"page-path": {"full": None}, "bot": {"full": None}}).process(
        block(GOOD), NOW
    )
    assert (result.counts.requests, result.counts.dropped) == (0, {DropReason.NOT_DECLARED: 1})
