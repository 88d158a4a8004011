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
from avowal.app.session import Session, chosen, find_folder, open_versions, session
from avowal.atomic_files import check_creatable, create_file
from avowal.cli.policy import AsJson, named_categories, print_json, say
from avowal.cli.user import asked_password
from avowal.cli.visitor import Data, Moment, subject_of
from avowal.clock import utc_now
from avowal.disclose.extract import Extent
from avowal.disclose.recall import is_mail, notice, send
from avowal.disclose.request import EXPIRES_DAYS, EXPIRES_MAX, Words, check_line, named_ground
from avowal.errors import MisuseError
from avowal.policy.bounds import OPERATOR
from avowal.policy.ground import EVIDENCE
from avowal.policy.terms import parse_terms
from avowal.register.release_requests import Request
from avowal.register.releases import Release
from avowal.submissions.submission import REFERENCE
from avowal.use.report_request import parse_moment

app = typer.Typer(help="What was released.", no_args_is_help=True)

About = Annotated[str, typer.Option(help="Of which visitor: a key, a cookie's, an address; or a submission.")]
Rows = Annotated[str, typer.Option(help="Of which rows: `requests WHERE status = 404 AND …`.")]
Ground = Annotated[str, typer.Option(help="Why: a ground of the terms.")]
To = Annotated[str, typer.Option(help="Who receives it; on `authorised`, as the visitor named them.")]
Kind = Annotated[str, typer.Option(help="What kind of recipient it is, where the ground has several.")]
Contact = Annotated[str, typer.Option(help="How to reach the recipient, when it is recalled.")]
Categories = Annotated[str, typer.Option(help="What, with commas between; words or their parents.")]
Reference = Annotated[str, typer.Option(help="Where the case, the instrument or the request is found again.")]
Evidence = Annotated[list[str] | None, typer.Option(help="KIND=TEXT, more than once: what the ground needs.")]
Seal = Annotated[str, typer.Option(help="Until which day the visitors are not told.")]
Package = Annotated[Path | None, typer.Option(help="The file to write.")]
Expires = Annotated[
    int, typer.Option(min=1, max=EXPIRES_MAX, help="After how many days it is to be deleted.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Tell what would leave; release nothing.")]
As = Annotated[str, typer.Option("--as", help="Who does it; a name of `avowal user add --disclose`.")]
Which = Annotated[str, typer.Argument(help="The reference of the request or release.", metavar="REFERENCE")]
Stdin = Annotated[bool, typer.Option("--stdin", help="Read the password from standard input, one line.")]


def disclose(
    ground: Ground,
    to: To,
    categories: Categories,
    about: About = "",
    rows: Rows = "",
    kind: Kind = "",
    contact: Contact = "",
    reference: Reference = "",
    evidence: Evidence = None,
    seal_until: Seal = "",
    package: Package = None,
    expires: Expires = EXPIRES_DAYS,
    dry_run: DryRun = False,
    since: Moment = "",
    until: Moment = "",
    reader: As = OPERATOR,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Release what is held, on a ground, as far as its evidence and the terms go; or ask others to approve it."""
    if package and dry_run:
        raise MisuseError("a dry run writes no file", "give one of `--package` and `--dry-run`")
    check_creatable(package)
    words = Words(
        ground=named_ground(ground),
        to=to,
        categories=named_categories(categories),
        kind=kind,
        contact=contact,
        rows=rows,
        reference=reference,
        evidence=dict(_evidence(word) for word in evidence or []),
        expires_days=expires,
        by=reader,
    )
    with session(data) as at_work:
        zone = at_work.folder.zone

        def asked() -> Words:
            at_work.register.readers.check_discloses(reader)
            sealed = parse_moment(seal_until, zone, utc_now()) if seal_until else None
            return structs.replace(words, sealed_until=sealed, **_about(about, since, until, at_work))

        _disclose(at_work, words, asked, None if dry_run else package or UNNAMED, as_json=as_json)


def _about(word: str, since: str, until: str, at_work: Session) -> dict[str, Any]:
    """Return what a release is about: a visitor, a submission, or neither of them."""
    if not word or REFERENCE.fullmatch(word):
        return {"submission": word}
    return {"about": subject_of(word, since, until, at_work)}


UNNAMED = Path()
"""The package of somebody who named none."""


def _disclose(
    at_work: Session, words: Words, asked: Callable[[], Words], package: Path | None, *, as_json: bool
) -> None:
    """Ask for a release, and make it where nobody else has to approve it; without a package, tell what would leave."""
    if package is None:
        request = at_work.desk.ask(asked())
        _show(request, at_work.desk.extent_of(request), as_json=as_json)
        return
    with at_work.desk.on_record(words.ground, words.kind, words.by):
        if package == UNNAMED and not at_work.desk.need(words.ground).approvals:
            raise MisuseError("a release needs a file", "give `--package`, or `--dry-run`")
        request = at_work.desk.record(asked())
        if request.approvals:
            _tell_waiting(request, as_json=as_json)
        else:
            _make(at_work, request, package, as_json=as_json)


@app.command()
def approve(
    reference: Which, reader: As = OPERATOR, stdin: Stdin = False, as_json: AsJson = False, data: Data = None
) -> None:
    """Approve what somebody else asked to be released; look at it with `avowal release show` before."""
    with session(data) as at_work:
        word = "" if reader == OPERATOR else asked_password(reader, stdin=stdin)
        request = at_work.desk.approve(reference, reader, word)
        approved = at_work.register.asking.approved_by(reference)
    if as_json:
        print_json({"reference": reference, "approved_by": approved, "approvals": request.approvals})
    else:
        say(f"{reader} approves `{reference}`: {len(approved)} of {request.approvals}")


@app.command()
def make(
    reference: Which,
    package: Annotated[Path, typer.Option(help="The file to write.")],
    reader: As = OPERATOR,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Release what was asked for, once it is approved."""
    check_creatable(package)
    with session(data) as at_work:
        request = at_work.desk.one(reference)
        with at_work.desk.on_record(request.ground, request.recipient_kind, reader):
            at_work.register.readers.check_discloses(reader)
            _make(at_work, request, package, as_json=as_json)


@app.command()
def show(reference: Which, as_json: AsJson = False, data: Data = None) -> None:
    """Show what was asked to be released, on which evidence, and what would leave."""
    with session(data) as at_work:
        request = at_work.desk.one(reference)
        found = at_work.desk.extent_of(request)
        approved = at_work.register.asking.approved_by(reference)
    _show(request, found, approved, as_json=as_json)


@app.command("list")
def list_them(as_json: AsJson = False, data: Data = None) -> None:
    """List what was released, and what was recalled; and what waits to be approved or made."""
    with closing(open_versions(data)) as register:
        found, waiting = register.releases.all(), register.asking.waiting(utc_now())
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
        on = f"{request.asked_at:%Y-%m-%d}"
        table.add_row(request.reference, request.ground, request.recipient, "", on, "", "waits")
    Console(highlight=False).print(table)


@app.command()
def recall(
    reference: Which,
    reason: Annotated[str, typer.Option(help="Why; it stands in the ledger: name nobody.")],
    to: Annotated[Path | None, typer.Option("--notice", help="The file to write: a message to send.")] = None,
    data: Data = None,
) -> None:
    """Record that a release is recalled, and tell its recipient to delete it."""
    if not reason.strip():
        raise MisuseError("`--reason` is empty", "say why")
    check_line(reason)
    server = find_folder(data).settings.mail.server
    with create_file(to) if to else nullcontext() as file, closing(open_versions(data)) as register:
        one = register.releases.recall(reference, reason, utc_now())
        register.ledger.sign()
        contact = register.asking.contact(reference)
        terms = parse_terms(chosen(register.versions(), 0).terms, "the terms in force")
        message = notice(one, contact, reason, terms)
        if file:
            file.write(message)
    if server and is_mail(contact):
        send(message, contact, server)
        say(f"release {reference} is recalled, and {contact} was told to delete it")
    else:
        whom = f"{one.recipient or 'its recipient'}{f' ({contact})' if contact else ''}"
        written = f"; the message is {to}" if to else ""
        say(f"release {reference} is recalled: tell {whom} to delete it{written}")


def _evidence(word: str) -> tuple[str, str]:
    kind, found, text = word.partition("=")
    if not found or kind not in EVIDENCE:
        hint = strict.nearest(kind, list(EVIDENCE), "kinds of evidence")
        raise MisuseError(f"`{kind}` is no evidence", f"write it as KIND=TEXT; {hint}")
    return kind, text


def _is_sealed(one: Release) -> bool:
    return one.sealed_until is not None and one.sealed_until > utc_now()


def _make(at_work: Session, request: Request, package: Path, *, as_json: bool) -> None:
    with create_file(package) as file:
        made = at_work.desk.make(request)
        file.write(made.package)
    at_work.desk.written(made)
    manifest, entry = made.manifest, made.entry
    told = {name: getattr(manifest, name) for name in ("reference", "records", "categories", "refused")}
    if as_json:
        print_json({"released": True, "entry": entry, **told})
        return
    records = ", ".join(f"{count:,} {name}" for name, count in manifest.records.items())
    say(f"{records}: released to {package}")
    say(f"  {', '.join(manifest.categories)}; for {manifest.recipient}, until {manifest.expires_at:%Y-%m-%d}")
    _say_refused(manifest.refused)


def _tell_waiting(request: Request, *, as_json: bool) -> None:
    if as_json:
        print_json({"released": False, "reference": request.reference, "approvals": request.approvals})
        return
    say(f"`{request.reference}` waits until {request.approvals} more approve it: nothing was released yet")
    say(
        f"  they look at it with `avowal release show {request.reference}`, and then `avowal release approve`"
    )


def _show(request: Request, found: Extent, approved: list[str] | None = None, *, as_json: bool) -> None:
    """Show what would leave."""
    categories = [one for one in request.categories if one not in found.refused]
    if as_json:
        told = {"released": False, "reference": None if approved is None else request.reference}
        of = {"records": found.records, "visitors": len(found.whose), "categories": categories}
        beside = {"refused": found.refused, "approvals": request.approvals, "approved_by": approved or []}
        print_json({**told, **of, **beside, "evidence": request.evidence})
        return
    records = ", ".join(f"{count:,} {name}" for name, count in found.records.items())
    say(f"{records} of {len(found.whose):,} visitors: would be released")
    say(f"  {', '.join(categories)}; for {request.recipient} ({request.recipient_kind}), on {request.ground}")
    for kind, text in request.evidence.items():
        say(f"  {kind}: {text}")
    if request.approvals:
        say(
            f"  approved by {len(approved or [])} of {request.approvals}: {', '.join(approved or []) or 'nobody yet'}"
        )
    _say_refused(found.refused)


def _say_refused(refused: Mapping[str, str]) -> None:
    for category, why in refused.items():
        say(f"  not released: {category}: {why}")
