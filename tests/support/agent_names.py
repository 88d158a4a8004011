"""The names that the lists of user agents know: makes `src/avowal/collect/agent_names.json` anew.

A pattern of these lists may take a name from the user agent as it stands there. Such a name is known only if the pattern
allows finitely many, or if a robot that is listed bears it.
"""

import re._parser  # type: ignore[import-not-found]  # the parser of `re` has no other name
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from crawleruseragents import CRAWLER_USER_AGENTS_DATA
from ua_parser import Domain
from ua_parser.loaders import load_lazy_builtins
from ua_parser.regex import Resolver

from avowal.collect.probe import PROBE_USER_AGENT

NAMES_FILE = Path(__file__).parents[2] / "src" / "avowal" / "collect" / "agent_names.json"
TEXTS_MAX = 300
"""A group that allows more texts than this counts as one that allows any."""


def list_names() -> bytes:
    """Return the content of the file of names."""
    browsers, systems, _ = load_lazy_builtins()
    resolve = Resolver(load_lazy_builtins())
    agents = [agent for crawler in CRAWLER_USER_AGENTS_DATA for agent in crawler["instances"]]
    agents.append(PROBE_USER_AGENT)  # our own robot
    found = (resolve(agent, Domain.USER_AGENT).user_agent for agent in agents)
    crawlers = {match.family for match in found if match}
    names = {
        "browsers": sorted({*list_families(browsers), *crawlers}),
        "operating_systems": sorted(set(list_families(systems))),
    }
    return msgspec.json.format(msgspec.json.encode(names), indent=1) + b"\n"


def list_families(matchers: Iterable[Any]) -> Iterator[str]:
    """Yield the families that patterns can give, as far as their number is finite."""
    for matcher in matchers:
        if "$" not in matcher.family:
            yield matcher.family
        elif group := next(find_first_group(re._parser.parse(matcher.regex)), None):
            yield from (matcher.family.replace("$1", text) for text in expand(group) or ())


def find_first_group(pattern: Any) -> Iterator[Any]:
    """Yield the first group of a parsed pattern."""
    for operation, value in pattern:
        match str(operation):
            case "SUBPATTERN":
                if value[0] == 1:
                    yield value[3]
                yield from find_first_group(value[3])
            case "BRANCH":
                for branch in value[1]:
                    yield from find_first_group(branch)
            case "MAX_REPEAT" | "MIN_REPEAT":
                yield from find_first_group(value[2])
            case "ASSERT" | "ASSERT_NOT":
                yield from find_first_group(value[1])


def expand(pattern: Any) -> Sequence[str] | None:
    """Return every text that a parsed pattern matches; None if they are too many."""
    texts = [""]
    for operation, value in pattern:
        match str(operation):
            case "LITERAL":
                parts: Sequence[str] | None = [chr(value)]
            case "IN" if all(str(kind) == "LITERAL" for kind, _ in value):
                parts = [chr(letter) for _, letter in value]
            case "BRANCH":
                branches = [expand(branch) for branch in value[1]]
                parts = None if None in branches else [text for branch in branches for text in branch or ()]
            case "SUBPATTERN":
                parts = expand(value[3])
            case "MAX_REPEAT" | "MIN_REPEAT" if value[1] == 1:
                repeated = expand(value[2])
                parts = repeated if value[0] or repeated is None else ["", *repeated]
            case "AT" | "ASSERT" | "ASSERT_NOT":
                parts = [""]
            case _:
                parts = None
        if parts is None or len(texts) * len(parts) > TEXTS_MAX:
            return None
        texts = [text + part for text in texts for part in parts]
    return texts


if __name__ == "__main__":
    NAMES_FILE.write_bytes(list_names())
