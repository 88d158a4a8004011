"""The whole proof: `avowal verify` finds each of these violations, planted in a folder where everything was done.

Those that are forged were written by whoever has the machine and its keys: the ledger holds, and what it tells is still
held against what was promised.
"""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from msgspec.structs import replace

from avowal.ledger.entry import AgeReach, hash_text
from avowal.register.feeds import FeedPage, FeedPosition
from avowal.register.register import Register, open_register
from avowal.register.release_requests import ReleaseRequest
from avowal.submissions.submission import new_reference
from support.disclosures import (
    ANN,
    DISCLOSED_FORM,
    PERIOD,
    RECENT,
    add_user,
    approve_release,
    disclose_attack,
    disclose_to_court,
    site_with_attack,
)
from support.processors import CONTRACT, add_processor
from support.site import CHROME, Site, line, tamper
from support.verification import assert_found, verify_findings

NOW = datetime.now(UTC).replace(tzinfo=None)
FULL: list[AgeReach] = [("page-path", "full", 1, RECENT), ("ip-address", "full", 1, RECENT)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder in which everything was done that leaves a trace."""
    folder = tmp_path_factory.mktemp("whole")
    site = site_with_attack(folder, DISCLOSED_FORM)
    for name in ("bea", "cyd"):
        add_user(site, name, "--disclose")
    assert (
        site.avowal("query", "--purpose", "abuse", "--as", "bea", "SELECT visitor_id FROM requests").status
        == 0
    )
    words = ("--recipient", "Dr. Example", "--categories", "page-path", "--channel", "letter")
    assert site.avowal("visitor", "authorise", ANN, *PERIOD, *words).status == 0
    mine = (
        "--subject",
        ANN,
        *PERIOD,
        "--ground",
        "authorised",
        "--recipient",
        "Dr. Example",
        "--categories",
        "page-path",
    )
    assert site.avowal("disclose", *mine, "--package", "a.zip").status == 0
    assert disclose_attack(site, "--package", "b.zip").status == 0
    assert disclose_attack(site, "--package", "no.zip", chosen="requests WHERE status > 0").status == 1
    reference = disclose_to_court(site, "--sealed-until", f"{(NOW + timedelta(60)).date()}").json()[
        "reference"
    ]
    assert approve_release(site, reference, "bea").status == 0
    assert site.avowal("release", "make", reference, "--package", "c.zip").status == 0
    add_processor(site, CONTRACT)
    (folder / "out").mkdir()
    assert site.avowal("processor", "feed", "guard", "--destination", "out").status == 0
    site.take_in(site.log("c.log", line(0, start=RECENT, address="192.0.2.9", agent=CHROME)))
    key = site.avowal("visitor", "show", "192.0.2.9", *PERIOD, "--json").json()["visitor"]
    assert site.avowal("visitor", "erase", key, "--expected-records", "1").status == 0
    fields = ("--field", "name=Ann Example", "--field", "text=Send two.")
    assert site.avowal("submission", "add", "order", "--channel", "letter", *fields).status == 0
    ran = site.avowal("verify", "--json")
    assert ran.status == 0, ran.out
    checked = ran.json()["checked"]
    assert {
        "releases": 3,
        "approvals": 1,
        "refusals": 1,
        "pages of feeds": 1,
        "erasures": 1,
    }.items() <= checked.items()
    return folder


@pytest.fixture
def site(whole: Path, tmp_path: Path) -> Site:
    folder = tmp_path / "copy"
    shutil.copytree(whole, folder, ignore=shutil.ignore_patterns("*.sock"))
    return Site(folder)


CHANGED = {
    "evidence": ("UPDATE release_request_subjects SET details = replace(details, 'case 12', 'case 13')", "release-request-mismatch"),
    "how many approvals were owed": ("UPDATE release_requests SET required_approvals = 0 WHERE required_approvals = 1", "release-request-mismatch"),
    "who approved": ("UPDATE release_approvals SET approver = 'cyd'", "approval-mismatch"),
    "an approval gone": ("DELETE FROM release_approvals", "approval-mismatch"),
    "a refusal gone": ("DELETE FROM release_refusals", "refusal-mismatch"),
    "who was refused": ("UPDATE release_refusals SET requester = 'bea'", "refusal-mismatch"),
    "of whom a release was": ("UPDATE release_subjects SET visitor = '0123456789abcdef' WHERE position = 1", "release-mismatch"),
    "to whom a release went": ("UPDATE release_subjects SET recipient = 'somebody' WHERE position = 1", "release-mismatch"),
    "one of those that a release was of": ("DELETE FROM release_subjects WHERE position = 1", "release-mismatch"),
    "how much was released": ("UPDATE releases SET records = 1 WHERE records = 6", "release-mismatch"),
    "until when it is sealed": ("UPDATE releases SET sealed_until = NULL WHERE sealed_until IS NOT NULL", "release-mismatch"),
    "a recall that never was": (f"UPDATE releases SET recalled_at = '{NOW}' WHERE release = 1", "recall-mismatch"),
    "a contract": ("UPDATE processors SET contract_text = replace(contract_text, '3 days', '9 days')", "processor-mismatch"),
    "a contract gone": ("DELETE FROM processors", "processor-mismatch"),
    "how much a processor was given": ("UPDATE feed_pages SET records = '{}'", "feed-page-mismatch"),
    "a page of a feed gone": ("DELETE FROM feed_pages", "feed-page-mismatch"),
    "what was authorised": ("UPDATE authorisations SET categories = '[\"ip-address\"]'", "authorisation-mismatch"),
    "who authorised it": ("UPDATE authorisation_subjects SET recipient = 'somebody'", "authorisation-mismatch"),
    "who read": ("UPDATE entries SET access_reader = 'cyd' WHERE access_reader = 'bea'", "access-mismatch"),
    "that somebody read": ("UPDATE entries SET access_reader = NULL, access_salt = NULL WHERE access_reader = 'bea'", "access-mismatch"),
    "who read, where nobody did": ("UPDATE entries SET access_salt = randomblob(32) WHERE entry = 0", "access-mismatch"),
    "settings that are none": ("UPDATE readers SET purposes = 'nope' WHERE name = 'bea'", "register-malformed"),
    "what a reader read for": ("UPDATE readers SET purposes = '[\"content\"]' WHERE name = 'bea'", "purpose-not-permitted"),
    "a table that nothing declares": ("CREATE TABLE profiles (visitor TEXT)", "register-schema-mismatch"),
    "a column that nothing declares": ("ALTER TABLE release_subjects ADD COLUMN email TEXT", "register-schema-mismatch"),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGED)
def test_what_is_changed_in_the_register_is_found(site: Site, what: str) -> None:
    """Also by somebody with root, whom triggers do not stop."""
    statement, code = CHANGED[what]
    if statement.startswith(("CREATE", "ALTER")):
        tamper(site)
        with closing(sqlite3.connect(site.data / "register.sqlite")) as register:
            register.execute(statement)
    else:
        tamper(site, statement)
    assert_found(site, code)


def test_a_trigger_that_is_gone_is_found(site: Site) -> None:
    """Nothing else may have been changed yet."""
    tamper(site)
    assert_found(site, "register-schema-mismatch", "`releases_forbid_update`")


STORED = {
    "a record of no version": ("UPDATE requests SET version = 7, governing = 7 WHERE page_path = '/1'", "record-version-unknown"),
    "a record without what governs it": ("UPDATE requests SET governing = 4 WHERE page_path = '/1'", "record-governing-mismatch"),
    "an address kept for too long": ("UPDATE requests SET request_time = request_time - INTERVAL 10 DAY", "record-overdue"),
    "a category that no terms declare": ("UPDATE requests SET page_query = 'q=flu' WHERE page_path = '/1'", "record-overdue"),
    "a user's agent in a column of its own": ("ALTER TABLE requests ADD COLUMN user_agent VARCHAR", "store-schema-mismatch"),
    "a table of addresses": ("CREATE TABLE blocked AS SELECT DISTINCT ip_address FROM requests", "store-schema-mismatch"),
    "a table gone": ("DROP TABLE record_changes", "store-schema-mismatch"),
    "a column that is wider": ("ALTER TABLE requests ALTER country TYPE BLOB", "store-schema-mismatch"),
    "a view that leaves something out": ("CREATE OR REPLACE VIEW collected_records AS SELECT visitor_id, request_time AS record_time, ip_address, version, governing, load_number FROM requests", "store-schema-mismatch"),
}  # fmt: skip


@pytest.mark.parametrize("what", STORED)
def test_what_is_changed_in_the_store_is_found(site: Site, what: str) -> None:
    """Records, what governs them, and what the tables may hold."""
    statement, code = STORED[what]
    with duckdb.connect(site.data / "avowal.duckdb") as store:
        store.execute(statement)
    assert_found(site, code)


def test_what_was_handed_over_is_not_kept_for_longer(site: Site) -> None:
    """A submission of a year ago, where six months are promised."""
    with closing(sqlite3.connect(site.data / "register.sqlite")) as register, register:
        register.execute("UPDATE submissions SET submitted_at = ?", [f"{NOW - timedelta(400)}"])
    assert_found(site, "record-overdue", "`person-name`")


def request(register: Register, **changes: Any) -> ReleaseRequest:
    """Record a request like that of the case, which was released for good reasons, with changes."""
    case = next(one for one in register.release_requests.all() if one.ground == "checking")
    return register.release_requests.record(
        replace(case, **{"reference": new_reference(), "requested_at": NOW, **changes})
    )


def release(
    register: Register, of: ReleaseRequest | None, reached: list[AgeReach] = FULL, **changes: Any
) -> None:
    """Record a release of a request as nobody would let it be recorded."""
    like = next(one for one in register.releases.all() if one.ground == "checking")
    own = {
        "reference": of.reference if of else new_reference(),
        "released_at": NOW,
        "categories": ["ip-address", "page-path"],
    }
    visitors = [visitor for visitor, one in register.releases.by_visitor() if one.reference == like.reference]
    register.releases.record(
        replace(like, **{**own, **changes}),
        visitors,
        reached,
        needs_authorisation=False,
        seen_entries=register.ledger.count_entries(),
    )


def page(register: Register, reached: list[AgeReach], **changes: Any) -> None:
    """Record a page of a feed as nobody would let it be given."""
    text = next(one.contract_text for one in register.processors.all())
    like = FeedPage("guard", new_reference(), hash_text(text), 1, FeedPosition(), {"requests": 1}, 0, NOW)
    register.feeds.record_page(replace(like, **changes), reached)


def approved(register: Register, by: str) -> None:
    """Record an approval, and a release after it."""
    asked = request(register, requester="bea")
    register.release_requests.approve(asked, by, NOW)
    release(register, asked)


def authorised(register: Register, categories: list[str], *, taken_back: bool = False) -> None:
    """Record a release of what somebody authorised, or did not."""
    (visitor, like) = next(one for one in register.releases.by_visitor() if one[1].ground == "authorised")
    if taken_back:
        (given,) = register.authorisations.for_visitor(visitor)
        register.authorisations.record(replace(given, given=False, categories=[], recorded_at=NOW))
    case = next(one for one in register.release_requests.all() if one.ground == "authorised")
    asked = request(
        register,
        **{
            name: getattr(case, name)
            for name in ("ground", "recipient_kind", "recipient", "visitor", "evidence")
        },
        row_filter="",
        categories=categories,
    )
    reached: list[AgeReach] = [(category, "full", 1, RECENT) for category in categories]
    own = replace(like, reference=asked.reference, categories=categories, released_at=NOW)
    register.releases.record(
        own, [visitor], reached, needs_authorisation=False, seen_entries=register.ledger.count_entries()
    )


OTHER = CONTRACT.replace('"3 days"', '"30 days"')
FORGED: dict[str, tuple[Callable[[Register], Any], str]] = {
    "a release that nobody asked for": (lambda it: release(it, None), "release-without-request"),
    "a release on another ground": (lambda it: release(it, request(it), ground="industry-abuse-control"), "release-ground-mismatch"),
    "a release for others": (lambda it: release(it, request(it), recipient_kind="authority"), "release-ground-mismatch"),
    "a category that nobody asked for": (
        lambda it: release(it, request(it), [*FULL, ("method", "full", 1, RECENT)], categories=["ip-address", "method", "page-path"]),
        "category-not-requested",
    ),
    "a category that the ground does not let out": (
        lambda it: release(it, request(it, categories=["browser"]), [("browser", "full", 1, RECENT)], categories=["browser"]),
        "category-not-permitted",
    ),
    "a record that was too old": (
        lambda it: release(it, request(it), [("page-path", "full", 1, RECENT), ("ip-address", "full", 1, NOW - timedelta(9))]),
        "record-too-old",
    ),
    "a record that nothing governs": (
        lambda it: release(it, request(it), [("page-path", "full", 1, RECENT), ("ip-address", "full", 5, RECENT)]),
        "category-not-permitted",
    ),
    "a release that does not tell how far it went": (lambda it: release(it, request(it), FULL[:1]), "reach-missing"),
    "a release without approvals": (lambda it: release(it, request(it, required_approvals=2)), "approvals-missing"),
    "a release under seal without an instrument": (
        lambda it: release(it, request(it), sealed_until=NOW + timedelta(9)),
        "seal-without-instrument",
    ),
    "a release under a version that was not in force": (lambda it: release(it, request(it), version=2), "version-not-in-force"),
    "a request without evidence": (lambda it: request(it, evidence={"case": "12"}), "evidence-missing"),
    "a request on a ground that needs none": (lambda it: request(it, ground="own-use"), "ground-not-permitted"),
    "a request that needs too few": (
        lambda it: request(it, ground="legal-rights", evidence={"claim": "a", "reference": "b", "scope": "c"}),
        "required-approvals-too-few",
    ),
    "a request under a version that was not in force": (lambda it: request(it, version=2), "version-not-in-force"),
    "an approval by whoever asked": (lambda it: approved(it, "bea"), "approver-is-requester"),
    "an approval after the fact": (
        lambda it: it.release_requests.approve(next(one for one in it.release_requests.all() if one.ground == "checking"), "cyd", NOW),
        "approval-after-release",
    ),
    "what a visitor did not authorise": (lambda it: authorised(it, ["ip-address"]), "category-not-authorised"),
    "what a visitor took back": (lambda it: authorised(it, ["page-path"], taken_back=True), "category-not-authorised"),
    "a feed by a contract that did not hold": (lambda it: page(it, FULL, contract_hash=hash_text(OTHER)), "contract-not-in-force"),
    "a feed to whom works for nobody": (
        lambda it: (page(it, FULL, contract_hash=hash_text(CONTRACT), processor="other")),
        "contract-not-in-force",
    ),
    "a feed with a category that is not its service's": (
        lambda it: page(it, [("browser", "full", 1, RECENT)]),
        "category-not-permitted",
    ),
    "a feed with records that were too old": (lambda it: page(it, [("ip-address", "full", 1, NOW - timedelta(5))]), "record-too-old"),
    "a feed that does not tell how far it went": (lambda it: page(it, []), "reach-missing"),
    "a feed under a version that was not in force": (lambda it: page(it, FULL[:1], version=3), "version-not-in-force"),
    "a contract that fell short": (
        lambda it: it.processors.add("guard", OTHER, it.versions()[0].identity, NOW),
        "contract-insufficient",
    ),
    "a reading for another purpose": (lambda it: it.readers.record_access("bea", "content", 1, 3, "SELECT 1", NOW), "purpose-not-permitted"),
    "a reading by nobody who is known": (lambda it: it.readers.record_access("eve", "abuse", 1, 3, "SELECT 1", NOW), "purpose-not-permitted"),
    "a reading under a version that was not in force": (lambda it: it.readers.record_access("bea", "abuse", 4, 3, "SELECT 1", NOW), "version-not-in-force"),
}  # fmt: skip


@pytest.mark.parametrize("what", FORGED)
def test_what_is_forged_with_the_keys_is_found(site: Site, what: str) -> None:
    """The ledger holds and tells of it; but nothing that was in force let it be done."""
    forge, code = FORGED[what]
    with closing(open_register(site.data, site.folder / "keys", store_file="avowal.duckdb")) as register:
        forge(register)
        register.ledger.sign_checkpoint()
    codes = {finding["code"] for finding in verify_findings(site)}
    assert code in codes
    assert not any(found.endswith("-mismatch") for found in codes - {code})
