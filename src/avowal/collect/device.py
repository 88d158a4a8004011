"""Parse user agents into browser, operating system, kind of device and bot; the user agent itself is not stored."""

import threading
from dataclasses import dataclass, field
from functools import cache, lru_cache

import polars as pl
from crawleruseragents import CRAWLER_USER_AGENTS_DATA
from ua_parser import Domain
from ua_parser.loaders import load_lazy_builtins
from ua_parser.regex import Resolver

from avowal.logs.distinct_values import index_distinct_values

CACHED_USER_AGENTS_MAX = 100_000
"""The most distinct user agents in the cache. If there are more, the cache is emptied."""

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

BOT_REGEX = "|".join(f"(?:{crawler['pattern']})" for crawler in CRAWLER_USER_AGENTS_DATA)
"""The list https://github.com/monperrus/crawler-user-agents of bots as one regular expression."""

UNNAMED_BOT = "unnamed"
"""The name of a bot without a known name. It may send an empty user agent, as no browser does."""


@dataclass
class DeviceParser:
    """Parses each distinct user agent once and caches the result, in memory only. Safe to use from several threads."""

    _cache: pl.DataFrame = field(default_factory=DEVICE_SCHEMA.to_frame)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add_device_columns(self, requests: pl.DataFrame) -> pl.DataFrame:
        """Add the columns of `DEVICE_SCHEMA` to `requests`, by its `user_agent`."""
        texts, indexes = index_distinct_values(requests["user_agent"])
        distinct = texts.to_frame("user_agent")
        with self._lock:  # only one thread parses the user agents that are new to all
            new = distinct.join(self._cache, on="user_agent", how="anti")
            if len(self._cache) + len(new) > CACHED_USER_AGENTS_MAX:
                self._cache, new = DEVICE_SCHEMA.to_frame(), distinct
            self._cache = cache = pl.concat([self._cache, parse_user_agents(new["user_agent"])])
        devices = distinct.join(cache, on="user_agent", how="left", maintain_order="left").drop("user_agent")
        return requests.hstack(devices.select(pl.all().gather(indexes)))


def parse_user_agents(user_agents: pl.Series) -> pl.DataFrame:
    """Parse user agents. Returns one row of `DEVICE_SCHEMA` for each, in the same order."""
    is_bot = user_agents.str.contains(BOT_REGEX)
    rows = [_parse_row(text, bot) for text, bot in zip(user_agents, is_bot, strict=True)]
    return pl.DataFrame(rows, schema=DEVICE_SCHEMA, orient="row")


@cache
def _create_resolver() -> Resolver:
    return Resolver(load_lazy_builtins())


CACHED_ROWS_MAX = 20_000
"""The most user agents that `parse_user_agent` caches, in memory only."""


@lru_cache(CACHED_ROWS_MAX)
def parse_user_agent(user_agent: str) -> tuple[str | None, ...]:
    """Return the row of `DEVICE_SCHEMA` of one user agent."""
    return parse_user_agents(pl.Series("user_agent", [user_agent], dtype=pl.String)).row(0)


def _parse_row(text: str, is_bot: bool) -> tuple[str | None, ...]:
    match = _create_resolver()(text, Domain.ALL)
    browser, system, device = match.user_agent, match.os, match.device
    family = device.family if device else ""
    if is_bot or family == "Spider" or not text:
        return text, None, None, None, None, None, browser.family if browser else UNNAMED_BOT
    return (
        text,
        browser.family if browser else None,
        browser.major if browser else None,
        system.family if system else None,
        _join_version(system.major, system.minor) if system else None,
        find_device_kind(text, system.family if system else ""),
        None,
    )


def _join_version(major: str | None, minor: str | None) -> str | None:
    return f"{major}.{minor}" if major and minor and minor != "0" else major


def find_device_kind(user_agent: str, system: str) -> str | None:
    """Return `desktop`, `phone`, `tablet`, `tv`, or None if the user agent does not say."""
    if "iPad" in user_agent or "Tablet" in user_agent or (system == "Android" and "Mobile" not in user_agent):
        return "tv" if "TV" in user_agent else "tablet"
    if "TV" in user_agent:
        return "tv"
    if "Mobi" in user_agent or system in {"iOS", "Android", "Windows Phone", "KaiOS"}:
        return "phone"
    if (
        system.startswith(("Windows", "Mac", "Linux", "Ubuntu", "Fedora", "Debian", "Chrome OS"))
        or "BSD" in system
    ):
        return "desktop"
    return None
