"""What a second version changes for what is stored: nothing is possible with it that was not possible before.

Two folders have the same records of random terms; in one of them, random other terms were published since. Both are
driven as readers, recipients and processors drive them, at the same moment. Whatever comes out of the second, or is kept
in it, has to come out of the first as well, at least as exactly (G2), unless the visitor consented to the second version.
"""

import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import duckdb
import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avowal.app.owner_requests import ApplyConsents, EnforceRetention
from avowal.app.session import Session, open_session
from avowal.app.submission_records import (
    ReceivedSubmission,
    create_submission_access,
    record_received_submission,
)
from avowal.change.consent import ConsentStatement, StatementChannel, prepare_consent, record_consent
from avowal.change.draft import find_terms_path, load_draft
from avowal.change.publish import publish_version
from avowal.clock import utc_now
from avowal.collect.event_admission import EventAdmission
from avowal.collect.journal import JournalWriter
from avowal.collect.script_event import (
    ClientIdentity,
    ScriptEvent,
    VisitorKeys,
)
from avowal.disclose.request import ReleaseInput
from avowal.errors import AvowalError
from avowal.keep.enforcement import compute_governing_bounds, effective_versions
from avowal.keep.visitor_lookup import VisitorRecords
from avowal.register.authorisations import Authorisation
from avowal.register.objections import Objection
from avowal.use.purpose_view import PurposeView
from avowal.workspace.layout import JOURNALS_FOLDER
from avowal.workspace.server import FolderServer
from support.depth import by_depth
from support.registers import query_register
from support.site import CHROME, Site, line

RECORD_AGES_DAYS = (0.2, 2, 6, 20, 50)
"""The ages of requests, submissions and script views; none of them is near one of AGES."""
OBJECTED_AGE_DAYS = 2
"""The age of the submission whose person objects to `content`."""

AGES = ("1 day", "4 days", "10 days", "40 days", "forever")
ANN, BEN = "192.0.2.11", "198.51.100.12"
CATEGORIES = (
    "ip-address,request-time,page-path,referrer,browser,submission,view-time,visitor-id,status,visit-time"
)
EVIDENCE = ("case", "records", "authorisation", "function", "claim")
TIME_COLUMNS = {
    "requests": "request_time",
    "script_views": "view_time",
    "views": "view_time",
    "visits": "visit_time",
}
CONTRACT = """
vocabulary = 2
processor = "Example Ltd"
contact = "privacy@processor.example"
service = ["third-party-service"]
begins = 2026-01-01
receive = [
    { categories = ["request-time", "page-path"], keep = { full = "4 days" }, for = ["third-party-service"] },
    { categories = ["ip-address"], keep = { full = "1 day", prefix = "4 days" }, for = ["third-party-service"] },
]
"""


class Policy(NamedTuple):
    """The random parts of terms."""

    kept: dict[str, str]
    """How long each group of categories is kept."""
    purposes: dict[str, tuple[str, ...]]
    """What each group is used for."""
    disclosed: dict[str, str]
    """Until which age is disclosed on each ground; nothing is on a ground that is absent."""
    evidence: dict[str, tuple[str, ...]]
    approvals: dict[str, int]
    needs: tuple[str, ...]
    form_purposes: tuple[str, ...]
    smallest_group: int
    may_erase: bool

    def to_toml(self, days_ago: int) -> str:
        """Return the terms, in force for some days."""
        day = (utc_now() - timedelta(days=days_ago)).date()
        tables = [
            f'vocabulary = 2\ncontroller = "A"\ncontact = "a@example.org"\nupdated = {day}\nlanguages = ["en"]\n'
        ]
        for group, categories in GROUPS.items():
            tables.append(
                _write_table(
                    "collect",
                    categories=categories,
                    keep={"full": self.kept[group]},
                    purposes=self.purposes[group],
                )
            )
        tables.append(
            _write_table(
                "collect",
                categories=["ip-address"],
                keep={"prefix": self.kept["network"]},
                purposes=self.purposes["address"],
            )
        )
        tables.append(
            _write_table(
                "collect",
                categories=["submission"],
                keep={"full": self.kept["submissions"]},
                purposes=["requested-service", "content"],
            )
        )
        for ground, age in self.disclosed.items():
            recipient = RECIPIENTS[ground]
            where = (
                {"to": recipient, "ground": ground}
                if ground
                else {"to": recipient, "purposes": ["third-party-service"]}
            )
            tables.append(_write_table("disclose", categories=DISCLOSED, keep={"full": age}, **where))
        for ground, kinds in self.evidence.items():
            tables.append(
                f'[[ground]]\nname = "{ground}"\nevidence = {[*kinds]}\napprovals = {self.approvals[ground]}\n'
            )
        tables.append(
            '[[form]]\nname = "order"\nfields = { name = "person-name", email = "email-address", text = "message" }\n'
            f"for = {[*self.form_purposes]}\nneeds = {[*self.needs]}\n"
        )
        tables.append(
            f"[duties]\nsmallest-group = {self.smallest_group}\nmay-erase = {str(self.may_erase).lower()}\n"
        )
        return "\n".join(tables)


GROUPS: dict[str, list[str]] = {
    "times": ["request-time", "request-kind", "bot", "host", "view-time", "visit-time", "visitor-id"],
    "address": ["ip-address"],
    "pages": ["page-path", "referrer", "status"],
    "devices": ["browser"],
}
DISCLOSED = [*itertools.chain(*GROUPS.values()), "submission"]
RECIPIENTS = {
    "checking": "abuse-community",
    "authorised": "named-person",
    "requested-function": "named-person",
    "": "processor",
}
GROUNDS = [ground for ground in RECIPIENTS if ground]


def _write_table(
    name: str,
    *,
    categories: Sequence[str],
    keep: Mapping[str, str],
    purposes: Sequence[str] = (),
    **others: str,
) -> str:
    lines = [
        f"[[{name}]]",
        f"categories = {[*categories]}",
        "keep = { " + ", ".join(f'{key} = "{age}"' for key, age in keep.items()) + " }",
    ]
    lines += [f"for = {[*purposes]}"] if purposes else []
    return "\n".join([*lines, *(f'{key} = "{value}"' for key, value in others.items())]) + "\n"


@st.composite
def draw_policies(draw: st.DrawFn) -> tuple[Policy, Policy]:
    """Draw terms, and others that differ from them in some parts."""
    ages, purposes = (
        st.sampled_from(AGES),
        st.lists(st.sampled_from(["content", "abuse"]), min_size=1, unique=True).map(tuple),
    )
    kinds = st.lists(st.sampled_from(EVIDENCE), min_size=1, max_size=2, unique=True).map(tuple)
    parts: dict[str, st.SearchStrategy[Any]] = {
        "kept": st.fixed_dictionaries(dict.fromkeys((*GROUPS, "network", "submissions"), ages)),
        "purposes": st.fixed_dictionaries(dict.fromkeys(GROUPS, purposes)),
        "disclosed": st.dictionaries(st.sampled_from([*RECIPIENTS]), ages, min_size=3),
        "evidence": st.dictionaries(st.sampled_from(GROUNDS), kinds, min_size=2),
        "approvals": st.fixed_dictionaries({ground: st.sampled_from([0, 0, 1]) for ground in GROUNDS}),
        "needs": st.lists(
            st.sampled_from(["person-name", "email-address", "page-path", "request-time"]), unique=True
        ).map(tuple),
        "form_purposes": st.lists(
            st.sampled_from(["requested-service", "content"]), min_size=1, unique=True
        ).map(tuple),
        "smallest_group": st.sampled_from([1, 3]),
        "may_erase": st.booleans(),
    }
    first = {name: draw(part) for name, part in parts.items()}
    changed = draw(st.sets(st.sampled_from([*parts]), min_size=2))
    second = {name: draw(part) if name in changed else first[name] for name, part in parts.items()}
    return tuple(Policy(**{**part, "kept": _order_ages(part["kept"])}) for part in (first, second))  # type: ignore[return-value]


def _order_ages(kept: dict[str, str]) -> dict[str, str]:
    """Keep networks for at least as long as addresses."""
    return {**kept, "network": max(kept["network"], kept["address"], key=AGES.index)}


class Attempt(NamedTuple):
    """A request for a release: the ground, the evidence that somebody has, and what it is about."""

    ground: str
    evidence: frozenset[str]
    subject: str
    """`visitor`, `rows`, `submission` or `objected submission`."""


def list_attempts(policy: Policy) -> list[Attempt]:
    """Return requests with just the evidence that a policy requires, on each ground that it opens."""
    attempts = []
    for ground, kinds in policy.evidence.items():
        subjects = ["visitor"] if "authorisation" in kinds else ["rows", "visitor"]
        subjects = ["submission", "objected submission"] if "function" in kinds else subjects
        stated = frozenset(kinds) & {"case", "function", "claim"}
        attempts += [Attempt(ground, stated, subject) for subject in subjects if ground in policy.disclosed]
    return attempts


class Fact(NamedTuple):
    """Something that came out, or was kept: where, of which record and field."""

    where: str
    record: str
    field: str


Facts = dict[Fact, set[Any]]
"""The values of each fact."""


def write_folder(folder: Path, policy: Policy) -> Site:
    """Create a folder with records of each kind and age, collected under a policy."""
    site = Site(folder)
    (folder / "policy").mkdir(parents=True)
    (folder / "avowal.toml").write_text('[site]\nhost = "site.example"\n')
    (folder / "policy" / "terms.toml").write_text(policy.to_toml(60))
    (folder / "policy" / "en.md").write_text("---\ntitle: Privacy\nlang: en\n---\n# Privacy\n")
    now = utc_now()
    lines = [
        line(
            minutes,
            f"/{name}/{days}?q=1",
            start=now - timedelta(days=days),
            address=address,
            agent=CHROME,
            referrer="https://example.org/a/b?c=d",
        )
        for days in RECORD_AGES_DAYS
        for minutes, (name, address) in enumerate((("ann", ANN), ("ben", BEN)))
    ]
    assert site.avowal("import", site.log("a.log", *lines)).status == 0
    with open_folder(site) as session:
        write_events(session, now)
        for days in RECORD_AGES_DAYS:
            texts = [("name", f"Ann {days}"), ("email", "ann@example.org"), ("text", "words")]
            received = ReceivedSubmission(
                "order", StatementChannel.LETTER, find_visitor(session), now - timedelta(days=days), texts, []
            )
            submission = record_received_submission(session, received, received.submitted_at)
            if days == OBJECTED_AGE_DAYS:
                session.register.objections.record(
                    Objection(
                        submission.reference,
                        given=True,
                        purposes=["content"],
                        channel="letter",
                        recorded_at=now,
                    )
                )
        given = Authorisation(
            find_visitor(session) or "0" * 16,
            "Dr. Example",
            given=True,
            categories=["page-path", "request-time"],
            channel="letter",
            reference="",
            recorded_at=now,
        )
        session.register.authorisations.record(given)
        session.register.processors.add("guard", CONTRACT, session.register.versions()[-1].identity, now)
    with open_folder(site):
        pass  # loads the events
    return site


def write_events(session: Session, now: Any) -> None:
    """Write script views of both visitors to a journal."""
    rules = session.admission_rules(now)[-1]
    writer = JournalWriter(session.folder.data_folder / JOURNALS_FOLDER, session.register.stores.note_journal)
    for number, (address, key) in enumerate(((ANN, 2), (BEN, 4))):
        event = ScriptEvent(
            f"abcdefghij012345678{number}", "https://site.example/a", "https://example.org/a?b"
        )
        microseconds = int(now.timestamp() * 1_000_000)
        with contextlib.suppress(AvowalError):
            writer.append(
                EventAdmission([rules]).admit_event(
                    event,
                    ClientIdentity(address, CHROME),
                    lambda *_, key=key, **__: VisitorKeys(key, key),
                    microseconds,
                )
            )
    writer.rotate()


@contextlib.contextmanager
def open_folder(site: Site) -> Iterator[Session]:
    """Open a folder as its owner."""
    with contextlib.chdir(site.folder), open_session(None) as session:
        assert session.backend.is_owner
        yield session


def find_visitor(session: Session) -> str | None:
    """Return the key that Ann's newest request has, if the terms let it be stored."""
    rows = read_rows(
        session,
        "SELECT visitor_id FROM requests WHERE page_path LIKE '/ann/%' ORDER BY request_time DESC LIMIT 1",
        "content",
    )
    rows = rows or read_rows(
        session, "SELECT visitor_id FROM requests ORDER BY request_time DESC LIMIT 1", "abuse"
    )
    return next((f"{row['visitor_id']:016x}" for row in rows if row.get("visitor_id")), None)


def format_record_time(time: object) -> str:
    """Return the time of a record as answers and the store have it, in seconds."""
    return str(time).replace("T", " ")[:19]


def find_times(site: Site, visitor: str | None) -> set[str]:
    """Return the times of the stored records of a visitor."""
    times = set[str]()
    with duckdb.connect(site.data / "avowal.duckdb", read_only=True) as store:
        for relation, column in TIME_COLUMNS.items():
            statement = f"SELECT {column} FROM {relation} WHERE visitor_id = $key"  # of these four
            rows = store.execute(statement, {"key": int(visitor or "0", 16)}).fetchall()
            times |= {format_record_time(time) for (time,) in rows}
    return times


def read_rows(session: Session, sql: str, purpose: str) -> list[dict[str, Any]]:
    """Return rows of a purpose view, as the owner of the folder makes it for a reader."""
    session.call(ApplyConsents())
    now = utc_now()
    bounds = compute_governing_bounds(effective_versions(session.register.versions(), now))
    assert isinstance(session.backend, FolderServer)
    with PurposeView(session.backend.store, bounds, purpose, now).open() as query:
        return query(sql, {}).to_plain().to_dicts()


def publish(site: Site, policy: Policy, days_ahead: int, *, with_consent: bool) -> None:
    """Publish a second version, from now or some days on; with Ann's consent, if she can be found."""
    (site.folder / "policy" / "terms.toml").write_text(policy.to_toml(-days_ahead))
    with open_folder(site) as session:
        visitor = find_visitor(session)
        draft = load_draft(find_terms_path(session.folder))
        version = publish_version(session.register, draft, utc_now(), accept_weaker=True).version
        if with_consent and visitor and version.number > 1:
            statement = ConsentStatement(StatementChannel.LETTER, "", "en")
            records = VisitorRecords(visitor, [("requests", 1, 1, 1)])
            record_consent(
                session.register,
                prepare_consent(session.register, records, version.number, statement, utc_now()),
            )


@contextlib.contextmanager
def days_later(days: int) -> Iterator[None]:
    """Move the clock of the program ahead."""

    class LaterTime(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + timedelta(days=days)

    with mock.patch("avowal.clock.datetime", LaterTime):
        yield


def observe(site: Site, visitor: str | None, attempts: Sequence[Attempt]) -> Facts:
    """Return everything that can be read, released, fed and kept now."""
    facts: Facts = {}
    with open_folder(site) as session:
        for purpose, relation in itertools.product(("content", "abuse"), TIME_COLUMNS):
            rows = read_rows(session, f"SELECT * FROM {relation}", purpose)  # of these two
            add_rows(facts, f"read for {purpose}: {relation}", rows, TIME_COLUMNS[relation])
        for purpose in ("content", "requested-service"):
            add_submissions(facts, session, purpose)
        for attempt in attempts:
            add_release(facts, session, visitor, attempt)
        add_feed(facts, session)
        session.call(EnforceRetention())
    add_stored(facts, site)
    return facts


def add_rows(facts: Facts, where: str, rows: Sequence[Mapping[str, Any]], time_column: str) -> None:
    """Add the values of rows, which are told apart by their times and paths."""
    for row in rows:
        for column, value in row.items():
            if value is not None and column not in {"version", "governing", "load_number"}:
                facts.setdefault(Fact(where, format_record_time(row.get(time_column)), column), set()).add(
                    value
                )


def add_submissions(facts: Facts, session: Session, purpose: str) -> None:
    """Add the fields of submissions that a reader may see for a purpose."""
    now = utc_now()
    submissions = session.register.submissions
    for submission in submissions.in_period(now - timedelta(days=100), now):
        access = create_submission_access(session, "operator", purpose, now)
        with contextlib.suppress(AvowalError):
            _, fields = submissions.read(submission.reference, access, now)
            for field in fields:
                facts.setdefault(
                    Fact(f"read for {purpose}: submission", submission.reference, field.field), set()
                ).add(field.value)


def add_release(facts: Facts, session: Session, visitor: str | None, attempt: Attempt) -> None:
    """Add what a release would hold, with the number of approvals that it requires."""
    recent = session.register.submissions.in_period(utc_now() - timedelta(days=8), utc_now())
    is_objected = attempt.subject == "objected submission"
    submission = next(
        (candidate.reference for candidate in recent if bool(candidate.objected_purposes) is is_objected),
        "0" * 24,
    )
    texts = {"case": "case 12", "claim": "payment", "function": submission}
    subject = {"visitor": visitor or "0" * 16, "rows": ""}.get(attempt.subject, submission)
    versions = session.register.versions()
    known = {
        kind
        for version in versions
        for kind in getattr(version.compiled_terms.grounds.get(attempt.ground), "evidence", ())
    }
    release_input = ReleaseInput(
        ground=attempt.ground,
        recipient="Dr. Example",
        categories=CATEGORIES.split(","),
        evidence={kind: texts[kind] for kind in attempt.evidence & known},
        subject=subject,
        row_filter="" if subject else "requests WHERE page_path LIKE '/ann/%'",
    )
    try:
        prepared = session.release_workflow.prepare_request(release_input, "operator")
    except AvowalError:
        return
    where = f"released: {attempt}"
    for relation, table in prepared.extract.tables.items():
        for row in table.to_dicts():
            record = f"{row.get('reference')} {row.get('field')}"
            if relation in TIME_COLUMNS:
                record = format_record_time(row.get(TIME_COLUMNS[relation]))
            for column, value in row.items():
                if value is not None:
                    fact = Fact(f"{where} {relation}", record, column)
                    facts.setdefault(fact, set()).add(value)
                    required = Fact(f"approvals of {where} {relation}", record, column)
                    facts[required] = {prepared.request.summary.required_approvals}


def add_feed(facts: Facts, session: Session) -> None:
    """Add what a processor receives from a new feed."""
    with contextlib.suppress(AvowalError):
        response = session.processor_feed.provide_page("guard", "")
        for text in response.lines:
            entry = msgspec.json.decode(text)
            values = entry.get("values", {})
            for column, value in values.items():
                record = format_record_time(values["request_time"])
                facts.setdefault(Fact("fed", record, column), set()).add(value)
                ends = Fact("fed until", record, column)
                facts[ends] = {entry["keep_until"][column] or "forever"}


def add_stored(facts: Facts, site: Site) -> None:
    """Add what is stored after retention."""
    with duckdb.connect(site.data / "avowal.duckdb", read_only=True) as store:
        for relation, column in TIME_COLUMNS.items():
            found = store.sql(f"SELECT * FROM {relation}")  # of these four
            rows = [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
            add_rows(facts, f"kept: {relation}", rows, column)
    fields = "SELECT reference, field, category FROM submissions JOIN submission_fields USING (submission)"
    for reference, field, category in query_register(site, fields):
        facts.setdefault(Fact("kept: submissions", reference, field), set()).add(category)


def is_covered(fact: Fact, value: Any, permitted: Facts) -> bool:
    """Return whether a value was possible before, as it is or more exactly."""
    values = permitted.get(fact, set())
    if fact.where.startswith("approvals"):
        return any(before <= value for before in values)
    if fact.where == "fed until":
        return any(before == "forever" or (value != "forever" and value <= before) for before in values)
    return any(value == before or is_coarser(fact.field, value, before) for before in values)


def is_of_consenting(fact: Fact, times: set[str]) -> bool:
    """Return whether a fact is of the visitor who consented, whose records have these times.

    What is released of a visitor is of this one; it may be without its time.
    """
    return fact.record in times or "subject='visitor'" in fact.where


def is_coarser(field: str, value: Any, before: Any) -> bool:
    """Return whether a value says less than another one."""
    if field == "ip_address":
        return "/" in value and "/" not in before and ip_address(before) in ip_network(value)
    if field == "referrer":
        return str(before).startswith(str(value))
    return False


@settings(
    max_examples=by_depth(standard=3, thorough=150, quick=1),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(draw_policies(), st.booleans(), st.sampled_from([(0, 0), (0, 3), (2, 3)]))
def test_nothing_of_before_is_possible_that_was_not(
    policies: tuple[Policy, Policy], with_consent: bool, days: tuple[int, int]
) -> None:
    """Under a second version, old records are read, released, fed and kept at most as they were before (G2)."""
    first, second = policies
    attempts = list_attempts(second)
    days_ahead, observed_after = days
    with tempfile.TemporaryDirectory() as name:
        before = write_folder(Path(name) / "before", first)
        with open_folder(before) as session:
            visitor = find_visitor(session)
        consenting = find_times(before, visitor)
        shutil.copytree(before.folder, Path(name) / "after", ignore=shutil.ignore_patterns("*.sock"))
        after = Site(Path(name) / "after")
        publish(after, second, days_ahead, with_consent=with_consent)
        with days_later(observed_after):
            permitted = observe(before, visitor, attempts)
            found = observe(after, visitor, attempts)
    new = [
        (fact, value)
        for fact, values in found.items()
        for value in values
        if not is_covered(fact, value, permitted)
        and not (with_consent and is_of_consenting(fact, consenting))
    ]
    assert not new, (with_consent, new[:5])
