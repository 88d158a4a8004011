"""What a record is on its way in, and every reason why a line becomes none."""

from enum import Enum, StrEnum

import polars as pl

PARSED = pl.Schema(
    {
        "line": pl.UInt32,
        "time": pl.Datetime("us"),
        "address": pl.String,
        "host": pl.String,
        "method": pl.String,
        "path": pl.String,
        "query": pl.String,
        "status": pl.UInt16,
        "bytes": pl.Int64,
        "response_time_us": pl.Int64,
        "referrer": pl.String,
        "user_agent": pl.String,
    }
)
"""A request as its log tells it, before the terms have seen it: it lives in memory only.

`line` is the line's number in its batch, `time` is UTC, `path` is as logged and without its query, `query` is
without the question mark, and null is what the log does not say. A log that names no user agents has null there;
one that names them, and found none (`-`), has the empty string.
"""


class Fate(Enum):
    """What becomes of a line that becomes no record."""

    DROPPED = "dropped"
    """Rightly left out, and counted by its reason."""
    DEAD_LETTER = "dead letter"
    """Could not be read: counted, and its place kept, so that the operator can look at it in the file."""


class Reason(StrEnum):
    """Why a line became no record; the whole list, each explained in `docs/reference.md`."""

    fate: Fate

    def __new__(cls, value: str, fate: Fate) -> "Reason":
        """Give each reason its fate."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.fate = fate
        return member

    BLANK = "blank", Fate.DROPPED
    DIRECTIVE = "directive", Fate.DROPPED
    NOT_A_REQUEST = "not-a-request", Fate.DROPPED
    NOT_DECLARED = "not-declared", Fate.DROPPED
    TOO_OLD = "too-old", Fate.DROPPED

    UNREADABLE = "unreadable", Fate.DEAD_LETTER
    MERGED = "merged", Fate.DEAD_LETTER
    BAD_ADDRESS = "bad-address", Fate.DEAD_LETTER
    BAD_TIME = "bad-time", Fate.DEAD_LETTER
    IN_THE_FUTURE = "in-the-future", Fate.DEAD_LETTER
    TOO_LONG = "too-long", Fate.DEAD_LETTER
    NOT_TEXT = "not-text", Fate.DEAD_LETTER
