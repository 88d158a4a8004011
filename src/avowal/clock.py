"""The time."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the time, in UTC and without a zone, as the store keeps times."""
    return datetime.now(UTC).replace(tzinfo=None)
