"""Hosts and paths have one form, and what people see leads back to it."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avowal.url_parts import (
    ABNORMAL_PATH_REGEX,
    display_host_name,
    display_path,
    normalise_path,
    parse_host_name,
)

PATHS = st.text("/abé%?#2eEfF7~ \n<café\u202e\U0001f600", max_size=20).map("/".__add__)


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/café", "/caf%C3%A9"),
        ("/%7euser/%41%2D%2e", "/~user/A-."),
        ("/a%2fb%3f%23%25", "/a%2Fb%3F%23%25"),
        ("/a/../b", "/a/../b"),
        ("/100%", "/100%"),
        ("/%zz", "/%zz"),
        ("/a b", "/a%20b"),
    ],
)
def test_a_path_is_normalised(path: str, normal: str) -> None:
    """Case of digits and needless encodings differ no more; reserved characters stay as they were sent."""
    assert normalise_path(path) == normal


@given(PATHS)
def test_what_is_shown_of_a_path_leads_back_to_it(path: str) -> None:
    """A normal path stays, is plain ASCII, and is what its displayed form is normalised to."""
    normal = normalise_path(path)
    assert normal == normalise_path(normal)
    assert normal.isascii()
    assert display_path(normal).isprintable()
    assert normalise_path(display_path(normal)) == normal


@given(PATHS)
def test_the_regex_of_abnormal_paths_finds_each(path: str) -> None:
    """What it does not match stays as it is, and has no query."""
    (is_abnormal,) = pl.Series([path]).str.contains(ABNORMAL_PATH_REGEX)
    assert is_abnormal or (normalise_path(path) == path and not {"?", "#"} & set(path))


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("Bücher.Example.", "xn--bcher-kva.example"),
        ("BÜCHER.example:8080", "xn--bcher-kva.example"),
        ("例子.測試", "xn--fsqu00a.xn--g6w251d"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("[2001:DB8::1]:80", "[2001:db8::1]"),
        ("a b", None),
        ("é" * 300, None),
        ("\ud800.example", None),
    ],
)
def test_a_host_has_the_form_of_the_dns(text: str, host: str | None) -> None:
    """Case, port, a dot at the end and letters beyond ASCII make no difference."""
    assert parse_host_name(text) == host
    assert host is None or parse_host_name(display_host_name(host)) == host


@given(st.text("xn-bücher.example☃é1", max_size=30))
def test_what_is_shown_of_a_host_leads_back_to_it(text: str) -> None:
    """A displayed host is the same host, and hosts have one form."""
    host = parse_host_name(text)
    assert host is None or (
        parse_host_name(host) == host and parse_host_name(display_host_name(host)) == host
    )
