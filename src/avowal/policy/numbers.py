"""Find numbers and durations in prose, in figures and in words, in English, Portuguese and Chinese."""

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

UNITS = {
    "en": {"second": "s", "minute": "min", "hour": "h", "day": "d", "week": "w", "month": "m", "year": "y"},
    "pt": {
        "segundos?": "s",
        "minutos?": "min",
        "horas?": "h",
        "dias?": "d",
        "semanas?": "w",
        "m[êe]s(?:es)?": "m",
        "anos?": "y",
    },
    "zh": {
        "秒": "s",
        "分鐘": "min",
        "(?:個)?小時": "h",
        "天|日": "d",
        "週|周|星期|個星期": "w",
        "個月|月": "m",
        "年": "y",
    },
}
"""Patterns of units of time by language, and their codes."""
SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
MONTHS = {"m": 1, "y": 12}

_ENGLISH_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_ENGLISH_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_PORTUGUESE_ONES = (
    "zero um dois três quatro cinco seis sete oito nove dez onze doze treze quatorze quinze dezesseis dezessete "
    "dezoito dezenove"
)
_PORTUGUESE_TENS = "vinte trinta quarenta cinquenta sessenta setenta oitenta noventa cem"
_PORTUGUESE_OTHERS = {
    "uma": 1,
    "duas": 2,
    "catorze": 14,
    "cento": 100,
    "duzentos": 200,
    "trezentos": 300,
    "quatrocentos": 400,
    "quinhentos": 500,
}


def _count(words: str, first: int = 0, step: int = 1) -> dict[str, int]:
    """Return the value of each of some words, which are in order."""
    return {word: step * value for value, word in enumerate(words.split(), first)}


_WORDS = {
    "en": {**_count(_ENGLISH_ONES), **_count(_ENGLISH_TENS, 2, 10), "hundred": 100},
    "pt": {**_count(_PORTUGUESE_ONES), **_count(_PORTUGUESE_TENS, 2, 10), **_PORTUGUESE_OTHERS},
}
_CHINESE_DIGITS = {**{digit: value for value, digit in enumerate("〇一二三四五六七八九")}, "零": 0, "兩": 2}
_CHINESE_UNITS = {"十": 10, "百": 100, "千": 1000}

_FIGURES = r"[0-9\uff10-\uff19](?:[0-9\uff10-\uff19.,]*[0-9\uff10-\uff19])?"
_ENGLISH_WORD = "|".join(sorted(_WORDS["en"], key=len, reverse=True))
_PORTUGUESE_WORD = "|".join(sorted(_WORDS["pt"], key=len, reverse=True))
_NUMBER = {
    "en": rf"(?:{_FIGURES}|\b(?:an?[ -])?(?:{_ENGLISH_WORD})(?:(?:[ -]|[ ]and[ ])(?:{_ENGLISH_WORD}))*\b)",
    "pt": rf"(?:{_FIGURES}|\b(?:{_PORTUGUESE_WORD})(?: e (?:{_PORTUGUESE_WORD}))*\b)",
    "zh": rf"(?:{_FIGURES}|[〇零一二兩三四五六七八九十百千]+)",
}
_EN_SINGLE = r"(?P<single>(?:for|after|within|to|than|least|until|of)\s+an?)"
_NOUNS = {
    "en": {
        "grounds": r"(?:\w+ )?(?:grounds?|reasons?|exceptions?)",
        "purposes": "purposes?",
        "categories": r"(?:categor(?:y|ies)|kinds?|types?)(?: of (?:data|information))?",
        "recipients": "recipients?",
        "cookies": r"(?:\w+ )?cookies?",
        "visitors": r"(?:visitors?|people|persons?|approvals?)",
    },
    "pt": {
        "grounds": r"(?:motivos?|fundamentos?|hipóteses|exceções)",
        "purposes": "finalidades?",
        "categories": r"(?:categorias?|tipos?)(?: de dados)?",
        "recipients": "destinatários?",
        "cookies": "cookies?",
        "visitors": r"(?:visitantes?|pessoas?|aprovaç(?:ão|ões))",
    },
    "zh": {
        "grounds": r"(?:[種項個](?:事由|情形|例外))",
        "purposes": r"(?:[種項個]目的)",
        "categories": r"(?:[種項類](?:資料))",
        "recipients": r"(?:[種個]對象)",
        "cookies": r"(?:個\s*Cookie)",
        "visitors": r"(?:[位名個]?(?:訪客|人))",
    },
}
_ITEM_BEFORE = re.compile(r"(?:\b(?:case|reason|item|caso|motivo)\s+|第\s*)$", re.IGNORECASE)

_MONTH_NAMES = (
    "january february march april may june july august september october november december "
    "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro"
).replace(" ", "|")
NOT_NUMBERS = re.compile(
    r"\]\([^)\s]*\)|<[^>\s]+>|https?://\S+|[\w.+-]+@[\w.-]+|`[^`]*`"
    r"|\b\d{4}-\d\d-\d\d\b|\d{4}\s*年\s*\d{1,2}\s*月\s*\d{1,2}\s*日"
    rf"|\b(?:{_MONTH_NAMES})\s+\d{{1,2}},?\s+\d{{4}}|\b\d{{1,2}}º?\s+(?:de\s+)?(?:{_MONTH_NAMES})\s+(?:de\s+)?\d{{4}}"
    r"|(?<!\d)/(?:24|48)\b|\b(?:version|versão)\s+\d[\d.]*|第\s*\d+\s*版",
    re.IGNORECASE,
)
"""What holds figures and states no number: addresses, code, dates, versions, lengths of shortened IP addresses."""


class Number(NamedTuple):
    """A number in a text: where it stands, its words, its value, and what it counts."""

    start: int
    text: str
    value: int | None
    """None if it is no whole number."""
    unit: str = ""
    """The unit of a duration: a key of SECONDS or MONTHS."""
    noun: str = ""
    """What it counts, such as `grounds`; `item` if it is the number of an item of a list."""

    @property
    def duration(self) -> tuple[str, int]:
        """The duration as seconds or as months, so that a year is twelve months."""
        value = self.value or 0
        if self.unit in MONTHS:
            return "months", value * MONTHS[self.unit]
        return "seconds", value * SECONDS[self.unit]


def find_numbers(text: str, language: str) -> Iterator[Number]:
    """Yield the numbers of a text; in a language that is not compared those in figures alone.

    Number words count only before a unit of time or before something that terms have a number of.
    """
    text = NOT_NUMBERS.sub(lambda match: " " * len(match[0]), text)
    if language not in UNITS:
        for match in re.finditer(rf"(?<![\w.,]){_FIGURES}", text):
            yield Number(match.start(), match[0], _parse_figures(match[0]))
        return
    codes = list(UNITS[language].values())
    for match in _compile_pattern(language).finditer(text):
        groups = match.groupdict()
        unit = next((codes[index] for index in range(len(codes)) if groups[f"unit{index}"]), "")
        noun = next((name for name in _NOUNS[language] if groups[name]), "")
        if groups.get("single"):
            if unit:
                yield Number(match.start(), match[0], 1, unit)
            continue
        words = match["number"]
        is_figure = bool(re.match(r"[0-9\uff10-\uff19]", words))
        if not unit and _ITEM_BEFORE.search(text[: match.start()]):
            noun = "item"
        if is_figure or unit or noun:
            value = _parse_figures(words) if is_figure else parse_words(words, language)
            yield Number(match.start(), " ".join(match[0].split()), value, unit, noun)


@cache
def _compile_pattern(language: str) -> re.Pattern[str]:
    """Return the pattern of a number in a compared language, with what it counts if that follows."""
    units = "|".join(f"(?P<unit{index}>{unit})" for index, unit in enumerate(UNITS[language]))
    nouns = "|".join(f"(?P<{name}>{pattern})" for name, pattern in _NOUNS[language].items())
    number = f"(?P<number>{_NUMBER[language]})"
    if language == "en":
        number = f"(?:{number}|{_EN_SINGLE})"
    before, gap, after_unit = {
        "en": (r"(?<![\w.,])", r"[\s-]+", r"s?\b"),
        "pt": (r"(?<![\w.,])", r"[\s-]+", r"\b"),
        "zh": (r"(?<![A-Za-z0-9_.,])", r"[\s-]*", ""),  # written without blanks, also before a number
    }[language]
    return re.compile(rf"{before}{number}(?:{gap}(?:(?:{units}){after_unit}|{nouns}))?", re.IGNORECASE)


def parse_words(words: str, language: str) -> int:
    """Return the value of number words.

    >>> parse_words("three hundred and sixty-five", "en"), parse_words("trinta e cinco", "pt")
    (365, 35)
    >>> parse_words("三十五", "zh")
    35
    """
    if language == "zh":
        return _parse_chinese(words)
    total = 0
    for word in re.split(r"[ -]+", words.lower()):
        value = _WORDS[language].get(word, 0)
        total = max(total, 1) * value if word == "hundred" else total + value
    return total


def _parse_chinese(words: str) -> int:
    total, digit, has_unit = 0, 0, False
    for character in words:
        if character in _CHINESE_UNITS:
            total += (digit or 1) * _CHINESE_UNITS[character]
            digit, has_unit = 0, True
        else:
            digit = (
                _CHINESE_DIGITS[character]
                if has_unit or not digit
                else 10 * digit + _CHINESE_DIGITS[character]
            )
    return total + digit


def _parse_figures(text: str) -> int | None:
    plain = text.translate({0xFF10 + digit: str(digit) for digit in range(10)})
    if re.fullmatch(r"\d{1,3}(?:[.,]\d{3})+", plain):
        plain = re.sub(r"[.,]", "", plain)
    return int(plain) if plain.isdecimal() else None
