"""Public statistics of disclosures: how often data was released, recalled and refused."""

from collections import Counter
from datetime import datetime
from typing import NamedTuple

from avowal.policy.vocabulary import load_vocabulary
from avowal.register.register import Register
from avowal.register.release_requests import RefusalReason

QUARTER_MONTHS = 3
"""The length of a period."""


class DisclosureCount(NamedTuple):
    """The outcomes of requests for releases on one ground in one period."""

    period: str
    ground: str
    released: int
    recalled: int
    refused: int


def count_disclosures(
    register: Register, now: datetime, since: datetime = datetime.min, until: datetime = datetime.max
) -> list[DisclosureCount]:
    """Return the counts by quarter and ground, the newest quarter first; quarters without any are left out.

    Only what happened from `since` and before `until` is counted. A release under seal is counted, in the quarter in
    which it was made, once its seal has ended.
    """
    releases = [
        (release.summary, release.recalled_at)
        for release in register.releases.all()
        if release.summary.sealed_until is None or release.summary.sealed_until <= now
    ]
    refusals = register.release_requests.refusals()
    outcomes = (
        [(summary.ground, summary.released_at) for summary, _ in releases],
        [(summary.ground, recalled_at) for summary, recalled_at in releases if recalled_at],
        [
            (refusal.ground, refusal.refused_at)
            for refusal in refusals
            if refusal.reason != RefusalReason.DRY_RUN
        ],
    )
    released, recalled, refused = (
        Counter((_format_quarter(moment), ground) for ground, moment in outcome if since <= moment < until)
        for outcome in outcomes
    )
    counted = released.keys() | recalled.keys() | refused.keys()
    return [
        DisclosureCount(period, ground, *(counts[period, ground] for counts in (released, recalled, refused)))
        for period in sorted({period for period, _ in counted}, reverse=True)
        for ground in load_vocabulary().grounds
        if (period, ground) in counted
    ]


def format_count(count: int, smallest_group: int) -> str:
    """Return a count for the public: a range if it is smaller than the smallest group.

    >>> format_count(3, 5), format_count(0, 5), format_count(1200, 5)
    ('1-4', '0', '1,200')
    """
    return f"1-{smallest_group - 1}" if 1 <= count < smallest_group else f"{count:,}"


def _format_quarter(moment: datetime) -> str:
    return f"{moment.year}-Q{(moment.month - 1) // QUARTER_MONTHS + 1}"
