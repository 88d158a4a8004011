"""What the checks of a store read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from avowal.register.register import Version
from avowal.store.interface import OverdueRecords, Store

RECORD_VERSIONS_QUERY = """
SELECT version, min(record_time) AS first, max(record_time) AS last, count(*) AS records,
       min(governing) AS least, max(governing) AS greatest
FROM (SELECT version, record_time, governing FROM collected_records
      UNION ALL SELECT version, event_time, governing FROM events)
GROUP BY version ORDER BY version
"""

CONSENT_GOVERNING_QUERY = """
SELECT visitor_id, max(governing) AS governing
FROM (SELECT visitor_id, version, governing FROM collected_records
      UNION ALL SELECT visitor_id, version, governing FROM events
      UNION ALL SELECT visitor_id, version, governing FROM views
      UNION ALL SELECT visitor_id, version, governing FROM visits)
WHERE governing > version
GROUP BY visitor_id
"""

STORE_SCHEMA_QUERY = """
SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal AND schema_name = 'main'
UNION ALL
SELECT view_name, 'view', sql FROM duckdb_views() WHERE NOT internal AND schema_name = 'main'
ORDER BY ALL
"""


@dataclass(frozen=True)
class StoreState:
    """What the checks of a store read."""

    versions: Sequence[Version]
    version_rows: Sequence[Mapping[str, Any]]
    """The answer to RECORD_VERSIONS_QUERY."""
    raised_rows: Sequence[Mapping[str, Any]]
    """The answer to CONSENT_GOVERNING_QUERY."""
    schema_rows: Sequence[Sequence[str]]
    """The answer to STORE_SCHEMA_QUERY."""
    consented_governing: Mapping[int, int]
    """The governing number to which each visitor consented."""
    overdue: Sequence[OverdueRecords]
    """What is stored for longer than permitted."""


def read_store_state(
    store: Store,
    versions: Sequence[Version],
    consented_governing: Mapping[int, int],
    overdue: Sequence[OverdueRecords],
) -> StoreState:
    """Read from a store what its checks need."""
    return StoreState(
        versions,
        store.query(RECORD_VERSIONS_QUERY, {}).to_dicts(),
        store.query(CONSENT_GOVERNING_QUERY, {}).to_dicts(),
        store.query(STORE_SCHEMA_QUERY, {}).rows,
        consented_governing,
        overdue,
    )
