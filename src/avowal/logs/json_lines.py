"""Parse logs with one JSON object on each line, by the keys of their fields."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import unquote

import msgspec
import polars as pl

from avowal.errors import LogFormatError
from avowal.logs.drop_reason import DropReason
from avowal.logs.duration import parse_duration_text
from avowal.logs.fields import LOG_FIELDS
from avowal.logs.ip_address import canonicalise_address
from avowal.logs.json_keys import (
    COMMON_KEYS,
    DURATION_KEYS,
    PLAIN_DURATION_KEYS,
    TARGET_FIELDS,
    FieldKeys,
    find_field_keys,
    normalise_key,
    simplify_path,
)
from avowal.logs.pattern import FIELD_MARK
from avowal.logs.request_line import METHOD_REGEX
from avowal.strict import JSON_ERRORS

NESTING_DEPTH_MAX = 8
"""Objects that are nested more deeply are not read."""

NAME_CHARACTERS_MAX = 100
"""How much of a name counts: names of a request's headers come from whoever sent it."""

SHAPES_MAX = 10_000
"""For how many sets of keys it is remembered which key holds which field."""

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
    "content_type": ("respheaders.contenttype",),
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
    "content_type": ("downstreamcontenttype", "origincontenttype"),
}

_FIELD = re.compile(f"{FIELD_MARK}([a-z_]*)(?:=[^{FIELD_MARK}]*)?{FIELD_MARK}")
_SKIPPED = f"{FIELD_MARK}{FIELD_MARK}"
_JOINED_FIELDS = {
    "request": re.compile(f"{FIELD_MARK}method{FIELD_MARK} {FIELD_MARK}target{FIELD_MARK}(?: {_SKIPPED})?"),
    "target": re.compile(
        f"(?:{_SKIPPED}|https?)://{FIELD_MARK}host{FIELD_MARK}(?::{_SKIPPED})?{FIELD_MARK}target{FIELD_MARK}"
    ),
    "schemeless": re.compile(f"{FIELD_MARK}host{FIELD_MARK}{FIELD_MARK}target{FIELD_MARK}"),
}
"""Values of several fields that are read as one."""
_TEXT_OR_FIELDS = re.compile(
    rf'("(?:[^"\\]|\\.)*")|((?:{FIELD_MARK}[^{FIELD_MARK}]*{FIELD_MARK})+)', re.DOTALL
)
_HEX_ESCAPE = re.compile(r"(?<!\\)\\x(?=[0-9A-Fa-f]{2})")
_MISSING_VALUE = re.compile(r'(?<=[^\\]":) *-?(?=[,}])')

_TIME = re.compile(
    r"\d{1,2}/[A-Za-z]{3}/\d{4}:|\d{4}[-/]\d{2}[-/]\d{2}[T ]\d{2}:|\d{9,19}(?:\.\d+)?\Z", re.ASCII
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)
_CLOCK = re.compile(r"\d{2}:\d{2}:\d{2}(?:\.\d+)?Z?\Z", re.ASCII)
_TARGET = re.compile(r"/|\*\Z|[A-Za-z][A-Za-z0-9+.-]*://")
_REQUEST_LINE = re.compile(rf"{METHOD_REGEX} \S")
FORMS: Mapping[str, Callable[[str], object]] = {
    "time_any": _TIME.match,
    "address": canonicalise_address,
    "request": _REQUEST_LINE.match,
    "method": re.compile(METHOD_REGEX).fullmatch,
    "target": _TARGET.match,
    "forwarded": canonicalise_address,
    "status": re.compile(r"[1-9]\d{2}", re.ASCII).fullmatch,
    "bytes": re.compile(r"\d+(?:\.0+)?", re.ASCII).fullmatch,
    "host": re.compile(r"[^\s/]+").fullmatch,
    **dict.fromkeys(
        DURATION_KEYS,
        re.compile(r"\d{1,8}(?:\.\d+)?(?:[eE]-?\d+)?|\d{1,12}", re.ASCII).fullmatch,
    ),
}
"""What the values of a field look like. The first key whose value does is read."""


@dataclass(frozen=True)
class JsonLinesStep:
    """Parses lines that are JSON objects, by the keys of each field."""

    field_keys: FieldKeys
    is_exact: bool = True
    """Whether the keys are those of one server, at the top of the object. Otherwise a request is searched for."""

    @classmethod
    def from_template(cls, template: str) -> Self:
        """Compile a template that is a JSON object. Of values with several fields only the request line is read."""
        quoted = _TEXT_OR_FIELDS.sub(lambda match: match[1] or f'"{match[2]}"', template)
        try:
            values = msgspec.json.decode(quoted.replace(FIELD_MARK, r"\u0000"))
        except JSON_ERRORS as error:
            raise LogFormatError(
                "the log format starts with `{` but is not valid JSON", str(error)
            ) from error
        field_keys: dict[str, tuple[str, ...]] = {}
        for key, value in _flatten(values):
            text = str(value[0] if isinstance(value, list) and value else value)
            if field := _FIELD.fullmatch(text):
                field_keys.setdefault("time_any" if field[1].startswith("time") else field[1], (key,))
            for name, joined in _JOINED_FIELDS.items():
                if joined.fullmatch(text):
                    field_keys.setdefault(name, (key,))
        return cls({name: keys for name, keys in field_keys.items() if name in LOG_FIELDS and name})

    def parse(self, lines: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Parse the objects that are requests. Give the other lines the reason why they are not."""
        fields = [*self.field_keys]
        fields += [name for name in ("method", "microseconds") if name not in fields]
        rows: list[list[str | None]] = []
        reasons: list[str | None] = []
        keys_by_shape: dict[tuple[str, ...], dict[str, tuple[str, ...]]] = {}
        for text in lines["text"]:
            values = decode_object(text)
            if values is None:
                reasons.append(
                    DropReason.MERGED.value if _contains_second_object(text) else DropReason.MALFORMED.value
                )
                continue
            shape = tuple(values)
            field_keys = keys_by_shape.get(shape)
            if field_keys is None:
                if len(keys_by_shape) >= SHAPES_MAX:
                    keys_by_shape.clear()
                field_keys = keys_by_shape[shape] = self._find_field_keys(values)
            row = self._read_row(values, field_keys) if field_keys and not _is_other_message(values) else None
            if row:
                rows.append([row.get(name) for name in fields])
            reasons.append(None if row else DropReason.NOT_A_REQUEST.value)
        lines = lines.with_columns(reason=pl.Series(reasons, dtype=pl.String))
        texts = pl.DataFrame(rows, schema=dict.fromkeys(fields, pl.String), orient="row")
        is_parsed = pl.col("reason").is_null()
        return texts.with_columns(lines.filter(is_parsed)["line"]), lines.filter(~is_parsed)

    def _find_field_keys(self, values: dict[str, Any]) -> dict[str, tuple[str, ...]]:
        """Return, for each field, the keys of the object that can hold it. Returns nothing if it is no request."""
        if not self.is_exact:
            plain = [key for key, value in values.items() if not _is_nested(value)]
            return find_field_keys(plain, self.field_keys)
        found = {
            field: tuple(key for key in keys if key in values) for field, keys in self.field_keys.items()
        }
        found = {field: keys for field, keys in found.items() if keys}
        return found if any(field in found for field in ("method", *TARGET_FIELDS)) else {}

    def _read_row(
        self, values: dict[str, Any], field_keys: dict[str, tuple[str, ...]]
    ) -> dict[str, str | None] | None:
        """Return the texts of the fields, or None if the object is no request."""
        row: dict[str, str | None] = {
            field: _find_value(values, keys, None if self.is_exact else FORMS.get(field))
            for field, keys in field_keys.items()
        }
        if "user_agent" not in row and _names_headers(values, field_keys):
            row["user_agent"] = ""
        if not self._names_method(field_keys, row):
            row["method"] = "GET"
        if self.is_exact:
            return row
        is_request = any(row.get(field) for field in TARGET_FIELDS) or isinstance(
            values.get(next(iter(field_keys.get("request", ())), "")), str
        )
        if not is_request or not any(field in field_keys for field in ("status", "method", "address")):
            return None
        row["time_any"] = row.get("time_any") or _join_time(values, field_keys)
        if _is_behind_envoy(values) and row.get("forwarded"):
            row["address"] = row["forwarded"]
        agent = row.get("user_agent")
        if agent and " " not in agent and "%20" in agent:  # CloudFront encodes it
            row["user_agent"] = unquote(agent)
        if not any(row.get(unit) for unit in DURATION_KEYS):
            row["microseconds"] = _find_duration(values, field_keys)
        return row

    @property
    def field_names(self) -> tuple[str, ...]:
        """The names of the fields that are read."""
        return tuple(self.field_keys)

    def describe_missing_keys(self, texts: pl.Series) -> str:
        """Return a sentence on which keys the objects of a log lack, and what helps. It names no key of the log."""
        advice = (
            "rename the keys, or paste the format, such as "
            """`{"t":"$time_iso8601","a":"$remote_addr","r":"$request","s":$status}`"""
        )
        if self.is_exact:
            keys = ", ".join(
                f"`{keys[0]}`" for field, keys in self.field_keys.items() if field in TARGET_FIELDS
            )
            return f"no object has a request under {keys}; name another format, or {advice}"
        found = {field for text in texts for field in _find_fields(text)}
        missing = [
            f"{label} ({', '.join(f'`{key}`' for key in keys)}, …)"
            for label, fields, keys in (
                ("a time", {"time_any"}, ("time", "timestamp", "@timestamp", "time_iso8601")),
                ("a request", set(TARGET_FIELDS), ("request", "request_uri", "uri", "url", "path")),
                ("status, method or address", {"status", "method", "address"}, ("status", "method", "ip")),
            )
            if not fields & found
        ]
        what = f"no key was found for {' and for '.join(missing)}" if missing else "no value is a request"
        return f"{what}; {advice}"

    def _names_method(self, field_keys: dict[str, tuple[str, ...]], row: dict[str, str | None]) -> bool:
        """Return whether the object names the method. The value of `request` may be a request line, or a path."""
        names_method = any(key.rpartition(".")[2] != "request" for key in field_keys.get("method", ()))
        has_request_line = "request" in field_keys and not row.get("target")
        return names_method or has_request_line or bool(row.get("method"))


def _contains_second_object(text: str) -> bool:
    """Return whether the start of the object, up to its first key, occurs again in the line."""
    beginning = text[: text.find('":') + 2]
    return text.startswith("{") and beginning in text[1:]


def decode_object(text: str) -> dict[str, Any] | None:
    r"""Decode and flatten an object, also with common errors of templates: `\xHH`, and `-` for a number."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        return dict(_flatten(msgspec.json.decode(text)))
    except JSON_ERRORS:
        repaired = _MISSING_VALUE.sub("null", _HEX_ESCAPE.sub(r"\\\\x", text)).rstrip(", \t")
        return decode_object(repaired) if repaired != text else None


def _flatten(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        key = prefix + normalise_key(name[:NAME_CHARACTERS_MAX])
        yield key, value
        if key.count(".") >= NESTING_DEPTH_MAX:
            continue
        if isinstance(value, dict):
            yield from _flatten(value, f"{key}.")
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            yield from _flatten(_join_objects(value), f"{key}.")


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and any(isinstance(item, dict) for item in value)
    )


def _join_objects(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one object for a list of them: of pairs of name and value, else the first."""
    pairs = {
        item[name]: item[value]
        for item in items
        for name, value in (("name", "value"), ("key", "value"), ("Name", "Value"))
        if isinstance(item.get(name), str) and value in item
    }
    return pairs or items[0]


def _find_value(
    values: dict[str, Any], keys: tuple[str, ...], has_form: Callable[[str], object] | None
) -> str | None:
    """Return the first value that is not empty and has a form, as text: `""` if there is none, None without keys."""
    for key in keys:
        value = values[key]
        if isinstance(value, list) and value:
            value = value[0]
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, (str, int, float)) and not isinstance(value, bool) and value not in {"", "-"}:
            text = str(value)
            if has_form is None or has_form(text):
                return text
    return "" if any(not isinstance(values[key], dict) for key in keys) else None


def _join_time(values: dict[str, Any], field_keys: dict[str, tuple[str, ...]]) -> str:
    """Return the time of an object that has a date and a time of day under two keys, or an empty text."""
    texts = [str(values[key]) for key in field_keys.get("time_any", ())]
    date = next(filter(_DATE.match, texts), "")
    clock = next(filter(_CLOCK.match, texts), "")
    return f"{date}T{clock}" if date and clock else ""


def _names_headers(values: dict[str, Any], field_keys: dict[str, tuple[str, ...]]) -> bool:
    """Return whether the object has the headers of the request, so that a missing one was not sent."""
    return isinstance(values.get(f"{_find_scope(field_keys)}headers"), dict)


def _find_scope(field_keys: dict[str, tuple[str, ...]]) -> str:
    """Return the keys of the objects around the target of a request, each followed by a dot."""
    target = next((field_keys[field][0] for field in TARGET_FIELDS if field in field_keys), "")
    return target[: target.rfind(".") + 1]


def _is_other_message(values: dict[str, Any]) -> bool:
    """Return whether the object is another message of Caddy's, which may repeat a request."""
    logger = values.get("logger")
    if not isinstance(logger, str) or values.get("msg") == "handled request":
        return False
    return logger.partition(".")[0] in {"http", "tls", "admin"} and not logger.startswith("http.log.access")


def _is_behind_envoy(values: dict[str, Any]) -> bool:
    """Return whether Envoy wrote the object. The address that it is connected to is another proxy's."""
    return "responseflags" in values and ("upstreamcluster" in values or "upstreamhost" in values)


def _find_duration(values: dict[str, Any], field_keys: dict[str, tuple[str, ...]]) -> str | None:
    """Return a duration in microseconds whose unit is in its text, or known of the server; else None."""
    scopes = {"", _find_scope(field_keys)}
    for key in (
        scope + key for scope in sorted(scopes, key=len, reverse=True) for key in PLAIN_DURATION_KEYS
    ):
        value = values.get(key)
        if isinstance(value, str) and (microseconds := parse_duration_text(value)) is not None:
            return str(microseconds)
        try:
            number = float(value) if isinstance(value, (int, float, str)) else -1.0
        except ValueError:
            continue
        if number < 0 or isinstance(value, bool):
            continue
        if _is_behind_envoy(values) or (key.endswith("responsetime") and {"req", "res"} & values.keys()):
            return str(number * 1e3)
        if key.endswith(("duration", "timetaken")) and not number.is_integer():
            return str(number * 1e6)
    return None


def _find_fields(text: str) -> set[str]:
    """Return the fields for which an object has a key, wherever it is."""
    values = decode_object(text) or {}
    keys = {simplify_path(path) for path in values} | {path.rpartition(".")[2] for path in values}
    return {field for field, names in COMMON_KEYS.items() if keys & set(names)}
