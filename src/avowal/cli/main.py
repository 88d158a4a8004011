"""The command `avowal`."""

import sys
from importlib import import_module
from typing import NoReturn

import typer
from rich.console import Console

from avowal.errors import AvowalError

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
"""Where errors come from that mean a damaged file: what they say themselves may hold what is in it."""


def run() -> None:
    """Run the command; an error is told in a line with its remedy, and gives its exit status."""
    try:
        try:
            create_app(*sys.argv[1:2])()
        finally:
            sys.stdout.flush()  # what cannot be written is told below, and not left to the end of the process
    except AvowalError as error:
        _end(error.message, error.hint, error.exit_status)
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:  # a file that cannot be read or written; nothing of what it holds is told
        name = f"`{error.filename}`" if error.filename else "a file"
        _end(
            f"{name} cannot be used: {error.strerror}",
            "look at its name, its folder, and who may write there",
        )
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in DATABASE_MODULES:
            raise
        _end(
            f"the data folder cannot be used ({type(error).__name__})",
            "`avowal verify` tells what does not hold; put the newest backup back",
        )


def _end(message: str, hint: str, status: int = 1) -> NoReturn:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"avowal: {message}", style="bold red", markup=False)
    if hint:
        console.print(f"      {hint}", markup=False)
    sys.exit(status)
