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
from avowal.register.register import SqliteRegister, open_register
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
        "--about",
        ANN,
        *PERIOD,
        "--ground",
        "authorised",
        "--to",
        "Dr. Example",
        "--categories",
        "page-path",
    )
    assert site.avowal("disclose", *mine, "--package", "a.zip").status == 0
    assert disclose_attack(site, "--package", "b.zip").status == 0
    assert disclose_attack(site, "--package", "no.zip", chosen="requests WHERE status > 0").status == 1
    reference = disclose_to_court(site, "--seal-until", f"{(NOW + timedelta(60)).date()}").json()["reference"]
    assert approve_release(site, reference, "bea").status == 0
    assert site.avowal("release", "make", reference, "--package", "c.zip").status == 0
    add_processor(site, CONTRACT)
    (folder / "out").mkdir()
    assert site.avowal("processor", "feed", "guard", "--to", "out").status == 0
    site.take_in(site.log("c.log", line(0, start=RECENT, address="192.0.2.9", agent=CHROME)))
    key = site.avowal("visitor", "show", "192.0.2.9", *PERIOD, "--json").json()["visitor"]
    assert site.avowal("visitor", "erase", key, "--count", "1").status == 0
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


def found(site: Site) -> str:
    ran = site.avowal("verify")
    assert (ran.status, "Traceback" in ran.err) == (1, False), ran.out + ran.err
    return " ".join(ran.out.split())


CHANGED = {
    "evidence": ("UPDATE release_request_subjects SET details = replace(details, 'case 12', 'case 13')", "the request for the release"),
    "how many approvals were owed": ("UPDATE release_requests SET required_approvals = 0 WHERE required_approvals = 1", "the request for the release"),
    "who approved": ("UPDATE release_approvals SET approver = 'cyd'", "an approval of the release"),
    "an approval gone": ("DELETE FROM release_approvals", "0 records where the ledger tells of 1"),
    "a refusal gone": ("DELETE FROM release_refusals", "0 records where the ledger tells of 1"),
    "who was refused": ("UPDATE release_refusals SET requester = 'bea'", "refusal 1 is not what"),
    "of whom a release was": ("UPDATE release_subjects SET visitor = '0123456789abcdef' WHERE position = 1", "release "),
    "to whom a release went": ("UPDATE release_subjects SET recipient = 'somebody' WHERE position = 1", "release "),
    "one of those that a release was of": ("DELETE FROM release_subjects WHERE position = 1", "release "),
    "how much was released": ("UPDATE releases SET records = 1 WHERE records = 6", "release "),
    "until when it is sealed": ("UPDATE releases SET sealed_until = NULL WHERE sealed_until IS NOT NULL", "release "),
    "a recall that never was": (f"UPDATE releases SET recalled_at = '{NOW}' WHERE release = 1", "1 records where the ledger tells of 0"),
    "a contract": ("UPDATE processors SET contract_text = replace(contract_text, '3 days', '9 days')", "the contract of `guard` is not"),
    "a contract gone": ("DELETE FROM processors", "0 records where the ledger tells of 1"),
    "how much a processor was given": ("UPDATE feed_pages SET records = '{}'", "page 1 of the feed of `guard`"),
    "a page of a feed gone": ("DELETE FROM feed_pages", "0 records where the ledger tells of 1"),
    "what was authorised": ("UPDATE authorisations SET categories = '[\"ip-address\"]'", "authorisation 1 is not"),
    "who authorised it": ("UPDATE authorisation_subjects SET recipient = 'somebody'", "authorisation 1 is not"),
    "who read": ("UPDATE entries SET access_reader = 'cyd' WHERE access_reader = 'bea'", "access 1 is not"),
    "that somebody read": ("UPDATE entries SET access_reader = NULL, access_salt = NULL WHERE access_reader = 'bea'", "1 records where the ledger tells of 2"),
    "who read, where nobody did": ("UPDATE entries SET access_salt = randomblob(32) WHERE entry = 0", "3 records where the ledger tells of 2"),
    "settings that are none": ("UPDATE readers SET purposes = 'nope' WHERE name = 'bea'", "what was never written so (DecodeError)"),
    "what a reader read for": ("UPDATE readers SET purposes = '[\"content\"]' WHERE name = 'bea'", "which its reader did not read for"),
    "a table that nothing declares": ("CREATE TABLE profiles (visitor TEXT)", "the register has `table` `profiles`"),
    "a column that nothing declares": ("ALTER TABLE release_subjects ADD COLUMN email TEXT", "the register has `table` `release_subjects`"),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGED)
def test_what_is_changed_in_the_register_is_found(site: Site, what: str) -> None:
    """Also by somebody with root, whom triggers do not stop."""
    statement, said = CHANGED[what]
    if statement.startswith(("CREATE", "ALTER")):
        tamper(site)
        with closing(sqlite3.connect(site.data / "register.sqlite")) as register:
            register.execute(statement)
    else:
        tamper(site, statement)
    assert said in found(site)


def test_a_trigger_that_is_gone_is_found(site: Site) -> None:
    """Nothing else may have been changed yet."""
    tamper(site)
    assert "the register lacks `trigger` `releases_forbid_update`" in found(site)


STORED = {
    "a record of no version": ("UPDATE requests SET version = 7, governing = 7 WHERE page_path = '/1'", "bear version 7, which there is not"),
    "a record without what governs it": ("UPDATE requests SET governing = 4 WHERE page_path = '/1'", "governed by one that is older, or that there is not"),
    "an address kept for too long": ("UPDATE requests SET request_time = request_time - INTERVAL 10 DAY", "hold `ip-address` beyond its time"),
    "a category that no terms declare": ("UPDATE requests SET page_query = 'q=flu' WHERE page_path = '/1'", "hold `page-query` beyond its time"),
    "a user's agent in a column of its own": ("ALTER TABLE requests ADD COLUMN user_agent VARCHAR", "the store has `requests` `user_agent`, which nothing declares"),
    "a table of addresses": ("CREATE TABLE blocked AS SELECT DISTINCT ip_address FROM requests", "the store has `blocked` `ip_address`, which nothing declares"),
    "a table gone": ("DROP TABLE changed", "the store lacks `changed` `record`"),
    "a column that is wider": ("ALTER TABLE requests ALTER country TYPE BLOB", "the store has `requests` `country`"),
    "a view that leaves something out": ("CREATE OR REPLACE VIEW collected_records AS SELECT visitor_id, request_time AS record_time, ip_address, version, governing, load_number FROM requests", "the store has `collected_records` `view`"),
}  # fmt: skip


@pytest.mark.parametrize("what", STORED)
def test_what_is_changed_in_the_store_is_found(site: Site, what: str) -> None:
    """Records, what governs them, and what the tables may hold."""
    statement, said = STORED[what]
    with duckdb.connect(site.data / "avowal.duckdb") as store:
        store.execute(statement)
    assert said in found(site)


def test_what_was_handed_over_is_not_kept_for_longer(site: Site) -> None:
    """A submission of a year ago, where six months are promised."""
    with closing(sqlite3.connect(site.data / "register.sqlite")) as register, register:
        register.execute("UPDATE submissions SET submitted_at = ?", [f"{NOW - timedelta(400)}"])
    assert "submissions of version 1 hold `person-name` beyond its time" in found(site)


def request(register: SqliteRegister, **changes: Any) -> ReleaseRequest:
    """Record a request like that of the case, which was released for good reasons, with changes."""
    case = next(one for one in register.release_requests.all() if one.ground == "checking")
    return register.release_requests.record(
        replace(case, **{"reference": new_reference(), "requested_at": NOW, **changes})
    )


def release(
    register: SqliteRegister, of: ReleaseRequest | None, reached: list[AgeReach] = FULL, **changes: Any
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


def page(register: SqliteRegister, reached: list[AgeReach], **changes: Any) -> None:
    """Record a page of a feed as nobody would let it be given."""
    text = next(one.contract_text for one in register.processors.all())
    like = FeedPage("guard", new_reference(), hash_text(text), 1, FeedPosition(), {"requests": 1}, 0, NOW)
    register.feeds.record_page(replace(like, **changes), reached)


def approved(register: SqliteRegister, by: str) -> None:
    """Record an approval, and a release after it."""
    asked = request(register, requester="bea")
    register.release_requests.approve(asked, by, NOW)
    release(register, asked)


def authorised(register: SqliteRegister, categories: list[str], *, taken_back: bool = False) -> None:
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
FORGED: dict[str, tuple[Callable[[SqliteRegister], Any], str]] = {
    "a release that nobody asked for": (lambda it: release(it, None), "was never asked for"),
    "a release on another ground": (lambda it: release(it, request(it), ground="industry-abuse-control"), "is on another ground"),
    "a release for others": (lambda it: release(it, request(it), recipient_kind="authority"), "for another kind of recipient"),
    "a category that nobody asked for": (
        lambda it: release(it, request(it), [*FULL, ("method", "full", 1, RECENT)], categories=["ip-address", "method", "page-path"]),
        "has categories that nobody asked for: method",
    ),
    "a category that the ground does not let out": (
        lambda it: release(it, request(it, categories=["browser"]), [("browser", "full", 1, RECENT)], categories=["browser"]),
        "reached `browser` (full) of version 1, which permits none of it",
    ),
    "a record that was too old": (
        lambda it: release(it, request(it), [("page-path", "full", 1, RECENT), ("ip-address", "full", 1, NOW - timedelta(9))]),
        "which was too old for it by then",
    ),
    "a record that nothing governs": (
        lambda it: release(it, request(it), [("page-path", "full", 1, RECENT), ("ip-address", "full", 5, RECENT)]),
        "of version 5, which permits none of it",
    ),
    "a release that does not tell how far it went": (lambda it: release(it, request(it), FULL[:1]), "does not tell how far it reached"),
    "a release without approvals": (lambda it: release(it, request(it, required_approvals=2)), "was approved by 0, where 2 are owed"),
    "a release under seal without an instrument": (
        lambda it: release(it, request(it), sealed_until=NOW + timedelta(9)),
        "is under seal without an instrument",
    ),
    "a release under a version that was not in force": (lambda it: release(it, request(it), version=2), "names version 2, which was not in force"),
    "a request without evidence": (lambda it: request(it, evidence={"case": "12"}), "lacks evidence: records"),
    "a request on a ground that needs none": (lambda it: request(it, ground="own-use"), "names no evidence"),
    "a request that needs too few": (
        lambda it: request(it, ground="legal-rights", evidence={"claim": "a", "reference": "b", "scope": "c"}),
        "asks for 0 approvals, where 1 are owed",
    ),
    "a request under a version that was not in force": (lambda it: request(it, version=2), "names version 2, which was not in force"),
    "an approval by whoever asked": (lambda it: approved(it, "bea"), "was approved by whoever asked"),
    "an approval after the fact": (
        lambda it: it.release_requests.approve(next(one for one in it.release_requests.all() if one.ground == "checking"), "cyd", NOW),
        "was approved after it was made",
    ),
    "what a visitor did not authorise": (lambda it: authorised(it, ["ip-address"]), "that the visitor did not authorise: ip-address"),
    "what a visitor took back": (lambda it: authorised(it, ["page-path"], taken_back=True), "that the visitor did not authorise: page-path"),
    "a feed by a contract that did not hold": (lambda it: page(it, FULL, contract_hash=hash_text(OTHER)), "went by a contract that did not hold"),
    "a feed to whom works for nobody": (
        lambda it: (page(it, FULL, contract_hash=hash_text(CONTRACT), processor="other")),
        "went by a contract that did not hold",
    ),
    "a feed with a category that is not its service's": (
        lambda it: page(it, [("browser", "full", 1, RECENT)]),
        "reached `browser` (full) of version 1, which permits none of it",
    ),
    "a feed with records that were too old": (lambda it: page(it, [("ip-address", "full", 1, NOW - timedelta(5))]), "which was too old for it by then"),
    "a feed that does not tell how far it went": (lambda it: page(it, []), "does not tell how far it reached"),
    "a feed under a version that was not in force": (lambda it: page(it, FULL[:1], version=3), "names version 3, which was not in force"),
    "a contract that fell short": (
        lambda it: it.processors.add("guard", OTHER, it.versions()[0].identity, NOW),
        "the contract of `guard` fell short when it was added",
    ),
    "a reading for another purpose": (lambda it: it.readers.record_access("bea", "content", 1, 3, "SELECT 1", NOW), "was for `content`, which its reader did not read for"),
    "a reading by nobody who is known": (lambda it: it.readers.record_access("eve", "abuse", 1, 3, "SELECT 1", NOW), "which its reader did not read for"),
    "a reading under a version that was not in force": (lambda it: it.readers.record_access("bea", "abuse", 4, 3, "SELECT 1", NOW), "names version 4, which was not in force"),
}  # fmt: skip


@pytest.mark.parametrize("what", FORGED)
def test_what_is_forged_with_the_keys_is_found(site: Site, what: str) -> None:
    """The ledger holds and tells of it; but nothing that was in force let it be done."""
    forge, said = FORGED[what]
    with closing(open_register(site.data, site.folder / "keys", store_file="avowal.duckdb")) as register:
        forge(register)
        register.ledger.sign_checkpoint()
    text = found(site)
    assert said in text
    assert "is not what" not in text
