"""Parse logs with one JSON object on each line, by the keys of their fields."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import msgspec
import polars as pl

from avowal.errors import LogFormatError
from avowal.logs.drop_reason import DropReason
from avowal.logs.pattern import FIELD_MARK
from avowal.strict import JSON_ERRORS

FieldKeys = Mapping[str, tuple[str, ...]]
"""The keys that can hold each field, the preferred one first, as `_normalise_key` writes them, joined by dots."""

NESTING_DEPTH_MAX = 8
"""Objects that are nested more deeply are not read."""

CADDY_KEYS: FieldKeys = {
    "time_any": ("ts", "time"),
    "address": ("request.clientip", "request.remoteip", "request.remoteaddr"),
    "host": ("request.host",),
    "method": ("request.method",),
    "target": ("request.uri",),
    "status": ("status",),
    "bytes": ("size",),
    "seconds": ("duration",),
    "referrer": ("request.headers.referer",),
    "user_agent": ("request.headers.useragent",),
}
TRAEFIK_KEYS: FieldKeys = {
    "time_any": ("startutc", "startlocal", "time"),
    "address": ("clienthost", "clientaddr"),
    "host": ("requesthost", "requestaddr"),
    "method": ("requestmethod",),
    "target": ("requestpath",),
    "status": ("downstreamstatus", "originstatus"),
    "bytes": ("downstreamcontentsize", "origincontentsize"),
    "nanoseconds": ("duration",),
    "referrer": ("requestreferer",),
    "user_agent": ("requestuseragent",),
}
COMMON_KEYS: FieldKeys = {
    "time_any": (
        "@timestamp",
        "timeiso8601",
        "timestamp",
        "timelocal",
        "msec",
        "time",
        "ts",
        "datetime",
        "date",
    ),
    "address": (
        "remoteaddr",
        "clientip",
        "client.ip",
        "source.ip",
        "remoteip",
        "clientaddr",
        "remotehost",
        "client",
    ),
    "host": ("host", "httphost", "vhost", "virtualhost", "servername", "url.domain", "domain"),
    "request": ("request", "requestline"),
    "method": ("requestmethod", "method", "http.request.method", "httpmethod", "verb"),
    "target": ("requesturi", "url.original", "uri", "requestpath", "url", "path", "url.path"),
    "raw_query": ("args", "querystring", "query", "url.query"),
    "status": (
        "status",
        "statuscode",
        "http.response.statuscode",
        "responsestatus",
        "responsecode",
        "response",
    ),
    "bytes": ("bodybytessent", "http.response.body.bytes", "bytessent", "bytes", "size", "responsesize"),
    "seconds": ("requesttime", "responsetime", "duration"),
    "milliseconds": ("requesttimems", "responsetimems", "durationms", "latencyms"),
    "nanoseconds": ("event.duration", "durationns"),
    "referrer": ("httpreferer", "httpreferrer", "http.request.referrer", "referer", "referrer"),
    "user_agent": ("httpuseragent", "useragent.original", "useragent", "agent"),
}
"""The names of nginx's variables, of Elastic Common Schema, and other common names."""

_REQUEST_FIELDS = {"request", "method", "target", "raw_path"}
_FIELD = re.compile(f"{FIELD_MARK}([a-z_]+)(?:=[^{FIELD_MARK}]*)?{FIELD_MARK}")
_REQUEST = re.compile(
    f"{FIELD_MARK}method{FIELD_MARK} {FIELD_MARK}target{FIELD_MARK}(?: {FIELD_MARK}{FIELD_MARK})?"
)
_UNQUOTED_FIELD = re.compile(rf'(":\s*)({_FIELD.pattern})')
_HEX_ESCAPE = re.compile(r"(?<!\\)\\x(?=[0-9A-Fa-f]{2})")
_MISSING_VALUE = re.compile(r'(?<=[^\\]":) *-?(?=[,}])')


@dataclass(frozen=True)
class JsonLinesStep:
    """Parses lines that are JSON objects, by the keys of each field."""

    field_keys: FieldKeys

    @classmethod
    def from_template(cls, template: str) -> Self:
        """Compile a template that is a JSON object. Of values with several fields only the request line is read."""
        quoted = _UNQUOTED_FIELD.sub(r'\1"\2"', template)
        try:
            values = msgspec.json.decode(quoted.replace(FIELD_MARK, r"\u0000"))
        except JSON_ERRORS as error:
            raise LogFormatError(
                "the log format starts with `{` but is not valid JSON", str(error)
            ) from error
        field_keys: dict[str, tuple[str, ...]] = {}
        for key, value in _flatten(values):
            if field := _FIELD.fullmatch(str(value)):
                field_keys.setdefault("time_any" if field[1].startswith("time") else field[1], (key,))
            elif _REQUEST.fullmatch(str(value)):
                field_keys.setdefault("request", (key,))
        return cls(field_keys)

    def parse(self, lines: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Parse the objects that are requests. Give the other lines the reason why they are not."""
        rows: list[list[str | None]] = []
        reasons: list[str | None] = []
        keys_by_shape: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
        for text in lines["text"]:
            values = _decode_object(text)
            if values is None:
                reasons.append(
                    DropReason.MERGED.value if _contains_second_object(text) else DropReason.MALFORMED.value
                )
                continue
            shape = tuple(values)
            field_keys = keys_by_shape.get(shape)
            if field_keys is None:
                field_keys = keys_by_shape[shape] = self._find_field_keys(values)
            if field_keys:
                rows.append([_find_value(values, keys) for keys in field_keys])
            reasons.append(None if field_keys else DropReason.NOT_A_REQUEST.value)
        lines = lines.with_columns(reason=pl.Series(reasons, dtype=pl.String))
        texts = pl.DataFrame(rows, schema=dict.fromkeys(self.field_keys, pl.String), orient="row")
        is_parsed = pl.col("reason").is_null()
        return texts.with_columns(lines.filter(is_parsed)["line"]), lines.filter(~is_parsed)

    def _find_field_keys(self, values: dict[str, Any]) -> list[tuple[str, ...]]:
        """Return, for each field, the keys of the object that can hold it, the enclosing objects' keys last.

        Returns nothing if the object is not a request.
        """
        if not any(
            key in values
            for field in _REQUEST_FIELDS & self.field_keys.keys()
            for key in self.field_keys[field]
        ):
            return []
        enclosing = ([key.rpartition(".")[0] for key in keys] for keys in self.field_keys.values())
        both = zip(self.field_keys.values(), enclosing, strict=True)
        return [tuple(key for key in (*keys, *outer) if key in values) for keys, outer in both]


def _contains_second_object(text: str) -> bool:
    """Return whether the start of the object, up to its first key, occurs again in the line."""
    beginning = text[: text.find('":') + 2]
    return text.startswith("{") and beginning in text[1:]


def _decode_object(text: str) -> dict[str, Any] | None:
    r"""Decode and flatten an object, also with common errors of templates: `\xHH`, and `-` for a number."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        return dict(_flatten(msgspec.json.decode(text)))
    except JSON_ERRORS:
        repaired = _MISSING_VALUE.sub("null", _HEX_ESCAPE.sub(r"\\\\x", text))
        return _decode_object(repaired) if repaired != text else None


def _flatten(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        key = prefix + _normalise_key(name[:NAME_CHARACTERS_MAX])
        yield key, value
        if isinstance(value, dict) and key.count(".") < NESTING_DEPTH_MAX:
            yield from _flatten(value, f"{key}.")


NAME_CHARACTERS_MAX = 100
"""How much of a name counts: names of a request's headers come from whoever sent it."""


@lru_cache(1024)
def _normalise_key(name: str) -> str:
    return re.sub(r"[^a-z0-9.@]", "", name.lower())


def _find_value(values: dict[str, Any], keys: tuple[str, ...]) -> str | None:
    """Return the first value that is not empty, as text: `""` if all are empty, None if there are no keys."""
    for key in keys:
        value = values[key]
        if isinstance(value, list) and value:
            value = value[0]
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, (str, int, float)) and not isinstance(value, bool) and value not in {"", "-"}:
            return str(value)
    return "" if keys else None
