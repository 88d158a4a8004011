"""Consent for the past: it raises the governing number of one visitor's records, and its withdrawal restores it."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from avowal.change.consent_receipt import build_consent_receipt, check_consent_receipt
from avowal.errors import AvowalError
from avowal.ledger.note import Verifier
from avowal.register.register import open_register
from support.errors import raises_code
from support.receipts import yield_receipt_changes
from support.site import CHROME, Site, line, read_store, tamper
from support.templates import make_once
from support.verification import assert_found, verify_findings

TODAY = datetime.now(UTC).replace(tzinfo=None)
DAY = TODAY.replace(hour=12, minute=0) - timedelta(days=2)
ANN, BEN = "192.0.2.1", "192.0.2.2"
GOVERNED = "SELECT ip_address, version, governing FROM requests ORDER BY request_time"
WITHDRAWAL = """
INSERT INTO consents SELECT 2, publication, 0, language, document_hash, channel, commitment, 99, recorded_at FROM consents
"""
PERIOD = ("--since", f"{DAY.date()}", "--until", f"{DAY.date()}")


def publish_terms(site: Site, address: str, content: str, updated: Any = None) -> None:
    """Publish terms that keep addresses, and pages for content, for these ages."""
    terms = site.folder / "policy" / "terms.toml"
    text = "\n".join(
        f"updated = {updated or datetime.now(UTC).date()}" if row.startswith("updated = ") else row
        for row in TERMS.splitlines()
    )
    terms.write_text(text.replace("ADDRESS", address).replace("CONTENT", content))
    result = site.avowal("policy", "publish", "--accept-weaker")
    assert result.status == 0, result.err


TERMS = """
vocabulary = 1
controller = "Example"
contact = "privacy@site.example"
updated = 2026-11-22
languages = ["en"]

[[collect]]
categories = ["ip-address"]
keep = { full = "ADDRESS" }
for = ["abuse"]

[[collect]]
categories = ["request-time", "request-kind", "page-path", "visit", "view", "visitor-id", "bytes", "bot", "host", "referrer"]
keep = { full = "forever" }
for = ["abuse"]

[[collect]]
categories = ["request-time", "request-kind", "page-path", "visit", "view", "visitor-id", "bytes", "bot", "host", "referrer"]
keep = { full = "CONTENT" }
for = ["content"]
"""


@make_once
def site_with_two_versions(folder: Path) -> Site:
    """Make a site with two versions, the second of which keeps more, and two visitors from the time of the first."""
    site = Site(folder).init()
    terms = site.folder / "policy" / "terms.toml"
    terms.write_text(
        TERMS.replace("ADDRESS", "5 days")
        .replace("CONTENT", "1 day")
        .replace("2026-11-22", f"{(TODAY - timedelta(days=40)).date()}")
    )
    assert site.avowal("policy", "adopt").status == 0
    site.import_logs(
        site.log(
            "a.log",
            *(line(minute, f"/{minute}", start=DAY, address=ANN) for minute in (0, 5)),
            line(1, "/1", start=DAY, address=BEN),
        )
    )
    publish_terms(site, "30 days", "forever")
    return site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_with_two_versions(tmp_path)


def record_consent(site: Site, address: str = ANN, *options: Any) -> Any:
    """Record a consent; returns the object that `--json` printed."""
    result = site.avowal("visitor", "consent", address, *PERIOD, "--channel", "letter", "--json", *options)
    assert result.status == 0, result.err
    return result.json()


def withdraw_consent(site: Site, key: str, *options: Any) -> Any:
    result = site.avowal("visitor", "consent", key, "--channel", "e-mail", "--withdraw", "--json", *options)
    assert result.status == 0, result.err
    return result.json()


def reported_pages(site: Site) -> set[str]:
    return {row["page_path"] for row in site.report("pages")["tables"]["pages"]}


def read_governing_numbers(site: Site) -> set[tuple[str, int, int]]:
    return {tuple(row) for row in site.rows(GOVERNED)}


def test_consent_raises_the_records_of_one_visitor_only(site: Site) -> None:
    """After consent to the second version, the pages of that visitor can be read again."""
    assert reported_pages(site) == set()
    consent = record_consent(site)
    assert consent["permits"] == [
        {
            "governing": 1,
            "records": 2,
            "looser_rules": consent["permits"][0]["looser_rules"],
        }
    ]
    assert "ip-address, full: kept 30 days, was 5 days; for abuse" in consent["permits"][0]["looser_rules"]
    assert reported_pages(site) == {"/0", "/5"}
    assert read_governing_numbers(site) == {(ANN, 1, 2), (BEN, 1, 1)}
    for query in ("SELECT version, governing FROM views", "SELECT version, governing FROM visits"):
        assert set(site.rows(query)) == {(1, 1), (1, 2)}
    assert site.avowal("verify").status == 0


def test_a_withdrawal_restores_the_governing_numbers(site: Site) -> None:
    """After a withdrawal the records are as before, and the visitor may consent again."""
    before = read_store(site)
    key = record_consent(site)["visitor"]
    assert withdraw_consent(site, key)["receipt"]["event"]["event_state"] == "consent withdrawn"
    assert read_store(site) == before
    assert reported_pages(site) == set()
    assert site.avowal("visitor", "consent", key, "--channel", "page", "--withdraw").status == 1
    record_consent(site)
    assert reported_pages(site) == {"/0", "/5"}
    kinds = [site.avowal("ledger", "prove", entry, "--json").json()["entry"]["kind"] for entry in range(2, 6)]
    assert [kind for kind in kinds if kind != "data-accessed"] == [
        "consent-given",
        "consent-withdrawn",
        "consent-given",
    ]


def test_a_recorded_withdrawal_is_applied_before_the_next_query(site: Site) -> None:
    """A withdrawal that a killed process recorded without applying it is applied before the next query."""
    key = record_consent(site)["visitor"]
    with sqlite3.connect(site.data / "register.sqlite") as file:
        file.execute("PRAGMA foreign_keys = OFF")
        file.execute(WITHDRAWAL)
        file.execute("INSERT INTO consent_subjects SELECT 2, visitor, statement, salt FROM consent_subjects")
    file.close()
    assert read_governing_numbers(site) == {(ANN, 1, 2), (BEN, 1, 1)}
    assert reported_pages(site) == set()
    assert read_governing_numbers(site) == {(ANN, 1, 1), (BEN, 1, 1)}
    assert site.avowal("visitor", "consent", key, "--channel", "page", "--withdraw").status == 1


def test_consent_applies_to_records_that_are_imported_later(site: Site) -> None:
    """Records of a log imported after the consent are raised as if they had been imported before."""
    record_consent(site)
    site.import_logs(
        site.log("late.log", line(9, "/9", start=DAY, address=ANN), line(9, "/b", start=DAY, address=BEN))
    )
    assert read_governing_numbers(site) == {(ANN, 1, 2), (BEN, 1, 1)}
    assert site.rows("SELECT page_path, governing FROM views ORDER BY ALL") == [
        ("/0", 2),
        ("/1", 1),
        ("/5", 2),
        ("/9", 2),
        ("/b", 1),
    ]
    assert reported_pages(site) == {"/0", "/5", "/9"}


def test_a_later_visit_does_not_raise_earlier_records(site: Site) -> None:
    """A visit under the second version leaves the earlier records governed by the first."""
    now = datetime.now(UTC).replace(tzinfo=None)
    site.import_logs(site.log("now.log", line(0, "/now", start=now + timedelta(seconds=2), address=ANN)))
    assert read_governing_numbers(site) == {(ANN, 1, 1), (BEN, 1, 1), (ANN, 2, 2)}
    assert reported_pages(site) == {"/now"}


def test_consent_to_a_future_version_waits_for_it(site: Site) -> None:
    """It raises nothing before the version takes effect, and is void if the version is withdrawn."""
    later = (TODAY + timedelta(days=20)).date()
    publish_terms(site, "60 days", "forever", later)
    consent = record_consent(site, ANN, "--version", 3)
    key, entry = consent["visitor"], consent["receipt"]["proof"]["tlog_proof"]
    assert read_governing_numbers(site) == {(ANN, 1, 1), (BEN, 1, 1)}
    assert site.avowal("policy", "withdraw", 3).status == 0
    with closing(open_register(site.data, site.folder / "keys", store_file="avowal.duckdb")) as register:
        (recorded,) = register.consents.for_visitor(key)
        receipt = build_consent_receipt(register, recorded)
    assert receipt["record_id"] == consent["receipt"]["record_id"]
    assert entry.splitlines()[:3] == receipt["proof"].tlog_proof.splitlines()[:3]
    publish_terms(site, "90 days", "forever", later)
    assert (
        site.avowal("visitor", "consent", key, "--channel", "page", "--withdraw", "--version", 3).status == 1
    )
    assert site.avowal("verify").status == 0


def test_a_repeated_consent_is_recorded_once(site: Site) -> None:
    """The second call records nothing and returns the same receipt."""
    first, second = record_consent(site), record_consent(site)
    assert second["receipt"]["record_id"] == first["receipt"]["record_id"]
    assert site.avowal("verify", "--json").json()["entries"] == 3


def test_a_dry_run_records_nothing(site: Site) -> None:
    """It prints what the consent would permit."""
    consent = record_consent(site, ANN, "--dry-run")
    assert (consent["receipt"], len(consent["permits"])) == (None, 1)
    assert read_governing_numbers(site) == {(ANN, 1, 1), (BEN, 1, 1)}
    assert site.avowal("verify", "--json").json()["entries"] == 2


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (("192.0.2.1", *PERIOD, "--version", "1"), 1, "version-not-in-force"),
        (("192.0.2.1", *PERIOD, "--version", "7"), 1, "version-not-in-force"),
        (("192.0.2.9", *PERIOD), 1, "visitor-not-found"),
        (("192.0.2.1",), 2, "missing-input"),
        (("somebody",), 2, "invalid-visitor"),
        (("0123456789abcdef",), 1, "consent-not-needed"),
        (("192.0.2.1", *PERIOD, "--language", "fr"), 2, "document-not-found"),
        (("192.0.2.1", *PERIOD, "--withdraw"), 1, "consent-not-found"),
    ],
)
def test_an_invalid_consent_is_refused(
    site: Site, arguments: tuple[str, ...], status: int, code: str
) -> None:
    """The error has a code, and nothing is recorded."""
    result = site.avowal("visitor", "consent", *arguments, "--channel", "letter")
    assert (result.status, result.code) == (status, code), result.err
    assert site.avowal("verify", "--json").json()["entries"] == 2


def test_an_address_of_two_visitors_is_refused(site: Site) -> None:
    """The address is accepted for a period in which only one visitor had it."""
    site.import_logs(site.log("other.log", line(60, "/o", start=DAY, address=ANN, agent=CHROME)))
    result = site.avowal("visitor", "consent", ANN, *PERIOD, "--channel", "letter")
    assert (result.status, result.code) == (1, "visitor-ambiguous"), result.err
    end = f"{DAY + timedelta(minutes=30):%Y-%m-%d %H:%M}"
    assert site.avowal("visitor", "consent", ANN, *PERIOD[:3], end, "--channel", "letter").status == 0
    assert sum(governing == 2 for _, _, governing in site.rows(GOVERNED)) == 2


def test_an_expired_address_finds_no_visitor(site: Site) -> None:
    """An address older than its terms allow is not searched, even if it is still stored."""
    publish_terms(site, "1 day", "forever")
    result = site.avowal("visitor", "consent", ANN, *PERIOD, "--channel", "letter")
    assert (result.status, result.code) == (1, "visitor-not-found"), result.err


def test_a_receipt_is_verified_with_the_key_alone(site: Site, tmp_path: Path) -> None:
    """A receipt is valid in an empty folder, and each change of its content is found."""
    receipt_path, empty_folder = tmp_path / "receipt.json", tmp_path / "away"
    receipt = record_consent(site, ANN, "--receipt", receipt_path, "--reference", "letter 12")["receipt"]
    key = site.avowal("ledger", "key").out.strip()
    empty_folder.mkdir()
    result = Site(empty_folder).avowal("verify", receipt_path, "--key", key, "--json")
    assert (result.status, result.json()["entry"]["kind"]) == (0, "consent-given"), result.err
    assert receipt["pii_processing"]["privacy_notice"]["version"] == 2
    assert [purpose["purpose"] for purpose in receipt["pii_processing"]["purposes"]] == ["abuse", "content"]
    assert receipt["party_identification"][0]["party_name"] == "Example"
    assert receipt["event"]["reference"] == "letter 12"
    verifier = Verifier.parse(key)
    check_consent_receipt(json.dumps(receipt), verifier)
    for change, text in yield_receipt_changes(json.dumps(receipt)):
        with pytest.raises(AvowalError):
            raise AssertionError(change, check_consent_receipt(text, verifier))
    for text in ("{}", "{", "null", "[" * 100_000, '{"proof": NaN}', json.dumps({**receipt, "proof": {}})):
        with raises_code("invalid-receipt"):
            check_consent_receipt(text, verifier)


def test_a_consent_whose_subject_was_deleted_is_found(site: Site) -> None:
    """The register's file no longer contains the visitor key, and no erasure explains that."""
    key = record_consent(site, ANN, "--reference", "Ann's letter")["visitor"]
    with sqlite3.connect(site.data / "register.sqlite") as file:
        file.execute("DELETE FROM consent_subjects")
    file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file.close()
    content = (site.data / "register.sqlite").read_bytes()
    assert key.encode() not in content
    assert b"Ann's letter" not in content
    codes = [finding["code"] for finding in verify_findings(site)]
    assert codes == ["consent-mismatch", "register-rows-mismatch"]


def test_a_record_raised_without_consent_is_found(site: Site) -> None:
    """`avowal verify` reports a governing number that no consent explains."""
    record_consent(site)
    with duckdb.connect(site.data / "avowal.duckdb") as store:
        store.execute("UPDATE requests SET governing = 2")
    assert [finding["code"] for finding in verify_findings(site)] == ["governing-without-consent"]


TAMPERING = {
    "the version": "UPDATE consents SET publication = 1",
    "given or withdrawn": "UPDATE consents SET given = 0",
    "the document": "UPDATE consents SET document_hash = printf('%064d', 7)",
    "the language": "UPDATE consents SET language = 'fr'",
    "the channel": "UPDATE consents SET channel = 'page'",
    "the time": "UPDATE consents SET recorded_at = '2026-01-01 00:00:00.000000'",
    "the entry": "UPDATE consents SET entry = 0",
    "the commitment": "UPDATE consents SET commitment = printf('%064d', 7)",
    "the visitor": "UPDATE consent_subjects SET visitor = '0123456789abcdef'",
    "the statement": 'UPDATE consent_subjects SET statement = replace(statement, \'"reference":""\', \'"reference":"x"\')',
    "the statement's spaces": "UPDATE consent_subjects SET statement = statement || ' '",
    "the salt": "UPDATE consent_subjects SET salt = zeroblob(32)",
    "all rows removed": "DELETE FROM consents",
}


@pytest.mark.parametrize("change", TAMPERING)
def test_a_changed_consent_is_found(site: Site, change: str) -> None:
    """`avowal verify` reports each change of a consent in the register's file."""
    record_consent(site)
    tamper(site, TAMPERING[change])
    assert_found(site, "consent-mismatch", "" if "removed" in change else "consent 1")
