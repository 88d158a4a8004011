"""The notice of a new version on the pages of wrapped applications."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import avowal.asgi
import avowal.wsgi
from support.notices import list_displays, site_with_versions
from support.site import Site, wait_until

PARTS = [b"<!doctype html><title>page</title></head>", b"<body><p>words</body></html>"]


def fetch_by_asgi(app: Callable[..., Any]) -> str:
    """Fetch a page of a wrapped ASGI application, in Portuguese."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"accept-language", b"pt-BR"), (b"host", b"site.example")]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": headers, "client": ("192.0.2.1", 1)}
    asyncio.run(app(scope, None, send))
    return b"".join(message_sent.get("body", b"") for message_sent in sent).decode()


async def asgi_page(_: Any, __: Any, send: Any) -> None:
    """Send a page in parts."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    for number, part in enumerate(PARTS):
        await send({"type": "http.response.body", "body": part, "more_body": number == 0})


def test_a_page_with_the_script_has_the_notice_in_noscript(tmp_path: Path) -> None:
    """The notice is within `noscript`, in the requested language, at the end of the body."""
    site = site_with_versions(Site(tmp_path), 45)
    app = avowal.asgi.AsgiMiddleware(asgi_page, site.folder, "/avowal.js")
    assert "avowal-notice" not in fetch_by_asgi(app)
    wait_until(lambda: "avowal-notice" in fetch_by_asgi(app), "the application to show the notice")
    page = fetch_by_asgi(app)
    assert page.count('<script src="/avowal.js" defer></script></head>') == 1
    assert '<p>words<noscript><section id="avowal-notice" lang="pt-BR"' in page
    assert page.endswith("</section></noscript></body></html>")
    app.collector.close()
    assert list_displays(site) == []


def test_a_page_without_the_script_has_the_notice_itself(tmp_path: Path) -> None:
    """The page contains the notice with a correct length, and the ledger records its display."""
    site = site_with_versions(Site(tmp_path), 45)
    page_bytes = b"".join(PARTS)

    def page(_: Any, start: Callable[..., Any]) -> list[bytes]:
        start("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(page_bytes)))])
        return [page_bytes]

    app = avowal.wsgi.WsgiMiddleware(page, site.folder)
    response_headers: dict[str, str] = {}

    def fetch_by_wsgi() -> str:
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/",
            "HTTP_ACCEPT_LANGUAGE": "zh-TW",
            "REMOTE_ADDR": "192.0.2.1",
        }
        response_headers.clear()
        answer = app(
            environ,
            lambda _, headers, *__: response_headers.update((name.lower(), value) for name, value in headers),
        )
        body = b"".join(answer)
        answer.close()  # type: ignore[attr-defined]  # as a server does
        assert response_headers["content-length"] == str(len(body))
        return body.decode()

    assert fetch_by_wsgi() == page_bytes.decode()
    wait_until(lambda: "avowal-notice" in fetch_by_wsgi(), "the application to show the notice")
    assert '<p>words<section id="avowal-notice" lang="zh-TW"' in fetch_by_wsgi()
    wait_until(lambda: bool(list_displays(site)), "the notice to be recorded")
    assert list_displays(site) == [("every page of the application", False)]
    app.collector.close()
    assert site.avowal("verify").status == 0
