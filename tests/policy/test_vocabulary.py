import re
from importlib import resources
from pathlib import Path
from typing import get_args

import msgspec

from avowal.policy.bounds import GROUND_ONLY_PURPOSE, OPERATOR, OWN_USE, PROCESSOR
from avowal.policy.vocabulary import (
    FULL_PRECISION,
    NEWEST_VOCABULARY,
    WORD_KINDS,
    Vocabulary,
    VocabularyWord,
    WordKind,
    load_vocabulary,
)
from support.errors import raises_code

DOCS = Path(__file__).parents[2] / "docs" / "terms.md"
VERSION_1 = "3097ad08c5ed744f1d05b389779a36245edc88f2593fb6b37eb2573150fd45b8"
"""The identity that all terms in vocabulary 1 refer to."""
VERSION_2 = "fd47ed4310bae9d9915d0de2ab8fa2f182d32024c593d3967ecda90bbdad9704"


def vocabulary_with_address(word: VocabularyWord) -> Vocabulary:
    """Return the vocabulary with another entry for `ip-address`."""
    now = load_vocabulary()
    return msgspec.structs.replace(now, categories={**now.categories, "ip-address": word})


def test_the_newest_words_belong_to_the_newest_vocabulary() -> None:
    """A word that is newer than the newest vocabulary could be used by nobody."""
    text = (resources.files("avowal.policy") / "vocabulary.toml").read_text(encoding="utf-8")
    assert max(int(number) for number in re.findall(r"since = (\d+)", text)) == NEWEST_VOCABULARY


def test_every_word_has_a_description() -> None:
    """Each word is in kebab case and has a one-line description; its DPV terms have a prefix."""
    for kind in WORD_KINDS:
        for name, word in load_vocabulary().words(kind).items():
            assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name)
            assert word.description.endswith(".")
            assert "\n" not in word.description
            assert all(re.fullmatch(r"(dpv|pd|tech):[A-Z][A-Za-z]+", term) for term in word.dpv)


def test_only_categories_have_precisions() -> None:
    """Each category has precisions without repetition, and the finest is `full`."""
    for kind in WORD_KINDS:
        for word in load_vocabulary().words(kind).values():
            assert (word.precisions[-1:] == (FULL_PRECISION,)) == (kind == "categories")
            assert len(set(word.precisions)) == len(word.precisions)


def test_a_parent_is_not_a_leaf() -> None:
    """A parent stands for several leaves, and a leaf for itself; reserved words are neither."""
    for kind in WORD_KINDS:
        words = load_vocabulary().words(kind)
        for parent in {parent for word in words.values() for parent in word.parents}:
            assert parent not in words
            assert len(load_vocabulary().expand(kind, parent)) > 1
        assert all(load_vocabulary().expand(kind, word) == [word] for word in words)
    assert not load_vocabulary().expand("grounds", OWN_USE)
    assert not load_vocabulary().expand("purposes", GROUND_ONLY_PURPOSE)
    assert {OPERATOR, PROCESSOR} <= set(load_vocabulary().recipients)


def test_there_are_four_grounds() -> None:
    """There are four grounds, and two of them have several leaves."""
    grounds = load_vocabulary()
    assert grounds.expand("grounds", "authorised") == ["authorised"]
    assert grounds.expand("grounds", "requested-function") == ["requested-function"]
    assert grounds.expand("grounds", "fraud-or-misuse") == ["checking", "industry-abuse-control"]
    assert grounds.expand("grounds", "required-by-law") == ["instrument", "legal-rights", "rights-and-safety"]
    assert len({word.parents or name for name, word in grounds.grounds.items()}) == 4


def test_a_word_may_have_two_parents() -> None:
    """A leaf with two parents is part of both."""
    address = load_vocabulary().categories["ip-address"]
    other = vocabulary_with_address(msgspec.structs.replace(address, parents=("a", "b")))
    assert other.expand("categories", "a") == other.expand("categories", "b") == ["ip-address"]


def test_an_unknown_word_has_no_leaves() -> None:
    """The hint names the nearest word, or all words if none is near."""
    assert load_vocabulary().expand("categories", "ip-adress") == []
    assert load_vocabulary().suggest_word("categories", "ip-adress") == "did you mean `ip-address`?"
    assert load_vocabulary().suggest_word("purposes", "operat") == "did you mean `operate`?"
    assert "operator, processor, authority" in load_vocabulary().suggest_word("recipients", "zzz")


def test_the_identity_depends_on_precisions_and_parents() -> None:
    """Another description or DPV term does not change the identity; another precision or parent does."""
    address = load_vocabulary().categories["ip-address"]
    reworded = msgspec.structs.replace(address, description="Else.", dpv=())
    assert vocabulary_with_address(reworded).identity == load_vocabulary().identity
    for change in ({"precisions": ("prefix", "country", "full")}, {"parents": ("visit",)}):
        assert (
            vocabulary_with_address(msgspec.structs.replace(address, **change)).identity
            != load_vocabulary().identity
        )


def test_a_published_vocabulary_does_not_change() -> None:
    """Each number has the identity that terms were published with; a changed meaning needs a new number."""
    assert (load_vocabulary(1).identity, load_vocabulary(2).identity) == (VERSION_1, VERSION_2)


def test_an_older_vocabulary_has_no_later_words() -> None:
    """Vocabulary 1 has only the words that existed then."""
    assert "download" in load_vocabulary().categories
    assert "download" not in load_vocabulary(1).categories
    assert load_vocabulary(1).expand("categories", "interaction") == []
    assert set(load_vocabulary(1).recipients) <= set(load_vocabulary().recipients)


def test_the_docs_describe_every_word() -> None:
    """The reference has each word with its precisions, description and DPV terms, and each parent."""
    text = DOCS.read_text(encoding="utf-8")
    for kind in WORD_KINDS:
        for name, word in load_vocabulary().words(kind).items():
            row = next((line for line in text.splitlines() if line.startswith(f"| `{name}` |")), "")
            expected = (word.description, *(f"`{term}`" for term in (*word.precisions, *word.dpv)))
            assert [part for part in expected if part not in row] == [], name
            assert [parent for parent in word.parents if f"- `{parent}` stands for" not in text] == []


def test_an_unknown_vocabulary_number_is_refused() -> None:
    """The hint names a number that exists."""
    with raises_code("unknown-vocabulary") as error_info:
        load_vocabulary(99)
    assert f"`{NEWEST_VOCABULARY}`" in error_info.value.hint


def test_the_list_of_kinds_matches_the_type() -> None:
    """`WORD_KINDS` has the values of the type `WordKind`."""
    assert get_args(WordKind) == WORD_KINDS
