"""The notice of a new version in the pages of wrapped applications."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import avowal.asgi
import avowal.wsgi
from support.notices import shown_notices, site_with_versions
from support.site import Site, wait_until

PARTS = [b"<!doctype html><title>page</title></head>", b"<body><p>words</body></html>"]


def by_asgi(app: Callable[..., Any]) -> str:
    """Ask a wrapped application for a page, in Portuguese."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"accept-language", b"pt-BR"), (b"host", b"site.example")]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": headers, "client": ("192.0.2.1", 1)}
    asyncio.run(app(scope, None, send))
    return b"".join(one.get("body", b"") for one in sent).decode()


async def asgi_page(_: Any, __: Any, send: Any) -> None:
    """Send a page in parts."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    for number, part in enumerate(PARTS):
        await send({"type": "http.response.body", "body": part, "more_body": number == 0})


def test_an_application_shows_it_where_scripts_do_not_run(tmp_path: Path) -> None:
    """Within `noscript`, in the language that is asked for, and where a part of the page ends its body."""
    site = site_with_versions(Site(tmp_path), 45)
    app = avowal.asgi.AsgiMiddleware(asgi_page, site.folder, "/avowal.js")
    assert "avowal-notice" not in by_asgi(app)
    wait_until(lambda: "avowal-notice" in by_asgi(app), "the application to show the notice")
    page = by_asgi(app)
    assert page.count('<script src="/avowal.js" defer></script></head>') == 1
    assert '<p>words<noscript><section id="avowal-notice" lang="pt-BR"' in page
    assert page.endswith("</section></noscript></body></html>")
    app.collector.close()
    assert shown_notices(site) == []


def test_an_application_without_the_script_shows_it_to_everybody(tmp_path: Path) -> None:
    """And says so in the ledger; the page's length is told anew."""
    site = site_with_versions(Site(tmp_path), 45)
    whole = b"".join(PARTS)

    def page(_: Any, start: Callable[..., Any]) -> list[bytes]:
        start("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(whole)))])
        return [whole]

    app = avowal.wsgi.WsgiMiddleware(page, site.folder)
    told: dict[str, str] = {}

    def asked() -> str:
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/",
            "HTTP_ACCEPT_LANGUAGE": "zh-TW",
            "REMOTE_ADDR": "192.0.2.1",
        }
        told.clear()
        answer = app(
            environ, lambda _, headers, *__: told.update((name.lower(), value) for name, value in headers)
        )
        body = b"".join(answer)
        answer.close()  # type: ignore[attr-defined]  # as a server does
        assert told["content-length"] == str(len(body))
        return body.decode()

    assert asked() == whole.decode()
    wait_until(lambda: "avowal-notice" in asked(), "the application to show the notice")
    assert '<p>words<section id="avowal-notice" lang="zh-TW"' in asked()
    wait_until(lambda: bool(shown_notices(site)), "the notice to be recorded")
    assert shown_notices(site) == [("every page of the application", False)]
    app.collector.close()
    assert site.avowal("verify").status == 0
