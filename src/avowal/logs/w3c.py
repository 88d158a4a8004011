"""W3C extended logs (WD-logfile-960323): what stands where is said by directives among the lines.

Times are UTC, as the draft says; `#GMT-Offset` counts for `date-local` and `time-local` alone.
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
    "stem": ("cs-uri-stem",),
    "search": ("cs-uri-query",),
    "schemeless": ("cs-uri",),
    "status": ("sc-status",),
    "bytes": ("sc-bytes", "bytes"),
    "seconds": ("time-taken",),
    "milliseconds": ("timetakenms",),
    "referrer": ("cs(referer)", "cs(referrer)"),
    "user_agent": ("cs(user-agent)",),
}
"""For each field the names that `#Fields` may have for it, the best first."""

CLOUDFRONT_FIELD = "x-edge-location"
"""A field that only CloudFront has: its values are percent-encoded, some of them twice."""

IIS_FIELD = "sc-win32-status"
"""A field that only IIS has: its `time-taken` is in milliseconds, everyone else's in seconds."""

FIELDS_MAX = 256
"""The most names of a `#Fields` directive."""

_TWICE = re.compile("%25([0-9A-Fa-f]{2})")
_PLUS = re.compile(r"\+(\+?)")

DATE_AND_TIME_REGEX = rf"{DATE_REGEX}[ \t]+{TIME_OF_DAY_REGEX}"

_QUOTED = '"[^"]*"(?:"[^"]*")*'  # in one pass, as in `fields`
_SHAPES = {"date": DATE_REGEX, "clock": TIME_OF_DAY_REGEX} | {
    name: field.regex for name, field in LOG_FIELDS.items() if not field.accepts_any_text
}


class W3cHeader(msgspec.Struct, frozen=True):
    """What the directives said so far; nothing in it is a visitor's."""

    fields: tuple[str, ...] = ()
    date: str = ""
    offset: str = ""
    milliseconds: bool = False

    def apply_directive(self, directive: str) -> "W3cHeader":
        """Return the header as one more directive leaves it."""
        name, _, value = directive[1:].partition(":")
        match name.strip().lower():
            case "fields":
                return msgspec.structs.replace(self, fields=tuple(value.lower().split()[:FIELDS_MAX]))
            case "date" | "start-date" if found := re.search(DATE_REGEX, value):
                return msgspec.structs.replace(self, date=found[0])
            case "gmt-offset" if found := re.search(r"[+-]\d{4}", value):
                return msgspec.structs.replace(self, offset=found[0])
            case "software":
                return msgspec.structs.replace(self, milliseconds="microsoft" in value.lower())
        return self


@dataclass
class W3cStep:
    """Lines under directives; with a `marker`, only under those that name it as a field."""

    required_field: str = ""
    header: W3cHeader = field(default_factory=W3cHeader)

    def parse(self, left: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Read what lines it can, each under the directives before it, and remember the last of those."""
        directive = left["text"].str.starts_with("#")
        sections: dict[W3cHeader, list[pl.DataFrame]] = {}
        start = 0
        for end in [*directive.arg_true(), len(left)]:
            sections.setdefault(self.header, []).append(left.slice(start, end - start))
            if end < len(left):
                self.header = self.header.apply_directive(left["text"][end])
            start = end + 1
        found, rest = [left.select("line").clear()], [left.filter(directive)]
        for header, parts in sections.items():
            lines = pl.concat(parts)
            pattern = _pattern(header) if self.required_field in {"", *header.fields} else None
            if pattern and len(lines):
                texts, lines = pattern.parse(lines)
                found.append(_values(texts, header))
            rest.append(lines)
        return pl.concat(found, how="diagonal"), pl.concat(rest).sort("line")


@lru_cache(64)
def _pattern(header: W3cHeader) -> LinePattern | None:
    """Compile the names of the fields; None where they tell no time or no request."""
    columns: dict[int, str] = {}
    for name, known in FIELD_NAMES.items():
        if best := next((other for other in known if other in header.fields), None):
            columns[header.fields.index(best)] = name
    told = set(columns.values()) | ({"date"} if header.date else set())
    if not {"date", "clock"} <= told or not {"stem", "schemeless"} & told:
        return None
    spaced, tabbed = zip(*(_cell(columns.get(column)) for column in range(len(header.fields))), strict=True)
    regexes = r"[ \t]+".join(spaced), r"\t".join(tabbed)
    return LinePattern(tuple(rf"^[ \t]*{regex}[ \t]*$" for regex in regexes), "clock", DATE_AND_TIME_REGEX)


def _cell(name: str | None) -> tuple[str, str]:
    """Return the regexes of a field with its quotes: where it stands between spaces, and between tabs."""
    if shape := _SHAPES.get(name or ""):
        spaced = tabbed = f'"(?:{shape})?"|{shape}'
    else:
        spaced, tabbed = rf'{_QUOTED}|[^ \t"][^ \t]*', rf'{_QUOTED}|(?:[^\t"][^\t]*)?'
    group = f"?P<{name}>" if name else "?:"
    return f"({group}{spaced})", f"({group}{tabbed})"


def _values(texts: pl.DataFrame, header: W3cHeader) -> pl.DataFrame:
    """Put date and time together, name the unit of the duration, and write each value as it was."""
    cloudfront = CLOUDFRONT_FIELD in header.fields
    if "user_agent" in texts.columns:
        plain = _decoded if cloudfront else _spaced
        texts = texts.with_columns(
            map_distinct_texts(texts["user_agent"], lambda text: [plain(text)], ["user_agent"])
        )
    values: dict[str, pl.Expr] = {"line": pl.col("line")}
    for name in texts.columns:
        value = pl.col(name)
        if name != "line" and texts[name].str.starts_with('"').any():
            bare = value.str.strip_prefix('"').str.strip_suffix('"').str.replace_all('""', '"', literal=True)
            value = pl.when(value.str.starts_with('"')).then(bare).otherwise(value)
        encoded = cloudfront and name in {"stem", "search", "referrer"}
        values[name] = value.str.replace_all(_TWICE.pattern, "%${1}") if encoded else value
    local = not {"time", "time-utc"} & set(header.fields)
    date, clock = values.pop("date", pl.lit(header.date)), values.pop("clock")
    values["time_iso"] = pl.concat_str(date, pl.lit("T"), clock, pl.lit(header.offset if local else ""))
    if "seconds" in values and (header.milliseconds or IIS_FIELD in header.fields):
        values["milliseconds"] = values.pop("seconds")
    return texts.select(value.alias(name) for name, value in values.items())


def _spaced(agent: str) -> str:
    """Give a user agent its spaces back, for which `+` stands where it has no quotes: `;++http` was `; +http`."""
    return agent if agent.startswith('"') else _PLUS.sub(r" \1", agent)


def _decoded(agent: str) -> str:
    return unquote(_TWICE.sub(r"%\1", agent))
