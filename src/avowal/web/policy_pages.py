"""The policy's pages, as visitors see them, in the language that the browser asks for."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import combinations
from typing import NamedTuple

from avowal.clock import utc_now
from avowal.http.language_choice import negotiate_language
from avowal.keep.enforcement import effective_versions
from avowal.policy.document import Document, parse_document
from avowal.policy.history import render_changes, render_history
from avowal.policy.markdown import render_sections
from avowal.policy.page import PageLinks, PageVersion, render_policy_page
from avowal.policy.terms import parse_terms
from avowal.policy.vocabulary import load_vocabulary
from avowal.register.register import Register, Version
from avowal.web.disclosures import render_disclosures_page as disclosures
from avowal.web.policy_status import PolicyStatus, assign_topics
from avowal.web.syndication import VersionFeed, build_items, encode_feed

POLICY_PATH = "/privacy/"
DISCLOSURES_PATH = "/disclosures"
"""Where the page is that tells what was released."""

CACHED_PAGES_MAX = 256
"""How many pages are remembered."""


class RenderedPage(NamedTuple):
    """A page, and its language; both are empty where there is none."""

    text: str = ""
    language: str = ""


NO_PAGE = RenderedPage()


@dataclass
class PolicyPages:
    """Makes the pages of the policy, each in the language that is asked for first, once for what they are made of.

    `asked` is a header Accept-Language, or one tag (BCP 47).
    """

    register: Register
    links: PageLinks
    """Where everything else is; of a page itself its place is added."""
    status: PolicyStatus
    _made: dict[tuple[object, ...], str] = field(default_factory=dict)
    _state: tuple[int, datetime] = (0, datetime.min)

    def render_version(self, accept_language: str, number: int = 0) -> RenderedPage:
        """Return the page of a version; of the one in force for 0."""
        versions, documents, language = self._found(accept_language, number)
        if not documents:
            return NO_PAGE
        place = f"{POLICY_PATH}versions/{number}" if number else POLICY_PATH

        def made() -> str:
            words = load_vocabulary(parse_terms(versions[-1].terms_text, "the terms").vocabulary)
            shown = [to_page_version(version) for version in versions]
            links = self.links._replace(
                canonical_url=self.links.canonical_url and f"{self.links.canonical_url}{place}",
                translations=link_translations(place, documents),
            )
            facts = None if number else self.status.describe(versions, language, utc_now())
            told = partial(self._beside, facts, documents) if facts else _nothing
            return render_policy_page(shown[-1], documents[language], words, shown, links, told)

        return RenderedPage(self._once(made, "page", number, language), language)

    def render_history(self, accept_language: str) -> RenderedPage:
        """Return the page of all versions, also of those to come, with links to what differs between any two."""
        _, documents, language = self._found(accept_language)
        if not documents:
            return NO_PAGE

        def made() -> str:
            versions = self.register.versions()
            with_it = [one for one in versions if language in load_documents(self.register, one)]
            pairs = {
                (
                    one.number,
                    other.number,
                ): f"{POLICY_PATH}changes/{one.number}..{other.number}?lang={language}"
                for one, other in combinations(with_it, 2)
            }
            return render_history(
                [to_page_version(one) for one in versions], documents[language], pairs, utc_now()
            )

        return RenderedPage(self._once(made, "history", language), language)

    def render_changes(self, accept_language: str, first: int, second: int) -> RenderedPage:
        """Return the page of what differs between two versions, in a language that both have."""
        pair = [one for one in self.register.versions() if one.number in {first, second}]
        if first >= second or [one.number for one in pair] != [first, second]:
            return NO_PAGE
        old, new = (load_documents(self.register, one) for one in pair)
        both = [tag for tag in new if tag in old]
        if not both:
            return NO_PAGE
        language = negotiate_language(accept_language, both)

        def made() -> str:
            shown = [to_page_version(one) for one in pair]
            index = f"{self.links.history_url}?lang={language}"
            return render_changes(shown[0], shown[1], (old[language], new[language]), index)

        return RenderedPage(self._once(made, "changes", first, second, language), language)

    def render_disclosures(self, accept_language: str) -> RenderedPage:
        """Return the page that tells what was released."""
        versions = self._versions()
        if not versions:
            return NO_PAGE
        terms = parse_terms(versions[-1].terms_text, "the terms in force")
        language = negotiate_language(accept_language, terms.languages)

        def made() -> str:
            return disclosures(self.register, versions[-1].compiled_terms, terms.controller, language)

        return RenderedPage(self._once(made, "disclosures", language), language)

    def render_feed(
        self, accept_language: str, media_type: str, home_url: str, feed_url: str
    ) -> RenderedPage:
        """Return a feed of all versions that were published; `home` and `place` are where these and it are."""
        _, documents, language = self._found(accept_language)
        if not documents:
            return NO_PAGE

        def made() -> str:
            told = build_items(self.register.versions(), self.register.notices.all(), language, home_url)
            return encode_feed(
                media_type, VersionFeed(documents[language].title, home_url, feed_url, language, told)
            ).decode()

        return RenderedPage(self._once(made, "feed", media_type, language, home_url), language)

    def languages(self) -> list[str]:
        """Return the languages of the version in force; none where there is no version."""
        version = self.find_version()
        return parse_terms(version.terms_text, "the terms in force").languages if version else []

    def list_translations(self, path: str) -> list[tuple[str, str]]:
        """Return where a page is in each language."""
        return link_translations(path, self.languages())

    def find_version(self, number: int = 0) -> Version | None:
        """Return a version that was published, the one in force for 0; None where there is none."""
        versions = self._versions(number)
        return versions[-1] if versions else None

    def find_permalink_languages(self) -> dict[str, str]:
        """Return the language of each place that the documents in force name as theirs."""
        _, documents, _ = self._found("")
        told = {tag: one.front_matter.get("permalink") for tag, one in documents.items()}
        return {f"/{place.strip('/')}": tag for tag, place in told.items() if isinstance(place, str)}

    def _beside(
        self, facts: Mapping[str, list[str]], documents: Mapping[str, Document], texts: Sequence[str]
    ) -> list[list[str]]:
        """Return what is told beside each section; in another language where it stands beside the English one."""
        english = next((one for tag, one in documents.items() if tag.partition("-")[0] == "en"), None)
        known = [text for text, _ in render_sections(english)] if english else []
        places = assign_topics(known if len(known) == len(texts) else [""] * len(texts))
        told: list[list[str]] = [[] for _ in texts]
        for about, sentences in facts.items():
            told[places[about]] += sentences
        return told

    def _found(self, asked: str, number: int = 0) -> tuple[list[Version], dict[str, Document], str]:
        """Return versions up to the one that is asked for, its documents, and the one of their languages."""
        versions = self._versions(number)
        documents = load_documents(self.register, versions[-1]) if versions else {}
        return versions, documents, negotiate_language(asked, list(documents)) if documents else ""

    def _versions(self, number: int = 0) -> list[Version]:
        """Return the versions that have taken effect; those up to one that was published, which may be to come."""
        versions = self.register.versions()
        if not number:
            return effective_versions(versions, utc_now())
        return versions[:number] if 0 < number <= len(versions) else []

    def _once(self, make: Callable[[], str], *key: object) -> str:
        """Return a page as it was made, unless anything was recorded since, or a minute began: a seal may end."""
        state = self.register.ledger.count_entries(), utc_now().replace(second=0, microsecond=0)
        if state != self._state or len(self._made) > CACHED_PAGES_MAX:
            self._made, self._state = {}, state
        made = self._made
        if key not in made:
            made[key] = make()
        return made[key]


def link_translations(path: str, tags: Iterable[str]) -> list[tuple[str, str]]:
    """Return where a page is in each language."""
    return [(tag, f"{path}?lang={tag}") for tag in tags]


def _nothing(texts: Sequence[str]) -> list[list[str]]:
    return [[] for _ in texts]


def to_page_version(version: Version) -> PageVersion:
    """Return a version as its page shows it."""
    return PageVersion(version.number, version.identity, version.effective_at, version.compiled_terms)


def load_documents(register: Register, version: Version) -> dict[str, Document]:
    """Return the documents of a version, by language."""
    where = f"the document of version {version.number}"
    return {page.language: parse_document(page.text, where) for page in register.documents(version.number)}
