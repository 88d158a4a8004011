"""What the checks of a store read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from avowal.register.register import Version
from avowal.register.statements import load_statements
from avowal.register.submissions import VersionPeriod
from avowal.store.columns import DERIVED_RELATIONS, NUMBERED_RELATIONS
from avowal.store.interface import OverdueRecords, Store
from avowal.store.visitor_sql import find_raised_visitors, summarize_versions

SQL = load_statements("avowal.verify", "store_state")


@dataclass(frozen=True)
class StoreState:
    """What the checks of a store read."""

    versions: Sequence[Version]
    version_rows: Sequence[Mapping[str, Any]]
    """The period, number and governing numbers of the collected records of each version."""
    derived_rows: Sequence[Mapping[str, Any]]
    """The same of views and visits."""
    submission_periods: Sequence[VersionPeriod]
    """When the submissions of each version arrived."""
    raised_rows: Sequence[Mapping[str, Any]]
    """The visitors whose records are governed by a later version than their own."""
    column_count: int
    """How many columns the tables have."""
    sequence_rows: Sequence[Mapping[str, Any]]
    """The answer to the statement `sequences`."""
    changed_tables: Sequence[str]
    """The tables that do not hold what was sealed."""
    consented_governing: Mapping[int, int]
    """The governing number to which each visitor consented."""
    overdue: Sequence[OverdueRecords]
    """What is stored for longer than permitted."""


def read_store_state(
    store: Store,
    versions: Sequence[Version],
    consented_governing: Mapping[int, int],
    overdue: Sequence[OverdueRecords],
    submission_periods: Sequence[VersionPeriod],
) -> StoreState:
    """Read from a store what its checks need."""
    return StoreState(
        versions,
        store.query(summarize_versions(NUMBERED_RELATIONS), {}).to_dicts(),
        store.query(summarize_versions(DERIVED_RELATIONS), {}).to_dicts(),
        submission_periods,
        store.query(find_raised_visitors(), {}).to_dicts(),
        store.query(SQL["column_count"], {}).rows[0][0],
        store.query(SQL["sequences"], {}).to_dicts(),
        store.find_changed_tables(),
        consented_governing,
        overdue,
    )
