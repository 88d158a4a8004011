"""The grounds of a release: each needs its evidence and, if the terms say so, approvals, and is recorded."""

import json
import re
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from avowal.clock import utc_now
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
from support.registers import list_entry_kinds, read_rows
from support.running_server import free_port
from support.site import CHROME, Site, line, tamper


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_with_attack(tmp_path)


def advance_clock(monkeypatch: pytest.MonkeyPatch, days: int, *modules: str) -> None:
    """Let modules of Avowal see a later time."""
    later = utc_now() + timedelta(days)
    for module in modules:
        monkeypatch.setattr(f"avowal.{module}.utc_now", lambda: later)


def test_records_of_a_misuse_are_released_and_shown_to_their_visitors(site: Site) -> None:
    """A release of misuse covers several visitors; each of them sees it with a receipt, and others do not."""
    package = site.folder / "release.zip"
    result = disclose_attack(site, "--package", package)
    assert result.status == 0, result.err
    rows = [json.loads(row) for row in read_package(package)["requests.jsonl"].splitlines()]
    assert {row["ip_address"] for row in rows} == {BEN, CAROL}
    assert (len(rows), {row["page_path"] for row in rows}) == (6, {"/wp-login.php", "/wp-admin"})
    assert list_entry_kinds(site)[-2:] == ["release-requested", "release-made"]
    for address, times in ((BEN, 1), (CAROL, 1), (ANN, 0)):
        releases = site.avowal("visitor", "show", address, *PERIOD, "--json").json()["releases"]
        assert len(releases) == times
        for release in releases:
            assert (release["summary"]["ground"], release["recipient"]) == ("checking", "cert@example")
            receipt = site.folder / f"{address}.json"
            receipt.write_text(json.dumps(release["receipt"]))
            assert verify_elsewhere(site, receipt).status == 0
            other = {**release["receipt"], "visitor": "0" * 16}
            receipt.write_text(json.dumps(other))
            assert verify_elsewhere(site, receipt).status == 1
    assert verify_elsewhere(site, package).status == 0
    assert site.avowal("verify").status == 0


def test_erasure_removes_a_visitor_from_a_release_of_several(site: Site) -> None:
    """After a visitor is erased, the other visitors still see the release, and everything verifies."""
    assert disclose_attack(site, "--package", site.folder / "release.zip").status == 0
    key = site.avowal("visitor", "show", BEN, *PERIOD, "--json").json()["visitor"]
    assert site.avowal("visitor", "erase", key, "--expected-records", "4").status == 0
    assert len(read_rows(site, "release_subjects WHERE visitor IS NOT NULL")) == 1
    assert read_rows(site, "release_request_subjects") == []
    for path in site.data.glob("register.sqlite*"):
        assert key.encode() not in path.read_bytes()
    (release,) = site.avowal("visitor", "show", CAROL, *PERIOD, "--json").json()["releases"]
    receipt = site.folder / "receipt.json"
    receipt.write_text(json.dumps(release["receipt"]))
    assert verify_elsewhere(site, receipt).status == 0
    assert site.avowal("verify").status == 0


BURST = [
    line(5 * 60 + n / 60, "/x", start=RECENT, address=address, status=404, agent=CHROME)
    for n in range(5)
    for address in (BEN, CAROL)
]
"""A burst of two visitors, in whose seconds nobody else sent a request."""


@pytest.mark.parametrize(
    ("selection", "is_released"),
    [
        ("requests WHERE status = 404 AND page_path = '/x'", True),
        ("requests WHERE status = 404 AND request_time > '{hour}'", True),
        (f"requests WHERE ip_address IN ('{BEN}', '{CAROL}') AND page_path = '/x'", True),
        ("requests WHERE request_time > '{hour}'", False),
        ("requests WHERE NOT (request_time < '{hour}')", False),
        ("requests WHERE status < 600 AND request_time > '{hour}'", False),
        (
            f"requests WHERE NOT (status = 200 AND request_time < '{RECENT + timedelta(hours=4)}') AND request_time > '{RECENT + timedelta(hours=4)}'",
            False,
        ),
    ],
)
def test_a_burst_is_set_apart_by_what_it_is_and_not_by_its_time(
    site: Site, selection: str, is_released: bool
) -> None:
    """In the seconds of the burst all records are of two visitors; what else there is decides whether they are everybody."""
    site.import_logs(site.log("burst.log", *BURST))
    rows = selection.replace("{hour}", f"{RECENT + timedelta(hours=4)}")
    result = disclose_attack(site, "--package", site.folder / "release.zip", rows=rows)
    assert (result.status, result.code) == ((0, "") if is_released else (1, "selection-too-broad")), (
        result.err
    )


@pytest.mark.parametrize(
    ("selection", "reason", "code"),
    [
        ("requests WHERE status > 0", "other-subjects", "selection-too-broad"),
        ("requests WHERE request_time > '2000-01-01'", "other-subjects", "selection-too-broad"),
        ("requests WHERE browser = 'Chrome'", "terms", "query-not-allowed"),
        ("requests WHERE status IN (SELECT 404)", "terms", "query-not-allowed"),
        (
            "(SELECT * FROM requests WHERE status = 404 AND page_path = '/wp-login.php') WHERE page_path LIKE '/%'",
            "terms",
            "query-not-allowed",
        ),
        ("requests", "terms", "query-not-allowed"),
        ("secrets WHERE status = 404", "terms", "query-not-allowed"),
        ("requests WHERE status = 999", "terms", "not-permitted"),
        (" ", "missing-evidence", "evidence-missing"),
    ],
)
def test_a_selection_that_is_not_permitted_is_refused(
    site: Site, selection: str, reason: str, code: str
) -> None:
    """A selection is refused if it covers uninvolved visitors or uses columns that the recipient may not have."""
    package = site.folder / "release.zip"
    arguments = ("--subject", BEN, *PERIOD) if not selection.strip() else ()
    result = disclose_attack(site, "--package", package, *arguments, rows=selection)
    assert (result.status, result.code, package.exists()) == (1, code, False), result.err
    assert read_rows(site, "release_refusals", "ground, recipient_kind, reason, requester") == [
        ("checking", "", reason, "operator")
    ]
    assert list_entry_kinds(site)[-1] == "release-refused"
    assert site.avowal("verify").status == 0


def test_a_release_required_by_law_waits_for_another_approver(site: Site) -> None:
    """Nobody approves their own request, approves twice, or without permission; before approval nothing leaves."""
    package = site.folder / "release.zip"
    result = disclose_to_court(site, "--package", package)
    assert (result.status, result.json()["released"], package.exists()) == (0, False, False), result.err
    reference = result.json()["reference"]
    release_request = site.avowal("release", "show", reference, "--json").json()
    assert (
        release_request["evidence"]["issuer"],
        release_request["approved_by"],
        release_request["records"]["requests"],
    ) == (
        "District Court of Example",
        [],
        3,
    )
    early_attempt = site.avowal("release", "make", reference, "--package", package)
    assert (early_attempt.status, early_attempt.code, package.exists()) == (2, "approval-missing", False)
    assert read_rows(site, "release_refusals") == []
    assert site.avowal("release", "approve", reference).code == "approver-is-requester"
    add_user(site, "bea")
    assert (approve_release(site, reference, "bea").status, read_rows(site, "release_approvals")) == (1, [])
    add_user(site, "bea", "--disclose")
    assert (
        approve_release(site, reference, "bea", b"something else\n").status,
        read_rows(site, "release_approvals"),
    ) == (
        1,
        [],
    )
    assert approve_release(site, reference, "bea").json()["approved_by"] == ["bea"]
    assert approve_release(site, reference, "bea").code == "already-approved"
    assert site.avowal("release", "make", reference, "--package", package).status == 0
    second_attempt = site.avowal("release", "make", reference, "--package", site.folder / "again.zip")
    assert (second_attempt.status, second_attempt.code) == (1, "request-closed")
    assert verify_elsewhere(site, package).json()["package"]["summary"]["ground"] == "instrument"
    assert [reason for (reason,) in read_rows(site, "release_refusals", "reason")] == [
        *("missing-approval", "no-permission", "no-permission", "missing-approval")
    ]
    assert site.avowal("verify").status == 0


def test_a_sealed_release_is_shown_to_its_visitor_after_its_seal(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A visitor sees a sealed release only once its seal has ended."""
    add_user(site, "bea", "--disclose")
    seal_end = f"{(NOW + timedelta(60)).date()}"
    reference = disclose_to_court(site, "--sealed-until", seal_end).json()["reference"]
    assert approve_release(site, reference, "bea").status == 0
    package = site.folder / "release.zip"
    assert site.avowal("release", "make", reference, "--package", package).status == 0
    assert site.avowal("visitor", "show", ANN, *PERIOD, "--json").json()["releases"] == []
    assert "under seal" in site.avowal("release", "list").out
    assert site.avowal("verify").status == 0
    advance_clock(monkeypatch, 61, "app.visitor_summary")
    assert len(site.avowal("visitor", "show", ANN, *PERIOD, "--json").json()["releases"]) == 1


def test_only_what_a_requested_function_needs_is_released(tmp_path: Path) -> None:
    """A requested function gets the fields of its own submission that it needs, and nothing else."""
    site = site_with_attack(tmp_path, DISCLOSED_FORM)
    answers = ("name=Ann Example", "email=ann@example.org", "text=Send two.")
    fields = [word for answer in answers for word in ("--field", answer)]
    submission = site.avowal("submission", "add", "order", "--channel", "letter", *fields, "--json")
    assert submission.status == 0, submission.err
    reference = submission.json()["reference"]
    package = tmp_path / "release.zip"
    arguments = ("--reference", reference, "--categories", "submission,page-path", "--package", package)
    result = disclose(site, "requested-function", *arguments, recipient="Carrier")
    assert result.status == 0, result.err
    rows = [json.loads(row) for row in read_package(package)["submissions.jsonl"].splitlines()]
    assert {row["field"]: row["value"] for row in rows} == {"name": "Ann Example", "text": "Send two."}
    assert "does not need it" in result.json()["refused_categories"]["email-address"]
    assert not [content for content in read_package(package).values() if b"ann@example.org" in content]
    refusal = disclose(
        site,
        "requested-function",
        "--reference",
        reference,
        "--categories",
        "email-address",
        "--dry-run",
        recipient="X",
    )
    assert (refusal.status, refusal.code) == (1, "not-needed")
    other = disclose(
        site,
        "requested-function",
        "--reference",
        "f" * 24,
        "--categories",
        "message",
        "--package",
        "o.zip",
        recipient="X",
    )
    assert (other.status, other.code) == (1, "submission-not-found")
    assert site.avowal("verify").status == 0


def test_a_recall_writes_a_message_to_the_recipient(site: Site) -> None:
    """A recall writes an e-mail message that is ready to be sent to the recipient's contact."""
    result = disclose_attack(site, "--contact", "cert@example.net", "--package", site.folder / "release.zip")
    reference, message = result.json()["reference"], site.folder / "recall.eml"
    recall = site.avowal("release", "recall", reference, "--reason", "sent by mistake", "--notice", message)
    assert (recall.status, "cert@example.net" in recall.out) == (0, True), recall.err
    notice = message_from_bytes(message.read_bytes(), policy=policy.default)
    assert ("cert@example.net" in notice["To"], reference in notice["Subject"]) == (True, True)
    assert "sent by mistake" in notice.get_content()


def test_a_dry_run_is_recorded(site: Site) -> None:
    """A dry run, which tells how many visitors there are, is recorded as a refusal, and so is one that is refused."""
    assert disclose_attack(site, "--dry-run").json()["visitors"] == 2
    assert disclose_attack(site, "--dry-run", rows="requests WHERE status > 0").status == 1
    assert list_entry_kinds(site)[-2:] == ["release-refused"] * 2
    assert read_rows(site, "release_refusals", "reason") == [("dry-run",), ("other-subjects",)]
    assert read_rows(site, "release_requests") == []
    (counts,) = site.avowal("report", "disclosures", "--json").json()["tables"].values()
    assert [row["refused"] for row in counts] == [1]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (
            "UPDATE release_request_subjects SET details = replace(details, 'case 12', 'case 13')",
            "release-request-mismatch",
        ),
        ("UPDATE release_requests SET reference = 'another'", "release-request-mismatch"),
        ("UPDATE release_refusals SET requester = 'somebody else'", "refusal-mismatch"),
        ("UPDATE release_subjects SET recipient = 'somebody else' WHERE position = 1", "release-mismatch"),
        ("DELETE FROM release_subjects WHERE position = 1", "release-mismatch"),
        ("UPDATE releases SET reference = 'another'", "release-mismatch"),
        ("DELETE FROM release_refusals", "refusal-mismatch"),
    ],
)
def test_a_changed_release_record_is_found_by_verify(site: Site, change: str, code: str) -> None:
    """Changed evidence, approvals, refusals or subjects of a release are found by `avowal verify`."""
    assert disclose_attack(site, "--package", "no.zip", rows="requests WHERE status > 0").status == 1
    assert disclose_attack(site, "--package", site.folder / "release.zip").status == 0
    tamper(site, change)
    result = site.avowal("verify", "--json")
    codes = {finding["code"] for finding in result.json()["findings"]}
    assert (result.status, code in codes) == (1, True), result.out


def test_releases_are_counted_by_quarter_and_ground(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report of disclosures counts by quarter and ground, shares small counts as ranges, and omits sealed ones."""
    for number in range(2):
        assert disclose_attack(site, "--package", site.folder / f"{number}.zip").status == 0
    assert disclose_attack(site, "--package", "no.zip", rows="requests WHERE status > 0").status == 1
    add_user(site, "bea", "--disclose")
    reference = disclose_to_court(site, "--sealed-until", f"{(NOW + timedelta(60)).date()}").json()[
        "reference"
    ]
    assert approve_release(site, reference, "bea").status == 0
    assert site.avowal("release", "make", reference, "--package", site.folder / "sealed.zip").status == 0
    quarter = f"{NOW.year}-Q{(NOW.month + 2) // 3}"
    row = {"period": quarter, "ground": "checking", "released": 2, "recalled": 0, "refused": 1}
    report = site.avowal("report", "disclosures", "--json", "--as", "bea").json()
    assert report["tables"]["disclosures"] == [row]
    shared = site.avowal("report", "disclosures", "--json", "--shared").json()["tables"]["disclosures"]
    assert shared == [{**row, "released": "1-4", "recalled": "0", "refused": "1-4"}]
    assert "nothing was released" in site.avowal("report", "disclosures", "--until", "2020-01-01").out
    add_user(site, "cyd")
    assert site.avowal("report", "disclosures", "--as", "cyd").status == 1
    assert site.avowal("policy", "page", "--output-folder", site.folder / "page").status == 0
    page = (site.folder / "page" / "disclosures.en.html").read_text()
    assert ("1-4" in page, "checking" in page, "instrument" in page) == (True, True, False)
    assert 'href="disclosures.en.html"' in (site.folder / "page" / "privacy.en.html").read_text()
    advance_clock(monkeypatch, 61, "cli.report")
    grounds = site.avowal("report", "disclosures", "--json").json()["tables"]["disclosures"]
    assert [ground_row["ground"] for ground_row in grounds] == ["checking", "instrument"]


def test_the_rows_are_recorded_as_they_were_selected(site: Site) -> None:
    """Evidence, request and manifest have the one text that was rendered from the condition and run."""
    rows = "requests WHERE page_path not like '/%.php' and (status=404)"
    normal = "requests WHERE (NOT (page_path LIKE '/%.php')) AND (status = 404)"
    shown = disclose_attack(site, "--dry-run", rows=rows).json()
    assert (shown["row_filter"], shown["evidence"]["records"]) == (normal, normal)
    package = site.folder / "release.zip"
    assert disclose_attack(site, "--package", package, rows=rows).json()["records"] == {"requests": 2}
    ((details,),) = read_rows(site, "release_request_subjects", "details")
    recorded = json.loads(details)
    assert (recorded["row_filter"], recorded["evidence"]["records"]) == (normal, normal)
    assert verify_elsewhere(site, package).json()["package"]["row_filter"] == normal
    assert site.avowal("verify").status == 0


def test_a_selection_may_be_limited_to_a_visitor(site: Site) -> None:
    """With `--subject`, a broad selection covers only the records of that visitor."""
    arguments = ("--subject", BEN, *PERIOD)
    assert disclose_attack(site, *arguments, "--dry-run", rows="requests WHERE status > 0").json()[
        "records"
    ] == {"requests": 4}
    assert disclose_attack(site, *arguments, "--dry-run").json()["visitors"] == 1


@pytest.mark.parametrize("recipient", ["two\nlines", "bell\x07", "x" * 2_000])
def test_a_recipient_must_be_a_short_line(site: Site, recipient: str) -> None:
    """A recipient with line breaks or control characters, or that is too long, is refused."""
    arguments = ("--rows", ATTACK, "--reference", "12", "--categories", "status", "--dry-run")
    assert disclose(site, "checking", *arguments, recipient=recipient).status == 2


def test_a_request_expires_without_approval(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request cannot be approved after 30 days, and the next retention deletes its personal details."""
    reference = disclose_to_court(site).json()["reference"]
    add_user(site, "bea", "--disclose")
    advance_clock(monkeypatch, 31, "disclose.workflow", "cli.release", "app.owner_requests")
    assert approve_release(site, reference, "bea").code == "request-closed"
    assert site.avowal("release", "list", "--json").json()["waiting"] == []
    assert site.avowal("retain").status == 0
    assert read_rows(site, "release_request_subjects") == []


def test_an_uploaded_file_is_released_with_its_name_and_type(tmp_path: Path) -> None:
    """The content of an uploaded file is in the package, and its name and type are in the record."""
    form = DISCLOSED_FORM.replace('text = "message" }', 'text = "message", cv = "uploaded-file" }')
    form = form.replace("needs = [", 'types = ["application/pdf"]\nneeds = ["uploaded-file", ')
    site, content = site_with_attack(tmp_path, form), b"%PDF-1.4\n%example\n"
    (tmp_path / "cv.pdf").write_bytes(content)
    arguments = ("--field", "text=Mine.", "--file", "cv=cv.pdf", "--channel", "letter", "--json")
    reference = site.avowal("submission", "add", "order", *arguments).json()["reference"]
    package = tmp_path / "release.zip"
    release_arguments = ("--reference", reference, "--categories", "submission", "--package", package)
    result = disclose(site, "requested-function", *release_arguments, recipient="Carrier")
    assert result.status == 0, result.err
    files = read_package(package)
    assert files[f"files/{reference}-cv"] == content
    assert b"cv.pdf" in files["submissions.jsonl"]
    assert verify_elsewhere(site, package).status == 0
    assert site.avowal("verify").status == 0


class InterruptedRunError(BaseException):
    """A simulated end of the process."""


def test_a_package_that_was_not_written_can_be_made_later(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unwritten package can be made once, exactly as recorded, unless the stored records have changed."""

    def interrupt(*_: object) -> None:
        raise InterruptedRunError

    package = site.folder / "release.zip"
    with monkeypatch.context() as patch:
        patch.setattr("avowal.disclose.workflow.build_package", interrupt)
        with pytest.raises(InterruptedRunError):
            disclose_attack(site, "--package", package)
    assert (list_entry_kinds(site)[-1], package.exists()) == ("release-made", False)
    (release,) = site.avowal("release", "list", "--json").json()["waiting"]
    result = site.avowal("release", "make", release["summary"]["reference"], "--package", package)
    assert result.status == 0, result.err
    assert (list_entry_kinds(site)[-1], verify_elsewhere(site, package).status) == ("release-made", 0)
    assert (
        site.avowal(
            "release", "make", release["summary"]["reference"], "--package", site.folder / "b.zip"
        ).status
        == 1
    )
    with monkeypatch.context() as patch:
        patch.setattr("avowal.disclose.workflow.build_package", interrupt)
        with pytest.raises(InterruptedRunError):
            disclose_attack(site, "--package", site.folder / "c.zip")
    site.import_logs(site.log("b.log", line(7, "/wp-login.php", start=RECENT, address=BEN, status=404)))
    (release,) = site.avowal("release", "list", "--json").json()["waiting"]
    other = site.avowal(
        "release", "make", release["summary"]["reference"], "--package", site.folder / "c.zip"
    )
    assert (other.status, other.code) == (1, "records-changed")
    assert (
        site.avowal("release", "recall", release["summary"]["reference"], "--reason", "cut short").status == 0
    )
    assert site.avowal("release", "list", "--json").json()["waiting"] == []
    assert site.avowal("verify").status == 0


class MailReceiver:
    """Collect the messages that an SMTP server receives."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    async def handle_DATA(self, _: object, __: object, envelope: Envelope) -> str:  # noqa: N802  # its name in aiosmtpd
        """Collect a message."""
        self.envelopes.append(envelope)
        return "250 OK"


def test_a_recall_is_sent_by_mail(site: Site) -> None:
    """With a mail server, a recall is sent to a contact that is an e-mail address; an undelivered one is an error."""
    references = [
        disclose_attack(site, "--contact", contact, "--package", site.folder / f"{number}.zip").json()[
            "reference"
        ]
        for number, contact in enumerate(("cert@example.net", "+1 555 0100", "cert@example.net"))
    ]
    settings, server = site.folder / "avowal.toml", Controller(MailReceiver(), "127.0.0.1", free_port())
    settings.write_text(f'[mail]\nsmtp_server = "127.0.0.1:{server.port}"\n')
    server.start()
    try:
        outputs = [
            site.avowal("release", "recall", release, "--reason", "by mistake").out
            for release in references[:2]
        ]
    finally:
        server.stop()
    assert "cert@example.net was asked to delete it" in outputs[0]
    assert "ask cert@example (+1 555 0100)" in outputs[1]
    (envelope,) = server.handler.envelopes
    assert envelope.rcpt_tos == ["cert@example.net"]
    assert b"We recall it: by mistake" in envelope.content
    undelivered = site.avowal("release", "recall", references[2], "--reason", "by mistake")
    assert (undelivered.status, undelivered.code) == (1, "delivery-failed")
    assert all(
        release["recalled_at"] for release in site.avowal("release", "list", "--json").json()["releases"]
    )
    settings.write_text('[mail]\nsmtp_server = "mail"\n')
    assert site.avowal("release", "list").status == 2


def test_new_terms_apply_to_waiting_requests(site: Site) -> None:
    """Terms that require more approvals apply to requests that are already waiting."""
    add_user(site, "bea", "--disclose")
    reference = disclose_to_court(site).json()["reference"]
    assert approve_release(site, reference, "bea").status == 0
    terms = site.folder / "policy" / "terms.toml"
    text = re.sub(r"(?m)^updated = .*", f"updated = {datetime.now(UTC).date()}", terms.read_text(), count=1)
    terms.write_text(text.replace("approvals = 1", "approvals = 2"))
    publication = site.avowal("policy", "publish")
    assert publication.status == 0, publication.err
    package = site.folder / "release.zip"
    result = site.avowal("release", "make", reference, "--package", package)
    assert (result.status, result.code, package.exists()) == (2, "approval-missing", False), result.err
    add_user(site, "cyd", "--disclose")
    assert approve_release(site, reference, "cyd").status == 0
    assert site.avowal("release", "make", reference, "--package", package).status == 0
    assert site.avowal("verify").status == 0


def test_a_submission_is_released_as_required_by_law(tmp_path: Path) -> None:
    """A submission is released under a court order even without a known visitor, and nothing else with it."""
    form = DISCLOSED_FORM.replace('to = "named-person"', 'to = "authority"').replace(
        '"requested-function"', '"instrument"'
    )
    site = site_with_attack(tmp_path, form)
    fields = ("--field", "name=Ann Example", "--field", "text=Send two.")
    reference = site.avowal("submission", "add", "order", "--channel", "letter", *fields, "--json").json()[
        "reference"
    ]
    add_user(site, "bea", "--disclose")
    arguments = ("--subject", reference, "--reference", "1 A 23/26", "--categories", "submission,page-path")
    result = disclose(site, "required-by-law", *arguments, recipient="District Court", **COURT_ORDER)
    assert result.status == 0, result.err
    assert approve_release(site, result.json()["reference"], "bea").status == 0
    package = tmp_path / "release.zip"
    assert site.avowal("release", "make", result.json()["reference"], "--package", package).status == 0
    files = read_package(package)
    assert {name for name in files if name.endswith(".jsonl")} == {"submissions.jsonl"}
    assert b"Send two." in files["submissions.jsonl"]
    assert site.avowal("verify").status == 0
    other = disclose(
        site,
        "required-by-law",
        "--subject",
        "f" * 24,
        *arguments[2:],
        recipient="District Court",
        **COURT_ORDER,
    )
    assert (other.status, other.code) == (1, "submission-not-found")
    both = disclose(
        site, "required-by-law", *arguments, "--rows", ATTACK, recipient="District Court", **COURT_ORDER
    )
    assert both.status == 2
