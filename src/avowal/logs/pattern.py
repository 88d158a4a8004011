"""Compile formats whose lines are a sequence of fields into regexes, from our templates and from pasted formats.

A template is the text of a line with names of fields (`fields.LOG_FIELDS`), each between two `FIELD_MARK`s. The name of
a time can be followed by its strftime format (`time=%Y-%m-%d %H:%M`), in the letters that Polars knows.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
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
EXTRA_FIELD_REGEX = rf'(?: +(?:"{QUOTED_TEXT_REGEX}"|[^ \t"\[]+))'
"""An extra field at the end of a line, quoted or not. It contains no `[`, which starts the time of another record."""

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
            return _build_time_regex(self.time_format)
        if self.is_quoted and field.accepts_any_text:
            return QUOTED_TEXT_REGEX
        if field.regex != ANY_TEXT:
            return field.regex
        if self.after not in {"", " "}:
            return f"[^{pl.escape_regex(self.after)}]*"
        return '[^"]*?' if self.name in _FIELDS_WITH_SPACES else r'(?:""|[^ \t"]*)'


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
    def from_template(cls, template: str, extras: str = "") -> Self:
        """Compile a template. `extras` is a regex of further fields at the end of a line."""
        parts = template.split(FIELD_MARK)
        literals, names = parts[::2], [part.partition("=") for part in parts[1::2]]
        fields = [
            TemplateField(name, time_format, literals[i][-1:], literals[i + 1][:1])
            for i, (name, _, time_format) in enumerate(names)
        ]
        filled: set[tuple[str, ...]] = set()
        general = plain = "^" + pl.escape_regex(literals[0])
        for field, literal in zip(fields, literals[1:], strict=True):
            columns = LOG_FIELDS[field.name].columns
            is_trusted = field.name != "forwarded" or not any(other.name == "address" for other in fields)
            is_read = columns and columns not in filled and is_trusted
            filled |= {columns} if is_read else set()
            group = f"({f'?P<{field.name}>' if is_read else '?:'}{field.regex})"
            general += group + pl.escape_regex(literal)
            plain += PLAIN_REQUEST_LINE_REGEX if is_read and field.is_request_line else group
            plain += pl.escape_regex(literal)
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
        if self.time_format:
            texts = texts.with_columns(parse_utc(pl.col("time"), self.time_format).dt.strftime("%FT%T%.6f"))
            texts = texts.rename({"time": "time_iso"})
        reason = pl.coalesce("reason", pl.when(is_merged).then(pl.lit(DropReason.MERGED.value)))
        return texts, lines.with_columns(reason=reason)


@dataclass(frozen=True)
class AlternativePatterns:
    """Patterns that can be tried in any order: a line that matches several gives the same fields with each."""

    patterns: tuple[LinePattern, ...]

    def parse(self, lines: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Parse the lines that match. The pattern that matches most of the first lines is tried first."""
        sample = lines["text"].head(PATTERN_SAMPLE_LINES)
        in_order = sorted(self.patterns, key=lambda pattern: -sample.str.contains(pattern.regexes[-1]).sum())
        parsed = []
        for pattern in in_order:
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
    return re.sub("<([^>]*)>", rf"{FIELD_MARK}\1{FIELD_MARK}", text)


APACHE_DIRECTIVES = {
    **dict.fromkeys("AfHIklLnopPRSuXCex", ""),
    **dict.fromkeys("ah", "address"),
    **dict.fromkeys("bBO", "bytes"),
    **dict.fromkeys("vV", "host"),
    "D": "microseconds",
    "m": "method",
    "q": "raw_query",
    "r": "request",
    "s": "status",
    "U": "raw_path",
}
APACHE_HEADERS = {
    "user-agent": "user_agent",
    "referer": "referrer",
    "host": "host",
    "x-forwarded-for": "forwarded",
    "x-real-ip": "forwarded",
    "cf-connecting-ip": "forwarded",
}
APACHE_TIME_FORMATS = {
    **dict.fromkeys(["sec", "msec", "usec"], "time_epoch"),
    "msec_frac": "time=%3f",
    "usec_frac": "time=%6f",
}
APACHE_DURATION_UNITS = {"": "seconds", "s": "seconds", "ms": "milliseconds", "us": "microseconds"}

_DIRECTIVE = re.compile(r"%(?:!?\d{3}(?:,\d{3})*)?[<>]?(?:\{([^}]*)\})?(\^t[io]|.|$)", re.DOTALL)
_SPLIT_TIME = re.compile(
    f"{FIELD_MARK}time=([^{FIELD_MARK}]*){FIELD_MARK}([^{FIELD_MARK}%]*){FIELD_MARK}time="
)


def parse_apache_format(text: str) -> str:
    """Convert an Apache `LogFormat` (mod_log_config), with or without the name of its directive, into a template.

    Raises LogFormatError if a directive is unknown, or if the format has no time or no request.
    """
    if match := re.fullmatch(r'\s*(?:LogFormat|CustomLog\s+\S+)\s+"((?:[^"\\]|\\.)*)".*', text, re.DOTALL):
        text = match[1]
    marked = _DIRECTIVE.sub(_apache_field, _unescape_backslashes(text))
    while marked != (marked := _SPLIT_TIME.sub(rf"{FIELD_MARK}time=\1\2", marked)):
        pass  # `%{%T}t.%{msec_frac}t` is one time in two pieces
    return _check_template(marked)


def _apache_field(match: re.Match[str]) -> str:
    argument, letter = match[1] or "", match[2]
    if letter == "%":
        return "%"
    if letter == "t" and not argument:
        return f"[{FIELD_MARK}time{FIELD_MARK}]"
    if letter == "t":
        time_format = argument.removeprefix("begin:").removeprefix("end:")
        name = APACHE_TIME_FORMATS.get(time_format) or (
            "time_epoch" if time_format == "%s" else f"time={time_format}"
        )
    elif letter == "i":
        name = APACHE_HEADERS.get(argument.lower(), "any_text")
    elif letter == "T" and argument in APACHE_DURATION_UNITS:
        name = APACHE_DURATION_UNITS[argument]
    elif letter.startswith("^"):
        name = "any_text"
    elif letter in APACHE_DIRECTIVES:
        name = APACHE_DIRECTIVES[letter]
    else:
        raise LogFormatError(
            f"unknown directive `{match[0]}` in the log format",
            f"known directives are %t, %T, %{{…}}i and {', '.join(APACHE_DIRECTIVES)}",
        )
    return f"{FIELD_MARK}{name}{FIELD_MARK}"


NGINX_VARIABLES = {
    "remote_addr": "address",
    **dict.fromkeys(
        ["http_x_forwarded_for", "proxy_add_x_forwarded_for", "http_x_real_ip", "http_cf_connecting_ip"],
        "forwarded",
    ),
    "time_local": "time",
    "time_iso8601": "time_iso",
    "msec": "time_epoch",
    "request": "request",
    "request_method": "method",
    "request_uri": "target",
    **dict.fromkeys(["uri", "document_uri"], "raw_path"),
    **dict.fromkeys(["args", "query_string"], "raw_query"),
    "is_args": "question_mark",
    "status": "status",
    **dict.fromkeys(["body_bytes_sent", "bytes_sent"], "bytes"),
    "request_time": "seconds",
    **dict.fromkeys(["host", "http_host", "server_name"], "host"),
    "http_referer": "referrer",
    "http_user_agent": "user_agent",
    **dict.fromkeys(
        [
            "remote_user",
            "remote_port",
            "scheme",
            "server_port",
            "server_protocol",
            "request_id",
            "request_length",
        ],
        "",
    ),
}
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
MISSPELLING_SIMILARITY_MIN = 0.87
"""How similar to a known variable an unknown one must be to count as a misspelling, from 0 to 1."""


def parse_nginx_format(text: str) -> str:
    """Convert an nginx `log_format`, with or without the name of its directive and quotes, into a template.

    Raises LogFormatError if a variable is misspelt, or if the format has no time or no request.
    """
    body = re.sub(r"^\s*log_format\s+\S+\s+(?:escape=\w+\s+)?|\s*;\s*$", "", text)
    if re.match(r"\s*'", body):
        body = "".join(re.findall(r"'((?:[^'\\]|\\.)*)'", body))
    return _check_template(_VARIABLE.sub(_nginx_field, _unescape_backslashes(body)))


def _nginx_field(match: re.Match[str]) -> str:
    variable = match[1] or match[2]
    if variable in NGINX_VARIABLES:
        return f"{FIELD_MARK}{NGINX_VARIABLES[variable]}{FIELD_MARK}"
    if near := get_close_matches(variable, NGINX_VARIABLES, 1, MISSPELLING_SIMILARITY_MIN):
        raise LogFormatError(
            f"unknown variable `${variable}` in the log format", f"did you mean `${near[0]}`?"
        )
    if variable.startswith("remote_addr"):  # operators use such names for masked addresses
        return f"{FIELD_MARK}address{FIELD_MARK}"
    name = "any_text" if variable.startswith(("http_", "sent_http_", "cookie_", "arg_")) else ""
    return f"{FIELD_MARK}{'value_list' if variable.startswith('upstream_') else name}{FIELD_MARK}"


def _unescape_backslashes(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: {"t": "\t", "n": "\n"}.get(match[1], match[1]), text)


def _check_template(marked: str) -> str:
    """Return the template. Raises LogFormatError if it has no time or no request, or an invalid time format."""
    names = marked.split(FIELD_MARK)[1::2]
    if not any(name.startswith("time") for name in names):
        raise LogFormatError(
            "the log format has no time", "add `%t` (Apache) or `$time_iso8601` (nginx) to it"
        )
    if not {"request", "target", "raw_path"} & set(names):
        raise LogFormatError(
            "the log format has no request", 'add `"%r"` (Apache) or `"$request"` (nginx) to it'
        )
    for name in names:
        if name.startswith("time="):
            _build_time_regex(name.removeprefix("time="))
    return marked


def _build_time_regex(time_format: str) -> str:
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
