"""`/`: the policy for everyone, and reports for readers who sign in."""

import http.client
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest

from support.running_server import SETTINGS, Answer, RunningServer, start_server
from support.site import Site, line

PASSWORD = "correct horse battery staple"  # noqa: S105  # of a reader that is made for tests
OWN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    site = Site(tmp_path_factory.mktemp("site")).init(settings=SETTINGS)
    now = datetime.now(UTC).replace(tzinfo=None) - timedelta(hours=2)
    pages = ("/", "/a", "/<script>alert(1)</script>", "/b")
    site.import_logs(
        site.log("a.log", *(line(n, page, start=now, status=200) for n, page in enumerate(pages)))
    )
    for name, purposes in (("ann", "content"), ("ben", "availability,performance")):
        assert site.avowal("user", "add", name, "--purposes", purposes).status == 0
        assert (
            site.avowal("user", "password", name, "--stdin", stdin=f"{PASSWORD} {name}\n".encode()).status
            == 0
        )
    with start_server(site) as running_server:
        yield running_server


def sign_in(server: RunningServer, name: str, password: str, headers: dict[str, str] | None = None) -> Answer:
    body = urlencode({"name": name, "password": password}).encode()
    return server.request("POST", "/sign-in", body, OWN if headers is None else headers)


def cookie(answer: Answer) -> str:
    return answer.headers["set-cookie"].partition(";")[0]


@pytest.mark.parametrize("accepted", ["", "de", "en;q=0.1", "pt-BR, *", "x;q=y,,", "\x00"])
def test_everyone_sees_the_policy(server: RunningServer, accepted: str) -> None:
    """Without signing in, the policy is shown in an available language and no cookie is set."""
    answer = server.request(
        "GET", "/", headers={"Accept-Language": accepted} if accepted.isprintable() else {}
    )
    page = answer.body.decode()
    assert (answer.status, answer.headers["content-language"]) == (200, "en")
    assert '<html lang="en"' in page
    assert "What is collected" in page
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "set-cookie" not in answer.headers


def test_a_reader_sees_the_reports_of_their_purposes(server: RunningServer) -> None:
    """A reader sees reports of their purposes only, with text of visitors escaped; each access is counted."""
    signed_in = sign_in(server, "ann", f"{PASSWORD} ann")
    assert (signed_in.status, signed_in.headers["location"]) == (303, "/reports")
    set_cookie = signed_in.headers["set-cookie"]
    assert re.search(r"HttpOnly; Max-Age=43200; Path=/; SameSite=strict", set_cookie)
    assert "Secure" not in set_cookie
    headers = {"Cookie": cookie(signed_in)}
    home = server.request("GET", "/reports", headers=headers)
    assert server.request("GET", "/", headers=headers).body == home.body
    stranger = server.request("GET", "/reports")
    assert (stranger.status, stranger.headers["location"]) == (303, "/sign-in")
    assert home.headers["cache-control"] == "private, no-store"
    page = home.body.decode()
    assert "Overview" in page
    assert "<dt>Views</dt><dd>4</dd>" in page
    pages = server.request("GET", "/?report=pages&since=7+days", headers=headers).body.decode()
    assert "&lt;script&gt;alert(1)" in pages
    assert "<script" not in pages
    assert server.request("GET", "/?report=availability", headers=headers).status == 403
    assert server.request("GET", "/?report=no-such-report", headers=headers).status == 403
    assert server.request("GET", "/?report=overview&since=nonsense", headers=headers).status == 400
    status = server.site.avowal("status", "--json").json()
    assert {"ann"} == {row["reader"] for row in status["daily_access_counts"] if row["purpose"] == "content"}


@pytest.mark.parametrize("query", ["sinse=7+days", "report=pages&Since=7+days", "lang=pt-BR", "=", "<b>=1"])
@pytest.mark.parametrize("path", ["/", "/reports"])
def test_a_parameter_that_reports_do_not_have_is_told_of(
    server: RunningServer, path: str, query: str
) -> None:
    """A misspelt period is not silently that of 30 days: the page says what is wrong and shows no report."""
    headers = {"Cookie": cookie(sign_in(server, "ann", f"{PASSWORD} ann"))}
    answer = server.request("GET", f"{path}?{query}", headers=headers)
    page = answer.body.decode()
    assert answer.status == 400
    assert "this address has no parameter" in page
    assert "its parameters are `report` and `since`" in page
    assert ("`sinse`" in page) == query.startswith("sinse")
    assert "<b>" not in page
    assert "<dt>Views" not in page


def test_the_session_cookie_is_secure_over_https(server: RunningServer) -> None:
    """Behind a proxy with HTTPS, the session cookie has the `Secure` attribute."""
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
def test_an_invalid_sign_in_is_refused(
    server: RunningServer, name: str, password: str, headers: dict[str, str], status: int
) -> None:
    """Wrong credentials and forms of other sites sign nobody in."""
    answer = sign_in(server, name, password, {**headers, "X-Forwarded-For": "203.0.113.20"})
    assert (answer.status, "set-cookie" in answer.headers) == (status, False)


def test_a_forged_session_cookie_is_ignored(server: RunningServer) -> None:
    """With a changed or invented cookie only the policy is shown."""
    headers = cookie(sign_in(server, "ben", f"{PASSWORD} ben"))
    for value in (
        "avowal-reader=ben",
        headers.replace("ben", "ann"),
        f"{headers}x",
        "avowal-reader=",
        "avowal-reader=\xe9",
    ):
        page = server.request("GET", "/", headers={"Cookie": value}).body.decode()
        assert "What is collected" in page


def from_address(address: str, **headers: str) -> dict[str, str]:
    return {**OWN, "X-Forwarded-For": address, **headers}


def use_up_attempts(server: RunningServer, name: str, address: str) -> list[Answer]:
    """Try wrong passwords until no more are permitted; a slow machine has more, as the budget grows with time."""
    answers = [sign_in(server, name, "0", from_address(address))]
    while answers[-1].status == 401 and len(answers) < 60:
        answers.append(sign_in(server, name, f"{len(answers)}", from_address(address)))
    assert answers[-1].status == 429
    return answers


def test_sign_in_attempts_are_limited(server: RunningServer) -> None:
    """Wrong passwords are limited by address, with the time to wait; a reader at another address is not locked out."""
    answers = use_up_attempts(server, "ben", "203.0.113.100")
    assert {answer.status for answer in answers[:10]} == {401}
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 3600
    assert sign_in(server, "ben", f"{PASSWORD} ben", from_address("203.0.113.101")).status == 303


def test_a_browser_in_which_a_reader_signed_in_is_not_locked_out(server: RunningServer) -> None:
    """Its cookie gives it attempts of its own at an address that has none left; a forged cookie does not."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        form = urlencode({"name": "ann", "password": f"{PASSWORD} ann"}).encode()
        connection.request("POST", "/sign-in", form, from_address("203.0.113.102"))
        cookies = connection.getresponse().headers.get_all("Set-Cookie") or []
    assert all("HttpOnly" in one and "SameSite=strict" in one for one in cookies)
    (browser,) = (one.partition(";")[0] for one in cookies if one.startswith("avowal-browser="))
    (session,) = (one.partition(";")[0] for one in cookies if one.startswith("avowal-reader="))
    for token, status in (
        (browser, 303),
        (browser[:-1], 429),
        (session.replace("avowal-reader", "avowal-browser"), 429),
    ):
        use_up_attempts(server, "ann", "203.0.113.103")
        answer = sign_in(server, "ann", f"{PASSWORD} ann", from_address("203.0.113.103", Cookie=token))
        assert answer.status == status
    use_up_attempts(server, "ben", "203.0.113.103")
    other_name = sign_in(server, "ben", f"{PASSWORD} ben", from_address("203.0.113.103", Cookie=browser))
    assert other_name.status == 429
    as_session = {"Cookie": browser.replace("avowal-browser", "avowal-reader")}
    assert b"Overview" not in server.request("GET", "/", headers=as_session).body


def test_a_removed_reader_is_signed_out(server: RunningServer) -> None:
    """A new password, a removal, or signing out ends the session at once."""
    site = server.site
    for change in (
        ("password", "carl", "--stdin"),
        ("remove", "carl"),
    ):
        assert site.avowal("user", "add", "carl", "--purposes", "content").status == 0
        assert (
            site.avowal("user", "password", "carl", "--stdin", stdin=f"{PASSWORD} carl".encode()).status == 0
        )
        headers = {"Cookie": cookie(sign_in(server, "carl", f"{PASSWORD} carl"))}
        assert "Overview" in server.request("GET", "/", headers=headers).body.decode()
        assert site.avowal("user", *change, stdin=f"{PASSWORD} else".encode()).status == 0
        assert "What is collected" in server.request("GET", "/", headers=headers).body.decode()
    assert "Max-Age=0" in server.request("POST", "/sign-out", headers=OWN).headers["set-cookie"]
    assert server.request("POST", "/sign-out", headers={"Sec-Fetch-Site": "cross-site"}).status == 403


@pytest.mark.parametrize("password", ["short", "", "x" * 300])
def test_a_password_has_a_minimum_and_maximum_length(server: RunningServer, password: str) -> None:
    """A password that is too short or too long is refused."""
    result = server.site.avowal("user", "password", "ann", "--stdin", stdin=password.encode())
    assert (result.status, result.code) == (2, "password-length")
    assert server.site.avowal("user", "password", "nobody", "--stdin", stdin=PASSWORD.encode()).status == 1
    for path in server.site.folder.rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes(), path


def test_a_reader_who_may_only_approve_sees_what_waits(server: RunningServer) -> None:
    """Whoever may disclose sees the waiting requests after signing in; a reader without any report is told so."""
    for name, options in (("bea", ("--disclose",)), ("cyd", ())):
        assert server.site.avowal("user", "add", name, "--purposes", "abuse", *options).status == 0
        password = f"{PASSWORD} {name}\n".encode()
        assert server.site.avowal("user", "password", name, "--stdin", stdin=password).status == 0
    pages = {}
    for name in ("bea", "cyd"):
        headers = {"Cookie": cookie(sign_in(server, name, f"{PASSWORD} {name}"))}
        answer = server.request("GET", "/reports", headers=headers)
        assert answer.status == 200
        pages[name] = answer.body.decode()
    assert "Releases that wait for approval" in pages["bea"]
    assert "ask the operator for access" in pages["cyd"]
    assert "Releases that wait" not in pages["cyd"]
