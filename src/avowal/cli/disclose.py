"""`avowal disclose`: release stored data to somebody else, on a legal ground."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from msgspec import structs

from avowal import strict
from avowal.app.session import Session, open_session
from avowal.app.visitor_data import parse_visitor
from avowal.atomic_files import check_creatable
from avowal.cli.options import (
    DataFolderOption,
    JsonOption,
    VisitorPeriodOption,
    create_app,
    parse_categories,
)
from avowal.cli.output import print_json, print_line
from avowal.cli.release import DiscloserOption, PackageOption, make_release, print_extract
from avowal.clock import utc_now
from avowal.disclose.request import (
    EXPIRY_DAYS_DEFAULT,
    EXPIRY_DAYS_MAX,
    ReleaseInput,
    parse_ground,
)
from avowal.errors import InvalidInputError
from avowal.policy.bounds import OPERATOR
from avowal.policy.ground import EVIDENCE_KINDS
from avowal.register.release_requests import ReleaseRequest
from avowal.submissions.submission import REFERENCE_PATTERN
from avowal.use.report_request import parse_time

app = create_app()

SubjectOption = Annotated[
    str, typer.Option(help="Of which visitor: a key, a cookie's, an address; or a submission.")
]

RowsOption = Annotated[str, typer.Option(help="Of which rows: `requests WHERE status = 404 AND …`.")]

GroundOption = Annotated[str, typer.Option(help="Why: a ground of the terms.")]

RecipientOption = Annotated[
    str, typer.Option(help="Who receives it; on `authorised`, as the visitor named them.")
]

RecipientKindOption = Annotated[
    str, typer.Option(help="What kind of recipient it is, where the ground has several.")
]

ContactOption = Annotated[str, typer.Option(help="How to reach the recipient, when it is recalled.")]

CategoriesOption = Annotated[str, typer.Option(help="What, with commas between; words or their parents.")]

CaseReferenceOption = Annotated[
    str, typer.Option(help="Where the case, the instrument or the request is found again.")
]

EvidenceOption = Annotated[
    list[str] | None, typer.Option(help="KIND=TEXT, more than once: what the ground needs.")
]

SealedUntilOption = Annotated[str, typer.Option(help="Until which day the visitors are not told.")]

ExpiresDaysOption = Annotated[
    int, typer.Option(min=1, max=EXPIRY_DAYS_MAX, help="After how many days it is to be deleted.")
]

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Tell what would leave; release nothing.")]


@app.command("disclose")
def disclose(
    ground: GroundOption,
    to: RecipientOption,
    categories: CategoriesOption,
    about: SubjectOption = "",
    rows: RowsOption = "",
    kind: RecipientKindOption = "",
    contact: ContactOption = "",
    reference: CaseReferenceOption = "",
    evidence: EvidenceOption = None,
    seal_until: SealedUntilOption = "",
    package: PackageOption = None,
    expires: ExpiresDaysOption = EXPIRY_DAYS_DEFAULT,
    dry_run: DryRunOption = False,
    since: VisitorPeriodOption = "",
    until: VisitorPeriodOption = "",
    reader: DiscloserOption = OPERATOR,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Release what is held, on a ground, as far as its evidence and the terms go; or ask others to approve it."""
    if package and dry_run:
        raise InvalidInputError(
            "a dry run writes no file", "give one of `--package` and `--dry-run`", code="conflicting-options"
        )
    check_creatable(package)
    words = ReleaseInput(
        ground=parse_ground(ground),
        recipient=to,
        categories=parse_categories(categories),
        recipient_kind=kind,
        contact=contact,
        row_filter=rows,
        evidence_reference=reference,
        evidence=dict(_evidence(word) for word in evidence or []),
        expires_days=expires,
        requester=reader,
    )
    with open_session(data) as at_work:
        zone = at_work.folder.time_zone

        def asked() -> ReleaseInput:
            at_work.register.readers.check_can_disclose(reader)
            sealed = parse_time(seal_until, zone, utc_now()) if seal_until else None
            return structs.replace(words, sealed_until=sealed, **_about(about, since, until, at_work))

        _disclose(at_work, words, asked, None if dry_run else package or NO_PACKAGE, as_json=as_json)


def _about(word: str, since: str, until: str, at_work: Session) -> dict[str, Any]:
    """Return what a release is about: a visitor, a submission, or neither of them."""
    if not word or REFERENCE_PATTERN.fullmatch(word):
        return {"submission_reference": word}
    return {"visitor_selector": parse_visitor(word, since, until, at_work)}


NO_PACKAGE = Path()
"""The package of somebody who named none."""


def _disclose(
    at_work: Session,
    words: ReleaseInput,
    asked: Callable[[], ReleaseInput],
    package: Path | None,
    *,
    as_json: bool,
) -> None:
    """Ask for a release, and make it where nobody else has to approve it; without a package, tell what would leave."""
    if package is None:
        request = at_work.release_workflow.prepare_request(asked())
        print_extract(request, at_work.release_workflow.build_extract(request), as_json=as_json)
        return
    with at_work.release_workflow.recording_refusals(words.ground, words.recipient_kind, words.requester):
        if package == NO_PACKAGE and not at_work.release_workflow.find_requirements(words.ground).approvals:
            raise InvalidInputError(
                "a release needs a file", "give `--package`, or `--dry-run`", code="missing-input"
            )
        request = at_work.release_workflow.record_request(asked())
        if request.required_approvals:
            _tell_waiting(request, as_json=as_json)
        else:
            make_release(at_work, request, package, as_json=as_json)


def _evidence(word: str) -> tuple[str, str]:
    kind, found, text = word.partition("=")
    if not found or kind not in EVIDENCE_KINDS:
        hint = strict.suggest_nearest(kind, list(EVIDENCE_KINDS), "kinds of evidence")
        raise InvalidInputError(
            f"`{kind}` is no evidence", f"write it as KIND=TEXT; {hint}", code="unknown-evidence"
        )
    return kind, text


def _tell_waiting(request: ReleaseRequest, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "released": False,
                "reference": request.reference,
                "required_approvals": request.required_approvals,
            }
        )
        return
    print_line(
        f"`{request.reference}` waits until {request.required_approvals} more approve it: nothing was released yet"
    )
    print_line(
        f"  they look at it with `avowal release show {request.reference}`, and then `avowal release approve`"
    )
