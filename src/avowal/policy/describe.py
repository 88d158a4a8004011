"""Describes bounds and their differences in the words of the terms, in any language that there is a catalogue for."""

from collections.abc import Iterable
from typing import NamedTuple

from avowal.policy.about import BASIS
from avowal.policy.bounds import (
    COOKIE_PREFIX,
    OPERATOR,
    OWN_USE,
    THIRD_PARTY,
    UNIT_SECONDS,
    Age,
    AgeByPrecision,
    Bounds,
    Cell,
)
from avowal.policy.compare import ProtectionRelation, Witness, compare
from avowal.policy.duty import APPROVALS, CLOSED, EVIDENCE, HEEDS, WITHHOLDS, parse_duty_name
from avowal.policy.labels import find_label
from avowal.policy.language import ENGLISH, Language


class CellDifference(NamedTuple):
    """Witnesses about cells that differ only in their purposes and categories, as one line (C3)."""

    categories: tuple[str, ...]
    precision: str
    purposes: tuple[str, ...]
    recipient: str
    ground: str
    old_age: Age
    new_age: Age

    def describe_subject(self, language: Language = ENGLISH) -> str:
        """Return the categories and the precision."""
        categories = [_translate_category(category, language) for category in self.categories]
        return language.join_list([*categories, language.translate_word("precision", self.precision)])

    def describe_values(self, language: Language = ENGLISH) -> tuple[str, str]:
        """Return the old and the new age."""
        return format_age(self.old_age, language), format_age(self.new_age, language)

    def describe(self, language: Language = ENGLISH) -> str:
        """Return the difference as one line.

        >>> CellDifference(("ip-address",), "full", ("abuse",), "operator", "own-use", 90 * 86_400, None).describe()
        'ip-address, full: kept forever, was 90 days; for abuse'
        """
        old_age, new_age = self.describe_values(language)
        values = {"what": self.describe_subject(language), "now": new_age, "was": old_age}
        values["purposes"] = language.translate_words("purpose", self.purposes)
        if self.recipient in {OPERATOR, THIRD_PARTY}:
            return language.translate("{what}: kept {now}, was {was}; for {purposes}", **values)
        values["recipient"] = language.translate_word("recipient", self.recipient)
        if self.ground == OWN_USE:
            return language.translate(
                "{what}: to {recipient} until the age of {now}, was {was}; for {purposes}", **values
            )
        values["ground"] = language.translate_word("ground", self.ground)
        return language.translate(
            "{what}: to {recipient} until the age of {now}, was {was}; for {purposes}; on the ground {ground}",
            **values,
        )


class DutyChange(NamedTuple):
    """A witness about a duty, as one line (C3)."""

    duty: str
    old_amount: Age
    new_amount: Age

    def describe_subject(self, language: Language = ENGLISH) -> str:
        """Return the name of the duty."""
        return format_duty_name(self.duty, language)

    def describe_values(self, language: Language = ENGLISH) -> tuple[str, str]:
        """Return how much was and is owed."""
        return (
            format_duty_value(self.duty, self.old_amount, language),
            format_duty_value(self.duty, self.new_amount, language),
        )

    def describe(self, language: Language = ENGLISH) -> str:
        """Return the difference as one line."""
        old_amount, new_amount = self.describe_values(language)
        return language.translate(
            "{what}: {now}, was {was}", what=self.describe_subject(language), now=new_amount, was=old_amount
        )


class BoundsDifference(NamedTuple):
    """How new bounds differ from old ones, in sentences of one language."""

    relation: ProtectionRelation
    looser: list[str]
    stricter: list[str]


def describe_looser_and_stricter(old: Bounds, new: Bounds, language: Language = ENGLISH) -> BoundsDifference:
    """Compare new bounds with old ones, and describe where they are looser and where they are stricter."""
    comparison = compare(old, new)
    return BoundsDifference(
        comparison.relation,
        describe_witnesses(comparison.looser, language),
        describe_witnesses(comparison.stricter, language),
    )


def describe_witnesses(witnesses: Iterable[Witness], language: Language = ENGLISH) -> list[str]:
    """Return a line for each group of witnesses."""
    return [difference.describe(language) for difference in group_witnesses(witnesses)]


def group_witnesses(witnesses: Iterable[Witness]) -> list[CellDifference | DutyChange]:
    """Group witnesses into as few lines as hold all of them (C3)."""
    purposes_by_change: dict[tuple[Cell, str, Age, Age], list[str]] = {}
    duties = []
    for rule, precision, old, new in witnesses:
        if isinstance(rule, Cell):
            change = rule._replace(purpose=""), precision, old, new
            purposes_by_change.setdefault(change, []).append(rule.purpose)
        else:
            duties.append(DutyChange(rule, old, new))
    finest_precision = {
        (cell, tuple(purposes), old, new): precision
        for (cell, precision, old, new), purposes in purposes_by_change.items()
    }
    categories_by_line: dict[tuple[str, tuple[str, ...], str, str, Age, Age], list[str]] = {}
    for (cell, purposes, old, new), precision in finest_precision.items():
        line = precision, purposes, cell.recipient, cell.ground, old, new
        categories_by_line.setdefault(line, []).append(cell.category)
    cells = [CellDifference(tuple(categories), *line) for line, categories in categories_by_line.items()]
    return [*cells, *duties]


def format_age(age: Age, language: Language = ENGLISH) -> str:
    """Return an age in the largest unit, up to days, that it is a whole number of.

    >>> format_age(7 * 86_400), format_age(5400), format_age(0), format_age(None)
    ('7 days', '90 minutes', 'never', 'forever')
    """
    if not age:
        return language.translate("forever") if age is None else language.translate("never")
    unit = next(unit for unit in ("day", "hour", "minute", "second") if not age % UNIT_SECONDS[unit])
    return format_duration(age // UNIT_SECONDS[unit], unit, language)


def format_duration(count: int, unit: str, language: Language) -> str:
    """Return a number of a unit of `UNIT_SECONDS`, such as `3 months`."""
    texts = {
        "year": lambda: language.translate_count("{n} year", "{n} years", count),
        "month": lambda: language.translate_count("{n} month", "{n} months", count),
        "week": lambda: language.translate_count("{n} week", "{n} weeks", count),
        "day": lambda: language.translate_count("{n} day", "{n} days", count),
        "hour": lambda: language.translate_count("{n} hour", "{n} hours", count),
        "minute": lambda: language.translate_count("{n} minute", "{n} minutes", count),
        "second": lambda: language.translate_count("{n} second", "{n} seconds", count),
    }
    return texts[unit]()


def format_ages(ages: AgeByPrecision, language: Language = ENGLISH) -> str:
    """Return the ages of precisions, finest first; of precisions with the same age, only the finest.

    >>> format_ages({"country": 7776000, "prefix": 7776000, "full": 604800})
    'full 7 days, prefix 90 days'
    """
    return language.join_list(
        language.translate(
            "{precision} {age}",
            precision=language.translate_word("precision", precision),
            age=format_age(age, language),
        )
        for age, precision in find_finest_precisions(ages).items()
    )


def find_finest_precisions(ages: AgeByPrecision) -> dict[Age, str]:
    """Return the finest precision that has each age, finest first."""
    precision_by_age: dict[Age, str] = {}
    for precision, age in reversed(list(ages.items())):
        precision_by_age.setdefault(age, precision)
    return precision_by_age


def format_duty_name(name: str, language: Language = ENGLISH) -> str:
    """Return the name of a duty for people.

    >>> format_duty_name("instrument needs issuer"), format_duty_name("may-see")
    ('evidence for instrument: issuer', 'may-see')
    """
    subject, kind, word = parse_duty_name(name)
    if kind == WITHHOLDS:
        category = language.translate_word("category", word)
        return language.translate(
            "release of {category} for the form {form}", category=category, form=subject
        )
    if kind == HEEDS:
        purpose = language.translate_word("purpose", word)
        return language.translate(
            "no release for the form {form} after an objection to {purpose}", form=subject, purpose=purpose
        )
    if not subject:
        return language.translate_word("duty", name)
    if kind == BASIS:
        return _format_basis(subject, word, language)
    return _format_ground_duty(subject, kind, word, language)


def _format_basis(purpose: str, basis: str, language: Language) -> str:
    return language.translate(
        "legal basis of {purpose}: {basis}",
        purpose=language.translate_word("purpose", purpose),
        basis=find_label("legal-basis", basis, language),
    )


def _format_ground_duty(subject: str, kind: str, word: str, language: Language) -> str:
    ground = language.translate_word("ground", subject)
    if kind == EVIDENCE:
        evidence = language.translate_word("evidence", word)
        return language.translate("evidence for {ground}: {kind}", ground=ground, kind=evidence)
    if kind == APPROVALS:
        return language.translate("approvals for {ground}", ground=ground)
    return language.translate("disclosure on the ground {ground}", ground=ground)


def format_duty_value(duty: str, value: Age, language: Language = ENGLISH) -> str:
    """Return how much of a duty is owed."""
    if duty == "notice-days":
        return format_duration(value or 0, "day", language)
    if duty == "smallest-group":
        return language.translate_count("{n} visitor", "{n} visitors", value or 0)
    kind = parse_duty_name(duty).kind
    if kind == APPROVALS:
        return language.translate_count("{n} person", "{n} persons", value or 0)
    if kind in {CLOSED, WITHHOLDS}:
        return language.translate("impossible") if value else language.translate("possible")
    return language.translate("owed") if value else language.translate("not owed")


def _translate_category(category: str, language: Language) -> str:
    if category.startswith(COOKIE_PREFIX):
        return language.translate("cookie {name}", name=category.removeprefix(COOKIE_PREFIX))
    return language.translate_word("category", category)
