"""Random histories of a folder, compared with the model of `support/model_history.py` after every step.

The program is driven as its commands and its server drive it, under a moved clock. What each purpose sees, what a visitor
exports, what is released, and what is stored after retention have to be exactly what the model has. `verify` is clean.
"""

import contextlib
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from avowal.app.owner_requests import ApplyConsents, EnforceRetention, EraseVisitor, FindVisitorRecords
from avowal.app.session import Session, open_session
from avowal.app.verification import verify_open_folder
from avowal.app.visitor_data import VisitorDataAccess
from avowal.change.consent import (
    ConsentStatement,
    StatementChannel,
    prepare_consent,
    prepare_withdrawal,
    record_consent,
)
from avowal.change.draft import find_terms_path, load_draft
from avowal.change.publish import publish_version
from avowal.clock import to_microseconds, utc_now
from avowal.collect.event_admission import EventAdmission
from avowal.collect.journal import JournalWriter, list_journals
from avowal.collect.script_event import ClientIdentity, ScriptEvent, VisitorKeys
from avowal.disclose.request import ReleaseInput
from avowal.errors import DisclosureError, RefusedError
from avowal.ingest.importer import LogImporter
from avowal.keep.enforcement import compute_governing_bounds, effective_versions
from avowal.keep.visitor_lookup import VisitorSelector
from avowal.register.authorisations import Authorisation
from avowal.use.purpose_view import PurposeView
from avowal.workspace.layout import JOURNALS_FOLDER
from avowal.workspace.server import FolderServer
from support.depth import by_depth
from support.model_history import (
    CATEGORIES,
    PURPOSES,
    RECIPIENT,
    TIMES,
    Age,
    Ages,
    Cell,
    History,
    Removals,
    path_of,
)
from support.moved_clock import MovedClock, moved_clock
from support.site import FIREFOX, Site, line

BEGINNING = datetime(2026, 1, 5, 12)  # noqa: DTZ001  # UTC without a zone
ADDRESSES = {"ann": "192.0.2.11", "ben": "198.51.100.12", "carol": "203.0.113.13", "dan": "192.0.2.14"}
COOKIE_KEYS = {"carol": 3, "dan": 5}
"""The keys of the visitors with the cookie, whom the script reports; the others are in logs, with a key for each day."""

HEAD = """
vocabulary = 2
controller = "A"
contact = "a@example.org"
updated = {day}
languages = ["en"]

[[collect]]
categories = ["request-kind", "bot"]
keep = {{ full = "forever" }}
for = ["content", "abuse"]

[[ground]]
name = "authorised"
evidence = ["authorisation"]

[duties]
notice-days = 0
may-see = true
may-erase = true
"""
ages = st.sampled_from([2, 5, 9, 30, None])
none_or_ages = st.one_of(st.just(0), ages)


def order(age: Age) -> float:
    """Return what ages are ordered by."""
    return float("inf") if age is None else age


@st.composite
def draw_terms(draw: st.DrawFn) -> Ages:
    """Draw terms. What is derived may be kept for as long as its source at least, and a network as its address."""
    terms: Ages = {}
    for user in (*PURPOSES, RECIPIENT):
        short, long = sorted((draw(ages), draw(ages)), key=order)
        drawn = {
            ("request-time", "full"): short,
            ("view-time", "full"): long,
            ("visit-time", "full"): long,
            ("visitor-id", "full"): draw(st.sampled_from([None, None, 9])) if user != RECIPIENT else 0,
            ("page-path", "full"): draw(none_or_ages),
            ("status", "full"): draw(none_or_ages),
        }
        drawn["ip-address", "full"], drawn["ip-address", "prefix"] = sorted(
            (draw(none_or_ages), draw(none_or_ages)), key=order
        )
        terms |= {
            (category, precision, user): age for (category, precision), age in drawn.items() if age != 0
        }
    return terms


def write_terms(folder: Path, day: datetime, terms: Ages) -> None:
    """Write terms that are in force from a day."""
    blocks = [HEAD.format(day=day.date())]
    for category in {category for category, _, _ in terms}:
        for user in (*PURPOSES, RECIPIENT):
            keep = ", ".join(
                f'{precision} = "{"forever" if age is None else f"{age} days"}"'
                for (name, precision, other), age in terms.items()
                if (name, other) == (category, user)
            )
            if keep:
                rest = (
                    'to = "named-person"\nground = "authorised"' if user == RECIPIENT else f'for = ["{user}"]'
                )
                table = "disclose" if user == RECIPIENT else "collect"
                blocks.append(f'[[{table}]]\ncategories = ["{category}"]\nkeep = {{ {keep} }}\n{rest}\n')
    (folder / "policy" / "terms.toml").write_text("\n".join(blocks))


class Step(NamedTuple):
    """What happens, some days after the step before."""

    days: int
    kind: Literal["log", "script", "publish", "consent", "withdraw", "erase", "retain", "look"]
    visitor: str
    number: int
    """How many pages the visitor sees, or which of the visitors it is."""
    terms: Ages


KINDS = [
    "log",
    "log",
    "script",
    "script",
    "publish",
    "consent",
    "consent",
    "withdraw",
    "retain",
    "look",
    "erase",
]
steps = st.builds(
    Step,
    st.sampled_from([1, 1, 2, 4, 7]),
    st.sampled_from(KINDS),
    st.sampled_from([*ADDRESSES]),
    st.integers(1, 3),
    draw_terms(),
)


@dataclass
class Driver:
    """A folder, the model of it, and what takes the same step in both."""

    site: Site
    clock: MovedClock
    session: Session
    history: History
    keys: dict[str, str] = field(default_factory=dict)
    """The key of each visitor of the model."""

    @property
    def owner(self) -> FolderServer:
        """Return this process as the owner of the folder."""
        assert isinstance(self.session.backend, FolderServer)
        return self.session.backend

    def take(self, step: Step) -> None:
        """Take a step in the folder and in the model."""
        self.history.now = self.clock.advance(days=step.days)
        visitors = [*self.keys]
        visitor = visitors[step.number * 7 % len(visitors)] if visitors else ""
        match step.kind:
            case "log":
                self.visit_by_log(step.visitor, step.number)
            case "script":
                self.visit_by_script("carol" if step.number > 1 else "dan", step.number)
            case "publish":
                self.publish(step.terms)
            case "retain":
                self.retain()
            case "consent" if visitor:
                assert self.history.consent(visitor) is self.consent(visitor)
            case "withdraw" if visitor:
                assert self.history.withdraw(visitor) is self.withdraw(visitor)
            case "erase" if visitor:
                assert self.history.erase(visitor) is self.erase(visitor)
        self.compare()

    def moments(self, count: int) -> list[datetime]:
        """Return the times of page views, which began an hour ago."""
        return [self.clock.moment - timedelta(minutes=60 - minutes) for minutes in range(count)]

    def publish(self, terms: Ages) -> None:
        """Publish terms, which take effect now."""
        write_terms(self.site.folder, self.clock.moment, terms)
        draft = load_draft(find_terms_path(self.session.folder))
        publish_version(self.session.register, draft, utc_now(), accept_weaker=True)
        self.history.publish(terms)
        assert len(self.session.register.versions()) == len(self.history.versions)

    def visit_by_log(self, name: str, count: int) -> None:
        """Import a log of one visit. Its visitor has a key of that day alone."""
        visitor, moments = f"{name} {self.clock.moment:%Y-%m-%d}", self.moments(count)
        lines = [
            line(0, path_of(moment), start=moment, address=ADDRESSES[name], agent=FIREFOX)
            for moment in moments
        ]
        log = self.site.log(f"{self.clock.moment:%Y-%m-%d}.log", *lines)
        report = LogImporter(self.session.pipeline_factory, self.owner).import_log(log, lambda *_: None)
        assert not report.error
        self.session.derive_views()
        self.history.visit_by_log(visitor, ADDRESSES[name], moments)
        sql = "SELECT any_value(visitor_id) FROM requests WHERE request_time = $moment"
        self.keys[visitor] = f"{self.owner.store.query(sql, {'moment': moments[0]}).rows[0][0]:016x}"

    def visit_by_script(self, name: str, count: int) -> None:
        """Receive the events of one visit with the cookie."""
        moments, key = self.moments(count), COOKIE_KEYS[name]
        register = self.session.register
        journals = self.site.data / JOURNALS_FOLDER
        writer = JournalWriter(journals, register.stores.note_journal)
        admission = EventAdmission(self.session.admission_rules(utc_now()))
        for moment in moments:
            elapsed_ms = (self.clock.moment - moment) // timedelta(milliseconds=1)
            token = f"view-{moment:%Y%m%d%H%M%S}"
            event = ScriptEvent(token, f"https://site.example{path_of(moment)}", elapsed_ms=elapsed_ms)
            writer.append(
                admission.admit_event(
                    event,
                    ClientIdentity(ADDRESSES[name], FIREFOX),
                    lambda *_, **__: VisitorKeys(key, key),
                    to_microseconds(self.clock.moment),
                )
            )
        writer.rotate()
        self.owner.pending_files.load_arrivals(list_journals(journals))
        self.session.derive_views()
        self.history.visit_by_script(name, ADDRESSES[name], moments)
        self.keys[name] = f"{key:016x}"

    def consent(self, visitor: str) -> bool:
        """Record a consent to the version in force; returns whether it was accepted."""
        records = self.session.call(FindVisitorRecords(VisitorSelector(self.keys[visitor])))
        statement = ConsentStatement(StatementChannel.LETTER, "", "en")
        try:
            consent = prepare_consent(self.session.register, records, 0, statement, utc_now())
        except RefusedError:
            return False
        record_consent(self.session.register, consent)
        return True

    def withdraw(self, visitor: str) -> bool:
        """Record the withdrawal of the last consent; returns whether there was one."""
        statement, register = ConsentStatement(StatementChannel.LETTER, "", "en"), self.session.register
        try:
            withdrawal = prepare_withdrawal(register, self.keys[visitor], 0, statement, utc_now())
        except RefusedError:
            return False
        record_consent(register, withdrawal)
        return True

    def erase(self, visitor: str) -> bool:
        """Erase a visitor; returns whether anything was held."""
        try:
            self.session.call(EraseVisitor(self.keys[visitor]))
        except RefusedError:
            return False
        return True

    def retain(self) -> None:
        """Run retention, and compare what is stored and what the ledger counts."""
        removed = self.session.call(EnforceRetention())
        expected = self.history.retain()
        found: Removals = Counter()
        for removal in removed:
            found[removal.relation, removal.category, removal.version] += removal.record_count
        assert found == expected
        rows = {name: self.owner.store.query(f"SELECT * FROM {name}", {}).to_dicts() for name in TIMES}
        assert set(cells_of(rows)) == self.history.stored()
        assert verify_open_folder(self.session).findings == []

    def compare(self) -> None:
        """Compare what each purpose sees, what each visitor exports, and what is released of each."""
        self.session.call(ApplyConsents())
        for purpose in PURPOSES:
            now = utc_now()
            bounds = compute_governing_bounds(effective_versions(self.session.register.versions(), now))
            with PurposeView(self.owner.store, bounds, purpose, now).open() as query:
                rows = {name: query(f"SELECT * FROM {name}", {}).to_dicts() for name in TIMES}
            assert set(cells_of(rows)) == self.history.seen_by(purpose), purpose
        for visitor, key in self.keys.items():
            if visitor in {*list(self.keys)[-2:], *COOKIE_KEYS}:
                assert set(self.release(visitor, key)) == self.history.released_of(visitor)
                assert set(self.export(key)) == self.history.stored(visitor)

    def export(self, key: str) -> Iterator[Cell]:
        """Yield what a visitor exports."""
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TIMES}
        for text in list(VisitorDataAccess(self.session).export_lines(key))[1:]:
            record = msgspec.json.decode(text)
            rows[record["relation"]].append(record)
        return cells_of({name: rows[name] for name in TIMES})

    def release(self, visitor: str, key: str) -> Iterator[Cell]:
        """Yield what a release of a visitor, who authorises it, would hold."""
        authorised = ["request-time", "view-time", "visit-time", "page-path", "status", "ip-address"]
        authorisation = Authorisation(
            key,
            "Dr. Example",
            given=True,
            categories=authorised,
            channel="letter",
            reference="",
            recorded_at=utc_now(),
        )
        if visitor not in self.history.known:
            self.session.register.authorisations.record(authorisation)
            self.history.known.add(visitor)
        release_input = ReleaseInput(
            ground="authorised",
            recipient="Dr. Example",
            categories=authorised,
            evidence={},
            subject=key,
            row_filter="",
        )
        try:
            prepared = self.session.release_workflow.prepare_request(release_input, "operator")
        except DisclosureError as error:
            if error.code not in {"not-permitted", "records-not-found"}:
                raise
            return iter(())
        return cells_of({name: table.to_dicts() for name, table in prepared.extract.tables.items()})


def cells_of(rows: dict[str, list[dict[str, Any]]]) -> Iterator[Cell]:
    """Yield the cells of the columns that the model knows."""
    for relation, records in rows.items():
        time_column = TIMES[relation][0]
        for record in records:
            values = {
                column: datetime.fromisoformat(value)
                if column.endswith("_time") and isinstance(value, str)
                else value
                for column, value in record.items()
            }
            moment = values.pop(time_column)
            yield Cell(relation, moment, "time", moment)
            for column in (*CATEGORIES, "views"):
                if values.get(column) is not None:
                    yield Cell(relation, moment, column, values[column])


@settings(
    max_examples=by_depth(standard=8, thorough=300, quick=2),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink takes longer than to read
)
@given(draw_terms(), st.lists(steps, min_size=8, max_size=20))
def test_a_folder_does_what_the_specification_says(terms: Ages, history: Sequence[Step]) -> None:
    """In any history, everything that comes out and is kept is what an independent model has."""
    with tempfile.TemporaryDirectory() as name:
        site = Site(Path(name))
        (site.folder / "policy").mkdir()
        (site.folder / "policy" / "en.md").write_text("---\ntitle: Privacy\nlang: en\n---\n# Privacy\n")
        (site.folder / "avowal.toml").write_text('[site]\nhost = "site.example"\n')
        write_terms(site.folder, BEGINNING, terms)
        with (
            contextlib.chdir(site.folder),
            moved_clock(BEGINNING) as clock,
            open_session(None, adopt_terms=True) as session,
        ):
            driver = Driver(site, clock, session, History(BEGINNING, [terms]))
            for step in history:
                driver.take(step)
            driver.retain()
