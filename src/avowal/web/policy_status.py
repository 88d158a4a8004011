"""What is so at this moment, told beside the sections of the policy that speak of it."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from avowal.disclose.statistics import count_disclosures, format_count
from avowal.errors import AvowalError
from avowal.policy.bounds import Bounds
from avowal.policy.language import Language, find_language
from avowal.policy.prose_check import PRACTICES
from avowal.policy.vocabulary import load_vocabulary
from avowal.register.register import Register, Version
from avowal.verify.last_result import VerificationResult

RELEASES_PERIOD, ACCESSES_PERIOD = timedelta(days=365), timedelta(days=30)

PRACTICES_BY_TOPIC = {
    "collected": {
        "IP addresses",
        "the time of visits and views",
        "the duration of visits and views",
        "the pages that are viewed",
        "browsers",
        "operating systems",
        "devices",
    },
    "used": {"availability", "performance", "the content of the site", "fraud and abuse"},
    "released": {
        "disclosure that a visitor authorised",
        "what a function needs that was asked for",
        "what the law requires",
        "third parties",
    },
}
"""The practices that a section on each speaks of."""

CHANGE_WORDS = re.compile(r"\bversions?\b|\bchang(?:e|es|ed)\b|\bupdated\b", re.IGNORECASE)


@dataclass(frozen=True)
class PolicyStatus:
    """Tells what is so at this moment."""

    register: Register
    count_collected: Callable[[datetime], int]
    """Tells how many requests and looks are kept since a moment."""
    read_last_verification: Callable[[], VerificationResult]

    def describe(self, versions: Sequence[Version], tag: str, now: datetime) -> dict[str, list[str]]:
        """Return sentences by what they are about; `versions` are those that have taken effect."""
        spoken, promised = find_language(tag), versions[-1].compiled_terms
        return {
            "collected": self._collected(promised, spoken, now),
            "used": self._used(spoken, now),
            "released": self._released(promised, spoken, now),
            "changed": self._changed(versions, spoken),
            "verified": self._verified(spoken),
        }

    def _collected(self, promised: Bounds, spoken: Language, now: datetime) -> list[str]:
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        try:
            number = self.count_collected(midnight)
        except AvowalError:  # who owns the folder is busy, or gone: nothing is told that is not known
            return []
        words = load_vocabulary().categories
        finest = {
            category: [*promised.retention_ages(category)][-1]
            for category in promised.collected_categories
            if category in words and len(words[category].precisions) > 1
        }
        told = (
            f"{spoken.translate_word('category', name)}: {spoken.translate_word('precision', finest[name])}"
            for name in finest
        )
        smallest = promised.duties.get("smallest-group", 1)
        return [
            spoken.translate("Fewer than {n} requests and page views came in today (UTC).", n=smallest)
            if 0 < number < smallest
            else spoken.translate_count(
                "{n} request or page view came in today (UTC).",
                "{n} requests and page views came in today (UTC).",
                number,
            ),
            spoken.translate("At the most precise: {list}.", list=spoken.join_list(told)),
        ]

    def _used(self, spoken: Language, now: datetime) -> list[str]:
        readers, counts = self.register.readers, Counter[str]()
        for count in readers.aggregate_access_counts(now - ACCESSES_PERIOD):
            counts[count.purpose] += count.accesses
        single = readers.count_accesses_by_purpose(now - ACCESSES_PERIOD)
        known = load_vocabulary().purposes
        looked = [spoken.translate_word("purpose", name) for name in known if counts[name] + single[name]]
        if not looked:
            return [spoken.translate("In the last 30 days nobody looked at any of it.")]
        often = spoken.translate_count(
            "It was looked at {n} time in the last 30 days",
            "It was looked at {n} times in the last 30 days",
            counts.total() + single.total(),
        )
        return [
            spoken.translate("{often}, for {purposes}.", often=often, purposes=spoken.join_list(looked)),
            spoken.translate_count(
                "{n} of these told of single visitors: it is in the ledger.",
                "{n} of these told of single visitors: they are in the ledger.",
                single.total(),
            ),
        ]

    def _released(self, promised: Bounds, spoken: Language, now: datetime) -> list[str]:
        released = Counter[str]()
        for one in count_disclosures(self.register, now, now - RELEASES_PERIOD):
            released[one.ground] += one.released
        smallest = promised.duties.get("smallest-group", 1)
        told = [
            f"{spoken.translate_word('ground', ground)}: {format_count(number, smallest)}"
            for ground, number in released.items()
            if number
        ]
        if not told:
            return [spoken.translate("In the last twelve months nothing was released to anybody.")]
        return [spoken.translate("Released in the last twelve months: {list}.", list=spoken.join_list(told))]

    def _changed(self, versions: Sequence[Version], spoken: Language) -> list[str]:
        told = [
            spoken.translate(
                "Version {number}, in force from {day}.",
                number=versions[-1].number,
                day=spoken.format_day(versions[-1].effective_at.date()),
            )
        ]
        return told + [
            spoken.translate(
                "Version {number} is to come, and holds from {day}.",
                number=one.number,
                day=spoken.format_day(one.effective_at.date()),
            )
            for one in self.register.versions()[len(versions) :]
        ]

    def _verified(self, spoken: Language) -> list[str]:
        found = self.read_last_verification()
        told = []
        if found.failed_at and not found.passed:
            told.append(
                spoken.translate(
                    "When this was last verified, on {day}, something did not hold.",
                    day=spoken.format_day(found.failed_at.date()),
                )
            )
        if found.passed_at is None:
            return [*told, spoken.translate("That all of this holds was not verified yet.")]
        day, time = spoken.format_day(found.passed_at.date()), f"{found.passed_at:%H:%M}"
        return [
            *told,
            spoken.translate(
                "That all of this holds was verified on {day} at {time} UTC.", day=day, time=time
            ),
        ]


def assign_topics(sections: Sequence[str]) -> dict[str, int]:
    """Return which section, of texts in English, speaks of what; what none speaks of is told at the last one."""
    scores = {
        about: [
            sum(practice.name in names and practice.find(text) is not None for practice in PRACTICES)
            for text in sections
        ]
        for about, names in PRACTICES_BY_TOPIC.items()
    }
    scores["changed"] = [len(CHANGE_WORDS.findall(text)) for text in sections]
    end = len(sections) - 1
    places = {about: of.index(max(of)) if max(of) else end for about, of in scores.items()}
    free = [place for place in range(len(sections)) if place not in places.values()]
    return {**places, "verified": free[0] if free else end}
