"""The page of a version: its prose, and beside it, made from the terms, what is collected, disclosed and owed.

The two stand on one page. The tables are made from what is enforced, so they cannot say something else than what is
done.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import jinja2
from markdown_it import MarkdownIt

from avow.policy.bounds import OPERATOR, OWN_USE, THIRD_PARTY, Ages, Bounds, Cell
from avow.policy.document import Document
from avow.policy.tell import lasting, lasting_by_precision, owed
from avow.policy.vocabulary import FULL, Kind, Vocabulary

CONTRACT = "It works for this website, under a contract that protects as much."
"""Why a processor receives anything."""

RIGHT_TO_LEFT = frozenset({"ar", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"})


class Facts(NamedTuple):
    """A table of the page."""

    caption: str
    headings: tuple[str, ...]
    rows: list[tuple[str, ...]]


class Change(NamedTuple):
    """A version in the list of versions, and how it differs from the one before."""

    number: int
    effective: str
    relation: str
    looser: Sequence[str]
    stricter: Sequence[str]


class Shown(NamedTuple):
    """Which version a page is of."""

    number: int
    identity: str
    effective_at: datetime
    promised: Bounds


def html(shown: Shown, document: Document, words: Vocabulary, changes: Sequence[Change] = ()) -> str:
    """Return the page as HTML, which needs no other file; HTML in the prose is shown as text."""
    return _template().render(
        language=document.language,
        direction="rtl" if document.language.partition("-")[0] in RIGHT_TO_LEFT else "ltr",
        title=document.title,
        number=shown.number,
        identity=shown.identity,
        effective=shown.effective_at.date().isoformat(),
        prose=_markdown().render(document.body),
        tables=[table for table in facts(shown.promised, words) if table.rows],
        changes=changes,
    )


def facts(bounds: Bounds, words: Vocabulary) -> list[Facts]:
    """Return what is collected, who may receive what, which cookies there are, and what is owed."""
    return [
        Facts("What is collected", ("what", "that is", "kept for", "used for"), _collected(bounds, words)),
        Facts(
            "Who else may receive what",
            ("to", "because", "what", "up to the age of"),
            _disclosed(bounds, words),
        ),
        Facts("Cookies", ("cookie", "set by", "when", "for", "kept for"), _cookies(bounds)),
        Facts("What you are owed", ("duty", "how much"), _duties(bounds)),
    ]


def linked_data(shown: Shown, controller: str, words: Vocabulary) -> dict[str, Any]:
    """Return the version in the words of W3C DPV 2, as JSON-LD: one process for each cell."""
    return {
        "@context": {
            "dpv": "https://w3id.org/dpv#",
            "pd": "https://w3id.org/dpv/pd#",
            "tech": "https://w3id.org/dpv/tech#",
            "dct": "http://purl.org/dc/terms/",
        },
        "@type": "dpv:PrivacyNotice",
        "dct:identifier": shown.identity,
        "dct:valid": shown.effective_at.date().isoformat(),
        "dpv:hasDataController": {"@type": "dpv:DataController", "dct:title": controller},
        "dpv:hasProcess": [
            _process(cell, ages, words) for cell, ages in sorted(shown.promised.cells.items())
        ],
    }


def _process(cell: Cell, ages: Ages, words: Vocabulary) -> dict[str, Any]:
    process: dict[str, Any] = {"@type": "dpv:Process", "dct:title": " / ".join(cell)}
    if cell.cookie:
        process["dpv:hasTechnicalMeasure"] = {"@type": "tech:Cookie", "dct:title": cell.cookie}
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
        {"@type": "dpv:StorageDuration", "dct:title": f"{precision}: {lasting(age)}"}
        for precision, age in ages.items()
    ]
    return process


def _dpv(words: Vocabulary, kind: Kind, word: str) -> list[dict[str, str]]:
    found = words.words(kind).get(word)
    return [{"@id": term} for term in found.dpv] if found else []


def _collected(bounds: Bounds, words: Vocabulary) -> list[tuple[str, ...]]:
    return [
        (
            category,
            _about(words, category),
            _kept(bounds.kept(category)),
            ", ".join(bounds.purposes(category)),
        )
        for category in bounds.categories
    ]


def _about(words: Vocabulary, category: str) -> str:
    known = words.categories.get(category)
    return known.about.replace("`", "'") if known else ""


def _kept(ages: Ages) -> str:
    """Tell how long; by precision only where that differs or is not the finest there is."""
    same = len(set(ages.values())) == 1 and FULL in ages
    return lasting(ages[FULL]) if same else lasting_by_precision(ages)


def _disclosed(bounds: Bounds, words: Vocabulary) -> list[tuple[str, ...]]:
    rows: dict[tuple[str, str, str], list[str]] = {}
    for cell, ages in sorted(bounds.cells.items()):
        if cell.recipient in {OPERATOR, THIRD_PARTY} or cell.cookie:
            continue
        recipient, ground = words.recipients.get(cell.recipient), words.grounds.get(cell.ground)
        to = recipient.about.rstrip(".") if recipient else cell.recipient
        why = ground.about if ground else CONTRACT if cell.ground == OWN_USE else cell.ground
        categories = rows.setdefault((to, why, _kept(ages)), [])
        if cell.category not in categories:
            categories.append(cell.category)
    return [(to, why, ", ".join(categories), age) for (to, why, age), categories in rows.items()]


def _duties(bounds: Bounds) -> list[tuple[str, ...]]:
    return [(name, owed(name, owes)) for name, owes in bounds.duties.items()]


def _cookies(bounds: Bounds) -> list[tuple[str, ...]]:
    rows: dict[tuple[str, str, str, str], list[str]] = {}
    for cell, ages in sorted(bounds.cells.items()):
        if cell.cookie:
            basis = "unless you refuse it" if "unless-refused" in ages else "if you accept it"
            setter = "this website" if cell.recipient == OPERATOR else "a third party"
            rows.setdefault((cell.cookie, setter, basis, lasting(next(iter(ages.values())))), []).append(
                cell.purpose
            )
    return [(name, by, when, ", ".join(purposes), age) for (name, by, when, age), purposes in rows.items()]


@cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False})


@cache
def _template() -> jinja2.Template:
    folder = resources.files("avow.policy") / "templates"
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    return environment.from_string((folder / "page.html").read_text(encoding="utf-8"))
