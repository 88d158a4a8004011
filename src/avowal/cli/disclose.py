"""`avowal disclose`: release stored data to somebody else, on a legal ground."""

from pathlib import Path
from typing import Annotated

import typer

from avowal import strict
from avowal.app.session import open_session
from avowal.atomic_files import check_creatable
from avowal.cli.options import (
    DataFolderOption,
    JsonOption,
    VisitorSinceOption,
    VisitorUntilOption,
    create_app,
    parse_categories,
)
from avowal.cli.output import print_json, print_line
from avowal.cli.release import DiscloserOption, PackageOption, make_release, print_extract
from avowal.disclose.request import (
    EXPIRY_DAYS_DEFAULT,
    EXPIRY_DAYS_MAX,
    ReleaseInput,
    parse_ground,
)
from avowal.disclose.workflow import ReleaseWorkflow
from avowal.errors import InvalidInputError
from avowal.ledger.release_entry import RequestSummary
from avowal.policy.bounds import OPERATOR
from avowal.policy.ground import EvidenceKind
from avowal.policy.vocabulary import load_vocabulary

app = create_app()

SubjectOption = Annotated[
    str, typer.Option(help="The visitor, by key, cookie or address; or the reference of a submission.")
]

RowsOption = Annotated[str, typer.Option(help="The rows to release, such as `requests WHERE status = 404`.")]

GroundOption = Annotated[
    str,
    typer.Option(
        help=f"The legal ground; the terms say what it needs: {', '.join(load_vocabulary().words('grounds'))}."
    ),
]

RecipientOption = Annotated[
    str, typer.Option(help="The recipient; for `authorised`, the name that the visitor gave.")
]

RecipientKindOption = Annotated[
    str, typer.Option(help="The kind of the recipient, if the ground has several.")
]

ContactOption = Annotated[
    str, typer.Option(help="The contact of the recipient for a recall, such as an e-mail address.")
]

CategoriesOption = Annotated[
    str, typer.Option(help="The categories, separated by commas; a parent stands for all below it.")
]

CaseReferenceOption = Annotated[
    str, typer.Option(help="The file reference of the case, the instrument or the request.")
]

EvidenceOption = Annotated[
    list[str] | None, typer.Option(help="Evidence that the ground needs, as KIND=TEXT; can be repeated.")
]

SealedUntilOption = Annotated[str, typer.Option(help="The day until which the visitors are not informed.")]

ExpiresDaysOption = Annotated[
    int,
    typer.Option(
        min=1, max=EXPIRY_DAYS_MAX, help="The number of days after which the recipient must delete the data."
    ),
]

DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be released, and release nothing.")
]


@app.command("disclose")
def disclose(
    ground: GroundOption,
    recipient: RecipientOption,
    categories: CategoriesOption,
    subject: SubjectOption = "",
    rows: RowsOption = "",
    recipient_kind: RecipientKindOption = "",
    contact: ContactOption = "",
    reference: CaseReferenceOption = "",
    evidence: EvidenceOption = None,
    sealed_until: SealedUntilOption = "",
    package: PackageOption = None,
    expires_days: ExpiresDaysOption = EXPIRY_DAYS_DEFAULT,
    dry_run: DryRunOption = False,
    since: VisitorSinceOption = "",
    until: VisitorUntilOption = "",
    reader: DiscloserOption = OPERATOR,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Release data on a legal ground, as far as its evidence and the terms permit, or request approval."""
    if package and dry_run:
        raise InvalidInputError(
            "a dry run writes no file", "give one of `--package` and `--dry-run`", code="conflicting-options"
        )
    check_creatable(package)
    release_input = ReleaseInput(
        ground=parse_ground(ground),
        recipient=recipient,
        categories=parse_categories(categories),
        recipient_kind=recipient_kind,
        recipient_contact=contact,
        subject=subject,
        since=since,
        until=until,
        row_filter=rows,
        evidence_reference=reference,
        evidence=dict(_parse_evidence(text) for text in evidence or []),
        expires_days=expires_days,
        sealed_until=sealed_until,
        dry_run=dry_run,
    )
    with open_session(data) as session:
        if dry_run:
            print_extract(session.release_workflow.preview_request(release_input, reader), as_json=as_json)
        else:
            _request_release(session.release_workflow, release_input, reader, package, as_json=as_json)


def _request_release(
    workflow: ReleaseWorkflow,
    release_input: ReleaseInput,
    reader: str,
    package: Path | None,
    *,
    as_json: bool,
) -> None:
    """Record a request, and release it if nobody else has to approve it."""
    with workflow.recording_refusals(release_input.ground, release_input.recipient_kind, reader):
        if package is None and not workflow.find_requirements(release_input.ground).approvals:
            raise InvalidInputError(
                "a release needs a file", "give `--package`, or `--dry-run`", code="missing-input"
            )
        prepared = workflow.record_request(release_input, reader)
        if package is None or prepared.request.summary.required_approvals:
            _print_waiting(prepared.request.summary, as_json=as_json)
        else:
            make_release(workflow, prepared, package, as_json=as_json)


def _parse_evidence(text: str) -> tuple[str, str]:
    """Parse KIND=TEXT. Raises InvalidInputError if it has another form, or the kind is unknown."""
    kind, separator, value = text.partition("=")
    if not separator or kind not in tuple(EvidenceKind):
        hint = strict.suggest_nearest(kind, list(EvidenceKind), "kinds of evidence")
        raise InvalidInputError(
            f"`{kind}` is not a kind of evidence", f"write it as KIND=TEXT; {hint}", code="unknown-evidence"
        )
    return kind, value


def _print_waiting(request: RequestSummary, *, as_json: bool) -> None:
    """Print that a request waits for approval."""
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
        f"`{request.reference}` waits for {request.required_approvals} approvals; nothing was released yet"
    )
    print_line(f"  to approve it: `avowal release show {request.reference}`, then `avowal release approve`")
