"""Every way by which a value leaves the store or the register, under terms that limit one category at a time.

Nothing of that category may come out: not of records that are older than its age, and not for a purpose or a recipient
that may not have it. Everything else comes out.
"""

import contextlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import duckdb
import pytest

from avowal.app.session import Session, open_session
from avowal.app.submission_records import (
    ReceivedSubmission,
    record_received_submission,
)
from avowal.change.consent import StatementChannel
from avowal.disclose.extract import extract_records, extract_submissions
from avowal.disclose.feed import FeedRequest, read_feed_batch
from avowal.ledger.release_entry import RequestSummary
from avowal.policy.bounds import Bounds
from avowal.policy.contract import Contract, parse_contract
from avowal.policy.terms import compile_terms, parse_terms
from avowal.register.feeds import FeedPosition
from avowal.register.release_requests import ReleaseRequest, RequestDetails
from avowal.store.columns import RELATIONS, ColumnForm
from avowal.store.duckdb_store import STORE_FILE, DuckDBStore
from avowal.submissions.access import SubmissionAccess
from avowal.submissions.submission import Submission
from avowal.use.purpose_view import PurposeView
from support.moved_clock import MovedClock, moved_clock

START = datetime(2026, 3, 1, 12)  # noqa: DTZ001  # UTC without a zone
NOW = START + timedelta(days=20)
STORED = sorted(
    {
        form.category
        for relation in RELATIONS.values()
        for forms in relation.columns.values()
        for form in forms
    }
)
SUBMITTED = ["submission-time", "person-name", "email-address", "message"]
HEAD = (
    'vocabulary = 2\ncontroller = "A"\ncontact = "a@example.org"\nupdated = 2026-01-01\nlanguages = ["en"]\n'
)
FORM = """
[[form]]
name = "order"
fields = { name = "person-name", email = "email-address", text = "message" }
for = ["abuse"]
needs = ["person-name", "email-address", "message"]
"""
CONTRACT = 'vocabulary = 2\nprocessor = "A"\ncontact = "a@example.org"\nservice = ["third-party-service"]\nbegins = 2026-01-01\n'


class Limit(NamedTuple):
    """What `content`, a recipient and a processor may have of one category: nothing, or nothing that is old."""

    category: str
    age: str
    """Empty if they may have nothing of it."""

    def lines(self, table: str, rest: str) -> str:
        """Return tables of terms: all categories for 60 days, and this one for its age."""
        others = [name for name in (*STORED, *SUBMITTED) if name != self.category]
        text = f'[[{table}]]\ncategories = {others}\nkeep = {{ full = "60 days" }}\n{rest}\n'
        if self.age:
            text += (
                f'[[{table}]]\ncategories = ["{self.category}"]\nkeep = {{ full = "{self.age}" }}\n{rest}\n'
            )
        return text

    def compile_terms(self) -> Bounds:
        """Return the terms. The category is kept for `abuse`, who may see it."""
        everything = [*STORED, *SUBMITTED]
        text = (
            HEAD
            + f'[[collect]]\ncategories = {everything}\nkeep = {{ full = "60 days" }}\nfor = ["abuse"]\n'
            + self.lines("collect", 'for = ["content"]')
            + self.lines("disclose", 'to = "named-person"\nground = "authorised"')
            + self.lines("disclose", 'to = "processor"\nfor = ["third-party-service"]')
            + '[[ground]]\nname = "authorised"\nevidence = ["authorisation"]\n'
            + FORM
        )
        return compile_terms(parse_terms(text, "terms.toml"))

    def make_contract(self) -> Contract:
        """Return a contract that protects as much as the terms."""
        return parse_contract(CONTRACT + self.lines("receive", 'for = ["third-party-service"]'), "a.toml")

    def shows(self, forms: tuple[ColumnForm, ...], row_category: str) -> bool:
        """Return whether a column may be seen: a form of it is of another category, and so is its row's time."""
        return row_category != self.category and any(form.category != self.category for form in forms)


LIMITS = [Limit(category, age) for category in (*STORED, *SUBMITTED) for age in ("2 days", "")]


@pytest.fixture(scope="module")
def clock() -> Iterator[MovedClock]:
    with moved_clock(START) as clock:
        yield clock


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBStore]:
    """Return a store with one record of each relation, of 20 days ago, whose every column has a value."""
    folder = tmp_path_factory.mktemp("store")
    DuckDBStore(folder, "256MB").close()
    with duckdb.connect(folder / STORE_FILE) as file:
        for relation in RELATIONS:
            columns = file.execute(
                "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ? AND NOT internal",
                [relation],
            ).fetchall()
            values = {name: make_value(name, data_type) for name, data_type in columns}
            file.execute(
                f"INSERT INTO {relation} ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",
                [*values.values()],
            )
        file.execute("UPDATE record_numbers SET last_number = 1")
    store = DuckDBStore(folder, "256MB")
    yield store
    store.close()


def make_value(column: str, data_type: str) -> Any:
    """Return a value for a column of the store."""
    words = {
        "ip_address": "192.0.2.7",
        "referrer": "https://example.org/a?b",
        "outbound_link": "https://example.com/a?b",
        "visitor_id": 7,
    }
    if column in words:
        return words[column]
    if data_type.startswith("ENUM"):
        return data_type.split("'")[1]
    return {"TIMESTAMP": START, "VARCHAR": "word", "BOOLEAN": True}.get(data_type, 1)


@pytest.fixture(scope="module")
def submission(
    clock: MovedClock, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Session, Submission]]:
    """Return a session of a site with a submission of 20 days ago."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "avowal.toml").write_text("")
    (folder / "policy").mkdir()
    (folder / "policy" / "en.md").write_text("---\ntitle: Privacy\nlang: en\n---\n# Privacy\n")
    everything = [*STORED, *SUBMITTED]
    (folder / "policy" / "terms.toml").write_text(
        HEAD
        + f'[[collect]]\ncategories = {everything}\nkeep = {{ full = "60 days" }}\nfor = ["content", "abuse"]\n'
        + FORM
    )
    with contextlib.chdir(folder), open_session(None, adopt_terms=True) as session:
        texts = [("name", "Ann"), ("email", "ann@example.org"), ("text", "words")]
        received = ReceivedSubmission("order", StatementChannel.LETTER, f"{7:016x}", START, texts, [])
        recorded = record_received_submission(session, received, START)
        clock.advance(days=20)
        yield session, recorded


def make_request() -> ReleaseRequest:
    """Return a request for everything."""
    summary = RequestSummary(
        reference="r",
        ground="authorised",
        recipient_kind="named-person",
        categories=[*STORED, *SUBMITTED],
        evidence_kinds=[],
        version=1,
        required_approvals=0,
        requested_at=NOW,
    )
    details = RequestDetails(
        recipient="Dr. Example",
        recipient_contact="",
        visitor=f"{7:016x}",
        row_filter="",
        evidence={},
        requester="operator",
        expires_days=30,
    )
    return ReleaseRequest(summary, details)


def shown_columns(limit: Limit, relation: str) -> set[str]:
    """Return the columns of a relation that may be seen under a limit."""
    schema = RELATIONS[relation]
    return {name for name, forms in schema.columns.items() if limit.shows(forms, schema.row_category)}


@pytest.mark.parametrize("limit", LIMITS, ids=" ".join)
def test_a_limited_category_of_records_comes_out_nowhere(limit: Limit, store: DuckDBStore) -> None:
    """Purpose views, releases and feeds show every column but those of the category; another purpose sees these."""
    bounds = limit.compile_terms()
    for purpose in ("content", "abuse"):
        with PurposeView(store, [bounds], purpose, NOW).open() as query:
            for relation in RELATIONS:
                rows = query(f"SELECT * FROM {relation}", {}).to_dicts()
                seen = {name for row in rows for name, value in row.items() if value is not None} - {
                    "version"
                }
                everything = set(RELATIONS[relation].columns)
                assert seen == (shown_columns(limit, relation) if purpose == "content" else everything)
    released = extract_records(store, [bounds], make_request(), NOW).tables
    assert {name: set(table.columns) for name, table in released.items()} == {
        relation: columns for relation in RELATIONS if (columns := shown_columns(limit, relation))
    }
    request = FeedRequest("a", FeedPosition("", {"requests": 0}))
    batch = read_feed_batch(store, [bounds], limit.make_contract(), request, NOW)
    assert {record.relation: set(record.values) for record in batch.records} == {
        relation: columns
        for relation in ("requests", "script_views", "events")
        if (columns := shown_columns(limit, relation))
    }


@pytest.mark.parametrize("limit", LIMITS, ids=" ".join)
def test_a_limited_category_of_submissions_comes_out_nowhere(
    limit: Limit, submission: tuple[Session, Submission]
) -> None:
    """Releases, what a purpose reads, and lists have the times and the visitor only where these are permitted."""
    session, recorded = submission
    bounds = limit.compile_terms()
    extract = extract_submissions(session.register.submissions, [recorded], [bounds], make_request())
    (table,) = extract.tables.values()
    fields = {category for category in SUBMITTED[1:] if category != limit.category}
    assert {row["category"] for row in table.to_dicts()} == fields
    may_have_time = limit.category != "submission-time"
    assert {row["submitted_at"] for row in table.to_dicts()} == {START if may_have_time else None}
    assert ("submission-time" in extract.refused_categories) is not may_have_time
    for purpose in ("content", "abuse"):
        is_limited = purpose == "content"
        access = SubmissionAccess("operator", purpose, [bounds])
        shown = access.describe(recorded, NOW)
        times = {shown["submitted_at"], shown["recorded_at"]}
        assert times == {START if may_have_time or not is_limited else None}
        may_see_visitor = limit.category != "visitor-id" or not is_limited
        assert shown["visitor"] == (f"{7:016x}" if may_see_visitor else None)
        _, values = session.register.submissions.read(recorded.reference, access, NOW)
        assert {value.category for value in values} == (fields if is_limited else set(SUBMITTED[1:]))
