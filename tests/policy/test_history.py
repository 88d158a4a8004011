"""The history of a policy, and what is told of the difference between two versions."""

import re
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from avowal.policy.history import DiffFragment, diff_blocks, render_changes, render_history
from support.policy_pages import LOOSER_VERSION, SHOWN_VERSION, PageReader, prose_document

FIRST = LOOSER_VERSION._replace(number=1)
BLOCKS = st.lists(
    st.sampled_from(["A", "We keep it.", "We never keep it.", "- one\n- two", "我們保留它。"]), max_size=6
)


@given(BLOCKS, BLOCKS)
def test_a_difference_has_all_that_went_and_came(old: list[str], new: list[str]) -> None:
    """Whatever words one of the two has more of are told as gone or come, and texts that are the same have none."""
    blocks = list(diff_blocks("\n\n".join(old), "\n\n".join(new)))
    for kind, texts, others in (("old", old, new), ("new", new, old)):
        told = [
            "".join(piece.text for piece in block if piece.kind in {"same", kind}).strip() for block in blocks
        ]
        for text in set(texts):
            assert told.count(text) >= texts.count(text) - others.count(text)
    assert (not blocks) == (old == new)


def test_words_that_changed_are_told_within_their_paragraph() -> None:
    """Of a paragraph that changed, what stayed is there for context; also where words have no space between them."""
    assert list(diff_blocks("A.\n\nWe keep it long.", "A.\n\nWe keep it.")) == [
        [DiffFragment("same", "We keep "), DiffFragment("old", "it long."), DiffFragment("new", "it.")]
    ]
    assert list(diff_blocks("我們保留它", "我們不保留它")) == [
        [DiffFragment("same", "我們"), DiffFragment("new", "不"), DiffFragment("same", "保留它")]
    ]


def test_the_page_of_a_difference_tells_both_what_is_done_and_said() -> None:
    """Terms by their witnesses, prose by its words, both versions by number and day, and a way back."""
    documents = (
        prose_document("We keep it for 9 days.\n\n<b>x</b>"),
        prose_document("We keep it for 7 days.\n\n<b>y</b>"),
    )
    page = render_changes(LOOSER_VERSION, SHOWN_VERSION, documents, "history.en.html")
    read = PageReader(page)
    assert read.open == []
    assert read.loaded == ["history.en.html"]
    assert "What version 3, in force from November 22, 2026, changes beside version 2" in read.text
    assert "ip-address, full: kept 7 days, was 9 days" in read.text
    assert re.search(r"for <del>9 </del><ins>7 </ins>days", page)
    assert "&lt;b&gt;y&lt;/b&gt;" in page
    assert not {"b", "script"} & set(read.tags)
    same = PageReader(
        render_changes(SHOWN_VERSION, SHOWN_VERSION._replace(number=4), (documents[0], documents[0]), "h")
    )
    assert same.text.count("Nothing changes.") == 2


def test_the_history_leads_to_any_two_versions() -> None:
    """The newest version comes first, with a link to its difference beside each earlier one; one to come says so."""
    pairs = {(1, 2): "12.html", (1, 3): "13.html", (2, 3): "23.html"}
    now = SHOWN_VERSION.effective_at
    coming = SHOWN_VERSION._replace(effective_at=now + timedelta(days=1))
    read = PageReader(
        render_history([FIRST, LOOSER_VERSION, coming], prose_document("Text.", "pt-BR"), pairs, now)
    )
    assert read.text.count("está por vir") == 1
    assert read.open == []
    assert read.loaded == ["23.html", "13.html", "12.html"]
    assert re.findall(r"(?:Versão|A versão) (\d)", read.text) == ["3", "2", "1"]


def test_a_page_is_wholly_in_its_language() -> None:
    """Of the words that are made from the terms none is left in English."""
    documents = prose_document("Um.", "pt-BR"), prose_document("Dois.", "pt-BR")
    read = PageReader(render_changes(LOOSER_VERSION, SHOWN_VERSION, documents, "h"))
    assert "endereço IP, completo: guardado: 7 dias, antes 9 dias" in read.text
    assert not re.search(r"\b(version|kept|was|days)\b", read.text)
