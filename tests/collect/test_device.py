"""Parsing of user agents."""

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avowal.collect import device
from avowal.collect.bots import UNNAMED_BOT, list_ai_agents, list_listed_names, list_programs
from avowal.collect.device import DeviceParser, parse_user_agent
from support.agent_names import NAMES_FILE, list_names

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.2 Mobile/15E148 Safari/604.1"
)
TABLET = "Mozilla/5.0 (Linux; Android 12; SM-X200) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/118.0.0.0 Safari/537.36"


def parse_devices(user_agents: list[str | None]) -> list[tuple[object, ...]]:
    frame = pl.DataFrame({"user_agent": user_agents}, schema={"user_agent": pl.String})
    return DeviceParser().add_device_columns(frame).drop("user_agent").rows()


@pytest.mark.parametrize(
    ("user_agent", "expected"),
    [
        (CHROME, ("Chrome", "120", "Windows", "10", "desktop", None)),
        (PHONE, ("Mobile Safari", "17", "iOS", "17.2", "phone", None)),
        (TABLET, ("Chrome", "118", "Android", "12", "tablet", None)),
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",
            ("Firefox", "115", "Linux", None, "desktop", None),
        ),
        (
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            (None, None, None, None, None, "Googlebot"),
        ),
        ("curl/8.5.0", (None, None, None, None, None, "curl")),
        ("", (None, None, None, None, None, "unnamed")),
        ("something-private-nobody-knows", (None, None, None, None, None, "unnamed")),
    ],
)
def test_a_user_agent_is_parsed(user_agent: str, expected: tuple[str | None, ...]) -> None:
    """Browser, operating system, versions, device and bot are recognised; unknown values are null."""
    assert parse_devices([user_agent]) == [expected]


def test_a_missing_user_agent_is_not_a_bot() -> None:
    """A log without user agents has no bots."""
    assert parse_devices([None]) == [(None,) * 6]


def test_rows_keep_their_order_when_the_cache_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows keep their order if there are more user agents than the cache holds."""
    monkeypatch.setattr(device, "CACHED_BYTES_MAX", 500)
    devices = DeviceParser()
    for start in range(0, 6, 3):
        agents = [
            f"Mozilla/5.0 (X11; Linux x86_64; rv:{version}.0) Gecko/20100101 Firefox/{version}.0"
            for version in range(100 + start, 103 + start)
        ]
        frame = pl.DataFrame({"user_agent": [*agents, agents[0]]})
        versions = devices.add_device_columns(frame)["browser_version"].to_list()
        assert versions == [str(100 + start), str(101 + start), str(102 + start), str(100 + start)]


TOKEN = "s3cr3t-t0k3n-abc123"  # noqa: S105  # of nobody


@pytest.mark.parametrize(
    "user_agent",
    [
        f"{TOKEN}-crawler",
        f"{TOKEN}bot/1.0",
        f"Mozilla/5.0 (compatible; {TOKEN}Bot/2.1; +https://bots.example/)",
        f"{TOKEN} spider 1.0",
        f"{TOKEN}/1.0 CFNetwork/1485 Darwin/23.1.0",
        f"{TOKEN}-iPhone/7 CFNetwork/1485 Darwin/23.1.0",
        f"HbbTV/1.1.1 (; {TOKEN} ;x 2013 y)",
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/20261130123456",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 20261130123456_5 like Mac OS X) Version/20261130123456.1 Safari/604.1",
        f"Googlebot/{TOKEN}",
    ],
)
def test_nothing_is_taken_as_it_stands_in_a_user_agent(user_agent: str) -> None:
    """No name and no version holds what a sender writes into a user agent."""
    _, *values = parse_user_agent(user_agent)
    text = " ".join(filter(None, values))
    assert not any(part in text for part in (TOKEN, "s3cr3t", "abc123", "20261130123456", "2026")), values


@given(
    st.text(max_size=80),
    st.sampled_from(["", "Mozilla/5.0 (", " CFNetwork/1 Darwin/2", "bot/1", " Windows NT ", "; Android "]),
)
def test_names_are_known_ones(before: str, after: str) -> None:
    """Of any text, a browser, an operating system and a bot have a name of the lists, or none."""
    names = msgspec.json.decode(NAMES_FILE.read_bytes())
    _, browser, browser_version, system, system_version, _, bot = parse_user_agent(before + after)
    assert browser in {None, *names["browsers"]}
    listed = {name for _, name in list_listed_names()}
    own = {*list_programs(), *(agent.name for agent in list_ai_agents())}
    assert bot in {None, UNNAMED_BOT, *names["browsers"], *listed, *own}
    assert system in {None, *names["operating_systems"]}
    assert len(browser_version or "") <= 6
    assert len(system_version or "") <= 11


def test_the_known_names_are_those_of_the_lists() -> None:
    """The file of names is made of the lists that are installed: `python tests/support/agent_names.py` makes it anew."""
    assert NAMES_FILE.read_bytes() == list_names()


def test_the_caches_of_user_agents_are_bounded_in_bytes() -> None:
    """Many long user agents, of which only the beginning counts, take no more than the caches may hold."""
    long_agents = [f"Mozilla/5.0 {number} {'x' * 60_000}" for number in range(300)]
    for agent in long_agents:
        device.parse_user_agent(agent)
    assert 0 < device._parse_one.size_bytes <= device.CACHED_ROWS_BYTES_MAX
    assert all(len(text) <= device.USER_AGENT_CHARACTERS_MAX for text in device._parse_one._results)
    devices = DeviceParser()
    frame = devices.add_device_columns(pl.DataFrame({"user_agent": [*long_agents, long_agents[0]]}))
    assert frame["user_agent"].to_list() == [*long_agents, long_agents[0]]
    assert devices._cache.estimated_size() < 2 * len(long_agents) * device.USER_AGENT_CHARACTERS_MAX
