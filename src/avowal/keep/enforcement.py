"""Which version governs what is stored: kept as consents, and the versions that take effect, would have it.

The register is the truth; the store has a copy of its consents, and how far it read them. A consent is recorded first
and then raises its records, so that it loosens nothing before that is done. A withdrawal is recorded first, too, and
whoever reads next does not see the records before they are restored (G7 in `docs/spec/terms.md`).
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from threading import Lock

from avowal.collect.admission import AdmissionRules
from avowal.collect.cookie import COOKIE_NAME
from avowal.collect.cookie import TAB_STORAGE_KEY as TAB_NAME
from avowal.errors import RefusedError
from avowal.keep.retention import plan_retention
from avowal.policy.bounds import AgeByPrecision, Bounds
from avowal.policy.compare import list_governing_bounds
from avowal.register.erasures import Erasure
from avowal.register.register import Register, Version
from avowal.register.retentions import RETENTION_GRACE
from avowal.store.interface import Cutoffs, GoverningUpdate, OverdueRecords, RemovedRecords, Store, VisitRules


@dataclass
class PolicyEnforcer:
    """Keeps the store in line with the register, in the process that owns the folder."""

    register: Register
    visit_rules: VisitRules
    _turn: Lock = field(default_factory=Lock)

    def apply_consents(self, store: Store, now: datetime) -> None:
        """Do what consents, withdrawals and versions ask for that were recorded since: before each reading.

        Whoever reads at the same time waits for it.
        """
        with self._turn:
            if self.register.erasures.pending():
                self._erase_begun(store, now)
            settled = store.consent_cursor()
            raised = self.register.consents.compute_governing_update(settled, now)
            if raised.cursor != settled:
                self._derive(store, now, raised)

    def derive_visits(self, store: Store, now: datetime) -> None:
        """Do the same, and make views and visits of what came in."""
        with self._turn:
            self._derive(
                store, now, self.register.consents.compute_governing_update(store.consent_cursor(), now)
            )

    def enforce_retention(self, store: Store, now: datetime) -> list[RemovedRecords]:
        """Take away what may not be kept any more, record it, and write the file anew; returns what was taken away."""
        with self._turn:
            self._erase_begun(store, now)
            self._derive(
                store, now, self.register.consents.compute_governing_update(store.consent_cursor(), now)
            )
            bounds = compute_governing_bounds(effective_versions(self.register.versions(), now))
            store.apply_retention(plan_retention(bounds, now), now)
            handed_over = self.register.submissions.apply_retention(bounds, now, store.next_retention_run())
            if handed_over:
                self.register.ledger.sign_checkpoint()
            removed = store.unrecorded_removals()
            for run in dict.fromkeys(one.run_number for one in removed):
                of_run = [one for one in removed if one.run_number == run]
                self.register.retention_runs.record(run, of_run, of_run[0].removed_at)
                self.register.ledger.sign_checkpoint()
                store.clear_removals(run)
            self.register.release_requests.erase_expired(now)
            store.clear_changes(self.register.feeds.acknowledged_change_number())
            store.compact()
        return removed + handed_over

    def erase_visitor(self, store: Store, visitor_key: str, now: datetime) -> Erasure:
        """Erase a visitor: from its record on nobody reads what is held of them."""
        with self._turn:
            self._erase_begun(store, now)
            self.register.erasures.begin(visitor_key)
            return self._erase_begun(store, now)[visitor_key]

    def erase_script_views(self, store: Store, script_view_ids: Sequence[int], now: datetime) -> Erasure:
        """Erase looks: as what is held of a visitor of their own, whom nothing else is of.

        Raises RefusedError where none is held.
        """
        key = secrets.randbits(64) & ~1
        if not store.reassign_visitor(script_view_ids, key):
            raise RefusedError(
                "none of these views is held",
                "they may be erased already, or their time is over",
                code="records-not-found",
            )
        self.derive_visits(store, now)
        return self.erase_visitor(store, f"{key:016x}", now)

    def _erase_begun(self, store: Store, now: datetime) -> dict[str, Erasure]:
        """Do the erasures that are recorded, also those that a kill cut short; returns each by its visitor."""
        done = {
            visitor: self.register.erasures.finish(visitor, store.erase_visitor(int(visitor, 16)), now)
            for visitor in self.register.erasures.pending()
        }
        store.clear_erased_counts()
        if done:
            self.register.ledger.sign_checkpoint()
            self.register.submissions.delete_orphans()
            store.compact()
        return done

    def find_overdue_records(self, store: Store, now: datetime) -> list[OverdueRecords]:
        """Return what is stored although retention should have removed it a day ago; nothing is changed."""
        before = now - RETENTION_GRACE
        bounds = compute_governing_bounds(effective_versions(self.register.versions(), before))
        return [
            *self.register.submissions.find_overdue(bounds, before),
            *store.find_overdue_records(plan_retention(bounds, before)),
        ]

    def _derive(self, store: Store, now: datetime, raised: GoverningUpdate) -> None:
        store.derive_visits(
            self.visit_rules, compute_cutoffs(effective_versions(self.register.versions(), now), now), raised
        )


def effective_versions(versions: Sequence[Version], moment: datetime) -> list[Version]:
    """Return the versions that have taken effect by a moment."""
    return [version for version in versions if version.effective_at <= moment]


def find_version_in_force(versions: Sequence[Version], moment: datetime) -> Version:
    """Return the version that is in force at a moment. Raises RefusedError if none is."""
    effective = effective_versions(versions, moment)
    if not effective:
        raise RefusedError(
            "no version is in force yet",
            "`avowal policy adopt` takes the first one into force",
            code="no-version-in-force",
        )
    return effective[-1]


def compute_governing_bounds(versions: Sequence[Version]) -> list[Bounds]:
    """Return what governs each governing number, from 1 on: computed once for each publication."""
    return _governs(tuple(versions))


@lru_cache(maxsize=8)
def _governs(versions: tuple[Version, ...]) -> list[Bounds]:
    return list_governing_bounds([version.compiled_terms for version in versions])


@lru_cache(maxsize=8)
def build_admission_rules(versions: tuple[Version, ...]) -> list[AdmissionRules]:
    """Return what admission needs of versions: of each, what governs its records by now."""
    ends = [*(version.effective_at for version in versions[1:]), datetime.max]
    return [
        AdmissionRules(
            version.number,
            {name: bounds.retention_ages(name) for name in bounds.collected_categories},
            version.effective_at,
            until,
            bounds.cookie_ages(COOKIE_NAME),
            bounds.cookie_ages(TAB_NAME),
        )
        for version, bounds, until in zip(versions, compute_governing_bounds(versions), ends, strict=True)
    ]


def compute_cutoffs(versions: Sequence[Version], now: datetime) -> Cutoffs:
    """Return, for each governing number, the oldest event of each derived category that may be kept now."""

    def since(category: str) -> list[datetime]:
        return [
            oldest_permitted_time(bounds.retention_ages(category), now)
            for bounds in compute_governing_bounds(versions)
        ]

    return Cutoffs(since("view-time"), since("view-duration"), since("visit-time"), since("visit-duration"))


def oldest_permitted_time(ages: AgeByPrecision, now: datetime) -> datetime:
    """Return the oldest event that may be kept whole; datetime.max where none may."""
    if "full" not in ages:
        return datetime.max
    age = ages["full"]
    return datetime.min if age is None else now - timedelta(seconds=age)
