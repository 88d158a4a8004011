"""Remove session identifiers from addresses: whoever has one may act as its visitor, and it tells visitors apart."""

import re
from collections.abc import Callable

import polars as pl

from avowal.logs.distinct_values import map_distinct_texts

_NAME = r"(?:[\w.-]*sess(?:ion)?(?:[._-]?(?:id\w*|key|token))?|(?:osc|xtc|php|connect[._-])?sid|cfid|cftoken|zenid)"
"""A name of a session's parameter: `JSESSIONID`, `PHPSESSID`, `ASPSESSIONIDQAAABBCC`, `sid`, `connect.sid`, …"""

_EQUALS = r"(?:=|%3d)"
_OPEN, _CLOSE = r"(?:\(|%28)", r"(?:\)|%29)"
_PATH_SESSION = re.compile(
    rf"(?:;|%3b){_NAME}{_EQUALS}[^/;]*"  # ;jsessionid=…
    rf"|/{_NAME}{_EQUALS}[^/;]*"  # /PHPSESSID=…/
    rf"|/{_OPEN}(?:[a-z]{_OPEN}[^()/%]*{_CLOSE})+{_CLOSE}(?=/|$)",  # /(S(…))/ of ASP.NET
    re.IGNORECASE,
)
_QUERY_SESSION = re.compile(rf"(?:^|(?<=[&;?])|[&;]){_NAME}{_EQUALS}[^&;#]*", re.IGNORECASE)
_HINTS = (r"[=(]|%3[dD]|%28", r"(?i)sess|sid(?:=|%3d)|cfid|cftoken|zenid|(?:\(|%28)[a-z](?:\(|%28)")
"""What every text with a session identifier matches, the quickest to look for first."""


def remove_from_path(path: str) -> str:
    """Remove session identifiers from a path.

    >>> remove_from_path("/(S(lit3py55t21z5v55vlm25s55))/a;jsessionid=1F2E;v=1/b")
    '/a;v=1/b'
    """
    cleaned = _PATH_SESSION.sub("", path)
    return cleaned if cleaned or not path else "/"


def remove_from_query(query: str) -> str:
    """Remove the parameters of a query that are session identifiers.

    >>> remove_from_query("a=1&PHPSESSID=9c1b&b=2")
    'a=1&b=2'
    """
    return _QUERY_SESSION.sub("", query).lstrip("&;")


def remove_from_url(url: str) -> str:
    """Remove session identifiers from a URL.

    >>> remove_from_url("https://shop.example/cart;jsessionid=1F2E?sid=7#top")
    'https://shop.example/cart#top'
    """
    url, hash_mark, fragment = url.partition("#")
    address, mark, query = url.partition("?")
    scheme, slashes, place = address.partition("://")
    if slashes:
        host, slash, path = place.partition("/")
        address = f"{scheme}://{host}{remove_from_path(slash + path)}"
    else:
        address = remove_from_path(address)
    query = remove_from_query(query)
    fragment = remove_from_query(fragment)
    return f"{address}{mark if query else ''}{query}{hash_mark if fragment else ''}{fragment}"


def remove_from_columns(requests: pl.DataFrame) -> pl.DataFrame:
    """Remove session identifiers from the columns `path`, `query` and `referrer` of requests."""
    return requests.with_columns(
        _remove_from_texts(requests["path"], remove_from_path),
        _remove_from_texts(requests["query"], lambda query: remove_from_query(query) or None),
        _remove_from_texts(requests["referrer"], remove_from_url),
    )


def _remove_from_texts(texts: pl.Series, remove: Callable[[str], str | None]) -> pl.Series:
    for hint in _HINTS:
        is_suspicious = texts.str.contains(hint).fill_null(value=False)
        if not is_suspicious.any():
            return texts
    cleaned = map_distinct_texts(texts.set(~is_suspicious, None), lambda text: [remove(text)], [texts.name])
    return cleaned[texts.name].zip_with(is_suspicious, texts)
