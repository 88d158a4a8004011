"""The one table of what a log line can say: what each field looks like, and what of a request it tells."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from urllib.parse import unquote

import polars as pl

from avowal.logs import request_line
from avowal.logs.distinct_values import map_distinct_texts
from avowal.logs.drop_reason import REQUEST_SCHEMA
from avowal.logs.ip_address import normalise_addresses

RESPONSE_TIME_MAX_US = 24 * 60 * 60 * 1_000_000
"""A response that took longer, in microseconds, was measured in another unit or by a bad clock: unknown."""

STATUS_DIGITS, STATUS_MIN = 3, 100

EPOCH_UNITS_US = {1e11: 1e6, 1e14: 1e3, 1e17: 1.0, 1e20: 1e-3}
"""Below each bound, the unit, in microseconds, in which a time since 1970 is counted: seconds, and so on."""

YEAR_RANGE = 1970, 9998
"""The first and last year of a time that can be handed on."""

ANY_TEXT = ""
"""The shape of a field that holds anything: what ends it depends on what stands around it."""

WORD_REGEX = r'[^ \t"]+'
WORD_LIST_REGEX = r'[^ \t",]+(?:, ?[^ \t",]+)*'

CLF_TIME_REGEX = r"[0-9]{1,2}/[A-Za-z]{3}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
DATE_REGEX = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
TIME_OF_DAY_REGEX = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
DECIMAL_REGEX = r"[0-9]+(?:\.[0-9]+)?"
NUMBER_REGEX = rf"(?:\+?{DECIMAL_REGEX}|-(?:{DECIMAL_REGEX})?)"
"""No shape has two ways to read one character: Rust then needs one pass over a line, a third of the time."""


@dataclass(frozen=True)
class LogField:
    """What a value looks like unquoted (a Rust regex), and which columns of `PARSED` it tells, and how.

    `read` is an expression over all values; `ask` is asked once for each distinct one.
    """

    regex: str
    columns: tuple[str, ...] = ()
    convert_column: Callable[[pl.Expr], pl.Expr] | None = None
    convert_text: Callable[[str], Iterable[str | None]] | None = None

    @property
    def accepts_any_text(self) -> bool:
        """Whether it may hold anything where it stands in quotes."""
        return self.convert_text is not None or self.regex in {ANY_TEXT, WORD_REGEX, WORD_LIST_REGEX}


def _text(value: pl.Expr) -> pl.Expr:
    return pl.when(~value.is_in(["-", ""])).then(value)


def _agent(value: pl.Expr) -> pl.Expr:
    return pl.when(value == "-").then(pl.lit("")).otherwise(value)


def parse_utc(value: pl.Expr, time_format: str) -> pl.Expr:
    """Read a time of one strftime form; without an offset it is UTC, and what never was is null."""
    return value.str.to_datetime(time_format, strict=False, time_unit="us").dt.replace_time_zone(None)


def _iso(value: pl.Expr) -> pl.Expr:
    """Read ISO 8601, also with slashes or a space for the `T`; without an offset it is UTC."""
    value = value.str.replace_all("/", "-", literal=True).str.replace(r"^(\S+) ", "${1}T")
    value = value.str.replace(" ?[Zz]$", "+00:00")
    return parse_utc(
        pl.when(value.str.contains("T.*[+-]")).then(value).otherwise(value + "+00:00"),
        "%Y-%m-%dT%H:%M:%S%.f%z",
    )


def _epoch(value: pl.Expr) -> pl.Expr:
    number = pl.when(value.str.contains(r"^[0-9]{9,19}(?:\.[0-9]+)?$")).then(value).cast(pl.Float64)
    unit_us = pl.coalesce(pl.when(number < bound).then(unit) for bound, unit in EPOCH_UNITS_US.items())
    return (number * unit_us).round().cast(pl.Int64, strict=False).cast(pl.Datetime("us"))


_clf = partial(parse_utc, time_format="%d/%b/%Y:%H:%M:%S%.f %z")
_clf_without_zone = partial(parse_utc, time_format="%d/%b/%Y:%H:%M:%S%.f")


def _any_time(value: pl.Expr) -> pl.Expr:
    return pl.coalesce(_clf(value), _iso(value), _epoch(value))


def _count(value: pl.Expr) -> pl.Expr:
    number = value.cast(pl.Int64, strict=False)
    return pl.when(number >= 0).then(number)


def _status(value: pl.Expr) -> pl.Expr:
    number = value.cast(pl.UInt16, strict=False)
    return pl.when((value.str.len_bytes() == STATUS_DIGITS) & (number >= STATUS_MIN)).then(number)


def _duration(value: pl.Expr, unit_us: float) -> pl.Expr:
    duration = value.cast(pl.Float64, strict=False) * unit_us
    return pl.when(duration.is_between(0, RESPONSE_TIME_MAX_US)).then(
        duration.round().cast(pl.Int64, strict=False)
    )


def _sum(value: pl.Expr) -> pl.Expr:
    parts = value.str.split(" ").list.eval(pl.element().cast(pl.Float64, strict=False))
    whole = pl.when(parts.list.min() >= 0).then(parts.list.sum())
    return _duration(whole, unit_us=1e6)


_HASH = re.compile("#([0-9A-F]{2})")
_AGENT = re.compile(r"[A-Za-z][\w.!-]*/v?\d")
_SITE = re.compile(r"(?=.*[a-z])(?:[a-z0-9-]+\.)+[a-z0-9-]+\.?(?::\d+)?|localhost(?::\d+)?", re.IGNORECASE)


def decode_haproxy_text(text: str) -> str:
    """Undo how HAProxy writes characters that are not plain: `#` and two digits for each byte."""
    return unquote(_HASH.sub(r"%\1", text.replace("%", "%25"))) if "#" in text else text


def parse_haproxy_captures(text: str) -> tuple[str | None, str | None, str | None]:
    """Tell host, referrer and user agent among the headers that HAProxy captured, by what they look like.

    >>> captured("{example.org|Mozilla/5.0 (X11)||https://example.com/} {nginx/1.2}")
    ('example.org', 'https://example.com/', 'Mozilla/5.0 (X11)')
    """
    headers = [decode_haproxy_text(header) for header in text[1:].partition("}")[0].split("|")]
    agent = next(filter(_AGENT.match, headers), None)
    referrer = next((header for header in headers if header.startswith(("http://", "https://"))), None)
    host = next(filter(_SITE.fullmatch, headers), None)
    return request_line.parse_host_name(host or ""), referrer, agent


def _duration_field(unit_us: float) -> LogField:
    return LogField(NUMBER_REGEX, ("response_time_us",), partial(_duration, unit_us=unit_us))


LOG_FIELDS: dict[str, LogField] = {
    "": LogField(ANY_TEXT),  # what is not read, and neither are the next five
    "any": LogField(ANY_TEXT),
    "list": LogField(r'[^ \t",]+(?:(?:,| :) [^ \t",]+)*'),
    "question": LogField(r"\??"),
    "port": LogField("[0-9]+"),
    "operation": LogField(r"(?:REST|SOAP|WEBSITE)\.[^\s\"]+"),
    "timers": LogField(r"-?[0-9]+/-?[0-9]+/-?[0-9]+/-?[0-9]+/"),
    "address": LogField(WORD_REGEX, ("address",), _text),
    "ip": LogField(r"(?:[0-9]{1,3}\.[0-9.]+|\[?[0-9A-Fa-f]*:[0-9A-Fa-f:.%]+\]?)", ("address",), _text),
    "forwarded": LogField(WORD_LIST_REGEX, ("address",), _text),
    "time": LogField(CLF_TIME_REGEX + r" [+-][0-9]{4}", ("time",), _clf),
    "time_without_zone": LogField(CLF_TIME_REGEX, ("time",), _clf_without_zone),
    "time_iso": LogField(
        rf"{DATE_REGEX}[T ]{TIME_OF_DAY_REGEX}(?: ?[Zz]|[+-][0-9]{{2}}:?[0-9]{{2}})?", ("time",), _iso
    ),
    "time_epoch": LogField(r"[0-9]{9,19}(?:\.[0-9]+)?", ("time",), _epoch),
    "time_any": LogField(ANY_TEXT, ("time",), _any_time),
    "request": LogField(
        ANY_TEXT, request_line.RequestTarget._fields, convert_text=request_line.parse_request_line
    ),
    "target": LogField(
        WORD_REGEX, request_line.RequestTarget._fields, convert_text=request_line.parse_target
    ),
    "schemeless": LogField(
        WORD_REGEX, request_line.RequestTarget._fields, convert_text=request_line.parse_schemeless_target
    ),
    "request_hashed": LogField(
        ANY_TEXT,
        request_line.RequestTarget._fields,
        convert_text=lambda text: request_line.parse_request_line(_HASH.sub(r"%\1", text)),
    ),
    "method": LogField(f"(?:{request_line.METHOD_REGEX}|-)", ("method",), _text),
    "stem": LogField(r'[^ \t"?]+', ("path",), convert_text=lambda text: [request_line.sanitise_path(text)]),
    "search": LogField(
        r'[^ \t"]*',
        ("query",),
        convert_text=lambda text: [request_line.sanitise_query(text.removeprefix("?"))],
    ),
    "path": LogField("", ("path",), lambda value: value),
    "query": LogField("", ("query",), lambda value: pl.when(value != "").then(value)),
    "name": LogField(
        "[A-Za-z_][A-Za-z0-9._-]*",
        ("host",),
        convert_text=lambda text: [request_line.parse_server_name(text)],
    ),
    "server": LogField(
        r"[A-Za-z0-9.:\[\]_-]+", ("host",), convert_text=lambda text: [request_line.parse_server_name(text)]
    ),
    "host": LogField(r'[^ \t"/]+', ("host",), convert_text=lambda text: [request_line.parse_host_name(text)]),
    "status": LogField("(?:[0-9]{3}|-1?)", ("status",), _status),
    "bytes": LogField(r"(?:\+?[0-9]+|-)", ("bytes",), _count),
    "seconds": _duration_field(1e6),
    "milliseconds": _duration_field(1e3),
    "microseconds": _duration_field(1),
    "nanoseconds": _duration_field(1e-3),
    "sum_of_seconds": LogField(rf"{NUMBER_REGEX} {NUMBER_REGEX} {NUMBER_REGEX}", ("response_time_us",), _sum),
    "captures": LogField(
        r"(?:\{[^{}]*\} ){0,2}", ("host", "referrer", "user_agent"), convert_text=parse_haproxy_captures
    ),
    "referrer": LogField(ANY_TEXT, ("referrer",), _text),
    "user_agent": LogField(ANY_TEXT, ("user_agent",), _agent),
}
"""Each field by its name. Where two tell the same column, the first that says something is believed."""


def parse_fields(raw: pl.DataFrame) -> pl.DataFrame:
    """Turn the texts of fields, named as in `FIELDS` beside `line`, into requests (`PARSED`).

    A time that never was is null, and such a row is no request.
    """
    said: dict[str, list[pl.Expr]] = {column: [] for column in REQUEST_SCHEMA}
    said["line"] = [pl.col("line")]
    for name, field in LOG_FIELDS.items():
        if name not in raw.columns:
            continue
        if field.convert_text:
            answers = map_distinct_texts(
                raw[name], field.convert_text, [f"{name}.{column}" for column in field.columns]
            )
            raw = raw.hstack(answers)
        for column in field.columns:
            said[column].append(
                pl.col(f"{name}.{column}")
                if field.convert_column is None
                else field.convert_column(pl.col(name))
            )
    requests = raw.select(
        pl.coalesce(*said[column], pl.lit(None)).cast(dtype).alias(column)
        for column, dtype in REQUEST_SCHEMA.items()
    )
    return requests.with_columns(
        pl.when(pl.col("time").dt.year().is_between(*YEAR_RANGE)).then("time"),
        normalise_addresses(requests["address"]),
        *(_unescaped(requests[name]) for name in ("referrer", "user_agent")),
    )


def _unescaped(texts: pl.Series) -> pl.Series:
    escaped = texts.str.contains("\\", literal=True)
    if not escaped.any():
        return texts
    plain = map_distinct_texts(
        texts.set(~escaped, None), lambda text: [request_line.unescape(text)], [texts.name]
    )[texts.name]
    return texts.zip_with(~escaped.fill_null(value=False), plain)
