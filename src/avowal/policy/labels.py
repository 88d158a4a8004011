"""Labels of the words of terms for people, in the languages that documents are rendered in (`labels.tsv`).

Each label is a noun phrase or a statement that needs no other word, so that it can stand in any sentence or list.
"""

import csv
from collections.abc import Iterable
from functools import cache
from importlib import resources

from babel.lists import format_list

from avowal.policy.about import Transfer
from avowal.policy.language import Language

_LABELS_FILE = resources.files("avowal.policy") / "labels.tsv"


def find_label(kind: str, word: str, language: Language) -> str:
    """Return the label of a word; the word itself if it has none. Languages without labels have the English ones."""
    labels = _read_labels().get((kind, word), {})
    return labels.get(language.tag) or labels.get("en") or word


def find_precision_label(category: str, precision: str, language: Language) -> str:
    """Return the label of a category at a precision; that of the category if it has one precision only."""
    name = f"{category}.{precision}"
    label = find_label("precision", name, language)
    return find_label("category", category, language) if label == name else label


def name_country(code: str, language: Language) -> str:
    """Return the name of a country; the code itself if the language has no name for it."""
    return str(language.locale.territories.get(code, code))


def describe_transfer(transfer: Transfer, language: Language) -> str:
    """Return the country of a transfer and its safeguard."""
    return language.translate(
        "{country} (safeguard: {safeguard})",
        country=name_country(transfer.country, language),
        safeguard=find_label("safeguard", transfer.safeguard, language),
    )


def join_labels(kind: str, words: Iterable[str], language: Language) -> str:
    """Return the labels of words as a list within a sentence, with the language's word for `and`."""
    return join_phrases([lower_first(find_label(kind, word, language)) for word in words], language)


def join_phrases(phrases: list[str], language: Language) -> str:
    """Join phrases to a list within a sentence, with the language's word for `and`."""
    return format_list(phrases, locale=language.locale)


def lower_first(label: str) -> str:
    """Return a label as it stands within a sentence; an abbreviation such as `IP address` is left as it is.

    >>> lower_first("Page address"), lower_first("IP address")
    ('page address', 'IP address')
    """
    return label if label[1:2].isupper() else label[:1].lower() + label[1:]


@cache
def _read_labels() -> dict[tuple[str, str], dict[str, str]]:
    with _LABELS_FILE.open(encoding="utf-8") as file:
        return {(row.pop("kind"), row.pop("word")): row for row in csv.DictReader(file, delimiter="\t")}
