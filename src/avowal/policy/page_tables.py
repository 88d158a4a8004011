"""Tables of a version's terms: what is collected and disclosed, its evidence, forms, cookies and duties.

They are generated from the terms that are enforced, so they say what is done.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from avowal.policy.about import BASIS
from avowal.policy.bounds import OPERATOR, OWN_USE, THIRD_PARTY, Age, AgeByPrecision, Bounds
from avowal.policy.describe import find_finest_precisions, format_age, format_duty_name, format_duty_value
from avowal.policy.duty import parse_duty_name
from avowal.policy.labels import find_label, find_precision_label, join_phrases
from avowal.policy.language import ENGLISH, Language
from avowal.policy.vocabulary import FULL_PRECISION, Vocabulary, VocabularyWord


class PageTable(NamedTuple):
    """A table of a page."""

    caption: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def build_terms_tables(
    bounds: Bounds, vocabulary: Vocabulary, language: Language = ENGLISH
) -> list[PageTable]:
    """Return the tables of collection, disclosure, evidence, forms, cookies and duties."""
    say = language.translate
    return [
        PageTable(
            say("What is collected"),
            (say("what"), say("that is"), say("kept for"), say("used for")),
            _build_collection_rows(bounds, vocabulary, language),
        ),
        PageTable(
            say("Who else may receive what"),
            (say("to"), say("because"), say("what"), say("up to the age of")),
            _build_disclosure_rows(bounds, vocabulary, language),
        ),
        PageTable(
            say("What has to be there before anything is disclosed"),
            (say("because"), say("evidence"), say("approved by others")),
            _build_evidence_rows(bounds, vocabulary, language),
        ),
        PageTable(
            say("What others receive to do what you asked for"),
            (say("form"), say("what")),
            _build_needs_rows(bounds, language),
        ),
        PageTable(
            say("Cookies"),
            (say("cookie"), say("set by"), say("when"), say("for"), say("kept for")),
            _build_cookie_rows(bounds, language),
        ),
        PageTable(
            say("What you are owed"), (say("duty"), say("how much")), _build_duty_rows(bounds, language)
        ),
    ]


def _build_collection_rows(
    bounds: Bounds, vocabulary: Vocabulary, language: Language
) -> list[tuple[str, ...]]:
    return [
        (
            find_label("category", category, language),
            _describe_word(vocabulary.categories.get(category), language),
            _format_retention(category, bounds.retention_ages(category), language),
            _list_labels("purpose", bounds.collection_purposes(category), language),
        )
        for category in bounds.collected_categories
    ]


def _describe_word(word: VocabularyWord | None, language: Language) -> str:
    return language.translate(word.description).replace("`", "'") if word else ""


def _format_retention(category: str, ages: AgeByPrecision, language: Language) -> str:
    """Return ages as text: one age if it is the same at every precision up to the finest, else by precision."""
    if len(set(ages.values())) == 1 and FULL_PRECISION in ages:
        return _format_kept_age(ages[FULL_PRECISION], language)
    return "; ".join(
        language.translate(
            "{label}: {value}",
            label=find_precision_label(category, precision, language),
            value=_format_kept_age(age, language),
        )
        for age, precision in find_finest_precisions(ages).items()
    )


def _format_kept_age(age: Age, language: Language) -> str:
    return language.translate("no end set") if age is None else format_age(age, language)


def _list_labels(kind: str, words: Iterable[str], language: Language) -> str:
    return join_phrases([find_label(kind, word, language) for word in words], language)


def _build_disclosure_rows(
    bounds: Bounds, vocabulary: Vocabulary, language: Language
) -> list[tuple[str, ...]]:
    contract = language.translate("It works for this website, under a contract that protects as much.")
    rows: dict[tuple[str, str, str], list[str]] = {}
    for cell, ages in sorted(bounds.cells.items()):
        if cell.recipient in {OPERATOR, THIRD_PARTY} or cell.cookie_name:
            continue
        recipient = (
            _describe_word(vocabulary.recipients.get(cell.recipient), language).rstrip(".。")
            or cell.recipient
        )
        ground = _describe_word(vocabulary.grounds.get(cell.ground), language)
        reason = ground or (contract if cell.ground == OWN_USE else cell.ground)
        categories = rows.setdefault(
            (recipient, reason, _format_retention(cell.category, ages, language)), []
        )
        if cell.category not in categories:
            categories.append(cell.category)
    return [
        (recipient, reason, _list_labels("category", categories, language), age)
        for (recipient, reason, age), categories in rows.items()
    ]


def _build_duty_rows(bounds: Bounds, language: Language) -> list[tuple[str, ...]]:
    return [
        (format_duty_name(name, language), format_duty_value(name, amount, language))
        for name, amount in bounds.duties.items()
        if parse_duty_name(name).kind != BASIS
    ]


def _build_evidence_rows(bounds: Bounds, vocabulary: Vocabulary, language: Language) -> list[tuple[str, ...]]:
    return [
        (
            _describe_word(vocabulary.grounds.get(ground), language)
            or language.translate_word("ground", ground),
            language.translate_words("evidence", requirements.evidence),
            language.translate_count("{n} person", "{n} persons", requirements.approvals)
            if requirements.approvals
            else language.translate("nobody"),
        )
        for ground, requirements in sorted(bounds.grounds.items())
    ]


def _build_needs_rows(bounds: Bounds, language: Language) -> list[tuple[str, ...]]:
    return [
        (form, _list_labels("category", sorted(needs.categories), language))
        for form, needs in sorted(bounds.form_needs.items())
    ]


def _build_cookie_rows(bounds: Bounds, language: Language) -> list[tuple[str, ...]]:
    rows: dict[tuple[str, str, str, str], list[str]] = {}
    for cell, ages in sorted(bounds.cells.items()):
        if cell.cookie_name:
            refusable = "unless-refused" in ages
            basis = (
                language.translate("unless you refuse it")
                if refusable
                else language.translate("if you accept it")
            )
            is_own = cell.recipient == OPERATOR
            setter = language.translate("this website") if is_own else language.translate("a third party")
            age = _format_kept_age(next(iter(ages.values())), language)
            rows.setdefault((cell.cookie_name, setter, basis, age), []).append(cell.purpose)
    return [
        (name, setter, basis, _list_labels("purpose", purposes, language), age)
        for (name, setter, basis, age), purposes in rows.items()
    ]
