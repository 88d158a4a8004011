"""Prose compared with the terms: practices that only one of them mentions are found, with their line."""

from importlib import resources
from pathlib import Path

import msgspec
import pytest

from avowal.policy.bounds import Bounds
from avowal.policy.document import Document, load_document
from avowal.policy.prose_check import PRACTICES, find_prose_mismatches
from avowal.policy.terms import Duties, Terms, compile_terms, load_terms

DEFAULTS = Path(str(resources.files("avowal.policy") / "examples" / "unless-refused"))
SEED = Path(__file__).parents[3] / "shared" / "data" / "seed" / "privacy-policy.md"
TERMS = load_terms(DEFAULTS / "terms.toml")
NO_PRACTICES = compile_terms(
    msgspec.structs.replace(TERMS, collect_rules=[], disclose_rules=[], cookies=[], duties=Duties())
)
FRONT = "---\ntitle: A\n---\n"


def prose(body: str, language: str = "en") -> Document:
    return Document(FRONT + body, {"title": "A"}, body, "A", language, None)


def find_undeclared(body: str, bounds: Bounds = NO_PRACTICES) -> list[str]:
    return [
        sentence
        for sentence in find_prose_mismatches(prose(body), bounds)
        if "speaks of" in sentence and "never" not in sentence
    ]


def test_the_default_document_matches_the_default_terms() -> None:
    """The default document and the default terms have no mismatch."""
    assert find_prose_mismatches(load_document(DEFAULTS / "privacy-policy.en.md"), compile_terms(TERMS)) == []


@pytest.mark.skipif(not SEED.exists(), reason=f"the policy to be adopted is not there: {SEED}")
def test_practices_missing_from_an_existing_policy_are_found() -> None:
    """The existing policy lacks referrers and retention, and no other mismatch is reported."""
    assert find_prose_mismatches(load_document(SEED), compile_terms(TERMS)) == [
        "the terms declare where visitors come from; the document in `en` never speaks of it",
        "the terms declare how long information is kept; the document in `en` never speaks of it",
    ]


@pytest.mark.parametrize(
    ("sentence", "practice"),
    [
        ("We log your IP address.", "IP addresses"),
        ("We may place a cookie on your hard drive.", "cookies"),
        ("Our partners receive statistics.", "third parties"),
        ("We show advertisements that may interest you.", "advertising"),
        ("Your data may be sold to data brokers.", "selling information"),
        ("Records are kept for 90 days.", "how long information is kept"),
        ("We record which browser you use.", "browsers"),
        ("We see the country of your visit.", "locations"),
        ("You can subscribe to our newsletter.", "e-mail and postal addresses"),
        ("Your credit card is charged.", "payments"),
        ("We keep what you write, and your e-mail address.", "what people write to the site"),
        ("We count the links you follow.", "what is done on pages"),
        ("We measure how soon a page shows, and script errors.", "how pages fare in browsers"),
        ("We build a profile of your interests.", "profiles of persons"),
        ("We note how long you stay.", "the duration of visits and views"),
        ("A service protects us from denial-of-service attacks.", "protection against floods"),
    ],
)
def test_an_undeclared_practice_is_reported_with_its_line(sentence: str, practice: str) -> None:
    """Lines are counted from the start of the file; a sentence may span several lines."""
    body = f"## Heading\n\nSomething else\nin two lines. And\n{sentence} And on.\n"
    assert (
        f"the document in `en`, line 8, speaks of {practice}, which the terms do not declare"
        in find_undeclared(body)
    )
    assert practice in {known_practice.name for known_practice in PRACTICES}


@pytest.mark.parametrize(
    "sentence",
    [
        "We never sell your information.",
        "We do not use cookies.",
        "There is no advertising here.",
        "Nobody builds a profile of you.",
        "We don\u2019t share anything with third parties.",
        "The weather is nice.",
    ],
)
def test_a_negated_sentence_mentions_no_practice(sentence: str) -> None:
    """A sentence with a negation is ignored, and so is one that mentions no practice."""
    assert find_undeclared(f"{sentence}\n") == []


def test_a_declared_practice_that_is_never_mentioned_is_reported() -> None:
    """An empty document lacks each practice of the terms whose mention is not optional."""
    bounds = compile_terms(TERMS)
    missed = {
        sentence.partition(";")[0].removeprefix("the terms declare ")
        for sentence in find_prose_mismatches(prose(""), bounds)
    }
    assert missed == {
        known_practice.name
        for known_practice in PRACTICES
        if known_practice.is_declared(bounds) and not known_practice.mention_optional
    }
    assert "cookies" in missed
    assert find_prose_mismatches(prose(""), NO_PRACTICES) == []


def test_documents_in_other_languages_are_not_compared() -> None:
    """Only English documents are compared; for others a message says so."""
    mismatches = find_prose_mismatches(prose("Usamos cookies.", "pt-BR"), NO_PRACTICES)
    assert mismatches == ["the document in `pt-BR` is not compared with the terms: only English is"]


def test_a_collected_category_is_a_declared_practice() -> None:
    """A practice is declared if the compiled terms collect its category."""
    terms: Terms = msgspec.structs.replace(TERMS, collect_rules=TERMS.collect_rules[:1])
    assert "speaks of browsers" in " ".join(
        find_prose_mismatches(prose("We record your browser."), compile_terms(terms))
    )
    assert find_prose_mismatches(prose("We record your browser."), compile_terms(TERMS))[0].startswith(
        "the terms declare"
    )


def test_terms_may_collect_the_query_of_a_page_without_a_mention_of_it() -> None:
    """A policy that speaks of pages need not speak of what stands behind their question mark."""
    rule = msgspec.structs.replace(
        TERMS.collect_rules[0], categories=["page-path", "page-query"], max_ages={"full": "forever"}
    )
    bounds = compile_terms(msgspec.structs.replace(TERMS, collect_rules=[*TERMS.collect_rules, rule]))
    assert not [
        sentence for sentence in find_prose_mismatches(prose(""), bounds) if "question mark" in sentence
    ]
