"""The page of a version: prose and terms side by side, safe and complete, with the W3C DPV vocabulary."""

import msgspec
import pytest

from avowal.policy.about import About, Transfer
from avowal.policy.document import load_document
from avowal.policy.labels import find_label
from avowal.policy.language import ENGLISH
from avowal.policy.markdown import render_sections
from avowal.policy.page import build_json_ld, render_policy_page
from avowal.policy.page_tables import build_terms_tables
from avowal.policy.prose_check import ProseCheck
from avowal.policy.terms import Terms, compile_terms
from avowal.policy.vocabulary import load_vocabulary
from support.policy_pages import DEFAULTS, LOOSER_VERSION, SHOWN_VERSION, TERMS, PageReader, prose_document

DOCUMENT = load_document(DEFAULTS / "privacy-policy.en.md")
WORDS = load_vocabulary()


def test_the_page_shows_the_document_and_the_terms() -> None:
    """The page shows all headings, categories, cookies and the version, and loads nothing."""
    page = render_policy_page(SHOWN_VERSION, DOCUMENT, WORDS, [LOOSER_VERSION, SHOWN_VERSION])
    reader = PageReader(page)
    assert reader.open == []
    assert reader.loaded == []
    assert not {"script", "link", "img", "iframe"} & set(reader.tags)
    for text, _ in render_sections(DOCUMENT):
        assert text.partition("\n")[0] in reader.text
    for category in SHOWN_VERSION.bounds.collected_categories:
        assert find_label("category", category, ENGLISH) in reader.text
        assert f">{category}<" not in page
    for cookie in TERMS.cookies:
        assert cookie.name in reader.text
    assert "Version 3, in force from November 22, 2026." in reader.text
    assert "a" * 64 in reader.text
    assert "ip-address, full: kept 7 days, was 9 days; for abuse" in reader.text
    assert "Full IP address: 7 days; Shortened IP address: 90 days" in reader.text
    assert "Previous page without query string: no end set" in reader.text


def test_the_tables_follow_the_terms() -> None:
    """Changed terms change the tables, whatever the prose says."""
    changed_terms: Terms = msgspec.structs.replace(
        TERMS, collect_rules=TERMS.collect_rules[:1], cookies=[], disclose_rules=[]
    )
    changed_version = SHOWN_VERSION._replace(bounds=compile_terms(changed_terms))
    tables = {table.caption: table.rows for table in build_terms_tables(changed_version.bounds, WORDS)}
    assert [row[0] for row in tables["What is collected"]] == ["IP address"]
    assert tables["Cookies"] == tables["Who else may receive what"] == []
    reader = PageReader(render_policy_page(changed_version, DOCUMENT, WORDS))
    assert "__Host-avowal" not in reader.text
    assert ("smallest-group", "5 visitors") in tables["What you are owed"]


@pytest.mark.parametrize(
    "hostile", ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[x](javascript:alert(1))"]
)
def test_html_and_scripts_in_the_prose_are_not_executed(hostile: str) -> None:
    """HTML in the prose is shown as text, and no link leads to a script."""
    reader = PageReader(
        render_policy_page(SHOWN_VERSION, prose_document(f"## {hostile}\n\n{hostile}\n"), WORDS)
    )
    assert not {"script", "img"} & set(reader.tags)
    assert not any((value or "").startswith("javascript") for value in reader.loaded)


@pytest.mark.parametrize(
    ("language", "direction"), [("en", "ltr"), ("pt-BR", "ltr"), ("ar", "rtl"), ("he-IL", "rtl")]
)
def test_a_page_has_the_direction_of_its_language(language: str, direction: str) -> None:
    """A page in a language that is written from right to left has this direction."""
    assert f'<html lang="{language}" dir="{direction}">' in render_policy_page(
        SHOWN_VERSION, prose_document("Text.\n", language), WORDS
    )


@pytest.mark.parametrize(
    ("tag", "table_language", "category_name"),
    [
        ("pt-BR", "pt-BR", "Endereço IP"),
        ("zh-TW", "zh-TW", "IP 位址"),
        ("ar", "en", "IP address"),
        ("de", "en", "IP address"),
    ],
)
def test_the_tables_are_in_the_language_of_the_document(
    tag: str, table_language: str, category_name: str
) -> None:
    """The tables fall back to English, and are marked with their own language and direction."""
    page = render_policy_page(SHOWN_VERSION, prose_document("Text.\n", tag), WORDS)
    assert f'<section class="facts" lang="{table_language}" dir="ltr"' in page
    assert category_name in page


def test_linked_data_has_a_process_for_each_cell() -> None:
    """Each cell is a DPV process with its categories, purposes and storage durations."""
    json_ld = build_json_ld(SHOWN_VERSION, "A", WORDS)
    cells = sorted(SHOWN_VERSION.bounds.cells)
    assert [process["dct:title"] for process in json_ld["dpv:hasProcess"]] == [
        " / ".join(cell) for cell in cells
    ]
    assert json_ld["dct:identifier"] == "a" * 64
    address = next(
        process
        for process in json_ld["dpv:hasProcess"]
        if process["dct:title"] == "ip-address / abuse / operator / own-use"
    )
    assert address["dpv:hasPersonalData"] == [{"@id": "pd:IPAddress"}]
    assert {"@id": "dpv:FraudPreventionAndDetection"} in address["dpv:hasPurpose"]
    assert {"@type": "dpv:StorageDuration", "dct:title": "full: 7 days"} in address["dpv:hasStorageCondition"]
    cookie = next(
        process for process in json_ld["dpv:hasProcess"] if process["dct:title"].startswith("cookie ")
    )
    assert cookie["dpv:hasTechnicalMeasure"]["@type"] == "tech:Cookie"


def test_the_page_names_the_controller_bases_rights_and_transfers() -> None:
    """What terms declare about the site is a table in the language of the page, and what is absent has no row."""
    about = About(complaints="ANPD", places=["BR"], transfers=[Transfer("US", "standard-clauses")])
    terms = msgspec.structs.replace(TERMS, legal_bases={"content": "consent"}, about=about)
    version = SHOWN_VERSION._replace(bounds=compile_terms(terms))
    page = PageReader(
        render_policy_page(version, prose_document("Texto.\n", "pt-BR"), WORDS, terms=terms)
    ).text
    for text in (
        terms.controller,
        terms.contact,
        "Base legal: melhorar o conteúdo",
        "seu consentimento",
        "ANPD",
    ):
        assert text in page
    for text in (
        "Brasil",
        "Estados Unidos (garantia: cláusulas-padrão",
        "Você pode ver os seus dados",
        "sem prazo",
    ):
        assert text in page
    assert "Representante" not in page
    assert "basis" not in page


def test_a_page_says_how_its_text_was_verified() -> None:
    """It counts references, says what was compared, and lists what the operator acknowledged."""
    check = ProseCheck(
        "en", is_compared=True, references=2, findings=["line 3 says so"], omissions=["unsaid"]
    )
    page = PageReader(render_policy_page(SHOWN_VERSION, DOCUMENT, WORDS, prose_check=check)).text
    assert "2 values in this text were filled in" in page
    assert "does not understand the text" in page
    assert "line 3 says so" in page
    assert "unsaid" not in page
