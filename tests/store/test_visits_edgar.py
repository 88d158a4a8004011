"""Visits of real requests, compared with published sessions."""

import csv
from collections import Counter
from datetime import datetime
from math import gcd
from pathlib import Path

import pytest

from support.site import REAL_DATA, Site, line

FOLDERS = sorted((REAL_DATA / "visits").glob("edgar_*"))
MIDNIGHT = datetime(2026, 1, 5)  # noqa: DTZ001  # UTC without a zone
DAY_SECONDS = 24 * 60 * 60

pytestmark = pytest.mark.skipif(not FOLDERS, reason=f"needs the sample requests in {REAL_DATA / 'visits'}")

Session = tuple[str, float, float, int]
"""Address, first and last second after the start of the log, number of documents."""


def moment(date: str, clock: str) -> datetime:
    return datetime.fromisoformat(f"{date}T{clock}+00:00")


def expected_sessions(folder: Path, first: datetime) -> Counter[Session]:
    """Read the published sessions, whose duration includes their last second."""
    sessions: Counter[Session] = Counter()
    for row in csv.reader((folder / "output" / "sessionization.txt").read_text().splitlines()):
        address, start_text, end_text, duration, documents = row
        start, end = ((moment(*text.split(" ")) - first).total_seconds() for text in (start_text, end_text))
        assert int(duration) == end - start + 1
        sessions[address, start, end, int(documents)] += 1
    return sessions


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_visits_match_the_published_sessions(tmp_path: Path, folder: Path) -> None:
    """The same requests give visits with the same address, beginning, end and number of views.

    Their longest pause is in seconds and ours in whole minutes, so the times are stretched by a factor.
    All requests stay within one visitor day, which their sessions do not have. The path of each request names its
    address, as visits have none.
    """
    requests = list(csv.DictReader((folder / "input" / "log.csv").read_text().splitlines()))
    pause = int((folder / "input" / "inactivity_period.txt").read_text())
    times = [moment(row["date"], row["time"]) for row in requests]
    gap_minutes = pause // gcd(60, pause)
    stretch = gap_minutes * 60 // pause
    assert stretch * pause == gap_minutes * 60
    assert stretch * (max(times) - min(times)).total_seconds() < DAY_SECONDS
    numbers = {address: number for number, address in enumerate(sorted({row["ip"] for row in requests}))}
    names = {f"/{number}": address for address, number in numbers.items()}
    site = Site(tmp_path).init(
        settings=f'[site]\nday_start = "00:00"\n[collect]\nvisit_gap_minutes = {gap_minutes}\nlog_format = "combined"\n'
    )
    lines = []
    for row, time in zip(requests, times, strict=True):
        number = numbers[row["ip"]]
        address = f"192.0.2.{number}" if number % 2 else f"2001:db8::{number:x}"
        seconds = stretch * (time - min(times)).total_seconds()
        lines.append(line(seconds / 60, f"/{number}", start=MIDNIGHT, address=address))
    report = site.import_logs(site.log("access.log", *lines))
    assert (report["counts"]["requests"], report["views"]) == (len(requests), len(requests))
    sessions: Counter[Session] = Counter()
    for path, visit_time, duration, views in site.rows(
        "SELECT entry_path, visit_time, coalesce(visit_duration_ms, 0), views FROM visits"
    ):
        start = (visit_time - MIDNIGHT).total_seconds() / stretch
        sessions[names[path], start, start + duration / 1000 / stretch, views] += 1
    assert sessions == expected_sessions(folder, min(times))
    assert sum(sessions.values()) > 1
