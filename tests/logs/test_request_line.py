import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avowal.logs import request_line
from avowal.logs.request_line import PLAIN_REQUEST_LINE_REGEX, RequestTarget
from avowal.url_parts import normalise_path, parse_host_name

LINES = {
    "GET / HTTP/1.1": RequestTarget("GET", None, "/"),
    "GET /a?b=1&c HTTP/2.0": RequestTarget("GET", None, "/a", "b=1&c"),
    "GET /a? HTTP/1.1": RequestTarget("GET", None, "/a"),
    "GET /a#top HTTP/1.1": RequestTarget("GET", None, "/a"),
    "GET /a?b#top HTTP/1.1": RequestTarget("GET", None, "/a", "b"),
    "GET /old": RequestTarget("GET", None, "/old"),
    "GET //a//b HTTP/1.1": RequestTarget("GET", None, "//a//b"),
    "M-SEARCH * HTTP/1.1": RequestTarget("M-SEARCH", None, "*"),
    "GET http://user:word@Example.org:80/a?b HTTP/1.1": RequestTarget("GET", "example.org", "/a", "b"),
    "GET http://example.org HTTP/1.1": RequestTarget("GET", "example.org", "/"),
    "GET http://[2001:db8::1]:80/ HTTP/1.1": RequestTarget("GET", "[2001:db8::1]", "/"),
    "CONNECT example.org:443 HTTP/1.1": RequestTarget("CONNECT", "example.org"),
    "GET /a;jsessionid=0123/b;v=2 HTTP/1.1": RequestTarget("GET", None, "/a/b;v=2"),
    "GET /a;JSESSIONID=0123?b HTTP/1.1": RequestTarget("GET", None, "/a", "b"),
    "GET /a b HTTP/1.1": RequestTarget("GET", None, "/a%20b"),
    r"GET /a\"b\\\xD8\xA7\t HTTP/1.1": RequestTarget("GET", None, "/a%22b%5C%D8%A7%09"),
    "GET /café?ü HTTP/1.1": RequestTarget("GET", None, "/caf%C3%A9", "ü"),
    "GET /a\u00a0b HTTP/1.1": RequestTarget("GET", None, "/a%C2%A0b"),
    "GET /a b": RequestTarget(),
    "GET /a HTTP/1.1GET /b HTTP/1.1": RequestTarget(),
    "GET index.html HTTP/1.1": RequestTarget(),
    "CONNECT ../a HTTP/1.1": RequestTarget(),
    "GET": RequestTarget(),
    "-": RequestTarget(),
    "": RequestTarget(),
    r"\x16\x03\x01\x01 \x02": RequestTarget(),
    "<BADREQ>": RequestTarget(),
    "SSH-2.0-Go": RequestTarget(),
}


@pytest.mark.parametrize(("line", "target"), LINES.items())
def test_a_request_line_is_parsed(line: str, target: RequestTarget) -> None:
    """Method, host, path and query are found; an invalid request line gives none."""
    assert request_line.parse_request_line(line) == target


@given(st.text(), st.sampled_from(["GET {} HTTP/1.1", "GET /{}", "GET http://example.org/{} HTTP/1.1", "{}"]))
def test_paths_and_queries_contain_no_unsafe_characters(text: str, line: str) -> None:
    """No path or query contains white space, quotes, backslashes or control characters."""
    target = request_line.parse_request_line(line.format(text))
    assert not re.search(r'[\s"\\\x00-\x1f\x7f]', f"{target.path}{target.query}")
    assert target.path is None or target.path.startswith("/") or target.path == "*"


@given(st.from_regex(f"\\A{PLAIN_REQUEST_LINE_REGEX.replace('?P<', '?P<p_')}\\Z"))
def test_the_regex_for_plain_lines_matches_the_parser(line: str) -> None:
    """The regex for plain request lines gives the same as the parser, whose paths are normalised."""
    groups = (
        pl.Series([line])
        .str.extract_groups(f"^{PLAIN_REQUEST_LINE_REGEX}$")
        .struct.unnest()
        .row(0, named=True)
    )
    assert request_line.parse_request_line(line) == RequestTarget(
        groups["method"], None, normalise_path(groups["path"]), groups["query"] or None
    )


@pytest.mark.parametrize(
    ("text", "host", "server"),
    [
        ("Example.ORG:8080", "example.org", "example.org"),
        ("example.org.", "example.org", "example.org"),
        ("192.0.2.1:80", "192.0.2.1", None),
        ("[2001:db8::1]:80", "[2001:db8::1]", None),
        ("a b", None, None),
        ("user@example.org", None, None),
        ("_", None, None),
        ("-", None, None),
        ("", None, None),
    ],
)
def test_a_host_has_no_port(text: str, host: str | None, server: str | None) -> None:
    """A host is in lower case and without port; a server name that is an address is ignored."""
    assert parse_host_name(text) == host
    assert request_line.parse_server_name(text) == server


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("www.example.org/a?b", RequestTarget(None, "www.example.org", "/a", "b")),
        ("http://example.org/a", RequestTarget(None, "example.org", "/a")),
        ("/a.b/c", RequestTarget(None, None, "/a.b/c")),
        ("example.org", RequestTarget(None, "example.org", "/")),
        ("a b", RequestTarget()),
    ],
)
def test_a_target_may_begin_with_its_host(text: str, target: RequestTarget) -> None:
    """Host and path are found in a target without a scheme."""
    assert request_line.parse_schemeless_target(text) == target
