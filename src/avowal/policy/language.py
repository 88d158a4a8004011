"""The words of the terms in their readers' languages: gettext catalogues, read and formatted by Babel.

Every text is written in English where it is used, and is its own name in the catalogues (`languages/*.po`). Words of
the vocabulary have their kind as context. A language without a catalogue is spoken to in English.
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
    """A language to tell terms in."""

    def __init__(self, locale: Locale, catalogue: gettext.NullTranslations) -> None:
        self._locale = locale
        self._catalogue = catalogue

    @property
    def tag(self) -> str:
        """The tag (BCP 47) of what is spoken; `en` where there is no catalogue for what was asked for."""
        return "-".join(part for part in (self._locale.language, self._locale.territory) if part)

    def translate(self, text: str, **values: object) -> str:
        """Return a text with its values, each in the place of its name."""
        return self._catalogue.gettext(text).format(**values) if values else self._catalogue.gettext(text)

    def translate_count(self, singular: str, plural: str, number: int) -> str:
        """Return the one text or the other, with a number in the place of `n`."""
        text = self._catalogue.ngettext(singular, plural, number)
        return text.format(n=format_decimal(number, locale=self._locale))

    def translate_word(self, kind: str, word: str) -> str:
        """Return a word of the vocabulary; the word itself in English, as it stands in the terms."""
        return self._catalogue.pgettext(kind, word)

    def translate_words(self, kind: str, words: Iterable[str]) -> str:
        """Return words of the vocabulary as a list."""
        return self.join_list(self.translate_word(kind, word) for word in words)

    def join_list(self, texts: Iterable[str]) -> str:
        """Return texts as a list."""
        return self._catalogue.pgettext("between", ", ").join(texts)

    def format_day(self, day: date) -> str:
        """Return a day as it is written out."""
        return format_date(day, "long", locale=self._locale)


ENGLISH = Language(Locale("en"), gettext.NullTranslations())


@cache
def find_language(tag: str) -> Language:
    """Return the language of a tag (BCP 47), or the nearest that there is a catalogue for, or English.

    A regional variety is near; another script is not: `zh-HK` is spoken to as `zh-TW` is, `zh-CN` in English.
    """
    asked = _locale(tag)
    if asked is None or asked.language == "en":
        return ENGLISH
    found = {
        locale: file
        for file in CATALOGUE_FOLDER.iterdir()
        if file.name.endswith(".po")
        and (locale := Locale.parse(file.name.removesuffix(".po"))).language == asked.language
        and locale.script == asked.script
    }
    chosen = next(
        (locale for locale in found if locale.territory == asked.territory), next(iter(found), None)
    )
    return Language(chosen, _read(found[chosen].read_bytes())) if chosen else ENGLISH


def text_direction(tag: str) -> str:
    """Return from where a language is written, as HTML has it: `ltr` or `rtl`."""
    locale = _locale(tag)
    return locale.text_direction if locale else "ltr"


def _locale(tag: str) -> Locale | None:
    """Return what is known of a language, with its likely script; None where nothing is."""
    try:
        return Locale.parse(tag, sep="-", resolve_likely_subtags=True)
    except (UnknownLocaleError, ValueError):
        return None


def _read(catalogue: bytes) -> gettext.GNUTranslations:
    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.BytesIO(catalogue)))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
