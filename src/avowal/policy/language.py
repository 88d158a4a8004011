"""Translates texts into the languages of readers, with gettext catalogues that Babel reads.

Code has every text in English, and that text is its message id in the catalogues (`languages/*.po`). Words of the
vocabulary have their kind as the message context. Languages without a catalogue get English.
"""

import gettext
import io
from collections.abc import Iterable
from datetime import date
from functools import cache
from importlib import resources

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

CATALOGUE_FOLDER = resources.files("avowal.policy") / "languages"


class Language:
    """A language with its catalogue of translations."""

    def __init__(self, locale: Locale, catalogue: gettext.NullTranslations) -> None:
        self._locale = locale
        self._catalogue = catalogue

    @property
    def locale(self) -> Locale:
        """The locale, by which lists, numbers and dates are formatted."""
        return self._locale

    @property
    def tag(self) -> str:
        """The tag (BCP 47) of the language of the catalogue; `en` if there is none."""
        return "-".join(part for part in (self._locale.language, self._locale.territory) if part)

    def translate(self, text: str, **values: object) -> str:
        """Return the translation of a text, with values filled in for the names in braces."""
        return self._catalogue.gettext(text).format(**values) if values else self._catalogue.gettext(text)

    def translate_count(self, singular: str, plural: str, number: int) -> str:
        """Return the translation of the form that fits a number, with the number filled in for `{n}`."""
        text = self._catalogue.ngettext(singular, plural, number)
        return text.format(n=format_decimal(number, locale=self._locale))

    def translate_word(self, kind: str, word: str) -> str:
        """Return the translation of a word of the vocabulary. In English it is the word itself, as in the terms."""
        return self._catalogue.pgettext(kind, word)

    def translate_words(self, kind: str, words: Iterable[str]) -> str:
        """Return translated words of the vocabulary as a list in one text."""
        return self.join_list(self.translate_word(kind, word) for word in words)

    def join_list(self, texts: Iterable[str]) -> str:
        """Join texts to a list in one text."""
        return self._catalogue.pgettext("between", ", ").join(texts)

    def format_day(self, day: date) -> str:
        """Return a date in the long format of the language."""
        return format_date(day, "long", locale=self._locale)


ENGLISH = Language(Locale("en"), gettext.NullTranslations())


@cache
def find_language(tag: str) -> Language:
    """Return the language for a tag (BCP 47): the nearest one with a catalogue, or English.

    A regional variety is near, another script is not: `zh-HK` gets the catalogue of `zh-TW`, `zh-CN` gets English.
    """
    requested = _parse_locale(tag)
    if requested is None or requested.language == "en":
        return ENGLISH
    catalogues = {
        locale: file
        for file in CATALOGUE_FOLDER.iterdir()
        if file.name.endswith(".po")
        and (locale := Locale.parse(file.name.removesuffix(".po"))).language == requested.language
        and locale.script == requested.script
    }
    same_territory = (locale for locale in catalogues if locale.territory == requested.territory)
    nearest = next(same_territory, next(iter(catalogues), None))
    return Language(nearest, _read_catalogue(catalogues[nearest].read_bytes())) if nearest else ENGLISH


def list_language_tags() -> list[str]:
    """Return the tags of the languages that texts are in: English, and each that has a catalogue."""
    names = [file.name for file in CATALOGUE_FOLDER.iterdir()]
    return [
        "en",
        *sorted(name.removesuffix(".po").replace("_", "-") for name in names if name.endswith(".po")),
    ]


def text_direction(tag: str) -> str:
    """Return the direction of a language's script, as in HTML: `ltr` or `rtl`."""
    locale = _parse_locale(tag)
    return locale.text_direction if locale else "ltr"


def language_name(tag: str) -> str:
    """Return the name of a language in that language.

    >>> language_name("pt-BR")
    'português (Brasil)'
    """
    return Locale.parse(tag, sep="-").get_display_name() or tag


def _parse_locale(tag: str) -> Locale | None:
    """Return the locale of a tag, with its likely script; None if Babel does not know it."""
    try:
        return Locale.parse(tag, sep="-", resolve_likely_subtags=True)
    except (UnknownLocaleError, ValueError):
        return None


def _read_catalogue(catalogue: bytes) -> gettext.GNUTranslations:
    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.BytesIO(catalogue)))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
