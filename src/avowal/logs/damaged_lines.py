"""The second reader, for lines of the common and combined formats that are damaged and still tell enough.

It is believed only where address, time, a well-shaped request and its status are certain. Where two records
were run together nothing of the first is taken, and a value whose end is not certain is not taken either: a
part of it may be another person's.
"""

import re
from dataclasses import dataclass

import polars as pl

from avowal.logs import request_line
from avowal.logs.drop_reason import DropReason
from avowal.logs.fields import CLF_TIME_REGEX
from avowal.logs.ip_address import IPV4_REGEX, canonicalise_address
from avowal.logs.pattern import EXTRA_FIELD_REGEX, QUOTED_TEXT_REGEX

LINE_CHARACTERS_MAX = 32 * 1024
"""A longer line, in characters, is not looked at twice."""

QUOTES_MAX = 64
"""Nor is one with more quotes: finding those that end a value takes the square of their number."""

FieldTexts = dict[str, str | None]

_TIME = re.compile(rf"\[({CLF_TIME_REGEX} [+-][0-9]{{4}})\]")
_REQUEST = re.compile(
    rf' "({request_line.METHOD_REGEX} (?:\\\S|[^\s\\])+(?: {request_line.PROTOCOL_REGEX})?)" ([1-9][0-9]{{2}})(?![^ ])'
)
_BYTES = "(?: (?P<bytes>[0-9]+|-))"
_AGENT = rf'{_BYTES}? "(?P<referrer>{QUOTED_TEXT_REGEX})" "(?P<user_agent>(?:\\.|[^\\])*?)"'
_WHOLE = {
    "common": re.compile(rf"{_BYTES}{EXTRA_FIELD_REGEX}* *\Z"),
    "combined": re.compile(rf"{_AGENT}{EXTRA_FIELD_REGEX}* *\Z"),
    "traefik": re.compile(
        rf'{_AGENT} \S+ "{QUOTED_TEXT_REGEX}" "{QUOTED_TEXT_REGEX}" (?P<milliseconds>[0-9]+)ms *\Z'
    ),
}
_UNTERMINATED = re.compile(rf'{_BYTES}? "(?P<referrer>{QUOTED_TEXT_REGEX})" "[^"]+\Z')
_FOREIGN = re.compile(rf"HTTP/[0-9]|\[[0-9]|(?<![/0-9.]){IPV4_REGEX}")
"""What stands in hardly a user agent, and in every other record."""

_ADDRESS = re.compile(rf"{IPV4_REGEX}|[0-9A-Fa-f]{{0,4}}(?::[0-9A-Fa-f]{{0,4}}){{2,7}}")
_SERVER = re.compile(r"[A-Za-z0-9._-]+(?::[0-9]+)?")
_SECOND = re.compile(
    rf'{_TIME.pattern} "{request_line.METHOD_REGEX} \S+ HT?T?P?'
    rf'({IPV4_REGEX}|[0-9A-Fa-f:.]+:[0-9A-Fa-f:.]+)(?: [^\s"\[\]]+){{2}} \Z'
)
"""A record cut off in its protocol, where no digit can stand, and the beginning of another."""

_SCHEMA = {"line": pl.UInt32} | dict.fromkeys(
    ["server", "address", "time", "request", "status", "bytes", "milliseconds", "referrer", "user_agent"],
    pl.String,
)


@dataclass(frozen=True)
class DamagedLineStep:
    """The second reader of one of the formats `common`, `combined` and `traefik`."""

    format_name: str

    def parse(self, left: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Read what lines it can, and tell which of the rest are two records in one."""
        answers = [self.parse_line(text) for text in left["text"]]
        rows = [
            {"line": line} | answer
            for line, answer in zip(left["line"], answers, strict=True)
            if not isinstance(answer, DropReason)
        ]
        why = pl.Series(
            [answer.value if isinstance(answer, DropReason) else None for answer in answers], dtype=pl.String
        )
        judged = left.with_columns(reason=pl.coalesce("reason", why))
        return pl.DataFrame(rows, schema=_SCHEMA), judged.filter(why.is_not_null())

    def parse_line(self, line: str) -> FieldTexts | DropReason:
        """Read the fields of one line, or say why not."""
        times = (
            list(_TIME.finditer(line))
            if len(line) <= LINE_CHARACTERS_MAX and line.count('"') <= QUOTES_MAX
            else []
        )
        if not times:
            return DropReason.UNREADABLE
        head, tail = line[: times[-1].start()], line[times[-1].end() :]
        found = _REQUEST.match(tail)
        asked = request_line.parse_request_line(found[1]) if found else request_line.RequestTarget()
        visitor, second = _visitor(head), _SECOND.search(head)
        rest = tail[found.end() :] if found else ""
        values = self._values(rest, whole=not visitor) if asked.method else None
        if values is not None and found:
            certain: FieldTexts = {"time": times[-1][1], "request": found[1], "status": found[2]}
            if visitor:
                return visitor | certain | values
            if second and canonicalise_address(second[2]):
                return {"address": second[2]} | certain | values
        two = len(times) > 1 or "[" in head or len(_ADDRESS.findall(head)) > 1
        return DropReason.MERGED if two else DropReason.UNREADABLE

    def _values(self, rest: str, *, whole: bool) -> FieldTexts | None:
        """Read what stands behind the status; None where the line was cut off."""
        found = _WHOLE[self.format_name].match(rest)
        if found:
            values: FieldTexts = dict(found.groupdict())
            agent = values.get("user_agent") or ""
            if whole and values["bytes"] is None:
                return None
            if '"' in agent.replace('\\"', "") and _FOREIGN.search(agent):
                values["user_agent"] = None
            return values
        found = None if whole or self.format_name != "combined" else _UNTERMINATED.match(rest)
        return dict(found.groupdict()) if found else None


def _visitor(head: str) -> FieldTexts | None:
    """Read what stands before the time: one address, which only the server's name may precede."""
    words = head.split()
    if not head.endswith(" ") or set('"[]') & set(head) or len(_ADDRESS.findall(head)) != 1:
        return None
    if canonicalise_address(words[0]):
        return {"address": words[0]}
    if len(words) not in {1, 3} and canonicalise_address(words[1]) and _SERVER.fullmatch(words[0]):
        return {"server": words[0], "address": words[1]}
    return None
