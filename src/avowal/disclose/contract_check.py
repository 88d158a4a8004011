"""Whether a processor may have anything: its contract is compared with the terms, as one version is with another.

The rules stand in `docs/spec/processors.md`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from ipaddress import ip_network

from avowal.clock import utc_now
from avowal.errors import RefusedError
from avowal.keep.enforcement import in_force
from avowal.policy.bounds import Bounds
from avowal.policy.compare import Witness, compare
from avowal.policy.contract import Contract, compile_contract, granted, parse_contract
from avowal.register.processors import Processor
from avowal.register.register import Register, Version


@dataclass(frozen=True)
class Standing:
    """How a contract stands to terms on a day."""

    looser: tuple[Witness, ...]
    """Where it protects less: what it keeps longer, more exactly or for more, and what it does not owe."""
    reasons: tuple[str, ...]
    """What else stands against it."""

    @property
    def holds(self) -> bool:
        """Whether the processor may have what the contract says."""
        return not (self.looser or self.reasons)


def standing(contract: Contract, terms: Bounds, day: date) -> Standing:
    """Compare a contract with terms (P2 to P4)."""
    ours = granted(terms, contract.purposes)
    reasons = [
        f"it uses information for {purpose}, which is not its service" for purpose in contract.other_uses
    ]
    if not any(cell.purpose in contract.purposes for cell in ours.cells):
        reasons.append(f"the terms let no processor have anything for {', '.join(sorted(contract.purposes))}")
    if day < contract.begins:
        reasons.append(f"it begins on {contract.begins}")
    if contract.ends and day > contract.ends:
        reasons.append(f"it ended on {contract.ends}")
    return Standing(compare(ours, compile_contract(contract)).looser, tuple(reasons))


def undeclared(trusted: Sequence[str], contracts: Iterable[Contract]) -> list[str]:
    """Return the networks of trusted proxies that stand before the site, and that no contract declares.

    Those of the site itself (private ones, RFC 6890) are nobody else's.
    """
    declared = [ip_network(network) for contract in contracts for network in contract.networks]
    found = [ip_network(network) for network in trusted]
    return [
        str(one)
        for one in found
        if not one.is_private
        and not any(one.version == other.version and one.subnet_of(other) for other in declared)  # type: ignore[arg-type]  # of one version
    ]


def version_in_force(register: Register) -> Version:
    """Return the version that contracts are compared with. Raises RefusedError where none is in force."""
    versions = in_force(register.versions(), utc_now())
    if not versions:
        raise RefusedError(
            "no version is in force yet", "`avowal policy adopt` takes the first one into force"
        )
    return versions[-1]


def add(register: Register, name: str, text: str) -> Processor:
    """Record a processor with its contract, in the place of the one before.

    Raises RefusedError where the contract does not hold beside the version in force.
    """
    contract, version, now = (
        parse_contract(text, f"processors/{name}.toml"),
        version_in_force(register),
        utc_now(),
    )
    found = standing(contract, version.promised, now.date())
    if not found.holds:
        raise RefusedError(
            f"the contract of `{name}` falls short of version {version.number}: nothing was added",
            f"`avowal processor check {name}` tells in what",
        )
    added = register.processors.add(name, text, version.identity, now)
    register.ledger.sign()
    return added


def falling_short(register: Register, terms: Bounds, day: date) -> list[tuple[Processor, Standing]]:
    """Return the processors whose contracts fall short of terms on a day, each with what stands against it."""
    judged = [
        (one, standing(parse_contract(one.contract, f"processors/{one.name}.toml"), terms, day))
        for one in register.processors.all()
    ]
    return [(one, found) for one, found in judged if not found.holds]
