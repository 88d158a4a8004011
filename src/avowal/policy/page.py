"""The page of a version: its prose, and beside it, made from the terms, what is collected, disclosed and owed.

The two stand on one page. The tables are made from what is enforced, so they cannot say something else than what is
done.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from babel import Locale
from markupsafe import Markup

from avowal.policy.bounds import OPERATOR, OWN_USE, THIRD_PARTY, AgeByPrecision, Bounds, Cell
from avowal.policy.describe import (
    describe_looser_and_stricter,
    format_age,
    format_ages,
    format_duty_name,
    format_duty_value,
)
from avowal.policy.document import Document
from avowal.policy.ground import is_ground_duty, parse_ground_requirements
from avowal.policy.language import ENGLISH, Language, find_language, text_direction
from avowal.policy.markdown import render_sections
from avowal.policy.vocabulary import FULL_PRECISION, Vocabulary, VocabularyWord, WordKind

if TYPE_CHECKING:
    import jinja2


class PageTable(NamedTuple):
    """A table of the page."""

    caption: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


class PageVersion(NamedTuple):
    """Which version a page is of; times are UTC."""

    number: int
    identity: str
    effective_at: datetime
    bounds: Bounds


class PageLinks(NamedTuple):
    """Where what belongs to a page is; nothing is linked that is empty."""

    history_url: str = ""
    disclosures_url: str = ""
    """What was released."""
    terms_url: str = ""
    checkpoint_url: str = ""
    visitor_page_url: str = ""
    """What is held of whoever looks at it."""
    proof_check_url: str = ""
    """Where a browser checks receipts."""
    canonical_url: str = ""
    translations: Sequence[tuple[str, str]] = ()
    """The same page, by the tags of its languages."""
    version_feeds: Sequence[tuple[str, str]] = ()
    """Of versions, by their media types."""


def render_policy_page(
    version: PageVersion,
    document: Document,
    vocabulary: Vocabulary,
    versions: Sequence[PageVersion] = (),
    links: PageLinks = PageLinks(),  # noqa: B008  # which nobody changes
    sentences_by_section: Callable[[Sequence[str]], Sequence[Sequence[str]]] = lambda texts: (
        [()] * len(texts)
    ),
) -> str:
    """Return the page as HTML, in its document's language; HTML in the prose is shown as text.

    It needs no other file. `versions` are those up to this one, whose differences are listed; `facts_of` gives what is
    told beside each section, of their texts. What a page is called where it is shared is told unless the front matter
    says `share: false`.
    """
    parts = render_sections(document)
    told = sentences_by_section([text for text, _ in parts])
    language = find_language(document.language)
    return render_template(
        "page.html",
        document.language,
        title=document.title,
        version=label_version(version, language),
        identity=version.identity,
        number=document.front_matter.get("version"),
        shared=document.front_matter.get("share", True) is not False,
        sections=[(prose, beside) for (_, prose), beside in zip(parts, told, strict=True)],
        has_status=any(told),
        tables=[table for table in build_terms_tables(version.bounds, vocabulary, language) if table.rows],
        changes=describe_version_changes(versions, language),
        links=links,
        languages=links.translations,
    )


def language_name(tag: str) -> str:
    """Return what a language is called in itself.

    >>> named("pt-BR")
    'português (Brasil)'
    """
    return Locale.parse(tag, sep="-").get_display_name() or tag


def render_template(template: str, language_tag: str, package: str = "avowal.policy", **context: Any) -> str:
    """Return a page from its template, of a room; `tag` is its language.

    Words of the terms are in the nearest language that there is.
    """
    language = find_language(language_tag)

    def say(text: str, **values: object) -> Markup:
        return Markup(language.translate(text)).format(**values)  # noqa: S704  # our own catalogues; values are escaped

    return (
        _templates(package)
        .get_template(template)
        .render(
            language=language_tag,
            direction=text_direction(language_tag),
            text_language=language.tag,
            text_direction=text_direction(language.tag),
            say=say,
            language_name=language_name,
            **context,
        )
    )


class VersionLabel(NamedTuple):
    """A version as a page names it."""

    number: int
    day: Markup


class VersionChange(NamedTuple):
    """A version in the list of versions, and how it differs from the one before."""

    version: VersionLabel
    relation: str
    looser: list[str]
    stricter: list[str]


def label_version(version: PageVersion, language: Language) -> VersionLabel:
    """Return a version as a page names it."""
    return build_version_label(version.number, version.effective_at, language)


def build_version_label(number: int, effective_at: datetime, language: Language) -> VersionLabel:
    """Return a version as a page names it, by its number."""
    day = effective_at.date()
    element = Markup('<time datetime="{}">{}</time>').format(day.isoformat(), language.format_day(day))
    return VersionLabel(number, element)


def describe_version_changes(versions: Sequence[PageVersion], language: Language) -> list[VersionChange]:
    """Return each version beside the one before it, the newest first; `versions` begin with the first."""
    return [
        describe_version_change(old, new, language)
        for old, new in reversed(list(pairwise([None, *versions])))
        if new
    ]


def describe_version_change(old: PageVersion | None, new: PageVersion, language: Language) -> VersionChange:
    """Return how a version differs from another; not at all where there is none before it."""
    if old is None:
        return VersionChange(label_version(new, language), "", [], [])
    difference = describe_looser_and_stricter(old.bounds, new.bounds, language)
    return VersionChange(
        label_version(new, language),
        language.translate_word("relation", difference.relation),
        difference.looser,
        difference.stricter,
    )


def build_terms_tables(
    bounds: Bounds, vocabulary: Vocabulary, language: Language = ENGLISH
) -> list[PageTable]:
    """Return what is collected, who may receive what, which cookies there are, and what is owed."""
    say = language.translate
    return [
        PageTable(
            say("What is collected"),
            (say("what"), say("that is"), say("kept for"), say("used for")),
            _collected(bounds, vocabulary, language),
        ),
        PageTable(
            say("Who else may receive what"),
            (say("to"), say("because"), say("what"), say("up to the age of")),
            _disclosed(bounds, vocabulary, language),
        ),
        PageTable(
            say("What has to be there before anything is disclosed"),
            (say("because"), say("evidence"), say("approved by others")),
            _needs(bounds, vocabulary, language),
        ),
        PageTable(
            say("Cookies"),
            (say("cookie"), say("set by"), say("when"), say("for"), say("kept for")),
            _cookies(bounds, language),
        ),
        PageTable(say("What you are owed"), (say("duty"), say("how much")), _duties(bounds, language)),
    ]


def build_json_ld(version: PageVersion, controller: str, vocabulary: Vocabulary) -> dict[str, Any]:
    """Return the version in the words of W3C DPV 2, as JSON-LD: one process for each cell."""
    return {
        "@context": {
            "dpv": "https://w3id.org/dpv#",
            "pd": "https://w3id.org/dpv/pd#",
            "tech": "https://w3id.org/dpv/tech#",
            "dct": "http://purl.org/dc/terms/",
        },
        "@type": "dpv:PrivacyNotice",
        "dct:identifier": version.identity,
        "dct:valid": version.effective_at.date().isoformat(),
        "dpv:hasDataController": {"@type": "dpv:DataController", "dct:title": controller},
        "dpv:hasProcess": [
            _process(cell, ages, vocabulary) for cell, ages in sorted(version.bounds.cells.items())
        ],
    }


def _process(cell: Cell, ages: AgeByPrecision, words: Vocabulary) -> dict[str, Any]:
    process: dict[str, Any] = {"@type": "dpv:Process", "dct:title": " / ".join(cell)}
    if cell.cookie_name:
        process["dpv:hasTechnicalMeasure"] = {"@type": "tech:Cookie", "dct:title": cell.cookie_name}
    elif terms := _dpv(words, "categories", cell.category):
        process["dpv:hasPersonalData"] = terms
    for key, kind, word in (
        ("dpv:hasPurpose", "purposes", cell.purpose),
        ("dpv:hasRecipient", "recipients", cell.recipient),
        ("dpv:hasLegalBasis", "grounds", cell.ground),
    ):
        if terms := _dpv(words, kind, word):  # type: ignore[arg-type]  # a kind of the vocabulary
            process[key] = terms
    process["dpv:hasStorageCondition"] = [
        {"@type": "dpv:StorageDuration", "dct:title": f"{precision}: {format_age(age)}"}
        for precision, age in ages.items()
    ]
    return process


def _dpv(words: Vocabulary, kind: WordKind, word: str) -> list[dict[str, str]]:
    found = words.words(kind).get(word)
    return [{"@id": term} for term in found.dpv] if found else []


def _collected(bounds: Bounds, words: Vocabulary, language: Language) -> list[tuple[str, ...]]:
    return [
        (
            language.translate_word("category", category),
            _about(words.categories.get(category), language),
            _kept(bounds.retention_ages(category), language),
            language.translate_words("purpose", bounds.collection_purposes(category)),
        )
        for category in bounds.collected_categories
    ]


def _about(word: VocabularyWord | None, language: Language) -> str:
    return language.translate(word.description).replace("`", "'") if word else ""


def _kept(ages: AgeByPrecision, language: Language) -> str:
    """Tell how long; by precision only where that differs or is not the finest there is."""
    same = len(set(ages.values())) == 1 and FULL_PRECISION in ages
    return format_age(ages[FULL_PRECISION], language) if same else format_ages(ages, language)


def _disclosed(bounds: Bounds, words: Vocabulary, language: Language) -> list[tuple[str, ...]]:
    contract = language.translate("It works for this website, under a contract that protects as much.")
    rows: dict[tuple[str, str, str], list[str]] = {}
    for cell, ages in sorted(bounds.cells.items()):
        if cell.recipient in {OPERATOR, THIRD_PARTY} or cell.cookie_name:
            continue
        to = _about(words.recipients.get(cell.recipient), language).rstrip(".。") or cell.recipient
        own = contract if cell.ground == OWN_USE else cell.ground
        why = _about(words.grounds.get(cell.ground), language) or own
        categories = rows.setdefault((to, why, _kept(ages, language)), [])
        if cell.category not in categories:
            categories.append(cell.category)
    return [
        (to, why, language.translate_words("category", categories), age)
        for (to, why, age), categories in rows.items()
    ]


def _duties(bounds: Bounds, language: Language) -> list[tuple[str, ...]]:
    return [
        (format_duty_name(name, language), format_duty_value(name, owes, language))
        for name, owes in bounds.duties.items()
        if not is_ground_duty(name)
    ]


def _needs(bounds: Bounds, words: Vocabulary, language: Language) -> list[tuple[str, ...]]:
    return [
        (
            _about(words.grounds.get(ground), language) or language.translate_word("ground", ground),
            language.translate_words("evidence", need.evidence),
            language.translate_count("{n} person", "{n} persons", need.approvals)
            if need.approvals
            else language.translate("nobody"),
        )
        for ground, need in parse_ground_requirements(bounds.duties).items()
    ]


def _cookies(bounds: Bounds, language: Language) -> list[tuple[str, ...]]:
    rows: dict[tuple[str, str, str, str], list[str]] = {}
    for cell, ages in sorted(bounds.cells.items()):
        if cell.cookie_name:
            refusable = "unless-refused" in ages
            basis = (
                language.translate("unless you refuse it")
                if refusable
                else language.translate("if you accept it")
            )
            own = cell.recipient == OPERATOR
            setter = language.translate("this website") if own else language.translate("a third party")
            age = format_age(next(iter(ages.values())), language)
            rows.setdefault((cell.cookie_name, setter, basis, age), []).append(cell.purpose)
    return [
        (name, by, when, language.translate_words("purpose", purposes), age)
        for (name, by, when, age), purposes in rows.items()
    ]


@cache
def _templates(room: str) -> "jinja2.Environment":
    import jinja2  # with the first page: every command's start would pay for it

    rooms = dict.fromkeys([room, "avowal.policy"])
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(one) for one in rooms]),
        autoescape=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
