"""Bots and people told apart by their user agents. Agents are of our own making unless every client sends them so."""

import pytest

from avowal.collect.bots import LISTED_BOT_REGEX, list_ai_agents, list_programs
from avowal.collect.device import parse_user_agent

CHROME = "Mozilla/5.0 ({}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 {}Safari/537.36"
WINDOWS = CHROME.format("Windows NT 10.0; Win64; x64", "")
WORDS = (
    "Sogou",
    "Viber",
    "Sonic",
    "Butterfly",
    "Fever",
    "Expanse",
    "Fluid",
    "TS1008/1.0",
    "ViewSonic",
    "M bot 54",
    "Trove",
)
"""Patterns of the list of bots, or words with one inside, that are names of phones and applications."""


def find_bot(agent: str) -> str | None:
    return parse_user_agent(agent)[-1]


@pytest.mark.parametrize("word", WORDS)
def test_a_word_in_a_browser_makes_no_bot(word: str) -> None:
    """The name of a device or an application is no bot, though a bot may have it."""
    device = CHROME.format(f"Linux; Android 15; {word} Build/AP3A.240617.008; wv", "Mobile ")
    _, browser, _, system, _, kind, bot = parse_user_agent(device)
    assert (browser, system, kind, bot) == ("Chrome Mobile WebView", "Android", "phone", None)
    assert find_bot(CHROME.format(f"Linux; U; Android 9; en-us; {word}", "")) is None


@pytest.mark.parametrize(
    "agent",
    [
        CHROME.format("Linux; Android 15; CPH2557 Build/AP3A.240617.008; wv", "Mobile "),
        f"{WINDOWS} SogouMSE,SogouMobileBrowser/5.6.2",
        f"{WINDOWS} Viber/27.4.0.0",
        CHROME.format("Windows NT 10.0; Win64; x64", "").replace(") Chrome", ") Code/1.61.2 Chrome").replace(" Safari", " Electron/13.1 Safari"),
        "Mozilla/5.0 (Macintosh; U; Intel Mac OS X 10_5_6; en-us) AppleWebKit/528.16 (KHTML, like Gecko) Fluid/0.9.6 Safari/528.16",
        "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; Banca Caboto; rv:11.0) like Gecko",
        CHROME.format("Linux; Android 10; K", "Mobile ") + " (Ecosia android@131.0.0.0)",
        CHROME.format("Linux; Android 13; XY Build/TP1A; wv", "Mobile ") + " YandexSearch/7.53 YandexSearchBrowser/7.53",
        "Mozilla/5.0 (SMART-TV; Linux; Tizen 2.3) AppleWebkit/538.1 (KHTML, like Gecko) SamsungBrowser/1.0 TV Safari/538.1",
        "Mozilla/5.0 (QSP; Roku; AP; 6.2.80.2752)",
        "NexianNX-G868T/MTK Release/10.1.2009 Browser/MAUI Profile/MIDP-2.0Configuration/CLDC-1.0",
        "SonyEricssonW100i/1.0 Browser/1.0 Profile/MIDP-2.0 Configuration/CLDC-1.1",
        "w3m/0.5.3",
        "Mozilla/5.0 (PlayStation 4 3.11) AppleWebKit/537.73 (KHTML, like Gecko)",
    ],
)  # fmt: skip
def test_browsers_are_people(agent: str) -> None:
    """Browsers inside applications, of TV boxes, consoles and feature phones are people's."""
    assert find_bot(agent) is None


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("ELB-HealthChecker/2.0", "ELB-HealthChecker"),
        ("kube-probe/1.29", "kube-probe"),
        ("GoogleHC/1.0", "GoogleHC"),
        ("Amazon-Route53-Health-Check-Service (ref 1; report http://amzn.to/1vsZADi)", "Amazon-Route53-Health-Check-Service"),
        ("Prometheus/2.45.0", "Prometheus"),
        ("GuzzleHttp/7", "GuzzleHttp"),
        ("undici", "undici"),
        ("node", "node"),
        ("Deno/1.40.2", "Deno"),
        ("reqwest/0.11.2", "reqwest"),
        ("PostmanRuntime/7.32.1", "PostmanRuntime"),
        ("aws-sdk-go/1.44.2 (go1.20; linux; amd64)", "aws-sdk-go"),
        ("FeedFetcher-Google; (+http://www.google.com/feedfetcher.html)", "FeedFetcher-Google"),
        ("Tiny Tiny RSS/23.06 (https://tt-rss.org/)", "Tiny Tiny RSS"),
        ("Statping", "Statping"),
        ("Mozilla/5.0", "unnamed"),
        ("anything that no browser sends", "unnamed"),
        ("secret-token-abc123-crawler", "unnamed"),
        (f"{WINDOWS} secret-token-abc123-crawler/2.0", "unnamed"),
        (f"{WINDOWS} (+https://fetcher.example/about)", "unnamed"),
        (CHROME.format("X11; Linux x86_64", "").replace(" Chrome", " HeadlessChrome"), "HeadlessChrome"),
        ("Sogou web spider/4.0(+http://www.sogou.com/docs/help/webmasters.htm#07)", "Sogou web spider"),
        (f"{WINDOWS} Chrome-Lighthouse", "Chrome-Lighthouse"),
        ("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; ChatGPT-User/1.0; +https://openai.com/bot", "ChatGPT-User"),
    ],
)  # fmt: skip
def test_what_is_no_browser_is_a_bot(agent: str, name: str) -> None:
    """Monitors, libraries, readers of feeds and everything unknown are bots, under the name of a list or none."""
    assert find_bot(agent) == name


@pytest.mark.parametrize("agent", list_ai_agents())
def test_agents_of_ai_systems_have_their_name(agent: tuple[str, str, str]) -> None:
    """However an agent writes itself, it is known by its name, and nothing else of it is kept."""
    name, operator, purpose = agent
    assert operator
    assert purpose in {"training", "search", "assistant"}
    assert find_bot(f"{name}/1.1 (+https://agents.example/{name})") == name
    assert (
        find_bot(
            f"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; {name}/1.0; +x@agents.example)"
        )
        == name
    )
    assert find_bot(f"{WINDOWS} {name}/1.0") == name


@pytest.mark.parametrize("name", sorted(list_programs()))
def test_programs_are_bots(name: str) -> None:
    """A program of the table is a bot, alone and with a version."""
    assert find_bot(name)
    assert find_bot(f"{name}/3.2.1")


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("SM-G991B", "phone"),
        ("CPH2557", "phone"),
        ("SM-X200", "tablet"),
        ("Lenovo TAB 2", "tablet"),
        ("AFTMM", "tv"),
    ],
)
def test_an_android_application_has_the_kind_of_its_device(model: str, kind: str) -> None:
    """Applications do not say `Mobile`; their model tells a tablet, and all others are phones."""
    assert parse_user_agent(f"Dalvik/2.1.0 (Linux; U; Android 13; {model} Build/TP1A)")[5] == kind


def test_the_list_of_bots_is_one_expression() -> None:
    """The patterns of crawler-user-agents are there."""
    assert "Googlebot" in LISTED_BOT_REGEX
