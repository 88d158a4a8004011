"""`avowal processor`: third parties that process data for the site, and their contracts."""

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
    names: Annotated[
        list[str] | None, typer.Argument(help="The contracts to check; all unless given.")
    ] = None,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Compare contracts with the version in force; exit status 1 if one is not sufficient."""
    with closing(open_folder_register(data)) as register:
        version = find_version_in_force(register.versions(), utc_now())
    contracts = {
        name: parse_contract(_read_contract(name), f"{CONTRACTS_FOLDER}/{name}.toml")
        for name in names or sorted(path.stem for path in _contracts_folder().glob("*.toml"))
    }
    found = {
        name: compare_contract(one, version.compiled_terms, utc_now().date())
        for name, one in contracts.items()
    }
    trusted = find_folder(data).settings.serve.trusted_proxies
    proxies = [] if names else find_undeclared_networks(trusted, contracts.values())
    if as_json:
        told = {name: _to_object(one) for name, one in found.items()}
        print_json({"version": version.number, "processors": told, "undeclared_proxies": proxies})
    else:
        for network in proxies:
            print_line(
                f"visitors arrive through {network} (`serve.trusted_proxies`), which no contract names"
            )
        for name, one in found.items():
            print_contract_result(name, one, f"version {version.number}")
        if not found:
            print_line(f"there is no contract in `{_contracts_folder()}`")
    if proxies or not all(one.is_sufficient for one in found.values()):
        raise typer.Exit(1)


@app.command("add")
def add(name: ProcessorNameArgument, as_json: JsonOption = False, data: DataFolderOption = None) -> None:
    """Record a processor and its contract, which must protect as much as the version in force."""
    with closing(open_folder_register(data)) as register:
        added = add_processor(register, name, _read_contract(name))
    if as_json:
        print_json(added)
    else:
        print_line(f"`{name}` is a processor now, under its contract (entry {added.entry} of the ledger)")


@app.command("list")
def list_processors(as_json: JsonOption = False, data: DataFolderOption = None) -> None:
    """List the processors, and compare their contracts with the version in force."""
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
                **_to_object(short.get(one.name, SUFFICIENT)),
            }
            for one in processors
        ]
        print_json({"processors": told})
        return
    table = Table("processor", "since (UTC)", "contract", box=None, pad_edge=False)
    for one in processors:
        table.add_row(
            one.name, f"{one.recorded_at:%Y-%m-%d}", "not sufficient" if one.name in short else "sufficient"
        )
    Console(highlight=False).print(table)
    for name, since in late.items():
        print_line(
            f"{name}: overdue since {since:%Y-%m-%d} (UTC): it has not confirmed that it deleted what it must"
        )
    for name, found in short.items():
        print_contract_result(name, found, "the version in force")


@app.command()
def remove(name: ProcessorNameArgument, data: DataFolderOption = None) -> None:
    """Record that a processor no longer works for this site."""
    with closing(open_folder_register(data)) as register:
        register.processors.remove(name, utc_now())
    print_line(f"`{name}` is no longer a processor")


SUFFICIENT = ContractComparison((), ())


def _contracts_folder() -> Path:
    policy = find_folder(None).policy_folder
    if policy is None:
        raise InvalidInputError(
            "there is no `avowal.toml` here or in a folder above",
            "`avowal init .` creates one",
            code="settings-missing",
        )
    return policy / CONTRACTS_FOLDER


def _read_contract(name: str) -> str:
    path = _contracts_folder() / f"{name}.toml"
    if not path.is_file() or path.parent != _contracts_folder():
        raise InvalidInputError(
            f"there is no contract `{path}`",
            "write it as docs/terms.md describes",
            code="contract-not-found",
        )
    return strict.read_text(path, TermsError)


def _to_object(found: ContractComparison) -> dict[str, Any]:
    looser = describe_witnesses(found.looser)
    return {"is_sufficient": found.is_sufficient, "weaker_rules": looser, "reasons": found.reasons}
