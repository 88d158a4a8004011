"""The page of a version: prose and terms side by side, safe, whole, and in the words of W3C DPV."""

from datetime import datetime
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import msgspec
import pytest

from avowal.policy.document import Document, load_document, parse_document
from avowal.policy.page import PageVersion, build_json_ld, build_terms_tables, render_policy_page
from avowal.policy.terms import Terms, compile_terms, load_terms
from avowal.policy.vocabulary import vocabulary

DEFAULTS = Path(str(resources.files("avowal.policy") / "defaults"))
TERMS = load_terms(DEFAULTS / "terms.toml")
DOCUMENT = load_document(DEFAULTS / "privacy-policy.en.md")
SHOWN = PageVersion(3, "a" * 64, datetime(2026, 11, 22), compile_terms(TERMS))  # noqa: DTZ001  # UTC without a zone
_LONGER = TERMS.collect[0].keep | {"full": "9 days"}
LOOSER = SHOWN._replace(
    number=2,
    bounds=compile_terms(
        msgspec.structs.replace(
            TERMS, collect=[msgspec.structs.replace(TERMS.collect[0], keep=_LONGER), *TERMS.collect[1:]]
        )
    ),
)
WORDS = vocabulary()


class Read(HTMLParser):
    """What a page says, and what it loads."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.tags, self.open = "", list[str](), list[str]()
        self.loaded: list[str | None] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag, and what it loads."""
        self.tags.append(tag)
        if tag not in {"meta", "br", "hr", "link", "img"}:
            self.open.append(tag)
        self.loaded += [value for name, value in attrs if name in {"src", "href", "srcset"}]

    def handle_endtag(self, tag: str) -> None:
        """Look whether tags end in order."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Collect text that is shown."""
        self.text += "" if "style" in self.open else data


def document(body: str, language: str = "en") -> Document:
    return parse_document(f"---\ntitle: A policy\nlang: {language}\n---\n{body}", "a document")


def test_the_page_says_what_the_document_and_the_terms_say() -> None:
    """All headings of the prose, every category and cookie of the terms, and the version are there; nothing is loaded."""
    read = Read(render_policy_page(SHOWN, DOCUMENT, WORDS, [LOOSER, SHOWN]))
    assert read.open == []
    assert read.loaded == []
    assert not {"script", "link", "img", "iframe"} & set(read.tags)
    for section in DOCUMENT.sections:
        assert section.heading in read.text
    for category in SHOWN.bounds.collected_categories:
        assert category in read.text
    for cookie in TERMS.cookie:
        assert cookie.name in read.text
    assert "Version 3, in force from November 22, 2026." in read.text
    assert "a" * 64 in read.text
    assert "ip-address, full: kept 7 days, was 9 days; for abuse" in read.text
    assert "full 7 days, prefix 90 days" in read.text


def test_the_tables_are_those_of_the_terms() -> None:
    """A changed promise changes the page, whatever the prose says."""
    changed: Terms = msgspec.structs.replace(TERMS, collect=TERMS.collect[:1], cookie=[], disclose=[])
    shown = SHOWN._replace(bounds=compile_terms(changed))
    tables = {table.caption: table.rows for table in build_terms_tables(shown.bounds, WORDS)}
    assert [row[0] for row in tables["What is collected"]] == ["ip-address"]
    assert tables["Cookies"] == tables["Who else may receive what"] == []
    read = Read(render_policy_page(shown, DOCUMENT, WORDS))
    assert "__Host-avowal" not in read.text
    assert ("smallest-group", "5 visitors") in tables["What you are owed"]


@pytest.mark.parametrize(
    "evil", ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[x](javascript:alert(1))"]
)
def test_nothing_in_the_prose_is_run(evil: str) -> None:
    """HTML in the prose is shown as text, and no link leads to a script."""
    read = Read(render_policy_page(SHOWN, document(f"## {evil}\n\n{evil}\n"), WORDS))
    assert not {"script", "img"} & set(read.tags)
    assert not any((value or "").startswith("javascript") for value in read.loaded)


@pytest.mark.parametrize(
    ("language", "direction"), [("en", "ltr"), ("pt-BR", "ltr"), ("ar", "rtl"), ("he-IL", "rtl")]
)
def test_a_page_has_the_direction_of_its_language(language: str, direction: str) -> None:
    """Languages that are written from the right begin there."""
    assert f'<html lang="{language}" dir="{direction}">' in render_policy_page(
        SHOWN, document("Text.\n", language), WORDS
    )


@pytest.mark.parametrize(
    ("tag", "spoken", "said"),
    [
        ("pt-BR", "pt-BR", "endereço IP"),
        ("zh-TW", "zh-TW", "IP 位址"),
        ("ar", "en", "ip-address"),
        ("de", "en", "ip-address"),
    ],
)
def test_the_terms_are_told_in_the_documents_language(tag: str, spoken: str, said: str) -> None:
    """In English where we do not speak it; what is in another language than the page says so, with its direction."""
    page = render_policy_page(SHOWN, document("Text.\n", tag), WORDS)
    assert f'<section class="facts" lang="{spoken}" dir="ltr"' in page
    assert said in page


def test_linked_data_has_a_process_for_each_cell() -> None:
    """Every cell is there, with the terms of DPV that its words have, and how long."""
    told = build_json_ld(SHOWN, "A", WORDS)
    cells = sorted(SHOWN.bounds.cells)
    assert [process["dct:title"] for process in told["dpv:hasProcess"]] == [
        " / ".join(cell) for cell in cells
    ]
    assert told["dct:identifier"] == "a" * 64
    address = next(
        one for one in told["dpv:hasProcess"] if one["dct:title"] == "ip-address / abuse / operator / own-use"
    )
    assert address["dpv:hasPersonalData"] == [{"@id": "pd:IPAddress"}]
    assert {"@id": "dpv:FraudPreventionAndDetection"} in address["dpv:hasPurpose"]
    assert {"@type": "dpv:StorageDuration", "dct:title": "full: 7 days"} in address["dpv:hasStorageCondition"]
    cookie = next(one for one in told["dpv:hasProcess"] if one["dct:title"].startswith("cookie "))
    assert cookie["dpv:hasTechnicalMeasure"]["@type"] == "tech:Cookie"
