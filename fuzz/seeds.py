"""Inputs that each fuzz target starts from, and words that its inputs are made of."""

from pathlib import Path

from avowal.logs.formats import FORMATS
from signed import RECEIPT
from support.packages import PACKAGE
from targets import TARGETS

ROOT = Path(__file__).parent.parent
DEFAULTS = ROOT / "src/avowal/policy/examples/unless-refused"
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"

QUERIES = (ROOT / "tests/use/attempts.txt").read_text().splitlines()

ROWS = "requests WHERE status = 404 AND page_path LIKE '/login%' AND request_time >= '2026-11-01'"

EVENTS = [
    """{"script_view_token":"a1b2c3d4e5f6","url":"https://www.example.org/a?b=c#d","referrer":"https://example.com/x?y",
    "elapsed_ms":5000,"visible_ms":4000}""",
    """{"script_view_token":"a1b2c3d4e5f6","url":"https://www.example.org/","details":{"kind":"download",
    "url":"https://www.example.org/file.zip"}}""",
]

FORM = """multipart/form-data; boundary="x"
--x\r
Content-Disposition: form-data; name="message"\r
\r
hello\r
--x\r
Content-Disposition: form-data; name="name"\r
\r
Ann\r
--x--\r
"""

COMBINED_LINES = f"""192.0.2.7 - - [22/Nov/2026:12:00:00 +0000] "GET /a?b=c HTTP/1.1" 200 5 "-" "{AGENT}"
2001:db8::1 - ann [22/Nov/2026:12:00:01 +0000] "POST /b HTTP/1.1" 404 - "-" "-"
"""

JSON_LINE = """{"ts":1795348800.1,"request":{"remote_ip":"192.0.2.7","method":"GET","uri":"/a?b","host":"www.example.org",\
"headers":{"User-Agent":["x"]}},"status":200,"size":5,"duration":0.01}"""

W3C_LINES = """#Version: 1.0
#Fields: date time c-ip cs-method cs-uri-stem sc-status
2026-11-22 12:00:00 192.0.2.7 GET /a 200
"""

SYSLOG_LINE = "<134>1 2026-11-22T12:00:00Z host nginx 1 - - " + COMBINED_LINES

LINES = [COMBINED_LINES, JSON_LINE, W3C_LINES, SYSLOG_LINE]

SEEDS: dict[str, list[bytes]] = {
    "sql": [query.encode() for query in QUERIES],
    "rows": [ROWS.encode()],
    "collect": [event.encode() for event in EVENTS],
    "multipart": [FORM.encode(), FORM.replace("x", "-").encode()],
    "lines": [bytes([number]) + lines.encode() for lines in LINES for number in range(len(FORMATS))],
    "document": [(DEFAULTS / "privacy-policy.en.md").read_bytes()[:3000]],
    "terms": [(DEFAULTS / "terms.toml").read_bytes()],
    "package": [PACKAGE],
    "receipt": [RECEIPT],
}

WORDS: dict[str, list[str]] = {
    "package": ["PK\1\2", "PK\3\4", "PK\5\6", "manifest.json", "proof.txt", "requests.jsonl", "../"],
    "receipt": [
        '"schema":',
        '"proof":',
        '"visitors":',
        '"salt":',
        '"tlog_proof":',
        "{",
        "}",
        "avowal erasure 1",
    ],
    "rows": [
        " AND ",
        " OR ",
        "NOT ",
        " IN (",
        " LIKE ",
        " ESCAPE ",
        " BETWEEN ",
        " IS NULL",
        "'",
        "(",
        ")",
        "<>",
        "--",
    ],
    "sql": [
        "select",
        "from",
        "where",
        "group",
        "by",
        "having",
        "with",
        "as",
        "union",
        "join",
        "on",
        "case",
        "when",
        "count(",
        "sum(",
        "distinct",
        "over",
        "partition",
        "requests",
        "views",
        "visits",
        "visitor_id",
        "ip_address",
        "page_path",
        "rowid",
        "unnest(",
        "columns(",
        "exclude",
        "replace",
        "--",
        "/*",
        ";",
        "'",
        '"',
        "$$",
    ],
    "collect": [
        "script_view_token",
        "url",
        "referrer",
        "elapsed_ms",
        "visible_ms",
        "details",
        "kind",
        "\\u0000",
        "https://",
        "?",
        "#",
        "%",
        "1e9",
        "null",
    ],
    "multipart": [
        "\r\n",
        "--",
        "boundary=",
        "filename=",
        "Content-Disposition: form-data; name=",
        "Content-Type:",
        '"',
    ],
    "lines": ["- -", '"', "[", "]", "HTTP/1.1", "#Fields:", "<134>1", '\\"', "\\x22", "+0000", "{", '":'],
    "document": ["---\n", "title:", "](javascript:", "<script>", "<!--", "&#", "{{", "{%", "# ", "* ", "|"],
    "terms": [
        "[[collect]]",
        "[[disclose]]",
        "[[ground]]",
        "[[form]]",
        "keep",
        "for",
        "forever",
        "days",
        "needs",
        "=",
    ],
}
assert SEEDS.keys() == WORDS.keys() == TARGETS.keys()
