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

from avowal.app.folder import open_folder_register
from avowal.app.session import open_session
from avowal.cli.policy import JsonOption, print_json, print_line
from avowal.cli.policy_versions import DataFolderOption
from avowal.clock import utc_now
from avowal.collect.cookie import COOKIE_NAME as COOKIE
from avowal.disclose.contract_check import find_insufficient_contracts
from avowal.disclose.feed import find_overdue_processors
from avowal.errors import InvalidInputError, RefusedError
from avowal.keep.enforcement import effective_versions
from avowal.policy.bounds import OPERATOR, VISITOR
from avowal.policy.vocabulary import load_vocabulary
from avowal.register.readers import Reader
from avowal.workspace.requests import CountRecords

app = typer.Typer(help="Who reads what is stored, and for which purposes.", no_args_is_help=True)
ReaderNameArgument = Annotated[str, typer.Argument(help="The reader's name.")]
MAX_NAME_CHARACTERS = 64
STATUS_DAYS = 30
"""How far back `avowal status` tells of readings."""


@app.command()
def add(
    name: ReaderNameArgument,
    purposes: Annotated[str, typer.Option(help="What for, with commas between: content,performance.")],
    disclose: Annotated[
        bool, typer.Option("--disclose", help="They may ask for releases, and approve them.")
    ] = False,
    automated: Annotated[
        bool, typer.Option("--automated", help="It is a program, which decides by what it reads.")
    ] = False,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Let somebody read for some purposes; given again, in the place of those before."""
    if not name.isprintable() or not 0 < len(name) <= MAX_NAME_CHARACTERS or name in {OPERATOR, VISITOR}:
        raise InvalidInputError(
            f"`{name}` is no name of a reader",
            f"use up to {MAX_NAME_CHARACTERS} characters, and not `{OPERATOR}` or `{VISITOR}`",
            code="invalid-name",
        )
    chosen = [word.strip() for word in purposes.split(",") if word.strip()]
    words = load_vocabulary()
    if wrong := next((word for word in chosen if not words.expand("purposes", word)), None):
        raise InvalidInputError(
            f"`{wrong}` is no purpose", words.suggest_word("purposes", wrong), code="unknown-name"
        )
    leaves = sorted({leaf for word in chosen for leaf in words.expand("purposes", word)})
    if not leaves:
        raise InvalidInputError(
            "a reader without a purpose reads nothing",
            f"there are: {', '.join(words.purposes)}",
            code="missing-input",
        )
    with closing(open_folder_register(data)) as register:
        reader = Reader(name, leaves, disclose, automated)
        register.readers.save(reader, utc_now())
    if as_json:
        print_json(reader)
    else:
        print_line(f"{name} reads for {', '.join(leaves)}{_also(reader)}")


@app.command()
def password(
    name: ReaderNameArgument,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read it from standard input, one line.")] = False,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Give a reader a password, to sign in to the pages of `avowal serve`; it ends where the reader was signed in."""
    word = read_password(name, stdin=stdin)
    if not stdin and word != getpass("once more: "):
        raise InvalidInputError(
            "the two are not the same", "give the command again", code="password-mismatch"
        )
    with closing(open_folder_register(data)) as register:
        if not any(reader.name == name for reader in register.readers.all()):
            raise RefusedError(
                f"there is no reader `{name}`", "`avowal user add` makes one", code="reader-not-found"
            )
        register.passwords.save(name, word, utc_now())
    if as_json:
        print_json({"name": name})
    else:
        print_line(f"{name} can sign in")


def read_password(name: str, *, stdin: bool) -> str:
    """Return a reader's password, as it is typed, or from a line of standard input."""
    return sys.stdin.readline().rstrip("\r\n") if stdin else getpass(f"{name}'s password: ")


@app.command()
def remove(name: ReaderNameArgument, as_json: JsonOption = False, data: DataFolderOption = None) -> None:
    """Take a reader's purposes away; what was read stays recorded."""
    with closing(open_folder_register(data)) as register:
        known = any(reader.name == name for reader in register.readers.all())
        if known:
            register.readers.save(Reader(name, []), utc_now())
    if as_json:
        print_json({"name": name, "removed": known})
    else:
        print_line(f"{name} reads nothing any more" if known else f"there was no reader `{name}`")


@app.command(name="list")
def list_readers(as_json: JsonOption = False, data: DataFolderOption = None) -> None:
    """Show who reads, and what for."""
    with closing(open_folder_register(data)) as register:
        readers = register.readers.all()
    if as_json:
        print_json(readers)
        return
    for reader in readers:
        print_line(f"{reader.name}: {', '.join(reader.purposes)}{_also(reader)}")
    if not readers:
        print_line("there is no reader but whoever has this machine")


def _also(reader: Reader) -> str:
    return (
        f"{'; may disclose' if reader.can_disclose else ''}{'; is a program' if reader.is_automated else ''}"
    )


def status(as_json: JsonOption = False, data: DataFolderOption = None) -> None:
    """Show how the folder stands: version, what is kept, the ledger, and who read what in the last 30 days."""
    with open_session(data) as at_work:
        register, moment = at_work.register, utc_now()
        versions = register.versions()
        holds = effective_versions(versions, moment)
        since = moment - timedelta(days=STATUS_DAYS)
        told = {
            "version": holds[-1].number if holds else None,
            "identity": holds[-1].identity if holds else None,
            "scheduled": [version.number for version in versions[len(holds) :]],
            "cookie": bases[-1]
            if holds and (bases := [*holds[-1].compiled_terms.cookie_ages(COOKIE)])
            else "",
            "kept": at_work.call(CountRecords()),
            "owned_by_another": not at_work.backend.is_owner,
            "processors_short": [
                one.name
                for one, _ in find_insufficient_contracts(register, holds[-1].compiled_terms, moment.date())
            ]
            if holds
            else [],
            "processors_overdue": sorted(find_overdue_processors(register, moment)),
            "ledger_entries": register.ledger.count_entries(),
            "readings_of_single_visitors": register.readers.accesses_since(since),
            "readings_by_day": register.readers.aggregate_access_counts(since),
        }
    if as_json:
        print_json(told)
    else:
        _show(told)


def _show(told: dict[str, Any]) -> None:
    kept = told["kept"]
    print_line(f"version {told['version']} holds" if told["version"] else "no version is in force yet")
    for number in told["scheduled"]:
        print_line(f"version {number} is still to take effect")
    if told["cookie"]:
        print_line(
            f"the cookie `{COOKIE}` is set {told['cookie']}: over HTTPS, for pages of the server's own host only"
        )
    print_line(
        "kept: " + ", ".join(f"{count:,} {name}" for name, count in msgspec.structs.asdict(kept).items())
    )
    for name in told["processors_short"]:
        print_line(
            f"the contract of processor `{name}` falls short of it: `avowal processor list` tells in what"
        )
    for name in told["processors_overdue"]:
        print_line(
            f"processor `{name}` is overdue with what it has to delete: `avowal processor list` tells since when"
        )
    print_line(f"the ledger has {told['ledger_entries']:,} entries")
    if told["owned_by_another"]:
        print_line("another process has the folder: an import, `avowal follow` or a server")
    for title, readings in (
        ("readings of single visitors", told["readings_of_single_visitors"]),
        ("readings of many visitors together", told["readings_by_day"]),
    ):
        print_line(f"\n{title}, in {STATUS_DAYS} days: {'none' if not readings else ''}")
        if readings:
            rows = [msgspec.to_builtins(reading) for reading in readings]
            table = Table(*(name.replace("_", " ") for name in rows[0]), box=None, pad_edge=False)
            for row in rows:
                table.add_row(*(Text(str(value)) for value in row.values()))
            Console(highlight=False).print(table)
