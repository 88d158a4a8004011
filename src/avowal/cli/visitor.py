"""`avowal visitor`: what one visitor may ask for."""

from contextlib import nullcontext
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from avowal.app.owner_requests import ApplyConsents, EraseVisitor, FindVisitorRecords
from avowal.app.session import open_session
from avowal.app.visitor_data import export_lines, read_visitor_page, record_access
from avowal.app.visitor_summary import summarize_visitor
from avowal.atomic_files import check_creatable, create_file
from avowal.change.consent import (
    ConsentEffect,
    ConsentStatement,
    StatementChannel,
    compute_consent_effects,
    prepare_consent,
    prepare_withdrawal,
    record_consent,
)
from avowal.change.consent_receipt import build_consent_receipt
from avowal.cli import visitor_authorise
from avowal.cli.options import (
    DataFolderOption,
    JsonOption,
    ReceiptOption,
    VisitorArgument,
    VisitorPeriodOption,
    create_app,
)
from avowal.cli.output import print_json, print_line
from avowal.clock import utc_now
from avowal.errors import RefusedError
from avowal.register.consents import Consent
from avowal.register.erasures import make_erasure_receipt as erasure_receipt

EXPORT_SCHEMA_FILE = resources.files("avowal.app") / "visitor-export.schema.json"
"""What the lines of an export hold."""

app = create_app(is_group=True)
app.add_typer(visitor_authorise.app)


@app.command()
def show(
    subject: VisitorArgument,
    since: VisitorPeriodOption = "",
    until: VisitorPeriodOption = "",
    page: Annotated[Path | None, typer.Option(help="The file to write a page to, for printing.")] = None,
    language: Annotated[str, typer.Option(help="Of the page.")] = "en",
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Show what is held of a visitor: how much, under which versions, and to what the visitor consented."""
    with open_session(data) as session:
        held = session.call(FindVisitorRecords(session.parse_visitor(subject, since, until)))
        summary = summarize_visitor(session, held.key)
        record_access(session, held.record_count, "avowal visitor show")
        if page:
            from avowal.web.visitor_page import render_visitor_page  # only with --page: loads the templates

            text = render_visitor_page(read_visitor_page(session, summary), language)
            page.write_text(text, encoding="utf-8")
    if as_json:
        print_json(summary)
        return
    print_line(f"visitor {summary.visitor}")
    for relation, stored in summary.stored.items():
        versions = ", ".join(f"version {version}" for version in stored.versions)
        period = f", from {stored.first} to {stored.last} UTC; {versions}" if versions else ""
        print_line(f"  {stored.records:,} {relation}{period}")
    for submission in summary.submissions:
        print_line(
            f"  submitted by `{submission.form}` at {submission.submitted_at} UTC, under version {submission.version}"
        )
    for consent in summary.consents:
        action = "consented to" if consent.given else "withdrew the consent to"
        print_line(f"  {action} version {consent.version} at {consent.recorded_at} UTC")
    for authorisation in summary.authorisations:
        categories = ", ".join(authorisation.categories)
        action = f"authorised {categories}" if authorisation.given else "withdrew the authorisation"
        print_line(f"  {action} for `{authorisation.recipient}` at {authorisation.recorded_at} UTC")
    for access in summary.accesses:
        print_line(
            f"  may be among {access.rows:,} rows that {access.reader} accessed for {access.purpose} "
            f"at {access.recorded_at} UTC"
        )
    for release in summary.releases:
        categories = ", ".join(release.categories)
        recalled = f"; recalled at {release.recalled_at} UTC" if release.recalled_at else ""
        print_line(
            f"  released to `{release.recipient}` at {release.released_at} UTC: {categories}{recalled}"
        )
    if not summary.releases:
        print_line("nothing was released to anybody")


@app.command()
def schema() -> None:
    """Print the JSON Schema of an export's lines: what each field means."""
    print_line(EXPORT_SCHEMA_FILE.read_text(encoding="utf-8").rstrip())


@app.command()
def export(
    subject: VisitorArgument,
    output: Annotated[Path, typer.Option(help="The file to write: JSON Lines.")],
    since: VisitorPeriodOption = "",
    until: VisitorPeriodOption = "",
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Write everything that is held of a visitor: one line that tells what it is, then one for each record."""
    with open_session(data) as session:
        held = session.call(FindVisitorRecords(session.parse_visitor(subject, since, until)))
        record_access(session, held.record_count, "avowal visitor export")
        with output.open("wb") as file:
            lines = sum(bool(file.write(line)) for line in export_lines(session, held.key)) - 1
    if as_json:
        print_json({"visitor": held.key, "file": str(output), "records": lines})
    else:
        print_line(f"wrote {lines:,} records of visitor {held.key} to {output}")


@app.command()
def erase(
    subject: VisitorArgument,
    expected_records: Annotated[int, typer.Option(help="How many requests and looks that are.")],
    receipt_path: ReceiptOption = None,
    since: VisitorPeriodOption = "",
    until: VisitorPeriodOption = "",
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Erase everything that is held of a visitor, also from the files, and what leads from the ledger to them."""
    check_creatable(receipt_path)
    with open_session(data) as session:
        held = session.call(FindVisitorRecords(session.parse_visitor(subject, since, until)))
        there = held.record_count
        if expected_records != there:
            raise RefusedError(
                f"{there:,} requests and looks are held of that visitor, and {expected_records:,} were to be erased",
                "look at `avowal visitor show`, and give the number that you mean",
                code="record-count-mismatch",
            )
        register = session.register
        other = [
            *register.consents.for_visitor(held.key),
            *register.authorisations.for_visitor(held.key),
            *register.submissions.in_period(datetime.min, datetime.max, held.key),
        ]
        if not there and not other:
            raise RefusedError(
                "nothing is held of that visitor", "look at the visitor's key", code="records-not-found"
            )
        with create_file(receipt_path) if receipt_path else nullcontext() as file:
            told = erasure_receipt(session.register.ledger, session.call(EraseVisitor(held.key)))
            if file:
                file.write(msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n")
    if as_json:
        print_json(told)
    else:
        gone = told["erased"]
        print_line(
            f"erased: {gone['requests']:,} requests, {gone['script_views']:,} script views, "
            f"{gone['events']:,} events, {gone['views']:,} views, "
            f"{gone['visits']:,} visits, {gone['consents']:,} consents, "
            f"{gone['submissions']:,} submissions, {gone['authorisations']:,} authorisations; "
            f"nothing leads to visitor {told['visitor']} any more"
        )


@app.command()
def consent(
    subject: VisitorArgument,
    channel: Annotated[StatementChannel, typer.Option(help="How the visitor said so.")],
    number: Annotated[int, typer.Option("--version", help="The version; else the one in force.")] = 0,
    language: Annotated[str, typer.Option(help="Of the document that was shown.")] = "",
    reference: Annotated[str, typer.Option(help="Where the visitor's word is found again.")] = "",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="The visitor takes it back.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what it permits; record nothing.")] = False,
    since: VisitorPeriodOption = "",
    until: VisitorPeriodOption = "",
    receipt_path: ReceiptOption = None,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Record that a visitor consents to a version for what was collected before, or takes that back."""
    check_creatable(receipt_path)
    with open_session(data) as session:
        held = session.call(FindVisitorRecords(session.parse_visitor(subject, since, until)))
        word, register = ConsentStatement(channel, reference, language), session.register
        if withdraw:
            said, permits = prepare_withdrawal(register, held.key, number, word, utc_now()), []
        else:
            said = prepare_consent(register, held, number, word, utc_now())
            permits = compute_consent_effects(register.versions(), held.counts_by_governing, said.version)
        told = None
        if not dry_run:
            said = record_consent(register, said)
            session.call(ApplyConsents())
            told = build_consent_receipt(register, said)
    if receipt_path and told:
        with create_file(receipt_path) as file:
            file.write(msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n")
    if as_json:
        print_json({"visitor": said.visitor, "version": said.version, "permits": permits, "receipt": told})
    else:
        _show(said, permits, dry_run=dry_run)


def _show(said: Consent, permits: list[ConsentEffect], *, dry_run: bool) -> None:
    console = Console(highlight=False)
    did = "would be recorded" if dry_run else f"is recorded (entry {said.entry} of the ledger)"
    what = "consent" if said.given else "withdrawal of the consent"
    console.print(f"the {what} of visitor {said.visitor} to version {said.version} {did}", soft_wrap=True)
    if not said.given:
        console.print("the visitor's records are governed as they were without it")
    for effect in permits:
        console.print(f"\n{effect.records:,} requests that version {effect.governing} governs:", style="bold")
        for sentence in effect.looser_rules or ["nothing changes"]:
            console.print(f"  {sentence}", markup=False, soft_wrap=True)
