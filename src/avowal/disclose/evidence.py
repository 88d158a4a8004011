"""What has to be there before anything is released on a ground, as the terms name it; and how far it goes.

The rules stand in `docs/spec/releases.md` (X3).
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import NamedTuple

from avowal.errors import DisclosureError, InvalidInputError
from avowal.policy.form import Form
from avowal.policy.ground import (
    EVIDENCE_DESCRIPTIONS,
    EvidenceKind,
    GroundRequirements,
    parse_ground_requirements,
)
from avowal.policy.vocabulary import expand_words
from avowal.register.register import SqliteRegister, Version
from avowal.register.release_requests import RefusalReason, ReleaseRequest
from avowal.submissions.submission import Submission
from avowal.use.formatting import is_printable_line

REGISTER_EVIDENCE = frozenset({EvidenceKind.AUTHORISATION, EvidenceKind.RECORDS})
"""Evidence that nobody enters: it is in the register, or it is the chosen rows."""

REFERENCE_EVIDENCE = (EvidenceKind.FUNCTION, EvidenceKind.CASE, EvidenceKind.REFERENCE)
"""Evidence that says where something is found again: `--reference` gives it."""

LINE_CHARACTERS_MAX = 1_000


class EvidenceScope(NamedTuple):
    """How far evidence goes."""

    refused_categories: Mapping[str, str]
    """By category, why it does not go there."""
    submission: Submission | None = None
    """The one that it is of; None where it is of no single one."""


def find_ground_requirements(version: Version, ground: str) -> GroundRequirements:
    """Return what a version's terms need on a ground. Raises DisclosureError where they name no evidence for it."""
    need = parse_ground_requirements(version.compiled_terms.duties).get(ground)
    if need is None:
        raise DisclosureError(
            f"version {version.number} names no evidence for the ground `{ground}`, so it permits no release",
            f'say so in the terms under [[ground]]: `name = "{ground}"`',
            RefusalReason.TERMS,
            code="ground-without-evidence",
        )
    return need


def collect_evidence(
    requirements: GroundRequirements,
    stated_evidence: Mapping[str, str],
    reference: str,
    row_filter: str,
    now: datetime,
) -> dict[str, str]:
    """Return the evidence that somebody gave, by its kind; `reference` is that of the first kind that has one.

    Raises InvalidInputError if something else is given, and DisclosureError if some is missing, empty or impossible.
    """
    evidence = {kind: text.strip() for kind, text in stated_evidence.items()}
    referred = next((kind for kind in requirements.evidence if kind in REFERENCE_EVIDENCE), None)
    if reference and referred:
        evidence.setdefault(referred, reference.strip())
    for kind, text in evidence.items():
        if kind not in requirements.evidence or kind in REGISTER_EVIDENCE:
            hint = f"it needs: {', '.join(requirements.evidence)}"
            raise InvalidInputError(
                f"`{kind}` is no evidence that is given for this ground", hint, code="unknown-evidence"
            )
        if not is_printable_line(text, LINE_CHARACTERS_MAX):
            raise InvalidInputError(
                f"the evidence `{kind}` is no line of up to {LINE_CHARACTERS_MAX} characters",
                "write it shorter",
                code="input-too-long",
            )
    for kind in requirements.evidence:
        if kind not in REGISTER_EVIDENCE and not evidence.get(kind):
            how = "--reference TEXT" if kind == referred else f"--evidence {kind}=TEXT"
            raise DisclosureError(
                f"there is no {kind}: {EVIDENCE_DESCRIPTIONS[kind]}",
                f"give it with `{how}`",
                RefusalReason.MISSING_EVIDENCE,
                code="evidence-missing",
            )
    if EvidenceKind.RECORDS in requirements.evidence:
        if not row_filter:
            raise DisclosureError(
                "no records are named that gave rise to it",
                "choose them with `--rows`",
                RefusalReason.MISSING_EVIDENCE,
                code="evidence-missing",
            )
        evidence[EvidenceKind.RECORDS] = row_filter
    if EvidenceKind.DATE in evidence:
        _check_date(evidence[EvidenceKind.DATE], now)
    return evidence


def find_evidence_scope(
    register: SqliteRegister,
    forms: Mapping[str, Form],
    requirements: GroundRequirements,
    request: ReleaseRequest,
) -> EvidenceScope:
    """Return how far the evidence of a request goes. Raises DisclosureError where there is none, or for nothing."""
    refused = dict[str, str]()
    submission = find_submission(register, request.submission) if request.submission else None
    if EvidenceKind.AUTHORISATION in requirements.evidence:
        standing = register.authorisations.current_by_category(request.visitor, request.recipient)
        refused |= {
            one: "the visitor did not authorise it" for one in request.categories if one not in standing
        }
        if len(refused) == len(request.categories):
            raise DisclosureError(
                f"that visitor authorised nothing of it for `{request.recipient}`, or took it back",
                "`avowal visitor authorise` records what a visitor authorises",
                RefusalReason.MISSING_EVIDENCE,
                code="authorisation-not-found",
            )
    if EvidenceKind.FUNCTION in requirements.evidence:
        submission = _find_served_submission(register, request)
        form = forms.get(submission.form)
        _check_served_person(form, submission, request)
        needed = expand_words("categories", form.needed_categories if form else [])
        reason = f"what was asked for by `{submission.form}` does not need it"
        refused |= {category: reason for category in request.categories if category not in needed}
        if len(refused) == len(request.categories):
            raise DisclosureError(
                f"what was asked for by `{submission.form}` needs nothing of it",
                f"`needs` of its [[form]] in the terms: {', '.join(needed) or 'nothing'}",
                RefusalReason.MISSING_EVIDENCE,
                code="not-needed",
            )
    return EvidenceScope(refused, submission)


def _find_served_submission(register: SqliteRegister, request: ReleaseRequest) -> Submission:
    """Return the submission by which somebody asked for the service that a release serves."""
    if request.submission not in {"", request.evidence[EvidenceKind.FUNCTION]}:
        raise DisclosureError(
            "it is about another submission than it was asked for by",
            "leave out `--subject`",
            RefusalReason.MISSING_EVIDENCE,
            code="evidence-mismatch",
        )
    submission = find_submission(register, request.evidence[EvidenceKind.FUNCTION])
    if request.visitor not in {"", submission.visitor}:
        raise DisclosureError(
            "that visitor did not ask for it",
            "look at `avowal visitor show`",
            RefusalReason.MISSING_EVIDENCE,
            code="evidence-mismatch",
        )
    return submission


def _check_served_person(form: Form | None, submission: Submission, request: ReleaseRequest) -> None:
    """Raise DisclosureError if the person objects to the service, or permits other recipients only."""
    served = {*expand_words("purposes", form.purposes if form else [])}
    if objected := sorted(served.intersection(submission.objected_purposes)):
        raise DisclosureError(
            f"whoever asked for it objects to {', '.join(objected)} by now",
            "",
            RefusalReason.MISSING_EVIDENCE,
            code="subject-objects",
        )
    if not submission.allows_recipient(request.recipient):
        raise DisclosureError(
            f"what was asked for is for {', '.join(submission.allowed_recipients)} only",
            "",
            RefusalReason.MISSING_EVIDENCE,
            code="recipient-not-permitted",
        )


def find_submission(register: SqliteRegister, reference: str) -> Submission:
    """Return the submission that somebody asked for something by. Raises DisclosureError where there is none."""
    found = register.submissions.find(reference)
    if found is None:
        raise DisclosureError(
            f"nobody handed over `{reference}`",
            "`avowal submission list` tells what was",
            RefusalReason.MISSING_EVIDENCE,
            code="submission-not-found",
        )
    return found


def _check_date(text: str, now: datetime) -> None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise InvalidInputError(
            f"`{text}` is no date", "write it as `2026-11-22`", code="invalid-time"
        ) from None
    if day > now.date():
        raise DisclosureError(
            f"the instrument is of {day}, which is still to come",
            "look at its date",
            RefusalReason.MISSING_EVIDENCE,
            code="evidence-invalid",
        )
