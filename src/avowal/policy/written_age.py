"""Ages as the terms write them: `12 months` stays twelve months, although it is compiled to 360 days."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from avowal.policy.bounds import FOREVER
from avowal.policy.describe import format_duration
from avowal.policy.language import ENGLISH, Language
from avowal.policy.terms import CollectRule, DiscloseRule, Terms, compile_terms, parse_age
from avowal.policy.vocabulary import load_vocabulary


def find_kept_age(terms: Terms, category: str, precision: str) -> str:
    """Return the longest age that a category is kept for at a precision, over all purposes; empty if never."""
    return _find_longest(terms, terms.collect_rules, lambda name: name == category, precision)


def find_disclosed_age(terms: Terms, recipient: str, precision: str) -> str:
    """Return the greatest age of what a recipient may receive at a precision; empty if nothing."""
    rules = [rule for rule in terms.disclose_rules if rule.recipient == recipient]
    return _find_longest(terms, rules, lambda _: True, precision)


def format_written_age(age: str, language: Language = ENGLISH) -> str:
    """Return an age of the terms for people, in the unit in which it is written.

    >>> format_written_age("12 months"), format_written_age("1 day"), format_written_age("forever")
    ('12 months', '1 day', 'no end set')
    """
    if age == FOREVER:
        return language.translate("no end set")
    number, _, unit = age.partition(" ")
    return format_duration(int(number), unit.removesuffix("s"), language)


def _find_longest(
    terms: Terms,
    rules: Iterable[CollectRule | DiscloseRule],
    is_wanted: Callable[[str], bool],
    precision: str,
) -> str:
    """Return the longest age of rules at a precision; one that a rule does not name has that of the next finer (B3)."""
    words = load_vocabulary(terms.vocabulary)
    ages = set[str]()
    for rule in rules:
        for category in [leaf for word in rule.categories for leaf in words.expand("categories", word)]:
            precisions = words.categories[category].precisions
            if is_wanted(category) and precision in precisions:
                finer = precisions[precisions.index(precision) :]
                ages.update([rule.max_ages[name] for name in finer if name in rule.max_ages][:1])
    return max(ages, key=_order, default="")


def _order(age: str) -> float:
    seconds = parse_age(age, "keep")
    return float("inf") if seconds is None else seconds


class Duration(NamedTuple):
    """A duration that the terms state: what it is about, and the age as it is written."""

    topic: str
    """A category; or `cookie`, `disclose` or `notice-days`."""
    text: str
    precision: str = ""
    rank: int = 0
    """The place of the precision among those of its category, from the coarsest."""

    @property
    def seconds(self) -> float:
        """The duration in seconds; infinite if no end is set."""
        return _order(self.text)

    def equals(self, unit: str, amount: int) -> bool:
        """Return whether it is an amount of `seconds` or `months`: a year is twelve months, also 365 days."""
        if unit == "seconds":
            return self.seconds == amount
        number, _, written = self.text.partition(" ")
        months = {"month": 1, "year": 12}.get(written.removesuffix("s"))
        if months:
            return int(number) * months == amount
        return self.seconds in {amount * _order("1 month"), amount / 12 * _order("1 year")}


def list_durations(terms: Terms) -> Iterator[Duration]:
    """Yield every duration that terms state."""
    words = load_vocabulary(terms.vocabulary)
    for category in compile_terms(terms).collected_categories:
        for rank, precision in enumerate(words.categories[category].precisions):
            if age := find_kept_age(terms, category, precision):
                yield Duration(category, age, precision, rank)
            if category == "visitor-id" and precision == "day":
                yield Duration(category, "1 day", "", -1)
    yield from (Duration("cookie", cookie.max_age) for cookie in terms.cookies)
    yield from (Duration("disclose", age) for rule in terms.disclose_rules for age in rule.max_ages.values())
    if terms.duties.notice_days:
        yield Duration("notice-days", f"{terms.duties.notice_days} days")
