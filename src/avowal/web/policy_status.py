"""What is true at this moment: sentences to show beside the sections of the policy that they are about."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from avowal.disclose.statistics import count_disclosures, format_count
from avowal.errors import AvowalError
from avowal.keep.enforcement import find_smallest_group
from avowal.policy.bounds import Bounds
from avowal.policy.language import Language, find_language
from avowal.policy.practices import PRACTICES
from avowal.policy.vocabulary import load_vocabulary
from avowal.register.register import Register, Version
from avowal.verify.last_result import VerificationResult

RELEASES_PERIOD, ACCESSES_PERIOD = timedelta(days=365), timedelta(days=30)


class Topic(StrEnum):
    """What a sentence about the status is about."""

    COLLECTION = "collection"
    USE = "use"
    RELEASES = "releases"
    CHANGES = "changes"
    VERIFICATION = "verification"


PRACTICES_BY_TOPIC = {
    Topic.COLLECTION: {
        "IP addresses",
        "the time of visits and views",
        "the duration of visits and views",
        "the pages that are viewed",
        "browsers",
        "operating systems",
        "devices",
    },
    Topic.USE: {"availability", "performance", "the content of the site", "fraud and abuse"},
    Topic.RELEASES: {
        "disclosure that a visitor authorised",
        "what a function needs that was asked for",
        "what the law requires",
        "third parties",
    },
}
"""The practices that a section about a topic mentions."""

CHANGE_WORDS = re.compile(r"\bversions?\b|\bchang(?:e|es|ed)\b|\bupdated\b", re.IGNORECASE)


@dataclass(frozen=True)
class PolicyStatus:
    """Describes the current status of what the policy is about."""

    register: Register
    count_records_since: Callable[[datetime], int]
    """Returns how many requests and script views are stored since a moment."""
    read_last_verification: Callable[[], VerificationResult]

    def describe(
        self, versions: Sequence[Version], language_tag: str, now: datetime
    ) -> dict[Topic, list[str]]:
        """Return sentences by topic, in a language; `versions` are those that have taken effect."""
        language, bounds = find_language(language_tag), versions[-1].compiled_terms
        smallest_group = find_smallest_group(versions)
        return {
            Topic.COLLECTION: self._describe_collection(bounds, smallest_group, language, now),
            Topic.USE: self._describe_use(language, now),
            Topic.RELEASES: self._describe_releases(smallest_group, language, now),
            Topic.CHANGES: self._describe_changes(versions, language),
            Topic.VERIFICATION: self._describe_verification(language),
        }

    def _describe_collection(
        self, bounds: Bounds, smallest_group: int, language: Language, now: datetime
    ) -> list[str]:
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        try:
            record_count = self.count_records_since(midnight)
        except AvowalError:  # the process that owns the folder is busy or gone: say nothing that is not known
            return []
        categories = load_vocabulary().categories
        finest_precisions = {
            category: [*bounds.retention_ages(category)][-1]
            for category in bounds.collected_categories
            if category in categories and len(categories[category].precisions) > 1
        }
        labels = (
            f"{language.translate_word('category', category)}: "
            f"{language.translate_word('precision', precision)}"
            for category, precision in finest_precisions.items()
        )
        return [
            language.translate(
                "Fewer than {n} requests and page views came in today (UTC).", n=smallest_group
            )
            if 0 < record_count < smallest_group
            else language.translate_count(
                "{n} request or page view came in today (UTC).",
                "{n} requests and page views came in today (UTC).",
                record_count,
            ),
            language.translate("At the most precise: {list}.", list=language.join_list(labels)),
        ]

    def _describe_use(self, language: Language, now: datetime) -> list[str]:
        readers, since, group_counts = self.register.readers, now - ACCESSES_PERIOD, Counter[str]()
        for count in readers.aggregate_access_counts(since):
            group_counts[count.purpose] += count.accesses
        visitor_counts = readers.count_accesses_by_purpose(since)
        labels = [
            language.translate_word("purpose", purpose)
            for purpose in load_vocabulary().purposes
            if group_counts[purpose] + visitor_counts[purpose]
        ]
        if not labels:
            return [language.translate("In the last 30 days nobody looked at any of it.")]
        often = language.translate_count(
            "It was looked at {n} time in the last 30 days",
            "It was looked at {n} times in the last 30 days",
            group_counts.total() + visitor_counts.total(),
        )
        return [
            language.translate("{often}, for {purposes}.", often=often, purposes=language.join_list(labels)),
            language.translate_count(
                "{n} of these told of single visitors: it is in the ledger.",
                "{n} of these told of single visitors: they are in the ledger.",
                visitor_counts.total(),
            ),
        ]

    def _describe_releases(self, smallest_group: int, language: Language, now: datetime) -> list[str]:
        release_counts = Counter[str]()
        for disclosures in count_disclosures(self.register, now, now - RELEASES_PERIOD):
            release_counts[disclosures.ground] += disclosures.released
        labels = [
            f"{language.translate_word('ground', ground)}: {format_count(count, smallest_group)}"
            for ground, count in release_counts.items()
            if count
        ]
        if not labels:
            return [language.translate("In the last twelve months nothing was released to anybody.")]
        return [
            language.translate("Released in the last twelve months: {list}.", list=language.join_list(labels))
        ]

    def _describe_changes(self, versions: Sequence[Version], language: Language) -> list[str]:
        current, *future = self.register.versions()[len(versions) - 1 :]
        return [
            language.translate(
                "Version {number}, in force from {day}.",
                number=current.number,
                day=language.format_day(current.effective_at.date()),
            ),
            *(
                language.translate(
                    "Version {number} is to come, and holds from {day}.",
                    number=version.number,
                    day=language.format_day(version.effective_at.date()),
                )
                for version in future
            ),
        ]

    def _describe_verification(self, language: Language) -> list[str]:
        result, sentences = self.read_last_verification(), list[str]()
        if result.failed_at and not result.passed:
            day = language.format_day(result.failed_at.date())
            sentences.append(
                language.translate(
                    "The check of our records on {day} found that these rules were not fully kept.", day=day
                )
            )
        if result.passed_at is None:
            return [*sentences, language.translate("Our records were not checked against these rules yet.")]
        day, time = language.format_day(result.passed_at.date()), f"{result.passed_at:%H:%M}"
        return [
            *sentences,
            language.translate(
                "We last checked our records against these rules on {day} at {time} UTC, and found no violation.",
                day=day,
                time=time,
            ),
        ]


def assign_topics(sections: Sequence[str]) -> dict[Topic, int]:
    """Return the index of the section to show each topic beside, from the sections' texts in English.

    A topic that no section mentions belongs to the last one.
    """
    scores = {
        topic: [
            sum(practice.name in names and practice.find(text) is not None for practice in PRACTICES)
            for text in sections
        ]
        for topic, names in PRACTICES_BY_TOPIC.items()
    }
    scores[Topic.CHANGES] = [len(CHANGE_WORDS.findall(text)) for text in sections]
    last = len(sections) - 1
    indexes = {
        topic: section_scores.index(max(section_scores)) if max(section_scores) else last
        for topic, section_scores in scores.items()
    }
    free = [index for index in range(len(sections)) if index not in indexes.values()]
    return {**indexes, Topic.VERIFICATION: free[0] if free else last}
