"""A simple and slow model of visits, which the real derivation is compared with.

An action is a view, a download or an upload of a person. The actions of a visitor on one visitor day make a visit if
no pause between them is longer than the gap. A view lasts until the next view of its visit.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo


@dataclass(frozen=True, order=True)
class Action:
    """A `view`, `download` or `upload` at a time in UTC; `who` is what a request shows of the visitor."""

    time: datetime
    visitor: tuple[str, ...]
    kind: str
    path: str


Visit = list[Action]
"""Actions in the order of their times; actions of the same time are in no order."""


def visitor_day(moment: datetime, zone: ZoneInfo, turns_at: time) -> object:
    """Return the site's date, where a day begins at `turns_at`."""
    local = moment.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)
    return (local - timedelta(hours=turns_at.hour, minutes=turns_at.minute)).date()


def visits(actions: Iterable[Action], gap: timedelta, zone: ZoneInfo, turns_at: time) -> list[Visit]:
    """Divide actions into visits."""
    by_day = defaultdict(list)
    for action in sorted(actions):
        by_day[action.visitor, visitor_day(action.time, zone, turns_at)].append(action)
    result = []
    for day in by_day.values():
        result.append(day[:1])
        for before, action in pairwise(day):
            if action.time - before.time > gap:
                result.append([])
            result[-1].append(action)
    return result


def view_times(visit: Visit) -> list[tuple[datetime, timedelta | None]]:
    """Return the beginning and duration of each view of a visit; the last duration is None."""
    times = [action.time for action in visit if action.kind == "view"]
    return [(time, following - time) for time, following in pairwise(times)] + [
        (time, None) for time in times[-1:]
    ]
