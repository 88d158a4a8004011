"""The policy page of a version: its prose, and tables of what is collected and disclosed and of the duties.

The tables are generated from the terms that are enforced, so they say what is done.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from markupsafe import Markup

from avowal.base_path import address
from avowal.policy.about_table import build_about_table
from avowal.policy.bounds import AgeByPrecision, Bounds, Cell
from avowal.policy.describe import (
    describe_looser_and_stricter,
    format_age,
)
from avowal.policy.document import Document
from avowal.policy.language import Language, find_language, language_name, text_direction
from avowal.policy.markdown import render_sections
from avowal.policy.page_tables import build_terms_tables
from avowal.policy.prose_check import ProseCheck
from avowal.policy.terms import Terms
from avowal.policy.vocabulary import Vocabulary, WordKind

if TYPE_CHECKING:
    import jinja2


class PageVersion(NamedTuple):
    """The version that a page shows. Times are UTC."""

    number: int
    identity: str
    effective_at: datetime
    bounds: Bounds
    published_at: datetime = datetime.min


class PageLinks(NamedTuple):
    """The URLs that a page links to. An empty URL is not linked."""

    history_url: str = ""
    disclosures_url: str = ""
    """The page of counts of releases."""
    terms_url: str = ""
    checkpoint_url: str = ""
    visitor_page_url: str = ""
    """The page where visitors see the data that is stored about them."""
    proof_check_url: str = ""
    """The page where a browser checks receipts."""
    sign_in_url: str = ""
    """The page where readers sign in."""
    canonical_url: str = ""
    translations: Sequence[tuple[str, str]] = ()
    """The language tag and URL of each translation of the page."""
    version_feeds: Sequence[tuple[str, str]] = ()
    """The media type and URL of each feed of versions."""


def render_policy_page(
    version: PageVersion,
    document: Document,
    vocabulary: Vocabulary,
    versions: Sequence[PageVersion] = (),
    links: PageLinks = PageLinks(),  # noqa: B008  # which nobody changes
    sentences_by_section: Callable[[Sequence[str]], Sequence[Sequence[str]]] = lambda texts: (
        [()] * len(texts)
    ),
    prose_check: ProseCheck | None = None,
    terms: Terms | None = None,
) -> str:
    """Return the page as HTML in the language of its document. HTML in the prose is shown as text.

    The page needs no other file. `versions` are all versions up to this one; the page lists their differences.
    `sentences_by_section` gets the texts of the sections, and returns the sentences to show beside each of them. Tags
    for sharing (Open Graph) are left out if the front matter says `share: false`. `prose_check` is what the
    comparison of the prose with the terms found. `terms` are those of the version, for what their bounds do not say.
    """
    parts = render_sections(document)
    sentences = sentences_by_section([text for text, _ in parts])
    language = find_language(document.language)
    return render_template(
        "page.html",
        document.language,
        title=document.title,
        version=label_version(version, language),
        identity=version.identity,
        number=document.front_matter.get("version"),
        shared=document.front_matter.get("share", True) is not False,
        sections=[(html, beside) for (_, html), beside in zip(parts, sentences, strict=True)],
        has_status=any(sentences),
        check_sentences=describe_prose_check(prose_check, language) if prose_check else [],
        findings=prose_check.findings if prose_check else [],
        tables=[
            *([build_about_table(terms, version.bounds, language)] if terms else []),
            *(table for table in build_terms_tables(version.bounds, vocabulary, language) if table.rows),
        ],
        changes=describe_version_changes(versions, language),
        links=links,
        languages=links.translations,
    )


def render_template(template: str, language_tag: str, package: str = "avowal.policy", **context: Any) -> str:
    """Render a template of a package as a page in a language.

    Translated texts are in the nearest language with a catalogue, which may be English.
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
            address=address,
            language_name=language_name,
            **context,
        )
    )


def describe_prose_check(check: ProseCheck, language: Language) -> list[str]:
    """Return sentences about how a document was verified against the terms, and that only."""
    sentences = []
    if check.references:
        sentences.append(
            language.translate_count(
                "{n} value in this text was filled in from the rules below.",
                "{n} values in this text were filled in from the rules below.",
                check.references,
            )
        )
    if check.is_compared:
        sentences.append(
            language.translate(
                "A program compared the other numbers and the words of this text with these rules; it does not "
                "understand the text."
            )
        )
    else:
        sentences.append(language.translate("The rest of this text was not compared with these rules."))
    if check.findings:
        sentences.append(
            language.translate_count(
                "In {n} place this text says something that the rules do not confirm; the operator published it "
                "knowing that:",
                "In {n} places this text says something that the rules do not confirm; the operator published it "
                "knowing that:",
                len(check.findings),
            )
        )
    return sentences


class VersionLabel(NamedTuple):
    """The number and the date of a version, as a page shows them."""

    number: int
    day: Markup
    adopted_day: Markup = Markup("")  # Markup is immutable
    """When it was adopted, if that was after the day from which it is in force; else empty."""


class VersionChange(NamedTuple):
    """A version in the list of versions, and its differences from the version before."""

    version: VersionLabel
    relation: str
    looser: list[str]
    stricter: list[str]


def label_version(version: PageVersion, language: Language) -> VersionLabel:
    """Return the label of a version."""
    label = build_version_label(version.number, version.effective_at, language)
    is_later = version.published_at.date() > version.effective_at.date()
    return label._replace(adopted_day=_format_day(version.published_at, language)) if is_later else label


def build_version_label(number: int, effective_at: datetime, language: Language) -> VersionLabel:
    """Return the label of a version with a number and a time from which it is in force."""
    return VersionLabel(number, _format_day(effective_at, language))


def _format_day(moment: datetime, language: Language) -> Markup:
    day = moment.date()
    return Markup('<time datetime="{}">{}</time>').format(day.isoformat(), language.format_day(day))


def describe_version_changes(versions: Sequence[PageVersion], language: Language) -> list[VersionChange]:
    """Return the changes of each version from the one before, the newest first; `versions` begin with version 1."""
    return [
        describe_version_change(old, new, language)
        for old, new in reversed(list(pairwise([None, *versions])))
        if new
    ]


def describe_version_change(old: PageVersion | None, new: PageVersion, language: Language) -> VersionChange:
    """Return how a version differs from an older one; no differences if there is none."""
    if old is None:
        return VersionChange(label_version(new, language), "", [], [])
    difference = describe_looser_and_stricter(old.bounds, new.bounds, language)
    return VersionChange(
        label_version(new, language),
        language.translate_word("relation", difference.relation),
        difference.looser,
        difference.stricter,
    )


def build_json_ld(version: PageVersion, controller: str, vocabulary: Vocabulary) -> dict[str, Any]:
    """Return the version in the W3C Data Privacy Vocabulary 2, as JSON-LD, with one process for each cell."""
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
            _build_process(cell, ages, vocabulary) for cell, ages in sorted(version.bounds.cells.items())
        ],
    }


def _build_process(cell: Cell, ages: AgeByPrecision, vocabulary: Vocabulary) -> dict[str, Any]:
    process: dict[str, Any] = {"@type": "dpv:Process", "dct:title": " / ".join(cell)}
    if cell.cookie_name:
        process["dpv:hasTechnicalMeasure"] = {"@type": "tech:Cookie", "dct:title": cell.cookie_name}
    elif terms := _dpv_terms(vocabulary, "categories", cell.category):
        process["dpv:hasPersonalData"] = terms
    for key, kind, word in (
        ("dpv:hasPurpose", "purposes", cell.purpose),
        ("dpv:hasRecipient", "recipients", cell.recipient),
        ("dpv:hasLegalBasis", "grounds", cell.ground),
    ):
        if terms := _dpv_terms(vocabulary, kind, word):  # type: ignore[arg-type]  # a kind of the vocabulary
            process[key] = terms
    process["dpv:hasStorageCondition"] = [
        {"@type": "dpv:StorageDuration", "dct:title": f"{precision}: {format_age(age)}"}
        for precision, age in ages.items()
    ]
    return process


def _dpv_terms(vocabulary: Vocabulary, kind: WordKind, word: str) -> list[dict[str, str]]:
    leaf = vocabulary.words(kind).get(word)
    return [{"@id": term} for term in leaf.dpv] if leaf else []


@cache
def _templates(package: str) -> "jinja2.Environment":
    import jinja2  # imported with the first page: it would slow down the start of every command

    packages = dict.fromkeys([package, "avowal.policy"])
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(name) for name in packages]),
        autoescape=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
