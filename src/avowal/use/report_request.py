"""The request for a report: its period, time zone and filters, parsed from the words of a command."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from zoneinfo import ZoneInfo

import msgspec

from avowal.errors import InvalidInputError
from avowal.policy.bounds import OPERATOR
from avowal.url_parts import normalise_path, parse_host_name

FILTER_DESCRIPTIONS = {
    "page": "path of the page, as logged",
    "host": "host that was asked",
    "referrer": "where the request came from",
    "browser": "browser's name",
    "operating_system": "operating system's name",
    "device": "desktop, phone, tablet or tv",
    "status": "status of the answer",
    "method": "method of the request",
}
"""The keys of `--filter KEY=GLOB`, and what each selects by."""

DEFAULT_ROW_LIMIT = 20
"""How many rows a table has unless another limit is given."""


class ReportRequest(msgspec.Struct, frozen=True):
    """A request for a report. Times are UTC; `since` is included, `until` is not, and None means no bound."""

    report: str
    since: datetime | None = None
    until: datetime | None = None
    timezone: str = "UTC"
    filters: dict[str, str | None] = {}
    site_hosts: list[str] = []
    limit: int = DEFAULT_ROW_LIMIT
    reader: str = OPERATOR
    is_shared: bool = False
    """Whether the result is shared with others than readers: then small groups are left out, as the terms require."""


def parse_filters(arguments: Iterable[str]) -> dict[str, str | None]:
    """Parse words such as `page=/blog/*`; a filter that is not given is None. Raises InvalidInputError for another key.

    >>> parse_filters(["page=/blog/*"])["page"]
    '/blog/*'
    """
    filters: dict[str, str | None] = dict.fromkeys(FILTER_DESCRIPTIONS)
    for argument in arguments:
        key, separator, pattern = argument.partition("=")
        if not separator or key not in FILTER_DESCRIPTIONS:
            near = get_close_matches(key, FILTER_DESCRIPTIONS, 1)
            hint = f"did you mean `{near[0]}=`? " if near else ""
            raise InvalidInputError(
                f"unknown filter `{argument}`",
                f"{hint}use KEY=PATTERN with one of: {', '.join(FILTER_DESCRIPTIONS)}",
                code="unknown-name",
            )
        filters[key] = normalise_filter(key, pattern)
    return filters


THIS_SITE = "(this site)"
"""The source of visits that a page of the site itself referred to."""

SHOWN_SOURCES = {"Direct or unknown": "(none)", "Internal": THIS_SITE}
"""The values that the report of sources shows for visits without a site of another."""


def normalise_filter(key: str, pattern: str) -> str:
    """Return a pattern as values are stored, so that each value works as it is shown.

    >>> normalise_filter("page", "/café/*")
    '/caf%C3%A9/*'
    """
    match key:
        case "page":
            return normalise_path(pattern)
        case "host":
            return parse_host_name(pattern) or pattern.lower()
        case "referrer":
            scheme, separator, _ = pattern.partition("://")
            host = parse_host_name(pattern)
            return SHOWN_SOURCES.get(pattern) or (host if host and not separator and scheme else pattern)
    return pattern


def parse_time(text: str, zone: ZoneInfo, now: datetime, *, is_end: bool = False) -> datetime:
    """Parse `2026-11-01`, `2026-11-01 14:30`, `today`, `yesterday` or `7 days` (ago); returns UTC without a zone.

    A day without an hour starts at midnight in `zone`; as the end of a period, it is included.

    >>> parse_time("2026-11-01", ZoneInfo("Europe/Berlin"), datetime(2026, 11, 22), is_end=True)
    datetime.datetime(2026, 11, 1, 23, 0)
    """
    today = now.replace(tzinfo=UTC).astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    if text in {"today", "yesterday"}:
        return _utc(today - timedelta(days=(text == "yesterday") - is_end))
    if match := re.fullmatch(r"(\d{1,5})\s*(hours?|days?|weeks?|[hdw])", text):
        unit = {"h": "hours", "d": "days", "w": "weeks"}[match[2][0]]
        return now - timedelta(**{unit: int(match[1])})
    try:
        moment = datetime.fromisoformat(text)
        if re.fullmatch(r"\d{4}-?\d\d-?\d\d", text):
            moment += timedelta(days=int(is_end))
        return _utc(moment if moment.tzinfo else moment.replace(tzinfo=zone))
    except (ValueError, OverflowError):  # the latter at both ends of the calendar
        raise InvalidInputError(
            f"invalid time `{text}`",
            "use `2026-11-01`, `2026-11-01 14:30`, `today`, `yesterday` or `7 days`",
            code="invalid-time",
        ) from None


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
