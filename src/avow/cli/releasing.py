"""`avow disclose` and `avow release`: what leaves the house, on a ground and only as far as that goes."""

import secrets
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from avow.cli.policy import AsJson, named_categories, print_json, say
from avow.cli.session import Session, chosen, open_versions, session
from avow.cli.visitor import Data, Moment, subject_of
from avow.clock import utc_now
from avow.disclose.package import Manifest, files, hashes, write
from avow.disclose.release import AUTHORISED, Asked, Extent, authorised
from avow.errors import MisuseError, RefusedError
from avow.keep.register import Version
from avow.keep.releases import Release
from avow.policy.terms import parse_terms
from avow.policy.vocabulary import vocabulary

EXPIRES_DAYS = 30
KIND = "named-person"

app = typer.Typer(help="What was released.", no_args_is_help=True)


def disclose(
    about: Annotated[str, typer.Option(help="Of which visitor: a key, a cookie's, or an address.")],
    ground: Annotated[str, typer.Option(help="Why: `authorised`.")],
    to: Annotated[str, typer.Option(help="Who receives it, as the visitor named them.")],
    categories: Annotated[str, typer.Option(help="What, with commas between; words or their parents.")],
    package: Annotated[Path | None, typer.Option(help="The file to write.")] = None,
    expires: Annotated[
        int, typer.Option(min=1, max=3650, help="After how many days it is to be deleted.")
    ] = EXPIRES_DAYS,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would leave; release nothing.")
    ] = False,
    since: Moment = "",
    until: Moment = "",
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Release what is held of a visitor, on a ground, as far as its evidence and the terms go."""
    if bool(package) is dry_run:
        raise MisuseError(
            "a release needs a file, and a dry run has none", "give one of `--package` and `--dry-run`"
        )
    if package and package.exists():
        raise MisuseError(f"`{package}` is there already", "name another file")
    if ground != AUTHORISED:
        _refuse_ground(ground)
    leaves = named_categories(categories)
    with session(data) as at_work:
        key = at_work.held(subject_of(about, since, until, at_work)).key
        version = chosen(at_work.register.versions(), 0)
        refused = dict(authorised(at_work.register, version, key, to, leaves))
        found = at_work.extent(Asked(ground, KIND, key, [leaf for leaf in leaves if leaf not in refused]))
        refused |= found.refused
        if not found.tables:
            raise RefusedError(
                "nothing may be released: " + "; ".join(f"{what}: {why}" for what, why in refused.items())
            )
        contents = files(found.tables)
        manifest = _manifest(version, to, leaves, found.records, refused, expires, hashes(contents))
        entry = _release(at_work, key, manifest, contents, package) if package else None
    told = {"released": not dry_run, "reference": manifest.reference if package else None, "entry": entry}
    if as_json:
        print_json({**told, "records": found.records, "categories": manifest.categories, "refused": refused})
    else:
        _show(found, manifest, refused, f"released to {package}" if package else "would be released")


@app.command("list")
def list_them(as_json: AsJson = False, data: Data = None) -> None:
    """List what was released, and what was recalled."""
    with closing(open_versions(data)) as register:
        found = register.releases.all()
    if as_json:
        print_json({"releases": found})
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("reference", "ground", "to", "records", "on (UTC)", "expires", ""):
        table.add_column(heading, no_wrap=heading == "reference")
    for one in found:
        state = "recalled" if one.recalled_at else ""
        to = one.recipient or "erased"
        table.add_row(
            *(one.reference, one.ground, to, f"{one.records:,}", f"{one.released_at:%Y-%m-%d}"),
            *(f"{one.expires_at:%Y-%m-%d}", state),
        )
    Console(highlight=False).print(table)


@app.command()
def recall(
    reference: Annotated[str, typer.Argument(help="Of the release.")],
    reason: Annotated[str, typer.Option(help="Why; it stands in the ledger: name nobody.")],
    data: Data = None,
) -> None:
    """Record that a release is recalled; its recipient has to be told, and has to delete it."""
    if not reason.strip():
        raise MisuseError("`--reason` is empty", "say why")
    with closing(open_versions(data)) as register:
        one = register.releases.recall(reference, reason, utc_now())
        register.ledger.sign()
    say(f"release {reference} is recalled: tell {one.recipient or 'its recipient'} to delete it")


def _refuse_ground(ground: str) -> None:
    words = vocabulary()
    if not words.leaves("grounds", ground):
        raise MisuseError(f"`{ground}` is none of the grounds", words.nearest("grounds", ground))
    raise RefusedError(
        f"on the ground `{ground}` nothing can be released yet",
        f"`{AUTHORISED}` is the one on which something can",
    )


def _manifest(
    version: Version,
    to: str,
    leaves: list[str],
    records: dict[str, int],
    refused: dict[str, str],
    expires: int,
    files: dict[str, str],
) -> Manifest:
    terms, now = parse_terms(version.terms, "the terms in force"), utc_now()
    return Manifest(
        reference=secrets.token_hex(12),
        controller=terms.controller,
        contact=terms.contact,
        ground=AUTHORISED,
        recipient=to,
        recipient_kind=KIND,
        categories=[leaf for leaf in leaves if leaf not in refused],
        version=version.number,
        records=records,
        refused=refused,
        released_at=now,
        expires_at=now + timedelta(days=expires),
        files=files,
    )


def _release(
    at_work: Session, key: str, manifest: Manifest, contents: dict[str, bytes], package: Path
) -> int:
    """Record the release, and then write its package; returns the number of its entry in the ledger."""
    release = Release(
        manifest.reference,
        manifest.ground,
        manifest.recipient_kind,
        manifest.recipient,
        manifest.categories,
        sum(manifest.records.values()),
        manifest.version,
        manifest.sha256,
        manifest.released_at,
        manifest.expires_at,
    )
    entry = at_work.register.releases.record(release, key).entry
    proof = str(at_work.register.ledger.receipt(entry))
    write(package, manifest, contents, proof)
    return entry


def _show(found: Extent, manifest: Manifest, refused: dict[str, str], done: str) -> None:
    records = ", ".join(f"{count:,} {name}" for name, count in found.records.items())
    say(f"{records}: {done}")
    say(f"  {', '.join(manifest.categories)}; for {manifest.recipient}, until {manifest.expires_at:%Y-%m-%d}")
    for category, why in refused.items():
        say(f"  not released: {category}: {why}")
