"""Admit the details that the script reports besides page views, each only if the terms declare it.

Page metrics (Web Vitals, script errors, whether the page exists) belong to a script view, and its largest values are
stored. A download, a link to another site, an upload and a named event are events at a moment, each a row of `events`.
"""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

import msgspec

from avowal.collect.admission import REFERRER_PAGE_REGEX, REFERRER_SITE_REGEX
from avowal.logs import request_line

PrecisionKey = tuple[str, str]
"""A category and one of its precisions."""

URL_CHARACTERS_MAX = 4_096
"""The longest address of which everything is read. A longer one is cut at its query, and then at this length."""

_Url = Annotated[str, msgspec.Meta(min_length=1)]
_Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=86_400_000)]


class EventDetails(msgspec.Struct, frozen=True):
    """Details of a page view. Web Vitals are defined at web.dev/articles/vitals."""

    not_found: bool | None = None
    """Whether the response of the page was 404."""
    largest_contentful_paint_ms: _Milliseconds | None = None
    """Largest Contentful Paint: the time until the largest element was visible."""
    interaction_to_next_paint_ms: _Milliseconds | None = None
    """Interaction to Next Paint: the slowest response of the page to an interaction."""
    cumulative_layout_shift: Annotated[float, msgspec.Meta(ge=0, le=1_000)] | None = None
    """Cumulative Layout Shift: how much of the page moved, and how far, in its worst five seconds. No unit."""
    script_errors: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] | None = None
    """The number of errors in scripts of the page."""
    download: _Url | None = None
    """The address of a downloaded file."""
    outbound_link: _Url | None = None
    """The address of a page of another site whose link was followed."""
    upload_bytes: Annotated[int, msgspec.Meta(ge=0, le=1 << 50)] | None = None
    """The size of the files in a form that was sent."""
    event_name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9_.:-]{0,63}$")] | None = None
    """The name of an event of the page."""


SCRIPT_PARTS = {
    "download": "download",
    "outbound-link": "outbound",
    "upload": "upload",
    "named-event": "event",
    "not-found": "missing",
    "web-vitals": "vitals",
    "script-errors": "errors",
}
"""The part of the script that reports each category."""


def select_script_parts(maximum_ages: Mapping[str, Mapping[str, int | None]]) -> tuple[str, ...]:
    """Return the parts of the script whose categories may be collected, by the maximum ages of the terms."""
    return tuple(
        part
        for category, part in SCRIPT_PARTS.items()
        if any(age != 0 for age in maximum_ages.get(category, {}).values())
    )


def admit_details(details: EventDetails, permitted: AbstractSet[PrecisionKey]) -> dict[str, Any]:
    """Return the permitted details, named as the fields of `JournalRow`."""
    file, link = _parse_url(details.download), _parse_url(details.outbound_link)
    vitals = ("web-vitals", "full")
    values = {
        "not_found": (("not-found", "full"), details.not_found),
        "largest_contentful_paint_ms": (vitals, details.largest_contentful_paint_ms),
        "interaction_to_next_paint_ms": (vitals, details.interaction_to_next_paint_ms),
        "cumulative_layout_shift": (vitals, details.cumulative_layout_shift),
        "script_errors": (("script-errors", "full"), details.script_errors),
        "download_path": (("download", "full"), file and request_line.sanitise_path(file.path)),
        "outbound_link": (
            ("outbound-link", "site"),
            link and truncate_url(link.geturl(), "outbound-link", permitted),
        ),
        "upload_bytes": (("upload", "full"), details.upload_bytes),
        "event_name": (("named-event", "full"), details.event_name),
    }
    return {
        name: value for name, (needed, value) in values.items() if value is not None and needed in permitted
    }


def _parse_url(url: str | None) -> SplitResult | None:
    """Return the parts of a page's address without its fragment. Return None if it is not one, or contains a user."""
    try:
        parts = urlsplit(shorten_url(url or ""))._replace(fragment="")
    except ValueError:
        return None
    return parts if parts.scheme in {"http", "https"} and "@" not in parts.netloc else None


def shorten_url(url: str) -> str:
    """Return an address that is not longer than URL_CHARACTERS_MAX: a longer one without query and fragment.

    >>> len(shorten_url("https://example.org/?" + "x" * 5_000))
    20
    """
    if len(url) <= URL_CHARACTERS_MAX:
        return url
    return re.split("[?#]", url, maxsplit=1)[0][:URL_CHARACTERS_MAX]


def truncate_url(url: str, category: str, permitted: AbstractSet[PrecisionKey]) -> str | None:
    """Return the address of a page at the finest permitted precision, or None if it is invalid or not permitted."""
    url = request_line.sanitise_url(shorten_url(url)) or ""
    if (category, "full") in permitted:
        return url or None
    for precision, pattern in (("page", REFERRER_PAGE_REGEX), ("site", REFERRER_SITE_REGEX)):
        if (category, precision) in permitted:
            match = re.match(pattern, url)
            return match[1] if match else None
    return None
