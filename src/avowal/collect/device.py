"""Browser, operating system, kind of device, and whether a robot: what is kept instead of the user agent."""

import threading
from dataclasses import dataclass, field
from functools import cache

import polars as pl
from crawleruseragents import CRAWLER_USER_AGENTS_DATA
from ua_parser import Domain
from ua_parser.loaders import load_lazy_builtins
from ua_parser.regex import Resolver

from avowal.logs.distinct_values import index_distinct_values

KNOWN_MAX = 100_000
"""How many distinct user agents are remembered; beyond it, what is known is learned anew."""

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
"""What one user agent says: `bot` is the robot's name, or null for a person; null is what it does not say.

Versions are cut to what a report can use (browser: major; operating system: major and minor): whole ones tell
people apart.
"""

BOT_REGEX = "|".join(f"(?:{crawler['pattern']})" for crawler in CRAWLER_USER_AGENTS_DATA)
"""The community's list of robots, https://github.com/monperrus/crawler-user-agents, as one regular expression."""

UNNAMED_BOT = "unnamed"
"""A robot that gives no name known; it may send an empty user agent, as no browser does."""


@dataclass
class DeviceParser:
    """What was learned of user agents; each distinct one is looked at once. Lives in memory only."""

    _known: pl.DataFrame = field(default_factory=DEVICE_SCHEMA.to_frame)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def add_device_columns(self, requests: pl.DataFrame) -> pl.DataFrame:
        """Add the columns of DEVICE to `requests`, by its `user_agent`."""
        texts, place = index_distinct_values(requests["user_agent"])
        distinct = texts.to_frame("user_agent")
        with self._turn:  # of several threads, one learns what is new to all of them
            new = distinct.join(self._known, on="user_agent", how="anti")
            if len(self._known) + len(new) > KNOWN_MAX:
                self._known, new = DEVICE_SCHEMA.to_frame(), distinct
            self._known = known = pl.concat([self._known, parse_user_agents(new["user_agent"])])
        told = distinct.join(known, on="user_agent", how="left", maintain_order="left").drop("user_agent")
        return requests.hstack(told.select(pl.all().gather(place)))


def parse_user_agents(user_agents: pl.Series) -> pl.DataFrame:
    """Read each user agent; returns a row for each, of the schema DEVICE, in the same order."""
    robots = user_agents.str.contains(BOT_REGEX)
    rows = [_read(text, robot) for text, robot in zip(user_agents, robots, strict=True)]
    return pl.DataFrame(rows, schema=DEVICE_SCHEMA, orient="row")


@cache
def _resolver() -> Resolver:
    return Resolver(load_lazy_builtins())


def _read(text: str, robot: bool) -> tuple[str | None, ...]:
    found = _resolver()(text, Domain.ALL)
    browser, system, device = found.user_agent, found.os, found.device
    family = device.family if device else ""
    if robot or family == "Spider" or not text:
        return text, None, None, None, None, None, browser.family if browser else UNNAMED_BOT
    return (
        text,
        browser.family if browser else None,
        browser.major if browser else None,
        system.family if system else None,
        _joined(system.major, system.minor) if system else None,
        find_device_kind(text, system.family if system else ""),
        None,
    )


def _joined(major: str | None, minor: str | None) -> str | None:
    return f"{major}.{minor}" if major and minor and minor != "0" else major


def find_device_kind(user_agent: str, system: str) -> str | None:
    """Return `desktop`, `phone`, `tablet`, `tv`, or None where the user agent does not say."""
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
