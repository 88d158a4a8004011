"""Parse request lines and their targets into method, host, path and query.

Paths and queries contain no white space, quotes, backslashes or control characters: these are percent-encoded. Text
that is not a request line gives no method and no target.
"""

import re
from typing import NamedTuple

from avowal.logs.session_id import remove_from_path, remove_from_query, remove_from_url
from avowal.url_parts import encode_bytes, normalise_path, parse_host_name

METHOD_REGEX = "[A-Za-z][A-Za-z_-]{0,31}"
PROTOCOL_REGEX = r"HTTP/[0-9](?:\.[0-9])?"
_PATH = r"[!$-:<->@-\[\]-~]"  # ASCII without encoded characters and without `?`, `#` and `;`
_QUERY = r"[!$-\[\]-~]"
PLAIN_REQUEST_LINE_REGEX = (
    rf"(?P<method>[A-Z]{{1,32}}) (?P<path>/{_PATH}*)(?:\?(?P<query>{_QUERY}*))?(?: {PROTOCOL_REGEX})?"
)
"""A Rust regex that nearly all request lines match. Its groups are equal to the result of `parse_request_line`."""

_METHOD = re.compile(METHOD_REGEX)
_PROTOCOL = re.compile(PROTOCOL_REGEX)
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)(.*)", re.DOTALL)
_SCHEMELESS = re.compile(r"([^/?#]*\.[^/?#]+)(/.*)?", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|(.?))", re.DOTALL)
_ESCAPED = {"\\": "%5C", '"': "%22", "b": "%08", "n": "%0A", "r": "%0D", "t": "%09", "v": "%0B"}
_QUOTED = re.compile(r'((?:\\x[0-9A-Fa-f]{2})+)|\\(["\\])')
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNSAFE = re.compile(r'[\s"\x00-\x1f\x7f]')


class RequestTarget(NamedTuple):
    """The target of a request. A value is None if the request line does not say it."""

    method: str | None = None
    host: str | None = None
    path: str | None = None
    query: str | None = None


def parse_request_line(text: str) -> RequestTarget:
    r"""Parse a request line. Anything else (`-`, a TLS handshake) gives an empty target.

    >>> parse_request_line("GET http://user@example.org:80/a;jsessionid=1?b#c HTTP/1.1")
    RequestTarget(method='GET', host='example.org', path='/a', query='b')
    >>> parse_request_line(r"\x16\x03\x01")
    RequestTarget(method=None, host=None, path=None, query=None)
    """
    method, _, target = text.partition(" ")
    before, _, last = target.rpartition(" ")
    if protocol := _PROTOCOL.fullmatch(last):
        target = before
    target = target.strip(" ")
    if not _METHOD.fullmatch(method) or (" " in target and (not protocol or " HTTP/" in target)):
        return RequestTarget()  # there is no method, or the end of the target is not certain
    if method == "CONNECT" and not target.startswith("/"):
        host = parse_host_name(target.rpartition("@")[2])
        return RequestTarget(method, host) if host else RequestTarget()
    parsed = parse_target(target)
    return parsed._replace(method=method) if parsed.path else RequestTarget()


def parse_target(text: str) -> RequestTarget:
    """Parse a target in origin form (`/path?query`), in absolute form (a user in it is removed), or `*`."""
    host = None
    if absolute := _ABSOLUTE.fullmatch(text):
        host, text = parse_host_name(absolute[1].rpartition("@")[2]), absolute[2]
        text = text if text.startswith("/") else f"/{text}"
    elif text != "*" and not text.startswith("/"):
        return RequestTarget()
    path, query = split_path(text)
    return RequestTarget(None, host, sanitise_path(path), _percent_encode(query or "") or None)


def parse_schemeless_target(text: str) -> RequestTarget:
    """Parse a target that may begin with its host (`example.org/path`), as some servers log it."""
    match = None if "://" in text else _SCHEMELESS.fullmatch(text)
    return parse_target(f"http://{text}" if match and not text.startswith("/") else text)


def sanitise_path(text: str) -> str | None:
    """Normalise a path and remove its query and session identifiers. Return None if the text is not a path."""
    safe = remove_from_path(normalise_path(_percent_encode(split_path(text)[0])))
    return safe if safe.startswith("/") or safe == "*" else None


def split_path(text: str) -> tuple[str, str | None]:
    """Return a path without the query and fragment that some servers write into it, and the query.

    An encoded `?` or `#` is part of the path (RFC 3986, 2.2).
    """
    path, _, query = text.partition("#")[0].partition("?")
    return path, query or None


def sanitise_query(text: str) -> str | None:
    """Percent-encode a query and remove its session identifiers. Return None if it is empty or `-`."""
    return None if text == "-" else remove_from_query(_percent_encode(text)) or None


def sanitise_url(text: str) -> str | None:
    """Percent-encode a URL and remove its session identifiers. Return None if it is empty or `-`."""
    return None if text == "-" else remove_from_url(_percent_encode(text)) or None


def unescape(text: str) -> str:
    r"""Undo the escapes of servers in quoted values: `\"`, `\\`, and `\xHH` except for control characters.

    >>> unescape(r"\"caf\xC3\xA9\" \x0A")
    '"café" \\x0A'
    """
    return _QUOTED.sub(_unescape_match, text)


def _unescape_match(match: re.Match[str]) -> str:
    if not match[1]:
        return match[2]
    text = bytes.fromhex(match[1].replace("\\x", "")).decode("utf-8", "replace")
    return _CONTROL.sub(lambda control: f"\\x{ord(control[0]):02X}", text)


def _percent_encode(text: str) -> str:
    if "\\" in text:
        text = _ESCAPE.sub(_percent_encode_escape, text)
    return _UNSAFE.sub(lambda match: encode_bytes(match[0]), text)


def _percent_encode_escape(match: re.Match[str]) -> str:
    code, character = match.groups()
    return f"%{code.upper()}" if code else _ESCAPED.get(character, f"%5C{character}")


def parse_server_name(text: str) -> str | None:
    """Return the name of a virtual host. Return None for an address, which could belong to another visitor."""
    name = parse_host_name(text)
    return name if name and re.search(r"[a-z]", name) and "[" not in name else None
