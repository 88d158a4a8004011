"""`avowal submission object` and `correct`: objections and corrections are recorded and take effect."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest

from support.registers import list_entry_kinds, query_register
from support.site import CommandResult, Site, tamper
from support.submissions import ORDER_FORM, object_to
from support.templates import make_once
from support.verification import assert_found

NOW = datetime.now(UTC).replace(tzinfo=None)
VISITOR = "0123456789abcdef"


@make_once
def site_with_form(folder: Path) -> Site:
    site = Site(folder).init(("2026-11-22", f"{(NOW - timedelta(40)).date()}"))
    terms = site.folder / "policy" / "terms.toml"
    terms.write_text(terms.read_text() + ORDER_FORM)
    return site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_with_form(tmp_path)


@pytest.fixture
def reference(site: Site) -> str:
    fields = ("--field", "name=Ann Exmaple", "--field", "email=ann@example.org", "--visitor", VISITOR)
    result = site.avowal("submission", "add", "order", "--channel", "letter", *fields, "--json")
    assert result.status == 0, result.err
    reference: str = result.json()["reference"]
    return reference


def show(site: Site, reference: str, purpose: str = "content") -> CommandResult:
    return site.avowal("submission", "show", reference, "--purpose", purpose, "--json")


def test_an_objected_purpose_sees_nothing(site: Site, reference: str) -> None:
    """The other purposes still see the submission, and so does this one once the objection is withdrawn."""
    assert show(site, reference).status == 0
    assert object_to(site, reference, "content").json()["purposes"] == ["content"]
    refused = show(site, reference)
    assert (refused.status, refused.code) == (1, "subject-objects")
    assert show(site, reference, "requested-service").status == 0
    assert object_to(site, reference, "abuse", "--withdraw").status == 1
    assert object_to(site, reference, "content", "--withdraw").status == 0
    assert show(site, reference).status == 0
    assert [kind for kind in list_entry_kinds(site) if "objection" in kind] == [
        "objection-raised",
        "objection-withdrawn",
    ]
    assert site.avowal("verify").status == 0


def test_a_purpose_sees_when_and_by_whom_only_where_it_may(site: Site, reference: str) -> None:
    """`abuse` may know the visitor, and not the time; the list for no purpose shows what any purpose may know."""
    shown = show(site, reference, "content").json()["submission"]
    assert shown["submitted_at"]
    assert shown["visitor"] == VISITOR
    shown = show(site, reference, "abuse").json()["submission"]
    assert (shown["submitted_at"], shown["recorded_at"], shown["visitor"]) == (None, None, VISITOR)
    (listed,) = site.avowal("submission", "list", "--json").json()["submissions"]
    assert (bool(listed["submitted_at"]), listed["visitor"]) == (True, VISITOR)


def test_a_parent_stands_for_all_its_purposes(site: Site, reference: str) -> None:
    """An unknown purpose or reference is refused, and nothing is recorded."""
    entries = len(list_entry_kinds(site))
    assert object_to(site, reference, "fun").status == 2
    assert object_to(site, "f" * 24, "content").status == 1
    assert len(list_entry_kinds(site)) == entries
    assert len(object_to(site, reference, "operate").json()["purposes"]) > 1


def test_an_objection_stops_releases_for_the_requested_function(site: Site, reference: str) -> None:
    """A submission is not released for a purpose to which the sender objects."""
    options = (
        "--ground",
        "requested-function",
        "--recipient",
        "Carrier",
        "--reference",
        reference,
        "--categories",
        "person-name",
    )
    assert site.avowal("disclose", *options, "--dry-run").status == 0
    assert object_to(site, reference, "requested-service").status == 0
    result = site.avowal("disclose", *options, "--dry-run")
    assert (result.status, result.code) == (1, "subject-objects")


def test_a_correction_replaces_the_value(site: Site, reference: str) -> None:
    """The former value is deleted, and the ledger records the correction."""
    result = site.avowal(
        "submission", "correct", reference, "--field", "name=Ann Example", "--channel", "telephone"
    )
    assert result.status == 0, result.err
    values = {value["field"]: value["value"] for value in show(site, reference).json()["fields"]}
    assert values == {"name": "Ann Example", "email": "ann@example.org"}
    (entry,) = [
        json.loads(body)
        for (body,) in query_register(site, "SELECT body FROM entries")
        if b"submission-corrected" in body
    ]
    assert (entry["categories"], entry["channel"]) == (["person-name"], "telephone")
    assert site.avowal("verify").status == 0


@pytest.mark.parametrize(
    ("field", "status", "message"),
    [
        ("cv=other.pdf", 1, "the submission has no text in a field `cv`"),
        ("text=hello", 1, "the submission has no text in a field `text`"),
        ("name", 2, "has no value"),
        (f"name={'x' * 300_000}", 2, "too long"),
    ],
)
def test_an_invalid_correction_is_refused(
    site: Site, reference: str, field: str, status: int, message: str
) -> None:
    """An invalid correction changes nothing."""
    result = site.avowal("submission", "correct", reference, "--field", field, "--channel", "letter")
    assert (result.status, message in result.err) == (status, True), result.err
    assert "submission-corrected" not in list_entry_kinds(site)


def test_objections_and_corrections_are_exported_and_erased(site: Site, reference: str) -> None:
    """An export contains the objection; after an erasure only the entry of the ledger remains."""
    assert object_to(site, reference, "content").status == 0
    assert (
        site.avowal("submission", "correct", reference, "--field", "name=A", "--channel", "letter").status
        == 0
    )
    export = site.folder / "me.jsonl"
    assert site.avowal("visitor", "export", VISITOR, "--output", export).status == 0
    head = json.loads(export.read_text().splitlines()[0])
    assert head["submissions"][0]["objected_purposes"] == ["content"]
    schema = jsonschema.Draft202012Validator(site.avowal("visitor", "schema").json())
    assert list(schema.iter_errors(head)) == []
    assert site.avowal("submission", "erase", reference).status == 0
    assert (
        query_register(site, "SELECT * FROM objection_subjects"),
        query_register(site, "SELECT * FROM correction_subjects"),
    ) == ([], [])
    assert list_entry_kinds(site).count("objection-raised") == 1
    assert site.avowal("verify").status == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("UPDATE objection_subjects SET salt = zeroblob(32)", "objection-mismatch"),
        ("UPDATE objection_subjects SET entry = 0", "objection-mismatch"),
        ("UPDATE objection_subjects SET entry = 'abc'", "objection-mismatch"),
        ("UPDATE objection_subjects SET entry = 99", "objection-mismatch"),
        ("UPDATE objection_subjects SET submission = 'ffffffffffffffffffffffff'", "objection-mismatch"),
        ("UPDATE correction_subjects SET entry = entry - 1", "correction-mismatch"),
        ("DELETE FROM objection_subjects", "submission-settings-mismatch"),
    ],
)
def test_a_changed_objection_or_correction_is_found(
    site: Site, reference: str, change: str, code: str
) -> None:
    """Verification finds an objection or a correction that was changed or deleted in the register."""
    assert object_to(site, reference, "content").status == 0
    assert (
        site.avowal("submission", "correct", reference, "--field", "name=A", "--channel", "letter").status
        == 0
    )
    tamper(site, change)
    assert_found(site, code)
