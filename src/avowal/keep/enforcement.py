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

from avowal.collect.admission import Promise
from avowal.collect.cookie import NAME as COOKIE_NAME
from avowal.collect.cookie import TAB as TAB_NAME
from avowal.errors import RefusedError
from avowal.policy.bounds import Ages, Bounds
from avowal.policy.compare import governed
from avowal.register.erasures import Erasure
from avowal.register.register import Register, Version
from avowal.register.retentions import GRACE, cuts
from avowal.store.interface import Cutoffs, Raised, Removed, Rules, Store


@dataclass
class Steward:
    """Keeps the store in line with the register, in the process that owns the folder."""

    register: Register
    rules: Rules
    _turn: Lock = field(default_factory=Lock)

    def settle(self, store: Store, now: datetime) -> None:
        """Do what consents, withdrawals and versions ask for that were recorded since: before each reading.

        Whoever reads at the same time waits for it.
        """
        with self._turn:
            if self.register.erasures.begun():
                self._erase_begun(store, now)
            settled = store.settled()
            raised = self.register.consents.raised(settled, now)
            if raised.settled != settled:
                self._derive(store, now, raised)

    def derive(self, store: Store, now: datetime) -> None:
        """Do the same, and make views and visits of what came in."""
        with self._turn:
            self._derive(store, now, self.register.consents.raised(store.settled(), now))

    def retain(self, store: Store, now: datetime) -> list[Removed]:
        """Take away what may not be kept any more, record it, and write the file anew; returns what was taken away."""
        with self._turn:
            self._erase_begun(store, now)
            self._derive(store, now, self.register.consents.raised(store.settled(), now))
            bounds = governs(in_force(self.register.versions(), now))
            store.remove(cuts(bounds, now), now)
            handed_over = self.register.submissions.retain(bounds, now, store.new_run())
            if handed_over:
                self.register.ledger.sign()
            removed = store.removed()
            for run in dict.fromkeys(one.run for one in removed):
                of_run = [one for one in removed if one.run == run]
                self.register.retentions.record(run, of_run, of_run[0].removed_at)
                self.register.ledger.sign()
                store.forget_removed(run)
            self.register.asking.forget_lapsed(now)
            store.forget_changed(self.register.feeds.passed())
            store.rewrite()
        return removed + handed_over

    def erase(self, store: Store, visitor: str, now: datetime) -> Erasure:
        """Erase a visitor: from its record on nobody reads what is held of them."""
        with self._turn:
            self._erase_begun(store, now)
            self.register.erasures.begin(visitor)
            return self._erase_begun(store, now)[visitor]

    def erase_looks(self, store: Store, looks: Sequence[int], now: datetime) -> Erasure:
        """Erase looks: as what is held of a visitor of their own, whom nothing else is of.

        Raises RefusedError where none is held.
        """
        key = secrets.randbits(64) & ~1
        if not store.take_apart(looks, key):
            raise RefusedError(
                "none of these views is held", "they may be erased already, or their time is over"
            )
        self.derive(store, now)
        return self.erase(store, f"{key:016x}", now)

    def _erase_begun(self, store: Store, now: datetime) -> dict[str, Erasure]:
        """Do the erasures that are recorded, also those that a kill cut short; returns each by its visitor."""
        done = {
            visitor: self.register.erasures.finish(visitor, store.erase(int(visitor, 16)), now)
            for visitor in self.register.erasures.begun()
        }
        store.forget_erased()
        if done:
            self.register.ledger.sign()
            self.register.submissions.sweep()
            store.rewrite()
        return done

    def beyond(self, store: Store, now: datetime) -> list[Removed]:
        """Return what is held although its time was over a day ago; nothing is changed."""
        before = now - GRACE
        bounds = governs(in_force(self.register.versions(), before))
        found = self.register.submissions.beyond(bounds, before)
        for one in cuts(bounds, before):
            for version, records in store.query(one.counted, {}).rows:
                found.append(Removed(0, one.relation, one.category, version, records, now))
        return found

    def _derive(self, store: Store, now: datetime, raised: Raised) -> None:
        store.derive(self.rules, cutoffs(in_force(self.register.versions(), now), now), raised)


def in_force(versions: Sequence[Version], moment: datetime) -> list[Version]:
    """Return the versions that have taken effect by a moment."""
    return [version for version in versions if version.effective_at <= moment]


def governs(versions: Sequence[Version]) -> list[Bounds]:
    """Return what governs each governing number, from 1 on: computed once for each publication."""
    return _governs(tuple(versions))


@lru_cache(maxsize=8)
def _governs(versions: tuple[Version, ...]) -> list[Bounds]:
    return governed([version.promised for version in versions])


@lru_cache(maxsize=8)
def promises(versions: tuple[Version, ...]) -> list[Promise]:
    """Return what admission needs of versions: of each, what governs its records by now."""
    ends = [*(version.effective_at for version in versions[1:]), datetime.max]
    return [
        Promise(
            version.number,
            {name: bounds.kept(name) for name in bounds.categories},
            version.effective_at,
            until,
            bounds.cookie(COOKIE_NAME),
            bounds.cookie(TAB_NAME),
        )
        for version, bounds, until in zip(versions, governs(versions), ends, strict=True)
    ]


def cutoffs(versions: Sequence[Version], now: datetime) -> Cutoffs:
    """Return, for each governing number, the oldest event of each derived category that may be kept now."""

    def since(category: str) -> list[datetime]:
        return [oldest(bounds.kept(category), now) for bounds in governs(versions)]

    return Cutoffs(since("view-time"), since("view-duration"), since("visit-time"), since("visit-duration"))


def oldest(ages: Ages, now: datetime) -> datetime:
    """Return the oldest event that may be kept whole; datetime.max where none may."""
    if "full" not in ages:
        return datetime.max
    age = ages["full"]
    return datetime.min if age is None else now - timedelta(seconds=age)
