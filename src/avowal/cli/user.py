"""`avowal user`: who may read stored data, and for which purposes."""

from contextlib import closing
from getpass import getpass
from typing import Annotated

import typer

from avowal.app.folder import open_folder_register
from avowal.cli.options import DataFolderOption, JsonOption, create_app, read_password
from avowal.cli.output import print_json, print_line
from avowal.clock import utc_now
from avowal.errors import InvalidInputError, RefusedError
from avowal.policy.bounds import OPERATOR, VISITOR
from avowal.policy.vocabulary import load_vocabulary
from avowal.register.readers import Reader

app = create_app(is_group=True)

ReaderNameArgument = Annotated[str, typer.Argument(help="The reader's name.")]

MAX_NAME_CHARACTERS = 64


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


@app.command("password")
def set_password(
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
