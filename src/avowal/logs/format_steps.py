"""Create the steps that parse the lines of named formats, from templates."""

from dataclasses import dataclass
from functools import cache
from typing import Protocol

import polars as pl

from avowal.logs.damaged_lines import DamagedLineStep
from avowal.logs.pattern import (
    EXTRA_FIELD_REGEX,
    AlternativePatterns,
    LinePattern,
    forget_unlogged_agents,
    mark_fields,
)

EXTRA_FIELDS_MAX = 10
"""The most extra fields at the end of a line. If a whole record follows a cut one, there are more."""


class ParseStep(Protocol):
    """One way to parse lines. It is tried on the lines that the steps before it could not parse."""

    def parse(self, lines: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Parse what can be parsed of a frame of `line`, `text`, `is_wrapped` and `reason`.

        Returns the texts of fields of the parsed lines, and the remaining lines, some of them with a reason.
        """
        ...


CLF = '<address> <> <> [<time>] "<request>" <status> <bytes>'
USER_AGENT = ' "<referrer>" "<user_agent>"'
ELB = '<time_iso> <> <address>:<port> <> <sum_of_seconds> <status> <> <> <bytes> "<request>"'
S3 = (
    '<> <> [<time>] <address> <> <> <operation> <> "<request>" <status> <> <bytes> <> <milliseconds> <>'
    ' "<referrer>" "<user_agent>" <>'
)
HAPROXY = (
    "<address>:<port> [<time_without_zone>] <> <> <timers><milliseconds> <status> <bytes>"
    ' <> <> <> <> <> <captures>"<request_hashed>"'
)
_ENVOY = '[<time_iso>] "<request>" <status> '
_ENVOY_END = '<> <bytes> <milliseconds> <> "<forwarded>" "<user_agent>" "<>" "<host>" "<>"'
_ISTIO_DETAILS = '<> <> <> "<>"', '<> <> "<>"', '<> "<>" "<>"', '<> "<>"'
PROXY_MANAGER = '- <method> <> <host> "<target>" [Client <address>] [Length <bytes>] [Gzip <>]'
PROXY_MANAGER_END = ' "<user_agent>" "<referrer>"'
BUNNY = "<>|<status>|<time_epoch>|<bytes>|<>|<ip>|<referrer>|<piped_target>|<>|<user_agent>|<>|<>"

CLF_STARTS = (
    "<address> <undotted> <> ",
    "<name>:<port> <address> <> <> ",
    "<server> <ip> <> <> ",
    "<address> <dotted> <> ",  # lighttpd and OVH: the host
    "<address_list> <> <> ",
    "<server> <address_list> <> <> ",
    "<address> - [<label>] - <> ",  # ingress-nginx before 2020
)
"""What stands before the time in formats that are like the common one. A line has one of them at most."""

_ANY_EXTRAS = f"{EXTRA_FIELD_REGEX}*"


def create_pattern_steps(*templates: str) -> tuple[ParseStep, ...]:
    """Return a step for each template, with some more fields at the end of a line."""
    return tuple(
        LinePattern.from_template(mark_fields(text), f"{EXTRA_FIELD_REGEX}{{0,{EXTRA_FIELDS_MAX}}}")
        for text in templates
    )


def _create_alternatives(
    after_time: str, extras: str, time: str = "[<time>] ", *, loose_blanks: bool = False
) -> AlternativePatterns:
    """Return patterns for everything that can stand before the time of a line like the common format's."""
    lines = [start + time + after_time for start in CLF_STARTS]
    if "<user_agent>" in after_time:
        lines.append(f"<server> <ip> <> <> {time}(<> s) {after_time}")  # Gandi
    return AlternativePatterns(
        tuple(
            LinePattern.from_template(mark_fields(line), extras, loose_blanks=loose_blanks) for line in lines
        )
    )


@cache
def create_clf_patterns() -> tuple[ParseStep, ...]:
    """Return the steps that both `common` and `combined` have, as one log can have lines of both."""
    common = '"<request>" <status> <bytes>'
    loose_time = "[<time_loose>] "
    return (
        _create_alternatives(common + USER_AGENT, _ANY_EXTRAS),
        _create_alternatives(common, _ANY_EXTRAS),
        _create_alternatives(common + USER_AGENT, _ANY_EXTRAS, loose_time, loose_blanks=True),
        _create_alternatives(common, _ANY_EXTRAS, loose_time, loose_blanks=True),
    )


def create_traefik_steps() -> tuple[ParseStep, ...]:
    """Return the steps of Traefik's text, also for damaged lines."""
    after_time = f'"<request>" <status> <bytes>{USER_AGENT} <> "<>" "<>" <milliseconds>ms'
    whole, damaged = _create_alternatives(after_time, ""), DamagedLineStep("traefik")
    return UnloggedHeadersStep(whole), UnloggedHeadersStep(damaged)


def create_ingress_steps() -> tuple[ParseStep, ...]:
    """Return the step of ingress-nginx, with or without alternative upstreams."""
    after_time = f'"<request>" <status> <bytes>{USER_AGENT} <port> <seconds> [<label>]'
    return (_create_alternatives(after_time, _ANY_EXTRAS),)


def create_envoy_steps() -> tuple[ParseStep, ...]:
    """Return the steps of Istio's versions, then those of Envoy's default."""
    istio = [f"{_ENVOY}{details} {_ENVOY_END} <> <> <> <peer> <> <>" for details in (*_ISTIO_DETAILS, "<>")]
    envoy = [f"{_ENVOY}{details} {_ENVOY_END}" for details in (*_ISTIO_DETAILS, "<>")]
    return (*create_pattern_steps(*istio), *create_pattern_steps(*envoy))


@dataclass(frozen=True)
class GetStep:
    """Parses lines of a format that names no method: content delivery networks log what they delivered."""

    step: ParseStep

    def parse(self, lines: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Parse lines, with GET as their method."""
        texts, remaining = self.step.parse(lines)
        return texts.with_columns(method=pl.lit("GET")), remaining


@dataclass(frozen=True)
class UnloggedHeadersStep:
    """Parses lines of a server that logs no headers by default, and then writes `-` for each."""

    step: ParseStep

    def parse(self, lines: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Parse lines. Where referrer and user agent are both `-`, nobody can tell whether one was sent."""
        texts, remaining = self.step.parse(lines)
        return forget_unlogged_agents(texts, "-"), remaining
