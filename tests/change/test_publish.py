"""The law of versions where versions are published: rules V1 to V5 of docs/spec/terms.md."""

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
from support.errors import raises_code

NOW = datetime(2026, 11, 22, 15, 30)  # noqa: DTZ001  # UTC without a zone
TODAY = NOW.date()
SEED = Path(__file__).parents[3] / "shared" / "data" / "seed" / "privacy-policy.md"


def terms(age: str = "7 days", updated: date = TODAY, **parts: Any) -> Terms:
    """Return terms that keep addresses for an age, and owe 30 days of notice."""
    line = CollectRule(["ip-address"], {"full": age}, ["abuse"])
    made = Terms(1, "A", "a@example.org", updated, ["en"], [line], duties=Duties(notice_days=30))
    return msgspec.structs.replace(made, **parts)


def draft(made: Terms, text: str = "# Privacy\n") -> VersionDraft:
    documents = {
        language: Document(text, {"title": "Privacy"}, text, "Privacy", language, None)
        for language in ("en", "pt-BR")
    }
    return VersionDraft(made, repr(made), documents)


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    opened = Register(tmp_path, tmp_path / "keys")
    yield opened
    opened.close()


@pytest.fixture
def begun(register: Register) -> Register:
    adopt_first_version(register, draft(terms(updated_on=date(2026, 10, 1))), NOW)
    return register


def test_the_first_version_bears_its_past_date(register: Register) -> None:
    """It is adopted as of its day, once; a day to come is refused."""
    with raises_code("date-in-future"):
        adopt_first_version(register, draft(terms(updated_on=TODAY + timedelta(days=1))), NOW)
    version = adopt_first_version(register, draft(terms(updated_on=date(2015, 1, 15))), NOW)
    assert (version.number, version.effective_at) == (1, datetime(2015, 1, 15))  # noqa: DTZ001  # UTC
    with raises_code("version-exists"):
        adopt_first_version(register, draft(terms()), NOW)
    assert register.versions() == [version]


@pytest.mark.skipif(not SEED.exists(), reason=f"the policy to be adopted is not there: {SEED}")
def test_the_seeds_document_is_adopted_as_it_stands(register: Register) -> None:
    """Byte for byte, with its front matter, as of the day that it bears."""
    document = load_document(SEED)
    assert document.updated_on == date(2015, 1, 15)
    adopt_first_version(
        register, VersionDraft(terms("forever", document.updated_on), "", {document.language: document}), NOW
    )
    (page,) = register.documents(1)
    assert page.text.encode() == SEED.read_bytes()


def test_the_same_terms_again_are_no_version(begun: Register) -> None:
    """Publishing what holds changes nothing, whatever its date; other words are a correction of the same version."""
    for updated in (date(2026, 10, 1), TODAY, TODAY + timedelta(days=90)):
        done = publish_version(begun, draft(terms(updated_on=updated)), NOW, accept_weaker=False)
        assert (done.outcome, done.version.number) == (PublishOutcome.UNCHANGED, 1)
    done = publish_version(begun, draft(terms(), "# Privacy, spelt right\n"), NOW, accept_weaker=False)
    assert (done.outcome, done.comparison.relation) == (PublishOutcome.CORRECTED, ProtectionRelation.SAME)
    assert [page.text for page in begun.documents(1)] == ["# Privacy, spelt right\n"]
    assert len(begun.versions()) == 1


def test_a_stricter_version_may_hold_at_once(begun: Register) -> None:
    """Published with today's date, it takes effect at that moment, and no earlier."""
    done = publish_version(begun, draft(terms("3 days")), NOW, accept_weaker=False)
    assert done.outcome is PublishOutcome.PUBLISHED
    assert (done.version.number, done.version.effective_at) == (2, NOW)
    assert done.comparison.relation is ProtectionRelation.MORE_PROTECTIVE


@pytest.mark.parametrize(
    "change", [{"age": "90 days"}, {"duties": Duties()}, {"age": "3 days", "duties": Duties(may_see=True)}]
)
def test_what_protects_less_needs_notice_and_acceptance(begun: Register, change: dict[str, Any]) -> None:
    """Less protective and incomparable versions are announced for the days that are owed, and are accepted by name."""
    for days, accepted, code in (
        (0, True, "notice-too-short"),
        (29, True, "notice-too-short"),
        (30, False, "weaker-terms"),
    ):
        looser = draft(terms(updated_on=TODAY + timedelta(days=days), **change))
        with raises_code(code):
            publish_version(begun, looser, NOW, accept_weaker=accepted)
    assert len(begun.versions()) == 1
    looser = draft(terms(updated_on=TODAY + timedelta(days=30), **change))
    done = publish_version(begun, looser, NOW, accept_weaker=True)
    assert done.version.effective_at == datetime(2026, 12, 22)  # noqa: DTZ001  # UTC
    assert done.comparison.looser


def test_no_version_takes_effect_in_the_past_or_before_another(begun: Register) -> None:
    """A past day is refused, and so is one before that of a version that is still to come."""
    with raises_code("date-in-past"):
        publish_version(begun, draft(terms("3 days", TODAY - timedelta(days=1))), NOW, accept_weaker=True)
    publish_version(begun, draft(terms("3 days", TODAY + timedelta(days=9))), NOW, accept_weaker=False)
    for days in (0, 5, 9):
        with raises_code("version-out-of-order"):
            publish_version(
                begun, draft(terms("2 days", TODAY + timedelta(days=days))), NOW, accept_weaker=False
            )
    done = publish_version(
        begun, draft(terms("2 days", TODAY + timedelta(days=10))), NOW, accept_weaker=False
    )
    assert done.version.number == 3


def test_every_declared_language_has_its_document(begun: Register) -> None:
    """A language without a document is refused, at the first version as at a later one."""
    spoken = terms("3 days", languages=["en", "fr"])
    with raises_code("document-missing"):
        publish_version(begun, draft(spoken), NOW, accept_weaker=False)
    assert len(begun.versions()) == 1
    publish_version(begun, draft(terms("3 days", languages=["en", "pt-BR"])), NOW, accept_weaker=False)
    assert [page.language for page in begun.documents(2)] == ["en", "pt-BR"]


def test_a_first_version_is_not_published(register: Register) -> None:
    """Without a version in force there is nothing to compare with."""
    with raises_code("no-version-in-force"):
        publish_version(register, draft(terms()), NOW, accept_weaker=True)
