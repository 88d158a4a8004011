"""The request line and its target: method, host, path and query, as text that is safe to hand on.

No path and no query holds white space, quotes, backslashes or control characters: those are percent-encoded.
What is no request line is logged rubbish, and gives nothing.
"""

import re
from typing import NamedTuple

METHOD_REGEX = "[A-Za-z][A-Za-z_-]{0,31}"
PROTOCOL_REGEX = r"HTTP/[0-9](?:\.[0-9])?"
_PATH = r"[!$-:<->@-\[\]-~]"  # ASCII, less what is encoded, and less `?`, `#` and `;`, which mean something
_QUERY = r"[!$-\[\]-~]"
PLAIN_REQUEST_LINE_REGEX = (
    rf"(?P<method>[A-Z]{{1,32}}) (?P<path>/{_PATH}*)(?:\?(?P<query>{_QUERY}*))?(?: {PROTOCOL_REGEX})?"
)
"""What nearly all request lines look like: a Rust regex, whose groups are what `line` would find."""

_METHOD = re.compile(METHOD_REGEX)
_PROTOCOL = re.compile(PROTOCOL_REGEX)
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)(.*)", re.DOTALL)
_SCHEMELESS = re.compile(r"([^/?#]*\.[^/?#]+)(/.*)?", re.DOTALL)
_HOST = re.compile(r"([a-z0-9_-][a-z0-9._-]*?|\[[0-9a-f:.]+\])\.?(?::[0-9]*)?")
_SESSION = re.compile(r";(?:jsessionid|phpsessid|aspsessionid\w*|session_?id|sid)=[^/;]*", re.IGNORECASE)
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|(.?))", re.DOTALL)
_ESCAPED = {"\\": "%5C", '"': "%22", "b": "%08", "n": "%0A", "r": "%0D", "t": "%09", "v": "%0B"}
_QUOTED = re.compile(r'((?:\\x[0-9A-Fa-f]{2})+)|\\(["\\])')
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNSAFE = re.compile(r'[\s"\x00-\x1f\x7f]')


class RequestTarget(NamedTuple):
    """What a request asks for; None is what its line does not say."""

    method: str | None = None
    host: str | None = None
    path: str | None = None
    query: str | None = None


def parse_request_line(text: str) -> RequestTarget:
    r"""Read a request line; one that is none (`-`, a TLS handshake) gives an empty target.

    >>> line("GET http://user@example.org:80/a;jsessionid=1?b#c HTTP/1.1")
    Target(method='GET', host='example.org', path='/a', query='b')
    >>> line(r"\x16\x03\x01")
    Target(method=None, host=None, path=None, query=None)
    """
    method, _, asked = text.partition(" ")
    before, _, last = asked.rpartition(" ")
    if protocol := _PROTOCOL.fullmatch(last):
        asked = before
    asked = asked.strip(" ")
    if not _METHOD.fullmatch(method) or (" " in asked and (not protocol or " HTTP/" in asked)):
        return RequestTarget()  # no method, or where the target ends is not certain
    if method == "CONNECT" and not asked.startswith("/"):
        host = parse_host_name(asked.rpartition("@")[2])
        return RequestTarget(method, host) if host else RequestTarget()
    read = parse_target(asked)
    return read._replace(method=method) if read.path else RequestTarget()


def parse_target(text: str) -> RequestTarget:
    """Read a target in origin form (`/path?query`), in absolute form, of whose user nothing stays, or `*`."""
    host = None
    if absolute := _ABSOLUTE.fullmatch(text):
        host, text = parse_host_name(absolute[1].rpartition("@")[2]), absolute[2]
        text = text if text.startswith("/") else f"/{text}"
    elif text != "*" and not text.startswith("/"):
        return RequestTarget()
    stem, _, search = text.partition("#")[0].partition("?")
    return RequestTarget(None, host, sanitise_path(stem), _safe(search) or None)


def parse_schemeless_target(text: str) -> RequestTarget:
    """Read a target that may also begin with its host (`example.org/path`), as some servers log it."""
    found = None if "://" in text else _SCHEMELESS.fullmatch(text)
    return parse_target(f"http://{text}" if found and not text.startswith("/") else text)


def sanitise_path(text: str) -> str | None:
    """Make a path safe, and cut the session out of it; None where it is no path."""
    safe = _safe(_SESSION.sub("", text))
    return safe if safe.startswith("/") or safe == "*" else None


def sanitise_query(text: str) -> str | None:
    """Make a query safe; None where it is empty or `-`."""
    return None if text == "-" else _safe(text) or None


def parse_host_name(text: str) -> str | None:
    """Return a host without its port, in lower case; None where it is none."""
    found = _HOST.fullmatch(text.lower())
    return found[1] if found and found[1] not in {"-", "_"} else None


def unescape(text: str) -> str:
    r"""Undo what servers do to quoted values: `\"`, `\\`, and `\xHH` but for control characters.

    >>> unescape(r"\"caf\xC3\xA9\" \x0A")
    '"café" \\x0A'
    """
    return _QUOTED.sub(_plain, text)


def _plain(found: re.Match[str]) -> str:
    if not found[1]:
        return found[2]
    text = bytes.fromhex(found[1].replace("\\x", "")).decode("utf-8", "replace")
    return _CONTROL.sub(lambda control: f"\\x{ord(control[0]):02X}", text)


def _safe(text: str) -> str:
    if "\\" in text:
        text = _ESCAPE.sub(_percent, text)
    return _UNSAFE.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), text)


def _percent(found: re.Match[str]) -> str:
    code, character = found.groups()
    return f"%{code.upper()}" if code else _ESCAPED.get(character, f"%5C{character}")


def parse_server_name(text: str) -> str | None:
    """Return the name of a virtual host; None where it is an address, which might be another visitor's."""
    name = parse_host_name(text)
    return name if name and re.search(r"[a-z]", name) and "[" not in name else None
