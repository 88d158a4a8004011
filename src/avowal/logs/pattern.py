"""Compile formats whose lines are a sequence of fields into regexes, from our templates and from pasted formats.

A template is the text of a line with names of fields (`fields.LOG_FIELDS`), each between two `FIELD_MARK`s. The name of
a time can be followed by its strftime format (`time=%Y-%m-%d %H:%M`), in the letters that Polars knows.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

import polars as pl

from avowal.errors import LogFormatError
from avowal.logs.drop_reason import DropReason
from avowal.logs.fields import ANY_TEXT, LOG_FIELDS, parse_utc
from avowal.logs.request_line import PLAIN_REQUEST_LINE_REGEX

FIELD_MARK = "\0"

LINES_PER_THREAD_MIN = 4096
"""The fewest lines for which a thread is used."""

PATTERN_SAMPLE_LINES = 100
"""How many lines of a batch decide which pattern is tried first."""

QUOTED_TEXT_REGEX = r'(?:[^"\\]|\\.)*'
EXTRA_FIELD_REGEX = (
    rf'(?:[ \t]+(?:"{QUOTED_TEXT_REGEX}"|[^ \t"\[]+(?:"{QUOTED_TEXT_REGEX}")?|\[[^\]\["/T \t]*\][^ \t"\[]*))'
)
"""An extra field at the end of a line, in quotes (also `name="…"`), in brackets or bare.

In brackets is nothing that could be the time of another record: neither `/` nor `T`.
"""

_FIELDS_WITH_SPACES = {"any_text", "request", "user_agent"}
_STRFTIME_REGEXES = {
    **dict.fromkeys("mdHMSIy", "[0-9]{2}"),
    **dict.fromkeys("bha", "[A-Za-z]{3}"),
    **dict.fromkeys("BA", "[A-Za-z]+"),
    "Y": "[0-9]{4}",
    "j": "[0-9]{3}",
    "e": "[ 0-9][0-9]",
    "p": "[AP]M",
    "z": "[+-][0-9]{4}",
    "T": "[0-9]{2}:[0-9]{2}:[0-9]{2}",
    "R": "[0-9]{2}:[0-9]{2}",
    "F": "[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "D": "[0-9]{2}/[0-9]{2}/[0-9]{2}",
    "3f": "[0-9]{3}",
    "6f": "[0-9]{6}",
    "%": "%",
}


@dataclass(frozen=True)
class TemplateField:
    """A field of a template, and the characters before and after it."""

    name: str
    time_format: str
    before: str
    after: str

    @property
    def is_quoted(self) -> bool:
        """Whether the field is quoted."""
        return self.before == self.after == '"'

    @property
    def is_request_line(self) -> bool:
        """Whether the field is a quoted request line. Nearly all of these match `PLAIN_REQUEST_LINE_REGEX`."""
        return self.is_quoted and self.name in {"request", "request_hashed"}

    @property
    def regex(self) -> str:
        """The regex of the field's values."""
        field = LOG_FIELDS[self.name]
        if self.time_format:
            return build_time_regex(self.time_format)
        if self.is_quoted and field.accepts_any_text:
            return QUOTED_TEXT_REGEX
        if field.regex != ANY_TEXT:
            return field.regex
        if self.after not in {"", " "}:
            return f"[^{pl.escape_regex(self.after)}]*"
        return '[^"]*?' if self.name in _FIELDS_WITH_SPACES else r'(?:""|[^ \t"]*)'


BETTER_FIELDS = {
    "forwarded": frozenset({"address"}),
    "seconds": frozenset({"milliseconds", "microseconds"}),
    "milliseconds": frozenset({"microseconds"}),
}
"""Fields that are read instead of another one: an address that nobody can make up, and a finer unit."""


@dataclass(frozen=True)
class LinePattern:
    """Regexes that are tried in turn. Their groups have the names of fields."""

    regexes: tuple[str, ...]
    time_group: str
    """The group of the time: it is not null if and only if the regex matches."""
    time_regex: str
    """A regex of that time, with the characters before and after it."""
    times_per_line: int = 1
    """How many such times a line has. If there are more, two records were run together."""
    time_format: str = ""
    """The strftime format of the time, if the template names one."""
    counts_times: bool = False
    """Whether a value without quotes could extend into another record, so that the times of a line are counted."""

    @classmethod
    def from_template(cls, template: str, extras: str = "", *, loose_blanks: bool = False) -> Self:
        """Compile a template. `extras` is a regex of further fields at the end of a line.

        With `loose_blanks`, several blanks or tabs can stand where the template has one blank.
        """
        parts = template.split(FIELD_MARK)
        literals, names = parts[::2], [part.partition("=") for part in parts[1::2]]
        fields = [
            TemplateField(name, time_format, literals[i][-1:], literals[i + 1][:1])
            for i, (name, _, time_format) in enumerate(names)
        ]
        names_of_fields = {field.name for field in fields}

        def escape(literal: str) -> str:
            escaped: str = pl.escape_regex(literal)
            return escaped.replace(" ", r"[ \t]+") if loose_blanks else escaped

        filled: set[tuple[str, ...]] = set()
        general = plain = "^" + escape(literals[0])
        for field, literal in zip(fields, literals[1:], strict=True):
            columns = LOG_FIELDS[field.name].columns
            is_read = columns and (columns not in filled or field.name == "peer")
            is_read = is_read and not (BETTER_FIELDS.get(field.name, frozenset()) & names_of_fields)
            filled |= {columns} if is_read else set()
            group = f"({f'?P<{field.name}>' if is_read else '?:'}{field.regex})"
            general += group + escape(literal)
            plain += PLAIN_REQUEST_LINE_REGEX if is_read and field.is_request_line else group
            plain += escape(literal)
        has_one_regex = plain == general or filled & {("method",), ("path",), ("query",)}
        times = [field for field in fields if LOG_FIELDS[field.name].columns == ("time",)]
        return cls(
            tuple(f"{regex}{extras}$" for regex in ([general] if has_one_regex else [plain, general])),
            times[0].name,
            pl.escape_regex(times[0].before) + times[0].regex + pl.escape_regex(times[0].after),
            len(times),
            times[0].time_format,
            any(field.name in _FIELDS_WITH_SPACES and not field.is_quoted for field in fields),
        )

    @property
    def field_names(self) -> list[str]:
        """The names of the fields that are read."""
        return re.findall(r"\(\?P<([a-z_]+)>", "".join(self.regexes[-1:]))

    def parse(self, lines: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Parse the lines that match. Give those that contain two records the reason `merged`."""
        is_merged = pl.col("text").str.count_matches(self.time_regex) > self.times_per_line
        parsed = []
        for regex in self.regexes:
            groups = _extract_groups(lines["text"], regex)
            is_match = groups[self.time_group].is_not_null()
            if self.counts_times:
                is_match &= ~lines.select(is_merged).to_series()
            parsed.append(groups.with_columns(lines["line"]).filter(is_match))
            lines = lines.filter(~is_match)
        texts = pl.concat(parsed, how="diagonal")
        texts = forget_unlogged_agents(texts)
        if self.time_format:
            texts = texts.with_columns(parse_utc(pl.col("time"), self.time_format).dt.strftime("%FT%T%.6f"))
            texts = texts.rename({"time": "time_iso"})
        reason = pl.coalesce("reason", pl.when(is_merged).then(pl.lit(DropReason.MERGED.value)))
        return texts, lines.with_columns(reason=reason)


def forget_unlogged_agents(texts: pl.DataFrame, unlogged: str = "") -> pl.DataFrame:
    """Set the user agent to null where it and the referrer are the text that servers write for headers they do not log.

    HAProxy's `option httplog clf` writes `"" ""` on every line.
    """
    if not {"referrer", "user_agent"} <= set(texts.columns):
        return texts
    is_logged = (pl.col("referrer") != unlogged) | (pl.col("user_agent") != unlogged)
    return texts.with_columns(user_agent=pl.when(is_logged).then("user_agent"))


@dataclass(frozen=True)
class AlternativePatterns:
    """Patterns that can be tried in any order: a line that matches several gives the same fields with each."""

    patterns: tuple[LinePattern, ...]

    def parse(self, lines: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Parse the lines that match. The pattern that matches most of the first lines is tried first."""
        sample = lines["text"].head(PATTERN_SAMPLE_LINES)
        in_order = sorted(self.patterns, key=lambda pattern: -sample.str.contains(pattern.regexes[-1]).sum())
        parsed: list[pl.DataFrame] = []
        for pattern in in_order:
            if not parsed or len(lines):
                texts, lines = pattern.parse(lines)
                parsed.append(texts)
        return pl.concat(parsed, how="diagonal"), lines


def _extract_groups(texts: pl.Series, regex: str) -> pl.DataFrame:
    """Extract the groups of a regex, on all threads."""
    chunk_lines = max(LINES_PER_THREAD_MIN, -(-len(texts) // pl.thread_pool_size()))
    groups = pl.col("text").str.extract_groups(regex)
    starts = range(0, max(len(texts), 1), chunk_lines)
    chunks = [texts.slice(start, chunk_lines).alias("text").to_frame().lazy() for start in starts]
    return pl.concat(pl.collect_all([chunk.select(groups).unnest("text") for chunk in chunks]))


def mark_fields(text: str) -> str:
    """Convert a readable template, with fields as `<name>`, into a template with `FIELD_MARK`s.

    >>> mark_fields('<address> [<time>] "<request>"').split(FIELD_MARK)
    ['', 'address', ' [', 'time', '] "', 'request', '"']
    """
    return re.sub("<([^>]*)>", lambda match: mark_field(match[1]), text)


def mark_field(name: str) -> str:
    """Return the name of a field between two `FIELD_MARK`s."""
    return f"{FIELD_MARK}{name}{FIELD_MARK}"


def build_time_regex(time_format: str) -> str:
    """Return the regex of a strftime format.

    Raises LogFormatError if a directive is unknown, or if a formatted time cannot be parsed back.
    """
    moment = datetime(2001, 2, 3, 4, 5, tzinfo=UTC)
    parts = re.split("%([36]f|.)", time_format)
    if unknown := [letter for letter in parts[1::2] if letter not in _STRFTIME_REGEXES]:
        raise LogFormatError(
            f"unknown directive `%{unknown[0]}` in the time format `{time_format}`",
            f"known directives are {', '.join(_STRFTIME_REGEXES)}",
        )
    formatted = pl.lit(moment).dt.strftime(time_format)
    if pl.select(parse_utc(formatted, time_format)).item() != moment.replace(tzinfo=None):
        raise LogFormatError(
            f"the time format `{time_format}` is incomplete", "it needs year, month, day, hour and minute"
        )
    regexes = [_STRFTIME_REGEXES[part] if i % 2 else pl.escape_regex(part) for i, part in enumerate(parts)]
    return "".join(regexes)
