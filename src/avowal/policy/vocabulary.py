"""The vocabulary of terms: categories, purposes, recipients and grounds."""

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Literal

import msgspec
import rfc8785

from avowal import strict
from avowal.errors import InvalidInputError, TermsError

WordKind = Literal["categories", "purposes", "recipients", "grounds"]
WORD_KINDS: tuple[WordKind, ...] = ("categories", "purposes", "recipients", "grounds")
NEWEST_VOCABULARY = 2
FULL_PRECISION = "full"


class VocabularyWord(msgspec.Struct, frozen=True):
    """A leaf of the vocabulary: its meaning, its W3C DPV terms, its precisions from coarse to fine, and its parents."""

    description: str
    dpv: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    since_vocabulary: int = msgspec.field(name="since", default=1)
    """The number of the first vocabulary that has the word."""


class Vocabulary(msgspec.Struct, frozen=True):
    """One numbered edition of the vocabulary: its leaves by kind."""

    categories: dict[str, VocabularyWord]
    purposes: dict[str, VocabularyWord]
    recipients: dict[str, VocabularyWord]
    grounds: dict[str, VocabularyWord]
    number: int = NEWEST_VOCABULARY

    def words(self, kind: WordKind) -> dict[str, VocabularyWord]:
        """Return the leaves of a kind."""
        leaves: dict[str, VocabularyWord] = getattr(self, kind)
        return leaves

    def expand(self, kind: WordKind, word: str) -> list[str]:
        """Return the leaves that a word stands for: itself, or its children. Empty if the word is unknown."""
        words = self.words(kind)
        if word in words:
            return [word]
        return [name for name, leaf in words.items() if word in leaf.parents]

    def suggest_word(self, kind: WordKind, word: str) -> str:
        """Return a hint that names the most similar word."""
        words = self.words(kind)
        parents = dict.fromkeys(parent for leaf in words.values() for parent in leaf.parents)
        return strict.suggest_nearest(word, [*words, *parents], kind)

    @property
    def identity(self) -> str:
        """The SHA-256 of canonical JSON (RFC 8785) of its leaves, precisions and parents, and nothing else.

        The meaning of terms depends on these, so a new leaf or precision makes a new vocabulary. A better description
        or a DPV term that is added later does not change the hash.
        """
        canonical = {
            str(kind): {
                name: {"parents": sorted(word.parents), "precisions": list(word.precisions)}
                for name, word in self.words(kind).items()
            }
            for kind in WORD_KINDS
        }
        return sha256(rfc8785.dumps([self.number, canonical])).hexdigest()


@cache
def load_vocabulary(number: int = NEWEST_VOCABULARY) -> Vocabulary:
    """Return the vocabulary with a number.

    Raises TermsError if this version of Avowal has no vocabulary with that number.
    """
    if not 1 <= number <= NEWEST_VOCABULARY:
        raise TermsError(
            f"`vocabulary` is `{number}`, which is unknown here",
            f"write `{NEWEST_VOCABULARY}`, or use a newer Avowal",
            code="unknown-vocabulary",
        )
    path = Path(str(resources.files("avowal.policy") / "vocabulary.toml"))
    newest = strict.load_toml(path, Vocabulary, TermsError)
    words = {
        kind: {name: word for name, word in newest.words(kind).items() if word.since_vocabulary <= number}
        for kind in WORD_KINDS
    }
    return msgspec.structs.replace(newest, number=number, **words)


def expand_words(kind: WordKind, words: Sequence[str]) -> list[str]:
    """Return the leaves that words stand for, themselves or below them. Raises InvalidInputError if one is unknown."""
    vocabulary = load_vocabulary()
    for word in words:
        if not vocabulary.expand(kind, word):
            raise InvalidInputError(
                f"`{word}` is not one of the {kind}", vocabulary.suggest_word(kind, word), code="unknown-name"
            )
    return sorted({leaf for word in words for leaf in vocabulary.expand(kind, word)})
