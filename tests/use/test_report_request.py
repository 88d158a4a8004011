"""Report requests: times, time zones and filters from the command line."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avowal.errors import InvalidInputError
from avowal.use.report_request import FILTER_DESCRIPTIONS, parse_filters, parse_time

NOW = datetime(2026, 11, 22, 14, 30, 15)  # noqa: DTZ001  # UTC without a zone
BERLIN, LIMA, APIA = ZoneInfo("Europe/Berlin"), ZoneInfo("America/Lima"), ZoneInfo("Pacific/Apia")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("text", "zone", "first", "last"),
    [
        ("2026-11-01", BERLIN, "2026-10-31 23:00", "2026-11-01 23:00"),
        ("20261101", BERLIN, "2026-10-31 23:00", "2026-11-01 23:00"),
        ("2026-11-01", LIMA, "2026-11-01 05:00", "2026-11-02 05:00"),
        ("2026-10-25", BERLIN, "2026-10-24 22:00", "2026-10-25 23:00"),
        ("2026-03-29", BERLIN, "2026-03-28 23:00", "2026-03-29 22:00"),
        ("2026-12-31", BERLIN, "2026-12-30 23:00", "2026-12-31 23:00"),
        ("2026-11-01 14:30", BERLIN, "2026-11-01 13:30", "2026-11-01 13:30"),
        ("2026-11-01T14:30:10", BERLIN, "2026-11-01 13:30:10", "2026-11-01 13:30:10"),
        ("2026-11-01T14:30Z", BERLIN, "2026-11-01 14:30", "2026-11-01 14:30"),
        ("2026-11-01T14:30-05:00", BERLIN, "2026-11-01 19:30", "2026-11-01 19:30"),
        ("today", BERLIN, "2026-11-21 23:00", "2026-11-22 23:00"),
        ("yesterday", BERLIN, "2026-11-20 23:00", "2026-11-21 23:00"),
        ("today", LIMA, "2026-11-22 05:00", "2026-11-23 05:00"),
        ("today", APIA, "2026-11-22 11:00", "2026-11-23 11:00"),
        ("7 days", BERLIN, "2026-11-15 14:30:15", "2026-11-15 14:30:15"),
        ("1 day", LIMA, "2026-11-21 14:30:15", "2026-11-21 14:30:15"),
        ("36h", BERLIN, "2026-11-21 02:30:15", "2026-11-21 02:30:15"),
        ("2 weeks", BERLIN, "2026-11-08 14:30:15", "2026-11-08 14:30:15"),
    ],
)
def test_times_are_parsed_in_the_time_zone(text: str, zone: ZoneInfo, first: str, last: str) -> None:
    """A day starts in the time zone; as an end it includes the whole day, also when clocks change."""
    assert parse_time(text, zone, NOW) == utc(first)
    assert parse_time(text, zone, NOW, is_end=True) == utc(last)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "2026-02-30",
        "2026-13-01",
        "14:30",
        "-1 days",
        "1 month",
        "days",
        "2026-11-01 25:00",
    ],
)
def test_an_invalid_time_is_refused(text: str) -> None:
    """The error names the text, and its hint lists valid forms."""
    with pytest.raises(InvalidInputError) as error_info:
        parse_time(text, BERLIN, NOW)
    assert f"`{text}`" in error_info.value.message
    assert "yesterday" in error_info.value.hint


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31", "9999-12-31T23:59:59-12:00"])
@pytest.mark.parametrize("zone", [BERLIN, LIMA, ZoneInfo("Asia/Tokyo")], ids=lambda zone: zone.key)
def test_times_at_the_edge_of_the_calendar_are_parsed_or_refused(text: str, zone: ZoneInfo) -> None:
    """A time at the edge of the calendar gives a time or an error with a message."""
    for end in (False, True):
        try:
            moment = parse_time(text, zone, NOW, is_end=end)
        except InvalidInputError as error:
            assert f"`{text}`" in error.message  # noqa: PT017  # a time or an error is correct
        else:
            assert moment.tzinfo is None


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2037, 1, 1)),  # noqa: DTZ001  # local time in the zone
    st.sampled_from(sorted(available_timezones() - {"localtime"})),
)
def test_a_day_begins_where_the_previous_one_ends(moment: datetime, name: str) -> None:
    """In each time zone every moment belongs to exactly one day."""
    zone, day = ZoneInfo(name), moment.date()
    end = parse_time(day.isoformat(), zone, NOW, is_end=True)
    assert end == parse_time((day + timedelta(days=1)).isoformat(), zone, NOW)
    assert timedelta(0) <= end - parse_time(day.isoformat(), zone, NOW) <= timedelta(hours=49)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  # Hypothesis adds UTC
def test_a_time_with_an_offset_does_not_depend_on_the_time_zone(moment: datetime) -> None:
    """The offset of a time takes precedence over the time zone."""
    assert parse_time(moment.isoformat(), BERLIN, NOW) == moment.replace(tzinfo=None)


def test_filters_consist_of_a_key_and_a_pattern() -> None:
    """The last pattern of a key counts, and keys without a filter have None."""
    filters = parse_filters(["page=/a=b*", "host=", "page=/last"])
    assert set(filters) == set(FILTER_DESCRIPTIONS)
    assert {key: pattern for key, pattern in filters.items() if pattern is not None} == {
        "page": "/last",
        "host": "",
    }
    assert parse_filters([]) == dict.fromkeys(FILTER_DESCRIPTIONS)


@pytest.mark.parametrize(
    ("text", "hint"), [("pages=/a", "`page=`"), ("page", "KEY=PATTERN"), ("=x", "page, host")]
)
def test_an_invalid_filter_is_refused(text: str, hint: str) -> None:
    """The error names the text, and its hint the nearest valid key."""
    with pytest.raises(InvalidInputError) as error_info:
        parse_filters([text])
    assert f"`{text}`" in error_info.value.message
    assert hint in error_info.value.hint
