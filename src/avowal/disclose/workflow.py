"""From what somebody asks for to a package that its recipient can check: each step is on record before the next.

The rules stand in `docs/spec/releases.md`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from avowal.clock import utc_now
from avowal.disclose.contract_check import find_version_in_force
from avowal.disclose.evidence import (
    AUTHORISATION_EVIDENCE,
    FUNCTION_EVIDENCE,
    collect_evidence,
    find_evidence_scope,
    find_ground_requirements,
    find_submission,
)
from avowal.disclose.extract import Extract, ExtractRequest, extract_submissions, merge_extracts
from avowal.disclose.package import PackageManifest, build_package, encode_tables, hash_files
from avowal.disclose.request import ReleaseInput, check_release_input, find_recipient_kind
from avowal.errors import DisclosureError, QueryError, RefusedError
from avowal.keep.enforcement import compute_governing_bounds, effective_versions
from avowal.keep.visitor_lookup import VisitorRecords, VisitorSelector
from avowal.policy.bounds import OPERATOR
from avowal.policy.form import Form
from avowal.policy.ground import GroundRequirements
from avowal.policy.terms import parse_terms
from avowal.register.register import SqliteRegister
from avowal.register.release_requests import APPROVAL_WAIT_DAYS, RefusalReason, ReleaseRequest
from avowal.register.releases import Release
from avowal.submissions.submission import Submission, new_reference


class ReleaseResult(NamedTuple):
    """A release that was made."""

    manifest: PackageManifest
    entry: int
    """The number of its entry in the ledger."""
    package: bytes


@dataclass(frozen=True)
class ReleaseWorkflow:
    """Where releases are asked for, approved and made."""

    register: SqliteRegister
    load_forms: Callable[[], Mapping[str, Form]]
    find_visitor_records: Callable[[VisitorSelector], VisitorRecords]
    """Finds whom a subject is; see `keep.subject`."""
    extract_records: Callable[[ExtractRequest], Extract]
    """Cuts what is stored; see `disclose.release`."""

    def prepare_request(self, release_input: ReleaseInput) -> ReleaseRequest:
        """Return what somebody asks for as a request, which is not recorded yet.

        Raises InvalidInputError where it is no request, and DisclosureError where the answer is no already.
        """
        version, now = find_version_in_force(self.register), utc_now()
        need = find_ground_requirements(version, release_input.ground)
        visitor = self._find_visitor(release_input, need)
        check_release_input(release_input, need, now)
        return ReleaseRequest(
            reference=new_reference(),
            ground=release_input.ground,
            recipient_kind=find_recipient_kind(version, release_input),
            categories=release_input.categories,
            version=version.number,
            required_approvals=need.approvals,
            recipient=release_input.recipient.strip(),
            recipient_contact=release_input.contact.strip(),
            visitor=visitor,
            row_filter=release_input.row_filter.strip(),
            submission=release_input.submission_reference,
            evidence=collect_evidence(
                need,
                release_input.evidence,
                release_input.evidence_reference,
                release_input.row_filter.strip(),
                now,
            ),
            requester=release_input.requester,
            expires_days=release_input.expires_days,
            sealed_until=release_input.sealed_until,
            requested_at=now,
        )

    def find_requirements(self, ground: str) -> GroundRequirements:
        """Return what the version in force needs on a ground; see `needed`."""
        return find_ground_requirements(find_version_in_force(self.register), ground)

    def build_extract(self, request: ReleaseRequest) -> Extract:
        """Return what a request would release, by what holds now. Raises DisclosureError where that is nothing."""
        need = self.find_requirements(request.ground)
        if lacking := sorted({*need.evidence} - {AUTHORISATION_EVIDENCE, *request.evidence}):
            told = ", ".join(lacking)
            raise DisclosureError(
                f"the version in force needs more by now: {told}",
                "ask anew",
                RefusalReason.MISSING_EVIDENCE,
                code="evidence-missing",
            )
        within = find_evidence_scope(self.register, self.load_forms(), need, request)
        left = [one for one in request.categories if one not in within.refused_categories]
        asked = ExtractRequest(
            request.ground, request.recipient_kind, request.visitor, left, request.row_filter
        )
        try:
            found = self._extract_all(request, asked, within.submission)
        except QueryError as error:
            raise DisclosureError(error.message, error.hint, RefusalReason.TERMS, code=error.code) from None
        refused = {**within.refused_categories, **found.refused_categories}
        found = msgspec.structs.replace(found, refused_categories=refused)
        if not found.is_selective:
            raise DisclosureError(
                "that holds everybody's records of its period: nothing sets those of the case apart",
                "choose by what the case is about, such as a page, a status or an address",
                RefusalReason.OTHER_SUBJECTS,
                code="selection-too-broad",
            )
        if not found.tables:
            told = "; ".join(f"{what}: {why}" for what, why in found.refused_categories.items())
            raise DisclosureError(
                f"nothing may be released: {told}", "", RefusalReason.TERMS, code="not-permitted"
            )
        return found

    def approve(self, reference: str, approver: str, password: str) -> ReleaseRequest:
        """Record that somebody else approves a request; whoever has the machine needs no password.

        Raises DisclosureError where they may not.
        """
        request = self.find_waiting_request(reference)
        with self.recording_refusals(request.ground, request.recipient_kind, approver):
            self.register.readers.check_can_disclose(approver)
            if approver != OPERATOR and not self.register.passwords.check(approver, password):
                hint = "`avowal user password` gives one"
                raise DisclosureError(
                    f"this is not the password of `{approver}`",
                    hint,
                    RefusalReason.NO_PERMISSION,
                    code="wrong-password",
                )
            if approver == request.requester:
                raise DisclosureError(
                    f"`{approver}` asked for it: somebody else has to approve it",
                    "",
                    RefusalReason.MISSING_APPROVAL,
                    code="approver-is-requester",
                )
            if approver in self.register.release_requests.approvers(reference):
                raise DisclosureError(
                    f"`{approver}` approved it before",
                    "somebody else has to",
                    RefusalReason.MISSING_APPROVAL,
                    code="already-approved",
                )
        self.register.release_requests.approve(request, approver, utc_now())
        self.register.ledger.sign_checkpoint()
        return request

    def record_request(self, release_input: ReleaseInput) -> ReleaseRequest:
        """Return what somebody asks for as a request that is recorded, once it is known that some of it may leave.

        Raises as `ask` and `extent_of` do.
        """
        request = self.prepare_request(release_input)
        self.build_extract(request)
        request = self.register.release_requests.record(request)
        self.register.ledger.sign_checkpoint()
        return request

    def make_release(self, request: ReleaseRequest) -> ReleaseResult:
        """Release what was requested: record it, and then make its package.

        Raises DisclosureError where others have not approved it, or the answer is no by now.
        """
        owed = max(request.required_approvals, self.find_requirements(request.ground).approvals)
        missing = owed - len(self.register.release_requests.approvers(request.reference))
        if missing > 0:
            raise DisclosureError(
                f"{missing} more have to approve `{request.reference}`",
                "`avowal release approve`",
                RefusalReason.MISSING_APPROVAL,
                code="approval-missing",
            )
        releases, looked = self.register.releases, self.register.ledger.count_entries()
        found, before = self.build_extract(request), releases.find_unwritten(request.reference)
        contents = {**encode_tables(found.tables), **found.files}
        manifest = self._build_manifest(
            request, found, hash_files(contents), before.released_at if before else utc_now()
        )
        if before and before.manifest_hash != manifest.sha256:
            raise RefusedError(
                f"what is held changed since `{request.reference}` was recorded, and its package was never written",
                "recall it (`avowal release recall`), and ask anew",
                code="records-changed",
            )
        entry = before.entry if before else self._record_release(request, found, manifest, looked)
        return ReleaseResult(
            manifest, entry, build_package(manifest, contents, str(self.register.ledger.prove_entry(entry)))
        )

    def mark_written(self, result: ReleaseResult) -> None:
        """Record that the package of a release is where it belongs: until then it can be made once more, the same."""
        self.register.releases.mark_written(result.manifest.reference, utc_now())

    def _record_release(
        self, request: ReleaseRequest, found: Extract, manifest: PackageManifest, looked: int
    ) -> int:
        release = Release(
            **{name: getattr(manifest, name) for name in MANIFEST_FIELDS_OF_RELEASE},
            records=sum(found.record_counts.values()),
            manifest_hash=manifest.sha256,
            sealed_until=request.sealed_until,
        )
        authorised = AUTHORISATION_EVIDENCE in self.find_requirements(request.ground).evidence
        recorded = self.register.releases.record(
            release, found.visitor_keys, found.age_reach, needs_authorisation=authorised, seen_entries=looked
        )
        return recorded.entry

    def find_waiting_request(self, reference: str) -> ReleaseRequest:
        """Return a request that waits. Raises RefusedError where there is none, or it waited for too long."""
        request = self.register.release_requests.get(reference)
        if request.reference not in {
            one.reference for one in self.register.release_requests.pending(utc_now())
        }:
            raise RefusedError(
                f"`{reference}` was released, or waited for more than {APPROVAL_WAIT_DAYS} days",
                "ask anew",
                code="request-closed",
            )
        return request

    @contextmanager
    def recording_refusals(self, ground: str, recipient_kind: str, requester: str) -> Iterator[None]:
        """Record whatever is refused of an attempt to disclose."""
        try:
            yield
        except DisclosureError as error:
            self.record_refusal(ground, recipient_kind, RefusalReason(error.reason), requester)
            raise

    def record_refusal(self, ground: str, recipient_kind: str, reason: RefusalReason, requester: str) -> None:
        """Record that something was refused."""
        self.register.release_requests.record_refusal(ground, recipient_kind, reason, requester, utc_now())
        self.register.ledger.sign_checkpoint()

    def _find_visitor(self, words: ReleaseInput, need: GroundRequirements) -> str:
        """Return the visitor whom a request is about; empty where rows are chosen, or nobody knows who asked for it."""
        if words.visitor_selector:
            try:
                held = self.find_visitor_records(words.visitor_selector)
            except RefusedError as error:
                raise DisclosureError(
                    error.message, error.hint, RefusalReason.UNKNOWN_SUBJECT, code=error.code
                ) from None
            known = held.counts_by_governing or self.register.submissions.in_period(
                datetime.min, datetime.max, held.key
            )
            if not known:
                raise DisclosureError(
                    "nothing is held of that visitor",
                    "look at the visitor's key",
                    RefusalReason.UNKNOWN_SUBJECT,
                    code="records-not-found",
                )
            return held.key
        if FUNCTION_EVIDENCE in need.evidence and words.evidence_reference.strip():
            return find_submission(self.register, words.evidence_reference.strip()).visitor or ""
        return ""

    def _extract_all(
        self, request: ReleaseRequest, asked: ExtractRequest, only: Submission | None
    ) -> Extract:
        """Return what is stored, and what was handed over, as far as it may be released."""
        if request.row_filter:
            return self.extract_records(asked)
        submissions = self.register.submissions
        which = [only] if only else submissions.in_period(datetime.min, datetime.max, asked.visitor)
        if AUTHORISATION_EVIDENCE in self.find_requirements(request.ground).evidence:
            which = [one for one in which if one.allows_recipient(request.recipient)]
        governed = compute_governing_bounds(effective_versions(self.register.versions(), utc_now()))
        handed = extract_submissions(submissions, which, governed, asked)
        return merge_extracts(self.extract_records(asked), handed) if asked.visitor else handed

    def _build_manifest(
        self, request: ReleaseRequest, found: Extract, hashed: dict[str, str], at: datetime
    ) -> PackageManifest:
        version = find_version_in_force(self.register)
        terms = parse_terms(version.terms_text, "the terms in force")
        return PackageManifest(
            reference=request.reference,
            controller=terms.controller,
            contact=terms.contact,
            ground=request.ground,
            recipient=request.recipient,
            recipient_kind=request.recipient_kind,
            categories=[one for one in request.categories if one not in found.refused_categories],
            version=version.number,
            records=found.record_counts,
            refused_categories=found.refused_categories,
            released_at=at,
            expires_at=at + timedelta(days=request.expires_days),
            file_hashes=hashed,
        )


MANIFEST_FIELDS_OF_RELEASE = (
    "reference",
    "ground",
    "recipient_kind",
    "recipient",
    "categories",
    "version",
    "released_at",
    "expires_at",
)
"""What a release and the manifest of its package have alike."""
