"""Name every reason why a line of a log does not become a request."""

from enum import Enum, StrEnum


class LineOutcome(Enum):
    """Tell lines that are left out on purpose from lines that could not be parsed."""

    DROPPED = "dropped"
    """Left out on purpose, and counted by reason."""
    UNPARSABLE = "unparsable"
    """Could not be parsed. Its offset and length are stored, so that the operator can find it in the file."""


class DropReason(StrEnum):
    """List why lines become no request. `docs/reference.md` explains each reason."""

    BLANK = "blank"
    DIRECTIVE = "directive"
    NOT_A_REQUEST = "not-a-request"
    NOT_DECLARED = "not-declared"
    TOO_OLD = "too-old"

    MALFORMED = "malformed"
    MERGED = "merged"
    INVALID_TIME = "invalid-time"
    IN_THE_FUTURE = "in-the-future"
    TOO_LONG = "too-long"
    NOT_TEXT = "not-text"

    @property
    def outcome(self) -> LineOutcome:
        """Return whether lines with this reason count as dropped or as unparsable."""
        return LineOutcome.DROPPED if self in DROPPED_REASONS else LineOutcome.UNPARSABLE


DROPPED_REASONS = frozenset(
    {
        DropReason.BLANK,
        DropReason.DIRECTIVE,
        DropReason.NOT_A_REQUEST,
        DropReason.NOT_DECLARED,
        DropReason.TOO_OLD,
    }
)
