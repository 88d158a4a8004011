"""Why an event that a page sent was not stored: stable codes, listed in `docs/reference.md`."""

from enum import StrEnum


class EventDropReason(StrEnum):
    """Why an event was not stored: what `Avowal-Dropped`, the metrics and problem details say."""

    NOT_DECLARED = "not-declared"
    TOO_OLD = "too-old"
    IN_THE_FUTURE = "in-the-future"
    NOT_OUR_SITE = "not-our-site"
    NO_PAGE = "no-page"
    INVALID_EVENT = "invalid-event"
    BODY_TOO_LARGE = "body-too-large"
    TOO_MANY_REQUESTS = "too-many-requests"
    UNAVAILABLE = "unavailable"
