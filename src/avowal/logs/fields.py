"""The one table of what a log line can say: what each field looks like, and what of a request it tells."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from urllib.parse import unquote

import polars as pl

from avowal.logs import request_line
from avowal.logs.distinct_values import each
from avowal.logs.drop_reason import PARSED
from avowal.logs.ip_address import normalise

LONGEST_RESPONSE_US = 24 * 60 * 60 * 1_000_000
"""A response that took longer, in microseconds, was measured in another unit or by a bad clock: unknown."""

STATUS_DIGITS, LEAST_STATUS = 3, 100

EPOCH_UNITS_US = {1e11: 1e6, 1e14: 1e3, 1e17: 1.0, 1e20: 1e-3}
"""Below each bound, the unit, in microseconds, in which a time since 1970 is counted: seconds, and so on."""

YEARS = 1970, 9998
"""The first and last year of a time that can be handed on."""

TEXT = ""
"""The shape of a field that holds anything: what ends it depends on what stands around it."""

WORD = r'[^ \t"]+'
WORDS = r'[^ \t",]+(?:, ?[^ \t",]+)*'

CLF = r"[0-9]{1,2}/[A-Za-z]{3}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
CLOCK = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
DIGITS = r"[0-9]+(?:\.[0-9]+)?"
NUMBER = rf"(?:\+?{DIGITS}|-(?:{DIGITS})?)"
"""No shape has two ways to read one character: Rust then needs one pass over a line, a third of the time."""


@dataclass(frozen=True)
class Field:
    """What a value looks like unquoted (a Rust regex), and which columns of `PARSED` it tells, and how.

    `read` is an expression over all values; `ask` is asked once for each distinct one.
    """

    shape: str
    columns: tuple[str, ...] = ()
    read: Callable[[pl.Expr], pl.Expr] | None = None
    ask: Callable[[str], Iterable[str | None]] | None = None

    @property
    def free(self) -> bool:
        """Whether it may hold anything where it stands in quotes."""
        return self.ask is not None or self.shape in {TEXT, WORD, WORDS}


def _text(value: pl.Expr) -> pl.Expr:
    return pl.when(~value.is_in(["-", ""])).then(value)


def _agent(value: pl.Expr) -> pl.Expr:
    return pl.when(value == "-").then(pl.lit("")).otherwise(value)


def utc(value: pl.Expr, form: str) -> pl.Expr:
    """Read a time of one strftime form; without an offset it is UTC, and what never was is null."""
    return value.str.to_datetime(form, strict=False, time_unit="us").dt.replace_time_zone(None)


def _iso(value: pl.Expr) -> pl.Expr:
    """Read ISO 8601, also with slashes or a space for the `T`; without an offset it is UTC."""
    value = value.str.replace_all("/", "-", literal=True).str.replace(r"^(\S+) ", "${1}T")
    value = value.str.replace(" ?[Zz]$", "+00:00")
    return utc(
        pl.when(value.str.contains("T.*[+-]")).then(value).otherwise(value + "+00:00"),
        "%Y-%m-%dT%H:%M:%S%.f%z",
    )


def _epoch(value: pl.Expr) -> pl.Expr:
    number = pl.when(value.str.contains(r"^[0-9]{9,19}(?:\.[0-9]+)?$")).then(value).cast(pl.Float64)
    unit_us = pl.coalesce(pl.when(number < bound).then(unit) for bound, unit in EPOCH_UNITS_US.items())
    return (number * unit_us).round().cast(pl.Int64, strict=False).cast(pl.Datetime("us"))


_clf = partial(utc, form="%d/%b/%Y:%H:%M:%S%.f %z")
_clf_without_zone = partial(utc, form="%d/%b/%Y:%H:%M:%S%.f")


def _any_time(value: pl.Expr) -> pl.Expr:
    return pl.coalesce(_clf(value), _iso(value), _epoch(value))


def _count(value: pl.Expr) -> pl.Expr:
    number = value.cast(pl.Int64, strict=False)
    return pl.when(number >= 0).then(number)


def _status(value: pl.Expr) -> pl.Expr:
    number = value.cast(pl.UInt16, strict=False)
    return pl.when((value.str.len_bytes() == STATUS_DIGITS) & (number >= LEAST_STATUS)).then(number)


def _duration(value: pl.Expr, unit_us: float) -> pl.Expr:
    duration = value.cast(pl.Float64, strict=False) * unit_us
    return pl.when(duration.is_between(0, LONGEST_RESPONSE_US)).then(
        duration.round().cast(pl.Int64, strict=False)
    )


def _sum(value: pl.Expr) -> pl.Expr:
    parts = value.str.split(" ").list.eval(pl.element().cast(pl.Float64, strict=False))
    whole = pl.when(parts.list.min() >= 0).then(parts.list.sum())
    return _duration(whole, unit_us=1e6)


_HASH = re.compile("#([0-9A-F]{2})")
_AGENT = re.compile(r"[A-Za-z][\w.!-]*/v?\d")
_SITE = re.compile(r"(?=.*[a-z])(?:[a-z0-9-]+\.)+[a-z0-9-]+\.?(?::\d+)?|localhost(?::\d+)?", re.IGNORECASE)


def unhashed(text: str) -> str:
    """Undo how HAProxy writes characters that are not plain: `#` and two digits for each byte."""
    return unquote(_HASH.sub(r"%\1", text.replace("%", "%25"))) if "#" in text else text


def captured(text: str) -> tuple[str | None, str | None, str | None]:
    """Tell host, referrer and user agent among the headers that HAProxy captured, by what they look like.

    >>> captured("{example.org|Mozilla/5.0 (X11)||https://example.com/} {nginx/1.2}")
    ('example.org', 'https://example.com/', 'Mozilla/5.0 (X11)')
    """
    headers = [unhashed(header) for header in text[1:].partition("}")[0].split("|")]
    agent = next(filter(_AGENT.match, headers), None)
    referrer = next((header for header in headers if header.startswith(("http://", "https://"))), None)
    host = next(filter(_SITE.fullmatch, headers), None)
    return request_line.host_name(host or ""), referrer, agent


def _duration_field(unit_us: float) -> Field:
    return Field(NUMBER, ("response_time_us",), partial(_duration, unit_us=unit_us))


FIELDS: dict[str, Field] = {
    "": Field(TEXT),  # what is not read, and neither are the next five
    "any": Field(TEXT),
    "list": Field(r'[^ \t",]+(?:(?:,| :) [^ \t",]+)*'),
    "question": Field(r"\??"),
    "port": Field("[0-9]+"),
    "operation": Field(r"(?:REST|SOAP|WEBSITE)\.[^\s\"]+"),
    "timers": Field(r"-?[0-9]+/-?[0-9]+/-?[0-9]+/-?[0-9]+/"),
    "address": Field(WORD, ("address",), _text),
    "ip": Field(r"(?:[0-9]{1,3}\.[0-9.]+|\[?[0-9A-Fa-f]*:[0-9A-Fa-f:.%]+\]?)", ("address",), _text),
    "forwarded": Field(WORDS, ("address",), _text),
    "time": Field(CLF + r" [+-][0-9]{4}", ("time",), _clf),
    "time_without_zone": Field(CLF, ("time",), _clf_without_zone),
    "time_iso": Field(rf"{DATE}[T ]{CLOCK}(?: ?[Zz]|[+-][0-9]{{2}}:?[0-9]{{2}})?", ("time",), _iso),
    "time_epoch": Field(r"[0-9]{9,19}(?:\.[0-9]+)?", ("time",), _epoch),
    "time_any": Field(TEXT, ("time",), _any_time),
    "request": Field(TEXT, request_line.Target._fields, ask=request_line.line),
    "target": Field(WORD, request_line.Target._fields, ask=request_line.target),
    "schemeless": Field(WORD, request_line.Target._fields, ask=request_line.schemeless),
    "request_hashed": Field(
        TEXT, request_line.Target._fields, ask=lambda text: request_line.line(_HASH.sub(r"%\1", text))
    ),
    "method": Field(f"(?:{request_line.METHOD}|-)", ("method",), _text),
    "stem": Field(r'[^ \t"?]+', ("path",), ask=lambda text: [request_line.path(text)]),
    "search": Field(r'[^ \t"]*', ("query",), ask=lambda text: [request_line.query(text.removeprefix("?"))]),
    "path": Field("", ("path",), lambda value: value),
    "query": Field("", ("query",), lambda value: pl.when(value != "").then(value)),
    "name": Field("[A-Za-z_][A-Za-z0-9._-]*", ("host",), ask=lambda text: [request_line.server_name(text)]),
    "server": Field(r"[A-Za-z0-9.:\[\]_-]+", ("host",), ask=lambda text: [request_line.server_name(text)]),
    "host": Field(r'[^ \t"/]+', ("host",), ask=lambda text: [request_line.host_name(text)]),
    "status": Field("(?:[0-9]{3}|-1?)", ("status",), _status),
    "bytes": Field(r"(?:\+?[0-9]+|-)", ("bytes",), _count),
    "seconds": _duration_field(1e6),
    "milliseconds": _duration_field(1e3),
    "microseconds": _duration_field(1),
    "nanoseconds": _duration_field(1e-3),
    "sum_of_seconds": Field(rf"{NUMBER} {NUMBER} {NUMBER}", ("response_time_us",), _sum),
    "captures": Field(r"(?:\{[^{}]*\} ){0,2}", ("host", "referrer", "user_agent"), ask=captured),
    "referrer": Field(TEXT, ("referrer",), _text),
    "user_agent": Field(TEXT, ("user_agent",), _agent),
}
"""Each field by its name. Where two tell the same column, the first that says something is believed."""


def parsed(raw: pl.DataFrame) -> pl.DataFrame:
    """Turn the texts of fields, named as in `FIELDS` beside `line`, into requests (`PARSED`).

    A time that never was is null, and such a row is no request.
    """
    said: dict[str, list[pl.Expr]] = {column: [] for column in PARSED}
    said["line"] = [pl.col("line")]
    for name, field in FIELDS.items():
        if name not in raw.columns:
            continue
        if field.ask:
            answers = each(raw[name], field.ask, [f"{name}.{column}" for column in field.columns])
            raw = raw.hstack(answers)
        for column in field.columns:
            said[column].append(
                pl.col(f"{name}.{column}") if field.read is None else field.read(pl.col(name))
            )
    requests = raw.select(
        pl.coalesce(*said[column], pl.lit(None)).cast(dtype).alias(column) for column, dtype in PARSED.items()
    )
    return requests.with_columns(
        pl.when(pl.col("time").dt.year().is_between(*YEARS)).then("time"),
        normalise(requests["address"]),
        *(_unescaped(requests[name]) for name in ("referrer", "user_agent")),
    )


def _unescaped(texts: pl.Series) -> pl.Series:
    escaped = texts.str.contains("\\", literal=True)
    if not escaped.any():
        return texts
    plain = each(texts.set(~escaped, None), lambda text: [request_line.unescape(text)], [texts.name])[
        texts.name
    ]
    return texts.zip_with(~escaped.fill_null(value=False), plain)
