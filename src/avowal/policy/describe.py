"""Telling promises and their differences in the words of the terms, so that a lawyer can read them."""

from collections.abc import Iterable
from typing import NamedTuple

from avowal.policy.bounds import COOKIE_PREFIX, OPERATOR, OWN_USE, THIRD_PARTY, Age, AgeByPrecision, Cell
from avowal.policy.compare import Witness
from avowal.policy.ground import APPROVALS_DUTY_SUFFIX, EVIDENCE_DUTY_INFIX
from avowal.policy.language import ENGLISH, Language

DISPLAY_UNIT_SECONDS = {"day": 86_400, "hour": 3600, "minute": 60, "second": 1}


class TermsDifference(NamedTuple):
    """Witnesses that differ in their purposes and categories alone, as one line (C3). A duty has no recipient."""

    names: tuple[str, ...]
    precision: str
    purposes: tuple[str, ...]
    recipient: str
    ground: str
    old_value: Age
    new_value: Age

    def describe_subject(self, language: Language = ENGLISH) -> str:
        """Tell what it is about, and at which precision."""
        if not self.recipient:
            return language.join_list(format_duty_name(name, language) for name in self.names)
        what = [_category(name, language) for name in self.names]
        return language.join_list([*what, language.translate_word("precision", self.precision)])

    def describe_values(self, language: Language = ENGLISH) -> tuple[str, str]:
        """Tell what was, and what is."""
        if not self.recipient:
            return format_duty_value(self.names[0], self.old_value, language), format_duty_value(
                self.names[0], self.new_value, language
            )
        return format_age(self.old_value, language), format_age(self.new_value, language)

    def describe(self, language: Language = ENGLISH) -> str:
        """Say it in a line.

        >>> Difference(("ip-address",), "full", ("abuse",), "operator", "own-use", 90 * 86_400, None).sentence()
        'ip-address, full: kept forever, was 90 days; for abuse'
        """
        was, now = self.describe_values(language)
        told = {"what": self.describe_subject(language), "now": now, "was": was}
        if not self.recipient:
            return language.translate("{what}: {now}, was {was}", **told)
        told["purposes"] = language.translate_words("purpose", self.purposes)
        if self.recipient in {OPERATOR, THIRD_PARTY}:
            return language.translate("{what}: kept {now}, was {was}; for {purposes}", **told)
        told["recipient"] = language.translate_word("recipient", self.recipient)
        if self.ground == OWN_USE:
            return language.translate(
                "{what}: to {recipient} until the age of {now}, was {was}; for {purposes}", **told
            )
        told["ground"] = language.translate_word("ground", self.ground)
        return language.translate(
            "{what}: to {recipient} until the age of {now}, was {was}; for {purposes}; on the ground {ground}",
            **told,
        )


def group_witnesses(witnesses: Iterable[Witness]) -> list[TermsDifference]:
    """Fold witnesses into as few lines as tell all of them (C3)."""
    purposes: dict[tuple[Cell, str, Age, Age], list[str]] = {}
    duties = []
    for about, precision, was, now in witnesses:
        if isinstance(about, Cell):
            purposes.setdefault((about._replace(purpose=""), precision, was, now), []).append(about.purpose)
        else:
            duties.append(TermsDifference((about,), "", (), "", "", was, now))
    finest = {
        (cell, tuple(served), was, now): precision for (cell, precision, was, now), served in purposes.items()
    }
    categories: dict[tuple[str, tuple[str, ...], str, str, Age, Age], list[str]] = {}
    for (cell, served, was, now), precision in finest.items():
        line = precision, served, cell.recipient, cell.ground, was, now
        categories.setdefault(line, []).append(cell.category)
    return [TermsDifference(tuple(what), *line) for line, what in categories.items()] + duties


def format_age(age: Age, language: Language = ENGLISH) -> str:
    """Tell an age in the largest unit that it is a whole number of.

    >>> lasting(7 * 86_400), lasting(5400), lasting(0), lasting(None)
    ('7 days', '90 minutes', 'never', 'forever')
    """
    if not age:
        return language.translate("forever") if age is None else language.translate("never")
    if not age % DISPLAY_UNIT_SECONDS["day"]:
        return language.translate_count("{n} day", "{n} days", age // DISPLAY_UNIT_SECONDS["day"])
    if not age % DISPLAY_UNIT_SECONDS["hour"]:
        return language.translate_count("{n} hour", "{n} hours", age // DISPLAY_UNIT_SECONDS["hour"])
    if not age % DISPLAY_UNIT_SECONDS["minute"]:
        return language.translate_count("{n} minute", "{n} minutes", age // DISPLAY_UNIT_SECONDS["minute"])
    return language.translate_count("{n} second", "{n} seconds", age)


def format_ages(ages: AgeByPrecision, language: Language = ENGLISH) -> str:
    """Tell ages in words, finest first, leaving out what adds nothing.

    >>> lasting_by_precision({"country": 7776000, "prefix": 7776000, "full": 604800})
    'full 7 days, prefix 90 days'
    """
    told: dict[Age, str] = {}
    for precision, age in reversed(list(ages.items())):
        told.setdefault(age, precision)
    return language.join_list(
        language.translate(
            "{precision} {age}",
            precision=language.translate_word("precision", precision),
            age=format_age(age, language),
        )
        for age, precision in told.items()
    )


def format_duty_name(name: str, language: Language = ENGLISH) -> str:
    """Tell which duty it is.

    >>> duty("instrument needs issuer"), duty("may-see")
    ('evidence for instrument: issuer', 'may-see')
    """
    ground, needed, kind = name.partition(EVIDENCE_DUTY_INFIX)
    if needed:
        told = {
            "ground": language.translate_word("ground", ground),
            "kind": language.translate_word("evidence", kind),
        }
        return language.translate("evidence for {ground}: {kind}", **told)
    if name.endswith(APPROVALS_DUTY_SUFFIX):
        return language.translate(
            "approvals for {ground}",
            ground=language.translate_word("ground", name.removesuffix(APPROVALS_DUTY_SUFFIX)),
        )
    return language.translate_word("duty", name)


def format_duty_value(duty: str, value: Age, language: Language = ENGLISH) -> str:
    """Tell how much of a duty is owed."""
    if duty == "notice-days":
        return language.translate_count("{n} day", "{n} days", value or 0)
    if duty == "smallest-group":
        return language.translate_count("{n} visitor", "{n} visitors", value or 0)
    if duty.endswith(APPROVALS_DUTY_SUFFIX):
        return language.translate_count("{n} person", "{n} persons", value or 0)
    return language.translate("owed") if value else language.translate("not owed")


def _category(name: str, spoken: Language) -> str:
    if name.startswith(COOKIE_PREFIX):
        return spoken.translate("cookie {name}", name=name.removeprefix(COOKIE_PREFIX))
    return spoken.translate_word("category", name)
