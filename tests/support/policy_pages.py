"""A version of the default policy, and a parser of pages."""

from datetime import datetime
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import msgspec

from avowal.policy.document import Document, parse_document
from avowal.policy.page import PageVersion
from avowal.policy.terms import compile_terms, load_terms

DEFAULTS = Path(str(resources.files("avowal.policy") / "examples" / "unless-refused"))
"""The folder of the policy that comes with Avowal."""
TERMS = load_terms(DEFAULTS / "terms.toml")
SHOWN_VERSION = PageVersion(3, "a" * 64, datetime(2026, 11, 22), compile_terms(TERMS))  # noqa: DTZ001  # UTC without a zone
"""The version that pages show."""
_LONGER = TERMS.collect_rules[0].max_ages | {"full": "9 days"}
LOOSER_VERSION = SHOWN_VERSION._replace(
    number=2,
    bounds=compile_terms(
        msgspec.structs.replace(
            TERMS,
            collect_rules=[
                msgspec.structs.replace(TERMS.collect_rules[0], max_ages=_LONGER),
                *TERMS.collect_rules[1:],
            ],
        )
    ),
)
"""The version before it, which keeps addresses longer."""


class PageReader(HTMLParser):
    """The text, tags and links of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.tags, self.open = "", list[str](), list[str]()
        self.loaded: list[str | None] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record a tag and its links."""
        self.tags.append(tag)
        if tag not in {"meta", "br", "hr", "link", "img"}:
            self.open.append(tag)
        self.loaded += [value for name, value in attrs if name in {"src", "href", "srcset"}]

    def handle_endtag(self, tag: str) -> None:
        """Assert that tags are closed in order."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Collect the text that is shown."""
        self.text += "" if "style" in self.open else data


def prose_document(body: str, language: str = "en") -> Document:
    """Return a document with front matter and this prose."""
    return parse_document(f"---\ntitle: A policy\nlang: {language}\n---\n{body}", "a document")
