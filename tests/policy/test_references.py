"""References of documents to their terms are rendered in each language, and each names something."""

from importlib import resources
from pathlib import Path

import msgspec
import pytest

from avowal.policy.compare import compare
from avowal.policy.document import parse_document
from avowal.policy.labels import find_label
from avowal.policy.language import find_language
from avowal.policy.references import REFERENCES, render_document
from avowal.policy.terms import Terms, compile_terms, parse_terms
from avowal.policy.vocabulary import WORD_KINDS, load_vocabulary
from support.errors import raises_code

TERMS_TEXT = (
    (Path(str(resources.files("avowal.policy"))) / "examples" / "unless-refused" / "terms.toml").read_text(
        encoding="utf-8"
    )
    + """
[legal-basis]
operate = "legitimate-interests"

[about]
complaints = "Authority"
representative = "Representative"
data-protection-officer = "Officer"
places = ["BR"]
transfers = [{ to = "US", safeguard = "standard-clauses" }]
"""
)
TERMS = parse_terms(TERMS_TEXT, "terms")
DOCS = Path(__file__).parents[2] / "docs" / "terms.md"


def render(body: str, language: str = "en", terms: Terms = TERMS) -> str:
    document = parse_document(f"---\ntitle: A\nlang: {language}\n---\n{body}", "a document")
    rendered = render_document(document, terms).document
    assert rendered.text.endswith(rendered.body)
    return rendered.body


@pytest.mark.parametrize(
    ("reference", "english", "portuguese", "chinese"),
    [
        ("{keep:ip-address.full}", "7 days", "7 dias", "7 天"),
        ("{keep:ip-address.country}", "90 days", "90 dias", "90 天"),
        ("{keep:visitor-id}", "12 months", "12 meses", "12 個月"),
        ("{keep:visit-time}", "no end set", "sem prazo final definido", "未訂定期限"),
        ("{cookie:cf_clearance}", "1 year", "1 ano", "1 年"),
        ("{disclose:authority}", "7 days", "7 dias", "7 天"),
        ("{notice-days}", "30 days", "30 dias", "30 天"),
        ("{smallest-group}", "5 visitors", "5 visitantes", "5 位訪客"),
        ("{updated}", "November 22, 2026", "22 de novembro de 2026", "2026年11月22日"),
        (
            "{purposes:ip-address}",
            "and prevent fraud and abuse",
            "e prevenir fraudes e abusos",
            "和防止詐欺與濫用",
        ),
        ("{recipients:ip-address}", "partners against abuse", "parceiros contra abusos", "反濫用合作對象"),
        ("{grounds:abuse-community}", "joint action", "ação conjunta", "共同防制"),
        ("{basis:content}", "our legitimate interests", "legítimo interesse", "正當利益"),
        ("{places}", "Brazil", "Brasil", "巴西"),
        ("{transfers}", "United States (safeguard: standard", "Estados Unidos (garantia", "美國"),
        (
            "{controller}",
            "The operator of this website",
            "The operator of this website",
            "The operator of this website",
        ),
    ],
)
def test_a_reference_is_rendered_in_each_language(
    reference: str, english: str, portuguese: str, chinese: str
) -> None:
    """Ages have the unit of the terms; lists have the language's word for `and`."""
    for language, expected in (("en", english), ("pt-BR", portuguese), ("zh-TW", chinese)):
        assert expected in render(f"a {reference} b", language), language


def test_a_reference_alone_on_its_line_is_a_list() -> None:
    """Each thing has a line; a sentence about the absence of cookies is none of a list."""
    assert render("{purposes:ip-address}\n").splitlines() == [
        "- keep the site available",
        "- keep the site fast",
        "- improve the content",
        "- prevent fraud and abuse",
    ]
    assert "- `cf_clearance`: set by another company" in render("{cookies}")
    without = msgspec.structs.replace(TERMS, cookies=[], disclose_rules=[], grounds=[])
    assert render("{cookies}", terms=without) == "This website sets no cookies."
    assert render("a {recipients} b", terms=without) == "a none b"


@pytest.mark.parametrize(
    ("body", "line", "hint"),
    [
        ("\n\n{keep:ip-adress}", 7, "ip-address"),
        ("{keep:referrer.full}", 5, "name one of"),
        ("{keep}", 5, "{keep:ip-address.full}"),
        ("{contact:x}", 5, "{contact}"),
        ("{purpose}", 5, "did you mean `purposes`"),
        ("{cookie:none}", 5, "[[cookie]]"),
        ("{basis:requested-service}", 5, "[legal-basis]"),
        ("{disclose:public}", 5, "[[disclose]]"),
    ],
)
def test_a_reference_that_names_nothing_is_an_error_with_its_line(body: str, line: int, hint: str) -> None:
    """The error says what helps."""
    with raises_code("unknown-reference") as refused:
        render(body)
    assert f"line {line}:" in refused.value.message
    assert hint in refused.value.hint


def test_what_is_no_reference_stays() -> None:
    """Liquid, kramdown's attributes and a brace after a backslash are text; an unknown language has no labels."""
    body = "{{ page.title }} {% if a %} {: .class} {:toc} { keep } \\{keep} {{keep}}"
    assert render(body) == body.replace("\\{keep}", "{keep}")
    assert render("{contact} {updated}", "fr").startswith("privacy@example.org")
    with raises_code("unknown-reference"):
        render("{notice-days}", "fr")


def test_every_reference_is_documented() -> None:
    """The page of the terms names each."""
    text = DOCS.read_text(encoding="utf-8")
    assert [name for name in REFERENCES if f"`{{{name}" not in text] == []


def test_every_word_of_the_vocabulary_has_a_label_in_each_language() -> None:
    """No reference shows a word as the terms write it."""
    kinds = {"categories": "category", "purposes": "purpose", "recipients": "recipient", "grounds": "ground"}
    for tag in ("en", "pt-BR", "zh-TW"):
        language = find_language(tag)
        labels = {
            word: find_label(kinds[kind], word, language)
            for kind in WORD_KINDS
            for word in load_vocabulary().words(kind)
        }
        assert [word for word, label in labels.items() if label == word] == []


def test_a_changed_legal_basis_is_incomparable_and_what_is_descriptive_makes_no_version() -> None:
    """A basis is a duty, and `[about]` is no part of the bounds."""
    other = compile_terms(parse_terms(TERMS_TEXT.replace("legitimate-interests", "consent"), "terms"))
    assert compare(compile_terms(TERMS), other).relation == "incomparable"
    described = compile_terms(parse_terms(TERMS_TEXT.replace('"Officer"', '"Another"'), "terms"))
    assert described.identity == compile_terms(TERMS).identity


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('operate = "legitimate', 'operated = "legitimate', "unknown-name"),
        ('operate = "legitimate-interests"', 'operate = "interest"', "unknown-name"),
        ("operate =", 'content = "consent"\noperate =', "duplicate-name"),
        ('places = ["BR"]', 'places = ["Brazil"]', "unknown-name"),
        ('"standard-clauses"', '"clauses"', "unknown-name"),
    ],
)
def test_an_invalid_basis_or_country_is_refused(old: str, new: str, code: str) -> None:
    """The error names what is not known."""
    with raises_code(code):
        parse_terms(TERMS_TEXT.replace(old, new), "terms")
