"""How often something was released, refused and recalled: what everybody may know of it."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from avowal.policy.vocabulary import load_vocabulary
from avowal.register.register import Register

QUARTER_MONTHS = 3
"""Of a period: a quarter of the calendar."""


class DisclosureCount(NamedTuple):
    """What became of attempts to disclose, in one period on one ground."""

    period: str
    ground: str
    released: int
    recalled: int
    refused: int


def count_disclosures(
    register: Register, now: datetime, since: datetime = datetime.min, until: datetime = datetime.max
) -> list[DisclosureCount]:
    """Return the counts of each quarter in which there were any, the newest first, by ground; of a period.

    What is under seal is counted from the day on that its seal ends, in the quarter that it belongs to.
    """
    releases = [one for one in register.releases.all() if not (one.sealed_until and one.sealed_until > now)]
    refusals = register.release_requests.refusals()
    found = {
        "released": [(one.ground, one.released_at) for one in releases],
        "recalled": [(one.ground, one.recalled_at) for one in releases if one.recalled_at],
        "refused": [(one.ground, one.refused_at) for one in refusals],
    }
    found = {name: [one for one in told if since <= one[1] < until] for name, told in found.items()}
    periods = sorted({_quarter(at) for told in found.values() for _, at in told}, reverse=True)
    return [
        DisclosureCount(
            period, ground, *(_count(found[name], period, ground) for name in DisclosureCount._fields[2:])
        )
        for period in periods
        for ground in load_vocabulary().grounds
        if any(_count(told, period, ground) for told in found.values())
    ]


def format_count(count: int, smallest_group: int) -> str:
    """Return a count as everybody may know it: one that is smaller than a group may be is a range.

    >>> format_count(3, 5), format_count(0, 5), format_count(1200, 5)
    ('1-4', '0', '1,200')
    """
    return f"1-{smallest_group - 1}" if 1 <= count < smallest_group else f"{count:,}"


def _count(told: Iterable[tuple[str, datetime]], period: str, ground: str) -> int:
    return sum(one == ground and _quarter(at) == period for one, at in told)


def _quarter(at: datetime) -> str:
    return f"{at.year}-Q{(at.month - 1) // QUARTER_MONTHS + 1}"
