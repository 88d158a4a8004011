"""Enforce the register's decisions on the store: consents, withdrawals, new versions, retention and erasures.

The register decides; the store has a copy of the consents and of how far it read them. A consent is recorded before
its records are raised, so it permits nothing earlier. A withdrawal is recorded first, too, and every access applies it
before it reads anything (G7 in `docs/spec/terms.md`).
"""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from threading import Lock

from avowal.collect.admission import AdmissionRules
from avowal.collect.cookie import COOKIE_NAME
from avowal.collect.cookie import TAB_STORAGE_KEY as TAB_NAME
from avowal.errors import RefusedError
from avowal.keep.retention import RETENTION_GRACE, plan_retention
from avowal.ledger.address_coverage import AddressCoverage
from avowal.policy.bounds import AgeByPrecision, Bounds
from avowal.policy.compare import list_governing_bounds
from avowal.register.erasures import Erasure
from avowal.register.register import Register, Version
from avowal.sql_files import read_sql
from avowal.store.interface import Cutoffs, GoverningUpdate, OverdueRecords, RemovedRecords, Store, VisitRules


@dataclass
class PolicyEnforcer:
    """Keeps the store in line with the register, in the process that owns the folder. One operation runs at a time."""

    register: Register
    visit_rules: VisitRules
    _lock: Lock = field(default_factory=Lock)

    def apply_consents(self, store: Store, now: datetime) -> None:
        """Apply the consents, withdrawals, versions and erasures that were recorded since the last time.

        Called before each access to stored data, which waits for it.
        """
        with self._lock:
            if self.register.erasures.pending():
                self._finish_erasures(store, now)
            cursor = store.consent_cursor()
            update = self.register.consents.compute_governing_update(cursor, now)
            if update.cursor != cursor:
                self._derive(store, now, update)

    def derive_visits(self, store: Store, now: datetime) -> None:
        """Apply consents as well, and derive views and visits from what was loaded."""
        with self._writing(store):
            self._derive(
                store, now, self.register.consents.compute_governing_update(store.consent_cursor(), now)
            )

    def enforce_retention(self, store: Store, now: datetime) -> list[RemovedRecords]:
        """Delete or coarsen what may no longer be kept, record that, and compact the file; returns what was removed."""
        with self._writing(store):
            self._finish_erasures(store, now)
            self._derive(
                store, now, self.register.consents.compute_governing_update(store.consent_cursor(), now)
            )
            bounds = find_governing_bounds(self.register.versions(), now)
            store.apply_retention(plan_retention(bounds, now), now)
            removed_submissions = self.register.submissions.apply_retention(
                bounds, now, store.next_retention_run()
            )
            removals = store.unrecorded_removals()
            for run in dict.fromkeys(records.run_number for records in removals):
                removed_by_run = [records for records in removals if records.run_number == run]
                self.register.retention_runs.record(run, removed_by_run, removed_by_run[0].removed_at)
                store.clear_removals(run)
            self.register.release_requests.erase_expired(now)
            store.clear_changes(self.register.feeds.acknowledged_change_number())
        store.compact()
        return removals + removed_submissions

    def erase_visitor(self, store: Store, visitor_key: str, now: datetime) -> Erasure:
        """Erase a visitor; see `erase_visitors`."""
        return self.erase_visitors(store, [visitor_key], now)

    def erase_visitors(
        self,
        store: Store,
        visitor_keys: Sequence[str],
        now: datetime,
        coverage: AddressCoverage | None = None,
    ) -> Erasure:
        """Erase visitors in one act. Once it is recorded as begun, nobody can read their records any more.

        `coverage` says which days of an address these are. Raises RefusedError if nothing is held of one of them:
        then nothing is recorded.
        """
        with self._writing(store):
            self._finish_erasures(store, now)
            erasures = self.register.erasures
            if not all(store.holds_visitor(int(key, 16)) or erasures.is_held(key) for key in visitor_keys):
                raise RefusedError(
                    "no data of that visitor is stored",
                    "check the key of the visitor",
                    code="records-not-found",
                )
            erasures.begin(visitor_keys)
            return self._carry_out_erasure(store, visitor_keys, now, coverage)

    def erase_script_views(self, store: Store, script_view_ids: Sequence[int], now: datetime) -> Erasure:
        """Erase script views by giving them to a new visitor, who is then erased.

        Raises RefusedError if none of them is stored.
        """
        store.wait_for_compaction()
        key = secrets.randbits(64) & ~1
        values = {"script_view_ids": list(script_view_ids)}
        stored = store.query(read_sql("store", "stored_script_views"), values).rows
        if stored:  # nobody else fills the list
            self.register.erasures.list_script_views([script_view_id for (script_view_id,) in stored])
        if not store.reassign_visitor(script_view_ids, key):
            raise RefusedError(
                "none of these views is stored",
                "they may have been erased already, or have expired",
                code="records-not-found",
            )
        self.derive_visits(store, now)
        return self.erase_visitor(store, f"{key:016x}", now)

    @contextmanager
    def _writing(self, store: Store) -> Iterator[None]:
        """Hold the lock; while the file is rewritten, wait without it, as everybody who reads needs it for a moment."""
        store.wait_for_compaction()
        with self._lock:
            yield

    def _finish_erasures(self, store: Store, now: datetime) -> None:
        """Carry out an erasure that is recorded as begun and that a crash interrupted.

        No erasure begins before the one before it is finished, so all pending visitors are those of one act.
        """
        if visitors := self.register.erasures.pending():
            self._carry_out_erasure(store, visitors, now)
        store.clear_erased_counts()

    def _carry_out_erasure(
        self, store: Store, visitors: Sequence[str], now: datetime, coverage: AddressCoverage | None = None
    ) -> Erasure:
        """Erase visitors whose erasure is recorded as begun."""
        counts = [store.erase_visitor(int(visitor, 16)) for visitor in visitors]
        erasure = self.register.erasures.finish(visitors, counts, now, coverage)
        store.clear_erased_counts()
        self.register.submissions.delete_orphans()
        return erasure

    def find_overdue_records(self, store: Store, now: datetime) -> list[OverdueRecords]:
        """Return what is stored although retention should have removed it a day ago; nothing is changed."""
        before, versions = now - RETENTION_GRACE, effective_versions(self.register.versions(), now)
        of_then = effective_versions(versions, before)
        # What was collected under a later version is younger than a day, so nothing else governs it as yet.
        later = [version.compiled_terms for version in versions[len(of_then) :]]
        bounds = [*compute_governing_bounds(of_then), *later]
        return [
            *self.register.submissions.find_overdue(bounds, before),
            *store.find_overdue_records(plan_retention(bounds, before)),
        ]

    def _derive(self, store: Store, now: datetime, update: GoverningUpdate) -> None:
        store.derive_visits(
            self.visit_rules, compute_cutoffs(effective_versions(self.register.versions(), now), now), update
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


def find_smallest_group(versions: Sequence[Version]) -> int:
    """Return the least number of visitors behind a public number: the most that any of the versions requires (R8)."""
    return max((version.compiled_terms.smallest_group for version in versions), default=1)


def compute_governing_bounds(versions: Sequence[Version]) -> list[Bounds]:
    """Return the bounds of each governing number, from 1 on. They are computed once for each publication."""
    return _cached_governing_bounds(tuple(versions))


def find_governing_bounds(versions: Sequence[Version], moment: datetime) -> list[Bounds]:
    """Return the bounds of each governing number, from 1 on, at a moment."""
    return compute_governing_bounds(effective_versions(versions, moment))


@lru_cache(maxsize=8)
def _cached_governing_bounds(versions: tuple[Version, ...]) -> list[Bounds]:
    return list_governing_bounds([version.compiled_terms for version in versions])


@lru_cache(maxsize=8)
def build_admission_rules(
    versions: tuple[Version, ...], end: datetime = datetime.max
) -> list[AdmissionRules]:
    """Return the admission rules of each version: the bounds that govern its records by now.

    `end` is when the version after the last one takes effect; datetime.max if there is none.
    """
    ends = [*(version.effective_at for version in versions), end][1:]
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


DERIVED_FROM_CATEGORIES = (
    *("request-time", "request-kind", "visitor-id", "page-path", "host", "bot"),
    *("view-time", "view-duration", "visit-time", "visit-duration"),
)
"""The categories without which the views and visits of a visitor day are not derived again as they were."""


def compute_cutoffs(versions: Sequence[Version], now: datetime) -> Cutoffs:
    """Return the oldest times of which derived categories may be kept now, for each governing number."""

    def since(category: str) -> list[datetime]:
        return [
            oldest_permitted_time(bounds.retention_ages(category), now)
            for bounds in compute_governing_bounds(versions)
        ]

    def since_removed(bounds: Bounds, category: str) -> datetime:
        ages = bounds.retention_ages(category)
        permitted = [
            oldest_permitted_time(ages, now, precision) for precision in ages if ages[precision] != 0
        ]
        return min(permitted, default=datetime.min)

    return Cutoffs(
        since("view-time"),
        since("view-duration"),
        since("visit-time"),
        since("visit-duration"),
        [
            max(since_removed(bounds, category) for category in DERIVED_FROM_CATEGORIES)
            for bounds in compute_governing_bounds(versions)
        ],
    )


def oldest_permitted_time(ages: AgeByPrecision, now: datetime, precision: str = "full") -> datetime:
    """Return the oldest time of which a value may still be kept at a precision; datetime.max if it may never be."""
    age = ages.get(precision, 0)
    if age == 0:
        return datetime.max
    return datetime.min if age is None else now - timedelta(seconds=age)
