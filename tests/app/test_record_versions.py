"""A record has the version of its own time, however late and by whichever route it arrives."""

import asyncio
import contextlib
import itertools
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from avowal.app.folder import create_journal_stream
from avowal.app.owner_requests import EnforceRetention, FindVisitorRecords
from avowal.app.session import Session, open_session
from avowal.app.submission_records import ReceivedSubmission, record_received_submission
from avowal.app.verification import verify_open_folder
from avowal.change.consent import ConsentStatement, StatementChannel, prepare_consent, record_consent
from avowal.change.draft import find_terms_path, load_draft
from avowal.change.publish import publish_version, withdraw_version
from avowal.clock import utc_now
from avowal.collect.event_details import EventDetails
from avowal.collect.journal import JournalWriter, list_journals
from avowal.collect.script_event import ClientIdentity, ScriptEvent
from avowal.endpoints.event_writer import EventWriter
from avowal.errors import RefusedError
from avowal.ingest.importer import LogImporter
from avowal.ingest.line_stream import LineStream
from avowal.keep.visitor_lookup import VisitorSelector
from avowal.policy.bounds import Bounds
from avowal.policy.compare import list_governing_bounds
from avowal.server.current_admission import CurrentAdmission
from avowal.server.workers import build_visitor_keys
from avowal.store.columns import NUMBERED_RELATIONS, RELATIONS
from avowal.workspace.layout import JOURNALS_FOLDER
from avowal.workspace.server import FolderServer
from support.depth import by_depth
from support.moved_clock import MovedClock, moved_clock
from support.site import FIREFOX, Site, line
from support.templates import make_once

BEGINNING = datetime(2026, 11, 20, 10)  # noqa: DTZ001  # UTC without a zone
ADDRESS = "192.0.2.77"
REFERRER = "https://search.example/find?q=words"
HEAD = """
vocabulary = 2
controller = "The operator"
contact = "privacy@site.example"
updated = {day}
languages = ["en"]

[[collect]]
categories = ["visit", "view", "request-time", "request-kind", "host", "visitor-id", "submission"]
keep = {{ full = "forever" }}
for = ["abuse"]

[[form]]
name = "order"
fields = {{ name = "person-name" }}
for = ["abuse"]

[duties]
notice-days = 0
"""
CHOICES = {
    "ip-address": ["10 minutes", "3 hours", "2 days", "forever"],
    "page-path": ["1 hour", "forever"],
    "referrer": ["1 hour", "forever"],
    "browser": ["2 hours", "forever"],
    "web-vitals": ["forever"],
    "named-event": ["1 hour", "forever"],
    "status": ["1 day"],
}
"""The categories that a version may collect, and how long it may keep them."""

Choice = dict[str, str]
choices: st.SearchStrategy[Choice] = st.fixed_dictionaries(
    {}, optional={category: st.sampled_from(ages) for category, ages in CHOICES.items()}
)


def write_terms(folder: Path, day: datetime, choice: Choice) -> None:
    blocks = [HEAD.format(day=day.date())]
    for category, age in choice.items():
        keep = f'prefix = "90 days", full = "{age}"' if age != "forever" and category == "ip-address" else ""
        keep = keep or f'full = "{age}"'
        blocks.append(f'[[collect]]\ncategories = ["{category}"]\nkeep = {{ {keep} }}\nfor = ["abuse"]\n')
    (folder / "policy" / "terms.toml").write_text("\n".join(blocks))


@make_once
def folder_without_version(folder: Path) -> Site:
    """Make a folder with settings and terms, of which nothing is published."""
    site = Site(folder).init(settings='[site]\nhost = "site.example"\n[collect]\nlog_format = "combined"\n')
    write_terms(folder, BEGINNING, {"ip-address": "2 days", "page-path": "forever"})
    return site


@dataclass
class Collector:
    """A folder under a moved clock, what collects into it, and when each record arrived."""

    site: Site
    clock: MovedClock
    session: Session
    arrivals: dict[datetime, datetime] = field(default_factory=dict)
    """When the records of each time arrived, the first of them first."""
    consents: dict[int, int] = field(default_factory=dict)
    """The version that each visitor consented to, for what was collected before."""
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def owner(self) -> FolderServer:
        """Return this process as the owner of the folder."""
        assert isinstance(self.session.backend, FolderServer)
        return self.session.backend

    def publish(self, choice: Choice, *, days: int = 0) -> None:
        """Publish a version that takes effect now, or at the midnight some days from now.

        If one that is scheduled stands in the way, it is withdrawn.
        """
        register = self.session.register
        write_terms(self.site.folder, self.clock.moment + timedelta(days=days), choice)
        draft = load_draft(find_terms_path(self.session.folder))
        with register.publication_lock():
            try:
                publish_version(register, draft, utc_now(), accept_weaker=True)
            except RefusedError:
                withdraw_version(register, len(register.versions()), utc_now())

    def schedule(self, choice: Choice) -> None:
        """Publish a version that takes effect at midnight."""
        self.publish(choice, days=1)

    def note(self, moment: datetime) -> None:
        """Note that a record of a time arrives now; one of the future has the time of now."""
        self.arrivals.setdefault(min(moment, self.clock.moment), self.clock.moment)

    def send_event(self, age: timedelta) -> None:
        """Send an event of the script, whose view began some time ago."""
        folder = self.session.folder
        writer = EventWriter(
            CurrentAdmission(self.session.register.data_version, self.session.admission_rules),
            build_visitor_keys(folder),
            JournalWriter(folder.data_folder / JOURNALS_FOLDER, self.session.register.stores.note_journal),
        )
        event = ScriptEvent(
            f"script-view-{next(self.numbers) % 7}",
            "https://site.example/event",
            REFERRER,
            age // timedelta(milliseconds=1),
            1_000,
            EventDetails(largest_contentful_paint_ms=9, event_name="signed-up"),
        )
        self.note(self.clock.moment - age // timedelta(milliseconds=1) * timedelta(milliseconds=1))
        self.note(self.clock.moment)
        asyncio.run(writer.write(event, ClientIdentity(ADDRESS, FIREFOX)))
        writer.close()

    def write_line(self, age: timedelta) -> str:
        """Return a line of a log."""
        moment = (self.clock.moment - age).replace(microsecond=0)
        self.note(moment)
        return line(0, f"/{next(self.numbers)}", start=moment, address=ADDRESS, referrer=REFERRER)

    def import_log(self, age: timedelta) -> None:
        """Import a log file."""
        log = self.site.log(f"{next(self.numbers)}.log", self.write_line(age), self.write_line(2 * age))
        report = LogImporter(self.session.pipeline_factory, self.owner).import_log(log, lambda *_: None)
        assert not report.error

    def receive_syslog(self, age: timedelta) -> None:
        """Receive a line by syslog."""
        stream = LineStream(self.session.pipeline_factory, self.owner.load_segments, "syslog", "combined")
        assert stream.load_lines([self.write_line(age).strip().encode()])

    def answer_request(self, age: timedelta) -> None:
        """Collect a request inside an application, and write it to the journals folder."""
        moment = self.clock.moment - age
        values = {
            "timestamp": moment.replace(tzinfo=UTC).timestamp(),
            "remote_addr": ADDRESS,
            "method": "GET",
        }
        values |= {"uri": "/app", "host": "site.example", "referer": REFERRER, "user_agent": FIREFOX}
        request = msgspec.json.encode({**values, "status": 200, "body_bytes_sent": 1, "request_time": 0.1})
        self.note(datetime.fromtimestamp(values["timestamp"], UTC).replace(tzinfo=None))  # type: ignore[arg-type]  # a number
        stream = create_journal_stream(
            self.session.folder, self.session.register, "application", "nginx-json"
        )
        assert stream.load_lines([request])

    def record_letter(self, age: timedelta) -> None:
        """Record a submission that arrived by letter some time ago."""
        moment = self.clock.moment - max(age, timedelta(0))
        letter = ReceivedSubmission(
            "order", StatementChannel.LETTER, None, moment, [("name", "Ann Example")], []
        )
        try:
            submission = record_received_submission(self.session, letter, utc_now())
        except RefusedError:
            return
        assert submission.version == self.version_at(moment)

    def consent(self, _: None) -> None:
        """Record the consent of a visitor, for what was collected before, to the version in force."""
        visitors = (
            "SELECT visitor_id FROM collected_records WHERE visitor_id IS NOT NULL ORDER BY ALL LIMIT 1"
        )
        for (visitor,) in self.owner.store.query(visitors, {}).rows:
            records = self.session.call(FindVisitorRecords(VisitorSelector(f"{visitor:016x}")))
            statement = ConsentStatement(StatementChannel.LETTER)
            with contextlib.suppress(RefusedError):
                consent = prepare_consent(self.session.register, records, 0, statement, utc_now())
                record_consent(self.session.register, consent)
                self.consents[visitor] = consent.version

    def load(self) -> None:
        """Load what waits in the journals folder."""
        self.owner.pending_files.load_arrivals(list_journals(self.site.data / JOURNALS_FOLDER))
        self.session.derive_views()

    def version_at(self, moment: datetime) -> int:
        """Return the version in force at a moment; the first one before it."""
        versions = self.session.register.versions()
        return max(sum(version.effective_at <= moment for version in versions), 1)

    def bounds_at(self, governing: int, moment: datetime) -> Bounds:
        """Return the bounds at a moment of records with a governing number."""
        versions = [one for one in self.session.register.versions() if one.effective_at <= moment]
        return list_governing_bounds([version.compiled_terms for version in versions])[governing - 1]

    def check_arrivals(self) -> None:
        """Check that each collected record has the right versions, and no more than was permitted on arrival."""
        for name, row, record_time in self.rows(NUMBERED_RELATIONS):
            arrival = self.arrivals[record_time]
            check_columns(name, row, self.bounds_at(row["version"], arrival), arrival - record_time)

    def check_retention(self) -> None:
        """Check that nothing of any relation is beyond what governs it now."""
        for name, row, record_time in self.rows(RELATIONS):
            age = self.clock.moment - record_time
            check_columns(name, row, self.bounds_at(row["governing"], self.clock.moment), age)

    def rows(self, names: Iterable[str]) -> Iterator[tuple[str, dict[str, Any], datetime]]:
        """Yield each row of some relations with its time, after a check of its versions."""
        for name in names:
            for row in self.owner.store.query(f"SELECT * FROM {name}", {}).to_dicts():
                record_time = row[RELATIONS[name].time_column]
                version = self.version_at(record_time)
                governing = max(version, self.consents.get(row["visitor_id"], 0))
                assert (row["version"], row["governing"]) == (version, governing), (name, row)
                yield name, row, record_time


def check_columns(name: str, row: dict[str, Any], bounds: Bounds, age: timedelta) -> None:
    for column, forms in RELATIONS[name].columns.items():
        precisions = {form.precision: bounds.retention_ages(form.category) for form in forms}
        permitted = {
            precision
            for precision, ages in precisions.items()
            if precision in ages
            and (ages[precision] is None or age.total_seconds() <= (ages[precision] or 0))
        }
        assert row[column] is None or permitted, (name, column, row, age)
        if row[column] in {ADDRESS, REFERRER}:
            assert "full" in permitted, (name, column, row, age)


ROUTES = ("send_event", "import_log", "receive_syslog", "answer_request", "record_letter")
ages = st.one_of(
    st.sampled_from([0, 1, 60, 3_600, 86_400, -60]), st.integers(-7_200, 100_000), st.integers(0, 400_000)
).map(lambda seconds: timedelta(seconds=seconds))
steps = st.one_of(
    st.tuples(st.sampled_from(ROUTES), ages),
    st.tuples(st.sampled_from(ROUTES), ages),
    st.tuples(st.sampled_from(("publish", "publish", "schedule")), choices),
    st.tuples(st.just("wait"), st.integers(1, 40_000)),
    st.tuples(st.sampled_from(("load", "retain", "restart", "consent")), st.none()),
)


@settings(max_examples=by_depth(standard=12, thorough=200, quick=4))
@given(st.lists(steps, min_size=4, max_size=24))
def test_every_record_has_the_version_of_its_own_time(drawn: list[tuple[str, Any]]) -> None:
    """Whatever versions take effect, and however late records arrive by any route, versions and columns are right.

    Each stored record names the version in force at its own time, and holds nothing beyond what this version and all
    later ones in force on arrival permit at its age; retention reduces it by all that are in force then.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "site"
        folder_without_version(folder)
        with contextlib.chdir(folder), moved_clock(BEGINNING) as clock:
            arrivals, consents = dict[datetime, datetime](), dict[int, int]()
            for part in _split_at_restarts(drawn):
                with open_session(None, adopt_terms=True) as session:
                    current = Collector(Site(folder), clock, session, arrivals, consents)
                    for name, value in part:
                        clock.advance(seconds=1)
                        _take_step(current, name, value)
                    current.load()
                    current.check_arrivals()
                    session.call(EnforceRetention())
                    current.check_retention()
                    assert verify_open_folder(session).findings == []


def _split_at_restarts(drawn: Sequence[tuple[str, Any]]) -> Iterator[list[tuple[str, Any]]]:
    part: list[tuple[str, Any]] = []
    for step in drawn:
        if step[0] == "restart":
            yield part
            part = []
        else:
            part.append(step)
    yield part


def _take_step(current: Collector, name: str, value: Any) -> None:
    match name:
        case "wait":
            current.clock.advance(seconds=value)
        case "retain":
            current.session.call(EnforceRetention())
        case "load":
            current.load()
        case "send_event":
            current.send_event(max(value, timedelta(0)))
        case _:
            getattr(current, name)(value)
