"""Tell bots from people by their user agents, and name them. `docs/decisions/0060-bots.md` has the measurements.

A bot is what names itself as one, what a list of bots knows, and what is sent by no browser. A pattern of a list that
is only a word inside a browser's user agent, such as the name of a phone, makes no bot of it.
"""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import NamedTuple

import msgspec
from crawleruseragents import CRAWLER_USER_AGENTS_DATA

UNNAMED_BOT = "unnamed"
"""The name of a bot without a known name. It may send an empty user agent, as no browser does."""

AGENTS_FILE = "known_agents.toml"


class AiAgent(NamedTuple):
    """Who operates an agent, and for what: `training`, `search` or `assistant`."""

    name: str
    operator: str
    purpose: str


class KnownAgents(msgspec.Struct, frozen=True):
    """The content of `known_agents.toml`."""

    ai: Mapping[str, Mapping[str, tuple[str, ...]]]
    programs: Mapping[str, tuple[str, ...]]


@cache
def _load_agents() -> KnownAgents:
    text = (resources.files("avowal.collect") / AGENTS_FILE).read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), KnownAgents)


@cache
def list_ai_agents() -> tuple[AiAgent, ...]:
    """Return the agents of AI systems that are known."""
    return tuple(
        AiAgent(name, operator, purpose)
        for operator, purposes in _load_agents().ai.items()
        for purpose, names in purposes.items()
        for name in names
    )


@cache
def list_programs() -> frozenset[str]:
    """Return the names of programs that fetch pages and are no browsers."""
    return frozenset(name for names in _load_agents().programs.values() for name in names)


LISTED_BOT_REGEX = "|".join(f"(?:{crawler['pattern']})" for crawler in CRAWLER_USER_AGENTS_DATA)
"""The list https://github.com/monperrus/crawler-user-agents of bots as one regular expression."""

_COMPLETE_BROWSER = re.compile(
    r"(?i)mozilla/[45]\.0 ?\(?.*(?:applewebkit/?[\d.+]* ?\(?khtml,? ?like gecko|\bgecko/\d|\) ?like gecko|trident/\d"
    r"|msie \d)|^opera/\d"
)
"""What a browser's user agent begins with, and the engine that it names."""

_DECLARATION = re.compile(
    r"(?i)https?:|www\.|[\w.]@[a-z][\w-]*\.[a-z]|like gecko; *[a-z]"
    r"|compatible;(?! *(?:msie|konqueror|u;|windows|googletoolbar))"
    r"|\b(?:google|bing|yahoo)-(?!toolbar)[a-z]"
)
"""How an agent that calls itself a browser names its operator, as no browser does."""

_ANDROID_DEVICE = re.compile(
    r"(?i)(\bandroid\b[^;)]*;(?: ?u;)?(?: ?[a-z]{2}[-_][a-z]{2,4};)?)[^;)]*|; ?build/[^;)]*|(?<=\()[^;()]*(?=; ?build/)"
)
"""The name of an Android device in a user agent. It may contain any word."""

_BOT_WORD = r"(?i:\b[\w.-]*(?:bots?|crawl(?:er|ers)?|spiders?|scan(?:ner)?|headless\w*)(?![a-z]))"
_APPLICATIONS = frozenset({r"Fluid", r"Code\/1\.", r"Trae\/", r"AP3A\.240617\.008", r"MetaIAB Facebook"})
"""Patterns of the list that name browsers inside applications, or a version of Android: people use these."""


@cache
def _evidence_regex() -> re.Pattern[str]:
    """Return what makes a bot of a complete browser's user agent.

    That is a word for bots, or a pattern of the list that the list itself shows in such a user agent. All other
    patterns are of bots that declare themselves, so in a browser's user agent they are words of something else.
    """
    known = rf"(?<![\w.-])(?:{'|'.join(map(re.escape, _list_own_names()))})(?=/\d|\)|$)"
    return re.compile("|".join([_BOT_WORD, known, *_list_shown_patterns()]))


@cache
def suspicion_regex() -> str:
    """Return a regular expression that matches at least what `_evidence_regex` does, for Rust, which is faster."""
    names = (f"(?:{re.escape(name)})" for name in _list_own_names())
    return "|".join(["(?i:bot|crawl|spider|scan|headless)", *names, *_list_shown_patterns()])


@cache
def _list_own_names() -> list[str]:
    return sorted(list_programs() | {agent.name for agent in list_ai_agents()})


@cache
def _list_shown_patterns() -> list[str]:
    return [
        f"(?:{crawler['pattern']})"
        for crawler in CRAWLER_USER_AGENTS_DATA
        if crawler["pattern"] not in _APPLICATIONS
        and any(_is_browser_agent(agent) for agent in crawler["instances"])
    ]


def _is_browser_agent(text: str) -> bool:
    return bool(_COMPLETE_BROWSER.search(text)) and not _DECLARATION.search(text)


def hide_device(text: str) -> str:
    """Return a browser's user agent without the name of its device, and any other text as it is."""
    return _ANDROID_DEVICE.sub(r"\1", text) if _is_browser_agent(text) else text


_DEVICE_WITHOUT_BROWSER = re.compile(
    r"MIDP|CLDC|WAP|(?i:up\.browser)|UP/\d|MAUI|Browser/Appl|PocketBook|DoCoMo|PalmOS|Palmscape|Xiino|jig browser|"
    r"Amiga|w3m|NetSurf|Mosaic|OpenHarmony|BREW|\bMTK\b|J2ME|SymbianOS|MeeGo|NetFront|Obigo|Teleca|Windows Phone|"
    r"(?i:smart-?tv|hbbtv|ce-html|netcast|web0s|webos|tizen|viera|aquos|bravia|appletv|roku|\bmaple\b|sraf|nettv|dlnadoc|"
    r"playstation|nintendo|xbox)|Opera.?Mini"
)
"""Feature phones, TV boxes, consoles, readers and text browsers, whose browsers have no known name."""


def is_bot(text: str, *, is_listed: bool, is_suspect: bool, is_spider: bool, browser: str | None) -> bool:
    """Return whether a user agent that was sent is a bot's.

    `is_listed` is whether `LISTED_BOT_REGEX` matches it, `is_suspect` whether `suspicion_regex` does, `is_spider`
    whether ua-parser calls its device a spider, and `browser` the known family of its browser.
    """
    if _is_browser_agent(text):
        return is_suspect and bool(_evidence_regex().search(hide_device(text)))
    if not text or is_listed or is_spider or browser in list_programs():
        return True
    if _COMPLETE_BROWSER.search(text) or (is_suspect and _own_names_regex().match(text)):
        return True  # it declares itself
    return browser is None and not _DEVICE_WITHOUT_BROWSER.search(text)


@cache
def _own_names_regex() -> re.Pattern[str]:
    names = [agent.name for agent in list_ai_agents()] + sorted(list_programs())
    longest_first = sorted(map(re.escape, names), key=len, reverse=True)
    return re.compile(rf"(?i)(?<![\w.-])(?:{'|'.join(longest_first)})(?![\w-])")


@cache
def _names_by_case() -> dict[str, str]:
    return {name.lower(): name for name in (*list_programs(), *(agent.name for agent in list_ai_agents()))}


@cache
def list_listed_names() -> list[tuple[re.Pattern[str], str]]:
    """Return the patterns of the list that have a name: what each matches in the bot's own user agent."""
    names = []
    for crawler in CRAWLER_USER_AGENTS_DATA:
        regex = re.compile(crawler["pattern"])
        match = next(filter(None, map(regex.search, crawler["instances"])), None)
        name = match[0] if match else re.sub(r"\\(.)", r"\1", crawler["pattern"])
        name = name.strip("/ ;()^$-+")
        if re.fullmatch(r"[\w.!:' -]{2,40}", name) and re.search("[A-Za-z]", name):
            names.append((regex, name))
    return names


def name_bot(text: str, family: str | None) -> str:
    """Return the name of a bot: one of the lists, never what it calls itself.

    `family` is the known name that ua-parser has for it.
    """
    matches = [_names_by_case()[match.lower()] for match in _own_names_regex().findall(text)]
    ai_names = {agent.name for agent in list_ai_agents()}
    if name := next((match for match in matches if match in ai_names), None):
        return name
    if matches and text.lower().startswith(matches[0].lower()):
        return matches[0]
    if family and "/" not in family and re.search("(?i)bot|spider|crawler|fetch", family):
        return family
    if name := next((name for regex, name in list_listed_names() if regex.search(text)), None):
        return name
    if matches:
        return matches[0]
    is_browser = bool(_COMPLETE_BROWSER.search(text))
    return family if family and "/" not in family and not is_browser else UNNAMED_BOT
