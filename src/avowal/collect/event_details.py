"""What the script in a page tells beside views, each only where the terms declare it: what was done, and how it went.

How a page fared (its vitals, the errors of its scripts, whether it was there) belongs to a look, and grows with it; a
download, a link to another site, an upload and an event that the page names are things done at a moment: interactions.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

import msgspec

from avowal.collect.admission import REFERRER_PAGE_REGEX, REFERRER_SITE_REGEX
from avowal.logs import request_line

URL_CHARACTERS_MAX = 4_096
_Url = Annotated[str, msgspec.Meta(min_length=1, max_length=URL_CHARACTERS_MAX)]
_Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=86_400_000)]


class EventDetails(msgspec.Struct, frozen=True):
    """What an event tells beside the view: vitals are those of web.dev/articles/vitals."""

    missing: bool | None = None
    """Whether the page was not there (404)."""
    lcp: _Milliseconds | None = None
    """Largest Contentful Paint: when the largest part of the page was shown."""
    inp: _Milliseconds | None = None
    """Interaction to Next Paint: how long the page took to show an answer, at its slowest."""
    cls: Annotated[float, msgspec.Meta(ge=0, le=1_000)] | None = None
    """Cumulative Layout Shift: how much of the page moved, how far, in its worst five seconds."""
    errors: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] | None = None
    """How many errors its scripts had."""
    download: _Url | None = None
    """The address of a file that was asked for."""
    outbound: _Url | None = None
    """The address of a page of another site that was opened."""
    upload: Annotated[int, msgspec.Meta(ge=0, le=1 << 50)] | None = None
    """How many bytes the files had that were handed to a form."""
    event: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9_.:-]{0,63}$")] | None = None
    """The name that the page gives to what was done."""


SCRIPT_PARTS = {
    "download": "download",
    "outbound-link": "outbound",
    "upload": "upload",
    "named-event": "event",
    "not-found": "missing",
    "web-vitals": "vitals",
    "script-errors": "errors",
}
"""The part of the script that tells of each category."""


def select_script_parts(maximum_ages: Mapping[str, Mapping[str, int | None]]) -> tuple[str, ...]:
    """Return the parts of the script that terms ask for; `kept` are the greatest ages of what they let in."""
    return tuple(
        part
        for category, part in SCRIPT_PARTS.items()
        if any(age != 0 for age in maximum_ages.get(category, {}).values())
    )


def admit_details(details: EventDetails, permitted: Mapping[str, bool]) -> dict[str, Any]:
    """Return what is let in of it, by the names of `Row`; `has` has each category and precision that may be kept."""
    file, link = _page(details.download), _page(details.outbound)
    told = {
        "not_found": ("not-found full", details.missing),
        "largest_contentful_paint_ms": ("web-vitals full", details.lcp),
        "interaction_to_next_paint_ms": ("web-vitals full", details.inp),
        "cumulative_layout_shift": ("web-vitals full", details.cls),
        "script_errors": ("script-errors full", details.errors),
        "download_path": ("download full", file and request_line.sanitise_path(file.path)),
        "outbound_link": (
            "outbound-link site",
            link and truncate_url(link.geturl(), "outbound-link", permitted),
        ),
        "upload_bytes": ("upload full", details.upload),
        "event_name": ("named-event full", details.event),
    }
    return {
        name: value for name, (needed, value) in told.items() if value is not None and needed in permitted
    }


def _page(url: str | None) -> SplitResult | None:
    """Return the parts of a page's address, without its fragment; None where it is none, or names a user."""
    try:
        parts = urlsplit(url or "")._replace(fragment="")
    except ValueError:
        return None
    return parts if parts.scheme in {"http", "https"} and "@" not in parts.netloc else None


def truncate_url(url: str, category: str, permitted: Mapping[str, bool]) -> str | None:
    """Return the address of a page, as finely as a category may be kept; None where it is none, or may not."""
    url = request_line.sanitise_query(url) or ""
    if f"{category} full" in permitted:
        return url or None
    for precision, pattern in (("page", REFERRER_PAGE_REGEX), ("site", REFERRER_SITE_REGEX)):
        if f"{category} {precision}" in permitted:
            found = re.match(pattern, url)
            return found[1] if found else None
    return None
