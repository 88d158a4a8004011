"""The command `avowal`."""

import json
import keyword
import sys
from contextlib import suppress
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import typer
import typer.main
from typer.core import TyperGroup, TyperOption

import avowal
from avowal.atomic_files import naming
from avowal.cli.printable import escape_unprintable
from avowal.errors import AvowalError, InvalidInputError, RefusedError, StoreError
from avowal.storage_errors import explain
from avowal.strict import suggest_nearest

COMMANDS = {
    "init": "Create a folder with settings and a default policy.",
    "import": "Read access logs.",
    "follow": "Read a log as it grows.",
    "serve": "Serve the policy and the reports, and collect from a running site.",
    "report": "Show a report.",
    "query": "Answer an SQL query, limited to what one purpose may see.",
    "policy": "Check, publish and compare versions of the policy.",
    "ledger": "Read, prove and export the ledger.",
    "visitor": "Answer the requests of one visitor: access, export, erasure, consent.",
    "user": "Manage who may read stored data, and for which purposes.",
    "cookies": "Compare what the site leaves in browsers with the policy.",
    "disclose": "Release stored data to somebody else, on a legal ground.",
    "release": "Approve, make, list and recall releases.",
    "processor": "Manage the third parties that process data for the site.",
    "submission": "Manage what people sent by a form or in another way.",
    "status": "Show the state of the folder.",
    "retain": "Delete what is past its retention period.",
    "backup": "Copy the folder while it is in use.",
    "restore": "Take a backup back, and record that in the ledger.",
    "verify": "Verify the folder, or a proof, a receipt, a package or an exported ledger.",
}
"""Each command or group, with the line that `avowal --help` prints. Its module is named after it."""


def _print_version(context: Any, _: Any, is_given: bool) -> None:
    if is_given and not context.resilient_parsing:
        typer.echo(f"avowal {avowal.__version__}")
        context.exit()


_VERSION_OPTION = TyperOption(
    param_decls=["--version"],
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Print the version of the program.",
)


class CommandGroup(TyperGroup):
    """The group of all commands. It imports the module of a command only when that command is used."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options that stand before a command."""
        return [*super().get_params(ctx), _VERSION_OPTION]

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  # the signature of Typer
        """Return the names of all commands, in the order of `--help`."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002  # the same
        """Return a command by its name. Raises InvalidInputError if there is none."""
        if cmd_name not in COMMANDS:
            hint = suggest_nearest(cmd_name, list(COMMANDS), "commands")
            raise InvalidInputError(f"there is no command `{cmd_name}`", hint, code="invalid-command")
        return load_command(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  # the same
        """Write the list of commands in `--help`."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def load_command(name: str) -> Any:
    """Import the module of a command; return the command, or the group of commands."""
    module = import_module(f"avowal.cli.{name}{'_' if keyword.iskeyword(name) else ''}")
    command = typer.main.get_command(module.app)
    command.name = name
    if isinstance(command, TyperGroup):
        command.help = COMMANDS[name]
    return command


AVOWAL = CommandGroup(
    name="avowal",
    help="Makes a website do what its privacy policy says.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


OUTPUT = Path("standard output")
"""How errors name it."""

DATABASE_MODULES = frozenset({"sqlite3", "duckdb", "_duckdb"})
"""Modules whose exceptions mean that a file is damaged. Their text may quote stored data, so it is not shown."""

JSON_OPTION = "--json"


def run() -> None:
    """Run the command that the process was started with, and exit.

    An error is printed with its hint; with `--json`, as one object `{"error": {"code", "message", "hint"}}` on
    standard error, so that standard output holds the result of a command or nothing.
    """
    arguments = sys.argv[1:]
    try:
        status = execute(arguments)
    except AvowalError as error:
        print_error(error, as_json=JSON_OPTION in arguments)
        status = error.exit_status
    sys.exit(status)


def execute(arguments: list[str]) -> int:
    """Run a command; return its exit status.

    Raises AvowalError for every error that is not a fault in the program.
    """
    _name_output()
    try:
        try:
            status = AVOWAL.main(arguments, prog_name="avowal", standalone_mode=False)
        finally:
            sys.stdout.flush()  # so that an error in writing the rest is reported
    except typer.TyperException as error:
        message = error.format_message()
        if message.startswith("Usage: "):  # no command was given, which Typer answers with the help
            typer.echo(message)
            return error.exit_code
        raise InvalidInputError(
            message[:1].lower() + message[1:],
            "`--help` explains every command and option",
            code="invalid-command",
        ) from None
    except typer.Abort:  # the end of the input, or Ctrl-C, at a prompt
        raise RefusedError(
            "the input ended before the question was answered",
            "answer it on a terminal, or on standard input",
            code="input-ended",
        ) from None
    except BrokenPipeError:  # the program that reads our output has closed it
        sys.stderr.close()
        return 0
    except OSError as error:  # its text names the file and quotes no content
        if explained := explain(error, _find_data_folder(arguments)):
            raise explained from error
        name = f"`{error.filename}`" if error.filename else "a file"
        raise RefusedError(
            f"{name} cannot be used: {error.strerror}",
            "check its name, its folder and its permissions",
            code="file-unusable",
        ) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in DATABASE_MODULES:
            raise
        raise explain(error, _find_data_folder(arguments)) or StoreError(
            f"the data folder cannot be used ({type(error).__name__})",
            "`avowal verify` shows what is wrong; if it finds damage, move `data/` away, and give `avowal restore` the "
            "newest backup",
        ) from error
    return status if isinstance(status, int) else 0


def _name_output() -> None:
    """Let an error of writing to standard output name it, whoever writes."""
    for method in ("write", "flush"):
        setattr(sys.stdout, method, naming(OUTPUT)(getattr(sys.stdout, method)))


def _find_data_folder(arguments: list[str]) -> Path:
    """Return the data folder that a command used, for an error that names no file."""
    from avowal.app.folder import find_folder  # it would slow down the start of every command

    words = [word for argument in arguments for word in argument.split("=", 1)]
    given = [after for option, after in pairwise(words) if option == "--data"]
    with suppress(AvowalError, OSError):
        return find_folder(Path(given[-1]) if given else None).data_folder
    return Path.cwd()


def print_error(error: AvowalError, *, as_json: bool) -> None:
    """Print an error to standard error."""
    if as_json:
        fields = {"code": error.code, "message": error.message, "hint": error.hint}
        sys.stderr.write(json.dumps({"error": fields}) + "\n")
        return
    typer.secho(escape_unprintable(f"avowal: {error.message}"), err=True, fg="red", bold=True)
    if error.hint:
        typer.secho(escape_unprintable(f"      {error.hint}"), err=True)
