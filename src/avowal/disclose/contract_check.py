"""Compares contracts of processors with the terms: a processor whose contract protects less receives nothing.

The rules are in `docs/spec/processors.md`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from ipaddress import ip_network

import msgspec

from avowal.clock import utc_now
from avowal.errors import RefusedError
from avowal.keep.enforcement import find_version_in_force
from avowal.policy.bounds import Bounds
from avowal.policy.compare import Witness, compare
from avowal.policy.contract import Contract, compile_contract, parse_contract, select_processor_bounds
from avowal.register.processors import Processor
from avowal.register.register import Register

OWN_NETWORKS = tuple(
    map(
        ip_network,
        (
            *(
                "10.0.0.0/8",
                "172.16.0.0/12",
                "192.168.0.0/16",
                "fc00::/7",
            ),  # private use (RFC 1918, RFC 4193)
            *("127.0.0.0/8", "::1/128"),  # this machine
            *("169.254.0.0/16", "fe80::/10"),  # one link
        ),
    )
)
"""Networks that cannot be another company's: a proxy in them is the site's own."""


class ContractReasonCode(StrEnum):
    """Why a contract is not sufficient, besides what it protects less."""

    PURPOSE_OUTSIDE_SERVICE = "purpose-outside-service"
    SERVICE_NOT_PERMITTED = "service-not-permitted"
    NOT_BEGUN = "not-begun"
    ENDED = "ended"


class ContractReason(msgspec.Struct, frozen=True):
    """A reason why a contract is not sufficient: its code for programs, and a sentence for people."""

    code: ContractReasonCode
    sentence: str


@dataclass(frozen=True)
class ContractComparison:
    """How a contract compares with terms on a day."""

    looser: tuple[Witness, ...]
    """Where the contract protects less: what it keeps longer, more exactly or for more purposes, and missing duties."""
    reasons: tuple[ContractReason, ...]
    """Other reasons why it is not sufficient, such as its dates."""

    @property
    def is_sufficient(self) -> bool:
        """Whether the processor may receive what the contract says."""
        return not (self.looser or self.reasons)


def compare_contract(contract: Contract, terms: Bounds, day: date) -> ContractComparison:
    """Compare a contract with terms (P2 to P4)."""
    ours = select_processor_bounds(terms, contract.service_purposes)
    looser = compare(ours, compile_contract(contract)).looser
    return ContractComparison(looser, tuple(_find_reasons(contract, ours, day)))


def _find_reasons(contract: Contract, permitted: Bounds, day: date) -> Iterator[ContractReason]:
    for purpose in contract.purposes_outside_service:
        yield ContractReason(
            ContractReasonCode.PURPOSE_OUTSIDE_SERVICE,
            f"it uses data for {purpose}, which is not a purpose of its service",
        )
    if not any(cell.purpose in contract.service_purposes for cell in permitted.cells):
        yield ContractReason(
            ContractReasonCode.SERVICE_NOT_PERMITTED,
            f"the terms let no processor have anything for {', '.join(sorted(contract.service_purposes))}",
        )
    if day < contract.begins:
        yield ContractReason(ContractReasonCode.NOT_BEGUN, f"it begins on {contract.begins}")
    if contract.ends and day > contract.ends:
        yield ContractReason(ContractReasonCode.ENDED, f"it ended on {contract.ends}")


def find_undeclared_networks(trusted_networks: Sequence[str], contracts: Iterable[Contract]) -> list[str]:
    """Return the networks of trusted proxies that no contract declares.

    Those within OWN_NETWORKS are left out.
    """
    declared = [ip_network(network) for contract in contracts for network in contract.networks]
    known = (*OWN_NETWORKS, *declared)
    trusted = [ip_network(network) for network in trusted_networks]
    return [
        str(network)
        for network in trusted
        if not any(network.version == other.version and network.subnet_of(other) for other in known)  # type: ignore[arg-type]  # of one version
    ]


def add_processor(register: Register, name: str, contract_text: str) -> Processor:
    """Record a processor with its contract, which replaces an earlier one.

    Raises RefusedError if the contract is not sufficient under the version in force.
    """
    now = utc_now()
    contract = parse_contract(contract_text, f"processors/{name}.toml")
    version = find_version_in_force(register.versions(), now)
    if not compare_contract(contract, version.compiled_terms, now.date()).is_sufficient:
        raise RefusedError(
            f"the contract of `{name}` is not sufficient under version {version.number}: nothing was added",
            f"`avowal processor check {name}` lists the reasons",
            code="contract-insufficient",
        )
    return register.processors.add(name, contract_text, version.identity, now)


def find_insufficient_contracts(
    register: Register, terms: Bounds, day: date
) -> list[tuple[Processor, ContractComparison]]:
    """Return the processors whose contracts are not sufficient under terms on a day, each with its comparison."""
    insufficient = []
    for processor in register.processors.all():
        contract = parse_contract(processor.contract_text, f"processors/{processor.name}.toml")
        comparison = compare_contract(contract, terms, day)
        if not comparison.is_sufficient:
            insufficient.append((processor, comparison))
    return insufficient
