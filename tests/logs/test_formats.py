import gzip
import re
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avowal.errors import FormatDetectionError, LogFormatError
from avowal.logs.drop_reason import DropReason
from avowal.logs.fields import REQUEST_SCHEMA
from avowal.logs.formats import FORMATS, SAMPLE_LINES_MAX, ParseResult, create_parser, detect_format
from support.depth import by_depth
from support.errors import raises_code
from support.planted_queries import check_queries_are_not_stored, plant_queries
from support.site import Site

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
NOON = datetime(2026, 1, 2, 12, 0, 5)  # noqa: DTZ001

CLF = '192.0.2.1 - - [02/Jan/2026:12:00:05 +0000] "GET /a?b=1 HTTP/1.1" 200 12'
COMBINED = f'{CLF} "https://example.com/" "Mozilla/5.0 (X11)"'
ALB = (
    "h2 2026-01-02T12:00:05.678901Z app/site/50dc6c495c0c9188 192.0.2.1:2817 10.0.0.1:80 0.001 0.020 0.003 200 200"
    ' 34 12 "GET https://example.org:443/a?b=1 HTTP/2.0" "Mozilla/5.0 (X11)" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2'
    ' arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/x/73e2d6bc24d8a067 "Root=1-58337262-36d2"'
    ' "example.org" "arn:aws:acm:us-east-2:123456789012:certificate/1" 0 2026-01-02T12:00:05.650000Z "forward"'
    ' "-" "-" "10.0.0.1:80" "200" "-" "-"'
)
ELB = "2026-01-02T12:00:05.678901Z site 192.0.2.1:2817 10.0.0.1:80 0.000073 0.001048 0.000057 200 200 0 12"
S3 = (
    "79a59df900b949e55d96a1e698fbaced site [02/Jan/2026:12:00:05 +0000] 192.0.2.1 - 3E57427F3 REST.GET.OBJECT a"
    ' "GET /a?b=1 HTTP/1.1" 200 - 12 12 7 6 "https://example.com/" "Mozilla/5.0 (X11)" -'
)
HAPROXY = "192.0.2.1:53332 [02/Jan/2026:12:00:05.678] web~ app/a1 0/0/1/20/21 200 12 - - ---- 3/2/0/0/0 0/0"
CADDY = (
    '{"level":"info","ts":1767355205.678,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":'
    '"192.0.2.1","remote_port":"5","client_ip":"192.0.2.1","proto":"HTTP/2.0","method":"GET","host":"example.org",'
    '"uri":"/a?b=1","headers":{"User-Agent":["Mozilla/5.0 (X11)"],"Referer":["https://example.com/"]}},'
    '"bytes_read":0,"user_id":"","duration":0.0015,"size":12,"status":200,"resp_headers":{"Server":["Caddy"]}}'
)
TRAEFIK_JSON = (
    '{"ClientAddr":"192.0.2.1:39496","ClientHost":"192.0.2.1","DownstreamContentSize":12,"DownstreamStatus":200,'
    '"Duration":1500000,"OriginStatus":200,"RequestHost":"example.org","RequestMethod":"GET","RequestPath":"/a?b=1",'
    '"StartLocal":"2026-01-02T13:00:05.678901234+01:00","StartUTC":"2026-01-02T12:00:05.678901234Z","level":"info",'
    '"request_Referer":"https://example.com/","request_User-Agent":"Mozilla/5.0 (X11)","time":"2026-01-02T12:00:05Z"}'
)
NGINX_JSON = (
    '{"time_iso8601":"2026-01-02T13:00:05+01:00","remote_addr":"192.0.2.1","request":"GET /a?b=1 HTTP/1.1",'
    '"status":"200","body_bytes_sent":12,"request_time":0.0015,"http_referer":"https://example.com/",'
    '"http_user_agent":"Mozilla/5.0 (X11)","host":"example.org"}'
)
ECS = (
    '{"@timestamp":"2026-01-02T12:00:05.678Z","source":{"ip":"192.0.2.1"},"http":{"request":{"method":"GET",'
    '"referrer":"https://example.com/"},"response":{"status_code":200,"body":{"bytes":12}}},"url":{"path":"/a",'
    '"query":"b=1","domain":"example.org"},"user_agent":{"original":"Mozilla/5.0 (X11)"},"event":{"duration":1500000}}'
)
IIS = (
    "#Software: Microsoft Internet Information Services 10.0\n"
    "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port c-ip cs(User-Agent) cs(Referer) cs-host"
    " sc-status sc-substatus sc-win32-status sc-bytes time-taken\n"
    "2026-01-02 12:00:05 10.0.0.1 GET /a b=1 80 192.0.2.1 Mozilla/5.0+(X11) https://example.com/ example.org"
    " 200 0 0 12 2"
)
CLOUDFRONT = (
    "#Version: 1.0\n"
    "#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer)"
    " cs(User-Agent) cs-uri-query x-host-header time-taken\n"
    "2026-01-02\t12:00:05\tFRA2\t12\t192.0.2.1\tGET\td111.cloudfront.net\t/a\t200\thttps://example.com/\t"
    "Mozilla/5.0%2520(X11)\tb=1\texample.org\t0.002"
)

INGRESS = (
    f"{COMBINED} 563 0.102 [default-web-80] [] 10.0.0.1:80, 10.0.0.2:80 0, 12 0.001, 0.101 502, 200 0a1b2c3d"
)
PROXY_MANAGER = (
    '[02/Jan/2026:13:00:05 +0100] HIT 200 200 - GET https example.org "/a?b=1" [Client 192.0.2.1] [Length 12]'
    ' [Gzip 2.11] [Sent-to web] "Mozilla/5.0 (X11)" "https://example.com/"'
)
ENVOY = (
    '[2026-01-02T12:00:05.678Z] "GET /a?b=1 HTTP/2" 200 - 0 12 14 9 "192.0.2.1,10.0.0.1" "Mozilla/5.0 (X11)" "dd33e3aa"'
    ' "example.org" "10.0.0.2:8000"'
)
ISTIO = (
    ENVOY.replace("200 - 0", '200 - via_upstream - "-" 0')
    + " outbound|80||web.svc 10.0.0.3:5 10.0.0.4:80 198.51.100.9:4711 - default"
)
BUNNY = "HIT|200|1767355205678|12|390|192.0.2.1|https://example.com/|https://example.org/a?b=1|WA|Mozilla/5.0 (X11)|3226|DE"
HAPROXY_CLF = f'{CLF} "" "" 35204 505 "f2" "f2" "<NOSRV>" 0 -1 -1 -1 0 LR-- 1 1 0 0 0 0 0 "" "" '

REQUEST = {
    "time": NOON,
    "address": "192.0.2.1",
    "method": "GET",
    "path": "/a",
    "query": "b=1",
    "status": 200,
    "bytes": 12,
}
AGENT = {"user_agent": "Mozilla/5.0 (X11)"}
REFERRED = REQUEST | AGENT | {"referrer": "https://example.com/"}
HOST = {"host": "example.org"}
PRECISE = {"time": NOON.replace(microsecond=678901)}
MILLI = {"time": NOON.replace(microsecond=678000)}

EXAMPLES: list[tuple[str, str, dict[str, Any]]] = [
    ("common", CLF, REQUEST),
    ("common", CLF.replace("- -", "- frank"), REQUEST),
    ("common", CLF.replace("- -", '- ""'), REQUEST),
    ("common", CLF.replace("12:00:05 +0000", "12:00:05.678 +0000"), REQUEST | MILLI),
    ("common", CLF.replace("12:00:05 +0000", "15:30:05 +0330"), REQUEST),
    ("common", f"example.org:443 {CLF}", REQUEST | HOST),
    ("common", f'{CLF} 4.386 "x y"', REQUEST),
    ("common", CLF.replace(" 12", " -"), REQUEST | {"bytes": None}),
    ("combined", COMBINED, REFERRED),
    ("combined", f'{COMBINED} "203.0.113.9, 10.0.0.1" 0.5', REFERRED),
    ("combined", f"www.example.org {COMBINED}", REFERRED | {"host": "www.example.org"}),
    ("combined", f"203.0.113.5:443 {COMBINED}", REFERRED),
    (
        "combined",
        f"example.org:443 {COMBINED}".replace("192.0.2.1", "192.0.2.xxx"),
        REFERRED | HOST | {"address": None},
    ),
    ("combined", f'{CLF} "-" "-"', REQUEST | {"user_agent": ""}),
    ("combined", f'{CLF} "-" ""', REQUEST | {"user_agent": ""}),
    (
        "combined",
        COMBINED.replace("(X11)", r"\"\xC3\xA9\" \x0A"),
        REFERRED | {"user_agent": 'Mozilla/5.0 "é" \\x0A'},
    ),
    ("combined", COMBINED.replace("192.0.2.1", "client.example.org"), REFERRED | {"address": None}),
    ("combined", COMBINED.replace("192.0.2.1", "192.0.2.xxx"), REFERRED | {"address": None}),
    ("combined", COMBINED.replace("192.0.2.1", "-"), REFERRED | {"address": None}),
    ("combined", COMBINED.replace("192.0.2.1", "2001:DB8::1"), REFERRED | {"address": "2001:db8::1"}),
    ("combined", COMBINED.replace("- -", "www.example.org -"), REFERRED | {"host": "www.example.org"}),
    ("combined", COMBINED.replace("- -", "jane -"), REFERRED),
    ("combined", COMBINED.replace("192.0.2.1 -", "192.0.2.1, 198.51.100.7, 10.0.0.1 -"), REFERRED),
    ("combined", f"example.org {COMBINED}".replace("192.0.2.1 -", "192.0.2.1, 10.0.0.1 -"), REFERRED | HOST),
    ("combined", COMBINED.replace("02/Jan/2026:12:00:05 +0000", "2026-01-02T13:00:05+01:00"), REFERRED),
    ("combined", COMBINED.replace(" +0000", " +00:00"), REFERRED),
    ("combined", COMBINED.replace(" +0000", ""), REFERRED),
    ("combined", COMBINED.replace(" - - ", " -  -  "), REFERRED),
    ("combined", COMBINED.replace(" - - ", "\t-\t-\t").replace('" "', '"\t"'), REFERRED),
    ("combined", f"example.org {COMBINED}".replace("] ", "] (0 s) "), REFERRED | HOST),
    ("combined", f'{COMBINED} sn="example.org" rt=0.001 ua="10.0.0.1:80" [x] - "a b" {{y}}', REFERRED),
    ("common", CLF.replace(" - - ", " -  -  "), REQUEST),
    (
        "common",
        CLF.replace(" ", "\t").replace("GET\t/a?b=1\t", "GET /a?b=1 ").replace(":05\t", ":05 "),
        REQUEST,
    ),
    ("common", HAPROXY_CLF, REQUEST),
    ("ingress-nginx", INGRESS, REFERRED | {"response_time_us": 102_000}),
    (
        "ingress-nginx",
        INGRESS.replace("192.0.2.1 - -", "192.0.2.1 - [192.0.2.1] - -").replace(" []", ""),
        REFERRED | {"response_time_us": 102_000},
    ),
    ("nginx-proxy-manager", PROXY_MANAGER, REFERRED | HOST),
    (
        "nginx-proxy-manager",
        PROXY_MANAGER.replace("HIT 200 ", "").replace(" [Sent-to web]", ""),
        REFERRED | HOST,
    ),
    ("envoy", ENVOY, REQUEST | AGENT | HOST | MILLI | {"response_time_us": 14_000}),
    ("envoy", ISTIO, REQUEST | AGENT | HOST | MILLI | {"response_time_us": 14_000}),
    (
        "envoy",
        ISTIO.replace('"192.0.2.1,10.0.0.1"', '"-"')
        .replace("198.51.100.9", "192.0.2.1")
        .replace(" 200 ", " 0 "),
        REQUEST | AGENT | HOST | MILLI | {"response_time_us": 14_000, "status": None},
    ),
    ("bunny", BUNNY, REFERRED | HOST | MILLI),
    (
        "traefik",
        f'{COMBINED} 7 "web@docker" "http://10.0.0.2:80" 15ms',
        REFERRED | {"response_time_us": 15_000},
    ),
    ("traefik", f'{CLF} "-" "-" 7 "web@docker" "-" 9ms', REQUEST | {"response_time_us": 9_000}),
    ("traefik", f'{COMBINED} 7 "-" "-" 0ms', REFERRED | {"response_time_us": 0}),
    ("traefik-json", TRAEFIK_JSON, REFERRED | HOST | PRECISE | {"response_time_us": 1500}),
    ("caddy-json", CADDY, REFERRED | HOST | MILLI | {"response_time_us": 1500}),
    ("nginx-json", NGINX_JSON, REFERRED | HOST | {"response_time_us": 1500}),
    ("nginx-json", ECS, REFERRED | HOST | MILLI | {"response_time_us": 1500}),
    ("w3c", IIS, REFERRED | HOST | {"response_time_us": 2000}),
    ("cloudfront", CLOUDFRONT, REFERRED | HOST | {"response_time_us": 2000}),
    ("alb", ALB, REQUEST | AGENT | HOST | PRECISE | {"response_time_us": 24_000}),
    ("alb", ALB.replace("0.001 0.020 0.003", "-1 -1 -1"), REQUEST | AGENT | HOST | PRECISE),
    (
        "elb",
        f'{ELB} "GET http://example.org:80/a?b=1 HTTP/1.1" "Mozilla/5.0 (X11)" - -',
        REQUEST | AGENT | HOST | PRECISE | {"response_time_us": 1178},
    ),
    (
        "elb",
        f'{ELB} "GET http://example.org:80/a?b=1 HTTP/1.1"',
        REQUEST | HOST | PRECISE | {"response_time_us": 1178},
    ),
    ("s3", S3, REFERRED | {"response_time_us": 7000}),
    (
        "s3",
        S3.replace("REST.GET.OBJECT a", "REST.GET.LOCATION -"),
        REFERRED | {"response_time_us": 7000, "content_type": "application/xml"},
    ),
    (
        "s3",
        f"{S3} id= SigV4 ECDHE AuthHeader example.org TLSV1.2 - -",
        REFERRED | HOST | {"response_time_us": 7000},
    ),
    ("haproxy", f'{HAPROXY} "GET /a?b=1 HTTP/1.1"', REQUEST | MILLI | {"response_time_us": 21_000}),
    (
        "haproxy",
        f'{HAPROXY} {{Example.org|Mozilla/5.0 (X11)|https://example.com/|198.51.100.7}} {{nginx/1.2}} "GET /a?b=1 HTTP/1.1"',
        REFERRED | HOST | MILLI | {"response_time_us": 21_000},
    ),
    (
        "haproxy",
        HAPROXY.replace("192.0.2.1", "2001:db8::1").replace("200 12", "-1 +12")
        + ' "GET /caf#C3#A9?b=1 HTTP/1.1"',
        REQUEST
        | MILLI
        | {"address": "2001:db8::1", "status": None, "path": "/caf%C3%A9", "response_time_us": 21_000},
    ),
    (
        "haproxy",
        f'{HAPROXY} "<BADREQ>"',
        REQUEST | MILLI | {"method": None, "path": None, "query": None, "response_time_us": 21_000},
    ),
]


def parse_lines(format: str, *lines: str) -> ParseResult:  # noqa: A002
    return create_parser(format).parse(pl.Series(lines, dtype=pl.String))


def requests(result: ParseResult) -> list[dict[str, Any]]:
    return result.requests.drop("line").to_dicts()


def reasons(result: ParseResult) -> dict[str, int]:
    return dict(result.drops["reason"].value_counts().iter_rows())


@pytest.mark.parametrize(("format", "text", "expected"), EXAMPLES)
def test_a_line_of_each_format_is_parsed(format: str, text: str, expected: dict[str, Any]) -> None:  # noqa: A002
    """Each column has the value in the line, and is null if there is none."""
    result = parse_lines(format, *text.split("\n"))
    assert result.requests.schema == REQUEST_SCHEMA
    (request,) = requests(result)
    assert request == dict.fromkeys(request) | expected


@pytest.mark.parametrize("path", ["/a;jsessionid=s3cr3t", "/(S(s3cr3t))/a", "/a%3Bjsessionid%3Ds3cr3t"])
@pytest.mark.parametrize(("format", "text", "expected"), EXAMPLES)
def test_session_identifiers_are_removed(
    format: str,  # noqa: A002
    text: str,
    expected: dict[str, Any],
    path: str,
) -> None:
    """No format lets a session identifier through in path, query or referrer."""
    path = path.replace("%", "#") if format == "haproxy" else path
    text = re.sub(r'/a(?=[?\s"])', path, text).replace("b=1", "PHPSESSID=s3cr3t&b=1")
    text = text.replace("https://example.com/", "https://example.com/;jsessionid=s3cr3t?sid=s3cr3t")
    (request,) = requests(parse_lines(format, *text.split("\n")))
    assert request == dict.fromkeys(request) | expected


@pytest.mark.parametrize(("format", "text", "expected"), EXAMPLES)
def test_a_format_is_detected(format: str, text: str, expected: dict[str, Any]) -> None:  # noqa: A002
    """One line is enough to detect its format, and the most specific format that parses it is chosen."""
    assert expected
    detection = detect_format(text.split("\n"))
    assert (detection.parser.name, detection.confidence, detection.matched_lines) == (format, 1.0, 1)


@pytest.mark.parametrize("format", ["elb", "alb", "w3c", "cloudfront", "s3"])
def test_a_line_that_begins_with_a_time_is_no_wrapper(format: str) -> None:  # noqa: A002
    """Lines of formats that begin with a time are not taken for syslog or a container's."""
    text = next(text for name, text, _ in EXAMPLES if name == format)
    assert len(parse_lines(format, *text.split("\n")).requests) == 1


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", DropReason.BLANK),
        (" \t", DropReason.BLANK),
        ("#Fields: date time", DropReason.DIRECTIVE),
        ("Jan  3 09:47:02 web1 sudo: frank : TTY=pts/6 ; COMMAND=/usr/bin/tail", DropReason.NOT_A_REQUEST),
        ("Jan  3 09:47:02 --- last message repeated 2 times ---", DropReason.NOT_A_REQUEST),
        ("Jan  3 09:47:02 lb haproxy[1]: Proxy web started.", DropReason.NOT_A_REQUEST),
        ("192.0.2.1:5003 [02/Jan/2026:12:00:05.123] web/a: SSL handshake failure", DropReason.NOT_A_REQUEST),
        (
            "192.0.2.1:5003 [02/Jan/2026:12:00:05.1] web app/a 0/0/5007 212 -- 0/0/0/0/3 0/0",
            DropReason.NOT_A_REQUEST,
        ),
        ("2026/01/02 12:00:05 [error] 1#1: *17 open() failed, client: 192.0.2.1", DropReason.NOT_A_REQUEST),
        ("[Fri Jan 02 12:00:05.123 2026] [core:error] [pid 1] AH00037", DropReason.NOT_A_REQUEST),
        (CLF.replace("02/Jan", "31/Feb"), DropReason.INVALID_TIME),
        (CLF.replace("12:00:05", "25:61:05"), DropReason.INVALID_TIME),
        (CLF.replace("2026", "0026"), DropReason.INVALID_TIME),
        ("Jan  3 09:47:02 web1 nginx: " + CLF[:60], DropReason.MALFORMED),
        ('192.0.2.1 - - "GET /a HTTP/1.1" 200 65508', DropReason.MALFORMED),
        ("rubbish", DropReason.MALFORMED),
    ],
)
def test_a_line_that_is_not_a_request_has_a_reason(line: str, reason: DropReason) -> None:
    """Each line that is not parsed has a reason."""
    assert reasons(parse_lines("common", line)) == {reason.value: 1}


@pytest.mark.parametrize(
    ("format", "line", "reason"),
    [
        ("s3", S3.replace("REST.GET.OBJECT", "S3.EXPIRE.OBJECT"), DropReason.NOT_A_REQUEST),
        ("haproxy", f'{HAPROXY} "GET /cut', DropReason.MALFORMED),
        ("alb", ALB[:400], DropReason.MALFORMED),
        ("alb", ALB[:200] + ALB, DropReason.MERGED),
        ("elb", ELB[:60] + ELB, DropReason.MERGED),
        (
            "caddy-json",
            '{"level":"info","ts":1767355205.6,"logger":"tls","msg":"storage cleaned"}',
            DropReason.NOT_A_REQUEST,
        ),
        ("caddy-json", CADDY[:-1], DropReason.MALFORMED),
        ("caddy-json", CADDY + CADDY, DropReason.MERGED),
        ("caddy-json", CADDY.replace("1767355205.678", '"now"'), DropReason.INVALID_TIME),
        ("traefik-json", "DEBUG: 2026/01/02 12:00:05 updated", DropReason.MALFORMED),
        ("traefik", COMBINED, DropReason.MALFORMED),
    ],
)
def test_lines_that_are_not_requests_have_a_reason(format: str, line: str, reason: DropReason) -> None:  # noqa: A002
    """Complete lines that are not requests, cut lines and merged records have different reasons."""
    assert reasons(parse_lines(format, line)) == {reason.value: 1}


def test_carriage_returns_and_byte_order_marks_are_ignored() -> None:
    """A file written on Windows is parsed like any other."""
    assert requests(parse_lines("combined", f"\ufeff{COMBINED}\r")) == requests(
        parse_lines("combined", COMBINED)
    )
    assert requests(parse_lines("w3c", *("\ufeff" + IIS.replace("\n", "\r\n")).split("\n"))) == requests(
        parse_lines("w3c", *IIS.split("\n"))
    )


TEXTS = st.one_of(
    st.text(max_size=60),
    st.sampled_from([line for _, text, _ in EXAMPLES for line in text.split("\n")]),
    st.builds(
        lambda line, start, end, more: line[:start] + more + line[end:],
        st.sampled_from([line for _, text, _ in EXAMPLES for line in text.split("\n")]),
        st.integers(0, 300),
        st.integers(0, 300),
        st.text(alphabet=st.sampled_from('"\\[]{}<>:/ \t\n#-1aé'), max_size=5),
    ),
)
PASTED = ("%{User-Agent}i|%r|%{%s}t", "$host $request $msec", '{"t":"$msec","r":"$request"}')


@settings(max_examples=by_depth(standard=60, thorough=600))
@given(lines=st.lists(TEXTS, max_size=8), name=st.sampled_from([*FORMATS, *PASTED]))
def test_every_line_is_a_request_or_has_a_reason(lines: list[str], name: str) -> None:
    """Whatever the lines are, each is a request or has a reason, and nothing is raised."""
    result = parse_lines(name, *lines)
    assert sorted([*result.requests["line"], *result.drops["line"]]) == list(range(len(lines)))
    assert set(result.drops["reason"]) <= {reason.value for reason in DropReason}
    assert result.requests.schema == REQUEST_SCHEMA
    assert result.drops.schema == {"line": pl.UInt32, "reason": pl.String}
    for request in requests(result):
        assert isinstance(request["time"], datetime)
        assert not re.search(
            r'[\s"\\]', f"{request['path']}{request['query']}{request['host']}{request['method']}"
        )


@pytest.mark.parametrize("name", ["combined", "w3c"])
def test_parsing_continues_from_an_exported_state(name: str) -> None:
    """A parser restored from another one parses what that one would; the state contains nothing of a line."""
    lines = (IIS if name == "w3c" else COMBINED).split("\n")
    first, second = create_parser(name), create_parser(name)
    first.parse(pl.Series(lines))
    second.restore_state(first.export_state())
    assert requests(second.parse(pl.Series(lines[-1:]))) == requests(parse_lines(name, *lines))
    assert not {"192.0.2.1", "/a", "example", "Mozilla"} & set(re.split(r"\W ", first.export_state()))


OTHERS = {
    "192.0.2.1": "198.51.100.2",
    "/a?b=1": "/other?z=9",
    "/a b=1": "/other z=9",
    "\t/a\t": "\t/other\t",
    "\tb=1\t": "\tz=9\t",
    '"/a"': '"/other"',
    '"b=1"': '"z=9"',
    "Mozilla": "Other",
    "X11": "Y",
    "https://example.com/": "https://other.example/",
    "OBJECT a": "OBJECT other",
}
LISTED = [(name, text) for name, text, _ in EXAMPLES if "192.0.2.1, " in text and "[default" not in text]
"""Lines that begin with a list of addresses."""
TWO = [(name, text) for name, text, _ in EXAMPLES if "192.0.2.1" in text and (name, text) not in LISTED]
QUOTED_LINE = '192.0.2.1 [02/Jan/2026:12:00:05 +0000] "GET /a?b=1 HTTP/1.1" "Mozilla/5.0 (X11)" 0.5'
BARE_LINE = "192.0.2.1|2026-01-02T12:00:05Z|GET /a?b=1 HTTP/1.1|200|Mozilla/5.0 (X11)"
TWO += [
    ('%h %t "%r" "%{User-Agent}i" %T', QUOTED_LINE),
    ("$remote_addr|$time_iso8601|$request|$status|$http_user_agent", BARE_LINE),
    ("%h %{sec}t %U%q %{User-Agent}i", "192.0.2.1 1767355205 /a?b=1 Mozilla/5.0 (X11)"),
    (
        '{"a":"$remote_addr","t":$msec,"r":"$request"}',
        '{"a":"192.0.2.1","t":1767355205.6,"r":"GET /a?b=1 HTTP/1.1"}',
    ),
]


@pytest.mark.parametrize(("format", "text"), TWO)
def test_no_value_combines_two_lines(format: str, text: str) -> None:  # noqa: A002
    """Wherever a line is cut and followed by the next one, each value is that of the next one, or null."""
    *head, first = text.split("\n")
    second = first
    for first_value, second_value in OTHERS.items():
        second = second.replace(first_value, second_value)
    (expected,) = requests(parse_lines(format, *head, second))
    for request in requests(
        parse_lines(format, *head, *(first[:end] + second for end in range(1, len(first) + 1)))
    ):
        for column in ("address", "method", "path", "query", "referrer", "user_agent"):
            assert request[column] in {expected[column], None}


@pytest.mark.parametrize(("format", "text"), LISTED)
def test_an_address_of_a_cut_list_is_not_used(format: str, text: str) -> None:  # noqa: A002
    """Where a list of addresses was cut inside an address and is followed by another line, no address is read."""
    for end in range(text.index("192.0.2.1") + 10, text.index(" - ")):
        if not text[end - 1 : end + 1].strip(", ") or text[end - 1] in ", ":
            continue  # two lists make one
        for request in requests(
            parse_lines(format, text[:end] + COMBINED.replace("192.0.2.1", "198.51.100.2"))
        ):
            assert request["address"] in {None, "198.51.100.2"}


def test_an_unknown_format_name_is_refused() -> None:
    """The hint of a misspelt name has the nearest valid one."""
    with raises_code("unknown-log-format") as error_info:
        create_parser("combind")
    assert "`combind`" in error_info.value.message
    assert "`combined`" in error_info.value.hint
    with pytest.raises(LogFormatError) as error_info:
        create_parser("qqq")
    assert "haproxy" in error_info.value.hint


def test_a_damaged_log_is_detected() -> None:
    """The format of a log is detected if a third of it is damaged, with less confidence."""
    detection = detect_format(
        [COMBINED, "", COMBINED[:50], COMBINED, COMBINED.rsplit('"', 1)[0], COMBINED] * 3
    )
    assert (detection.parser.name, detection.matched_lines, detection.sampled_lines) == ("combined", 9, 15)
    assert detection.confidence == pytest.approx(0.6)


@pytest.mark.parametrize("plain_lines", [1, 3, 10, 19])
def test_each_field_is_taken_wherever_a_line_has_it(plain_lines: int) -> None:
    """In a log with lines of both, the user agents of combined lines are read, and common lines are requests."""
    lines = [COMBINED] * (20 - plain_lines) + [CLF] * plain_lines
    for name in (detect_format(lines).parser.name, "combined", "common"):
        result = parse_lines(name, *lines)
        assert (len(result.requests), result.requests["user_agent"].count()) == (20, 20 - plain_lines)
        assert result.requests["referrer"].count() == 20 - plain_lines


@settings(max_examples=by_depth(standard=30, thorough=300), deadline=None)
@given(
    name=st.sampled_from(sorted(FORMATS)),
    lines=st.lists(
        st.sampled_from([line for _, text, _ in EXAMPLES for line in text.split("\n")]), max_size=4
    ),
    edit=st.sampled_from(["", " - - | ", ' "|  "', '" |"', "]|", '"-|"']),
)
def test_detection_is_not_stricter_than_reading(name: str, lines: list[str], edit: str) -> None:
    """A log of which a named format reads anything is detected, or the hint names that format."""
    old, _, new = edit.partition("|")
    lines = [line.replace(old, new) if old else line for line in lines]
    read = len(parse_lines(name, *lines).requests)
    detected, hint = 0, ""
    with suppress(FormatDetectionError):
        detected = len(parse_lines(detect_format(lines).parser.name, *lines).requests)
    if not detected and read:
        with pytest.raises(FormatDetectionError) as error_info:
            detect_format(lines)
        hint = error_info.value.hint
    assert detected >= read * 0.9 or f"`--format {name}`" in hint


@pytest.mark.parametrize("pattern", [" - - ", " -  -  ", "\t-\t-\t", " - ", " "])
def test_a_log_whose_lines_are_all_damaged_is_detected(pattern: str) -> None:
    """If no line is read strictly, the tolerant reader decides."""
    assert detect_format([COMBINED.replace(" - - ", pattern)] * 3).parser.name == "combined"


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ([], "no request"),
        (["", " ", "2026/01/02 12:00:05 [error] 1#1: *17 failed"], "no request"),
        (["rubbish", "more rubbish"], "2 lines"),
        (['{"level":"info","msg":"rubbish"}'], "no object in it is a request"),
        ([COMBINED] + ["rubbish"] * 4, "`combined`, matches only 1 of the first 5"),
    ],
)
def test_a_log_of_no_known_format_is_refused(sample: list[str], message: str) -> None:
    """A log of unknown format is refused with counts and a hint, without any content of its lines."""
    with pytest.raises(FormatDetectionError, match=message) as error_info:
        detect_format(sample)
    assert error_info.value.code == "log-format-not-detected"
    assert "paste" in error_info.value.hint
    assert "rubbish" not in error_info.value.message


def test_directives_are_enough_to_detect_a_format() -> None:
    """A log without requests has the format of its directives."""
    assert detect_format(IIS.split("\n")[:2]).parser.name == "w3c"
    assert detect_format(CLOUDFRONT.split("\n")[:2]).parser.name == "cloudfront"


def test_only_the_first_lines_are_sampled() -> None:
    """Lines beyond the limit do not count, and the returned parser has parsed none."""
    detection = detect_format([COMBINED] * SAMPLE_LINES_MAX + ["rubbish"] * SAMPLE_LINES_MAX)
    assert detection.sampled_lines == SAMPLE_LINES_MAX
    assert detect_format(IIS.split("\n")).parser.export_state() == create_parser("w3c").export_state()


def test_the_docs_have_an_example_of_every_format() -> None:
    """The example of each format in the docs is detected and parsed."""
    text = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    examples = dict(re.findall(r"^### `([^`]+)`\n\n```\n([^`]+)\n```$", text, re.MULTILINE))
    assert sorted(examples) == sorted(FORMATS)
    for name, example in examples.items():
        lines = example.split("\n")
        (request,) = requests(parse_lines(name, *lines))
        assert request | REQUEST | {"time": request["time"]} == request
        assert detect_format(lines).parser.name == name


REAL: dict[str, tuple[str | None, int, dict[str, int]]] = {
    "formats/logfile_access_log.0": ("combined", 3, {}),
    "formats/logfile_access_log.1": ("combined", 1, {}),
    "formats/logfile_access_log_dupe.0": ("combined", 3, {}),
    "formats/logfile_bad_access_log.0": ("combined", 3, {}),
    "formats/logfile_haproxy.0": ("haproxy", 13, {"not-a-request": 4}),
    "formats/logfile_shop_access_log.0": ("combined", 1000, {}),
    "formats/logfile_syslog_with_access_log.0": (None, 0, {"malformed": 2, "not-a-request": 3}),
    "formats/logfile_w3c.0": ("w3c", 1, {"directive": 4}),
    "formats/logfile_w3c.1": ("w3c", 1, {"directive": 6}),
    "formats/logfile_w3c.2": ("w3c", 0, {"directive": 8, "not-a-request": 14}),
    "formats/logfile_w3c.3": ("w3c", 3, {"directive": 4, "blank": 3}),
    "formats/logfile_w3c.4": ("w3c", 2, {"directive": 4}),
    "formats/logfile_w3c.5": (None, 0, {"directive": 1, "malformed": 1}),
    "formats/logfile_w3c.6": ("w3c", 1, {"directive": 4}),
    "formats/logfile_w3c_big.0": ("w3c", 210, {"directive": 44}),
    "attacks/apache2-http-sensitive-files.log": ("common", 13, {}),
    "attacks/apache2-malformed.log": ("combined", 11, {}),
    "attacks/caddy-basic-auth-bf.log": ("caddy-json", 6, {}),
    "attacks/haproxy-logs.log": ("haproxy", 2, {"not-a-request": 3}),
    "attacks/http-admin-interface-probing.log": ("combined", 3, {}),
    "attacks/http-bf-wordpress-bf.log": ("combined", 9, {"blank": 1}),
    "attacks/http-technology-probing.log": ("combined", 5, {"blank": 1}),
    "attacks/nginx-http-generic-bf.log": ("combined", 6, {"not-a-request": 16}),
    "attacks/nginx-http-open-proxy.log": ("combined", 2, {}),
    "attacks/nginx-http-path-traversal.log": ("combined", 9, {}),
    "attacks/nginx-http-sensitive-files.log": ("combined", 9, {}),
    "attacks/nginx-http-w00twoot.log": ("combined", 2, {}),
    "attacks/nginx-mail-logs.log": ("combined", 2, {"not-a-request": 15}),
    "attacks/traefik_json.log": ("traefik-json", 6, {"malformed": 1}),
    "logs/blog-2014.log.gz": ("combined", 10_000, {}),
    "logs/joomla-2019.log.gz": ("combined", 7_213, {}),
    "logs/shop-2019.log.gz": ("combined", 100_000, {}),
}


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real inputs are not at {DATA}")
@pytest.mark.parametrize(("file", "expected"), REAL.items())
def test_real_logs_are_parsed(file: str, expected: tuple[str | None, int, dict[str, int]]) -> None:
    """The formats of real logs are detected, and their lines are counted as by hand."""
    raw = (DATA / file).read_bytes()
    lines = (gzip.decompress(raw) if file.endswith(".gz") else raw).decode().removesuffix("\n").split("\n")
    name, count, drop_counts = expected
    if name is None:
        with pytest.raises(FormatDetectionError):
            detect_format(lines)
        name = "w3c" if lines[0].startswith("#") else "combined"
    else:
        assert detect_format(lines).parser.name == name
    result = parse_lines(name, *lines)
    assert (len(result.requests), reasons(result)) == (count, drop_counts)


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real inputs are not at {DATA}")
def test_values_of_real_logs_are_correct() -> None:
    """The parsed values of some real logs are those that were found by hand."""
    attack = parse_lines("combined", *(DATA / "attacks/nginx-http-open-proxy.log").read_text().splitlines())
    assert attack.requests.select("method", "host", "path").rows() == [
        ("CONNECT", "foo.com", None),
        ("GET", "www.sbjudge4.com", "/ip4.php"),
    ]
    shop = gzip.decompress((DATA / "logs/shop-2019.log.gz").read_bytes()).decode().splitlines()
    requests = parse_lines("combined", *shop).requests
    assert requests["status"].eq(404).sum() == 830
    assert requests["bytes"].sum() == 1_180_926_903
    assert requests["address"].n_unique() == 3672
    assert (
        requests["user_agent"].n_unique() == 1812
    )  # 1813 texts, of which `-` and the empty one are the same
    assert requests.select(pl.col("path", "method", "address").null_count()).row(0) == (0, 0, 0)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("planted") / "site"
    folder.mkdir()
    return Site(folder).init()


@pytest.mark.parametrize("name", sorted({name for name, _, _ in EXAMPLES}))
def test_no_query_of_any_format_is_stored(site: Site, name: str) -> None:
    """The query is in the log, and in no file of ours: the path ends before it, in whichever field it is."""
    examples = [text for example, text, _ in EXAMPLES if example == name]
    check_queries_are_not_stored(site, name, [line for text in examples for line in plant_queries(text)])
