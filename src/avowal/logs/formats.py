"""Every format of access log that can be read, told apart by itself or named."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import Protocol

import msgspec
import polars as pl

from avowal.errors import FormatError, LayoutError
from avowal.logs import json_lines
from avowal.logs.damaged_lines import Tolerant
from avowal.logs.drop_reason import PARSED, Fate, Reason
from avowal.logs.fields import CLOCK, DATE, parsed
from avowal.logs.json_lines import JsonLines
from avowal.logs.pattern import EXTRA, MARK, Alternatives, Pattern, apache, nginx, template
from avowal.logs.w3c import CLOUDFRONT, Header, W3c

SAMPLE_LINES_MAX = 400
"""How many lines of a sample are looked at."""

EXTRAS_MAX = 10
"""How many more fields a line may have than are known; a whole record after a cut one has more than that."""

CONFIDENCE_MIN = 0.5
"""The share of a sample that a format must read to be believed."""

TIE = 0.1
"""How much less than the best a format may read, as a share, and be preferred as the more specific one."""


@dataclass(frozen=True)
class Reading:
    """What became of a batch: each of its lines is in exactly one of the two."""

    requests: pl.DataFrame
    """With the columns of `PARSED`, in any order; `line` counts from 0, the first of the batch."""
    rest: pl.DataFrame
    """With `line`, and the `reason` (a `Reason`'s value) why it is no request."""


class Reader(Protocol):
    """One format. A reader may remember what directives said, so each file has its own."""

    @property
    def name(self) -> str:
        """Return the format as `named` takes it."""
        ...

    def read(self, lines: pl.Series) -> Reading:
        """Read a batch of lines (String), which follow on those of the batch before. Raises nothing."""
        ...

    @property
    def remembers(self) -> bool:
        """Return whether what it reads depends on lines before: then batches must come one at a time."""
        ...

    def state(self) -> str:
        """Return what it remembers, as JSON; nothing in it is a visitor's."""
        ...

    def restore(self, state: str) -> None:
        """Go on from a state, later in the same file."""
        ...


class Step(Protocol):
    """One way to read lines, tried on those that the ways before it left."""

    def take(self, left: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Read what it can of `line`, `text`, `wrapped` and `reason`: the texts of fields, and what is left.

        A step may fill in the reason of what it leaves.
        """
        ...


@dataclass(frozen=True)
class LogReader:
    """A reader made of steps, the strictest first."""

    name: str
    steps: tuple[Step, ...]

    def read(self, lines: pl.Series) -> Reading:
        """Read a batch of lines."""
        left, found = unwrapped(lines), []
        for step in self.steps:
            if left.is_empty():
                break
            raw, left = step.take(left)
            found += [] if raw.is_empty() else [raw]
        requests = parsed(pl.concat(found, how="diagonal")) if found else PARSED.to_frame()
        rest = [left.select("line", _reason())]
        if requests["time"].null_count():
            timeless = pl.col("time").is_null()
            rest.append(requests.filter(timeless).select("line", reason=pl.lit(Reason.BAD_TIME.value)))
            requests = requests.filter(~timeless)
        return Reading(requests, pl.concat(rest).sort("line"))

    @property
    def remembers(self) -> bool:
        """Return whether directives count."""
        return any(isinstance(step, W3c) for step in self.steps)

    def state(self) -> str:
        """Return what the directives said so far."""
        header = next((step.header for step in self.steps if isinstance(step, W3c)), Header())
        return msgspec.json.encode(header).decode()

    def restore(self, state: str) -> None:
        """Go on from what the directives said."""
        for step in self.steps:
            if isinstance(step, W3c):
                step.header = msgspec.json.decode(state or "{}", type=Header)


def _reason() -> pl.Expr:
    text = pl.col("text")
    other = text.str.contains("|".join(OTHER_KINDS)) | (pl.col("wrapped") & ~text.str.contains(REQUESTS))
    cases = {
        Reason.BLANK: ~text.str.contains(r"\S"),
        Reason.DIRECTIVE: text.str.starts_with("#"),
        Reason.NOT_A_REQUEST: other,
    }
    why = (pl.when(case).then(pl.lit(reason.value)) for reason, case in cases.items())
    return pl.coalesce(*why, "reason", pl.lit(Reason.UNREADABLE.value)).alias("reason")


SYSLOG = (
    r"^(?:<[0-9]{1,3}>1 (?:\S+ ){5}(?:-|(?:\[(?:[^\]\\]|\\.)*\])+) ?\x{FEFF}?"  # RFC 5424
    r"|(?:<[0-9]{1,3}>)?(?:[A-Z][a-z]{2} [ 0-9][0-9] (?:[0-9]{4} )?[0-9:]{8} TAG?"  # RFC 3164
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}T\S+ TAG))"  # rsyslog
).replace("TAG", r"(?:(?:\S+ )?[^\s:\[\]]+(?:\[[0-9]*\])?:(?: |$))")
"""What syslog writes before a message."""

REQUESTS = rf'HTTP/[0-9]|"[A-Z]+ |\[[0-9]{{1,2}}/[A-Z][a-z]{{2}}/[0-9]|^\{{|^{DATE}[ \t]+{CLOCK}'
"""What messages that tell of a request have, and others have not."""

OTHER_KINDS = (
    r"^[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9:]{8} \[[a-z]+\] ",  # nginx's error log
    r"^\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9:.]+ [0-9]{4}\] \[",  # Apache's
    r"^(?:\[(?:NOTICE|WARNING|ALERT)\]|(?:Proxy|Server|[Bb]ackend|Health check|Stopping) )",  # HAProxy's
    r"^\S+:[0-9]+ \[[^\]]+\] [^\s/]+/[^\s:]+: ",  # a connection of HAProxy's that came to nothing
    r"^\S+:[0-9]+ \[[^\]]+\] \S+ \S+ (?:-?[0-9]+/){2}\+?[0-9]+ \+?[0-9]+ [A-Za-z-]{2} ",  # its TCP log
    r"\] \S+ \S+ \S+ (?:S3|BATCH)\.",  # what S3 does by itself
    r"^\S+(?: \S+)? \S+ \[[0-9]+\][A-Za-z]+ ",  # FTP, in W3C extended
)
"""Lines that are whole, and of a kind that is no request."""


def unwrapped(lines: pl.Series) -> pl.DataFrame:
    """Give each line its number, and take the syslog prefix off those that have one."""
    texts = lines.alias("text").fill_null("").str.strip_chars_end("\r\n ")
    if len(texts) and texts[0].startswith("\ufeff"):
        texts[0] = texts[0][1:]
    wrapped = texts.str.contains(SYSLOG).alias("wrapped")
    if wrapped.any():
        texts = texts.str.replace(SYSLOG, "")
    left = pl.DataFrame([texts, wrapped]).with_row_index("line")
    return left.with_columns(reason=pl.lit(None, pl.String))


@dataclass(frozen=True)
class Format:
    """A named format."""

    about: str
    steps: Callable[[], tuple[Step, ...]]


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


def _patterns(*templates: str) -> tuple[Step, ...]:
    return tuple(Pattern.of(template(text), f"{EXTRA}{{0,{EXTRAS_MAX}}}") for text in templates)


def _clf(name: str, more: str, extras: str = f"{EXTRA}*") -> tuple[Step, ...]:
    """Return the steps of a format that begins as the common one does, also with a virtual host before it."""
    lines = _CLF, f"<name>:<port> {_CLF}", f"<server> {_CLF.replace('<address>', '<ip>')}"
    return Alternatives(tuple(Pattern.of(template(line + more), extras) for line in lines)), Tolerant(name)


FORMATS: dict[str, Format] = {
    "traefik": Format(
        "Traefik's CLF: the combined format, then a count, router, server and duration",
        partial(_clf, "traefik", f'{_AGENT} <> "<>" "<>" <milliseconds>ms', extras=""),
    ),
    "traefik-json": Format("Traefik's JSON", lambda: (JsonLines(json_lines.TRAEFIK),)),
    "caddy-json": Format("Caddy's JSON", lambda: (JsonLines(json_lines.CADDY),)),
    "nginx-json": Format(
        "a JSON object on each line, whose keys are nginx variables, Elastic Common Schema or the like",
        lambda: (JsonLines(json_lines.COMMON),),
    ),
    "cloudfront": Format("Amazon CloudFront's standard log", lambda: (W3c(CLOUDFRONT),)),
    "w3c": Format("W3C extended, of IIS and others, with `#Fields` directives", lambda: (W3c(),)),
    "alb": Format(
        "AWS Application Load Balancer",
        partial(_patterns, f'<> {_ELB} "<user_agent>" <> <> <> "<>" "<>" "<>" <> <time_iso>'),
    ),
    "elb": Format("AWS Classic Load Balancer", partial(_patterns, f'{_ELB} "<user_agent>"', _ELB)),
    "s3": Format("Amazon S3 server access log", partial(_patterns, f"{_S3} <> <> <> <> <host>", _S3)),
    "haproxy": Format("HAProxy's HTTP log, with or without captured headers", partial(_patterns, _HAPROXY)),
    "combined": Format("Apache's and nginx's combined format", partial(_clf, "combined", _AGENT)),
    "common": Format("the Common Log Format, without referrer and user agent", partial(_clf, "common", "")),
}
"""The named formats, the more specific before those that read their lines too."""


def named(format: str) -> Reader:  # noqa: A002
    """Return a new reader of a format by name, or of an Apache `LogFormat` or nginx `log_format` as pasted.

    Raises `LayoutError` where it is neither.
    """
    if known := FORMATS.get(format):
        return LogReader(format, known.steps())
    if not re.search(r"[%$]", format):
        near = get_close_matches(format, FORMATS, 1)
        hint = (
            f"did you mean `{near[0]}`?" if near else f"known are {', '.join(FORMATS)}, and a pasted format"
        )
        raise LayoutError(f"unknown log format `{format}`", hint)
    pasted = nginx(format) if re.search(r"\$[{\w]", format) else apache(format)
    if pasted.lstrip().startswith("{"):
        return LogReader(format, (JsonLines.of(pasted),))
    common, combined = template(_CLF), template(_CLF + _AGENT)
    plain = pasted.replace(" - ", f" {MARK}{MARK} ", 1)
    second = "combined" if plain.startswith(combined) else "common" if plain == common else ""
    return LogReader(format, (Pattern.of(pasted), Tolerant(second)) if second else (Pattern.of(pasted),))


@dataclass(frozen=True)
class Detection:
    """The format that a sample is of, and how sure that is."""

    reader: Reader
    confidence: float
    """The share of the sampled lines that the format's strict reader reads."""
    matched: int
    sampled: int
    """Blank lines, directives and lines of another kind (an error log's) do not count."""


def detect(sample: Sequence[str]) -> Detection:
    """Tell the format of a log from its first lines. Raises `FormatError` where none reads enough of them."""
    lines = pl.Series(sample[:SAMPLE_LINES_MAX], dtype=pl.String)
    found = {name: _counts(known, lines) for name, known in FORMATS.items()}
    most = max(matched for matched, _ in found.values())
    name = next(name for name, (matched, _) in found.items() if matched >= most * (1 - TIE))
    matched, sampled = found[name]
    if not sampled and lines.str.contains("(?i)^#Fields:").any():
        name = "cloudfront" if lines.str.contains(CLOUDFRONT, literal=True).any() else "w3c"
        return Detection(named(name), 1.0, 0, 0)
    remedy = "name its format, or paste its LogFormat or log_format"
    if not sampled:
        raise FormatError("the log holds no line yet by which its format could be told", remedy)
    if not matched:
        raise FormatError(f"no known format reads any of the {sampled} lines looked at", remedy)
    if matched < sampled * CONFIDENCE_MIN:
        raise FormatError(
            f"the best format, `{name}`, reads {matched} of the {sampled} lines looked at", remedy
        )
    return Detection(named(name), matched / sampled, matched, sampled)


def _counts(known: Format, lines: pl.Series) -> tuple[int, int]:
    """Count the lines that are read strictly, and those that should be."""
    steps = tuple(step for step in known.steps() if not isinstance(step, Tolerant))
    reading = LogReader("", steps).read(lines)
    dropped = [reason.value for reason in Reason if reason.fate is Fate.DROPPED]
    return len(reading.requests), len(lines) - len(reading.rest.filter(pl.col("reason").is_in(dropped)))
