"""`avowal visitor`: show, export and erase the data of one visitor, and record their consent."""

from collections.abc import Sequence
from contextlib import nullcontext
from importlib import resources
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from avowal.app.owner_requests import (
    ApplyConsents,
    CompactStore,
    EraseAddress,
    EraseVisitor,
    FindVisitorRecords,
)
from avowal.app.session import Session, open_session
from avowal.app.visitor_data import export_lines, read_visitor_page, record_access
from avowal.app.visitor_subject import find_subject
from avowal.app.visitor_summary import VisitorSummary
from avowal.atomic_files import check_creatable, create_file
from avowal.change.consent import (
    ConsentEffect,
    ConsentStatement,
    compute_consent_effects,
    prepare_consent,
    prepare_withdrawal,
    record_consent,
)
from avowal.change.consent_receipt import build_consent_receipt
from avowal.cli import visitor_authorise
from avowal.cli.options import (
    ChannelOption,
    DataFolderOption,
    JsonOption,
    ReceiptOption,
    VisitorArgument,
    VisitorSinceOption,
    VisitorUntilOption,
    create_app,
)
from avowal.cli.output import print_json, print_line
from avowal.cli.text_table import create_console
from avowal.cli.visitor_address import print_address_records, print_coverage
from avowal.clock import utc_now
from avowal.errors import InvalidInputError, RefusedError
from avowal.keep.address_lookup import AddressPeriod, ErasureConfirmation
from avowal.keep.visitor_lookup import VisitorSelector
from avowal.register.consents import Consent
from avowal.register.erasures import make_erasure_receipt

EXPORT_SCHEMA_FILE = resources.files("avowal.app") / "visitor-export.schema.json"
"""The JSON Schema of the lines of an export."""

app = create_app(is_group=True)
app.add_typer(visitor_authorise.app)


@app.command()
def show(
    subject: VisitorArgument,
    since: VisitorSinceOption = "",
    until: VisitorUntilOption = "",
    page: Annotated[Path | None, typer.Option(help="The file to write a page for printing to.")] = None,
    language: Annotated[str, typer.Option(help="The language of the page.")] = "en",
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Show which data of a visitor is stored, under which versions, and what the visitor consented to."""
    with open_session(data) as session:
        found = find_subject(session, session.parse_visitor(subject, since, until))
        summary, address = found.summary, found.address
        other_keys = len(address.all_keys) - len(found.keys) if address else 0
        record_access(session, found.record_count + other_keys, "avowal visitor show")
        if page:
            from avowal.web.visitor_page import render_visitor_page  # only with --page: loads the templates

            text = render_visitor_page(read_visitor_page(session, found.keys, summary), language)
            page.write_text(text, encoding="utf-8")
    if as_json:
        details = {**msgspec.structs.asdict(address), "code": address.code} if address else None
        print_json({**msgspec.structs.asdict(summary), "address": details})
        return
    if address:
        print_address_records(address)
    if found.keys:
        _print_summary(summary)


def _print_summary(summary: VisitorSummary) -> None:
    """Print what is known of a visitor."""
    print_line(f"visitor {summary.visitor}" if summary.visitor else "all days that are shown:")
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
        categories = ", ".join(release.summary.categories)
        recalled = f"; recalled at {release.recalled_at} UTC" if release.recalled_at else ""
        print_line(
            f"  released to `{release.recipient}` at {release.summary.released_at} UTC: {categories}{recalled}"
        )
    if not summary.releases:
        print_line("nothing was released")


@app.command()
def schema() -> None:
    """Print the JSON Schema of the lines of an export."""
    print_line(EXPORT_SCHEMA_FILE.read_text(encoding="utf-8").rstrip())


@app.command()
def export(
    subject: VisitorArgument,
    output: Annotated[Path, typer.Option(help="The file to write, as JSON Lines.")],
    since: VisitorSinceOption = "",
    until: VisitorUntilOption = "",
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Export all data of a visitor: one line that describes it, then one line for each record."""
    with open_session(data) as session:
        found = find_subject(session, session.parse_visitor(subject, since, until))
        if not found.keys:
            raise RefusedError(
                "on no day one visitor alone had that address, so nobody can tell whose records these are",
                "`avowal visitor show` lists the days; a visitor with the cookie has /privacy/me",
                code="visitor-ambiguous",
            )
        record_access(session, found.record_count, "avowal visitor export")
        with output.open("wb") as file:
            written = export_lines(session, found.keys, found.summary)
            lines = sum(bool(file.write(line)) for line in written) - 1
    coverage = found.summary.coverage
    if as_json:
        about = {"visitor": found.summary.visitor, "visitors": found.keys, "coverage": coverage}
        print_json({**about, "file": str(output), "records": lines})
    else:
        print_line(f"wrote {lines:,} records of {_name_visitors(found.keys)} to {output}")
        print_coverage(coverage)


def _name_visitors(keys: Sequence[str]) -> str:
    return f"visitor {keys[0]}" if len(keys) == 1 else f"{len(keys):,} visitor keys"


@app.command()
def erase(
    subject: VisitorArgument,
    expected_records: Annotated[int, typer.Option(help="The number of stored records that you expect.")],
    receipt_path: ReceiptOption = None,
    since: VisitorSinceOption = "",
    until: VisitorUntilOption = "",
    include_others: Annotated[
        str,
        typer.Option(
            help="With an address: the code that `avowal visitor show` prints, to erase other people's data too."
        ),
    ] = "",
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Erase all data of a visitor, from the files too, and every link from the ledger to the visitor."""
    check_creatable(receipt_path)
    with open_session(data) as session:
        selector = session.parse_visitor(subject, since, until)
        request = _plan_erasure(session, selector, expected_records, include_others)
        with create_file(receipt_path) if receipt_path else nullcontext() as file:
            erasure = session.call(request)
            receipt = make_erasure_receipt(session.register.ledger, erasure)
            if file:
                file.write(_encode_receipt(receipt))
        session.call(CompactStore())
    if as_json:
        print_json(receipt)
    else:
        counts = receipt["erased"]
        print_line(
            f"erased: {counts['requests']:,} requests, {counts['script_views']:,} script views, "
            f"{counts['events']:,} events, {counts['views']:,} views, "
            f"{counts['visits']:,} visits, {counts['consents']:,} consents, "
            f"{counts['submissions']:,} submissions, {counts['authorisations']:,} authorisations; "
            f"nothing identifies {_name_visitors(erasure.visitors)} any more"
        )
        print_coverage(erasure.coverage)


def _plan_erasure(
    session: Session, selector: VisitorSelector, expected_records: int, others_code: str
) -> EraseVisitor | EraseAddress:
    """Return the request that erases a visitor. Raises RefusedError if not as many records are stored as expected."""
    if period := AddressPeriod.of(selector):
        return EraseAddress(period, ErasureConfirmation(expected_records, others_code))
    if others_code:
        raise InvalidInputError(
            "a visitor's key has no others", "leave out `--include-others`", code="conflicting-options"
        )
    records = session.call(FindVisitorRecords(selector))
    if expected_records != records.record_count:
        raise RefusedError(
            f"{records.record_count:,} records are stored, not {expected_records:,}",
            "compare with `avowal visitor show`",
            code="record-count-mismatch",
        )
    return EraseVisitor(records.key)


@app.command("consent")
def record_visitor_consent(
    subject: VisitorArgument,
    channel: ChannelOption,
    number: Annotated[
        int, typer.Option("--version", help="The number of the version; the one in force unless given.")
    ] = 0,
    language: Annotated[str, typer.Option(help="The language of the document that was shown.")] = "",
    reference: Annotated[str, typer.Option(help="The file reference of the visitor's statement.")] = "",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="The visitor withdraws the consent.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what the consent would permit, and record nothing.")
    ] = False,
    since: VisitorSinceOption = "",
    until: VisitorUntilOption = "",
    receipt_path: ReceiptOption = None,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Record that a visitor consents to a version for data collected before it, or withdraws the consent."""
    check_creatable(receipt_path)
    with open_session(data) as session:
        records = session.call(FindVisitorRecords(session.parse_visitor(subject, since, until)))
        statement, register = ConsentStatement(channel, reference, language), session.register
        if withdraw:
            consent = prepare_withdrawal(register, records.key, number, statement, utc_now())
            effects = []
        else:
            consent = prepare_consent(register, records, number, statement, utc_now())
            effects = compute_consent_effects(
                register.versions(), records.counts_by_governing, consent.version
            )
        receipt = None
        if not dry_run:
            consent = record_consent(register, consent)
            session.call(ApplyConsents())
            receipt = build_consent_receipt(register, consent)
    if receipt_path and receipt:
        with create_file(receipt_path) as file:
            file.write(_encode_receipt(receipt))
    if as_json:
        result = {"visitor": consent.visitor, "version": consent.version, "permits": effects}
        print_json({**result, "receipt": receipt})
    else:
        _print_consent(consent, effects, dry_run=dry_run)


def _encode_receipt(receipt: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(receipt), indent=2) + b"\n"


def _print_consent(consent: Consent, effects: list[ConsentEffect], *, dry_run: bool) -> None:
    console = create_console()
    state = "would be recorded" if dry_run else f"is recorded (entry {consent.entry} of the ledger)"
    statement = "consent" if consent.given else "withdrawal of the consent"
    console.print(
        f"the {statement} of visitor {consent.visitor} to version {consent.version} {state}", soft_wrap=True
    )
    if not consent.given:
        console.print("the records of the visitor are governed as before the consent")
    for effect in effects:
        console.print(f"\n{effect.records:,} records that version {effect.governing} governs:", style="bold")
        for sentence in effect.looser_rules or ["nothing changes"]:
            console.print(f"  {sentence}", markup=False, soft_wrap=True)
