"""`avowal processor`: manage the third parties that process data for the site, and their contracts."""

from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from avowal import strict
from avowal.app.folder import find_folder, open_folder_register
from avowal.cli import processor_feed, processor_key
from avowal.cli.options import DataFolderOption, JsonOption, create_app
from avowal.cli.output import print_contract_result, print_json, print_line
from avowal.cli.text_table import TextTable, create_console
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
"""The folder of contracts, in the folder of the terms."""

app = create_app(is_group=True)
app.add_typer(processor_feed.app)
app.add_typer(processor_key.app)

ProcessorNameArgument = Annotated[
    str, typer.Argument(help="The name of its contract, `processors/NAME.toml` in the folder of the terms.")
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
        for name in names or sorted(path.stem for path in _find_contracts_folder().glob("*.toml"))
    }
    comparisons = {
        name: compare_contract(contract, version.compiled_terms, utc_now().date())
        for name, contract in contracts.items()
    }
    trusted = find_folder(data).settings.serve.trusted_proxies
    proxies = [] if names else find_undeclared_networks(trusted, contracts.values())
    if as_json:
        results = {name: _comparison_to_object(comparison) for name, comparison in comparisons.items()}
        print_json({"version": version.number, "processors": results, "undeclared_proxies": proxies})
    else:
        for network in proxies:
            print_line(
                f"visitors arrive through {network} (`serve.trusted_proxies`), which no contract names"
            )
        for name, comparison in comparisons.items():
            print_contract_result(name, comparison, f"version {version.number}")
        if not comparisons:
            print_line(f"there is no contract in `{_find_contracts_folder()}`")
    if proxies or not all(comparison.is_sufficient for comparison in comparisons.values()):
        raise typer.Exit(1)


@app.command("add")
def add(name: ProcessorNameArgument, as_json: JsonOption = False, data: DataFolderOption = None) -> None:
    """Record a processor and its contract, which must protect as much as the version in force."""
    with closing(open_folder_register(data)) as register:
        processor = add_processor(register, name, _read_contract(name))
    if as_json:
        print_json(processor)
    else:
        print_line(f"`{name}` is a processor now, under its contract (entry {processor.entry} of the ledger)")


@app.command("list")
def list_processors(as_json: JsonOption = False, data: DataFolderOption = None) -> None:
    """List the processors, and compare their contracts with the version in force."""
    with closing(open_folder_register(data)) as register:
        processors = register.processors.all()
        insufficient = dict[str, ContractComparison]()
        if processors:
            terms = find_version_in_force(register.versions(), utc_now()).compiled_terms
            insufficient = {
                processor.name: comparison
                for processor, comparison in find_insufficient_contracts(register, terms, utc_now().date())
            }
        overdue = find_overdue_processors(register, utc_now())
    if as_json:
        objects = [
            {
                "name": processor.name,
                "since": processor.recorded_at,
                "entry": processor.entry,
                "overdue_since": overdue.get(processor.name),
                **_comparison_to_object(insufficient.get(processor.name, SUFFICIENT)),
            }
            for processor in processors
        ]
        print_json({"processors": objects})
        return
    table = TextTable("processor", "since (UTC)", "contract")
    for processor in processors:
        result = "not sufficient" if processor.name in insufficient else "sufficient"
        table.add_row(processor.name, f"{processor.recorded_at:%Y-%m-%d}", result)
    table.print(create_console())
    for name, since in overdue.items():
        print_line(f"{name}: overdue since {since:%Y-%m-%d} (UTC): it has not confirmed its deletions")
    for name, comparison in insufficient.items():
        print_contract_result(name, comparison, "the version in force")


@app.command()
def remove(name: ProcessorNameArgument, data: DataFolderOption = None) -> None:
    """Record that a processor no longer works for this site."""
    with closing(open_folder_register(data)) as register:
        register.processors.remove(name, utc_now())
    print_line(f"`{name}` is no longer a processor")


SUFFICIENT = ContractComparison((), ())


def _find_contracts_folder() -> Path:
    policy = find_folder(None).policy_folder
    if policy is None:
        raise InvalidInputError(
            "there is no `avowal.toml` here or in a folder above",
            "`avowal init .` creates one",
            code="settings-missing",
        )
    return policy / CONTRACTS_FOLDER


def _read_contract(name: str) -> str:
    path = _find_contracts_folder() / f"{name}.toml"
    if not path.is_file() or path.parent != _find_contracts_folder():
        raise InvalidInputError(
            f"there is no contract `{path}`",
            "write it as docs/terms.md describes",
            code="contract-not-found",
        )
    return strict.read_text(path, TermsError)


def _comparison_to_object(comparison: ContractComparison) -> dict[str, Any]:
    return {
        "is_sufficient": comparison.is_sufficient,
        "weaker_rules": describe_witnesses(comparison.looser),
        "reasons": comparison.reasons,
    }
