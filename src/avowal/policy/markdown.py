"""Renders the sections of a document as HTML."""

from functools import cache
from typing import TYPE_CHECKING, Any

from avowal.policy.document import Document

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token


def render_sections(document: Document) -> list[tuple[str, str]]:
    """Return the plain text and the HTML of each section; headings of the first two levels begin sections."""
    markdown, environment = _markdown(), dict[str, Any]()
    groups: list[list[Token]] = [[]]
    for token in markdown.parse(document.body, environment):
        if token.type == "heading_open" and token.level == 0 and token.tag in {"h1", "h2"} and groups[-1]:
            groups.append([])
        groups[-1].append(token)
    return [
        (
            "\n".join(token.content for token in group if token.type == "inline"),
            str(markdown.renderer.render(group, markdown.options, environment)),
        )
        for group in groups
    ]


@cache
def _markdown() -> "MarkdownIt":
    from markdown_it import (
        MarkdownIt,
    )  # imported with the first page: it would slow down the start of every command

    return MarkdownIt("commonmark", {"html": False})
