"""The terms in a folder are a draft: until they are published they decide nothing (V7)."""

import ast
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

from support.disclosures import (
    ANN,
    ATTACK,
    PERIOD,
    RECENT,
    read_package,
    site_with_attack,
)
from support.processors import CONTRACT, add_processor
from support.running_server import SETTINGS, SITE, cookie_headers, start_server
from support.site import CHROME, Site, line
from support.submissions import order_form
from support.templates import make_once

SOURCES = Path(__file__).parents[2] / "src" / "avowal"
READERS_OF_DRAFTS = {
    "app/folder.py",  # adopts the first version
    "app/session.py",  # says that there is a draft
    "change/draft.py",
    "cli/policy.py",
    "cli/policy_adopt.py",
    "cli/policy_publish.py",
}
ORDER = order_form('name = "person-name", email = "email-address"', more='required = ["email"]\n')
HOSTILE = """
vocabulary = 2
controller = "Somebody else"
contact = "else@example.org"
updated = 2026-01-01
languages = ["en"]

[[collect]]
categories = ["ip-address", "country", "visitor-id", "request-time", "request-kind", "host", "method", "status", "bytes",
    "response-time", "visit", "view", "page-path", "page-query", "referrer", "browser", "operating-system", "device-kind",
    "bot", "interaction", "page-quality", "submission"]
keep = { full = "forever" }
for = ["operate", "requested-service", "third-party-service"]

[[form]]
name = "order"
fields = { name = "message", email = "answer", phone = "telephone-number" }
for = ["operate"]
needs = ["submission", "page-path"]

[[form]]
name = "other"
fields = { text = "message" }
for = ["operate"]

[[disclose]]
categories = ["ip-address", "request-time", "page-path", "referrer", "browser", "submission", "visitor-id"]
keep = { full = "forever" }
to = "abuse-community"
ground = "fraud-or-misuse"

[[disclose]]
categories = ["ip-address", "request-time", "page-path", "referrer", "browser", "submission", "visitor-id"]
keep = { full = "forever" }
to = "named-person"
ground = "authorised"

[[disclose]]
categories = ["ip-address", "request-time", "page-path", "browser", "visitor-id"]
keep = { full = "forever" }
to = "processor"
for = ["third-party-service"]

[[ground]]
name = "fraud-or-misuse"
evidence = ["claim"]

[[ground]]
name = "authorised"
evidence = ["claim"]

[[cookie]]
name = "__Host-avowal"
for = ["content"]
keep = "forever"
basis = "unless-refused"
party = "first"

[duties]
notice-days = 0
smallest-group = 1
"""
"""Terms that permit nearly everything."""


@make_once
def complete_site(folder: Path) -> Site:
    """Make a site with records of each kind, a processor, an authorisation and an order."""
    site = site_with_attack(folder, ORDER)
    (site.folder / "avowal.toml").write_text(SETTINGS)
    add_processor(site, CONTRACT)
    (site.folder / "feed").mkdir()
    options = ("--recipient", "Dr. Example", "--categories", "page-path", "--channel", "letter")
    assert site.avowal("visitor", "authorise", ANN, *PERIOD, *options).status == 0
    added = site.avowal(
        "submission",
        "add",
        "order",
        "--channel",
        "letter",
        "--field",
        "email=ann@example.org",
        "--field",
        "name=Ann",
    )
    assert added.status == 0, added.err
    return site


def normalize(text: str) -> str:
    """Return a text without what differs between two runs: references, times, folders and numbers of accesses."""
    text = re.sub(r'\b[0-9a-f]{24}\b|(?<="id":")[0-9a-f]{16}', "REFERENCE", text)
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?", "TIME", text)
    text = re.sub(r"\d\d:\d\d UTC", "TIME", text)
    text = re.sub(r"looked at \d+ times|\d+ of these told", "READ", text)
    return re.sub(r"/\S*/", "", text)


def run_commands(site: Site) -> Iterator[str]:
    """Yield what commands do and say that read, release, feed, keep or show anything."""
    (reference,) = (
        row["reference"] for row in site.avowal("submission", "list", "--json").json()["submissions"]
    )
    attack = ("--rows", ATTACK, "--categories", "ip-address,page-path,referrer,browser", "--dry-run")
    served = ("--reference", reference, "--categories", "submission,page-path", "--package", "order.zip")
    commands: list[tuple[object, ...]] = [
        *(("report", name, "--json") for name in ("pages", "technology", "sources", "errors")),
        ("report", "pages", "--json", "--shared"),
        ("query", "--purpose", "abuse", "--json", "SELECT * FROM requests ORDER BY request_time, page_path"),
        (
            "query",
            "--purpose",
            "content",
            "--json",
            "SELECT * FROM requests ORDER BY request_time, page_path",
        ),
        ("query", "--purpose", "performance", "--json", "SELECT * FROM views"),
        ("submission", "show", reference, "--purpose", "requested-service", "--json"),
        ("submission", "show", reference, "--purpose", "content", "--json"),
        (
            "submission",
            "add",
            "order",
            "--channel",
            "letter",
            "--field",
            "email=b@example.org",
            "--field",
            "phone=555 0100",
        ),
        ("submission", "add", "other", "--channel", "letter", "--field", "text=words"),
        ("disclose", "--ground", "checking", "--recipient", "cert", "--reference", "12", *attack, "--json"),
        (
            "disclose",
            "--ground",
            "checking",
            "--recipient",
            "cert",
            "--evidence",
            "claim=x",
            *attack,
            "--json",
        ),
        ("disclose", "--ground", "requested-function", "--recipient", "Carrier", *served, "--json"),
        (
            "disclose",
            "--ground",
            "authorised",
            "--recipient",
            "Dr. Example",
            "--subject",
            ANN,
            *PERIOD,
            "--categories",
            "page-path,ip-address,browser",
            "--dry-run",
            "--json",
        ),
        ("processor", "list", "--json"),
        ("processor", "feed", "guard", "--destination", "feed", "--json"),
        ("visitor", "show", ANN, *PERIOD, "--json"),
        ("status", "--json"),
        ("policy", "history", "--json"),
        ("policy", "notice", "--json"),
        ("policy", "page", "--output-folder", "page"),
        ("retain", "--json"),
        ("verify", "--json"),
    ]
    log = site.log(
        "b.log",
        *(
            line(n, f"/b{n}?q=1", start=RECENT, agent=CHROME, referrer="https://example.org/a?b=c")
            for n in range(3)
        ),
    )
    yield str(site.import_logs(log)["counts"])
    for command in commands:
        result = site.avowal(*command)
        yield f"{command}: {result.status} {result.code} {normalize(result.out)}"
    yield str(sorted(read_package(site.folder / "order.zip")["submissions.jsonl"].splitlines())).replace(
        reference, ""
    )
    for path in sorted((site.folder / "page").iterdir()):
        yield f"{path.name}: {path.read_text()}"
    assert [*(site.folder / "feed").iterdir()]
    pages = [path.read_text() for path in sorted((site.folder / "feed").glob("*.jsonl"))]
    yield str(sorted(normalize(text) for text in pages))


def ask_server(site: Site) -> Iterator[str]:
    """Yield the answers of a server to forms, events and requests for pages."""
    own = {
        "Origin": f"https://{SITE}",
        "Host": SITE,
        "X-Forwarded-Proto": "https",
        "Sec-Fetch-Site": "same-origin",
    }
    encoded = {**own, "Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    with start_server(site) as server:
        for form, fields in (
            ("order", {"name": "Ben", "email": "ben@example.org", "phone": "555 0100"}),
            ("order", {"name": "Ben"}),
            ("other", {"text": "words"}),
        ):
            answer = server.request("POST", f"/submit/{form}", urlencode(fields).encode(), encoded)
            yield f"{form}: {answer.status} {normalize(answer.body.decode())}"
        answer = server.send_event(cookie_headers("Annannannannannannanna", **own))
        yield f"event: {answer.status} {answer.headers.get('set-cookie', '').partition('=')[2][23:]}"
        server.wait_for_rows("SELECT page_path FROM script_views", 1)
        for path in (
            "/privacy/",
            "/privacy/history",
            "/privacy/terms.json",
            "/privacy/terms.jsonld",
            "/disclosures",
            "/privacy/notice",
        ):
            answer = server.request("GET", path)
            yield f"{path}: {answer.status} {normalize(answer.body.decode())}"
    submissions = site.avowal("submission", "list", "--json").json()["submissions"]
    for row in submissions:
        shown = site.avowal(
            "submission", "show", row["reference"], "--purpose", "requested-service", "--json"
        ).json()
        yield json.dumps(
            sorted((field["field"], field["category"], field["value"]) for field in shown["fields"])
        )


def test_a_draft_decides_nothing(tmp_path: Path) -> None:
    """With a draft that permits nearly everything, or is no terms at all, everything is done and said as without it."""
    plain = complete_site(tmp_path / "plain")
    drafts = {"permissive": HOSTILE, "invalid": "this is [[not] TOML"}
    for name, draft in drafts.items():
        shutil.copytree(plain.folder, tmp_path / name, ignore=shutil.ignore_patterns("*.sock"))
        (tmp_path / name / "policy" / "terms.toml").write_text(draft)
        contract = tmp_path / name / "policy" / "processors" / "guard.toml"
        contract.write_text(
            CONTRACT.replace('"3 days"', '"300 days"').replace('"page-path"]', '"page-path", "browser"]')
        )
        document = tmp_path / name / "policy" / "privacy-policy.en.md"
        document.write_text("---\ntitle: Other\nlang: en\n---\n# Other\n")
    expected = [*run_commands(plain), *ask_server(plain)]
    for name in drafts:
        site = Site(tmp_path / name)
        for text, expected_text in zip((*run_commands(site), *ask_server(site)), expected, strict=True):
            assert text == expected_text


def test_only_commands_about_the_policy_read_the_draft() -> None:
    """No other module reads the terms in the folder, so that no decision can depend on them."""
    readers = set()
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (isinstance(node, ast.ImportFrom) and node.module == "avowal.change.draft") or (
                isinstance(node, ast.ImportFrom)
                and {name.name for name in node.names} & {"load_terms", "TERMS_FILE"}
            ):
                readers.add(str(path.relative_to(SOURCES)))
    assert readers <= READERS_OF_DRAFTS
