"""The kinds of entry about releases: requests, approvals, refusals, releases and recalls. See `ledger.entry`."""

from datetime import datetime

import msgspec

AgeReach = tuple[str, str, int, datetime]
"""A category, a precision, the governing number of records, and the time of the oldest, rounded (X7)."""


class RequestSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What everybody may know of a request for a release. Ledger and register have it in this one shape."""

    reference: str
    ground: str
    recipient_kind: str
    categories: list[str]
    evidence_kinds: list[str]
    """The kinds of evidence that were given."""
    version: int
    """The version in force."""
    required_approvals: int
    """The number of other people who have to approve."""
    requested_at: datetime


class ReleaseRequested(msgspec.Struct, frozen=True, tag="release-requested", tag_field="kind"):
    """A release was requested, on a ground and with its evidence."""

    summary: RequestSummary
    commitment: str
    """A salted commitment to the details: the subject, the recipient, the requester and the evidence."""

    @property
    def at(self) -> datetime:
        """When it was requested."""
        return self.summary.requested_at


class ReleaseApproved(msgspec.Struct, frozen=True, tag="release-approved", tag_field="kind"):
    """A person other than the requester approved a release."""

    reference: str
    commitment: str
    """A salted commitment to the approver."""
    at: datetime


class ReleaseRefused(msgspec.Struct, frozen=True, tag="release-refused", tag_field="kind"):
    """A request for a release was refused."""

    ground: str
    recipient_kind: str
    reason: str
    """A value of `RefusalReason`."""
    commitment: str
    """A salted commitment to the requester."""
    at: datetime


class ReleaseSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What everybody may know of a release. Ledger, register and the package's manifest have it in this one shape."""

    reference: str
    ground: str
    recipient_kind: str
    categories: list[str]
    """The categories that were released."""
    records: dict[str, int]
    """The number of records of each relation."""
    version: int
    """The version in force."""
    released_at: datetime
    expires_at: datetime
    """When the recipient has to have deleted it."""
    sealed_until: datetime | None = None
    """Until when the visitors in it may not be told of it; None if they may be told at once."""

    @property
    def record_count(self) -> int:
        """The number of records of all relations."""
        return sum(self.records.values())


class ReleaseMade(msgspec.Struct, frozen=True, tag="release-made", tag_field="kind"):
    """A release was made: data was packaged for a recipient, on a ground."""

    summary: ReleaseSummary
    manifest_hash: str
    """The hash of the package's manifest."""
    commitment: str
    """A salted commitment to the visitor and the recipient; of several visitors, the root of the tree of theirs."""
    visitor_count: int
    """The number of visitors whose data it contains; 0 if none is known."""
    age_reach: list[AgeReach]
    """How old the released values were, by category, precision and governing number."""

    @property
    def at(self) -> datetime:
        """When it was released."""
        return self.summary.released_at


class ReleaseRecalled(msgspec.Struct, frozen=True, tag="release-recalled", tag_field="kind"):
    """A release was recalled: its recipient has to delete it."""

    reference: str
    reason: str
    at: datetime
