"""The command `avow`."""

import sys

import typer
from rich.console import Console

from avow.cli import (
    auditing,
    authorising,
    feeding,
    following,
    handling,
    importing,
    pages,
    policy,
    processors,
    proving,
    publishing,
    querying,
    readers,
    releasing,
    reporting,
    retaining,
    serving,
    setting_up,
    submitting,
    visitor,
)
from avow.errors import AvowError

app = typer.Typer(
    name="avow",
    help="Makes a website do what its privacy policy says.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.command("init")(setting_up.init)
app.command("import")(importing.import_logs)
app.command("follow")(following.follow)
app.command("serve")(serving.serve)
app.command("report")(reporting.report)
app.command("query")(querying.query)
policy.app.command("adopt")(publishing.adopt_terms)
policy.app.command("publish")(publishing.publish_terms)
policy.app.command("withdraw")(publishing.withdraw)
policy.app.command("history")(publishing.history)
policy.app.command("notice")(publishing.notice)
policy.app.command("posted")(publishing.posted)
policy.app.command("page")(pages.page)
app.add_typer(policy.app, name="policy")
app.add_typer(proving.app, name="ledger")
visitor.app.command("authorise")(authorising.authorise)
submitting.app.command("set")(handling.set_)
app.add_typer(visitor.app, name="visitor")
app.add_typer(readers.app, name="user")
app.add_typer(auditing.app, name="cookies")
app.command("disclose")(releasing.disclose)
app.add_typer(releasing.app, name="release")
processors.app.command("feed")(feeding.feed)
processors.app.command("key")(feeding.key)
app.add_typer(processors.app, name="processor")
app.add_typer(submitting.app, name="submission")
app.command("status")(readers.status)
app.command("retain")(retaining.retain)
app.command("verify")(proving.verify)


def run() -> None:
    """Run the command; an error is told in a line with its remedy, and gives its exit status."""
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # what cannot be written is told below, and not left to the end of the process
    except AvowError as error:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(f"avow: {error.message}", style="bold red", markup=False)
        if error.hint:
            console.print(f"      {error.hint}", markup=False)
        sys.exit(error.exit_status)
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:  # a file that cannot be read or written; nothing of what it holds is told
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        name = f"`{error.filename}`" if error.filename else "a file"
        console.print(f"avow: {name} cannot be used: {error.strerror}", style="bold red", markup=False)
        console.print("      look at its name, its folder, and who may write there", markup=False)
        sys.exit(1)
