"""Check that processors received only what their contracts and the terms permitted at that moment."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from avowal.disclose.contract_check import compare_contract
from avowal.disclose.feed import SERVICE_PURPOSE, compute_feed_bounds
from avowal.keep.enforcement import effective_versions
from avowal.ledger.entry import Entry, FeedPageProvided, ProcessorAdded, ProcessorRemoved, hash_text
from avowal.policy.bounds import OWN_USE, PROCESSOR
from avowal.policy.contract import Contract, parse_contract
from avowal.verify.register_state import RegisterState
from avowal.verify.verification import Finding
from avowal.verify.version_timeline import VersionTimeline


def check_feeds(state: RegisterState) -> Iterator[Finding]:
    """Check every contract and every page of a feed."""
    texts = {hash_text(text): text for text in state.register.processors.contract_texts()}
    audit = _FeedAudit(state.timeline, texts)
    for entry in state.entries:
        yield from audit.check_entry(entry)


@dataclass
class _FeedAudit:
    """The state of contracts after the entries so far."""

    timeline: VersionTimeline
    contracts_by_hash: dict[str, str]
    """The text of every contract that was ever recorded."""
    contract_hashes: dict[str, str] = field(default_factory=dict)
    """The hash of the contract in force, by processor."""

    def check_entry(self, entry: Entry) -> Iterator[Finding]:
        """Check the next entry."""
        if isinstance(entry, ProcessorAdded):
            self.contract_hashes[entry.name] = entry.contract_hash
            if not self._is_sufficient(entry.name, entry.contract_hash, entry.at):
                sentence = f"the contract of `{entry.name}` was insufficient when it was added"
                yield Finding("contract-insufficient", sentence)
        elif isinstance(entry, ProcessorRemoved):
            self.contract_hashes.pop(entry.name, None)
        elif isinstance(entry, FeedPageProvided):
            for finding in self._check_page(entry):
                yield finding.with_subject(f"page {entry.reference} of the feed of `{entry.processor}`")

    def _check_page(self, entry: FeedPageProvided) -> Iterator[Finding]:
        if self.contract_hashes.get(entry.processor) != entry.contract_hash:
            yield Finding("contract-not-in-force", "was provided under a contract that was not in force")
            return
        if not self._is_sufficient(entry.processor, entry.contract_hash, entry.at):
            yield Finding(
                "contract-insufficient", "was provided under a contract that was insufficient by then"
            )
        yield from self.timeline.check_in_force(entry.version, entry.at)
        if bool(entry.records) is not bool(entry.age_reach):
            yield Finding("reach-missing", "does not record how old its records were")
        if contract := self._contract(entry.processor, entry.contract_hash):
            bounds = compute_feed_bounds(self.timeline.find_governing_bounds(entry.at), contract)
            yield from self.timeline.check_reach(
                entry.age_reach, bounds, (SERVICE_PURPOSE, PROCESSOR, OWN_USE), entry.at
            )

    def _is_sufficient(self, name: str, contract_hash: str, moment: datetime) -> bool:
        contract = self._contract(name, contract_hash)
        version = (effective_versions(self.timeline.versions, moment) or self.timeline.versions)[-1]
        return (
            contract is None
            or compare_contract(contract, version.compiled_terms, moment.date()).is_sufficient
        )

    def _contract(self, name: str, contract_hash: str) -> Contract | None:
        text = self.contracts_by_hash.get(contract_hash)
        return parse_contract(text, f"processors/{name}.toml") if text else None
