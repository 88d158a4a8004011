"""What is known of one visitor: how much is stored, and what the register holds about them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from msgspec.structs import asdict, replace

from avowal.app.session import Session
from avowal.app.visitor_requests import RelationSummary, SummarizeVisitor
from avowal.clock import utc_now
from avowal.keep.address_lookup import AddressRecords
from avowal.keep.enforcement import find_governing_bounds
from avowal.ledger.address_coverage import AddressCoverage
from avowal.ledger.release_entry import ReleaseSummary
from avowal.policy.bounds import OPERATOR, VISITOR
from avowal.register.readers import RecordedAccess
from avowal.store.columns import RELATIONS
from avowal.submissions.submission import FieldValue, Submission

Part = TypeVar("Part", bound=msgspec.Struct)

UNNAMED_READER = "reader"
READER_ROLES = frozenset({OPERATOR, VISITOR})
"""Readers that are not people with a name."""

NOTHING_STORED = RelationSummary(0, None, None, [])


class VisitorSubmission(msgspec.Struct, frozen=True, kw_only=True):
    """A submission of the visitor, with the values that may still be kept; see Submission."""

    reference: str
    form: str
    channel: str
    version: int
    submitted_at: datetime
    recorded_at: datetime
    source: str
    keep_until: datetime | None
    objected_purposes: tuple[str, ...]
    allows_automated_decisions: bool
    allowed_recipients: tuple[str, ...]
    fields: list[FieldValue]


class VisitorConsent(msgspec.Struct, frozen=True, kw_only=True):
    """A consent of the visitor, or its withdrawal; see Consent."""

    version: int
    given: bool
    language: str
    channel: str
    recorded_at: datetime
    entry: int


class VisitorAuthorisation(msgspec.Struct, frozen=True, kw_only=True):
    """An authorisation that the visitor gave or withdrew; see Authorisation."""

    recipient: str
    given: bool
    categories: list[str]
    channel: str
    recorded_at: datetime
    entry: int


class VisitorRelease(msgspec.Struct, frozen=True, kw_only=True):
    """A release of the visitor's data, with the receipt that proves its entry in the ledger; see Release."""

    summary: ReleaseSummary
    recipient: str
    recalled_at: datetime | None
    entry: int
    receipt: dict[str, Any]


class VisitorSummary(msgspec.Struct, frozen=True):
    """What is known of a visitor, or of the visitors who had an address. Times are UTC."""

    visitor: str
    """The visitor's key; empty for several, and for the script views of one tab, which lead to no visitor."""
    stored: dict[str, RelationSummary]
    """By relation."""
    accesses: list[RecordedAccess]
    """Accesses to single visitors since the visitor's first record, which may be among what was read."""
    submissions: list[VisitorSubmission] = []
    consents: list[VisitorConsent] = []
    authorisations: list[VisitorAuthorisation] = []
    releases: list[VisitorRelease] = []
    coverage: AddressCoverage | None = None
    """Which days of an address and a period this is about; None for a visitor's key."""

    @property
    def is_empty(self) -> bool:
        """Return whether nothing is stored of the visitor; accesses alone are not about them."""
        has_register_data = self.submissions or self.consents or self.authorisations or self.releases
        return not has_register_data and not any(relation.records for relation in self.stored.values())


def summarize_visitor(session: Session, visitor_key: str, *, for_visitor: bool = False) -> VisitorSummary:
    """Return what is known of a visitor; names of readers are left out `for_visitor`."""
    return _summarize(session, [visitor_key], None, for_visitor=for_visitor)


def summarize_address(session: Session, records: AddressRecords) -> VisitorSummary:
    """Return what is known of the visitors whose records a person who had an address may see."""
    return _summarize(session, records.covered_keys, records.to_coverage(), for_visitor=False)


def _summarize(
    session: Session, keys: Sequence[str], coverage: AddressCoverage | None, *, for_visitor: bool
) -> VisitorSummary:
    register = session.register
    summaries = [
        session.call(SummarizeVisitor(key, tuple(other for other in keys if other != key))) for key in keys
    ]
    stored = _merge_summaries(summaries)
    return VisitorSummary(
        keys[0] if len(keys) == 1 else "",
        stored,
        _find_accesses(session, stored, with_names=not for_visitor),
        [submission for key in keys for submission in _find_submissions(session, key)],
        [_select(consent, VisitorConsent) for key in keys for consent in register.consents.for_visitor(key)],
        [
            _select(authorisation, VisitorAuthorisation)
            for key in keys
            for authorisation in register.authorisations.for_visitor(key)
        ],
        [
            _select(
                release,
                VisitorRelease,
                receipt=register.releases.make_receipt(register.ledger, key, release),
            )
            for key in keys
            for release in register.releases.for_visitor(key, utc_now())
        ],
        coverage,
    )


def _merge_summaries(summaries: Sequence[dict[str, RelationSummary]]) -> dict[str, RelationSummary]:
    """Return how much is stored of several visitors together, by relation."""
    merged = dict.fromkeys(RELATIONS, NOTHING_STORED)
    for relation, extent in merged.items():
        extents = [summary[relation] for summary in summaries if summary[relation].records]
        if extents:
            merged[relation] = replace(
                extent,
                records=sum(one.records for one in extents),
                first=min(one.first for one in extents if one.first),
                last=max(one.last for one in extents if one.last),
                versions=sorted({version for one in extents for version in one.versions}),
            )
    return merged


def summarize_script_views(session: Session, script_views: Sequence[Mapping[str, Any]]) -> VisitorSummary:
    """Return what is known of the script views of one tab, which lead to no visitor; there has to be one."""
    times = [datetime.fromisoformat(view["view_time"]) for view in script_views]
    versions = sorted({view["version"] for view in script_views})
    extent = RelationSummary(len(script_views), min(times), max(times), versions)
    stored = {**dict.fromkeys(RELATIONS, NOTHING_STORED), "script_views": extent}
    return VisitorSummary("", stored, _find_accesses(session, stored, with_names=False))


def _select(record: msgspec.Struct, part_type: type[Part], **other_values: object) -> Part:
    """Return a `part_type` with the fields of a record that it declares, and with other values."""
    values = {**asdict(record), **other_values}
    return part_type(**{name: values[name] for name in part_type.__struct_fields__})


def _find_accesses(
    session: Session, stored: Mapping[str, RelationSummary], *, with_names: bool
) -> list[RecordedAccess]:
    """Return the accesses to single visitors since the first record that is stored."""
    since = min((relation.first for relation in stored.values() if relation.first), default=utc_now())
    accesses = session.register.readers.accesses_since(since)
    if with_names:
        return accesses
    return [
        access if access.reader in READER_ROLES else replace(access, reader=UNNAMED_READER)
        for access in accesses
    ]


def _find_submissions(session: Session, visitor_key: str) -> list[VisitorSubmission]:
    """Return the visitor's submissions, decrypted as far as their values may still be kept."""
    submissions = session.register.submissions
    bounds = find_governing_bounds(session.register.versions(), utc_now())

    def decrypt(submission: Submission) -> list[FieldValue]:
        ages = bounds[submission.version - 1].retention_ages
        return submissions.decrypt_values(submission, lambda category: ages(category).get("full", 0))

    return [
        _select(submission, VisitorSubmission, fields=decrypt(submission))
        for submission in submissions.in_period(datetime.min, datetime.max, visitor_key)
    ]
