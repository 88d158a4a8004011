"""No request of a stranger, a visitor or a reader makes the server fail, whatever is in its path, query, headers or body."""

import re
import socket
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.depth import by_depth
from support.running_server import SETTINGS, SITE, RunningServer, start_server
from support.site import FIREFOX, Site

ROOT = Path(__file__).parents[2]
PASSWORD = "correct horse battery staple"  # noqa: S105  # of a reader that is made for tests
FORM = """
[[collect]]
categories = ["submission"]
keep = { full = "30 days" }
for = ["requested-service"]

[[form]]
name = "contact"
fields = { text = "message", cv = "uploaded-file" }
required = ["text"]
types = ["application/pdf"]
largest = "1 MB"
for = ["requested-service"]
"""
ADDRESS_NUMBERS = count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    site = Site(tmp_path_factory.mktemp("site")).init(settings=SETTINGS)
    terms = site.folder / "policy" / "terms.toml"
    terms.write_text(terms.read_text() + FORM)
    assert site.avowal("user", "add", "ann", "--purposes", "content", "--disclose").status == 0
    password = f"{PASSWORD}\n".encode()
    assert site.avowal("user", "password", "ann", "--stdin", stdin=password).status == 0
    with start_server(site) as running_server:
        yield running_server


@pytest.fixture(scope="module")
def session(server: RunningServer) -> str:
    """Return the session cookie of a reader."""
    body = urlencode({"name": "ann", "password": PASSWORD}).encode()
    answer = server.request("POST", "/sign-in", body, {"Sec-Fetch-Site": "same-origin"})
    return answer.headers["set-cookie"].partition(";")[0]


def send_raw(server: RunningServer, request: bytes) -> int:
    """Send a request as it is; returns the status, or 0 if the connection was closed without a response."""
    with socket.create_connection(("127.0.0.1", server.port), 30) as connection:
        try:
            connection.sendall(request)
            received = connection.recv(65_536)
        except ConnectionError:
            return 0
    match = re.match(rb"HTTP/1\.1 ([0-9]{3}) ", received)
    return int(match[1]) if match else 0


def build_request(
    method: bytes, target: bytes, headers: dict[bytes, bytes] | None = None, body: bytes = b""
) -> bytes:
    """Return a request from another network than those before, from a page of the same host."""
    number = next(ADDRESS_NUMBERS)
    all_headers = {
        b"Host": SITE.encode(),
        b"User-Agent": FIREFOX.encode(),
        b"X-Forwarded-For": f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::1".encode(),
        b"Sec-Fetch-Site": b"same-origin",
        b"Content-Length": str(len(body)).encode(),
        b"Connection": b"close",
        **(headers or {}),
    }
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in all_headers.items())
    return method + b" " + target + b" HTTP/1.1\r\n" + lines + b"\r\n" + body


ODD_TEXTS = [
    b"",
    b"0",
    b"-1",
    b"1" * 30,
    b"9" * 5_000,
    b"%00",
    b"%ff%fe",
    b"%F0%9F%98%80",
    b"%D9%A3",
    b"%C2%B2",
    b"a" * 2_000,
    b"..%2f..%2fetc%2fpasswd",
    b"%0d%0aSet-Cookie:%20a=b",
    b"'%22;--",
    b"1e400",
    b"nan",
    b"%ED%A0%80",
    b"1%2C2",
    b"tile%2F0%2Fx999",
    b"tile/0/" + b"x999/" * 1_500 + b"000",
    b"9999999999+days",
    b"99999999999999999999+weeks",
    b"0001-01-01",
    b"9999-12-31T23:59:59",
]
PATHS = [
    b"/privacy/versions/%s",
    b"/privacy/changes/%s..%s",
    b"/privacy/changes/1..%s",
    b"/privacy/ledger/%s",
    b"/privacy/ledger/tile/0/%s",
    b"/privacy/ledger/tile/%s/000",
    b"/privacy/ledger/tile/entries/%s",
    b"/privacy/me/receipts/%s",
    b"/privacy/me/consent/%s",
    b"/notice/%s",
    b"/cookie/%s",
    b"/submit/%s",
    b"/releases/%s",
    b"/releases/%s/approval",
    b"/feed/%s",
    b"/%s",
    b"/privacy/?lang=%s",
    b"/privacy/terms.json?version=%s",
    b"/privacy/history?lang=%s",
    b"/privacy/me?lang=%s",
    b"/feed/x?limit=%s",
    b"/feed/x?after=%s&limit=2",
    b"/?report=%s",
    b"/?report=pages&since=%s",
    b"/?since=%s",
    b"/pixel.gif?%s",
    b"/avowal.js?%s",
]
ODD_HEADERS = [
    (b"Host", b"["),
    (b"Host", b"a:b:c"),
    (b"Host", b"[::1"),
    (b"Host", b"x" * 5_000),
    (b"Host", b"\xff\xfe"),
    (b"Host", b"site.example:99999999999"),
    (b"Origin", b"http://["),
    (b"Origin", b"://"),
    (b"Origin", b"\xff"),
    (b"Cookie", b"__Host-avowal=" + b"\xff" * 22),
    (b"Cookie", b"avowal-reader=a.b.c; avowal-browser=.."),
    (b"Cookie", b'avowal-reader="\\\\"; ;;=;a'),
    (b"Cookie", b"avowal-reader=" + "é".encode() + b".x.y"),
    (b"Accept-Language", b"x;q=nan, y;q=inf, z;q=-inf, *;q=1e999"),
    (b"Accept-Language", b"en;q=" + b"9" * 5_000),
    (b"Accept-Language", b"\xff\xfe,,;;q==, -, --, en-, -en, a-b-c-d-e-f"),
    (b"Accept-Language", b"x-" * 3_000),
    (b"Accept-Language", b"i-klingon, und, zh-Hant-TW-x-private, root, en_US@posix"),
    (b"Authorization", b"Basic " + b"A" * 4_001),
    (b"Authorization", b"Basic gICA"),
    (b"Authorization", b"Basic AAAAAAAA"),
    (b"Authorization", b"Basic " + b"Og=="),
    (b"Authorization", b"Bearer \xff"),
    (b"Authorization", b"Bearer " + b"a" * 9_000),
    (b"Authorization", b" "),
    (b"If-None-Match", b"\xff"),
    (b"Content-Type", b"\xff"),
    (b"Content-Type", b"multipart/form-data; boundary="),
    (b"Content-Type", b"multipart/form-data; boundary=" + b"a" * 5_000),
    (b"Content-Type", b"multipart/form-data; boundary=\xff\xfe"),
    (b"Content-Type", b"multipart/form-data; boundary*=utf-8''%00"),
    (b"Content-Type", b'multipart/form-data; boundary="a\\"b'),
    (b"Content-Type", b"multipart/form-data; boundary=a; boundary=b"),
    (b"Content-Type", b"application/x-www-form-urlencoded; charset=utf-7"),
    (b"User-Agent", b"\xff\x80" * 2_000),
    (b"User-Agent", b""),
    (b"Referer", b"http://["),
    (b"Referer", b"\xff"),
    (b"Expect", b"100-continue"),
    (b"Upgrade", b"websocket\r\nConnection: Upgrade"),
    (b"Upgrade", b"h2c\r\nConnection: Upgrade"),
    (b"Range", b"bytes=9-1"),
    (b"Content-Length", b"18446744073709551616"),
    (b"Transfer-Encoding", b"gzip"),
]
ODD_BODIES = [
    b"",
    b"\x00",
    b"\xff" * 100,
    b"[" * 5_000,
    b'{"a":' * 3_000,
    b"[" * 15_000 + b"]" * 1_000,
    b'{"script_view_token":"abcdefghij","url":"http://[","elapsed_ms":1e400}',
    b'{"script_view_token":"abcdefghij","url":"https://site.example/\\ud800","details":{"a":' + b"[" * 2_000,
    b'{"script_view_token":"abcdefghij","url":"https://site.example/\\ud800\\u0000"}',
    b'{"elapsed_ms":' + b"9" * 10_000 + b"}",
    b"script_views=" + b"a" * 11 + b"&script_views=b" * 500,
    b"name=%ff%00&password=%ED%A0%80",
    b"name=ann&password=" + b"a" * 3_900,
    b"&" * 4_000,
    b"=;&%",
    b"text=%ED%A0%80&text=%00",
    b'--a\r\nContent-Disposition: form-data; name="text"\r\n\r\n\xff\xed\xa0\x80\r\n--a--\r\n',
    b'--a\r\nContent-Disposition: form-data; name="cv"; filename="\x00\xff"\r\nContent-Type: application/pdf\r\n\r\n%PDF\r\n--a--\r\n',
    b"--a\r\nContent-Disposition: form-data; name*=utf-8''%ff\r\n\r\nx\r\n--a--\r\n",
    b"--a\r\n" + b"X: y\r\n" * 500 + b"\r\nx\r\n--a--\r\n",
    b"--a\r\nX: " + b"y" * 20_000 + b"\r\n\r\nx\r\n--a--\r\n",
    b"--a\r\n\r\n\r\n" * 3_000,
    b'{"ground":' + b"[" * 3_000,
    b'{"ground":"required-by-law","recipient":"\\ud800","categories":["page-path"],"subject":"\\u0000","since":"9999-99-99"}',
    b'{"ground":"fraud-or-misuse","recipient":"a@b","categories":["ip-address"],"row_filter":"' + b"(" * 900 + b'"}',
    b'{"ground":"fraud-or-misuse","recipient":"a@b","categories":["ip-address"],"row_filter":"requests WHERE '
    + b"not " * 900 + b'1","evidence_reference":"x"}',
    b'{"ground":"fraud-or-misuse","recipient":"a@b","categories":["ip-address"],"expires_days":' + b"9" * 30 + b"}",
    b'{"ground":"fraud-or-misuse","recipient":"a@b","categories":["ip-address"],"expires_days":999999999999}',
    b'{"ground":"authorised","recipient":"a@b","categories":["ip-address"],"subject":"0000000000000000","sealed_until":"9999-12-31"}',
    b'{"ground":"authorised","recipient":"a@b","categories":["ip-address"],"subject":"192.0.2.1","since":"0001-01-01","until":"9999-12-31"}',
]  # fmt: skip
POSTS = [
    b"/collect",
    b"/submit/contact",
    b"/sign-in",
    b"/sign-out",
    b"/privacy/me/tab",
    b"/privacy/me/tab/export",
    b"/privacy/me/tab/erasure",
    b"/privacy/me/erasure",
    b"/notice/1",
    b"/cookie/refuse",
    b"/releases",
    b"/releases/x/approval",
    b"/releases/x/package",
]
GETS = [
    b"/",
    b"/privacy/",
    b"/privacy",
    b"/privacy/me",
    b"/privacy/me/export",
    b"/privacy/feed.atom",
    b"/privacy/notice",
    b"/disclosures",
    b"/sign-in",
    b"/nothing",
    b"/privacy/history/",
    b"/avowal.js",
    b"/pixel.gif",
    b"/feed/guard",
    b"/releases/x",
    b"/metrics",
]
CREDENTIALS = b"Basic YW5uOmNvcnJlY3QgaG9yc2UgYmF0dGVyeSBzdGFwbGU="


def assert_no_failure(server: RunningServer, requests: list[bytes]) -> None:
    """Assert that each request is answered with another status than 500, and that none adds an error to the log."""
    before = len(server.command.read_output())
    failed = [request[:200] for request in requests if send_raw(server, request) == 500]
    errors = [
        line for line in server.command.read_output()[before:].splitlines() if '"level": "error"' in line
    ]
    assert not failed, (len(failed), failed[:10], errors[:3])
    assert not errors, errors[:3]


@pytest.mark.parametrize("path", PATHS)
def test_any_text_in_a_path_or_query_is_answered(server: RunningServer, session: str, path: bytes) -> None:
    """Odd texts in each place of a path or query, of a stranger, of a reader and with their password."""
    targets = [path.replace(b"%s", text) for text in ODD_TEXTS]
    for headers in (
        {},
        {b"Cookie": session.encode(), b"Accept": b"text/html"},
        {b"Authorization": CREDENTIALS},
    ):
        methods = (b"GET", b"POST") if b"?" not in path else (b"GET",)
        if b"Authorization" in headers and not path.startswith((b"/releases", b"/feed")):
            continue
        assert_no_failure(
            server,
            [
                build_request(
                    method,
                    target,
                    {**headers, b"Content-Type": b"application/json"},
                    b"{}" * (method == b"POST"),
                )
                for target in targets
                for method in methods
            ],
        )


@pytest.mark.parametrize(
    "method_and_path", [*((b"GET", path) for path in GETS), *((b"POST", path) for path in POSTS)]
)
def test_any_header_is_answered(server: RunningServer, method_and_path: tuple[bytes, bytes]) -> None:
    """Odd values of each header that is read."""
    method, path = method_and_path
    body = b"--a\r\n\r\nx\r\n--a--\r\n" if method == b"POST" else b""
    requests = [
        build_request(method, path, {name: value, **more}, body)
        for name, value in ODD_HEADERS
        for more in ({}, {b"Accept": b"text/html"})
    ]
    assert_no_failure(server, requests)


BODY_READERS = [path for path in POSTS if path not in {b"/releases/x/approval", b"/releases/x/package"}]


@pytest.mark.parametrize("path", BODY_READERS)
@pytest.mark.parametrize(
    "content_type",
    [b"application/json", b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=a"],
)
def test_any_body_is_answered(server: RunningServer, path: bytes, content_type: bytes) -> None:
    """Odd bodies to each address that reads one, of strangers and of a reader who may disclose."""
    headers = {b"Content-Type": content_type}
    if path.startswith(b"/releases"):
        headers[b"Authorization"] = CREDENTIALS
    assert_no_failure(server, [build_request(b"POST", path, headers, body) for body in ODD_BODIES])


HEADER_VALUES = st.binary(max_size=60).filter(lambda value: not set(value) & {0, 10, 13})


@given(
    path=st.one_of(st.sampled_from(GETS), st.sampled_from(PATHS)),
    text=st.binary(max_size=30),
    name=st.sampled_from(sorted({name for name, _ in ODD_HEADERS[:37]})),
    value=HEADER_VALUES,
)
@settings(
    max_examples=by_depth(standard=100, thorough=3_000),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_bytes_are_answered(
    server: RunningServer, path: bytes, text: bytes, name: bytes, value: bytes
) -> None:
    """Any bytes in a path, and in a header, are answered."""
    target = path.replace(b"%s", quote(text).encode())
    assert_no_failure(server, [build_request(b"GET", target, {name: value})])
