"""Releases: on a ground with its evidence, only as far as that and the terms go, and always on record."""

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
import msgspec
import polars as pl
import pytest

from avowal.disclose.extract import Extract, OldestValues, extract_records
from avowal.policy.bounds import GROUND_ONLY_PURPOSE, Bounds, Cell
from avowal.register.release_requests import ReleaseRequest
from avowal.store.columns import ColumnForm
from avowal.store.duckdb_store import DuckDBStore
from avowal.store.interface import Store
from support.disclosures import ANN, BEN, NOW, PERIOD, RECENT, read_package, verify_elsewhere
from support.site import CHROME, Ran, Site, line, tamper
from support.store_records import admitted_records, request_at, written_segment
from support.templates import made_once
from support.verification import assert_found

OLD = NOW - timedelta(days=20)
DOCTOR = "Dr. Example"
REQUEST = ReleaseRequest(
    reference="0" * 16,
    ground="authorised",
    recipient_kind="named-person",
    categories=[],
    version=1,
    required_approvals=0,
    recipient=DOCTOR,
    recipient_contact="",
    visitor=f"{2:016x}",
    row_filter="",
    evidence={},
    requester="operator",
    expires_days=30,
    requested_at=NOW,
)


@made_once
def site_with_two_visitors(folder: Path) -> Site:
    made = Site(folder).init()
    terms = made.folder / "policy" / "terms.toml"
    terms.write_text(
        re.sub(r"updated = .*", f"updated = {(NOW - timedelta(40)).date()}", terms.read_text(), count=1)
    )
    made.take_in(
        made.log(
            "a.log",
            *(line(n, f"/{n}", start=RECENT, address=ANN, agent=CHROME) for n in range(3)),
            line(1, "/b", start=RECENT, address=BEN),
        )
    )
    return made


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_with_two_visitors(tmp_path)


def authorise(site: Site, categories: str = "page-path,request-time", whom: str = DOCTOR) -> None:
    words = (
        "--recipient",
        whom,
        "--categories",
        categories,
        "--channel",
        "letter",
        "--reference",
        "letter 12",
    )
    ran = site.avowal("visitor", "authorise", ANN, *PERIOD, *words)
    assert ran.status == 0, ran.err


def disclose(
    site: Site, *arguments: object, categories: str = "page-path,request-time", to: str = DOCTOR
) -> Ran:
    words = (
        "--subject",
        ANN,
        *PERIOD,
        "--ground",
        "authorised",
        "--recipient",
        to,
        "--categories",
        categories,
    )
    return site.avowal("disclose", *words, *arguments, "--json")


def packed(package: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(package, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)


def test_what_is_authorised_is_released(site: Site) -> None:
    """Of that visitor alone, and nothing else of it; as JSON Lines and Parquet, which say the same."""
    authorise(site)
    package = site.folder / "release.zip"
    ran = disclose(site, "--package", package)
    assert ran.status == 0, ran.err
    files = read_package(package)
    rows = [json.loads(row) for row in files["requests.jsonl"].splitlines()]
    assert [row["page_path"] for row in rows] == ["/0", "/1", "/2"]
    assert {name for row in rows for name in row} == {"page_path", "request_time"}
    assert pl.read_parquet(io.BytesIO(files["requests.parquet"])).to_dicts() == rows
    assert not [name for name, content in files.items() if ANN.encode() in content]
    assert not [name for name, content in files.items() if b'"/b"' in content]
    assert ran.json()["records"]["requests"] == 3
    assert package.stat().st_mode & 0o777 == 0o600
    found = verify_elsewhere(site, package)
    assert (found.status, found.json()["package"]["recipient"]) == (0, DOCTOR), found.err
    assert site.avowal("verify").status == 0


def test_a_release_runs_its_extraction_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extract that shows that something may be released is the one that is released."""
    authorise(site)
    extractions = list[ReleaseRequest]()

    def extract(store: Store, bounds: Sequence[Bounds], request: ReleaseRequest, now: datetime) -> Extract:
        extractions.append(request)
        return extract_records(store, bounds, request, now)

    monkeypatch.setattr("avowal.app.owner_requests.extract_records", extract)
    ran = disclose(site, "--package", site.folder / "release.zip")
    assert (ran.status, len(extractions)) == (0, 1), ran.err


def test_what_is_not_authorised_is_refused_and_told(site: Site) -> None:
    """With the reason, also in the manifest; a dry run tells the same, and leaves no trace."""
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
    assert site.avowal("status", "--json").json()["ledger_entries"] == entries
    package = site.folder / "release.zip"
    assert disclose(site, "--package", package, categories="page-path,ip-address").status == 0
    manifest = json.loads(read_package(package)["manifest.json"])
    assert manifest["refused_categories"] == {"ip-address": "the visitor did not authorise it"}
    assert manifest["categories"] == ["page-path"]


def test_what_is_too_old_stays(site: Site) -> None:
    """The default terms let whoever is authorised have seven days; how much older is held makes no difference."""
    key = site.avowal("visitor", "show", ANN, *PERIOD, "--json").json()["visitor"]
    site.take_in(
        site.log("old.log", *(line(n, f"/old-{n}", start=OLD, address=ANN, agent=CHROME) for n in range(3)))
    )
    authorise(site)
    with closing(sqlite3.connect(site.data / "register.sqlite")) as register:
        assert register.execute("SELECT visitor FROM authorisation_subjects").fetchall() == [(key,)]
    package = site.folder / "release.zip"
    assert disclose(site, "--package", package).status == 0
    assert b"/old-" not in read_package(package)["requests.jsonl"]


@pytest.mark.parametrize("told", ["nothing", "another recipient", "another category", "taken back"])
def test_without_its_evidence_nothing_leaves(site: Site, told: str) -> None:
    """Neither for another recipient, nor of another category, nor after it was taken back."""
    if told == "another recipient":
        authorise(site, whom="Somebody else")
    elif told == "another category":
        authorise(site, "ip-address")
    elif told == "taken back":
        authorise(site)
        words = ("--recipient", DOCTOR, "--withdraw", "--channel", "letter")
        assert site.avowal("visitor", "authorise", ANN, *PERIOD, *words).status == 0
    package = site.folder / "release.zip"
    ran = disclose(site, "--package", package)
    assert (ran.status, ran.code, package.exists()) == (1, "authorisation-not-found", False), ran.err
    assert site.avowal("release", "list", "--json").json()["releases"] == []


def test_without_evidence_in_the_terms_nothing_leaves(site: Site) -> None:
    """Terms that name no evidence for the ground permit no release on it."""
    authorise(site)
    terms = site.folder / "policy" / "terms.toml"
    text = terms.read_text().replace('[[ground]]\nname = "authorised"\nevidence = ["authorisation"]\n', "")
    terms.write_text(re.sub(r"updated = .*", f"updated = {(NOW + timedelta(31)).date()}", text, count=1))
    assert site.avowal("policy", "publish", "--accept-weaker").status == 0
    assert disclose(site, "--dry-run").status == 0  # until it takes effect
    with closing(sqlite3.connect(site.data / "register.sqlite")) as register, register:
        for (name,) in register.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            register.execute(f"DROP TRIGGER {name}")
        register.execute(
            "UPDATE publications SET effective_at = ? WHERE number = 2", (f"{NOW - timedelta(hours=1)}",)
        )
    ran = disclose(site, "--dry-run")
    assert (ran.status, ran.code) == (1, "ground-without-evidence")


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
def test_what_is_asked_wrongly_is_refused(site: Site, arguments: list[str], status: int, code: str) -> None:
    """And nothing is released."""
    authorise(site)
    words = (
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
    ran = site.avowal("disclose", *words, *arguments)
    assert (ran.status, ran.code) == (status, code), ran.err
    assert site.avowal("release", "list", "--json").json()["releases"] == []


def test_a_changed_package_does_not_hold(site: Site) -> None:
    """Whatever in it was changed, left out or mixed up; and one that expired."""
    authorise(site)
    package, other = site.folder / "release.zip", site.folder / "other.zip"
    assert disclose(site, "--package", package).status == 0
    assert disclose(site, "--package", other, categories="page-path").status == 0
    files = read_package(package)
    manifest = json.loads(files["manifest.json"])
    wrong = site.folder / "wrong.zip"
    for change in (
        {"requests.jsonl": files["requests.jsonl"].replace(b"/0", b"/9")},
        {"more.jsonl": b"{}"},
        {"manifest.json": json.dumps({**manifest, "recipient": "Somebody else"}).encode()},
        {"proof.txt": read_package(other)["proof.txt"]},
    ):
        packed(wrong, {**files, **change})
        ran = verify_elsewhere(site, wrong)
        assert (ran.status, ran.code) == (1, "package-mismatch"), ran.err
    packed(wrong, {name: content for name, content in files.items() if name != "proof.txt"})
    assert verify_elsewhere(site, wrong).status == 2
    content = bytearray(package.read_bytes())
    for flags in [found.start() for found in re.finditer(b"PK\x01\x02", content)]:
        content[flags + 8] |= 1  # as if it were encrypted
    wrong.write_bytes(content)
    ran = verify_elsewhere(site, wrong)
    assert (ran.status, ran.code) == (2, "invalid-package"), ran.err


def test_a_release_is_recalled_and_seen(site: Site) -> None:
    """By its visitor, in show, export and page; nothing that was recorded is changed."""
    authorise(site)
    assert disclose(site, "--package", site.folder / "release.zip").status == 0
    (one,) = site.avowal("release", "list", "--json").json()["releases"]
    assert (one["recipient"], one["ground"], one["recalled_at"]) == (DOCTOR, "authorised", None)
    assert site.avowal("release", "recall", one["reference"], "--reason", " ").status == 2
    assert site.avowal("release", "recall", one["reference"], "--reason", "sent by mistake").status == 0
    assert site.avowal("release", "recall", one["reference"], "--reason", "again").status == 1
    told = site.avowal("visitor", "show", ANN, *PERIOD, "--json").json()
    (seen,) = told["releases"]
    assert (seen["reference"], bool(seen["recalled_at"])) == (one["reference"], True)
    page, export = site.folder / "me.html", site.folder / "me.jsonl"
    assert site.avowal("visitor", "show", ANN, *PERIOD, "--page", page).status == 0
    assert "What was released to others" in page.read_text()
    assert site.avowal("visitor", "export", ANN, *PERIOD, "--output", export).status == 0
    schema = jsonschema.Draft202012Validator(site.avowal("visitor", "schema").json())
    assert list(schema.iter_errors(json.loads(export.read_text().splitlines()[0]))) == []
    assert site.avowal("verify").status == 0


def test_nothing_leads_from_a_release_to_who_was_erased(site: Site) -> None:
    """What is left says that there was one, and holds."""
    authorise(site)
    package = site.folder / "release.zip"
    assert disclose(site, "--package", package).status == 0
    key = site.avowal("visitor", "show", ANN, *PERIOD, "--json").json()["visitor"]
    assert site.avowal("visitor", "erase", key, "--expected-records", "3").status == 0
    for path in site.data.glob("register.sqlite*"):
        assert DOCTOR.encode() not in path.read_bytes()
        assert key.encode() not in path.read_bytes()
    (one,) = site.avowal("release", "list", "--json").json()["releases"]
    assert (one["recipient"], one["records"] > 0) == ("", True)
    assert site.avowal("verify").status == 0
    assert verify_elsewhere(site, package).status == 0


def test_a_changed_release_is_found(site: Site) -> None:
    """Another recipient, or a recall that never was, put in behind the system's back."""
    authorise(site)
    assert disclose(site, "--package", site.folder / "release.zip").status == 0
    for change, code in (
        ("UPDATE release_subjects SET recipient = 'Somebody else'", "release-mismatch"),
        (f"UPDATE releases SET recalled_at = '{NOW}'", "recall-mismatch"),
    ):
        tamper(site, change)
        assert_found(site, code)


def test_the_ledger_tells_no_moment_of_what_left(site: Site) -> None:
    """Only by which age of the terms it is young enough: nobody gets a time that was not to be released."""
    authorise(site)
    package = site.folder / "release.zip"
    assert disclose(site, "--package", package, categories="page-path").status == 0
    (made,) = site.avowal("ledger", "list", "--kind", "release-made", "--json").json()["entries"]
    ((*what, since),) = made["age_reach"]
    told = datetime.fromisoformat(made["at"]) - datetime.fromisoformat(since)
    assert (what, round(told / timedelta(days=1), 3)) == (["page-path", "full", 1], 7)
    assert site.avowal("verify").status == 0


def test_how_far_something_goes_is_told_by_ages_of_the_terms() -> None:
    """The least that it has not reached; what is older than all of them is told as older than anything."""
    day = timedelta(days=1).total_seconds()
    ages = {"full": int(7 * day), "network": int(30 * day)}
    cells = {Cell("ip-address", GROUND_ONLY_PURPOSE, "named-person", "authorised"): ages}
    for days, told in ((3, 7), (7, 7), (20, 30), (31, None)):
        far = OldestValues([Bounds(cells, {})], NOW)
        far.add(ColumnForm("ip-address", "full", ""), 1, NOW - timedelta(days))
        since = datetime.min if told is None else NOW - timedelta(told)
        assert far.to_age_reach() == [("ip-address", "full", 1, since)]


def test_nothing_is_recorded_that_cannot_be_written(site: Site) -> None:
    """A file in no folder, one that is there, and one that somebody writes; the next attempt is the first."""
    authorise(site)
    entries = site.avowal("status", "--json").json()["ledger_entries"]
    there, writing = site.folder / "there", site.folder / "a.zip.unfinished"
    there.write_text("mine")
    for name in ("nowhere/a.zip", "there"):
        assert disclose(site, "--package", site.folder / name).status == 2
        erased = site.avowal(
            "visitor", "erase", ANN, *PERIOD, "--expected-records", 3, "--receipt", site.folder / name
        )
        assert (erased.status, name.partition("/")[0] in erased.err) == (2, True), erased.err
    assert site.avowal("status", "--json").json()["ledger_entries"] == entries
    writing.write_text("theirs")
    ran = disclose(site, "--package", site.folder / "a.zip")
    assert (ran.status, ran.code) == (2, "file-exists"), ran.err
    assert site.avowal("status", "--json").json()["ledger_entries"] == entries
    assert (there.read_text(), writing.read_text()) == ("mine", "theirs")
    assert site.avowal("release", "list", "--json").json()["releases"] == []
    assert disclose(site, "--package", site.folder / "b.zip").json()["records"]["requests"] == 3
    (one,) = site.avowal("release", "list", "--json").json()["releases"]
    recall = ("release", "recall", one["reference"], "--reason")
    assert site.avowal(*recall, "by mistake", "--notice", site.folder / "nowhere" / "n.eml").status == 2
    assert site.avowal(*recall, "by\nmistake").status == site.avowal(*recall, "x" * 2000).status == 2
    assert site.avowal(*recall, "by mistake", "--notice", site.folder / "n.eml").status == 0


def test_nothing_stands_on_a_changed_authorisation(site: Site) -> None:
    """A row that is not what its commitment says lets nobody have anything."""
    authorise(site)
    tamper(site, "UPDATE authorisation_subjects SET recipient = 'Mallory'")
    package = site.folder / "release.zip"
    ran = disclose(site, "--package", package, to="Mallory")
    assert (ran.status, ran.code) == (1, "ledger-mismatch"), ran.err
    assert not package.exists()
    assert site.avowal("release", "list", "--json").json()["releases"] == []


def test_a_column_shows_what_was_asked_for_only(tmp_path: Path) -> None:
    """Where it may be made of several categories: an address does not take along the country that was not asked for."""
    cells = {
        Cell(category, GROUND_ONLY_PURPOSE, "named-person", "authorised"): {"full": None}
        for category in ("request-time", "ip-address", "country")
    }
    store = DuckDBStore(tmp_path, "64MB")
    store.load_segments(
        [
            written_segment(
                tmp_path, admitted_records(request_at(0, ip_address=ANN, country="DE", visitor_id=2))
            )
        ]
    )

    def found(*categories: str) -> tuple[list[str], list[str]]:
        request = msgspec.structs.replace(REQUEST, categories=list(categories))
        of = extract_records(store, [Bounds(cells, {})], request, NOW)
        return of.tables["requests"].columns, list(of.refused_categories)

    assert found("ip-address") == (["ip_address"], [])
    assert found("country", "ip-address") == (["ip_address", "country"], [])
    assert found("country", "referrer") == (["country"], ["referrer"])
    store.close()
