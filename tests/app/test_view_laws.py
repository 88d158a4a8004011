"""The laws of counting views, through the program: logs are imported, and events admitted and loaded."""

import asyncio
import contextlib
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avowal.app.session import Session, open_session
from avowal.collect.journal import JournalWriter, list_journals
from avowal.collect.script_event import ClientIdentity, ScriptEvent
from avowal.endpoints.event_writer import EventWriter
from avowal.ingest.importer import LogImporter
from avowal.server.current_admission import CurrentAdmission
from avowal.server.workers import build_visitor_keys
from avowal.workspace.layout import JOURNALS_FOLDER
from avowal.workspace.server import FolderServer
from support.depth import by_depth
from support.moved_clock import MovedClock, moved_clock
from support.site import CHROME, FIREFOX, Site, line
from support.templates import make_once

NOON = datetime(2026, 12, 1, 12, 0)  # noqa: DTZ001  # UTC without a zone
HOST = "site.example"
COOKIES = ("", "ZaNCAAAAAAAAAAAAAAAAAA", "ZaNCBBBBBBBBBBBBBBBBBB")
"""No cookie, or one that a visitor has accepted."""


@dataclass(frozen=True)
class Record:
    """A line of a log, or an event of the script about a view that began then."""

    seconds: int
    path: str
    address: str
    is_event: bool
    cookie: str = ""
    agent: str = FIREFOX


records = st.builds(
    Record,
    seconds=st.integers(0, 30),
    path=st.sampled_from(["/", "/a"]),
    address=st.sampled_from(["192.0.2.1", "192.0.2.1", "2001:db8::1", "-"]),
    is_event=st.booleans(),
    cookie=st.sampled_from(COOKIES),
    agent=st.sampled_from([FIREFOX, FIREFOX, CHROME]),
)


@make_once
def site_of_laws(folder: Path) -> Site:
    """Make a folder with a host and a version in force."""
    return Site(folder).init(settings=f'[site]\nhost = "{HOST}"\n[collect]\nlog_format = "combined"\n')


class Counting:
    """A folder into which batches of records are loaded."""

    def __init__(self, site: Site, session: Session, clock: MovedClock) -> None:
        self.site, self.session, self.clock, self.number = site, session, clock, 0

    @property
    def owner(self) -> FolderServer:
        """Return this process as the owner of the folder."""
        assert isinstance(self.session.backend, FolderServer)
        return self.session.backend

    def load(self, batch: Sequence[Record]) -> None:
        """Load lines as one log and events as one journal, and derive views and visits."""
        self.number += 1
        lines = [
            line(record.seconds / 60, record.path, start=NOON, address=record.address, agent=record.agent)
            for record in batch
            if not record.is_event
        ]
        if lines:
            log = self.site.log(f"{self.number}.log", f"# {self.number}\n", *lines)
            report = LogImporter(self.session.pipeline_factory, self.owner, as_new_log=True).import_log(
                log, lambda *_: None
            )
            assert not report.error, report
        for position, record in enumerate(batch):
            if record.is_event:
                self.send(record, f"view-{self.number}-{position}-token")
        self.owner.pending_files.load_arrivals(list_journals(self.site.data / JOURNALS_FOLDER))
        self.session.derive_views()

    def send(self, record: Record, token: str) -> None:
        """Send an event of a view that began at the time of the record."""
        folder = self.session.folder
        writer = EventWriter(
            CurrentAdmission(self.session.register.data_version, self.session.admission_rules),
            build_visitor_keys(folder),
            JournalWriter(folder.data_folder / JOURNALS_FOLDER, self.session.register.stores.note_journal),
        )
        age = self.clock.moment - NOON - timedelta(seconds=record.seconds)
        event = ScriptEvent(token, f"https://{HOST}{record.path}", "", age // timedelta(milliseconds=1), 500)
        address = "" if record.address == "-" else record.address
        asyncio.run(writer.write(event, ClientIdentity(address, record.agent, record.cookie)))
        writer.close()

    def views(self) -> Counter[tuple[str, str]]:
        """Return the number of views of each host and path."""
        rows = self.owner.store.query("SELECT host, page_path, count(*) FROM views GROUP BY ALL", {}).rows
        return Counter({(host, path): count for host, path, count in rows})

    def everything(self) -> list[list[list[Any]]]:
        """Return how many views and visits there are, and what they say beside keys, which are new in each folder."""
        views = """
            SELECT view_time, page_path, view_source, view_duration_ms, visit_time, visitor_id & 1 FROM views
            ORDER BY ALL"""
        visits = (
            "SELECT visit_time, visit_duration_ms, views, downloads, visitor_id & 1 FROM visits ORDER BY ALL"
        )
        return [self.owner.store.query(sql, {}).rows for sql in (views, visits)]


@contextlib.contextmanager
def counting() -> Iterator[Counting]:
    """Open a new folder half an hour after NOON."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "site"
        site = site_of_laws(folder)
        with (
            contextlib.chdir(folder),
            moved_clock(NOON + timedelta(minutes=30)) as clock,
            open_session(None, adopt_terms=True) as session,
        ):
            yield Counting(site, session, clock)


@settings(max_examples=by_depth(standard=15, thorough=200, quick=4))
@given(st.lists(records, max_size=6), records)
def test_one_more_record_never_lowers_a_number_of_views(before: list[Record], more: Record) -> None:
    """One more event, or one more line of a log, takes no view from any host and path, and adds one at most."""
    with counting() as folder:
        folder.load(before)
        earlier = folder.views()
        folder.load([more])
        later = folder.views()
    assert not earlier - later
    assert (later - earlier).total() <= 1


@settings(max_examples=by_depth(standard=15, thorough=200, quick=4))
@given(st.lists(records, min_size=2, max_size=7), st.randoms(use_true_random=False))
def test_the_order_of_arrival_has_no_influence(batch: list[Record], random: object) -> None:
    """All at once, or one by one in any order: the same views and visits, while the day's salt lives."""
    with counting() as folder:
        folder.load(batch)
        expected = folder.everything()
    shuffled = list(batch)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # Hypothesis has no type for it
    with counting() as folder:
        for record in shuffled:
            folder.load([record])
        assert folder.everything() == expected


def seen(seconds: int, path: str = "/", address: str = "192.0.2.1", **more: str) -> tuple[Record, Record]:
    """Return the line and the event of one page view."""
    return hit(seconds, path, address), event(seconds, path, address, **more)


def hit(seconds: int, path: str = "/", address: str = "192.0.2.1") -> Record:
    """Return a line of a log."""
    return Record(seconds, path, address, is_event=False)


def event(seconds: int, path: str = "/", address: str = "192.0.2.1", **more: str) -> Record:
    """Return an event of the script."""
    return Record(seconds, path, address, is_event=True, **more)


CASES = {
    "both": ([*seen(0), *seen(20, "/a")], {"both": 2}),
    "blocker": ([*seen(0), hit(1, "/", "192.0.2.2")], {"both": 1, "log": 1}),
    "cached pages": ([*seen(0), event(20, "/a"), event(40)], {"both": 1, "script": 2}),
    "single-page application": ([*seen(0, "/app"), *(event(n, f"/app/{n}") for n in range(1, 6))], {"both": 1, "script": 5}),
    "partial log": ([*(event(n, "/a") for n in (0, 20, 40)), hit(20, "/a")], {"both": 1, "script": 2}),
    "log by IPv6, script by IPv4": ([hit(0, "/", "2001:db8::1"), event(0)], {"log": 1, "script": 1}),
    "cookie": ([*seen(0, cookie=COOKIES[1]), hit(10, "/a")], {"both": 1, "log": 1}),
    "no address in the log": ([hit(0, "/", "-"), event(2)], {"both": 1}),
    "reloaded at once": ([*seen(0), *seen(1), *seen(2)], {"both": 3}),
    "spam": ([*(hit(n, f"/{n}", f"192.0.2.{n}") for n in range(180)), event(0, "/spam", "198.51.100.1")], {"log": 180, "script": 1}),
    "spam of a page": ([*(hit(n % 3, "/", f"192.0.2.{n}") for n in range(180)), event(1, "/", "198.51.100.1")], {"log": 180, "script": 1}),
    "slow connection": ([hit(0), event(5)], {"both": 1}),
    "too far apart": ([hit(0), event(6)], {"log": 1, "script": 1}),
}  # fmt: skip


@pytest.mark.parametrize("is_log_late", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_each_view_counts_once(case: str, *, is_log_late: bool) -> None:
    """The sources of the views are as expected, in one load, and where the log comes after the script."""
    batch, expected = CASES[case]
    with counting() as folder:
        if is_log_late:
            folder.load([record for record in batch if record.is_event])
            folder.load([record for record in batch if not record.is_event])
        else:
            folder.load(batch)
        rows = folder.owner.store.query("SELECT view_source, count(*) FROM views GROUP BY ALL", {}).rows
    assert dict(rows) == expected


@pytest.mark.parametrize(
    ("batch", "shares", "names_causes"),
    [
        ([*seen(0), *seen(20, "/a"), hit(30), event(40)], {"both": 0.5, "script": 0.25, "log": 0.25}, False),
        ([hit(0, "/", "2001:db8::1"), hit(9, "/a"), event(0), event(9)], {"both": 0.0, "script": 0.5, "log": 0.5}, True),
        ([hit(0), hit(9)], {"both": 0.0, "script": 0.0, "log": 1.0}, False),
    ],
)  # fmt: skip
def test_reports_and_status_say_what_log_and_script_share(
    batch: list[Record], shares: dict[str, float], *, names_causes: bool
) -> None:
    """Each report has the shares; where few views are in both, the status and the report on coverage name causes."""
    with counting() as folder:
        folder.load(batch)
        site = folder.site
        for name in ("overview", "pages"):
            assert site.report(name)["view_sources"] == shares
        coverage, status = site.report("coverage"), site.avowal("status").out
        shared = site.avowal("report", "overview", "--shared", "--json").json()
    assert any("IPv4" in note for note in coverage["notes"]) == names_causes
    assert ("IPv4" in status) == names_causes
    assert (f"views of `{HOST}`" in status) == (shares["script"] > 0)
    assert not any(shared["view_sources"].values())
