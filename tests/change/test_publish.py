"""Rules V1 to V5 of docs/spec/terms.md, which decide when a version may be published."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from avowal.change.publish import PublishOutcome, VersionDraft, adopt_first_version, publish_version
from avowal.policy.compare import ProtectionRelation
from avowal.policy.document import Document, load_document
from avowal.policy.terms import CollectRule, Duties, Terms
from avowal.register.register import Register
from avowal.verify.checks import verify_register
from support.errors import raises_code

NOW = datetime(2026, 11, 22, 15, 30)  # noqa: DTZ001  # UTC without a zone
TODAY = NOW.date()
SEED = Path(__file__).parents[3] / "shared" / "data" / "seed" / "privacy-policy.md"


def sample_terms(age: str = "7 days", updated: date = TODAY, **parts: Any) -> Terms:
    """Return terms that keep addresses for an age and owe 30 days of notice."""
    line = CollectRule(["ip-address"], {"full": age}, ["abuse"])
    terms = Terms(1, "A", "a@example.org", updated, ["en"], [line], duties=Duties(notice_days=30))
    return msgspec.structs.replace(terms, **parts)


def draft(terms: Terms, text: str = "# Privacy\n") -> VersionDraft:
    documents = {
        language: Document(text, {"title": "Privacy"}, text, "Privacy", language, None)
        for language in ("en", "pt-BR")
    }
    head = (
        f'vocabulary = {terms.vocabulary}\ncontroller = "{terms.controller}"\ncontact = "{terms.contact}"\n'
        f'updated = {terms.updated_on}\nlanguages = ["en"]\n'
    )
    return VersionDraft(terms, head, documents)


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    register = Register(tmp_path, tmp_path / "keys")
    yield register
    register.close()


@pytest.fixture
def adopted_register(register: Register) -> Register:
    adopt_first_version(register, draft(sample_terms(updated_on=date(2026, 10, 1))), NOW)
    return register


def test_the_first_version_takes_effect_on_its_past_date(register: Register) -> None:
    """The first version is adopted once, as of its date; a future date is refused."""
    with raises_code("date-in-future"):
        adopt_first_version(register, draft(sample_terms(updated_on=TODAY + timedelta(days=1))), NOW)
    version = adopt_first_version(register, draft(sample_terms(updated_on=date(2015, 1, 15))), NOW)
    assert (version.number, version.effective_at) == (1, datetime(2015, 1, 15))  # noqa: DTZ001  # UTC
    with raises_code("version-exists"):
        adopt_first_version(register, draft(sample_terms()), NOW)
    assert register.versions() == [version]


@pytest.mark.skipif(not SEED.exists(), reason=f"the policy to be adopted is not there: {SEED}")
def test_an_existing_document_is_adopted_byte_for_byte(register: Register) -> None:
    """The document keeps its front matter, and is adopted as of its own date."""
    document = load_document(SEED)
    assert document.updated_on == date(2015, 1, 15)
    adopt_first_version(
        register,
        VersionDraft(sample_terms("forever", document.updated_on), "", {document.language: document}),
        NOW,
    )
    (page,) = register.documents(1)
    assert page.text.encode() == SEED.read_bytes()


def test_unchanged_terms_are_not_a_new_version(adopted_register: Register) -> None:
    """Unchanged terms change nothing, whatever their date; changed prose corrects the same version."""
    for updated in (date(2026, 10, 1), TODAY, TODAY + timedelta(days=90)):
        publication = publish_version(
            adopted_register, draft(sample_terms(updated_on=updated)), NOW, accept_weaker=False
        )
        assert (publication.outcome, publication.version.number) == (PublishOutcome.UNCHANGED, 1)
    publication = publish_version(
        adopted_register, draft(sample_terms(), "# Privacy, spelt right\n"), NOW, accept_weaker=False
    )
    assert (publication.outcome, publication.comparison.relation) == (
        PublishOutcome.CORRECTED,
        ProtectionRelation.SAME,
    )
    assert [page.text for page in adopted_register.documents(1)] == ["# Privacy, spelt right\n"]
    assert len(adopted_register.versions()) == 1


def test_a_scheduled_version_shortens_no_notice_that_is_promised_now(adopted_register: Register) -> None:
    """A scheduled version that owes no notice does not shorten that of the version in force (V4)."""
    without_notice = sample_terms("7 days", TODAY + timedelta(days=30), duties=Duties())
    publish_version(adopted_register, draft(without_notice), NOW, accept_weaker=True)
    weaker = sample_terms("forever", TODAY + timedelta(days=31), duties=Duties())
    with raises_code("notice-too-short"):
        publish_version(adopted_register, draft(weaker), NOW + timedelta(days=29), accept_weaker=True)
    done = publish_version(adopted_register, draft(weaker), NOW, accept_weaker=True)
    assert done.version.number == 3


def test_fields_of_forms_and_contacts_are_corrections(adopted_register: Register) -> None:
    """Another contact or another field of a form is no new version, and holds once it is published (V5)."""
    made = sample_terms(contact="b@example.org")
    for expected in (PublishOutcome.CORRECTED, PublishOutcome.UNCHANGED):
        publication = publish_version(adopted_register, draft(made), NOW, accept_weaker=False)
        assert (publication.outcome, publication.version.number) == (expected, 1)
        (version,) = adopted_register.versions()
        assert version.terms.contact == "b@example.org"
        assert [page.language for page in adopted_register.documents(1)] == ["en"]
    verification = verify_register(adopted_register, ())
    assert {finding.code for finding in verification.findings} == {
        "version-terms-mismatch"
    }  # a text of its head alone


def test_a_stricter_version_may_take_effect_at_once(adopted_register: Register) -> None:
    """With today's date it takes effect at the moment of publication, and no earlier."""
    publication = publish_version(adopted_register, draft(sample_terms("3 days")), NOW, accept_weaker=False)
    assert publication.outcome is PublishOutcome.PUBLISHED
    assert (publication.version.number, publication.version.effective_at) == (2, NOW)
    assert publication.comparison.relation is ProtectionRelation.MORE_PROTECTIVE


@pytest.mark.parametrize(
    "change", [{"age": "90 days"}, {"duties": Duties()}, {"age": "3 days", "duties": Duties(may_see=True)}]
)
def test_a_weaker_version_needs_notice_and_acceptance(
    adopted_register: Register, change: dict[str, Any]
) -> None:
    """Less protective and incomparable versions need the owed days of notice, and `accept_weaker`."""
    for days, accepted, code in (
        (0, True, "notice-too-short"),
        (29, True, "notice-too-short"),
        (30, False, "weaker-terms"),
    ):
        looser = draft(sample_terms(updated_on=TODAY + timedelta(days=days), **change))
        with raises_code(code):
            publish_version(adopted_register, looser, NOW, accept_weaker=accepted)
    assert len(adopted_register.versions()) == 1
    looser = draft(sample_terms(updated_on=TODAY + timedelta(days=30), **change))
    publication = publish_version(adopted_register, looser, NOW, accept_weaker=True)
    assert publication.version.effective_at == datetime(2026, 12, 22)  # noqa: DTZ001  # UTC
    assert publication.comparison.looser


def test_a_version_in_the_past_or_before_a_future_version_is_refused(adopted_register: Register) -> None:
    """A past date is refused, and so is one not after that of a published future version."""
    with raises_code("date-in-past"):
        publish_version(
            adopted_register,
            draft(sample_terms("3 days", TODAY - timedelta(days=1))),
            NOW,
            accept_weaker=True,
        )
    publish_version(
        adopted_register, draft(sample_terms("3 days", TODAY + timedelta(days=9))), NOW, accept_weaker=False
    )
    for days in (0, 5, 9):
        with raises_code("version-out-of-order"):
            publish_version(
                adopted_register,
                draft(sample_terms("2 days", TODAY + timedelta(days=days))),
                NOW,
                accept_weaker=False,
            )
    publication = publish_version(
        adopted_register, draft(sample_terms("2 days", TODAY + timedelta(days=10))), NOW, accept_weaker=False
    )
    assert publication.version.number == 3


def test_each_declared_language_needs_a_document(adopted_register: Register) -> None:
    """A version without a document for a declared language is refused."""
    new_terms = sample_terms("3 days", languages=["en", "fr"])
    with raises_code("document-missing"):
        publish_version(adopted_register, draft(new_terms), NOW, accept_weaker=False)
    assert len(adopted_register.versions()) == 1
    publish_version(
        adopted_register, draft(sample_terms("3 days", languages=["en", "pt-BR"])), NOW, accept_weaker=False
    )
    assert [page.language for page in adopted_register.documents(2)] == ["en", "pt-BR"]


def test_publishing_without_a_version_in_force_is_refused(register: Register) -> None:
    """The first version has to be adopted, as there is nothing to compare it with."""
    with raises_code("no-version-in-force"):
        publish_version(register, draft(sample_terms()), NOW, accept_weaker=True)
