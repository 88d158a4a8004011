"""Make an access log of a site that never was: visits that come and go, robots, scripts and pictures, a little damage.

Addresses are those set aside for documentation (RFC 5737, RFC 3849), hosts are under example.org. The same arguments
make the same log, byte for byte.

    python examples/generate.py --lines 20000 --days 7 access.log
"""

import argparse
import heapq
import math
import random
import sys
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import TextIO

ROBOTS = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    "curl/8.5.0",
    "python-requests/2.32.3",
)
SOURCES = (
    ("-", 45),
    ("https://www.google.com/", 30),
    ("https://duckduckgo.com/", 6),
    ("https://www.bing.com/", 5),
    ("https://news.example.net/item?id=4711", 6),
    ("https://forum.example.com/threads/privacy", 4),
    ("android-app://com.google.android.gm/", 4),
)
SUBJECTS = [
    "guide",
    "notes",
    "changes",
    "tutorial",
    "reference",
    "story",
    "report",
    "answer",
    "recipe",
    "review",
]
SITE = "https://www.example.org"
VISIT_REQUESTS = 7.04
"""How many requests a visit makes on average: tells how far apart visits are, so that the log ends when it should."""


def user_agents(chance: random.Random, count: int) -> list[str]:
    """Return `count` distinct user agents of browsers, in about the shares seen on the web."""
    agents: set[str] = set()
    while len(agents) < count:
        major, build, patch = chance.randrange(90, 140), chance.randrange(4000, 7000), chance.randrange(200)
        chrome = f"AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{major}.0.{build}.{patch}"
        ios = f"{chance.randrange(14, 19)}_{chance.randrange(7)}"
        safari = f"AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{ios.replace('_', '.')}"
        agents.add(
            chance.choices(
                (
                    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {chrome} Safari/537.36",
                    f"Mozilla/5.0 (Linux; Android {chance.randrange(9, 16)}; K) {chrome} Mobile Safari/537.36",
                    f"Mozilla/5.0 (iPhone; CPU iPhone OS {ios} like Mac OS X) {safari} Mobile/15E{patch} Safari/604.1",
                    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_{patch % 8}) {safari} Safari/605.1.15",
                    f"Mozilla/5.0 (X11; Linux x86_64; rv:{major}.0) Gecko/20100101 Firefox/{major}.{patch % 5}",
                    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {chrome} Safari/537.36 Edg/{major}.0.{build}.{patch}",
                ),
                (38, 26, 18, 7, 5, 6),
            )[0]
        )
    return sorted(agents)


def address(chance: random.Random) -> str:
    """Return an address of a documentation range: two of three are IPv4."""
    if chance.random() < 2 / 3:
        return f"{chance.choice(('192.0.2', '198.51.100', '203.0.113'))}.{chance.randrange(256)}"
    network = f"{chance.randrange(0x10000):x}:{chance.randrange(0x10000):x}"
    return f"2001:db8:{network}::{chance.randrange(1, 0x10000):x}"


@dataclass
class Zipf:
    """Draws from a list in which the n-th is drawn as often as 1/n."""

    choices: list[str]
    weights: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self.weights = list(accumulate(1 / rank for rank in range(1, len(self.choices) + 1)))

    def draw(self, chance: random.Random) -> str:
        """Return one of the choices."""
        return self.choices[bisect(self.weights, chance.random() * self.weights[-1])]


@dataclass(order=True)
class Request:
    """One line to be."""

    moment: float
    number: int
    client: str = field(compare=False)
    target: str = field(compare=False)
    status: int = field(compare=False)
    size: int = field(compare=False)
    referrer: str = field(compare=False)
    agent: str = field(compare=False)


@dataclass
class Site:
    """A site with its pages, visitors and robots."""

    chance: random.Random
    bots: float
    pages: Zipf = field(init=False)
    agents: list[str] = field(init=False)
    made: int = 0

    def __post_init__(self) -> None:
        chance = self.chance
        titles = [f"/{chance.choice(SUBJECTS)}/{chance.choice(SUBJECTS)}-{number}/" for number in range(4000)]
        self.pages = Zipf(["/", *titles])
        self.agents = user_agents(chance, 4000)

    def visit(self, start: float) -> Iterator[Request]:
        """Make the requests of one visit, or of one robot's round."""
        chance = self.chance
        client = address(chance)
        if chance.random() < self.bots * 4:  # a robot's round is about a quarter of a visit's requests
            yield from self._round(start, client)
            return
        agent = chance.choice(self.agents)
        referrer = chance.choices([site for site, _ in SOURCES], [share for _, share in SOURCES])[0]
        moment = start
        while True:
            page = self.pages.draw(chance)
            if chance.random() < 0.01:
                page = f"{page}old"
            query = (
                f"?q={chance.choice(SUBJECTS)}&page={chance.randrange(9)}" if chance.random() < 0.05 else ""
            )
            status = (
                404 if page.endswith("old") else chance.choices((200, 304, 301, 500), (93, 4, 2.7, 0.3))[0]
            )
            yield self._request(moment, client, page + query, status, referrer, agent)
            here = SITE + page
            for part in range(chance.randrange(1, 5)):
                ending = ("css", "js", "png", "woff2", "jpg")[part]
                target = f"/assets/{ending}/{chance.randrange(40)}.{ending}"
                yield self._request(moment + chance.random(), client, target, 200, here, agent)
            if chance.random() < 0.04:
                target = f"/files/{chance.choice(SUBJECTS)}-{chance.randrange(30)}.pdf"
                yield self._request(moment + chance.uniform(2, 60), client, target, 200, here, agent)
            if chance.random() < 0.42:
                return
            moment += min(chance.lognormvariate(3.6, 1.1), 4000)
            referrer = here

    def _round(self, start: float, client: str) -> Iterator[Request]:
        agent, moment = self.chance.choice(ROBOTS), start
        for _ in range(self.chance.randrange(1, 4)):
            status = 404 if self.chance.random() < 0.2 else 200
            yield self._request(moment, client, self.pages.draw(self.chance), status, "-", agent)
            moment += self.chance.uniform(1, 20)

    def _request(
        self, moment: float, client: str, target: str, status: int, referrer: str, agent: str
    ) -> Request:
        self.made += 1
        size = 0 if status == 304 else int(self.chance.lognormvariate(9, 1.2))
        return Request(moment, self.made, client, target, status, size, referrer, agent)


def requests(chance: random.Random, lines: int, start: float, end: float, bots: float) -> Iterator[Request]:
    """Make `lines` requests in the order of time, more of them by day than by night."""
    site, waiting = Site(chance, bots), list[Request]()
    arrival, given = start, 0
    while given < lines:
        by_day = 1 + 0.7 * math.sin((arrival / 86400 - 0.35) * 2 * math.pi)
        mean_gap = max(end - arrival, 1) / max((lines - site.made) / VISIT_REQUESTS, 1)
        arrival += chance.expovariate(1) * mean_gap / by_day
        for request in site.visit(arrival):
            heapq.heappush(waiting, request)
        while waiting and waiting[0].moment < arrival and given < lines:
            yield heapq.heappop(waiting)
            given += 1


def write(
    file: TextIO, made: Iterator[Request], chance: random.Random, damaged: float, *, times: bool
) -> None:
    """Write requests as combined log lines; `times` adds the seconds that each answer took."""
    second, stamp = -1, ""
    for request in made:
        if int(request.moment) != second:
            second = int(request.moment)
            stamp = datetime.fromtimestamp(second, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
        line = (
            f'{request.client} - - [{stamp}] "GET {request.target} HTTP/1.1" {request.status} {request.size} '
            f'"{request.referrer}" "{request.agent}"'
        )
        if times:
            line += f" {chance.lognormvariate(-4, 0.9):.3f}"
        if chance.random() < damaged:
            line = line[: chance.randrange(20, len(line) // 2)]
        file.write(f"{line}\n")


def main() -> None:
    """Parse the arguments, and write the log."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="where to write it; - for standard output")
    parser.add_argument("--lines", type=int, default=20_000)
    parser.add_argument("--days", type=float, default=7, help="how many days it is about (7)")
    parser.add_argument("--end", type=datetime.fromisoformat, help="when it ends (now)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bots", type=float, default=0.05, help="share of robots' lines (0.05)")
    parser.add_argument("--damaged", type=float, default=0.0005, help="share of damaged lines (0.0005)")
    parser.add_argument("--times", action="store_true", help="add the seconds that each answer took")
    given = parser.parse_args()
    end = (given.end or datetime.now(UTC)).astimezone(UTC)
    start = end - timedelta(days=given.days)
    chance = random.Random(given.seed)
    made = requests(chance, given.lines, start.timestamp(), end.timestamp(), given.bots)
    with sys.stdout if str(given.file) == "-" else given.file.open("w", encoding="utf-8") as file:
        write(file, made, chance, given.damaged, times=given.times)


if __name__ == "__main__":
    main()
