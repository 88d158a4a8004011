"""Releases: they need a ground and its evidence, stay within both and the terms, and are recorded."""

import io
import json
import re
import sqlite3
import zipfile
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import jsonschema
import polars as pl
import pytest

from avowal.disclose.extract import Extract, OldestValues, extract_records
from avowal.policy.bounds import GROUND_ONLY_PURPOSE, Bounds, Cell
from avowal.register.release_requests import ReleaseRequest
from avowal.store.columns import ColumnForm
from avowal.store.duckdb_store import DuckDBStore
from avowal.store.interface import Store
from support.disclosures import ANN, BEN, NOW, PERIOD, RECENT, read_package, request_release, verify_elsewhere
from support.site import CHROME, CommandResult, Site, line, tamper
from support.store_records import admitted_records, request_at, write_segment
from support.templates import make_once
from support.verification import assert_found

OLD = NOW - timedelta(days=20)
DOCTOR = "Dr. Example"


@make_once
def site_with_two_visitors(folder: Path) -> Site:
    site = Site(folder).init()
    terms = site.folder / "policy" / "terms.toml"
    terms.write_text(
        re.sub(r"updated = .*", f"updated = {(NOW - timedelta(40)).date()}", terms.read_text(), count=1)
    )
    site.import_logs(
        site.log(
            "a.log",
            *(line(n, f"/{n}", start=RECENT, address=ANN, agent=CHROME) for n in range(3)),
            line(1, "/b", start=RECENT, address=BEN),
        )
    )
    return site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_with_two_visitors(tmp_path)


def authorise(site: Site, categories: str = "page-path,request-time", recipient: str = DOCTOR) -> None:
    arguments = (
        "--recipient",
        recipient,
        "--categories",
        categories,
        "--channel",
        "letter",
        "--reference",
        "letter 12",
    )
    result = site.avowal("visitor", "authorise", ANN, *PERIOD, *arguments)
    assert result.status == 0, result.err


def disclose(
    site: Site, *arguments: object, categories: str = "page-path,request-time", recipient: str = DOCTOR
) -> CommandResult:
    options = (
        "--subject",
        ANN,
        *PERIOD,
        "--ground",
        "authorised",
        "--recipient",
        recipient,
        "--categories",
        categories,
    )
    return site.avowal("disclose", *options, *arguments, "--json")


def write_package(package: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(package, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)


def test_authorised_records_are_released(site: Site) -> None:
    """Only the authorised columns of that visitor are released, equally as JSON Lines and Parquet."""
    authorise(site)
    package = site.folder / "release.zip"
    result = disclose(site, "--package", package)
    assert result.status == 0, result.err
    files = read_package(package)
    rows = [json.loads(row) for row in files["requests.jsonl"].splitlines()]
    assert [row["page_path"] for row in rows] == ["/0", "/1", "/2"]
    assert {name for row in rows for name in row} == {"page_path", "request_time"}
    assert pl.read_parquet(io.BytesIO(files["requests.parquet"])).to_dicts() == rows
    assert not [name for name, content in files.items() if ANN.encode() in content]
    assert not [name for name, content in files.items() if b'"/b"' in content]
    assert result.json()["records"]["requests"] == 3
    assert package.stat().st_mode & 0o777 == 0o600
    verification = verify_elsewhere(site, package)
    assert (verification.status, verification.json()["package"]["recipient"]) == (0, DOCTOR), verification.err
    assert site.avowal("verify").status == 0


def test_a_release_runs_its_extraction_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release extracts its records once, for the check and the package together."""
    authorise(site)
    extractions = list[ReleaseRequest]()

    def extract(store: Store, bounds: Sequence[Bounds], request: ReleaseRequest, now: datetime) -> Extract:
        extractions.append(request)
        return extract_records(store, bounds, request, now)

    monkeypatch.setattr("avowal.app.owner_requests.extract_records", extract)
    result = disclose(site, "--package", site.folder / "release.zip")
    assert (result.status, len(extractions)) == (0, 1), result.err


def test_categories_without_authorisation_are_refused_with_a_reason(site: Site) -> None:
    """A dry run and the manifest give the reason for each refused category; the dry run is recorded."""
    authorise(site)
    entries = site.avowal("status", "--json").json()["ledger_entries"]
    dry = disclose(site, "--dry-run", categories="page-path,ip-address,referrer")
    assert dry.status == 0, dry.err
    assert dry.json()["refused_categories"] == {
        "ip-address": "the visitor did not authorise it",
        "referrer": "the visitor did not authorise it",
    }
    assert (dry.json()["released"], dry.json()["categories"]) == (False, ["page-path"])
    assert site.avowal("release", "list", "--json").json()["releases"] == []
    assert site.avowal("status", "--json").json()["ledger_entries"] == entries + 1
    package = site.folder / "release.zip"
    assert disclose(site, "--package", package, categories="page-path,ip-address").status == 0
    manifest = json.loads(read_package(package)["manifest.json"])
    assert manifest["refused_categories"] == {"ip-address": "the visitor did not authorise it"}
    assert manifest["summary"]["categories"] == ["page-path"]


def test_records_older_than_the_terms_permit_are_not_released(site: Site) -> None:
    """Under the default terms only seven days are released, however much older records are stored."""
    key = site.avowal("visitor", "show", ANN, *PERIOD, "--json").json()["visitor"]
    site.import_logs(
        site.log("old.log", *(line(n, f"/old-{n}", start=OLD, address=ANN, agent=CHROME) for n in range(3)))
    )
    authorise(site)
    with closing(sqlite3.connect(site.data / "register.sqlite")) as register:
        assert register.execute("SELECT visitor FROM authorisation_subjects").fetchall() == [(key,)]
    package = site.folder / "release.zip"
    assert disclose(site, "--package", package).status == 0
    assert b"/old-" not in read_package(package)["requests.jsonl"]


@pytest.mark.parametrize("evidence", ["nothing", "another recipient", "another category", "withdrawn"])
def test_a_release_needs_a_matching_authorisation(site: Site, evidence: str) -> None:
    """A release is refused without an authorisation for its recipient and category, or after it was withdrawn."""
    if evidence == "another recipient":
        authorise(site, recipient="Somebody else")
    elif evidence == "another category":
        authorise(site, "ip-address")
    elif evidence == "withdrawn":
        authorise(site)
        arguments = ("--recipient", DOCTOR, "--withdraw", "--channel", "letter")
        assert site.avowal("visitor", "authorise", ANN, *PERIOD, *arguments).status == 0
    package = site.folder / "release.zip"
    result = disclose(site, "--package", package)
    assert (result.status, result.code, package.exists()) == (1, "authorisation-not-found", False), result.err
    assert site.avowal("release", "list", "--json").json()["releases"] == []


def test_a_ground_needs_its_evidence_in_the_terms(site: Site) -> None:
    """A ground for which the terms name no evidence permits no release."""
    authorise(site)
    terms = site.folder / "policy" / "terms.toml"
    text = terms.read_text().replace('[[ground]]\nname = "authorised"\nevidence = ["authorisation"]\n', "")
    terms.write_text(re.sub(r"updated = .*", f"updated = {(NOW + timedelta(31)).date()}", text, count=1))
    assert site.avowal("policy", "publish", "--accept-weaker").status == 0
    assert disclose(site, "--dry-run").status == 0  # until it takes effect
    with closing(sqlite3.connect(site.data / "register.sqlite")) as register, register:
        triggers = register.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            register.execute(f"DROP TRIGGER {name}")
        register.execute(
            "UPDATE publications SET effective_at = ? WHERE number = 2", (f"{NOW - timedelta(hours=1)}",)
        )
        for _, sql in triggers:
            register.execute(sql)
    result = disclose(site, "--dry-run")
    assert (result.status, result.code) == (1, "ground-without-evidence")


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["--ground", "authorized", "--dry-run"], 2, "unknown-name"),
        (["--categories", "page-paths", "--dry-run"], 2, "unknown-name"),
        ([], 2, "missing-input"),
        (["--package", "x.zip", "--dry-run"], 2, "conflicting-options"),
        (["--package", "avowal.toml"], 2, "file-exists"),
    ],
)
def test_an_invalid_release_request_is_refused(
    site: Site, arguments: list[str], status: int, code: str
) -> None:
    """Invalid options are refused, and nothing is released."""
    authorise(site)
    valid_arguments = (
        "--subject",
        ANN,
        *PERIOD,
        "--ground",
        "authorised",
        "--recipient",
        DOCTOR,
        "--categories",
        "page-path",
    )
    result = site.avowal("disclose", *valid_arguments, *arguments)
    assert (result.status, result.code) == (status, code), result.err
    assert site.avowal("release", "list", "--json").json()["releases"] == []


def test_a_changed_package_fails_verification(site: Site) -> None:
    """A package with a changed, missing or exchanged file fails verification."""
    authorise(site)
    package, other = site.folder / "release.zip", site.folder / "other.zip"
    assert disclose(site, "--package", package).status == 0
    assert disclose(site, "--package", other, categories="page-path").status == 0
    files = read_package(package)
    manifest = json.loads(files["manifest.json"])
    changed_package = site.folder / "wrong.zip"
    for change in (
        {"requests.jsonl": files["requests.jsonl"].replace(b"/0", b"/9")},
        {"more.jsonl": b"{}"},
        {"manifest.json": json.dumps({**manifest, "recipient": "Somebody else"}).encode()},
        {"proof.txt": read_package(other)["proof.txt"]},
    ):
        write_package(changed_package, {**files, **change})
        result = verify_elsewhere(site, changed_package)
        assert (result.status, result.code) == (1, "package-mismatch"), result.err
    write_package(changed_package, {name: content for name, content in files.items() if name != "proof.txt"})
    assert verify_elsewhere(site, changed_package).status == 2
    content = bytearray(package.read_bytes())
    for flags in [match.start() for match in re.finditer(b"PK\x01\x02", content)]:
        content[flags + 8] |= 1  # as if it were encrypted
    changed_package.write_bytes(content)
    result = verify_elsewhere(site, changed_package)
    assert (result.status, result.code) == (2, "invalid-package"), result.err


def test_a_visitor_sees_a_recalled_release(site: Site) -> None:
    """A visitor sees a recalled release in `show`, in the export and on the page, and everything verifies."""
    authorise(site)
    assert disclose(site, "--package", site.folder / "release.zip").status == 0
    (release,) = site.avowal("release", "list", "--json").json()["releases"]
    assert (release["recipient"], release["summary"]["ground"], release["recalled_at"]) == (
        DOCTOR,
        "authorised",
        None,
    )
    assert site.avowal("release", "recall", release["summary"]["reference"], "--reason", " ").status == 2
    assert (
        site.avowal(
            "release", "recall", release["summary"]["reference"], "--reason", "sent by mistake"
        ).status
        == 0
    )
    assert site.avowal("release", "recall", release["summary"]["reference"], "--reason", "again").status == 1
    summary = site.avowal("visitor", "show", ANN, *PERIOD, "--json").json()
    (shown_release,) = summary["releases"]
    assert (shown_release["summary"]["reference"], bool(shown_release["recalled_at"])) == (
        release["summary"]["reference"],
        True,
    )
    page, export = site.folder / "me.html", site.folder / "me.jsonl"
    assert site.avowal("visitor", "show", ANN, *PERIOD, "--page", page).status == 0
    assert "What we disclosed to others" in page.read_text()
    assert site.avowal("visitor", "export", ANN, *PERIOD, "--output", export).status == 0
    schema = jsonschema.Draft202012Validator(site.avowal("visitor", "schema").json())
    assert list(schema.iter_errors(json.loads(export.read_text().splitlines()[0]))) == []
    assert site.avowal("verify").status == 0


def test_a_release_does_not_identify_an_erased_visitor(site: Site) -> None:
    """After an erasure the release remains without recipient or visitor key, and still verifies."""
    authorise(site)
    package = site.folder / "release.zip"
    assert disclose(site, "--package", package).status == 0
    key = site.avowal("visitor", "show", ANN, *PERIOD, "--json").json()["visitor"]
    assert site.avowal("visitor", "erase", key, "--expected-records", "3").status == 0
    for path in site.data.glob("register.sqlite*"):
        assert DOCTOR.encode() not in path.read_bytes()
        assert key.encode() not in path.read_bytes()
    (release,) = site.avowal("release", "list", "--json").json()["releases"]
    assert (release["recipient"], release["summary"]["records"]["requests"] > 0) == ("", True)
    assert site.avowal("verify").status == 0
    assert verify_elsewhere(site, package).status == 0


def test_a_changed_release_is_found_by_verify(site: Site) -> None:
    """A changed recipient and a recall that was never made are found by `avowal verify`."""
    authorise(site)
    assert disclose(site, "--package", site.folder / "release.zip").status == 0
    for change, code in (
        ("UPDATE release_subjects SET recipient = 'Somebody else'", "release-mismatch"),
        (f"UPDATE releases SET recalled_at = '{NOW}'", "recall-mismatch"),
    ):
        tamper(site, change)
        assert_found(site, code)


def test_the_ledger_has_no_time_of_released_records(site: Site) -> None:
    """A ledger entry names only the age limit that the oldest record is within, not its time."""
    authorise(site)
    package = site.folder / "release.zip"
    assert disclose(site, "--package", package, categories="page-path").status == 0
    (entry,) = site.avowal("ledger", "list", "--kind", "release-made", "--json").json()["entries"]
    ((*cell, since),) = entry["age_reach"]
    age = datetime.fromisoformat(entry["summary"]["released_at"]) - datetime.fromisoformat(since)
    assert (cell, round(age / timedelta(days=1), 3)) == (["page-path", "full", 1], 7)
    assert site.avowal("verify").status == 0


def test_an_age_reach_is_an_age_of_the_terms() -> None:
    """The age reach is the smallest age that covers the oldest record, or the earliest time if none does."""
    day = timedelta(days=1).total_seconds()
    ages = {"full": int(7 * day), "network": int(30 * day)}
    cells = {Cell("ip-address", GROUND_ONLY_PURPOSE, "named-person", "authorised"): ages}
    for days, limit_days in ((3, 7), (7, 7), (20, 30), (31, None)):
        oldest = OldestValues([Bounds(cells, {})], NOW)
        oldest.add(ColumnForm("ip-address", "full", ""), 1, NOW - timedelta(days))
        since = datetime.min if limit_days is None else NOW - timedelta(limit_days)
        assert oldest.to_age_reach() == [("ip-address", "full", 1, since)]


def test_an_unwritable_package_is_not_recorded(site: Site) -> None:
    """If its file cannot be written, exists or is being written, a release is not recorded."""
    authorise(site)
    entries = site.avowal("status", "--json").json()["ledger_entries"]
    existing, unfinished = site.folder / "there", site.folder / "a.zip.unfinished"
    existing.write_text("mine")
    for name in ("nowhere/a.zip", "there"):
        assert disclose(site, "--package", site.folder / name).status == 2
        erasure = site.avowal(
            "visitor", "erase", ANN, *PERIOD, "--expected-records", 3, "--receipt", site.folder / name
        )
        assert (erasure.status, name.partition("/")[0] in erasure.err) == (2, True), erasure.err
    assert site.avowal("status", "--json").json()["ledger_entries"] == entries
    unfinished.write_text("theirs")
    result = disclose(site, "--package", site.folder / "a.zip")
    assert (result.status, result.code) == (2, "file-exists"), result.err
    assert site.avowal("status", "--json").json()["ledger_entries"] == entries
    assert (existing.read_text(), unfinished.read_text()) == ("mine", "theirs")
    assert site.avowal("release", "list", "--json").json()["releases"] == []
    assert disclose(site, "--package", site.folder / "b.zip").json()["records"]["requests"] == 3
    (release,) = site.avowal("release", "list", "--json").json()["releases"]
    recall = ("release", "recall", release["summary"]["reference"], "--reason")
    assert site.avowal(*recall, "by mistake", "--notice", site.folder / "nowhere" / "n.eml").status == 2
    assert site.avowal(*recall, "by\nmistake").status == site.avowal(*recall, "x" * 2000).status == 2
    assert site.avowal(*recall, "by mistake", "--notice", site.folder / "n.eml").status == 0


def test_a_changed_authorisation_permits_no_release(site: Site) -> None:
    """An authorisation that does not match its commitment permits no release."""
    authorise(site)
    tamper(site, "UPDATE authorisation_subjects SET recipient = 'Mallory'")
    package = site.folder / "release.zip"
    result = disclose(site, "--package", package, recipient="Mallory")
    assert (result.status, result.code) == (1, "ledger-mismatch"), result.err
    assert not package.exists()
    assert site.avowal("release", "list", "--json").json()["releases"] == []


def test_a_column_shows_only_the_requested_categories(tmp_path: Path) -> None:
    """If a column combines several categories, only the requested ones are in the extract."""
    cells = {
        Cell(category, GROUND_ONLY_PURPOSE, "named-person", "authorised"): {"full": None}
        for category in ("request-time", "ip-address", "country")
    }
    store = DuckDBStore(tmp_path, "64MB")
    store.load_segments(
        [write_segment(tmp_path, admitted_records(request_at(0, ip_address=ANN, country="DE", visitor_id=2)))]
    )

    def extract_columns(*categories: str) -> tuple[list[str], list[str]]:
        request = request_release(f"{2:016x}", list(categories), NOW)
        extract = extract_records(store, [Bounds(cells, {})], request, NOW)
        return extract.tables["requests"].columns, list(extract.refused_categories)

    assert extract_columns("ip-address") == (["ip_address"], [])
    assert extract_columns("country", "ip-address") == (["ip_address", "country"], [])
    assert extract_columns("country", "referrer") == (["country"], ["referrer"])
    store.close()
