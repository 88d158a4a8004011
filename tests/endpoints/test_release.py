"""`/disclose`: releases over HTTP by readers who may disclose."""

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.disclosures import COURT_REQUEST
from support.running_server import SETTINGS, Answer, RunningServer, start_server
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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    site = Site(tmp_path_factory.mktemp("site")).init(
        ("2026-11-22", f"{(NOW - timedelta(40)).date()}"), settings=SETTINGS
    )
    site.import_logs(
        site.log(
            "a.log",
            *(line(n, f"/{n}", start=RECENT, address="203.0.113.77", agent=CHROME) for n in range(3)),
            *(line(n, "/wp-login.php", start=RECENT, address="203.0.113.88", status=404) for n in range(4)),
        )
    )
    for name, options in (("ann", ["--disclose"]), ("bea", ["--disclose"]), ("cyd", [])):
        assert site.avowal("user", "add", name, "--purposes", "abuse", *options).status == 0
        assert (
            site.avowal("user", "password", name, "--stdin", stdin=f"{PASSWORD} {name}\n".encode()).status
            == 0
        )
    with start_server(site) as running_server:
        yield running_server


def call_as(
    server: RunningServer, method: str, path: str, body: Any = None, name: str = "ann", **headers: str
) -> Answer:
    credentials = base64.b64encode(f"{name}:{PASSWORD} {name}".encode()).decode()
    all_headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/json", **headers}
    all_headers["X-Forwarded-For"] = f"203.0.113.{ord(name[0])}"
    return server.request(method, path, json.dumps(body or {}).encode(), all_headers)


def count_refusals(server: RunningServer) -> int:
    (rows,) = server.site.avowal("report", "disclosures", "--json").json()["tables"].values()
    return sum(row["refused"] for row in rows)


def test_a_reader_who_may_disclose_gets_a_package(server: RunningServer) -> None:
    """A reader who may disclose gets the same package as by the command, and it verifies."""
    assert call_as(server, "POST", "/releases", {**ATTACK, "dry_run": True}).json()["records"] == {
        "requests": 4
    }
    answer = call_as(server, "POST", "/releases", ATTACK)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/zip"), answer.body
    assert answer.headers["cache-control"] == "private, no-store"
    with zipfile.ZipFile(io.BytesIO(answer.body)) as package:
        rows = [json.loads(row) for row in package.read("requests.jsonl").splitlines()]
    assert {row["ip_address"] for row in rows} == {"203.0.113.88"}
    path = server.site.folder / "release.zip"
    path.write_bytes(answer.body)
    key = server.site.avowal("ledger", "key").out.strip()
    assert server.site.avowal("verify", path, "--key", key).status == 0


def test_a_release_needs_the_approval_of_another_reader(server: RunningServer) -> None:
    """A reader cannot approve their own request; once approved, its package can be made one time."""
    answer = call_as(server, "POST", "/releases", COURT_REQUEST)
    assert (answer.status, answer.json()["required_approvals"]) == (202, 1), answer.body
    path = f"/releases/{answer.json()['reference']}"
    assert (
        call_as(server, "GET", path, name="bea").json()["details"]["evidence"]["issuer"] == "District Court"
    )
    assert call_as(server, "POST", f"{path}/package").status == 400
    assert call_as(server, "POST", f"{path}/approval").status == 403
    assert call_as(server, "POST", f"{path}/approval", name="cyd").status == 403
    assert call_as(server, "POST", f"{path}/approval", name="bea").json()["approved_by"] == ["bea"]
    assert call_as(server, "POST", f"{path}/package").headers["content-type"] == "application/zip"
    assert call_as(server, "POST", f"{path}/package").status == 409


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
        ({**COURT_REQUEST, "subject": "203.0.113.0/24"}, "bea", {}, 403, "selection-too-broad", 1),
        (
            {**COURT_REQUEST, "subject": "203.0.113.0/24", "dry_run": True},
            "bea",
            {},
            403,
            "selection-too-broad",
            1,
        ),
        ({**ATTACK, "recipient": "x" * 70_000}, "bea", {}, 413, "body-too-large", 0),
    ],
)
def test_a_release_that_is_not_permitted_is_refused(
    server: RunningServer,
    body: dict[str, Any],
    name: str,
    headers: dict[str, str],
    status: int,
    code: str,
    recorded: int,
) -> None:
    """A refusal is a problem with a code and a hint; an attempt to disclose is recorded."""
    before = count_refusals(server)
    answer = call_as(server, "POST", "/releases", body, name, **headers)
    assert (answer.status, answer.json()["code"]) == (status, code), answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "title", "status", "detail", "code", "hint"}
    assert count_refusals(server) - before == recorded


def test_password_attempts_are_limited(server: RunningServer) -> None:
    """Repeated wrong passwords are answered with status 429."""
    headers = {"Authorization": "Basic " + base64.b64encode(b"eve:x").decode()}
    statuses = [call_as(server, "POST", "/releases", ATTACK, "eve", **headers).status for _ in range(12)]
    assert (statuses[0], statuses[-1]) == (401, 429)


def test_everyone_sees_the_numbers_of_releases(server: RunningServer) -> None:
    """The page of disclosures is public, and the policy links to it."""
    assert 'href="/disclosures"' in server.request("GET", "/").body.decode()
    answer = server.request("GET", "/disclosures", headers={"Accept-Language": "pt-BR"})
    assert (answer.status, answer.headers["content-language"]) == (200, "en")
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_the_command_works_while_the_server_runs(server: RunningServer) -> None:
    """While a server owns the folder, the command sends its requests to it and releases the same records."""
    package = server.site.folder / "beside.zip"
    arguments = (
        "--rows",
        ATTACK["row_filter"],
        "--reference",
        "case 12",
        "--categories",
        "ip-address,page-path",
    )
    result = server.site.avowal(
        "disclose", "--ground", "checking", "--recipient", "cert@example", *arguments, "--package", package
    )
    assert result.status == 0, result.err
    with (
        zipfile.ZipFile(package) as mine,
        zipfile.ZipFile(io.BytesIO(call_as(server, "POST", "/releases", ATTACK).body)) as other,
    ):
        assert mine.read("requests.jsonl") == other.read("requests.jsonl")
    assert server.site.avowal("verify").status == 0
