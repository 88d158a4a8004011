"""Logs that have a JSON object on each line: where in it each field is."""

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

FieldKeys = Mapping[str, tuple[str, ...]]
"""For each field the keys that may hold it, the best first: lower case, no `_` or `-`, nested behind dots."""

NESTING_DEPTH_MAX = 8
"""How many dots a key may have and still be looked into."""

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
    "search": ("args", "querystring", "query", "url.query"),
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
"""What nginx's variables, Elastic Common Schema and habit call them."""

_TELLING = {"request", "method", "target", "stem"}
_FIELD = re.compile(f"{FIELD_MARK}([a-z_]+)(?:=[^{FIELD_MARK}]*)?{FIELD_MARK}")
_REQUEST = re.compile(
    f"{FIELD_MARK}method{FIELD_MARK} {FIELD_MARK}target{FIELD_MARK}(?: {FIELD_MARK}{FIELD_MARK})?"
)
_BARE = re.compile(rf'(":\s*)({_FIELD.pattern})')
_HEX = re.compile(r"(?<!\\)\\x(?=[0-9A-Fa-f]{2})")
_LEFT_OUT = re.compile(r'(?<=[^\\]":) *-?(?=[,}])')


@dataclass(frozen=True)
class JsonLinesStep:
    """Objects, one on a line, whose fields have these names."""

    field_keys: FieldKeys

    @classmethod
    def from_template(cls, template: str) -> Self:
        """Compile a template that is a JSON object; of values of several fields only the request is read."""
        quoted = _BARE.sub(r'\1"\2"', template)
        try:
            known = msgspec.json.decode(quoted.replace(FIELD_MARK, r"\u0000"))
        except msgspec.DecodeError as error:
            raise LogFormatError("the log format begins like JSON and is none", str(error)) from error
        names: dict[str, tuple[str, ...]] = {}
        for key, value in _flat(known):
            if field := _FIELD.fullmatch(str(value)):
                names.setdefault("time_any" if field[1].startswith("time") else field[1], (key,))
            elif _REQUEST.fullmatch(str(value)):
                names.setdefault("request", (key,))
        return cls(names)

    def parse(self, left: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Read the objects that are requests, and tell which are none, and which are two in one."""
        rows: list[list[str | None]] = []
        reasons: list[str | None] = []
        plans: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
        for text in left["text"]:
            known = _decoded(text)
            if known is None:
                reasons.append(
                    DropReason.MERGED.value if _begins_again(text) else DropReason.UNREADABLE.value
                )
                continue
            there = tuple(known)
            plan = plans.get(there)
            if plan is None:
                plan = plans[there] = self._plan(known)
            if plan:
                rows.append([_said(known, keys) for keys in plan])
            reasons.append(None if plan else DropReason.NOT_A_REQUEST.value)
        judged = left.with_columns(reason=pl.Series(reasons, dtype=pl.String))
        raw = pl.DataFrame(rows, schema=dict.fromkeys(self.field_keys, pl.String), orient="row")
        read = pl.col("reason").is_null()
        return raw.with_columns(judged.filter(read)["line"]), judged.filter(~read)

    def _plan(self, known: dict[str, Any]) -> list[tuple[str, ...]]:
        """Tell under which keys of such an object each field is, those around it last; none of no request."""
        if not any(
            key in known for field in _TELLING & self.field_keys.keys() for key in self.field_keys[field]
        ):
            return []
        around = ([key.rpartition(".")[0] for key in keys] for keys in self.field_keys.values())
        both = zip(self.field_keys.values(), around, strict=True)
        return [tuple(key for key in (*keys, *outer) if key in known) for keys, outer in both]


def _begins_again(text: str) -> bool:
    """Tell whether the beginning of an object, to its first key, stands on the line twice."""
    beginning = text[: text.find('":') + 2]
    return text.startswith("{") and beginning in text[1:]


def _decoded(text: str) -> dict[str, Any] | None:
    r"""Decode an object and those in it, also with the faults of templates: `\xHH`, and `-` for no number."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        return dict(_flat(msgspec.json.decode(text)))
    except (msgspec.DecodeError, RecursionError):
        mended = _LEFT_OUT.sub("null", _HEX.sub(r"\\\\x", text))
        return _decoded(mended) if mended != text else None


def _flat(known: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in known.items():
        key = prefix + _key(name)
        yield key, value
        if isinstance(value, dict) and key.count(".") < NESTING_DEPTH_MAX:
            yield from _flat(value, f"{key}.")


@lru_cache(1024)
def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9.@]", "", name.lower())


def _said(known: dict[str, Any], keys: tuple[str, ...]) -> str | None:
    """Return what the first key that says something says: `""` if none does, None if there is no key."""
    for key in keys:
        value = known[key]
        if isinstance(value, list) and value:
            value = value[0]
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, (str, int, float)) and not isinstance(value, bool) and value not in {"", "-"}:
            return str(value)
    return "" if keys else None
