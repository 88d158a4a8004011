"""A clock that tests move."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from unittest import mock

from avowal import clock


class MovedClock:
    """What `utc_now` returns while the clock is moved."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def advance(self, **duration: float) -> datetime:
        """Move the clock forward by a duration, as `timedelta` takes it; returns the new time."""
        self.moment += timedelta(**duration)
        return self.moment


@contextmanager
def moved_clock(moment: datetime) -> Iterator[MovedClock]:
    """Set the clock to a UTC time, at which it stands until it is moved."""
    moved = MovedClock(moment)

    class StandingTime(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            assert tz is UTC
            return moved.moment.replace(tzinfo=UTC)

    with mock.patch.object(clock, "datetime", StandingTime):
        yield moved
