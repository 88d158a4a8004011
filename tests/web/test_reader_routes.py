"""`/`: the policy for everybody, and reports for readers who sign in."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest

from support.served import SETTINGS, Answer, Served, served
from support.site import Site, line

PASSWORD = "correct horse battery staple"  # noqa: S105  # of a reader that is made for tests
OWN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    site = Site(tmp_path_factory.mktemp("site")).init(settings=SETTINGS)
    now = datetime.now(UTC).replace(tzinfo=None) - timedelta(hours=2)
    pages = ("/", "/a", "/<script>alert(1)</script>", "/b")
    site.take_in(site.log("a.log", *(line(n, page, start=now, status=200) for n, page in enumerate(pages))))
    for name, purposes in (("ann", "content"), ("ben", "availability,performance")):
        assert site.avowal("user", "add", name, "--purposes", purposes).status == 0
        assert (
            site.avowal("user", "password", name, "--stdin", stdin=f"{PASSWORD} {name}\n".encode()).status
            == 0
        )
    with served(site) as it:
        yield it


def sign_in(server: Served, name: str, password: str, headers: dict[str, str] | None = None) -> Answer:
    body = urlencode({"name": name, "password": password}).encode()
    return server.ask("POST", "/sign-in", body, OWN if headers is None else headers)


def cookie(answer: Answer) -> str:
    return answer.headers["set-cookie"].partition(";")[0]


@pytest.mark.parametrize("accepted", ["", "de", "en;q=0.1", "pt-BR, *", "x;q=y,,", "\x00"])
def test_everybody_sees_the_policy(server: Served, accepted: str) -> None:
    """In the language that there is, with what keeps the page to itself."""
    answer = server.ask("GET", "/", headers={"Accept-Language": accepted} if accepted.isprintable() else {})
    page = answer.body.decode()
    assert (answer.status, answer.headers["content-language"]) == (200, "en")
    assert '<html lang="en"' in page
    assert "What is collected" in page
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "set-cookie" not in answer.headers


def test_a_reader_sees_the_reports_of_their_purposes(server: Served) -> None:
    """And no other; what visitors wrote is text; the reading is counted with the reader's name."""
    signed_in = sign_in(server, "ann", f"{PASSWORD} ann")
    assert (signed_in.status, signed_in.headers["location"]) == (303, "/")
    told = signed_in.headers["set-cookie"]
    assert re.search(r"HttpOnly; Max-Age=43200; Path=/; SameSite=strict", told)
    assert "Secure" not in told
    have = {"Cookie": cookie(signed_in)}
    home = server.ask("GET", "/", headers=have)
    assert home.headers["cache-control"] == "private, no-store"
    page = home.body.decode()
    assert "Overview" in page
    assert "<dt>Views</dt><dd>4</dd>" in page
    pages = server.ask("GET", "/?report=pages&since=7+days", headers=have).body.decode()
    assert "&lt;script&gt;alert(1)" in pages
    assert "<script" not in pages
    assert server.ask("GET", "/?report=availability", headers=have).status == 400
    assert server.ask("GET", "/?report=overview&since=nonsense", headers=have).status == 400
    status = server.site.avowal("status", "--json").json()
    assert {"ann"} == {row["reader"] for row in status["daily_access_counts"] if row["purpose"] == "content"}


def test_it_is_secure_where_the_browser_is(server: Served) -> None:
    """Behind a proxy that speaks HTTPS, the cookie goes over HTTPS only."""
    answer = sign_in(server, "ben", f"{PASSWORD} ben", {**OWN, "X-Forwarded-Proto": "https"})
    assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    ("name", "password", "headers", "status"),
    [
        ("ann", "wrong", OWN, 401),
        ("ann", "", OWN, 401),
        ("nobody", f"{PASSWORD} ann", OWN, 401),
        ("ann", f"{PASSWORD} ann", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("ann", f"{PASSWORD} ann", {"Origin": "https://else.example"}, 403),
        ("ann", f"{PASSWORD} ann", {}, 403),
    ],
)
def test_nobody_else_signs_in(
    server: Served, name: str, password: str, headers: dict[str, str], status: int
) -> None:
    """Nor does a form of another site sign anybody in."""
    answer = sign_in(server, name, password, {**headers, "X-Forwarded-For": "203.0.113.20"})
    assert (answer.status, "set-cookie" in answer.headers) == (status, False)


def test_a_cookie_is_not_made_up(server: Served) -> None:
    """One that was changed, or is of nobody, shows the policy."""
    own = cookie(sign_in(server, "ben", f"{PASSWORD} ben"))
    for value in (
        "avowal-reader=ben",
        own.replace("ben", "ann"),
        f"{own}x",
        "avowal-reader=",
        "avowal-reader=\xe9",
    ):
        page = server.ask("GET", "/", headers={"Cookie": value}).body.decode()
        assert "What is collected" in page


def test_signing_in_cannot_be_tried_for_ever(server: Served) -> None:
    """From one address, and as one reader."""
    tried = [
        sign_in(
            server, "guessed", f"{number}", {**OWN, "X-Forwarded-For": f"203.0.113.{100 + number}"}
        ).status
        for number in range(12)
    ]
    assert tried[:10] == [401] * 10
    assert 429 in tried[10:]


def test_who_reads_no_more_is_signed_out(server: Served) -> None:
    """At once: with another password, without purposes, or by their own wish."""
    site = server.site
    for change in (
        ("password", "carl", "--stdin"),
        ("remove", "carl"),
    ):
        assert site.avowal("user", "add", "carl", "--purposes", "content").status == 0
        assert (
            site.avowal("user", "password", "carl", "--stdin", stdin=f"{PASSWORD} carl".encode()).status == 0
        )
        have = {"Cookie": cookie(sign_in(server, "carl", f"{PASSWORD} carl"))}
        assert "Overview" in server.ask("GET", "/", headers=have).body.decode()
        assert site.avowal("user", *change, stdin=f"{PASSWORD} else".encode()).status == 0
        assert "What is collected" in server.ask("GET", "/", headers=have).body.decode()
    assert "Max-Age=0" in server.ask("POST", "/sign-out", headers=OWN).headers["set-cookie"]
    assert server.ask("POST", "/sign-out", headers={"Sec-Fetch-Site": "cross-site"}).status == 403


@pytest.mark.parametrize("word", ["short", "", "x" * 300])
def test_a_password_is_neither_short_nor_endless(server: Served, word: str) -> None:
    """And it is of a reader; nothing of it is in the folder."""
    ran = server.site.avowal("user", "password", "ann", "--stdin", stdin=word.encode())
    assert (ran.status, ran.code) == (2, "password-length")
    assert server.site.avowal("user", "password", "nobody", "--stdin", stdin=PASSWORD.encode()).status == 1
    for path in server.site.folder.rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes(), path
