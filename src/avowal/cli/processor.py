"""`avowal processor`: third parties that work for the operator, under contracts that protect as much as the terms."""

from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from avowal import strict
from avowal.app.session import find_folder, open_versions
from avowal.cli.policy import AsJson, print_json, say, show_differences
from avowal.clock import utc_now
from avowal.disclose.contract_check import (
    Standing,
    add,
    falling_short,
    standing,
    undeclared,
    version_in_force,
)
from avowal.disclose.feed import overdue
from avowal.errors import MisuseError, TermsError
from avowal.policy.contract import parse_contract
from avowal.policy.describe import differences

FOLDER = "processors"
"""The folder of contracts, beside the terms."""

app = typer.Typer(help="Third parties that work for the operator.", no_args_is_help=True)

Data = Annotated[Path | None, typer.Option(help="The data folder.")]
Name = Annotated[
    str, typer.Argument(help="The name of its contract: `processors/NAME.toml` beside the terms.")
]


@app.command()
def check(
    names: Annotated[list[str] | None, typer.Argument(help="Those to check; else all.")] = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Compare contracts with the version in force; exit status 1 where one protects less, or does not hold."""
    with closing(open_versions(data)) as register:
        version = version_in_force(register)
    contracts = {
        name: parse_contract(_text(name), f"{FOLDER}/{name}.toml")
        for name in names or sorted(path.stem for path in _folder().glob("*.toml"))
    }
    found = {name: standing(one, version.promised, utc_now().date()) for name, one in contracts.items()}
    trusted = find_folder(data).settings.serve.trusted_proxies
    proxies = [] if names else undeclared(trusted, contracts.values())
    if as_json:
        told = {name: _told(one) for name, one in found.items()}
        print_json({"version": version.number, "processors": told, "undeclared_proxies": proxies})
    else:
        for network in proxies:
            say(f"visitors come by way of {network} (`serve.trusted_proxies`), which no contract names")
        for name, one in found.items():
            show_standing(name, one, f"version {version.number}")
        if not found:
            say(f"there is no contract in `{_folder()}`")
    if proxies or not all(one.holds for one in found.values()):
        raise typer.Exit(1)


@app.command("add")
def add_one(name: Name, as_json: AsJson = False, data: Data = None) -> None:
    """Record a processor with its contract, which has to protect as much as the version in force."""
    with closing(open_versions(data)) as register:
        added = add(register, name, _text(name))
    if as_json:
        print_json(added)
    else:
        say(f"`{name}` works for this site under its contract (entry {added.entry} of the ledger)")


@app.command("list")
def list_them(as_json: AsJson = False, data: Data = None) -> None:
    """List the processors, and which of them fall short of the version in force by now."""
    with closing(open_versions(data)) as register:
        processors = register.processors.all()
        short = dict[str, Standing]()
        if processors:
            terms = version_in_force(register).promised
            short = {one.name: found for one, found in falling_short(register, terms, utc_now().date())}
        late = overdue(register, utc_now())
    if as_json:
        told = [
            {
                "name": one.name,
                "since": one.recorded_at,
                "entry": one.entry,
                "overdue_since": late.get(one.name),
                **_told(short.get(one.name, HOLDS)),
            }
            for one in processors
        ]
        print_json({"processors": told})
        return
    table = Table("processor", "since (UTC)", "its contract", box=None, pad_edge=False)
    for one in processors:
        table.add_row(
            one.name, f"{one.recorded_at:%Y-%m-%d}", "falls short" if one.name in short else "holds"
        )
    Console(highlight=False).print(table)
    for name, since in late.items():
        say(
            f"{name}: overdue: it has not said since {since:%Y-%m-%d} (UTC) that it deletes what it is told to"
        )
    for name, found in short.items():
        show_standing(name, found, "the version in force")


@app.command()
def remove(name: Name, data: Data = None) -> None:
    """Record that a processor works for this site no more."""
    with closing(open_versions(data)) as register:
        register.processors.remove(name, utc_now())
        register.ledger.sign()
    say(f"`{name}` works for this site no more")


HOLDS = Standing((), ())


def _folder() -> Path:
    policy = find_folder(None).policy
    if policy is None:
        raise MisuseError("there is no avowal.toml here or above", "`avowal init .` makes a folder")
    return policy / FOLDER


def _text(name: str) -> str:
    path = _folder() / f"{name}.toml"
    if not path.is_file() or path.parent != _folder():
        raise MisuseError(
            f"there is no contract `{path}`", "write one, in the words of the terms: docs/terms.md"
        )
    return strict.read_text(path, TermsError)


def _told(found: Standing) -> dict[str, Any]:
    looser = [line.sentence() for line in differences(found.looser)]
    return {"holds": found.holds, "protects_less": looser, "reasons": found.reasons}


def show_standing(name: str, found: Standing, beside: str) -> None:
    """Say how a contract stands beside something, and in what it falls short."""
    say(f"{name}: {'holds' if found.holds else 'falls short'}, beside {beside}")
    for reason in found.reasons:
        say(f"  {reason}")
    show_differences("protects less than the terms", found.looser, Console(highlight=False))
