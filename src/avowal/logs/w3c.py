"""Parse W3C extended logs (WD-logfile-960323), whose directives say which fields the lines have.

Times are UTC, as the draft says; `#GMT-Offset` applies only to `date-local` and `time-local`.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote

import msgspec
import polars as pl

from avowal.logs.distinct_values import map_distinct_texts
from avowal.logs.fields import DATE_REGEX, LOG_FIELDS, TIME_OF_DAY_REGEX
from avowal.logs.pattern import LinePattern

FIELD_NAMES: dict[str, tuple[str, ...]] = {
    "date": ("date", "date-utc", "date-local"),
    "clock": ("time", "time-utc", "time-local"),
    "address": ("c-ip",),
    "host": ("x-host-header", "cs(host)", "cs-host"),
    "method": ("cs-method",),
    "raw_path": ("cs-uri-stem",),
    "raw_query": ("cs-uri-query",),
    "schemeless": ("cs-uri",),
    "status": ("sc-status",),
    "bytes": ("sc-bytes", "bytes"),
    "seconds": ("time-taken",),
    "milliseconds": ("timetakenms",),
    "referrer": ("cs(referer)", "cs(referrer)"),
    "user_agent": ("cs(user-agent)",),
    "content_type": ("sc(content-type)", "sc-content-type"),
}
"""The names in `#Fields` that can hold each field, the preferred one first."""

CLOUDFRONT_FIELD = "x-edge-location"
"""A field that only CloudFront writes. Its logs are percent-encoded, some values twice."""

IIS_FIELD = "sc-win32-status"
"""A field that only IIS writes. Its `time-taken` is in milliseconds; that of other servers is in seconds."""

FIELDS_MAX = 256
"""How many names of a `#Fields` directive are read."""

_DOUBLE_ENCODED_BYTE = re.compile("%25([0-9A-Fa-f]{2})")
_PLUS_SIGN = re.compile(r"\+(\+?)")

DATE_AND_TIME_REGEX = rf"{DATE_REGEX}[ \t]+{TIME_OF_DAY_REGEX}"

_QUOTED = '"[^"]*"(?:"[^"]*")*'  # matches in one way only, as the regexes in `fields`
_FIELD_REGEXES = {"date": DATE_REGEX, "clock": TIME_OF_DAY_REGEX} | {
    name: field.regex for name, field in LOG_FIELDS.items() if not field.accepts_any_text
}


class W3cHeader(msgspec.Struct, frozen=True):
    """What the directives have said so far. It contains no data of visitors."""

    field_names: tuple[str, ...] = ()
    date: str = ""
    utc_offset: str = ""
    durations_in_milliseconds: bool = False

    def apply_directive(self, directive: str) -> "W3cHeader":
        """Return the header with one more directive applied."""
        name, _, value = directive[1:].partition(":")
        match name.strip().lower():
            case "fields":
                return msgspec.structs.replace(self, field_names=tuple(value.lower().split()[:FIELDS_MAX]))
            case "date" | "start-date" if match := re.search(DATE_REGEX, value):
                return msgspec.structs.replace(self, date=match[0])
            case "gmt-offset" if match := re.search(r"[+-]\d{4}", value):
                return msgspec.structs.replace(self, utc_offset=match[0])
            case "software":
                return msgspec.structs.replace(self, durations_in_milliseconds="microsoft" in value.lower())
        return self


@dataclass
class W3cStep:
    """Parses lines by the directives before them; with `required_field`, only if these name that field."""

    required_field: str = ""
    header: W3cHeader = field(default_factory=W3cHeader)

    def parse(self, lines: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Parse lines by the directives before them, and keep the last header for the next batch."""
        is_directive = lines["text"].str.starts_with("#")
        sections: dict[W3cHeader, list[pl.DataFrame]] = {}
        start = 0
        for end in [*is_directive.arg_true(), len(lines)]:
            sections.setdefault(self.header, []).append(lines.slice(start, end - start))
            if end < len(lines):
                self.header = self.header.apply_directive(lines["text"][end])
            start = end + 1
        parsed, remaining = [lines.select("line").clear()], [lines.filter(is_directive)]
        for header, parts in sections.items():
            section = pl.concat(parts)
            pattern = _compile_pattern(header) if self.required_field in {"", *header.field_names} else None
            if pattern and len(section):
                texts, section = pattern.parse(section)
                parsed.append(_convert_values(texts, header))
            remaining.append(section)
        return pl.concat(parsed, how="diagonal"), pl.concat(remaining).sort("line")


@lru_cache(64)
def _compile_pattern(header: W3cHeader) -> LinePattern | None:
    """Compile the pattern of a header. Return None if its fields include no time or no request."""
    columns: dict[int, str] = {}
    for name, aliases in FIELD_NAMES.items():
        if best := next((alias for alias in aliases if alias in header.field_names), None):
            columns[header.field_names.index(best)] = name
    names = set(columns.values()) | ({"date"} if header.date else set())
    if not {"date", "clock"} <= names or not {"raw_path", "schemeless"} & names:
        return None
    spaced, tabbed = zip(
        *(_build_field_regexes(columns.get(column)) for column in range(len(header.field_names))), strict=True
    )
    regexes = r"[ \t]+".join(spaced), r"\t".join(tabbed)
    return LinePattern(tuple(rf"^[ \t]*{regex}[ \t]*$" for regex in regexes), "clock", DATE_AND_TIME_REGEX)


def _build_field_regexes(name: str | None) -> tuple[str, str]:
    """Return the regexes of a field, also quoted: one for fields separated by spaces, one for tabs."""
    if shape := _FIELD_REGEXES.get(name or ""):
        spaced = tabbed = f'"(?:{shape})?"|{shape}'
    else:
        spaced, tabbed = rf'{_QUOTED}|[^ \t"][^ \t]*', rf'{_QUOTED}|(?:[^\t"][^\t]*)?'
    group = f"?P<{name}>" if name else "?:"
    return f"({group}{spaced})", f"({group}{tabbed})"


def _convert_values(texts: pl.DataFrame, header: W3cHeader) -> pl.DataFrame:
    """Join date and time, name the field of the duration by its unit, and undo quotes and encodings."""
    cloudfront = CLOUDFRONT_FIELD in header.field_names
    if "user_agent" in texts.columns:
        decode = _decode_percent_twice if cloudfront else _decode_plus_signs
        texts = texts.with_columns(
            map_distinct_texts(texts["user_agent"], lambda text: [decode(text)], ["user_agent"])
        )
    values: dict[str, pl.Expr] = {"line": pl.col("line")}
    for name in texts.columns:
        value = pl.col(name)
        if name != "line" and texts[name].str.starts_with('"').any():
            bare = value.str.strip_prefix('"').str.strip_suffix('"').str.replace_all('""', '"', literal=True)
            value = pl.when(value.str.starts_with('"')).then(bare).otherwise(value)
        encoded = cloudfront and name in {"raw_path", "raw_query", "referrer"}
        values[name] = value.str.replace_all(_DOUBLE_ENCODED_BYTE.pattern, "%${1}") if encoded else value
    local = not {"time", "time-utc"} & set(header.field_names)
    date, clock = values.pop("date", pl.lit(header.date)), values.pop("clock")
    values["time_iso"] = pl.concat_str(date, pl.lit("T"), clock, pl.lit(header.utc_offset if local else ""))
    if "seconds" in values and (header.durations_in_milliseconds or IIS_FIELD in header.field_names):
        values["milliseconds"] = values.pop("seconds")
    return texts.select(value.alias(name) for name, value in values.items())


def _decode_plus_signs(agent: str) -> str:
    """Replace `+` by a space in a user agent without quotes, but keep a `+` after it: `;++http` was `; +http`."""
    return agent if agent.startswith('"') else _PLUS_SIGN.sub(r" \1", agent)


def _decode_percent_twice(agent: str) -> str:
    return unquote(_DOUBLE_ENCODED_BYTE.sub(r"%\1", agent))
