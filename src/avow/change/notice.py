"""The notice of a new version: what changes, and how long it is displayed where everybody sees it (V6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

from avow.keep.register import Version
from avow.policy.compare import Relation, compare
from avow.policy.tell import differences

DISPLAYED = timedelta(days=30)
"""How long a notice stays after its version took effect."""


@dataclass(frozen=True)
class Notice:
    """What a version changes, in sentences, and the first and last day (UTC) on which its notice is displayed."""

    version: int
    effective_at: datetime
    relation: Relation
    looser: list[str]
    """Holds only for what is collected from then on."""
    stricter: list[str]
    """Holds for what was collected before, too."""
    first_day: date
    last_day: date

    def displayed(self, day: date) -> bool:
        """Return whether it is displayed on a day."""
        return self.first_day <= day <= self.last_day


def notices(versions: Sequence[Version]) -> list[Notice]:
    """Return the notice of each version but the first, which nobody has to be told of as a change."""
    found = []
    for old, new in pairwise(versions):
        comparison = compare(old.promised, new.promised)
        found.append(
            Notice(
                new.number,
                new.effective_at,
                comparison.relation,
                [line.sentence for line in differences(comparison.looser)],
                [line.sentence for line in differences(comparison.stricter)],
                new.published_at.date(),
                (new.effective_at + DISPLAYED).date(),
            )
        )
    return found
