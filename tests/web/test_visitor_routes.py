"""`/privacy/me`: visitors see what is held of them, take it with them, and have it erased; nobody sees another's."""

import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from playwright.sync_api import ViewportSize, sync_playwright

from support.browsers import CHROMIUM, needs_chromium
from support.served import ANN, BEN, NEW, OWN, SETTINGS, SITE, Served, cookie, in_browser, served
from support.site import Site, wait_until
from support.templates import made_once


@made_once
def site_with_looks(folder: Path) -> Site:
    """Make a site that two visitors looked at, from one address; one user read of single visitors."""
    site = Site(folder).init(settings=SETTINGS)
    with served(site) as it:
        for number, (who, path) in enumerate(((ANN, "/of-ann"), (ANN, "/too"), (BEN, "/of-ben"))):
            look = f"{number}bcdefghij0123456789"
            assert it.tell(cookie(who), script_view_token=look, url=f"https://{SITE}{path}").status == 202
        it.kept("SELECT page_path FROM views", 3)
        assert site.avowal("user", "add", "zoe", "--purposes", "abuse").status == 0
        ran = site.avowal("query", "--purpose", "abuse", "--as", "zoe", "SELECT visitor_id FROM views")
        assert ran.status == 0, ran.err
        it.stop()
    return site


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(site_with_looks(tmp_path)) as it:
        yield it


def me(server: Served, headers: dict[str, str], path: str = "") -> str:
    answer = server.ask("GET", f"/privacy/me{path}", headers=headers)
    assert answer.status == 200
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["vary"] == "Cookie"
    return answer.body.decode()


def readings(server: Served) -> list[dict[str, Any]]:
    """Return how often somebody looked at what is held of a visitor, of the ledger."""
    assert server.site.avowal("ledger", "export", "out").status == 0
    told = b"".join(
        path.read_bytes()
        for path in (server.site.folder / "out" / "tile" / "entries").rglob("*")
        if path.is_file()
    )
    return [one for one in told.split(b'{"at"') if b'"purpose":"may-see"' in one]  # type: ignore[misc]


def test_visitors_see_what_is_held_of_them_and_nothing_of_others(server: Served) -> None:
    """By their cookie, also from one address; a look is a reading, and several in a minute are one."""
    for who, own, other in ((ANN, "/of-ann", "/of-ben"), (BEN, "/of-ben", "/of-ann")):
        for _ in range(2):
            page = me(server, cookie(who))
            assert own in page
            assert other not in page
            assert "zoe" not in page
    assert len(readings(server)) == 2
    assert "O que se guarda" in me(server, cookie(ANN, **{"Accept-Language": "pt"})) or "en" in me(
        server, cookie(ANN)
    )
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
def test_who_cannot_be_told_from_others_is_told_so(server: Served, headers: dict[str, str]) -> None:
    """Whatever the address is; there is nothing in the ledger, as nothing was shown."""
    page = me(server, headers, f"?cookie={ANN}&visitor={ANN}")
    assert "nobody can tell your visits from those of other people" in page
    assert "/of-ann" not in page
    for method, path in (("GET", "/export"), ("POST", "/erasure")):
        assert server.ask(method, f"/privacy/me{path}", headers={**OWN, **headers}).status == 403
    assert readings(server) == []


def test_whoever_refuses_the_cookie_is_told_that_it_was(server: Served) -> None:
    """A form leads back to the page; a script has its answer as before; and nothing is shown by a word."""
    form = {**OWN, "Sec-Fetch-Mode": "navigate"}
    answer = server.ask("POST", "/cookie/refuse", headers=cookie(ANN, **form))
    assert (answer.status, answer.headers["location"]) == (303, "/privacy/me")
    assert answer.headers["set-cookie"].startswith("__Host-avowal=refused;")
    assert server.ask("POST", "/cookie/refuse", headers=cookie(ANN, **OWN)).status == 204
    assert "You refused the cookie" in me(server, cookie("refused"))
    assert server.ask("GET", "/privacy/me/export", headers=cookie("refused", **OWN)).status == 403
    assert readings(server) == []


def test_a_guessed_cookie_shows_nothing(server: Served) -> None:
    """And leaves nothing behind."""
    assert "Nothing is held of the visitor with your cookie." in me(server, cookie(NEW))
    assert readings(server) == []


def test_an_export_is_theirs_alone(server: Served) -> None:
    """For a page of the site; its lines are those of the schema, without the names of who read."""
    assert server.ask("GET", "/privacy/me/export", headers=cookie(ANN)).status == 403
    assert (
        server.ask(
            "GET", "/privacy/me/export", headers=cookie(ANN, **{"Sec-Fetch-Site": "cross-site"})
        ).status
        == 403
    )
    answer = server.ask("GET", "/privacy/me/export", headers=cookie(ANN, **OWN))
    assert answer.headers["content-disposition"] == 'attachment; filename="my-data.jsonl"'
    lines = [json.loads(row) for row in answer.body.splitlines()]
    schema = jsonschema.Draft202012Validator(server.site.avowal("visitor", "schema").json())
    assert [error.message for row in lines for error in schema.iter_errors(row)] == []
    assert {row["page_path"] for row in lines[1:] if "page_path" in row} == {"/of-ann", "/too"}
    assert {one["reader"] for one in lines[0]["accesses"]} == {"operator", "reader", "visitor"}


def test_what_is_erased_is_gone_and_has_a_receipt(server: Served, tmp_path: Path) -> None:
    """The cookie goes, too; what others have stays."""
    assert server.ask("POST", "/privacy/me/erasure", headers=cookie(ANN)).status == 403
    assert (
        server.ask("POST", "/privacy/me/erasure", headers=cookie(ANN, Origin="https://evil.example")).status
        == 403
    )
    assert "/of-ann" in me(server, cookie(ANN))
    answer = server.ask("POST", "/privacy/me/erasure", headers=cookie(ANN, **OWN))
    assert (answer.status, "Max-Age=0" in answer.headers["set-cookie"]) == (200, True)
    receipt = tmp_path / "receipt.json"
    receipt.write_bytes(answer.body)
    assert answer.json()["erased"]["script_views"] == 2
    key = server.site.avowal("ledger", "key").out.strip()
    assert server.site.avowal("verify", receipt, "--key", key).status == 0
    assert "Nothing is held" in me(server, cookie(ANN))
    assert "/of-ben" in me(server, cookie(BEN))
    wait_until(lambda: server.site.avowal("verify").status == 0, "all to hold")


@needs_chromium
@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1440, "light")])
def test_it_works_in_a_browser_without_scripts(server: Served, width: int, scheme: Any) -> None:
    """By keyboard; nothing is erased before it was said twice; and by the rules of axe-core."""
    rules = (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    size: ViewportSize = {"width": width, "height": 900}

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with browser.new_context(bypass_csp=True, viewport=size, color_scheme=scheme) as context:
            page = context.new_page()
            page.goto(f"http://127.0.0.1:{server.port}/privacy/me")
            page.evaluate(rules)
            assert page.evaluate("axe.run()")["violations"] == []
            context.add_cookies([in_browser(ANN)])
            page.goto(f"http://127.0.0.1:{server.port}/privacy/me")
            assert "/of-ann" in page.content()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.evaluate(rules)
            found = page.evaluate("axe.run()")["violations"]
            assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
        with browser.new_context(java_script_enabled=False, viewport=size) as context:
            context.add_cookies([in_browser(ANN)])
            page = context.new_page()
            page.goto(f"http://127.0.0.1:{server.port}/privacy/me")
            page.get_by_role("button", name="Erase all of it").press("Enter")
            assert "/of-ann" in me(server, cookie(ANN))
            page.get_by_role("checkbox").press("Space")
            with page.expect_download() as download:
                page.get_by_role("button", name="Erase all of it").press("Enter")
            assert json.loads(download.value.path().read_text())["erased"]["script_views"] == 2
        browser.close()
