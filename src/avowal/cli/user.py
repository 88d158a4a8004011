"""`avowal user`: manage who may read stored data, and for which purposes."""

from contextlib import closing
from getpass import getpass
from typing import Annotated

import typer

from avowal.app.folder import open_folder_register
from avowal.cli.options import DataFolderOption, JsonOption, StdinOption, create_app, read_password
from avowal.cli.output import print_json, print_line
from avowal.clock import utc_now
from avowal.errors import InvalidInputError, RefusedError
from avowal.policy.bounds import OPERATOR, VISITOR
from avowal.policy.vocabulary import load_vocabulary
from avowal.register.readers import Reader

app = create_app(is_group=True)

ReaderNameArgument = Annotated[str, typer.Argument(help="The name of the reader.")]

MAX_NAME_CHARACTERS = 64


@app.command()
def add(
    name: ReaderNameArgument,
    purposes: Annotated[
        str, typer.Option(help="The purposes, separated by commas, such as `content,performance`.")
    ],
    disclose: Annotated[
        bool, typer.Option("--disclose", help="The reader may request and approve releases.")
    ] = False,
    automated: Annotated[
        bool, typer.Option("--automated", help="The reader is a program that makes decisions from the data.")
    ] = False,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Add a reader with purposes, or replace the purposes of one."""
    if not name.isprintable() or not 0 < len(name) <= MAX_NAME_CHARACTERS or name in {OPERATOR, VISITOR}:
        raise InvalidInputError(
            f"`{name}` cannot be the name of a reader",
            f"use up to {MAX_NAME_CHARACTERS} printable characters, but not `{OPERATOR}` or `{VISITOR}`",
            code="invalid-name",
        )
    named_purposes = [purpose.strip() for purpose in purposes.split(",") if purpose.strip()]
    vocabulary = load_vocabulary()
    for purpose in named_purposes:
        if not vocabulary.expand("purposes", purpose):
            raise InvalidInputError(
                f"`{purpose}` is not a purpose",
                vocabulary.suggest_word("purposes", purpose),
                code="unknown-name",
            )
    leaves = sorted({leaf for purpose in named_purposes for leaf in vocabulary.expand("purposes", purpose)})
    if not leaves:
        raise InvalidInputError(
            "a reader needs at least one purpose",
            f"the purposes are: {', '.join(vocabulary.purposes)}",
            code="missing-input",
        )
    with closing(open_folder_register(data)) as register:
        reader = Reader(name, leaves, disclose, automated)
        register.readers.save(reader, utc_now())
    if as_json:
        print_json(reader)
    else:
        print_line(f"{name} reads for {', '.join(leaves)}{_describe_rights(reader)}")


@app.command("password")
def set_password(
    name: ReaderNameArgument,
    stdin: StdinOption = False,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Set the password with which a reader signs in to `avowal serve`. Open sessions of the reader end."""
    password = read_password(name, stdin=stdin)
    if not stdin and password != getpass("repeat the password: "):
        raise InvalidInputError("the passwords differ", "run the command again", code="password-mismatch")
    with closing(open_folder_register(data)) as register:
        if not any(reader.name == name for reader in register.readers.all()):
            raise RefusedError(
                f"there is no reader `{name}`", "`avowal user add` adds one", code="reader-not-found"
            )
        register.passwords.save(name, password, utc_now())
    if as_json:
        print_json({"name": name})
    else:
        print_line(f"{name} can sign in")


@app.command()
def remove(name: ReaderNameArgument, as_json: JsonOption = False, data: DataFolderOption = None) -> None:
    """Remove a reader. The record of their accesses stays."""
    with closing(open_folder_register(data)) as register:
        exists = any(reader.name == name for reader in register.readers.all())
        if exists:
            register.readers.save(Reader(name, []), utc_now())
    if as_json:
        print_json({"name": name, "removed": exists})
    else:
        print_line(f"{name} was removed" if exists else f"there is no reader `{name}`")


@app.command(name="list")
def list_readers(as_json: JsonOption = False, data: DataFolderOption = None) -> None:
    """List the readers and their purposes."""
    with closing(open_folder_register(data)) as register:
        readers = register.readers.all()
    if as_json:
        print_json(readers)
        return
    for reader in readers:
        print_line(f"{reader.name}: {', '.join(reader.purposes)}{_describe_rights(reader)}")
    if not readers:
        print_line("there is no reader besides the operator of this machine")


def _describe_rights(reader: Reader) -> str:
    return (
        f"{'; may disclose' if reader.can_disclose else ''}{'; is a program' if reader.is_automated else ''}"
    )
