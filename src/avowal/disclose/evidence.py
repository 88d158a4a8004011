"""The evidence that a release requires on its ground, and what it permits.

The rules are in `docs/spec/releases.md` (X3).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import NamedTuple

from avowal.errors import DisclosureError, InvalidInputError
from avowal.ledger.release_entry import AgeReach
from avowal.policy.bounds import Bounds, FormNeeds
from avowal.policy.ground import EVIDENCE_DESCRIPTIONS, EvidenceKind, GroundRequirements
from avowal.register.register import Register, Version
from avowal.register.release_requests import RefusalReason, ReleaseRequest
from avowal.submissions.submission import Submission
from avowal.use.formatting import is_printable_line

REGISTER_EVIDENCE = frozenset({EvidenceKind.AUTHORISATION, EvidenceKind.RECORDS})
"""Evidence that nobody enters: it is in the register, or it is the chosen rows."""

REFERENCE_EVIDENCE = (EvidenceKind.FUNCTION, EvidenceKind.CASE, EvidenceKind.REFERENCE)
"""Evidence that says where something is found again: `--reference` gives it."""

LINE_CHARACTERS_MAX = 1_000

NO_REQUIREMENTS = GroundRequirements((), 0)
"""The requirements of a closed ground, on which there is nothing to release."""

NO_NEEDS = FormNeeds(frozenset(), frozenset())
"""The needs of a form that no terms name."""


class EvidenceScope(NamedTuple):
    """What evidence permits to release."""

    refused_categories: Mapping[str, str]
    """Why evidence does not cover a requested category, by category."""
    submission: Submission | None = None
    """The only submission that may be released; None if the evidence is not about a single one."""


def find_ground_requirements(version: Version, ground: str) -> GroundRequirements:
    """Return what a version requires on a ground. Raises DisclosureError if its terms declare no evidence for it."""
    requirements = version.compiled_terms.grounds.get(ground)
    if requirements is None:
        raise DisclosureError(
            f"version {version.number} declares no evidence for the ground `{ground}`, so it permits no release",
            f'declare it in the terms under [[ground]]: `name = "{ground}"`',
            RefusalReason.TERMS,
            code="ground-without-evidence",
        )
    return requirements


def find_strictest_requirements(governing_bounds: Sequence[Bounds], ground: str) -> GroundRequirements:
    """Return the most that is required of any record on a ground, which has to be open in the version in force.

    The terms that govern a record require at least what those of a greater governing number do.
    """
    return next(bounds.grounds[ground] for bounds in governing_bounds if ground in bounds.grounds)


def find_reached_requirements(
    governing_bounds: Sequence[Bounds], ground: str, age_reach: Sequence[AgeReach]
) -> GroundRequirements:
    """Return what is required of released records on a ground, by the terms that govern them and those in force."""
    requirements = governing_bounds[-1].grounds[ground]
    for governing in {governing for _, _, governing, _ in age_reach}:
        requirements = requirements.merge(governing_bounds[governing - 1].grounds[ground])
    return requirements


def collect_evidence(
    requirements: GroundRequirements,
    strictest: GroundRequirements,
    stated_evidence: Mapping[str, str],
    reference: str,
    row_filter: str,
    now: datetime,
) -> dict[str, str]:
    """Return the evidence for a ground by its kind. `reference` is the text for the first kind in REFERENCE_EVIDENCE.

    `requirements` are those of the version in force, and `strictest` those of the records that most is required of.
    Raises InvalidInputError if a kind is given that neither requires, or a text is not valid, and DisclosureError if
    evidence is missing that the version in force requires, or is dated in the future.
    """
    evidence = {kind: text.strip() for kind, text in stated_evidence.items()}
    kinds = (*requirements.evidence, *strictest.evidence)
    reference_kind = next((kind for kind in kinds if kind in REFERENCE_EVIDENCE), None)
    if reference and reference_kind:
        evidence.setdefault(reference_kind, reference.strip())
    for kind, text in evidence.items():
        if kind not in strictest.evidence or kind in REGISTER_EVIDENCE:
            raise InvalidInputError(
                f"the ground does not take `{kind}` as evidence",
                f"it requires: {', '.join(strictest.evidence)}",
                code="unknown-evidence",
            )
        if not is_printable_line(text, LINE_CHARACTERS_MAX):
            raise InvalidInputError(
                f"the evidence `{kind}` is not a line of up to {LINE_CHARACTERS_MAX:,} characters",
                "write it shorter",
                code="input-too-long",
            )
    for kind in requirements.evidence:
        if kind not in REGISTER_EVIDENCE and not evidence.get(kind):
            option = "--reference TEXT" if kind == reference_kind else f"--evidence {kind}=TEXT"
            raise DisclosureError(
                f"evidence is missing: {kind} ({EVIDENCE_DESCRIPTIONS[kind]})",
                f"give it with `{option}`",
                RefusalReason.MISSING_EVIDENCE,
                code="evidence-missing",
            )
    if EvidenceKind.RECORDS in requirements.evidence and not row_filter:
        raise DisclosureError(
            "the records that gave rise to the release are not named",
            "choose them with `--rows`",
            RefusalReason.MISSING_EVIDENCE,
            code="evidence-missing",
        )
    if EvidenceKind.RECORDS in strictest.evidence and row_filter:
        evidence[EvidenceKind.RECORDS] = row_filter
    if EvidenceKind.DATE in evidence:
        _check_date(evidence[EvidenceKind.DATE], now)
    return evidence


def find_evidence_scope(
    register: Register,
    governing_bounds: Sequence[Bounds],
    requirements: GroundRequirements,
    request: ReleaseRequest,
) -> EvidenceScope:
    """Return what the evidence of a request permits. Raises DisclosureError if it permits nothing.

    What a form needs is what the terms say that govern the submission.
    """
    refused = dict[str, str]()
    submission = find_submission(register, request.details.submission) if request.details.submission else None
    if EvidenceKind.AUTHORISATION in requirements.evidence:
        authorised = register.authorisations.current_by_category(
            request.details.visitor, request.details.recipient
        )
        reason = "the visitor did not authorise it"
        refused |= {category: reason for category in request.summary.categories if category not in authorised}
        if len(refused) == len(request.summary.categories):
            raise DisclosureError(
                f"that visitor has authorised none of these categories for `{request.details.recipient}`",
                "`avowal visitor authorise` records an authorisation",
                RefusalReason.MISSING_EVIDENCE,
                code="authorisation-not-found",
            )
    if EvidenceKind.FUNCTION in requirements.evidence:
        submission = _find_served_submission(register, request)
        needs = _find_form_needs(governing_bounds[submission.version - 1], submission.form)
        _check_served_person(needs, submission, request)
        needed = sorted(needs.categories)
        reason = f"what was asked for by `{submission.form}` does not need it"
        refused |= {category: reason for category in request.summary.categories if category not in needed}
        if len(refused) == len(request.summary.categories):
            raise DisclosureError(
                f"what was asked for by `{submission.form}` needs none of these categories",
                f"`needs` of its [[form]] in the terms that govern it: {', '.join(needed) or 'nothing'}",
                RefusalReason.MISSING_EVIDENCE,
                code="not-needed",
            )
    return EvidenceScope(refused, submission)


def narrow_to_evidence(
    register: Register, governing_bounds: Sequence[Bounds], request: ReleaseRequest
) -> list[Bounds]:
    """Return the bounds of each governing number without what the evidence of a request does not permit (X3).

    So nothing is released of a record without all evidence that the terms require which govern this record.
    """
    refused = _find_refused_categories(register, governing_bounds, request)
    to_recipient = request.summary.ground, request.summary.recipient_kind
    return [
        replace(
            bounds,
            cells={
                cell: ages
                for cell, ages in bounds.cells.items()
                if (cell.ground, cell.recipient) != to_recipient or cell.category not in categories
            },
        )
        for bounds, categories in zip(governing_bounds, refused, strict=True)
    ]


def select_submissions(
    submissions: Sequence[Submission], governing_bounds: Sequence[Bounds], request: ReleaseRequest
) -> list[Submission]:
    """Return the submissions that the evidence of a request is about, by the terms that govern each (X3, R10)."""
    details, selected = request.details, []
    for submission in submissions:
        required = governing_bounds[submission.version - 1].grounds.get(
            request.summary.ground, NO_REQUIREMENTS
        )
        is_by_will = {EvidenceKind.AUTHORISATION, EvidenceKind.FUNCTION} & {*required.evidence}
        is_served = details.evidence.get(EvidenceKind.FUNCTION) == submission.reference
        if is_by_will and not submission.allows_recipient(details.recipient):
            continue
        if is_served or EvidenceKind.FUNCTION not in required.evidence:
            selected.append(submission)
    return selected


def find_missing_evidence(requirements: GroundRequirements, request: ReleaseRequest) -> list[EvidenceKind]:
    """Return the evidence that is required and a request lacks. An authorisation is found in the register."""
    given = {EvidenceKind.AUTHORISATION, *request.details.evidence}
    return [kind for kind in requirements.evidence if kind not in given]


def _find_refused_categories(
    register: Register, governing_bounds: Sequence[Bounds], request: ReleaseRequest
) -> Iterator[set[str]]:
    """Yield the categories that the evidence does not permit of records with each governing number.

    Those that are not requested are refused only with all others: the age of rows is that of their time's category.
    """
    details, requested = request.details, {*request.summary.categories}
    authorised = {*register.authorisations.current_by_category(details.visitor, details.recipient)}
    served = details.evidence.get(EvidenceKind.FUNCTION)
    submission = register.submissions.find(served) if served else None
    for bounds in governing_bounds:
        required = bounds.grounds.get(request.summary.ground, NO_REQUIREMENTS)
        refused = set[str]()
        if EvidenceKind.AUTHORISATION in required.evidence:
            refused |= requested - authorised
        if EvidenceKind.FUNCTION in required.evidence:
            needs = _find_form_needs(bounds, submission.form) if submission else NO_NEEDS
            is_served = (
                submission is not None
                and needs.purposes.isdisjoint(submission.objected_purposes)
                and details.visitor in {"", submission.visitor}
                and not details.row_filter
            )
            refused |= requested - needs.categories if is_served else requested
        if find_missing_evidence(required, request) or refused >= requested:
            refused = {cell.category for cell in bounds.cells}
        yield refused


def _find_form_needs(bounds: Bounds, form: str) -> FormNeeds:
    return bounds.form_needs.get(form, NO_NEEDS)


def _find_served_submission(register: Register, request: ReleaseRequest) -> Submission:
    """Return the submission by which somebody asked for the service that a release serves."""
    if request.details.submission not in {"", request.details.evidence[EvidenceKind.FUNCTION]}:
        raise DisclosureError(
            "the subject is another submission than the one that is the evidence",
            "leave out `--subject`",
            RefusalReason.MISSING_EVIDENCE,
            code="evidence-mismatch",
        )
    submission = find_submission(register, request.details.evidence[EvidenceKind.FUNCTION])
    if request.details.visitor not in {"", submission.visitor}:
        raise DisclosureError(
            "the submission that is the evidence is another visitor's",
            "compare with `avowal visitor show`",
            RefusalReason.MISSING_EVIDENCE,
            code="evidence-mismatch",
        )
    return submission


def _check_served_person(needs: FormNeeds, submission: Submission, request: ReleaseRequest) -> None:
    """Raise DisclosureError if the person objects to the service, or permits other recipients only."""
    if objected := sorted(needs.purposes.intersection(submission.objected_purposes)):
        raise DisclosureError(
            f"the person now objects to {', '.join(objected)}",
            "",
            RefusalReason.MISSING_EVIDENCE,
            code="subject-objects",
        )
    if not submission.allows_recipient(request.details.recipient):
        raise DisclosureError(
            f"the submission may be released to {', '.join(submission.allowed_recipients)} only",
            "",
            RefusalReason.MISSING_EVIDENCE,
            code="recipient-not-permitted",
        )


def find_submission(register: Register, reference: str) -> Submission:
    """Return the submission with a reference. Raises DisclosureError if there is none."""
    submission = register.submissions.find(reference)
    if submission is None:
        raise DisclosureError(
            f"there is no submission `{reference}`",
            "`avowal submission list` lists them",
            RefusalReason.MISSING_EVIDENCE,
            code="submission-not-found",
        )
    return submission


def _check_date(text: str, now: datetime) -> None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise InvalidInputError(
            f"`{text}` is not a date", "write it as `2026-11-22`", code="invalid-time"
        ) from None
    if day > now.date():
        raise DisclosureError(
            f"the instrument is dated {day}, which is in the future",
            "check its date",
            RefusalReason.MISSING_EVIDENCE,
            code="evidence-invalid",
        )
