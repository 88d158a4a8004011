"""Count what became of the lines of a log."""

from collections import Counter
from collections.abc import Mapping

import msgspec


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
            _add(self.dropped, other.dropped, 1),
            _add(self.unparsable, other.unparsable, 1),
        )

    def __sub__(self, other: "LineCounts") -> "LineCounts":
        return LineCounts(
            self.lines - other.lines,
            self.requests - other.requests,
            self.bot_requests - other.bot_requests,
            self.late_requests - other.late_requests,
            self.early_requests - other.early_requests,
            _add(self.dropped, other.dropped, -1),
            _add(self.unparsable, other.unparsable, -1),
        )


def _add(left: Mapping[str, int], right: Mapping[str, int], sign: int) -> dict[str, int]:
    """Add counts by reason, without those that are zero. `Counter` would also leave out negative ones."""
    total = Counter(left)
    for reason, count in right.items():
        total[reason] += sign * count
    return {reason: count for reason, count in total.items() if count}
