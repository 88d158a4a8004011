"""Outages and availability from probes, compared with values computed by hand."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from avowal.collect.probe import FailureReason, ProbeResult, ProbeState
from avowal.store.duckdb_store import DuckDBStore
from avowal.use.purpose_view import PurposeView
from avowal.use.report_request import ReportRequest, parse_filters
from avowal.use.reports import run_report

START = datetime(2026, 1, 5, 12)  # noqa: DTZ001  # UTC without a zone
PAGE = "https://site.example/"
WORDS = {"u": ProbeState.UP, "s": ProbeState.SLOW, "d": ProbeState.DOWN}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    store = DuckDBStore(tmp_path, "256MB")
    yield store
    store.close()


def add_probes(store: DuckDBStore, states: str, page: str = PAGE, begin: float = 0) -> None:
    """Add one probe per minute; a space is a minute without a probe."""
    probes = [
        ProbeResult(
            START + timedelta(minutes=begin + place),
            page,
            page.split("/")[2],
            WORDS[state],
            60,
            failure_reason=FailureReason.TIMEOUT if state == "d" else None,
            response_ms=None if state == "d" else 100 * (place + 1),
            certificate_days=None if state == "d" else 30 - place,
        )
        for place, state in enumerate(states)
        if state != " "
    ]
    store.add_probes(probes, datetime.min)


def read_table(store: DuckDBStore, table: str, **options: Any) -> list[dict[str, Any]]:
    """Return a table of the report of a store that has only probes."""
    request = ReportRequest("availability", **{"filters": parse_filters([]), **options})
    return (
        run_report(lambda purpose: PurposeView(store, [], purpose, START), request).tables[table].to_dicts()
    )


def read_outages(store: DuckDBStore, **options: Any) -> list[tuple[float, float | None, float, int]]:
    """Return start, end and length in minutes and the number of probes of each outage, the last first."""

    def minutes(moment: datetime | None) -> float | None:
        return None if moment is None else (moment - START) / timedelta(minutes=1)

    return [
        (
            minutes(outage["started_at"]),
            minutes(outage["ended_at"]),
            outage["outage_duration_ms"] / 60_000,
            outage["probes"],
        )  # type: ignore[misc]
        for outage in read_table(store, "availability_outages", **options)
    ]


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ("uuu", []),
        ("udu", [(1, 2, 1, 1)]),
        ("usdddsu", [(2, 5, 3, 3)]),
        ("dduddd", [(3, None, 2, 3), (0, 2, 2, 2)]),
        ("ud", [(1, None, 0, 1)]),
        ("ud u", [(1, 3, 2, 1)]),
        ("udd    uu", [(1, None, 1, 2)]),
        ("udd    ddu", [(7, 9, 2, 2), (1, None, 1, 2)]),
        ("uu    ddu", [(6, 8, 2, 2)]),
    ],
)
def test_outages_are_derived_from_probes(store: DuckDBStore, states: str, expected: list[Any]) -> None:
    """An outage lasts from the first failed probe to the next successful one, as far as it was probed."""
    add_probes(store, states)
    assert read_outages(store) == expected


def test_each_page_has_its_own_outages(store: DuckDBStore) -> None:
    """Probes of another page do not end an outage."""
    other = "https://other.example/a"
    add_probes(store, "uddu")
    add_probes(store, "uuuu", other, begin=0.5)
    add_probes(store, "d", other, begin=4.5)
    assert [
        (outage["page"], outage["failure_reason"]) for outage in read_table(store, "availability_outages")
    ] == [
        (other, "timeout"),
        (PAGE, "timeout"),
    ]
    assert read_outages(store, filters=parse_filters(["host=site.*"])) == [(1, 3, 2, 2)]
    assert read_outages(store, since=START + timedelta(minutes=2)) == [(4.5, None, 0, 1), (2, 3, 1, 1)]


def test_the_uptime_share_is_reported(store: DuckDBStore) -> None:
    """A slow page is up; the last probe gives the state, and the last with a certificate the days left."""
    add_probes(store, "uusud")
    (row,) = read_table(store, "availability_probes")
    assert row == {
        "page": PAGE,
        "last_state": "down",
        "probes": 5,
        "uptime_share": 0.8,
        "slow_share": 0.2,
        "median_response_ms": 250,
        "p95_response_ms": 400,
        "certificate_days_left": 27,
        "last_seen_at": START + timedelta(minutes=4),
    }


def test_old_probes_are_deleted(store: DuckDBStore) -> None:
    """Adding probes deletes those from before a given time."""
    add_probes(store, "uuuu")
    store.add_probes([], START + timedelta(minutes=2))
    (row,) = read_table(store, "availability_probes")
    assert row["probes"] == 2


def test_a_shared_report_contains_probes(store: DuckDBStore) -> None:
    """A shared report contains probes, and does not say how many bot requests it excludes."""
    add_probes(store, "u")
    request = ReportRequest("availability", filters=parse_filters([]), is_shared=True)
    result = run_report(lambda purpose: PurposeView(store, [], purpose, START), request)
    assert len(result.tables["availability_probes"].rows) == 1
    assert result.completeness.bot_requests is None
