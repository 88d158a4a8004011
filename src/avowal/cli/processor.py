"""`avowal processor`: third parties that work for the operator, under contracts that protect as much as the terms."""

from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from avowal import strict
from avowal.app.folder import find_folder, open_folder_register
from avowal.cli import processor_feed, processor_key
from avowal.cli.options import DataFolderOption, JsonOption, create_app
from avowal.cli.output import print_contract_result, print_json, print_line
from avowal.clock import utc_now
from avowal.disclose.contract_check import (
    ContractComparison,
    add_processor,
    compare_contract,
    find_insufficient_contracts,
    find_undeclared_networks,
)
from avowal.disclose.feed import find_overdue_processors
from avowal.errors import InvalidInputError, TermsError
from avowal.keep.enforcement import find_version_in_force
from avowal.policy.contract import parse_contract
from avowal.policy.describe import describe_witnesses

CONTRACTS_FOLDER = "processors"
"""The folder of contracts, beside the terms."""

app = create_app(is_group=True)
app.add_typer(processor_feed.app)
app.add_typer(processor_key.app)

ProcessorNameArgument = Annotated[
    str, typer.Argument(help="The name of its contract: `processors/NAME.toml` beside the terms.")
]


@app.command()
def check(
    names: Annotated[list[str] | None, typer.Argument(help="Those to check; else all.")] = None,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Compare contracts with the version in force; exit status 1 where one protects less, or does not hold."""
    with closing(open_folder_register(data)) as register:
        version = find_version_in_force(register.versions(), utc_now())
    contracts = {
        name: parse_contract(_text(name), f"{CONTRACTS_FOLDER}/{name}.toml")
        for name in names or sorted(path.stem for path in _folder().glob("*.toml"))
    }
    found = {
        name: compare_contract(one, version.compiled_terms, utc_now().date())
        for name, one in contracts.items()
    }
    trusted = find_folder(data).settings.server.trusted_proxies
    proxies = [] if names else find_undeclared_networks(trusted, contracts.values())
    if as_json:
        told = {name: _told(one) for name, one in found.items()}
        print_json({"version": version.number, "processors": told, "undeclared_proxies": proxies})
    else:
        for network in proxies:
            print_line(
                f"visitors come by way of {network} (`server.trusted_proxies`), which no contract names"
            )
        for name, one in found.items():
            print_contract_result(name, one, f"version {version.number}")
        if not found:
            print_line(f"there is no contract in `{_folder()}`")
    if proxies or not all(one.is_sufficient for one in found.values()):
        raise typer.Exit(1)


@app.command("add")
def add(name: ProcessorNameArgument, as_json: JsonOption = False, data: DataFolderOption = None) -> None:
    """Record a processor with its contract, which has to protect as much as the version in force."""
    with closing(open_folder_register(data)) as register:
        added = add_processor(register, name, _text(name))
    if as_json:
        print_json(added)
    else:
        print_line(f"`{name}` works for this site under its contract (entry {added.entry} of the ledger)")


@app.command("list")
def list_processors(as_json: JsonOption = False, data: DataFolderOption = None) -> None:
    """List the processors, and which of them fall short of the version in force by now."""
    with closing(open_folder_register(data)) as register:
        processors = register.processors.all()
        short = dict[str, ContractComparison]()
        if processors:
            terms = find_version_in_force(register.versions(), utc_now()).compiled_terms
            short = {
                one.name: found
                for one, found in find_insufficient_contracts(register, terms, utc_now().date())
            }
        late = find_overdue_processors(register, utc_now())
    if as_json:
        told = [
            {
                "name": one.name,
                "since": one.recorded_at,
                "entry": one.entry,
                "overdue_since": late.get(one.name),
                **_told(short.get(one.name, SUFFICIENT)),
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
        print_line(
            f"{name}: overdue: it has not said since {since:%Y-%m-%d} (UTC) that it deletes what it is told to"
        )
    for name, found in short.items():
        print_contract_result(name, found, "the version in force")


@app.command()
def remove(name: ProcessorNameArgument, data: DataFolderOption = None) -> None:
    """Record that a processor works for this site no more."""
    with closing(open_folder_register(data)) as register:
        register.processors.remove(name, utc_now())
        register.ledger.sign_checkpoint()
    print_line(f"`{name}` works for this site no more")


SUFFICIENT = ContractComparison((), ())


def _folder() -> Path:
    policy = find_folder(None).policy_folder
    if policy is None:
        raise InvalidInputError(
            "there is no avowal.toml here or above", "`avowal init .` makes a folder", code="settings-missing"
        )
    return policy / CONTRACTS_FOLDER


def _text(name: str) -> str:
    path = _folder() / f"{name}.toml"
    if not path.is_file() or path.parent != _folder():
        raise InvalidInputError(
            f"there is no contract `{path}`",
            "write one, in the words of the terms: docs/terms.md",
            code="contract-not-found",
        )
    return strict.read_text(path, TermsError)


def _told(found: ContractComparison) -> dict[str, Any]:
    looser = describe_witnesses(found.looser)
    return {"holds": found.is_sufficient, "protects_less": looser, "reasons": found.reasons}
