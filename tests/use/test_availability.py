"""Outages and availability from probes, computed by hand."""

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
    opened = DuckDBStore(tmp_path, "256MB")
    yield opened
    opened.close()


def put(store: DuckDBStore, states: str, page: str = PAGE, begin: float = 0) -> None:
    """Put in a probe a minute; a space is a minute without one."""
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


def told(store: DuckDBStore, table: str, **asked: Any) -> list[dict[str, Any]]:
    """Return a table of the report, where nothing but probes is there."""
    question = ReportRequest("availability", **{"filters": parse_filters([]), **asked})
    return (
        run_report(lambda purpose: PurposeView(store, [], purpose, START), question).tables[table].to_dicts()
    )


def outages(store: DuckDBStore, **asked: Any) -> list[tuple[float, float | None, float, int]]:
    """Return each outage's begin, end and length in minutes, the last first, and its probes."""

    def minutes(moment: datetime | None) -> float | None:
        return None if moment is None else (moment - START) / timedelta(minutes=1)

    return [
        (
            minutes(one["started_at"]),
            minutes(one["ended_at"]),
            one["outage_duration_ms"] / 60_000,
            one["probes"],
        )  # type: ignore[misc]
        for one in told(store, "availability_outages", **asked)
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
def test_outages(store: DuckDBStore, states: str, expected: list[Any]) -> None:
    """From the first probe that found it down to the first that did not; of what nobody watched nothing is said."""
    put(store, states)
    assert outages(store) == expected


def test_each_page_has_its_own(store: DuckDBStore) -> None:
    """Other pages' probes between do not end an outage."""
    other = "https://other.example/a"
    put(store, "uddu")
    put(store, "uuuu", other, begin=0.5)
    put(store, "d", other, begin=4.5)
    assert [(one["page"], one["failure_reason"]) for one in told(store, "availability_outages")] == [
        (other, "timeout"),
        (PAGE, "timeout"),
    ]
    assert outages(store, filters=parse_filters(["host=site.*"])) == [(1, 3, 2, 2)]
    assert outages(store, since=START + timedelta(minutes=2)) == [(4.5, None, 0, 1), (2, 3, 1, 1)]


def test_how_much_it_was_up(store: DuckDBStore) -> None:
    """Slow is up; the last probe tells how it is, and the last with a certificate how long that is valid."""
    put(store, "uusud")
    (one,) = told(store, "availability_probes")
    assert one == {
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


def test_old_probes_are_forgotten(store: DuckDBStore) -> None:
    """Whoever adds some says from when on they are kept."""
    put(store, "uuuu")
    store.add_probes([], START + timedelta(minutes=2))
    (one,) = told(store, "availability_probes")
    assert one["probes"] == 2


def test_probes_do_not_tell_of_what_a_shared_report_leaves_out(store: DuckDBStore) -> None:
    """They are in it, and its account is as of an empty one."""
    put(store, "u")
    question = ReportRequest("availability", filters=parse_filters([]), is_shared=True)
    found = run_report(lambda purpose: PurposeView(store, [], purpose, START), question)
    assert len(found.tables["availability_probes"].rows) == 1
    assert found.completeness.bot_requests is None
