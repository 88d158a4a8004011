"""Violations that `avowal verify` has to find, each planted in a folder with every kind of record."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from msgspec.structs import replace

from avowal.ledger.entry import hash_text
from avowal.ledger.release_entry import AgeReach, ReleaseMade
from avowal.register.feeds import FeedPage, FeedPosition
from avowal.register.register import Register, open_register
from avowal.register.release_requests import ReleaseRequest
from avowal.register.releases import combine_commitments, commit_to_visitors
from avowal.store.duckdb_store import STORE_FILE
from avowal.submissions.submission import new_reference
from support.complete_site import complete_site
from support.disclosures import (
    RECENT,
)
from support.processors import CONTRACT
from support.site import Site, tamper
from support.verification import assert_found, verify_findings

NOW = datetime.now(UTC).replace(tzinfo=None)
FULL_AGE_REACH: list[AgeReach] = [("page-path", "full", 1, RECENT), ("ip-address", "full", 1, RECENT)]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return complete_site(tmp_path / "copy")


REGISTER_CHANGES = {
    "evidence": ("UPDATE release_request_subjects SET details = replace(details, 'case 12', 'case 13')", "release-request-mismatch"),
    "the visitor of a request": ("UPDATE release_request_subjects SET visitor = '0123456789abcdef' WHERE visitor != ''", "release-request-mismatch"),
    "the entry of a request": ("UPDATE release_requests SET entry = 0 WHERE release_request = 1", "release-request-mismatch"),
    "the approver": ("UPDATE release_approvals SET approver = 'cyd'", "approval-mismatch"),
    "an approval removed": ("DELETE FROM release_approvals", "approval-mismatch"),
    "a refusal removed": ("DELETE FROM release_refusals", "refusal-mismatch"),
    "the requester of a refusal": ("UPDATE release_refusals SET requester = 'bea'", "refusal-mismatch"),
    "the subject of a release": ("UPDATE release_subjects SET visitor = '0123456789abcdef' WHERE position = 1", "release-mismatch"),
    "the recipient of a release": ("UPDATE release_subjects SET recipient = 'somebody' WHERE position = 1", "release-mismatch"),
    "a subject of a release removed": ("DELETE FROM release_subjects WHERE position = 1", "release-mismatch"),
    "the entry of a release": ("UPDATE releases SET entry = 0 WHERE release = 1", "release-mismatch"),
    "the reference of a release": ("UPDATE releases SET reference = 'somewhere' WHERE release = 1", "release-mismatch"),
    "an invented recall": (f"UPDATE releases SET recalled_at = '{NOW}' WHERE release = 1", "recall-mismatch"),
    "a contract": ("UPDATE processors SET contract_text = replace(contract_text, '3 days', '9 days')", "processor-mismatch"),
    "a contract removed": ("DELETE FROM processors", "processor-mismatch"),
    "the number of records in a feed page": ("UPDATE feed_pages SET records = '{}'", "feed-page-mismatch"),
    "a feed page removed": ("DELETE FROM feed_pages", "feed-page-mismatch"),
    "the authorised categories": ("UPDATE authorisations SET categories = '[\"ip-address\"]'", "authorisation-mismatch"),
    "the recipient of an authorisation": ("UPDATE authorisation_subjects SET recipient = 'somebody'", "authorisation-mismatch"),
    "the reader of an access": ("UPDATE entries SET access_reader = 'cyd' WHERE access_reader = 'bea'", "access-mismatch"),
    "the reader of an access removed": ("UPDATE entries SET access_reader = NULL, access_salt = NULL WHERE access_reader = 'bea'", "access-mismatch"),
    "an invented access": ("UPDATE entries SET access_salt = randomblob(32) WHERE entry = 0", "access-mismatch"),
    "invalid purposes of a reader": ("UPDATE readers SET purposes = 'nope' WHERE name = 'bea'", "register-malformed"),
    "the purposes of a reader": ("UPDATE readers SET purposes = '[\"content\"]' WHERE name = 'bea'", "purpose-not-permitted"),
    "an undeclared table": ("CREATE TABLE profiles (visitor TEXT)", "register-schema-mismatch"),
    "an undeclared column": ("ALTER TABLE release_subjects ADD COLUMN email TEXT", "register-schema-mismatch"),
}  # fmt: skip


@pytest.mark.parametrize("change", REGISTER_CHANGES)
def test_a_change_in_the_register_is_found(site: Site, change: str) -> None:
    """A change of the register's file is found, even if its triggers were removed first."""
    statement, code = REGISTER_CHANGES[change]
    if statement.startswith(("CREATE", "ALTER")):
        with closing(sqlite3.connect(site.data / "register.sqlite")) as register:
            register.execute(statement)
    else:
        tamper(site, statement)
    assert_found(site, code)


def test_a_missing_trigger_is_found(site: Site) -> None:
    """A missing trigger is found before anything else is changed."""
    with closing(sqlite3.connect(site.data / "register.sqlite")) as register:
        register.execute("DROP TRIGGER releases_forbid_update")
    assert_found(site, "register-schema-mismatch", "`releases_forbid_update`")


STORE_CHANGES = {
    "a record of an unknown version": ("UPDATE requests SET version = 7, governing = 7 WHERE page_path = '/1'", "record-version-unknown"),
    "a record with a wrong governing number": ("UPDATE requests SET governing = 4 WHERE page_path = '/1'", "record-governing-mismatch"),
    "an address kept too long": ("UPDATE requests SET request_time = request_time - INTERVAL 10 DAY", "record-overdue"),
    "an undeclared category": ("UPDATE requests SET page_query = 'q=flu' WHERE page_path = '/1'", "record-overdue"),
    "a column of user agents": ("ALTER TABLE requests ADD COLUMN user_agent VARCHAR", "store-schema-mismatch"),
    "a table of addresses": ("CREATE TABLE blocked AS SELECT DISTINCT ip_address FROM requests", "store-schema-mismatch"),
    "a table removed": ("DROP TABLE record_changes", "store-schema-mismatch"),
    "a column of a wider type": ("ALTER TABLE requests ALTER country TYPE BLOB", "store-schema-mismatch"),
    "a view without some records": ("CREATE OR REPLACE VIEW collected_records AS SELECT visitor_id, request_time AS record_time, ip_address, version, governing, load_number FROM requests", "store-schema-mismatch"),
}  # fmt: skip


@pytest.mark.parametrize("change", STORE_CHANGES)
def test_a_change_in_the_store_is_found(site: Site, change: str) -> None:
    """Changes of records, of their governing numbers and of the schema are found."""
    statement, code = STORE_CHANGES[change]
    with duckdb.connect(site.data / "avowal.duckdb") as store:
        store.execute(statement)
    assert_found(site, code)


def test_an_overdue_submission_is_found(site: Site) -> None:
    """A submission that is older than the terms allow is found."""
    with (
        closing(open_register(site.data, site.folder / "keys", store_file=STORE_FILE)) as register,
        register.database.transaction() as connection,
    ):
        connection.execute("UPDATE submissions SET submitted_at = ?", [f"{NOW - timedelta(400)}"])
    assert_found(site, "record-overdue", "`person-name`")


def find_request(register: Register, ground: str) -> ReleaseRequest:
    """Return the existing request on a ground."""
    return next(request for request in register.release_requests.all() if request.summary.ground == ground)


def record_request(register: Register, template_ground: str = "checking", **changes: Any) -> ReleaseRequest:
    """Record a copy of the existing release request on a ground, with changes of its summary or its details."""
    template = find_request(register, template_ground)
    if "evidence" in changes:
        changes = {"evidence_kinds": sorted(changes["evidence"]), **changes}
    changes = {"reference": new_reference(), "requested_at": NOW, **changes}
    summary = {name: value for name, value in changes.items() if hasattr(template.summary, name)}
    details = {name: value for name, value in changes.items() if name not in summary}
    return register.release_requests.record(
        replace(
            template,
            summary=replace(template.summary, **summary),
            details=replace(template.details, **details),
        )
    )


def record_release(
    register: Register,
    release_request: ReleaseRequest | None,
    age_reach: list[AgeReach] = FULL_AGE_REACH,
    **changes: Any,
) -> None:
    """Record a release that no command would record, with changes of its summary."""
    ground = (
        release_request.summary.ground
        if release_request and release_request.summary.ground == "authorised"
        else "checking"
    )
    template = next(release for release in register.releases.all() if release.summary.ground == ground)
    fields = {
        "reference": release_request.summary.reference if release_request else new_reference(),
        "released_at": NOW,
        "categories": ["ip-address", "page-path"],
    }
    subjects = commit_to_visitors(
        str(fields["reference"]),
        [visitor for visitor, release in register.releases.by_visitor() if release == template],
        template.recipient,
    )
    made = ReleaseMade(
        replace(template.summary, **{**fields, **changes}),
        template.manifest_hash,
        combine_commitments([subject.commitment for subject in subjects]),
        len(subjects),
        age_reach,
    )
    register.releases.record(
        made, subjects, needs_authorisation=False, seen_entries=register.ledger.count_entries()
    )


def record_feed_page(register: Register, age_reach: list[AgeReach], **changes: Any) -> None:
    """Record a page of a feed that no command would record."""
    text = next(processor.contract_text for processor in register.processors.all())
    template = FeedPage("guard", new_reference(), hash_text(text), 1, FeedPosition(), {"requests": 1}, 0, NOW)
    register.feeds.record_page(replace(template, **changes), age_reach)


def record_approval(register: Register, approver: str) -> None:
    """Record an approval, and a release after it."""
    release_request = record_request(register, requester="bea")
    register.release_requests.approve(release_request, approver, NOW)
    record_release(register, release_request)


def record_authorised_release(register: Register, categories: list[str], *, withdrawn: bool = False) -> None:
    """Record a release on the ground `authorised`, of categories that were not authorised or no longer are."""
    if withdrawn:
        visitor = find_request(register, "authorised").details.visitor
        (authorisation,) = register.authorisations.for_visitor(visitor)
        register.authorisations.record(replace(authorisation, given=False, categories=[], recorded_at=NOW))
    release_request = record_request(register, "authorised", categories=categories)
    age_reach: list[AgeReach] = [(category, "full", 1, RECENT) for category in categories]
    record_release(register, release_request, age_reach, categories=categories)


LOOSER_CONTRACT = CONTRACT.replace('"3 days"', '"30 days"')
FORGED_ENTRIES: dict[str, tuple[Callable[[Register], Any], str]] = {
    "a release without a request": (lambda register: record_release(register, None), "release-without-request"),
    "a release on another ground": (lambda register: record_release(register, record_request(register), ground="industry-abuse-control"), "release-ground-mismatch"),
    "a release to another kind of recipient": (lambda register: record_release(register, record_request(register), recipient_kind="authority"), "release-ground-mismatch"),
    "a category that was not requested": (
        lambda register: record_release(register, record_request(register), [*FULL_AGE_REACH, ("method", "full", 1, RECENT)], categories=["ip-address", "method", "page-path"]),
        "category-not-requested",
    ),
    "a category that the ground does not permit": (
        lambda register: record_release(register, record_request(register, categories=["browser"]), [("browser", "full", 1, RECENT)], categories=["browser"]),
        "category-not-permitted",
    ),
    "a record that is too old": (
        lambda register: record_release(register, record_request(register), [("page-path", "full", 1, RECENT), ("ip-address", "full", 1, NOW - timedelta(9))]),
        "record-too-old",
    ),
    "a record with an unknown governing number": (
        lambda register: record_release(register, record_request(register), [("page-path", "full", 1, RECENT), ("ip-address", "full", 5, RECENT)]),
        "category-not-permitted",
    ),
    "a release without the reach of a category": (lambda register: record_release(register, record_request(register), FULL_AGE_REACH[:1]), "reach-missing"),
    "a release without approvals": (lambda register: record_release(register, record_request(register, required_approvals=2)), "approvals-missing"),
    "a release under seal without an instrument": (
        lambda register: record_release(register, record_request(register), sealed_until=NOW + timedelta(9)),
        "seal-without-instrument",
    ),
    "a release under a version that was not in force": (lambda register: record_release(register, record_request(register), version=2), "version-not-in-force"),
    "a request without evidence": (lambda register: record_request(register, evidence={"case": "12"}), "evidence-missing"),
    "a request on a ground that permits no disclosure": (lambda register: record_request(register, ground="own-use"), "ground-not-permitted"),
    "a request with too few required approvals": (
        lambda register: record_request(register, ground="legal-rights", evidence={"claim": "a", "reference": "b", "scope": "c"}),
        "required-approvals-too-few",
    ),
    "a request under a version that was not in force": (lambda register: record_request(register, version=2), "version-not-in-force"),
    "a request for rows that no command would select": (
        lambda register: record_request(register, row_filter="(SELECT * FROM requests) WHERE true", evidence={"case": "12", "records": "(SELECT * FROM requests) WHERE true"}),
        "row-filter-invalid",
    ),
    "a request for other rows than its evidence names": (
        lambda register: record_request(register, row_filter="requests WHERE status = 200"),
        "row-filter-invalid",
    ),
    "an approval by the requester": (lambda register: record_approval(register, "bea"), "approver-is-requester"),
    "an approval after the release": (
        lambda register: register.release_requests.approve(find_request(register, "checking"), "cyd", NOW),
        "approval-after-release",
    ),
    "a category that the visitor did not authorise": (lambda register: record_authorised_release(register, ["ip-address"]), "category-not-authorised"),
    "a category whose authorisation was withdrawn": (lambda register: record_authorised_release(register, ["page-path"], withdrawn=True), "category-not-authorised"),
    "a feed under a contract that is not in force": (lambda register: record_feed_page(register, FULL_AGE_REACH, contract_hash=hash_text(LOOSER_CONTRACT)), "contract-not-in-force"),
    "a feed to an unknown processor": (
        lambda register: (record_feed_page(register, FULL_AGE_REACH, contract_hash=hash_text(CONTRACT), processor="other")),
        "contract-not-in-force",
    ),
    "a feed with a category that its service does not permit": (
        lambda register: record_feed_page(register, [("browser", "full", 1, RECENT)]),
        "category-not-permitted",
    ),
    "a feed with records that are too old": (lambda register: record_feed_page(register, [("ip-address", "full", 1, NOW - timedelta(5))]), "record-too-old"),
    "a feed without the reach of a category": (lambda register: record_feed_page(register, []), "reach-missing"),
    "a feed under a version that was not in force": (lambda register: record_feed_page(register, FULL_AGE_REACH[:1], version=3), "version-not-in-force"),
    "a contract without the owed duties": (
        lambda register: register.processors.add("guard", LOOSER_CONTRACT, register.versions()[0].identity, NOW),
        "contract-insufficient",
    ),
    "an access for another purpose": (lambda register: register.readers.record_access("bea", "content", 1, 3, "SELECT 1", NOW), "purpose-not-permitted"),
    "an access by an unknown reader": (lambda register: register.readers.record_access("eve", "abuse", 1, 3, "SELECT 1", NOW), "purpose-not-permitted"),
    "an access under a version that was not in force": (lambda register: register.readers.record_access("bea", "abuse", 4, 3, "SELECT 1", NOW), "version-not-in-force"),
}  # fmt: skip


@pytest.mark.parametrize("entry", FORGED_ENTRIES)
def test_a_forged_entry_is_found(site: Site, entry: str) -> None:
    """An entry that was forged with the keys is valid in the ledger, but no version in force allowed it."""
    forge, code = FORGED_ENTRIES[entry]
    with closing(open_register(site.data, site.folder / "keys", store_file="avowal.duckdb")) as register:
        forge(register)
        register.ledger.sign_checkpoint()
    codes = {finding["code"] for finding in verify_findings(site)}
    assert code in codes
    assert not any(other.endswith("-mismatch") for other in codes - {code})
