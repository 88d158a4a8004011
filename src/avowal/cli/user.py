"""`avowal user` and `avowal status`: who reads, and how the folder stands."""

import sys
from contextlib import closing
from datetime import timedelta
from getpass import getpass
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from avowal.app.session import open_versions, session
from avowal.cli.policy import AsJson, print_json, say
from avowal.cli.policy_versions import Data
from avowal.clock import utc_now
from avowal.collect.cookie import NAME as COOKIE
from avowal.disclose.contract_check import falling_short
from avowal.disclose.feed import overdue
from avowal.errors import MisuseError, RefusedError
from avowal.keep.enforcement import in_force
from avowal.policy.bounds import OPERATOR, VISITOR
from avowal.policy.vocabulary import vocabulary
from avowal.register.readers import Reader
from avowal.workspace import backend

app = typer.Typer(help="Who reads what is stored, and for which purposes.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The reader's name.")]
NAME_MAX = 64
STATUS_DAYS = 30
"""How far back `avowal status` tells of readings."""


@app.command()
def add(
    name: Name,
    purposes: Annotated[str, typer.Option(help="What for, with commas between: content,performance.")],
    disclose: Annotated[
        bool, typer.Option("--disclose", help="They may ask for releases, and approve them.")
    ] = False,
    automated: Annotated[
        bool, typer.Option("--automated", help="It is a program, which decides by what it reads.")
    ] = False,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Let somebody read for some purposes; given again, in the place of those before."""
    if not name.isprintable() or not 0 < len(name) <= NAME_MAX or name in {OPERATOR, VISITOR}:
        raise MisuseError(
            f"`{name}` is no name of a reader",
            f"use up to {NAME_MAX} characters, and not `{OPERATOR}` or `{VISITOR}`",
        )
    chosen = [word.strip() for word in purposes.split(",") if word.strip()]
    words = vocabulary()
    if wrong := next((word for word in chosen if not words.leaves("purposes", word)), None):
        raise MisuseError(f"`{wrong}` is no purpose", words.nearest("purposes", wrong))
    leaves = sorted({leaf for word in chosen for leaf in words.leaves("purposes", word)})
    if not leaves:
        raise MisuseError(
            "a reader without a purpose reads nothing", f"there are: {', '.join(words.purposes)}"
        )
    with closing(open_versions(data)) as register:
        reader = Reader(name, leaves, disclose, automated)
        register.readers.put(reader, utc_now())
    if as_json:
        print_json(reader)
    else:
        say(f"{name} reads for {', '.join(leaves)}{_also(reader)}")


@app.command()
def password(
    name: Name,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read it from standard input, one line.")] = False,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Give a reader a password, to sign in to the pages of `avowal serve`; it ends where the reader was signed in."""
    word = asked_password(name, stdin=stdin)
    if not stdin and word != getpass("once more: "):
        raise MisuseError("the two are not the same", "give the command again")
    with closing(open_versions(data)) as register:
        if not any(reader.name == name for reader in register.readers.all()):
            raise RefusedError(f"there is no reader `{name}`", "`avowal user add` makes one")
        register.passwords.put(name, word, utc_now())
    if as_json:
        print_json({"name": name})
    else:
        say(f"{name} can sign in")


def asked_password(name: str, *, stdin: bool) -> str:
    """Return a reader's password, as it is typed, or from a line of standard input."""
    return sys.stdin.readline().rstrip("\r\n") if stdin else getpass(f"{name}'s password: ")


@app.command()
def remove(name: Name, as_json: AsJson = False, data: Data = None) -> None:
    """Take a reader's purposes away; what was read stays recorded."""
    with closing(open_versions(data)) as register:
        known = any(reader.name == name for reader in register.readers.all())
        if known:
            register.readers.put(Reader(name, []), utc_now())
    if as_json:
        print_json({"name": name, "removed": known})
    else:
        say(f"{name} reads nothing any more" if known else f"there was no reader `{name}`")


@app.command(name="list")
def list_readers(as_json: AsJson = False, data: Data = None) -> None:
    """Show who reads, and what for."""
    with closing(open_versions(data)) as register:
        readers = register.readers.all()
    if as_json:
        print_json(readers)
        return
    for reader in readers:
        say(f"{reader.name}: {', '.join(reader.purposes)}{_also(reader)}")
    if not readers:
        say("there is no reader but whoever has this machine")


def _also(reader: Reader) -> str:
    return f"{'; may disclose' if reader.discloses else ''}{'; is a program' if reader.automated else ''}"


def status(as_json: AsJson = False, data: Data = None) -> None:
    """Show how the folder stands: version, what is kept, the ledger, and who read what in the last 30 days."""
    with session(data) as at_work:
        register, moment = at_work.register, utc_now()
        versions = register.versions()
        holds = in_force(versions, moment)
        since = moment - timedelta(days=STATUS_DAYS)
        told = {
            "version": holds[-1].number if holds else None,
            "identity": holds[-1].identity if holds else None,
            "scheduled": [version.number for version in versions[len(holds) :]],
            "cookie": bases[-1] if holds and (bases := [*holds[-1].promised.cookie(COOKIE)]) else "",
            "kept": backend.counts(at_work.house),
            "owned_by_another": not at_work.house.owned,
            "processors_short": [
                one.name for one, _ in falling_short(register, holds[-1].promised, moment.date())
            ]
            if holds
            else [],
            "processors_overdue": sorted(overdue(register, moment)),
            "ledger_entries": register.ledger.size(),
            "readings_of_single_visitors": register.readers.readings(since),
            "readings_by_day": register.readers.counts(since),
        }
    if as_json:
        print_json(told)
    else:
        _show(told)


def _show(told: dict[str, Any]) -> None:
    kept = told["kept"]
    say(f"version {told['version']} holds" if told["version"] else "no version is in force yet")
    for number in told["scheduled"]:
        say(f"version {number} is still to take effect")
    if told["cookie"]:
        say(
            f"the cookie `{COOKIE}` is set {told['cookie']}: over HTTPS, for pages of the server's own host only"
        )
    say("kept: " + ", ".join(f"{count:,} {name}" for name, count in msgspec.structs.asdict(kept).items()))
    for name in told["processors_short"]:
        say(f"the contract of processor `{name}` falls short of it: `avowal processor list` tells in what")
    for name in told["processors_overdue"]:
        say(
            f"processor `{name}` is overdue with what it has to delete: `avowal processor list` tells since when"
        )
    say(f"the ledger has {told['ledger_entries']:,} entries")
    if told["owned_by_another"]:
        say("another process has the folder: an import, `avowal follow` or a server")
    for title, readings in (
        ("readings of single visitors", told["readings_of_single_visitors"]),
        ("readings of many visitors together", told["readings_by_day"]),
    ):
        say(f"\n{title}, in {STATUS_DAYS} days: {'none' if not readings else ''}")
        if readings:
            rows = [msgspec.to_builtins(reading) for reading in readings]
            table = Table(*(name.replace("_", " ") for name in rows[0]), box=None, pad_edge=False)
            for row in rows:
                table.add_row(*(Text(str(value)) for value in row.values()))
            Console(highlight=False).print(table)
