"""Options and arguments that several commands share, and how they are read."""

import sys
from getpass import getpass
from pathlib import Path
from typing import Annotated

import typer

from avowal.errors import InvalidInputError
from avowal.ledger.note import Verifier
from avowal.policy.vocabulary import expand_words
from avowal.strict import read_text

DataFolderOption = Annotated[Path | None, typer.Option("--data", help="The data folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="Print one table as CSV.")]
ReaderOption = Annotated[str, typer.Option("--as", help="Who reads: a name given to `avowal user add`.")]
PurposeOption = Annotated[str, typer.Option(help="What the data is used for, such as `content`.")]
LogFormatOption = Annotated[
    str, typer.Option("--format", help="The name of a format, or a LogFormat or log_format string.")
]
VisitorArgument = Annotated[
    str,
    typer.Argument(
        metavar="VISITOR",
        help="The visitor's key, or the value of their cookie; or an address, with --since and --until.",
    ),
]
VisitorPeriodOption = Annotated[
    str, typer.Option(help="With an address: when the visitor had it. A last date is included whole.")
]
ReceiptOption = Annotated[Path | None, typer.Option("--receipt", help="The file to write the receipt to.")]
StdinOption = Annotated[
    bool, typer.Option("--stdin", help="Read the password from standard input, as one line.")
]


def create_app(*, is_group: bool = False) -> typer.Typer:
    """Return what the functions of a module are registered with as commands."""
    return typer.Typer(
        no_args_is_help=is_group, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
    )


def check_output_options(*, as_json: bool, as_csv: bool) -> None:
    """Raise InvalidInputError if both JSON and CSV are asked for."""
    if as_json and as_csv:
        raise InvalidInputError(
            "`--json` and `--csv` exclude each other", "give one of them", code="conflicting-options"
        )


def parse_categories(text: str) -> list[str]:
    """Return the categories that an option names, separated by commas; a parent stands for all below it.

    Raises InvalidInputError if one is not a category.
    """
    return expand_words("categories", [word.strip() for word in text.split(",")])


def read_verifier(key: str) -> Verifier:
    """Read a public key, or the file that has it."""
    return Verifier.parse(read_text(Path(key), InvalidInputError) if Path(key).is_file() else key)


def read_password(name: str, *, stdin: bool) -> str:
    """Return a reader's password, as it is typed, or from a line of standard input."""
    return sys.stdin.readline().rstrip("\r\n") if stdin else getpass(f"{name}'s password: ")
