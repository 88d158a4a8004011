"""Formats that are a row of fields: our own templates, and what an operator pastes, compiled into regexes.

A template is the text of a line, with the names of fields (`fields.FIELDS`) in it, each between two `MARK`s.
A time may have its strftime form behind its name (`time=%Y-%m-%d %H:%M`), in the letters that Polars knows.
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
"""The fewest lines of a batch that are worth a thread of their own."""

PATTERN_SAMPLE_LINES = 100
"""How many lines of a batch tell which pattern to try first."""

QUOTED_TEXT_REGEX = r'(?:[^"\\]|\\.)*'
EXTRA_FIELD_REGEX = rf'(?: +(?:"{QUOTED_TEXT_REGEX}"|[^ \t"\[]+))'
"""One more field at the end of a line, quoted or not; without `[`, with which another record's time begins."""

_WITH_SPACES = {"any", "request", "user_agent"}
_LETTERS = {
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
    """A field in a template, and the character on each side of it."""

    name: str
    time_format: str
    before: str
    after: str

    @property
    def is_quoted(self) -> bool:
        """Whether it stands in quotes."""
        return self.before == self.after == '"'

    @property
    def is_request_line(self) -> bool:
        """Whether it is a request line in quotes, which is nearly always a plain one."""
        return self.is_quoted and self.name in {"request", "request_hashed"}

    @property
    def regex(self) -> str:
        """The regex of its values."""
        field = LOG_FIELDS[self.name]
        if self.time_format:
            return _strftime_shape(self.time_format)
        if self.is_quoted and field.accepts_any_text:
            return QUOTED_TEXT_REGEX
        if field.regex != ANY_TEXT:
            return field.regex
        if self.after not in {"", " "}:
            return f"[^{pl.escape_regex(self.after)}]*"
        return '[^"]*?' if self.name in _WITH_SPACES else r'(?:""|[^ \t"]*)'


@dataclass(frozen=True)
class LinePattern:
    """Regexes to try in turn, whose groups are named by fields."""

    regexes: tuple[str, ...]
    time_group: str
    """The group that every line it reads fills."""
    time_regex: str
    """A regex of that time and what stands beside it."""
    times_per_line: int = 1
    """How many times of that kind a line has; more, and two records were run together."""
    time_format: str = ""
    """The strftime form of the time, where it has one of its own."""
    counts_times: bool = False
    """Whether a value without quotes could reach into another record, so that clocks must be counted."""

    @classmethod
    def from_template(cls, template: str, extras: str = "") -> Self:
        """Compile a template, with a regex of what else may stand at the end of a line."""
        parts = template.split(FIELD_MARK)
        literals, names = parts[::2], [part.partition("=") for part in parts[1::2]]
        slots = [
            TemplateField(name, form, literals[i][-1:], literals[i + 1][:1])
            for i, (name, _, form) in enumerate(names)
        ]
        told: set[tuple[str, ...]] = set()
        whole = plain = "^" + pl.escape_regex(literals[0])
        for slot, literal in zip(slots, literals[1:], strict=True):
            columns = LOG_FIELDS[slot.name].columns
            trusted = slot.name != "forwarded" or not any(other.name == "address" for other in slots)
            kept = columns and columns not in told and trusted
            told |= {columns} if kept else set()
            value = f"({f'?P<{slot.name}>' if kept else '?:'}{slot.regex})"
            whole += value + pl.escape_regex(literal)
            plain += (PLAIN_REQUEST_LINE_REGEX if kept and slot.is_request_line else value) + pl.escape_regex(
                literal
            )
        alone = plain == whole or told & {("method",), ("path",), ("query",)}
        times = [slot for slot in slots if LOG_FIELDS[slot.name].columns == ("time",)]
        return cls(
            tuple(f"{regex}{extras}$" for regex in ([whole] if alone else [plain, whole])),
            times[0].name,
            pl.escape_regex(times[0].before) + times[0].regex + pl.escape_regex(times[0].after),
            len(times),
            times[0].time_format,
            any(slot.name in _WITH_SPACES and not slot.is_quoted for slot in slots),
        )

    def parse(self, left: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Read what lines it can, and tell which of those that are left are two records in one."""
        merged = pl.col("text").str.count_matches(self.time_regex) > self.times_per_line
        found = []
        for regex in self.regexes:
            groups = _extract(left["text"], regex)
            read = groups[self.time_group].is_not_null()
            if self.counts_times:
                read &= ~left.select(merged).to_series()
            found.append(groups.with_columns(left["line"]).filter(read))
            left = left.filter(~read)
        raw = pl.concat(found, how="diagonal")
        if self.time_format:
            raw = raw.with_columns(parse_utc(pl.col("time"), self.time_format).dt.strftime("%FT%T%.6f"))
            raw = raw.rename({"time": "time_iso"})
        reason = pl.coalesce("reason", pl.when(merged).then(pl.lit(DropReason.MERGED.value)))
        return raw, left.with_columns(reason=reason)


@dataclass(frozen=True)
class AlternativePatterns:
    """Patterns that read the same of a line that fits several, so that they can be tried in any order."""

    patterns: tuple[LinePattern, ...]

    def parse(self, left: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Read what lines it can, by the pattern first that most of the first lines fit."""
        first = left["text"].head(PATTERN_SAMPLE_LINES)
        likely = sorted(self.patterns, key=lambda pattern: -first.str.contains(pattern.regexes[-1]).sum())
        found = []
        for pattern in likely:
            raw, left = pattern.parse(left)
            found.append(raw)
        return pl.concat(found, how="diagonal"), left


def _extract(texts: pl.Series, regex: str) -> pl.DataFrame:
    """Extract the groups of a regex, on all threads."""
    share = max(LINES_PER_THREAD_MIN, -(-len(texts) // pl.thread_pool_size()))
    groups = pl.col("text").str.extract_groups(regex)
    shares = [texts.slice(start, share).alias("text") for start in range(0, max(len(texts), 1), share)]
    return pl.concat(
        pl.collect_all([part.to_frame().lazy().select(groups).unnest("text") for part in shares])
    )


def mark_fields(text: str) -> str:
    """Make a template of a readable one, in which fields are written `<name>`.

    >>> template('<address> [<time>] "<request>"').split(MARK)
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
    "q": "search",
    "r": "request",
    "s": "status",
    "U": "stem",
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
    """Make a template of an Apache `LogFormat` (mod_log_config), its directive's name around it or not."""
    if found := re.fullmatch(r'\s*(?:LogFormat|CustomLog\s+\S+)\s+"((?:[^"\\]|\\.)*)".*', text, re.DOTALL):
        text = found[1]
    marked = _DIRECTIVE.sub(_apache_field, _unescaped(text))
    while marked != (marked := _SPLIT_TIME.sub(rf"{FIELD_MARK}time=\1\2", marked)):
        pass  # `%{%T}t.%{msec_frac}t` is one time in two pieces
    return _checked(marked)


def _apache_field(found: re.Match[str]) -> str:
    argument, letter = found[1] or "", found[2]
    if letter == "%":
        return "%"
    if letter == "t" and not argument:
        return f"[{FIELD_MARK}time{FIELD_MARK}]"
    if letter == "t":
        form = argument.removeprefix("begin:").removeprefix("end:")
        name = APACHE_TIME_FORMATS.get(form) or ("time_epoch" if form == "%s" else f"time={form}")
    elif letter == "i":
        name = APACHE_HEADERS.get(argument.lower(), "any")
    elif letter == "T" and argument in APACHE_DURATION_UNITS:
        name = APACHE_DURATION_UNITS[argument]
    elif letter.startswith("^"):
        name = "any"
    elif letter in APACHE_DIRECTIVES:
        name = APACHE_DIRECTIVES[letter]
    else:
        raise LogFormatError(
            f"unknown directive `{found[0]}` in the log format",
            f"known are %t, %T, %{{…}}i and {', '.join(APACHE_DIRECTIVES)}",
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
    **dict.fromkeys(["uri", "document_uri"], "stem"),
    **dict.fromkeys(["args", "query_string"], "search"),
    "is_args": "question",
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
"""How like a known variable an unknown one must be to be taken for its misspelling."""


def parse_nginx_format(text: str) -> str:
    """Make a template of an nginx `log_format`, its directive's name and quotes around it or not."""
    body = re.sub(r"^\s*log_format\s+\S+\s+(?:escape=\w+\s+)?|\s*;\s*$", "", text)
    if re.match(r"\s*'", body):
        body = "".join(re.findall(r"'((?:[^'\\]|\\.)*)'", body))
    return _checked(_VARIABLE.sub(_nginx_field, _unescaped(body)))


def _nginx_field(found: re.Match[str]) -> str:
    variable = found[1] or found[2]
    if variable in NGINX_VARIABLES:
        return f"{FIELD_MARK}{NGINX_VARIABLES[variable]}{FIELD_MARK}"
    if near := get_close_matches(variable, NGINX_VARIABLES, 1, MISSPELLING_SIMILARITY_MIN):
        raise LogFormatError(
            f"unknown variable `${variable}` in the log format", f"did you mean `${near[0]}`?"
        )
    if variable.startswith("remote_addr"):  # as operators name what they have masked
        return f"{FIELD_MARK}address{FIELD_MARK}"
    name = "any" if variable.startswith(("http_", "sent_http_", "cookie_", "arg_")) else ""
    return f"{FIELD_MARK}{'list' if variable.startswith('upstream_') else name}{FIELD_MARK}"


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: {"t": "\t", "n": "\n"}.get(found[1], found[1]), text)


def _checked(marked: str) -> str:
    """Return a template, if a request can be read from it."""
    names = marked.split(FIELD_MARK)[1::2]
    if not any(name.startswith("time") for name in names):
        raise LogFormatError(
            "the log format names no time", "add `%t` (Apache) or `$time_iso8601` (nginx) to it"
        )
    if not {"request", "target", "stem"} & set(names):
        raise LogFormatError(
            "the log format names no request", 'add `"%r"` (Apache) or `"$request"` (nginx) to it'
        )
    for name in names:
        if name.startswith("time="):
            _strftime_shape(name.removeprefix("time="))
    return marked


def _strftime_shape(form: str) -> str:
    """Return the regex of a time's form, after a moment has been there and back again."""
    moment = datetime(2001, 2, 3, 4, 5, tzinfo=UTC)
    parts = re.split("%([36]f|.)", form)
    if unknown := [letter for letter in parts[1::2] if letter not in _LETTERS]:
        raise LogFormatError(
            f"unknown directive `%{unknown[0]}` in the time `{form}`", f"known are {', '.join(_LETTERS)}"
        )
    if pl.select(parse_utc(pl.lit(moment).dt.strftime(form), form)).item() != moment.replace(tzinfo=None):
        raise LogFormatError(f"the time `{form}` is no moment", "it needs year, month, day, hour and minute")
    shapes = [_LETTERS[part] if i % 2 else pl.escape_regex(part) for i, part in enumerate(parts)]
    return "".join(shapes)
