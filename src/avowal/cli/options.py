"""Options and arguments that several commands share, and functions that parse them."""

import sys
from getpass import getpass
from pathlib import Path
from typing import Annotated

import typer

from avowal.change.consent import StatementChannel
from avowal.errors import InvalidInputError
from avowal.ledger.note import Verifier
from avowal.policy.vocabulary import expand_words
from avowal.strict import read_text

DataFolderOption = Annotated[Path | None, typer.Option("--data", help="The data folder.")]
AcknowledgeOption = Annotated[
    str,
    typer.Option(
        help="Acknowledge the findings of `avowal policy check`, by their hash or its first 12 digits or more."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="Print one table as CSV.")]
ReaderOption = Annotated[
    str, typer.Option("--as", help="The name of the reader, as given to `avowal user add`.")
]
PurposeOption = Annotated[
    str, typer.Option(help="The purpose for which the data is used, such as `content`.")
]
LogFormatOption = Annotated[
    str, typer.Option("--format", help="The name of a format, or a LogFormat or log_format string.")
]
LogHostOption = Annotated[
    str, typer.Option("--host", help="The host of lines that name none, if the site has several.")
]
VisitorArgument = Annotated[
    str,
    typer.Argument(
        metavar="VISITOR",
        help="The visitor's key or cookie value; or an IP address, with --since and --until.",
    ),
]
VisitorSinceOption = Annotated[
    str, typer.Option(help="The beginning of the period in which the visitor had the address.")
]
VisitorUntilOption = Annotated[
    str,
    typer.Option(help="The end of the period in which the visitor had the address; a date is included."),
]
ChannelOption = Annotated[
    StatementChannel, typer.Option(help="The channel by which the person made the statement.")
]
ReceiptOption = Annotated[Path | None, typer.Option("--receipt", help="The file to write the receipt to.")]
StdinOption = Annotated[
    bool, typer.Option("--stdin", help="Read the password from standard input, as one line.")
]


def create_app(*, is_group: bool = False) -> typer.Typer:
    """Return a Typer application, with which a module registers its commands."""
    return typer.Typer(
        no_args_is_help=is_group, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
    )


def check_output_options(*, as_json: bool, as_csv: bool) -> None:
    """Raise InvalidInputError if both JSON and CSV are requested."""
    if as_json and as_csv:
        raise InvalidInputError(
            "`--json` and `--csv` exclude each other", "give one of them", code="conflicting-options"
        )


def parse_categories(text: str) -> list[str]:
    """Return the categories in a list separated by commas; a parent stands for all below it.

    Raises InvalidInputError if one is not a category.
    """
    return expand_words("categories", [category.strip() for category in text.split(",")])


def parse_assignments(option: str, texts: list[str]) -> list[tuple[str, str]]:
    """Return the name and the value of each text NAME=VALUE that was given to an option.

    Raises InvalidInputError if one has another form.
    """
    for text in texts:
        if "=" not in text:
            raise InvalidInputError(
                f"`{option} {text}` has no value", "write it as `NAME=VALUE`", code="invalid-field"
            )
    return [(name, value) for name, _, value in (text.partition("=") for text in texts)]


def read_verifier(key: str) -> Verifier:
    """Parse a public key, or read it if `key` is the name of a file."""
    return Verifier.parse(read_text(Path(key), InvalidInputError) if Path(key).is_file() else key)


def read_password(name: str, *, stdin: bool) -> str:
    """Return the password of a reader: typed at a prompt, or one line of standard input."""
    return sys.stdin.readline().rstrip("\r\n") if stdin else getpass(f"{name}'s password: ")
