"""The policy's pages, as visitors see them, in the language that the browser asks for."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import combinations
from typing import NamedTuple

from babel import negotiate_locale
from starlette.requests import Request

from avowal.clock import utc_now
from avowal.keep.enforcement import in_force
from avowal.policy.document import Document, parse_document
from avowal.policy.history import changes, history
from avowal.policy.markdown import sections
from avowal.policy.page import Links, Shown, html
from avowal.policy.terms import parse_terms
from avowal.policy.vocabulary import vocabulary
from avowal.register.register import Register, Version
from avowal.web.disclosures import page as disclosures
from avowal.web.policy_status import Living, beside
from avowal.web.syndication import Feed, items, written

PATH = "/privacy/"
DISCLOSURES = "/disclosures"
"""Where the page is that tells what was released."""

MADE_MAX = 256
"""How many pages are remembered."""


class Page(NamedTuple):
    """A page, and its language; both are empty where there is none."""

    text: str = ""
    language: str = ""


NONE = Page()


@dataclass
class Policy:
    """Makes the pages of the policy, each in the language that is asked for first, once for what they are made of.

    `asked` is a header Accept-Language, or one tag (BCP 47).
    """

    register: Register
    links: Links
    """Where everything else is; of a page itself its place is added."""
    living: Living
    _made: dict[tuple[object, ...], str] = field(default_factory=dict)
    _state: tuple[int, datetime] = (0, datetime.min)

    def page(self, asked: str, number: int = 0) -> Page:
        """Return the page of a version; of the one in force for 0."""
        versions, documents, language = self._found(asked, number)
        if not documents:
            return NONE
        place = f"{PATH}versions/{number}" if number else PATH

        def made() -> str:
            words = vocabulary(parse_terms(versions[-1].terms, "the terms").vocabulary)
            shown = [shown_of(version) for version in versions]
            links = self.links._replace(
                canonical=self.links.canonical and f"{self.links.canonical}{place}",
                languages=in_languages(place, documents),
            )
            facts = None if number else self.living.facts(versions, language, utc_now())
            told = partial(self._beside, facts, documents) if facts else _nothing
            return html(shown[-1], documents[language], words, shown, links, told)

        return Page(self._once(made, "page", number, language), language)

    def history(self, asked: str) -> Page:
        """Return the page of all versions, also of those to come, with links to what differs between any two."""
        _, documents, language = self._found(asked)
        if not documents:
            return NONE

        def made() -> str:
            versions = self.register.versions()
            with_it = [one for one in versions if language in documents_of(self.register, one)]
            pairs = {
                (one.number, other.number): f"{PATH}changes/{one.number}..{other.number}?lang={language}"
                for one, other in combinations(with_it, 2)
            }
            return history([shown_of(one) for one in versions], documents[language], pairs, utc_now())

        return Page(self._once(made, "history", language), language)

    def changes(self, asked: str, first: int, second: int) -> Page:
        """Return the page of what differs between two versions, in a language that both have."""
        pair = [one for one in self.register.versions() if one.number in {first, second}]
        if first >= second or [one.number for one in pair] != [first, second]:
            return NONE
        old, new = (documents_of(self.register, one) for one in pair)
        both = [tag for tag in new if tag in old]
        if not both:
            return NONE
        language = chosen(asked, both)

        def made() -> str:
            shown = [shown_of(one) for one in pair]
            index = f"{self.links.history}?lang={language}"
            return changes(shown[0], shown[1], (old[language], new[language]), index)

        return Page(self._once(made, "changes", first, second, language), language)

    def disclosures(self, asked: str) -> Page:
        """Return the page that tells what was released."""
        versions = self._versions()
        if not versions:
            return NONE
        terms = parse_terms(versions[-1].terms, "the terms in force")
        language = chosen(asked, terms.languages)

        def made() -> str:
            return disclosures(self.register, versions[-1].promised, terms.controller, language)

        return Page(self._once(made, "disclosures", language), language)

    def feed(self, asked: str, kind: str, home: str, place: str) -> Page:
        """Return a feed of all versions that were published; `home` and `place` are where these and it are."""
        _, documents, language = self._found(asked)
        if not documents:
            return NONE

        def made() -> str:
            told = items(self.register.versions(), self.register.notices.all(), language, home)
            return written(kind, Feed(documents[language].title, home, place, language, told)).decode()

        return Page(self._once(made, "feed", kind, language, home), language)

    def languages(self) -> list[str]:
        """Return the languages of the version in force; none where there is no version."""
        version = self.version()
        return parse_terms(version.terms, "the terms in force").languages if version else []

    def in_languages(self, place: str) -> list[tuple[str, str]]:
        """Return where a page is in each language."""
        return in_languages(place, self.languages())

    def version(self, number: int = 0) -> Version | None:
        """Return a version that was published, the one in force for 0; None where there is none."""
        versions = self._versions(number)
        return versions[-1] if versions else None

    def permalinks(self) -> dict[str, str]:
        """Return the language of each place that the documents in force name as theirs."""
        _, documents, _ = self._found("")
        told = {tag: one.front_matter.get("permalink") for tag, one in documents.items()}
        return {f"/{place.strip('/')}": tag for tag, place in told.items() if isinstance(place, str)}

    def _beside(
        self, facts: Mapping[str, list[str]], documents: Mapping[str, Document], texts: Sequence[str]
    ) -> list[list[str]]:
        """Return what is told beside each section; in another language where it stands beside the English one."""
        english = next((one for tag, one in documents.items() if tag.partition("-")[0] == "en"), None)
        known = [text for text, _ in sections(english)] if english else []
        places = beside(known if len(known) == len(texts) else [""] * len(texts))
        told: list[list[str]] = [[] for _ in texts]
        for about, sentences in facts.items():
            told[places[about]] += sentences
        return told

    def _found(self, asked: str, number: int = 0) -> tuple[list[Version], dict[str, Document], str]:
        """Return versions up to the one that is asked for, its documents, and the one of their languages."""
        versions = self._versions(number)
        documents = documents_of(self.register, versions[-1]) if versions else {}
        return versions, documents, chosen(asked, list(documents)) if documents else ""

    def _versions(self, number: int = 0) -> list[Version]:
        """Return the versions that have taken effect; those up to one that was published, which may be to come."""
        versions = self.register.versions()
        if not number:
            return in_force(versions, utc_now())
        return versions[:number] if 0 < number <= len(versions) else []

    def _once(self, make: Callable[[], str], *key: object) -> str:
        """Return a page as it was made, unless anything was recorded since, or a minute began: a seal may end."""
        state = self.register.ledger.size(), utc_now().replace(second=0, microsecond=0)
        if state != self._state or len(self._made) > MADE_MAX:
            self._made, self._state = {}, state
        made = self._made
        if key not in made:
            made[key] = make()
        return made[key]


def in_languages(place: str, tags: Iterable[str]) -> list[tuple[str, str]]:
    """Return where a page is in each language."""
    return [(tag, f"{place}?lang={tag}") for tag in tags]


def _nothing(texts: Sequence[str]) -> list[list[str]]:
    return [[] for _ in texts]


def asked_for(request: Request) -> str:
    """Return the languages that a request asks for: the one of `?lang=`, or the browser's."""
    return request.query_params.get("lang") or request.headers.get("accept-language", "")


def chosen(accepted: str, languages: list[str]) -> str:
    """Return the language, of those that there are, that a header Accept-Language prefers; the first where it has none.

    >>> chosen("de;q=0.9, pt;q=0.8, *;q=0.1", ["en", "pt-BR"])
    'pt-BR'
    """
    weighed = []
    for part in accepted.split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            weighed.append((-float(weight or 1), tag))
        except ValueError:
            continue
    wanted = [tag for weight, tag in sorted(weighed, key=lambda one: one[0]) if weight < 0 and tag != "*"]
    near = [language for tag in wanted for language in languages if language.partition("-")[0] == tag]
    return negotiate_locale([*wanted, *near], languages, sep="-") or languages[0]


def shown_of(version: Version) -> Shown:
    """Return a version as its page shows it."""
    return Shown(version.number, version.identity, version.effective_at, version.promised)


def documents_of(register: Register, version: Version) -> dict[str, Document]:
    """Return the documents of a version, by language."""
    where = f"the document of version {version.number}"
    return {page.language: parse_document(page.text, where) for page in register.pages(version.number)}
