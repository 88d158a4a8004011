"""`avowal user` and `avowal status`: who may read for which purposes, and who has read."""

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from support.site import Site, line, tamper
from support.templates import make_once
from support.verification import assert_found

NOON = datetime.now(UTC).replace(tzinfo=None, hour=12, minute=0) - timedelta(days=2)
SINGLE = "SELECT page_path FROM views"
TOGETHER = "SELECT count(*) AS n FROM views"
FAILING = "SELECT page_path::INTEGER FROM views"
VISITORS = 6


@make_once
def site_with_reader(folder: Path) -> Site:
    """Make a site with a view of each of a few visitors, and a reader for content."""
    site = Site(folder).init()
    log = site.log("a.log", *(line(n, f"/{n}", start=NOON, address=f"192.0.2.{n}") for n in range(VISITORS)))
    site.import_logs(log)
    assert site.avowal("user", "add", "ann", "--purposes", "content,performance").status == 0
    return site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_with_reader(tmp_path)


def test_input_that_ends_at_the_password_is_an_error_with_a_code(site: Site) -> None:
    """Standard input at its end is answered by an error message, not by a traceback."""
    with site.start("user", "password", "ann") as command:
        assert command.process.wait(60) == 1
        assert "the input ended" in command.read_output()
        assert "Traceback" not in command.read_output()


def test_a_reader_without_the_purpose_is_refused(site: Site) -> None:
    """A query or a report for another purpose is refused, and so is an unknown reader."""
    for options in (
        ("query", TOGETHER, "--purpose", "content"),
        ("report", "pages"),
        ("report", "performance"),
    ):
        assert site.avowal(*options, "--as", "ann").status == 0, options
    for refused, code in (
        (("query", TOGETHER, "--purpose", "abuse", "--as", "ann"), "purpose-not-permitted"),
        (("report", "availability", "--as", "ann"), "purpose-not-permitted"),
        (("report", "pages", "--as", "ben"), "reader-not-found"),
    ):
        result = site.avowal(*refused)
        assert (result.status, result.code) == (1, code), result.err
    assert site.avowal("report", "availability").status == 0


def test_readers_are_listed_changed_and_removed(site: Site) -> None:
    """The last purposes apply, a parent stands for all below it, and a removed reader can read nothing."""
    assert site.avowal("user", "add", "ben", "--purposes", "operate").status == 0
    assert site.avowal("user", "add", "ann", "--purposes", "abuse").status == 0
    readers = site.avowal("user", "list", "--json").json()
    assert [(reader["name"], len(reader["purposes"])) for reader in readers] == [("ann", 1), ("ben", 5)]
    assert site.avowal("report", "pages", "--as", "ann").status == 1
    assert site.avowal("user", "remove", "ann", "--json").json()["removed"] is True
    assert site.avowal("user", "remove", "ann", "--json").json()["removed"] is False
    assert site.avowal("query", TOGETHER, "--purpose", "abuse", "--as", "ann").status == 1
    assert "ben: abuse, availability" in site.avowal("user", "list").out


@pytest.mark.parametrize(
    ("name", "purposes", "code"),
    [
        ("ann", "contents", "unknown-name"),
        ("ann", "", "missing-input"),
        ("operator", "content", "invalid-name"),
        ("", "content", "invalid-name"),
        ("a" * 65, "content", "invalid-name"),
        ("a\nb", "content", "invalid-name"),
    ],
)
def test_an_invalid_reader_is_refused(site: Site, name: str, purposes: str, code: str) -> None:
    """A reader with an invalid name or purpose is refused with the code of the error."""
    result = site.avowal("user", "add", name, "--purposes", purposes)
    assert (result.status, result.code) == (2, code), result.err


def test_accesses_to_single_visitors_are_in_the_ledger(site: Site) -> None:
    """The ledger has the reader (as a commitment), the purpose, the rows and the hash of the query; others are counted by day."""
    for sql in (SINGLE, TOGETHER, TOGETHER):
        assert site.avowal("query", sql, "--purpose", "content", "--as", "ann").status == 0
    site.avowal("query", SINGLE, "--purpose", "content", "--explain")
    status = site.avowal("status", "--json").json()
    (single,) = status["visitor_accesses"]
    assert (single["reader"], single["purpose"], single["rows"], single["version"]) == (
        "ann",
        "content",
        VISITORS,
        1,
    )
    assert single["query_hash"] == sha256(SINGLE.encode()).hexdigest()
    assert [(count["reader"], count["accesses"]) for count in status["daily_access_counts"]] == [("ann", 2)]
    entry = site.avowal("ledger", "prove", 1, "--json").json()["entry"]
    assert (entry["kind"], entry["rows"]) == ("data-accessed", VISITORS)
    assert "ann" not in json.dumps(entry)
    assert SINGLE not in json.dumps(entry)
    assert site.avowal("verify").status == 0
    assert f"{VISITORS} views" in site.avowal("status").out


def test_a_query_that_fails_over_stored_values_is_in_the_ledger(site: Site) -> None:
    """Whether a query fails can tell something about a visitor; one that was never run has no entry."""
    for sql, code in ((FAILING, "query-failed"), ("SELECT nothing", "query-not-allowed")):
        assert site.avowal("query", sql, "--purpose", "content", "--as", "ann").code == code
    (access,) = site.avowal("status", "--json").json()["visitor_accesses"]
    assert (access["rows"], access["query_hash"]) == (0, sha256(FAILING.encode()).hexdigest())


def test_reports_are_in_the_ledger_once_an_hour(site: Site) -> None:
    """A reader's reports of a purpose have one entry an hour, however many they are, and each is counted."""
    for report, reader in (
        ("pages", "ann"),
        ("visits", "ann"),
        ("performance", "ann"),
        ("pages", "operator"),
    ):
        for _ in range(2):
            assert site.avowal("report", report, "--as", reader).status == 0
    status = site.avowal("status", "--json").json()
    entries = [(access["reader"], access["purpose"]) for access in status["visitor_accesses"]]
    assert sorted(set(entries)) == [("ann", "content"), ("ann", "performance"), ("operator", "content")]
    assert len(entries) <= 2 * 3  # an hour may end meanwhile
    assert {access["query_hash"] for access in status["visitor_accesses"]} == {
        sha256(b"avowal report").hexdigest()
    }
    counts = [
        (count["reader"], count["purpose"], count["accesses"]) for count in status["daily_access_counts"]
    ]
    assert counts == [("ann", "content", 4), ("ann", "performance", 2), ("operator", "content", 2)]
    assert site.avowal("verify").status == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET access_reader = 'ben' WHERE access_reader = 'ann'",
        "UPDATE entries SET access_salt = zeroblob(32) WHERE access_reader = 'ann'",
        "UPDATE entries SET access_salt = NULL WHERE access_reader = 'ann'",
        "UPDATE entries SET access_salt = printf('%032d', 7) WHERE access_reader = 'ann'",
        "UPDATE entries SET access_reader = 'ann' WHERE access_reader IS NULL",
        "UPDATE entries SET access_reader = NULL WHERE access_reader = 'ann'",
        "UPDATE entries SET access_reader = NULL, access_salt = NULL WHERE access_reader = 'ann'",
    ],
)
def test_a_changed_access_is_found(site: Site, statement: str) -> None:
    """Verification finds an access that was changed in the register."""
    site.avowal("query", SINGLE, "--purpose", "content", "--as", "ann")
    tamper(site, statement)
    assert_found(site, "access-mismatch")


def test_an_access_that_cannot_be_recorded_is_refused(site: Site) -> None:
    """If the register cannot record the access, no answer is given."""
    tamper(site, "CREATE TRIGGER full BEFORE INSERT ON entries BEGIN SELECT RAISE(ABORT, 'full'); END")
    result = site.avowal("query", SINGLE, "--purpose", "content", "--json")
    assert (result.status, result.code, result.out) == (1, "schema-mismatch", "")
