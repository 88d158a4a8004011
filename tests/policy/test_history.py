"""The history of a policy, and the differences between two versions."""

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
def test_a_difference_contains_all_removed_and_added_text(old: list[str], new: list[str]) -> None:
    """Removed and added blocks are marked, and equal texts have no difference."""
    blocks = list(diff_blocks("\n\n".join(old), "\n\n".join(new)))
    for kind, texts, other_texts in (("old", old, new), ("new", new, old)):
        fragments = [
            "".join(piece.text for piece in block if piece.kind in {"same", kind}).strip() for block in blocks
        ]
        for text in set(texts):
            assert fragments.count(text) >= texts.count(text) - other_texts.count(text)
    assert (not blocks) == (old == new)


def test_changed_words_are_marked_within_their_paragraph() -> None:
    """Unchanged words of the paragraph stay as context, in Chinese as in English."""
    assert list(diff_blocks("A.\n\nWe keep it long.", "A.\n\nWe keep it.")) == [
        [DiffFragment("same", "We keep "), DiffFragment("old", "it long."), DiffFragment("new", "it.")]
    ]
    assert list(diff_blocks("我們保留它", "我們不保留它")) == [
        [DiffFragment("same", "我們"), DiffFragment("new", "不"), DiffFragment("same", "保留它")]
    ]


def test_the_page_of_changes_shows_changed_terms_and_prose() -> None:
    """The page shows both versions by number and date, changed rules, changed words and a link back."""
    documents = (
        prose_document("We keep it for 9 days.\n\n<b>x</b>"),
        prose_document("We keep it for 7 days.\n\n<b>y</b>"),
    )
    page = render_changes(LOOSER_VERSION, SHOWN_VERSION, documents, "history.en.html")
    reader = PageReader(page)
    assert reader.open == []
    assert reader.loaded == ["history.en.html"]
    assert "What version 3, in force from November 22, 2026, changes beside version 2" in reader.text
    assert "ip-address, full: kept 7 days, was 9 days" in reader.text
    assert re.search(r"for <del>9 </del><ins>7 </ins>days", page)
    assert "&lt;b&gt;y&lt;/b&gt;" in page
    assert not {"b", "script"} & set(reader.tags)
    same = PageReader(
        render_changes(SHOWN_VERSION, SHOWN_VERSION._replace(number=4), (documents[0], documents[0]), "h")
    )
    assert same.text.count("Nothing changes.") == 2


def test_the_history_links_to_the_changes_between_any_two_versions() -> None:
    """The newest version comes first, and a future version is marked as such."""
    pairs = {(1, 2): "12.html", (1, 3): "13.html", (2, 3): "23.html"}
    now = SHOWN_VERSION.effective_at
    future_version = SHOWN_VERSION._replace(effective_at=now + timedelta(days=1))
    reader = PageReader(
        render_history([FIRST, LOOSER_VERSION, future_version], prose_document("Text.", "pt-BR"), pairs, now)
    )
    assert reader.text.count("está por vir") == 1
    assert reader.open == []
    assert reader.loaded == ["23.html", "13.html", "12.html"]
    assert re.findall(r"(?:Versão|A versão) (\d)", reader.text) == ["3", "2", "1"]


def test_the_page_of_changes_is_in_one_language() -> None:
    """In Portuguese, no word that is made from the terms is left in English."""
    documents = prose_document("Um.", "pt-BR"), prose_document("Dois.", "pt-BR")
    reader = PageReader(render_changes(LOOSER_VERSION, SHOWN_VERSION, documents, "h"))
    assert "endereço IP, completo: guardado: 7 dias, antes 9 dias" in reader.text
    assert not re.search(r"\b(version|kept|was|days)\b", reader.text)
