"""The policy as files that any web server can serve."""

from collections.abc import Iterator
from datetime import datetime
from itertools import combinations

import msgspec

from avowal.policy.document import Document
from avowal.policy.history import render_changes, render_history
from avowal.policy.page import PageLinks, PageVersion, build_json_ld, render_policy_page
from avowal.policy.prose_check import ProseCheck
from avowal.policy.terms import Terms
from avowal.policy.vocabulary import load_vocabulary
from avowal.register.register import Register, Version
from avowal.web.disclosures import render_disclosures_page
from avowal.web.policy_pages import find_prose_check, parse_documents, to_page_version


def render_policy_files(register: Register, versions: list[Version], now: datetime) -> dict[str, str]:
    """Return the text of each file by its name: pages in each language, and the terms as JSON and JSON-LD.

    The last of `versions` is the one whose policy is written; the history shows all of them.
    """
    last = versions[-1]
    documents = {version.number: parse_documents(register, version) for version in versions}
    terms = last.terms
    vocabulary = load_vocabulary(terms.vocabulary)
    page_versions = [to_page_version(version) for version in versions]
    files = {
        f"disclosures.{language}.html": render_disclosures_page(register, terms.controller, language)
        for language in documents[last.number]
    }
    json_ld = msgspec.json.encode(build_json_ld(page_versions[-1], terms.controller, vocabulary))
    files["terms.json"] = last.canonical_terms
    files["terms.jsonld"] = msgspec.json.format(json_ld, indent=2).decode()
    for language in documents[last.number]:
        translations = {
            number: by_language[language]
            for number, by_language in documents.items()
            if language in by_language
        }
        check = find_prose_check(register, last, language)
        files |= _render_language(language, page_versions, translations, terms, now, check)
    return files


def _render_language(
    language: str,
    versions: list[PageVersion],
    documents: dict[int, Document],
    terms: Terms,
    now: datetime,
    prose_check: ProseCheck | None,
) -> Iterator[tuple[str, str]]:
    """Yield name and text of each file in one language; `documents` are those of the versions that have it."""
    last, document, history = versions[-1], documents[versions[-1].number], f"history.{language}.html"
    links = PageLinks(history, f"disclosures.{language}.html", "terms.json")
    yield (
        f"privacy.{language}.html",
        render_policy_page(
            last,
            document,
            load_vocabulary(terms.vocabulary),
            versions,
            links,
            prose_check=prose_check,
            terms=terms,
        ),
    )
    yield f"privacy.{language}.md", document.text
    change_files = {}
    for old, new in combinations(versions, 2):
        if {old.number, new.number} <= documents.keys():
            name = f"changes.{old.number}..{new.number}.{language}.html"
            change_files[old.number, new.number] = name
            pair = documents[old.number], documents[new.number]
            yield name, render_changes(old, new, pair, history)
    yield history, render_history(versions, document, change_files, now)
