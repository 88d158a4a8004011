"""Write hosts and paths in one way, so that a page has one name wherever it comes from; and show them to people."""

import re

import idna

ABNORMAL_PATH_REGEX = (
    "[^!-~]|[?#]|%(?:[a-f][0-9A-Fa-f]|[0-9A-F][a-f]|2[DE]|3[0-9]|[46][1-9A-F]|[57][0-9A]|5F|7E)"
)
"""A Rust regex that all paths match of which `normalise_path` would change something, or which have a query."""

_ENCODED = re.compile("%([0-9A-Fa-f]{2})")
_ENCODED_LETTERS = re.compile("(?:%[89A-F][0-9A-F])+")
_NOT_ASCII = re.compile("[^!-~]")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def normalise_path(path: str) -> str:
    """Write a path in one way (RFC 3986, 6.2.2.1 and 6.2.2.2; RFC 3987, 3.1).

    What needs no encoding has none, encoded bytes have upper-case digits, and letters beyond ASCII are encoded. Dot
    segments stay: what was requested is not hidden.

    >>> normalise_path("/%7euser/caf%c3%a9/café/a%2fb")
    '/~user/caf%C3%A9/caf%C3%A9/a%2Fb'
    """
    path = _NOT_ASCII.sub(lambda match: encode_bytes(match[0]), path)
    return _ENCODED.sub(_normalise_byte, path)


def _normalise_byte(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0].upper()


def encode_bytes(text: str) -> str:
    """Percent-encode each byte of a text."""
    return "".join(f"%{byte:02X}" for byte in text.encode(errors="surrogatepass"))


def display_path(path: str) -> str:
    """Return a path with its letters beyond ASCII decoded; `normalise_path` turns it back.

    >>> display_path("/caf%C3%A9/100%25")
    '/café/100%25'
    """
    return _ENCODED_LETTERS.sub(_decode_letters, path)


def _decode_letters(match: re.Match[str]) -> str:
    try:
        text = bytes.fromhex(match[0].replace("%", "")).decode()
    except UnicodeDecodeError:
        return match[0]
    return text if text.isprintable() else match[0]


_HOST = re.compile(r"([a-z0-9_-][a-z0-9._-]*?|\[[0-9a-f:.]+\])\.?(?::[0-9]*)?")


def parse_host_name(text: str) -> str | None:
    """Return a host in lower case, without its port and a dot at its end; `xn--` instead of other letters.

    Returns None if the text is not a host.

    >>> parse_host_name("Bücher.example.:8080")
    'xn--bcher-kva.example'
    """
    text = text.lower()
    if not text.isascii():
        text = _encode(text)
    match = _HOST.fullmatch(text)
    host = match[1].rstrip(".") if match else None
    return None if host in {"-", "_"} else host


def _encode(text: str) -> str:
    name, colon, port = text.partition(":")
    try:
        return f"{idna.encode(name, uts46=True).decode()}{colon}{port}"
    except (idna.IDNAError, UnicodeError):
        return ""


def display_host_name(host: str) -> str:
    """Return a host as people write it, if that is unambiguous: its DNS form has to be the same again."""
    if "xn--" not in host:
        return host
    try:
        shown = idna.decode(host)
    except (idna.IDNAError, UnicodeError):
        return host
    return shown if shown.isprintable() and parse_host_name(shown) == host else host
