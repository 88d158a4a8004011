"""Feeds of the policy's versions: Atom (RFC 4287), RSS 2.0 and JSON Feed 1.1."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from html import escape
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, SubElement, tostring

import msgspec

from avowal.policy.language import Language, find_language
from avowal.register.notices import Notice
from avowal.register.register import Version

ATOM, RSS, JSON = "application/atom+xml", "application/rss+xml", "application/feed+json"
FEED_FILE_NAMES = {ATOM: "feed.atom", RSS: "feed.rss", JSON: "feed.json"}
"""The file name of each format below `/privacy/`."""


class FeedItem(NamedTuple):
    """A version as an item of a feed. Times are UTC."""

    url: str
    title: str
    content_html: str
    published_at: datetime


class VersionFeed(NamedTuple):
    """A feed at `feed_url` about what is at `home_url`."""

    title: str
    home_url: str
    feed_url: str
    language: str
    items: Sequence[FeedItem]


def build_items(
    versions: Sequence[Version], notices: Sequence[Notice], language_tag: str, home_url: str
) -> list[FeedItem]:
    """Return the published versions, the newest first, with the texts of their notices in a language."""
    notices_by_version = {notice.version: notice for notice in notices if notice.language == language_tag}
    language = find_language(language_tag)
    return [
        FeedItem(
            f"{home_url}versions/{version.number}",
            language.translate(
                "Version {number}, in force from {day}.",
                number=version.number,
                day=language.format_day(version.effective_at.date()),
            ),
            _render_content(notices_by_version.get(version.number), language),
            version.published_at,
        )
        for version in reversed(versions)
    ]


def encode_feed(media_type: str, feed: VersionFeed) -> bytes:
    """Return a feed in the format of a media type, one of `FEED_FILE_NAMES`."""
    writers: dict[str, Callable[[VersionFeed], bytes]] = {ATOM: _atom, RSS: _rss, JSON: _json}
    return writers[media_type](feed)


def _render_content(notice: Notice | None, language: Language) -> str:
    """Return what a notice says of its version as HTML; empty without a notice."""
    say = language.translate
    if notice is None:
        return ""
    parts = [f"<p>{escape(say('Beside the one before: {relation}.', relation=notice.relation))}</p>"]
    for heading, sentences in (
        (say("Only for what is collected from then on:"), notice.looser),
        (say("Also for what was collected before:"), notice.stricter),
    ):
        if sentences:
            points = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
            parts.append(f"<p>{escape(heading)}</p><ul>{points}</ul>")
    return "".join(parts)


def _atom(feed: VersionFeed) -> bytes:
    root = Element("feed", {"xmlns": "http://www.w3.org/2005/Atom", "xml:lang": feed.language})
    _add_texts(root, id=feed.home_url, title=feed.title, updated=_format_time(feed.items[0].published_at))
    SubElement(SubElement(root, "author"), "name").text = feed.title
    SubElement(root, "link", {"rel": "self", "href": feed.feed_url, "type": ATOM})
    SubElement(root, "link", {"rel": "alternate", "href": feed.home_url, "type": "text/html"})
    for item in feed.items:
        entry = SubElement(root, "entry")
        at = _format_time(item.published_at)
        _add_texts(entry, id=item.url, title=item.title, published=at, updated=at)
        SubElement(entry, "link", {"rel": "alternate", "href": item.url})
        SubElement(entry, "content", {"type": "html"}).text = item.content_html or escape(item.title)
    return bytes(tostring(root, "utf-8", xml_declaration=True))


def _rss(feed: VersionFeed) -> bytes:
    root = Element("rss", {"version": "2.0", "xmlns:atom": "http://www.w3.org/2005/Atom"})
    channel = SubElement(root, "channel")
    _add_texts(channel, title=feed.title, link=feed.home_url, description=feed.title, language=feed.language)
    SubElement(channel, "atom:link", {"rel": "self", "href": feed.feed_url, "type": RSS})
    for item in feed.items:
        element = SubElement(channel, "item")
        published = format_datetime(item.published_at.replace(tzinfo=UTC, microsecond=0), usegmt=True)
        _add_texts(
            element,
            title=item.title,
            link=item.url,
            guid=item.url,
            pubDate=published,
            description=item.content_html,
        )
    return bytes(tostring(root, "utf-8", xml_declaration=True))


def _json(feed: VersionFeed) -> bytes:
    content: dict[str, Any] = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": feed.title,
        "home_page_url": feed.home_url,
        "feed_url": feed.feed_url,
        "language": feed.language,
        "items": [
            {
                "id": item.url,
                "url": item.url,
                "title": item.title,
                "content_html": item.content_html,
                "date_published": _format_time(item.published_at),
            }
            for item in feed.items
        ],
    }
    return msgspec.json.encode(content)


def _add_texts(parent: Element, **texts: str) -> None:
    """Add an element with a text for each keyword."""
    for name, text in texts.items():
        SubElement(parent, name).text = text


def _format_time(time: datetime) -> str:
    return f"{time.replace(microsecond=0).isoformat()}Z"
