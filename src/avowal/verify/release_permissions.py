"""Check that each release was requested, approved and permitted at the moment at which it was made."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from avowal.disclose.evidence import NO_NEEDS, NO_REQUIREMENTS
from avowal.disclose.request import SEALED_GROUND
from avowal.errors import QueryError
from avowal.ledger.entry import Entry, find_entry
from avowal.ledger.release_entry import (
    ReleaseApproved,
    ReleaseMade,
    ReleaseRecalled,
    ReleaseRequested,
    RequestSummary,
)
from avowal.policy.bounds import GROUND_ONLY_PURPOSE
from avowal.policy.ground import EvidenceKind
from avowal.use.selection_list import join_selections, parse_row_selections
from avowal.verify.register_state import RegisterState
from avowal.verify.verification import Finding
from avowal.verify.version_timeline import VersionTimeline


def check_releases(state: RegisterState) -> Iterator[Finding]:
    """Check every request, approval, release and recall, in the order of the ledger."""
    audit = _ReleaseAudit(state.timeline)
    for entry in state.entries:
        yield from audit.check_entry(entry)


def check_authorisations(state: RegisterState) -> Iterator[Finding]:
    """Check releases that need the visitor's authorisation; those of erased visitors cannot be checked."""
    register = state.register
    for visitor, release in register.releases.by_visitor():
        summary, entry = release.summary, find_entry(state.entries, release.entry)
        if not isinstance(entry, ReleaseMade):
            continue
        needing = _find_categories_that_need(EvidenceKind.AUTHORISATION, state.timeline, entry)
        authorised = set[str]()
        for record in register.authorisations.for_visitor(visitor):
            if record.recipient == release.recipient and (record.entry or 0) < release.entry:
                authorised = authorised | {*record.categories} if record.given else set()
        if unauthorised := sorted(needing - authorised):
            sentence = (
                f"release {summary.reference} has categories without authorisation: {', '.join(unauthorised)}"
            )
            yield Finding("category-not-authorised", sentence)


def check_served_forms(state: RegisterState) -> Iterator[Finding]:
    """Check that releases for what a form asked have nothing that it does not need (B9).

    Those of erased submissions, and of requests whose details were erased, cannot be checked.
    """
    register = state.register
    made = {entry.summary.reference: entry for entry in state.entries if isinstance(entry, ReleaseMade)}
    for request in register.release_requests.all():
        entry = made.get(request.summary.reference)
        submission = register.submissions.find(request.details.evidence.get(EvidenceKind.FUNCTION, ""))
        if entry is None or submission is None:
            continue
        bounds = state.timeline.find_governing_bounds(entry.at)[submission.version - 1]
        needs = bounds.form_needs.get(submission.form, NO_NEEDS)
        needing = _find_categories_that_need(EvidenceKind.FUNCTION, state.timeline, entry)
        if extra := sorted(needing - needs.categories):
            sentence = (
                f"release {entry.summary.reference} has what its form does not need: {', '.join(extra)}"
            )
            yield Finding("category-not-needed", sentence)


def _find_categories_that_need(kind: EvidenceKind, timeline: VersionTimeline, entry: ReleaseMade) -> set[str]:
    """Return the categories of a release that the terms of their records require a kind of evidence for."""
    required = timeline.find_release_requirements(entry)
    return {category for category, requirements in required.items() if kind in requirements.evidence}


def check_approvers(state: RegisterState) -> Iterator[Finding]:
    """Check that nobody approved their own request; erased names cannot be checked."""
    requests = state.register.release_requests
    for request in requests.all():
        reference = request.summary.reference
        if request.details.requester in requests.approvers(reference):
            sentence = f"the request for release {reference} was approved by its requester"
            yield Finding("approver-is-requester", sentence)


def check_row_filters(state: RegisterState) -> Iterator[Finding]:
    """Check that each choice of rows is one that is run as it stands, and that the evidence has it in these words."""
    for request in state.register.release_requests.all():
        row_filter = request.details.row_filter
        if request.details.evidence.get(EvidenceKind.RECORDS, row_filter) != row_filter or (
            row_filter and not _is_normal(row_filter)
        ):
            sentence = f"the rows of release {request.summary.reference} are not chosen as its evidence says"
            yield Finding("row-filter-invalid", sentence)


def _is_normal(row_filter: str) -> bool:
    try:
        return join_selections(parse_row_selections(row_filter)) == row_filter
    except QueryError:
        return False


@dataclass
class _ReleaseAudit:
    """The state of releases after the entries so far."""

    timeline: VersionTimeline
    requests: dict[str, RequestSummary] = field(default_factory=dict)
    approval_counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    made_references: set[str] = field(default_factory=set)
    recalled_references: set[str] = field(default_factory=set)

    def check_entry(self, entry: Entry) -> Iterator[Finding]:
        """Check the next entry."""
        if isinstance(entry, ReleaseRequested):
            summary = entry.summary
            self.requests[summary.reference] = summary
            for finding in self._check_request(summary):
                yield finding.with_subject(f"the request for release {summary.reference}")
        elif isinstance(entry, ReleaseApproved):
            self.approval_counts[entry.reference] += 1
            if entry.reference not in self.requests:
                sentence = f"release {entry.reference} was approved before it was requested"
                yield Finding("approval-without-request", sentence)
            if entry.reference in self.made_references:
                sentence = f"release {entry.reference} was approved after it was made"
                yield Finding("approval-after-release", sentence)
        elif isinstance(entry, ReleaseMade):
            for finding in self._check_release(entry):
                yield finding.with_subject(f"release {entry.summary.reference}")
            self.made_references.add(entry.summary.reference)
        elif isinstance(entry, ReleaseRecalled):
            if entry.reference not in self.made_references or entry.reference in self.recalled_references:
                sentence = f"release {entry.reference} was recalled although it was not made, or twice"
                yield Finding("recall-without-release", sentence)
            self.recalled_references.add(entry.reference)

    def _check_request(self, request: RequestSummary) -> Iterator[Finding]:
        if not self.timeline.was_in_force(request.version, request.requested_at):
            yield from self.timeline.check_in_force(request.version, request.requested_at)
            return
        required = self.timeline.find_requirements(request.version, request.ground)
        if required is None:
            sentence = f"is on the ground `{request.ground}`, which version {request.version} does not permit"
            yield Finding("ground-not-permitted", sentence)
            return
        if missing := sorted({*required.evidence} - {EvidenceKind.AUTHORISATION, *request.evidence_kinds}):
            yield Finding("evidence-missing", f"lacks evidence: {', '.join(missing)}")
        if request.required_approvals < required.approvals:
            sentence = f"requires {request.required_approvals} approvals instead of {required.approvals}"
            yield Finding("required-approvals-too-few", sentence)

    def _check_release(self, entry: ReleaseMade) -> Iterator[Finding]:
        made = entry.summary
        request = self.requests.get(made.reference)
        if request is None:
            yield Finding("release-without-request", "was never requested")
            return
        if made.reference in self.made_references:
            yield Finding("release-made-twice", "was made twice")
        if (made.ground, made.recipient_kind) != (request.ground, request.recipient_kind):
            sentence = "is on another ground, or for another kind of recipient, than was requested"
            yield Finding("release-ground-mismatch", sentence)
        if extra := sorted({*made.categories} - {*request.categories}):
            yield Finding(
                "category-not-requested", f"has categories that were not requested: {', '.join(extra)}"
            )
        yield from self._check_requirements(entry, request)
        if made.sealed_until and made.ground != SEALED_GROUND:
            yield Finding("seal-without-instrument", "is under seal without an instrument")
        yield from self.timeline.check_in_force(made.version, made.released_at)
        if {category for category, *_ in entry.age_reach} != {*made.categories}:
            yield Finding(
                "reach-missing", "does not record how old the records of each of its categories were"
            )
        yield from self.timeline.check_reach(
            entry.age_reach,
            self.timeline.find_governing_bounds(made.released_at),
            (GROUND_ONLY_PURPOSE, made.recipient_kind, made.ground),
            made.released_at,
        )

    def _check_requirements(self, entry: ReleaseMade, request: RequestSummary) -> Iterator[Finding]:
        """Check evidence and approvals against what the version in force required, and the terms of the records."""
        made = entry.summary
        required = self.timeline.find_requirements(made.version, made.ground) or NO_REQUIREMENTS
        for governed in self.timeline.find_release_requirements(entry).values():
            required = required.merge(governed)
        if missing := sorted({*required.evidence} - {EvidenceKind.AUTHORISATION, *request.evidence_kinds}):
            sentence = f"lacks evidence that the terms of its records require: {', '.join(missing)}"
            yield Finding("evidence-missing", sentence)
        count = self.approval_counts[made.reference]
        required_count = max(request.required_approvals, required.approvals)
        if count < required_count:
            yield Finding("approvals-missing", f"was approved by {count} people instead of {required_count}")
