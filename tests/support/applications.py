"""A small site in each web framework, wrapped as the framework's documentation describes, for tests of middleware."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = os.environ.get("SITE_FOLDER", "")
SCRIPT = "/avowal.js"
PAGE = "<!doctype html><html><head><title>Page</title></head><body><p>Grüße</p></body></html>"
PARTS = ["<!doctype html><html><head><title>Parts</title></head>", "<body><p>one", " two</p></body></html>"]


def starlette() -> Any:
    """Return the site in Starlette."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware as Use
    from starlette.requests import Request
    from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response, StreamingResponse
    from starlette.routing import Route

    from avowal.asgi import AsgiMiddleware

    def page(_: Request) -> Response:
        return HTMLResponse(PAGE)

    def parts(_: Request) -> Response:
        return StreamingResponse(iter(PARTS), media_type="text/html")

    def data(_: Request) -> Response:
        return JSONResponse({"page": PAGE})

    def file(_: Request) -> Response:
        return FileResponse(Path(FOLDER) / "paper.pdf")

    def fails(_: Request) -> Response:
        raise ArithmeticError

    routes = {"/page": page, "/parts": parts, "/data": data, "/paper.pdf": file, "/fails": fails}
    return Starlette(
        routes=[Route(path, answer) for path, answer in routes.items()],
        middleware=[Use(AsgiMiddleware, folder=FOLDER, script=SCRIPT)],
    )


def fastapi() -> Any:
    """Return the site in FastAPI."""
    from fastapi import FastAPI
    from fastapi.responses import FileResponse, HTMLResponse, StreamingResponse

    from avowal.asgi import AsgiMiddleware

    app = FastAPI()
    app.add_middleware(AsgiMiddleware, folder=FOLDER, script=SCRIPT)

    @app.get("/page", response_class=HTMLResponse)
    def page() -> str:
        return PAGE

    @app.get("/parts")
    def parts() -> StreamingResponse:
        return StreamingResponse(iter(PARTS), media_type="text/html")

    @app.get("/data")
    def data() -> dict[str, str]:
        return {"page": PAGE}

    @app.get("/paper.pdf")
    def file() -> FileResponse:
        return FileResponse(Path(FOLDER) / "paper.pdf")

    @app.get("/fails")
    def fails() -> None:
        raise ArithmeticError

    return app


def flask() -> Any:
    """Return the site in Flask."""
    from flask import Flask, Response, jsonify, send_file

    from avowal.wsgi import WsgiMiddleware

    app = Flask(__name__)

    @app.get("/page")
    def page() -> str:
        return PAGE

    @app.get("/parts")
    def parts() -> Response:
        return Response(iter(PARTS), mimetype="text/html")

    @app.get("/data")
    def data() -> Response:
        return jsonify({"page": PAGE})

    @app.get("/paper.pdf")
    def file() -> Response:
        return send_file(Path(FOLDER) / "paper.pdf")

    @app.get("/fails")
    def fails() -> str:
        raise ArithmeticError

    app.wsgi_app = WsgiMiddleware(app.wsgi_app, FOLDER, SCRIPT)  # type: ignore[method-assign]
    return app


def _django() -> None:
    import django
    from django.conf import settings
    from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
    from django.urls import path

    def page(_: HttpRequest) -> HttpResponse:
        return HttpResponse(PAGE)

    def parts(_: HttpRequest) -> StreamingHttpResponse:
        return StreamingHttpResponse(PARTS)

    def data(_: HttpRequest) -> JsonResponse:
        return JsonResponse({"page": PAGE})

    def file(_: HttpRequest) -> FileResponse:
        return FileResponse((Path(FOLDER) / "paper.pdf").open("rb"))

    def fails(_: HttpRequest) -> HttpResponse:
        raise ArithmeticError

    views = {"page": page, "parts": parts, "data": data, "paper.pdf": file, "fails": fails}
    urls = tuple(path(address, view) for address, view in views.items())
    settings.configure(
        ROOT_URLCONF=urls,
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        LOGGING_CONFIG=None,
    )
    django.setup()


def django_asgi() -> Any:
    """Return the site in Django, as in its `asgi.py`."""
    from django.core.asgi import get_asgi_application

    from avowal.asgi import AsgiMiddleware

    _django()
    return AsgiMiddleware(get_asgi_application(), FOLDER, SCRIPT)


def django_wsgi() -> Any:
    """Return the site in Django, as in its `wsgi.py`."""
    from django.core.wsgi import get_wsgi_application

    from avowal.wsgi import WsgiMiddleware

    _django()
    return WsgiMiddleware(get_wsgi_application(), FOLDER, SCRIPT)


def bare() -> Any:
    """Return a plain WSGI site that uses `write`, and starts its response only when its body is iterated."""
    from avowal.wsgi import WsgiMiddleware

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        address = environ["PATH_INFO"]
        if address == "/fails":
            raise ArithmeticError
        kind = {"/data": "application/json", "/paper.pdf": "application/pdf"}.get(address, "text/html")
        write = start_response("200 OK", [("Content-Type", f"{kind}; charset=utf-8")])
        if address == "/written":
            write(PAGE.encode())
            return
        if address == "/paper.pdf":
            yield (Path(FOLDER) / "paper.pdf").read_bytes()
            return
        yield from (part.encode() for part in (PARTS if address == "/parts" else [PAGE]))

    return WsgiMiddleware(app, FOLDER, SCRIPT)
