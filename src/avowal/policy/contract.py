"""Contracts of processors, written in the words of the terms: what a processor receives, and what it transfers on.

The rules are in `docs/spec/processors.md`.
"""

import re
from datetime import date
from ipaddress import ip_network

import msgspec

from avowal import strict
from avowal.errors import TermsError
from avowal.policy.bounds import OPERATOR, PROCESSOR, THIRD_PARTY, UNIT_SECONDS, Bounds
from avowal.policy.ground import Ground, compile_grounds, find_closed_grounds
from avowal.policy.terms import CollectRule, DiscloseRule, Duties, compile_cells, parse_age
from avowal.policy.vocabulary import load_vocabulary

ONWARD_DUTIES = ("may-see", "may-erase", "smallest-group")
"""Duties that go with the data to a processor. The other duties concern only the site itself."""

DELETION_SECONDS_MAX = 30 * UNIT_SECONDS["day"]
"""The longest time that a processor may take to delete what it must delete."""

_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


class Contract(msgspec.Struct, frozen=True):
    """The file `processors/NAME.toml`. Each key is described in `docs/terms.md`."""

    vocabulary: int
    processor: str
    """The name of the company or person."""
    contact: str
    service_words: list[str] = msgspec.field(name="service")
    """The purposes of its service: words of the vocabulary."""
    begins: date
    receive: list[CollectRule]
    ends: date | None = None
    onward_transfers: list[DiscloseRule] = msgspec.field(name="onward", default_factory=list)
    grounds: list[Ground] = msgspec.field(name="ground", default_factory=list)
    """What it requires before it transfers data on a ground."""
    safeguards: list[str] = []
    hosts: list[str] = []
    """Host names that visitors' browsers connect to directly. `*.` in front matches any subdomain."""
    networks: list[str] = []
    """The networks from which it forwards requests to the site, as a proxy does."""
    deletion_period: str = msgspec.field(name="deletes-within", default="3 days")
    """How long it may take to delete what it must delete."""
    duties: Duties = Duties()

    @property
    def service_purposes(self) -> set[str]:
        """The purposes of its service, as leaves of the vocabulary."""
        words = load_vocabulary(self.vocabulary)
        return {leaf for word in self.service_words for leaf in words.expand("purposes", word)}

    @property
    def deletion_seconds(self) -> int:
        """How many seconds it may take to delete what it must delete."""
        return parse_age(self.deletion_period, "deletes-within") or 0

    @property
    def purposes_outside_service(self) -> list[str]:
        """Purposes that it receives data for, although they are not purposes of its service."""
        words = load_vocabulary(self.vocabulary)
        used = {
            leaf for line in self.receive for word in line.purposes for leaf in words.expand("purposes", word)
        }
        return sorted(used - self.service_purposes)


def parse_contract(text: str, source_name: str) -> Contract:
    """Parse and check a contract. Errors name it by `source_name`.

    Raises TermsError with the key and the nearest valid word if it is not valid.
    """
    contract = strict.parse_toml(text, Contract, source_name=source_name, error_type=TermsError)
    try:
        _check(contract)
        compile_contract(contract)
    except TermsError as error:
        raise TermsError(f"{source_name}: {error.message}", error.hint, code=error.code) from None
    return contract


def compile_contract(contract: Contract) -> Bounds:
    """Compile a contract to bounds. Whoever the processor transfers data to counts as a processor too."""
    words = load_vocabulary(contract.vocabulary)
    grounds = compile_grounds(contract.grounds, words)
    cells = compile_cells(
        words, ("receive", PROCESSOR, contract.receive), ("onward", contract.onward_transfers), grounds
    )
    owed = msgspec.to_builtins(contract.duties)
    return Bounds(cells, {name: int(owes) for name, owes in owed.items() if name in ONWARD_DUTIES}, grounds)


def select_processor_bounds(terms: Bounds, service_purposes: set[str]) -> Bounds:
    """Select from terms what a processor of a service may do and owes: the most that its contract may permit."""
    cells = {
        cell: ages
        for cell, ages in terms.cells.items()
        if not cell.cookie_name
        and cell.recipient not in {OPERATOR, THIRD_PARTY}
        and (cell.recipient != PROCESSOR or cell.purpose in service_purposes)
    }
    duties = {name: owes for name, owes in terms.duties.items() if name in ONWARD_DUTIES}
    return Bounds(cells, duties, terms.grounds)


def _check(contract: Contract) -> None:
    for key in ("processor", "contact"):
        if not getattr(contract, key).strip():
            raise TermsError(f"`{key}` is empty", "name who it is, and how to reach them")
    _check_places(contract)
    words = load_vocabulary(contract.vocabulary)
    for word in contract.service_words or [""]:
        if not words.expand("purposes", word):
            raise TermsError(
                f"`service` is `{word}`, which is not one of the purposes",
                words.suggest_word("purposes", word),
                code="unknown-name",
            )
    onward_grounds = (
        leaf for line in contract.onward_transfers for leaf in words.expand("grounds", line.ground)
    )
    for ground in find_closed_grounds(onward_grounds, compile_grounds(contract.grounds, words)):
        raise TermsError(
            f"`onward` has the ground `{ground}`, on which the contract requires no evidence",
            f'write what it requires: `ground = [{{ name = "{ground}", evidence = ["…"] }}]`',
        )
    seconds = parse_age(contract.deletion_period, "deletes-within")
    if seconds is None or seconds > DELETION_SECONDS_MAX:
        raise TermsError(
            f"`deletes-within` is `{contract.deletion_period}`, which is too long",
            'write at most 30 days, as in `"3 days"`',
        )
    if contract.ends and contract.ends < contract.begins:
        raise TermsError(
            f"`ends` is {contract.ends}, before it begins", "write the last day on which it holds"
        )


def _check_places(contract: Contract) -> None:
    for host in contract.hosts:
        if not _HOST.fullmatch(host):
            raise TermsError(
                f"`hosts` is `{host}`, which is not a host's name", "write one such as `cdn.example`"
            )
    for network in contract.networks:
        try:
            ip_network(network)
        except ValueError:
            raise TermsError(
                f"`networks` is `{network}`, which is not a network", "write one such as `192.0.2.0/24`"
            ) from None
