"""The kinds of requests."""

import polars as pl
import pytest

from avowal.collect.request_kind import RequestKindRules
from avowal.config import CollectSettings


@pytest.mark.parametrize(
    ("method", "path", "status", "expected"),
    [
        ("GET", "/", 200, "view"),
        ("GET", "/articles/42", 200, "view"),
        ("GET", "/page.html", 304, "view"),
        ("GET", "/page.php", 404, "other"),
        ("GET", "/old", 301, "other"),
        ("POST", "/contact", 200, "other"),
        ("HEAD", "/", 200, "other"),
        ("GET", "/style.CSS", 200, "static"),
        ("GET", "/gone.png", 404, "static"),
        ("GET", "/robots.txt", 200, "static"),
        ("GET", "/report.pdf", 200, "download"),
        ("GET", "/report.pdf", 206, "download"),
        ("GET", "/report.pdf", 404, "other"),
        ("PUT", "/inbox/a.pdf", 201, "upload"),
        ("POST", "/inbox/a", 302, "upload"),
        ("POST", "/inbox/a", 500, "other"),
        ("GET", "/image/7/thumb", 200, "static"),
        ("GET", "/v1.2/page", 200, "view"),
        (None, None, 400, "other"),
        ("GET", None, 200, "other"),
        ("CONNECT", None, 200, "other"),
    ],
)
def test_requests_are_classified(method: str | None, path: str | None, status: int, expected: str) -> None:
    """Views, downloads, uploads and static files are classified by method, path and status."""
    rules = RequestKindRules(CollectSettings(static_paths=("/image/*",), upload_paths=("/inbox/*",)))
    assert classify(rules, method, path, status, None) == expected


def classify(
    rules: RequestKindRules, method: str | None, path: str | None, status: int, content_type: str | None
) -> str:
    schema = {"method": pl.String, "path": pl.String, "status": pl.UInt16, "content_type": pl.String}
    frame = pl.DataFrame([(method, path, status, content_type)], schema=schema, orient="row")
    (kind,) = rules.classify_requests(frame).to_list()
    return str(kind)


@pytest.mark.parametrize(
    ("path", "content_type", "expected"),
    [
        ("/api/items", "application/json", "other"),
        ("/api/items", "application/problem+json", "other"),
        ("/bucket", "application/xml", "other"),
        ("/api/items", "text/html", "view"),
        ("/page", "application/xhtml+xml", "view"),
        ("/notes", "text/plain", "view"),
        ("/avatar/7", "image/webp", "static"),
        ("/bundle", "text/javascript", "static"),
        ("/report.pdf", "application/pdf", "download"),
        ("/style.css", "text/html", "static"),
        ("/page", None, "view"),
    ],
)
def test_a_view_is_a_page(path: str, content_type: str | None, expected: str) -> None:
    """Where the type of a response is known, only a page is a view; the path decides where it is not."""
    assert classify(RequestKindRules(CollectSettings()), "GET", path, 200, content_type) == expected
