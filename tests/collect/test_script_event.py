"""Script events are admitted as a log line of the same moment would be."""

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avowal.collect.admission import AdmissionRules, admit_records
from avowal.collect.device import DeviceParser, parse_user_agent
from avowal.collect.script_event import (
    ClientIdentity,
    EventAdmission,
    EventDropError,
    ScriptEvent,
    VisitorKeyFactory,
    VisitorKeys,
    parse_page_url,
)
from avowal.collect.visitor_key import SaltFile, add_visitor_ids, compute_visitor_day, visitor_day_expression
from avowal.logs.fields import REQUEST_SCHEMA
from avowal.policy.vocabulary import load_vocabulary
from support.depth import by_depth

NOW = datetime(2026, 11, 22, 12)  # noqa: DTZ001  # UTC without a zone
MICROSECONDS = int(NOW.replace(tzinfo=UTC).timestamp()) * 1_000_000
AGENTS = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "",
    "odd/1.0",
]
WORDS = load_vocabulary().categories
CATEGORIES = [
    "host", "page-path", "page-query", "referrer", "browser", "operating-system", "device-kind", "bot", "ip-address",
    "country",
]  # fmt: skip


@st.composite
def admission_ages(draw: st.DrawFn) -> dict[str, dict[str, int | None]]:
    """Draw what the terms permit of each category: ages at some of its precisions."""
    ages = {}
    for category in draw(st.sets(st.sampled_from(CATEGORIES))):
        precisions = WORDS[category].precisions or ["full"]
        permitted_precisions = draw(st.sets(st.sampled_from([*precisions, "full"]), min_size=1))
        ages[category] = {precision: draw(st.sampled_from([None, 60])) for precision in permitted_precisions}
    return {**ages, "request-time": {"full": None}, "view-time": {"full": None}, "visitor-id": {"day": None}}


@settings(max_examples=by_depth(standard=150, thorough=1_200))
@given(
    admission_ages(),
    st.sampled_from(AGENTS),
    st.sampled_from(["192.0.2.77", "2001:db8:1:2::3"]),
    st.sampled_from(["", "https://example.org/a?q=1", "https://example.org", "android-app://x/", "no page"]),
    st.sampled_from(["/", "/a;jsessionid=1?b=c&d", "/é?x y", "?q"]),
)
def test_an_event_is_admitted_like_a_log_line(
    ages: dict[str, dict[str, int | None]], agent: str, address: str, referrer: str, page: str
) -> None:
    """An event gets the same columns and precisions as a log line, and is dropped for the same reasons."""
    rules = AdmissionRules(3, ages)
    host, path, query = parse_page_url(f"https://Site.Example{page}")
    line = {
        **dict.fromkeys(REQUEST_SCHEMA.names()), "line": 1, "time": NOW, "address": address, "host": host, "path": path,
        "query": query, "referrer": referrer or None, "user_agent": agent,
    }  # fmt: skip
    record = (
        DeviceParser()
        .add_device_columns(pl.DataFrame([line], schema=REQUEST_SCHEMA))
        .with_columns(
            visitor_id=pl.lit(7, dtype=pl.UInt64), country=pl.lit("BR"), request_kind=pl.lit("view")
        )
    )
    admitted, drops = admit_records(record, rules, NOW)
    event = ScriptEvent("abcdefghij", f"https://Site.Example{page}", referrer)
    admission = EventAdmission(rules, lambda _: "BR")
    if reasons := drops["reason"].to_list():
        with pytest.raises(EventDropError, match=reasons[0]):
            admission.admit_event(event, ClientIdentity(address, agent), VisitorKeys(7), MICROSECONDS)
        return
    row = admission.admit_event(event, ClientIdentity(address, agent), VisitorKeys(7), MICROSECONDS)
    (expected,) = admitted.to_dicts()
    for name in (
        "host", "visitor_id", "ip_address", "country", "bot", "page_path", "page_query", "browser", "browser_version",
        "operating_system", "operating_system_version", "device_kind", "version",
    ):  # fmt: skip
        assert getattr(row, name) == expected[name], name
    if referrer.startswith("http"):
        assert row.referrer == expected["referrer"]


def test_events_and_log_lines_share_the_visitor_key() -> None:
    """The daily key of an event equals that of a log line, so that views of both can be matched."""
    salt = SaltFile(Path("/nowhere"))
    visitors = VisitorKeyFactory(salt, ZoneInfo("Europe/Berlin"), time(4))
    visitors._salt, visitors._minute = b"s" * 32, MICROSECONDS // 60_000_000
    line = {
        **dict.fromkeys(REQUEST_SCHEMA.names()), "line": 1, "time": NOW, "address": "192.0.2.1", "host": "site.example",
        "user_agent": AGENTS[0],
    }  # fmt: skip
    frame = pl.DataFrame([line], schema=REQUEST_SCHEMA).with_columns(visitor_day=pl.lit(NOW.date()))
    (expected,) = add_visitor_ids(frame, {NOW.date(): b"s" * 32})["visitor_id"]
    caller = ClientIdentity("192.0.2.1", AGENTS[0], "identifier")
    assert visitors.compute_keys("site.example", caller, MICROSECONDS) == VisitorKeys(expected)
    cookie_keys = visitors.compute_keys("site.example", caller, MICROSECONDS, cookie_key_permitted=True)
    assert (cookie_keys.visitor_id & 1, cookie_keys.daily_key) == (1, expected)


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


def test_undeclared_categories_of_an_event_are_not_admitted() -> None:
    """Without `view-time` the event is dropped, and without `view-duration` it has no visible time."""
    event, caller = (
        ScriptEvent("abcdefghij", "https://site.example/", visible_ms=7),
        ClientIdentity("192.0.2.1", AGENTS[0]),
    )
    with pytest.raises(EventDropError, match="not-declared"):
        EventAdmission(AdmissionRules(1, {"page-path": {"full": None}})).admit_event(
            event, caller, VisitorKeys(7), MICROSECONDS
        )
    row = EventAdmission(AdmissionRules(1, {"view-time": {"full": 60}})).admit_event(
        event, caller, VisitorKeys(7), MICROSECONDS
    )
    assert {name for name in row.__struct_fields__ if getattr(row, name) is not None} == {
        "script_view_id", "received_at", "version", "elapsed_ms",
    }  # fmt: skip
    assert parse_user_agent(AGENTS[0])[1] == "Firefox"
    assert timedelta(milliseconds=row.elapsed_ms) == timedelta()
