"""What people say of what they handed over: objections to purposes, and corrections, each on record."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest

from support.site import Ran, Site, tamper
from support.submissions import ORDER_FORM, entry_kinds, object_to, query_register
from support.templates import made_once
from support.verification import assert_found

NOW = datetime.now(UTC).replace(tzinfo=None)
VISITOR = "0123456789abcdef"


@made_once
def site_with_form(folder: Path) -> Site:
    made = Site(folder).init(("2026-11-22", f"{(NOW - timedelta(40)).date()}"))
    terms = made.folder / "policy" / "terms.toml"
    terms.write_text(terms.read_text() + ORDER_FORM)
    return made


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_with_form(tmp_path)


@pytest.fixture
def reference(site: Site) -> str:
    fields = ("--field", "name=Ann Exmaple", "--field", "email=ann@example.org", "--visitor", VISITOR)
    ran = site.avowal("submission", "add", "order", "--channel", "letter", *fields, "--json")
    assert ran.status == 0, ran.err
    told: str = ran.json()["reference"]
    return told


def show(site: Site, reference: str, purpose: str = "content") -> Ran:
    return site.avowal("submission", "show", reference, "--purpose", purpose, "--json")


def test_a_purpose_that_is_objected_to_sees_nothing(site: Site, reference: str) -> None:
    """Others do; and it does again once that is taken back."""
    assert show(site, reference).status == 0
    assert object_to(site, reference, "content").json()["purposes"] == ["content"]
    refused = show(site, reference)
    assert (refused.status, refused.code) == (1, "subject-objects")
    assert show(site, reference, "requested-service").status == 0
    assert object_to(site, reference, "abuse", "--withdraw").status == 1
    assert object_to(site, reference, "content", "--withdraw").status == 0
    assert show(site, reference).status == 0
    assert [kind for kind in entry_kinds(site) if "objection" in kind] == [
        "objection-raised",
        "objection-withdrawn",
    ]
    assert site.avowal("verify").status == 0


def test_a_parent_stands_for_all_its_purposes(site: Site, reference: str) -> None:
    """Words and references that are none are refused, and leave no trace."""
    entries = len(entry_kinds(site))
    assert object_to(site, reference, "fun").status == 2
    assert object_to(site, "f" * 24, "content").status == 1
    assert len(entry_kinds(site)) == entries
    assert len(object_to(site, reference, "operate").json()["purposes"]) > 1


def test_what_is_objected_to_is_no_function_to_disclose_for(site: Site, reference: str) -> None:
    """Whoever wants it no more has nothing of theirs handed on for it."""
    words = (
        "--ground",
        "requested-function",
        "--recipient",
        "Carrier",
        "--reference",
        reference,
        "--categories",
        "person-name",
    )
    assert site.avowal("disclose", *words, "--dry-run").status == 0
    assert object_to(site, reference, "requested-service").status == 0
    ran = site.avowal("disclose", *words, "--dry-run")
    assert (ran.status, ran.code) == (1, "subject-objects")


def test_what_was_wrong_is_put_right(site: Site, reference: str) -> None:
    """And what stood there before is nowhere any more; that it was done is on record."""
    ran = site.avowal(
        "submission", "correct", reference, "--field", "name=Ann Example", "--channel", "telephone"
    )
    assert ran.status == 0, ran.err
    values = {one["field"]: one["value"] for one in show(site, reference).json()["fields"]}
    assert values == {"name": "Ann Example", "email": "ann@example.org"}
    (entry,) = [
        json.loads(body)
        for (body,) in query_register(site, "SELECT body FROM entries")
        if b"submission-corrected" in body
    ]
    assert (entry["categories"], entry["channel"]) == (["person-name"], "telephone")
    assert site.avowal("verify").status == 0


@pytest.mark.parametrize(
    ("field", "status", "said"),
    [
        ("cv=other.pdf", 1, "the submission has no text in a field `cv`"),
        ("text=hello", 1, "the submission has no text in a field `text`"),
        ("name", 2, "has no value"),
        (f"name={'x' * 300_000}", 2, "too long"),
    ],
)
def test_only_what_was_written_is_put_right(
    site: Site, reference: str, field: str, status: int, said: str
) -> None:
    """Nothing is changed otherwise."""
    ran = site.avowal("submission", "correct", reference, "--field", field, "--channel", "letter")
    assert (ran.status, said in ran.err) == (status, True), ran.err
    assert "submission-corrected" not in entry_kinds(site)


def test_it_is_told_and_goes_with_what_it_is_about(site: Site, reference: str) -> None:
    """Whoever handed it over sees it; of what is erased nothing is left but that something was said."""
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
    assert entry_kinds(site).count("objection-raised") == 1
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
def test_what_is_changed_is_found(site: Site, reference: str, change: str, code: str) -> None:
    """An objection that vanished, or another's."""
    assert object_to(site, reference, "content").status == 0
    assert (
        site.avowal("submission", "correct", reference, "--field", "name=A", "--channel", "letter").status
        == 0
    )
    tamper(site, change)
    assert_found(site, code)
