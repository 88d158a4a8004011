"""`/privacy/me`: visitors see, export and erase their own data, and nobody sees that of others."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from playwright.sync_api import ViewportSize, sync_playwright

from support.browsers import CHROMIUM, needs_chromium
from support.running_server import (
    ANN,
    BEN,
    NEW,
    SAME_ORIGIN,
    SETTINGS,
    RunningServer,
    browser_cookie,
    cookie_headers,
    start_server,
)
from support.site import Site, wait_until
from support.templates import make_once


@make_once
def site_with_script_views(folder: Path) -> Site:
    """Make a site with script views of two visitors at one address, and one access by a user."""
    site = Site(folder).init(settings=SETTINGS)
    with start_server(site) as running_server:
        running_server.send_views_of_two_visitors()
        assert site.avowal("user", "add", "zoe", "--purposes", "abuse").status == 0
        result = site.avowal("query", "--purpose", "abuse", "--as", "zoe", "SELECT visitor_id FROM views")
        assert result.status == 0, result.err
        running_server.stop()
    return site


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with start_server(site_with_script_views(tmp_path)) as running_server:
        yield running_server


def fetch_page(server: RunningServer, headers: dict[str, str], path: str = "") -> str:
    answer = server.request("GET", f"/privacy/me{path}", headers=headers)
    assert answer.status == 200
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["vary"] == "Cookie"
    return answer.body.decode()


def list_accesses(server: RunningServer) -> list[dict[str, Any]]:
    """Return the ledger entries of accesses by visitors."""
    assert server.site.avowal("ledger", "export", "out").status == 0
    entries = b"".join(
        path.read_bytes()
        for path in (server.site.folder / "out" / "tile" / "entries").rglob("*")
        if path.is_file()
    )
    return [entry for entry in entries.split(b'{"at"') if b'"purpose":"may-see"' in entry]  # type: ignore[misc]


def test_a_visitor_sees_only_their_own_data(server: RunningServer) -> None:
    """The cookie shows a visitor's own data, also at a shared address; repeated accesses count once."""
    for visitor, own_page, other_page in ((ANN, "/of-ann", "/of-ben"), (BEN, "/of-ben", "/of-ann")):
        for _ in range(2):
            page = fetch_page(server, cookie_headers(visitor))
            assert own_page in page
            assert other_page not in page
            assert "zoe" not in page
    assert len(list_accesses(server)) == 2
    assert "O que se guarda" in fetch_page(
        server, cookie_headers(ANN, **{"Accept-Language": "pt"})
    ) or "en" in fetch_page(server, cookie_headers(ANN))
    assert server.site.avowal("verify").status == 0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Cookie": ""},
        {"Cookie": "__Host-avowal="},
        {"Cookie": f"__Host-avowal={ANN[:-1]}"},
        {"Cookie": f"__Host-avowal={ANN}x"},
        {"Cookie": f"avowal={ANN}"},
        {"Cookie": f"__host-avowal={ANN}"},
        {"Authorization": f"Bearer {ANN}", "X-Visitor": ANN},
    ],
)
def test_a_visitor_without_a_cookie_sees_no_data(server: RunningServer, headers: dict[str, str]) -> None:
    """Without a valid cookie the page says that visits cannot be attributed, and no access is recorded."""
    page = fetch_page(server, headers, f"?cookie={ANN}&visitor={ANN}")
    assert "we cannot tell your visits from those of other people" in page
    assert "/of-ann" not in page
    for method, path in (("GET", "/export"), ("POST", "/erasure")):
        assert server.request(method, f"/privacy/me{path}", headers={**SAME_ORIGIN, **headers}).status == 403
    assert list_accesses(server) == []


def test_a_refusal_of_the_cookie_is_confirmed(server: RunningServer) -> None:
    """A form of refusal leads back to the page, which says that the cookie was refused and shows no data."""
    form = {**SAME_ORIGIN, "Sec-Fetch-Mode": "navigate"}
    answer = server.request("POST", "/cookie/refuse", headers=cookie_headers(ANN, **form))
    assert (answer.status, answer.headers["location"]) == (303, "/privacy/me")
    assert answer.headers["set-cookie"].startswith("__Host-avowal=refused;")
    assert server.request("POST", "/cookie/refuse", headers=cookie_headers(ANN, **SAME_ORIGIN)).status == 204
    assert "You refused the cookie" in fetch_page(server, cookie_headers("refused"))
    assert (
        server.request("GET", "/privacy/me/export", headers=cookie_headers("refused", **SAME_ORIGIN)).status
        == 403
    )
    assert list_accesses(server) == []


def test_a_guessed_cookie_shows_nothing(server: RunningServer) -> None:
    """A guessed cookie shows no data, and no access is recorded."""
    assert "We hold no data about the visitor with your cookie." in fetch_page(server, cookie_headers(NEW))
    assert list_accesses(server) == []


def test_a_visitor_exports_only_their_own_data(server: RunningServer) -> None:
    """An export needs a page of the site, follows the schema, and does not name readers."""
    assert server.request("GET", "/privacy/me/export", headers=cookie_headers(ANN)).status == 403
    assert (
        server.request(
            "GET", "/privacy/me/export", headers=cookie_headers(ANN, **{"Sec-Fetch-Site": "cross-site"})
        ).status
        == 403
    )
    answer = server.request("GET", "/privacy/me/export", headers=cookie_headers(ANN, **SAME_ORIGIN))
    assert answer.headers["content-disposition"] == 'attachment; filename="my-data.jsonl"'
    lines = [json.loads(row) for row in answer.body.splitlines()]
    schema = jsonschema.Draft202012Validator(server.site.avowal("visitor", "schema").json())
    assert [error.message for row in lines for error in schema.iter_errors(row)] == []
    assert {row["page_path"] for row in lines[1:] if "page_path" in row} == {"/of-ann", "/too"}
    assert {access["reader"] for access in lines[0]["accesses"]} == {"operator", "reader", "visitor"}


def test_an_erasure_deletes_the_data_and_gives_a_receipt(server: RunningServer, tmp_path: Path) -> None:
    """The data and the cookie are deleted with a valid receipt; data of others stays."""
    assert server.request("POST", "/privacy/me/erasure", headers=cookie_headers(ANN)).status == 403
    assert (
        server.request(
            "POST", "/privacy/me/erasure", headers=cookie_headers(ANN, Origin="https://evil.example")
        ).status
        == 403
    )
    assert "/of-ann" in fetch_page(server, cookie_headers(ANN))
    answer = server.request("POST", "/privacy/me/erasure", headers=cookie_headers(ANN, **SAME_ORIGIN))
    assert (answer.status, "Max-Age=0" in answer.headers["set-cookie"]) == (200, True)
    receipt = tmp_path / "receipt.json"
    receipt.write_bytes(answer.body)
    assert answer.json()["erased"]["script_views"] == 2
    key = server.site.avowal("ledger", "key").out.strip()
    assert server.site.avowal("verify", receipt, "--key", key).status == 0
    assert "We hold no data" in fetch_page(server, cookie_headers(ANN))
    assert "/of-ben" in fetch_page(server, cookie_headers(BEN))
    wait_until(lambda: server.site.avowal("verify").status == 0, "all to hold")


@needs_chromium
@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1440, "light")])
def test_the_page_works_in_a_browser_without_scripts(
    server: RunningServer, tmp_path: Path, width: int, scheme: Any
) -> None:
    """By keyboard and without scripts, an erasure needs a confirmation; the page passes axe-core."""
    rules = (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    size: ViewportSize = {"width": width, "height": 900}

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with browser.new_context(bypass_csp=True, viewport=size, color_scheme=scheme) as context:
            page = context.new_page()
            page.goto(f"http://127.0.0.1:{server.port}/privacy/me")
            page.evaluate(rules)
            assert page.evaluate("axe.run()")["violations"] == []
            context.add_cookies([browser_cookie(ANN)])
            page.goto(f"http://127.0.0.1:{server.port}/privacy/me")
            assert "/of-ann" in page.content()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.evaluate(rules)
            violations = page.evaluate("axe.run()")["violations"]
            assert [(violation["id"], violation["nodes"][0]["html"]) for violation in violations] == []
        with browser.new_context(java_script_enabled=False, viewport=size) as context:
            context.add_cookies([browser_cookie(ANN)])
            page = context.new_page()
            page.goto(f"http://127.0.0.1:{server.port}/privacy/me")
            page.get_by_role("button", name="Delete my data").press("Enter")
            assert "/of-ann" in fetch_page(server, cookie_headers(ANN))
            page.get_by_role("checkbox").press("Space")
            page.get_by_role("button", name="Delete my data").press("Enter")
            page.get_by_role("heading", name="Your data was deleted").wait_for()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert re.search(
                "Page views reported by the script.*2", page.locator("table").inner_text(), re.DOTALL
            )
            receipt = page.locator("pre").text_content() or ""
            with page.expect_download() as download:
                page.get_by_role("link", name="Save the receipt").press("Enter")
            assert download.value.suggested_filename == "erasure.json"
            assert download.value.path().read_text() == receipt
            assert json.loads(receipt)["erased"]["script_views"] == 2
            file = tmp_path / "erasure.json"
            file.write_text(receipt)
            key = server.site.avowal("ledger", "key").out.strip()
            assert server.site.avowal("verify", file, "--key", key).status == 0
            page.get_by_role("link", name="The data we hold about you").press("Enter")
            page.wait_for_url("**/privacy/me?*")
            assert "/of-ann" not in page.content()
            assert "Your browser sent no cookie" in page.content()
        browser.close()


def test_a_program_gets_the_receipt_alone(server: RunningServer) -> None:
    """Whoever asks for no page gets the receipt of an erasure as a file of JSON."""
    answer = server.request("POST", "/privacy/me/erasure", headers=cookie_headers(BEN, **SAME_ORIGIN))
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json()["schema"] == "avowal erasure 1"


@pytest.mark.parametrize("header", ["Sec-GPC", "DNT"])
def test_a_browser_with_a_privacy_signal_is_told_and_offered_no_cookie(
    server: RunningServer, header: str
) -> None:
    """The page says that the signal is honoured, and nothing sets the cookie."""
    sentence = (
        "Your browser signals that you do not want to be tracked (Global Privacy Control or Do Not Track)."
    )
    for cookies in ({}, cookie_headers("refused"), cookie_headers(NEW)):
        page = server.request("GET", "/privacy/me", headers={header: "1", **cookies}).body.decode()
        assert sentence in page
        assert "/cookie/" not in page
    assert sentence not in server.request("GET", "/privacy/me").body.decode()
    secure = {"X-Forwarded-Proto": "https", "Sec-Fetch-Mode": "navigate", **SAME_ORIGIN}
    answer = server.request("POST", "/cookie/accept?lang=pt-BR", headers={header: "1", **secure})
    assert (answer.status, answer.headers["location"]) == (303, "/privacy/me?lang=pt-BR")
    assert "Max-Age=0" in answer.headers["set-cookie"]


def test_the_site_says_that_it_honours_global_privacy_control(server: RunningServer) -> None:
    """The statement has exactly the members of the specification, and pages of any origin may read it."""
    answer = server.request("GET", "/.well-known/gpc.json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == {"gpc": True, "lastUpdate": answer.json()["lastUpdate"]}
    assert date.fromisoformat(answer.json()["lastUpdate"]) <= datetime.now(UTC).date()
    assert answer.headers["access-control-allow-origin"] == "*"
