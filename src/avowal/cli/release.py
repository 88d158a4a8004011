"""`avowal disclose` and `avowal release`: what leaves the house, on a ground and only as far as that goes."""

from collections.abc import Callable, Mapping
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from msgspec import structs
from rich.console import Console
from rich.table import Table

from avowal import strict
from avowal.app.folder import find_folder, open_folder_register
from avowal.app.session import Session, find_version, open_session
from avowal.app.visitor_data import parse_visitor
from avowal.atomic_files import check_creatable, create_file
from avowal.cli.policy import JsonOption, parse_categories, print_json, print_line
from avowal.cli.user import read_password
from avowal.cli.visitor import DataFolderOption, MomentOption
from avowal.clock import utc_now
from avowal.disclose.extract import Extract
from avowal.disclose.recall import build_recall_message, is_email_address, send_message
from avowal.disclose.request import (
    EXPIRY_DAYS_DEFAULT,
    EXPIRY_DAYS_MAX,
    ReleaseInput,
    check_line,
    parse_ground,
)
from avowal.errors import InvalidInputError
from avowal.policy.bounds import OPERATOR
from avowal.policy.ground import EVIDENCE_KINDS
from avowal.policy.terms import parse_terms
from avowal.register.release_requests import ReleaseRequest
from avowal.register.releases import Release
from avowal.submissions.submission import REFERENCE_PATTERN
from avowal.use.report_request import parse_time

app = typer.Typer(help="What was released.", no_args_is_help=True)

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
PackageOption = Annotated[Path | None, typer.Option(help="The file to write.")]
ExpiresDaysOption = Annotated[
    int, typer.Option(min=1, max=EXPIRY_DAYS_MAX, help="After how many days it is to be deleted.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Tell what would leave; release nothing.")]
ReaderOption = Annotated[
    str, typer.Option("--as", help="Who does it; a name of `avowal user add --disclose`.")
]
ReleaseReferenceArgument = Annotated[
    str, typer.Argument(help="The reference of the request or release.", metavar="REFERENCE")
]
StdinOption = Annotated[
    bool, typer.Option("--stdin", help="Read the password from standard input, one line.")
]


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
    since: MomentOption = "",
    until: MomentOption = "",
    reader: ReaderOption = OPERATOR,
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
        _show(request, at_work.release_workflow.build_extract(request), as_json=as_json)
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
            _make(at_work, request, package, as_json=as_json)


@app.command()
def approve(
    reference: ReleaseReferenceArgument,
    reader: ReaderOption = OPERATOR,
    stdin: StdinOption = False,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Approve what somebody else asked to be released; look at it with `avowal release show` before."""
    with open_session(data) as at_work:
        word = "" if reader == OPERATOR else read_password(reader, stdin=stdin)
        request = at_work.release_workflow.approve(reference, reader, word)
        approved = at_work.register.release_requests.approvers(reference)
    if as_json:
        print_json(
            {
                "reference": reference,
                "approved_by": approved,
                "required_approvals": request.required_approvals,
            }
        )
    else:
        print_line(f"{reader} approves `{reference}`: {len(approved)} of {request.required_approvals}")


@app.command()
def make(
    reference: ReleaseReferenceArgument,
    package: Annotated[Path, typer.Option(help="The file to write.")],
    reader: ReaderOption = OPERATOR,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Release what was asked for, once it is approved."""
    check_creatable(package)
    with open_session(data) as at_work:
        request = at_work.release_workflow.find_waiting_request(reference)
        with at_work.release_workflow.recording_refusals(request.ground, request.recipient_kind, reader):
            at_work.register.readers.check_can_disclose(reader)
            _make(at_work, request, package, as_json=as_json)


@app.command()
def show(
    reference: ReleaseReferenceArgument, as_json: JsonOption = False, data: DataFolderOption = None
) -> None:
    """Show what was asked to be released, on which evidence, and what would leave."""
    with open_session(data) as at_work:
        request = at_work.release_workflow.find_waiting_request(reference)
        found = at_work.release_workflow.build_extract(request)
        approved = at_work.register.release_requests.approvers(reference)
    _show(request, found, approved, as_json=as_json)


@app.command("list")
def list_releases(as_json: JsonOption = False, data: DataFolderOption = None) -> None:
    """List what was released, and what was recalled; and what waits to be approved or made."""
    with closing(open_folder_register(data)) as register:
        found, waiting = register.releases.all(), register.release_requests.pending(utc_now())
    if as_json:
        print_json({"releases": found, "waiting": waiting})
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("reference", "ground", "to", "records", "on (UTC)", "expires", ""):
        table.add_column(heading, no_wrap=heading == "reference")
    for one in found:
        state = "recalled" if one.recalled_at else "under seal" if _is_sealed(one) else ""
        to = one.recipient or "erased"
        table.add_row(
            *(one.reference, one.ground, to, f"{one.records:,}", f"{one.released_at:%Y-%m-%d}"),
            *(f"{one.expires_at:%Y-%m-%d}", state),
        )
    for request in waiting:
        on = f"{request.requested_at:%Y-%m-%d}"
        table.add_row(request.reference, request.ground, request.recipient, "", on, "", "waits")
    Console(highlight=False).print(table)


@app.command()
def recall(
    reference: ReleaseReferenceArgument,
    reason: Annotated[str, typer.Option(help="Why; it stands in the ledger: name nobody.")],
    notice_path: Annotated[
        Path | None, typer.Option("--notice", help="The file to write: a message to send.")
    ] = None,
    data: DataFolderOption = None,
) -> None:
    """Record that a release is recalled, and tell its recipient to delete it."""
    if not reason.strip():
        raise InvalidInputError("`--reason` is empty", "say why", code="missing-input")
    check_line(reason)
    server = find_folder(data).settings.mail.server
    with (
        create_file(notice_path) if notice_path else nullcontext() as file,
        closing(open_folder_register(data)) as register,
    ):
        one = register.releases.recall(reference, reason, utc_now())
        register.ledger.sign_checkpoint()
        contact = register.release_requests.recipient_contact(reference)
        terms = parse_terms(find_version(register.versions(), 0).terms_text, "the terms in force")
        message = build_recall_message(one, contact, reason, terms)
        if file:
            file.write(message)
    if server and is_email_address(contact):
        send_message(message, contact, server)
        print_line(f"release {reference} is recalled, and {contact} was told to delete it")
    else:
        whom = f"{one.recipient or 'its recipient'}{f' ({contact})' if contact else ''}"
        written = f"; the message is {notice_path}" if notice_path else ""
        print_line(f"release {reference} is recalled: tell {whom} to delete it{written}")


def _evidence(word: str) -> tuple[str, str]:
    kind, found, text = word.partition("=")
    if not found or kind not in EVIDENCE_KINDS:
        hint = strict.suggest_nearest(kind, list(EVIDENCE_KINDS), "kinds of evidence")
        raise InvalidInputError(
            f"`{kind}` is no evidence", f"write it as KIND=TEXT; {hint}", code="unknown-evidence"
        )
    return kind, text


def _is_sealed(one: Release) -> bool:
    return one.sealed_until is not None and one.sealed_until > utc_now()


def _make(at_work: Session, request: ReleaseRequest, package: Path, *, as_json: bool) -> None:
    with create_file(package) as file:
        made = at_work.release_workflow.make_release(request)
        file.write(made.package)
    at_work.release_workflow.mark_written(made)
    manifest, entry = made.manifest, made.entry
    told = {name: getattr(manifest, name) for name in ("reference", "records", "categories")}
    if as_json:
        print_json(
            {"released": True, "entry": entry, **told, "refused_categories": manifest.refused_categories}
        )
        return
    records = ", ".join(f"{count:,} {name}" for name, count in manifest.records.items())
    print_line(f"{records}: released to {package}")
    print_line(
        f"  {', '.join(manifest.categories)}; for {manifest.recipient}, until {manifest.expires_at:%Y-%m-%d}"
    )
    _say_refused(manifest.refused_categories)


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


def _show(
    request: ReleaseRequest, found: Extract, approved: list[str] | None = None, *, as_json: bool
) -> None:
    """Show what would leave."""
    categories = [one for one in request.categories if one not in found.refused_categories]
    if as_json:
        told = {"released": False, "reference": None if approved is None else request.reference}
        of = {"records": found.record_counts, "visitors": len(found.visitor_keys), "categories": categories}
        beside = {
            "refused_categories": found.refused_categories,
            "required_approvals": request.required_approvals,
            "approved_by": approved or [],
        }
        print_json({**told, **of, **beside, "evidence": request.evidence})
        return
    records = ", ".join(f"{count:,} {name}" for name, count in found.record_counts.items())
    print_line(f"{records} of {len(found.visitor_keys):,} visitors: would be released")
    print_line(
        f"  {', '.join(categories)}; for {request.recipient} ({request.recipient_kind}), on {request.ground}"
    )
    for kind, text in request.evidence.items():
        print_line(f"  {kind}: {text}")
    if request.required_approvals:
        print_line(
            f"  approved by {len(approved or [])} of {request.required_approvals}: "
            f"{', '.join(approved or []) or 'nobody yet'}"
        )
    _say_refused(found.refused_categories)


def _say_refused(refused: Mapping[str, str]) -> None:
    for category, why in refused.items():
        print_line(f"  not released: {category}: {why}")
