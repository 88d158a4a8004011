"""Count what became of the lines of a log."""

from collections import Counter
from collections.abc import Mapping

import msgspec

MISSING_FIELD_COSTS = {
    "address": "visitors and visits cannot be told apart, and their countries are unknown",
    "method": "no page views are counted",
    "status": "no page views are counted, as it is unknown what was delivered",
    "bytes": "the traffic is unknown",
    "user_agent": "browsers are unknown, and bots cannot be told from people",
    "referrer": "it is unknown where visitors came from",
    "host": "it is unknown which host was asked for",
}
"""What it costs if no line of a log has a field. The names are those of `REQUEST_SCHEMA`."""

FIELD_LABELS = {"user_agent": "user agent"}


def describe_missing_field(name: str) -> str:
    """Return a sentence about a field that no line has, and what that costs."""
    return f"no {FIELD_LABELS.get(name, name)}: {MISSING_FIELD_COSTS[name]}"


class LineCounts(msgspec.Struct, frozen=True):
    """What became of some lines. `lines` is the sum of `requests`, `dropped` and `unparsable`.

    Counts can be negative after a subtraction: an unfinished line that was unparsable may become a request.
    """

    lines: int = 0
    requests: int = 0
    bot_requests: int = 0
    """Requests of bots, included in `requests`."""
    late_requests: int = 0
    """Requests of a day whose salt was destroyed before. Their visitor keys differ from earlier ones of the day."""
    early_requests: int = 0
    """Requests that are older than the first version of the terms, and are bound to it."""
    known_fields: dict[str, int] = {}
    """How many of the lines that were parsed have a field, by the names of `MISSING_FIELD_COSTS`."""
    dropped: dict[str, int] = {}
    """Lines that were left out on purpose, by `DropReason`."""
    unparsable: dict[str, int] = {}
    """Lines that could not be parsed, by `DropReason`."""

    def __add__(self, other: "LineCounts") -> "LineCounts":
        return LineCounts(
            self.lines + other.lines,
            self.requests + other.requests,
            self.bot_requests + other.bot_requests,
            self.late_requests + other.late_requests,
            self.early_requests + other.early_requests,
            _add(self.known_fields, other.known_fields, 1),
            _add(self.dropped, other.dropped, 1),
            _add(self.unparsable, other.unparsable, 1),
        )

    @property
    def missing_fields(self) -> list[str]:
        """Return the fields that no line had, if there were any requests."""
        if self.requests <= 0:
            return []
        return [name for name in MISSING_FIELD_COSTS if self.known_fields.get(name, 0) <= 0]

    def __sub__(self, other: "LineCounts") -> "LineCounts":
        return LineCounts(
            self.lines - other.lines,
            self.requests - other.requests,
            self.bot_requests - other.bot_requests,
            self.late_requests - other.late_requests,
            self.early_requests - other.early_requests,
            _add(self.known_fields, other.known_fields, -1),
            _add(self.dropped, other.dropped, -1),
            _add(self.unparsable, other.unparsable, -1),
        )


def _add(left: Mapping[str, int], right: Mapping[str, int], sign: int) -> dict[str, int]:
    """Add counts by reason, without those that are zero. `Counter` would also leave out negative ones."""
    total = Counter(left)
    for reason, count in right.items():
        total[reason] += sign * count
    return {reason: count for reason, count in total.items() if count}
