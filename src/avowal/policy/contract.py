"""A processor's contract, in the words of the terms: what it receives for its service, and what it hands on.

The rules stand in `docs/spec/processors.md`.
"""

import re
from datetime import date
from ipaddress import ip_network

import msgspec

from avowal import strict
from avowal.errors import TermsError
from avowal.policy.bounds import OPERATOR, PROCESSOR, THIRD_PARTY, Bounds
from avowal.policy.terms import CollectRule, DiscloseRule, Duties, compile_cells, parse_age
from avowal.policy.vocabulary import load_vocabulary

ONWARD_DUTIES = ("may-see", "may-erase", "smallest-group")
"""Duties that information takes along: the others are owed on the site itself."""

_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


class Contract(msgspec.Struct, frozen=True):
    """The file `processors/NAME.toml` as it is written; each key has its heading in `docs/terms.md`."""

    vocabulary: int
    processor: str
    """Who it is."""
    contact: str
    service_words: list[str] = msgspec.field(name="service")
    """The purposes that its service is for."""
    begins: date
    receive: list[CollectRule]
    ends: date | None = None
    onward_transfers: list[DiscloseRule] = msgspec.field(name="onward", default_factory=list)
    safeguards: list[str] = []
    hosts: list[str] = []
    """Where visitors' browsers meet it by themselves: names of hosts; `*.` before one stands for any beneath it."""
    networks: list[str] = []
    """From which addresses it stands between visitors and the site, as a proxy does."""
    deletion_period: str = msgspec.field(name="deletes-within", default="3 days")
    """How long it takes to delete what it is told to."""
    duties: Duties = Duties()

    @property
    def service_purposes(self) -> set[str]:
        """The leaves of its service's purposes."""
        words = load_vocabulary(self.vocabulary)
        return {leaf for word in self.service_words for leaf in words.expand("purposes", word)}

    @property
    def deletion_seconds(self) -> int:
        """How many seconds it takes to delete what it is told to."""
        return parse_age(self.deletion_period, "deletes-within") or 0

    @property
    def purposes_outside_service(self) -> list[str]:
        """The purposes that it receives information for, and that are not its service's."""
        words = load_vocabulary(self.vocabulary)
        used = {
            leaf for line in self.receive for word in line.purposes for leaf in words.expand("purposes", word)
        }
        return sorted(used - self.service_purposes)


def parse_contract(text: str, source_name: str) -> Contract:
    """Read and check the text of a contract; `where` is its name in errors.

    Raises TermsError with the key and the nearest valid word where it does not check.
    """
    contract = strict.parse_toml(text, Contract, source_name=source_name, error_type=TermsError)
    try:
        _check(contract)
        compile_contract(contract)
    except TermsError as error:
        raise TermsError(f"{source_name}: {error.message}", error.hint, code=error.code) from None
    return contract


def compile_contract(contract: Contract) -> Bounds:
    """Return what a contract lets a processor do, as bounds: those that receive from it are processors, too."""
    words = load_vocabulary(contract.vocabulary)
    cells = compile_cells(
        words, ("receive", PROCESSOR, contract.receive), ("onward", contract.onward_transfers)
    )
    owed = msgspec.to_builtins(contract.duties)
    return Bounds(cells, {name: int(owes) for name, owes in owed.items() if name in ONWARD_DUTIES})


def select_processor_bounds(terms: Bounds, service_purposes: set[str]) -> Bounds:
    """Return what terms let a processor of a service do, and what they owe of that: a contract may go so far."""
    cells = {
        cell: ages
        for cell, ages in terms.cells.items()
        if not cell.cookie_name
        and cell.recipient not in {OPERATOR, THIRD_PARTY}
        and (cell.recipient != PROCESSOR or cell.purpose in service_purposes)
    }
    return Bounds(cells, {name: owes for name, owes in terms.duties.items() if name in ONWARD_DUTIES})


def _check(contract: Contract) -> None:
    for key in ("processor", "contact"):
        if not getattr(contract, key).strip():
            raise TermsError(f"`{key}` is empty", "name who it is, and how to reach them")
    _check_places(contract)
    words = load_vocabulary(contract.vocabulary)
    for word in contract.service_words or [""]:
        if not words.expand("purposes", word):
            raise TermsError(
                f"`service` is `{word}`, which is none of the purposes",
                words.suggest_word("purposes", word),
                code="unknown-name",
            )
    if parse_age(contract.deletion_period, "deletes-within") is None:
        raise TermsError("`deletes-within` is `forever`", 'write an age, as in `"3 days"`')
    if contract.ends and contract.ends < contract.begins:
        raise TermsError(
            f"`ends` is {contract.ends}, before it begins", "write the last day on which it holds"
        )


def _check_places(contract: Contract) -> None:
    for host in contract.hosts:
        if not _HOST.fullmatch(host):
            raise TermsError(
                f"`hosts` is `{host}`, which is no host's name", "write one such as `cdn.example`"
            )
    for network in contract.networks:
        try:
            ip_network(network)
        except ValueError:
            raise TermsError(
                f"`networks` is `{network}`, which is no network", "write one such as `192.0.2.0/24`"
            ) from None
