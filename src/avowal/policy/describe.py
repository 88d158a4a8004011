"""Telling promises and their differences in the words of the terms, so that a lawyer can read them."""

from collections.abc import Iterable
from typing import NamedTuple

from avowal.policy.bounds import COOKIE, OPERATOR, OWN_USE, THIRD_PARTY, Age, Ages, Cell
from avowal.policy.compare import Witness
from avowal.policy.ground import APPROVALS, NEEDS
from avowal.policy.language import ENGLISH, Language

SECONDS = {"day": 86_400, "hour": 3600, "minute": 60, "second": 1}


class Difference(NamedTuple):
    """Witnesses that differ in their purposes and categories alone, as one line (C3). A duty has no recipient."""

    what: tuple[str, ...]
    precision: str
    purposes: tuple[str, ...]
    recipient: str
    ground: str
    was: Age
    now: Age

    def about(self, spoken: Language = ENGLISH) -> str:
        """Tell what it is about, and at which precision."""
        if not self.recipient:
            return spoken.join(duty(name, spoken) for name in self.what)
        what = [_category(name, spoken) for name in self.what]
        return spoken.join([*what, spoken.word("precision", self.precision)])

    def ages(self, spoken: Language = ENGLISH) -> tuple[str, str]:
        """Tell what was, and what is."""
        if not self.recipient:
            return owed(self.what[0], self.was, spoken), owed(self.what[0], self.now, spoken)
        return lasting(self.was, spoken), lasting(self.now, spoken)

    def sentence(self, spoken: Language = ENGLISH) -> str:
        """Say it in a line.

        >>> Difference(("ip-address",), "full", ("abuse",), "operator", "own-use", 90 * 86_400, None).sentence()
        'ip-address, full: kept forever, was 90 days; for abuse'
        """
        was, now = self.ages(spoken)
        told = {"what": self.about(spoken), "now": now, "was": was}
        if not self.recipient:
            return spoken.say("{what}: {now}, was {was}", **told)
        told["purposes"] = spoken.words("purpose", self.purposes)
        if self.recipient in {OPERATOR, THIRD_PARTY}:
            return spoken.say("{what}: kept {now}, was {was}; for {purposes}", **told)
        told["recipient"] = spoken.word("recipient", self.recipient)
        if self.ground == OWN_USE:
            return spoken.say(
                "{what}: to {recipient} until the age of {now}, was {was}; for {purposes}", **told
            )
        told["ground"] = spoken.word("ground", self.ground)
        return spoken.say(
            "{what}: to {recipient} until the age of {now}, was {was}; for {purposes}; on the ground {ground}",
            **told,
        )


def differences(witnesses: Iterable[Witness]) -> list[Difference]:
    """Fold witnesses into as few lines as tell all of them (C3)."""
    purposes: dict[tuple[Cell, str, Age, Age], list[str]] = {}
    duties = []
    for about, precision, was, now in witnesses:
        if isinstance(about, Cell):
            purposes.setdefault((about._replace(purpose=""), precision, was, now), []).append(about.purpose)
        else:
            duties.append(Difference((about,), "", (), "", "", was, now))
    finest = {
        (cell, tuple(served), was, now): precision for (cell, precision, was, now), served in purposes.items()
    }
    categories: dict[tuple[str, tuple[str, ...], str, str, Age, Age], list[str]] = {}
    for (cell, served, was, now), precision in finest.items():
        line = precision, served, cell.recipient, cell.ground, was, now
        categories.setdefault(line, []).append(cell.category)
    return [Difference(tuple(what), *line) for line, what in categories.items()] + duties


def lasting(age: Age, spoken: Language = ENGLISH) -> str:
    """Tell an age in the largest unit that it is a whole number of.

    >>> lasting(7 * 86_400), lasting(5400), lasting(0), lasting(None)
    ('7 days', '90 minutes', 'never', 'forever')
    """
    if not age:
        return spoken.say("forever") if age is None else spoken.say("never")
    if not age % SECONDS["day"]:
        return spoken.count("{n} day", "{n} days", age // SECONDS["day"])
    if not age % SECONDS["hour"]:
        return spoken.count("{n} hour", "{n} hours", age // SECONDS["hour"])
    if not age % SECONDS["minute"]:
        return spoken.count("{n} minute", "{n} minutes", age // SECONDS["minute"])
    return spoken.count("{n} second", "{n} seconds", age)


def lasting_by_precision(ages: Ages, spoken: Language = ENGLISH) -> str:
    """Tell ages in words, finest first, leaving out what adds nothing.

    >>> lasting_by_precision({"country": 7776000, "prefix": 7776000, "full": 604800})
    'full 7 days, prefix 90 days'
    """
    told: dict[Age, str] = {}
    for precision, age in reversed(list(ages.items())):
        told.setdefault(age, precision)
    return spoken.join(
        spoken.say(
            "{precision} {age}", precision=spoken.word("precision", precision), age=lasting(age, spoken)
        )
        for age, precision in told.items()
    )


def duty(name: str, spoken: Language = ENGLISH) -> str:
    """Tell which duty it is.

    >>> duty("instrument needs issuer"), duty("may-see")
    ('evidence for instrument: issuer', 'may-see')
    """
    ground, needed, kind = name.partition(NEEDS)
    if needed:
        told = {"ground": spoken.word("ground", ground), "kind": spoken.word("evidence", kind)}
        return spoken.say("evidence for {ground}: {kind}", **told)
    if name.endswith(APPROVALS):
        return spoken.say(
            "approvals for {ground}", ground=spoken.word("ground", name.removesuffix(APPROVALS))
        )
    return spoken.word("duty", name)


def owed(duty: str, owes: Age, spoken: Language = ENGLISH) -> str:
    """Tell how much of a duty is owed."""
    if duty == "notice-days":
        return spoken.count("{n} day", "{n} days", owes or 0)
    if duty == "smallest-group":
        return spoken.count("{n} visitor", "{n} visitors", owes or 0)
    if duty.endswith(APPROVALS):
        return spoken.count("{n} person", "{n} persons", owes or 0)
    return spoken.say("owed") if owes else spoken.say("not owed")


def _category(name: str, spoken: Language) -> str:
    if name.startswith(COOKIE):
        return spoken.say("cookie {name}", name=name.removeprefix(COOKIE))
    return spoken.word("category", name)
