"""`avowal visitor`: what one visitor may ask for."""

from contextlib import nullcontext
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from avowal.app.session import Session, session
from avowal.app.visitor_data import exported, leave_trace, page_of, summary
from avowal.atomic_files import check_creatable, create_file
from avowal.change.consent import Effect, Means, Word, effects, giving, record, taking_back
from avowal.change.consent_receipt import receipt
from avowal.cli.policy import AsJson, print_json, say
from avowal.clock import utc_now
from avowal.errors import RefusedError
from avowal.keep.visitor_lookup import Subject, parse_subject
from avowal.key_files import COOKIE_KEY, secret
from avowal.register.consents import Consent
from avowal.register.erasures import receipt as erasure_receipt
from avowal.use.report_request import parse_moment

SCHEMA = resources.files("avowal.app") / "visitor-export.schema.json"
"""What the lines of an export hold."""

app = typer.Typer(help="What one visitor may ask for.", no_args_is_help=True)

Moment = Annotated[
    str, typer.Option(help="With an address: when it was the visitor's; a last date is taken whole.")
]
Whose = Annotated[
    str, typer.Argument(help="The visitor's key, or a cookie's; or an address, --since and --until.")
]
Data = Annotated[Path | None, typer.Option(help="The data folder.")]


@app.command()
def show(
    subject: Whose,
    since: Moment = "",
    until: Moment = "",
    page: Annotated[Path | None, typer.Option(help="The file to write a page to, for printing.")] = None,
    language: Annotated[str, typer.Option(help="Of the page.")] = "en",
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Show what is held of a visitor: how much, under which versions, and to what the visitor consented."""
    with session(data) as at_work:
        held = at_work.held(subject_of(subject, since, until, at_work))
        told = summary(at_work, held.key)
        leave_trace(at_work, held.count, "avowal visitor show")
        if page:
            page.write_text(page_of(at_work, told, language), encoding="utf-8")
    if as_json:
        print_json(told)
        return
    say(f"visitor {told['visitor']}")
    for name, of in told["held"].items():
        versions = ", ".join(f"version {version}" for version in of["versions"])
        say(
            f"  {of['records']:,} {name}"
            + (f", from {of['first']} to {of['last']} UTC; {versions}" if versions else "")
        )
    for one in told["submissions"]:
        say(f"  handed over by `{one['form']}` at {one['submitted_at']} UTC, under version {one['version']}")
    for one in told["consents"]:
        what = "consented to" if one["given"] else "took back the consent to"
        say(f"  {what} version {one['version']} at {one['recorded_at']} UTC")
    for one in told["authorisations"]:
        what = (
            f"authorised {', '.join(one['categories'])}" if one["given"] else "took back what it authorised"
        )
        say(f"  {what} for `{one['recipient']}` at {one['recorded_at']} UTC")
    for one in told["readings_since"]:
        say(
            f"  maybe among {one.rows:,} rows that {one.name} read for {one.purpose} at {one.recorded_at} UTC"
        )
    for one in told["released"]:
        what = ", ".join(one["categories"])
        recalled = f"; recalled at {one['recalled_at']} UTC" if one["recalled_at"] else ""
        say(f"  released to `{one['recipient']}` at {one['released_at']} UTC: {what}{recalled}")
    if not told["released"]:
        say("nothing was released to anybody")


@app.command()
def schema() -> None:
    """Print the JSON Schema of an export's lines: what each field means."""
    say(SCHEMA.read_text(encoding="utf-8").rstrip())


@app.command()
def export(
    subject: Whose,
    to: Annotated[Path, typer.Option(help="The file to write: JSON Lines.")],
    since: Moment = "",
    until: Moment = "",
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Write everything that is held of a visitor: one line that tells what it is, then one for each record."""
    with session(data) as at_work:
        held = at_work.held(subject_of(subject, since, until, at_work))
        leave_trace(at_work, held.count, "avowal visitor export")
        with to.open("wb") as file:
            lines = sum(bool(file.write(line)) for line in exported(at_work, held.key)) - 1
    if as_json:
        print_json({"visitor": held.key, "file": str(to), "records": lines})
    else:
        say(f"wrote {lines:,} records of visitor {held.key} to {to}")


@app.command()
def erase(
    subject: Whose,
    count: Annotated[int, typer.Option(help="How many requests and looks that are.")],
    to: Annotated[Path | None, typer.Option("--receipt", help="The file to write the receipt to.")] = None,
    since: Moment = "",
    until: Moment = "",
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Erase everything that is held of a visitor, also from the files, and what leads from the ledger to them."""
    check_creatable(to)
    with session(data) as at_work:
        held = at_work.held(subject_of(subject, since, until, at_work))
        there = held.count
        if count != there:
            raise RefusedError(
                f"{there:,} requests and looks are held of that visitor, and {count:,} were to be erased",
                "look at `avowal visitor show`, and give the number that you mean",
            )
        register = at_work.register
        other = [
            *register.consents.of(held.key),
            *register.authorisations.of(held.key),
            *register.submissions.all(datetime.min, datetime.max, held.key),
        ]
        if not there and not other:
            raise RefusedError("nothing is held of that visitor", "look at the visitor's key")
        with create_file(to) if to else nullcontext() as file:
            told = erasure_receipt(at_work.register.ledger, at_work.erase(held.key))
            if file:
                file.write(msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n")
    if as_json:
        print_json(told)
    else:
        gone = told["erased"]
        say(
            f"erased: {gone['requests']:,} requests, {gone['looks']:,} looks, "
            f"{gone['interactions']:,} interactions, {gone['views']:,} views, "
            f"{gone['visits']:,} visits, {gone['consents']:,} consents, "
            f"{gone['submissions']:,} submissions, {gone['authorisations']:,} authorisations; "
            f"nothing leads to visitor {told['visitor']} any more"
        )


@app.command()
def consent(
    subject: Whose,
    means: Annotated[Means, typer.Option(help="How the visitor said so.")],
    number: Annotated[int, typer.Option("--version", help="The version; else the one in force.")] = 0,
    language: Annotated[str, typer.Option(help="Of the document that was shown.")] = "",
    reference: Annotated[str, typer.Option(help="Where the visitor's word is found again.")] = "",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="The visitor takes it back.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what it permits; record nothing.")] = False,
    since: Moment = "",
    until: Moment = "",
    to: Annotated[Path | None, typer.Option("--receipt", help="The file to write the receipt to.")] = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Record that a visitor consents to a version for what was collected before, or takes that back."""
    check_creatable(to)
    with session(data) as at_work:
        held = at_work.held(subject_of(subject, since, until, at_work))
        word, register = Word(means, reference, language), at_work.register
        if withdraw:
            said, permits = taking_back(register, held.key, number, word, utc_now()), []
        else:
            said = giving(register, held, number, word, utc_now())
            permits = effects(register.versions(), held.records, said.version)
        told = None
        if not dry_run:
            said = record(register, said)
            at_work.settle()
            told = receipt(register, said)
    if to and told:
        with create_file(to) as file:
            file.write(msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n")
    if as_json:
        print_json({"visitor": said.visitor, "version": said.version, "permits": permits, "receipt": told})
    else:
        _show(said, permits, dry_run=dry_run)


def subject_of(word: str, since: str, until: str, at_work: Session) -> Subject:
    """Return whom a command is about, from how it names them."""
    zone = at_work.folder.zone
    first = parse_moment(since, zone, utc_now()) if since else None
    last = parse_moment(until, zone, utc_now(), end=True) if until else None
    return parse_subject(word, first, last, secret(at_work.folder.keys / COOKIE_KEY))


def _show(said: Consent, permits: list[Effect], *, dry_run: bool) -> None:
    console = Console(highlight=False)
    did = "would be recorded" if dry_run else f"is recorded (entry {said.entry} of the ledger)"
    what = "consent" if said.given else "withdrawal of the consent"
    console.print(f"the {what} of visitor {said.visitor} to version {said.version} {did}", soft_wrap=True)
    if not said.given:
        console.print("the visitor's records are governed as they were without it")
    for effect in permits:
        console.print(
            f"\n{effect.records:,} requests that version {effect.governed_by} governs:", style="bold"
        )
        for sentence in effect.looser or ["nothing changes"]:
            console.print(f"  {sentence}", markup=False, soft_wrap=True)
