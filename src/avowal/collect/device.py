"""Parse user agents into browser, operating system, kind of device and bot; the user agent itself is not stored.

Nothing is taken from a user agent as it stands there, because its sender can write anything there: a name is one of the
lists of known names, and a version is a short number.
"""

import re
import threading
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

import msgspec
import polars as pl
from ua_parser import Domain
from ua_parser.loaders import load_lazy_builtins
from ua_parser.regex import Resolver

from avowal.collect.bots import LISTED_BOT_REGEX, hide_device, is_bot, name_bot, suspicion_regex
from avowal.collect.bounded_cache import bounded_cache
from avowal.logs.distinct_values import index_distinct_values

USER_AGENT_CHARACTERS_MAX = 1_024
"""How much of a user agent is parsed: no browser sends a longer one, and the time grows with the length."""

CACHED_BYTES_MAX = 32 << 20
"""The size of the cache of a `DeviceParser`. Beyond that, the cache is emptied."""

DEVICE_SCHEMA = pl.Schema(
    {
        "user_agent": pl.String,
        "browser": pl.String,
        "browser_version": pl.String,
        "operating_system": pl.String,
        "operating_system_version": pl.String,
        "device_kind": pl.String,
        "bot": pl.String,
    }
)
"""The columns of a parsed user agent. `bot` is the name of a bot, or null for a person. Null means not known.

Versions are shortened to what reports need (browser: major; operating system: major and minor), because complete ones
identify people.
"""

_VERSION_PART = re.compile(r"[0-9]{1,4}|3\.1|CE|ME|NT(?: 4\.0)?|RT(?: 8)?|Vista|XP")
"""A part of a version: a number too short to tell people apart, or one of those of Windows."""

NAMES_FILE = "agent_names.json"


class KnownNames(msgspec.Struct, frozen=True):
    """The names that the lists of user agents know, of browsers and bots, and of operating systems.

    `tests/support/agent_names.py` makes the file of them from ua-parser's rules and crawler-user-agents.
    """

    browsers: frozenset[str]
    operating_systems: frozenset[str]


@cache
def _load_known_names() -> KnownNames:
    data = (resources.files("avowal.collect") / NAMES_FILE).read_bytes()
    return msgspec.json.decode(data, type=KnownNames)


@dataclass
class DeviceParser:
    """Parses each distinct user agent once and caches the result, in memory only. Safe to use from several threads."""

    _cache: pl.DataFrame = field(default_factory=DEVICE_SCHEMA.to_frame)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add_device_columns(self, requests: pl.DataFrame) -> pl.DataFrame:
        """Add the columns of `DEVICE_SCHEMA` to `requests`, by its `user_agent`."""
        texts, indexes = index_distinct_values(requests["user_agent"])
        distinct = texts.str.slice(0, USER_AGENT_CHARACTERS_MAX).to_frame("user_agent")
        with self._lock:  # only one thread parses the user agents that are new to all
            new = distinct.unique().join(self._cache, on="user_agent", how="anti")
            if self._cache.estimated_size() + new.estimated_size() > CACHED_BYTES_MAX:
                self._cache, new = DEVICE_SCHEMA.to_frame(), distinct.unique()
            self._cache = cache = pl.concat([self._cache, parse_user_agents(new["user_agent"])])
        devices = distinct.join(cache, on="user_agent", how="left", maintain_order="left").drop("user_agent")
        return requests.hstack(devices.select(pl.all().gather(indexes)))


def parse_user_agents(user_agents: pl.Series) -> pl.DataFrame:
    """Parse user agents. Returns one row of `DEVICE_SCHEMA` for each, in the same order."""
    is_listed = user_agents.str.contains(LISTED_BOT_REGEX)
    is_suspect = user_agents.str.contains(suspicion_regex())
    rows = [_parse_row(*row) for row in zip(user_agents, is_listed, is_suspect, strict=True)]
    return pl.DataFrame(rows, schema=DEVICE_SCHEMA, orient="row")


@cache
def _create_resolver() -> Resolver:
    return Resolver(load_lazy_builtins())


CACHED_ROWS_BYTES_MAX = 8 << 20
"""The size of the cache of `parse_user_agent`, which is in memory only."""


def parse_user_agent(user_agent: str) -> tuple[str | None, ...]:
    """Return the row of `DEVICE_SCHEMA` of one user agent, of which only the beginning counts."""
    return _parse_one(user_agent[:USER_AGENT_CHARACTERS_MAX])


@bounded_cache(CACHED_ROWS_BYTES_MAX)
def _parse_one(user_agent: str) -> tuple[str | None, ...]:
    return parse_user_agents(pl.Series("user_agent", [user_agent], dtype=pl.String)).row(0)


def _parse_row(text: str, is_listed: bool, is_suspect: bool) -> tuple[str | None, ...]:
    match = _create_resolver()(hide_device(text), Domain.ALL)
    browser, system, device = match.user_agent, match.os, match.device
    names = _load_known_names()
    is_known_browser = browser is not None and browser.family in names.browsers
    family = browser.family if browser and is_known_browser else None
    is_spider = device is not None and device.family == "Spider"
    if is_bot(text, is_listed=is_listed, is_suspect=is_suspect, is_spider=is_spider, browser=family):
        return text, None, None, None, None, None, name_bot(text, family)
    is_known_system = system is not None and system.family in names.operating_systems
    return (
        text,
        family,
        _join_version(browser.major) if browser and is_known_browser else None,
        system.family if system and is_known_system else None,
        _join_version(system.major, system.minor) if system and is_known_system else None,
        find_device_kind(text, system.family if system else ""),
        None,
    )


def _join_version(major: str | None, minor: str | None = None) -> str | None:
    """Return a version of its parts, as far as they are known ones."""
    if major is None or not _VERSION_PART.fullmatch(major):
        return None
    return f"{major}.{minor}" if minor and minor != "0" and _VERSION_PART.fullmatch(minor) else major


_TABLET_MODEL = re.compile(
    r"\b(?:SM-[TXP]\d|GT-P\d|KF[A-Z]{3,4}\b|Nexus (?:7|9|10)\b)|(?i:\btab\b|\b\w*pad\b|tablet)"
)
"""Models of tablets, for user agents that do not say it otherwise."""

_TV_MODEL = re.compile(r"TV|\bAFT[A-Z]|BRAVIA|Chromecast")


def find_device_kind(user_agent: str, system: str) -> str | None:
    """Return `desktop`, `phone`, `tablet`, `tv`, or None if the user agent does not say."""
    is_application = user_agent.startswith("Dalvik/")  # which does not say `Mobile`, so its model has to tell
    if _TV_MODEL.search(user_agent):
        return "tv"
    is_tablet = bool(_TABLET_MODEL.search(user_agent)) if is_application else "Mobile" not in user_agent
    if "iPad" in user_agent or "Tablet" in user_agent or (system == "Android" and is_tablet):
        return "tablet"
    if "Mobi" in user_agent or system in {"iOS", "Android", "Windows Phone", "KaiOS"}:
        return "phone"
    if (
        system.startswith(("Windows", "Mac", "Linux", "Ubuntu", "Fedora", "Debian", "Chrome OS"))
        or "BSD" in system
    ):
        return "desktop"
    return None
