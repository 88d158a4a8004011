"""Daily visitor keys and their salts."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from avowal.collect.visitor_key import SALT_LIFETIME, SaltFile, add_visitor_ids, visitor_day_expression
from avowal.errors import StoreError

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC).replace(tzinfo=None)
DAY = date(2026, 11, 22)


def compute_days(moments: list[datetime], zone: str) -> list[date]:
    frame = pl.DataFrame({"time": moments}, schema={"time": pl.Datetime("us")})
    return frame.select(visitor_day_expression(pl.col("time"), ZoneInfo(zone), time(4)))["time"].to_list()


def test_the_visitor_day_begins_at_four_in_the_sites_time_zone() -> None:
    """A moment before four in the morning belongs to the day before."""
    utc = [datetime(2026, 7, 2, 1, 59), datetime(2026, 7, 2, 2, 0)]  # noqa: DTZ001  # UTC without a zone
    assert compute_days(utc, "Europe/Berlin") == [date(2026, 7, 1), date(2026, 7, 2)]
    assert compute_days(utc, "UTC") == [date(2026, 7, 1), date(2026, 7, 1)]


def test_the_visitor_day_begins_at_four_when_clocks_change() -> None:
    """The day begins at four by the clock, also when clocks are changed."""
    utc = [datetime(2026, 10, 25, 2, 59), datetime(2026, 10, 25, 3, 0)]  # noqa: DTZ001  # UTC without a zone
    assert compute_days(utc, "Europe/Berlin") == [date(2026, 10, 24), date(2026, 10, 25)]


def test_a_salt_is_shared_by_processes_and_then_destroyed(tmp_path: Path) -> None:
    """A day has one salt for 48 hours after its first use, and a new one afterwards."""
    path = tmp_path / "keys" / "salts.json"
    salts, late_days = SaltFile(path).load_or_create([DAY], NOW)
    assert not late_days
    salts_before_expiry, late_days = SaltFile(path).load_or_create(
        [DAY], NOW + SALT_LIFETIME - timedelta(seconds=1)
    )
    assert salts_before_expiry == salts
    assert not late_days
    secret = salts[DAY]
    salts_after_expiry, late_days = SaltFile(path).load_or_create([DAY], NOW + SALT_LIFETIME)
    assert salts_after_expiry != salts
    assert late_days == {DAY}
    files = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert secret not in files
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600


def test_expired_salts_are_destroyed_without_being_used(tmp_path: Path) -> None:
    """A salt is removed after its lifetime, even if its day is never requested again."""
    salts = SaltFile(tmp_path / "salts.json")
    salts.load_or_create([DAY], NOW)
    before = salts.path.read_bytes()
    salts.destroy_expired(NOW + SALT_LIFETIME)
    assert salts.path.read_bytes() != before
    _, late_days = salts.load_or_create([DAY], NOW + SALT_LIFETIME)
    assert late_days == {DAY}


def test_an_unreadable_salt_file_is_an_error(tmp_path: Path) -> None:
    """A broken salt file is not replaced, as that would split each visitor in two."""
    path = tmp_path / "salts.json"
    path.write_bytes(b"{")
    with pytest.raises(StoreError):
        SaltFile(path).load_or_create([DAY], NOW)
    assert path.read_bytes() == b"{"


def test_visitor_keys_depend_on_host_address_agent_and_day() -> None:
    """The key is the same for the same host, address, user agent and day, and null without an address."""
    next_day = DAY + timedelta(days=1)
    rows = [
        (DAY, "a.example.org", "192.0.2.1", "one"),
        (DAY, "a.example.org", "192.0.2.1", "one"),
        (DAY, "a.example.org", "192.0.2.1", "two"),
        (DAY, "a.example.org", "192.0.2.2", "one"),
        (DAY, "b.example.org", "192.0.2.1", "one"),
        (DAY, None, "192.0.2.1", None),
        (DAY, None, "192.0.2.1", None),
        (next_day, "a.example.org", "192.0.2.1", "one"),
        (DAY, "a.example.org", None, "one"),
    ]
    frame = pl.DataFrame(rows, schema=["visitor_day", "host", "address", "user_agent"], orient="row")
    keys = add_visitor_ids(frame, {DAY: b"1" * 32, next_day: b"2" * 32})["visitor_id"].to_list()
    assert keys[0] == keys[1]
    assert keys[5] == keys[6]
    assert keys[8] is None
    assert len(set(keys)) == 7
