"""`avowal release`: approve, make, list and recall releases."""

from collections.abc import Mapping
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from avowal.app.folder import find_folder, open_folder_register
from avowal.app.session import open_session
from avowal.atomic_files import check_creatable, create_file
from avowal.cli.options import DataFolderOption, JsonOption, StdinOption, create_app, read_password
from avowal.cli.output import print_json, print_line
from avowal.cli.text_table import TextTable, create_console
from avowal.clock import utc_now
from avowal.disclose.prepared_release import PreparedRelease
from avowal.disclose.recall import build_recall_message, is_email_address, send_message
from avowal.disclose.request import check_line
from avowal.disclose.workflow import ReleaseWorkflow
from avowal.errors import InvalidInputError
from avowal.keep.enforcement import find_version_in_force
from avowal.ledger.release_entry import ReleaseSummary
from avowal.policy.bounds import OPERATOR

app = create_app(is_group=True)

PackageOption = Annotated[Path | None, typer.Option(help="The file to write the package to.")]

DiscloserOption = Annotated[
    str,
    typer.Option("--as", help="The name of the reader who acts, as given to `avowal user add --disclose`."),
]

ReleaseReferenceArgument = Annotated[
    str, typer.Argument(help="The reference of the request or release.", metavar="REFERENCE")
]


@app.command()
def approve(
    reference: ReleaseReferenceArgument,
    reader: DiscloserOption = OPERATOR,
    stdin: StdinOption = False,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Approve a request of somebody else. Read it with `avowal release show` first."""
    with open_session(data) as session:
        password = "" if reader == OPERATOR else read_password(reader, stdin=stdin)
        request = session.release_workflow.approve(reference, reader, password)
        approvers = session.register.release_requests.approvers(reference)
    if as_json:
        print_json(
            {
                "reference": reference,
                "approved_by": approvers,
                "required_approvals": request.summary.required_approvals,
            }
        )
    else:
        print_line(
            f"{reader} approves `{reference}`: {len(approvers)} of {request.summary.required_approvals}"
        )


@app.command()
def make(
    reference: ReleaseReferenceArgument,
    package: Annotated[Path, typer.Option(help="The file to write the package to.")],
    reader: DiscloserOption = OPERATOR,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Make a release whose request was approved."""
    check_creatable(package)
    with open_session(data) as session:
        request = session.release_workflow.find_waiting_request(reference)
        with session.release_workflow.recording_refusals(
            request.summary.ground, request.summary.recipient_kind, reader
        ):
            session.register.readers.check_can_disclose(reader)
            prepared = session.release_workflow.prepare_approved_release(request)
            make_release(session.release_workflow, prepared, package, as_json=as_json)


@app.command()
def show(
    reference: ReleaseReferenceArgument, as_json: JsonOption = False, data: DataFolderOption = None
) -> None:
    """Show a request: its evidence, its approvals and the data that would be released."""
    with open_session(data) as session:
        request = session.release_workflow.find_waiting_request(reference)
        prepared = session.release_workflow.prepare_release(request)
        approvers = session.register.release_requests.approvers(reference)
    print_extract(prepared, approvers, as_json=as_json)


@app.command("list")
def list_releases(as_json: JsonOption = False, data: DataFolderOption = None) -> None:
    """List releases and recalls, and the requests that wait."""
    with closing(open_folder_register(data)) as register:
        releases, waiting = register.releases.all(), register.release_requests.pending(utc_now())
    if as_json:
        print_json({"releases": releases, "waiting": waiting})
        return
    table = TextTable(
        "reference",
        "ground",
        "recipient",
        "records",
        "date (UTC)",
        "expires",
        "state",
        numbers=["reference", "records"],
    )
    for release in releases:
        summary = release.summary
        table.add_row(
            summary.reference,
            summary.ground,
            release.recipient or "erased",
            f"{summary.record_count:,}",
            f"{summary.released_at:%Y-%m-%d}",
            f"{summary.expires_at:%Y-%m-%d}",
            "recalled" if release.recalled_at else "under seal" if _is_sealed(summary) else "",
        )
    for request in waiting:
        day = f"{request.summary.requested_at:%Y-%m-%d}"
        table.add_row(
            request.summary.reference,
            request.summary.ground,
            request.details.recipient,
            *("", day, "", "waits"),
        )
    table.print(create_console())


@app.command()
def recall(
    reference: ReleaseReferenceArgument,
    reason: Annotated[str, typer.Option(help="The reason. The ledger publishes it, so name no person.")],
    notice_path: Annotated[
        Path | None, typer.Option("--notice", help="The file to write the message to the recipient to.")
    ] = None,
    data: DataFolderOption = None,
) -> None:
    """Recall a release, and ask its recipient to delete it."""
    if not reason.strip():
        raise InvalidInputError("`--reason` is empty", "give the reason", code="missing-input")
    check_line(reason)
    server = find_folder(data).settings.mail.smtp_server
    with (
        create_file(notice_path) if notice_path else nullcontext() as file,
        closing(open_folder_register(data)) as register,
    ):
        release = register.releases.recall(reference, reason, utc_now())
        contact = register.release_requests.recipient_contact(reference)
        terms = find_version_in_force(register.versions(), utc_now()).terms
        message = build_recall_message(release, contact, reason, terms)
        if file:
            file.write(message)
    if server and is_email_address(contact):
        send_message(message, contact, server)
        print_line(f"release {reference} is recalled, and {contact} was asked to delete it")
    else:
        recipient = f"{release.recipient or 'its recipient'}{f' ({contact})' if contact else ''}"
        message_file = f"; the message is in {notice_path}" if notice_path else ""
        print_line(f"release {reference} is recalled: ask {recipient} to delete it{message_file}")


def _is_sealed(summary: ReleaseSummary) -> bool:
    return summary.sealed_until is not None and summary.sealed_until > utc_now()


def make_release(
    workflow: ReleaseWorkflow, prepared: PreparedRelease, package: Path, *, as_json: bool
) -> None:
    """Make a release, write its package, and print what was released."""
    with create_file(package) as file:
        result = workflow.make_release(prepared)
        file.write(result.package)
    workflow.mark_written(result)
    manifest, summary = result.manifest, result.manifest.summary
    if as_json:
        print_json(
            {
                "released": True,
                "reference": summary.reference,
                "entry": result.entry,
                "records": summary.records,
                "categories": summary.categories,
                "refused_categories": manifest.refused_categories,
            }
        )
        return
    records = ", ".join(f"{count:,} {name}" for name, count in summary.records.items())
    print_line(f"{records}: released to {package}")
    print_line(
        f"  {', '.join(summary.categories)}; for {manifest.recipient}, until {summary.expires_at:%Y-%m-%d}"
    )
    print_refused_categories(manifest.refused_categories)


def print_extract(prepared: PreparedRelease, approvers: list[str] | None = None, *, as_json: bool) -> None:
    """Print what a request would release, and who has approved it; `approvers` is None in a dry run."""
    request, details = prepared.request.summary, prepared.request.details
    extract, categories = prepared.extract, prepared.categories
    if as_json:
        print_json(
            {
                "released": False,
                "reference": None if approvers is None else request.reference,
                "records": extract.record_counts,
                "visitors": len(extract.visitor_keys),
                "records_by_visitor": extract.records_by_visitor,
                "categories": categories,
                "refused_categories": extract.refused_categories,
                "required_approvals": request.required_approvals,
                "approved_by": approvers or [],
                "evidence": details.evidence,
                "row_filter": details.row_filter,
            }
        )
        return
    records = ", ".join(f"{count:,} {name}" for name, count in extract.record_counts.items())
    print_line(f"{records} of {len(extract.visitor_keys):,} visitors: would be released")
    print_line(
        f"  {', '.join(categories)}; for {details.recipient} ({request.recipient_kind}), on {request.ground}"
    )
    if details.row_filter:
        print_line(f"  rows: {details.row_filter}")
    if details.address:
        print_line(
            f"  {details.address} had {len(extract.records_by_visitor):,} visitor keys, which are of one day each:"
        )
        for key, count in extract.records_by_visitor.items():
            print_line(f"    {key}: {count:,} records")
    for kind, text in details.evidence.items():
        print_line(f"  {kind}: {text}")
    if request.required_approvals:
        print_line(
            f"  approved by {len(approvers or [])} of {request.required_approvals}: "
            f"{', '.join(approvers or []) or 'nobody yet'}"
        )
    print_refused_categories(extract.refused_categories)


def print_refused_categories(refused: Mapping[str, str]) -> None:
    """Print which categories are not released, each with the reason."""
    for category, reason in refused.items():
        print_line(f"  not released: {category}: {reason}")
