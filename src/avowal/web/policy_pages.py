"""The policy's pages in the language that a visitor prefers."""

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
from avowal.policy.prose_check import ProseCheck
from avowal.policy.vocabulary import load_vocabulary
from avowal.register.register import Register, Version
from avowal.web.disclosures import render_disclosures_page
from avowal.web.policy_status import PolicyStatus, Topic, assign_topics
from avowal.web.syndication import VersionFeed, build_items, encode_feed

POLICY_PATH = "/privacy/"
DISCLOSURES_PATH = "/disclosures"
"""The path of the page that says how often data was disclosed."""

CACHED_CHARACTERS_MAX = 16 << 20
"""How much of rendered pages is cached. Where `site.host` is not set, feeds differ by the host that a client names."""


class RenderedPage(NamedTuple):
    """A page and its language; both are empty if there is no such page."""

    text: str = ""
    language: str = ""


NO_PAGE = RenderedPage()


class _LanguageVersion(NamedTuple):
    """A version in one of its languages."""

    versions: list[Version]
    """All versions up to this one."""
    documents: dict[str, Document]
    """Its documents, by language."""
    language: str

    @property
    def document(self) -> Document:
        return self.documents[self.language]


@dataclass
class PolicyPages:
    """Renders the policy's pages, and caches them until something changes.

    `accept_language` is a header Accept-Language or a language tag (BCP 47).
    """

    register: Register
    links: PageLinks
    """Links to the other pages; `canonical_url` is that of the site."""
    status: PolicyStatus
    _cache: dict[tuple[object, ...], str] = field(default_factory=dict)
    _cached_characters: int = 0
    _cache_state: tuple[int, datetime] = (0, datetime.min)

    def render_version(self, accept_language: str, number: int = 0) -> RenderedPage:
        """Return the page of a version; of the one in force for 0."""
        page = self._choose_language(accept_language, number)
        if page is None:
            return NO_PAGE
        path = f"{POLICY_PATH}versions/{number}" if number else POLICY_PATH

        def render() -> str:
            version = page.versions[-1]
            page_versions = [to_page_version(version) for version in page.versions]
            sentences = None if number else self.status.describe(page.versions, page.language, utc_now())
            return render_policy_page(
                page_versions[-1],
                page.document,
                load_vocabulary(version.terms.vocabulary),
                page_versions,
                self.links._replace(
                    canonical_url=self.links.canonical_url and f"{self.links.canonical_url}{path}",
                    translations=link_translations(path, page.documents),
                ),
                partial(_place_sentences, sentences or {}, page.documents),
                find_prose_check(self.register, version, page.language),
                version.terms,
            )

        return RenderedPage(self._cached(render, "page", number, page.language), page.language)

    def render_history(self, accept_language: str) -> RenderedPage:
        """Return the page of all versions, future ones included, with links to the changes between any two."""
        page = self._choose_language(accept_language)
        if page is None:
            return NO_PAGE
        language = page.language

        def render() -> str:
            versions = self.register.versions()
            translated = [
                version.number for version in versions if language in parse_documents(self.register, version)
            ]
            links = {
                (old, new): f"{POLICY_PATH}changes/{old}..{new}?lang={language}"
                for old, new in combinations(translated, 2)
            }
            page_versions = [to_page_version(version) for version in versions]
            return render_history(page_versions, page.document, links, utc_now())

        return RenderedPage(self._cached(render, "history", language), language)

    def render_changes(self, accept_language: str, first: int, second: int) -> RenderedPage:
        """Return the page of the changes between two versions, in a language that both have."""
        pair = [version for version in self.register.versions() if version.number in {first, second}]
        if first >= second or [version.number for version in pair] != [first, second]:
            return NO_PAGE
        old, new = (parse_documents(self.register, version) for version in pair)
        languages = [tag for tag in new if tag in old]
        if not languages:
            return NO_PAGE
        language = negotiate_language(accept_language, languages)

        def render() -> str:
            old_version, new_version = (to_page_version(version) for version in pair)
            history_url = f"{self.links.history_url}?lang={language}"
            return render_changes(old_version, new_version, (old[language], new[language]), history_url)

        return RenderedPage(self._cached(render, "changes", first, second, language), language)

    def render_disclosures(self, accept_language: str) -> RenderedPage:
        """Return the page that says how often data was disclosed."""
        version = self.find_version()
        if version is None:
            return NO_PAGE
        language = negotiate_language(accept_language, version.terms.languages)

        def render() -> str:
            return render_disclosures_page(self.register, version.terms.controller, language)

        return RenderedPage(self._cached(render, "disclosures", language), language)

    def render_feed(
        self, accept_language: str, media_type: str, home_url: str, feed_url: str
    ) -> RenderedPage:
        """Return a feed of all published versions; `home_url` is that of the policy, `feed_url` of the feed."""
        page = self._choose_language(accept_language)
        if page is None:
            return NO_PAGE
        language = page.language

        def render() -> str:
            items = build_items(self.register.versions(), self.register.notices.all(), language, home_url)
            feed = VersionFeed(page.document.title, home_url, feed_url, language, items)
            return encode_feed(media_type, feed).decode()

        return RenderedPage(self._cached(render, "feed", media_type, language, home_url), language)

    def languages(self) -> list[str]:
        """Return the languages of the version in force; none if there is no version."""
        version = self.find_version()
        return version.terms.languages if version else []

    def list_translations(self, path: str) -> list[tuple[str, str]]:
        """Return the language and path of each translation of a page."""
        return link_translations(path, self.languages())

    def find_version(self, number: int = 0) -> Version | None:
        """Return a published version, the one in force for 0; None if there is none."""
        versions = self._versions_up_to(number)
        return versions[-1] if versions else None

    def find_permalink_languages(self) -> dict[str, str]:
        """Return the language of each path that a document of the version in force names as its permalink."""
        version = self.find_version()
        documents = parse_documents(self.register, version) if version else {}
        permalinks = {tag: document.front_matter.get("permalink") for tag, document in documents.items()}
        return {f"/{path.strip('/')}": tag for tag, path in permalinks.items() if isinstance(path, str)}

    def _choose_language(self, accept_language: str, number: int = 0) -> _LanguageVersion | None:
        """Return a version, the one in force for 0, in the preferred language; None if there is none."""
        versions = self._versions_up_to(number)
        documents = parse_documents(self.register, versions[-1]) if versions else {}
        if not documents:
            return None
        return _LanguageVersion(versions, documents, negotiate_language(accept_language, list(documents)))

    def _versions_up_to(self, number: int) -> list[Version]:
        """Return the versions up to a published one, which may be a future one; up to the one in force for 0."""
        versions = self.register.versions()
        if not number:
            return effective_versions(versions, utc_now())
        return versions[:number] if 0 < number <= len(versions) else []

    def _cached(self, render: Callable[[], str], *key: object) -> str:
        """Return a page from the cache, which is emptied when the ledger grows and every minute: a seal may end."""
        state = self.register.ledger.count_entries(), utc_now().replace(second=0, microsecond=0)
        if state != self._cache_state or self._cached_characters > CACHED_CHARACTERS_MAX:
            self._cache, self._cached_characters, self._cache_state = {}, 0, state
        cache = self._cache
        if key not in cache:
            cache[key] = render()
            self._cached_characters += len(cache[key]) + sum(
                len(part) for part in key if isinstance(part, str)
            )
        return cache[key]


def link_translations(path: str, tags: Iterable[str]) -> list[tuple[str, str]]:
    """Return the language and path of each translation of a page."""
    return [(tag, f"{path}?lang={tag}") for tag in tags]


def _place_sentences(
    sentences_by_topic: Mapping[Topic, list[str]], documents: Mapping[str, Document], texts: Sequence[str]
) -> list[list[str]]:
    """Return the sentences to show beside each section of a document, from the texts of its sections.

    Topics are found in the English document; in another language, the same section gets them.
    """
    sentences: list[list[str]] = [[] for _ in texts]
    if not sentences_by_topic:
        return sentences
    english = next((document for tag, document in documents.items() if tag.partition("-")[0] == "en"), None)
    english_texts = [text for text, _ in render_sections(english)] if english else []
    indexes = assign_topics(english_texts if len(english_texts) == len(texts) else [""] * len(texts))
    for topic, topic_sentences in sentences_by_topic.items():
        sentences[indexes[topic]] += topic_sentences
    return sentences


def find_prose_check(register: Register, version: Version, language: str) -> ProseCheck | None:
    """Return what the comparison of the document of a version in a language found; None if that is not recorded."""
    checks = register.prose_checks(version.number)
    return next((check for check in checks if check.language == language), None)


def to_page_version(version: Version) -> PageVersion:
    """Return a version as its page shows it."""
    return PageVersion(
        version.number, version.identity, version.effective_at, version.compiled_terms, version.published_at
    )


def parse_documents(register: Register, version: Version) -> dict[str, Document]:
    """Return the documents of a version, by language."""
    source_name = f"the document of version {version.number}"
    return {
        page.language: parse_document(page.text, source_name) for page in register.documents(version.number)
    }
