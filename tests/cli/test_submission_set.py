"""`avowal submission set`: restrictions of submissions are recorded and take effect."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from avowal.clock import utc_now
from avowal.register.register import Register
from avowal.register.restrictions import RestrictionChange, SubmissionSelector
from support.registers import list_entry_kinds, query_register
from support.site import CommandResult, Site, tamper
from support.submissions import ORDER_FORM, object_to
from support.templates import make_once
from support.verification import assert_found

NOW = datetime.now(UTC).replace(tzinfo=None)
SOON = f"{(NOW + timedelta(5)).date()}"
VISITOR = "0123456789abcdef"
OTHER = "fedcba9876543211"
DISCLOSE = ("--ground", "requested-function", "--categories", "person-name", "--dry-run")
NOTE = """
[[form]]
name = "note"
fields = { text = "message", again = "answer" }
for = ["requested-service"]
"""


@make_once
def site_with_forms(folder: Path) -> Site:
    site = Site(folder).init(("2026-11-22", f"{(NOW - timedelta(40)).date()}"))
    terms = site.folder / "policy" / "terms.toml"
    terms.write_text(terms.read_text() + ORDER_FORM + NOTE)
    for name, options in (("anna", ()), ("ben", ()), ("bot", ("--automated",))):
        result = site.avowal(
            "user", "add", name, "--purposes", "requested-service,content", *options, "--json"
        )
        assert result.json()["is_automated"] is bool(options)
    return site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_with_forms(tmp_path)


@pytest.fixture
def reference(site: Site) -> str:
    return add(site, "order", "--field", "name=Ann Example", "--visitor", VISITOR)


def add(site: Site, form: str, *options: str) -> str:
    result = site.avowal("submission", "add", form, "--channel", "letter", *options, "--json")
    assert result.status == 0, result.err
    reference: str = result.json()["reference"]
    return reference


def restrict(site: Site, *options: str) -> CommandResult:
    return site.avowal("submission", "set", *options, "--channel", "letter", "--json")


def show(site: Site, reference: str, reader: str = "operator") -> CommandResult:
    return site.avowal("submission", "show", reference, "--purpose", "content", "--as", reader, "--json")


def list_submissions(
    site: Site, *options: str, reader: str = "anna", purpose: str = "content"
) -> list[dict[str, Any]]:
    result = site.avowal("submission", "list", *options, "--purpose", purpose, "--as", reader, "--json")
    assert result.status == 0, result.err
    submissions: list[dict[str, Any]] = result.json()["submissions"]
    return submissions


def test_only_permitted_readers_see_a_submission(site: Site, reference: str) -> None:
    """Nobody else sees it, not even the operator, until it is permitted to all again."""
    record = restrict(site, reference, "--readers", "anna,ben").json()
    assert (record["settings"], record["submissions"]) == (["allowed_readers"], 1)
    assert show(site, reference, "anna").status == 0
    refused = show(site, reference)
    assert (refused.status, refused.code) == (1, "reader-not-permitted")
    assert [submission["reference"] for submission in list_submissions(site, "--form", "order")] == [
        reference
    ]
    assert list_submissions(site, "--form", "order", reader="operator") == []
    assert restrict(site, reference, "--readers", "").status == 0
    assert show(site, reference).status == 0
    assert site.avowal("verify").status == 0


def test_no_program_reads_it_without_automated_decisions(site: Site, reference: str) -> None:
    """A person still reads the submission."""
    assert show(site, reference, "bot").status == 0
    assert restrict(site, "--visitor", VISITOR, "--no-automated-decisions").status == 0
    assert (show(site, reference, "bot").status, show(site, reference, "anna").status) == (1, 0)
    assert list_submissions(site, "--visitor", VISITOR, reader="bot") == []
    assert restrict(site, "--visitor", VISITOR, "--automated-decisions").status == 0
    assert show(site, reference, "bot").status == 0


def test_a_submission_is_deleted_at_its_chosen_time(site: Site, reference: str) -> None:
    """It cannot be read from that time on, and retention deletes it with all its values."""
    other = add(site, "order", "--field", "name=B")
    assert restrict(site, reference, "--keep-until", SOON).status == 0
    assert restrict(site, reference, "--keep-until", "2026-01-01").status == 2
    assert list_submissions(site, "--form", "order")[0]["keep_until"].startswith(SOON)
    with closing(Register(site.data, site.folder / "keys")) as register:
        change = RestrictionChange(keep_until=NOW - timedelta(2))
        register.restrictions.set(SubmissionSelector("submission", reference), change, "letter", utc_now())
        register.ledger.sign_checkpoint()
    assert show(site, reference).status == 1
    assert [submission["reference"] for submission in list_submissions(site, "--form", "order")] == [other]
    assert_found(site, "record-overdue", "submissions")
    assert site.avowal("retain").status == 0
    assert query_register(site, "SELECT reference FROM submissions") == [(other,)]
    assert len(query_register(site, "SELECT * FROM submission_fields")) == 1
    assert query_register(site, "SELECT * FROM restrictions") == []
    assert site.avowal("verify").status == 0


def test_a_submission_is_released_only_to_permitted_recipients(site: Site, reference: str) -> None:
    """A release to a recipient that the sender did not permit is refused."""
    options = ("--reference", reference, *DISCLOSE)
    assert site.avowal("disclose", "--recipient", "Carrier", *options).status == 0
    assert restrict(site, reference, "--recipients", "Bank, Baker").status == 0
    refused = site.avowal("disclose", "--recipient", "Carrier", *options)
    assert (refused.status, refused.code) == (1, "recipient-not-permitted"), refused.err
    assert site.avowal("disclose", "--recipient", "Bank", *options).status == 0


def test_all_submissions_of_a_form_or_a_visitor_are_restricted(site: Site, reference: str) -> None:
    """One entry of the ledger records how many submissions were restricted, and not whose."""
    others = [add(site, "note", "--field", "text=hello") for _ in range(3)]
    assert restrict(site, "--form", "note", "--source", "trade fair").json()["submissions"] == 3
    assert restrict(site, "--form", "note", "--visitor-key", OTHER).status == 2
    assert restrict(site, others[0], "--assign-visitor", OTHER).status == 0
    assert restrict(site, "--visitor", OTHER, "--objects-to", "content").json()["submissions"] == 1
    by_reference = {
        submission["reference"]: submission
        for submission in list_submissions(site, "--form", "note", purpose="requested-service")
    }
    assert [by_reference[other]["objected_purposes"] for other in others] == [["content"], [], []]
    assert {submission["source"] for submission in by_reference.values()} == {"trade fair"}
    assert [submission["reference"] for submission in list_submissions(site, "--form", "note")] == others[1:]
    assert object_to(site, others[0], "abuse").json()["purposes"] == ["abuse"]
    assert object_to(site, others[0], "content", "--withdraw").status == 0
    by_reference = {
        submission["reference"]: submission
        for submission in list_submissions(site, "--form", "note", purpose="requested-service")
    }
    assert by_reference[others[0]]["objected_purposes"] == ["abuse"]
    assert site.avowal("verify").status == 0
    entries = [json.loads(body) for (body,) in query_register(site, "SELECT body FROM entries")]
    recorded = json.dumps([entry for entry in entries if entry["kind"] == "restrictions-changed"])
    assert not any(word in recorded for word in (OTHER, "note", "trade", *others))
    assert reference not in by_reference


def test_a_field_gets_only_a_stricter_category(tmp_path: Path) -> None:
    """A category that is used for more, or kept longer, is refused."""
    site = Site(tmp_path).init(("2026-11-22", f"{(NOW - timedelta(40)).date()}"))
    terms = site.folder / "policy" / "terms.toml"
    longer = '[[collect]]\ncategories = ["answer"]\nkeep = { full = "60 days" }\nfor = ["content"]\n'
    terms.write_text(terms.read_text() + ORDER_FORM + NOTE + longer)
    reference = add(site, "note", "--field", "text=I am ill", "--field", "again=yes")
    refused = restrict(site, reference, "--category", "text=answer")
    assert (refused.status, refused.code) == (1, "weaker-category")
    assert restrict(site, reference, "--category", "again=message").status == 0
    assert query_register(site, "SELECT DISTINCT category FROM submission_fields") == [("message",)]
    for invalid in ("text=ip-address", "text=uploaded-file", "text=fun", "text"):
        assert restrict(site, reference, "--category", invalid).status == 2
    unknown_field = restrict(site, reference, "--category", "nope=message")
    assert (unknown_field.status, unknown_field.code) == (1, "field-not-found"), unknown_field.err


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ((), 2, "missing-input"),
        (("f" * 24, "--form", "order", "--source", "x"), 2, "missing-input"),
        (("f" * 24,), 2, "missing-input"),
        (("f" * 24, "--source", "x"), 1, "submission-not-found"),
        (("--form", "fun", "--source", "x"), 1, "submission-not-found"),
        (("--visitor", "Ann", "--source", "x"), 2, "invalid-visitor"),
        (("--form", "order", "--readers", "zoe"), 1, "reader-not-found"),
        (("--form", "order", "--objects-to", "fun"), 2, "unknown-name"),
        (("--form", "order", "--source", "x" * 201), 2, "input-too-long"),
        (("--form", "order", "--keep-until", "never"), 2, "invalid-time"),
    ],
)
def test_an_invalid_restriction_is_refused(
    site: Site, reference: str, options: tuple[str, ...], status: int, code: str
) -> None:
    """An invalid restriction changes and records nothing."""
    before = query_register(site, "SELECT * FROM submissions")
    result = restrict(site, *options)
    assert (result.status, result.code) == (status, code), result.err
    assert query_register(site, "SELECT * FROM submissions") == before
    assert "restrictions-changed" not in list_entry_kinds(site)
    assert reference


@pytest.mark.parametrize(
    "options",
    [
        ("--form", "order"),
        ("--purpose", "content"),
        ("--form", "a", "--visitor", "b", "--purpose", "content"),
    ],
)
def test_a_list_for_a_purpose_needs_a_form_or_a_visitor(site: Site, options: tuple[str, ...]) -> None:
    """A list of one form or one visitor without a purpose is refused, and so are all other combinations."""
    assert site.avowal("submission", "list", *options).status == 2


def test_each_list_for_a_purpose_is_recorded(site: Site, reference: str) -> None:
    """The ledger records the number of rows, and the list omits a visitor key that the purpose may not see."""
    assert list_submissions(site, "--visitor", VISITOR)[0]["visitor"] == VISITOR
    (submission,) = list_submissions(site, "--visitor", VISITOR, purpose="requested-service")
    assert submission["visitor"] is None
    assert reference
    entry = json.loads(query_register(site, "SELECT body FROM entries ORDER BY entry DESC")[0][0])
    assert (entry["kind"], entry["purpose"], entry["rows"]) == ("data-accessed", "requested-service", 1)
    assert (
        site.avowal("submission", "list", "--form", "order", "--purpose", "abuse", "--as", "anna").status == 1
    )


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("UPDATE submissions SET allowed_readers = '[]'", "submission-settings-mismatch"),
        ("UPDATE submissions SET objected_purposes = '[]'", "submission-settings-mismatch"),
        ("UPDATE submissions SET allows_automated_decisions = 0", "submission-settings-mismatch"),
        ("""UPDATE restrictions SET settings = '{"readers":"[]"}'""", "restriction-mismatch"),
        ("UPDATE restrictions SET settings = 'nope'", "restriction-mismatch"),
        ("UPDATE submissions SET recorded_at = x'00'", "register-malformed"),
        ("UPDATE restrictions SET entry = entry + 1", "restriction-mismatch"),
        ("UPDATE restrictions SET selector_value = 'note'", "restriction-mismatch"),
        ("DELETE FROM restrictions", "submission-settings-mismatch"),
    ],
)
def test_a_changed_restriction_is_found(site: Site, reference: str, change: str, code: str) -> None:
    """Verification finds a restriction that was changed or deleted in the register."""
    assert restrict(site, reference, "--readers", "anna").status == 0
    assert object_to(site, reference, "content").status == 0
    assert site.avowal("verify").status == 0
    tamper(site, *change.split("; "))
    assert_found(site, code)


def test_a_visitor_sees_restrictions_and_they_are_erased(site: Site, reference: str) -> None:
    """The visitor sees all restrictions except the names of readers, and an erasure deletes them."""
    assert restrict(site, reference, "--readers", "anna", "--source", "trade fair").status == 0
    assert restrict(site, "--visitor", VISITOR, "--recipients", "Bank").status == 0
    (submission,) = site.avowal("visitor", "show", VISITOR, "--json").json()["submissions"]
    assert (submission["source"], submission["allowed_recipients"], "allowed_readers" in submission) == (
        "trade fair",
        ["Bank"],
        False,
    )
    assert site.avowal("visitor", "erase", VISITOR, "--expected-records", "0").status == 0
    assert site.avowal("retain").status == 0
    assert query_register(site, "SELECT * FROM restrictions") == []
    assert site.avowal("verify").status == 0
