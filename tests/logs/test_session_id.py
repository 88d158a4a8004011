"""Session identifiers are removed from addresses, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avowal.logs.session_id import remove_from_path, remove_from_query, remove_from_url


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a;jsessionid=1F.node1!2/b", "/a/b"),
        ("/a;JSESSIONID=1;v=2", "/a;v=2"),
        ("/a%3bjsessionid%3d1F/b", "/a/b"),
        ("/(S(lit3py55t21z5v55vlm25s55))/orders.aspx", "/orders.aspx"),
        ("/shop/(A(x)S(lit3)F(y))/orders.aspx", "/shop/orders.aspx"),
        ("/%28S%28lit3%29%29/orders.aspx", "/orders.aspx"),
        ("/(X(1)S(lit3))", "/"),
        ("/PHPSESSID=9c1b/a", "/a"),
        ("/a;sid=7", "/a"),
        ("/a;phpsessid=7/;aspsessionidqaaabbcc=8", "/a/"),
        ("/wiki/Foo_(bar)", "/wiki/Foo_(bar)"),
        ("/wiki/S(bar)", "/wiki/S(bar)"),
        ("/sessions/2026;v=1", "/sessions/2026;v=1"),
        ("/newsid=7;inside=8", "/newsid=7;inside=8"),
        ("", ""),
    ],
)
def test_a_path_loses_its_session_identifiers(path: str, expected: str) -> None:
    """Parameters and segments that hold a session are cut out."""
    assert remove_from_path(path) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("PHPSESSID=9c1b", ""),
        ("a=1&PHPSESSID=9c1b", "a=1"),
        ("PHPSESSID=9c1b&a=1", "a=1"),
        ("a=1&sid=2&session_id=3&b=4", "a=1&b=4"),
        ("a=1;JSESSIONID=2;b=3", "a=1;b=3"),
        ("ASP.NET_SessionId=1&CFID=2&CFTOKEN=3&osCsid=4&zenid=5&connect.sid=6&x=7", "x=7"),
        ("session-token=1&sessionKey=2&sess=3&session=4", ""),
        ("newsid=1&inside=2&reside=3&assessor=4", "newsid=1&inside=2&reside=3&assessor=4"),
        ("", ""),
    ],
)
def test_a_query_loses_its_session_identifiers(query: str, expected: str) -> None:
    """Parameters that hold a session are cut out, whichever separator they have."""
    assert remove_from_query(query) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://shop.example/cart;jsessionid=1?sid=2#top", "https://shop.example/cart#top"),
        ("https://shop.example/?a=1&sid=2", "https://shop.example/?a=1"),
        ("https://shop.example/(S(x))/a", "https://shop.example/a"),
        ("https://shop.example", "https://shop.example"),
        ("https://shop.example/a?b#session_id=1", "https://shop.example/a?b"),
        ("no page", "no page"),
    ],
)
def test_a_url_loses_its_session_identifiers(url: str, expected: str) -> None:
    """A referrer loses what its path, its query and its fragment hold of a session."""
    assert remove_from_url(url) == expected


parts = st.lists(
    st.sampled_from([*"/;?&#=()aS%1.-:", "sid", "session", "id", "%3B", "%3D", "://"]), max_size=20
)


@given(parts.map("".join))
def test_what_is_removed_once_is_removed(text: str) -> None:
    """Nothing is left of a session that a second removal would find, in a text of any kind."""
    for remove in (remove_from_path, remove_from_query, remove_from_url):
        once = remove(text)
        while remove(once) != once:  # what was apart may make another one, never a longer text
            assert len(remove(once)) < len(once)
            once = remove(once)
