"""Whether what left the house, and what was read, was let by what held at that moment: for `avowal verify`.

The ledger tells what was done, the register what it was told; each is held against the versions that were in force.
That both say the same is looked at before (`avowal.verify.register_facts`).
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from avowal.disclose.contract_check import compare_contract
from avowal.disclose.feed import SERVICE_PURPOSE, compute_feed_bounds
from avowal.keep.enforcement import compute_governing_bounds, effective_versions
from avowal.ledger.entry import (
    AgeReach,
    DataAccessed,
    Entry,
    FeedPageProvided,
    ProcessorAdded,
    ProcessorRemoved,
    ReleaseApproved,
    ReleaseMade,
    ReleaseRecalled,
    ReleaseRequested,
    hash_text,
)
from avowal.policy.bounds import GROUND_ONLY_PURPOSE, OPERATOR, OWN_USE, PROCESSOR, VISITOR, Bounds, Cell
from avowal.policy.contract import Contract, parse_contract
from avowal.policy.ground import EvidenceKind, GroundRequirements, parse_ground_requirements
from avowal.register.register import SqliteRegister, Version
from avowal.submissions.access import SUBJECT_ACCESS_PURPOSE

RECORDING_DELAY_MAX = timedelta(minutes=10)
"""How long something may take from looking up what holds to being recorded."""


@dataclass
class VersionTimeline:
    """What held when."""

    versions: list[Version]

    def was_in_force(self, number: int, recorded_at: datetime) -> bool:
        """Return whether a version was in force at a moment, or shortly before."""
        return number in {
            len(effective_versions(self.versions, moment))
            for moment in (recorded_at, recorded_at - RECORDING_DELAY_MAX)
        }

    def find_requirements(self, number: int, ground: str) -> GroundRequirements | None:
        """Return what a version needs on a ground; None where it permits none, or is none."""
        known = 1 <= number <= len(self.versions)
        return (
            parse_ground_requirements(self.versions[number - 1].compiled_terms.duties).get(ground)
            if known
            else None
        )

    def find_governing_bounds(self, recorded_at: datetime) -> list[Bounds]:
        """Return what governed each governing number at a moment."""
        return compute_governing_bounds(effective_versions(self.versions, recorded_at))

    def find_excess(
        self,
        age_reach: Sequence[AgeReach],
        bounds: Sequence[Bounds],
        purpose_recipient_ground: tuple[str, str, str],
        recorded_at: datetime,
    ) -> Iterator[str]:
        """Yield what was reached beyond bounds, in words; `whose` has the purpose, the recipient and the ground."""
        for category, precision, governing, oldest in age_reach:
            cell = Cell(category, *purpose_recipient_ground)
            age = bounds[governing - 1].max_age(cell, precision) if 1 <= governing <= len(bounds) else 0
            if age == 0:
                yield f"reached `{category}` ({precision}) of version {governing}, which permits none of it"
            elif age is not None and oldest < recorded_at - timedelta(seconds=age) - RECORDING_DELAY_MAX:
                yield f"reached `{category}` ({precision}) of {oldest:%Y-%m-%d} on, which was too old for it by then"


@dataclass
class _ReleaseAudit:
    """What the entries told of releases so far."""

    timeline: VersionTimeline
    requests: dict[str, ReleaseRequested] = field(default_factory=dict)
    approval_counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    made_references: set[str] = field(default_factory=set)
    recalled_references: set[str] = field(default_factory=set)

    def check_entry(self, entry: Entry) -> Iterator[str]:
        """Look at the next entry."""
        if isinstance(entry, ReleaseRequested):
            self.requests[entry.reference] = entry
            yield from self._check_request(entry)
        elif isinstance(entry, ReleaseApproved):
            self.approval_counts[entry.reference] += 1
            if entry.reference not in self.requests:
                yield f"release {entry.reference} was approved before anybody asked for it"
            if entry.reference in self.made_references:
                yield f"release {entry.reference} was approved after it was made"
        elif isinstance(entry, ReleaseMade):
            yield from (f"release {entry.reference} {what}" for what in self._check_release(entry))
            self.made_references.add(entry.reference)
        elif isinstance(entry, ReleaseRecalled):
            if entry.reference not in self.made_references or entry.reference in self.recalled_references:
                yield f"release {entry.reference} was recalled though it was not made, or twice"
            self.recalled_references.add(entry.reference)

    def _check_request(self, entry: ReleaseRequested) -> Iterator[str]:
        what = f"the request for the release {entry.reference}"
        if not self.timeline.was_in_force(entry.version, entry.at):
            yield f"{what} names version {entry.version}, which was not in force"
            return
        need = self.timeline.find_requirements(entry.version, entry.ground)
        if need is None:
            yield f"{what} is on `{entry.ground}`, for which version {entry.version} names no evidence"
            return
        if missing := sorted({*need.evidence} - {EvidenceKind.AUTHORISATION, *entry.evidence_kinds}):
            yield f"{what} lacks evidence: {', '.join(missing)}"
        if entry.required_approvals < need.approvals:
            yield f"{what} asks for {entry.required_approvals} approvals, where {need.approvals} are owed"

    def _check_release(self, entry: ReleaseMade) -> Iterator[str]:
        asked = self.requests.get(entry.reference)
        if asked is None:
            yield "was never asked for"
            return
        if entry.reference in self.made_references:
            yield "was made twice"
        if (entry.ground, entry.recipient_kind) != (asked.ground, asked.recipient_kind):
            yield "is on another ground, or for another kind of recipient, than was asked"
        if more := sorted({*entry.categories} - {*asked.categories}):
            yield f"has categories that nobody asked for: {', '.join(more)}"
        yield from self._check_requirements(entry, asked)
        if entry.sealed_until and EvidenceKind.INSTRUMENT not in asked.evidence_kinds:
            yield "is under seal without an instrument"
        if not self.timeline.was_in_force(entry.version, entry.at):
            yield f"names version {entry.version}, which was not in force"
        if {category for category, *_ in entry.age_reach} != {*entry.categories}:
            yield "does not tell how far it reached in each of its categories"
        whose = GROUND_ONLY_PURPOSE, entry.recipient_kind, entry.ground
        yield from self.timeline.find_excess(
            entry.age_reach, self.timeline.find_governing_bounds(entry.at), whose, entry.at
        )

    def _check_requirements(self, entry: ReleaseMade, asked: ReleaseRequested) -> Iterator[str]:
        """Yield what the version in force asked for, and was not there."""
        need = self.timeline.find_requirements(entry.version, entry.ground) or GroundRequirements((), 0)
        if missing := sorted({*need.evidence} - {EvidenceKind.AUTHORISATION, *asked.evidence_kinds}):
            yield f"lacks evidence that version {entry.version} needs: {', '.join(missing)}"
        owed = max(asked.required_approvals, need.approvals)
        if self.approval_counts[entry.reference] < owed:
            yield f"was approved by {self.approval_counts[entry.reference]}, where {owed} are owed"


@dataclass
class _FeedAudit:
    """What the entries told of processors so far; `texts` has each contract that there ever was, by its hash."""

    timeline: VersionTimeline
    contracts_by_hash: dict[str, str]
    contract_hashes: dict[str, str] = field(default_factory=dict)

    def check_entry(self, entry: Entry) -> Iterator[str]:
        """Look at the next entry."""
        if isinstance(entry, ProcessorAdded):
            self.contract_hashes[entry.name] = entry.contract_hash
            if not self._is_sufficient(entry.name, entry.contract_hash, entry.at):
                yield f"the contract of `{entry.name}` fell short when it was added"
        elif isinstance(entry, ProcessorRemoved):
            self.contract_hashes.pop(entry.name, None)
        elif isinstance(entry, FeedPageProvided):
            yield from (
                f"the page {entry.reference} that `{entry.processor}` was given {what}"
                for what in self._check_page(entry)
            )

    def _check_page(self, entry: FeedPageProvided) -> Iterator[str]:
        if self.contract_hashes.get(entry.processor) != entry.contract_hash:
            yield "went by a contract that did not hold"
            return
        if not self._is_sufficient(entry.processor, entry.contract_hash, entry.at):
            yield "went by a contract that fell short by then"
        if not self.timeline.was_in_force(entry.version, entry.at):
            yield f"names version {entry.version}, which was not in force"
        if bool(entry.records) is not bool(entry.age_reach):
            yield "does not tell how far it reached"
        if contract := self._contract(entry.processor, entry.contract_hash):
            bounds = compute_feed_bounds(self.timeline.find_governing_bounds(entry.at), contract)
            yield from self.timeline.find_excess(
                entry.age_reach, bounds, (SERVICE_PURPOSE, PROCESSOR, OWN_USE), entry.at
            )

    def _is_sufficient(self, name: str, sha256: str, at: datetime) -> bool:
        contract = self._contract(name, sha256)
        version = (effective_versions(self.timeline.versions, at) or self.timeline.versions)[-1]
        return contract is None or compare_contract(contract, version.compiled_terms, at.date()).is_sufficient

    def _contract(self, name: str, sha256: str) -> Contract | None:
        text = self.contracts_by_hash.get(sha256)
        return parse_contract(text, f"processors/{name}.toml") if text else None


def find_permission_violations(register: SqliteRegister, entries: Sequence[Entry]) -> Iterator[str]:
    """Yield, in a sentence each, what was done that nothing let be done."""
    law = VersionTimeline(register.versions())
    releases = _ReleaseAudit(law)
    feeds = _FeedAudit(law, {hash_text(text): text for text in register.processors.contract_texts()})
    for entry in entries:
        yield from releases.check_entry(entry)
        yield from feeds.check_entry(entry)
    yield from _check_authorisations(register, law)
    yield from _check_approvers(register)
    yield from _check_accesses(register, law, entries)


def _check_authorisations(register: SqliteRegister, law: VersionTimeline) -> Iterator[str]:
    """Yield releases that stand on an authorisation that did not stand, as far as nobody is erased."""
    for visitor, release in register.releases.by_visitor():
        need = law.find_requirements(release.version, release.ground)
        if need is None or EvidenceKind.AUTHORISATION not in need.evidence:
            continue
        given = set[str]()
        for one in register.authorisations.for_visitor(visitor):
            if one.recipient == release.recipient and one.entry < release.entry:
                given = given | {*one.categories} if one.given else set()
        if more := sorted({*release.categories} - given):
            yield f"release {release.reference} has categories that the visitor did not authorise: {', '.join(more)}"


def _check_approvers(register: SqliteRegister) -> Iterator[str]:
    """Yield requests that were approved by whoever asked, as far as that is not erased."""
    for request in register.release_requests.all():
        if request.requester in register.release_requests.approvers(request.reference):
            yield f"the request for the release {request.reference} was approved by whoever asked"


def _check_accesses(
    register: SqliteRegister, law: VersionTimeline, entries: Sequence[Entry]
) -> Iterator[str]:
    """Yield readings of single visitors for a purpose that the reader did not have at that moment."""
    history, names = register.readers.purpose_history(), register.readers.access_readers()
    made = ((names[place][0], one) for place, one in enumerate(entries) if isinstance(one, DataAccessed))
    for number, (name, one) in enumerate(made, 1):
        had = [purposes for other, purposes, since in history if other == name and since <= one.at]
        theirs = (name, one.purpose) == (VISITOR, SUBJECT_ACCESS_PURPOSE)
        if name != OPERATOR and not theirs and one.purpose not in (had[-1] if had else []):
            yield f"reading {number} was for `{one.purpose}`, which its reader did not read for"
        if one.version and not law.was_in_force(one.version, one.at):
            yield f"reading {number} names version {one.version}, which was not in force"
