"""The words that terms may use: categories, purposes, recipients and grounds."""

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Literal

import msgspec
import rfc8785

from avowal import strict
from avowal.errors import MisuseError, TermsError

Kind = Literal["categories", "purposes", "recipients", "grounds"]
KINDS: tuple[Kind, ...] = ("categories", "purposes", "recipients", "grounds")
NEWEST = 2
FULL = "full"


class Word(msgspec.Struct, frozen=True):
    """A leaf: what it means, its W3C DPV terms, its precisions from coarse to fine, and its parents."""

    about: str
    dpv: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    since: int = 1
    """The number of the vocabulary that it came with."""


class Vocabulary(msgspec.Struct, frozen=True):
    """One number of the vocabulary: the leaves by kind."""

    categories: dict[str, Word]
    purposes: dict[str, Word]
    recipients: dict[str, Word]
    grounds: dict[str, Word]
    number: int = NEWEST

    def words(self, kind: Kind) -> dict[str, Word]:
        """Return the leaves of a kind."""
        found: dict[str, Word] = getattr(self, kind)
        return found

    def leaves(self, kind: Kind, word: str) -> list[str]:
        """Return the leaves that a word stands for: itself, or those beneath it; none where it is unknown."""
        words = self.words(kind)
        if word in words:
            return [word]
        return [name for name, leaf in words.items() if word in leaf.parents]

    def nearest(self, kind: Kind, word: str) -> str:
        """Return a hint at the word that was perhaps meant."""
        words = self.words(kind)
        parents = dict.fromkeys(parent for leaf in words.values() for parent in leaf.parents)
        return strict.nearest(word, [*words, *parents], kind)

    @property
    def identity(self) -> str:
        """The SHA-256 of canonical JSON (RFC 8785) of its leaves, precisions and parents, and nothing else.

        What a promise means hangs on these, so another leaf or precision is another vocabulary. Better words
        for the same meaning, or a DPV term found later, change no promise and therefore no hash.
        """
        canonical = {
            str(kind): {
                name: {"parents": sorted(word.parents), "precisions": list(word.precisions)}
                for name, word in self.words(kind).items()
            }
            for kind in KINDS
        }
        return sha256(rfc8785.dumps([self.number, canonical])).hexdigest()


@cache
def vocabulary(number: int = NEWEST) -> Vocabulary:
    """Return the vocabulary of a number: the words that there were by then.

    Raises TermsError where this Avowal has none of that number.
    """
    if not 1 <= number <= NEWEST:
        raise TermsError(
            f"`vocabulary` is `{number}`, which is unknown here", f"write `{NEWEST}`, or use a newer Avowal"
        )
    path = Path(str(resources.files("avowal.policy") / "vocabulary.toml"))
    newest = strict.load(path, Vocabulary, TermsError)
    words = {
        kind: {name: word for name, word in newest.words(kind).items() if word.since <= number}
        for kind in KINDS
    }
    return msgspec.structs.replace(newest, number=number, **words)


def named_leaves(kind: Kind, named: Sequence[str]) -> list[str]:
    """Return the leaves that words stand for, by themselves or by a parent. Raises MisuseError where one is none."""
    words = vocabulary()
    for word in named:
        if not words.leaves(kind, word):
            raise MisuseError(f"`{word}` is none of the {kind}", words.nearest(kind, word))
    return sorted({leaf for word in named for leaf in words.leaves(kind, word)})
