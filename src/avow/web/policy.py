"""The policy in force, as a visitor sees it, in the language that the browser asks for."""

from dataclasses import dataclass, field
from datetime import datetime

from babel import negotiate_locale

from avow.clock import utc_now
from avow.keep.governing import in_force
from avow.keep.register import Register, Version
from avow.ledger.entry import hashed
from avow.policy.document import Document, parse_document
from avow.policy.page import Shown, html
from avow.policy.terms import parse_terms
from avow.policy.vocabulary import vocabulary
from avow.web.disclosures import page

PATH = "/disclosures"
"""Where the page is that tells what was released."""


@dataclass
class Policy:
    """Gives the page of the version in force; made once for each document."""

    register: Register
    _made: dict[tuple[int, str], str] = field(default_factory=dict)
    _told: dict[str, tuple[tuple[int, datetime], str]] = field(default_factory=dict)

    def page(self, accepted: str) -> tuple[str, str]:
        """Return the page and its language, for a header Accept-Language; empty where no version is in force."""
        versions = in_force(self.register.versions(), utc_now())
        if not versions:
            return "", ""
        documents = documents_of(self.register, versions[-1])
        language = chosen(accepted, list(documents))
        key = (len(versions), hashed(documents[language].text))
        if key not in self._made:
            terms = parse_terms(versions[-1].terms, "the terms in force")
            shown = [shown_of(version) for version in versions]
            made = html(shown[-1], documents[language], vocabulary(terms.vocabulary), shown, disclosures=PATH)
            self._made = {known: old for known, old in self._made.items() if known[0] == key[0]}
            self._made[key] = made
        return self._made[key], language

    def disclosures(self, accepted: str) -> tuple[str, str]:
        """Return the page that tells what was released, and its language; as `page` does."""
        versions = in_force(self.register.versions(), utc_now())
        if not versions:
            return "", ""
        terms = parse_terms(versions[-1].terms, "the terms in force")
        language = chosen(accepted, terms.languages)
        state = self.register.ledger.size(), utc_now().replace(second=0, microsecond=0)
        if self._told.get(language, (None, ""))[0] != state:  # a seal may end in any minute
            made = page(self.register, versions[-1].promised, terms.controller, language)
            self._told[language] = state, made
        return self._told[language][1], language


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
