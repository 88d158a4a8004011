"""The steps of a release: request, approval, and a package that its recipient can check. Each step is recorded first.

The rules are in `docs/spec/releases.md`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from avowal.clock import utc_now
from avowal.disclose.evidence import (
    collect_evidence,
    find_evidence_scope,
    find_ground_requirements,
    find_missing_evidence,
    find_reached_requirements,
    find_strictest_requirements,
    find_submission,
    narrow_to_evidence,
    select_submissions,
)
from avowal.disclose.extract import Extract, extract_submissions, merge_extracts
from avowal.disclose.package import PackageManifest, build_package, encode_tables, hash_files
from avowal.disclose.prepared_release import PreparedRelease
from avowal.disclose.request import (
    ReleaseInput,
    check_release_input,
    find_recipient_kind,
    normalize_row_filter,
    parse_ground,
    refusing_queries,
)
from avowal.disclose.subject import (
    find_address_period,
    find_visitor_key,
    nothing_to_release_error,
    select_address_rows,
)
from avowal.errors import DisclosureError, InvalidInputError, RefusedError
from avowal.keep.enforcement import find_governing_bounds, find_version_in_force
from avowal.keep.visitor_lookup import VisitorRecords, VisitorSelector
from avowal.ledger.release_entry import RequestSummary
from avowal.policy.bounds import OPERATOR, Bounds
from avowal.policy.ground import EvidenceKind, GroundRequirements
from avowal.policy.vocabulary import expand_words
from avowal.register.register import Register, Version
from avowal.register.release_requests import APPROVAL_WAIT_DAYS, RefusalReason, ReleaseRequest, RequestDetails
from avowal.register.releases import commit_to_visitors
from avowal.submissions.submission import Submission, new_reference
from avowal.use.report_request import parse_time


class ReleaseResult(NamedTuple):
    """A release that is recorded, with its package."""

    manifest: PackageManifest
    entry: int
    """The number of its entry in the ledger."""
    package: bytes


@dataclass(frozen=True)
class ReleaseWorkflow:
    """Requests, approves and makes releases.

    What is released is extracted once in each step. A request that needs no approval is released from the extract that
    was made for it. One that waited for approval is extracted again when it is made: meanwhile records may have been
    erased or expired, and authorisations withdrawn (X2, X6).
    """

    register: Register
    time_zone: ZoneInfo
    parse_visitor: Callable[[str, str, str], VisitorSelector]
    """Parses a visitor's key, cookie or address, and the period of the address."""
    find_visitor_records: Callable[[VisitorSelector], VisitorRecords]
    """See `keep.visitor_lookup`."""
    extract_records: Callable[[ReleaseRequest], Extract]
    """Extracts stored records; see `disclose.extract`."""

    def find_requirements(self, ground: str) -> GroundRequirements:
        """Return what the version in force requires on a ground; see `find_ground_requirements`."""
        return find_ground_requirements(self._find_version(), ground)

    def prepare_request(self, release_input: ReleaseInput, requester: str) -> PreparedRelease:
        """Return a request and what it would release. Nothing is recorded.

        Raises InvalidInputError if the input is not valid, and DisclosureError if nothing may be released.
        """
        self.register.readers.check_can_disclose(requester)
        version, seen_entries = self._find_version(), self.register.ledger.count_entries()
        ground = parse_ground(release_input.ground)
        sealed_until, selector = self._parse_seal(release_input), self._parse_subject(release_input)
        requirements, now = find_ground_requirements(version, ground), utc_now()
        strictest = find_strictest_requirements(self._find_governing_bounds(), ground)
        period = find_address_period(release_input, selector, requirements)
        visitor = self._find_visitor(release_input, None if period else selector, requirements)
        check_release_input(release_input, requirements, sealed_until, now)
        recipient_kind = find_recipient_kind(version, ground, release_input.recipient_kind)
        row_filter = (
            select_address_rows(period, version.compiled_terms.disclosed_categories(recipient_kind, ground))
            if period
            else normalize_row_filter(release_input.row_filter)
        )
        evidence = collect_evidence(
            requirements, strictest, release_input.evidence, release_input.evidence_reference, row_filter, now
        )
        request = ReleaseRequest(
            RequestSummary(
                reference=new_reference(),
                ground=ground,
                recipient_kind=recipient_kind,
                categories=expand_words("categories", release_input.categories),
                evidence_kinds=sorted(evidence),
                version=version.number,
                required_approvals=requirements.approvals,
                requested_at=now,
            ),
            RequestDetails(
                recipient=release_input.recipient.strip(),
                recipient_contact=release_input.recipient_contact.strip(),
                visitor=visitor,
                row_filter=row_filter,
                address=period.address if period else "",
                submission=release_input.submission_reference,
                evidence=evidence,
                requester=requester,
                expires_days=release_input.expires_days,
                sealed_until=sealed_until,
            ),
        )
        prepared = self._prepare(request, version, seen_entries)
        return prepared._replace(request=request.with_approvals(prepared.requirements.approvals))

    def record_request(self, release_input: ReleaseInput, requester: str) -> PreparedRelease:
        """Record a request, if something of it may be released. Raises as `prepare_request` does."""
        prepared = self.prepare_request(release_input, requester)
        return prepared._replace(request=self.register.release_requests.record(prepared.request))

    def preview_request(self, release_input: ReleaseInput, requester: str) -> PreparedRelease:
        """Record a dry run or its refusal, and return what would be released. Raises as `prepare_request` does."""
        ground, recipient_kind = parse_ground(release_input.ground), release_input.recipient_kind
        with self.recording_refusals(ground, recipient_kind, requester):
            prepared = self.prepare_request(release_input, requester)
        self.record_refusal(ground, recipient_kind, RefusalReason.DRY_RUN, requester)
        return prepared

    def prepare_release(self, request: ReleaseRequest) -> PreparedRelease:
        """Return what a recorded request releases now. Raises DisclosureError if nothing may be released any more."""
        return self._prepare(request, self._find_version(), self.register.ledger.count_entries())

    def prepare_approved_release(self, request: ReleaseRequest) -> PreparedRelease:
        """Return what an approved request releases now.

        Raises InvalidInputError if it is not approved yet, and DisclosureError if nothing may be released any more.
        """
        self._check_approvals(request, self.find_requirements(request.summary.ground))
        return self.prepare_release(request)

    def approve(self, reference: str, approver: str, password: str) -> ReleaseRequest:
        """Record that a reader approves a request. The operator of this machine needs no password.

        Raises DisclosureError if the reader may not approve it: the requester may not, and nobody may twice.
        """
        request = self.open_request(reference, approver)
        with self.recording_refusals(request.summary.ground, request.summary.recipient_kind, approver):
            if approver != OPERATOR and not self.register.passwords.check(approver, password):
                raise DisclosureError(
                    f"this is not the password of `{approver}`",
                    "`avowal user password` sets one",
                    RefusalReason.NO_PERMISSION,
                    code="wrong-password",
                )
            if approver == request.details.requester:
                raise DisclosureError(
                    f"`{approver}` requested it",
                    "another reader has to approve it",
                    RefusalReason.MISSING_APPROVAL,
                    code="approver-is-requester",
                )
            if approver in self.register.release_requests.approvers(reference):
                raise DisclosureError(
                    f"`{approver}` has approved it already",
                    "another reader has to approve it",
                    RefusalReason.MISSING_APPROVAL,
                    code="already-approved",
                )
        self.register.release_requests.approve(request, approver, utc_now())
        return request

    def make_release(self, prepared: PreparedRelease) -> ReleaseResult:
        """Record a release, and build its package.

        If it was recorded before, but its package was never written, the same package is built again. Raises
        InvalidInputError if the request is not approved yet, and RefusedError if what is stored has changed since then.
        """
        request, extract = prepared.request, prepared.extract
        self._check_approvals(request, prepared.requirements)
        unwritten = self.register.releases.find_unwritten(request.summary.reference)
        contents = {**encode_tables(extract.tables), **extract.files}
        released_at = unwritten.summary.released_at if unwritten else utc_now()
        manifest = prepared.build_manifest(hash_files(contents), released_at)
        if unwritten and unwritten.manifest_hash != manifest.sha256:
            raise RefusedError(
                f"what is stored changed since `{request.summary.reference}` was recorded, and no package was written",
                "recall it (`avowal release recall`), and request it again",
                code="records-changed",
            )
        entry = unwritten.entry if unwritten else self._record_release(prepared, manifest)
        proof = str(self.register.ledger.prove_entry(entry))
        return ReleaseResult(manifest, entry, build_package(manifest, contents, proof))

    def mark_written(self, result: ReleaseResult) -> None:
        """Record that the package of a release is written. Until then the same package can be built again."""
        self.register.releases.mark_written(result.manifest.summary.reference, utc_now())

    def open_request(self, reference: str, reader: str) -> ReleaseRequest:
        """Return a waiting request to a reader who may disclose.

        Raises DisclosureError for any other reader, whether there is such a request or not; if there is one, the
        refusal is recorded. Raises RefusedError as `find_waiting_request` does.
        """
        try:
            self.register.readers.check_can_disclose(reader)
        except DisclosureError:
            with suppress(RefusedError):
                summary = self.find_waiting_request(reference).summary
                self.record_refusal(
                    summary.ground, summary.recipient_kind, RefusalReason.NO_PERMISSION, reader
                )
            raise
        return self.find_waiting_request(reference)

    def find_waiting_request(self, reference: str) -> ReleaseRequest:
        """Return a request that waits for approval or release. Raises RefusedError if there is none, or it expired."""
        request = self.register.release_requests.get(reference)
        waiting = self.register.release_requests.pending(utc_now())
        if reference not in {other.summary.reference for other in waiting}:
            raise RefusedError(
                f"`{reference}` was released, or waited for more than {APPROVAL_WAIT_DAYS} days",
                "request it again",
                code="request-closed",
            )
        return request

    @contextmanager
    def recording_refusals(self, ground: str, recipient_kind: str, requester: str) -> Iterator[None]:
        """Record each DisclosureError that is raised inside as a refusal."""
        try:
            yield
        except DisclosureError as error:
            self.record_refusal(ground, recipient_kind, RefusalReason(error.reason), requester)
            raise

    def record_refusal(self, ground: str, recipient_kind: str, reason: RefusalReason, requester: str) -> None:
        """Record that a disclosure was refused."""
        self.register.release_requests.record_refusal(ground, recipient_kind, reason, requester, utc_now())

    def _find_version(self) -> Version:
        return find_version_in_force(self.register.versions(), utc_now())

    def _find_governing_bounds(self) -> list[Bounds]:
        return find_governing_bounds(self.register.versions(), utc_now())

    def _parse_seal(self, release_input: ReleaseInput) -> datetime | None:
        text = release_input.sealed_until
        return parse_time(text, self.time_zone, utc_now()) if text else None

    def _parse_subject(self, release_input: ReleaseInput) -> VisitorSelector | None:
        """Return the visitor that the input names; None if it names none, or a submission."""
        if not release_input.subject or release_input.submission_reference:
            return None
        return self.parse_visitor(release_input.subject, release_input.since, release_input.until)

    def _find_visitor(
        self, release_input: ReleaseInput, selector: VisitorSelector | None, requirements: GroundRequirements
    ) -> str:
        """Return the key of the visitor that a request is about; empty for chosen rows and unknown visitors."""
        if selector:
            return find_visitor_key(self.register, self.find_visitor_records, selector)
        reference = release_input.evidence_reference.strip()
        if reference and EvidenceKind.FUNCTION in requirements.evidence:
            return find_submission(self.register, reference).visitor or ""
        return ""

    def _check_approvals(self, request: ReleaseRequest, requirements: GroundRequirements) -> None:
        """Raise InvalidInputError if fewer readers approved than the request or the version in force requires.

        That is no refusal (X8): the request waits.
        """
        required = max(request.summary.required_approvals, requirements.approvals)
        missing = required - len(self.register.release_requests.approvers(request.summary.reference))
        if missing > 0:
            raise InvalidInputError(
                f"`{request.summary.reference}` waits for {missing} more approvals; nothing was released",
                "once they are there (`avowal release approve`), give the command again",
                code="approval-missing",
            )

    def _prepare(self, request: ReleaseRequest, version: Version, seen_entries: int) -> PreparedRelease:
        """Return what a request releases now, and what that requires. Raises DisclosureError if it is nothing."""
        bounds, ground = self._find_governing_bounds(), request.summary.ground
        extract = self._extract(request, find_ground_requirements(version, ground), bounds)
        requirements = find_reached_requirements(bounds, ground, extract.age_reach)
        return PreparedRelease(request, version, requirements, extract, seen_entries)

    def _extract(
        self, request: ReleaseRequest, requirements: GroundRequirements, bounds: Sequence[Bounds]
    ) -> Extract:
        """Return what a request releases now. Raises DisclosureError if that is nothing."""
        if missing := find_missing_evidence(requirements, request):
            raise DisclosureError(
                f"the version in force requires more evidence than the request has: {', '.join(sorted(missing))}",
                "request it again",
                RefusalReason.MISSING_EVIDENCE,
                code="evidence-missing",
            )
        scope = find_evidence_scope(self.register, bounds, requirements, request)
        permitted = [name for name in request.summary.categories if name not in scope.refused_categories]
        narrowed = request.with_categories(permitted)
        with refusing_queries():
            extract = self._extract_stored(narrowed, bounds, scope.submission)
        refused = {**scope.refused_categories, **extract.refused_categories}
        if not extract.is_selective:
            raise DisclosureError(
                "the filter selects everybody's records of its period: nothing sets those of the case apart",
                "choose by what the case is about, such as a page, a status or an address",
                RefusalReason.OTHER_SUBJECTS,
                code="selection-too-broad",
            )
        strictest = find_strictest_requirements(bounds, request.summary.ground)
        if not extract.tables and (lacking := find_missing_evidence(strictest, request)):
            raise DisclosureError(
                f"nothing may be released without more evidence: {', '.join(lacking)}",
                "earlier versions require it of what came in under them; request it again",
                RefusalReason.MISSING_EVIDENCE,
                code="evidence-missing",
            )
        if not extract.tables:
            raise nothing_to_release_error(bounds[-1], request, refused)
        return msgspec.structs.replace(extract, refused_categories=refused)

    def _extract_stored(
        self, request: ReleaseRequest, bounds: Sequence[Bounds], submission: Submission | None
    ) -> Extract:
        """Return the stored records and the submissions that a request releases."""
        details, all_submissions = request.details, self.register.submissions
        if details.row_filter:
            return self.extract_records(request)
        selected = (
            [submission]
            if submission
            else all_submissions.in_period(datetime.min, datetime.max, details.visitor)
        )
        selected = select_submissions(selected, bounds, request)
        permitted = narrow_to_evidence(self.register, bounds, request)
        extract = extract_submissions(all_submissions, selected, permitted, request)
        return merge_extracts(self.extract_records(request), extract) if details.visitor else extract

    def _record_release(self, prepared: PreparedRelease, manifest: PackageManifest) -> int:
        """Record a release; returns the number of its entry in the ledger."""
        subjects = commit_to_visitors(
            manifest.summary.reference, prepared.extract.visitor_keys, manifest.recipient
        )
        return self.register.releases.record(
            prepared.build_ledger_entry(manifest, subjects),
            subjects,
            needs_authorisation=EvidenceKind.AUTHORISATION in prepared.requirements.evidence,
            seen_entries=prepared.seen_entries,
        )
