"""The grounds of a release: each with its evidence, as far as that goes, approved where the terms say so, on record."""

import json
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from support.disclosures import (
    ANN,
    ATTACK,
    BEN,
    CAROL,
    COURT_ORDER,
    DISCLOSED_FORM,
    NOW,
    PERIOD,
    RECENT,
    add_user,
    approve_release,
    disclose,
    disclose_attack,
    disclose_to_court,
    read_package,
    site_with_attack,
    verify_elsewhere,
)
from support.served import free_port
from support.site import CHROME, Site, line, tamper


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_with_attack(tmp_path)


def rows(site: Site, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(site.data / "register.sqlite")) as register:
        return register.execute(f"SELECT {columns} FROM {table}").fetchall()


def kinds(site: Site) -> list[str]:
    return [json.loads(body)["kind"] for (body,) in rows(site, "entries ORDER BY entry", "body")]


def test_records_of_a_misuse_are_released(site: Site) -> None:
    """Those that the case is about, of whomever; each of these sees it, with a proof, and nobody else does."""
    package = site.folder / "release.zip"
    ran = disclose_attack(site, "--package", package)
    assert ran.status == 0, ran.err
    found = [json.loads(row) for row in read_package(package)["requests.jsonl"].splitlines()]
    assert {row["ip_address"] for row in found} == {BEN, CAROL}
    assert (len(found), {row["page_path"] for row in found}) == (6, {"/wp-login.php", "/wp-admin"})
    assert kinds(site)[-2:] == ["release-requested", "release-made"]
    for address, times in ((BEN, 1), (CAROL, 1), (ANN, 0)):
        told = site.avowal("visitor", "show", address, *PERIOD, "--json").json()["releases"]
        assert len(told) == times
        for one in told:
            assert (one["ground"], one["recipient"]) == ("checking", "cert@example")
            receipt = site.folder / f"{address}.json"
            receipt.write_text(json.dumps(one["receipt"]))
            assert verify_elsewhere(site, receipt).status == 0
            other = {**one["receipt"], "visitor": "0" * 16}
            receipt.write_text(json.dumps(other))
            assert verify_elsewhere(site, receipt).status == 1
    assert verify_elsewhere(site, package).status == 0
    assert site.avowal("verify").status == 0


def test_who_is_erased_leaves_a_release_of_many(site: Site) -> None:
    """The others still see it, and all still holds."""
    assert disclose_attack(site, "--package", site.folder / "release.zip").status == 0
    key = site.avowal("visitor", "show", BEN, *PERIOD, "--json").json()["visitor"]
    assert site.avowal("visitor", "erase", key, "--expected-records", "4").status == 0
    assert len(rows(site, "release_subjects WHERE visitor IS NOT NULL")) == 1
    assert rows(site, "release_request_subjects") == []
    for path in site.data.glob("register.sqlite*"):
        assert key.encode() not in path.read_bytes()
    (one,) = site.avowal("visitor", "show", CAROL, *PERIOD, "--json").json()["releases"]
    receipt = site.folder / "receipt.json"
    receipt.write_text(json.dumps(one["receipt"]))
    assert verify_elsewhere(site, receipt).status == 0
    assert site.avowal("verify").status == 0


@pytest.mark.parametrize(
    ("chosen", "why", "code"),
    [
        ("requests WHERE status > 0", "other-subjects", "selection-too-broad"),
        ("requests WHERE request_time > '2000-01-01'", "other-subjects", "selection-too-broad"),
        ("requests WHERE browser = 'Chrome'", "terms", "query-not-allowed"),
        ("requests WHERE status IN (SELECT 404)", "terms", "query-not-allowed"),
        ("requests", "terms", "query-not-allowed"),
        ("secrets WHERE status = 404", "terms", "query-not-allowed"),
        ("requests WHERE status = 999", "terms", "not-permitted"),
        (" ", "missing-evidence", "evidence-missing"),
    ],
)
def test_rows_that_would_hold_others_records_stay(site: Site, chosen: str, why: str, code: str) -> None:
    """And what rows are chosen by has to be something that the recipient may have: the choice tells it."""
    package = site.folder / "release.zip"
    arguments = ("--subject", BEN, *PERIOD) if not chosen.strip() else ()
    ran = disclose_attack(site, "--package", package, *arguments, chosen=chosen)
    assert (ran.status, ran.code, package.exists()) == (1, code, False), ran.err
    assert rows(site, "release_refusals", "ground, recipient_kind, reason, requester") == [
        ("checking", "", why, "operator")
    ]
    assert kinds(site)[-1] == "release-refused"
    assert site.avowal("verify").status == 0


def test_what_the_law_requires_waits_for_somebody_else(site: Site) -> None:
    """Nobody approves their own request, nor twice, nor without the right; and nothing leaves before."""
    package = site.folder / "release.zip"
    ran = disclose_to_court(site, "--package", package)
    assert (ran.status, ran.json()["released"], package.exists()) == (0, False, False), ran.err
    reference = ran.json()["reference"]
    shown = site.avowal("release", "show", reference, "--json").json()
    assert (shown["evidence"]["issuer"], shown["approved_by"], shown["records"]["requests"]) == (
        "District Court of Example",
        [],
        3,
    )
    early = site.avowal("release", "make", reference, "--package", package)
    assert (early.status, early.code, package.exists()) == (1, "approval-missing", False)
    assert site.avowal("release", "approve", reference).code == "approver-is-requester"
    add_user(site, "bea")
    assert (approve_release(site, reference, "bea").status, rows(site, "release_approvals")) == (1, [])
    add_user(site, "bea", "--disclose")
    assert (
        approve_release(site, reference, "bea", b"something else\n").status,
        rows(site, "release_approvals"),
    ) == (
        1,
        [],
    )
    assert approve_release(site, reference, "bea").json()["approved_by"] == ["bea"]
    assert approve_release(site, reference, "bea").code == "already-approved"
    assert site.avowal("release", "make", reference, "--package", package).status == 0
    again = site.avowal("release", "make", reference, "--package", site.folder / "again.zip")
    assert (again.status, again.code) == (1, "request-closed")
    assert verify_elsewhere(site, package).json()["package"]["ground"] == "instrument"
    assert [why for (why,) in rows(site, "release_refusals", "reason")] == [
        *("missing-approval", "missing-approval", "no-permission", "no-permission", "missing-approval")
    ]
    assert site.avowal("verify").status == 0


def test_a_seal_delays_what_the_person_is_told(site: Site) -> None:
    """Until its day; then the person sees it like any other."""
    add_user(site, "bea", "--disclose")
    until = f"{(NOW + timedelta(60)).date()}"
    reference = disclose_to_court(site, "--sealed-until", until).json()["reference"]
    assert approve_release(site, reference, "bea").status == 0
    package = site.folder / "release.zip"
    assert site.avowal("release", "make", reference, "--package", package).status == 0
    assert site.avowal("visitor", "show", ANN, *PERIOD, "--json").json()["releases"] == []
    assert "under seal" in site.avowal("release", "list").out
    assert site.avowal("verify").status == 0
    tamper(site, f"UPDATE releases SET sealed_until = '{NOW - timedelta(1)}'")
    assert len(site.avowal("visitor", "show", ANN, *PERIOD, "--json").json()["releases"]) == 1
    assert site.avowal("verify").status == 1


@pytest.mark.parametrize(
    ("other", "arguments", "status", "code"),
    [
        ({"date": f"{(NOW + timedelta(3)).date()}"}, (), 1, "evidence-invalid"),
        ({"date": "soon"}, (), 2, "invalid-time"),
        ({"scope": " "}, (), 1, "evidence-missing"),
        ({"case": "12"}, (), 2, "unknown-evidence"),
        ({}, ("--reference", " "), 1, "evidence-missing"),
        ({}, ("--sealed-until", "2020-01-01"), 2, "invalid-time"),
        ({}, ("--recipient-kind", "abuse-community"), 1, "recipient-not-permitted"),
        ({}, ("--recipient-kind", "authorities"), 2, "unknown-name"),
        ({}, ("--recipient", " "), 2, "missing-input"),
    ],
)
def test_evidence_that_is_none_is_refused(
    site: Site, other: dict[str, str], arguments: tuple[str, ...], status: int, code: str
) -> None:
    """A refusal is on record; a slip of the pen is none."""
    ran = disclose_to_court(site, *arguments, **other)
    assert (ran.status, ran.code) == (status, code), ran.err
    assert len(rows(site, "release_refusals")) == (1 if status == 1 else 0)
    assert rows(site, "release_requests") == []


@pytest.mark.parametrize(
    ("about", "why", "code"),
    [
        ("203.0.113.0/24", "other-subjects", "selection-too-broad"),
        ("0123456789abcdef", "unknown-subject", "records-not-found"),
        ("192.0.2.200", "unknown-subject", "visitor-not-found"),
        ("192.0.2.7", "unknown-subject", "visitor-ambiguous"),
    ],
)
def test_whom_nobody_can_tell_from_others_is_refused(site: Site, about: str, why: str, code: str) -> None:
    """An unknown person, an address that several share, and a range."""
    lines = (
        line(n, "/", start=RECENT, address="192.0.2.7", agent=agent)
        for n, agent in enumerate((CHROME, "Lynx"))
    )
    site.take_in(site.log("b.log", *lines))
    ran = disclose_to_court(site, about=about)
    assert (ran.status, ran.code) == (1, code), ran.err
    assert rows(site, "release_refusals", "reason") == [(why,)]


def test_what_a_function_needs_is_released(tmp_path: Path) -> None:
    """Of the submission that asked for it, and nothing that it does not need."""
    site = site_with_attack(tmp_path, DISCLOSED_FORM)
    answers = ("name=Ann Example", "email=ann@example.org", "text=Send two.")
    fields = [word for answer in answers for word in ("--field", answer)]
    handed = site.avowal("submission", "add", "order", "--channel", "letter", *fields, "--json")
    assert handed.status == 0, handed.err
    reference = handed.json()["reference"]
    package = tmp_path / "release.zip"
    words = ("--reference", reference, "--categories", "submission,page-path", "--package", package)
    ran = disclose(site, "requested-function", *words, to="Carrier")
    assert ran.status == 0, ran.err
    found = [json.loads(row) for row in read_package(package)["submissions.jsonl"].splitlines()]
    assert {row["field"]: row["value"] for row in found} == {"name": "Ann Example", "text": "Send two."}
    assert "does not need it" in ran.json()["refused_categories"]["email-address"]
    assert not [one for one in read_package(package).values() if b"ann@example.org" in one]
    only = disclose(
        site,
        "requested-function",
        "--reference",
        reference,
        "--categories",
        "email-address",
        "--dry-run",
        to="X",
    )
    assert (only.status, only.code) == (1, "not-needed")
    other = disclose(
        site,
        "requested-function",
        "--reference",
        "f" * 24,
        "--categories",
        "message",
        "--package",
        "o.zip",
        to="X",
    )
    assert (other.status, other.code) == (1, "submission-not-found")
    assert site.avowal("verify").status == 0


def test_a_recall_tells_the_recipient(site: Site) -> None:
    """By a message that is ready to be sent, to the contact that was given."""
    ran = disclose_attack(site, "--contact", "cert@example.net", "--package", site.folder / "release.zip")
    reference, message = ran.json()["reference"], site.folder / "recall.eml"
    told = site.avowal("release", "recall", reference, "--reason", "sent by mistake", "--notice", message)
    assert (told.status, "cert@example.net" in told.out) == (0, True), told.err
    found = message_from_bytes(message.read_bytes(), policy=policy.default)
    assert ("cert@example.net" in found["To"], reference in found["Subject"]) == (True, True)
    assert "sent by mistake" in found.get_content()


def test_a_dry_run_leaves_no_trace(site: Site) -> None:
    """Whether it would be released or refused."""
    entries = len(kinds(site))
    assert disclose_attack(site, "--dry-run").json()["visitors"] == 2
    assert disclose_attack(site, "--dry-run", chosen="requests WHERE status > 0").status == 1
    assert (len(kinds(site)), rows(site, "release_requests"), rows(site, "release_refusals")) == (
        entries,
        [],
        [],
    )


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (
            "UPDATE release_request_subjects SET details = replace(details, 'case 12', 'case 13')",
            "release-request-mismatch",
        ),
        ("UPDATE release_requests SET required_approvals = 1", "release-request-mismatch"),
        ("UPDATE release_refusals SET requester = 'somebody else'", "refusal-mismatch"),
        ("UPDATE release_subjects SET recipient = 'somebody else' WHERE position = 1", "release-mismatch"),
        ("DELETE FROM release_subjects WHERE position = 1", "release-mismatch"),
        ("UPDATE releases SET ground = 'authorised'", "release-mismatch"),
        ("DELETE FROM release_refusals", "refusal-mismatch"),
    ],
)
def test_what_is_changed_behind_our_back_is_found(site: Site, change: str, code: str) -> None:
    """Evidence, approvals, refusals, and of whom a release was."""
    assert disclose_attack(site, "--package", "no.zip", chosen="requests WHERE status > 0").status == 1
    assert disclose_attack(site, "--package", site.folder / "release.zip").status == 0
    tamper(site, change)
    ran = site.avowal("verify", "--json")
    codes = {finding["code"] for finding in ran.json()["findings"]}
    assert (ran.status, code in codes) == (1, True), ran.out


def test_everybody_may_know_how_often(site: Site) -> None:
    """By quarter and ground; small numbers as ranges, and what is under seal only once the seal ends."""
    for number in range(2):
        assert disclose_attack(site, "--package", site.folder / f"{number}.zip").status == 0
    assert disclose_attack(site, "--package", "no.zip", chosen="requests WHERE status > 0").status == 1
    add_user(site, "bea", "--disclose")
    reference = disclose_to_court(site, "--sealed-until", f"{(NOW + timedelta(60)).date()}").json()[
        "reference"
    ]
    assert approve_release(site, reference, "bea").status == 0
    assert site.avowal("release", "make", reference, "--package", site.folder / "sealed.zip").status == 0
    quarter = f"{NOW.year}-Q{(NOW.month + 2) // 3}"
    told = {"period": quarter, "ground": "checking", "released": 2, "recalled": 0, "refused": 1}
    found = site.avowal("report", "disclosures", "--json", "--as", "bea").json()
    assert found["tables"]["disclosures"] == [told]
    shared = site.avowal("report", "disclosures", "--json", "--shared").json()["tables"]["disclosures"]
    assert shared == [{**told, "released": "1-4", "recalled": "0", "refused": "1-4"}]
    assert "nothing was released" in site.avowal("report", "disclosures", "--until", "2020-01-01").out
    add_user(site, "cyd")
    assert site.avowal("report", "disclosures", "--as", "cyd").status == 1
    assert site.avowal("policy", "page", "--output-folder", site.folder / "page").status == 0
    page = (site.folder / "page" / "disclosures.en.html").read_text()
    assert ("1-4" in page, "checking" in page, "instrument" in page) == (True, True, False)
    assert 'href="disclosures.en.html"' in (site.folder / "page" / "privacy.en.html").read_text()
    tamper(site, f"UPDATE releases SET sealed_until = '{NOW - timedelta(1)}'")
    grounds = site.avowal("report", "disclosures", "--json").json()["tables"]["disclosures"]
    assert [one["ground"] for one in grounds] == ["checking", "instrument"]


def test_a_visitors_records_may_be_chosen_from(site: Site) -> None:
    """Those that the case is about: the visitor sets them apart from everybody's."""
    words = ("--subject", BEN, *PERIOD)
    assert disclose_attack(site, *words, "--dry-run", chosen="requests WHERE status > 0").json()[
        "records"
    ] == {"requests": 4}
    assert disclose_attack(site, *words, "--dry-run").json()["visitors"] == 1


@pytest.mark.parametrize("to", ["two\nlines", "bell\x07", "x" * 2_000])
def test_a_recipient_is_a_line(site: Site, to: str) -> None:
    """It is shown in terminals, and written into messages."""
    words = ("--rows", ATTACK, "--reference", "12", "--categories", "status", "--dry-run")
    assert disclose(site, "checking", *words, to=to).status == 2


def test_a_request_that_nobody_approves_is_forgotten(site: Site) -> None:
    """After 30 days; what was told of the person goes with the next retention."""
    reference = disclose_to_court(site).json()["reference"]
    tamper(site, f"UPDATE release_requests SET requested_at = '{NOW - timedelta(31)}'")
    add_user(site, "bea", "--disclose")
    assert approve_release(site, reference, "bea").code == "request-closed"
    assert site.avowal("release", "list", "--json").json()["waiting"] == []
    assert site.avowal("retain").status == 0
    assert rows(site, "release_request_subjects") == []


def test_a_file_is_released_with_what_it_came_with(tmp_path: Path) -> None:
    """Its content is in the package, beside its name and type."""
    form = DISCLOSED_FORM.replace('text = "message" }', 'text = "message", cv = "uploaded-file" }')
    form = form.replace("needs = [", 'types = ["application/pdf"]\nneeds = ["uploaded-file", ')
    site, content = site_with_attack(tmp_path, form), b"%PDF-1.4\n%example\n"
    (tmp_path / "cv.pdf").write_bytes(content)
    words = ("--field", "text=Mine.", "--file", "cv=cv.pdf", "--channel", "letter", "--json")
    reference = site.avowal("submission", "add", "order", *words).json()["reference"]
    package = tmp_path / "release.zip"
    asked = ("--reference", reference, "--categories", "submission", "--package", package)
    ran = disclose(site, "requested-function", *asked, to="Carrier")
    assert ran.status == 0, ran.err
    files = read_package(package)
    assert files[f"files/{reference}-cv"] == content
    assert b"cv.pdf" in files["submissions.jsonl"]
    assert verify_elsewhere(site, package).status == 0
    assert site.avowal("verify").status == 0


class CutShortError(BaseException):
    """A process that ends where it stands."""


def test_a_package_that_was_never_written_can_be_made(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The very one that is on record, once; and not any more when what is held is another by then."""

    def cut_short(*_: object) -> None:
        raise CutShortError

    package = site.folder / "release.zip"
    with monkeypatch.context() as patched:
        patched.setattr("avowal.disclose.workflow.build_package", cut_short)
        with pytest.raises(CutShortError):
            disclose_attack(site, "--package", package)
    assert (kinds(site)[-1], package.exists()) == ("release-made", False)
    (waiting,) = site.avowal("release", "list", "--json").json()["waiting"]
    made = site.avowal("release", "make", waiting["reference"], "--package", package)
    assert made.status == 0, made.err
    assert (kinds(site)[-1], verify_elsewhere(site, package).status) == ("release-made", 0)
    assert (
        site.avowal("release", "make", waiting["reference"], "--package", site.folder / "b.zip").status == 1
    )
    with monkeypatch.context() as patched:
        patched.setattr("avowal.disclose.workflow.build_package", cut_short)
        with pytest.raises(CutShortError):
            disclose_attack(site, "--package", site.folder / "c.zip")
    site.take_in(site.log("b.log", line(7, "/wp-login.php", start=RECENT, address=BEN, status=404)))
    (waiting,) = site.avowal("release", "list", "--json").json()["waiting"]
    other = site.avowal("release", "make", waiting["reference"], "--package", site.folder / "c.zip")
    assert (other.status, other.code) == (1, "records-changed")
    assert site.avowal("release", "recall", waiting["reference"], "--reason", "cut short").status == 0
    assert site.avowal("release", "list", "--json").json()["waiting"] == []
    assert site.avowal("verify").status == 0


class Taking:
    """Takes messages, as a server of e-mail does."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []

    async def handle_DATA(self, _: object, __: object, envelope: Envelope) -> str:  # noqa: N802  # its name in aiosmtpd
        """Take one."""
        self.taken.append(envelope)
        return "250 taken"


def test_a_recall_is_sent(site: Site) -> None:
    """Where somebody takes e-mail from this machine, and the contact is an address of it."""
    references = [
        disclose_attack(site, "--contact", contact, "--package", site.folder / f"{number}.zip").json()[
            "reference"
        ]
        for number, contact in enumerate(("cert@example.net", "+1 555 0100", "cert@example.net"))
    ]
    settings, server = site.folder / "avowal.toml", Controller(Taking(), "127.0.0.1", free_port())
    settings.write_text(f'[mail]\nsmtp_server = "127.0.0.1:{server.port}"\n')
    server.start()
    try:
        said = [site.avowal("release", "recall", one, "--reason", "by mistake").out for one in references[:2]]
    finally:
        server.stop()
    assert "cert@example.net was asked to delete it" in said[0]
    assert "ask cert@example (+1 555 0100)" in said[1]
    (envelope,) = server.handler.taken
    assert envelope.rcpt_tos == ["cert@example.net"]
    assert b"We recall it: by mistake" in envelope.content
    gone = site.avowal("release", "recall", references[2], "--reason", "by mistake")
    assert (gone.status, gone.code) == (1, "delivery-failed")
    assert all(one["recalled_at"] for one in site.avowal("release", "list", "--json").json()["releases"])
    settings.write_text('[mail]\nsmtp_server = "mail"\n')
    assert site.avowal("release", "list").status == 2


def test_what_is_owed_is_what_is_owed_when_it_leaves(site: Site) -> None:
    """Terms that ask for more approvals bind what was asked for before."""
    add_user(site, "bea", "--disclose")
    reference = disclose_to_court(site).json()["reference"]
    assert approve_release(site, reference, "bea").status == 0
    terms = site.folder / "policy" / "terms.toml"
    text = re.sub(r"(?m)^updated = .*", f"updated = {datetime.now(UTC).date()}", terms.read_text(), count=1)
    terms.write_text(text.replace("approvals = 1", "approvals = 2"))
    published = site.avowal("policy", "publish")
    assert published.status == 0, published.err
    package = site.folder / "release.zip"
    early = site.avowal("release", "make", reference, "--package", package)
    assert (early.status, early.code, package.exists()) == (1, "approval-missing", False), early.err
    add_user(site, "cyd", "--disclose")
    assert approve_release(site, reference, "cyd").status == 0
    assert site.avowal("release", "make", reference, "--package", package).status == 0
    assert site.avowal("verify").status == 0


def test_a_submission_may_be_what_the_law_asks_for(tmp_path: Path) -> None:
    """Also where nobody knows which visitor it is of; and nothing else is released then."""
    form = DISCLOSED_FORM.replace('to = "named-person"', 'to = "authority"').replace(
        '"requested-function"', '"instrument"'
    )
    site = site_with_attack(tmp_path, form)
    fields = ("--field", "name=Ann Example", "--field", "text=Send two.")
    reference = site.avowal("submission", "add", "order", "--channel", "letter", *fields, "--json").json()[
        "reference"
    ]
    add_user(site, "bea", "--disclose")
    words = ("--subject", reference, "--reference", "1 A 23/26", "--categories", "submission,page-path")
    asked = disclose(site, "required-by-law", *words, to="District Court", **COURT_ORDER)
    assert asked.status == 0, asked.err
    assert approve_release(site, asked.json()["reference"], "bea").status == 0
    package = tmp_path / "release.zip"
    assert site.avowal("release", "make", asked.json()["reference"], "--package", package).status == 0
    files = read_package(package)
    assert {name for name in files if name.endswith(".jsonl")} == {"submissions.jsonl"}
    assert b"Send two." in files["submissions.jsonl"]
    assert site.avowal("verify").status == 0
    other = disclose(
        site, "required-by-law", "--subject", "f" * 24, *words[2:], to="District Court", **COURT_ORDER
    )
    assert (other.status, other.code) == (1, "submission-not-found")
    both = disclose(site, "required-by-law", *words, "--rows", ATTACK, to="District Court", **COURT_ORDER)
    assert both.status == 2
