"""`/disclose`: releases over HTTP, for readers who may disclose."""

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.served import SETTINGS, Answer, Served, served
from support.site import CHROME, Site, line

PASSWORD = "correct horse battery staple"  # noqa: S105  # of readers that are made for tests
NOW = datetime.now(UTC).replace(tzinfo=None)
RECENT = (NOW - timedelta(days=2)).replace(hour=12, minute=0)
ATTACK = {
    "ground": "fraud-or-misuse",
    "recipient": "cert@example",
    "row_filter": "requests WHERE status = 404",
    "evidence_reference": "case 12",
    "categories": ["ip-address", "page-path"],
}
ORDER = {
    "ground": "required-by-law",
    "recipient": "District Court",
    "subject": "203.0.113.77",
    "since": f"{RECENT.date()}",
    "until": f"{RECENT.date()}",
    "evidence_reference": "1 A 23/26",
    "evidence": {
        "instrument": "order",
        "issuer": "District Court",
        "date": "2026-01-02",
        "scope": "requests",
    },
    "categories": ["page-path"],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    site = Site(tmp_path_factory.mktemp("site")).init(
        ("2026-11-22", f"{(NOW - timedelta(40)).date()}"), settings=SETTINGS
    )
    site.take_in(
        site.log(
            "a.log",
            *(line(n, f"/{n}", start=RECENT, address="203.0.113.77", agent=CHROME) for n in range(3)),
            *(line(n, "/wp-login.php", start=RECENT, address="203.0.113.88", status=404) for n in range(4)),
        )
    )
    for name, more in (("ann", ["--disclose"]), ("bea", ["--disclose"]), ("cyd", [])):
        assert site.avowal("user", "add", name, "--purposes", "abuse", *more).status == 0
        assert (
            site.avowal("user", "password", name, "--stdin", stdin=f"{PASSWORD} {name}\n".encode()).status
            == 0
        )
    with served(site) as it:
        yield it


def call(
    server: Served, method: str, path: str, body: Any = None, name: str = "ann", **headers: str
) -> Answer:
    told = base64.b64encode(f"{name}:{PASSWORD} {name}".encode()).decode()
    own = {"Authorization": f"Basic {told}", "Content-Type": "application/json", **headers}
    own["X-Forwarded-For"] = f"203.0.113.{ord(name[0])}"
    return server.ask(method, path, json.dumps(body or {}).encode(), own)


def refusals(server: Served) -> int:
    (found,) = server.site.avowal("report", "disclosures", "--json").json()["tables"].values()
    return sum(one["refused"] for one in found)


def test_a_reader_who_may_disclose_gets_a_package(server: Served) -> None:
    """The same as by the command; it holds by itself."""
    assert call(server, "POST", "/releases", {**ATTACK, "dry_run": True}).json()["records"] == {"requests": 4}
    answer = call(server, "POST", "/releases", ATTACK)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/zip"), answer.body
    assert answer.headers["cache-control"] == "private, no-store"
    with zipfile.ZipFile(io.BytesIO(answer.body)) as package:
        rows = [json.loads(row) for row in package.read("requests.jsonl").splitlines()]
    assert {row["ip_address"] for row in rows} == {"203.0.113.88"}
    path = server.site.folder / "release.zip"
    path.write_bytes(answer.body)
    key = server.site.avowal("ledger", "key").out.strip()
    assert server.site.avowal("verify", path, "--key", key).status == 0


def test_two_readers_are_needed_where_the_terms_say_so(server: Served) -> None:
    """Whoever asks cannot approve it; then anybody of them makes it, once."""
    asked = call(server, "POST", "/releases", ORDER)
    assert (asked.status, asked.json()["required_approvals"]) == (202, 1), asked.body
    path = f"/releases/{asked.json()['reference']}"
    assert call(server, "GET", path, name="bea").json()["evidence"]["issuer"] == "District Court"
    assert call(server, "POST", f"{path}/package").status == 403
    assert call(server, "POST", f"{path}/approval").status == 403
    assert call(server, "POST", f"{path}/approval", name="cyd").status == 403
    assert call(server, "POST", f"{path}/approval", name="bea").json()["approved_by"] == ["bea"]
    assert call(server, "POST", f"{path}/package").headers["content-type"] == "application/zip"
    assert call(server, "POST", f"{path}/package").status == 409


@pytest.mark.parametrize(
    ("body", "name", "headers", "status", "code", "recorded"),
    [
        (ATTACK, "dora", {}, 401, "wrong-credentials", 0),
        (ATTACK, "ann", {"Authorization": "Basic ???"}, 401, "wrong-credentials", 0),
        (ATTACK, "ann", {"Authorization": "Bearer x"}, 401, "wrong-credentials", 0),
        (ATTACK, "cyd", {}, 403, "reader-may-not-disclose", 1),
        (ATTACK, "ann", {"Content-Type": "text/plain"}, 415, "unsupported-media-type", 0),
        ({**ATTACK, "grounds": 1}, "ann", {}, 400, "invalid-input", 0),
        ({**ATTACK, "ground": "fun"}, "ann", {}, 400, "unknown-name", 0),
        ({**ATTACK, "row_filter": "requests WHERE status > 0"}, "ann", {}, 403, "selection-too-broad", 1),
        ({**ATTACK, "evidence_reference": " "}, "ann", {}, 403, "evidence-missing", 1),
        ({**ORDER, "subject": "203.0.113.0/24"}, "bea", {}, 403, "selection-too-broad", 1),
        ({**ORDER, "subject": "203.0.113.0/24", "dry_run": True}, "bea", {}, 403, "selection-too-broad", 0),
        ({**ATTACK, "recipient": "x" * 70_000}, "bea", {}, 413, "body-too-large", 0),
    ],
)
def test_what_may_not_be_is_refused(
    server: Served,
    body: dict[str, Any],
    name: str,
    headers: dict[str, str],
    status: int,
    code: str,
    recorded: int,
) -> None:
    """With the reason and its remedy; an attempt to disclose is on record."""
    before = refusals(server)
    answer = call(server, "POST", "/releases", body, name, **headers)
    assert (answer.status, answer.json()["code"]) == (status, code), answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "title", "status", "detail", "code", "hint"}
    assert refusals(server) - before == recorded


def test_passwords_are_tried_a_few_times_only(server: Served) -> None:
    """From one address and as one reader, together with the page where readers sign in."""
    bad = {"Authorization": "Basic " + base64.b64encode(b"eve:x").decode()}
    found = [call(server, "POST", "/releases", ATTACK, "eve", **bad).status for _ in range(12)]
    assert (found[0], found[-1]) == (401, 429)


def test_everybody_sees_how_often(server: Served) -> None:
    """In ranges, linked from the policy; without signing in."""
    assert 'href="/disclosures"' in server.ask("GET", "/").body.decode()
    answer = server.ask("GET", "/disclosures", headers={"Accept-Language": "pt-BR"})
    assert (answer.status, answer.headers["content-language"]) == (200, "en")
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_the_command_works_beside_the_server(server: Served) -> None:
    """Which has the folder: the one asks the other, and both release the same."""
    package = server.site.folder / "beside.zip"
    words = ("--rows", ATTACK["row_filter"], "--reference", "case 12", "--categories", "ip-address,page-path")
    ran = server.site.avowal(
        "disclose", "--ground", "checking", "--recipient", "cert@example", *words, "--package", package
    )
    assert ran.status == 0, ran.err
    with (
        zipfile.ZipFile(package) as mine,
        zipfile.ZipFile(io.BytesIO(call(server, "POST", "/releases", ATTACK).body)) as other,
    ):
        assert mine.read("requests.jsonl") == other.read("requests.jsonl")
    assert server.site.avowal("verify").status == 0
