"""What a second version changes for records of the first: no more of them is released, and not with less evidence."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from avowal.ledger.release_entry import AgeReach
from avowal.policy.bounds import Bounds, FormNeeds
from avowal.policy.ground import GroundRequirements
from avowal.register.register import Register
from avowal.register.release_requests import ReleaseRequest
from support.disclosures import (
    ANN,
    BEN,
    CAROL,
    NOW,
    PERIOD,
    RECENT,
    add_user,
    approve_release,
    disclose,
    read_package,
)
from support.processors import CONTRACT, add_processor
from support.site import CHROME, CommandResult, Site, line
from support.submissions import order_form
from support.templates import make_once
from support.verification import assert_found

CHECKING = '[[ground]]\nname = "fraud-or-misuse"                         # `checking` and `industry-abuse-control`\nevidence = ["case", "records"]\n'
ATTACK = ("--rows", "requests WHERE page_path LIKE '/wp-%'", "--categories", "ip-address,page-path")
ORDER = order_form(
    'name = "person-name", email = "email-address", phone = "telephone-number"',
    purposes='"requested-service", "content"',
)


def edit_terms(site: Site, *changes: tuple[str, str], updated: str = f"{NOW.date()}") -> None:
    """Replace parts of the draft, and its date."""
    terms = site.folder / "policy" / "terms.toml"
    text = terms.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    terms.write_text(re.sub(r"(?m)^updated = .*", f"updated = {updated}", text))


def publish(site: Site, *changes: tuple[str, str], weaker: bool = True) -> None:
    """Publish a second version, from now on."""
    edit_terms(site, *changes)
    result = site.avowal("policy", "publish", "--json", *(["--accept-weaker"] if weaker else []))
    assert (result.status, result.json()["outcome"]) == (0, "published"), result.err
    assert (result.json()["relation"] == "more protective") is not weaker


@make_once
def site_without_notice(folder: Path, more: str = "", *changes: tuple[str, str]) -> Site:
    """Make a site that owes no days of notice, with an attack in its log, and an order."""
    site = Site(folder).init()
    edit_terms(
        site, ("notice-days = 30", "notice-days = 0"), *changes, updated=f"{(NOW - timedelta(40)).date()}"
    )
    terms = site.folder / "policy" / "terms.toml"
    terms.write_text(terms.read_text() + more)
    add_attack(site, "a.log", BEN)
    return site


def add_attack(site: Site, name: str, address: str, minutes: float = 0) -> None:
    """Import an attack, among other requests."""
    site.import_logs(
        site.log(
            name,
            *(
                line(minutes + n, "/wp-login.php", start=RECENT, address=address, status=404)
                for n in range(4)
            ),
            *(line(minutes + n, f"/{n}", start=RECENT, address=ANN, agent=CHROME) for n in range(3)),
        )
    )


def add_order(site: Site) -> str:
    """Record an order; returns its reference."""
    answers = ("name=Ann Example", "email=ann@example.org", "phone=555 0100")
    fields = [word for answer in answers for word in ("--field", answer)]
    added = site.avowal("submission", "add", "order", "--channel", "letter", *fields, "--json")
    assert added.status == 0, added.err
    return str(added.json()["reference"])


def serve_order(site: Site, reference: str) -> tuple[CommandResult, set[str]]:
    """Release an order to a carrier; returns the fields that are released."""
    package = site.folder / "release.zip"
    package.unlink(missing_ok=True)
    words = ("--reference", reference, "--categories", "submission", "--package", package)
    result = disclose(site, "requested-function", *words, recipient="Carrier")
    if result.status:
        return result, set()
    rows = read_package(package)["submissions.jsonl"].splitlines()
    return result, {json.loads(row)["field"] for row in rows}


def test_a_ground_that_opens_releases_nothing_of_before(tmp_path: Path) -> None:
    """Evidence for a ground that had none is less protective, and records of before are not released on it (B8)."""
    site = site_without_notice(tmp_path, "", (CHECKING, ""))
    closed = disclose(site, "checking", *ATTACK, "--dry-run")
    assert closed.code == "ground-without-evidence"
    edit_terms(site, ("# Those who work for this site", f"{CHECKING}\n# Those who work for this site"))
    assert site.avowal("policy", "publish").code == "weaker-terms"
    publish(site)
    opened = disclose(site, "checking", *ATTACK, "--reference", "case 12", "--dry-run")
    assert (opened.status, opened.code) == (1, "not-permitted")
    assert site.avowal("verify").status == 0


def test_records_need_the_evidence_that_was_promised_for_them(tmp_path: Path) -> None:
    """A later version that requires less evidence holds for later records alone."""
    site = site_without_notice(tmp_path)
    publish(site, ('evidence = ["case", "records"]', 'evidence = ["records"]'))
    package = site.folder / "release.zip"
    without = disclose(site, "checking", *ATTACK, "--package", package)
    assert (without.status, without.code, package.exists()) == (1, "evidence-missing", False)
    both = disclose(site, "checking", *ATTACK, "--reference", "case 12", "--dry-run")
    assert (both.status, both.json()["visitors"], both.json()["records"]) == (0, 1, {"requests": 4}), both.err
    add_attack(
        site, "b.log", CAROL, (datetime.now(UTC).replace(tzinfo=None) - RECENT).total_seconds() / 60 + 1
    )
    later = disclose(site, "checking", *ATTACK, "--package", package)
    assert later.status == 0, later.err
    rows = [json.loads(row) for row in read_package(package)["requests.jsonl"].splitlines()]
    assert {row["ip_address"] for row in rows} == {CAROL}
    assert site.avowal("verify").status == 0


def test_records_need_the_approvals_that_were_promised_for_them(tmp_path: Path) -> None:
    """A request for records of a version that required an approval waits for it under a version that requires none."""
    site = site_without_notice(
        tmp_path, "", ('evidence = ["case", "records"]', 'evidence = ["case", "records"]\napprovals = 1')
    )
    publish(site, ('evidence = ["case", "records"]\napprovals = 1', 'evidence = ["case", "records"]'))
    package = site.folder / "release.zip"
    asked = disclose(site, "checking", *ATTACK, "--reference", "case 12", "--package", package)
    assert (asked.status, asked.json()["released"], package.exists()) == (0, False, False)
    reference = asked.json()["reference"]
    assert site.avowal("release", "make", reference, "--package", package).code == "approval-missing"
    add_user(site, "bea", "--disclose")
    assert approve_release(site, reference, "bea").status == 0
    assert site.avowal("release", "make", reference, "--package", package).status == 0
    assert site.avowal("verify").status == 0


def test_an_order_is_released_as_far_as_it_was_promised(tmp_path: Path) -> None:
    """A draft in which a form needs more decides nothing, and a version in which it does holds for later orders (B9)."""
    site = site_without_notice(tmp_path, ORDER)
    before = add_order(site)
    assert serve_order(site, before)[1] == {"name"}
    edit_terms(site, ('needs = ["person-name"]', 'needs = ["submission"]'))
    assert serve_order(site, before)[1] == {"name"}
    publish(site)
    after = add_order(site)
    assert serve_order(site, after)[1] == {"name", "email", "phone"}
    assert serve_order(site, before)[1] == {"name"}
    publish(site, ('needs = ["submission"]', 'needs = ["email-address"]'), weaker=False)
    assert serve_order(site, after)[1] == {"email"}
    assert serve_order(site, before)[0].code == "not-needed"
    assert site.avowal("verify").status == 0


def test_an_objection_holds_when_a_form_changes_its_purposes(tmp_path: Path) -> None:
    """Whoever objects to a purpose of the form of their order is not released by a form of other purposes (R9)."""
    site = site_without_notice(tmp_path, ORDER)
    reference = add_order(site)
    words = ("--purposes", "requested-service", "--channel", "letter")
    assert site.avowal("submission", "object", reference, *words).status == 0
    form_purposes = '"telephone-number" }\nfor = ["requested-service"]'
    publish(site, (form_purposes, form_purposes.replace("requested-service", "content")))
    assert serve_order(site, reference)[0].code == "subject-objects"


def test_a_field_is_not_moved_to_a_category_that_others_receive(tmp_path: Path) -> None:
    """A value is not put into a category that the form needs, if it was submitted in one that it does not (R10)."""
    site = site_without_notice(tmp_path, ORDER)
    reference = add_order(site)
    words = ("--category", "phone=person-name", "--channel", "letter")
    moved = site.avowal("submission", "set", reference, *words)
    assert (moved.status, moved.code) == (1, "weaker-category"), moved.err


def test_no_version_permits_a_seal_for_records_of_before(tmp_path: Path) -> None:
    """A ground that requires an instrument from the second version on permits no seal: only `instrument` does (X9)."""
    site = site_without_notice(tmp_path)
    publish(site, ('evidence = ["claim",', 'evidence = ["instrument", "claim",'), weaker=False)
    until = ("--sealed-until", f"{(NOW + timedelta(60)).date()}")
    words = ("--subject", BEN, *PERIOD, "--reference", "1 A 23/26", "--categories", "page-path", *until)
    evidence = {"instrument": "order", "claim": "payment", "scope": "requests of the day"}
    sealed = disclose(site, "legal-rights", *words, recipient="Court", **evidence)
    assert (sealed.status, sealed.code) == (2, "seal-not-permitted"), sealed.err


@pytest.mark.parametrize(
    "change", [("controller = ", 'controller = "Other" #'), ("contact = ", 'contact = "b@example.org" #')]
)
def test_names_in_a_draft_are_not_in_a_package(tmp_path: Path, change: tuple[str, str]) -> None:
    """The manifest of a package names the controller of the version in force, also if the draft names another."""
    site = site_without_notice(tmp_path)
    edit_terms(site, change)
    package = site.folder / "release.zip"
    assert disclose(site, "checking", *ATTACK, "--reference", "case 12", "--package", package).status == 0
    manifest = read_package(package)["manifest.json"]
    assert b"Other" not in manifest
    assert b"b@example.org" not in manifest


@pytest.fixture
def careless_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Release by the version in force alone, as a program would that does not know what governs each record."""

    def use_newest(_: Register, bounds: Sequence[Bounds], __: ReleaseRequest) -> list[Bounds]:
        return [bounds[-1]] * len(bounds)

    def find_newest(bounds: Sequence[Bounds], ground: str, _: Sequence[AgeReach]) -> GroundRequirements:
        return bounds[-1].grounds[ground]

    for module in ("avowal.app.owner_requests", "avowal.disclose.workflow"):
        monkeypatch.setattr(f"{module}.narrow_to_evidence", use_newest)
    monkeypatch.setattr("avowal.disclose.workflow.find_reached_requirements", find_newest)


@pytest.mark.usefixtures("careless_program")
@pytest.mark.parametrize(
    ("promised", "changed", "reference", "code"),
    [
        ('["case", "records"]', '["records"]', (), "evidence-missing"),
        (
            '["case", "records"]\napprovals = 2',
            '["case", "records"]',
            ("--reference", "case 12"),
            "approvals-missing",
        ),
    ],
)
def test_verify_finds_a_release_with_less_than_was_promised(
    tmp_path: Path, promised: str, changed: str, reference: tuple[str, ...], code: str
) -> None:
    """A release with the evidence and approvals of the version in force alone is found by `avowal verify` (X3)."""
    site = site_without_notice(tmp_path, "", ('evidence = ["case", "records"]', f"evidence = {promised}"))
    publish(site, (f"evidence = {promised}", f"evidence = {changed}"))
    released = disclose(site, "checking", *ATTACK, *reference, "--package", site.folder / "release.zip")
    assert released.status == 0, released.err
    assert_found(site, code)


def test_verify_finds_a_release_of_what_a_form_did_not_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release of an order with more than the form needed by the terms that govern it is found (B9)."""
    site = site_without_notice(tmp_path, ORDER)
    reference = add_order(site)
    generous = FormNeeds(frozenset({"person-name", "email-address"}), frozenset())
    monkeypatch.setattr("avowal.disclose.evidence._find_form_needs", lambda *_: generous)
    assert serve_order(site, reference)[1] == {"name", "email"}
    assert_found(site, "category-not-needed")


def test_public_figures_have_the_largest_group_that_was_promised(tmp_path: Path) -> None:
    """A later version that permits smaller groups does not make public what an earlier one promised not to (R8)."""
    site = site_without_notice(tmp_path)
    publish(site, ("smallest-group = 5", "smallest-group = 1"))
    package = site.folder / "release.zip"
    assert disclose(site, "checking", *ATTACK, "--reference", "case 12", "--package", package).status == 0
    shared = site.avowal("report", "disclosures", "--shared", "--json").json()["tables"]["disclosures"]
    assert [row["released"] for row in shared] == ["1-4"]
    assert site.avowal("policy", "page", "--output-folder", site.folder / "page").status == 0
    assert "1-4" in (site.folder / "page" / "disclosures.en.html").read_text()


def test_a_processor_receives_nothing_that_its_contract_does_not_protect(tmp_path: Path) -> None:
    """A contract that is sufficient for the second version gives a processor no records of the first (P12)."""
    site = site_without_notice(tmp_path)
    contract = CONTRACT.replace("may-erase = true, ", "")
    assert contract != CONTRACT
    publish(site, ("may-erase = true ", "may-erase = false "))
    add_processor(site, contract)
    (site.folder / "feed").mkdir()
    fed = site.avowal("processor", "feed", "guard", "--destination", "feed", "--json")
    assert (fed.status, fed.json()["records"]) == (0, {}), fed.err
    now = datetime.now(UTC).replace(tzinfo=None)
    site.import_logs(site.log("b.log", line(1, "/later", start=now, agent=CHROME)))
    fed = site.avowal("processor", "feed", "guard", "--destination", "feed", "--json")
    assert (fed.status, fed.json()["records"]) == (0, {"requests": 1}), fed.err
    assert site.avowal("verify").status == 0
