"""What a record is on its way in, and every reason why a line becomes none."""

from datetime import timedelta
from enum import Enum, StrEnum

import polars as pl
from polars.datatypes import DataType, DataTypeClass

_COLUMNS: dict[str, DataType | DataTypeClass] = {
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
REQUEST_SCHEMA = pl.Schema(_COLUMNS)
"""A request as its log tells it, before the terms have seen it: it lives in memory only.

`line` is the line's number in its batch, `time` is UTC. `path` is as logged and without its query, made safe (what
could disturb a reader is percent-encoded) and rid of session parameters; `query` is without the question mark. Null is
what the log does not say. A log that names no user agents has null there, and so has a line that was cut within its
own; one that names them, and found none (`-`), has the empty string.
"""

FUTURE_TOLERANCE = timedelta(days=1)
"""How far a log's clock may run before ours; wider than any two time zones that were mixed up by mistake."""


class LineOutcome(Enum):
    """What becomes of a line that becomes no record."""

    DROPPED = "dropped"
    """Rightly left out, and counted by its reason."""
    DEAD_LETTER = "dead letter"
    """Could not be read: counted, and its place kept, so that the operator can look at it in the file."""


class DropReason(StrEnum):
    """Why a line became no record; the whole list, each explained in `docs/reference.md`."""

    BLANK = "blank"
    DIRECTIVE = "directive"
    NOT_A_REQUEST = "not-a-request"
    NOT_DECLARED = "not-declared"
    TOO_OLD = "too-old"

    UNREADABLE = "unreadable"
    MERGED = "merged"
    BAD_TIME = "bad-time"
    IN_THE_FUTURE = "in-the-future"
    TOO_LONG = "too-long"
    NOT_TEXT = "not-text"

    @property
    def outcome(self) -> LineOutcome:
        """What becomes of the line."""
        return LineOutcome.DROPPED if self in DROPPED_REASONS else LineOutcome.DEAD_LETTER


DROPPED_REASONS = frozenset(
    {
        DropReason.BLANK,
        DropReason.DIRECTIVE,
        DropReason.NOT_A_REQUEST,
        DropReason.NOT_DECLARED,
        DropReason.TOO_OLD,
    }
)
