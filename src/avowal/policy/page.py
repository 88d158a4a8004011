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

from avowal.policy.bounds import OPERATOR, OWN_USE, THIRD_PARTY, Ages, Bounds, Cell
from avowal.policy.compare import compare
from avowal.policy.describe import differences, duty, lasting, lasting_by_precision, owed
from avowal.policy.document import Document
from avowal.policy.ground import is_need, needs
from avowal.policy.language import ENGLISH, Language, direction, language
from avowal.policy.markdown import sections
from avowal.policy.vocabulary import FULL, Kind, Vocabulary, Word

if TYPE_CHECKING:
    import jinja2


class Facts(NamedTuple):
    """A table of the page."""

    caption: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


class Shown(NamedTuple):
    """Which version a page is of; times are UTC."""

    number: int
    identity: str
    effective_at: datetime
    promised: Bounds


class Links(NamedTuple):
    """Where what belongs to a page is; nothing is linked that is empty."""

    history: str = ""
    disclosures: str = ""
    """What was released."""
    terms: str = ""
    ledger: str = ""
    own: str = ""
    """What is held of whoever looks at it."""
    check: str = ""
    """Where a browser checks receipts."""
    canonical: str = ""
    languages: Sequence[tuple[str, str]] = ()
    """The same page, by the tags of its languages."""
    feeds: Sequence[tuple[str, str]] = ()
    """Of versions, by their media types."""


def html(
    shown: Shown,
    document: Document,
    words: Vocabulary,
    versions: Sequence[Shown] = (),
    links: Links = Links(),  # noqa: B008  # which nobody changes
    facts_of: Callable[[Sequence[str]], Sequence[Sequence[str]]] = lambda texts: [()] * len(texts),
) -> str:
    """Return the page as HTML, in its document's language; HTML in the prose is shown as text.

    It needs no other file. `versions` are those up to this one, whose differences are listed; `facts_of` gives what is
    told beside each section, of their texts. What a page is called where it is shared is told unless the front matter
    says `share: false`.
    """
    parts = sections(document)
    told = facts_of([text for text, _ in parts])
    spoken = language(document.language)
    return rendered(
        "page.html",
        document.language,
        title=document.title,
        version=version(shown, spoken),
        identity=shown.identity,
        number=document.front_matter.get("version"),
        shared=document.front_matter.get("share", True) is not False,
        sections=[(prose, beside) for (_, prose), beside in zip(parts, told, strict=True)],
        living=any(told),
        tables=[table for table in facts(shown.promised, words, spoken) if table.rows],
        changes=listed(versions, spoken),
        links=links,
        languages=links.languages,
    )


def named(tag: str) -> str:
    """Return what a language is called in itself.

    >>> named("pt-BR")
    'português (Brasil)'
    """
    return Locale.parse(tag, sep="-").get_display_name() or tag


def rendered(template: str, tag: str, room: str = "avowal.policy", **told: Any) -> str:
    """Return a page from its template, of a room; `tag` is its language.

    Words of the terms are in the nearest language that there is.
    """
    spoken = language(tag)

    def say(text: str, **values: object) -> Markup:
        return Markup(spoken.say(text)).format(**values)  # noqa: S704  # our own catalogues; values are escaped

    return (
        _templates(room)
        .get_template(template)
        .render(
            language=tag,
            direction=direction(tag),
            spoken=spoken.tag,
            spoken_direction=direction(spoken.tag),
            say=say,
            named=named,
            **told,
        )
    )


class Named(NamedTuple):
    """A version as a page names it."""

    number: int
    day: Markup


class Change(NamedTuple):
    """A version in the list of versions, and how it differs from the one before."""

    version: Named
    relation: str
    looser: list[str]
    stricter: list[str]


def version(shown: Shown, spoken: Language) -> Named:
    """Return a version as a page names it."""
    return named_version(shown.number, shown.effective_at, spoken)


def named_version(number: int, effective_at: datetime, spoken: Language) -> Named:
    """Return a version as a page names it, by its number."""
    day = effective_at.date()
    element = Markup('<time datetime="{}">{}</time>').format(day.isoformat(), spoken.day(day))
    return Named(number, element)


def listed(versions: Sequence[Shown], spoken: Language) -> list[Change]:
    """Return each version beside the one before it, the newest first; `versions` begin with the first."""
    return [change(old, new, spoken) for old, new in reversed(list(pairwise([None, *versions]))) if new]


def change(old: Shown | None, new: Shown, spoken: Language) -> Change:
    """Return how a version differs from another; not at all where there is none before it."""
    if old is None:
        return Change(version(new, spoken), "", [], [])
    found = compare(old.promised, new.promised)
    looser, stricter = (
        [line.sentence(spoken) for line in differences(witnesses)]
        for witnesses in (found.looser, found.stricter)
    )
    return Change(version(new, spoken), spoken.word("relation", found.relation), looser, stricter)


def facts(bounds: Bounds, words: Vocabulary, spoken: Language = ENGLISH) -> list[Facts]:
    """Return what is collected, who may receive what, which cookies there are, and what is owed."""
    say = spoken.say
    return [
        Facts(
            say("What is collected"),
            (say("what"), say("that is"), say("kept for"), say("used for")),
            _collected(bounds, words, spoken),
        ),
        Facts(
            say("Who else may receive what"),
            (say("to"), say("because"), say("what"), say("up to the age of")),
            _disclosed(bounds, words, spoken),
        ),
        Facts(
            say("What has to be there before anything is disclosed"),
            (say("because"), say("evidence"), say("approved by others")),
            _needs(bounds, words, spoken),
        ),
        Facts(
            say("Cookies"),
            (say("cookie"), say("set by"), say("when"), say("for"), say("kept for")),
            _cookies(bounds, spoken),
        ),
        Facts(say("What you are owed"), (say("duty"), say("how much")), _duties(bounds, spoken)),
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


def _collected(bounds: Bounds, words: Vocabulary, spoken: Language) -> list[tuple[str, ...]]:
    return [
        (
            spoken.word("category", category),
            _about(words.categories.get(category), spoken),
            _kept(bounds.kept(category), spoken),
            spoken.words("purpose", bounds.purposes(category)),
        )
        for category in bounds.categories
    ]


def _about(word: Word | None, spoken: Language) -> str:
    return spoken.say(word.about).replace("`", "'") if word else ""


def _kept(ages: Ages, spoken: Language) -> str:
    """Tell how long; by precision only where that differs or is not the finest there is."""
    same = len(set(ages.values())) == 1 and FULL in ages
    return lasting(ages[FULL], spoken) if same else lasting_by_precision(ages, spoken)


def _disclosed(bounds: Bounds, words: Vocabulary, spoken: Language) -> list[tuple[str, ...]]:
    contract = spoken.say("It works for this website, under a contract that protects as much.")
    rows: dict[tuple[str, str, str], list[str]] = {}
    for cell, ages in sorted(bounds.cells.items()):
        if cell.recipient in {OPERATOR, THIRD_PARTY} or cell.cookie:
            continue
        to = _about(words.recipients.get(cell.recipient), spoken).rstrip(".。") or cell.recipient
        own = contract if cell.ground == OWN_USE else cell.ground
        why = _about(words.grounds.get(cell.ground), spoken) or own
        categories = rows.setdefault((to, why, _kept(ages, spoken)), [])
        if cell.category not in categories:
            categories.append(cell.category)
    return [
        (to, why, spoken.words("category", categories), age) for (to, why, age), categories in rows.items()
    ]


def _duties(bounds: Bounds, spoken: Language) -> list[tuple[str, ...]]:
    return [
        (duty(name, spoken), owed(name, owes, spoken))
        for name, owes in bounds.duties.items()
        if not is_need(name)
    ]


def _needs(bounds: Bounds, words: Vocabulary, spoken: Language) -> list[tuple[str, ...]]:
    return [
        (
            _about(words.grounds.get(ground), spoken) or spoken.word("ground", ground),
            spoken.words("evidence", need.evidence),
            spoken.count("{n} person", "{n} persons", need.approvals)
            if need.approvals
            else spoken.say("nobody"),
        )
        for ground, need in needs(bounds.duties).items()
    ]


def _cookies(bounds: Bounds, spoken: Language) -> list[tuple[str, ...]]:
    rows: dict[tuple[str, str, str, str], list[str]] = {}
    for cell, ages in sorted(bounds.cells.items()):
        if cell.cookie:
            refusable = "unless-refused" in ages
            basis = spoken.say("unless you refuse it") if refusable else spoken.say("if you accept it")
            own = cell.recipient == OPERATOR
            setter = spoken.say("this website") if own else spoken.say("a third party")
            age = lasting(next(iter(ages.values())), spoken)
            rows.setdefault((cell.cookie, setter, basis, age), []).append(cell.purpose)
    return [
        (name, by, when, spoken.words("purpose", purposes), age)
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
