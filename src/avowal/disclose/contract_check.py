"""Whether a processor may have anything: its contract is compared with the terms, as one version is with another.

The rules stand in `docs/spec/processors.md`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from ipaddress import ip_network

from avowal.clock import utc_now
from avowal.errors import RefusedError
from avowal.keep.enforcement import find_version_in_force
from avowal.policy.bounds import Bounds
from avowal.policy.compare import Witness, compare
from avowal.policy.contract import Contract, compile_contract, parse_contract, select_processor_bounds
from avowal.register.processors import Processor
from avowal.register.register import Register


@dataclass(frozen=True)
class ContractComparison:
    """How a contract stands to terms on a day."""

    looser: tuple[Witness, ...]
    """Where it protects less: what it keeps longer, more exactly or for more, and what it does not owe."""
    reasons: tuple[str, ...]
    """What else stands against it."""

    @property
    def is_sufficient(self) -> bool:
        """Whether the processor may have what the contract says."""
        return not (self.looser or self.reasons)


def compare_contract(contract: Contract, terms: Bounds, day: date) -> ContractComparison:
    """Compare a contract with terms (P2 to P4)."""
    ours = select_processor_bounds(terms, contract.service_purposes)
    reasons = [
        f"it uses information for {purpose}, which is not its service"
        for purpose in contract.purposes_outside_service
    ]
    if not any(cell.purpose in contract.service_purposes for cell in ours.cells):
        reasons.append(
            f"the terms let no processor have anything for {', '.join(sorted(contract.service_purposes))}"
        )
    if day < contract.begins:
        reasons.append(f"it begins on {contract.begins}")
    if contract.ends and day > contract.ends:
        reasons.append(f"it ended on {contract.ends}")
    return ContractComparison(compare(ours, compile_contract(contract)).looser, tuple(reasons))


def find_undeclared_networks(trusted_networks: Sequence[str], contracts: Iterable[Contract]) -> list[str]:
    """Return the networks of trusted proxies that stand before the site, and that no contract declares.

    Those of the site itself (private ones, RFC 6890) are nobody else's.
    """
    declared = [ip_network(network) for contract in contracts for network in contract.networks]
    found = [ip_network(network) for network in trusted_networks]
    return [
        str(one)
        for one in found
        if not one.is_private
        and not any(one.version == other.version and one.subnet_of(other) for other in declared)  # type: ignore[arg-type]  # of one version
    ]


def add_processor(register: Register, name: str, contract_text: str) -> Processor:
    """Record a processor with its contract, in the place of the one before.

    Raises RefusedError where the contract does not hold beside the version in force.
    """
    contract, version, now = (
        parse_contract(contract_text, f"processors/{name}.toml"),
        find_version_in_force(register.versions(), utc_now()),
        utc_now(),
    )
    found = compare_contract(contract, version.compiled_terms, now.date())
    if not found.is_sufficient:
        raise RefusedError(
            f"the contract of `{name}` falls short of version {version.number}: nothing was added",
            f"`avowal processor check {name}` tells in what",
            code="contract-insufficient",
        )
    added = register.processors.add(name, contract_text, version.identity, now)
    register.ledger.sign_checkpoint()
    return added


def find_insufficient_contracts(
    register: Register, terms: Bounds, day: date
) -> list[tuple[Processor, ContractComparison]]:
    """Return the processors whose contracts fall short of terms on a day, each with what stands against it."""
    judged = [
        (one, compare_contract(parse_contract(one.contract_text, f"processors/{one.name}.toml"), terms, day))
        for one in register.processors.all()
    ]
    return [(one, found) for one, found in judged if not found.is_sufficient]
