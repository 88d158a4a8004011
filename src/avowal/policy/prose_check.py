"""Compare the prose of a document with its terms: durations, numbers, lists and practices that the terms do not back.

References (`avowal.policy.references`) need no comparison, as they are rendered from the terms. What stands beside them
is compared by words and numbers in English, Portuguese and Traditional Chinese; the text is not understood. In another
language each number is listed. Whoever adopts a document with findings has to acknowledge them (V9 in
`docs/spec/terms.md`).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import msgspec
import rfc8785

from avowal.policy.bounds import GROUND_ONLY_PURPOSE, OWN_USE, CompiledTerms
from avowal.policy.document import Document
from avowal.policy.labels import find_precision_label
from avowal.policy.language import find_language
from avowal.policy.numbers import Number, find_numbers
from avowal.policy.practices import (
    COMPARED_LANGUAGES,
    DISCLOSURE_WORDS,
    GROUND_GROUPS,
    NEGATIONS,
    PRACTICES,
    GroundGroup,
    Practice,
)
from avowal.policy.references import REFERENCE, render_document
from avowal.policy.sentences import Sentence, split_sentences
from avowal.policy.terms import Terms, compile_terms
from avowal.policy.vocabulary import FULL_PRECISION, load_vocabulary
from avowal.policy.written_age import Duration, list_durations


class ProseCheck(msgspec.Struct, frozen=True):
    """The result of comparing one document with its terms."""

    language: str
    is_compared: bool
    """Whether the words and numbers of its prose were compared; otherwise its numbers are only listed."""
    references: int
    """How many references it has, whose values are rendered from the terms."""
    findings: list[str]
    """What it says that the terms do not back, each with its line, as sentences in English."""
    omissions: list[str]
    """What it leaves unsaid or uncompared, as sentences in English. It needs no acknowledgement."""


def encode_checks(checks: Sequence[ProseCheck]) -> str:
    """Return canonical JSON of the checks of a version's documents. Its SHA-256 is what is acknowledged."""
    return rfc8785.dumps(msgspec.to_builtins(sorted(checks, key=lambda check: check.language))).decode()


def decode_checks(text: str) -> list[ProseCheck]:
    """Return the checks that `encode_checks` encoded."""
    return msgspec.json.decode(text, type=list[ProseCheck])


def hash_checks(checks: Sequence[ProseCheck]) -> str:
    """Return what an acknowledgement of the findings names: the SHA-256 of the encoded checks, in hexadecimal."""
    return sha256(encode_checks(checks).encode()).hexdigest()


def check_prose(document: Document, terms: Terms) -> ProseCheck:
    """Compare a document, as it is before its references are rendered, with its terms.

    Raises TermsError if a reference names nothing in the terms.
    """
    rendered = render_document(document, terms)
    prose = _Prose(document, compile_terms(terms), terms)
    if prose.is_compared:
        findings, omissions = prose.list_findings(), list(prose.find_omissions())
    else:
        findings = prose.list_numbers()
        omissions = [
            f"the document in `{document.language}` is not compared with the terms, but its numbers are listed"
        ]
    return ProseCheck(document.language, prose.is_compared, rendered.reference_count, findings, omissions)


@dataclass
class _Prose:
    document: Document
    bounds: CompiledTerms
    terms: Terms

    @cached_property
    def references(self) -> list[tuple[str, str]]:
        """The name and the word of each reference."""
        return [
            (match["name"], match["word"] or "")
            for match in REFERENCE.finditer(self.document.body)
            if not match["escape"]
        ]

    @cached_property
    def language(self) -> str:
        """The primary language; empty if prose in it is not compared."""
        tag = self.document.language
        if tag.partition("-")[0] == "zh" and find_language(tag).tag != "zh-TW":
            return ""
        primary = tag.partition("-")[0]
        return primary if primary in COMPARED_LANGUAGES else ""

    @property
    def is_compared(self) -> bool:
        return bool(self.language)

    @cached_property
    def sentences(self) -> list[Sentence]:
        return list(split_sentences(self.document))

    def list_numbers(self) -> list[str]:
        """Return each number of a document that is not compared."""
        tag = self.document.language
        return [
            f"the document in `{tag}`, line {sentence.line + line}, has the number `{number.text}`"
            for sentence in self.sentences
            for line, number in _locate(sentence.text, "")
        ]

    def list_findings(self) -> list[str]:
        """Return what the prose says that the terms do not back, in the order of its lines."""
        found = [*self._find_undeclared(), *self._find_unbacked_numbers()]
        tag = self.document.language
        sentences = [f"the document in `{tag}`, line {line}, {what}" for line, what in sorted(set(found))]
        return [*sentences, *self._find_missing_grounds()]

    def _find_undeclared(self) -> Iterator[tuple[int, str]]:
        """Yield the line and description of each practice that the prose speaks of and the terms do not declare."""
        for practice in PRACTICES:
            if practice.is_declared(self.bounds):
                continue
            for sentence in self.sentences:
                match = practice.find(sentence.text, self.language)
                if match and not sentence.is_heading and not self._is_negated(sentence):
                    line = sentence.line + sentence.text.count("\n", 0, match.start())
                    yield line, f"speaks of {practice.name}, which the terms do not declare"

    def _is_negated(self, sentence: Sentence) -> bool:
        """Return whether a sentence probably says that something is not done."""
        return bool(NEGATIONS[self.language].search(sentence.text))

    def find_omissions(self) -> Iterator[str]:
        """Yield a sentence for each practice that the terms declare and the document never mentions."""
        for practice in PRACTICES:
            if (
                practice.is_declared(self.bounds)
                and not practice.mention_optional
                and not self._refers_to(practice)
                and not any(practice.find(sentence.text, self.language) for sentence in self.sentences)
            ):
                yield (
                    f"the terms declare {practice.name}; the document in `{self.document.language}` never speaks of it"
                )

    def _refers_to(self, practice: Practice) -> bool:
        """Return whether a reference is rendered to words of a practice."""
        kinds: Mapping[str, frozenset[str]] = {
            "categories": practice.categories,
            "keep": practice.categories,
            "purposes": practice.purposes,
            "basis": practice.purposes,
            "recipients": practice.recipients,
            "disclose": practice.recipients,
            "grounds": practice.grounds,
            "cookies": practice.cookie_parties,
            "cookie": practice.cookie_parties,
        }
        for name, word in self.references:
            words = kinds.get(name, frozenset())
            leaf = word.partition(".")[0]
            if words and (name in _LISTS or leaf in words or name == "cookie"):
                return True
        return False

    def _find_missing_grounds(self) -> Iterator[str]:
        """Yield a sentence for each ground of the terms that the document's list of grounds leaves out."""
        declared = [
            group
            for group in GROUND_GROUPS
            if any(cell.ground in group.grounds for cell in self.bounds.cells if cell.ground != OWN_USE)
        ]
        if not declared or any(name == "grounds" for name, _ in self.references):
            return
        named = self._find_named_grounds()
        missing = [group.name for group in declared if group not in named]
        if missing and named:
            yield (
                f"the document in `{self.document.language}` lists {len(named)} of the {len(declared)} grounds on "
                f"which the terms permit disclosures; missing: {'; '.join(missing)}"
            )

    def _find_named_grounds(self) -> list[GroundGroup]:
        """Return the grounds in the list of grounds; of a document without one, those in sections about disclosures."""
        items: dict[int, list[str]] = {}
        texts: dict[int, list[str]] = {}
        for sentence in self.sentences:
            (items if sentence.is_item else texts).setdefault(sentence.section, []).append(sentence.text)
        words = re.compile(DISCLOSURE_WORDS[self.language], re.IGNORECASE)
        about = [section for section in {**texts, **items} if words.search(" ".join(texts.get(section, [])))]
        lists = [self._name_grounds(items.get(section, [])) for section in about]
        if longest := max(lists, key=len, default=[]):
            return longest
        return self._name_grounds([text for section in about for text in texts.get(section, [])])

    def _name_grounds(self, texts: Sequence[str]) -> list[GroundGroup]:
        return [
            group
            for group in GROUND_GROUPS
            if any(re.search(group.patterns[self.language], text, re.IGNORECASE) for text in texts)
        ]

    def _find_unbacked_numbers(self) -> Iterator[tuple[int, str]]:
        """Yield the line and description of each number that the terms do not have for what it is about."""
        stated: dict[str, set[tuple[str, int]]] = {}
        places: dict[str, int] = {}
        for sentence in self.sentences:
            for line, number in _locate(sentence.text, self.language):
                if not number.unit:
                    if not self._is_backed(number):
                        yield sentence.line + line, f"has the number `{number.text}`, which no term backs"
                    continue
                topics = self._find_topics(sentence)
                fitting = [one for one in self._durations if not topics or one.topic in topics]
                if not any(number.value is not None and one.equals(*number.duration) for one in fitting):
                    yield sentence.line + line, f"says `{number.text}`, which no term backs"
                    continue
                for topic in topics:
                    stated.setdefault(topic, set()).add(number.duration)
                    places.setdefault(topic, sentence.line + line)
        yield from self._find_unstated_ages(stated, places)

    def _find_unstated_ages(
        self, stated: Mapping[str, set[tuple[str, int]]], places: Mapping[str, int]
    ) -> Iterator[tuple[int, str]]:
        """Yield the ages of a category that the document leaves out, where it says other ages of the same category."""
        referred = {word.partition(".")[0] for name, word in self.references if name == "keep"}
        english, precisions = find_language("en"), load_vocabulary(self.terms.vocabulary).categories
        for topic in stated:
            if topic not in precisions or topic in referred | {"visitor-id"}:
                continue
            for age in self._durations:
                is_finest = not any(
                    other.topic == topic and other.rank > age.rank and other.seconds == age.seconds
                    for other in self._durations
                )
                if age.topic == topic and is_finest and not any(age.equals(*one) for one in stated[topic]):
                    label = find_precision_label(topic, age.precision or FULL_PRECISION, english)
                    yield places[topic], f"leaves out what the terms say of `{label}`: {age.text}"

    @cached_property
    def _durations(self) -> list[Duration]:
        return list(list_durations(self.terms))

    def _find_topics(self, sentence: Sentence) -> set[str]:
        """Return what a sentence's durations are about: that of the sentence, else of what stands before it."""
        for text in (sentence.text, sentence.context, sentence.heading):
            topics = {
                topic
                for topic, pattern in _TOPIC_PATTERNS[self.language].items()
                if re.search(pattern, text, re.IGNORECASE)
            }
            for practice in PRACTICES:
                if practice.categories and practice.find(text, self.language):
                    topics |= practice.categories
            if "ip-address" in topics and "disclose" not in topics:
                return {"ip-address"}
            if exclusive := topics & {"notice-days", "disclose", "cookie", "visitor-id"}:
                return exclusive
            if topics & {one.topic for one in self._durations}:
                return topics
        return set()

    def _is_backed(self, number: Number) -> bool:
        """Return whether the terms have a number without a unit, of what it counts."""
        duties = self.terms.duties
        grounds = {cell.ground for cell in self.bounds.cells if cell.ground != OWN_USE}
        groups = [group for group in GROUND_GROUPS if group.grounds & grounds]
        cookies = [cookie for cookie in self.terms.cookies if cookie.basis != "never"]
        purposes = {cell.purpose for cell in self.bounds.cells}
        counts: Mapping[str, set[int]] = {
            "visitors": {duties.smallest_group, *(ground.approvals for ground in self.terms.grounds)} - {0},
            "grounds": {len(groups), len(grounds)},
            "item": set(range(1, max(len(groups), 1) + 1)),
            "cookies": {
                len(cookies),
                len([one for one in cookies if one.party == "first" and "_" in one.name]),
            },
            "purposes": {len(purposes), len(purposes - {GROUND_ONLY_PURPOSE})},
            "categories": {len(self.bounds.collected_categories)},
            "recipients": {len({cell.recipient for cell in self.bounds.cells if not cell.cookie_name})},
        }
        return number.value in counts.get(number.noun, set())


_LISTS = frozenset({"categories", "purposes", "recipients", "grounds", "cookies"})
"""References that stand for everything of a kind."""

_TOPIC_PATTERNS = {
    "en": {
        "notice-days": r"\bahead\b|\bnotice\b|in advance|\bannounce|new version|beforehand",
        "cookie": r"\bcookies?\b",
        "visitor-id": r"visitor code|visitor key|\bmake a key\b|\bidentifier\b",
        "disclose": r"disclos|\breleas|\breceiv|\bshared?\b|contractors?|processors?",
        "ip-address": r"\baddress (?:only|that|is|in full)|network part",
    },
    "pt": {
        "notice-days": r"antecedência|\banunciad|\baviso\b|nova versão|novas versões",
        "cookie": r"\bcookies?\b",
        "visitor-id": r"código de visitante|identificador",
        "disclose": r"compartilh|divulg|\brecebem?\b|\boperadores\b|contratad",
        "ip-address": r"parte da rede|abreviado",
    },
    "zh": {
        "notice-days": r"公告|通知|新版本|預告",
        "cookie": r"cookie",
        "visitor-id": r"訪客代碼|識別碼",
        "disclose": r"提供|揭露|取得|受託者",
        "ip-address": r"網段|位址",
    },
}
"""Words that say what a duration is about, besides the practices."""


def _locate(text: str, language: str) -> Iterator[tuple[int, Number]]:
    """Yield the numbers of a text, each with its line, counted from 0."""
    for number in find_numbers(text, language):
        yield text.count("\n", 0, number.start), number
