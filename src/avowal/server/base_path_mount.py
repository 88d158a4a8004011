"""Serves an application below a base path, whether or not the web server before it removes that path."""

from urllib.parse import quote

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from avowal.base_path import mounted_at
from avowal.http.headers import PAGE_HEADERS


def mount(application: ASGIApp, base_path: str) -> ASGIApp:
    """Return an application whose requests are at `base_path`, such as `/stats`; empty is the root.

    A request at the root is answered, too: a web server may have removed the base path. Links lead below it all the
    same, as the browser is there.
    """
    if not base_path:
        return application
    prefix = f"{base_path}/"

    async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        path = scope["path"]
        if path == base_path:
            query = scope["query_string"].decode("latin-1")
            location = quote(prefix) + (f"?{query}" if query else "")
            await RedirectResponse(location, 308, PAGE_HEADERS)(scope, receive, send)
            return
        if path.startswith(prefix):
            scope = {**scope, "path": path[len(base_path) :]}
        with mounted_at(base_path):
            await application(scope, receive, send)

    return mounted
