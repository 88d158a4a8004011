"""Script events are parsed, and get the visitor keys that a log line of the same moment gets."""

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avowal.collect.script_event import (
    ClientIdentity,
    EventDropError,
    VisitorKeyFactory,
    VisitorKeys,
    parse_page_url,
)
from avowal.collect.visitor_key import SaltFile, add_visitor_ids, compute_visitor_day, visitor_day_expression
from avowal.logs.fields import REQUEST_SCHEMA
from support.site import FIREFOX

NOW = datetime(2026, 11, 22, 12)  # noqa: DTZ001  # UTC without a zone
MICROSECONDS = int(NOW.replace(tzinfo=UTC).timestamp()) * 1_000_000
HOUR = 3_600_000_000


def test_events_and_log_lines_share_the_visitor_key(tmp_path: Path) -> None:
    """The daily key of an event equals that of a log line, so that views of both can be matched."""
    visitors = VisitorKeyFactory(SaltFile(tmp_path / "salts.json"), ZoneInfo("Europe/Berlin"), time(4))
    salts, _ = visitors.salts.load_or_create([NOW.date()], NOW)
    line = {
        **dict.fromkeys(REQUEST_SCHEMA.names()), "line": 1, "time": NOW, "address": "192.0.2.1", "host": "site.example",
        "user_agent": FIREFOX,
    }  # fmt: skip
    frame = pl.DataFrame([line], schema=REQUEST_SCHEMA).with_columns(visitor_day=pl.lit(NOW.date()))
    (expected,) = add_visitor_ids(frame, salts)["visitor_id"]
    caller = ClientIdentity("192.0.2.1", FIREFOX, "identifier")
    assert visitors.compute_keys("site.example", caller, MICROSECONDS, MICROSECONDS) == VisitorKeys(expected)
    cookie_keys = visitors.compute_keys(
        "site.example", caller, MICROSECONDS, MICROSECONDS, cookie_key_permitted=True
    )
    assert (cookie_keys.visitor_id & 1, cookie_keys.daily_key) == (1, expected)


def test_a_late_event_has_the_visitor_key_of_its_own_day(tmp_path: Path) -> None:
    """A record of the day before that arrives today has the key of the day before."""
    visitors = VisitorKeyFactory(SaltFile(tmp_path / "salts.json"), ZoneInfo("UTC"), time(4))
    caller = ClientIdentity("192.0.2.1", FIREFOX)
    day_before = NOW - timedelta(days=1)
    key = visitors.compute_keys("site.example", caller, MICROSECONDS - 9 * HOUR, MICROSECONDS)
    salts, late = visitors.salts.load_or_create([day_before.date(), NOW.date()], NOW)
    assert key == visitors.compute_keys("site.example", caller, MICROSECONDS - 20 * HOUR, MICROSECONDS)
    assert key != visitors.compute_keys("site.example", caller, MICROSECONDS, MICROSECONDS)
    assert (len(salts), late) == (2, set())


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)),  # noqa: DTZ001  # UTC without a zone
    st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"]),
    st.sampled_from([time(0), time(4), time(23, 30)]),
)
def test_events_and_log_lines_share_the_visitor_day(moment: datetime, zone: str, turns_at: time) -> None:
    """The visitor day is the same, also when clocks change."""
    frame = pl.DataFrame({"time": [moment]}, schema={"time": pl.Datetime("us")})
    (expected,) = frame.select(visitor_day_expression(pl.col("time"), ZoneInfo(zone), turns_at)).to_series()
    assert compute_visitor_day(moment, ZoneInfo(zone), turns_at) == expected


@pytest.mark.parametrize("url", ["", "/a", "ftp://site.example/", "https://", "https://[::1", "javascript:1"])
def test_an_event_without_a_web_page_is_dropped(url: str) -> None:
    """Any other address than that of a web page drops the event."""
    with pytest.raises(EventDropError, match="no-page"):
        parse_page_url(url)
