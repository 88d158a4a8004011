"""The command `avowal`."""

import json
import sys
from importlib import import_module

import typer
from rich.console import Console

from avowal.errors import AvowalError, InvalidInputError, RefusedError, StoreError

COMMANDS = {
    "init": "init.init",
    "import": "import_.import_logs",
    "follow": "follow.follow",
    "serve": "serve.serve",
    "report": "report.report",
    "query": "query.query",
    "policy": "policy.app",
    "policy adopt": "policy_versions.adopt_terms",
    "policy publish": "policy_versions.publish_terms",
    "policy withdraw": "policy_versions.withdraw",
    "policy history": "policy_versions.history",
    "policy notice": "policy_versions.notice",
    "policy posted": "policy_versions.posted",
    "policy page": "policy_page.page",
    "ledger": "ledger.app",
    "visitor": "visitor.app",
    "visitor authorise": "visitor_authorise.authorise",
    "user": "user.app",
    "cookies": "cookies.app",
    "disclose": "release.disclose",
    "release": "release.app",
    "processor": "processor.app",
    "processor feed": "processor_feed.feed",
    "processor key": "processor_feed.key",
    "submission": "submission.app",
    "submission set": "submission_set.set_",
    "status": "user.status",
    "retain": "retain.retain",
    "verify": "ledger.verify",
}
"""Each command, or group of commands, and where it stands among the modules beside this one."""


def create_app(command_name: str = "") -> typer.Typer:
    """Return the command `avowal`, with only what is called: the others need not be imported for it.

    All are there where nothing is called that is known, as for help.
    """
    avowal = typer.Typer(
        name="avowal",
        help="Makes a website do what its privacy policy says.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
    )
    avowal.callback()(lambda: None)  # a command of commands, also where only one is there
    groups = {"": avowal}
    for words, place in COMMANDS.items():
        group, _, name = words.rpartition(" ")
        if command_name in COMMANDS and command_name != (group or name):
            continue
        module, _, attribute = place.partition(".")
        found = getattr(import_module(f"avowal.cli.{module}"), attribute)
        if isinstance(found, typer.Typer):
            groups[name] = found
            avowal.add_typer(found, name=name)
        else:
            groups[group].command(name)(found)
    return avowal


DATABASE_MODULES = frozenset({"sqlite3", "sqlalchemy", "duckdb", "_duckdb"})
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
    try:
        try:
            status = create_app(*arguments[:1])(arguments, prog_name="avowal", standalone_mode=False)
        finally:
            sys.stdout.flush()  # here, so that output that cannot be written is reported below
    except typer.TyperException as error:
        message = error.format_message()
        if not message:  # no command was given, and the help was printed
            return error.exit_code
        raise InvalidInputError(
            message[:1].lower() + message[1:],
            "`--help` explains every command and option",
            code="invalid-command",
        ) from None
    except BrokenPipeError:  # the reader of our output has closed it
        sys.stderr.close()
        return 0
    except OSError as error:  # the text names the file, and quotes nothing from it
        name = f"`{error.filename}`" if error.filename else "a file"
        raise RefusedError(
            f"{name} cannot be used: {error.strerror}",
            "check its name, its folder and its permissions",
            code="file-unusable",
        ) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in DATABASE_MODULES:
            raise
        raise StoreError(
            f"the data folder cannot be used ({type(error).__name__})",
            "`avowal verify` shows what is wrong; restore the newest backup",
        ) from error
    return status if isinstance(status, int) else 0


def print_error(error: AvowalError, *, as_json: bool) -> None:
    """Print an error to standard error."""
    if as_json:
        fields = {"code": error.code, "message": error.message, "hint": error.hint}
        sys.stderr.write(json.dumps({"error": fields}, ensure_ascii=False) + "\n")
        return
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"avowal: {error.message}", style="bold red", markup=False)
    if error.hint:
        console.print(f"      {error.hint}", markup=False)
