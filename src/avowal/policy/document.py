"""Documents: the prose of a version in one language, as Markdown with Jekyll front matter."""

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from avowal import strict
from avowal.errors import TermsError
from avowal.policy.terms import normalize_language_tag

_FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?\n)?---[ \t]*(?:\n|\Z)", re.DOTALL)
_UPDATED = re.compile(r"\b(?:last\s+)?updated(?: on)?:?\s+(\d{4}-\d\d-\d\d)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Document:
    """A document: its front matter, with all keys in order, and its Markdown.

    `text` is the file with its own line ends; in `body` they are line feeds.
    """

    text: str
    front_matter: dict[str, Any]
    body: str
    title: str
    language: str
    updated_on: date | None
    """The date of the last update that its text states."""

    @property
    def first_body_line(self) -> int:
        """The number of the line of `text` on which the body begins, counted from 1."""
        return self.text.count("\n") - self.body.count("\n") + 1


def load_document(path: Path) -> Document:
    """Load a document from a file.

    Raises TermsError if the file is missing, is not UTF-8, or is not a valid document.
    """
    return parse_document(strict.read_text(path, TermsError), str(path))


def parse_document(text: str, source_name: str) -> Document:
    """Parse the text of a document, which errors name by `source_name`. Raises TermsError if it is not valid."""
    normalized = text.replace("\r\n", "\n")
    front = _FRONT_MATTER.match(normalized)
    if front is None:
        raise TermsError(
            f"{source_name}: there is no front matter",
            "begin with lines `---`, `title: …`, `lang: …`, `---`",
            code="invalid-document",
        )
    front_matter, body = _parse_front_matter(source_name, front[1] or ""), normalized[front.end() :]
    title, language = front_matter.get("title"), front_matter.get("lang", "en")
    if not isinstance(title, str) or not title.strip():
        raise TermsError(
            f"{source_name}: the front matter has no `title`",
            "add a line such as `title: Privacy Policy`",
            code="invalid-document",
        )
    tag = normalize_language_tag(language) if isinstance(language, str) else ""
    if not tag:
        raise TermsError(
            f"{source_name}: `lang` is `{language}`, which is not a language tag",
            'use a tag such as `en` or `pt-BR`; what YAML takes for a boolean needs quotes: `lang: "no"`',
            code="invalid-document",
        )
    return Document(text, front_matter, body, title, tag, _find_update_date(source_name, body))


def normalize_text(text: str) -> str:
    """Return a text as it is compared with another: without what nobody sees.

    That is a byte order mark, the kind of line ends, blanks at the end of lines, and blank lines at its end.
    """
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).rstrip() + "\n"


def _parse_front_matter(source_name: str, text: str) -> dict[str, Any]:
    try:
        front_matter = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 2}" if mark else ""
        raise TermsError(
            f"{source_name}{place}: the front matter is not YAML",
            "write `key: value` lines",
            code="invalid-document",
        ) from None
    if not isinstance(front_matter, dict):
        raise TermsError(
            f"{source_name}: the front matter is not a mapping",
            "write `key: value` lines",
            code="invalid-document",
        )
    return front_matter


def _find_update_date(source_name: str, body: str) -> date | None:
    match = _UPDATED.search(body)
    try:
        return date.fromisoformat(match[1]) if match else None
    except ValueError:
        raise TermsError(
            f"{source_name}: `{match and match[1]}` is not a date",
            "write year, month and day: `2026-11-22`",
            code="invalid-document",
        ) from None
