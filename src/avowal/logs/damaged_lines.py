"""Parse damaged lines of the common, combined and Traefik formats, after the strict pattern has failed.

A line is parsed only if its address, time, request line and status are certain. If two records were run together,
nothing of the first is used. A value whose end is not certain is not used either: it may contain
data of another person.
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
"""The longest line that is parsed here, in characters."""

QUOTES_MAX = 64
"""The most quotes in a line that is parsed here: the time to find the ends of values grows with their square."""

FieldTexts = dict[str, str | None]

_TIME = re.compile(rf"\[({CLF_TIME_REGEX} [+-][0-9]{{4}})\]")
_REQUEST = re.compile(
    rf' "({request_line.METHOD_REGEX} (?:\\\S|[^\s\\])+(?: {request_line.PROTOCOL_REGEX})?)" ([1-9][0-9]{{2}})(?![^ ])'
)
_BYTES = "(?: (?P<bytes>[0-9]+|-))"
_USER_AGENT_FIELDS = rf'{_BYTES}? "(?P<referrer>{QUOTED_TEXT_REGEX})" "(?P<user_agent>(?:\\.|[^\\])*?)"'
_LINE_ENDS = {
    "common": re.compile(rf"{_BYTES}{EXTRA_FIELD_REGEX}* *\Z"),
    "combined": re.compile(rf"{_USER_AGENT_FIELDS}{EXTRA_FIELD_REGEX}* *\Z"),
    "traefik": re.compile(
        rf'{_USER_AGENT_FIELDS} \S+ "{QUOTED_TEXT_REGEX}" "{QUOTED_TEXT_REGEX}" (?P<milliseconds>[0-9]+)ms *\Z'
    ),
}
_UNTERMINATED = re.compile(rf'{_BYTES}? "(?P<referrer>{QUOTED_TEXT_REGEX})" "[^"]+\Z')
_OTHER_RECORD = re.compile(rf"HTTP/[0-9]|\[[0-9]|(?<![/0-9.]){IPV4_REGEX}")
"""Text that every record contains, and hardly any user agent. A user agent with it may include another record."""

_ADDRESS = re.compile(rf"{IPV4_REGEX}|[0-9A-Fa-f]{{0,4}}(?::[0-9A-Fa-f]{{0,4}}){{2,7}}")
SECOND_SERVER_WORDS = 3
"""How many words stand before the time in lines of lighttpd and OVH, whose second is the server's name."""

_SERVER = re.compile(r"[A-Za-z0-9._-]+(?::[0-9]+)?")
_CUT_RECORD = re.compile(
    rf'{_TIME.pattern} "{request_line.METHOD_REGEX} \S+ HT?T?P?'
    rf'({IPV4_REGEX}|[0-9A-Fa-f:.]+:[0-9A-Fa-f:.]+)(?: [^\s"\[\]]+){{2}} \Z'
)
"""A record that was cut off inside its protocol, before any digit, followed by the start of another record."""

_SCHEMA = {"line": pl.UInt32} | dict.fromkeys(
    ["server", "address", "time", "request", "status", "bytes", "milliseconds", "referrer", "user_agent"],
    pl.String,
)


@dataclass(frozen=True)
class DamagedLineStep:
    """Parses damaged lines of one format: `common`, `combined` or `traefik`."""

    format_name: str

    def parse(self, lines: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Parse the lines that can be parsed. Give the others the reason `merged` or `malformed`."""
        results = [self.parse_line(text) for text in lines["text"]]
        rows = [
            {"line": line} | result
            for line, result in zip(lines["line"], results, strict=True)
            if not isinstance(result, DropReason)
        ]
        reasons = pl.Series(
            [result.value if isinstance(result, DropReason) else None for result in results], dtype=pl.String
        )
        remaining = lines.with_columns(reason=pl.coalesce("reason", reasons)).filter(reasons.is_not_null())
        return pl.DataFrame(rows, schema=_SCHEMA), remaining

    def parse_line(self, line: str) -> FieldTexts | DropReason:
        """Return the texts of the fields of a line, or the reason why it cannot be parsed."""
        times = (
            list(_TIME.finditer(line))
            if len(line) <= LINE_CHARACTERS_MAX and line.count('"') <= QUOTES_MAX
            else []
        )
        if not times:
            return DropReason.MALFORMED
        head, tail = line[: times[-1].start()], line[times[-1].end() :]
        request = _REQUEST.match(tail)
        target = request_line.parse_request_line(request[1]) if request else request_line.RequestTarget()
        start, cut_record = _parse_line_start(head), _CUT_RECORD.search(head)
        rest = tail[request.end() :] if request else ""
        end = self._parse_line_end(rest, must_be_complete=not start) if target.method else None
        if end is not None and request:
            middle: FieldTexts = {"time": times[-1][1], "request": request[1], "status": request[2]}
            if start:
                return start | middle | end
            if cut_record and canonicalise_address(cut_record[2]):
                return {"address": cut_record[2]} | middle | end
        is_merged = len(times) > 1 or "[" in head or len(_ADDRESS.findall(head)) > 1
        return DropReason.MERGED if is_merged else DropReason.MALFORMED

    def _parse_line_end(self, rest: str, *, must_be_complete: bool) -> FieldTexts | None:
        """Return the texts of the fields after the status, or None if they are malformed or cut off."""
        match = _LINE_ENDS[self.format_name].match(rest)
        if match:
            values: FieldTexts = dict(match.groupdict())
            agent = values.get("user_agent") or ""
            if must_be_complete and values["bytes"] is None:
                return None
            if values.get("referrer") == agent == "":
                values["user_agent"] = None  # as in `forget_unlogged_agents`
            if '"' in agent.replace('\\"', "") and _OTHER_RECORD.search(agent):
                values["user_agent"] = None
            return values
        if self.format_name != "combined":
            return None
        if plain := _LINE_ENDS["common"].match(rest):  # a log can have lines of both formats
            return dict(plain.groupdict())
        match = None if must_be_complete else _UNTERMINATED.match(rest)
        return dict(match.groupdict()) if match else None


def _parse_line_start(head: str) -> FieldTexts | None:
    """Return the address, and the server's name before it if there is one, or None if the text is anything else."""
    words = head.split()
    if not head.endswith(" ") or set('"[]') & set(head) or len(_ADDRESS.findall(head)) != 1:
        return None
    if canonicalise_address(words[0]):
        has_server = len(words) == SECOND_SERVER_WORDS and "." in words[1] and _SERVER.fullmatch(words[1])
        return {"address": words[0], "server": words[1]} if has_server else {"address": words[0]}
    if len(words) not in {1, 3} and canonicalise_address(words[1]) and _SERVER.fullmatch(words[0]):
        return {"server": words[0], "address": words[1]}
    return None
