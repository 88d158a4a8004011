"""The current time."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the current time in UTC, without a time zone, as the store has times."""
    return datetime.now(UTC).replace(tzinfo=None)
