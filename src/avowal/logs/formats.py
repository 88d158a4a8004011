"""List the access-log formats, detect the format of a log, and create the parser of a format."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import Protocol

import msgspec
import polars as pl

from avowal.errors import FormatDetectionError, LogFormatError
from avowal.logs import json_lines
from avowal.logs.damaged_lines import DamagedLineStep
from avowal.logs.drop_reason import DropReason, LineOutcome
from avowal.logs.fields import DATE_REGEX, REQUEST_SCHEMA, TIME_OF_DAY_REGEX, parse_fields
from avowal.logs.json_lines import JsonLinesStep
from avowal.logs.pattern import (
    EXTRA_FIELD_REGEX,
    FIELD_MARK,
    AlternativePatterns,
    LinePattern,
    mark_fields,
    parse_apache_format,
    parse_nginx_format,
)
from avowal.logs.w3c import CLOUDFRONT_FIELD, W3cHeader, W3cStep

SAMPLE_LINES_MAX = 400
"""How many lines of a log are used to detect its format."""

EXTRA_FIELDS_MAX = 10
"""The most extra fields at the end of a line. If a whole record follows a cut one, there are more."""

CONFIDENCE_MIN = 0.5
"""The share of the sampled lines that a detected format must parse."""

TIE_MARGIN = 0.1
"""How many fewer lines, as a share, a more specific format may parse than the best one and still be preferred."""


@dataclass(frozen=True)
class ParseResult:
    """The result of parsing a batch of lines. Each line is in exactly one of the two frames."""

    requests: pl.DataFrame
    """Requests of `REQUEST_SCHEMA`; `line` counts from 0, the first line of the batch."""
    drops: pl.DataFrame
    """`line`, and the `reason` (the value of a `DropReason`) why it is not a request."""


class ParseStep(Protocol):
    """One way to parse lines. It is tried on the lines that the steps before it could not parse."""

    def parse(self, lines: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Parse what can be parsed of a frame of `line`, `text`, `has_syslog_prefix` and `reason`.

        Returns the texts of fields of the parsed lines, and the remaining lines, some of them with a reason.
        """
        ...


@dataclass(frozen=True)
class LogParser:
    """Parses one format in steps, the strictest first.

    Directives in the log can change the state of a parser, so each file needs its own.
    """

    name: str
    """The format, as `create_parser` accepts it."""
    steps: tuple[ParseStep, ...]

    def parse(self, lines: pl.Series) -> ParseResult:
        """Parse a batch of lines (String) that follow those of the batch before. Raises nothing."""
        remaining, parsed = prepare_lines(lines), []
        for step in self.steps:
            if remaining.is_empty():
                break
            texts, remaining = step.parse(remaining)
            parsed += [] if texts.is_empty() else [texts]
        requests = parse_fields(pl.concat(parsed, how="diagonal")) if parsed else REQUEST_SCHEMA.to_frame()
        drops = [remaining.select("line", _reason_expression())]
        if requests["time"].null_count():
            has_no_time = pl.col("time").is_null()
            drops.append(
                requests.filter(has_no_time).select("line", reason=pl.lit(DropReason.INVALID_TIME.value))
            )
            requests = requests.filter(~has_no_time)
        return ParseResult(requests, pl.concat(drops).sort("line"))

    @property
    def is_stateful(self) -> bool:
        """Return whether the result depends on the lines before, so that batches must be parsed in order."""
        return any(isinstance(step, W3cStep) for step in self.steps)

    def export_state(self) -> str:
        """Return what the directives have said so far, as JSON. It contains no data of visitors."""
        header = next((step.header for step in self.steps if isinstance(step, W3cStep)), W3cHeader())
        return msgspec.json.encode(header).decode()

    def restore_state(self, state: str) -> None:
        """Continue from an exported state, later in the same file."""
        for step in self.steps:
            if isinstance(step, W3cStep):
                step.header = msgspec.json.decode(state or "{}", type=W3cHeader)


def _reason_expression() -> pl.Expr:
    text = pl.col("text")
    is_other_record = text.str.contains("|".join(NON_REQUEST_REGEXES)) | (
        pl.col("has_syslog_prefix") & ~text.str.contains(REQUEST_REGEX)
    )
    cases = {
        DropReason.BLANK: ~text.str.contains(r"\S"),
        DropReason.DIRECTIVE: text.str.starts_with("#"),
        DropReason.NOT_A_REQUEST: is_other_record,
    }
    reasons = (pl.when(case).then(pl.lit(reason.value)) for reason, case in cases.items())
    return pl.coalesce(*reasons, "reason", pl.lit(DropReason.MALFORMED.value)).alias("reason")


SYSLOG_PREFIX_REGEX = (
    r"^(?:<[0-9]{1,3}>1 (?:\S+ ){5}(?:-|(?:\[(?:[^\]\\]|\\.)*\])+) ?\x{FEFF}?"  # RFC 5424
    r"|(?:<[0-9]{1,3}>)?(?:[A-Z][a-z]{2} [ 0-9][0-9] (?:[0-9]{4} )?[0-9:]{8} TAG?"  # RFC 3164
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}T\S+ TAG))"  # rsyslog
).replace("TAG", r"(?:(?:\S+ )?[^\s:\[\]]+(?:\[[0-9]*\])?:(?: |$))")
"""The text that syslog writes before a message."""

REQUEST_REGEX = (
    rf'HTTP/[0-9]|"[A-Z]+ |\[[0-9]{{1,2}}/[A-Z][a-z]{{2}}/[0-9]|^\{{|^{DATE_REGEX}[ \t]+{TIME_OF_DAY_REGEX}'
)
"""A regex that matches messages about a request, and no others."""

NON_REQUEST_REGEXES = (
    r"^[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9:]{8} \[[a-z]+\] ",  # nginx's error log
    r"^\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9:.]+ [0-9]{4}\] \[",  # Apache's
    r"^(?:\[(?:NOTICE|WARNING|ALERT)\]|(?:Proxy|Server|[Bb]ackend|Health check|Stopping) )",  # HAProxy's
    r"^\S+:[0-9]+ \[[^\]]+\] [^\s/]+/[^\s:]+: ",  # a failed connection to HAProxy
    r"^\S+:[0-9]+ \[[^\]]+\] \S+ \S+ (?:-?[0-9]+/){2}\+?[0-9]+ \+?[0-9]+ [A-Za-z-]{2} ",  # HAProxy's TCP log
    r"\] \S+ \S+ \S+ (?:S3|BATCH)\.",  # what S3 does without a request
    r"^\S+(?: \S+)? \S+ \[[0-9]+\][A-Za-z]+ ",  # FTP, in W3C extended
)
"""Regexes of complete lines that are not about a request."""


def prepare_lines(lines: pl.Series) -> pl.DataFrame:
    """Add line numbers, and remove the prefixes of syslog."""
    texts = lines.alias("text").fill_null("").str.strip_chars_end("\r\n ")
    if len(texts) and texts[0].startswith("\ufeff"):
        texts[0] = texts[0][1:]
    has_prefix = texts.str.contains(SYSLOG_PREFIX_REGEX).alias("has_syslog_prefix")
    if has_prefix.any():
        texts = texts.str.replace(SYSLOG_PREFIX_REGEX, "")
    numbered = pl.DataFrame([texts, has_prefix]).with_row_index("line")
    return numbered.with_columns(reason=pl.lit(None, pl.String))


@dataclass(frozen=True)
class LogFormat:
    """A named format: what it is, and how to create the steps of its parser."""

    description: str
    create_steps: Callable[[], tuple[ParseStep, ...]]


_CLF = '<address> <> <> [<time>] "<request>" <status> <bytes>'
_USER_AGENT = ' "<referrer>" "<user_agent>"'
_ELB = '<time_iso> <> <address>:<port> <> <sum_of_seconds> <status> <> <> <bytes> "<request>"'
_S3 = (
    '<> <> [<time>] <address> <> <> <operation> <> "<request>" <status> <> <bytes> <> <milliseconds> <>'
    ' "<referrer>" "<user_agent>" <>'
)
_HAPROXY = (
    "<address>:<port> [<time_without_zone>] <> <> <timers><milliseconds> <status> <bytes>"
    ' <> <> <> <> <> <captures>"<request_hashed>"'
)


def _create_pattern_steps(*templates: str) -> tuple[ParseStep, ...]:
    return tuple(
        LinePattern.from_template(mark_fields(text), f"{EXTRA_FIELD_REGEX}{{0,{EXTRA_FIELDS_MAX}}}")
        for text in templates
    )


def _create_clf_steps(
    name: str, after_common: str, extras: str = f"{EXTRA_FIELD_REGEX}*"
) -> tuple[ParseStep, ...]:
    """Return the steps of a format that starts like the common format, also with a virtual host before it."""
    lines = _CLF, f"<name>:<port> {_CLF}", f"<server> {_CLF.replace('<address>', '<ip>')}"
    return AlternativePatterns(
        tuple(LinePattern.from_template(mark_fields(line + after_common), extras) for line in lines)
    ), DamagedLineStep(name)


FORMATS: dict[str, LogFormat] = {
    "traefik": LogFormat(
        "Traefik's CLF: the combined format, then a count, router, server and duration",
        partial(_create_clf_steps, "traefik", f'{_USER_AGENT} <> "<>" "<>" <milliseconds>ms', extras=""),
    ),
    "traefik-json": LogFormat("Traefik's JSON", lambda: (JsonLinesStep(json_lines.TRAEFIK_KEYS),)),
    "caddy-json": LogFormat("Caddy's JSON", lambda: (JsonLinesStep(json_lines.CADDY_KEYS),)),
    "nginx-json": LogFormat(
        "a JSON object on each line, whose keys are nginx variables, Elastic Common Schema or the like",
        lambda: (JsonLinesStep(json_lines.COMMON_KEYS),),
    ),
    "cloudfront": LogFormat("Amazon CloudFront's standard log", lambda: (W3cStep(CLOUDFRONT_FIELD),)),
    "w3c": LogFormat("W3C extended, of IIS and others, with `#Fields` directives", lambda: (W3cStep(),)),
    "alb": LogFormat(
        "AWS Application Load Balancer",
        partial(_create_pattern_steps, f'<> {_ELB} "<user_agent>" <> <> <> "<>" "<>" "<>" <> <time_iso>'),
    ),
    "elb": LogFormat(
        "AWS Classic Load Balancer", partial(_create_pattern_steps, f'{_ELB} "<user_agent>"', _ELB)
    ),
    "s3": LogFormat(
        "Amazon S3 server access log", partial(_create_pattern_steps, f"{_S3} <> <> <> <> <host>", _S3)
    ),
    "haproxy": LogFormat(
        "HAProxy's HTTP log, with or without captured headers", partial(_create_pattern_steps, _HAPROXY)
    ),
    "combined": LogFormat(
        "Apache's and nginx's combined format", partial(_create_clf_steps, "combined", _USER_AGENT)
    ),
    "common": LogFormat(
        "the Common Log Format, without referrer and user agent", partial(_create_clf_steps, "common", "")
    ),
}
"""The named formats. A more specific format precedes those that also parse its lines."""


def create_parser(log_format: str) -> LogParser:
    """Create the parser of a format: its name, or a pasted Apache `LogFormat` or nginx `log_format`.

    Raises LogFormatError if the format is unknown or cannot be compiled.
    """
    if named := FORMATS.get(log_format):
        return LogParser(log_format, named.create_steps())
    if not re.search(r"[%$]", log_format):
        similar = get_close_matches(log_format, FORMATS, 1)
        hint = (
            f"did you mean `{similar[0]}`?"
            if similar
            else f"use one of {', '.join(FORMATS)}, or paste a LogFormat or log_format"
        )
        raise LogFormatError(f"unknown log format `{log_format}`", hint, code="unknown-log-format")
    is_nginx = re.search(r"\$[{\w]", log_format)
    template = parse_nginx_format(log_format) if is_nginx else parse_apache_format(log_format)
    if template.lstrip().startswith("{"):
        return LogParser(log_format, (JsonLinesStep.from_template(template),))
    pattern = LinePattern.from_template(template)
    common, combined = mark_fields(_CLF), mark_fields(_CLF + _USER_AGENT)
    plain = template.replace(" - ", f" {FIELD_MARK}{FIELD_MARK} ", 1)
    similar_format = "combined" if plain.startswith(combined) else "common" if plain == common else ""
    return LogParser(log_format, (pattern, DamagedLineStep(similar_format)) if similar_format else (pattern,))


@dataclass(frozen=True)
class FormatDetection:
    """The detected format of a log, and how many lines of the sample match it."""

    parser: LogParser
    confidence: float
    """The share of the sampled lines that the format's strict pattern parses."""
    matched_lines: int
    sampled_lines: int
    """Blank lines, directives and lines that are not requests (of an error log) are not counted."""


def detect_format(sample: Sequence[str]) -> FormatDetection:
    """Detect the format of a log from its first lines. Raises FormatDetectionError if no format matches enough."""
    lines = pl.Series(sample[:SAMPLE_LINES_MAX], dtype=pl.String)
    counts = {name: _count_matches(log_format, lines) for name, log_format in FORMATS.items()}
    most = max(matched for matched, _ in counts.values())
    name = next(name for name, (matched, _) in counts.items() if matched >= most * (1 - TIE_MARGIN))
    matched, sampled = counts[name]
    if not sampled and lines.str.contains("(?i)^#Fields:").any():
        name = "cloudfront" if lines.str.contains(CLOUDFRONT_FIELD, literal=True).any() else "w3c"
        return FormatDetection(create_parser(name), 1.0, 0, 0)
    hint = "name the format, or paste its LogFormat or log_format"
    if not sampled:
        raise FormatDetectionError("the log has no request yet, so its format cannot be detected", hint)
    if not matched:
        raise FormatDetectionError(f"no known format matches any of the first {sampled} lines", hint)
    if matched < sampled * CONFIDENCE_MIN:
        raise FormatDetectionError(
            f"the best format, `{name}`, matches only {matched} of the first {sampled} lines", hint
        )
    return FormatDetection(create_parser(name), matched / sampled, matched, sampled)


def _count_matches(log_format: LogFormat, lines: pl.Series) -> tuple[int, int]:
    """Return how many lines the strict steps parse, and how many lines they should parse."""
    steps = tuple(step for step in log_format.create_steps() if not isinstance(step, DamagedLineStep))
    result = LogParser("", steps).parse(lines)
    dropped = [reason.value for reason in DropReason if reason.outcome is LineOutcome.DROPPED]
    return len(result.requests), len(lines) - len(result.drops.filter(pl.col("reason").is_in(dropped)))
