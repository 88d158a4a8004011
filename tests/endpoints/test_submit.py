"""Submissions: declared forms only, encrypted, bound to visitor and version, and deleted in time."""

import http.client
import json
import os
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jsonschema
import pytest
from playwright.sync_api import sync_playwright

from support.browsers import CHROMIUM, needs_chromium
from support.moved_clock import moved_clock
from support.registers import query_register
from support.running_server import SETTINGS, SITE, Answer, RunningServer, start_server
from support.site import CHROME, Site, wait_until

FORM = """
[[collect]]
categories = ["submission"]
keep = { full = "30 days" }
for = ["requested-service"]

[[form]]
name = "contact"
fields = { name = "person-name", email = "email-address", text = "message", cv = "uploaded-file" }
required = ["email", "text"]
types = ["application/pdf", "image/png"]
largest = "1 MB"
for = ["requested-service"]
"""
OWN = {"Origin": f"https://{SITE}", "Host": SITE, "X-Forwarded-Proto": "https"}
SECRET = "s3cr3t-words"  # noqa: S105  # of nobody
ANN = {"name": "Ann", "email": "ann@example.org", "text": f"{SECRET}, please"}
PDF = b"%PDF-1.7\n" + SECRET.encode() + b"\n%%EOF"
PURPOSE = ("--purpose", "requested-service")


def site_with_form(folder: Path, settings: str = SETTINGS, form_terms: str = FORM) -> Site:
    site = Site(folder).init(settings=f"{settings}[serve]\nsubmissions_per_minute = 0\n")
    terms = site.folder / "policy" / "terms.toml"
    terms.write_text(terms.read_text() + form_terms)
    return site


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with start_server(site_with_form(tmp_path_factory.mktemp("site"))) as server:
        yield server


def send(
    server: RunningServer,
    fields: Mapping[str, str],
    headers: Mapping[str, str] | None = None,
    form: str = "contact",
) -> Answer:
    type_headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    origin_headers = OWN if headers is None else headers
    return server.request(
        "POST", f"/submit/{form}", urlencode(fields).encode(), {**type_headers, **origin_headers}
    )


def encode_multipart(
    fields: Mapping[str, str], *files: tuple[str, str, str, bytes]
) -> tuple[bytes, dict[str, str]]:
    """Return a multipart body and its headers."""
    body = b""
    for name, value in fields.items():
        body += f'--limit\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
    for name, file_name, kind, content in files:
        head = (
            f'Content-Disposition: form-data; name="{name}"; filename="{file_name}"\r\nContent-Type: {kind}'
        )
        body += f"--limit\r\n{head}\r\n\r\n".encode() + content + b"\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=limit", "Accept": "application/json", **OWN}
    return body + b"--limit--\r\n", headers


def upload(
    server: RunningServer, *files: tuple[str, str, str, bytes], fields: Mapping[str, str] = ANN
) -> Answer:
    body, headers = encode_multipart(fields, *files)
    return server.request("POST", "/submit/contact", body, headers)


def show_submission(server: RunningServer, reference: str, *arguments: str) -> Any:
    result = server.site.avowal("submission", "show", reference, *PURPOSE, "--json", *arguments)
    assert result.status == 0, result.err
    return result.json()


def read_visitor(server: RunningServer, reference: str) -> str:
    """Return the key of a submission's visitor, which the purpose of these tests may not see."""
    rows = query_register(server.site, f"SELECT visitor FROM submissions WHERE reference = '{reference}'")
    ((visitor,),) = rows
    return str(visitor)


def read_values(server: RunningServer, reference: str) -> dict[str, Any]:
    return {field["field"]: field["value"] for field in show_submission(server, reference)["fields"]}


def list_stored_files(site: Site) -> list[Path]:
    return list((site.folder / "data" / "files").glob("*"))


def test_a_submission_is_stored_and_shown_for_its_purpose(server: RunningServer) -> None:
    """A submission is shown for the purpose that its form declares, and its fields for no other."""
    answer = send(server, {**ANN, "unknown": SECRET})
    assert answer.status == 201, answer.body
    reference = answer.json()["reference"]
    assert re.fullmatch(r"[0-9a-f]{24}", reference)
    submission = show_submission(server, reference)
    assert {row["field"]: (row["category"], row["value"]) for row in submission["fields"]} == {
        "name": ("person-name", "Ann"),
        "email": ("email-address", "ann@example.org"),
        "text": ("message", f"{SECRET}, please"),
    }
    assert (
        submission["submission"]["form"],
        submission["submission"]["channel"],
        submission["submission"]["version"],
    ) == (
        "contact",
        "form",
        1,
    )
    for_content = server.site.avowal("submission", "show", reference, "--purpose", "content", "--json").json()
    assert for_content["fields"] == []
    assert server.site.avowal("verify").status == 0
    status = server.site.avowal("submission", "list", "--json").json()["submissions"]
    assert reference in {row["reference"] for row in status}


def test_a_browser_gets_a_confirmation_page(server: RunningServer) -> None:
    """A browser gets an uncached page in its language with the reference, which is in no address."""
    answer = send(server, ANN, {**OWN, "Accept": "text/html", "Accept-Language": "en"})
    assert answer.status == 201
    assert "no-store" in answer.headers["cache-control"]
    assert "location" not in answer.headers
    (reference,) = re.findall(r"<code>([0-9a-f]{24})</code>", answer.body.decode())
    assert read_values(server, reference)["name"] == "Ann"


def test_a_submission_is_encrypted_on_disk(server: RunningServer) -> None:
    """No text, file or file name of a submission is in a file of the site or in the server's output."""
    assert upload(server, ("cv", f"{SECRET}.pdf", "application/pdf", PDF)).status == 201
    assert upload(server, ("cv", "x.pdf", "application/pdf", b"GIF89a" + SECRET.encode())).status == 415
    for path in server.site.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert SECRET.encode() not in content, path
            assert b"ann@example.org" not in content, path
    assert SECRET not in server.command.read_output()


def test_an_uploaded_file_is_restored_exactly(server: RunningServer, tmp_path: Path) -> None:
    """A file is restored exactly; the same content is stored once, and a damaged one is refused."""
    content = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 3_000
    before = len(list_stored_files(server.site))
    first, second = (
        upload(server, ("cv", name, "image/png", content)) for name in ("a.png", "..\\..\\b.png")
    )
    references = [answer.json()["reference"] for answer in (first, second)]
    assert [read_values(server, reference)["cv"] for reference in references] == [
        {"name": name, "type": "image/png", "size": len(content)} for name in ("a.png", "b.png")
    ]
    assert len(list_stored_files(server.site)) == before + 1
    for reference in references:
        output = tmp_path / f"{reference}.png"
        show_submission(server, reference, "--file", "cv", "--output", str(output))
        assert output.read_bytes() == content
    (name,) = {path for path in list_stored_files(server.site) if path.stat().st_size > len(content)}
    undamaged = name.read_bytes()
    damaged = bytearray(undamaged)
    damaged[1_000] ^= 1
    name.write_bytes(damaged)
    output = tmp_path / "damaged.png"
    result = server.site.avowal(
        "submission", "show", references[0], *PURPOSE, "--file", "cv", "--output", str(output)
    )
    assert (result.status, result.code) == (1, "submission-unreadable")
    assert list(tmp_path.glob("damaged*")) == []
    name.write_bytes(undamaged)  # for the tests that verify the folder


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"name": "Ann"}, 422, "missing-field"),
        ({"email": "  ", "text": "x"}, 422, "missing-field"),
        ({**ANN, "text": "x" * 300_000}, 413, "form-too-large"),
    ],
)
def test_an_incomplete_submission_is_refused(
    server: RunningServer, fields: dict[str, str], status: int, code: str
) -> None:
    """A submission with a missing or oversized field is refused and not stored."""
    before = len(server.site.avowal("submission", "list", "--json").json()["submissions"])
    for answer in (send(server, fields), upload(server, fields=fields)):
        assert (answer.status, answer.json()["code"]) == (status, code), answer.body
    assert len(server.site.avowal("submission", "list", "--json").json()["submissions"]) == before


def test_a_browser_gets_an_error_page(server: RunningServer) -> None:
    """A browser gets a page that explains the error, also for a form of another site or an unknown form."""
    browser = {**OWN, "Accept": "text/html,*/*;q=0.8"}
    answer = send(server, {"name": "Ann"}, browser)
    assert (answer.status, answer.headers["cache-control"]) == (422, "private, no-store")
    assert "A required field is empty: email." in answer.body.decode()
    foreign = send(server, ANN, {**browser, "Sec-Fetch-Site": "cross-site"})
    assert (foreign.status, "from another website" in foreign.body.decode()) == (403, True)
    unknown = send(server, ANN, browser, form="other")
    assert (unknown.status, "There is no form at this address" in unknown.body.decode()) == (404, True)


@pytest.mark.parametrize(
    ("file", "status", "code"),
    [
        (("cv", "a.exe", "application/x-msdownload", b"MZ"), 415, "wrong-file-type"),
        (("cv", "a.pdf", "application/pdf", b"\x89PNG\r\n\x1a\n" + b"x" * 100), 415, "wrong-file-type"),
        (("cv", "a.pdf", "application/pdf", PDF + b" " * 1_000_000), 413, "file-too-large"),
        (("other", "a.pdf", "application/pdf", PDF), 422, "unknown-field"),
        (("text", "a.pdf", "application/pdf", PDF), 422, "unknown-field"),
    ],
)
def test_a_file_of_the_wrong_type_or_size_is_refused(
    server: RunningServer, file: tuple[str, str, str, bytes], status: int, code: str
) -> None:
    """A file of the wrong type, content, size or field is refused and not stored."""
    before = sorted(list_stored_files(server.site))
    answer = upload(server, file)
    assert (answer.status, answer.json()["code"]) == (status, code), answer.body
    assert sorted(list_stored_files(server.site)) == before


def test_a_body_of_many_empty_parts_is_refused(server: RunningServer) -> None:
    """The size limit of a form includes parts without content."""
    body, headers = encode_multipart({})
    nothing = b'--limit\r\nContent-Disposition: form-data; name="other"\r\n\r\n\r\n'
    answer = server.request("POST", "/submit/contact", nothing * 200_000 + body, headers)
    assert (answer.status, answer.json()["code"]) == (413, "form-too-large")


@pytest.mark.parametrize("end", [10, 60, 200, -3])
def test_a_truncated_form_is_not_stored(server: RunningServer, end: int) -> None:
    """A truncated form is refused, and what was received of it is deleted."""
    before = sorted(list_stored_files(server.site))
    body, headers = encode_multipart(ANN, ("cv", "a.pdf", "application/pdf", PDF))
    answer = server.request("POST", "/submit/contact", body[:end], headers)
    assert answer.status in {400, 422}
    assert sorted(list_stored_files(server.site)) == before


def test_only_pages_of_the_site_may_submit(server: RunningServer) -> None:
    """Submissions of other sites, or without an origin, are refused."""
    for headers in (
        {**OWN, "Origin": "https://evil.example"},
        {**OWN, "Sec-Fetch-Site": "cross-site"},
        {"Host": SITE},
    ):
        assert send(server, ANN, headers).status == 403
    assert send(server, ANN, {"Host": SITE, "Sec-Fetch-Site": "same-origin"}).status == 201
    assert send(server, ANN, form="other").status == 404
    assert server.request("GET", "/submit/contact").status == 405
    assert (
        server.request("POST", "/submit/contact", b"{}", {**OWN, "Content-Type": "application/json"}).status
        == 415
    )


def test_a_submission_belongs_to_its_visitor(server: RunningServer) -> None:
    """A submission has the visitor key of the sender's other records, and is shown, exported and erased with them."""
    visitor = {"X-Forwarded-For": "198.51.100.77", "User-Agent": CHROME}
    server.send_event(visitor, script_view_token="view-of-the-sender", url=f"https://{SITE}/sender")
    (script_view,) = server.wait_for_rows(
        "SELECT visitor_id FROM script_views WHERE page_path = '/sender'", 1
    )
    body, headers = encode_multipart(ANN, ("cv", "a.pdf", "application/pdf", PDF + b"of the sender"))
    reference = server.request("POST", "/submit/contact", body, {**headers, **visitor}).json()["reference"]
    assert read_visitor(server, reference) == script_view["visitor_id"]
    site, key = server.site, script_view["visitor_id"]
    (submission,) = site.avowal("visitor", "show", key, "--json").json()["submissions"]
    assert (submission["reference"], len(submission["fields"])) == (reference, 4)
    page, export = site.folder / "person.html", site.folder / "export.jsonl"
    assert site.avowal("visitor", "show", key, "--page", page).status == 0
    assert "ann@example.org" in page.read_text()
    page.unlink()
    assert site.avowal("visitor", "export", key, "--output", export).status == 0
    schema = jsonschema.Draft202012Validator(site.avowal("visitor", "schema").json())
    assert [list(schema.iter_errors(json.loads(line))) for line in export.read_text().splitlines()] == [
        [],
        [],
        [],
        [],
    ]
    export.unlink()
    files = len(list_stored_files(site))
    result = site.avowal("visitor", "erase", key, "--expected-records", "1", "--json")
    assert result.json()["erased"]["submissions"] == 1
    assert site.avowal("submission", "show", reference, *PURPOSE).status == 1
    assert len(list_stored_files(site)) == files - 1
    receipt = site.folder / "receipt.json"
    receipt.write_text(result.out)
    verifier = site.avowal("ledger", "key").out.strip()
    assert site.avowal("verify", receipt, "--key", verifier).status == 0
    assert site.avowal("verify").status == 0


def test_an_objection_leaves_only_a_daily_key(server: RunningServer) -> None:
    """With Sec-GPC the cookie is ignored, and the submission gets a daily key."""
    cookie = {**OWN, "Cookie": "__Host-avowal=abcdefghijklmnopqrstuv"}
    lasting, daily = (
        read_visitor(server, send(server, ANN, headers).json()["reference"])
        for headers in (cookie, {**cookie, "Sec-GPC": "1"})
    )
    assert int(lasting, 16) % 2 == 1
    assert int(daily, 16) % 2 == 0


def test_a_submission_can_be_erased(server: RunningServer) -> None:
    """A submission can be erased by its reference, and everything still verifies."""
    reference = send(server, ANN).json()["reference"]
    assert server.site.avowal("submission", "erase", reference).status == 0
    assert server.site.avowal("submission", "show", reference, *PURPOSE).status == 1
    for path in (server.site.folder / "data").glob("register.sqlite*"):
        assert reference.encode() not in path.read_bytes()
    assert server.site.avowal("verify").status == 0


def test_the_key_can_be_rotated_while_the_server_runs(server: RunningServer, tmp_path: Path) -> None:
    """After a rotation everything is readable with the new key only; a missing key is never replaced."""
    reference = upload(server, ("cv", "a.pdf", "application/pdf", PDF)).json()["reference"]
    path = server.site.folder / "keys" / "submissions.key"
    before = path.read_text()
    result = server.site.avowal("submission", "rotate-key")
    assert (result.status, "encrypted with a new key" in result.out) == (0, True)
    assert before not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    show_submission(server, reference, "--file", "cv", "--output", str(tmp_path / "cv"))
    assert (tmp_path / "cv").read_bytes() == PDF
    assert read_values(server, send(server, ANN).json()["reference"])["name"] == "Ann"
    new = path.read_text()
    path.write_text(before)
    result = server.site.avowal("submission", "show", reference, *PURPOSE)
    assert (result.status, result.code) == (1, "submission-unreadable")
    for content in (None, "no key", ""):
        path.unlink() if content is None else path.write_text(content)
        assert send(server, ANN).status == 503
        assert server.site.avowal("submission", "rotate-key").status == 1
        assert (path.read_text() if path.exists() else None) == content
    path.write_text(new)
    path.chmod(0o600)
    assert read_values(server, reference)["name"] == "Ann"


def test_a_value_moved_to_another_submission_is_refused(server: RunningServer) -> None:
    """A ciphertext that was moved to another submission cannot be read."""
    first, other = (send(server, ANN).json()["reference"] for _ in range(2))
    row = "submission = (SELECT submission FROM submissions WHERE reference = ?) AND field = 'email'"
    update = f"UPDATE submission_fields SET ciphertext = ? WHERE {row}"
    with closing(sqlite3.connect(server.site.folder / "data" / "register.sqlite")) as register:
        ciphertexts = [
            register.execute(f"SELECT ciphertext FROM submission_fields WHERE {row}", [one]).fetchone()[0]
            for one in (first, other)
        ]
        register.execute(update, [ciphertexts[1], first])
        register.commit()
        result = server.site.avowal("submission", "show", first, *PURPOSE)
        assert (result.status, result.code) == (1, "submission-unreadable")
        register.execute(update, [ciphertexts[0], first])  # for the tests that verify the folder
        register.commit()


def test_the_operator_adds_a_submission_of_another_channel(tmp_path: Path) -> None:
    """The operator adds what came by telephone or e-mail, under the version in force; invalid input is refused."""
    site = site_with_form(tmp_path)
    cv = tmp_path / "cv.pdf"
    cv.write_bytes(PDF)
    fields = [word for name, value in ANN.items() for word in ("--field", f"{name}={value}")]
    channel = ("--channel", "telephone")
    result = site.avowal("submission", "add", "contact", *channel, *fields, "--file", f"cv={cv}", "--json")
    assert result.status == 0, result.err
    submission = result.json()
    assert (submission["channel"], submission["visitor"], submission["version"]) == ("telephone", None, 1)
    for invalid, code in (
        (["--field", "mail=x"], "invalid-field"),
        (["--field", "email=x"], "invalid-field"),
        ([*fields, "--received-at", "2099-01-01"], "date-in-future"),
        ([*fields, "--visitor", "Ann"], "invalid-visitor"),
        ([*fields, "--file", f"cv={tmp_path / 'avowal.toml'}"], "invalid-field"),
    ):
        result = site.avowal("submission", "add", "contact", *channel, *invalid)
        assert (result.status, result.code) == (2, code), result.err
    assert site.avowal("submission", "add", "other", *channel, *fields).status == 2
    refusal = site.avowal("submission", "add", "contact", *channel, *fields, "--received-at", "2000-01-01")
    assert refusal.status == 1


def test_submissions_are_deleted_when_they_expire(tmp_path: Path) -> None:
    """Each value expires with its category; `retain` deletes it with its files, and `verify` finds overdue ones."""
    keep = FORM.replace(
        'categories = ["submission"]\nkeep = { full = "30 days" }',
        'categories = ["submission"]\nkeep = { full = "30 days" }\nfor = ["requested-service"]\n\n'
        '[[collect]]\ncategories = ["submission-time", "message"]\nkeep = { full = "60 days" }',
    )
    site = site_with_form(tmp_path, form_terms=keep)
    terms = site.folder / "policy" / "terms.toml"
    long_ago = (datetime.now(UTC) - timedelta(days=100)).date()
    terms.write_text(re.sub(r"updated = .*", f"updated = {long_ago}", terms.read_text(), count=1))
    cv = tmp_path / "cv.pdf"
    cv.write_bytes(PDF)
    references = []
    for days in (70, 40, 1):
        arguments = [word for name, value in ANN.items() for word in ("--field", f"{name}={value}")]
        cv.write_bytes(PDF + str(days).encode())
        words = (
            "submission",
            "add",
            "contact",
            "--channel",
            "e-mail",
            *arguments,
            "--file",
            f"cv={cv}",
            "--json",
        )
        with moved_clock(datetime.now(UTC).replace(tzinfo=None) - timedelta(days=days)):
            result = site.avowal(*words)
        assert result.status == 0, result.err
        if days == 40:
            late = site.avowal(*words, "--received-at", f"{datetime.now(UTC) - timedelta(days=40):%Y-%m-%d}")
            assert (late.status, late.code) == (1, "not-collected")  # its values would be too old
        references.append(result.json()["reference"])
    result = site.avowal("verify", "--json")
    overdue = [row["sentence"] for row in result.json()["findings"] if row["code"] == "record-overdue"]
    assert (result.status, any("`email-address`" in sentence for sentence in overdue)) == (1, True), (
        result.out
    )
    assert len(list_stored_files(site)) == 3
    result = site.avowal("retain", "--json")
    assert result.status == 0, result.err
    old, middle, new = references
    assert site.avowal("submission", "show", old, *PURPOSE).status == 1
    fields = [
        {
            field["field"]
            for field in site.avowal("submission", "show", reference, *PURPOSE, "--json").json()["fields"]
        }
        for reference in (middle, new)
    ]
    assert fields == [{"text"}, {"name", "email", "text", "cv"}]
    assert len(list_stored_files(site)) == 1
    assert site.avowal("verify").status == 0


def test_a_form_that_the_version_in_force_does_not_permit_is_refused(tmp_path: Path) -> None:
    """A form that only the draft permits is refused until it is published."""
    site = Site(tmp_path).init(settings=SETTINGS)
    assert site.avowal("policy", "adopt").status == 0
    terms = site.folder / "policy" / "terms.toml"
    terms.write_text(terms.read_text() + FORM)
    with start_server(site) as server:
        answer = send(server, ANN)
        assert (answer.status, answer.json()["code"]) == (404, "unknown-form")
        assert server.site.avowal("submission", "list", "--json").json()["submissions"] == []


def test_a_form_changes_once_it_is_published(tmp_path: Path) -> None:
    """Another field of a form counts once the terms are published, without a new version or a restart (V5)."""
    site = Site(tmp_path).init(settings=SETTINGS)
    terms = site.folder / "policy" / "terms.toml"
    terms.write_text(terms.read_text() + FORM)
    assert site.avowal("policy", "adopt").status == 0
    terms.write_text(
        terms.read_text().replace('text = "message", ', 'text = "message", phone = "telephone-number", ')
    )
    fields = {**ANN, "phone": "555 0100"}
    with start_server(site) as server:
        before = send(server, fields).json()["reference"]
        published = site.avowal("policy", "publish", "--json").json()
        assert (published["outcome"], published["version"]) == ("corrected", 1)
        after = send(server, fields).json()["reference"]
        assert "phone" not in read_values(server, before)
        assert read_values(server, after)["phone"] == "555 0100"
        assert site.avowal("verify").status == 0


def test_submissions_are_limited_per_address(tmp_path: Path) -> None:
    """One address may send as often as the settings say; others are not affected."""
    site = site_with_form(tmp_path)
    settings = site.folder / "avowal.toml"
    settings.write_text(
        settings.read_text().replace("submissions_per_minute = 0", "submissions_per_minute = 3")
    )
    with start_server(site) as server:
        assert [send(server, ANN).status for _ in range(4)] == [201, 201, 201, 429]
        assert send(server, ANN, {**OWN, "X-Forwarded-For": "198.51.100.1"}).status == 201


def test_retention_deletes_orphaned_files(server: RunningServer) -> None:
    """Retention deletes files that no submission names, except those that are being received."""
    folder = server.site.folder / "data" / "files"
    orphan, abandoned, being_received = folder / ("0" * 40), folder / "old.part", folder / "new.part"
    for path in (orphan, abandoned, being_received):
        path.write_bytes(b"x")
    os.utime(abandoned, (time.time() - 100_000,) * 2)
    assert server.site.avowal("retain").status == 0
    assert [path.exists() for path in (orphan, abandoned, being_received)] == [False, False, True]
    being_received.unlink()


@needs_chromium
def test_a_form_works_in_a_browser_without_scripts(server: RunningServer, tmp_path: Path) -> None:
    """A plain form with a file is sent without scripts, and the confirmation shows its reference."""
    (tmp_path / "cv.pdf").write_bytes(PDF)
    page_of_site = (
        '<!doctype html><form method="post" action="/submit/contact" enctype="multipart/form-data">'
        '<input name="email"><textarea name="text"></textarea><input type="file" name="cv"><button>send</button></form>'
    )
    url = f"http://127.0.0.1:{server.port}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(java_script_enabled=False).new_page()
        page.route("**/form", lambda route: route.fulfill(body=page_of_site, content_type="text/html"))
        page.goto(f"{url}/form")
        page.fill("input[name=email]", "ann@example.org")
        page.fill("textarea", "two\nlines")
        page.set_input_files("input[type=file]", tmp_path / "cv.pdf")
        page.click("button")
        page.wait_for_selector("code")
        assert page.url == f"{url}/submit/contact"
        reference = page.inner_text("code")
        browser.close()
    values = read_values(server, reference)
    assert values["text"].split() == ["two", "lines"]
    assert values["cv"]["size"] == len(PDF)


def test_a_killed_server_loses_no_acknowledged_submission(tmp_path: Path) -> None:
    """After kills every acknowledged submission is readable with its whole file, and no partial one remains."""
    site, acknowledged = site_with_form(tmp_path), list[str]()
    for kill in range(3):
        with start_server(site) as server, ThreadPoolExecutor(4) as pool:

            def send_repeatedly(number: int, server: RunningServer = server, kill: int = kill) -> None:
                with suppress(OSError, http.client.HTTPException):
                    for count in range(1_000):
                        answer = upload(
                            server,
                            (
                                "cv",
                                "a.pdf",
                                "application/pdf",
                                PDF + f"{kill} {number} {count} ".encode() * 9_000,
                            ),
                        )
                        acknowledged.append(answer.json()["reference"])

            enough = len(acknowledged) + 20
            for number in range(4):
                pool.submit(send_repeatedly, number)
            wait_until(lambda enough=enough: len(acknowledged) >= enough, "some are acknowledged")  # type: ignore[misc]  # bound at once
            server.command.process.kill()
            server.command.process.wait()
    references = {
        row["reference"] for row in site.avowal("submission", "list", "--json").json()["submissions"]
    }
    assert set(acknowledged) <= references
    assert len(references) <= len(acknowledged) + 12  # those that were being sent
    for reference in sorted(references)[:20]:
        output = tmp_path / reference
        result = site.avowal(
            "submission", "show", reference, *PURPOSE, "--file", "cv", "--output", str(output)
        )
        assert (result.status, output.read_bytes()[: len(PDF)]) == (0, PDF), result.err
    assert site.avowal("retain").status == 0
    assert len([path for path in list_stored_files(site) if path.suffix != ".part"]) == len(references)
    assert site.avowal("verify").status == 0


def test_submissions_without_files_work_if_files_cannot_be_stored(tmp_path: Path) -> None:
    """If files cannot be stored, an upload is refused, and a submission without files is accepted."""
    site = site_with_form(tmp_path)
    with start_server(site) as server:
        (site.folder / "data" / "files").write_bytes(b"")  # in the place of the folder
        refused = upload(server, ("cv", "a.pdf", "application/pdf", PDF))
        assert (refused.status, refused.json()["code"]) == (503, "unavailable")
        assert send(server, ANN).status == 201
