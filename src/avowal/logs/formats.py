"""List the access-log formats, detect the format of a log, and create the parser of a format."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial

import msgspec
import polars as pl

from avowal.errors import FormatDetectionError, LogFormatError
from avowal.logs import json_lines
from avowal.logs.damaged_lines import DamagedLineStep
from avowal.logs.drop_reason import DropReason, LineOutcome
from avowal.logs.fields import DATE_REGEX, LOG_FIELDS, REQUEST_SCHEMA, TIME_OF_DAY_REGEX, parse_fields
from avowal.logs.format_steps import (
    BUNNY,
    CLF,
    ELB,
    HAPROXY,
    PROXY_MANAGER,
    PROXY_MANAGER_END,
    S3,
    USER_AGENT,
    GetStep,
    ParseStep,
    create_clf_patterns,
    create_envoy_steps,
    create_ingress_steps,
    create_pattern_steps,
    create_traefik_steps,
)
from avowal.logs.json_keys import COMMON_KEYS
from avowal.logs.json_lines import JsonLinesStep
from avowal.logs.pasted_formats import parse_pasted_format
from avowal.logs.pattern import FIELD_MARK, LinePattern, mark_fields
from avowal.logs.w3c import CLOUDFRONT_FIELD, W3cHeader, W3cStep
from avowal.logs.wrappers import BUNNY_START_REGEX, WRAPPERS_MAX, remove_one_wrapper, unwrap_lines

NO_REQUEST_IN_JSON = "the log is JSON, but no object in it is a request"

SAMPLE_LINES_MAX = 400
"""How many lines of a log are used to detect its format."""

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


@dataclass(frozen=True)
class LogParser:
    """Parses one format in steps, the strictest first.

    Directives in the log can change the state of a parser, so each file needs its own.
    """

    name: str
    """The format, as `create_parser` accepts it."""
    steps: tuple[ParseStep, ...]

    is_pasted: bool = False
    """Whether the format was pasted: then lines are parsed as they are first, as they may begin like a wrapper."""

    def parse(self, lines: pl.Series) -> ParseResult:
        """Parse a batch of lines (String) that follow those of the batch before. Raises nothing."""
        if not self.is_pasted:
            return self.parse_numbered(number_lines(clean_lines(lines)))
        remaining = _number_texts(clean_lines(lines), pl.Series([False]).new_from_index(0, len(lines)))
        parsed = []
        for _ in range(WRAPPERS_MAX):
            texts, remaining = self.steps[0].parse(remaining)
            parsed += [] if texts.is_empty() else [texts]
            unwrapped, found = remove_one_wrapper(remaining["text"])
            if not found.any():
                break
            remaining = remaining.with_columns(
                unwrapped, is_wrapped=pl.col("is_wrapped") | found, reason=pl.lit(None, pl.String)
            )
        return self.parse_numbered(remaining, parsed)

    def parse_numbered(self, remaining: pl.DataFrame, parsed: Sequence[pl.DataFrame] = ()) -> ParseResult:
        """Parse lines of `number_lines`. `parsed` has the texts of fields that were parsed before."""
        parsed = [*parsed]
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

    def find_problem(self, lines: pl.Series) -> str:
        """Return which keys are missing if these are JSON objects, and none is a request; else an empty text."""
        step = next((step for step in self.steps if isinstance(step, JsonLinesStep)), None)
        if step is None:
            return ""
        result = self.parse(lines)
        reasons = set(result.drops["reason"])
        if len(result.requests) or DropReason.NOT_A_REQUEST.value not in reasons:
            return ""
        return step.describe_missing_keys(number_lines(clean_lines(lines))["text"])

    @property
    def unnamed_fields(self) -> list[str]:
        """Return the columns of a request that a pasted format does not name; nothing for other formats."""
        if not self.is_pasted:
            return []
        names = {name for step in self.steps[:1] for name in getattr(step, "field_names", ())}
        filled = {column for name in names for column in LOG_FIELDS[name].columns}
        filled |= {"method"} if isinstance(self.steps[0], JsonLinesStep) else set()
        return [column for column in REQUEST_SCHEMA if column not in filled]

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
        pl.col("is_wrapped") & ~text.str.contains(REQUEST_REGEX)
    )
    cases = {
        DropReason.BLANK: ~text.str.contains(r"\S"),
        DropReason.DIRECTIVE: text.str.starts_with("#"),
        DropReason.NOT_A_REQUEST: is_other_record,
    }
    reasons = (pl.when(case).then(pl.lit(reason.value)) for reason, case in cases.items())
    return pl.coalesce(*reasons, "reason", pl.lit(DropReason.MALFORMED.value)).alias("reason")


REQUEST_REGEX = (
    rf'HTTP/[0-9]|"[A-Z]+ |\[[0-9]{{1,2}}/[A-Z][a-z]{{2}}/[0-9]|^\{{|^{DATE_REGEX}[ \t]+{TIME_OF_DAY_REGEX}'
    rf"|^{BUNNY_START_REGEX}"
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
    r'^\[[^\]]+\] "- - -" ',  # a connection of Envoy's that was not HTTP
    "^-- .* --$",  # journald's
)
"""Regexes of complete lines that are not about a request."""


def clean_lines(lines: pl.Series) -> pl.Series:
    """Return lines without blanks at their ends, and without a byte order mark."""
    texts = lines.alias("text").fill_null("").str.strip_chars_end("\r\n ")
    if len(texts) and texts[0].startswith("\ufeff"):
        texts[0] = texts[0][1:]
    return texts


def number_lines(texts: pl.Series) -> pl.DataFrame:
    """Return a frame of the lines without what other programs wrote around them, and their numbers."""
    return _number_texts(*unwrap_lines(texts))


def _number_texts(texts: pl.Series, is_wrapped: pl.Series) -> pl.DataFrame:
    numbered = pl.DataFrame([texts, is_wrapped.alias("is_wrapped")]).with_row_index("line")
    return numbered.with_columns(reason=pl.lit(None, pl.String))


@dataclass(frozen=True)
class LogFormat:
    """A named format: what it is, and how to create the steps of its parser."""

    description: str
    create_steps: Callable[[], tuple[ParseStep, ...]]
    needs_user_agent: bool = False
    """Whether a log has this format only if some line has a user agent."""


FORMATS: dict[str, LogFormat] = {
    "traefik": LogFormat(
        "Traefik's CLF: the combined format, then a count, router, server and duration", create_traefik_steps
    ),
    "ingress-nginx": LogFormat(
        "ingress-nginx: the combined format, then length, duration and upstreams", create_ingress_steps
    ),
    "nginx-proxy-manager": LogFormat(
        "Nginx Proxy Manager",
        partial(
            create_pattern_steps,
            f"[<time>] <> <value_list> <status> {PROXY_MANAGER} [Sent-to <>]{PROXY_MANAGER_END}",
            f"[<time>] <status> {PROXY_MANAGER}{PROXY_MANAGER_END}",
        ),
    ),
    "envoy": LogFormat("Envoy's and Istio's text", create_envoy_steps),
    "bunny": LogFormat("Bunny CDN", lambda: tuple(GetStep(step) for step in create_pattern_steps(BUNNY))),
    "traefik-json": LogFormat("Traefik's JSON", lambda: (JsonLinesStep(json_lines.TRAEFIK_KEYS),)),
    "caddy-json": LogFormat("Caddy's JSON", lambda: (JsonLinesStep(json_lines.CADDY_KEYS),)),
    "nginx-json": LogFormat(
        "a JSON object on each line, whose keys are nginx variables, Elastic Common Schema or the like",
        lambda: (JsonLinesStep(COMMON_KEYS, is_exact=False),),
    ),
    "cloudfront": LogFormat("Amazon CloudFront's standard log", lambda: (W3cStep(CLOUDFRONT_FIELD),)),
    "w3c": LogFormat("W3C extended, of IIS and others, with `#Fields` directives", lambda: (W3cStep(),)),
    "alb": LogFormat(
        "AWS Application Load Balancer",
        partial(create_pattern_steps, f'<> {ELB} "<user_agent>" <> <> <> "<>" "<>" "<>" <> <time_iso>'),
    ),
    "elb": LogFormat(
        "AWS Classic Load Balancer", partial(create_pattern_steps, f'{ELB} "<user_agent>"', ELB)
    ),
    "s3": LogFormat(
        "Amazon S3 server access log", partial(create_pattern_steps, f"{S3} <> <> <> <> <host>", S3)
    ),
    "haproxy": LogFormat(
        "HAProxy's HTTP log, with or without captured headers", partial(create_pattern_steps, HAPROXY)
    ),
    "combined": LogFormat(
        "Apache's and nginx's combined format",
        lambda: (*create_clf_patterns(), DamagedLineStep("combined")),
        needs_user_agent=True,
    ),
    "common": LogFormat(
        "the Common Log Format, without referrer and user agent",
        lambda: (*create_clf_patterns(), DamagedLineStep("combined")),
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
    template = parse_pasted_format(log_format)
    if template.startswith("{"):
        return LogParser(log_format, (JsonLinesStep.from_template(template),), is_pasted=True)
    pattern = LinePattern.from_template(template)
    common, combined = mark_fields(CLF), mark_fields(CLF + USER_AGENT)
    plain = template.replace(" - ", f" {FIELD_MARK}{FIELD_MARK} ", 1)
    similar_format = "combined" if plain.startswith(combined) else "common" if plain == common else ""
    steps = (pattern, DamagedLineStep(similar_format)) if similar_format else (pattern,)
    return LogParser(log_format, steps, is_pasted=True)


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
    lines = clean_lines(pl.Series(sample[:SAMPLE_LINES_MAX], dtype=pl.String))
    numbered = number_lines(lines)
    for is_strict in (True, False):  # damaged lines are read, too, if not enough others are
        counts = {
            name: _count_matches(log_format, numbered, is_strict) for name, log_format in FORMATS.items()
        }
        most = max(matched for matched, _ in counts.values())
        name = next(name for name, (matched, _) in counts.items() if matched >= most * (1 - TIE_MARGIN))
        matched, sampled = counts[name]
        if not sampled and lines.str.contains("(?i)^#Fields:").any():
            name = "cloudfront" if lines.str.contains(CLOUDFRONT_FIELD, literal=True).any() else "w3c"
            return FormatDetection(create_parser(name), 1.0, 0, 0)
        if matched and matched >= sampled * CONFIDENCE_MIN:
            return FormatDetection(create_parser(name), matched / sampled, matched, sampled)
    raise _describe_failure(
        numbered, {name: matched for name, (matched, _) in counts.items() if matched}, sampled
    )


def _describe_failure(lines: pl.DataFrame, matched: dict[str, int], sampled: int) -> FormatDetectionError:
    """Return the error of a log whose format was not detected. It says which formats read some of its lines."""
    hint = "name the format, or paste its LogFormat or log_format"
    if lines["text"].str.contains(r"^\s*\{").any() and not matched:
        return FormatDetectionError(
            NO_REQUEST_IN_JSON,
            JsonLinesStep(COMMON_KEYS, is_exact=False).describe_missing_keys(lines["text"]),
        )
    if not sampled:
        return FormatDetectionError("the log has no request yet, so its format cannot be detected", hint)
    if not matched:
        return FormatDetectionError(f"no known format matches any of the first {sampled} lines", hint)
    best = max(matched, key=lambda name: matched[name])
    others = ", ".join(f"`--format {name}`" for name in sorted(matched, key=lambda name: -matched[name]))
    return FormatDetectionError(
        f"the best format, `{best}`, matches only {matched[best]} of the first {sampled} lines",
        f"{hint}; {others} would read some of the lines",
    )


def _count_matches(log_format: LogFormat, lines: pl.DataFrame, is_strict: bool) -> tuple[int, int]:
    """Return how many lines a format parses, and how many it should; if strictly, without those that are damaged."""
    steps = tuple(
        step for step in log_format.create_steps() if not (is_strict and isinstance(step, DamagedLineStep))
    )
    result = LogParser("", steps).parse_numbered(lines)
    dropped = [reason.value for reason in DropReason if reason.outcome is LineOutcome.DROPPED]
    sampled = len(lines) - len(result.drops.filter(pl.col("reason").is_in(dropped)))
    if log_format.needs_user_agent and not result.requests["user_agent"].count():
        return 0, sampled
    return len(result.requests), sampled
