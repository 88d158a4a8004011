"""References of a document to its terms, such as `{keep:ip-address.full}`, and their rendering (`docs/terms.md`).

A reference is one pair of braces, so that it is no tag of Liquid. The rendered text is hashed, stored and shown.
A reference that is alone on its line and stands for several things is rendered as a list, others within the sentence.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from avowal import strict
from avowal.errors import TermsError
from avowal.policy.about import legal_basis_of
from avowal.policy.bounds import OPERATOR, OWN_USE, CompiledTerms
from avowal.policy.document import Document
from avowal.policy.labels import (
    describe_transfer,
    find_label,
    join_labels,
    join_phrases,
    lower_first,
    name_country,
)
from avowal.policy.language import Language, find_language, list_language_tags
from avowal.policy.terms import CookieRule, Terms, compile_terms
from avowal.policy.vocabulary import FULL_PRECISION, load_vocabulary
from avowal.policy.written_age import find_disclosed_age, find_kept_age, format_written_age

REFERENCE = re.compile(r"(?P<escape>\\)?(?<![{%])\{(?P<name>[a-z][a-z-]*)(?::(?P<word>[^\s{}]+))?\}(?!\})")
"""A reference. With a backslash before it, it is text."""

LABEL_NAMES = frozenset({"categories", "recipients", "grounds"})
"""References whose values are labels that begin with a capital where they stand alone."""

VERBATIM_NAMES = frozenset({"controller", "contact", "updated"})
"""References whose values need no translation."""


class ReferenceValue(NamedTuple):
    """What a reference stands for: one text, or several that are joined or listed."""

    texts: list[str]
    is_sentence: bool = False
    """Whether each text is a sentence of its own, which is never joined with others."""


class RenderedDocument(NamedTuple):
    """A document with its references filled in."""

    document: Document
    reference_count: int


@dataclass(frozen=True)
class _Source:
    terms: Terms
    compiled: CompiledTerms
    language: Language


def render_document(document: Document, terms: Terms) -> RenderedDocument:
    """Return a document with every reference replaced by what the terms say.

    Raises TermsError with the line of a reference that names nothing in the terms.
    """
    source = _Source(terms, compile_terms(terms), find_language(document.language))
    count = 0

    def render(match: re.Match[str], line: int, *, is_block: bool) -> str:
        nonlocal count
        if match["escape"]:
            return match[0][1:]
        place = f"the document in `{document.language}`, line {line}"
        value = _find_value(source, match, place, document.language)
        count += 1
        if is_block and (value.is_sentence or len(value.texts) > 1):
            return "\n".join(f"- {text}" for text in value.texts) if len(value.texts) > 1 else value.texts[0]
        if value.is_sentence:
            return " ".join(value.texts)
        texts = [lower_first(text) for text in value.texts] if match["name"] in LABEL_NAMES else value.texts
        return join_phrases(texts, source.language)

    lines = []
    for number, line in enumerate(document.body.split("\n"), document.first_body_line):
        alone = REFERENCE.fullmatch(line.strip())
        if alone:
            lines.append(render(alone, number, is_block=True))
        else:
            lines.append(REFERENCE.sub(lambda match, at=number: render(match, at, is_block=False), line))  # type: ignore[misc]
    body = "\n".join(lines)
    head = document.text.replace("\r\n", "\n")
    head = head[: len(head) - len(document.body)]
    return RenderedDocument(replace(document, text=head + body, body=body), count)


def _find_value(source: _Source, match: re.Match[str], place: str, tag: str) -> ReferenceValue:
    name, word = match["name"], match["word"] or ""
    needs_word, find = REFERENCES.get(name, (None, None))
    if find is None:
        raise TermsError(
            f"{place}: `{match[0]}` is not a reference to the terms",
            strict.suggest_nearest(name, list(REFERENCES), "references")
            + "; write a backslash before a brace that is text",
            code="unknown-reference",
        )
    if needs_word is True and not word:
        raise TermsError(
            f"{place}: `{match[0]}` names no word of the terms",
            f"add one, as in `{{{name}:{EXAMPLES[name]}}}`",
            code="unknown-reference",
        )
    if needs_word is False and word:
        raise TermsError(
            f"{place}: `{match[0]}` names a word, and `{name}` takes none",
            f"write `{{{name}}}`",
            code="unknown-reference",
        )
    if name not in VERBATIM_NAMES and source.language.tag.partition("-")[0] != tag.partition("-")[0]:
        raise TermsError(
            f"{place}: `{match[0]}` cannot be rendered in `{tag}`",
            f"references are rendered in {', '.join(list_language_tags())}; write the words yourself",
            code="unknown-reference",
        )
    value = find(source, word)
    if not value.texts and not word and name in LABEL_NAMES | {"purposes"}:
        return ReferenceValue([source.language.translate("none")])
    if not any(value.texts):
        raise TermsError(
            f"{place}: `{match[0]}` names nothing in the terms",
            f"{_hint(source, name)}, or take the sentence away",
            code="unknown-reference",
        )
    return value


def _hint(source: _Source, name: str) -> str:
    if name in {"keep", "purposes"}:
        return f"name one of {', '.join(source.compiled.collected_categories) or 'the collected categories'}"
    return HINTS.get(name, "declare it in the terms")


def _keep(source: _Source, word: str) -> ReferenceValue:
    category, _, precision = word.partition(".")
    age = find_kept_age(source.terms, category, precision or FULL_PRECISION)
    return ReferenceValue([format_written_age(age, source.language)] if age else [])


def _disclose(source: _Source, word: str) -> ReferenceValue:
    recipient, _, precision = word.partition(".")
    age = find_disclosed_age(source.terms, recipient, precision or FULL_PRECISION)
    return ReferenceValue([format_written_age(age, source.language)] if age else [])


def _in_order(source: _Source, kind: str, words: Iterable[str]) -> list[str]:
    """Return words in the order of the vocabulary."""
    known = load_vocabulary(source.terms.vocabulary)
    return [name for name in getattr(known, kind) if name in set(words)]


def _labels(source: _Source, kind: str, plural: str, words: Iterable[str]) -> ReferenceValue:
    ordered = _in_order(source, plural, words)
    return ReferenceValue([find_label(kind, word, source.language) for word in ordered])


def _categories(source: _Source, word: str) -> ReferenceValue:
    collected = source.compiled.collected_categories
    found = [name for name in collected if not word or word in source.compiled.collection_purposes(name)]
    return _labels(source, "category", "categories", found)


def _purposes(source: _Source, word: str) -> ReferenceValue:
    categories = [word] if word else source.compiled.collected_categories
    purposes = {purpose for name in categories for purpose in source.compiled.collection_purposes(name)}
    return _labels(source, "purpose", "purposes", purposes)


def _recipients(source: _Source, word: str) -> ReferenceValue:
    recipients = {
        cell.recipient
        for cell in source.compiled.cells
        if cell.recipient != OPERATOR and not cell.cookie_name and word in {"", cell.category}
    }
    return _labels(source, "recipient", "recipients", recipients)


def _grounds(source: _Source, word: str) -> ReferenceValue:
    grounds = {
        cell.ground
        for cell in source.compiled.cells
        if cell.ground != OWN_USE and word in {"", cell.recipient}
    }
    return _labels(source, "ground", "grounds", grounds)


def _cookies(source: _Source, _: str) -> ReferenceValue:
    set_cookies = [cookie for cookie in source.terms.cookies if cookie.basis != "never"]
    if not set_cookies:
        return ReferenceValue([source.language.translate("This website sets no cookies.")], is_sentence=True)
    return ReferenceValue([_describe_cookie(source, cookie) for cookie in set_cookies], is_sentence=True)


def _describe_cookie(source: _Source, cookie: CookieRule) -> str:
    language = source.language
    words = load_vocabulary(source.terms.vocabulary)
    purposes = {leaf for word in cookie.purposes for leaf in words.expand("purposes", word)}
    values = {
        "name": f"`{cookie.name}`",
        "purposes": join_labels("purpose", _in_order(source, "purposes", purposes), language),
        "age": format_written_age(cookie.max_age, language),
        "basis": find_label("cookie-basis", cookie.basis, language),
    }
    if cookie.party == "first":
        return language.translate("{name}: set by us, to {purposes}; kept: {age}; {basis}.", **values)
    return language.translate(
        "{name}: set by another company, to {purposes}; kept: {age}; {basis}.", **values
    )


def _cookie(source: _Source, word: str) -> ReferenceValue:
    ages = [cookie.max_age for cookie in source.terms.cookies if cookie.name == word]
    return ReferenceValue([format_written_age(age, source.language) for age in ages])


def _notice_days(source: _Source, _: str) -> ReferenceValue:
    days = source.terms.duties.notice_days
    return ReferenceValue([format_written_age(f"{days} days", source.language)] if days else [])


def _smallest_group(source: _Source, _: str) -> ReferenceValue:
    visitors = source.terms.duties.smallest_group
    text = source.language.translate_count("{n} visitor", "{n} visitors", visitors)
    return ReferenceValue([text] if visitors > 1 else [])


def _basis(source: _Source, word: str) -> ReferenceValue:
    basis = legal_basis_of(source.compiled.duties, word)
    return ReferenceValue([find_label("legal-basis", basis, source.language)] if basis else [])


def _places(source: _Source, _: str) -> ReferenceValue:
    return ReferenceValue([name_country(code, source.language) for code in source.terms.about.places])


def _transfers(source: _Source, _: str) -> ReferenceValue:
    transfers = source.terms.about.transfers
    return ReferenceValue([describe_transfer(transfer, source.language) for transfer in transfers])


def _rights(source: _Source, _: str) -> ReferenceValue:
    rights = [name for name in RIGHTS if source.compiled.duties.get(name)]
    return ReferenceValue([find_label("right", name, source.language) for name in rights], is_sentence=True)


RIGHTS = (
    "may-see",
    "may-correct",
    "may-erase",
    "may-restrict",
    "may-object",
    "may-receive",
    "may-refuse-cookies",
)
"""The duties that are rights of visitors, in the order in which they are listed."""

REFERENCES: Mapping[str, tuple[bool | None, Callable[[_Source, str], ReferenceValue]]] = {
    "controller": (False, lambda source, _: ReferenceValue([source.terms.controller])),
    "contact": (False, lambda source, _: ReferenceValue([source.terms.contact])),
    "updated": (
        False,
        lambda source, _: ReferenceValue([source.language.format_day(source.terms.updated_on)]),
    ),
    "keep": (True, _keep),
    "categories": (None, _categories),
    "purposes": (None, _purposes),
    "recipients": (None, _recipients),
    "grounds": (None, _grounds),
    "disclose": (True, _disclose),
    "cookies": (False, _cookies),
    "cookie": (True, _cookie),
    "notice-days": (False, _notice_days),
    "smallest-group": (False, _smallest_group),
    "rights": (False, _rights),
    "basis": (True, _basis),
    "places": (False, _places),
    "transfers": (False, _transfers),
    "complaints": (False, lambda source, _: ReferenceValue([source.terms.about.complaints])),
    "representative": (False, lambda source, _: ReferenceValue([source.terms.about.representative])),
    "data-protection-officer": (
        False,
        lambda source, _: ReferenceValue([source.terms.about.data_protection_officer]),
    ),
}
"""Each reference: whether it takes a word (None: it may), and what it stands for."""

EXAMPLES = {"keep": "ip-address.full", "disclose": "authority", "cookie": "NAME", "basis": "content"}
HINTS = {
    "disclose": "name a recipient of a [[disclose]]",
    "recipients": "declare a [[disclose]]",
    "grounds": "declare a [[disclose]] and its [[ground]]",
    "cookie": "name a [[cookie]]",
    "notice-days": "declare `notice-days` in [duties]",
    "smallest-group": "declare a `smallest-group` above 1 in [duties]",
    "rights": "declare rights in [duties]",
    "basis": "declare the purpose in [legal-basis]",
    "places": "declare `places` in [about]",
    "transfers": "declare `transfers` in [about]",
    "complaints": "declare `complaints` in [about]",
    "representative": "declare `representative` in [about]",
    "data-protection-officer": "declare `data-protection-officer` in [about]",
}
