"""Governing numbers in the store, compared with a reference model of a few lines."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avowal.keep.enforcement import PolicyEnforcer, effective_versions
from avowal.policy.bounds import OPERATOR, OWN_USE, Cell, CompiledTerms
from avowal.register.consents import Consent
from avowal.register.register import PublishedDocument, Register, Version
from avowal.store.duckdb_store import DuckDBStore
from avowal.store.interface import ConsentCursor, GoverningUpdate, VisitRules
from support.depth import by_depth
from support.store_records import admitted_records, stored_views, stored_visits, write_segment

START = datetime(2026, 11, 1)  # noqa: DTZ001  # UTC without a zone
EFFECTIVE = (0, 10, 20, 30)
"""The days on which versions 1 to 4 take effect; all of them are published on the first."""

CATEGORIES = ("view-time", "view-duration", "visit-time", "visit-duration")


class Action(NamedTuple):
    """An action on a day, by or on behalf of a visitor."""

    day: int
    kind: Literal["load", "consent", "withdraw", "settle", "derive"]
    visitor: int
    version: int


ACTIONS = st.lists(
    st.builds(
        Action,
        st.integers(0, 40),
        st.sampled_from(["load", "load", "consent", "consent", "withdraw", "settle", "derive"]),
        st.integers(1, 3),
        st.integers(1, 4),
    ),
    max_size=25,
)


def sample_version(number: int) -> Version:
    """Return a version; from the third on it permits durations."""
    categories = CATEGORIES if number > 2 else CATEGORIES[::2]  # versions 1 and 2 permit times alone
    cells = {Cell(name, "content", OPERATOR, OWN_USE): {"full": None} for name in categories}
    terms = CompiledTerms(cells, {"may-see": number}, vocabulary_identity="a" * 64)
    effective = START + timedelta(days=EFFECTIVE[number - 1])
    return Version(number, terms.identity, terms.encode_canonical().decode(), "", effective, START)


@dataclass
class PolicyState:
    """A register and a store, and the expected state of both."""

    folder: Path
    register: Register
    store: DuckDBStore
    records: dict[int, tuple[int, int]] = field(default_factory=dict)
    """The visitor and version of each record, by its minute."""
    active_consents: set[tuple[int, int]] = field(default_factory=set)

    def perform(self, action: Action) -> None:
        """Perform an action on its day."""
        now = START + timedelta(days=action.day, hours=1)
        enforcer = PolicyEnforcer(self.register, VisitRules())
        consent = (action.visitor, action.version)
        if action.kind == "load":
            number = effective_versions(self.register.versions(), now)[-1].number
            self.load(self.store, {len(self.records): (action.visitor, number)}, {})
            self.records[len(self.records)] = (action.visitor, number)
        elif action.kind in {"consent", "withdraw"}:
            self.register.consents.record(consent_record(action, now), {})
            (self.active_consents.add if action.kind == "consent" else self.active_consents.discard)(consent)
        elif action.kind == "settle":
            enforcer.apply_consents(self.store, now)
        else:
            enforcer.derive_visits(self.store, now)

    def load(self, store: DuckDBStore, rows: dict[int, tuple[int, int]], governing: dict[int, int]) -> None:
        """Load each record as a segment of its own."""
        for minute, (visitor, number) in rows.items():
            row = {
                "request_time": START + timedelta(minutes=minute),
                "visitor_id": visitor,
                "version": number,
                "governing": governing.get(minute, number),
            }
            store.load_segments(
                [write_segment(self.folder, admitted_records(row), 0, 100, source=f"{id(store)} {minute}")]
            )

    def expected_governing(self, now: datetime) -> dict[int, int]:
        """Return the governing number of each record by rules G3 and G7."""
        effective = {version.number for version in effective_versions(self.register.versions(), now)}
        return {
            minute: max(
                [
                    number,
                    *(
                        consented_number
                        for consenting, consented_number in self.active_consents
                        if consenting == visitor and consented_number in effective
                    ),
                ]
            )
            for minute, (visitor, number) in self.records.items()
        }


def consent_record(action: Action, now: datetime) -> Consent:
    """Return the consent or withdrawal of an action."""
    return Consent(
        visitor=f"{action.visitor:016x}",
        version=action.version,
        identity=sample_version(action.version).identity,
        given=action.kind == "consent",
        language="en",
        document_hash="0" * 64,
        channel="letter",
        reference="",
        recorded_at=now,
    )


@contextmanager
def create_state() -> Iterator[PolicyState]:
    """Create a register with four versions, and an empty store."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        register = Register(folder, folder / "keys")
        for number in range(1, 5):
            register.publish(sample_version(number), [PublishedDocument("en", "", START)])
        store = DuckDBStore(folder, "256MB")
        yield PolicyState(folder, register, store)
        store.close()
        register.close()


@settings(
    max_examples=by_depth(standard=8, thorough=60, quick=3), suppress_health_check=[HealthCheck.too_slow]
)
@given(ACTIONS)
def test_governing_numbers_match_the_register(actions: list[Action]) -> None:
    """In any order of loads, consents, withdrawals and versions, the store equals one that was loaded at once."""
    with create_state() as state:
        for action in sorted(actions, key=lambda action: action.day):
            state.perform(action)
        state.perform(Action(41, "derive", 0, 0))
        now = START + timedelta(days=41, hours=1)
        expected = state.expected_governing(now)
        rows = state.store.query("SELECT request_time, governing FROM requests", {}).rows
        assert {round((time - START).total_seconds() / 60): number for time, number in rows} == expected
        with create_state() as other_state:
            other_state.load(other_state.store, state.records, expected)
            PolicyEnforcer(other_state.register, VisitRules()).derive_visits(other_state.store, now)
            assert stored_views(state.store) == stored_views(other_state.store)
            assert stored_visits(state.store) == stored_visits(other_state.store)


def test_applied_consents_are_not_applied_again() -> None:
    """The store remembers how far it has applied the consents of the register."""
    with create_state() as state:
        state.perform(Action(5, "load", 1, 0))
        state.perform(Action(15, "consent", 1, 2))
        state.perform(Action(15, "settle", 0, 0))
        now = START + timedelta(days=16)
        assert state.store.consent_cursor() == ConsentCursor(1, 2)
        assert state.register.consents.compute_governing_update(
            state.store.consent_cursor(), now
        ) == GoverningUpdate(ConsentCursor(1, 2))
        assert state.register.consents.compute_governing_update(ConsentCursor(), now) == GoverningUpdate(
            ConsentCursor(1, 2), {1: 2}
        )
        later = START + timedelta(days=21)
        assert state.register.consents.compute_governing_update(
            state.store.consent_cursor(), later
        ).cursor == ConsentCursor(1, 3)
