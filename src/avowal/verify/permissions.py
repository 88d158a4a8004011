"""Whether what left the house, and what was read, was let by what held at that moment: for `avowal verify`.

The ledger tells what was done, the register what it was told; each is held against the versions that were in force.
That both say the same is looked at before (`avowal.verify.register_facts`).
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from avowal.disclose.contract_check import standing
from avowal.disclose.evidence import AUTHORISATION
from avowal.disclose.feed import SERVICE, bounds_of
from avowal.disclose.request import INSTRUMENT
from avowal.keep.enforcement import governs, in_force
from avowal.ledger.entry import (
    Entry,
    FeedGiven,
    ProcessorAdded,
    ProcessorRemoved,
    Reached,
    ReadingMade,
    ReleaseApproved,
    ReleaseAsked,
    ReleaseMade,
    ReleaseRecalled,
    hashed,
)
from avowal.policy.bounds import GROUND_ALONE, OPERATOR, OWN_USE, PROCESSOR, VISITOR, Bounds, Cell
from avowal.policy.contract import Contract, parse_contract
from avowal.policy.ground import Need, needs
from avowal.register.register import SqliteRegister, Version
from avowal.submissions.access import MAY_SEE

UNDER_WAY = timedelta(minutes=10)
"""How long something may take from looking up what holds to being recorded."""


@dataclass
class Law:
    """What held when."""

    versions: list[Version]

    def names(self, number: int, at: datetime) -> bool:
        """Return whether a version was in force at a moment, or shortly before."""
        return number in {len(in_force(self.versions, moment)) for moment in (at, at - UNDER_WAY)}

    def needs(self, number: int, ground: str) -> Need | None:
        """Return what a version needs on a ground; None where it permits none, or is none."""
        known = 1 <= number <= len(self.versions)
        return needs(self.versions[number - 1].promised.duties).get(ground) if known else None

    def governing(self, at: datetime) -> list[Bounds]:
        """Return what governed each governing number at a moment."""
        return governs(in_force(self.versions, at))

    def beyond(
        self, reached: Sequence[Reached], bounds: Sequence[Bounds], whose: tuple[str, str, str], at: datetime
    ) -> Iterator[str]:
        """Yield what was reached beyond bounds, in words; `whose` has the purpose, the recipient and the ground."""
        for category, precision, governing, oldest in reached:
            cell = Cell(category, *whose)
            age = bounds[governing - 1].greatest(cell, precision) if 1 <= governing <= len(bounds) else 0
            if age == 0:
                yield f"reached `{category}` ({precision}) of version {governing}, which permits none of it"
            elif age is not None and oldest < at - timedelta(seconds=age) - UNDER_WAY:
                yield f"reached `{category}` ({precision}) of {oldest:%Y-%m-%d} on, which was too old for it by then"


@dataclass
class _Releases:
    """What the entries told of releases so far."""

    law: Law
    asked: dict[str, ReleaseAsked] = field(default_factory=dict)
    approved: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    made: set[str] = field(default_factory=set)
    recalled: set[str] = field(default_factory=set)

    def see(self, entry: Entry) -> Iterator[str]:
        """Look at the next entry."""
        if isinstance(entry, ReleaseAsked):
            self.asked[entry.reference] = entry
            yield from self._asked(entry)
        elif isinstance(entry, ReleaseApproved):
            self.approved[entry.reference] += 1
            if entry.reference not in self.asked:
                yield f"release {entry.reference} was approved before anybody asked for it"
            if entry.reference in self.made:
                yield f"release {entry.reference} was approved after it was made"
        elif isinstance(entry, ReleaseMade):
            yield from (f"release {entry.reference} {what}" for what in self._made(entry))
            self.made.add(entry.reference)
        elif isinstance(entry, ReleaseRecalled):
            if entry.reference not in self.made or entry.reference in self.recalled:
                yield f"release {entry.reference} was recalled though it was not made, or twice"
            self.recalled.add(entry.reference)

    def _asked(self, entry: ReleaseAsked) -> Iterator[str]:
        what = f"the request for the release {entry.reference}"
        if not self.law.names(entry.version, entry.at):
            yield f"{what} names version {entry.version}, which was not in force"
            return
        need = self.law.needs(entry.version, entry.ground)
        if need is None:
            yield f"{what} is on `{entry.ground}`, for which version {entry.version} names no evidence"
            return
        if missing := sorted({*need.evidence} - {AUTHORISATION, *entry.evidence}):
            yield f"{what} lacks evidence: {', '.join(missing)}"
        if entry.approvals < need.approvals:
            yield f"{what} asks for {entry.approvals} approvals, where {need.approvals} are owed"

    def _made(self, entry: ReleaseMade) -> Iterator[str]:
        asked = self.asked.get(entry.reference)
        if asked is None:
            yield "was never asked for"
            return
        if entry.reference in self.made:
            yield "was made twice"
        if (entry.ground, entry.recipient_kind) != (asked.ground, asked.recipient_kind):
            yield "is on another ground, or for another kind of recipient, than was asked"
        if more := sorted({*entry.categories} - {*asked.categories}):
            yield f"has categories that nobody asked for: {', '.join(more)}"
        yield from self._owed(entry, asked)
        if entry.sealed_until and INSTRUMENT not in asked.evidence:
            yield "is under seal without an instrument"
        if not self.law.names(entry.version, entry.at):
            yield f"names version {entry.version}, which was not in force"
        if {category for category, *_ in entry.reached} != {*entry.categories}:
            yield "does not tell how far it reached in each of its categories"
        whose = GROUND_ALONE, entry.recipient_kind, entry.ground
        yield from self.law.beyond(entry.reached, self.law.governing(entry.at), whose, entry.at)

    def _owed(self, entry: ReleaseMade, asked: ReleaseAsked) -> Iterator[str]:
        """Yield what the version in force asked for, and was not there."""
        need = self.law.needs(entry.version, entry.ground) or Need((), 0)
        if missing := sorted({*need.evidence} - {AUTHORISATION, *asked.evidence}):
            yield f"lacks evidence that version {entry.version} needs: {', '.join(missing)}"
        owed = max(asked.approvals, need.approvals)
        if self.approved[entry.reference] < owed:
            yield f"was approved by {self.approved[entry.reference]}, where {owed} are owed"


@dataclass
class _Feeds:
    """What the entries told of processors so far; `texts` has each contract that there ever was, by its hash."""

    law: Law
    texts: dict[str, str]
    agreed: dict[str, str] = field(default_factory=dict)

    def see(self, entry: Entry) -> Iterator[str]:
        """Look at the next entry."""
        if isinstance(entry, ProcessorAdded):
            self.agreed[entry.name] = entry.contract
            if not self._holds(entry.name, entry.contract, entry.at):
                yield f"the contract of `{entry.name}` fell short when it was added"
        elif isinstance(entry, ProcessorRemoved):
            self.agreed.pop(entry.name, None)
        elif isinstance(entry, FeedGiven):
            yield from (
                f"the page {entry.reference} that `{entry.name}` was given {what}"
                for what in self._given(entry)
            )

    def _given(self, entry: FeedGiven) -> Iterator[str]:
        if self.agreed.get(entry.name) != entry.contract:
            yield "went by a contract that did not hold"
            return
        if not self._holds(entry.name, entry.contract, entry.at):
            yield "went by a contract that fell short by then"
        if not self.law.names(entry.version, entry.at):
            yield f"names version {entry.version}, which was not in force"
        if bool(entry.records) is not bool(entry.reached):
            yield "does not tell how far it reached"
        if contract := self._contract(entry.name, entry.contract):
            bounds = bounds_of(self.law.governing(entry.at), contract)
            yield from self.law.beyond(entry.reached, bounds, (SERVICE, PROCESSOR, OWN_USE), entry.at)

    def _holds(self, name: str, sha256: str, at: datetime) -> bool:
        contract = self._contract(name, sha256)
        version = (in_force(self.law.versions, at) or self.law.versions)[-1]
        return contract is None or standing(contract, version.promised, at.date()).holds

    def _contract(self, name: str, sha256: str) -> Contract | None:
        text = self.texts.get(sha256)
        return parse_contract(text, f"processors/{name}.toml") if text else None


def findings(register: SqliteRegister, entries: Sequence[Entry]) -> Iterator[str]:
    """Yield, in a sentence each, what was done that nothing let be done."""
    law = Law(register.versions())
    releases = _Releases(law)
    feeds = _Feeds(law, {hashed(text): text for text in register.processors.contracts()})
    for entry in entries:
        yield from releases.see(entry)
        yield from feeds.see(entry)
    yield from _authorised(register, law)
    yield from _approvers(register)
    yield from _read(register, law, entries)


def _authorised(register: SqliteRegister, law: Law) -> Iterator[str]:
    """Yield releases that stand on an authorisation that did not stand, as far as nobody is erased."""
    for visitor, release in register.releases.whose():
        need = law.needs(release.version, release.ground)
        if need is None or AUTHORISATION not in need.evidence:
            continue
        given = set[str]()
        for one in register.authorisations.of(visitor):
            if one.recipient == release.recipient and one.entry < release.entry:
                given = given | {*one.categories} if one.given else set()
        if more := sorted({*release.categories} - given):
            yield f"release {release.reference} has categories that the visitor did not authorise: {', '.join(more)}"


def _approvers(register: SqliteRegister) -> Iterator[str]:
    """Yield requests that were approved by whoever asked, as far as that is not erased."""
    for request in register.asking.all():
        if request.by in register.asking.approved_by(request.reference):
            yield f"the request for the release {request.reference} was approved by whoever asked"


def _read(register: SqliteRegister, law: Law, entries: Sequence[Entry]) -> Iterator[str]:
    """Yield readings of single visitors for a purpose that the reader did not have at that moment."""
    history, names = register.readers.history(), register.readers.names()
    made = ((names[place][0], one) for place, one in enumerate(entries) if isinstance(one, ReadingMade))
    for number, (name, one) in enumerate(made, 1):
        had = [purposes for other, purposes, since in history if other == name and since <= one.at]
        theirs = (name, one.purpose) == (VISITOR, MAY_SEE)
        if name != OPERATOR and not theirs and one.purpose not in (had[-1] if had else []):
            yield f"reading {number} was for `{one.purpose}`, which its reader did not read for"
        if one.version and not law.names(one.version, one.at):
            yield f"reading {number} names version {one.version}, which was not in force"
