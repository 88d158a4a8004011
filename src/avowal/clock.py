"""The current time."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # UTC without a zone


def utc_now() -> datetime:
    """Return the current time in UTC, without a time zone, as the store has times."""
    return datetime.now(UTC).replace(tzinfo=None)


def to_microseconds(moment: datetime) -> int:
    """Return a UTC time as microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_microseconds(microseconds: int) -> datetime:
    """Return the UTC time of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=microseconds)
