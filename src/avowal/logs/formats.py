"""Every format of access log that can be read, told apart by itself or named."""

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
from avowal.logs.drop_reason import REQUEST_SCHEMA, DropReason, LineOutcome
from avowal.logs.fields import DATE_REGEX, TIME_OF_DAY_REGEX, parse_fields
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
"""How many lines of a sample are looked at."""

EXTRA_FIELDS_MAX = 10
"""How many more fields a line may have than are known; a whole record after a cut one has more than that."""

CONFIDENCE_MIN = 0.5
"""The share of a sample that a format must read to be believed."""

TIE_MARGIN = 0.1
"""How much less than the best a format may read, as a share, and be preferred as the more specific one."""


@dataclass(frozen=True)
class ParseResult:
    """What became of a batch: each of its lines is in exactly one of the two."""

    requests: pl.DataFrame
    """With the columns of `PARSED`, in any order; `line` counts from 0, the first of the batch."""
    drops: pl.DataFrame
    """With `line`, and the `reason` (a `Reason`'s value) why it is no request."""


class LogParser(Protocol):
    """One format. A reader may remember what directives said, so each file has its own."""

    @property
    def name(self) -> str:
        """Return the format as `named` takes it."""
        ...

    def parse(self, lines: pl.Series) -> ParseResult:
        """Read a batch of lines (String), which follow on those of the batch before. Raises nothing."""
        ...

    @property
    def is_stateful(self) -> bool:
        """Return whether what it reads depends on lines before: then batches must come one at a time."""
        ...

    def export_state(self) -> str:
        """Return what it remembers, as JSON; nothing in it is a visitor's."""
        ...

    def restore_state(self, state: str) -> None:
        """Go on from a state, later in the same file."""
        ...


class ParseStep(Protocol):
    """One way to read lines, tried on those that the ways before it left."""

    def parse(self, left: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Read what it can of `line`, `text`, `wrapped` and `reason`: the texts of fields, and what is left.

        A step may fill in the reason of what it leaves.
        """
        ...


@dataclass(frozen=True)
class StepwiseLogParser:
    """A reader made of steps, the strictest first."""

    name: str
    steps: tuple[ParseStep, ...]

    def parse(self, lines: pl.Series) -> ParseResult:
        """Read a batch of lines."""
        left, found = prepare_lines(lines), []
        for step in self.steps:
            if left.is_empty():
                break
            raw, left = step.parse(left)
            found += [] if raw.is_empty() else [raw]
        requests = parse_fields(pl.concat(found, how="diagonal")) if found else REQUEST_SCHEMA.to_frame()
        rest = [left.select("line", _reason())]
        if requests["time"].null_count():
            timeless = pl.col("time").is_null()
            rest.append(requests.filter(timeless).select("line", reason=pl.lit(DropReason.BAD_TIME.value)))
            requests = requests.filter(~timeless)
        return ParseResult(requests, pl.concat(rest).sort("line"))

    @property
    def is_stateful(self) -> bool:
        """Return whether directives count."""
        return any(isinstance(step, W3cStep) for step in self.steps)

    def export_state(self) -> str:
        """Return what the directives said so far."""
        header = next((step.header for step in self.steps if isinstance(step, W3cStep)), W3cHeader())
        return msgspec.json.encode(header).decode()

    def restore_state(self, state: str) -> None:
        """Go on from what the directives said."""
        for step in self.steps:
            if isinstance(step, W3cStep):
                step.header = msgspec.json.decode(state or "{}", type=W3cHeader)


def _reason() -> pl.Expr:
    text = pl.col("text")
    other = text.str.contains("|".join(NON_REQUEST_REGEXES)) | (
        pl.col("wrapped") & ~text.str.contains(REQUEST_REGEX)
    )
    cases = {
        DropReason.BLANK: ~text.str.contains(r"\S"),
        DropReason.DIRECTIVE: text.str.starts_with("#"),
        DropReason.NOT_A_REQUEST: other,
    }
    why = (pl.when(case).then(pl.lit(reason.value)) for reason, case in cases.items())
    return pl.coalesce(*why, "reason", pl.lit(DropReason.UNREADABLE.value)).alias("reason")


SYSLOG_PREFIX_REGEX = (
    r"^(?:<[0-9]{1,3}>1 (?:\S+ ){5}(?:-|(?:\[(?:[^\]\\]|\\.)*\])+) ?\x{FEFF}?"  # RFC 5424
    r"|(?:<[0-9]{1,3}>)?(?:[A-Z][a-z]{2} [ 0-9][0-9] (?:[0-9]{4} )?[0-9:]{8} TAG?"  # RFC 3164
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}T\S+ TAG))"  # rsyslog
).replace("TAG", r"(?:(?:\S+ )?[^\s:\[\]]+(?:\[[0-9]*\])?:(?: |$))")
"""What syslog writes before a message."""

REQUEST_REGEX = (
    rf'HTTP/[0-9]|"[A-Z]+ |\[[0-9]{{1,2}}/[A-Z][a-z]{{2}}/[0-9]|^\{{|^{DATE_REGEX}[ \t]+{TIME_OF_DAY_REGEX}'
)
"""What messages that tell of a request have, and others have not."""

NON_REQUEST_REGEXES = (
    r"^[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9:]{8} \[[a-z]+\] ",  # nginx's error log
    r"^\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9:.]+ [0-9]{4}\] \[",  # Apache's
    r"^(?:\[(?:NOTICE|WARNING|ALERT)\]|(?:Proxy|Server|[Bb]ackend|Health check|Stopping) )",  # HAProxy's
    r"^\S+:[0-9]+ \[[^\]]+\] [^\s/]+/[^\s:]+: ",  # a connection of HAProxy's that came to nothing
    r"^\S+:[0-9]+ \[[^\]]+\] \S+ \S+ (?:-?[0-9]+/){2}\+?[0-9]+ \+?[0-9]+ [A-Za-z-]{2} ",  # its TCP log
    r"\] \S+ \S+ \S+ (?:S3|BATCH)\.",  # what S3 does by itself
    r"^\S+(?: \S+)? \S+ \[[0-9]+\][A-Za-z]+ ",  # FTP, in W3C extended
)
"""Lines that are whole, and of a kind that is no request."""


def prepare_lines(lines: pl.Series) -> pl.DataFrame:
    """Give each line its number, and take the syslog prefix off those that have one."""
    texts = lines.alias("text").fill_null("").str.strip_chars_end("\r\n ")
    if len(texts) and texts[0].startswith("\ufeff"):
        texts[0] = texts[0][1:]
    wrapped = texts.str.contains(SYSLOG_PREFIX_REGEX).alias("wrapped")
    if wrapped.any():
        texts = texts.str.replace(SYSLOG_PREFIX_REGEX, "")
    left = pl.DataFrame([texts, wrapped]).with_row_index("line")
    return left.with_columns(reason=pl.lit(None, pl.String))


@dataclass(frozen=True)
class LogFormat:
    """A named format."""

    description: str
    create_steps: Callable[[], tuple[ParseStep, ...]]


_CLF = '<address> <> <> [<time>] "<request>" <status> <bytes>'
_AGENT = ' "<referrer>" "<user_agent>"'
_ELB = '<time_iso> <> <address>:<port> <> <sum_of_seconds> <status> <> <> <bytes> "<request>"'
_S3 = (
    '<> <> [<time>] <address> <> <> <operation> <> "<request>" <status> <> <bytes> <> <milliseconds> <>'
    ' "<referrer>" "<user_agent>" <>'
)
_HAPROXY = (
    "<address>:<port> [<time_without_zone>] <> <> <timers><milliseconds> <status> <bytes>"
    ' <> <> <> <> <> <captures>"<request_hashed>"'
)


def _patterns(*templates: str) -> tuple[ParseStep, ...]:
    return tuple(
        LinePattern.from_template(mark_fields(text), f"{EXTRA_FIELD_REGEX}{{0,{EXTRA_FIELDS_MAX}}}")
        for text in templates
    )


def _clf(name: str, more: str, extras: str = f"{EXTRA_FIELD_REGEX}*") -> tuple[ParseStep, ...]:
    """Return the steps of a format that begins as the common one does, also with a virtual host before it."""
    lines = _CLF, f"<name>:<port> {_CLF}", f"<server> {_CLF.replace('<address>', '<ip>')}"
    return AlternativePatterns(
        tuple(LinePattern.from_template(mark_fields(line + more), extras) for line in lines)
    ), DamagedLineStep(name)


FORMATS: dict[str, LogFormat] = {
    "traefik": LogFormat(
        "Traefik's CLF: the combined format, then a count, router, server and duration",
        partial(_clf, "traefik", f'{_AGENT} <> "<>" "<>" <milliseconds>ms', extras=""),
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
        partial(_patterns, f'<> {_ELB} "<user_agent>" <> <> <> "<>" "<>" "<>" <> <time_iso>'),
    ),
    "elb": LogFormat("AWS Classic Load Balancer", partial(_patterns, f'{_ELB} "<user_agent>"', _ELB)),
    "s3": LogFormat("Amazon S3 server access log", partial(_patterns, f"{_S3} <> <> <> <> <host>", _S3)),
    "haproxy": LogFormat(
        "HAProxy's HTTP log, with or without captured headers", partial(_patterns, _HAPROXY)
    ),
    "combined": LogFormat("Apache's and nginx's combined format", partial(_clf, "combined", _AGENT)),
    "common": LogFormat(
        "the Common Log Format, without referrer and user agent", partial(_clf, "common", "")
    ),
}
"""The named formats, the more specific before those that read their lines too."""


def create_parser(log_format: str) -> LogParser:
    """Return a new reader of a format by name, or of an Apache `LogFormat` or nginx `log_format` as pasted.

    Raises `LogFormatError` where it is neither.
    """
    if known := FORMATS.get(log_format):
        return StepwiseLogParser(log_format, known.create_steps())
    if not re.search(r"[%$]", log_format):
        near = get_close_matches(log_format, FORMATS, 1)
        hint = (
            f"did you mean `{near[0]}`?" if near else f"known are {', '.join(FORMATS)}, and a pasted format"
        )
        raise LogFormatError(f"unknown log format `{log_format}`", hint, code="unknown-log-format")
    pasted = (
        parse_nginx_format(log_format)
        if re.search(r"\$[{\w]", log_format)
        else parse_apache_format(log_format)
    )
    if pasted.lstrip().startswith("{"):
        return StepwiseLogParser(log_format, (JsonLinesStep.from_template(pasted),))
    common, combined = mark_fields(_CLF), mark_fields(_CLF + _AGENT)
    plain = pasted.replace(" - ", f" {FIELD_MARK}{FIELD_MARK} ", 1)
    second = "combined" if plain.startswith(combined) else "common" if plain == common else ""
    return StepwiseLogParser(
        log_format,
        (LinePattern.from_template(pasted), DamagedLineStep(second))
        if second
        else (LinePattern.from_template(pasted),),
    )


@dataclass(frozen=True)
class FormatDetection:
    """The format that a sample is of, and how sure that is."""

    parser: LogParser
    confidence: float
    """The share of the sampled lines that the format's strict reader reads."""
    matched_lines: int
    sampled_lines: int
    """Blank lines, directives and lines of another kind (an error log's) do not count."""


def detect_format(sample: Sequence[str]) -> FormatDetection:
    """Tell the format of a log from its first lines. Raises `FormatDetectionError` where none reads enough of them."""
    lines = pl.Series(sample[:SAMPLE_LINES_MAX], dtype=pl.String)
    found = {name: _counts(known, lines) for name, known in FORMATS.items()}
    most = max(matched for matched, _ in found.values())
    name = next(name for name, (matched, _) in found.items() if matched >= most * (1 - TIE_MARGIN))
    matched, sampled = found[name]
    if not sampled and lines.str.contains("(?i)^#Fields:").any():
        name = "cloudfront" if lines.str.contains(CLOUDFRONT_FIELD, literal=True).any() else "w3c"
        return FormatDetection(create_parser(name), 1.0, 0, 0)
    remedy = "name its format, or paste its LogFormat or log_format"
    if not sampled:
        raise FormatDetectionError("the log holds no line yet by which its format could be told", remedy)
    if not matched:
        raise FormatDetectionError(f"no known format reads any of the {sampled} lines looked at", remedy)
    if matched < sampled * CONFIDENCE_MIN:
        raise FormatDetectionError(
            f"the best format, `{name}`, reads {matched} of the {sampled} lines looked at", remedy
        )
    return FormatDetection(create_parser(name), matched / sampled, matched, sampled)


def _counts(known: LogFormat, lines: pl.Series) -> tuple[int, int]:
    """Count the lines that are read strictly, and those that should be."""
    steps = tuple(step for step in known.create_steps() if not isinstance(step, DamagedLineStep))
    reading = StepwiseLogParser("", steps).parse(lines)
    dropped = [reason.value for reason in DropReason if reason.outcome is LineOutcome.DROPPED]
    return len(reading.requests), len(lines) - len(reading.drops.filter(pl.col("reason").is_in(dropped)))
