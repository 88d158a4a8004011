"""Remove what programs write around a line of a log: syslog, journald, Docker, Kubernetes and log shippers.

A wrapper is removed only where what is left can be a record of its own, so that no format loses its beginning.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import polars as pl

from avowal.logs.distinct_values import map_distinct_texts
from avowal.logs.fields import DATE_REGEX, TIME_OF_DAY_REGEX
from avowal.strict import JSON_ERRORS

WRAPPERS_MAX = 4
"""How many wrappers around each other are removed."""

BYTE_VALUES = 256

NESTING_DEPTH_MAX = 8
"""How deeply a line is searched for in the objects of a wrapper."""

_COLOUR = r"(?:\x1b?\[[0-9;]*m)"
_ISO_TIME = rf"{DATE_REGEX}T{TIME_OF_DAY_REGEX}(?:Z|[+-][0-9]{{2}}:?[0-9]{{2}})"
_TAG = r"(?:(?:\S+ )?[^\s:\[\]]+(?:\[[0-9]*\])?:(?: |$))"
_PREFIXES = (
    r"<[0-9]{1,3}>1 (?:\S+ ){5}(?:-|(?:\[(?:[^\]\\]|\\.)*\])+) ?\x{FEFF}?",  # syslog, RFC 5424
    rf"(?:<[0-9]{{1,3}}>)?[A-Z][a-z]{{2}} [ 0-9][0-9] (?:[0-9]{{4}} )?{TIME_OF_DAY_REGEX} {_TAG}?",  # RFC 3164
    rf"(?:<[0-9]{{1,3}}>)?{DATE_REGEX}T\S+ {_TAG}",  # rsyslog, and journald's `short-iso`
    rf"[A-Z][a-z]{{2}} {DATE_REGEX} {TIME_OF_DAY_REGEX} [A-Za-z0-9+-]+ {_TAG}",  # journald's `short-full`
    rf"(?:[0-9]{{10}}\.[0-9]{{6}}|\[ *[0-9]+\.[0-9]{{6}}\]) {_TAG}",  # journald's `short-unix`, `short-monotonic`
    rf"{_ISO_TIME} (?:stdout|stderr) [FP] ",  # containers (CRI), and podman
    rf"{_COLOUR}*[A-Za-z0-9_.@|/-]*[A-Za-z][A-Za-z0-9_.@|/-]* +\|{_COLOUR}* {_COLOUR}*",  # docker compose
    r"\[(?:pod|deployment|job|statefulset|daemonset)/[^\] ]+\] ",  # kubectl logs --prefix
    rf"{_COLOUR}+",
    "@cee: ?",  # rsyslog
    "escape=json ?",  # nginx, whose `log_format` was given no space after it
)
PREFIX_REGEX = f"^(?:{'|'.join(f'(?:{prefix})' for prefix in _PREFIXES)})"
"""The text that other programs write before a line."""

BUNNY_START_REGEX = r"[A-Z-]+\|[0-9]{3}\|[0-9]{13}\|"
"""The cache status, status and time with which a line of Bunny CDN begins."""

_CLF_TIME = r"\[[0-9]{1,2}/[A-Za-z]{3}/[0-9]{4}:"
RECORD_REGEX = (
    rf'(?:\{{|#|(?:[^"\s]+ )?\[?{DATE_REGEX}[T \t]{TIME_OF_DAY_REGEX}|[^"]*{_CLF_TIME}|"[^"]*"[^"]*{_CLF_TIME}'
    rf"|{BUNNY_START_REGEX})"
)
"""The beginning of a line that is a record of its own: it has a time before its first quote, or is JSON."""

_TIMESTAMPED_REGEX = rf"^{_ISO_TIME} ({RECORD_REGEX}.*)$"
"""What `docker logs` and `kubectl logs` write with `--timestamps`."""

_QUOTED_REGEX = rf'^"([^"]*{_CLF_TIME}[^\]]*\] "(?:[^"\\]|\\.)*" .*)"$'
"""A whole line in quotes, as OpenLiteSpeed writes it."""

_MESSAGE_KEYS = (
    "log", "message", "msg", "textpayload", "line", "event", "original", "raw", "_raw", "@message", "text", "content",
    "body", "logline", "log_line",
)  # fmt: skip
"""The keys, in lower case, under which a line is put into JSON."""

_WRAPPED_IN_JSON_REGEX = (
    rf'^\s*\{{.*"(?i:{"|".join(_MESSAGE_KEYS)})" *: *(?:"(?:\s|\\[ntu]|{_COLOUR})*\{{|"[^"]*(?:\{{\\"|{_CLF_TIME}'
    rf"|{DATE_REGEX}[T ]|\|[0-9]{{13}}\||#Fields:)"
    rf'|"\\"[^"]*(?:\\"[^"]*)?{_CLF_TIME}|\[[0-9]+,)'
)
_RECORD = re.compile(RECORD_REGEX)
_PREFIX = re.compile(PREFIX_REGEX.replace(r"\x{FEFF}", "\ufeff"))


def unwrap_lines(texts: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return lines without what was written around them, and whether each had a wrapper."""
    is_wrapped = pl.Series([False], dtype=pl.Boolean).new_from_index(0, len(texts))
    for _ in range(WRAPPERS_MAX):
        texts, found = remove_one_wrapper(texts)
        if not found.any():
            break
        is_wrapped |= found
    if is_wrapped.any() and texts.str.contains("\x1b", literal=True).any():
        texts = texts.str.replace_all(r"\x1b\[[0-9;]*m", "")
    return texts, is_wrapped


_ANY_WRAPPER_REGEX = f"{PREFIX_REGEX}|{_TIMESTAMPED_REGEX}|{_QUOTED_REGEX}|{_WRAPPED_IN_JSON_REGEX}"


def remove_one_wrapper(texts: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return lines without the outermost text that was written around them, and whether each had one."""
    found = texts.str.contains(_ANY_WRAPPER_REGEX)
    return (texts.scatter(found.arg_true(), _unwrap(texts.filter(found))) if found.any() else texts), found


def _unwrap(texts: pl.Series) -> pl.Series:
    in_json = texts.str.contains(_WRAPPED_IN_JSON_REGEX)
    if in_json.any():
        inner = map_distinct_texts(texts.set(~in_json, None), lambda text: [find_message(text)], ["text"])
        texts = inner["text"].fill_null(texts)
    has_prefix = texts.str.contains(PREFIX_REGEX)
    others = texts.str.replace(_TIMESTAMPED_REGEX, "${1}").str.replace(_QUOTED_REGEX, "${1}")
    stripped = texts.str.replace(PREFIX_REGEX, "").zip_with(has_prefix, others)
    return texts.zip_with(in_json, stripped)


def find_message(text: str) -> str | None:
    r"""Return the line that a JSON object holds under one of the usual keys, or None if it holds none.

    >>> find_message('{"stream":"stdout","log":"192.0.2.1 - - [02/Jan/2026:12:00:05 +0000] …\\n"}')
    '192.0.2.1 - - [02/Jan/2026:12:00:05 +0000] …'
    """
    try:
        values = msgspec.json.decode(text)
    except JSON_ERRORS:
        return None
    for value in _find_messages(values, 0):
        message = value.strip("\r\n\t ")
        plain = re.sub(r"^(?:\x1b\[[0-9;]*m)+", "", message)
        if _RECORD.match(plain) or _PREFIX.match(plain):
            return message.replace("\n", " ")
    return None


def _find_messages(values: Any, depth: int) -> Iterator[str]:
    """Yield the texts under the usual keys, the outermost first. journald writes some texts as a list of bytes."""
    if not isinstance(values, dict) or depth > NESTING_DEPTH_MAX:
        return
    for name, value in values.items():
        if name.lower() in _MESSAGE_KEYS:
            if isinstance(value, str):
                yield value
            elif (
                isinstance(value, list)
                and value
                and all(isinstance(byte, int) and 0 <= byte < BYTE_VALUES for byte in value)
            ):
                yield bytes(value).decode("utf-8", "replace")
    for value in values.values():
        yield from _find_messages(value, depth + 1)
