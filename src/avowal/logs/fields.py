"""Define the fields of log lines: the regex of each, and the columns of a request that it fills."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from urllib.parse import unquote

import polars as pl
from polars.datatypes import DataType, DataTypeClass

from avowal.logs import request_line
from avowal.logs.distinct_values import map_distinct_texts
from avowal.logs.ip_address import canonicalise_address, normalise_addresses
from avowal.logs.session_id import remove_from_columns
from avowal.url_parts import ABNORMAL_PATH_REGEX, normalise_path, parse_host_name

_COLUMNS: dict[str, DataType | DataTypeClass] = {
    "line": pl.UInt32,
    "time": pl.Datetime("us"),
    "address": pl.String,
    "host": pl.String,
    "method": pl.String,
    "path": pl.String,
    "query": pl.String,
    "status": pl.UInt16,
    "bytes": pl.Int64,
    "response_time_us": pl.Int64,
    "referrer": pl.String,
    "user_agent": pl.String,
    "content_type": pl.String,
}
REQUEST_SCHEMA = pl.Schema(_COLUMNS)
"""The columns of a parsed request. The terms have not been applied yet: requests exist in memory only.

`line` is the number of the line in its batch, from 0. `time` is UTC. `path` is as logged, without the query and without
session parameters; unsafe characters are percent-encoded. `query` has no question mark. Null means that the log
does not say it. `user_agent` is null if the format has no user agents or the line was cut inside it; it is the empty
string if the log says that there was none (`-`). `content_type` is that of the response, without parameters.
"""

RESPONSE_TIME_MAX_US = 24 * 60 * 60 * 1_000_000
"""The longest response time that is believed, in microseconds. A longer one comes from a wrong unit or a bad clock."""

STATUS_DIGITS, STATUS_MIN = 3, 100

EPOCH_UNITS_US = {1e11: 1e6, 1e14: 1e3, 1e17: 1.0, 1e20: 1e-3}
"""The unit, in microseconds, of a time since 1970 that is below each bound: from seconds to nanoseconds."""

YEAR_RANGE = 1970, 9998
"""The first and last year of a valid time."""

ANY_TEXT = ""
"""The regex of a field that accepts any text. The characters around the field decide where it ends."""

WORD_REGEX = r'[^ \t"]+'
WORD_LIST_REGEX = r'[^ \t",]+(?:, ?[^ \t",]+)*'

CLF_TIME_REGEX = r"[0-9]{1,2}/[A-Za-z]{3}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
DATE_REGEX = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
TIME_OF_DAY_REGEX = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
ISO_TIME_REGEX = rf"{DATE_REGEX}[T ]{TIME_OF_DAY_REGEX}(?: ?[Zz]|[+-][0-9]{{2}}:?[0-9]{{2}})?"
DECIMAL_REGEX = r"[0-9]+(?:\.[0-9]+)?"
NUMBER_REGEX = rf"(?:\+?{DECIMAL_REGEX}|-(?:{DECIMAL_REGEX})?)"
"""No regex here can match a character in two ways: then the regex engine needs one pass over a line, not three."""


@dataclass(frozen=True)
class LogField:
    """The regex (Rust syntax) of a field without quotes, and the columns of `REQUEST_SCHEMA` that it fills.

    `convert_column` is an expression over all values. `convert_text` is called once for each distinct value.
    """

    regex: str
    columns: tuple[str, ...] = ()
    convert_column: Callable[[pl.Expr], pl.Expr] | None = None
    convert_text: Callable[[str], Iterable[str | None]] | None = None

    @property
    def accepts_any_text(self) -> bool:
        """Whether the field accepts any text when it is quoted."""
        return self.convert_text is not None or self.regex in {ANY_TEXT, WORD_REGEX, WORD_LIST_REGEX}


def _convert_text(value: pl.Expr) -> pl.Expr:
    return pl.when(~value.is_in(["-", ""])).then(value)


def _convert_user_agent(value: pl.Expr) -> pl.Expr:
    return pl.when(value == "-").then(pl.lit("")).otherwise(value)


def parse_utc(value: pl.Expr, time_format: str) -> pl.Expr:
    """Parse times of one strftime format. A time without an offset is UTC; an invalid time becomes null."""
    return value.str.to_datetime(time_format, strict=False, time_unit="us").dt.replace_time_zone(None)


def _parse_iso_time(value: pl.Expr) -> pl.Expr:
    """Parse ISO 8601, also with slashes, or a space instead of `T`. A time without an offset is UTC."""
    value = value.str.replace_all("/", "-", literal=True).str.replace(r"^(\S+) ", "${1}T")
    value = value.str.replace(" ?[Zz]$", "+00:00")
    return parse_utc(
        pl.when(value.str.contains("T.*[+-]")).then(value).otherwise(value + "+00:00"),
        "%Y-%m-%dT%H:%M:%S%.f%z",
    )


def _parse_epoch_time(value: pl.Expr) -> pl.Expr:
    number = pl.when(value.str.contains(r"^[0-9]{9,19}(?:\.[0-9]+)?$")).then(value).cast(pl.Float64)
    unit_us = pl.coalesce(pl.when(number < bound).then(unit) for bound, unit in EPOCH_UNITS_US.items())
    return (number * unit_us).round().cast(pl.Int64, strict=False).cast(pl.Datetime("us"))


_parse_clf_time = partial(parse_utc, time_format="%d/%b/%Y:%H:%M:%S%.f %z")
_parse_clf_time_without_zone = partial(parse_utc, time_format="%d/%b/%Y:%H:%M:%S%.f")


def _parse_any_time(value: pl.Expr) -> pl.Expr:
    return pl.coalesce(_parse_clf_time(value), _parse_iso_time(value), _parse_epoch_time(value))


def _parse_loose_time(value: pl.Expr) -> pl.Expr:
    spaced = value.str.replace("([0-9])([+-][0-9]{2}:?[0-9]{2})$", "${1} ${2}")
    return pl.coalesce(_parse_clf_time(spaced), _parse_clf_time_without_zone(value), _parse_iso_time(value))


def _parse_count(value: pl.Expr) -> pl.Expr:
    number = value.cast(pl.Int64, strict=False)
    return pl.when(number >= 0).then(number)


def _parse_status(value: pl.Expr) -> pl.Expr:
    number = value.cast(pl.UInt16, strict=False)
    return pl.when((value.str.len_bytes() == STATUS_DIGITS) & (number >= STATUS_MIN)).then(number)


def _parse_duration(value: pl.Expr, unit_us: float) -> pl.Expr:
    duration = value.cast(pl.Float64, strict=False) * unit_us
    return pl.when(duration.is_between(0, RESPONSE_TIME_MAX_US)).then(
        duration.round().cast(pl.Int64, strict=False)
    )


def _parse_duration_sum(value: pl.Expr) -> pl.Expr:
    parts = value.str.split(" ").list.eval(pl.element().cast(pl.Float64, strict=False))
    whole = pl.when(parts.list.min() >= 0).then(parts.list.sum())
    return _parse_duration(whole, unit_us=1e6)


_HAPROXY_ESCAPE = re.compile("#([0-9A-F]{2})")
_USER_AGENT = re.compile(r"[A-Za-z][\w.!-]*/v?\d")
_HOST = re.compile(r"(?=.*[a-z])(?:[a-z0-9-]+\.)+[a-z0-9-]+\.?(?::\d+)?|localhost(?::\d+)?", re.IGNORECASE)


def decode_haproxy_text(text: str) -> str:
    """Decode the escapes of HAProxy: `#` and two hexadecimal digits for a byte."""
    return unquote(_HAPROXY_ESCAPE.sub(r"%\1", text.replace("%", "%25"))) if "#" in text else text


def parse_haproxy_captures(text: str) -> tuple[str | None, str | None, str | None]:
    """Return host, referrer and user agent from the headers that HAProxy captured, recognised by their form.

    >>> parse_haproxy_captures("{example.org|Mozilla/5.0 (X11)||https://example.com/} {nginx/1.2}")
    ('example.org', 'https://example.com/', 'Mozilla/5.0 (X11)')
    """
    headers = [decode_haproxy_text(header) for header in text[1:].partition("}")[0].split("|")]
    agent = next(filter(_USER_AGENT.match, headers), None)
    referrer = next((header for header in headers if header.startswith(("http://", "https://"))), None)
    host = next(filter(_HOST.fullmatch, headers), None)
    return parse_host_name(host or ""), referrer, agent


_FORWARDED_FOR = re.compile(r'(?i)(?:^|[;,\s])for="?([^";,\s]+)')


def parse_forwarded(text: str) -> tuple[str | None]:
    """Return the first address of a header that proxies add to (`X-Forwarded-For`, or `Forwarded` of RFC 7239).

    >>> [parse_forwarded(text)[0] for text in ("192.0.2.1, 10.0.0.1", 'for="[2001:db8::1]:80";proto=http', "-")]
    ['192.0.2.1', '[2001:db8::1]:80', None]
    """
    if match := _FORWARDED_FOR.search(text):
        return (match[1],)
    first = text.partition(",")[0].strip()
    return (None if first in {"", "-"} else first,)


def parse_address_list(text: str) -> tuple[str | None]:
    """Return the first address of a list without quotes, if all are addresses: else two lines were run together."""
    addresses = [address.strip() for address in text.split(",")]
    is_list = all(address in {"-", "unknown"} or canonicalise_address(address) for address in addresses)
    return (addresses[0] if is_list else None,)


API_CONTENT_TYPE = "application/xml"
"""What S3 answers to requests that are not for an object."""


def parse_s3_operation(text: str) -> tuple[str | None]:
    """Return the type of the response to an operation of S3's, if it is no object: lists, settings and the like."""
    return (None if text.endswith(("GET.OBJECT", "HEAD.OBJECT")) else API_CONTENT_TYPE,)


def parse_content_type(text: str) -> tuple[str | None]:
    """Return a media type in lower case and without its parameters, or None if there is none."""
    media_type = text.partition(";")[0].strip().lower()
    return (media_type if "/" in media_type else None,)


def parse_second_word(text: str) -> tuple[str | None]:
    """Return the host that stands where the common format has the identity, or None if it is none."""
    return (request_line.parse_server_name(text) if _HOST.fullmatch(text) else None,)


def _duration_field(unit_us: float) -> LogField:
    return LogField(NUMBER_REGEX, ("response_time_us",), partial(_parse_duration, unit_us=unit_us))


LOG_FIELDS: dict[str, LogField] = {
    "": LogField(ANY_TEXT),  # this field and the next seven fill no column
    "any_text": LogField(ANY_TEXT),
    "value_list": LogField(r'[^ \t",]+(?:(?:,| :) [^ \t",]+)*'),
    "question_mark": LogField(r"\??"),
    "label": LogField(r'[^ \t"\[\]/]*'),
    "port": LogField("[0-9]+"),
    "operation": LogField(
        r"(?:REST|SOAP|WEBSITE)\.[^\s\"]+", ("content_type",), convert_text=parse_s3_operation
    ),
    "undotted": LogField(r'(?:""|[^ \t".>]*)'),
    "timers": LogField(r"-?[0-9]+/-?[0-9]+/-?[0-9]+/-?[0-9]+/"),
    "address": LogField(WORD_REGEX, ("address",), _convert_text),
    "ip": LogField(
        r"(?:[0-9]{1,3}\.[0-9.]+|\[?[0-9A-Fa-f]*:[0-9A-Fa-f:.%]+\]?)", ("address",), _convert_text
    ),
    "forwarded": LogField(WORD_LIST_REGEX, ("address",), convert_text=parse_forwarded),
    "address_list": LogField(
        r'[^ \t",\[]+(?:, *[^ \t",\[]+)+', ("address",), convert_text=parse_address_list
    ),
    "peer": LogField(r'[^ \t"]+', ("address",), _convert_text),
    "time": LogField(CLF_TIME_REGEX + r" [+-][0-9]{4}", ("time",), _parse_clf_time),
    "time_without_zone": LogField(CLF_TIME_REGEX, ("time",), _parse_clf_time_without_zone),
    "time_iso": LogField(ISO_TIME_REGEX, ("time",), _parse_iso_time),
    "time_epoch": LogField(r"[0-9]{9,19}(?:\.[0-9]+)?", ("time",), _parse_epoch_time),
    "time_any": LogField(ANY_TEXT, ("time",), _parse_any_time),
    "time_loose": LogField(
        rf"(?:{CLF_TIME_REGEX}(?: ?[+-][0-9]{{2}}:?[0-9]{{2}})?|{ISO_TIME_REGEX})",
        ("time",),
        _parse_loose_time,
    ),
    "request": LogField(
        ANY_TEXT, request_line.RequestTarget._fields, convert_text=request_line.parse_request_line
    ),
    "target": LogField(
        WORD_REGEX, request_line.RequestTarget._fields, convert_text=request_line.parse_target
    ),
    "piped_target": LogField(
        r'[^ \t"|]+', request_line.RequestTarget._fields, convert_text=request_line.parse_target
    ),
    "schemeless": LogField(
        WORD_REGEX, request_line.RequestTarget._fields, convert_text=request_line.parse_schemeless_target
    ),
    "request_hashed": LogField(
        ANY_TEXT,
        request_line.RequestTarget._fields,
        convert_text=lambda text: request_line.parse_request_line(_HAPROXY_ESCAPE.sub(r"%\1", text)),
    ),
    "method": LogField(f"(?:{request_line.METHOD_REGEX}|-)", ("method",), _convert_text),
    "raw_path": LogField(
        r'[^ \t"?]+', ("path",), convert_text=lambda text: [request_line.sanitise_path(text)]
    ),
    "raw_query": LogField(
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
    "host": LogField(r'[^ \t"/]+', ("host",), convert_text=lambda text: [parse_host_name(text)]),
    "dotted": LogField(r'[^ \t".]*\.[^ \t"]*', ("host",), convert_text=parse_second_word),
    "status": LogField("(?:[1-9][0-9]{2}|-1?|0(?:[0-9]{2})?)", ("status",), _parse_status),
    "bytes": LogField(r"(?:\+?[0-9]+|-)", ("bytes",), _parse_count),
    "nanoseconds": _duration_field(1e-3),
    "microseconds": _duration_field(1),
    "milliseconds": _duration_field(1e3),
    "seconds": _duration_field(1e6),
    "sum_of_seconds": LogField(
        rf"{NUMBER_REGEX} {NUMBER_REGEX} {NUMBER_REGEX}", ("response_time_us",), _parse_duration_sum
    ),
    "captures": LogField(
        r"(?:\{[^{}]*\} ){0,2}", ("host", "referrer", "user_agent"), convert_text=parse_haproxy_captures
    ),
    "referrer": LogField(ANY_TEXT, ("referrer",), _convert_text),
    "user_agent": LogField(ANY_TEXT, ("user_agent",), _convert_user_agent),
    "content_type": LogField(ANY_TEXT, ("content_type",), convert_text=parse_content_type),
}
"""The fields by name. If several fields fill the same column, the first that is not null is used."""


def parse_fields(raw: pl.DataFrame) -> pl.DataFrame:
    """Convert a frame of `line` and texts, named as in `LOG_FIELDS`, into requests of `REQUEST_SCHEMA`.

    An invalid time becomes null. Paths are normalised, and session identifiers are removed.
    """
    expressions: dict[str, list[pl.Expr]] = {column: [] for column in REQUEST_SCHEMA}
    expressions["line"] = [pl.col("line")]
    for name, field in LOG_FIELDS.items():
        if name not in raw.columns:
            continue
        if field.convert_text:
            converted = map_distinct_texts(
                raw[name], field.convert_text, [f"{name}.{column}" for column in field.columns]
            )
            raw = raw.hstack(converted)
        for column in field.columns:
            expressions[column].append(
                pl.col(f"{name}.{column}")
                if field.convert_column is None
                else field.convert_column(pl.col(name))
            )
    requests = raw.select(
        pl.coalesce(*expressions[column], pl.lit(None)).cast(dtype).alias(column)
        for column, dtype in REQUEST_SCHEMA.items()
    )
    requests = requests.with_columns(
        pl.when(pl.col("time").dt.year().is_between(*YEAR_RANGE)).then("time"),
        normalise_addresses(requests["address"]),
        *(_unescape_texts(requests[name]) for name in ("referrer", "user_agent")),
    )
    return remove_from_columns(normalise_paths(requests))


def normalise_paths(requests: pl.DataFrame) -> pl.DataFrame:
    """Write each `path` in one way. A query inside it, as some servers log it, becomes the `query`.

    Every format passes here, so that no query reaches the column of paths.
    """
    paths = requests["path"]
    is_abnormal = paths.str.contains(ABNORMAL_PATH_REGEX).fill_null(value=False)
    if not is_abnormal.any():
        return requests
    split = map_distinct_texts(paths.set(~is_abnormal, None), _split_path, ["path", "query"])
    return requests.with_columns(
        split["path"].zip_with(is_abnormal, paths),
        pl.coalesce(pl.col("query"), split["query"]),
    )


def _split_path(text: str) -> list[str | None]:
    path, query = request_line.split_path(text)
    return [normalise_path(path), query and request_line.sanitise_query(query)]


def _unescape_texts(texts: pl.Series) -> pl.Series:
    escaped = texts.str.contains("\\", literal=True)
    if not escaped.any():
        return texts
    plain = map_distinct_texts(
        texts.set(~escaped, None), lambda text: [request_line.unescape(text)], [texts.name]
    )[texts.name]
    return texts.zip_with(~escaped.fill_null(value=False), plain)
