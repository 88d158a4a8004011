"""Prose compared with the terms: what only one of them says is found, with its line, in three languages."""

import re
from importlib import resources
from pathlib import Path

import msgspec
import pytest

from avowal.policy.document import Document, load_document, parse_document
from avowal.policy.numbers import find_numbers
from avowal.policy.practices import PRACTICES
from avowal.policy.prose_check import check_prose, decode_checks, encode_checks, hash_checks
from avowal.policy.references import render_document
from avowal.policy.terms import Duties, Terms, compile_terms, load_terms, parse_terms

POLICIES = Path(str(resources.files("avowal.policy")))
DEFAULTS, EXAMPLE = POLICIES / "defaults", POLICIES / "examples" / "unless-refused"
SEED = Path(__file__).parents[3] / "shared" / "data" / "seed" / "privacy-policy.md"
DEFAULT_TERMS = load_terms(DEFAULTS / "terms.toml")
TERMS = load_terms(EXAMPLE / "terms.toml")
NO_PRACTICES = msgspec.structs.replace(
    TERMS, collect_rules=[], disclose_rules=[], cookies=[], grounds=[], duties=Duties()
)
LANGUAGES = ("en", "pt-BR", "zh-TW")
FRONT = "---\ntitle: A\nlang: {}\n---\n"


def prose(body: str, language: str = "en") -> Document:
    return parse_document(FRONT.format(language) + body, "a document")


def find(body: str, terms: Terms = NO_PRACTICES, language: str = "en") -> list[str]:
    return check_prose(prose(body, language), terms).findings


def render_default(language: str) -> Document:
    document = load_document(DEFAULTS / f"privacy-policy.{language}.md")
    return render_document(document, DEFAULT_TERMS).document


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_default_documents_match_the_default_terms(language: str) -> None:
    """A default document has no finding, neither with its references nor after these are rendered."""
    document = load_document(DEFAULTS / f"privacy-policy.{language}.md")
    check = check_prose(document, DEFAULT_TERMS)
    assert (check.is_compared, check.findings) == (True, [])
    assert check.references > 10
    assert check.omissions == []
    assert check_prose(render_default(language), DEFAULT_TERMS).findings == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_changed_number_of_a_default_document_is_found(language: str) -> None:
    """Each number of the rendered text is changed in turn to several others, and each of these is found."""
    text = render_default(language).text
    start = text.index("---", 3)
    numbers = list(find_numbers(text[start:], language[:2]))
    assert len(numbers) >= 4
    for number in numbers:
        place = start + number.start
        figures = re.match(r"\d+", text[place:])
        assert figures
        for other in ("3", "5", "7", "14", "30", "31", "90", "365"):
            if other != figures[0]:
                changed = text[:place] + other + text[place + len(figures[0]) :]
                assert check_prose(parse_document(changed, "changed"), DEFAULT_TERMS).findings, (
                    number,
                    other,
                )


@pytest.mark.parametrize("words", ["seven", "ninety", "one day", "one cookie", "twelve", "a year", "thirty"])
def test_each_changed_number_word_of_the_example_is_found(words: str) -> None:
    """Number words are compared as figures are."""
    text = (EXAMPLE / "privacy-policy.en.md").read_text(encoding="utf-8")
    assert check_prose(parse_document(text, "example"), TERMS).findings == []
    assert words in text
    changed = text.replace(words, words.replace(words.partition(" ")[0], "eleven", 1), 1)
    assert check_prose(parse_document(changed, "example"), TERMS).findings


def test_terms_that_keep_longer_than_the_document_says_are_found() -> None:
    """Three years and for ever are no seven and ninety days, although seven days are told of disclosures."""
    text = (EXAMPLE / "terms.toml").read_text(encoding="utf-8")
    longer = text.replace('full = "7 days", prefix = "90 days"', 'full = "3 years", prefix = "forever"')
    findings = check_prose(
        load_document(EXAMPLE / "privacy-policy.en.md"), parse_terms(longer, "terms")
    ).findings
    assert any("`seven days`" in finding for finding in findings)
    assert any("`ninety days`" in finding for finding in findings)


GROUNDS = {
    "pt-BR": (
        "você tenha autorizado esse compartilhamento;",
        "ele seja necessário para algo que você pediu;",
        "seja preciso verificar uma suspeita de fraude ou uso indevido; ou",
        "a lei exija, ou seja preciso proteger direitos ou a segurança de terceiros.",
    ),
    "en": (
        "you authorised it; or",
        "something you asked for needs it; or",
        "suspected misuse has to be checked; or",
        "the law requires it.",
    ),
    "zh-TW": (
        "您已授權該次提供\uff1b",
        "您要求的事項非有該資料不能完成\uff1b",
        "必須查核詐欺或濫用的嫌疑\uff1b",
        "法律要求。",
    ),
}
LEADS = {
    "pt-BR": "## Compartilhamento\n\nQuando a lei exige, pedimos. Não compartilhamos com ninguém, a não ser que\n\n",
    "en": "## Disclosure\n\nThe law matters. We disclose nothing, unless\n\n",
    "zh-TW": "## 提供\n\n除下列情形外\uff0c我們不向任何人提供\uff1a\n\n",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_list_with_two_grounds_instead_of_four_is_found(language: str) -> None:
    """Whichever two of the four are left out, the finding says how many there are; with all four there is none."""
    items = GROUNDS[language]

    def find_grounds(numbers: tuple[int, ...]) -> list[str]:
        body = LEADS[language] + "".join(
            f"{count}. {items[number]}\n" for count, number in enumerate(numbers, 1)
        )
        return [finding for finding in find(body, TERMS, language) if " of the 4 grounds" in finding]

    assert find_grounds((0, 1, 2, 3)) == []
    for numbers in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)):
        (finding,) = find_grounds(numbers)
        assert "lists 2 of the 4 grounds" in finding


SEED_TERMS = """
vocabulary = 2
controller = "Example"
contact = "legal@site.example"
updated = 2015-01-15
languages = ["en"]
[[collect]]
categories = ["ip-address", "visit", "view", "request-time", "request-kind", "page-path", "browser", "operating-system",
    "device-kind", "bot", "visitor-id"]
keep = { full = "forever" }
for = ["availability", "performance", "content", "abuse"]
[[cookie]]
name = "__Host-avowal"
for = ["content"]
keep = "12 months"
basis = "unless-refused"
party = "first"
[[cookie]]
name = "protection"
for = ["abuse"]
keep = "1 day"
basis = "unless-refused"
party = "third"
[[disclose]]
categories = ["ip-address"]
keep = { full = "forever" }
to = "named-person"
ground = "authorised"
[[disclose]]
categories = ["ip-address"]
keep = { full = "forever" }
to = "named-person"
ground = "requested-function"
[[disclose]]
categories = ["ip-address"]
keep = { full = "forever" }
to = "abuse-community"
ground = "fraud-or-misuse"
[[disclose]]
categories = ["ip-address"]
keep = { full = "forever" }
to = "authority"
ground = "required-by-law"
[[disclose]]
categories = ["ip-address"]
keep = { full = "forever" }
to = "processor"
for = ["third-party-service"]
[[ground]]
name = "authorised"
evidence = ["authorisation"]
[[ground]]
name = "requested-function"
evidence = ["function"]
[[ground]]
name = "fraud-or-misuse"
evidence = ["case"]
[[ground]]
name = "required-by-law"
evidence = ["reference"]
"""


@pytest.mark.skipif(not SEED.exists(), reason=f"the policy to be adopted is not there: {SEED}")
def test_an_existing_policy_under_terms_of_its_own_has_no_finding() -> None:
    """Under other terms, what it never speaks of is named."""
    assert check_prose(load_document(SEED), parse_terms(SEED_TERMS, "terms")).findings == []
    assert check_prose(load_document(SEED), TERMS).findings == []
    assert check_prose(load_document(SEED), TERMS).omissions == [
        "the terms declare where visitors come from; the document in `en` never speaks of it"
    ]


@pytest.mark.parametrize(
    ("language", "sentence", "practice"),
    [
        ("en", "We log your IP address.", "IP addresses"),
        ("en", "We may place a cookie on your hard drive.", "cookies"),
        ("en", "Our partners receive statistics.", "third parties"),
        ("en", "We show advertisements that may interest you.", "advertising"),
        ("en", "Your data may be sold to data brokers.", "selling information"),
        ("en", "We record which browser you use.", "browsers"),
        ("en", "We see the country of your visit.", "locations"),
        ("en", "You can subscribe to our newsletter.", "e-mail and postal addresses"),
        ("en", "Your credit card is charged.", "payments"),
        ("en", "We keep what you write, and your e-mail address.", "what people write to the site"),
        ("en", "We count the links you follow.", "what is done on pages"),
        ("en", "We measure how soon a page shows, and script errors.", "how pages fare in browsers"),
        ("en", "We build a profile of your interests.", "profiles of persons"),
        ("en", "We note how long you stay.", "the duration of visits and views"),
        ("en", "A service protects us from denial-of-service attacks.", "protection against floods"),
        ("pt-BR", "Registramos o seu endereço IP.", "IP addresses"),
        ("pt-BR", "Usamos cookies.", "cookies"),
        ("pt-BR", "Exibimos anúncios.", "advertising"),
        ("pt-BR", "Vendas de dados a terceiros.", "selling information"),
        ("zh-TW", "我們記錄您的 IP 位址。", "IP addresses"),
        ("zh-TW", "我們使用 Cookie。", "cookies"),
        ("zh-TW", "我們投放廣告。", "advertising"),
    ],
)
def test_an_undeclared_practice_is_reported_with_its_line(
    language: str, sentence: str, practice: str
) -> None:
    """Lines are counted from the start of the file; a sentence may span several lines."""
    body = f"## Heading\n\nSomething else\nin two lines. And\n{sentence} And on.\n"
    finding = f"the document in `{language}`, line 9, speaks of {practice}, which the terms do not declare"
    assert finding in find(body, language=language)
    assert practice in {known_practice.name for known_practice in PRACTICES}


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "We never sell your information."),
        ("en", "We do not use cookies."),
        ("en", "There is no advertising here."),
        ("en", "Nobody builds a profile of you."),
        ("en", "We don\u2019t share anything with third parties."),
        ("en", "The weather is nice."),
        ("pt-BR", "Não usamos cookies."),
        ("zh-TW", "我們不使用 Cookie。"),
    ],
)
def test_a_negated_sentence_mentions_no_practice(language: str, sentence: str) -> None:
    """A sentence with a negation is ignored, and so is one that mentions no practice."""
    assert find(f"{sentence}\n", language=language) == []


def test_a_declared_practice_that_is_never_mentioned_is_reported() -> None:
    """An empty document lacks each practice of the terms whose mention is not optional; a reference mentions it."""
    bounds = compile_terms(TERMS)
    missed = {
        sentence.partition(";")[0].removeprefix("the terms declare ")
        for sentence in check_prose(prose(""), TERMS).omissions
    }
    assert missed == {
        known_practice.name
        for known_practice in PRACTICES
        if known_practice.is_declared(bounds) and not known_practice.mention_optional
    }
    assert "cookies" in missed
    assert find("") == []
    references = "{categories}\n{purposes}\n{recipients}\n{grounds}\n{cookies}\n"
    assert check_prose(prose(references), TERMS).omissions == []


def test_numbers_of_a_document_in_another_language_are_listed() -> None:
    """Where prose cannot be compared, that is said, and each number is named with its line."""
    check = check_prose(prose("Nous gardons tout.\n\nPendant 7 jours, 30 au plus.\n", "fr"), TERMS)
    assert not check.is_compared
    assert "not compared" in check.omissions[0]
    assert [re.findall(r"line (\d+).*`(\d+)`", finding) for finding in check.findings] == [
        [("7", "7")],
        [("7", "30")],
    ]


def test_dates_addresses_and_code_hold_no_numbers() -> None:
    """What has figures and states no number is no finding; another number without a term is one."""
    body = (
        "1. See [all](https://site.example/2) or `max 3`, a@b4.example.\n\nLast updated on 2015-01-15, that is "
        "January 15, 2015. IPv4: /24.\n"
    )
    assert find(body) == []
    assert "has the number `12`" in find("There are 12 of us.\n")[0]


def test_the_hash_of_the_checks_is_that_of_what_is_recorded() -> None:
    """Checks survive encoding, and another finding gives another hash."""
    first, second = (check_prose(prose(f"There are {number} of us.\n"), TERMS) for number in (12, 13))
    assert decode_checks(encode_checks([first])) == [first]
    assert hash_checks([first]) != hash_checks([second])


def test_terms_may_collect_the_query_of_a_page_without_a_mention_of_it() -> None:
    """A policy that speaks of pages need not speak of what stands behind their question mark."""
    rule = msgspec.structs.replace(
        TERMS.collect_rules[0], categories=["page-path", "page-query"], max_ages={"full": "forever"}
    )
    terms = msgspec.structs.replace(TERMS, collect_rules=[*TERMS.collect_rules, rule])
    assert not [
        sentence for sentence in check_prose(prose(""), terms).omissions if "question mark" in sentence
    ]
