"""Feeds of versions: Atom (RFC 4287), RSS 2.0 and JSON Feed 1.1, for whoever wants to be told what changes."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from html import escape
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, SubElement, tostring

import msgspec

from avowal.policy.language import find_language
from avowal.register.notices import Notice
from avowal.register.register import Version

ATOM, RSS, JSON = "application/atom+xml", "application/rss+xml", "application/feed+json"
FEED_FILE_NAMES = {ATOM: "feed.atom", RSS: "feed.rss", JSON: "feed.json"}
"""What each is called below the policy's pages."""


class FeedItem(NamedTuple):
    """A version, as a feed tells of it. Times are UTC."""

    url: str
    title: str
    content_html: str
    """HTML."""
    published_at: datetime


class VersionFeed(NamedTuple):
    """A feed, which is at one place and tells of what is at another."""

    title: str
    home_url: str
    feed_url: str
    language: str
    items: Sequence[FeedItem]


def build_items(
    versions: Sequence[Version], notices: Sequence[Notice], language_tag: str, home_url: str
) -> list[FeedItem]:
    """Return the versions that were published, the newest first, with the words of their notices in a language."""
    worded = {notice.version: notice for notice in notices if notice.language == language_tag}
    spoken = find_language(language_tag)
    return [
        FeedItem(
            f"{home_url}versions/{one.number}",
            spoken.translate(
                "Version {number}, in force from {day}.",
                number=one.number,
                day=spoken.format_day(one.effective_at.date()),
            ),
            _content(worded.get(one.number), language_tag),
            one.published_at,
        )
        for one in reversed(versions)
    ]


def encode_feed(media_type: str, feed: VersionFeed) -> bytes:
    """Return a feed as one of the three."""
    writers: dict[str, Callable[[VersionFeed], bytes]] = {ATOM: _atom, RSS: _rss, JSON: _json}
    return writers[media_type](feed)


def _content(notice: Notice | None, tag: str) -> str:
    say, told = find_language(tag).translate, list[str]()
    if notice is None:
        return ""
    told.append(f"<p>{escape(say('Beside the one before: {relation}.', relation=notice.relation))}</p>")
    for heading, sentences in (
        (say("Only for what is collected from then on:"), notice.looser),
        (say("Also for what was collected before:"), notice.stricter),
    ):
        if sentences:
            points = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
            told.append(f"<p>{escape(heading)}</p><ul>{points}</ul>")
    return "".join(told)


def _atom(feed: VersionFeed) -> bytes:
    root = Element("feed", {"xmlns": "http://www.w3.org/2005/Atom", "xml:lang": feed.language})
    _texts(root, id=feed.home_url, title=feed.title, updated=_told(feed.items[0].published_at))
    SubElement(SubElement(root, "author"), "name").text = feed.title
    SubElement(root, "link", {"rel": "self", "href": feed.feed_url, "type": ATOM})
    SubElement(root, "link", {"rel": "alternate", "href": feed.home_url, "type": "text/html"})
    for one in feed.items:
        entry = SubElement(root, "entry")
        at = _told(one.published_at)
        _texts(entry, id=one.url, title=one.title, published=at, updated=at)
        SubElement(entry, "link", {"rel": "alternate", "href": one.url})
        SubElement(entry, "content", {"type": "html"}).text = one.content_html or escape(one.title)
    return bytes(tostring(root, "utf-8", xml_declaration=True))


def _rss(feed: VersionFeed) -> bytes:
    root = Element("rss", {"version": "2.0", "xmlns:atom": "http://www.w3.org/2005/Atom"})
    channel = SubElement(root, "channel")
    _texts(channel, title=feed.title, link=feed.home_url, description=feed.title, language=feed.language)
    SubElement(channel, "atom:link", {"rel": "self", "href": feed.feed_url, "type": RSS})
    for one in feed.items:
        item = SubElement(channel, "item")
        at = format_datetime(one.published_at.replace(tzinfo=UTC, microsecond=0), usegmt=True)
        _texts(item, title=one.title, link=one.url, guid=one.url, pubDate=at, description=one.content_html)
    return bytes(tostring(root, "utf-8", xml_declaration=True))


def _json(feed: VersionFeed) -> bytes:
    told: dict[str, Any] = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": feed.title,
        "home_page_url": feed.home_url,
        "feed_url": feed.feed_url,
        "language": feed.language,
        "items": [
            {
                "id": one.url,
                "url": one.url,
                "title": one.title,
                "content_html": one.content_html,
                "date_published": _told(one.published_at),
            }
            for one in feed.items
        ],
    }
    return msgspec.json.encode(told)


def _texts(parent: Element, **told: str) -> None:
    for name, text in told.items():
        SubElement(parent, name).text = text


def _told(at: datetime) -> str:
    return f"{at.replace(microsecond=0).isoformat()}Z"
