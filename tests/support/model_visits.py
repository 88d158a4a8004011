"""The rule of visits in plain Python, to compare the real one with: slow, small, and easy to believe.

A deed is a view, a download or an upload of a person. A visitor's deeds of one visitor day that follow each other
with no gap over the longest one make a visit; a view lasts until the visit's next view.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo


@dataclass(frozen=True, order=True)
class Deed:
    """What somebody did at a time in UTC: `view`, `download` or `upload`; `who` is what a request shows of them."""

    time: datetime
    who: tuple[str, ...]
    kind: str
    path: str


Visit = list[Deed]
"""Deeds in the order of their times; those of the same time are in no order."""


def visitor_day(moment: datetime, zone: ZoneInfo, turns_at: time) -> object:
    """Return the site's date, which turns at `turns_at`."""
    local = moment.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)
    return (local - timedelta(hours=turns_at.hour, minutes=turns_at.minute)).date()


def visits(deeds: Iterable[Deed], gap: timedelta, zone: ZoneInfo, turns_at: time) -> list[Visit]:
    """Divide deeds into visits."""
    by_day = defaultdict(list)
    for deed in sorted(deeds):
        by_day[deed.who, visitor_day(deed.time, zone, turns_at)].append(deed)
    found = []
    for day in by_day.values():
        found.append(day[:1])
        for before, deed in pairwise(day):
            if deed.time - before.time > gap:
                found.append([])
            found[-1].append(deed)
    return found


def view_times(visit: Visit) -> list[tuple[datetime, timedelta | None]]:
    """Return when each view of a visit began, and how long it lasted; unknown for the last."""
    times = [deed.time for deed in visit if deed.kind == "view"]
    return [(time, following - time) for time, following in pairwise(times)] + [
        (time, None) for time in times[-1:]
    ]
