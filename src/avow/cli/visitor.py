"""`avow visitor`: what one visitor may ask for."""

from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
import typer
from rich.console import Console

from avow.change.consent import Effect, Means, Word, effects, giving, receipt, record, taking_back
from avow.cli.policy import AsJson, print_json
from avow.cli.session import now, session
from avow.keep.consents import Consent
from avow.keep.subject import Subject, parse_subject
from avow.use.question import parse_moment

app = typer.Typer(help="What one visitor may ask for.", no_args_is_help=True)


@app.callback()
def _visitor() -> None:
    """Keep `consent` a command of its own while it is the only one."""


Moment = Annotated[
    str, typer.Option(help="With an address: when it was the visitor's; a last date is taken whole.")
]


@app.command()
def consent(
    subject: Annotated[str, typer.Argument(help="The visitor's key; or an address, --since and --until.")],
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
    data: Annotated[Path | None, typer.Option(help="The data folder.")] = None,
) -> None:
    """Record that a visitor consents to a version for what was collected before, or takes that back."""
    with session(data) as at_work:
        held = at_work.held(_subject(subject, since, until, at_work.folder.zone))
        word, register = Word(means, reference, language), at_work.register
        if withdraw:
            said, permits = taking_back(register, held.key, number, word, now()), []
        else:
            said = giving(register, held, number, word, now())
            permits = effects(register.versions(), held.records, said.version)
        told = None
        if not dry_run:
            said = record(register, said)
            at_work.settle()
            told = receipt(register, said)
    if to and told:
        to.write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n")
    if as_json:
        print_json({"visitor": said.visitor, "version": said.version, "permits": permits, "receipt": told})
    else:
        _show(said, permits, dry_run=dry_run)


def _subject(word: str, since: str, until: str, zone: ZoneInfo) -> Subject:
    first = parse_moment(since, zone, now()) if since else None
    last = parse_moment(until, zone, now(), end=True) if until else None
    return parse_subject(word, first, last)


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
